"""One comparison in full: the two texts beside each other, scrolling together."""

from __future__ import annotations

import math
from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QSplitter,
    QTextEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from workbench.gui.completions import completion_texts
from workbench.gui.completions.diff import marked_difference
from workbench.gui.completions.marks import fill
from workbench.gui.completions.model import Comparison
from workbench.gui.widgets.controls import enable, label, tool_button
from workbench.gui.widgets.plain_text import plain_tip, shortened
from workbench.gui.widgets.theme import themes


class Detail(QWidget):
    """Shows one comparison; the texts may be as long as they like."""

    closed = Signal()
    moved = Signal(int)  # to the next row (+1) or the previous (-1)
    tokens_wanted = Signal(int, int)  # cycle, prompt

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: tuple[Comparison, int, int | None] | None = None
        self._scrolling = False
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        bar = QHBoxLayout()
        bar.setSpacing(8)
        bar.addWidget(self._button("detail_back", "‹ All prompts", "Back to the list (Escape)",
                                   self.closed.emit))
        bar.addWidget(self._button("detail_previous", "↑", "The previous prompt (Alt+Up)",
                                   lambda: self.moved.emit(-1)))
        bar.addWidget(self._button("detail_next", "↓", "The next prompt (Alt+Down)",
                                   lambda: self.moved.emit(1)))
        self._prompt = label()
        self._prompt.setObjectName("detail_prompt")
        self._prompt.setAccessibleName("Prompt")
        self._prompt.setProperty("role", "heading")
        self._prompt.setWordWrap(True)
        self._prompt.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        bar.addWidget(self._prompt, 1)
        self._change = label()
        self._change.setAccessibleName("Change in reward")
        self._change.setProperty("role", "heading")
        bar.addWidget(self._change)
        self._tokens = self._button(
            "detail_tokens", "Tokens", "What the cycle learned from this prompt, token by token: "
            "value, advantage, clip, KL (Alt+Right)", self._want_tokens)
        bar.addWidget(self._tokens)
        layout.addLayout(bar)
        self._titles, self._texts = [], []
        panes = QSplitter(Qt.Orientation.Horizontal)
        panes.setChildrenCollapsible(False)
        for side in ("Before", "After"):
            pane = QWidget()
            column = QVBoxLayout(pane)
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(4)
            title, text = label(role="muted", wrap=True), QTextEdit()
            text.setReadOnly(True)
            text.setObjectName(f"detail_{side.lower()}")
            text.setAccessibleName(f"Completion {side.lower()}")
            text.setToolTip(plain_tip("Both texts scroll together. Changed words are marked."))
            column.addWidget(title)
            column.addWidget(text, 1)
            panes.addWidget(pane)
            self._titles.append(title)
            self._texts.append(text)
        layout.addWidget(panes, 1)
        for one, other in (self._texts, self._texts[::-1]):
            one.verticalScrollBar().valueChanged.connect(
                lambda _, one=one, other=other: self._scroll_alike(one, other))
        themes().changed.connect(self._repaint)

    def show_comparison(self, row: Comparison, before: int, after: int | None) -> None:
        """Show ``row`` of the cycles ``before`` and ``after``."""
        same_prompt = self._shown is not None and self._shown[0].prompt == row.prompt
        places = [text.verticalScrollBar().value() for text in self._texts]
        self._shown = (row, before, after)
        theme = themes().theme
        self._prompt.setText(("★ " if row.pinned else "") + shortened(row.prompt, 300, 3))
        self._prompt.setToolTip(plain_tip(row.prompt))
        self._change.setText(completion_texts.change(row.change))
        colour = theme.good if row.change > 0 else theme.bad if row.change < 0 else theme.muted
        self._change.setStyleSheet(f"color: {colour}")
        self._change.setVisible(math.isfinite(row.change))
        enable(self._tokens, bool(after or before),
               "The start policy has learned from no completion yet.")
        # Without the space that joins it to the prompt, as in the list.
        shown = [(record or row.before).text.lstrip(" ") for record in (row.before, row.after)]
        found = marked_difference(*shown)
        sides = (("Before", before, row.before, found.deleted),
                 ("After", after, row.after, found.inserted))
        for title, text, written, (name, cycle, record, changed) in zip(
                self._titles, self._texts, shown, sides, strict=True):
            if record is None or cycle is None:
                title.setText(f"{name}: the next cycle")
                text.clear()
                continue
            title.setText(f"{name}: {completion_texts.cycle_name(cycle)} · "
                          f"{completion_texts.facts(record)}")
            fill(text, written, changed)
        if same_prompt:  # a new cycle of what is being read: stay in place
            for text, place in zip(self._texts, places, strict=True):
                text.verticalScrollBar().setValue(place)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape goes back; Alt with up and down goes through the rows, with right to the
        tokens."""
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()))
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        elif step and event.modifiers() & Qt.KeyboardModifier.AltModifier:
            self.moved.emit(step)
        elif (event.key() == Qt.Key.Key_Right
              and event.modifiers() & Qt.KeyboardModifier.AltModifier):
            self._want_tokens()
        else:
            super().keyPressEvent(event)

    def take_focus(self) -> None:
        """Let the keyboard scroll the text after."""
        self._texts[1].setFocus()

    def _scroll_alike(self, one: QTextEdit, other: QTextEdit) -> None:
        """Scroll ``other`` to the same share of its length."""
        if self._scrolling:
            return
        self._scrolling = True
        source, target = one.verticalScrollBar(), other.verticalScrollBar()
        share = source.value() / source.maximum() if source.maximum() else 0.0
        target.setValue(round(share * target.maximum()))
        self._scrolling = False

    def _want_tokens(self) -> None:
        if self._shown:
            row, before, after = self._shown
            if cycle := after or before:
                self.tokens_wanted.emit(cycle, row.before.prompt)

    def _repaint(self) -> None:
        if self._shown:
            self.show_comparison(*self._shown)

    def _button(self, name: str, text: str, tip: str, call: Callable[[], object]) -> QToolButton:
        button = tool_button(text, name, tip.partition(" (")[0], tip)
        button.clicked.connect(lambda: call())
        return button
