"""What the person goes by, in their own words, beside the pair."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QPlainTextEdit, QSizePolicy, QWidget

from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.layouts import vbox

_SAVE_MS = 600


class Guidelines(QWidget):
    """``written`` carries the text a moment after it was edited."""

    written = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.field = named(QPlainTextEdit(), "judge_guidelines_text", "Guidelines",
                           "What is good, in your own words; each mark keeps which words were here")
        self.field.setPlaceholderText("What is good? For example: short, true, polite.")
        self.field.setTabChangesFocus(True)
        self.field.setMinimumSize(140, 40)
        self.field.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        title = label("Guidelines", "heading")
        title.setBuddy(self.field)
        vbox(self, title, (self.field, 1), spacing=4)
        self._kept = ""
        self._timer = QTimer(self, singleShot=True, interval=_SAVE_MS)
        self._timer.timeout.connect(self.save)
        self.field.textChanged.connect(self._timer.start)
        self.hide()

    @property
    def text(self) -> str:
        """What stands there."""
        return self.field.toPlainText()

    def show_text(self, text: str) -> None:
        """Show the guidelines of another set."""
        self._kept = text
        self.field.setPlainText(text)
        self._timer.stop()

    def save(self) -> None:
        """Hand over what was edited."""
        self._timer.stop()
        if self.text != self._kept:
            self._kept = self.text
            self.written.emit(self.text)
