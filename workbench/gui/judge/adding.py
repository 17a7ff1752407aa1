"""Where pairs come from: cycles of the run on display, a file, and the policy as it is now."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from workbench.formatting import both_ends, counted
from workbench.gui.judge.bar import Source
from workbench.store.judged import Added, Origin, PairToJudge, Side, Thumb
from workbench.store.judged_files import JudgedFile, read_judged
from workbench.store.judgements import Marked
from workbench.store.pairs_to_judge import pairs_of_cycles, pairs_of_siblings
from workbench.store.prompt_readers import PromptFileError
from workbench.store.records import Prompt
from workbench.training import events as ev
from workbench.training.commands import (
    PromptItem,
    ScorePairs,
    StopTrying,
    Try,
    TrySource,
)
from workbench.training.events import State
from workbench.training.states import WHEN, allowed

if TYPE_CHECKING:
    from workbench.gui.background import Background
    from workbench.store.store import Store

FIRST_SET = "Your judgements"
_NAME = 24  # characters of the name of a run that a button has room for
_MOST = 16  # prompts that are completed at once
TryEvent = ev.TryStarted | ev.TryProgress | ev.TryScored | ev.TryFailed | ev.TryFinished
Found = tuple[Sequence[PairToJudge | Marked], Sequence[Thumb], str]
"""Pairs, thumbs, and what is to be said of how they were read."""
_NO_RUN = "Start a run, or choose one in Runs, first."
_KNOWN = "The set has these pairs already."
_NO_CYCLE = "The run on display has no complete cycle yet."


class Adding(QObject):
    """``command`` carries what to send, ``message`` what to tell; ``added`` says that a set, by its
    number, has more pairs, and ``changed`` that something is on its way or is not any more."""

    command = Signal(object)
    message = Signal(str, str)
    added = Signal(int)
    changed = Signal()

    def __init__(self, parent: QObject, store: Store, background: Background,
                 prompts: Callable[[], Sequence[Prompt]],
                 decoding: Callable[[], Mapping[str, float | int]],
                 set_name: Callable[[], str]) -> None:
        """``prompts`` gives what the table of prompts holds, ``decoding`` how Try samples,
        ``set_name`` the set that pairs are put into."""
        super().__init__(parent)
        self._store, self._background = store, background
        self._prompts, self._decoding, self._set_name = prompts, decoding, set_name
        self._run_id: int | None = None
        self._state = State.IDLE
        self._number = 0
        self._asked: Try | None = None
        self._label = ""
        self._scoring = self._scored = 0
        self._reading = 0
        self._known: dict[object, bool] = {}

    # -- what the window tells

    def show_run(self, run_id: int | None) -> None:
        """Take note of the run on display."""
        self._run_id = run_id

    def set_state(self, state: State) -> None:
        """Take note of what can be asked for."""
        self._state = state

    @property
    def writing(self) -> bool:
        """Whether the policy writes samples."""
        return self._asked is not None

    @property
    def busy(self) -> str:
        """What is on its way; "" where nothing is."""
        if self._asked is not None:
            pairs = len(self._asked.prompts) // 2
            return f"The policy writes two completions of {counted(pairs, 'prompt')} …"
        if self._scoring:
            return "The reward scores pairs …"
        return "Pairs are being read …" if self._reading else ""

    # -- sources

    def cycles(self) -> list[int]:
        """Return after which cycles of the run on display the compared prompts were completed."""
        return [] if self._run_id is None else self._store.compared_cycles(self._run_id)

    def sources(self, ask_cycles: Callable[[], object], ask_cycle: Callable[[], object],
                ask_file: Callable[[], object]) -> list[Source]:
        """Return all that pairs can be made of; what is asked for first is asked by the others."""
        run = None if self._run_id is None else self._store.run(self._run_id)
        name = both_ends(run.name, _NAME) if run else "the run"
        cycles = self.cycles()
        last = cycles[-1] if cycles else 0
        no_pair = no_cycles = "" if last else _NO_RUN if run is None else _NO_CYCLE
        if run is not None and last and self._has(self._store.identity(run.id), last):
            no_pair = _KNOWN
        no_cycle = "" if run and run.cycles else _NO_RUN if run is None else _NO_CYCLE
        fresh = Source(
            "Stop writing samples", "Give up what the policy writes", "", self.stop) if (
            self.writing) else Source(
            "Two fresh samples of the policy", f"Have the policy in memory complete up to {_MOST} "
            "of the enabled prompts twice, with temperature, top-p and length as in Try",
            self.why_not_fresh(), self.add_fresh)
        return [
            Source(f"Start policy against cycle {last:,} of {name}" if last else
                   "Start policy against the latest cycle",
                   "The compared prompts as the start policy and as the policy now completes them",
                   no_pair, partial(self.add_cycles, 0, last)),
            Source("Two cycles…", "The compared prompts after two cycles of the run on display",
                   no_cycles, ask_cycles),
            Source("Completions of one cycle…", "What a cycle wrote to the same prompt, two and "
                   "two", no_cycle, ask_cycle),
            fresh,
            Source("", "", "", ask_file),
            Source("A file…", "Pairs with or without marks in any layout that is known, or "
                   "completions with a label", "", ask_file),
        ]

    def why_not_fresh(self) -> str:
        """Return why nothing can be written now; "" where it can."""
        if self._asked is not None:
            return "Two samples are being written already."
        if self._state not in allowed(Try):
            return ("A cycle is running: pause the run to sample its policy."
                    if self._state is State.RUNNING else WHEN[Try][1])
        some = any(p.enabled for p in self._prompts())
        return "" if some else "Enable a prompt in Prompts first."

    def forget(self) -> None:
        """Take note that the set may have other pairs now."""
        self._known.clear()

    def _has(self, run: str, last: int) -> bool:
        """Whether the set has the pairs of the start policy and this cycle."""
        key = self._set_name(), run, last
        if key not in self._known:
            found = self._store.judgements.set(key[0])
            self._known[key] = found is not None and self._store.judgements.has_cycles(
                found.id, run, (0, last))
        return self._known[key]

    # -- putting them in

    def add_cycles(self, first: int, second: int) -> None:
        """Put in what the compared prompts were completed with after two cycles."""
        run_id = self._run_id
        if run_id is not None:
            self._add(lambda: (pairs_of_cycles(self._store, run_id, first, second), (), ""))

    def add_siblings(self, cycle: int) -> None:
        """Put in what a cycle wrote to the same prompt."""
        run_id = self._run_id
        if run_id is not None:
            self._add(lambda: (pairs_of_siblings(self._store, run_id, cycle), (), ""))

    def add_file(self, path: Path) -> None:
        """Put in what a file holds."""
        def read() -> Found:
            found = read_judged(path)
            return found.found, found.thumbs, _said(path, found)
        self._add(read)

    def add_fresh(self) -> None:
        """Have the policy in memory complete prompts twice, and put that in."""
        prompts = [p for p in self._prompts() if p.enabled]
        if self.why_not_fresh() or not prompts:
            return
        chance = random.SystemRandom()
        chosen = chance.sample(prompts, min(_MOST, len(prompts)))
        self._number -= 1  # those of Try count upwards
        settings = dict(self._decoding()) | {"seed": chance.randrange(2**31)}
        self._asked = Try(
            self._number, tuple(p.text for p in chosen for _ in range(2)), (TrySource("current"),),
            known=tuple(map(PromptItem.of, chosen)), **settings)  # type: ignore[arg-type]
        self.changed.emit()
        self.command.emit(self._asked)

    def stop(self) -> None:
        """Give up what the policy writes, or the scoring."""
        if self._asked is not None or self._scoring:
            self.command.emit(StopTrying(self._asked.id if self._asked is not None else 0))

    def why_not_score(self) -> str:
        """Return why the reward in memory cannot score pairs now; "" where it can."""
        if self.writing or self._scoring:
            return "The models in memory are busy."
        return "" if self._state in allowed(ScorePairs) else WHEN[ScorePairs][1]

    def score(self, set_id: int) -> None:
        """Have the reward in memory score the pairs of a set that it has not scored."""
        self._number -= 1
        self._scoring, self._scored = self._number, set_id
        self.changed.emit()
        self.command.emit(ScorePairs(self._number, set_id))

    def scored(self, event: ev.PairsScored | ev.ScoringPairsFailed) -> None:
        """Take note of what came of scoring."""
        if event.id != self._scoring:
            return
        self._scoring = 0
        if isinstance(event, ev.PairsScored):
            self.message.emit("info", f"{counted(event.count, 'pair')} scored by the reward in "
                              "memory." if event.count else "It has scored these pairs already.")
        elif event.sentence:
            self.message.emit("warning", event.sentence)
        self.added.emit(self._scored)
        self.changed.emit()

    def handle(self, event: TryEvent) -> None:
        """Take what the policy wrote."""
        asked = self._asked
        if asked is None or event.id != asked.id:
            return
        match event:
            case ev.TryStarted():
                self._label = event.labels[0]
            case ev.TryScored():
                pairs = _pairs_of(asked, event, self._label)
                self._add(lambda: (pairs, (), ""))
            case ev.TryFailed():
                self.message.emit("warning", event.sentence)
            case ev.TryFinished():
                self._asked = None
                self.changed.emit()

    def refused(self) -> None:
        """What was asked for was not begun."""
        self._asked, self._scoring = None, 0
        self.changed.emit()

    def _add(self, read: Callable[[], Found]) -> None:
        """Read pairs and put them into the set, both in the background."""
        name = self._set_name() or FIRST_SET
        judgements = self._store.judgements

        def work() -> tuple[int, Added, str] | PromptFileError:
            try:
                pairs, thumbs, said = read()
            except PromptFileError as error:
                return error
            set_id = judgements.make_set(name).result()
            return set_id, judgements.add(set_id, pairs, thumbs).result(), said
        self._reading += 1
        self.changed.emit()
        self._background.run(work, self._put_in)

    def _put_in(self, found: tuple[int, Added, str] | PromptFileError) -> None:
        self._reading -= 1
        if isinstance(found, PromptFileError):
            self.message.emit("error", str(found))
        else:
            set_id, added, said = found
            nothing = not (added.pairs or added.known or added.equal or added.thumbs)
            sentence = "There are no two completions of the same prompt." if nothing else (
                added.summary)
            self.message.emit("info" if added.pairs or added.thumbs else "warning",
                              f"{sentence} {said}".rstrip())
            self.added.emit(set_id)
        self.changed.emit()


def _said(path: Path, found: JudgedFile) -> str:
    more = f" The first: {found.problems[0]}" if found.problems else ""
    return f"{path.name}: {found.summary}{more}"


def _pairs_of(asked: Try, scored: ev.TryScored, label: str) -> list[PairToJudge]:
    known = {item.text: item for item in asked.known}
    origin = Origin(writer=label)
    sides = [Side(c.text, c.ended, c.score, origin) for c in scored.completions]
    return [PairToJudge(text, first, second, known[text].messages, bool(known[text].messages))
            for text, first, second in zip(
                asked.prompts[::2], sides[::2], sides[1::2], strict=True)]
