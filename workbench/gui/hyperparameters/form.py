"""The form generated from the declaration of the hyperparameters: fields, marks and undo."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import takewhile

from PySide6.QtCore import Signal
from PySide6.QtGui import QUndoCommand, QUndoStack
from PySide6.QtWidgets import QWidget

from workbench.gui.hyperparameters.row import Row, matches
from workbench.gui.setting_facts import only_with
from workbench.gui.widgets.controls import label, push_button
from workbench.gui.widgets.layouts import vbox
from workbench.gui.widgets.section import Section
from workbench.gui.widgets.theme import themes
from workbench.settings import HyperparameterError, Settings, Spec, Value

FIXED = "Fixed at start"
LOCKED = ("Each decides the whole run, so it cannot change while one is alive. Change it here to "
          "fork the run with it.")


class Rows(Mapping[str, Row]):
    """The rows of all settings, by name and in their order. One is made when it is first asked
    for: of seventy a person sees twenty, and the window opens with those."""

    def __init__(self, names: Iterable[str], make: Callable[[str], None]) -> None:
        """``make`` puts a row into :attr:`made` and shows it."""
        self._names, self._make = dict.fromkeys(names), make
        self.made: dict[str, Row] = {}
        """The rows that there are."""

    def __getitem__(self, name: str) -> Row:
        if name not in self.made:
            if name not in self._names:
                raise KeyError(name)
            self._make(name)
        return self.made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class HyperparametersForm(QWidget):
    """Every setting of an algorithm. ``changed`` tells that a value or what is wrong with one
    changed, ``fork_wanted`` that the edits shall go into a fork of the run that is alive."""

    changed = Signal()
    problem_turned = Signal()
    """What is wrong with a field stands beside it now, or no longer."""
    fork_wanted = Signal()

    def __init__(self, settings: type[Settings], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.undo_stack = QUndoStack(self)
        self.rows = Rows((), self._add_row)
        self.sections: dict[str, Section] = {}
        self._words: list[str] = []
        self._everything = False
        self._locked: Mapping[str, str] = {}
        self._column = vbox(self, margins=(8, 0, 8, 8), spacing=0)
        self._alive = False
        self._make(settings)
        themes().changed.connect(self._draw)

    # -- which settings

    def show_settings(self, settings: type[Settings], values: Mapping[str, Value]) -> None:
        """Show the settings of another algorithm, with ``values`` as far as it has them."""
        opened, before = self.open_sections(), set(self.sections)
        for row in self.rows.made.values():
            row.field.blockSignals(True)  # it may lose the keyboard only now
            row.problem.deleteLater()  # which floats over the rows
        for section in self.sections.values():
            self._column.removeWidget(section)
            section.hide()
            section.deleteLater()
        self._column.takeAt(0)  # the stretch
        self.undo_stack.clear()
        self.sections = {}
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
        self._wrong: Mapping[str, str] = {}
        self.rows = Rows(specs, self._add_row)
        for spec in specs.values():
            self._section(spec)
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
        for row in self.rows.made.values():
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
        self._section(self.settings.specs()[name]).set_open(True)

    # -- inside

    def put(self, values: Mapping[str, Value]) -> None:
        """Show values; called by undo and redo only."""
        for name, value in values.items():
            self._values[name] = value
            if name in self.rows.made:
                self.rows[name].field.set_value(value)
            self._refused.pop(name, None)
        self._refresh()

    def _section(self, spec: Spec) -> Section:
        title = spec.group if spec.live else FIXED
        if title not in self.sections:
            section = self.sections[title] = Section(title)
            # While it is empty: else all that is in it is laid out for it.
            section.set_open(title not in {*self.settings.CLOSED, FIXED})
            section.toggled.connect(self._make_rows)
        return self.sections[title]

    def _add_row(self, name: str) -> None:
        """Make the row of a setting, in its place among those of its section."""
        specs = self.settings.specs()
        spec = specs[name]
        row = Row(spec)
        section = self._section(spec)
        above = [self.rows.made[other] for other in takewhile(name.__ne__, specs)
                 if other in self.rows.made and self._section(specs[other]) is section]
        self.rows.made[name] = row
        in_fixed = section is self.sections[FIXED]  # which begins with hint and button
        section.body.insertWidget(2 * in_fixed + len(above), row)
        before: QWidget = (
            above[-1].reset if above else self.fork_button if in_fixed else section.header)
        for widget in (row.field, row.reset):  # Tab goes from above to below
            self.setTabOrder(before, widget)
            before = widget
        row.problem.float_in(self)
        row.problem.turned.connect(self.problem_turned)
        row.draw()
        row.field.set_value(self._values[name])
        row.field.edited.connect(lambda value: self._edit(name, value))
        row.field.committed.connect(self.seal)
        row.field.problem.connect(lambda sentence: self._say(name, sentence))
        row.reset.clicked.connect(
            lambda: self.set_values({name: spec.default}, f"reset {spec.label}"))
        self._fit_row(name)
        self._show_row(name)

    def _edit(self, name: str, value: Value) -> None:
        if value != self._values[name]:
            self.undo_stack.push(_SetValues(
                self, {name: self._values[name]}, {name: value},
                self.settings.specs()[name].label))

    def _say(self, name: str, sentence: str) -> None:
        if sentence:
            self._typed[name] = sentence
        else:
            self._typed.pop(name, None)
        self._refresh()

    def _refresh(self) -> None:
        self._wrong = self.problems()
        in_play = {name for name, spec in self.settings.specs().items()
                   if spec.matters(self._values)}
        if in_play != self._in_play:
            self._in_play = in_play
            self._filter()
        for name in self._wrong:
            self.rows.get(name)  # which says what is wrong
        for name in list(self.rows.made):
            self._show_row(name)
        self._offer_fork()
        self.changed.emit()

    def _show_row(self, name: str) -> None:
        """Show what has become of a setting."""
        row, value = self.rows[name], self._values[name]
        problem = "" if row.field.unfinished else self._wrong.get(name, "")
        used = self._reference[name] if self._reference is not None else None
        soon = self._staged.get(name, value)
        row.show_value(value, used, soon)
        row.show_problem(problem, edited=used is not None and (used != value or soon != value))
        if problem:
            self._section(row.spec).set_open(True)
            row.show()

    def _offer_fork(self) -> None:
        edits = list(self.fixed_edits()) if self._alive else []
        self._lock_hint.setVisible(self._alive)
        self.fork_button.setVisible(bool(edits))
        specs = self.settings.specs()
        self._lock_hint.setText(
            f"{specs[edits[0]].label} decides the whole run, so it cannot change while the run is "
            "alive. A fork can have the change." if edits else LOCKED)

    def _filter(self) -> None:
        for section, names in self._shown_rows().items():
            section.setVisible(bool(names))
            if names and self._words:
                section.set_open(True)
        self._make_rows()
        for name in list(self.rows.made):
            self._fit_row(name)

    def _shown_rows(self) -> dict[Section, list[str]]:
        """Return what is to be seen in each section when it is open."""
        shown: dict[Section, list[str]] = {section: [] for section in self.sections.values()}
        for name, spec in self.settings.specs().items():
            if self._is_shown(name):
                shown[self._section(spec)].append(name)
        return shown

    def _is_shown(self, name: str) -> bool:
        """Whether a setting is among those asked for."""
        spec = self.settings.specs()[name]
        if self._words:
            return matches(spec, self._words)
        common = self._everything or not spec.advanced
        return common and not self._is_idle(name)

    def _is_idle(self, name: str) -> bool:
        """Whether a setting has no effect now; found by its name it is shown, disabled."""
        return name not in (self._in_play or ())

    def _make_rows(self) -> None:
        """Make the rows that are to be seen."""
        for section, names in self._shown_rows().items():
            if section.is_open:
                for name in names:
                    self.rows.get(name)

    def _fit_row(self, name: str) -> None:
        """Show a row where it is among those asked for, and say why it is disabled."""
        row = self.rows[name]
        row.setVisible(self._is_shown(name))
        row.explain(self._locked.get(name)
                    or (only_with(row.spec) if self._is_idle(name) else ""))

    def _draw(self) -> None:
        for row in self.rows.made.values():
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
