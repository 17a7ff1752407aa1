"""One pair: the prompt above, two completions side by side, and what can be said of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence, QMouseEvent, QTextOption
from PySide6.QtWidgets import QApplication, QPushButton, QTextEdit, QWidget

from workbench.gui.actions import set_tip
from workbench.gui.completions.diff import word_difference
from workbench.gui.completions.marks import fill
from workbench.gui.widgets.controls import label, named, tool_button
from workbench.gui.widgets.icons import icon
from workbench.gui.widgets.layouts import hbox, vbox
from workbench.gui.widgets.plain_text import shortened
from workbench.gui.widgets.theme import set_look, themes
from workbench.store.judged import CLEARLY, NOT_SAID, SLIGHTLY

Said = Literal["left", "right", "tie", "both_bad", "skip"]
_PROMPT_LINES, _LEAST_LINES = 4, 3
_ROOMY = 82
"""Letters in a line from which on the buttons have room for all they say."""
_PAIR = "a pair to learn from. With Shift: clearly better"
_ANSWERS: Mapping[Said, tuple[str, str, str, str]] = {
    "left": ("Left is better", "Left", "1", f"The left one is better: {_PAIR}"),
    "right": ("Right is better", "Right", "2", f"The right one is better: {_PAIR}"),
    "tie": ("Tie", "Tie", "3", "Both are as good: no pair, and two thumbs up for what learns from "
            "thumbs"),
    "both_bad": ("Both bad", "Bad", "4", "Neither is good: no pair, and two thumbs down for what "
                 "learns from thumbs"),
}
"""What can be said, in the order of the buttons: a text, another where there is little room, the
key, and what it means."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is on the stage. ``said`` is what was said of it before, ``facts`` what is known of the
    sides where that may be known."""

    prompt: str
    left: str
    right: str
    said: Said | None = None
    clearly: bool = False
    facts: tuple[str, str] = ("", "")


class Stage(QWidget):
    """``answered`` carries what was said and how strong that is. Its keys work wherever in it the
    keyboard is."""

    answered = Signal(str, int)
    undo_wanted = Signal()
    stepped = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        named(self, "judge_stage", "Which is better?", "")
        self._differences = False
        self._shown: Shown | None = None
        self._highest, self._fitted = 0.0, QSize()
        self.prompt = _Text("judge_prompt", "Prompt", "The prompt that both complete")
        self.left = _Text("judge_left", "Left completion", "The completion on the left")
        self.right = _Text("judge_right", "Right completion", "The completion on the right")
        self._facts = [label("", "muted", wrap=True, name=f"judge_facts_{side}",
                             title=f"About the {side} completion") for side in ("left", "right")]
        self.buttons: dict[Said, _Answer] = {}
        for said, (text, short, key, tip) in _ANSWERS.items():
            button = self.buttons[said] = _Answer(said, text, short, key, tip)
            button.clicked.connect(partial(self._answer, said, None))
        self.skip = tool_button("Skip", "judge_skip", "Skip",
                                "Leave this pair for later (Space)", "compact")
        self.skip.clicked.connect(partial(self._answer, "skip", NOT_SAID))
        self.undo = tool_button("Undo", "judge_undo_button", "Undo the last mark",
                                "Take the last mark back and go to its pair (Z)", "compact")
        self.undo.clicked.connect(lambda _=False: self.undo_wanted.emit())
        for tool in (self.skip, self.undo):
            tool.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            tool.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        for button in self.buttons.values():
            button.setMinimumHeight(self.skip.sizeHint().height())
        columns = [vbox(None, (text, 1), facts, spacing=2)
                   for text, facts in zip((self.left, self.right), self._facts, strict=True)]
        vbox(self, self.prompt, (hbox(None, (columns[0], 1), (columns[1], 1), spacing=8), 1),
             hbox(None, *((button, 1) for button in self.buttons.values()), self.skip, self.undo,
                  spacing=6), spacing=6)
        self._make_actions()
        self._draw()
        themes().changed.connect(self._draw)

    # -- what is shown

    def show_pair(self, shown: Shown) -> None:
        """Show a pair from its beginning."""
        if any(text.hasFocus() for text in (self.prompt, self.left, self.right)):
            self.setFocus()  # what was marked in the texts before is gone
        self._shown = shown
        self.prompt.setPlainText(shown.prompt)
        self._fit_prompt()
        self._fill()
        for said, button in self.buttons.items():
            button.show_said(said == shown.said, shown.clearly)
        # A screen reader says it whenever it is another.
        self.setAccessibleDescription(
            f"Prompt: {shortened(shown.prompt)}\nLeft: {shortened(shown.left.strip())}\n"
            f"Right: {shortened(shown.right.strip())}")
        for facts, text in zip(self._facts, shown.facts, strict=True):
            facts.setText(text)
            facts.setVisible(bool(text))
        self._level_facts()

    def _level_facts(self) -> None:
        """Let what is said of the two be equally high, so that both completions are."""
        for facts in self._facts:
            facts.setMinimumHeight(0)
        highest = max(0, *(facts.heightForWidth(max(1, facts.width())) for facts in self._facts))
        for facts in self._facts:
            facts.setMinimumHeight(highest)

    def show_differences(self, on: bool) -> None:
        """Mark the words in which the two differ, or no longer."""
        self._differences = on
        self._fill()

    def _fill(self) -> None:
        if self._shown is None:
            return
        left, right = self._shown.left.strip(), self._shown.right.strip()
        found = word_difference(left, right) if self._differences else None
        fill(self.left, left, found.deleted if found else ())
        fill(self.right, right, found.inserted if found else ())

    # -- keys

    def event(self, event: QEvent) -> bool:
        """Keep Ctrl+Z here for the last mark; elsewhere it undoes edits."""
        if event.type() == QEvent.Type.ShortcutOverride and is_undo(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space skips, the arrows go to the pairs before and after, Ctrl+Z takes back."""
        if event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self.stepped.emit(1 if event.key() == Qt.Key.Key_Right else -1)
        elif event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            for text in (self.left, self.right):
                bar = text.verticalScrollBar()
                bar.setValue(bar.value() + bar.singleStep() * (
                    3 if event.key() == Qt.Key.Key_Down else -3))
        elif event.key() == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self._answer("skip", NOT_SAID)
        elif is_undo(event):
            self.undo_wanted.emit()
        else:
            super().keyPressEvent(event)

    def _answer(self, said: Said, strength: int | None, _checked: bool = False) -> None:
        if strength is None:  # of the key that is held with a click
            shift = Qt.KeyboardModifier.ShiftModifier in QApplication.keyboardModifiers()
            strength = CLEARLY if shift else SLIGHTLY
        self.answered.emit(said, NOT_SAID if said in ("skip", "both_bad") else strength)

    def _make_actions(self) -> None:
        """Keys that mean the same wherever in the stage the keyboard is, by name in the palette and
        among the shortcuts."""
        for said, (text, _, key, tip) in _ANSWERS.items():
            self._action(f"judge_{said}", text, key, tip, partial(self._answer, said, SLIGHTLY))
            if said in ("left", "right"):
                self._action(f"judge_{said}_clearly", f"{text}, clearly", f"Shift+{key}", tip,
                             partial(self._answer, said, CLEARLY))
        self.undo_action = self._action(
            "judge_undo", "Undo the last mark", "Z",
            "Take the last mark back and go to its pair; Ctrl+Z does it as well",
            lambda _=False: self.undo_wanted.emit())

    def _action(self, name: str, text: str, key: str, tip: str, call: object) -> QAction:
        action = QAction(text, self)
        action.setObjectName(name)
        action.setShortcut(QKeySequence(key))
        action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        action.setAutoRepeat(False)  # a key that is held marks one pair
        set_tip(action, tip)
        action.triggered.connect(call)
        self.addAction(action)
        return action

    # -- looks

    def _draw(self) -> None:
        self.undo.setIcon(icon("undo"))
        self.skip.setIcon(icon("step"))
        self._fill()

    def _fit_prompt(self) -> None:
        """Be as high as the prompt, up to a few lines; no lower than for those before, so that the
        completions stay where they are."""
        text = self.prompt
        text.ensurePolished()  # the style has margins of its own
        line = self.fontMetrics().lineSpacing()
        around = 2 * text.document().documentMargin() + text.contentsMargins().top() + (
            text.contentsMargins().bottom())
        text.document().setTextWidth(text.viewport().width())
        wanted = text.document().size().height() - 2 * text.document().documentMargin()
        most = _PROMPT_LINES if self.height() > 20 * line else 2
        room = self.size()
        self._highest = max(wanted, self._highest if room == self._fitted else 0.0)
        self._fitted = room
        text.setFixedHeight(math.ceil(max(line, min(self._highest, most * line)) + around + 2))

    def resizeEvent(self, event: object) -> None:
        """Wrap the prompt anew, and say on the buttons what there is room for."""
        super().resizeEvent(event)  # type: ignore[arg-type]
        self._fit_prompt()
        self._level_facts()
        narrow = self.width() < self.fontMetrics().averageCharWidth() * _ROOMY
        for button in self.buttons.values():
            button.show_short(narrow)
        style = (Qt.ToolButtonStyle.ToolButtonIconOnly if narrow
                 else Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        for tool in (self.skip, self.undo):
            tool.setToolButtonStyle(style)

    def minimumSizeHint(self) -> QSize:
        """High enough to read a few lines of both."""
        line = self.fontMetrics().lineSpacing()
        return QSize(320, self.prompt.height() + _LEAST_LINES * line + 84)


class _Answer(QPushButton):
    """A button for one answer, with its key. A double click is one click: the second would be for
    the next pair."""

    def __init__(self, said: Said, text: str, short: str, key: str, tip: str) -> None:
        super().__init__()
        self._text, self._short, self._key = text, short, key
        self._is_short = self._said = self._clearly = False
        named(self, f"judge_button_{said}", text, f"{tip} ({key})")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.show_said(False, False)

    def show_said(self, on: bool, clearly: bool) -> None:
        """Say whether this was said before."""
        self._said, self._clearly = on, clearly
        text = self._text.replace("is better", "is clearly better") if on and clearly else (
            self._text)
        self.setAccessibleName(f"{text}, as you said" if on else text)
        shown = f"{self._short}{'!' * (on and clearly)}" if self._is_short else text
        self.setText(f"{'✓ ' if on else ''}{shown}   {self._key}")
        set_look(self, state="edited" if on else "")

    def show_short(self, short: bool) -> None:
        """Say less where there is little room."""
        if short != self._is_short:
            self._is_short = short
            self.show_said(self._said, self._clearly)

    def minimumSizeHint(self) -> QSize:
        """As narrow as its words, so that all stand in a line."""
        wide = self.fontMetrics().horizontalAdvance(self.text()) + 12
        return QSize(wide, super().minimumSizeHint().height())

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Do nothing."""
        event.accept()


class _Text(QTextEdit):
    """A text to be read, from which keys that mean something on the stage go on to it."""

    def __init__(self, name: str, title: str, tip: str) -> None:
        super().__init__(readOnly=True)
        named(self, name, title, tip)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setTabChangesFocus(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(120)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keep copying and paging."""
        if event.matches(QKeySequence.StandardKey.Copy) or event.key() in (
                Qt.Key.Key_PageUp, Qt.Key.Key_PageDown, Qt.Key.Key_Home, Qt.Key.Key_End):
            super().keyPressEvent(event)
        else:
            event.ignore()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click that selects nothing leaves the keyboard with the whole pair."""
        super().mouseReleaseEvent(event)
        whole = self.parentWidget()
        if whole is not None and not self.textCursor().hasSelection():
            whole.setFocus(Qt.FocusReason.MouseFocusReason)

    def minimumSizeHint(self) -> QSize:
        """A few lines."""
        return QSize(120, self.fontMetrics().lineSpacing() * _LEAST_LINES)

    def sizeHint(self) -> QSize:
        """No more: it takes the room there is."""
        return self.minimumSizeHint()


def is_undo(event: QEvent) -> bool:
    """Whether a key asks to take something back."""
    return isinstance(event, QKeyEvent) and event.matches(QKeySequence.StandardKey.Undo)
