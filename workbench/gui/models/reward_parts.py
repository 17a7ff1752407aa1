"""The reward in the Models dock: one source, or several with weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDoubleValidator
from PySide6.QtWidgets import (
    QGridLayout,
    QLineEdit,
    QMenu,
    QToolButton,
    QWidget,
)

from workbench.assets import BUNDLED_REWARD, EXAMPLE_REWARDS
from workbench.gui.models.source_field import SourceField
from workbench.gui.settings import texts
from workbench.gui.widgets.controls import describe, enable, label, named, tool_button
from workbench.gui.widgets.dialog import choose_file
from workbench.gui.widgets.icons import icon
from workbench.gui.widgets.layouts import STRETCH, hbox, vbox
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.reading_button import ReadingButton
from workbench.gui.widgets.theme import themes
from workbench.training.events import ModelFacts
from workbench.training.reward_parts import READS, RewardPart, find_source

EXAMPLES = {
    "VADER: friendly words": str(EXAMPLE_REWARDS["vader"]),
    "Length and repetition": str(EXAMPLE_REWARDS["length_and_repetition"]),
}
MOST_PARTS = 8
_TIP = ("What scores completions: a folder or hub name of a sequence classifier, the http address "
        "of a server, or a Python file with a function reward(prompts, completions). Several are "
        "added up, each times its weight.")
_GOLD = "Of weight 0: scored on the side, and never learned from"


class _Row(QWidget):
    """One part: its source, and its weight where there are several."""

    def __init__(self, field: SourceField) -> None:
        super().__init__()
        self.field = field
        self._of = ""
        self.chosen: int | None = None
        self.reading = ReadingButton()
        self.weight = named(
            QLineEdit("1"), "", "",
            "What this part's score is multiplied with before the scores are added up; negative "
            "to punish, 0 to watch it only. Fixed for a run")
        self.weight.setValidator(QDoubleValidator(self.weight))
        self.weight.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.weight.editingFinished.connect(self.tidy)
        self.weight.textChanged.connect(self._say_gold)
        self.weight.setFixedWidth(self.weight.fontMetrics().horizontalAdvance("−0.00") + 16)
        self.remove = tool_button("", "", "", "Take this part out of the reward", role="flat")
        self._times = label("×", "muted")
        field.heading.hide()
        layout = field.layout()
        assert isinstance(layout, QGridLayout)
        for column, widget in enumerate((self._times, self.weight, self.remove), start=2):
            layout.addWidget(widget, 1, column)
        layout.removeWidget(field.facts)
        outer = vbox(self, field, spacing=4)
        outer.addWidget(field.facts)  # below the whole row
        outer.addWidget(self.reading, 0, Qt.AlignmentFlag.AlignLeft)

    def set_place(self, number: int, alone: bool) -> None:
        """Take the names of part ``number``; show weight and Remove unless it is alone."""
        name = "reward" if number == 1 else f"reward_{number}"
        title = "Reward" if number == 1 else f"Reward {number}"
        for widget, suffix, says in (
            (self.field.combo, "", title), (self.weight, "_weight", f"{title}, weight"),
            (self.remove, "_remove", f"Remove {title.lower()}"),
            (self.field.facts, "_facts", f"{title}, loaded"),
            (self.field.button, "_browse", f"Choose {title.lower()}"),
        ):
            widget.setObjectName(f"{name}{suffix}")
            widget.setAccessibleName(says)
        self.reading.set_place(name, title)
        for beside in (self._times, self.weight, self.remove):
            beside.setVisible(not alone)
        self.field.button.setVisible(alone)  # a narrow dock has room for one or the other

    def part(self) -> RewardPart:
        """Return what the row says."""
        source = find_source(self.field.source())
        if source != self._of:  # what was chosen was chosen for another
            return RewardPart(source, self._number())
        reading = self.reading
        return RewardPart(source, self._number(), self.chosen, reading.reads, reading.end_token)

    def set_part(self, part: RewardPart) -> None:
        """Show ``part``."""
        self.field.set_source(part.source)
        self.weight.setText(f"{part.weight:g}")
        self._of, self.chosen = find_source(self.field.source()), part.label
        self.reading.show_choice(part.reads, part.end_token)

    def take_source(self) -> str:
        """Let what is chosen from now on be for the source that is named."""
        source = find_source(self.field.source())
        if source != self._of:
            self._of, self.chosen = source, None
            self.reading.show_choice("auto", False)
        return source

    def show_facts(self, facts: ModelFacts | None) -> None:
        """Show what is loaded of what is named."""
        self.field.show_facts(facts)
        part = self.part()
        self.reading.setVisible(not (part.is_file or part.is_url))
        self.reading.show_facts(facts if facts and facts.end_token == part.end_token else None)

    def tidy(self) -> None:
        """Show the weight as it is understood."""
        self.weight.setText(f"{self._number():g}")

    def _say_gold(self) -> None:
        """Call a part gold that is only watched."""
        gold = not self._number()
        self._times.setText("gold" if gold else "×")
        self._times.setToolTip(plain_tip(_GOLD) if gold else "")

    def _number(self) -> float:
        number, valid = self.weight.locale().toDouble(self.weight.text())
        if not valid:
            try:
                number = float(self.weight.text().replace("−", "-"))
            except ValueError:
                number = 1.0
        return number if math.isfinite(number) else 1.0


class RewardParts(QWidget):
    """The parts of the reward; one is the rule, and then there is no weight to see. ``edited``
    tells that it is another reward now, ``chosen`` that a part was picked, ``entered`` that Enter
    was pressed."""

    edited = Signal()
    chosen = Signal()
    entered = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[_Row] = []
        self._recent: list[str] = []
        self._facts: dict[str, ModelFacts] = {}
        self._made: dict[str, str] = {}
        heading = label("Reward", "heading")
        heading.setToolTip(plain_tip(_TIP))
        self.add_button = tool_button("+ Add", "add_reward", "Add to the reward",
                                      "Add another reward; the scores are added up, each times "
                                      "its weight", role="flat")
        self.add_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._set_menu(self.add_button, self._add_source)
        self.gold_button = tool_button(
            "+ Gold", "add_gold", "Add a gold reward", "Add a reward that is scored on the side "
            "and never learned from, with weight 0: where the reward rises and the gold one falls, "
            "the reward is over-optimised", role="flat")
        self.gold_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._set_menu(self.gold_button, lambda source: self._add_source(source, 0.0))
        self._unloaded = label("not loaded", "warning")
        self._unloaded.hide()
        # One above the other, for a narrow dock has no room for both beside the buttons.
        top = hbox(None, vbox(None, heading, self._unloaded, spacing=0), STRETCH, self.gold_button,
                   self.add_button, spacing=8)
        self._layout = vbox(self, top, spacing=4)
        self.set_parts((RewardPart(str(BUNDLED_REWARD)),))
        themes().changed.connect(self._draw)

    # -- what it says

    @property
    def fields(self) -> list[SourceField]:
        """The source of each part."""
        return [row.field for row in self._rows]

    def parts(self) -> tuple[RewardPart, ...]:
        """Return the parts as they are on screen. A single one counts as it is."""
        parts = tuple(row.part() for row in self._rows)
        return parts if len(parts) > 1 else (replace(parts[0], weight=1.0),)

    def tidy(self) -> None:
        """Show every weight as it is understood."""
        for row in self._rows:
            row.tidy()

    def set_parts(self, parts: tuple[RewardPart, ...]) -> None:
        """Show these parts."""
        while len(self._rows) > max(1, len(parts)):
            self._remove(self._rows[-1])
        while len(self._rows) < len(parts):
            self._append()
        for row, part in zip(self._rows, parts, strict=True):
            row.set_part(part)
        self._arrange()

    def set_source(self, source: str) -> None:
        """Show a single reward."""
        self.set_parts((RewardPart(source),))

    def set_label(self, number: int, chosen: int) -> None:
        """Take output ``chosen`` of a classifier as the score."""
        row = self._rows[number]
        row.take_source()
        row.chosen = chosen
        self.edited.emit()

    def show_facts(self, facts: ModelFacts) -> None:
        """Show what is loaded, and remember it."""
        self._facts = {part.source: part for part in facts.parts or (facts,)}
        for source in reversed(self._facts):
            self.remember(source)
        self._tell()

    def set_made(self, made: Mapping[str, str]) -> None:
        """Offer the reward models that runs have made: folders, by title."""
        if dict(made) == self._made:
            return
        self._made = dict(made)
        for row in self._rows:
            row.field.set_made(made)
            self._set_menu(row.field.button, row.field.set_source)
        self._set_menu(self.add_button, self._add_source)
        self._set_menu(self.gold_button, lambda source: self._add_source(source, 0.0))

    def mark_unloaded(self, unloaded: bool) -> None:
        """Say beside the title that what is named is not loaded, or no longer."""
        self._unloaded.setVisible(unloaded)

    def files_changed(self) -> bool:
        """Whether a Python file of the reward in memory holds something else now, or is gone."""
        from workbench.feedback.reward_file import read_reward_file
        from workbench.models.sources import LoadError

        try:
            return any(facts.sha256 and read_reward_file(facts.source).sha256 != facts.sha256
                       for facts in self._facts.values())
        except LoadError:
            return True

    def remember(self, source: str) -> None:
        """Put ``source`` first among the recent ones."""
        for field in self.fields:
            field.remember(source)
        self._recent = self.fields[0].recent()

    def recent(self) -> list[str]:
        """Return the recent sources, latest first."""
        return self._recent

    def save_state(self) -> dict[str, object]:
        """Return what to remember."""
        return {"recent_rewards": self.recent(), "rewards": [
            [p.source, p.weight, p.label, p.reads, p.end_token] for p in self.parts()]}

    def restore_state(self, state: dict[str, object]) -> None:
        """Show again what was remembered."""
        for name in reversed(texts(state, "recent_rewards")):
            self.remember(name)
        saved = state.get("rewards")
        parts = []
        for entry in saved if isinstance(saved, list) else []:
            match entry:
                case [str() as source, int() | float() as weight, int() | None as chosen,
                      *more] if source:
                    match more:
                        case [str() as reads, bool() as end_token] if reads in READS:
                            parts.append(RewardPart(
                                source, float(weight), chosen, reads, end_token))
                        case _:  # of a version before
                            parts.append(RewardPart(source, float(weight), chosen))
        if parts:
            self.set_parts(tuple(parts[:MOST_PARTS]))

    # -- what the person does

    def add(self, source: str, weight: float = 1.0) -> None:
        """Add a part."""
        self._append().set_part(RewardPart(source, weight))
        self._arrange()
        self._rows[-1].weight.setFocus()
        self._rows[-1].weight.selectAll()

    def _add_source(self, source: str, weight: float = 1.0) -> None:
        if len(self._rows) < MOST_PARTS:
            self.add(source, weight)

    def _append(self) -> _Row:
        field = SourceField("reward", "Reward", BUNDLED_REWARD, EXAMPLES)
        describe(field.combo, _TIP)
        field.edited.connect(self._tell)
        field.chosen.connect(self.chosen)
        field.entered.connect(self.entered)
        field.set_made(self._made)
        for source in reversed(self._recent):
            field.remember(source)
        row = _Row(field)
        describe(field.button, "Choose another reward: a classifier's folder, a Python file, or "
                               "what comes with the workbench")
        field.button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._set_menu(field.button, field.set_source)
        field.button.setProperty("role", "choose")
        row.remove.clicked.connect(partial(self._remove_and_arrange, row))
        row.weight.textChanged.connect(self.edited)
        row.reading.changed.connect(self._tell)
        self._rows.append(row)
        self._layout.addWidget(row)
        return row

    def _remove(self, row: _Row) -> None:
        self._rows.remove(row)
        self._layout.removeWidget(row)
        row.hide()
        row.deleteLater()

    def _remove_and_arrange(self, row: _Row) -> None:
        if row in self._rows and len(self._rows) > 1:
            self._remove(row)
            self._arrange()

    def _arrange(self) -> None:
        for number, row in enumerate(self._rows, start=1):
            row.set_place(number, len(self._rows) == 1)
        for button in (self.add_button, self.gold_button):
            enable(button, len(self._rows) < MOST_PARTS,
                   f"A reward has at most {MOST_PARTS} parts; remove one first.")
        self._draw()
        self._tell()

    def _tell(self) -> None:
        """Let each field say what is loaded of what it names."""
        for row in self._rows:
            row.show_facts(self._facts.get(row.take_source()))
        self.edited.emit()

    def _draw(self) -> None:
        for row in self._rows:
            row.remove.setIcon(icon("delete"))

    def _menu(self, owner: QWidget, then: Callable[[str], object]) -> QMenu:
        menu = QMenu(owner)
        menu.setToolTipsVisible(True)
        for text, tip, call in (
            ("Sequence classifier…", "Choose the folder of a model that scores text",
             partial(self._browse, True, then)),
            ("Python file…", "Choose a file with a function reward(prompts, completions)",
             partial(self._browse, False, then)),
        ):
            action = menu.addAction(text)
            action.setToolTip(plain_tip(tip))
            action.triggered.connect(lambda _=False, call=call: call())
        menu.addSeparator()
        for text, path in {"Bundled model": str(BUNDLED_REWARD), **EXAMPLES}.items():
            action = menu.addAction(text)
            action.setToolTip(plain_tip(f"Comes with the workbench, to use or to copy: {path}"))
            action.triggered.connect(lambda _=False, path=path: then(path))
        if self._made:
            menu.addSeparator()
        for text, path in self._made.items():
            action = menu.addAction(text)
            action.setToolTip(plain_tip(f"Trained here, from pairs: {path}"))
            action.triggered.connect(lambda _=False, path=path: then(path))
        return menu

    def _set_menu(self, button: QToolButton, then: Callable[[str], object]) -> None:
        before = button.menu()
        button.setMenu(self._menu(button, then))
        if before is not None:
            before.deleteLater()

    def _pick(self, then: Callable[[str], object], source: str) -> None:
        then(source)
        self.chosen.emit()

    def _browse(self, folder: bool, then: Callable[[str], object]) -> None:
        choose_file(
            self, "reward_dialog", "Folder of the classifier" if folder else "Python file",
            lambda paths: self._pick(then, str(paths[0])), folder=folder,
            filters="" if folder else "Python files (*.py)")
