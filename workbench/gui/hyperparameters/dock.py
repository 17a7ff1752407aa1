"""The Hyperparameters dock: the algorithm, its form, what is staged, presets, and the history of
changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from PySide6.QtCore import QCoreApplication, QEvent, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QComboBox,
    QLineEdit,
    QMenu,
    QToolButton,
    QWidget,
)

from workbench import algorithms
from workbench.algorithm import Algorithm, Preset
from workbench.algorithms import default_algorithm, find_spec, offers_of, way_title, ways_of
from workbench.formatting import format_value
from workbench.gui.actions import set_tip
from workbench.gui.hyperparameters.data_line import DataLine
from workbench.gui.hyperparameters.form import HyperparametersForm
from workbench.gui.hyperparameters.history import History
from workbench.gui.hyperparameters.memory import MemoryLine
from workbench.gui.settings import section, texts
from workbench.gui.widgets.controls import describe, enable, label, named, push_button, tool_button
from workbench.gui.widgets.form_scroll import FormScroll
from workbench.gui.widgets.layouts import STRETCH, hbox, vbox
from workbench.gui.widgets.number_field import NumberField
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import set_look
from workbench.settings import HyperparameterError, Settings, Value
from workbench.store.records import ChangeRecord
from workbench.training.events import (
    Change,
    HyperparametersApplied,
    HyperparametersStaged,
    State,
)
from workbench.training.states import ALIVE

# Pixels in which two lines of text and two buttons, or the search and its buttons, stand beside
# each other.
_WIDE, _HEADER_WIDE = 480, 260
_LEAST, _LEAST_FORM = 150, 44  # pixels of height: of all, and of the form in it


@dataclass(frozen=True, slots=True)
class _Kept:
    """What stands in the form of an algorithm that another has taken the place of."""

    values: Mapping[str, Value]
    in_force: Mapping[str, Value] | None
    untouched: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class _Own:
    """What the person had in the form before a run borrowed it; ``shown`` is what it showed then,
    to tell what was edited since."""

    algorithm: Algorithm
    form: _Kept
    others: Mapping[str, _Kept]
    shown: Mapping[str, Value]


def _valid(settings: type[Settings], values: Mapping[str, object]) -> dict[str, Value]:
    """Return the values that can be, with the defaults of all others; nothing of nothing."""
    good: dict[str, Value] = {}
    for name, value in values.items():
        try:
            good = settings.parse({**good, name: value}).model_dump()
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
    way_chosen = Signal(object)
    """What a run with the settings in the form is shown as, when that has changed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._alive = False
        self._in_force: dict[str, Value] | None = None
        self._staged: dict[str, Value] = {}
        self._staged_at = 0
        self._effect = ""
        self._resumes = ""
        self.algorithm = default_algorithm()
        """Whose settings the form shows."""
        self._kept: dict[str, _Kept] = {}
        self._own: _Own | None = None
        self._shown: Algorithm | None = None
        self.data_line = DataLine()
        # What is scrolled gives way, so that Apply and Revert are in sight at every height.
        layout = vbox(
            self, self._make_chooser(), self.data_line, self._make_header(), margins=(0, 4, 0, 0),
            spacing=4)
        # From the outside to the inside, so that what is in the form is styled once.
        scrolled = QWidget()
        self._scroll = FormScroll(scrolled, self)
        self._scroll.setMinimumHeight(_LEAST_FORM)
        layout.addWidget(self._scroll, 1)
        self.form = HyperparametersForm(self.algorithm.settings, scrolled)
        self._untouched: Mapping[str, Value] = self.form.values()
        self.undo_stack = self.form.undo_stack
        self.history = History()
        self.history.toggled.connect(self._reveal_history)
        self._count_history()
        vbox(scrolled, (self.form, 1), self.history, spacing=4)
        layout.addLayout(self._make_footer())
        self.form.changed.connect(self._refresh)
        self.form.problem_turned.connect(self._refresh)
        self.form.fork_wanted.connect(
            lambda: self.fork_wanted.emit({**self._pending(), **self.form.fixed_edits()}))
        self._show_presets()
        self._refresh()

    def hyperparameters(self) -> Settings:
        """Return what Start would use.

        Raises:
            HyperparameterError: with a sentence for each field.
        """
        return self.form.hyperparameters()

    def own_settings(self) -> dict[str, dict[str, Value]]:
        """Return what stood in the form last of algorithms that it does not show, by their names;
        what cannot be is left out."""
        return {a.name: _valid(a.settings, self._kept[a.name].values)
                for a in algorithms.ALGORITHMS if a.name in self._kept}

    # -- which algorithm

    def choose_algorithm(self, algorithm: Algorithm) -> None:
        """Show the settings of an algorithm, unless a run is alive, which has its own. Those that
        mean the same with the one before keep their values, the others have those they had
        last."""
        if not self._alive:
            self._use(algorithm, shared=True)
        self._show_algorithm()

    def choose_named(self, name: str) -> None:
        """Show the settings of the algorithm of this name, if there is one."""
        found = next((a for a in algorithms.ALGORITHMS if a.name == name), self.algorithm)
        self.choose_algorithm(found)

    def take(self, settings: Settings, text: str) -> None:
        """Put settings into the form, as one step; of another algorithm than the run's that is
        alive, those which both have."""
        self.choose_algorithm(algorithms.algorithm_of(settings))
        self.form.set_values(settings.model_dump(), text)

    def _use(self, algorithm: Algorithm, *, shared: bool) -> None:
        if algorithm is self.algorithm:
            return
        values, before = self.form.values(), self.algorithm.settings.specs()
        self._kept[self.algorithm.name] = self._now()
        self.algorithm = algorithm
        specs = algorithm.settings.specs()
        kept = self._kept.pop(algorithm.name, None) or _Kept({}, None, {})
        now = {name: spec.default for name, spec in specs.items()} | dict(kept.values)
        if shared:
            now |= {name: value for name, value in values.items()
                    if specs.get(name) == before[name]}
        self._in_force = dict(kept.in_force) if kept.in_force is not None else None
        self._untouched = {**now, **kept.untouched}
        self._staged, self._effect = {}, ""
        self.memory.forget()
        self._show_algorithm()
        self._show_presets()
        self.form.show_settings(algorithm.settings, now)
        self.form.set_reference(self._in_force)

    def _show_algorithm(self) -> None:
        """Say which algorithm is chosen, where there are several."""
        there = algorithms.ALGORITHMS
        self._chooser.setVisible(algorithms.are_several())
        with QSignalBlocker(self.algorithm_field):
            self.algorithm_field.clear()
            for algorithm in there:
                for way in offers_of(algorithm):
                    self.algorithm_field.addItem(way.name, algorithm)
                    self.algorithm_field.setItemData(
                        self.algorithm_field.count() - 1, plain_tip(way.help),
                        Qt.ItemDataRole.ToolTipRole)
        self._show_way()
        self.data_line.show_for(self.algorithm.learns_from, self._alive)
        describe(self.algorithm_field, self.algorithm.help)
        self.algorithm_field.setAccessibleDescription(self.algorithm.help)
        enable(self.algorithm_field, not self._alive,
               f"A run of {self.algorithm.title} is on; another can be chosen when it has ended.")

    def _show_way(self) -> None:
        """Say by which of its ways the algorithm learns with what is in the form."""
        values = self.form.values()
        with QSignalBlocker(self.algorithm_field):
            self.algorithm_field.setCurrentIndex(self.algorithm_field.findText(
                way_title(self.algorithm, values), Qt.MatchFlag.MatchExactly))
        shown = self.algorithm.variant(values)
        if shown is not self._shown:
            self._shown = shown
            self.way_chosen.emit(shown)

    def _choose_way(self, place: int) -> None:
        """Take what was chosen of the list; where it is a way of an algorithm that is set to learn
        by another, with its preset."""
        field = self.algorithm_field
        algorithm, title = field.itemData(place), field.itemText(place)
        before = self.algorithm
        self.choose_algorithm(algorithm)
        if algorithm is not before and algorithm.learns_from == before.learns_from:
            self.data_line.say_kept(algorithm.title, before.title)
        if algorithm is self.algorithm and title != way_title(algorithm, self.form.values()):
            self._take_preset(title, next(
                way.values for way in ways_of(algorithm) if way.name == title))

    # -- from the run

    def set_state(self, state: State) -> None:
        """Lock and unlock with the run."""
        self._alive = state in ALIVE
        self._show_algorithm()
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

    def run_resumed(
        self, used: Mapping[str, Value], name: str, algorithm: Algorithm | None = None, *,
        keep_edits: bool = True,
    ) -> None:
        """The run called ``name``, resumed, forked or followed, goes on with ``used``: show it.
        What was edited while none was alive stays edited, to be applied or reverted.
        ``algorithm`` is the run's; None: the one that is shown."""
        self._use(algorithm or self.algorithm, shared=False)
        values: dict[str, object] = {**dict(used)}
        if keep_edits:
            before = self._in_force or self._untouched
            shown, unreadable = self.form.values(), self.form.unreadable()
            values |= {name: value for name, value in shown.items() if before[name] != value}
            values = {name: value for name, value in values.items() if name not in unreadable}
        self.form.set_values(values, f"settings of {name}")
        self.run_started(used)

    def lend(
        self, used: Mapping[str, Value], name: str, algorithm: Algorithm | None = None
    ) -> None:
        """Show the settings of a run as :meth:`run_resumed` does until :meth:`take_back`: nobody
        has typed them, so they are none to start with."""
        own = self._own or _Own(self.algorithm, self._now(), dict(self._kept), {})
        self.run_resumed(used, name, algorithm)
        self._own = replace(own, shown=self.form.values())

    def take_back(self) -> None:
        """Show again what the person had before :meth:`lend`, with what was edited since."""
        own, self._own = self._own, None
        if own is None:
            return
        edited = {name: value for name, value in self.form.values().items()
                  if value != own.shown.get(name)} if own.algorithm is self.algorithm else {}
        unreadable = self.form.unreadable()
        self._use(own.algorithm, shared=False)
        self._kept = dict(own.others)
        self._in_force = dict(own.form.in_force) if own.form.in_force is not None else None
        self._untouched = own.form.untouched
        self._staged, self._effect = {}, ""
        self.form.set_reference(self._in_force)
        self.form.set_values(
            {name: value for name, value in {**own.form.values, **edited}.items()
             if name not in unreadable}, "settings from before the experiment")
        self._count_history()

    def _now(self) -> _Kept:
        return _Kept(self.form.values(), self._in_force, self._untouched)

    def run_started(
        self, used: Mapping[str, Value], algorithm: Algorithm | None = None
    ) -> None:
        """A run began with ``used``: from now on edits are compared with it."""
        self._use(algorithm or self.algorithm, shared=False)
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
                     if c.name not in self._staged and shown.get(c.name) == before.get(c.name)}
        self._staged = {k: v for k, v in self._staged.items() if self._in_force[k] != v}
        if not self._staged:
            self._effect = ""
        self.form.set_reference(self._in_force, self._staged)
        self.form.set_values(elsewhere, ", ".join(map(self._label, elsewhere)))
        self._count_history()

    def refused(self, problems: Mapping[str, str]) -> None:
        """The run did not take values."""
        self.form.show_refused(problems)

    def show_history(self, changes: Iterable[ChangeRecord]) -> None:
        """Show the changes of the run on display, oldest first."""
        self.history.clear()
        for change in changes:
            self.history.add(change.cycle, [change])
        self._count_history()

    def add_history(self, cycle: int, changes: Iterable[Change]) -> None:
        """Add changes of the run on display."""
        self.history.add(cycle, changes)
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
        own = self._own or _Own(self.algorithm, self._now(), self._kept, {})
        others = {name: {"values": dict(kept.values),
                         "before": dict(kept.in_force or kept.untouched)}
                  for name, kept in own.others.items()}
        chosen: dict[str, object] = {"algorithm": own.algorithm.name, "others": others}
        if not others and own.algorithm is default_algorithm():
            chosen = {}
        if self.data_line.sources:
            chosen["learns_from"] = dict(self.data_line.sources)
        return {"values": dict(own.form.values),
                "before": dict(own.form.in_force or own.form.untouched),
                "show_all": self._show_all.isChecked(),
                "open": self.form.open_sections(), **chosen}

    def restore_state(self, state: dict[str, object]) -> None:
        """Show again what was remembered; values that are no longer valid are left out."""
        others, there = section(state, "others"), algorithms.ALGORITHMS
        saved = state.get("algorithm", default_algorithm().name)
        chosen = next((a for a in there if a.name == saved), default_algorithm())
        mine: dict[str, object] = {}
        self._use(chosen, shared=False)
        for algorithm in there:
            of = state if algorithm.name == saved else section(others, algorithm.name)
            values = _valid(algorithm.settings, section(of, "values"))
            before = _valid(algorithm.settings, section(of, "before"))
            if algorithm is chosen:
                mine = {**values}
                # What was edited and not used before the window was closed is still an edit.
                self._untouched = {**self.form.values(), **values, **before}
            elif values:
                self._kept[algorithm.name] = _Kept(values, None, {**values, **before})
        self.form.set_values(mine, "restore")
        self.undo_stack.clear()
        self._show_all.setChecked(state.get("show_all") is True)
        self.data_line.restore(state.get("learns_from"))
        if "open" in state:
            self.form.set_open_sections(texts(state, "open"))

    # -- inside

    def minimumSizeHint(self) -> QSize:
        """As wide as what is scrolled, and as high as the least of it that is of use."""
        return QSize(super().minimumSizeHint().width(), _LEAST)

    def _make_chooser(self) -> QWidget:
        """The choice of an algorithm, which shows where there are several."""
        self.algorithm_field = named(QComboBox(), "algorithm", "Algorithm", self.algorithm.help)
        self.algorithm_field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.algorithm_field.activated.connect(self._choose_way)
        title = label("Algorithm")
        title.setBuddy(self.algorithm_field)
        self._chooser = QWidget()
        hbox(self._chooser, title, (self.algorithm_field, 1), margins=(8, 0, 8, 0), spacing=8)
        self._chooser.hide()
        return self._chooser

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
        self._presets = QMenu(presets)
        self._presets.setToolTipsVisible(True)
        presets.setMenu(self._presets)
        self._find.textChanged.connect(self._filter)
        self._show_all.toggled.connect(self._filter)
        buttons = hbox(None, self._show_all, presets, STRETCH, spacing=4)
        self._header = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._header.setContentsMargins(8, 0, 8, 0)
        self._header.setSpacing(4)
        self._header.addWidget(self._find, 1)
        self._header.addLayout(buttons)
        return self._header

    def _reveal_history(self, opened: bool) -> None:
        if opened:
            QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
            self._scroll.ensureWidgetVisible(self.history, 0, 0)

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
        row = hbox(None, STRETCH, self.revert_button, self.apply_button, spacing=8)
        column = vbox(None, self._line, self.memory, spacing=4)
        self._footer = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._footer.setContentsMargins(8, 4, 8, 8)
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

    def _show_presets(self) -> None:
        """Offer the algorithm's presets, and the defaults."""
        menu, specs = self._presets, self.algorithm.settings.specs()
        menu.clear()
        defaults = Preset("Defaults", "Put every setting back to its default",
                          {name: spec.default for name, spec in specs.items()})
        chose = False
        for preset in (defaults, *self.algorithm.presets):
            chooses = self.algorithm.choice in preset.values
            if chose and not chooses:  # those that choose how is learned stand above the others
                menu.addSeparator()
            chose = chooses and preset is not defaults
            action = menu.addAction(preset.name)
            action.setObjectName(f"preset_{preset.name.partition(' ')[0].lower()}")
            action.setProperty("whole_text", f"Preset: {preset.name}")
            set_tip(action, preset.help if preset is defaults else _tip(preset))
            action.triggered.connect(
                lambda _=False, p=preset: self._take_preset(p.name, p.values))
            if preset is defaults:
                menu.addSeparator()

    def _take_preset(self, name: str, values: Mapping[str, Value]) -> None:
        specs = self.algorithm.settings.specs()
        wanted = {k: v for k, v in values.items() if specs[k].live or not self._alive}
        self.form.set_values(wanted, name)

    def _filter(self) -> None:
        self.form.set_filter(self._find.text(), self._show_all.isChecked())

    def _pending(self) -> dict[str, Value]:
        if self._in_force is None:
            return {}
        soon, specs = {**self._in_force, **self._staged}, self.algorithm.settings.specs()
        return {name: value for name, value in self.form.values().items()
                if specs[name].live and soon[name] != value}

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
        # Of what Start uses nothing is fixed yet.
        edited = pending if self._alive else {**pending, **self.form.fixed_edits()}
        what = self._name(list(edited))
        if problems:
            text, role = self._say_problem(problems)
        elif self._alive and pending:
            text, role = f"{what} edited, not applied.", "warning"
        elif fixed:
            text, role = f"{self._label(next(iter(fixed)))} can only change in a fork.", "warning"
        elif self._alive:
            text, role = self._effect or "The run uses these settings.", "muted"
        elif self._resumes:
            several = "processes" in edited or self.form.values().get("processes", 1) != 1
            text = f"Start uses these settings; Resume goes on with those of {self._resumes}" + (
                ", in as many processes as stand here." if several else ".")
            role = "warning" if edited else "muted"
        elif edited:
            differ = "differ" if len(edited) > 1 else "differs"
            text = f"{what} {differ} from the last run: Start uses this."
            role = "warning"
        else:
            text, role = "Start uses these settings.", "muted"
        self._line.setText(text)
        set_look(self._line, role=role)
        self._show_way()

    def _name(self, names: Sequence[str]) -> str:
        """Name a setting, or two, or one and how many more."""
        labels = [self._label(name) for name in names]
        if len(labels) > 2:
            return f"{labels[0]} and {len(labels) - 1} more"
        return " and ".join(labels)

    def _label(self, name: str) -> str:
        return self.algorithm.settings.specs()[name].label

    def _say_problem(self, problems: Mapping[str, str]) -> tuple[str, str]:
        name, sentence = next(iter(problems.items()))
        if not self.form.rows[name].field.unfinished:
            note = self.form.rows[name].problem  # which says it where one is looking
            return (f"{self._label(name)} is to be mended first." if note.isVisible()
                    and note.text() == sentence else sentence), "error"
        spec, used = self.form.rows[name].spec, (self._in_force or {}).get(name)
        still = f"; the run uses {format_value(spec, used)}" if self._alive else ""
        return f"{spec.label} is not complete{still}.", "warning"

    def _count_history(self) -> None:
        self.history.show_pending(self._staged, self._in_force or {},
                                  self.algorithm.settings.specs(), self._staged_at)


def _tip(preset: Preset) -> str:
    """Return when to take a preset and what it changes."""
    changed = ", ".join(f"{spec.label} {format_value(spec, value)}"
                        for name, value in preset.values.items() if (spec := find_spec(name)))
    return f"{preset.help} {changed}."
