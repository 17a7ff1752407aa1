"""A label that gives way where there is too little room."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QLabel, QWidget

_ELLIPSIS_WIDTH = 2  # pixels that a shortened text may take more than it is measured to


class ElidingLabel(QLabel):
    """A line of plain text that ends in "…" where it is wider than the label; :meth:`text` is all
    of it."""

    def __init__(self, text: str = "", parent: QWidget | None = None, **properties: Any) -> None:
        self._text = text
        self._elide_mode = Qt.TextElideMode.ElideRight
        self._kept = _ELLIPSIS_WIDTH
        super().__init__("", parent, textFormat=Qt.TextFormat.PlainText, **properties)
        self.setText(text)

    def text(self) -> str:
        """Return the whole text."""
        return self._text

    def setText(self, text: str) -> None:
        """Show another text."""
        self._text = text
        self._elide()

    def set_elide_mode(self, mode: Qt.TextElideMode) -> None:
        """Choose where a text that is too long lacks a part."""
        self._elide_mode = mode
        self._elide()

    def keep_free(self, pixels: int) -> None:
        """Leave so much of the width without text, such as margins."""
        self._kept = pixels
        self._elide()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show as much as there is room for now."""
        super().resizeEvent(event)
        self._elide()

    def minimumSizeHint(self) -> QSize:
        """Be no narrower than "…"."""
        metrics = QFontMetrics(self.font())
        return QSize(metrics.horizontalAdvance("..."), metrics.height())

    def _elide(self) -> None:
        super().setText(QFontMetrics(self.font()).elidedText(
            self._text, self._elide_mode, self.width() - self._kept))
