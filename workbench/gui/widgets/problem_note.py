"""What is wrong with the field that has the keyboard, over what stands below it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, Signal
from PySide6.QtWidgets import QLabel, QWidget

_GAP = 2
_FOLLOWED = frozenset({QEvent.Type.FocusIn, QEvent.Type.FocusOut, QEvent.Type.Move,
                       QEvent.Type.Resize, QEvent.Type.Hide})


class ProblemNote(QLabel):
    """Stands below ``row`` while ``field`` has the keyboard, in no layout: nothing may move under
    the pointer with each key. Clicks go through it. ``turned`` tells that it came or went."""

    turned = Signal()

    def __init__(self, row: QWidget, field: QWidget) -> None:
        super().__init__(row)
        self._row, self._field = row, field
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", "problem")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def float_in(self, form: QWidget) -> None:
        """Lie over the rows of ``form``."""
        self.setParent(form)

    def say(self, sentence: str) -> None:
        """Show a sentence; "" takes it away."""
        self.setText(sentence)
        for watched in (self._row, self._field):
            if sentence:
                watched.installEventFilter(self)
            else:  # sixty that follow what need not be followed are felt in a window's start
                watched.removeEventFilter(self)
        self._place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the row and the keyboard."""
        if event.type() in _FOLLOWED:
            before = self.isHidden()
            self._place()
            if before != self.isHidden():
                self.turned.emit()
        return False

    def _place(self) -> None:
        form, row = self.parentWidget(), self._row
        if form is None or form is row or not self.text() or not self._field.hasFocus():
            self.hide()
            return
        self.show()
        self.ensurePolished()
        at = row.mapTo(form, QPoint(0, 0))
        high = self.heightForWidth(row.width())
        seen = form.visibleRegion().boundingRect()
        below = at.y() + row.height() + _GAP
        fits = not seen.isValid() or below + high <= seen.bottom()
        self.setGeometry(at.x(), below if fits else at.y() - high - _GAP, row.width(), high)
        self.raise_()
