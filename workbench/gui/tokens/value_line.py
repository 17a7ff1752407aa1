"""The value line: what was foreseen of a completion, token by token, over its words."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from PySide6.QtCore import QEvent, QLineF, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QColor,
    QKeyEvent,
    QLinearGradient,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QSizePolicy

from workbench.algorithm import ValueLine
from workbench.formatting import number, signed, visible
from workbench.gui.tokens.line_figures import Figures, edges, read_figures
from workbench.gui.widgets.controls import describe, named
from workbench.gui.widgets.quick_text import QuickText
from workbench.gui.widgets.theme import Theme, themes

_SMALL = 0.92
_LEFT, _PAD, _LEAST = 8, 3, 12  # pixels: before the first token, beside a word, of a token
_FLAG, _GAP = 10, 8  # pixels: of the flag's cloth, of the hatched bar
_FADE = 24  # pixels in which what goes on out of sight fades before the flag
_LINES, _LOW, _COMPACT = 11.0, 6.4, 4.4  # high, in lines of text
_PROMPT = 24  # letters of the prompt's end
_BARS, _FLAT_BARS = 1.7, 1.2  # lines that the bars take
_KEYS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}


class ValueLineChart(QAbstractScrollArea):
    """Draws the line over the words and a bar under each; the token that is chosen and the one
    under the pointer are marked. Left and Right, or a click, choose one. What the completion came
    to stays in sight where the words are scrolled."""

    chosen = Signal(int)
    hovered = Signal(int)  # the token under the pointer; -1: none

    def __init__(self) -> None:
        super().__init__()
        named(self, "tokens_line", "Value line", "")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setMouseTracking(True)
        self.figures = Figures()
        self.row = self.hover_row = -1
        self._line: ValueLine | None = None
        self._steps: Sequence[Any] = ()
        self._grounds: Sequence[QColor] = ()
        self._prompt = ""
        self._words: list[str] = []
        self._before = float(_LEFT)  # pixels before the first token
        self._edges: list[float] = [0.0]
        self._whole = self._even = self._compact = False
        self._measure()

    # -- what the view tells

    def use(self, line: ValueLine | None) -> None:
        """Draw this line of the steps to come; None: nothing."""
        self._line = line
        self.setAccessibleName(line.title if line else "")
        describe(self, line.help if line else "")

    def set_whole(self, whole: bool) -> None:
        """Show the whole line at once, if need be without its words, or let it be scrolled."""
        self._whole = whole
        self._lay_out()

    def set_compact(self, compact: bool) -> None:
        """Take no more room than three lines of text: without a scroll bar, and with what the line
        says of a token drawn over it, while the pointer is on one."""
        if compact != self._compact:
            self._compact = compact
            self.setHorizontalScrollBarPolicy(
                Qt.ScrollBarPolicy.ScrollBarAlwaysOff if compact
                else Qt.ScrollBarPolicy.ScrollBarAsNeeded)
            self.updateGeometry()

    def show_steps(self, prompt: str, steps: Sequence[Any], grounds: Sequence[QColor]) -> None:
        """Draw another completion, of which no token is chosen yet; ``grounds`` are the colours
        behind its words."""
        self._steps, self._grounds = steps, grounds
        self._prompt = visible(prompt if len(prompt) <= _PROMPT else f"…{prompt[-_PROMPT:]}")
        self.figures = read_figures(self._line, steps) if self._line is not None else Figures()
        self._words = [visible(step.piece) for step in steps]
        self.row = self.hover_row = -1
        self._lay_out()

    def mark(self, row: int) -> None:
        """Show which token is chosen, and describe it."""
        self.row = row
        there = self._line is not None and 0 <= row < len(self._steps)
        self.setAccessibleDescription(
            self._line.say(self._steps[row]) if self._line is not None and there else "")
        self._follow(row)

    def hover(self, row: int) -> None:
        """Show which token the pointer is on, here or elsewhere."""
        if row != self.hover_row:
            self.hover_row = row
            if not self.viewport().underMouse():
                self._follow(row)
            self.viewport().update()

    # -- what the person does

    def row_at(self, x: float) -> int:
        """Return the token at a place in the viewport; -1 where there is none."""
        row = bisect_right(self._edges, x - self._start()) - 1
        return row if 0 <= row < len(self._words) and x < self._end() else -1

    def slot(self, row: int) -> QRectF:
        """Return where a token stands in the viewport."""
        left, right = self._edges[row] + self._start(), self._edges[row + 1] + self._start()
        return QRectF(left, 0, right - left, self.viewport().height())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell which token the pointer is on."""
        self.hovered.emit(self.row_at(event.position().x()))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose a token."""
        row = self.row_at(event.position().x())
        if row >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self.chosen.emit(row)

    def viewportEvent(self, event: QEvent) -> bool:
        """Take note that the pointer leaves."""
        if event.type() == QEvent.Type.Leave:
            self.hovered.emit(-1)
        return super().viewportEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go to another token."""
        last = len(self._words) - 1
        key = Qt.Key(event.key())
        ends = {Qt.Key.Key_Home: 0, Qt.Key.Key_End: last}
        if last >= 0 and event.modifiers() in (
                Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier) and (
                key in _KEYS or key in ends):
            row = ends.get(key, min(last, max(0, self.row + _KEYS.get(key, 0))))
            if row != self.row:
                self.chosen.emit(row)
            event.accept()
        else:
            super().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll along the line where it is longer than the view."""
        bar, turned = self.horizontalScrollBar(), event.angleDelta()
        if not bar.maximum():
            event.ignore()
            return
        bar.setValue(bar.value() - (turned.x() or turned.y()))
        event.accept()

    # -- where things are

    def sizeHint(self) -> QSize:
        """High enough for a line that is read at a glance."""
        return QSize(400, round((_COMPACT if self._compact else _LINES) * self._high))

    def minimumSizeHint(self) -> QSize:
        """Leave the table its room in a low window."""
        return QSize(120, round((_COMPACT if self._compact else _LOW) * self._high))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Share the width out anew."""
        super().resizeEvent(event)
        self._lay_out()

    def changeEvent(self, event: QEvent) -> None:
        """Measure anew in another font."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._measure()
            self._lay_out()

    def _measure(self) -> None:
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * _SMALL)
        self._text, self._high = QuickText(font), self.fontMetrics().lineSpacing()
        self.updateGeometry()

    def _start(self) -> float:
        return self._before - self.horizontalScrollBar().value()

    def _end(self) -> float:
        """Return where the flag stands: where the last token ends or, where that is not in sight,
        as near to it as there is room."""
        return min(self._start() + self._edges[-1], self.viewport().width() - self._tail())

    def _tail(self) -> int:
        """Return how wide what stands after the last token is."""
        words = max((self._text.width(text) for text in self._said()), default=0.0)
        return math.ceil(words) + _FLAG + _GAP + 2 * _PAD

    def _said(self) -> list[str]:
        return [text for text in (*self.figures.flag.splitlines(), self.figures.gap_text) if text]

    def _lay_out(self) -> None:
        wide, bar = self.viewport().width(), self.horizontalScrollBar()
        self._edges, self._even, tail = [0.0], False, self._tail()
        if self._words:
            widths = [max(_LEAST, self._text.width(word) + 2 * _PAD) for word in self._words]
            self._before = _LEFT + math.ceil(self._text.width(self._prompt)) + 2 * _PAD
            self._even = self._whole and self._before + sum(widths) + tail > wide
            if self._even:
                self._before = _LEFT
            self._edges = edges(widths, max(wide - self._before - tail, 2.0 * len(widths)),
                                self._even)
        needed = self._before + self._edges[-1] + tail if self._words else 0
        bar.setPageStep(wide)
        bar.setSingleStep(24)
        bar.setRange(0, max(0, round(needed - wide)))
        self._follow(self.row)

    def _follow(self, row: int) -> None:
        """Have a token in sight, with what stands beside it."""
        if 0 <= row < len(self._words):
            at, bar = self.slot(row), self.horizontalScrollBar()
            wide = self.viewport().width() - self._tail()
            beside = 0.0 if self._even else min(wide / 4, 60.0)
            if at.right() + beside > wide:
                bar.setValue(bar.value() + math.ceil(at.right() + beside - wide))
            elif at.left() < beside:
                bar.setValue(bar.value() - math.ceil(beside - at.left()))
        self.viewport().update()

    # -- drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw what is in sight."""
        if not self.figures.estimates:
            return
        painter = QPainter(self.viewport())
        theme, high = themes().theme, self.viewport().height()
        line = self._text_height()
        bars = (_FLAT_BARS if self._compact else _BARS) * line
        top, words = 4.0 if self._compact else line + 2.0, high - bars - line - 4
        low, most = self.figures.span

        def y(value: float) -> float:
            return top + (most - value) / (most - low) * (words - top - 6)

        end = self._end()
        seen = range(max(0, self.row_at(0)), max(0, self._row_before(end)) + 1)
        painter.setClipRect(QRectF(0, 0, end, high))
        for row in seen:
            at = self.slot(row)
            painter.fillRect(QRectF(at.left(), words, at.width(), line), self._grounds[row])
        self._draw_marks(painter, theme)
        self._draw_bars(painter, theme, seen, high - bars - 1, bars - 2)
        self._draw_words(painter, theme, seen, words)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for run in self._runs(y):
            self._draw_run(painter, theme, run)
        self._draw_last(painter, theme, y)
        pointed = self.hover_row if self._compact else self._pointed()
        if 0 <= pointed < len(self._words):
            self._draw_reading(painter, theme, pointed, y)
        painter.setClipping(False)
        if end < self._start() + self._edges[-1] - 1:
            self._fade(painter, theme, end)
        self._draw_end(painter, theme, y, end)
        painter.end()

    def _fade(self, painter: QPainter, theme: Theme, end: float) -> None:
        clear, ground = QColor(theme.base), QColor(theme.base)
        clear.setAlpha(0)
        fade = QLinearGradient(end - _FADE, 0, end, 0)
        fade.setColorAt(0, clear)
        fade.setColorAt(1, ground)
        painter.fillRect(QRectF(end - _FADE, 0, _FADE, self.viewport().height()), fade)

    def _row_before(self, x: float) -> int:
        """Return the last token that begins before a place in the viewport."""
        return min(bisect_right(self._edges, x - self._start()), len(self._words)) - 1

    def _text_height(self) -> float:
        return self._high * _SMALL

    def _runs(self, y: Any) -> Iterator[list[tuple[float, float, float]]]:
        """Return x and both lines' y of tokens that follow one another and whose estimate is
        known; a target that is not is NaN."""
        start, figures = self._start(), self.figures
        points = zip(self._edges, figures.estimates, figures.targets, strict=False)
        for known, run in groupby(points, key=lambda p: math.isfinite(p[1])):
            if known:
                yield [(start + x, y(value), y(target)) for x, value, target in run]

    def _draw_marks(self, painter: QPainter, theme: Theme) -> None:
        for row, share in ((self.row, 60), (self.hover_row, 30)):
            if 0 <= row < len(self._words):
                colour = QColor(theme.accent)
                colour.setAlpha(share)
                painter.fillRect(self.slot(row), colour)

    def _draw_words(self, painter: QPainter, theme: Theme, seen: range, y: float) -> None:
        """Draw the words after the prompt's end or, where all do not fit, the one that is pointed
        to."""
        painter.setPen(QColor(theme.text))
        if not self._even:
            for row in seen:
                self._draw_word(painter, row, self.slot(row).center().x(), y)
            painter.setPen(QColor(theme.muted))
            self._text.draw(painter, self._start() - _PAD - self._text.width(self._prompt), y,
                            self._prompt)
        elif 0 <= (row := self._pointed()) < len(self._words):
            half = self._text.width(self._words[row]) / 2 + _PAD
            x = min(max(half, self.slot(row).center().x()), self._end() - half)
            painter.fillRect(QRectF(x - half, y, 2 * half, self._text_height()), QColor(theme.base))
            self._draw_word(painter, row, x, y)

    def _draw_word(self, painter: QPainter, row: int, middle: float, y: float) -> None:
        word = self._words[row]
        self._text.draw(painter, middle - self._text.width(word) / 2, y, word)

    def _pointed(self) -> int:
        return self.hover_row if self.hover_row >= 0 else self.row

    def _draw_bars(
        self, painter: QPainter, theme: Theme, seen: range, top: float, high: float
    ) -> None:
        """Draw a bar under each token. They share the height out as both sides need it."""
        up, down = self.figures.largest_bars
        each = high / (up + down) if up + down else 0.0
        zero = top + up * each if each else top + high / 2
        left, right = self.slot(seen.start).left(), self.slot(seen.stop - 1).right()
        painter.setPen(QPen(QColor(theme.border), 1))
        painter.drawLine(QLineF(left, zero, right, zero))
        for row in seen:
            bar = self.figures.bars[row]
            if math.isfinite(bar):
                at, size = self.slot(row), abs(bar) * each
                wide = max(1.0, min(at.width() - 4, 18.0))
                painter.setPen(QPen(QColor(theme.good if bar > 0 else theme.bad), 1))
                painter.setBrush(QColor(theme.better if bar > 0 else theme.worse))
                painter.drawRect(QRectF(
                    at.center().x() - wide / 2, zero - size if bar > 0 else zero, wide, size))

    def _draw_run(
        self, painter: QPainter, theme: Theme, run: list[tuple[float, float, float]]
    ) -> None:
        estimates = [QPointF(x, value) for x, value, _ in run]
        targets = [QPointF(x, target) for x, _, target in run if math.isfinite(target)]
        if len(targets) == len(estimates):
            area = QColor(theme.accent)
            area.setAlpha(36)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(area)
            painter.drawPolygon(QPolygonF([*estimates, *reversed(targets)]))
            painter.setPen(QPen(QColor(theme.muted), 1, Qt.PenStyle.DashLine))
            painter.drawPolyline(QPolygonF(targets))
        painter.setPen(QPen(QColor(theme.accent), 2))
        painter.drawPolyline(QPolygonF(estimates))

    def _draw_last(self, painter: QPainter, theme: Theme, y: Any) -> None:
        """Draw the last estimate on to the end of the text."""
        last, start = self.figures.estimates[-1], self._start()
        if math.isfinite(last):
            painter.setPen(QPen(QColor(theme.accent), 2, Qt.PenStyle.DotLine))
            painter.drawLine(
                QLineF(start + self._edges[-2], y(last), start + self._edges[-1], y(last)))

    def _draw_end(self, painter: QPainter, theme: Theme, y: Any, x: float) -> None:
        """Draw the flag, and hatched what the last estimate missed."""
        figures, high, line = self.figures, self.viewport().height(), self._text_height()
        painter.setPen(QPen(QColor(theme.border), 1))
        painter.drawLine(QLineF(x, 0, x, high))
        said, known = self._said(), math.isfinite(figures.end)
        top = y(figures.end) if known else high / 2
        if known and math.isfinite(figures.gap):
            painter.setPen(QPen(QColor(theme.warning), 1))
            painter.setBrush(QBrush(QColor(theme.warning), Qt.BrushStyle.BDiagPattern))
            painter.drawRect(QRectF(
                QPointF(x, top), QPointF(x + _GAP, y(figures.estimates[-1]))).normalized())
        if known:
            painter.setPen(QPen(QColor(theme.text), 1))
            painter.setBrush(QColor(theme.text))
            painter.drawLine(QLineF(x, top, x, high))
            tip = max(1.0, top - _FLAG)
            painter.drawPolygon(QPolygonF([
                QPointF(x, tip), QPointF(x + _FLAG, tip + _FLAG / 2), QPointF(x, tip + _FLAG)]))
        at = min(max(0.0, top - _FLAG / 2 - line / 2), high - len(said) * line - 1)
        for i, text in enumerate(said):
            is_gap = text == figures.gap_text
            painter.setPen(QColor(theme.warning if is_gap else theme.text if known else
                                  theme.muted))
            self._text.draw(painter, x + _FLAG + _PAD, at + i * line, text)

    def _draw_reading(self, painter: QPainter, theme: Theme, row: int, y: Any) -> None:
        """Draw what the line says of a token, above it."""
        figures, at = self.figures, self.slot(row)
        last = row == len(self._words) - 1
        before = figures.estimates[row]
        after = figures.end if last else figures.estimates[row + 1]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.accent))
        for x, value in ((at.left(), before), (at.right(), after)):
            if math.isfinite(value) and not (last and x == at.right()):
                painter.drawEllipse(QPointF(x, y(value)), 3, 3)
        text = f"{number(before)} → {number(after)}"
        if math.isfinite(figures.bars[row]):
            text += f"  ({signed(figures.bars[row])})"
        wide = self._text.width(text)
        most = self._end() - wide - 4
        x = max(4.0, min(at.center().x() - wide / 2, most))
        if self._compact:
            ground = QColor(theme.base)
            ground.setAlpha(200)
            painter.fillRect(QRectF(x - 2, 1, wide + 4, self._text_height()), ground)
        painter.setPen(QColor(theme.text))
        self._text.draw(painter, x, 1, text)
