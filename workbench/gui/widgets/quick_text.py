"""Single lines of text that are painted again and again."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QStaticText, QTransform
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

_KEPT = 2048
_PAD = 3  # pixels beside a cell's text
Index = QModelIndex | QPersistentModelIndex


class QuickText:
    """Draws lines in one font. Each is laid out once: Qt would do it at every paint, which for a
    table of numbers is most of the time."""

    def __init__(self, font: QFont) -> None:
        self.font = QFont(font)
        self._metrics = QFontMetrics(self.font)
        self._line = lru_cache(_KEPT)(self._lay_out)
        self._elided = lru_cache(_KEPT)(self._elide)

    def width(self, text: str) -> float:
        """Return how wide a line is, in pixels."""
        return self._line(text).size().width()

    def draw(self, painter: QPainter, x: float, y: float, text: str) -> None:
        """Draw a line whose upper left corner is at (x, y)."""
        painter.setFont(self.font)
        painter.drawStaticText(QPointF(x, y), self._line(text))

    def draw_right(self, painter: QPainter, right: float, y: float, text: str) -> None:
        """Draw a line that ends at ``right``."""
        self.draw(painter, right - self.width(text), y, text)

    def draw_cell(self, painter: QPainter, cell: QRect, text: str, right: bool) -> None:
        """Draw what there is room for of a line in the middle of a cell, at its left or right."""
        shown = self._elided(text, cell.width() - 2 * _PAD)
        x = cell.right() + 1 - _PAD - self.width(shown) if right else cell.left() + _PAD
        self.draw(painter, x, cell.top() + (cell.height() - self._metrics.height()) // 2, shown)

    def _elide(self, text: str, width: int) -> str:
        # No more than may be seen is measured: hardly a letter is narrower than two pixels.
        return self._metrics.elidedText(
            text[: max(width, 0) // 2 + 2], Qt.TextElideMode.ElideRight, width)

    def _lay_out(self, text: str) -> QStaticText:
        line = QStaticText(text)
        line.setTextFormat(Qt.TextFormat.PlainText)
        line.setPerformanceHint(QStaticText.PerformanceHint.AggressiveCaching)
        line.prepare(QTransform(), self.font)
        return line


class QuickDelegate(QStyledItemDelegate):
    """Paints cells of one line of text on a ground, as the style sheet has them, without asking
    Qt's style and a dozen roles for each."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._view = parent
        self._text = QuickText(parent.font())

    def cell(self, index: Index) -> tuple[str, QColor | None, bool]:
        """Return a cell's text and ground, and whether it stands at the right."""
        return str(index.data() or ""), None, False

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint one cell."""
        if self._text.font != self._view.font():
            self._text = QuickText(self._view.font())
        text, ground, right = self.cell(index)
        rect: QRect = option.rect
        if option.state & QStyle.StateFlag.State_Selected:
            ground = option.palette.highlight().color()
        if ground is not None:
            painter.fillRect(rect, ground)
        painter.setPen(option.palette.text().color())
        self._text.draw_cell(painter, rect, text, right)
