"""The row above one prompt: back to all, the ones beside it, its text."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QWidget

from workbench.gui.completions.rows import Row
from workbench.gui.widgets.controls import enable, label, tool_button
from workbench.gui.widgets.plain_text import plain_tip, shortened

_START = "The start policy has learned from no completion yet."


class Heading(QWidget):
    """``name`` begins the names of its controls."""

    closed = Signal()
    moved = Signal(int)  # to the next row (+1) or the previous (-1)
    tokens_wanted = Signal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._bar = QHBoxLayout(self)
        self._bar.setContentsMargins(0, 0, 0, 0)
        self._bar.setSpacing(8)
        self.add("back", "‹ All prompts", "Back to the table (Escape)").clicked.connect(
            lambda: self.closed.emit())
        self.add("previous", "↑", "The previous prompt (Alt+Up)").clicked.connect(
            lambda: self.moved.emit(-1))
        self.add("next", "↓", "The next prompt (Alt+Down)").clicked.connect(
            lambda: self.moved.emit(1))
        self._prompt = label(role="heading", wrap=True)
        self._prompt.setObjectName(f"{name}_prompt")
        self._prompt.setAccessibleName("Prompt")
        self._prompt.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._bar.addWidget(self._prompt, 1)
        self.tokens = self.add(
            "tokens", "Tokens", "What the cycle learned from this prompt, token by token: value, "
            "advantage, clip, KL (Alt+Right)")
        self.tokens.clicked.connect(lambda: self.tokens_wanted.emit())

    def add(self, name: str, text: str, tip: str) -> QToolButton:
        """Add a button at the end, and return it."""
        button = tool_button(text, f"{self._name}_{name}", tip.partition(" (")[0], tip)
        self._bar.addWidget(button)
        return button

    def show_row(self, row: Row) -> None:
        """Show a prompt."""
        self._prompt.setText(("★ " if row.pinned else "") + shortened(row.prompt, 300, 3))
        self._prompt.setToolTip(plain_tip(row.prompt))

    def set_cycle(self, cycle: int) -> None:
        """Say of which cycle tokens would be shown."""
        enable(self.tokens, bool(cycle), _START)

    def take_key(self, event: QKeyEvent) -> bool:
        """Do what a key of the page is for; return whether it is one."""
        alt = event.modifiers() & Qt.KeyboardModifier.AltModifier
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()))
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        elif step and alt:
            self.moved.emit(step)
        elif event.key() == Qt.Key.Key_Right and alt:
            self.tokens_wanted.emit()
        else:
            return False
        return True
