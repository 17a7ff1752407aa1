"""The Hyperparameters dock: the form, what is staged, presets, and the history of changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from PySide6.QtCore import QCoreApplication, QEvent, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QMenu,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from workbench.formatting import format_value
from workbench.gui.actions import ALIVE, set_tip
from workbench.gui.controls import enable, label, named, push_button, tool_button
from workbench.gui.form_scroll import FormScroll
from workbench.gui.hyperparameters_form import HyperparametersForm
from workbench.gui.memory import MemoryLine
from workbench.gui.number_field import NumberField
from workbench.gui.plain_text import plain_tip
from workbench.gui.presets import PRESETS
from workbench.gui.section import Section
from workbench.gui.settings import section, texts
from workbench.gui.theme import set_look
from workbench.ppo.hyperparameters import Hyperparameters, parse, specs
from workbench.settings import HyperparameterError, Value
from workbench.store.records import ChangeRecord
from workbench.training.events import (
    Change,
    HyperparametersApplied,
    HyperparametersStaged,
    State,
)

# Pixels in which two lines of text and two buttons, or the search and its buttons, stand beside
# each other.
_WIDE, _HEADER_WIDE = 480, 260
_PENDING = Qt.ItemDataRole.UserRole


def _valid(values: Mapping[str, object]) -> dict[str, Value]:
    """Return the values that can be, with the defaults of all others; nothing of nothing."""
    good: dict[str, Value] = {}
    for name, value in values.items():
        try:
            good = parse({**good, name: value}).model_dump()
        except HyperparameterError:
            continue
    return good


class HyperparametersDock(QWidget):
    """``apply`` carries the live changes to make, by name; ``fork_wanted`` those, and changes to
    what is fixed during a run, to fork it with."""

    apply = Signal(object)
    fork_wanted = Signal(object)
    appliable = Signal(bool, str)
    """Whether Apply makes sense now, and where it does not, why."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._alive = False
        self._in_force: dict[str, Value] | None = None
        self._staged: dict[str, Value] = {}
        self._staged_at = 0
        self._effect = ""
        self._resumes = ""
        self.form = HyperparametersForm()
        self._untouched = self.form.values()
        self.undo_stack = self.form.undo_stack
        scroll = self._scroll = FormScroll(self.form)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._make_header())
        layout.addWidget(scroll, 1)
        layout.addWidget(self._make_history())
        layout.addLayout(self._make_footer())
        self.form.changed.connect(self._refresh)
        self.form.fork_wanted.connect(
            lambda: self.fork_wanted.emit({**self._pending(), **self.form.fixed_edits()}))
        self._refresh()

    def hyperparameters(self) -> Hyperparameters:
        """Return what Start would use.

        Raises:
            HyperparameterError: with a sentence for each field.
        """
        return self.form.hyperparameters()

    # -- from the run

    def set_state(self, state: State) -> None:
        """Lock and unlock with the run."""
        self._alive = state in ALIVE
        if not self._alive:
            self._staged, self._effect = {}, ""
            self.form.set_reference(self._in_force)
            self._count_history()
        self.form.set_alive(self._alive)
        self._refresh()

    def set_resumes(self, name: str) -> None:
        """Say that Resume goes on with the run called ``name``; empty where it does not."""
        if name != self._resumes:
            self._resumes = name
            self._refresh()

    def run_resumed(self, used: Mapping[str, Value], name: str, *, keep_edits: bool = True) -> None:
        """The run called ``name``, resumed, forked or followed, goes on with ``used``: show it.
        What was edited while none was alive stays edited, to be applied or reverted."""
        values: dict[str, object] = {**dict(used)}
        if keep_edits:
            before = self._in_force or self._untouched
            shown, unreadable = self.form.values(), self.form.unreadable()
            values |= {name: value for name, value in shown.items() if before[name] != value}
            values = {name: value for name, value in values.items() if name not in unreadable}
        self.form.set_values(values, f"settings of {name}")
        self.run_started(used)

    def run_started(self, used: Mapping[str, Value]) -> None:
        """A run began with ``used``: from now on edits are compared with it."""
        self._staged, self._effect = {}, ""
        self._in_force = dict(used)
        self.form.set_reference(self._in_force)
        self._count_history()

    def staged(self, event: HyperparametersStaged) -> None:
        """The run accepted changes for a later cycle."""
        soon = {**self._staged, **event.changes}
        # What is back at the value in force takes no effect.
        self._staged = {k: v for k, v in soon.items() if (self._in_force or {}).get(k) != v}
        self._effect = (f"Takes effect at cycle {event.takes_effect_at}." if self._staged else "")
        self._staged_at = event.takes_effect_at
        self.form.set_reference(self._in_force, self._staged)
        self._count_history()

    def applied(self, event: HyperparametersApplied) -> None:
        """A cycle uses changes. Those that were not made here are taken into the form, unless the
        field has been edited."""
        before, shown = self._in_force or {}, self.form.values()
        self._in_force = dict(event.hyperparameters)
        elsewhere = {c.name: self._in_force[c.name] for c in event.changes
                     if c.name not in self._staged and shown[c.name] == before.get(c.name)}
        self._staged = {k: v for k, v in self._staged.items() if self._in_force[k] != v}
        if not self._staged:
            self._effect = ""
        self.form.set_reference(self._in_force, self._staged)
        self.form.set_values(elsewhere, ", ".join(specs()[name].label for name in elsewhere))
        self._count_history()

    def refused(self, problems: Mapping[str, str]) -> None:
        """The run did not take values."""
        self.form.show_refused(problems)

    def show_history(self, changes: Iterable[ChangeRecord]) -> None:
        """Show the changes of the run on display, oldest first."""
        self._history.clear()
        for change in changes:
            self._add_change(change.cycle, change, change.at)
        self._count_history()

    def add_history(self, cycle: int, changes: Iterable[Change]) -> None:
        """Add changes of the run on display."""
        for change in changes:
            self._add_change(cycle, change, datetime.now(UTC).isoformat())
        self._count_history()

    # -- from the person

    def apply_changes(self) -> None:
        """Send what differs from what the run uses or is about to use."""
        self.form.commit()
        changes = self._pending()
        if changes and not self.form.problems():
            self.form.seal()
            self.apply.emit(changes)

    def revert(self) -> None:
        """Drop the edits; where there are none, take back what no cycle has used yet."""
        if self._in_force is None:
            return
        if self._pending() or self.form.fixed_edits() or self.form.unreadable():
            self.form.set_values({**self._in_force, **self._staged}, "revert")
        else:
            self.form.set_values({k: self._in_force[k] for k in self._staged}, "revert")
            self.apply_changes()

    def go_to(self, name: str) -> None:
        """Bring a setting into view and give its field the keyboard."""
        row = self.form.rows[name]
        self._find.clear()
        if row.spec.advanced:
            self._show_all.setChecked(True)
        if row.isHidden():  # has no effect now: found by name it shows, and says why
            self._find.setText(name)
        self.form.open_section(name)
        QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
        self._scroll.ensureWidgetVisible(row)
        row.field.setFocus()
        if isinstance(row.field, NumberField):
            row.field.selectAll()

    def save_state(self) -> dict[str, object]:
        """Return what to remember."""
        return {"values": self.form.values(), "before": dict(self._in_force or self._untouched),
                "show_all": self._show_all.isChecked(),
                "open": self.form.open_sections()}

    def restore_state(self, state: dict[str, object]) -> None:
        """Show again what was remembered; values that are no longer valid are left out."""
        good = _valid(section(state, "values"))
        self.form.set_values(good, "restore")
        # What was edited and not used before the window was closed is still an edit.
        self._untouched = {**self.form.values(), **_valid(section(state, "before"))}
        self.undo_stack.clear()
        self._show_all.setChecked(state.get("show_all") is True)
        if "open" in state:
            self.form.set_open_sections(texts(state, "open"))

    # -- inside

    def _make_header(self) -> QBoxLayout:
        self._find = named(
            QLineEdit(placeholderText="Find a setting", clearButtonEnabled=True),
            "find_setting", "Find a setting",
            "Show only settings whose name or explanation contains these words")
        self._show_all = tool_button("Show all", "show_all", "Show all settings",
                                     "Show the advanced settings as well")
        self._show_all.setCheckable(True)
        presets = tool_button("Presets", "presets", "Presets",
                              "Settings that go together, and the defaults")
        presets.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(presets)
        menu.setToolTipsVisible(True)
        defaults = menu.addAction("Defaults")
        set_tip(defaults, "Put every setting back to its default")
        defaults.triggered.connect(lambda: self._take_preset(
            "Defaults", {name: spec.default for name, spec in specs().items()}))
        menu.addSeparator()
        for preset in PRESETS:
            action = menu.addAction(preset.name)
            set_tip(action, preset.tip)
            action.triggered.connect(
                lambda _=False, p=preset: self._take_preset(p.name, p.values))
        for action in menu.actions():
            if action.text():
                action.setObjectName(f"preset_{action.text().partition(' ')[0].lower()}")
                action.setProperty("whole_text", f"Preset: {action.text()}")
        presets.setMenu(menu)
        self._find.textChanged.connect(self._filter)
        self._show_all.toggled.connect(self._filter)
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        buttons.addWidget(self._show_all)
        buttons.addWidget(presets)
        buttons.addStretch(1)
        self._header = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._header.setContentsMargins(8, 0, 8, 0)
        self._header.setSpacing(4)
        self._header.addWidget(self._find, 1)
        self._header.addLayout(buttons)
        return self._header

    def _make_history(self) -> Section:
        self._history = named(
            QTreeWidget(), "history", "History of changes",
            "Changes made during the run on display, and the first cycle that used each")
        self._history.setRootIsDecorated(False)
        self._history.setAlternatingRowColors(True)
        self._history.setHeaderLabels(["Cycle", "Setting", "Change", "By"])
        header = self._history.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self._history.setMaximumHeight(self.fontMetrics().height() * 9)
        self._history_empty = label(
            "No changes. Edit a setting during a run and press Apply.", "muted", wrap=True)
        self._history_section = Section("History", margin=8)
        self._history_section.body.addWidget(self._history_empty)
        self._history_section.body.addWidget(self._history)
        self._count_history()
        return self._history_section

    def _make_footer(self) -> QBoxLayout:
        self._line = named(label(wrap=True), "staged_line", "What becomes of the edits",
                           "Edits are staged: nothing changes until Apply or Start")
        self.apply_button = push_button(
            "Apply", "apply_settings",
            "Use the edited settings from the next cycle on (Ctrl+Return)", self.apply_changes)
        self.revert_button = push_button(
            "Revert", "revert_settings", "Drop the edits; a second time, take back what "
            "was applied and no cycle has used yet", self.revert)
        self.memory = MemoryLine()
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch(1)
        row.addWidget(self.revert_button)
        row.addWidget(self.apply_button)
        column = QVBoxLayout()
        column.setSpacing(4)
        column.addWidget(self._line)
        column.addWidget(self.memory)
        self._footer = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._footer.setContentsMargins(8, 0, 8, 8)
        self._footer.setSpacing(4)
        self._footer.addLayout(column, 1)
        self._footer.addLayout(row)
        return self._footer

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the buttons beside what they are about where there is room, else below."""
        super().resizeEvent(event)
        across = QBoxLayout.Direction
        for layout, least in ((self._footer, _WIDE), (self._header, _HEADER_WIDE)):
            layout.setDirection(across.LeftToRight if self.width() >= least
                                else across.TopToBottom)

    def _take_preset(self, name: str, values: Mapping[str, Value]) -> None:
        wanted = {k: v for k, v in values.items() if specs()[k].live or not self._alive}
        self.form.set_values(wanted, name)

    def _filter(self) -> None:
        self.form.set_filter(self._find.text(), self._show_all.isChecked())

    def _pending(self) -> dict[str, Value]:
        if self._in_force is None:
            return {}
        soon = {**self._in_force, **self._staged}
        return {name: value for name, value in self.form.values().items()
                if specs()[name].live and soon[name] != value}

    def _refresh(self) -> None:
        pending, problems = self._pending(), self.form.problems()
        fixed = self.form.fixed_edits() if self._alive else {}
        can = self._alive and bool(pending) and not problems
        why = ("No run is alive: Start uses these settings." if not self._alive else
               "There is something to mend first; it is said below." if problems else
               "Nothing is edited.")
        enable(self.apply_button, can, why)
        self.appliable.emit(can, why)
        enable(self.revert_button,
               bool(pending or fixed or (self._in_force and self.form.unreadable()))
               or (self._alive and bool(self._staged)), "Nothing is edited.")
        set_look(self.apply_button, role="primary" if self.apply_button.isEnabled() else "")
        what = "1 setting" if len(pending) == 1 else f"{len(pending)} settings"
        if problems:
            text, role = self._say_problem(problems)
        elif self._alive and pending:
            text, role = f"{what} edited, not applied.", "warning"
        elif fixed:
            text, role = f"{specs()[next(iter(fixed))].label} can only change in a fork.", "warning"
        elif self._alive:
            text, role = self._effect or "The run uses these settings.", "muted"
        elif self._resumes:
            text = f"Start uses these settings; Resume goes on with those of {self._resumes}."
            role = "warning" if pending else "muted"
        elif pending:
            text, role = f"{what} differ from the last run." if len(pending) > 1 else (
                f"{what} differs from the last run."), "muted"
        else:
            text, role = "Start uses these settings.", "muted"
        self._line.setText(text)
        set_look(self._line, role=role)

    def _say_problem(self, problems: Mapping[str, str]) -> tuple[str, str]:
        name, sentence = next(iter(problems.items()))
        if not self.form.rows[name].field.unfinished:
            return sentence, "error"
        spec, used = specs()[name], (self._in_force or {}).get(name)
        still = f"; the run uses {format_value(spec, used)}" if self._alive else ""
        return f"{spec.label} is not complete{still}.", "warning"

    def _add_change(self, cycle: int, change: Change | ChangeRecord, at: str) -> None:
        spec = specs().get(change.name)
        when = datetime.fromisoformat(at).astimezone() if at else None
        item = QTreeWidgetItem([
            str(cycle), spec.label if spec else change.name,
            f"{format_value(spec, change.old)} → {format_value(spec, change.new)}",
            change.by])
        said = f"{change.name}, changed by {change.by}"
        said += f" on {when:%Y-%m-%d} at {when:%H:%M:%S}" if when else ""
        for column in range(item.columnCount()):
            item.setToolTip(column, plain_tip(
                f"{said}; cycle {cycle} was the first to use it"))
        self._history.addTopLevelItem(item)
        self._history.scrollToItem(item)

    def _show_pending(self) -> None:
        """List what is applied and no cycle uses yet, below the changes that were used."""
        for row in reversed(range(self._history.topLevelItemCount())):
            item = self._history.topLevelItem(row)
            if item is not None and item.data(0, _PENDING):
                self._history.takeTopLevelItem(row)
        for name, value in self._staged.items():
            spec = specs()[name]
            old = format_value(spec, (self._in_force or {})[name])
            item = QTreeWidgetItem([f"from {self._staged_at}", spec.label,
                                    f"{old} → {format_value(spec, value)}", "pending"])
            item.setData(0, _PENDING, True)
            for column in range(item.columnCount()):
                item.setToolTip(column, plain_tip(
                    f"{name}: applied, and cycle {self._staged_at} will be the first to use it"))
            self._history.addTopLevelItem(item)
            self._history.scrollToItem(item)

    def _count_history(self) -> None:
        self._show_pending()
        count = self._history.topLevelItemCount()
        self._history.setVisible(count > 0)
        self._history_empty.setVisible(count == 0)
        self._history_section.header.setText(f"History ({count})" if count else "History")
