"""The curves of the run on display: the smoothed one over the raw one, a dot where it ends."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPen
from PySide6.QtWidgets import QGraphicsEllipseItem, QGraphicsItem

from workbench.gui.metrics.axes import Scale
from workbench.gui.metrics.data import Array, Curve, RunData, XAxis, in_view
from workbench.gui.metrics.overlays import FEW, Alone, make_curve, mix
from workbench.gui.widgets.theme import Theme

STYLES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine,
          Qt.PenStyle.DashDotLine)
"""How the lines of one plot differ, also without colours."""
_WIDTH = 1.5
_DOT = 6.0


class Curves:
    """A curve for each of ``names``. Every drawing item is made once and given new arrays."""

    def __init__(self, canvas: pg.PlotWidget, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.curves: list[Curve] = []
        """What was drawn last, by the order of ``names``."""
        self.positions: list[Array] = []
        """Where the points of each curve lie on the x axis."""
        self.smoothed = False
        """Whether the curves are those of a moving average."""
        self.items = []
        self._colours = [""] * len(self.names)
        self.alone = Alone(canvas, 5, 3)
        for i, _ in enumerate(self.names):
            raw, smooth, head = make_curve(), make_curve(), _Dot()
            for z, item in ((1, raw), (3, smooth)):
                item.setZValue(z - bool(i))
                canvas.addItem(item)
            head.setZValue(3 - bool(i))  # the first covers those beside it
            canvas.addItem(head, ignoreBounds=True)
            self.items.append((raw, smooth, head))

    def draw(self, run: RunData, x_axis: XAxis, scale: Scale, raw_only: bool) -> None:
        """Hand the curves of ``run`` to the curves; ``raw_only`` leaves the smoothed out."""
        self.curves = [run.curves.get(name) or Curve() for name in self.names]
        self.positions = [run.positions(curve.cycles, x_axis) for curve in self.curves]
        self.smoothed = not raw_only and any(t.weight > 0 for t in self.curves)
        self.alone.put([(x, scale.forward(self.drawn(curve)), colour) for x, curve, colour in zip(
            self.positions[::-1], self.curves[::-1], self._colours[::-1], strict=True)])
        for items, curve, x in zip(self.items, self.curves, self.positions, strict=True):
            raw, smooth, head = items
            raw.setVisible(self.smoothed)
            if self.smoothed:
                raw.setData(x, scale.forward(curve.values), skipFiniteCheck=False)
            heights = scale.forward(self.drawn(curve))
            few = len(x) < FEW
            smooth.setData(x, heights, antialias=few)
            if few != (smooth.opts["pen"].widthF() > 1):
                pen = QPen(smooth.opts["pen"])
                pen.setWidthF(_WIDTH if few else 1)
                # In so many points no dashes are seen, but they cost most of the time.
                style = STYLES[self.items.index(items) % len(STYLES)]
                pen.setStyle(style if few else Qt.PenStyle.SolidLine)
                smooth.setPen(pen)
            head.put(x[-1:], heights[-1:])

    def draw_ends(self, run: RunData, x_axis: XAxis, scale: Scale) -> None:
        """Move only the dots, to where the curves end now."""
        for (_, _, head), curve in zip(self.items, self.curves, strict=True):
            head.put(run.positions(curve.cycles[-1:], x_axis),
                     scale.forward(self.drawn(curve)[-1:]))

    def drawn(self, curve: Curve) -> Array:
        """Return the values that the strong curve of a curve shows."""
        return curve.smooth if self.smoothed else curve.values

    def between(self, low: float, high: float) -> list[Array]:
        """Return the values of what is seen in this part of x."""
        found: list[Array] = []
        for curve, x in zip(self.curves, self.positions, strict=True):
            found.append(in_view(x, curve.values[:len(x)], low, high))
            if self.smoothed:
                found.append(in_view(x, curve.smooth[:len(x)], low, high))
        return found

    def values_at(self, cycle: int | None) -> tuple[list[float], list[float]]:
        """Return the numbers as measured, and those the curves show, at ``cycle`` or the latest."""
        found: tuple[list[float], list[float]] = ([], [])
        for curve in self.curves or [Curve()] * len(self.names):
            index = len(curve) - 1 if cycle is None else curve.index(cycle)
            for values, numbers in zip(found, (curve.values, self.drawn(curve)), strict=True):
                values.append(float(numbers[index]) if index >= 0 else math.nan)
        return found

    def apply_theme(self, theme: Theme, colours: Sequence[str]) -> None:
        """Draw each curve in its colour."""
        self._colours = list(colours)
        for i, ((raw, smooth, head), colour) in enumerate(zip(self.items, colours, strict=True)):
            raw.setPen(pg.mkPen(mix(colour, theme.base, 0.45)))
            few = i >= len(self.positions) or len(self.positions[i]) < FEW
            pen = QPen(QColor(colour), _WIDTH if few else 1)
            pen.setCosmetic(True)
            pen.setStyle(STYLES[i % len(STYLES)] if few else Qt.PenStyle.SolidLine)
            smooth.setPen(pen)
            head.setBrush(QColor(colour))


class _Dot(QGraphicsEllipseItem):
    """The end of a curve. It moves at every cycle, for which pyqtgraph's points take long."""

    def __init__(self) -> None:
        super().__init__(-_DOT / 2, -_DOT / 2, _DOT, _DOT)
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemIgnoresTransformations)
        self.setPen(Qt.PenStyle.NoPen)
        self.hide()

    def put(self, x: Array, y: Array) -> None:
        """Go to the last of these places; away where it is no number, or there is none."""
        there = len(y) > 0 and bool(np.isfinite(y[-1]))
        self.setVisible(there)
        if there:
            self.setPos(float(x[-1]), float(y[-1]))


def set_points(points: pg.ScatterPlotItem, x: Array, y: Array) -> None:
    """Show points, leaving out what is no number: it would make the item's bounds so."""
    finite = np.isfinite(y)
    points.setData(x[finite], y[finite])
