"""A run like another but for one setting, drawn over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from workbench.algorithms import find_algorithm
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
        self._asked = run.name
        self._resuming.go_on(run.name, Fork(
            run.id, trial.cycle, trial.changes, about=trial.short))

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
