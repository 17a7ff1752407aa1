"""A figure of plots as paper and slides want it: title, axis names, legend, a width in mm or
pixels; drawn with a painter, so that it is as sharp as what it is drawn on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QApplication

from workbench.gui.metrics.axes import CycleAxis, Scale, ValueAxis
from workbench.gui.metrics.data import Array, XAxis
from workbench.gui.widgets.theme import LIGHT

# Lengths are in points, 1/72 inch.
_MARGIN, _GAP = 6.0, 10.0
_TITLE, _TEXT, _SMALL = 10, 8, 7  # letters
_TICKS = 34.0  # beside the y axis
_STROKE = 16.0
_ONE_COLUMN = 300.0
_SHAPE = 0.52  # height of a plotting area over its width
_BINS = 1500
_PX = 96 / 72  # what the axes reckon in
_X_NAMES = {"cycles": "Cycle", "steps": "Optimiser steps", "time": "Time spent in cycles"}


@dataclass(frozen=True, slots=True)
class Line:
    """A curve: places in x, heights on the panel's scale. One without a name is not in the
    legend."""

    name: str
    x: Array
    heights: Array
    colour: str
    style: Qt.PenStyle = Qt.PenStyle.SolidLine
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    scale: Scale
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    marks: tuple[float, ...] = ()
    """Where settings were changed, in x."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Panels under a title and the names of their runs."""

    title: str
    x_axis: XAxis
    panels: tuple[Panel, ...]
    runs: tuple[Line, ...] = ()
    """One line for each run, where there are several."""

    def height(self, width: float) -> float:
        """Return how high it is at this width, in points."""
        return _Layout(self, width).height

    def paint(self, painter: QPainter, width: float) -> None:
        """Draw it, in points, from (0, 0)."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        layout = _Layout(self, width)
        painter.fillRect(QRectF(0, 0, width, layout.height), QColor(LIGHT.base))
        y = _MARGIN
        if self.title:
            _text(painter, QRectF(_MARGIN, y, width - 2 * _MARGIN, layout.title),
                  self.title, _font(_TITLE, bold=True))
            y += layout.title
        _legend(painter, _MARGIN, y, width - 2 * _MARGIN, layout.legend)
        for panel, place in zip(self.panels, layout.places, strict=True):
            _paint_panel(painter, panel, place, self.x_axis)


class _Layout:
    """Where everything goes at one width."""

    def __init__(self, figure: Figure, width: float) -> None:
        inner = width - 2 * _MARGIN
        changed = [_CHANGED] if any(panel.marks for panel in figure.panels) else []
        self.title = _line(_TITLE) + 3 if figure.title else 0.0
        self.legend = _rows([*figure.runs, *changed], inner)
        columns = 1 if width < _ONE_COLUMN else min(2, len(figure.panels))
        wide = (inner - _GAP * (columns - 1)) / columns
        keys = [len(_rows(_own_lines(panel), wide)) for panel in figure.panels]
        y = _MARGIN + self.title + len(self.legend) * _line(_SMALL) + (
            4 if self.title or self.legend else 0)
        self.places: list[QRectF] = []
        for first in range(0, len(figure.panels), columns):
            row = keys[first:first + columns]
            high = (_line(_TEXT) + max(row) * _line(_SMALL) + wide * _SHAPE
                    + 2 * _line(_SMALL) + 6)
            for i in range(len(row)):
                self.places.append(QRectF(_MARGIN + i * (wide + _GAP), y, wide, high))
            y += high + _GAP
        self.height = math.ceil(y - _GAP + _MARGIN)


_CHANGED = Line("settings changed", np.empty(0), np.empty(0), LIGHT.warning,
                Qt.PenStyle.DotLine)


def _own_lines(panel: Panel) -> list[Line]:
    """Return what a panel's own legend names: its metrics, where there are several."""
    named = [line for line in panel.lines if line.name]
    return named if len(named) > 1 else []


def _paint_panel(painter: QPainter, panel: Panel, place: QRectF, x_axis: XAxis) -> None:
    _text(painter, QRectF(place.left(), place.top(), place.width(), _line(_TEXT)), panel.title,
          _font(_TEXT, bold=True))
    rows = _rows(_own_lines(panel), place.width())
    y = place.top() + _line(_TEXT)
    _legend(painter, place.left(), y, place.width(), rows)
    y += len(rows) * _line(_SMALL) + 3
    name = _line(_SMALL)
    foot = 2 * _line(_SMALL) + 3
    area = QRectF(place.left() + name + _TICKS, y, place.width() - name - _TICKS - 2,
                  place.bottom() - foot - y)
    painter.save()
    painter.translate(place.left(), area.bottom())
    painter.rotate(-90)
    _text(painter, QRectF(0, 0, area.height(), name), panel.unit or panel.title, _font(_SMALL),
          Qt.AlignmentFlag.AlignCenter)
    painter.restore()
    _paint_ticks(painter, panel, area, x_axis)
    _text(painter, QRectF(area.left(), area.bottom() + 3 + _line(_SMALL), area.width(),
                          _line(_SMALL)), _X_NAMES[x_axis], _font(_SMALL),
          Qt.AlignmentFlag.AlignCenter)
    painter.save()
    painter.setClipRect(area)
    for at in _across(panel, area, np.array(panel.marks)):
        _stroke(painter, _CHANGED, QPointF(at, area.top()), QPointF(at, area.bottom()))
    for line in panel.lines:
        painter.setPen(_pen(line))
        for part in _pieces(_across(panel, area, line.x), _down(panel, area, line.heights)):
            painter.drawPolyline(part)
    painter.restore()


def _paint_ticks(painter: QPainter, panel: Panel, area: QRectF, x_axis: XAxis) -> None:
    frame = QPen(QColor(LIGHT.muted), 0.6)
    painter.setPen(frame)
    painter.drawLine(area.bottomLeft(), area.bottomRight())
    painter.drawLine(area.topLeft(), area.bottomLeft())
    values, cycles = ValueAxis(), CycleAxis()
    values.set_scale(panel.scale)
    cycles.set_x_axis(x_axis)
    font, line = _font(_SMALL), _line(_SMALL)
    for height, text in _ticks(values, panel.y_range, area.height() * _PX):
        y = _down(panel, area, np.array([height]))[0]
        painter.setPen(QPen(QColor(LIGHT.border), 0.4))
        painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        painter.setPen(frame)
        painter.drawLine(QPointF(area.left() - 2.5, y), QPointF(area.left(), y))
        _text(painter, QRectF(area.left() - _TICKS, y - line / 2, _TICKS - 4, line), text, font,
              Qt.AlignmentFlag.AlignRight)
    for place, text in _ticks(cycles, panel.x_range, area.width() * _PX):
        x = _across(panel, area, np.array([place]))[0]
        painter.setPen(frame)
        painter.drawLine(QPointF(x, area.bottom()), QPointF(x, area.bottom() + 2.5))
        wide = _width(text, font)
        left = min(max(x - wide / 2, area.left() - 8), area.right() + 2 - wide)
        _text(painter, QRectF(left, area.bottom() + 3, wide + 1, line), text, font)


def _ticks(axis: ValueAxis | CycleAxis, span: tuple[float, float],
           size: float) -> Iterator[tuple[float, str]]:
    low, high = span
    for spacing, places in axis.tickValues(low, high, size):
        yield from ((place, text) for place, text in zip(
            places, axis.tickStrings(places, 1.0, spacing), strict=True) if low <= place <= high)


def _across(panel: Panel, area: QRectF, x: Array) -> Array:
    low, high = panel.x_range
    return np.asarray(area.left() + (x - low) / (high - low) * area.width())


def _down(panel: Panel, area: QRectF, heights: Array) -> Array:
    low, high = panel.y_range
    return np.asarray(area.bottom() - (heights - low) / (high - low) * area.height())


def _pieces(x: Array, y: Array) -> Iterator[QPolygonF]:
    """Return the lines between gaps. Of more points than can be told apart the lowest and the
    highest of each stretch are drawn."""
    finite = np.isfinite(y)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], finite, [False]])))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        xs, ys = x[start:end], y[start:end]
        if len(xs) > 2 * _BINS:
            starts = np.linspace(0, len(xs), _BINS, endpoint=False, dtype=int)
            lows, highs = np.minimum.reduceat(ys, starts), np.maximum.reduceat(ys, starts)
            xs, ys = np.repeat(xs[starts], 2), np.column_stack([lows, highs]).ravel()
        if len(xs) == 1:  # a point, as a line of no length is not drawn everywhere
            xs, ys = np.array([xs[0] - 0.75, xs[0] + 0.75]), np.repeat(ys, 2)
        yield QPolygonF([QPointF(a, b) for a, b in zip(xs.tolist(), ys.tolist(), strict=True)])


def _legend(painter: QPainter, left: float, top: float, width: float,
            rows: Sequence[Sequence[Line]]) -> None:
    font, line = _font(_SMALL), _line(_SMALL)
    for i, row in enumerate(rows):
        x, y = left, top + i * line
        for entry in row:
            _stroke(painter, entry, QPointF(x, y + line / 2), QPointF(x + _STROKE, y + line / 2))
            wide = min(_width(entry.name, font), left + width - x - _STROKE - 3)
            _text(painter, QRectF(x + _STROKE + 3, y, wide + 1, line), entry.name, font)
            x += _STROKE + wide + 12


def _rows(entries: Sequence[Line], width: float) -> list[list[Line]]:
    """Spread the entries of a legend over rows of this width."""
    rows: list[list[Line]] = []
    left = 0.0
    for entry in entries:
        wide = _STROKE + _width(entry.name, _font(_SMALL)) + 12
        if not rows or left + wide - 9 > width:
            rows.append([])
            left = 0.0
        rows[-1].append(entry)
        left += wide
    return rows


def _stroke(painter: QPainter, line: Line, start: QPointF, end: QPointF) -> None:
    painter.setPen(_pen(line))
    painter.drawLine(start, end)


def _pen(line: Line) -> QPen:
    pen = QPen(QColor(line.colour), line.width, line.style, Qt.PenCapStyle.FlatCap,
               Qt.PenJoinStyle.RoundJoin)
    pen.setCosmetic(False)
    return pen


def _text(painter: QPainter, place: QRectF, text: str, font: QFont,
          align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft) -> None:
    painter.setFont(font)
    painter.setPen(QColor(LIGHT.text))
    shown = QFontMetricsF(font).elidedText(text, Qt.TextElideMode.ElideRight, place.width() + 1)
    painter.drawText(place, align | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextDontClip,
                     shown)


def _font(size: int, *, bold: bool = False) -> QFont:
    font = QFont(QApplication.font())
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    font.setPixelSize(size)
    font.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
    return font


def _line(size: int) -> float:
    return size * 1.45


def _width(text: str, font: QFont) -> float:
    return QFontMetricsF(font).horizontalAdvance(text)
