"""The curves of other runs, thin, behind those of the run on display."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPen

from workbench.gui.metrics.axes import Scale
from workbench.gui.metrics.data import Array, Curve, RunData, XAxis, in_view
from workbench.gui.widgets.run_colours import run_colour, run_line
from workbench.gui.widgets.theme import Theme

# Up to here a wide smooth line costs nothing to speak of; of 100,000 noisy points it costs as
# much as all the rest, so that a plain line of one pixel is drawn beyond.
FEW = 2000


@dataclass(frozen=True, slots=True)
class Drawn:
    """A curve as it is drawn: values over places on the x axis."""

    name: str
    x: Array
    values: Array

    def at(self, x: float) -> float:
        """Return the value nearest to ``x``; NaN beyond the curve's ends."""
        if not len(self.x) or not self.x[0] - 0.5 <= x <= self.x[-1] + 0.5:
            return math.nan
        return float(self.values[int(np.abs(self.x - x).argmin())])


class Overlays:
    """The overlaid curves of one plot. A curve gets new arrays only when its numbers or the scale
    have changed, so that a new cycle of the run on display costs no more with ten others."""

    def __init__(self, canvas: pg.PlotWidget, theme: Theme) -> None:
        self._canvas, self._theme = canvas, theme
        self._curves: list[pg.PlotDataItem] = []
        self._ids: list[int] = []
        self._looks: list[tuple[str, Qt.PenStyle]] = []
        self._given: list[object] = []
        self.runs: list[Drawn] = []
        self.alone = Alone(canvas, 5, -1)

    def draw(self, runs: Sequence[RunData], name: str, scale: Scale, x_axis: XAxis,
             raw: bool = False) -> None:
        """Show metric ``name`` of these runs and of no others, smoothed unless ``raw``."""
        while len(self._curves) < len(runs):
            made = make_curve()
            made.setZValue(-1)
            self._canvas.addItem(made)
            self._curves.append(made)
        ids = [run.run_id for run in runs]
        looks = [(run_colour(i, self._theme), run_line(i)) for i in ids]
        if (ids, looks) != (self._ids, self._looks):
            self._looks = looks
            self._ids, self._given, self.runs = ids, [None] * len(ids), [
                Drawn(run.name, np.empty(0), np.empty(0)) for run in runs]
            self.apply_theme(self._theme)
        for item in self._curves[len(runs):]:
            item.hide()
        before = list(self._given)
        for i, (run, item) in enumerate(zip(runs, self._curves, strict=False)):
            curve = run.curves.get(name) or Curve()
            drawn = curve.values if raw else curve.smooth
            last = float(drawn[-1]) if len(curve) else 0.0
            key = (run.name, run.first, raw, curve.weight, len(curve), last, scale, x_axis)
            if key == self._given[i]:
                continue
            self._given[i] = key
            begin = int(np.searchsorted(curve.cycles, run.first))
            x = run.positions(curve.cycles, x_axis)[begin:]
            self.runs[i] = Drawn(run.name, x, drawn[begin:].copy())
            item.setData(x, scale.forward(self.runs[i].values), antialias=len(x) < FEW)
            item.show()
        if self._given != before or not runs:
            self._draw_alone(scale)

    def _draw_alone(self, scale: Scale) -> None:
        self.alone.put([(drawn.x, scale.forward(drawn.values), self._colour(run_id))
                        for run_id, drawn in zip(self._ids, self.runs, strict=True)])

    def values_between(self, low: float, high: float) -> list[Array]:
        """Return the values of what is seen in this part of x."""
        return [in_view(drawn.x, drawn.values, low, high) for drawn in self.runs]

    def apply_theme(self, theme: Theme) -> None:
        """Draw in the colours of ``theme``."""
        self._theme = theme
        for run_id, item in zip(self._ids, self._curves, strict=False):
            pen = QPen(QColor(self._colour(run_id)), 1)
            pen.setCosmetic(True)
            pen.setStyle(run_line(run_id))
            item.setPen(pen)

    def _colour(self, run_id: int) -> str:
        return mix(run_colour(run_id, self._theme), self._theme.base, 0.8)


class Alone:
    """Dots where a number has none beside it, to which no line could go."""

    def __init__(self, canvas: pg.PlotWidget, size: int, z: int) -> None:
        self.item = pg.ScatterPlotItem(size=size, pxMode=True, pen=pg.mkPen(None))
        self.item.setZValue(z)
        canvas.addItem(self.item, ignoreBounds=True)

    def put(self, curves: Sequence[tuple[Array, Array, str]]) -> None:
        """Draw those of the ``curves``: where their points are, as high as they are drawn, in
        which colour."""
        spots = [(float(x[i]), float(y[i]), colour)
                 for x, y, colour in curves for i in alone(y[:len(x)])]
        if spots or len(self.item.data):
            x, y, colours = zip(*spots, strict=True) if spots else ((), (), ())
            self.item.setData(x, y, brush=[pg.mkBrush(colour) for colour in colours])


def alone(values: Array) -> NDArray[np.int_]:
    """Return the places of the numbers that have none before and none after them, (m,) of (n,)."""
    there = np.isfinite(values)
    if len(values) > 1 and there.all():
        return np.empty(0, int)
    beside = np.concatenate([[False], there, [False]])
    return np.flatnonzero(there & ~beside[:-2] & ~beside[2:])


def make_curve() -> pg.PlotDataItem:
    """Return an empty curve with gaps where there is no number."""
    # Two points a pixel are all that can be seen; the default of ten costs five times the time.
    return pg.PlotDataItem(connect="finite", autoDownsampleFactor=1.0)


def mix(top: str, below: str, share: float) -> str:
    """Return the opaque colour of ``top`` at ``share`` over ``below`` (cheaper than alpha)."""
    a, b = QColor(top), QColor(below)
    return QColor.fromRgbF(*(x * share + y * (1 - share) for x, y in (
        (a.redF(), b.redF()), (a.greenF(), b.greenF()), (a.blueF(), b.blueF())))).name()
