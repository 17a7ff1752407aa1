"""The picture of a value line: all of it but the marks of the pointer and of the chosen token."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from PySide6.QtCore import QLineF, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QLinearGradient, QPainter, QPen, QPolygonF

from workbench.formatting import number, signed
from workbench.gui.tokens.line_figures import Figures
from workbench.gui.widgets.quick_text import QuickText
from workbench.gui.widgets.theme import Theme, mix, themes

PAD = 3  # pixels beside a word
_FLAG, _GAP = 10, 8  # pixels: of the flag's cloth, of the hatched bar
_FADE = 24  # pixels in which what goes on out of sight fades before the flag
_BARS, _FLAT_BARS = 1.7, 1.2  # lines of text that the bars take
_AREA = 0.14  # how strong the colour between estimates and targets is
_WIDEST = 18.0  # pixels of a bar


@dataclass(frozen=True, slots=True)
class Picture:
    """Draws figures over their words.

    ``edges`` are the pixels at which each token begins and the last one ends, as they are in sight;
    ``end`` is where the flag stands. ``line`` is the height of a line of text. ``even``: the words
    have no room; ``compact``: nor has what is said of a token.
    """

    figures: Figures
    words: Sequence[str]
    prompt: str
    grounds: Sequence[QColor]
    edges: Sequence[float]
    end: float
    high: int
    text: QuickText
    line: float
    even: bool
    compact: bool

    # -- where things are

    def slot(self, row: int) -> QRectF:
        """Return where a token stands."""
        return QRectF(self.edges[row], 0, self.edges[row + 1] - self.edges[row], self.high)

    @property
    def _bars(self) -> float:
        return (_FLAT_BARS if self.compact else _BARS) * self.line

    @property
    def _words_top(self) -> float:
        return round(self.high - self._bars - self.line - 4)

    def _y(self, value: float) -> float:
        top = 4.0 if self.compact else self.line + 2.0
        low, most = self.figures.span
        return top + (most - value) / (most - low) * (self._words_top - top - 6)

    @property
    def _seen(self) -> range:
        count = len(self.words)
        return range(max(0, bisect_right(self.edges, 0, hi=count) - 1),
                     bisect_left(self.edges, self.end, hi=count))

    # -- drawing

    def draw(self, painter: QPainter) -> None:
        """Draw all that no pointer changes."""
        theme, seen = themes().theme, self._seen
        painter.setClipRect(QRectF(0, 0, self.end, self.high))
        top, line = round(self._words_top), math.ceil(self.line)
        for row in seen:
            left, right = round(self.edges[row]), round(self.edges[row + 1])
            painter.fillRect(QRect(left, top, right - left, line), self.grounds[row])
        self._draw_bars(painter, theme, seen)
        if not self.even:
            self._draw_words(painter, theme, seen)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_line(painter, theme, seen)
        painter.setClipping(False)
        if self.end < self.edges[-1] - 1:
            self._fade(painter, theme)
        self._draw_end(painter, theme)

    def draw_word(self, painter: QPainter, row: int) -> None:
        """Draw the word of a token for which there is no room, over its neighbours."""
        half = self.text.width(self.words[row]) / 2 + PAD
        x, y = min(max(half, self.slot(row).center().x()), self.end - half), self._words_top
        painter.fillRect(QRectF(x - half, y, 2 * half, self.line), QColor(themes().theme.base))
        painter.setPen(QColor(themes().theme.text))
        self.text.draw(painter, x - half + PAD, y, self.words[row])

    def draw_reading(self, painter: QPainter, row: int) -> None:
        """Draw what the line says of a token, above it."""
        figures, at, theme = self.figures, self.slot(row), themes().theme
        if math.isnan(figures.estimates[row]):
            return
        last = row == len(self.words) - 1
        before = figures.estimates[row]
        after = figures.end if last else figures.estimates[row + 1]
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.accent))
        for x, value in ((at.left(), before), (
                at.right(), math.nan if last and not figures.sums else after)):
            if math.isfinite(value) and x <= self.end:
                painter.drawEllipse(QPointF(x, self._y(value)), 3, 3)
        said = number(before)
        if number(after) != said:
            said += f" → {number(after)}"
        if math.isfinite(figures.bars[row]):
            said += f", {figures.gained} {signed(figures.bars[row])}"
        if len(figures.others) == len(self.words):
            said += f"  beside it {number(figures.others[row])}"
        wide = self.text.width(said)
        # Never over what the flag says.
        x = max(4.0, min(at.center().x() - wide / 2, self.end - wide - 4))
        if self.compact:
            ground = QColor(theme.base)
            ground.setAlpha(200)
            painter.fillRect(QRectF(x - 2, 1, wide + 4, self.line), ground)
        painter.setPen(QColor(theme.text))
        self.text.draw(painter, x, 1, said)

    def _draw_words(self, painter: QPainter, theme: Theme, seen: range) -> None:
        y = self._words_top
        painter.setPen(QColor(theme.text))
        for row in seen:
            middle = (self.edges[row] + self.edges[row + 1]) / 2
            self.text.draw(painter, middle - self.text.width(self.words[row]) / 2, y,
                           self.words[row])
        painter.setPen(QColor(theme.muted))
        self.text.draw(painter, self.edges[0] - PAD - self.text.width(self.prompt), y, self.prompt)

    def _draw_bars(self, painter: QPainter, theme: Theme, seen: range) -> None:
        """Draw a bar under each token. They share the height out as both sides need it."""
        top, high = self.high - self._bars - 1, self._bars - 2
        up, down = self.figures.largest_bars
        each = high / (up + down) if up + down else 0.0
        zero = top + up * each if each else top + high / 2
        painter.setPen(QPen(QColor(theme.border), 1))
        painter.drawLine(QLineF(self.edges[0], zero, self.edges[-1], zero))
        better: list[QRectF] = []
        worse: list[QRectF] = []
        for row in seen:
            bar = self.figures.bars[row]
            if math.isfinite(bar):
                left, right = self.edges[row], self.edges[row + 1]
                wide, size = max(1.0, min(right - left - 4, _WIDEST)), abs(bar) * each
                (better if bar > 0 else worse).append(QRectF(
                    (left + right - wide) / 2, zero - size if bar > 0 else zero, wide, size))
        for bars, edge, ground in ((better, theme.good, theme.better),
                                   (worse, theme.bad, theme.worse)):
            painter.setPen(QPen(QColor(edge), 1))
            painter.setBrush(QColor(ground))
            painter.drawRects(bars)

    def _draw_line(self, painter: QPainter, theme: Theme, seen: range) -> None:
        """Draw estimates and targets of tokens that follow one another and whose estimate is
        known."""
        # One token more to each side, from and to which the line goes.
        rows = range(max(0, seen.start - 1), min(len(self.words), seen.stop + 1))
        estimates, targets = self.figures.estimates, self.figures.targets
        for known, run in groupby(rows, key=lambda row: math.isfinite(estimates[row])):
            if not known:
                continue
            found = list(run)
            line = [QPointF(self.edges[row], self._y(estimates[row])) for row in found]
            wanted = [QPointF(self.edges[row], self._y(targets[row])) for row in found
                      if math.isfinite(targets[row])]
            if len(wanted) == len(line):
                self._draw_area(painter, theme, line, wanted)
            painter.setPen(QPen(QColor(theme.accent), 2))
            painter.drawPolyline(QPolygonF(line))
        self._draw_others(painter, theme, rows)
        if math.isfinite(last := estimates[-1]):  # a guess holds until the end of the text
            sums = self.figures.sums
            painter.setPen(QPen(QColor(theme.accent), 2, (
                Qt.PenStyle.SolidLine if sums else Qt.PenStyle.DotLine)))
            painter.drawLine(QLineF(self.edges[-2], self._y(last), self.edges[-1], self._y(
                self.figures.end if sums else last)))

    def _draw_others(self, painter: QPainter, theme: Theme, rows: range) -> None:
        others = self.figures.others
        if len(others) == len(self.words):
            painter.setPen(QPen(other_colour(theme), 1.5))
            painter.drawPolyline(QPolygonF([
                *(QPointF(self.edges[row], self._y(others[row])) for row in rows),
                *([QPointF(self.edges[-1], self._y(others[-1]))]
                  if rows.stop == len(others) else [])]))

    def _draw_area(
        self, painter: QPainter, theme: Theme, line: list[QPointF], wanted: list[QPointF]
    ) -> None:
        area = QColor(theme.accent)
        area.setAlphaF(_AREA)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(area)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.drawPolygon(QPolygonF([*line, *reversed(wanted)]))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(mix(theme.muted, theme.base, 0.8)), 1, Qt.PenStyle.DashLine))
        painter.drawPolyline(QPolygonF(wanted))

    def _fade(self, painter: QPainter, theme: Theme) -> None:
        clear, ground = QColor(theme.base), QColor(theme.base)
        clear.setAlpha(0)
        fade = QLinearGradient(self.end - _FADE, 0, self.end, 0)
        fade.setColorAt(0, clear)
        fade.setColorAt(1, ground)
        painter.fillRect(QRectF(self.end - _FADE, 0, _FADE, self.high), fade)

    def _draw_end(self, painter: QPainter, theme: Theme) -> None:
        """Draw the flag, and hatched what the last estimate missed."""
        figures, x = self.figures, self.end
        painter.setPen(QPen(QColor(theme.border), 1))
        painter.drawLine(QLineF(x, 0, x, self.high))
        said, known = lines_beside(figures), math.isfinite(figures.end)
        top = self._y(figures.end) if known else self.high / 2
        if known and math.isfinite(figures.gap):
            painter.setPen(QPen(QColor(theme.warning), 1))
            painter.setBrush(QBrush(QColor(theme.warning), Qt.BrushStyle.BDiagPattern))
            painter.drawRect(QRectF(
                QPointF(x, top), QPointF(x + _GAP, self._y(figures.estimates[-1]))).normalized())
        if known:
            painter.setPen(QPen(QColor(theme.text), 1))
            painter.setBrush(QColor(theme.text))
            painter.drawLine(QLineF(x, top, x, self.high))
            tip = max(1.0, top - _FLAG)
            painter.drawPolygon(QPolygonF([
                QPointF(x, tip), QPointF(x + _FLAG, tip + _FLAG / 2), QPointF(x, tip + _FLAG)]))
        at = min(max(0.0, top - (_FLAG + self.line) / 2), self.high - len(said) * self.line - 1)
        for i, text in enumerate(said):
            painter.setPen(other_colour(theme) if text == figures.other_text else QColor(
                theme.warning if text == figures.gap_text else
                theme.text if known else theme.muted))
            self.text.draw(painter, x + _FLAG + PAD, at + i * self.line, text)


def lines_beside(figures: Figures) -> list[str]:
    """Return what stands beside the flag."""
    return [text for text in (
        *figures.flag.splitlines(), figures.gap_text, figures.other_text) if text]


def other_colour(theme: Theme) -> QColor:
    """Return the colour of what another value head foresees."""
    return QColor(theme.series[3])


def width_beside(figures: Figures, text: QuickText) -> int:
    """Return how wide the flag and what stands beside it are."""
    words = max((text.width(said) for said in lines_beside(figures)), default=0.0)
    return math.ceil(words) + _FLAG + _GAP + 2 * PAD
