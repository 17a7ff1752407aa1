"""Forking, going back, drawing runs over each other, comparing settings: between the Runs dock,
the plots and the session."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

from workbench.gui.metrics.reading import read_series
from workbench.settings import Value
from workbench.store.records import LIVE, RunRecord, Series
from workbench.training.commands import Fork, GoBack
from workbench.training.events import State
from workbench.training.scored_data import models_of

if TYPE_CHECKING:
    from workbench.gui.background import Background
    from workbench.gui.controllers.resuming import Resuming
    from workbench.gui.main_window import MainWindow
    from workbench.store.store import Store

_MENU = ("fork_run", "go_back", "resume_run", "export_policy", "overlay_run", "clear_overlays",
         "compare_settings", "summary", "rename_selected", "delete_selected")


class Branching(QObject):
    """Answers the actions on the tree of runs, and keeps the drawn-over runs in the plots."""

    def __init__(
        self, window: MainWindow, store: Store, background: Background, resuming: Resuming
    ) -> None:
        super().__init__(window)
        self._window, self._store, self._background = window, store, background
        self._resuming = resuming
        self._read: dict[int, Mapping[str, Series]] = {}
        runs, actions = window.runs, window.actions_
        actions.on("fork_run", self.fork)
        actions.on("go_back", self.go_back)
        actions.on("overlay_run", runs.tick_selected)
        actions.on("clear_overlays", lambda: runs.model.set_ticked(()))
        actions.on("compare_settings", self.compare)
        actions.on("rename_selected", self._rename)
        actions.on("delete_selected", runs.delete_selected)
        runs.set_menu([actions[name] for name in _MENU])
        runs.fork_wanted.connect(self.fork)
        runs.branchable.connect(self._allow)
        runs.refreshed.connect(self._refreshed)
        runs.model.ticked.connect(self._ticked)
        window.hyperparameters.fork_wanted.connect(self.fork_alive)
        self._allow(runs.selected() is not None)
        self._refreshed()
        self._ticked(runs.model.ticks)

    # -- forking and going back

    def fork(self) -> None:
        """Ask how to fork the selected run."""
        run = self._window.runs.selected()
        if run:
            self._ask(run.id, back=False)

    def go_back(self) -> None:
        """Ask from where the selected run shall go on."""
        run = self._window.runs.selected()
        if run:
            self._ask(run.id, back=True)

    def fork_alive(self, changes: Mapping[str, Value]) -> None:
        """Ask how to fork the run that is alive, with these changes."""
        live = self._resuming.live
        if live is not None:
            self._ask(live, back=False, changes=changes)

    def _ask(self, run_id: int, *, back: bool, changes: Mapping[str, Value] | None = None) -> None:
        # The dialogs bring numpy, which the first paint does not wait for.
        from workbench.gui.runs.branch_dialog import BranchDialog

        run = self._store.run(run_id)
        if run is None:
            return
        alive = self._store.run(self._resuming.live) if self._resuming.live is not None else None
        shown = self._store.run(self._window.runs.model.shown or 0)
        dialog = BranchDialog(
            self._window, self._store, run, partial(self._go_on, run.name), back=back,
            changes=changes, warning=self._warning(run, back=back),
            on_display="" if shown is None or shown.id == run.id else shown.name,
            reward=self._window.models.wanted().parts,
            data_line=self._window.hyperparameters.data_line.twin(models_of(run)),
            cycle_in_hand=(alive is not None and alive.id == run.id
                           and self._window.state is State.RUNNING))

        def warn() -> None:
            dialog.warn(self._warning(run, back=back))
        self._window.state_shown.connect(warn)  # a run may pause or end meanwhile
        dialog.finished.connect(lambda: self._window.state_shown.disconnect(warn))
        dialog.open()

    def _go_on(self, name: str, command: Fork | GoBack) -> None:
        """Go on with a run as the dialog says."""
        self._resuming.go_on(name, command)

    def _warning(self, run: RunRecord, *, back: bool) -> str:
        """Say what becomes of the run that is alive, where there is one."""
        alive = self._store.run(self._resuming.live) if self._resuming.live is not None else None
        if alive is None:
            return ""
        running = self._window.state is State.RUNNING
        stays = back and alive.id == run.id
        if running:
            return (f"{alive.name} is training now: when its cycle is complete it will be paused"
                    + ("." if stays else " and then ended. It can be resumed later."))
        return "" if stays else (
            f"{alive.name} is paused: it will be ended. It can be resumed later.")

    # -- drawing over

    def begun(self, fork: int) -> None:
        """Tick the run that ``fork``, which begins, came from: the two are to be compared."""
        run, model = self._store.run(fork), self._window.runs.model
        if run is not None and run.parent is not None:
            model.lend_ticks([run.parent])

    def _ticked(self, ids: frozenset[int]) -> None:
        """Read what has been ticked, then draw it."""
        self._read = {i: series for i, series in self._read.items() if i in ids}
        missing = [i for i in ids if i not in self._read]
        if not missing:
            self._window.metrics.overlay(self._read)
            return
        self._background.run(
            lambda: {i: read_series(self._store, i) for i in missing}, self._draw)

    def _draw(self, found: Mapping[int, Mapping[str, Any]]) -> None:
        ticks = self._window.runs.model.ticks
        self._read = {i: s for i, s in {**self._read, **found}.items() if i in ticks}
        if set(self._read) == set(ticks):
            self._window.metrics.overlay(self._read)

    def _refreshed(self) -> None:
        self._window.metrics.set_records(self._window.runs.model.runs)

    # -- the rest

    def compare(self) -> None:
        """Show where the settings of the run on display and the ticked runs differ."""
        from workbench.gui.runs.settings_table import SettingsTable

        runs = self._window.runs
        wanted = runs.model.ticks | {runs.model.shown}
        chosen = [run for run in runs.model.runs if run.id in wanted]
        if len(chosen) < 2:
            self._window.reveal("runs")
            self._window.toast.show_message(
                "info", "Tick one or more other runs in Runs to compare their settings.")
            return
        table = SettingsTable(self._window, self._store, chosen)
        table.copied.connect(lambda: self._window.toast.show_message("info", "Copied."))
        table.show()

    def _rename(self) -> None:
        self._window.reveal("runs")
        self._window.runs.rename_selected()

    def _allow(self, possible: bool) -> None:
        run, allow = self._window.runs.selected(), self._window.actions_.allow
        self._window.actions_.name_run(run.name if run else "")
        selected = run is not None
        # A run that is alive while it is not so here belongs to another process.
        ours = run is not None and (run.status not in LIVE or run.id == self._resuming.live)
        allow("fork_run", possible)
        allow("go_back", possible and ours)
        allow("summary", run is not None and run.status not in LIVE,
              "Select a run in Runs first." if run is None else
              "This run is on; when it has ended, its summary is there.")
        for name in ("overlay_run", "rename_selected", "delete_selected"):
            allow(name, selected)
