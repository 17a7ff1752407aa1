"""A run like another but for one setting, drawn over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from workbench.training.commands import Fork

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
        self._store, self._resuming = store, resuming
        self._asked = ""
        window.guide.summary.trial_wanted.connect(self.begin)

    def begin(self, run_id: int, trial: Trial) -> None:
        """Fork a run's beginning."""
        run = self._store.run(run_id)
        if run is None:
            return
        self._asked = run.name
        self._resuming.go_on(run.name, Fork(
            run.id, 0, {trial.experiment.setting: trial.value},
            f"{run.name}: {trial.change}"))

    def has_begun(self, parent: str) -> bool:
        """Take note that a fork of the run called ``parent`` began, or that none will (""); return
        whether it is an experiment, whose settings nobody has typed into the form."""
        asked, self._asked = self._asked, ""
        return bool(parent) and asked == parent
