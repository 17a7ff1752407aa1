"""A line that says something of a model and has a button for what can be done about it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSizePolicy, QWidget
from superqt import QElidingLabel

from workbench.gui.widgets.controls import describe, named, push_button
from workbench.gui.widgets.layouts import hbox
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import set_look


class ButtonLine(QWidget):
    """Hidden until it says something. ``name`` and ``title`` are those of the text, the others
    of the button."""

    def __init__(self, name: str, title: str, role: str, button: str, button_text: str, tip: str,
                 call: Callable[[], object]) -> None:
        super().__init__()
        self.text = named(QElidingLabel(textFormat=Qt.TextFormat.PlainText), name, title, "")
        set_look(self.text, role=role)
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.button = push_button(button_text, button, tip, call)
        set_look(self.button, role="quiet")
        self.row = hbox(self, (self.text, 1), self.button, spacing=8)
        self.hide()

    def say(self, sentence: str, in_full: str, tip: str = "") -> None:
        """Show ``sentence``, or go where it is empty. ``in_full`` is its tooltip, ``tip`` another
        one for the button."""
        if sentence:
            self.text.setText(sentence)
            self.text.setToolTip(plain_tip(in_full))
            self.text.setAccessibleDescription(in_full)
        if tip:
            describe(self.button, tip)
        self.setVisible(bool(sentence))
