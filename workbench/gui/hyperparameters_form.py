"""The form generated from the declaration of the hyperparameters: fields, marks and undo."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QFontMetrics, QUndoCommand, QUndoStack
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from workbench.gui.controls import label, push_button, tool_button
from workbench.gui.fields import make_field
from workbench.gui.icons import icon
from workbench.gui.plain_text import plain_tip
from workbench.gui.section import Section
from workbench.gui.theme import Theme, number_font, set_look, themes
from workbench.ppo.hyperparameters import (
    HyperparameterError,
    Hyperparameters,
    Spec,
    Value,
    parse,
    specs,
)
from workbench.ppo.wording import format_value

FIXED = "Fixed at start"
LOCKED = ("Each decides the whole run, so it cannot change while one is alive. Change it here to "
          "fork the run with it.")


class Row(QWidget):
    """Label, field, reset button, and below them what is wrong."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.field = make_field(spec)
        digits = QFontMetrics(number_font())
        self.field.setFixedWidth(digits.horizontalAdvance("0" * 9) + 48)
        self.label = label(wrap=True, rich=True)
        self.label.setBuddy(self.field)
        self.label.setToolTip(self.field.toolTip())
        self.reset = tool_button(
            "", f"reset_{spec.name}", f"Reset {spec.label}",
            f"Back to the default, {format_value(spec, spec.default)}", "flat")
        keep = self.reset.sizePolicy()
        keep.setRetainSizeWhenHidden(True)
        self.reset.setSizePolicy(keep)
        self.problem = label(role="error", wrap=True)
        self.problem.setObjectName(f"problem_{spec.name}")
        self.problem.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(4)
        layout.setVerticalSpacing(2)
        layout.addWidget(self.label, 0, 0)
        layout.addWidget(self.field, 0, 1)
        layout.addWidget(self.reset, 0, 2)
        layout.addWidget(self.problem, 1, 0, 1, 3)
        layout.setColumnStretch(0, 1)
        self.problem.hide()

    def draw(self, theme: Theme) -> None:
        """Draw in the colours of ``theme``."""
        unit = f' <span style="color:{theme.muted}">{self.spec.unit}</span>'
        self.label.setText(self.spec.label + (unit if self.spec.unit else ""))
        self.reset.setIcon(icon("undo"))

    def show_problem(self, sentence: str) -> None:
        """Say under the field what is wrong with it; "" when nothing is."""
        self.problem.setText(sentence)
        self.problem.setVisible(bool(sentence))

    def matches(self, words: Iterable[str]) -> bool:
        """Return whether every word occurs in the label, the name or the help."""
        text = f"{self.spec.label} {self.spec.name} {self.spec.group} {self.spec.help}".lower()
        return all(word in text for word in words)


class HyperparametersForm(QWidget):
    """Every hyperparameter. ``changed`` tells that a value or what is wrong with one changed,
    ``fork_wanted`` that the edits shall go into a fork of the run that is alive."""

    changed = Signal()
    fork_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.undo_stack = QUndoStack(self)
        self.rows: dict[str, Row] = {}
        self.sections: dict[str, Section] = {}
        self._values: dict[str, Value] = {name: spec.default for name, spec in specs().items()}
        self._typed: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._reference: dict[str, Value] | None = None
        self._words: list[str] = []
        self._everything = False
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 0, 8, 8)
        layout.setSpacing(0)
        for name, spec in specs().items():
            self._section(spec).body.addWidget(self._row(name, spec))
        self.sections[FIXED] = self.sections.pop(FIXED)  # last
        for section in self.sections.values():
            layout.addWidget(section)
        layout.addStretch(1)
        self._alive = False
        self._lock_hint = label(LOCKED, "muted", wrap=True)
        self.fork_button = push_button(
            "Fork with this change…", "fork_with_change",
            "Begin a new run from a checkpoint of the one that is alive, with the edited settings",
            self.fork_wanted.emit)
        for place, widget in enumerate((self._lock_hint, self.fork_button)):
            self.sections[FIXED].body.insertWidget(place, widget)
            widget.hide()
        self.set_open_sections(set(self.sections) - {"Advantages", FIXED})
        self._draw(themes().theme)
        themes().changed.connect(self._draw)
        self._filter()
        self._refresh()

    # -- values

    def values(self) -> dict[str, Value]:
        """Return what the form shows, valid or not."""
        return dict(self._values)

    def hyperparameters(self) -> Hyperparameters:
        """Return the validated values.

        Raises:
            HyperparameterError: with a sentence for each field.
        """
        if self._refused:
            raise HyperparameterError(self._refused)
        return parse(self._values)

    def problems(self) -> dict[str, str]:
        """Return what is wrong, by name."""
        try:
            self.hyperparameters()
        except HyperparameterError as error:
            return error.problems
        return {}

    def set_values(self, values: Mapping[str, object], text: str) -> None:
        """Show ``values`` (unknown names are ignored) as one step that can be undone."""
        typed = [name for name in self._typed if name in values]
        for name in typed:  # what could not be taken makes way, also for the value before it
            with QSignalBlocker(self.rows[name].field):
                self.rows[name].field.set_value(self._values[name])
            del self._typed[name]
        if typed:
            self._refresh()
        new: dict[str, Value] = {
            name: value for name, value in values.items()
            if isinstance(value, bool | int | float | str)
            and name in self._values and self._values[name] != value}
        if new:
            old = {name: self._values[name] for name in new}
            self.undo_stack.push(_SetValues(self, old, new, text))

    def seal(self) -> None:
        """Let later edits be steps of their own: undo goes back to what stands here now."""
        last = self.undo_stack.command(self.undo_stack.index() - 1)
        if isinstance(last, _SetValues):
            last.sealed = True

    def set_reference(self, values: Mapping[str, Value] | None) -> None:
        """Highlight fields that differ from ``values``: what the run uses."""
        self._reference = dict(values) if values is not None else None
        self._refresh()

    def show_refused(self, problems: Mapping[str, str]) -> None:
        """Show what the run said against values that looked right here."""
        self._refused = dict(problems)
        self._refresh()

    # -- what shows

    def set_alive(self, alive: bool) -> None:
        """Say that what is fixed at the start of a run can only be forked while one is alive."""
        self._alive = alive
        self.sections[FIXED].header.setText(f"{FIXED}: fork to change" if alive else FIXED)
        self._refresh()

    def fixed_edits(self) -> dict[str, Value]:
        """Return what was edited of the settings that cannot change during the run."""
        if self._reference is None:
            return {}
        return {name: value for name, value in self._values.items()
                if not specs()[name].live and self._reference[name] != value}

    def lock(self, names: Collection[str], why: str) -> None:
        """Let these settings, and no others, be seen but not changed."""
        for name, row in self.rows.items():
            for widget in (row.field, row.reset, row.label):
                widget.setEnabled(name not in names)
            row.setToolTip(plain_tip(why if name in names else ""))

    def set_filter(self, text: str, everything: bool) -> None:
        """Show rows that match ``text``; advanced ones only with ``everything`` or a match."""
        self._words = text.lower().split()
        self._everything = everything
        self._filter()

    def open_sections(self) -> list[str]:
        """Return the titles of the open sections."""
        return [title for title, section in self.sections.items() if section.is_open]

    def set_open_sections(self, titles: Iterable[str]) -> None:
        """Open exactly these sections."""
        wanted = set(titles)
        for title, section in self.sections.items():
            section.set_open(title in wanted)

    # -- inside

    def put(self, values: Mapping[str, Value]) -> None:
        """Show values; called by undo and redo only."""
        for name, value in values.items():
            self._values[name] = value
            field = self.rows[name].field
            with QSignalBlocker(field):
                field.set_value(value)
            self._typed.pop(name, None)
            self._refused.pop(name, None)
        self._refresh()

    def _section(self, spec: Spec) -> Section:
        title = spec.group if spec.live else FIXED
        if title not in self.sections:
            self.sections[title] = Section(title)
        return self.sections[title]

    def _row(self, name: str, spec: Spec) -> Row:
        row = self.rows[name] = Row(spec)
        row.field.edited.connect(lambda value: self.set_values({name: value}, spec.label))
        row.field.problem.connect(lambda sentence: self._say(name, sentence))
        row.reset.clicked.connect(
            lambda: self.set_values({name: spec.default}, f"reset {spec.label}"))
        return row

    def _say(self, name: str, sentence: str) -> None:
        if sentence:
            self._typed[name] = sentence
        else:
            self._typed.pop(name, None)
        self._refresh()

    def _refresh(self) -> None:
        wrong = self.problems()
        for name, row in self.rows.items():
            problem = self._typed.get(name) or wrong.get(name, "")
            row.show_problem(problem)
            edited = self._reference is not None and self._reference[name] != self._values[name]
            set_look(row.field, state="invalid" if problem else "edited" if edited else "")
            row.reset.setVisible(self._values[name] != row.spec.default)
            if problem:
                self._section(row.spec).set_open(True)
                row.show()
        self._offer_fork()
        self.changed.emit()

    def _offer_fork(self) -> None:
        edits = list(self.fixed_edits()) if self._alive else []
        self._lock_hint.setVisible(self._alive)
        self.fork_button.setVisible(bool(edits))
        self._lock_hint.setText(
            f"{specs()[edits[0]].label} decides the whole run, so it cannot change while the run "
            "is alive. A fork can have the change." if edits else LOCKED)

    def _filter(self) -> None:
        for row in self.rows.values():
            common = self._everything or not row.spec.advanced or bool(self._words)
            row.setVisible(common and row.matches(self._words))
        for section in self.sections.values():
            shown = [row for row in section.content.findChildren(Row) if not row.isHidden()]
            section.setVisible(bool(shown))
            if shown and self._words:
                section.set_open(True)

    def _draw(self, theme: Theme) -> None:
        for row in self.rows.values():
            row.draw(theme)


class _SetValues(QUndoCommand):
    """One edit; edits of the same single field in a row become one."""

    def __init__(self, form: HyperparametersForm, old: Mapping[str, Value],
                 new: Mapping[str, Value], text: str) -> None:
        super().__init__(text)
        self._form, self._old, self._new = form, dict(old), dict(new)
        self.sealed = False

    def redo(self) -> None:
        """Show the new values."""
        self._form.put(self._new)

    def undo(self) -> None:
        """Show the old values."""
        self._form.put(self._old)

    def id(self) -> int:
        """Let only edits of one field be merged."""
        return 1 if len(self._new) == 1 else -1

    def mergeWith(self, other: QUndoCommand) -> bool:
        """Take over a later edit of the same field."""
        if self.sealed or not isinstance(other, _SetValues) or (
                other._new.keys() != self._new.keys()):
            return False
        self._new = other._new
        self.setObsolete(self._new == self._old)
        return True
