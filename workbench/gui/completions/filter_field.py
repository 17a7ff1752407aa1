"""The field in which a filter of completions is typed."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QLineEdit, QWidget

from workbench.gui.completions.filters import Filter, FilterError, parse
from workbench.gui.widgets.controls import explain, named
from workbench.gui.widgets.problem_note import ProblemNote
from workbench.gui.widgets.theme import set_look

_WAIT_MS = 150
_LEAST, _WIDE = 13, 22  # letters
_EXAMPLE, _WORD = "Filter: reward<0", "Filter"
_AROUND = 28  # pixels of frame and margins


class FilterField(QLineEdit):
    """Tells by ``filtered`` that :attr:`filter` is another. What is mistyped is explained below
    the field, and filters nothing."""

    filtered = Signal()

    def __init__(self, name: str, view: QWidget, row: QWidget | None = None) -> None:
        """``view`` is what the explanation lies over, below ``row`` or the field itself."""
        super().__init__()
        named(self, name, "Filter completions",
              "Show what fits: reward<0, kl>20, length>=40, words or \"quoted text\" in prompt or "
              "completion. Several, with spaces between, must all fit. Escape clears it")
        self.setPlaceholderText(_EXAMPLE)
        self.setClearButtonEnabled(True)
        self.setMinimumWidth(self.fontMetrics().averageCharWidth() * _LEAST)
        self.filter = Filter()
        self.problem = ""
        self._note = ProblemNote(row or self, self)
        self._note.float_in(view)
        self._timer = QTimer(self, singleShot=True, interval=_WAIT_MS)
        self._timer.timeout.connect(self.apply)
        self.textChanged.connect(lambda: self._timer.start())
        self.returnPressed.connect(self.apply)

    def show_text(self, text: str) -> None:
        """Filter by ``text`` at once."""
        self.setText(text)
        self.apply()

    def apply(self) -> None:
        """Read what is typed, now."""
        self._timer.stop()
        try:
            found, self.problem = parse(self.text()), ""
        except FilterError as error:
            found, self.problem = Filter(), str(error)
        self._note.say(self.problem)
        explain(self, self.problem)
        self.setAccessibleDescription(self.problem)
        set_look(self, state="invalid" if self.problem else "")
        if found != self.filter:
            self.filter = found
            self.filtered.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave the example out where it would be cut."""
        super().resizeEvent(event)
        whole = self.fontMetrics().horizontalAdvance(_EXAMPLE) + _AROUND <= self.width()
        self.setPlaceholderText(_EXAMPLE if whole else _WORD)

    def sizeHint(self) -> QSize:
        """Wide enough for the example and the button that clears."""
        return QSize(self.fontMetrics().averageCharWidth() * _WIDE, super().sizeHint().height())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape takes the filter away."""
        if event.key() == Qt.Key.Key_Escape and self.text():
            self.show_text("")
        else:
            super().keyPressEvent(event)
