"""``ppo-workbench train``, ``resume``, ``fork``: the window's engine, without the window."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import pickle
import queue
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from workbench import processes
from workbench.algorithm import Algorithm, Figure
from workbench.algorithms import (
    algorithm_named,
)
from workbench.consent import agreed
from workbench.crash_log import keep_crashes
from workbench.ending_signals import HANGUP, ending_signals
from workbench.exit_status import FAILED, INTERRUPTED, UNUSABLE, UNWELL
from workbench.formatting import count_cycles, size
from workbench.launch import launch, note_first, note_run
from workbench.options import (
    Named,
    UsageError,
    algorithm_named_by,
    data_of,
    load_command,
    name_of,
    prompts_of,
    reward_of,
    settings_of,
)
from workbench.records import RunData
from workbench.run_lines import (
    begun_in_words,
    best_of_lines,
    cycle_line,
    json_line,
    tell_health,
    way_on,
)
from workbench.settings import MOST_PROCESSES, HyperparameterError
from workbench.store.home import StoreError, find_home
from workbench.store.prompt_readers import PromptFileError
from workbench.store.store import Store
from workbench.terminal import say, tell
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.pair_data import DataError, pairs_from_run, pairs_of_judgements
from workbench.training.reward_parts import PartError
from workbench.training.scored_data import scored_of_judgements
from workbench.training.session import Session

RETRY = 10
"""Seconds between two tries to write what a full disk did not take."""
_MOST_THREADS = 256
"""For torch: a system that gives it no more of them lets it fail somewhere in the middle."""


def train(options: argparse.Namespace) -> int:
    """Train as the command line says and return the exit status.

    0: finished; 1: the run failed; 2: the request cannot be carried out;
    3: stopped for a rule of the health check that it was told to pause for; 130: interrupted, by
    Ctrl+C, SIGTERM or SIGHUP.
    """
    try:
        algorithm = algorithm_named_by(options.algorithm)
        hp = algorithm.settings.parse(settings_of(options))
        if hp.processes > 1 and processes.started() == 1:
            return launch(options.words, hp.processes)
        hp = hp.with_changes({"processes": processes.started()})
        start = do.Start(hp, prompts_of(options.prompts), name_of(options))
        load = load_command(options)
        data = data_of(options, algorithm)
        with opened(options) as engine:
            data = _made(engine.store, data, options, algorithm)
            return engine.run(load, replace(start, data=data))
    except (HyperparameterError, DataError, PartError, PromptFileError, StoreError,
            UsageError) as error:
        return unusable(error)


def resume(options: argparse.Namespace) -> int:
    """Go on with a run of the store; the exit status is that of :func:`train`."""
    try:
        changes: dict[str, Any] = settings_of(options)
        if (number := _processes_of(options, changes)) and processes.started() == 1:
            return launch(options.words, number)
    except (StoreError, UsageError) as error:
        return unusable(error)
    if options.cycle is not None:
        return _run(options, do.GoBack(options.run, options.cycle, changes))
    return _run(options, do.ResumeRun(options.run, changes=changes))


_SAME_DATA = (
    "--data goes with another --algorithm: a fork that learns as before learns from the same.")


def fork(options: argparse.Namespace) -> int:
    """Begin a run where another stood; the exit status is that of :func:`train`."""
    try:
        changes: dict[str, Any] = settings_of(options)
        reward = reward_of(options) if options.reward else None
        if options.gold and reward is None:
            raise UsageError("--gold goes with --reward: a fork without it keeps the reward that "
                             "it has.")
        if (number := _processes_of(options, changes)) and processes.started() == 1:
            return launch(options.words, number)
    except (PartError, StoreError, UsageError) as error:
        return unusable(error)
    if options.algorithm is None:
        if options.data is not None:
            return unusable(UsageError(_SAME_DATA))
        return _run(options, do.Fork(
            options.run, options.cycle, changes, name_of(options), reward=reward))
    try:
        algorithm = algorithm_named_by(options.algorithm)
        data = data_of(options, algorithm)
        with opened(options) as engine:
            parent = engine.store.run(options.run)
            if options.data is not None and parent and parent.algorithm == algorithm.name:
                raise UsageError(_SAME_DATA)
            return engine.run(do.Fork(
                options.run, options.cycle, changes, name_of(options), algorithm=algorithm.name,
                data=_made(engine.store, data, options, algorithm), reward=reward))
    except (DataError, PromptFileError, StoreError, UsageError) as error:
        return unusable(error)


def hand_over(options: argparse.Namespace) -> int:
    """Do in several processes what is read from standard input, and say which run it became, or how
    far sampling is; the exit status is that of :func:`train`. What asks for it is the window, or
    another client."""
    if processes.started() == 1:
        return launch(options.words, int(options.processes))
    load, command = pickle.load(sys.stdin.buffer)
    options.threads, options.json, options.announce = None, True, True
    options.trust_reward_file = options.trust_reward_server = False
    if isinstance(command, do.SampleBestOf):
        return _run(options, command)
    number = {"processes": processes.started()}
    if isinstance(command, do.Start):
        return _run(options, load, replace(
            command, hyperparameters=command.hyperparameters.with_changes(number)))
    return _run(options, replace(command, changes={**command.changes, **number}))


def _processes_of(options: argparse.Namespace, changes: dict[str, Any]) -> int:
    """Return by how many processes a run that goes on wants to be computed; 0: by this one alone,
    or what is asked for cannot be. Note in ``changes`` by how many it is, where that is new.

    Raises:
        StoreError: the home cannot be used.
    """
    store = Store(find_home(options.home))
    try:
        there = store.run(options.run) is not None
        planned = store.settings_planned(options.run) if there else {}
    finally:
        store.close()
    before = int(planned.get("processes", 1))
    try:
        wanted = int(changes.get("processes", before))
    except ValueError:  # it is told what is wrong with that where settings are read
        return 0
    if processes.started() > 1:
        wanted = processes.started()
    if wanted != before or "processes" in changes:
        changes["processes"] = wanted
    return wanted if 1 < wanted <= MOST_PROCESSES else 0


def export(options: argparse.Namespace) -> int:
    """Write what a run trains as a plain folder."""
    options.threads, options.json = None, False
    folder = str(Path(options.folder).expanduser().resolve())
    return _run(options, do.ExportRun(options.run, folder, options.cycle))


def best_of_n(options: argparse.Namespace) -> int:
    """Print what the best of n completions of a run's policy are worth."""
    try:
        prompts = prompts_of(options.prompts) if options.prompts else ()
        if options.prompts and not prompts:
            raise UsageError(f"There is no prompt to complete in {options.prompts}.")
        asked = options.processes
        if asked is not None and not 1 <= asked <= MOST_PROCESSES:
            raise UsageError(f"--processes must be between 1 and {MOST_PROCESSES}, not {asked}.")
        number = _processes_of(options, {} if asked is None else {"processes": asked})
        if number and processes.started() == 1:
            return launch(options.words, number)
    except (PromptFileError, StoreError, UsageError) as error:
        return unusable(error)
    return _run(options, do.SampleBestOf(
        1, options.run, options.cycle, options.n, prompts, options.most, options.sampling_seed))


def _run(options: argparse.Namespace, first: do.Command, start: do.Start | None = None) -> int:
    try:
        with opened(options) as engine:
            return engine.run(first, start)
    except (StoreError, UsageError) as error:
        return unusable(error)


@dataclass
class Engine:
    """A session that the terminal follows."""

    store: Store
    session: Session
    events: queue.SimpleQueue[ev.Event]
    options: argparse.Namespace
    interrupted: Callable[[], bool]
    """Whether the person, or the machine, has asked to end."""

    def run(self, first: do.Command, start: do.Start | None = None,
            enough: Callable[[ev.CycleFinished], bool] = lambda finished: False) -> int:
        """Send ``first``, then ``start`` once models are loaded, print what happens until the run
        ends, and return the exit status. The run is stopped after a cycle that is ``enough``."""
        self.session.send(first)
        return _follow(
            self.session, self.events, start, self.interrupted,
            _quiet if self.options.json else say,
            lambda untrusted: agreed(self.store, untrusted, self.options),
            partial(way_on, self.store), enough, partial(note_run, self.store.home),
            getattr(self.options, "announce", False))


@contextlib.contextmanager
def opened(options: argparse.Namespace) -> Iterator[Engine]:
    """Give the engine of a home for as long as the context lasts.

    Raises:
        StoreError: the home cannot be used.
        UsageError: ``--threads`` is no number of threads.
    """
    most = max(_MOST_THREADS, os.cpu_count() or 1)
    if options.threads is not None and not 1 <= options.threads <= most:
        raise UsageError(f"--threads must be between 1 and {most}, not {options.threads}.")
    store = Store(find_home(options.home))
    _show_printed()
    note_first()
    events: queue.SimpleQueue[ev.Event] = queue.SimpleQueue()
    session = Session(store, events.put, threads=options.threads)
    with keep_crashes(store.home), _stop_on_signals(session) as interrupted:
        try:
            yield Engine(store, session, events, options, interrupted)
        finally:
            session.close()
            store.close()


def unusable(error: Exception) -> int:
    """Say why a request cannot be carried out and return the exit status for that."""
    tell(str(error))
    return UNUSABLE


def _made(
    store: Store, data: Named, options: argparse.Namespace, algorithm: Algorithm,
) -> RunData | tuple[int, ...] | None:
    """Return ``data`` with what the store has of it, and say what it is. Only the models in memory
    tell whether other runs had the same."""
    pairs = algorithm.learns_from == "pairs"
    if isinstance(data, str):
        data = (pairs_of_judgements if pairs else scored_of_judgements)(store, data)
    if isinstance(data, tuple) and pairs:
        data = pairs_from_run(store, data[0], least=options.least_difference)
    if isinstance(data, RunData):
        tell(f"{data.what}: {data.summary}")
    return data


def _show_printed() -> None:
    """Let what a reward's Python file prints be seen, beside the lines of the run."""
    log = logging.getLogger("workbench.reward")
    log.setLevel(logging.INFO)
    if not logging.getLogger("workbench").handlers:  # --log-level shows it already
        log.handlers = [logging.StreamHandler(sys.stderr)]


def _follow(
    session: Session, events: queue.SimpleQueue[ev.Event], start: do.Start | None,
    interrupted: Callable[[], bool], more: Callable[[str], None],
    agreed: Callable[[ev.Untrusted], bool], way_on: Callable[[int, str], str],
    enough: Callable[[ev.CycleFinished], bool], begun: Callable[[int], None],
    announce: bool = False,
) -> int:
    """Send ``start`` once models are loaded; print what happens until the run ends."""
    as_json = more is _quiet
    said: frozenset[str] = frozenset()
    stopped, settings = INTERRUPTED, ""
    held, told, unloaded = False, "", False
    figures: tuple[Figure, ...] = ()
    algorithm = ""
    event: ev.Event | None = None
    while True:
        if isinstance(event, ev.RunStarted | ev.RunResumed):
            begun(event.run_id)
            if announce:
                say(json.dumps({"run": event.run_id}))
        try:
            event = events.get(timeout=RETRY if held else None)
        except queue.Empty:
            session.send(do.Resume())
            continue
        match event:
            case ev.LoadingFailed(untrusted=file, again=again) if file and again and not unloaded:
                if not agreed(file):
                    return UNUSABLE
                session.send(again)
            case ev.LoadingFailed(sentence=sentence, labels=labels):
                hint = " Say which with --reward-label N, from 0." if labels else ""
                tell(f"{sentence}{hint}")
                unloaded = True  # there may be more to tell
            case ev.StateChanged(state=state) if unloaded and state is not ev.State.LOADING:
                return UNUSABLE
            case ev.ModelsLoaded(policy=policy, reward=reward):
                more(f"Policy: {policy.name} ({policy.parameters / 1e6:.1f} M parameters), reward: "
                     f"{reward.name}, on {policy.device} in {policy.dtype}.")
                if not interrupted():
                    for note in (*policy.notes, *reward.notes):
                        tell(note)
                    if start is not None:
                        session.send(start)
            case ev.MemoryEstimated() as memory:
                each = f" for each of {memory.processes} processes" if (
                    memory.processes > 1) else ""
                more(f"Memory: about {size(memory.needed)} of {size(memory.available)} free"
                     f"{each}.")
                if memory.advice:
                    tell(memory.advice)
            case ev.CommandRefused(command="Resume"):
                pass  # somebody else was quicker to try again
            case ev.CommandRefused(command="Stop"):
                tell("Stopped before a run had begun.")
                return stopped
            case ev.CommandRefused(sentence=sentence, instead=instead):
                hint = f" Use it with --cycle {instead.cycle}." if instead else ""
                tell(f"{sentence}{hint}")
                return UNUSABLE
            case ev.RunStarted(name=name, algorithm=algorithm, hyperparameters=hp, note=note):
                figures = algorithm_named(algorithm, hp).figures
                if note:
                    tell(note)
                more(f"{name}: {count_cycles(int(hp['num_cycles']))} of "
                     f"{algorithm_named(algorithm, hp).batch(hp)}.")
            case ev.RunResumed() as resumed:
                algorithm = resumed.algorithm
                figures = algorithm_named(algorithm, resumed.hyperparameters).figures
                more(begun_in_words(resumed))
            case ev.HyperparametersApplied(hyperparameters=hp):  # a fork may be another kind
                figures = algorithm_named(algorithm, hp).figures
            case ev.StateChanged(state=ev.State.PAUSED, note=note, held=True):
                if note != told:
                    tell(f"{note} It is tried again every {RETRY} seconds; Ctrl+C stops the run.")
                held, told = True, note
            case ev.StateChanged(state=ev.State.RUNNING, note=note):
                held = False
                if note:
                    more(note)
            case ev.StateChanged(state=ev.State.PAUSED, note=note) if stopped != UNWELL:
                more(f"Paused {note.lower()}, as the window asked; it goes on from there. "
                     "Ctrl+C stops it.")
            case ev.Prepared(sentence=sentence, kept=kept):
                more(f"{sentence} Kept from an earlier run." if kept else sentence)
            case ev.CycleFinished() as finished:
                told = ""
                say(json_line(finished) if as_json else cycle_line(finished, figures))
                if enough(finished):
                    stopped = 0
                    session.send(do.Stop())
            case ev.HealthChecked() as checked:
                said = tell_health(checked, said)
                if checked.pauses_for:
                    stopped = UNWELL
                    session.send(do.Stop())
            case ev.RewardModelMade(folder=folder, note=note):
                if folder:
                    more(f"The reward model is in {folder}; learn from it with --reward {folder}")
                if note:
                    tell(note)
            case ev.Exported(cycle=cycle, folder=folder, note=note, what=what):
                more(f"The {what} after cycle {cycle} is in {folder}.")
                if note:
                    tell(note)
                return 0
            case ev.SamplingBestOf(done=done, total=total) if announce:
                say(json.dumps({"done": done, "total": total}))
            case ev.BestOfSampled(found=found) if announce:
                say(json.dumps({"sampled": found.cycle}))
                return 0
            case ev.BestOfSampled(found=found):
                more(f"{found.writer}: the best of n completions of each of {found.prompts:,} "
                     "prompts, and how far they are at most from the start policy.")
                for line in best_of_lines(found, as_json):
                    say(line)
                return 0
            case ev.SamplingBestOfFailed(sentence=sentence) if sentence:
                tell(sentence)
                return UNUSABLE
            case ev.CheckpointFailed(sentence=sentence):
                tell(sentence)
            case ev.RunFailed(sentence=sentence, retry=retry):
                tell(sentence)
                settings = "".join(f" --set {k}={v}" for k, v in retry.items())
            case ev.RunFinished(run_id=run_id, outcome=outcome, cycles=cycles, lost=lost):
                more(f"{outcome.capitalize()} after {count_cycles(cycles)}.")
                if lost:
                    tell(lost)
                if outcome != "finished" and stopped:
                    more(way_on(run_id, settings))
                return {"finished": 0, "failed": FAILED, "interrupted": FAILED}.get(
                    outcome, stopped)
            case ev.StateChanged(state=ev.State.FAILED):
                return FAILED


def _quiet(*_: object) -> None:
    """Say nothing: with ``--json`` only cycles go to standard output."""


@contextlib.contextmanager
def _stop_on_signals(session: Session) -> Iterator[Callable[[], bool]]:
    """Ctrl+C stops the run cleanly, a second one without waiting for its checkpoint; a third one
    ends the process at once. SIGTERM, by which a machine asks programs to end, does the same, and
    so does the first SIGHUP, of a terminal that is closed. Yields what tells whether one has come.
    """
    says = ["Stopping; press Ctrl+C again to end without a checkpoint.",
            "Ending; press Ctrl+C again to end at once."]
    presses = len(says)

    def stop(number: int, _: object) -> None:
        if number == HANGUP and len(says) < presses:
            return
        if number == signal.SIGTERM and processes.MEETING in os.environ:
            return  # another process has failed: it is found out which, and the run ends for that
        if not says:
            os._exit(INTERRUPTED)  # what waits for the training thread may wait for long
        sentence = says.pop(0)
        session.send(do.Stop())
        tell(sentence)

    before = {number: signal.signal(number, stop) for number in ending_signals()}
    try:
        yield lambda: len(says) < presses
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
