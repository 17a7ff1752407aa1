"""A run that another process trains, seen from here: commands in, events out, as a session."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from workbench.algorithms import read_settings
from workbench.store.home import StoreError
from workbench.training import wire
from workbench.training.commands import Command
from workbench.training.events import (
    CommandRefused,
    ComparisonReady,
    CycleFinished,
    Event,
    HyperparametersApplied,
    HyperparametersStaged,
    Progress,
    RunFinished,
    RunFollowed,
    State,
    StateChanged,
)

if TYPE_CHECKING:
    from workbench.store.store import Store

POLL_SECONDS = 0.25  # seconds
_POLLS_PER_CHECK = 2  # polls between two looks whether the other process lives


class RemoteSession:
    """Follows one run through the store, on a thread of its own, until the run ends or
    :meth:`leave`. The first event is RunFollowed, the last RunFinished; when the other process is
    gone, its outcome is ``interrupted``."""

    def __init__(self, store: Store, run_id: int, listener: Callable[[Event], None]) -> None:
        """Start to follow.

        Args:
            listener: called on the follower's thread with every event; must return at once.
        """
        self._store, self._run_id, self._emit = store, run_id, listener
        self._pending: dict[int, str] = {}
        self._told = self._cycle = self._num_cycles = 0
        self._progress: Progress | None = None
        self._over = False
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)
        self._thread.start()

    def send(self, command: Command) -> None:
        """Ask the other process for something; the answer comes as events. Returns at once."""
        name, arguments = wire.dump(command)

        def posted(future: Future[int]) -> None:
            error = future.exception()
            if error is None:
                self._pending[future.result()] = name
            else:
                self._emit(CommandRefused(name, str(error)))
        self._store.steering.post(self._run_id, name, arguments).add_done_callback(posted)

    def leave(self) -> None:
        """Follow no longer. The run goes on."""
        self._leaving.set()

    def close(self) -> None:
        """Leave, and wait until the thread has ended."""
        self._leaving.set()
        self._thread.join()

    # -- on the thread

    def _follow(self) -> None:
        store, version, absent, polls = self._store, -1, 0, 0
        try:
            self._begin()
            while not (self._over or self._leaving.wait(POLL_SECONDS)):
                now = store.steering.version()
                if now != version:
                    version = now
                    self._look()
                self._read_answers()
                polls += 1
                if not self._over and polls % _POLLS_PER_CHECK == 0:
                    # Twice: a run that ends is let go of a moment before that is told.
                    absent = 0 if store.run_locks.is_alive(self._run_id) else absent + 1
                    if absent == 2:
                        self._owner_gone()
        except (StoreError, sqlite3.Error, ValueError) as error:
            self._emit(CommandRefused("Watch", f"The run cannot be watched any more ({error})."))
            self._end("interrupted")
        finally:
            store.leave()

    def _begin(self) -> None:
        """Say where the run stands."""
        events = self._load(self._store.steering.events(self._run_id, 0))
        run = self._store.run(self._run_id)
        if run is None:
            self._end("stopped")
            return
        try:
            used = read_settings(run.algorithm, self._store.settings_planned(run.id))
        except KeyError:
            raise ValueError(
                f"this version does not know its algorithm {run.algorithm!r}") from None
        self._cycle, self._num_cycles = run.cycles, used.num_cycles
        self._emit(RunFollowed(
            run.id, run.name, run.cycles, run.algorithm, used.model_dump(), run.owner))
        states = [e for e in events if isinstance(e, StateChanged)]
        by_status = StateChanged(State.PAUSED if run.status == "paused" else State.RUNNING)
        self._emit(states[-1] if states else by_status)
        begun = max((e.cycle for e in events if isinstance(e, HyperparametersApplied)),
                   default=run.cycles)
        for event in events:
            if isinstance(event, HyperparametersStaged) and event.takes_effect_at > begun:
                self._emit(event)
        self._show_progress(events)

    def _look(self) -> None:
        """Say what is new."""
        events = self._load(self._store.steering.events(self._run_id, self._told))
        self._show_cycles()
        for event in events:
            if isinstance(event, HyperparametersApplied):
                self._num_cycles = int(event.hyperparameters["num_cycles"])
            if isinstance(event, RunFinished):
                self._over = True
            if not isinstance(event, Progress):
                self._emit(event)
        self._show_progress(events)

    def _load(self, rows: list[tuple[int, str, str]]) -> list[Event]:
        self._told = max((number for number, _, _ in rows), default=0) or self._told
        return [wire.load(name, event) for _, name, event in rows]

    def _show_cycles(self) -> None:
        for cycle, metrics in self._store.cycle_metrics(self._run_id, self._cycle).items():
            self._cycle = cycle
            self._emit(ComparisonReady(self._run_id, cycle))
            self._emit(CycleFinished(self._run_id, cycle, self._num_cycles, metrics))

    def _show_progress(self, events: list[Event]) -> None:
        last = events[-1] if events else None
        if (isinstance(last, Progress) and last != self._progress and not self._over
                and (last.cycle > self._cycle or self._cycle == 0)):
            self._progress = last
            self._emit(last)

    def _read_answers(self) -> None:
        if not self._pending:
            return
        for answered in self._store.steering.commands(self._run_id):
            known = answered.outcome is not None and self._pending.pop(answered.id, "")
            if known and answered.outcome == "refused":
                self._emit(CommandRefused(answered.name, answered.sentence, answered.problems))

    def _owner_gone(self) -> None:
        """The process that trained the run is gone."""
        self._store.mark_interrupted().result()
        self._look()
        if not self._over:
            if self._pending:
                self._store.steering.refuse_waiting(
                    self._run_id, "The process that trained the run is gone.").result()
                self._read_answers()
            run = self._store.run(self._run_id)
            self._end(run.status if run is not None else "stopped")

    def _end(self, outcome: str) -> None:
        self._over = True
        self._emit(RunFinished(self._run_id, outcome, self._cycle))
