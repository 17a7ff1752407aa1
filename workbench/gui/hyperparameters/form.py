"""The form generated from the declaration of the hyperparameters: fields, marks and undo."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from PySide6.QtCore import Signal
from PySide6.QtGui import QUndoCommand, QUndoStack
from PySide6.QtWidgets import QVBoxLayout, QWidget

from workbench.gui.hyperparameters.row import Row
from workbench.gui.setting_facts import only_with
from workbench.gui.widgets.controls import label, push_button
from workbench.gui.widgets.section import Section
from workbench.gui.widgets.theme import themes
from workbench.settings import HyperparameterError, Settings, Spec, Value

FIXED = "Fixed at start"
LOCKED = ("Each decides the whole run, so it cannot change while one is alive. Change it here to "
          "fork the run with it.")


class HyperparametersForm(QWidget):
    """Every setting of an algorithm. ``changed`` tells that a value or what is wrong with one
    changed, ``fork_wanted`` that the edits shall go into a fork of the run that is alive."""

    changed = Signal()
    fork_wanted = Signal()

    def __init__(self, settings: type[Settings], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.undo_stack = QUndoStack(self)
        self.rows: dict[str, Row] = {}
        self.sections: dict[str, Section] = {}
        self._words: list[str] = []
        self._everything = False
        self._locked: Mapping[str, str] = {}
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(8, 0, 8, 8)
        self._column.setSpacing(0)
        self._alive = False
        self._make(settings)
        themes().changed.connect(self._draw)

    # -- which settings

    def show_settings(self, settings: type[Settings], values: Mapping[str, Value]) -> None:
        """Show the settings of another algorithm, with ``values`` as far as it has them."""
        opened, before = self.open_sections(), set(self.sections)
        for row in self.rows.values():
            row.field.blockSignals(True)  # it may lose the keyboard only now
            row.problem.deleteLater()  # which floats over the rows
        for section in self.sections.values():
            self._column.removeWidget(section)
            section.hide()
            section.deleteLater()
        self._column.takeAt(0)  # the stretch
        self.undo_stack.clear()
        self.rows, self.sections = {}, {}
        self._make(settings, values)
        self.set_open_sections({
            *opened, *(title for title in self.open_sections() if title not in before)})
        self.set_alive(self._alive)

    def _make(self, settings: type[Settings], values: Mapping[str, Value] | None = None) -> None:
        self.settings = settings
        specs = settings.specs()
        self._values: dict[str, Value] = {
            name: (values or {}).get(name, spec.default) for name, spec in specs.items()}
        self._typed: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._reference: dict[str, Value] | None = None
        self._staged: dict[str, Value] = {}
        self._in_play: set[str] | None = None
        for name, spec in specs.items():
            self._section(spec).body.addWidget(self._row(name, spec))
        self.sections[FIXED] = self.sections.pop(FIXED)  # last
        for section in self.sections.values():
            self._column.addWidget(section)
        self._column.addStretch(1)
        self._lock_hint = label(LOCKED, "muted", wrap=True)
        self.fork_button = push_button(
            "Fork with this change…", "fork_with_change",
            "Begin a new run from a checkpoint of the one that is alive, with the edited settings",
            self.fork_wanted.emit)
        for place, widget in enumerate((self._lock_hint, self.fork_button)):
            self.sections[FIXED].body.insertWidget(place, widget)
            widget.hide()
        for row in self.rows.values():
            row.problem.float_in(self)
        self._draw()
        for name, row in self.rows.items():
            row.field.set_value(self._values[name])
        self._refresh()

    # -- values

    def values(self) -> dict[str, Value]:
        """Return what the form shows, valid or not."""
        return dict(self._values)

    def hyperparameters(self) -> Settings:
        """Return the validated values.

        Raises:
            HyperparameterError: with a sentence for each field.
        """
        wrong = {**self._refused, **self._typed}
        try:
            values = self.settings.parse(self._values)
        except HyperparameterError as error:
            raise HyperparameterError({**wrong, **error.problems, **wrong}) from None
        if wrong:
            raise HyperparameterError(wrong)
        return values

    def problems(self) -> dict[str, str]:
        """Return what is wrong, by name."""
        try:
            self.hyperparameters()
        except HyperparameterError as error:
            return error.problems
        return {}

    def unreadable(self) -> dict[str, str]:
        """Return what is typed and cannot be taken (yet), by name, with the reason."""
        return dict(self._typed)

    def set_values(self, values: Mapping[str, object], text: str) -> None:
        """Show ``values`` (unknown names are ignored) as one step that can be undone."""
        for name in list(self._typed):  # makes way, also for the value before it
            if name in values:
                self.rows[name].field.set_value(self._values[name])
        new: dict[str, Value] = {
            name: value for name, value in values.items()
            if isinstance(value, bool | int | float | str)
            and name in self._values and self._values[name] != value}
        if new:
            old = {name: self._values[name] for name in new}
            self.undo_stack.push(_SetValues(self, old, new, text))

    def commit(self) -> None:
        """End the edit of a field that is being typed in."""
        for row in self.rows.values():
            row.field.commit()

    def seal(self) -> None:
        """Let later edits be steps of their own: undo goes back to what stands here now."""
        last = self.undo_stack.command(self.undo_stack.index() - 1)
        if isinstance(last, _SetValues):
            last.sealed = True

    def set_reference(self, values: Mapping[str, Value] | None,
                      staged: Mapping[str, Value] | None = None) -> None:
        """Highlight fields that differ from ``values``: what the run uses; and those that differ
        from ``staged``: what it is about to use in place of that."""
        self._reference = dict(values) if values is not None else None
        self._staged = dict(staged or {})
        self._refresh()

    def show_refused(self, problems: Mapping[str, str]) -> None:
        """Show what the run said against values that looked right here."""
        self._refused = dict(problems)
        self._refresh()

    # -- what shows

    def set_alive(self, alive: bool) -> None:
        """Say that what is fixed at the start of a run can only be forked while one is alive."""
        self._alive = alive
        self.sections[FIXED].header.setText("Fixed: fork to change" if alive else FIXED)
        self._refresh()

    def fixed_edits(self) -> dict[str, Value]:
        """Return what was edited of the settings that cannot change during the run."""
        if self._reference is None:
            return {}
        return {name: value for name, value in self._values.items()
                if not self.settings.specs()[name].live and self._reference[name] != value}

    def lock(self, names: Collection[str], why: str) -> None:
        """Let these settings, and no others, be seen but not changed."""
        self._locked = dict.fromkeys(names, why)
        self._filter()

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

    def open_section(self, name: str) -> None:
        """Open the section a setting is in."""
        self._section(self.rows[name].spec).set_open(True)

    # -- inside

    def put(self, values: Mapping[str, Value]) -> None:
        """Show values; called by undo and redo only."""
        for name, value in values.items():
            self._values[name] = value
            self.rows[name].field.set_value(value)
            self._refused.pop(name, None)
        self._refresh()

    def _section(self, spec: Spec) -> Section:
        title = spec.group if spec.live else FIXED
        if title not in self.sections:
            section = self.sections[title] = Section(title)
            # While it is empty: else all that is in it is laid out for it.
            section.set_open(title not in {*self.settings.CLOSED, FIXED})
        return self.sections[title]

    def _row(self, name: str, spec: Spec) -> Row:
        row = self.rows[name] = Row(spec)
        row.field.edited.connect(lambda value: self._edit(name, value))
        row.field.committed.connect(self.seal)
        row.field.problem.connect(lambda sentence: self._say(name, sentence))
        row.reset.clicked.connect(
            lambda: self.set_values({name: spec.default}, f"reset {spec.label}"))
        return row

    def _edit(self, name: str, value: Value) -> None:
        if value != self._values[name]:
            self.undo_stack.push(_SetValues(
                self, {name: self._values[name]}, {name: value}, self.rows[name].spec.label))

    def _say(self, name: str, sentence: str) -> None:
        if sentence:
            self._typed[name] = sentence
        else:
            self._typed.pop(name, None)
        self._refresh()

    def _refresh(self) -> None:
        wrong = self.problems()
        in_play = {name for name, spec in self.settings.specs().items()
                   if spec.matters(self._values)}
        if in_play != self._in_play:
            self._in_play = in_play
            self._filter()
        for name, row in self.rows.items():
            problem = "" if row.field.unfinished else wrong.get(name, "")
            used = self._reference[name] if self._reference is not None else None
            value = self._values[name]
            soon = self._staged.get(name, value)
            row.show_value(value, used, soon)
            row.show_problem(problem, edited=used is not None and (
                used != value or soon != value))
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
            f"{self.rows[edits[0]].spec.label} decides the whole run, so it cannot change while "
            "the run is alive. A fork can have the change." if edits else LOCKED)

    def _filter(self) -> None:
        for name, row in self.rows.items():
            idle = name not in (self._in_play or ())  # found by its name it is shown, disabled
            common = self._everything or not row.spec.advanced
            row.setVisible(row.matches(self._words)
                           and bool(self._words or (common and not idle)))
            row.explain(self._locked.get(name) or (only_with(row.spec) if idle else ""))
        for section in self.sections.values():
            shown = [row for row in section.content.findChildren(Row) if not row.isHidden()]
            section.setVisible(bool(shown))
            if shown and self._words:
                section.set_open(True)

    def _draw(self) -> None:
        for row in self.rows.values():
            row.draw()


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
