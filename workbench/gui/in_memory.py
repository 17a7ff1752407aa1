"""The line under a model's field while another model is in memory."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget
from superqt import QElidingLabel

from workbench.gui.controls import named, push_button
from workbench.gui.plain_text import plain_tip


class InMemory(QWidget):
    """Says that what is named is not loaded and what is there instead, and offers to show it."""

    def __init__(self, what: str, show_again: Callable[[], object]) -> None:
        super().__init__()
        self.text = named(QElidingLabel(textFormat=Qt.TextFormat.PlainText),
                          f"{what}_in_memory", f"{what.title()} in memory",
                          f"The {what} that is loaded")
        self.text.setProperty("role", "warning")
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.button = push_button(
            "Show it again", f"show_loaded_{what}",
            f"Show the {what} that is in memory in place of the one that is not loaded", show_again)
        self.button.setProperty("role", "quiet")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.button)
        self.hide()

    def show_instead(self, name: str, source: str) -> None:
        """Say that ``name``, from ``source``, is loaded instead; nothing hides the line."""
        self.text.setText(f"Not loaded. In memory: {name}")
        self.text.setToolTip(plain_tip(f"Not loaded. In memory: {name}\n{source}"))
        self.setVisible(bool(name))
