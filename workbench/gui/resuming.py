"""Going on with a run of the store: from where, with how many cycles, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from workbench.gui.dialogs import ask_for_cycles
from workbench.training.commands import Command, LoadModels, ResumeRun
from workbench.training.events import State

if TYPE_CHECKING:
    from workbench.gui.main_window import MainWindow
    from workbench.store.records import RunRecord
    from workbench.store.store import Store


def planned_cycles(store: Store, run: RunRecord) -> int:
    """Return how many cycles a run was to have, with the changes made while it ran."""
    wanted = run.hyperparameters.get("num_cycles", 0)
    for change in store.changes(run.id):
        if change.name == "num_cycles":
            wanted = change.new
    return int(wanted) if isinstance(wanted, int | float) else 0


class Resuming(QObject):
    """Sends ResumeRun, after the question for more cycles where there are none left, and after
    models that are being loaded."""

    def __init__(self, window: MainWindow, store: Store,
                 send: Callable[[Command], None]) -> None:
        super().__init__(window)
        self._window, self._store, self._send = window, store, send
        self._loading = False
        self._waiting: ResumeRun | None = None

    def resume(self, run_id: int) -> None:
        """Go on with a run."""
        run = self._store.run(run_id)
        if run is None:
            return
        checkpoints = self._store.checkpoints.all(run.id)
        done = checkpoints[-1].cycle if checkpoints else 0
        if done and done >= planned_cycles(self._store, run):
            ask_for_cycles(
                self._window, run.name, done,
                lambda cycles: self._go_on(run, ResumeRun(run.id, None, {"num_cycles": cycles})))
        else:
            self._go_on(run, ResumeRun(run.id))

    def offer(self, run: RunRecord | None) -> None:
        """Offer to go on with a run that did not come to its end."""
        if run is None or run.status not in ("interrupted", "stopped"):
            return
        planned = planned_cycles(self._store, run)
        gone = ": the process that trained it is gone" if run.status == "interrupted" else ""
        if run.cycles < planned:
            self._window.toast.show_offer(
                f"{run.name} was {run.status} after cycle {run.cycles} of {planned}{gone}.",
                "Resume",
                "Go on with this run from its last checkpoint", lambda: self.resume(run.id))

    def sent(self, command: Command) -> None:
        """Take note of a command: a run cannot go on while models are being loaded."""
        if isinstance(command, LoadModels):
            self._loading = True

    def state_changed(self, state: State) -> None:
        """Send what waited for the models."""
        self._loading = state is State.LOADING
        if not self._loading and self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._send(waiting)

    def _go_on(self, run: RunRecord, command: ResumeRun) -> None:
        if self._loading:
            self._waiting = command
            self._window.toast.show_message(
                "info", f"{run.name} goes on when the models are loaded.")
        else:
            self._send(command)
