"""Going on with a run of the store: from where, with how many cycles, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from workbench.gui.dialogs import ask_for_cycles
from workbench.settings import HyperparameterError, Value
from workbench.training.commands import (
    Command,
    ExportRun,
    Fork,
    GoBack,
    LoadModels,
    Pause,
    ResumeRun,
)
from workbench.training.events import State

if TYPE_CHECKING:
    from workbench.gui.main_window import MainWindow
    from workbench.store.records import RunRecord
    from workbench.store.store import Store


def planned_cycles(store: Store, run: RunRecord) -> int:
    """Return how many cycles a run is to have."""
    return int(store.settings_planned(run.id).get("num_cycles", 0))


def lost_cycles(store: Store, run: RunRecord) -> str:
    """Return a sentence on the cycles which a resume from the last checkpoint runs again; nothing
    where there are none, or no checkpoint."""
    there = store.checkpoints.all(run.id)
    if not there or (done := there[-1].cycle) >= run.cycles:
        return ""
    again = (f"cycle {run.cycles}" if done + 1 == run.cycles
             else f"cycles {done + 1} to {run.cycles}")
    return f"Resume goes on after cycle {done}, its last checkpoint, and runs {again} again."


class Resuming(QObject):
    """Sends what goes on with a run of the store, after the question for more cycles where there
    are none left, after models that are being loaded, and for a fork or a way back after the cycle
    in hand of a run that is training."""

    def __init__(self, window: MainWindow, store: Store,
                 send: Callable[[Command], None]) -> None:
        super().__init__(window)
        self._window, self._store, self._send = window, store, send
        self._loading = False
        self._state = State.IDLE
        self._waiting: ResumeRun | Fork | GoBack | None = None
        self.live: int | None = None
        """The run that is alive here."""

    def resume(self, run_id: int, *, step: bool = False, into: bool = False) -> None:
        """Go on with a run; ``step`` for one cycle, ``into`` for one part of it."""
        run = self._store.run(run_id)
        if run is None:
            return
        checkpoints = self._store.checkpoints.all(run.id)
        done = checkpoints[-1].cycle if checkpoints else 0
        placed = self._placed(run)
        if done and done >= planned_cycles(self._store, run):
            ask_for_cycles(
                self._window, run.name, done,
                lambda cycles: self.go_on(
                    run.name, ResumeRun(
                        run.id, None, {"num_cycles": cycles, **placed}, step, into)))
        else:
            self.go_on(run.name, ResumeRun(run.id, None, placed, step, into))

    def _placed(self, run: RunRecord) -> dict[str, Value]:
        """Return where and by how many the run is to be computed now, as far as the settings on
        screen want that otherwise than it was."""
        planned = self._store.settings_planned(run.id)
        try:
            now = self._window.hyperparameters.hyperparameters()
        except HyperparameterError:  # of other settings, which this run does not ask
            return {}
        return {name: value for name, spec in now.specs().items() if spec.placement and (
            value := getattr(now, name)) != planned.get(name, spec.default)}

    def offer(self, run: RunRecord | None, why: str = "") -> None:
        """Offer to go on with a run that did not come to its end, saying ``why`` where that is not
        what the run notes."""
        if run is None or run.status not in ("interrupted", "stopped"):
            return
        planned = planned_cycles(self._store, run)
        gone = ": the process that trained it is gone" if (
            run.status == "interrupted" and not run.note) else ""
        there = self._store.checkpoints.all(run.id)
        lost = lost_cycles(self._store, run)
        begins = f" {lost}".rstrip() if there else (
            " It has no checkpoint: Resume begins it from the start.")
        if run.cycles < planned:
            why = why or (run.note if run.status == "interrupted" else "")
            self._window.toast.show_offer(
                f"{run.name} was {run.status} after cycle {run.cycles} of {planned}{gone}."
                f"{f' {why}' if why else ''}{begins}",
                "Resume", "Go on with this run from its last checkpoint" if there else
                "Begin this run again from the start", lambda: self.resume(run.id))

    def offer_instead(
        self, sentence: str, command: ResumeRun | GoBack | Fork | ExportRun
    ) -> None:
        """Offer what can be done in place of something that was refused."""
        where = f"cycle {command.cycle}" if command.cycle else "the beginning"
        verb = {ExportRun: "Export", Fork: "Fork"}.get(type(command), "Resume")
        self._window.toast.show_offer(
            sentence, f"{verb} from {where}", f"Use what is whole: {where}",
            lambda: self._send(command))

    def sent(self, command: Command) -> None:
        """Take note of a command: a run cannot go on while models are being loaded."""
        if isinstance(command, LoadModels):
            self._loading = True

    def state_changed(self, state: State) -> None:
        """Send what waited for the models, or for the cycle in hand."""
        self._state, self._loading = state, state is State.LOADING
        if self._waiting is not None and not self._loading and state not in (
            State.RUNNING, State.STOPPING
        ):
            waiting, self._waiting = self._waiting, None
            self._window.show_starting(True, of_store=True)
            self._send(waiting)

    def go_on(self, name: str, command: ResumeRun | Fork | GoBack) -> None:
        """Send ``command``, which goes on from the run called ``name``, as soon as it can be."""
        if self._loading:
            self._waiting = command
            self._window.toast.show_message(
                "info", f"{name} goes on when the models are loaded.")
        elif self._state is State.RUNNING:
            self._waiting = command
            self._send(Pause())
            self._window.toast.show_message(
                "info", f"{name} goes on from its checkpoint when the cycle in hand is complete.")
        else:
            self._window.show_starting(True, of_store=True)
            self._send(command)
