"""A run like another but for one setting, drawn over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from workbench.algorithms import find_algorithm
from workbench.gui.controllers.resuming import planned_cycles
from workbench.training.commands import Fork
from workbench.training.events import RunResumed

if TYPE_CHECKING:
    from workbench.gui.controllers.resuming import Resuming
    from workbench.gui.guide.results import Trial
    from workbench.gui.main_window import MainWindow
    from workbench.store.store import Store


class Experiments(QObject):
    """Begins what the guide's summary offers: a fork of a run's beginning with that one change.
    That the two are drawn over each other is what every fork does."""

    def __init__(self, window: MainWindow, store: Store, resuming: Resuming) -> None:
        super().__init__(window)
        self._window, self._store, self._resuming = window, store, resuming
        self._asked = ""
        self._runs: set[int] = set()
        window.guide.summary.trial_wanted.connect(self.begin)

    def begin(self, run_id: int, trial: Trial) -> None:
        """Fork a run where the experiment begins."""
        run = self._store.run(run_id)
        if run is None:
            return
        self.lend(run.name)
        self._resuming.go_on(run.name, Fork(
            run.id, trial.cycle, trial.changes, about=trial.short))

    def lend(self, parent: str) -> None:
        """Take note that the fork of a run which begins now has settings that nobody typed."""
        self._asked = parent

    def refused(self) -> None:
        """Take note that none begins."""
        self._asked = ""

    def resumed(self, event: RunResumed) -> None:
        """A run goes on: show its settings in the form, those of an experiment only until its end.
        Nobody has typed them there."""
        asked, self._asked = self._asked, ""
        if event.parent and event.parent == asked:
            self._runs.add(event.run_id)
        form, algorithm = self._window.hyperparameters, find_algorithm(event.algorithm)
        if event.run_id in self._runs:
            form.lend(event.hyperparameters, event.name, algorithm)
        else:
            # Another fork has the settings that were chosen in its dialog.
            form.run_resumed(event.hyperparameters, event.name, algorithm,
                             keep_edits=not event.parent)

    def more_cycles(self, fork: int) -> str:
        """Return a sentence on how many cycles a fork has, where it has others than its parent."""
        run = self._store.run(fork)
        parent = self._store.run(run.parent or 0) if run is not None else None
        if run is None or parent is None:
            return ""
        cycles, before = (planned_cycles(self._store, each) for each in (run, parent))
        until = " until it ends; the next Start has those from before" if fork in self._runs else ""
        return "" if cycles == before else (
            f" Cycles is {cycles} in place of {before}{until}.")
