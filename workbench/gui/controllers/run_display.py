"""The run on display: read in the background, then added to as it gets on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from workbench.algorithm import Algorithm
from workbench.algorithms import algorithm_of_run
from workbench.gui.background import Background
from workbench.gui.controllers.health import Health
from workbench.gui.controllers.resuming import Resuming
from workbench.gui.metrics.reading import read_series
from workbench.gui.run_view import why_no_cycle
from workbench.settings import Value
from workbench.store.records import ChangeRecord, HealthRecord, Series
from workbench.training.commands import Command, Unwatch, Watch
from workbench.training.events import CycleFinished, HyperparametersApplied

if TYPE_CHECKING:
    from workbench.gui.main_window import MainWindow
    from workbench.store.store import Store


class RunDisplay(QObject):
    """Which run the views show, and which is alive: here, or watched in another process.
    ``changed`` tells that this was said anew."""

    changed = Signal()

    def __init__(self, window: MainWindow, store: Store, background: Background, health: Health,
                 resuming: Resuming, send: Callable[[Command], None]) -> None:
        super().__init__(window)
        self._window, self._store, self._background = window, store, background
        self._health, self._resuming, self._send = health, resuming, send
        self.shown: int | None = None
        """The run on display."""
        self.watched: int | None = None
        """The run that another process trains and this window follows."""
        self._reading = False
        self._late: list[CycleFinished | HyperparametersApplied] = []
        self._read = (0, frozenset[int]())

    def begin(
        self, run_id: int, algorithm: Algorithm, settings: Mapping[str, Value]
    ) -> None:
        """Put a new run on display, of which there is nothing to read."""
        self._resuming.live = self.shown = run_id
        self.watched, self._read = None, (0, frozenset())
        self._reading = False
        self._window.metrics.show_run(run_id, {}, [], algorithm)
        self._window.strip.show_run(run_id, algorithm, settings)
        self._health.begin(run_id)
        self._window.hyperparameters.show_history([])
        self._window.completions.show_run(run_id)
        self._tell_views(run_id)
        self.say_what_shows()

    def show_run(self, run_id: int | None) -> None:
        """Put a run on display; its numbers are read in the background."""
        self.shown, self._late, self._reading = run_id, [], run_id is not None
        self._watch(run_id)
        self._window.completions.show_run(run_id)
        self._tell_views(run_id)
        self._health.begin(run_id)
        if run_id is None:
            self._display(None, ({}, [], []))
        else:
            self._background.run(
                lambda: (read_series(self._store, run_id), self._store.changes(run_id),
                         self._store.health(run_id)),
                partial(self._display, run_id))
        self.say_what_shows()

    def _tell_views(self, run_id: int | None) -> None:
        window = self._window
        for view in (*window.run_views, window.paths, window.chances):
            view.show_run(run_id)

    def show_live(self) -> None:
        """Put the run on display that is alive."""
        if self._resuming.live is not None:
            self.show_run(self._resuming.live)

    def deleted(self, run_id: int) -> None:
        """Put another run on display when this one is no more."""
        if run_id == self.shown:
            newest = self._window.runs.newest
            self.show_run(newest.id if newest else None)

    def add(self, event: CycleFinished | HyperparametersApplied) -> None:
        """Add to the display, or keep it until the run's earlier numbers have been read."""
        read, marked = self._read
        known = (event.cycle <= read if isinstance(event, CycleFinished)
                 else event.cycle in marked)
        if event.run_id != self.shown:
            if isinstance(event, CycleFinished):  # it may be drawn over the run on display
                self._window.metrics.append(event.run_id, event.cycle, event.metrics)
            return
        if known and not self._reading:
            return
        if self._reading:
            self._late.append(event)
        elif isinstance(event, CycleFinished):
            self._window.metrics.append(event.run_id, event.cycle, event.metrics)
        else:
            self._window.metrics.mark_changes(event.run_id, event.cycle, event.changes)
            self._window.hyperparameters.add_history(event.cycle, event.changes)

    def _display(self, run_id: int | None,
                 found: tuple[Mapping[str, Series], Sequence[ChangeRecord],
                              Sequence[HealthRecord]]) -> None:
        if run_id != self.shown:
            return
        series, changes, health = found
        self._reading = False
        run = None if run_id is None else self._store.run(run_id)
        self._window.metrics.show_run(
            run_id, series, changes, algorithm_of_run(run) if run else None)
        self._window.hyperparameters.show_history(changes)
        if run is None:
            self._window.strip.show_run(None)
        else:
            self._window.strip.show_run(
                run.id, algorithm_of_run(run), self._store.settings_planned(run.id),
                run.cycles, {name: s.values[-1] for name, s in series.items()
                             if s.cycles and s.cycles[-1] == run.cycles > 0})
        read = max((s.cycles[-1] for s in series.values() if s.cycles), default=0)
        if run_id is not None:
            self._health.read(run_id, read, health)
        # What is told of these again, late or by a run that is watched, adds nothing.
        self._read = read, frozenset(change.cycle for change in changes)
        late, self._late = self._late, []
        for event in late:
            self.add(event)

    def say_what_shows(self) -> None:
        """Say everywhere which run is on display, and whether it is the live one."""
        window = self._window
        live = self._resuming.live
        other = live is not None and live != self.shown
        alive = live is not None and not other
        window.metrics.set_alive(
            alive, "" if alive or self.shown is None else why_no_cycle(self._store, self.shown))
        window.completions.set_alive(alive)
        for view in window.run_views:
            view.set_alive(alive)
        window.runs.set_shown(self.shown, other)
        window.trying.show_run(live or self.shown)
        window.actions_.allow(
            "show_live", other, "No run is alive that is not on display already.")
        run = self._store.run(self.shown) if self.shown is not None else None
        window.show_name(run.name if run else "")
        about = self._store.run(live) if live is not None else run
        window.prompts_of_run.show_run(
            about.id if about else None, about.name if about else "",
            self._store.run_prompts, live is not None)
        window.setWindowTitle(f"{run.name} – PPO Workbench" if run else "PPO Workbench")
        self.changed.emit()

    def _watch(self, run_id: int | None) -> None:
        """Follow a run that another process trains, while it is on display."""
        run = self._store.run(run_id) if run_id is not None else None
        if run is not None and self._store.is_elsewhere(run):
            if run.id != self.watched:
                self._send(Watch(run.id))
        elif self.watched is not None:
            self.leave()

    def leave(self) -> None:
        """Watch no longer; the run goes on and stays on display as it stood."""
        self.watched = self._resuming.live = None
        self._send(Unwatch())
