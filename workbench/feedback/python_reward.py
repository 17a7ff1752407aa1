"""A reward that is a Python file of the person's own, with a function ``reward``.

Running the file is running a program: whoever loads one has asked the person first.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import linecache
import logging
import math
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from numbers import Real
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, TextIO

import torch
from torch import Tensor

from workbench.ending_signals import ending_signals
from workbench.feedback.call_thread import CallThread
from workbench.feedback.reward_arguments import Arguments
from workbench.feedback.reward_file import RewardFile
from workbench.feedback.reward_text import RewardError
from workbench.models.control import Control, Interrupted
from workbench.models.phases import Phase
from workbench.models.sources import LoadError
from workbench.records import Exchange

SIGNATURE = "def reward(prompts: list[str], completions: list[str]) -> list[float]"
_MOST_PRINTED = 20_000
_SHOWN = 80

log = logging.getLogger("workbench.reward")


class PythonReward:
    """Scores completions by the function ``reward`` of a file. Where that gives None it does not
    apply."""

    abstains = True
    """Whether NaN says that it does not apply to a completion."""

    def __init__(self, file: RewardFile, step: Callable[[], object] = lambda: None) -> None:
        """Run the file.

        Args:
            step: called while it runs; may raise Interrupted to give up.

        Raises:
            LoadError: it cannot be run, or has no such function.
        """
        self.file = file
        self._aside = CallThread()
        module = ModuleType(f"ppo_workbench_reward_{file.sha256[:12]}")
        module.__file__, module.__package__ = file.path, ""
        # A traceback then shows the lines that ran, not those that are in the file by now.
        lines = file.text.splitlines(keepends=True)
        linecache.cache[file.path] = (len(file.data), None, lines, file.path)
        sys.modules[module.__name__] = module  # dataclasses look their module up
        try:
            with _captured() as printed, _torch_as_it_was():
                program = compile(file.data, file.path, "exec", dont_inherit=True)
                self._aside.call(partial(exec, program, module.__dict__), step).outcome()
        except Interrupted:
            raise
        except ImportError as error:
            raise LoadError(self._lacking(error)) from error
        except SyntaxError as error:
            raise LoadError(
                f"{file.name}, line {error.lineno or 1}: this is no valid Python ({error.msg}); "
                "mend it and load again.") from error
        except BaseException as error:  # the person's program may raise anything
            raise LoadError(
                f"{file.name}, line {self._line(error.__traceback__)}: running the file raised "
                f"{_describe(error)}; mend it and load again.") from error
        finally:
            _tell(file.name, printed)
        self._function = self._find(module)
        self._arguments = Arguments.of(self._function)
        code = getattr(inspect.unwrap(self._function), "__code__", None)
        self._begins = code.co_firstlineno if code else 1

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.name

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns of the prompts that the function cannot do without."""
        return self._arguments.needed

    @property
    def summary(self) -> str:
        """The first line of what the file says of itself."""
        module = sys.modules.get(f"ppo_workbench_reward_{self.file.sha256[:12]}")
        return (inspect.getdoc(module) or "").partition("\n")[0]

    def score(
        self, exchanges: Sequence[Exchange], *, control: Control, phase: Phase = Phase.SCORING
    ) -> Tensor:
        """Return one float32 score a completion, (b,), on the CPU; NaN where the reward does not
        apply.

        Raises:
            RewardError: the function failed, or gave what are no scores.
        """
        if not exchanges:
            return torch.zeros(0)
        control.step(phase, 0, len(exchanges))
        try:
            step = partial(control.step, phase, 0, len(exchanges))
            return torch.tensor(self._ask(exchanges, step), dtype=torch.float32)
        except _Failure as failure:
            found = failure
        raise self._locate(found, exchanges, control, phase)

    def _ask(self, exchanges: Sequence[Exchange], step: Callable[[], object]) -> list[float]:
        with _captured() as printed, _torch_as_it_was():
            call = self._aside.call(
                partial(self._arguments.call, self._function, exchanges), step)
            try:
                found = call.outcome()
            except BaseException as error:  # whatever it is, it is the person's program's
                trace = self._own(error.__traceback__)
                raise _Failure(
                    f"reward raised {_describe(error)}", self._line(error.__traceback__),
                    details="".join(traceback.format_exception(type(error), error, trace))
                    + (f"\nPrinted:\n{printed.getvalue()}" if printed.tell() else "")) from None
            finally:
                _tell(self.file.name, printed)
        return self._read(found, len(exchanges))

    def _read(self, found: Any, wanted: int) -> list[float]:
        """Return what the function gave as ``wanted`` numbers; its objects are the person's own
        and may raise at any touch."""
        try:
            if not isinstance(found, list | tuple) and callable(getattr(found, "tolist", None)):
                found = found.tolist()  # an array or a tensor
            if not isinstance(found, list | tuple):
                raise _Failure(f"reward returned {_shown(found)} ({type(found).__name__}) "
                               "instead of a list of scores", self._begins)
            values = list(found)
        except _Failure:
            raise
        except BaseException as error:
            raise self._unreadable("what reward returned", error) from None
        if len(values) != wanted:
            raise _Failure(f"reward returned {_count(len(values), 'score')} for "
                           f"{_count(wanted, 'completion')}", self._begins)
        return [self._number(value, row) for row, value in enumerate(values)]

    def _number(self, value: Any, row: int) -> float:
        if value is None:
            return math.nan
        try:
            if callable(getattr(value, "item", None)) and getattr(value, "ndim", 0) == 0:
                value = value.item()
            if not isinstance(value, Real):
                raise _Failure(f"reward gave {_shown(value)} ({type(value).__name__}), which is "
                               "no number", self._begins, row)
            number = float(torch.tensor(float(value), dtype=torch.float32))
        except _Failure:
            raise
        except OverflowError:
            number = math.inf
        except BaseException as error:
            raise self._unreadable("a score that reward returned", error, row) from None
        if not math.isfinite(number):
            raise _Failure(f"reward gave {_shown(value)}, which is no finite number",
                           self._begins, row)
        return number

    def _unreadable(self, what: str, error: BaseException, row: int | None = None) -> _Failure:
        trace = self._own(error.__traceback__) or error.__traceback__
        return _Failure(
            f"{what} raised {_describe(error)} when it was read", self._line(error.__traceback__),
            row, "".join(traceback.format_exception(type(error), error, trace)))

    def _locate(
        self, failure: _Failure, exchanges: Sequence[Exchange], control: Control, phase: Phase
    ) -> RewardError:
        """Find the row at fault, where the failure does not say: the first that fails alone."""
        row, alone = failure.row, True
        if row is None:
            row = 0
            for row in range(len(exchanges)):
                step = partial(control.step, phase, row, len(exchanges))
                step()
                try:
                    self._ask([exchanges[row]], step)
                except _Failure as found:
                    failure = _Failure(
                        failure.problem if not failure.details else found.problem,
                        found.line, details=found.details or failure.details)
                    break
            else:
                row, alone = 0, False
        exchange = exchanges[row]
        where = f"on completion {row + 1} of {len(exchanges)}" if alone else (
            f"on {_count(len(exchanges), 'completion')} together, though on each alone it does "
            "not; the first is")
        shown = f"prompt “{_short(exchange.prompt)}”, completion “{_short(exchange.completion)}”"
        sentence = (
            f"{self.file.name}, line {failure.line}: {failure.problem}, {where} ({shown}); mend "
            "the file and resume the run.")
        row_text = f"Prompt:\n{exchange.prompt}\n\nCompletion:\n{exchange.completion}\n"
        return RewardError(sentence, "\n".join(
            text for text in (f"{self.file.path} (sha256 {self.file.sha256})\n", failure.details,
                              row_text) if text))

    def _lacking(self, error: ImportError) -> str:
        """Say what an import of the file did not find."""
        folder, wanted = Path(self.file.path).parent, (error.name or "").partition(".")[0]
        beside = wanted and ((folder / f"{wanted}.py").is_file() or (folder / wanted).is_dir())
        if beside or "relative import" in str(error):
            return (f"{self.file.name}, line {self._line(error.__traceback__)}: a reward is a "
                    "single file, and what lies beside it is not imported; copy what it needs into "
                    "it, or install that as a package, and load again.")
        if not isinstance(error, ModuleNotFoundError):
            return (f"{self.file.name}, line {self._line(error.__traceback__)}: running the file "
                    f"raised {_describe(error)}; mend it and load again.")
        return (f"{self.file.name} needs the Python package {error.name}, which is not installed; "
                f"install it (usually pip install {wanted}) and load again.")

    def _find(self, module: ModuleType) -> Callable[..., Any]:
        function = getattr(module, "reward", None)
        name = self.file.name
        if not callable(function):
            raise LoadError(
                f"{name} has no function reward; write `{SIGNATURE}` in it and load again.")
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise LoadError(
                f"The function reward of {name} must return its scores, not await or yield them: "
                f"`{SIGNATURE}`.")
        if not Arguments.of(function).fit(function):
            raise LoadError(
                f"The function reward of {name} must take the prompts and the completions: "
                f"`{SIGNATURE}`.")
        return function

    def _own(self, trace: TracebackType | None) -> TracebackType | None:
        """Return the part of a traceback that begins in the file."""
        found = trace
        while found is not None and found.tb_frame.f_code.co_filename != self.file.path:
            found = found.tb_next
        return found

    def _line(self, trace: TracebackType | None) -> int:
        """Return the last line of the file in a traceback."""
        lines = [f.lineno for f in traceback.extract_tb(trace)
                 if f.filename == self.file.path and f.lineno]
        return lines[-1] if lines else getattr(self, "_begins", 1)


class _Failure(Exception):  # noqa: N818 - becomes a RewardError
    """What is wrong, at which line, and with which row where that is known."""

    def __init__(
        self, problem: str, line: int, row: int | None = None, details: str = ""
    ) -> None:
        super().__init__(problem)
        self.problem, self.line, self.row, self.details = problem, line, row, details


class _Tap(io.TextIOBase):
    """Stands in for a standard stream: keeps what is written, but passes on what the main thread
    writes meanwhile (``--json`` prints its lines there)."""

    def __init__(self, behind: TextIO | None, heard: io.StringIO, *, from_main: bool) -> None:
        self._behind, self._heard, self._from_main = behind, heard, from_main

    def write(self, text: str) -> int:
        """Keep or pass on ``text``."""
        others = not self._from_main and threading.current_thread() is threading.main_thread()
        if others and self._behind is not None:
            return self._behind.write(text)
        if self._heard.tell() < _MOST_PRINTED:
            self._heard.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what is behind."""
        if self._behind is not None:
            self._behind.flush()


@contextlib.contextmanager
def _captured() -> Iterator[io.StringIO]:
    """Keep what is printed in here, on this thread and on those it begins."""
    heard = io.StringIO()
    from_main = threading.current_thread() is threading.main_thread()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_Tap(s, heard, from_main=from_main) for s in before)
    try:
        yield heard
    finally:
        sys.stdout, sys.stderr = before


_asking = 0
"""How many rewards are at work: more than one only where one has another."""


def _take_no_signals_over() -> None:
    """Let a process that a reward has forked end when it is told to: a Pool waits for that, and
    the handler that it has inherited would stop the run instead."""
    if _asking:
        for number in ending_signals():
            signal.signal(number, signal.SIG_DFL)
    _let_in()


def _hold_back() -> None:
    """Let no signal reach a process before it has handlers of its own."""
    if _asking:
        signal.pthread_sigmask(signal.SIG_BLOCK, ending_signals())


def _let_in() -> None:
    if _asking:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ending_signals())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold_back, after_in_parent=_let_in,
                        after_in_child=_take_no_signals_over)


@contextlib.contextmanager
def _torch_as_it_was() -> Iterator[None]:
    """Keep what a program may set for all of PyTorch to itself: training goes on after it, and
    needs gradients and numbers of 32 bits."""
    global _asking
    gradients, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    threads = torch.get_num_threads()
    _asking += 1
    try:
        yield
    finally:
        _asking -= 1
        torch.set_grad_enabled(gradients)
        torch.set_default_dtype(dtype)
        if torch.get_num_threads() != threads:  # with others sums round otherwise
            torch.set_num_threads(threads)


def _tell(name: str, printed: io.StringIO) -> None:
    if text := printed.getvalue().rstrip():
        log.info("%s printed: %s", name, text)


def _shown(value: object) -> str:
    """Return an object of the person's in short, also one that cannot be written."""
    try:
        return _short(repr(value))
    except BaseException:
        return "something that cannot be shown"


def _describe(error: BaseException) -> str:
    try:
        text = _short(str(error))
    except BaseException:
        text = "its message cannot be read"
    if isinstance(error, TypeError) and "string indices" in text:
        text += "; prompts and completions are texts here, not lists of messages"
    if isinstance(error, ValueError) and "signal" in text:
        text += ("; rewards run beside the window, where Python has no signals: limit the time "
                 "without them, in math_verify by parsing_timeout=None and timeout_seconds=None")
    return f"{type(error).__name__} ({text})" if text else type(error).__name__


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN - 1].rstrip()}…"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
