"""Bars of the likeliest tokens: a mark for each policy, and arrows for what entropy pushes."""

from __future__ import annotations

import math

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from workbench.formatting import percent, short_number, visible
from workbench.gui.chances.reading import Picture, Row
from workbench.gui.what_is import Explanation, explain_by
from workbench.gui.widgets.controls import named
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import Theme, mix, themes

OTHERS = "all others"
_DRAWN = "▸ "
_GAP = 8  # pixels between columns
_ENTROPY_COLOUR = 2  # of the theme's series: that of the entropy term in Objective
_LEAST_ARROW, _HEAD = 5.0, 3.5  # pixels
_TIP = ("How likely the tokens are that could stand here, likeliest first, and below them all "
        "others together. ▸ is the one that was drawn. Up and Down go through them.")

_WHAT = Explanation(
    "Chances of tokens", f"{_TIP} Dividing by a temperature T above 1 evens the chances out, below "
    "1 it sharpens them: it changes what is drawn, not what is learned.",
    formula="π(v) = {exp(z_v ÷ T)}÷{Σ_u exp(z_u ÷ T)}")


class ChanceBars(QWidget):
    """``pointed`` carries the row under the pointer or chosen by the keyboard; None: none is."""

    pointed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        named(self, "chance_bars", "Chances of tokens", _TIP)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        explain_by(self, lambda: _WHAT)
        self.picture = Picture()
        self.symbol = ""
        """What the entropy term's coefficient is called."""
        self.highest = 1.0
        """How many times as high as it has to be a row may be, where there is room."""
        self._row = -1
        self._widths: tuple[float, float, float] | None = None
        themes().changed.connect(self.update)

    def show_picture(self, picture: Picture, symbol: str) -> None:
        """Draw other bars."""
        self.picture, self.symbol, self._widths = picture, symbol, None
        self.setAccessibleDescription(" ".join(
            say_row(row, picture) for row in picture.rows))
        if self._row >= len(picture.rows):
            self._row = -1
        self.updateGeometry()
        self.update()
        self.pointed.emit(self._pointed())

    def sizeHint(self) -> QSize:
        """Wide enough to compare bars."""
        return QSize(440, self.minimumSizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """Room for every row."""
        return QSize(260, round(self._head() + self._least() * max(6, len(self.picture.rows))))

    # -- where things are

    def bar(self, row: int, mark: int) -> QRectF:
        """Return where the bar of a row's mark is drawn; its width is its chance."""
        picture = self.picture
        left, right = self._track()
        line = self._line()
        thick = (line - 6) / max(2, len(picture.marks))
        top = self._head() + row * line + (line - thick * len(picture.marks)) / 2
        chance = picture.rows[row].chances[mark]
        return QRectF(left, top + mark * thick,
                      (right - left) * (chance if math.isfinite(chance) else 0.0), thick - 1)

    def arrow(self, row: int) -> float:
        """Return how far a row's arrow goes up in pixels, or down, below 0; 0: it has none."""
        push = self.picture.rows[row].push
        largest = max((abs(r.push) for r in self.picture.rows if math.isfinite(r.push)),
                      default=0.0)
        if not math.isfinite(push) or not push or not largest:
            return 0.0
        most = self._line() - 8
        return math.copysign(
            _LEAST_ARROW + (most - _LEAST_ARROW) * abs(push) / largest, push)

    def _metrics(self) -> QFontMetricsF:
        return QFontMetricsF(self.font())

    def _least(self) -> float:
        return self._metrics().height() + 6

    def _line(self) -> float:
        room = (self.height() - self._head()) / max(1, len(self.picture.rows))
        return max(self._least(), min(room, self.highest * self._least()))

    def _head(self) -> float:
        return self._metrics().height() + 8

    def _columns(self) -> tuple[float, float, float]:
        """Return how wide texts, numbers and arrows are."""
        if self._widths is None:
            self._widths = self._measure()
        texts, numbers, arrows = self._widths
        return min(texts, 0.3 * self.width()), numbers, arrows

    def _measure(self) -> tuple[float, float, float]:
        metrics, picture = self._metrics(), self.picture
        texts = max((metrics.horizontalAdvance(_DRAWN + _name(row)) for row in picture.rows),
                    default=0.0)
        numbers = max((metrics.horizontalAdvance(_numbers(row, picture)) for row in picture.rows),
                      default=0.0)
        arrows = metrics.horizontalAdvance(self._title()) + _GAP if picture.pushes else 0.0
        return texts + _GAP, numbers + _GAP, arrows

    def changeEvent(self, event: QEvent) -> None:
        """Measure anew when the font is another."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._widths = None

    def _track(self) -> tuple[float, float]:
        """Return where bars begin, and where one of a chance of 1 ends."""
        texts, numbers, arrows = self._columns()
        return texts, max(texts + 20, self.width() - numbers - arrows)

    def _title(self) -> str:
        return f"{self.symbol} pushes"

    # -- pointing

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Point at the row under the pointer."""
        row = math.floor((event.position().y() - self._head()) / self._line())
        self._point_at(row if 0 <= row < len(self.picture.rows) else -1)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go from row to row."""
        step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()))
        if step is None or not self.picture.rows:
            super().keyPressEvent(event)
            return
        self._point_at(max(0, min(self._row + step, len(self.picture.rows) - 1)))

    def _pointed(self) -> Row | None:
        return self.picture.rows[self._row] if self._row >= 0 else None

    def _point_at(self, row: int) -> None:
        if row != self._row:
            self._row = row
            found = self._pointed()
            self.setToolTip(plain_tip(
                _TIP if found is None else say_row(found, self.picture)))
            self.pointed.emit(found)
            self.update()

    # -- drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it all."""
        theme = themes().theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.picture.rows:
            self._draw_legend(painter, theme)
            for row in range(len(self.picture.rows)):
                self._draw_row(painter, row, theme)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(theme.accent), 1))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)

    def _colours(self, theme: Theme) -> list[QColor]:
        """Return a colour a mark; the last is the policy's after all that was learned."""
        between = mix(theme.accent, theme.base, 0.45)
        marks = len(self.picture.marks)
        colours = (theme.muted, between, theme.accent) if marks > 2 else (theme.muted, theme.accent)
        return [QColor(colour) for colour in colours[-marks:]]

    def _draw_legend(self, painter: QPainter, theme: Theme) -> None:
        metrics, x, high = self._metrics(), 2.0, self._head()
        end = self.width() - self._columns()[2]
        size = 9.0
        for mark, colour in zip(self.picture.marks, self._colours(theme), strict=True):
            painter.fillRect(QRectF(x, (high - size) / 2, size, size), colour)
            text = metrics.elidedText(mark, Qt.TextElideMode.ElideRight, max(0.0, end - x - 14))
            painter.setPen(QColor(theme.text))
            painter.drawText(QRectF(x + size + 4, 0, end - x, high),
                             Qt.AlignmentFlag.AlignVCenter, text)
            x += size + 4 + metrics.horizontalAdvance(text) + 14
        if self.picture.pushes:
            painter.setPen(QColor(theme.series[_ENTROPY_COLOUR]))
            painter.drawText(QRectF(0, 0, self.width() - _GAP / 2, high),
                             Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight,
                             self._title())

    def _draw_row(self, painter: QPainter, row: int, theme: Theme) -> None:
        picture, found = self.picture, self.picture.rows[row]
        line, (left, right) = self._line(), self._track()
        whole = QRectF(0, self._head() + row * line, self.width(), line)
        if row == self._row:
            painter.fillRect(whole, QColor(theme.changed))
        if found.piece is None:
            painter.setPen(QColor(theme.border))
            painter.drawLine(whole.topLeft(), whole.topRight())
        painter.fillRect(QRectF(left, whole.top() + 3, right - left, line - 6),
                         QColor(mix(theme.border, theme.base, 0.35)))
        for mark, colour in enumerate(self._colours(theme)):
            painter.fillRect(self.bar(row, mark), colour)
        font = QFont(self.font())
        font.setBold(found.drawn)
        painter.setFont(font)
        painter.setPen(QColor(theme.muted if found.piece is None else
                              theme.accent if found.drawn else theme.text))
        text = (_DRAWN if found.drawn else "") + _name(found)
        painter.drawText(
            QRectF(0, whole.top(), left - _GAP, line),
            Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight,
            QFontMetricsF(font).elidedText(text, Qt.TextElideMode.ElideMiddle, left - _GAP))
        painter.setFont(self.font())
        painter.setPen(QColor(theme.text))
        painter.drawText(
            QRectF(right, whole.top(), self._columns()[1], line),
            Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight,
            _numbers(found, picture))
        self._draw_arrow(painter, row, whole, theme)

    def _draw_arrow(self, painter: QPainter, row: int, whole: QRectF, theme: Theme) -> None:
        far = self.arrow(row)
        if not far:
            return
        x = self.width() - self._columns()[2] / 2
        middle = whole.center().y()
        tail, tip = middle + far / 2, middle - far / 2
        back = tip + math.copysign(_HEAD, far)
        colour = QColor(theme.series[_ENTROPY_COLOUR])
        painter.setPen(QPen(colour, 1.6))
        painter.drawLine(QPointF(x, tail), QPointF(x, back))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawPolygon(QPolygonF([
            QPointF(x, tip), QPointF(x - _HEAD, back), QPointF(x + _HEAD, back)]))


def _name(row: Row) -> str:
    return OTHERS if row.piece is None else visible(row.piece)


def _numbers(row: Row, picture: Picture) -> str:
    """Return the chance by the policy that rows are ordered by, and what the update made of it."""
    return " → ".join(percent(chance) for chance in row.chances[picture.main :])


def say_row(row: Row, picture: Picture) -> str:
    """Say in a sentence what is drawn of a row."""
    name = ("All other tokens" if row.piece is None else
            f"“{visible(row.piece)}”{', which was drawn' if row.drawn else ''}")
    chances = "; ".join(f"{mark[0].lower() + mark[1:] if mark in _LOWER else mark} "
                        f"{percent(chance)}"
                        for mark, chance in zip(picture.marks, row.chances, strict=True))
    pushed = ""
    if math.isfinite(row.push):
        whose = "their logits, the scores" if row.piece is None else "its logit, the score"
        pushed = (f"; the entropy term pushes {whose} that softmax makes chances of, "
                  f"{'up' if row.push > 0 else 'down'} (slope {short_number(row.push)})")
    return f"{name}: {chances}{pushed}."


_LOWER = ("Start policy", "Before the update", "Policy alone", "With values", "After it")
