"""The loss of what a cycle learned from, by the number that decides it: curves, and the cycle's
items on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QResizeEvent
from PySide6.QtWidgets import QFrame

from workbench.algorithm import Curve, Items, LossCurve
from workbench.gui.metrics.axes import ValueAxis
from workbench.gui.objective.chips import tone_colour
from workbench.gui.objective.reading import Picture
from workbench.gui.what_is import Explanation, explain_by, of_picture
from workbench.gui.widgets.controls import describe, named
from workbench.gui.widgets.formula import formula_html
from workbench.gui.widgets.theme import Theme, mix, themes

_NOT_KEPT = ("The {} of cycle {:,} were not kept, so that the curve stands alone. Set Token "
             "details kept, under Run in Hyperparameters, higher before the next run.")
_BINS = 40
_POINTS = 201
_DOT = 7  # pixels
_PLACES = 300  # along the axis; of dots of one kind in the same place one is drawn
_LOW = 200  # pixels of height below which the curves have it all
_ABOVE = 8  # pixels, for the upper half of a number at the very top
_AXIS = 54  # pixels of the y axes, so that both plots have x in the same places


class CurvePlot(pg.GraphicsLayoutWidget):
    """``token_chosen`` carries the place among the items of one whose dot was clicked."""

    token_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        named(self, "objective_curve", "Loss of what was learned from", "")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMinimumSize(160, 100)
        self.ci.layout.setContentsMargins(0, _ABOVE, 0, 0)
        self.ci.layout.setVerticalSpacing(0)
        self._upper = self.addPlot(0, 0, enableMenu=False, axisItems=_axes())
        self._lower = self.addPlot(1, 0, enableMenu=False, axisItems=_axes())
        self._marks = [pg.InfiniteLine(angle=90) for _ in range(2)]
        for plot, line in zip((self._upper, self._lower), self._marks, strict=True):
            plot.setMouseEnabled(x=False, y=False)
            plot.hideButtons()
            plot.getAxis("left").setWidth(_AXIS)
            plot.getViewBox().setDefaultPadding(0)
            plot.addItem(line, ignoreBounds=True)
        self._named = pg.TextItem(anchor=(0, 0))
        self._upper.addItem(self._named, ignoreBounds=True)
        self.lines: list[pg.PlotDataItem] = []
        self._names: list[pg.TextItem] = []
        self.dots = pg.ScatterPlotItem(size=_DOT, pxMode=True)
        self._upper.addItem(self.dots)
        self.dots.sigClicked.connect(self._choose)
        self.counts: list[pg.BarGraphItem] = []
        self._curve: LossCurve | None = None
        explain_by(self, self._explain)
        self._low = False

    def show_curve(self, picture: Picture) -> None:
        """Draw the loss of a cycle of an algorithm that has it as a curve, and say in the
        accessible description what is seen."""
        objective = picture.algorithm.objective
        assert objective is not None
        assert objective.curve is not None
        assert picture.settings is not None
        curve, items = objective.curve, picture.items
        self._curve = curve
        describe(self, f"{curve.help}. A click on a dot shows it in Tokens")
        self.setAccessibleName(curve.title)
        self.setAccessibleDescription(
            _NOT_KEPT.format(curve.noun, picture.cycle) if items is None else
            curve.say(items, picture.settings, picture.metrics))
        curves = curve.curves(picture.settings, picture.metrics)
        mark = curve.mark(picture.settings, picture.metrics)
        theme = themes().theme
        self._dress(theme, curve)
        edge = max(curve.least, 1.3 * abs(mark[0]) if np.isfinite(mark[0]) else 0.0,
                   1.1 * float(np.abs(items.x).max()) if items is not None else 0.0)
        self._draw_curves(curves, edge, theme)
        self._draw_mark(*mark, edge, theme)
        self._draw_items(items, curves, edge, theme)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave the histogram out where there is too little height for both."""
        super().resizeEvent(event)
        if hasattr(self, "_low"):  # else it is not built yet
            self._fit(self.height() < _LOW)

    def _fit(self, low: bool) -> None:
        self._low = low
        there = self._lower in self.ci.items
        if there and low:
            self.ci.removeItem(self._lower)  # a hidden one would keep its room
        elif not there and not low:
            self.ci.addItem(self._lower, 1, 0)
        self.ci.layout.setRowStretchFactor(0, 6)
        self.ci.layout.setRowStretchFactor(1, 0 if low else 2)
        for plot, last in ((self._upper, low), (self._lower, not low)):
            plot.getAxis("bottom").setStyle(showValues=last)
            plot.showLabel("bottom", last)

    def _dress(self, theme: Theme, curve: LossCurve) -> None:
        self.setBackground(theme.base)
        for plot, title in ((self._upper, curve.y), (self._lower, curve.noun)):
            for side in ("left", "bottom"):
                plot.getAxis(side).setPen(theme.border)
                plot.getAxis(side).setTextPen(theme.muted)
            plot.getAxis("left").setLabel(formula_html(title), color=theme.muted)
            plot.getAxis("bottom").setLabel(formula_html(curve.x), color=theme.muted)
        self._fit(self._low)  # a label is shown when its text is set

    def _draw_curves(self, curves: Sequence[Curve], edge: float, theme: Theme) -> None:
        for item in (*self.lines, *self._names):
            self._upper.removeItem(item)
        self.lines, self._names = [], []
        x = np.linspace(-edge, edge, _POINTS)
        heights = [curve.loss(x) for curve in curves]
        for curve, height in zip(curves, heights, strict=True):
            colour = _colour(theme, curve)
            line = pg.PlotDataItem(x, height, antialias=True, pen=pg.mkPen(colour, width=2))
            name = pg.TextItem(curve.title, color=colour, anchor=(
                0, 0 if height[0] > height[-1] else 1))
            name.setPos(x[0], height[0])
            for item in (line, name):
                self._upper.addItem(item, ignoreBounds=True)
            self.lines.append(line)
            self._names.append(name)
        low, high = min(0.0, *(float(h.min()) for h in heights)), max(
            float(h.max()) for h in heights)
        room = 0.08 * (high - low) or 1.0
        # Below what is never negative there is only room for dots.
        self._upper.setYRange(low - (room if low < 0 else 0.25 * room), high + room, padding=0)
        for plot in (self._upper, self._lower):
            plot.setXRange(-edge, edge, padding=0.02)

    def _draw_mark(self, place: float, title: str, edge: float, theme: Theme) -> None:
        known = bool(np.isfinite(place))
        for line in self._marks:
            line.setVisible(known)
            line.setPen(pg.mkPen(theme.muted, style=Qt.PenStyle.DashLine))
            if known:
                line.setValue(place)
        self._named.setVisible(known)
        if known:
            self._named.setText(title, color=theme.muted)
            self._named.setPos(place, self._upper.viewRange()[1][1])

    def _draw_items(
        self, items: Items | None, curves: Sequence[Curve], edge: float, theme: Theme
    ) -> None:
        for bars in self.counts:
            self._lower.removeItem(bars)
        self.counts = []
        if items is None:
            self.dots.setData([], [])
            self._lower.setYRange(0, 1, padding=0)
            return
        edges = np.linspace(-edge, edge, _BINS + 1)
        below = np.zeros(_BINS)
        y, brushes = np.empty(len(items.x)), np.empty(len(items.x), object)
        for kind, curve in enumerate(curves):
            of = items.curve == kind
            y[of] = curve.loss(items.x[of])
            colour = QColor(_colour(theme, curve))
            colour.setAlpha(120)
            brushes[of] = pg.mkBrush(colour)
            counts = np.histogram(items.x[of], edges)[0].astype(float)
            bars = pg.BarGraphItem(
                x0=edges[:-1], x1=edges[1:], y0=below, y1=below + counts, pen=pg.mkPen(None),
                brush=pg.mkBrush(mix(_colour(theme, curve), theme.base, 0.6)))
            self._lower.addItem(bars)
            self.counts.append(bars)
            below = below + counts
        self._lower.setYRange(0, max(1.0, float(below.max()) * 1.05), padding=0)
        index = _one_a_place(items, edge)
        self.dots.setData(items.x[index], y[index], pen=pg.mkPen(None), brush=brushes[index],
                          data=index)

    def _explain(self) -> Explanation | None:
        return of_picture(self._curve) if self._curve else None

    def _choose(self, _: object, points: Sequence[pg.SpotItem]) -> None:
        if len(points):
            self.token_chosen.emit(int(points[0].data()))


def _axes() -> dict[str, ValueAxis]:
    return {side: ValueAxis(side) for side in ("left", "bottom")}


def _colour(theme: Theme, curve: Curve) -> str:
    return tone_colour(theme, curve.tone) or theme.accent


def _one_a_place(items: Items, edge: float) -> NDArray[np.int_]:
    """Return the first item of those of a kind that lie in the same place, (m,) of (n,)."""
    column = np.round((items.x + edge) / (2 * edge) * _PLACES).astype(int)
    return np.unique(column * (int(items.curve.max()) + 1) + items.curve, return_index=True)[1]
