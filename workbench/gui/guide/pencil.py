"""What the drawings are made of."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QPainter,
    QPainterPath,
    QPen,
    QPolygonF,
    QTextLayout,
)

from workbench.gui.widgets.theme import Theme, themes

_SMALL = 0.86  # of the font's size
_HEAD = 5  # pixels of an arrow's head
MIDDLE = Qt.AlignmentFlag.AlignCenter
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class Pencil:
    """Draws lines, boxes and words in the colours of the theme."""

    def __init__(self, painter: QPainter, font: QFont) -> None:
        self.painter = painter
        self.theme: Theme = themes().theme
        self.font = QFont(font)
        self.small = QFont(font)
        self.small.setPointSizeF(_SMALL * font.pointSizeF())
        self.bold = QFont(font)
        self.bold.setBold(True)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)

    @property
    def line(self) -> float:
        """The height of a line of small text."""
        return QFontMetricsF(self.small).height()

    def wide(self, text: str, font: QFont | None = None) -> float:
        """Return how wide a text is."""
        return QFontMetricsF(font or self.small).horizontalAdvance(text)

    def write(self, box: QRectF, text: str, colour: str, at: Qt.AlignmentFlag = MIDDLE,
              font: QFont | None = None) -> None:
        """Write one line, as much of it as there is room for."""
        font = font or self.small
        self.painter.setFont(font)
        self.painter.setPen(QColor(colour))
        self.painter.drawText(box, at, QFontMetricsF(font).elidedText(
            text, Qt.TextElideMode.ElideRight, box.width() + 0.5))

    def write_lines(self, box: QRectF, text: str, colour: str, lines: int,
                    font: QFont | None = None) -> float:
        """Write a text in at most so many lines, the last one cut with "…"; return how high it
        is."""
        font = font or self.small
        found = split(text, font, box.width(), lines)
        high = QFontMetricsF(font).height()
        for row, line in enumerate(found):
            self.write(QRectF(box.left(), box.top() + row * high, box.width(), high), line, colour,
                       LEFT, font)
        return len(found) * high

    def box(self, box: QRectF, ground: str, edge: str = "", width: float = 1) -> None:
        """Draw a rounded box."""
        self.painter.setPen(QPen(QColor(edge), width) if edge else QPen(Qt.PenStyle.NoPen))
        self.painter.setBrush(QColor(ground))
        self.painter.drawRoundedRect(box, 5, 5)

    def bar(self, box: QRectF, colour: str) -> None:
        """Fill a rectangle."""
        self.painter.fillRect(box.normalized(), QColor(colour))

    def stroke(self, points: list[QPointF], colour: str, width: float = 1.5,
               style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> None:
        """Draw a line through points."""
        self.painter.setPen(QPen(QColor(colour), width, style))
        self.painter.drawPolyline(QPolygonF(points))

    def curve(self, begin: QPointF, end: QPointF, colour: str, width: float = 1.5) -> None:
        """Draw a line that leaves and arrives level."""
        path, bend = QPainterPath(begin), (end.x() - begin.x()) / 2
        path.cubicTo(QPointF(begin.x() + bend, begin.y()), QPointF(end.x() - bend, end.y()), end)
        self.painter.setBrush(Qt.BrushStyle.NoBrush)
        self.painter.setPen(QPen(QColor(colour), width))
        self.painter.drawPath(path)

    def dot(self, at: QPointF, radius: float, colour: str) -> None:
        """Draw a dot."""
        self.painter.setPen(Qt.PenStyle.NoPen)
        self.painter.setBrush(QColor(colour))
        self.painter.drawEllipse(at, radius, radius)

    def arrow(self, begin: QPointF, end: QPointF, colour: str, width: float = 1.5) -> None:
        """Draw an arrow."""
        self.stroke([begin, end], colour, width)
        along = end - begin
        size = max(1e-6, (along.x() ** 2 + along.y() ** 2) ** 0.5)
        along /= size
        across = QPointF(-along.y(), along.x())
        self.painter.setPen(Qt.PenStyle.NoPen)
        self.painter.setBrush(QColor(colour))
        self.painter.drawPolygon(QPolygonF([
            end + along * 2, end - along * _HEAD + across * _HEAD * 0.8,
            end - along * _HEAD - across * _HEAD * 0.8]))


def split(text: str, font: QFont, width: float, lines: int) -> list[str]:
    """Return the lines of a text that is wrapped at ``width``; more than so many are cut."""
    text = " ".join(text.split())
    layout = QTextLayout(text, font)
    layout.beginLayout()
    found: list[str] = []
    while len(found) < lines:
        line = layout.createLine()
        if not line.isValid():
            break
        line.setLineWidth(width)
        start = line.textStart()
        if len(found) == lines - 1 and start + line.textLength() < len(text):
            found.append(QFontMetricsF(font).elidedText(
                text[start:], Qt.TextElideMode.ElideRight, width))
        else:
            found.append(text[start:start + line.textLength()].strip())
    layout.endLayout()
    return found
