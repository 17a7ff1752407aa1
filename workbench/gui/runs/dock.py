"""The Runs dock: every run in the store; one of them is on display."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMenu,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from workbench.algorithms import algorithm_of_run, are_several, find_algorithm, headlines
from workbench.formatting import format_value
from workbench.gui.actions import CAN_BRANCH, CAN_RESUME, STARTING
from workbench.gui.background import Background
from workbench.gui.metrics.metric_texts import changes_by_cycle
from workbench.gui.runs.model import RunsModel, elsewhere
from workbench.gui.runs.table import RunsTable
from workbench.gui.settings import integers
from workbench.gui.widgets.controls import describe as describe_control
from workbench.gui.widgets.controls import enable, label, push_button
from workbench.gui.widgets.dialog import ask
from workbench.learning.metrics import COMPARED
from workbench.settings import HyperparameterError, Settings
from workbench.store.records import LIVE, ChangeRecord, RunRecord
from workbench.store.store import Store
from workbench.training.events import State
from workbench.training.names import reward_of, source_name
from workbench.training.states import NO_RUN

Glimpse = tuple[int, str, str, int]
"""A run's number, name, status and cycles."""


class RunsDock(QWidget):
    """``opened`` carries the number of a run to display, ``resumed`` that of one to go on with,
    ``settings`` settings to take over, ``live_wanted`` asks for the run that is alive,
    ``deleted`` carries a number; ``renamed`` tells that a name changed, ``resumable`` whether the
    selected run could go on, ``branchable`` whether it could be forked; ``exported`` carries the
    number of a run whose policy to export, ``exportable`` whether the selected one's could be.
    ``refreshed`` tells that the runs have been read again."""

    opened = Signal(object)
    resumed = Signal(object)
    resumable = Signal(bool)
    branchable = Signal(bool)
    refreshed = Signal()
    settings = Signal(object)
    live_wanted = Signal()
    deleted = Signal(object)
    exported = Signal(object)
    exportable = Signal(bool, str)  # and why not
    renamed = Signal()
    fork_wanted = Signal()

    def __init__(
        self, store: Store, background: Background, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._store, self._background = store, background
        self._state = State.IDLE
        self._starting = False
        self._menu: Sequence[QAction] = ()
        self._shown_before: list[int] = []
        self.model = RunsModel(self)
        self.model.renamed.connect(self._rename)
        self.table = RunsTable(self.model)
        self.table.customContextMenuRequested.connect(self._show_menu)
        self.table.doubleClicked.connect(lambda _: self.open_selected())
        self.table.selectionModel().currentRowChanged.connect(self._show_details)
        for key, call in ((Qt.Key.Key_Return, self.open_selected),
                          (Qt.Key.Key_Enter, self.open_selected),
                          # In whichever column the row was clicked.
                          (Qt.Key.Key_F2, self.rename_selected),
                          (Qt.Key.Key_Space, self.tick_selected),
                          (Qt.Key.Key_Delete, self.delete_selected)):
            self.table.on_key(key, call)
        self._details = label("", "muted", wrap=True)
        self._details.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._make_buttons()
        self._lay_out()
        self.refresh()

    @property
    def newest(self) -> RunRecord | None:
        """The run started last."""
        return max(self.model.runs, key=lambda run: run.id, default=None)

    @property
    def at_first(self) -> RunRecord | None:
        """The run to begin with: the one on display when the window was closed, or the newest
        where another has been started since."""
        newest = self.newest
        if newest is not None and self._shown_before[1:] == [newest.id]:
            return next((run for run in self.model.runs if run.id == self._shown_before[0]), newest)
        return newest

    def selected(self) -> RunRecord | None:
        """Return the run of the selected row."""
        row = self.table.currentIndex().row()
        return self.model.runs[row] if 0 <= row < len(self.model.runs) else None

    def refresh(self) -> None:
        """Read the runs again."""
        kept = self.selected()
        runs = self._store.runs()
        spans = self._store.metric_spans(headlines(runs), compared=COMPARED)
        self.model.fill(runs, spans, frozenset(
            run.id for run in runs if self._store.is_elsewhere(run)))
        self.table.fit()
        self._stack.setCurrentIndex(1 if self.model.runs else 0)
        known = {run.id for run in self.model.runs}
        if kept is not None and kept.id not in known:
            self.table.clear_choice()  # not its neighbour, beside Delete
        elif kept is not None:
            self._select(kept.id)
        elif self.model.shown is not None:
            self._select(self.model.shown)
        self._show_details()
        self.refreshed.emit()

    def refresh_run(self, run_id: int) -> None:
        """Read one run again, which got further; the others stay as they are."""
        run = self._store.run(run_id)
        if run is None or run_id not in {known.id for known in self.model.runs}:
            self.refresh()
            return
        spans = self._store.metric_spans(
            headlines(self.model.runs), run_id, compared=COMPARED)
        if self.model.update(run, spans.get(run_id), self._store.is_elsewhere(run)):
            self.table.fit()
        selected = self.selected()
        if selected is not None and selected.id == run_id:
            self._show_details()

    def catch_up(self, found: Sequence[Glimpse]) -> None:
        """Read again what differs from ``found``, the runs as they are in the store now."""
        known = {run.id: (run.name, run.status, run.cycles) for run in self.model.runs}
        if {run_id: name for run_id, name, _, _ in found} != {
                run_id: name for run_id, (name, _, _) in known.items()}:
            self.refresh()
            return
        for run_id, *stands in found:
            if tuple(stands) != known[run_id]:
                self.refresh_run(run_id)

    def set_menu(self, actions: Sequence[QAction]) -> None:
        """Offer these actions where a run is clicked with the right button."""
        self._menu = actions

    def tick_selected(self) -> None:
        """Draw the selected run over the one on display, or no longer."""
        run = self.selected()
        if run:
            self.model.set_ticked(self.model.ticks ^ {run.id})

    def save_state(self) -> dict[str, object]:
        """Return what the person chose."""
        newest = self.newest
        return {"ticked": sorted(self.model.ticks - self.model.lent),
                "ticked_for_now": sorted(self.model.lent),
                "shown": [self.model.shown, newest.id if newest else None]}

    def restore_state(self, state: dict[str, object]) -> None:
        """Tick the runs that were ticked, as far as they are there, and know which was shown."""
        self._shown_before = integers(state, "shown")
        there = {run.id for run in self.model.runs}
        self.model.set_ticked(set(integers(state, "ticked")) & there)
        self.model.lend_ticks(set(integers(state, "ticked_for_now")) & there)

    def set_state(self, state: State) -> None:
        """Let a run go on only when none is alive."""
        self._state = state
        self._show_details()

    def set_starting(self, starting: bool) -> None:
        """Let no run go on or be forked while one is being started."""
        if starting != self._starting:
            self._starting = starting
            self._show_details()

    def set_shown(self, run_id: int | None, live: bool) -> None:
        """Mark the run on display; ``live`` says that another run is training now. The selection
        goes along only where it was on the run on display: buttons act on what is selected."""
        before, selected = self.model.shown, self.selected()
        self.model.set_shown(run_id)
        self.live_button.setVisible(live)
        if run_id is not None and run_id != before and (
                selected is None or selected.id == before):
            self._select(run_id)

    def open_selected(self) -> None:
        """Put the selected run on display."""
        run = self.selected()
        if run:
            self.opened.emit(run.id)

    def resume_selected(self) -> None:
        """Ask for the selected run to go on."""
        run = self.selected()
        if run and self._can_resume(run):
            self.resumed.emit(run.id)

    def export_selected(self) -> None:
        """Ask for the policy of the selected run to be exported."""
        run = self.selected()
        if run and self._can_export(run):
            self.exported.emit(run.id)

    def rename_selected(self) -> None:
        """Edit the name of the selected run in place."""
        self.table.edit_name(self.table.currentIndex().row())

    def delete_selected(self) -> None:
        """Ask, then delete the selected run."""
        run = self.selected()
        if run is None or run.status in LIVE:
            return
        ask(self, "delete_run", "Delete run", f"Delete {run.name}?",
            f"The curves, completions, checkpoints and settings of {run.name} are removed for good."
            + ("" if self.model.shown in (None, run.id) else
               " It is the run selected in Runs; the run on display is another.")
            + (" Its forks are kept, with all they share." if self._has_forks(run) else ""),
            (("&Delete", "confirm_delete", "Remove the run; this cannot be undone",
              lambda: self._delete(run.id)),), destroys=True)

    # -- inside

    def _make_buttons(self) -> None:
        self.open_button = push_button(
            "Show", "open_run", "Show this run's curves, completions and settings (Enter)",
            self.open_selected)
        self.resume_button = push_button(
            "Resume", "resume_run_button",
            "Go on with this run from its last checkpoint (Ctrl+Shift+R)", self.resume_selected)
        self.fork_button = push_button(
            "Fork…", "fork_run_button",
            "Begin a new run from one of this run's checkpoints, with other settings "
            "(Ctrl+Shift+F)", self.fork_wanted.emit)
        self.rename_button = push_button(
            "Rename", "rename_run", "Give the run another name (F2)", self.rename_selected)
        self.delete_button = push_button(
            "Delete…", "delete_run_button", "Remove the run for good (Delete)",
            self.delete_selected)
        self.settings_button = push_button(
            "Use its settings", "use_settings",
            "Put the settings this run started with into the Hyperparameters form",
            self._use_settings)
        self.live_button = push_button(
            "Show the live run", "show_live_run", "Show the run that is training now (Ctrl+J)",
            self.live_wanted.emit)
        self.live_button.hide()

    def _lay_out(self) -> None:
        empty = label("No runs yet. Press Start: each run is kept here with its curves and "
                       "completions.", wrap=True)
        empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        empty.setProperty("role", "muted")
        empty.setMargin(24)
        full = QWidget()
        layout = QVBoxLayout(full)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.live_button)  # below: the rows must not move under the pointer
        layout.addWidget(self._details)
        for buttons in ((self.open_button, self.resume_button, self.settings_button),
                        (self.fork_button, self.rename_button, self.delete_button)):
            row = QHBoxLayout()
            row.setSpacing(8)
            for button in buttons:
                row.addWidget(button)
            row.addStretch(1)
            layout.addLayout(row)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(empty)
        self._stack.addWidget(full)

    def _select(self, run_id: int) -> None:
        for row, run in enumerate(self.model.runs):
            if run.id == run_id and row != self.table.currentIndex().row():
                self.table.selectRow(row)

    def _show_details(self) -> None:
        run = self.selected()
        enable(self.delete_button, run is not None and run.status not in LIVE,
               "Select a run first." if run is None else "This run is on; stop it to delete it.")
        for button in (self.open_button, self.rename_button, self.settings_button):
            enable(button, run is not None, "Select a run first.")
        can_resume = run is not None and self._can_resume(run)
        if run is not None and can_resume:
            describe_control(self.resume_button, self._resume_tip(run))
        enable(self.resume_button, can_resume, self._no_resume(run))
        self.resumable.emit(can_resume)
        can_export = run is not None and self._can_export(run)
        self.exportable.emit(can_export, "" if can_export else self._no_export(run))
        can_branch = run is not None and self._state in CAN_BRANCH and not self._starting
        enable(self.fork_button, can_branch,
               "Select a run first." if run is None else STARTING if self._starting else
               "The run is ending; wait a moment.")
        self.branchable.emit(can_branch)
        self._details.setText(self._describe(run) if run else "")

    def _describe(self, run: RunRecord) -> str:
        origin = self.model.origin(run)
        said = describe(run, self._store.changes(run.id))
        another = ", with another reward" if run.reward_since else ""
        said = f"Forked {origin}{another}. {said}" if origin else said
        return f"{said} {elsewhere(run)}" if self._store.is_elsewhere(run) else said

    def make_menu(self) -> QMenu:
        """Return a menu of what can be done with the selected run."""
        menu = QMenu(self.table)
        menu.setObjectName("run_menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        menu.addActions(self._menu)
        return menu

    def _show_menu(self, at: QPoint) -> None:
        """Offer what can be done with the run under the pointer."""
        if self.table.indexAt(at).isValid():
            self.make_menu().popup(self.table.viewport().mapToGlobal(at))

    def _can_resume(self, run: RunRecord) -> bool:
        # A run that is alive while none is here belongs to another process.
        return self._state in CAN_RESUME and run.status not in LIVE and not self._starting

    def _can_export(self, run: RunRecord) -> bool:
        return self._state in {*NO_RUN, State.IDLE} and run.status not in LIVE

    def _no_export(self, run: RunRecord | None) -> str:
        if run is None:
            return "Select a run in Runs first."
        if run.status in LIVE:
            return "This run is on; stop it to export its policy."
        return ("Wait until the models are loaded." if self._state == State.LOADING else
                "A run is on; stop it to export the policy of any run.")

    def _no_resume(self, run: RunRecord | None) -> str:
        if run is None:
            return "Select a run first."
        if self._starting:
            return STARTING
        if self._state not in CAN_RESUME:
            if run.status in LIVE and not self._store.is_elsewhere(run):
                return ("This run is paused: press Resume in the tool bar."
                        if self._state == State.PAUSED else "This run is on.")
            return "A run is on; stop it to go on with another."
        return "Another process trains this run; show it to watch and steer it."

    def _resume_tip(self, run: RunRecord) -> str:
        checkpoints = self._store.checkpoints.all(run.id)
        done = checkpoints[-1].cycle if checkpoints else 0
        where = f"after cycle {done}, its last checkpoint" if done else "from its beginning"
        again = f"; cycles {done + 1} to {run.cycles} are run again" if done < run.cycles else ""
        return f"Go on with this run {where}{again} (Ctrl+Shift+R)"

    def _has_forks(self, run: RunRecord) -> bool:
        return any(other.parent == run.id for other in self.model.runs)

    def _settings_of(self, run: RunRecord) -> Settings | None:
        try:
            settings = find_algorithm(run.algorithm).settings
            return settings.parse(settings.known(run.hyperparameters))
        except (HyperparameterError, KeyError):
            return None

    def _use_settings(self) -> None:
        run = self.selected()
        found = self._settings_of(run) if run else None
        if found:
            self.settings.emit(found)

    def _rename(self, run_id: int, name: str) -> None:
        self._background.run(
            lambda: self._store.rename_run(run_id, name).result(), self._was_renamed)

    def _was_renamed(self, _: object) -> None:
        self.refresh()
        self.renamed.emit()

    def _delete(self, run_id: int) -> None:
        def then(_: object) -> None:
            self.refresh()
            self.deleted.emit(run_id)
        self._background.run(lambda: self._store.delete_run(run_id).result(), then)


def _learned_from(run: RunRecord) -> str:
    """Say from what a run learns beside its prompts; "" where that is nothing."""
    return f"Data: {run.data['what']}. " if run.data else ""


def describe(run: RunRecord, changes: Sequence[ChangeRecord]) -> str:
    """Return a run's models, what it learns from, the settings that are not the default and those
    that were changed on the way, in a few words."""
    algorithm = algorithm_of_run(run)
    specs = algorithm.settings.specs()
    differing = [
        f"{spec.label} {format_value(spec, run.hyperparameters[name])}"
        for name, spec in specs.items()
        if name in run.hyperparameters and run.hyperparameters[name] != spec.default]
    settings = [", ".join(differing) or "defaults", *changes_by_cycle(changes)]
    by = f"{algorithm.title}. " if are_several(algorithm) else ""
    parts = [f"{by}Policy: {source_name(run.policy)}. Reward: {reward_of(run)}. "
             f"{_learned_from(run)}Settings: {'; '.join(settings)}."]
    if run.note:
        parts.append(run.note)
    return " ".join(parts)
