"""Short notices at the foot of the window. They go by themselves and are in the log as well.

In the middle: in the right corner they would lie on the Apply button.
"""

from __future__ import annotations

import logging

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QWidget

LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
# Long enough to read: a second to notice, then about 15 characters a second.
_NOTICE_MS, _MS_PER_CHARACTER = 2500, 60

log = logging.getLogger(__name__)


class Toast(QFrame):
    """One notice at a time over ``parent``; a click sends it away."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._over = parent
        self.setObjectName("toast")
        self._label = QLabel(wordWrap=True)
        self._label.setObjectName("toast_text")
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 8, 16, 8)
        layout.addWidget(self._label)
        self.setAccessibleName("Notice")
        self.setToolTip("Click to close")
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self.hide)
        parent.installEventFilter(self)
        self.hide()

    @property
    def text(self) -> str:
        """The notice that is or was last shown."""
        return self._label.text()

    def show_message(self, level: str, sentence: str) -> None:
        """Show ``sentence``. ``level`` is "info", "warning" or "error"."""
        log.log(LEVELS[level], sentence)
        self._label.setText(sentence)
        self.setAccessibleDescription(sentence)
        self._place()
        self.show()
        self.raise_()
        stay = _NOTICE_MS + _MS_PER_CHARACTER * len(sentence)
        self._timer.start(stay if level == "info" else 2 * stay)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay in place when the window changes its size."""
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return False

    def mousePressEvent(self, _event: object) -> None:
        """Go away when clicked."""
        self.hide()

    def _place(self) -> None:
        over = self._over
        metrics = self._label.fontMetrics()
        wanted = metrics.horizontalAdvance(self._label.text()) + 8
        self._label.setFixedWidth(min(wanted, max(200, min(480, over.width() - 80))))
        self.adjustSize()
        status = over.findChild(QWidget, "status_bar")
        below = status.height() if status else 0
        self.move((over.width() - self.width()) // 2, over.height() - below - self.height() - 16)
