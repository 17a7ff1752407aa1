"""What is judged: which set, which of its pairs, in which order, and what else can be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QComboBox, QMenu, QProgressBar, QToolButton, QWidget
from superqt import QElidingLabel, QFlowLayout

from workbench.gui.actions import enable_action, set_tip
from workbench.gui.judge.making import TEXT, TIP
from workbench.gui.judge.queue import SHOWN, UNMARKED
from workbench.gui.widgets.controls import describe, named, push_button, tool_button
from workbench.gui.widgets.icons import icon
from workbench.gui.widgets.layouts import hbox, vbox
from workbench.gui.widgets.plain_text import plain_tip, shortened, without_mnemonic
from workbench.gui.widgets.theme import set_look, themes
from workbench.store.judged import JudgedSet

_LETTERS = 9  # of a name or a prompt that a field has room for
_NAME = 13  # likewise of a set's
_TITLE = 60
_AROUND = 44  # pixels around what is said of the agreement, and between it and how far one is
_OTHERWISE = "Show the pairs where the reward scored the other side higher"
PERSON = "person:"
"""How what shows pairs on which another person says otherwise begins."""


@dataclass(frozen=True, slots=True)
class Source:
    """An entry of a menu: its text, what it means, why it cannot be now, what it does, and whether
    it is on, of what is on or off."""

    text: str
    tip: str
    why_not: str
    call: Callable[[], object]
    on: bool | None = None


class Bar(QWidget):
    """``changed``: other pairs, or another order, are wanted; ``set_chosen``: another set."""

    changed = Signal()
    set_chosen = Signal(int)
    menu_wanted = Signal()
    otherwise_wanted = Signal()
    differences_toggled = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.sets = self._combo("judge_set", "Set of pairs", "Which set of pairs is judged")
        self.sets.setMinimumContentsLength(_NAME)
        self.sets.activated.connect(lambda _: self.set_chosen.emit(self.sets.currentData()))
        self.add = tool_button("Add pairs", "judge_add", "Add pairs",
                               "Put pairs into this set: of two cycles, of one cycle, of the "
                               "policy as it is now, or of a file")
        self.shown = self._combo("judge_shown", "Show", "Which pairs come")
        self.shown.activated.connect(lambda _: self.changed.emit())
        self.prompts = self._combo("judge_prompts", "Prompt", "Pairs of which prompt come")
        self.prompts.activated.connect(lambda _: self.changed.emit())
        self.nearest = False
        """Whether those come first whose scores are nearest to each other."""
        self.differences = self._toggle(
            "Differences", "judge_differences", "Mark the words in which the two differ")
        self.differences.toggled.connect(self.differences_toggled)
        self.make = tool_button("Reward…", "judge_make_reward", TEXT, TIP)
        self.more = tool_button("", "judge_more", "More",
                                "Guidelines, your name, new sets, export", "choose")
        self.add_menu, self.more_menu = self._menu(self.add), self._menu(self.more)
        line = QWidget()
        flow = QFlowLayout(line)
        flow.setContentsMargins(0, 0, 0, 0)
        flow.setHorizontalSpacing(6)
        flow.setVerticalSpacing(4)
        first = QWidget()
        hbox(first, self.sets, self.add, spacing=6)
        for widget in (first, self.shown, self.prompts, self.differences, self.make, self.more):
            flow.addWidget(widget)
        self.said = named(QElidingLabel(textFormat=Qt.TextFormat.PlainText), "judge_progress",
                          "How far you are", "")
        self.said.setProperty("role", "muted")
        self.said.setMinimumWidth(1)
        self.agreement = push_button(
            "The reward and you", "judge_agreement",
            _OTHERWISE,
            self.otherwise_wanted.emit)
        set_look(self.agreement, role="quiet")
        self._about = ""
        self.agreement.hide()
        self.progress = named(QProgressBar(textVisible=False), "judge_progress_bar",
                              "Share of the pairs that you have marked", "")
        vbox(self, line, self.progress, hbox(None, (self.said, 1), self.agreement, spacing=8),
             spacing=4)
        self._fill_shown({}, {})
        self._draw()
        themes().changed.connect(self._draw)

    # -- what is chosen

    @property
    def wanted(self) -> str:
        """Which pairs: one of :data:`SHOWN`, or :data:`PERSON` and a name."""
        return str(self.shown.currentData() or UNMARKED)

    @property
    def prompt(self) -> str:
        """The prompt whose pairs alone come; "": of all."""
        return str(self.prompts.currentData() or "")

    def turn_nearest(self) -> None:
        """Let those come first whose scores are nearest to each other, or no longer."""
        self.nearest = not self.nearest
        self.changed.emit()

    def want(self, shown: str) -> None:
        """Show these pairs."""
        self.shown.setCurrentIndex(max(0, self.shown.findData(shown)))
        self.changed.emit()

    # -- what there is

    def show_sets(self, sets: Sequence[JudgedSet], current: int | None) -> None:
        """Offer the sets."""
        with QSignalBlocker(self.sets):
            self.sets.clear()
            for each in sets:
                self.sets.addItem(without_newlines(each.name), each.id)
                self.sets.setItemData(
                    self.sets.count() - 1, plain_tip(f"{each.name}: {each.pairs:,} pairs, "
                                                     f"{each.marks:,} marks"),
                    Qt.ItemDataRole.ToolTipRole)
            self.sets.setCurrentIndex(self.sets.findData(current))
        self.sets.setVisible(len(sets) > 1)

    def show_prompts(self, prompts: Mapping[str, str]) -> None:
        """Offer the prompts of a set by what its entries call them."""
        chosen = self.prompt
        with QSignalBlocker(self.prompts):
            self.prompts.clear()
            self.prompts.addItem("All prompts", "")
            for digest, text in prompts.items():
                self.prompts.addItem(shortened(without_newlines(text), _TITLE), digest)
                self.prompts.setItemData(self.prompts.count() - 1, plain_tip(text),
                                         Qt.ItemDataRole.ToolTipRole)
            self.prompts.setCurrentIndex(max(0, self.prompts.findData(chosen)))
        self.prompts.setVisible(len(prompts) > 1)

    def show_counts(self, counts: Mapping[str, int], people: Mapping[str, int]) -> None:
        """Say how many pairs there are of each, and whose marks one can be held against."""
        self._fill_shown(counts, people)

    def _fill_shown(self, counts: Mapping[str, int], people: Mapping[str, int]) -> None:
        entries = {name: (f"{title} ({counts.get(name, 0):,})", tip)
                   for name, (title, tip) in SHOWN.items()}
        entries |= {f"{PERSON}{name}": (
            f"{without_newlines(name) or 'Unnamed'} says otherwise",
            "Pairs that you and this person mark differently") for name in people}
        chosen = self.shown.currentData()
        with QSignalBlocker(self.shown):
            while self.shown.count() > len(entries):
                self.shown.removeItem(self.shown.count() - 1)
            for place, (name, (title, tip)) in enumerate(entries.items()):
                if place == self.shown.count():
                    self.shown.addItem("")
                self.shown.setItemText(place, title)
                self.shown.setItemData(place, name)
                self.shown.setItemData(place, plain_tip(tip), Qt.ItemDataRole.ToolTipRole)
            self.shown.setCurrentIndex(max(0, self.shown.findData(chosen)))

    def show_progress(self, done: int, of: int, sentence: str, agreement: str,
                      beyond: str) -> None:
        """Say how far the person is, and how far they and the reward agree; ``beyond`` is how far
        that is beyond chance."""
        self.progress.setMaximum(max(1, of))
        self.progress.setValue(done)
        self.said.setText(sentence)
        self.said.setToolTip(plain_tip(sentence))
        self._about = agreement
        # So high whether the button is there or not: nothing below moves.
        self.said.setMinimumHeight(self.agreement.sizeHint().height())
        self._fit_agreement()
        self.agreement.setAccessibleName(agreement)
        describe(self.agreement, f"{_OTHERWISE}\n{agreement.partition(';')[0]}{beyond}")
        self.agreement.setVisible(bool(agreement))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Say less of the agreement where there is little room."""
        super().resizeEvent(event)
        self._fit_agreement()

    def _fit_agreement(self) -> None:
        said, wide = self._about.partition(";")[0], self.fontMetrics().horizontalAdvance
        short = f"Reward: {said.partition(' on ')[2]}"
        room = self.width() - wide(self.said.text()) - _AROUND
        self.agreement.setText(next(
            (text for text in (self._about, said) if wide(text) <= room), short))

    def show_pairs(self, there: bool) -> None:
        """Leave out what is about pairs, where there are none."""
        for widget in (self.shown, self.differences, self.make, self.progress, self.said):
            widget.setVisible(there)
        if not there:
            self.prompts.hide()
            self.agreement.hide()

    def offer(self, menu: QMenu, sources: Sequence[Source]) -> None:
        """Fill a menu, which is about to be shown."""
        menu.clear()
        for source in sources:
            if not source.text:
                menu.addSeparator()
                continue
            action = menu.addAction(without_mnemonic(source.text))
            set_tip(action, source.tip)
            enable_action(action, not source.why_not, source.why_not)
            if source.on is not None:
                action.setCheckable(True)
                action.setChecked(source.on)
            action.triggered.connect(lambda _=False, call=source.call: call())

    # -- making it

    def _combo(self, name: str, title: str, tip: str) -> QComboBox:
        combo = named(QComboBox(), name, title, tip)
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        combo.setMinimumContentsLength(_LETTERS)
        return combo

    def _toggle(self, text: str, name: str, tip: str) -> QToolButton:
        return tool_button(text, name, text, tip, "compact", checkable=True)

    def _menu(self, button: QToolButton) -> QMenu:
        menu = QMenu(button)
        menu.setToolTipsVisible(True)
        button.setMenu(menu)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        return menu

    def _draw(self) -> None:
        self.more.setIcon(icon("more"))


def without_newlines(text: str) -> str:
    """Return a text in one line."""
    return " ".join(text.split())
