"""Several ways to learn, one run after the other, without anybody starting each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from workbench.gui.comparing_dialog import ComparingDialog
from workbench.records import DataByKind
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.comparing import (
    Plan,
    Progress,
    begun_with,
    data_for_next,
    progress,
    used,
    ways,
)
from workbench.training.events import State
from workbench.training.states import ALIVE

if TYPE_CHECKING:
    from workbench.gui.controllers.resuming import Resuming
    from workbench.gui.controllers.run_control import RunControl
    from workbench.gui.main_window import MainWindow
    from workbench.store.store import Store

_UNFINISHED = 3  # comparisons that are offered to go on


class Comparing(QObject):
    """Asks what is to be compared and begins the next run of it when one has ended. A run that the
    person stops, or that fails, holds the comparison; the dialog offers to go on with it."""

    def __init__(self, window: MainWindow, store: Store, resuming: Resuming,
                 run_control: RunControl, send: Callable[[do.Command], None]) -> None:
        super().__init__(window)
        self._window, self._store, self._resuming, self._send = window, store, resuming, send
        self._run_control = run_control
        self._sweep: int | None = None
        self._prompts: tuple[do.PromptItem, ...] = ()
        self._data: DataByKind = {}
        self._enough = self._next = False
        window.actions_.on("compare_algorithms", self.ask)

    # -- what the person asks for

    def ask(self) -> None:
        """Ask what is to be compared."""
        window, start = self._window, self._run_control.on_screen()
        if start is None:
            return
        if not window.models.is_loaded() or window.models.reward.files_changed():
            window.reveal("models")
            window.toast.show_message(
                "info", "Load the models first: what is compared is trained with those in memory.")
            return
        settings = window.hyperparameters
        ComparingDialog(ways(), start.hyperparameters, self._unfinished(),
                        lambda plan: self._begin(plan, start), self.go_on, window,
                        own=settings.own_settings(), data=settings.data_line.told_ahead,
                        there=settings.data_line.is_there).open()

    def _begin(self, plan: Plan, start: do.Start) -> None:
        self._prompts = start.prompts
        needed = {run.learns_from for run in plan.runs}
        choices = self._window.hyperparameters.data_line.choices
        self._data = {kind: chosen for kind, chosen in choices.items() if kind in needed}
        self._sweep = self._store.create_sweep(plan.name, plan.as_json(), self._data).result()
        self._train_next()

    def go_on(self, sweep: int) -> None:
        """Go on with a comparison, whose first run knows models and prompts."""
        begun = begun_with(self._store, sweep)
        if begun is not None:
            self._sweep, self._next = sweep, True
            load, self._prompts, self._data = begun
            self._send(load)

    def _unfinished(self) -> dict[int, str]:
        found = {}
        for sweep in self._store.sweeps():
            stands = progress(self._store, sweep.id)
            done = sum(at.done for at in stands)
            if done < len(stands) and any(at.run for at in stands):
                found[sweep.id] = f"{sweep.name}: {done} of {len(stands)} runs done"
            if len(found) == _UNFINISHED:
                break
        return found

    # -- what the session says

    def has(self, run_id: int) -> bool:
        """Return whether a run belongs to the comparison in hand."""
        run = self._store.run(run_id)
        return run is not None and self._sweep is not None and run.sweep == self._sweep

    def cycle_finished(self, event: ev.CycleFinished) -> None:
        """Stop a run of the comparison that has had its seconds."""
        if self._sweep is None or not self.has(event.run_id) or self._enough:
            return
        plan = self._plan()
        if plan.unit == "seconds" and used(self._store, event.run_id) >= plan.budget:
            self._enough = True
            self._send(do.Stop())

    def run_finished(self, event: ev.RunFinished) -> None:
        """Take note that a run has ended; the next one begins once the session is free."""
        if self._sweep is None or not self.has(event.run_id):
            return
        if event.outcome == "finished" or self._enough:
            self._next = True
        else:
            self._hold()

    def state_changed(self, state: State) -> None:
        """Begin the next run where one has ended."""
        if self._next and state not in ALIVE and state != State.LOADING:
            self._train_next()

    def refused(self) -> None:
        """Take note that no run begins."""
        if self._sweep is not None:
            self._hold()

    def loading_failed(self) -> None:
        """Take note that the models of a comparison cannot be loaded."""
        if self._sweep is not None and self._next:
            self._hold()

    def _train_next(self) -> None:
        assert self._sweep is not None
        self._next = self._enough = False
        stands = progress(self._store, self._sweep)
        place = next((place for place, at in enumerate(stands) if not at.done), None)
        if place is None:
            self._end(stands)
            return
        at = stands[place]
        if at.run is not None:
            self._resuming.go_on(at.run.name, do.ResumeRun(at.run.id))
            return
        self._window.show_starting(True)
        self._send(at.planned.start(self._sweep, place, self._prompts, data_for_next(
            self._store, self._sweep, self._data)))

    def _hold(self) -> None:
        assert self._sweep is not None
        stands = progress(self._store, self._sweep)
        self._sweep, self._next = None, False
        done = sum(at.done for at in stands)
        if any(at.run for at in stands):
            self._window.toast.show_message(
                "info", f"The comparison is held after {done} of {len(stands)} runs; Compare "
                "algorithms in the Run menu goes on with it.")

    def _end(self, stands: list[Progress]) -> None:
        """Draw all runs over one another."""
        self._sweep = None
        runs = [at.run.id for at in stands if at.run is not None]
        self._window.runs.refresh()
        self._window.runs.model.set_ticked(())
        self._window.runs.model.lend_ticks(runs)
        self._window.reveal("frontier" if "frontier" in self._window.docks else "metrics")
        self._window.toast.show_message(
            "info", f"All {len(runs)} runs of the comparison are done and drawn over one another.")

    def _plan(self) -> Plan:
        assert self._sweep is not None
        kept = self._store.sweep(self._sweep)
        assert kept is not None
        return Plan.of_json(kept.plan)
