"""The value line: what was foreseen of a completion, token by token, over its words."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QSizePolicy

from workbench.algorithm import ValueLine
from workbench.formatting import number, visible
from workbench.gui.tokens.line_figures import Figures, edges, prompt_end, read_figures
from workbench.gui.tokens.line_picture import PAD, Picture, width_beside
from workbench.gui.what_is import explain_by, of_picture
from workbench.gui.widgets.controls import describe, named
from workbench.gui.widgets.quick_text import QuickText
from workbench.gui.widgets.theme import themes

_SMALL = 0.92
_LEFT, _LEAST = 8, 12  # pixels: before the first token, of a token
_LINES, _LOW, _COMPACT = 11.0, 6.4, 4.4  # high, in lines of text
_SHARE = 0.5  # of the room, where there is little
_PROMPT, _FEW = 28, 14  # letters of the prompt's end
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
        self._whole_prompt = self._prompt = ""
        self._words: list[str] = []
        self._before = float(_LEFT)  # pixels before the first token
        self._edges: list[float] = [0.0]
        self._whole = self._even = self._compact = False
        self._low = 0  # pixels that it is high where it is compact
        self._kept: tuple[Picture, QPixmap] | None = None
        self._kept_at: tuple[QSize, float, float] | None = None
        explain_by(self, lambda: of_picture(self._line) if self._line else None)
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

    def set_compact(self, compact: bool, room: int = 0) -> None:
        """Take no more than a share of the ``room``, in pixels of height: without a scroll bar, and
        with what the line says of a token drawn over it, while the pointer is on one."""
        high = round(min(_LINES * self._high, max(_COMPACT * self._high, _SHARE * room)))
        if compact and high != self._low:
            self._low = high
            self.updateGeometry()
        if compact != self._compact:
            self._compact = compact
            self.setHorizontalScrollBarPolicy(
                Qt.ScrollBarPolicy.ScrollBarAlwaysOff if compact
                else Qt.ScrollBarPolicy.ScrollBarAsNeeded)
            self.updateGeometry()
            self._lay_out()

    def show_steps(self, prompt: str, steps: Sequence[Any], grounds: Sequence[QColor]) -> None:
        """Draw another completion, of which no token is chosen yet; ``grounds`` are the colours
        behind its words."""
        other = self.figures if steps is self._steps else Figures()
        self._steps, self._grounds = steps, grounds
        self._whole_prompt = prompt
        self.figures = Figures() if self._line is None else replace(
            read_figures(self._line, steps), others=other.others, other_text=other.other_text)
        self._words = [visible(step.piece) for step in steps]
        self.row = self.hover_row = -1
        self._lay_out()

    def show_other(self, checkpoint: int, values: Sequence[float]) -> None:
        """Draw beside it what the value head after cycle ``checkpoint`` foresees; nothing where
        there are no ``values``, a number a token."""
        there = len(values) == len(self._steps) > 0
        others = tuple(values) if there else ()
        if others != self.figures.others:
            self.figures = replace(self.figures, others=others, other_text=(
                f"after cycle {checkpoint:,}: {number(others[-1])}" if others else ""))
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
        return QSize(400, self._low if self._compact else round(_LINES * self._high))

    def minimumSizeHint(self) -> QSize:
        """Leave the table its room in a low window."""
        return QSize(120, self._low if self._compact else round(_LOW * self._high))

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
        return width_beside(self.figures, self._text)

    def _lay_out(self) -> None:
        wide, bar = self.viewport().width(), self.horizontalScrollBar()
        self._kept = None
        self._prompt = prompt_end(self._whole_prompt, _FEW if self._compact else _PROMPT)
        self._edges, self._even, tail = [0.0], False, self._tail()
        if self._words:
            widths = [max(_LEAST, self._text.width(word) + 2 * PAD) for word in self._words]
            self._before = _LEFT + math.ceil(self._text.width(self._prompt)) + 2 * PAD
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
        """Draw the picture, then the marks, which alone follow the pointer."""
        if not self.figures.estimates:
            return
        picture, layer = self._drawn()
        painter = QPainter(self.viewport())
        painter.drawPixmap(0, 0, layer)
        painter.setClipRect(QRectF(0, 0, picture.end, picture.high))
        for row, share in ((self.row, 60), (self.hover_row, 30)):
            if 0 <= row < len(self._words):
                colour = QColor(themes().theme.accent)
                colour.setAlpha(share)
                painter.fillRect(picture.slot(row), colour)
        pointed = self.hover_row if self.hover_row >= 0 else self.row
        if 0 <= pointed < len(self._words):
            if self._even:
                picture.draw_word(painter, pointed)
            if pointed == self.hover_row or not self._compact:
                picture.draw_reading(painter, pointed)
        painter.end()

    def _drawn(self) -> tuple[Picture, QPixmap]:
        """Return the picture as it is in sight. It is drawn once for the same place and size."""
        viewport = self.viewport()
        size, ratio, start = viewport.size(), viewport.devicePixelRatioF(), self._start()
        if self._kept is None or self._kept_at != (size, ratio, start):
            picture = Picture(
                self.figures, self._words, self._prompt, self._grounds,
                [start + edge for edge in self._edges], self._end(), size.height(), self._text,
                self._high * _SMALL, self._even, self._compact)
            layer = QPixmap(size * ratio)
            layer.setDevicePixelRatio(ratio)
            layer.fill(themes().theme.base)
            painter = QPainter(layer)
            picture.draw(painter)
            painter.end()
            self._kept, self._kept_at = (picture, layer), (size, ratio, start)
        return self._kept
