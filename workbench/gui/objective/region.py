"""The trust region: what a token earns by its ratio, and where the tokens of an update are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QResizeEvent
from PySide6.QtWidgets import QFrame

from workbench.algorithm import TrustRegion
from workbench.gui.metrics.axes import ValueAxis
from workbench.gui.objective.reading import Array, Tokens
from workbench.gui.what_is import explain_by, of_region
from workbench.gui.widgets.controls import describe, named
from workbench.gui.widgets.theme import Theme, mix, themes
from workbench.store.quantiles import COUNT

LEAST, MOST = 0.5, 2.0
"""Ratios on the axis; what lies further stands at its ends."""
_TICKS = ((0.5, "≤ 0.5"), (0.67, "0.67"), (0.8, "0.8"), (1.0, "1"), (1.25, "1.25"), (1.5, "1.5"),
          (2.0, "≥ 2"))
_BINS = 60
_DOT, _RING = 5, 7  # pixels
_MANY, _PLACES = 3000, 500  # dots; where there are more, one stands for those in one place
_POINTS = 121  # of a curve, beside its corners
_LOW = 200  # pixels of height below which the curves have it all
_HIGH = 330  # from here on there is room for the epochs as well
_ABOVE = 8  # pixels, for the upper half of a number at the very top
_AXIS = 54  # pixels of the y axes, so that both plots have x in the same places


class _Dots:
    """What stays of the dots of ``tokens`` as the band changes, (n,) each."""

    def __init__(self, tokens: Tokens | None) -> None:
        self.tokens = tokens
        self.shown = (np.empty(0) if tokens is None else tokens.ratio).clip(LEAST, MOST)
        self.sign = np.empty(0) if tokens is None else np.sign(tokens.advantage)
        self.x = np.log10(self.shown)
        left, right = math.log10(LEAST), math.log10(MOST)
        column = np.round((self.x - left) / (right - left) * _PLACES).astype(int)
        # Six for each column: by sign, and free or held.
        self.places = column * 6 + (self.sign.astype(int) + 1) * 2


class RegionPlot(pg.GraphicsLayoutWidget):
    """``edge_dragged`` carries the ratio to which the person has drawn an edge of the band,
    ``token_chosen`` the place among the tokens of one whose dot was clicked."""

    edge_dragged = Signal(float)
    token_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        named(self, "objective_region", "Trust region", "")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keyboard moves the edge in the field
        self.setMinimumSize(160, 100)
        layout = self.ci.layout
        layout.setContentsMargins(0, _ABOVE, 0, 0)
        layout.setVerticalSpacing(0)
        self._upper = self.addPlot(0, 0, enableMenu=False, axisItems={"left": ValueAxis()})
        self._lower = self.addPlot(1, 0, enableMenu=False, axisItems={"left": ValueAxis()})
        self._epochs = self.addPlot(2, 0, enableMenu=False)
        self._shades = [pg.LinearRegionItem(movable=False) for _ in range(3)]
        for plot, shade in zip(self._all(), self._shades, strict=True):
            plot.setMouseEnabled(x=False, y=False)
            plot.hideButtons()
            plot.getAxis("left").setWidth(_AXIS)
            plot.setXRange(math.log10(LEAST), math.log10(MOST), padding=0.09)
            plot.getViewBox().setDefaultPadding(0)
            shade.setZValue(-10)
            plot.addItem(shade)
            plot.getAxis("bottom").enableAutoSIPrefix(False)
            plot.getAxis("bottom").setTicks(
                [[(math.log10(ratio), text) for ratio, text in _TICKS]])
        self.edges = [pg.InfiniteLine(angle=90, movable=True) for _ in range(2)]
        for edge in self.edges:
            edge.setCursor(Qt.CursorShape.SplitHCursor)
            edge.setZValue(20)
            edge.sigDragged.connect(self._drag)
            self._upper.addItem(edge)
        self._zero = pg.InfiniteLine(0, angle=0)
        self._upper.addItem(self._zero)
        self.curves = {sign: pg.PlotDataItem(antialias=True) for sign in (1.0, -1.0)}
        self._names = {1.0: pg.TextItem(anchor=(0, 0)), -1.0: pg.TextItem(anchor=(0, 1))}
        for sign, name in self._names.items():
            self._upper.addItem(self.curves[sign])
            self._upper.addItem(name, ignoreBounds=True)
        self.free, self.held = (pg.ScatterPlotItem(size=size, pxMode=True)
                                for size in (_DOT, _RING))
        self.counts = [pg.BarGraphItem(x0=[], x1=[], y0=[], y1=[]) for _ in range(2)]
        for dots in (self.free, self.held):
            self._upper.addItem(dots)
            dots.sigClicked.connect(self._choose)
        for bars in self.counts:
            self._lower.addItem(bars)
        self.spreads = [pg.BarGraphItem(x0=[], x1=[], y0=[], y1=[]) for _ in range(2)]
        self.medians = pg.PlotDataItem(connect="pairs")
        for item in (*self.spreads, self.medians):
            self._epochs.addItem(item)
        self._epochs.getViewBox().invertY()
        self._has_epochs = False
        self._theme: Theme | None = None
        self._redressed = True
        self._dots: _Dots | None = None
        self._drawn_epochs: Sequence[Array] | None = None
        self._region: TrustRegion | None = None
        explain_by(self, lambda: of_region(self._region) if self._region else None)
        self._fit(low=False)

    def show_region(
        self, region: TrustRegion, settings: Mapping[str, object], tokens: Tokens | None,
        epochs: Sequence[Array] = (),
    ) -> None:
        """Draw the curves of ``settings``, the tokens on them, and how the ratios were spread that
        each of the ``epochs`` found: quantiles, (COUNT,) each."""
        self._region = region
        describe(self, f"{region.help}. A click on a dot shows its token in Tokens")
        if self._theme is not (theme := themes().theme):
            self._theme, self._redressed = theme, True
            self._dress(theme)
        self._draw_band(region.band(settings))
        self._draw_curves(region, settings)
        self._draw_tokens(region, settings, tokens)
        if epochs is not self._drawn_epochs or self._redressed:
            self._drawn_epochs, self._redressed = epochs, False
            self._draw_epochs(epochs)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave the histogram out where there is too little height for both."""
        super().resizeEvent(event)
        if hasattr(self, "_low"):  # else it is not built yet
            self._fit(self.height() < _LOW)

    def _all(self) -> tuple[pg.PlotItem, ...]:
        return self._upper, self._lower, self._epochs

    def _fit(self, low: bool) -> None:
        """Show the plots that there is room for and something to show in."""
        self._low = low
        shown = (True, not low, self._has_epochs and self.height() >= _HIGH)
        for row, (plot, wanted, share) in enumerate(
                zip(self._all(), shown, (6, 2, 2), strict=True)):
            there = plot in self.ci.items
            if there and not wanted:
                self.ci.removeItem(plot)  # a hidden one would keep its room
            elif wanted and not there:
                self.ci.addItem(plot, row, 0)
            self.ci.layout.setRowStretchFactor(row, share if wanted else 0)
        last = max(row for row, wanted in enumerate(shown) if wanted)
        for row, plot in enumerate(self._all()):
            plot.getAxis("bottom").setStyle(showValues=row == last)
            plot.showLabel("bottom", row == last)
        for name in self._names.values():
            name.setVisible(not low)

    def _dress(self, theme: Theme) -> None:
        """Take the colours of a theme, which axes and texts are drawn anew for."""
        self.setBackground(theme.base)
        for plot in self._all():
            for side in ("left", "bottom"):
                plot.getAxis(side).setPen(theme.border)
                plot.getAxis(side).setTextPen(theme.muted)
        for plot, title in ((self._upper, "earned"), (self._lower, "tokens")):
            plot.getAxis("left").setLabel(title, color=theme.muted)
        self._epochs.getAxis("left").setLabel("epoch", color=theme.muted)
        for plot in self._all():
            plot.getAxis("bottom").setLabel(
                "ratio ρ" if plot is self._epochs else "ratio ρ after the update",
                color=theme.muted)
        self._fit(self._low)  # a label is shown when its text is set
        self._zero.setPen(pg.mkPen(theme.border))
        for sign, name in self._names.items():
            name.setText("advantage above 0" if sign > 0 else "advantage below 0",
                         color=theme.good if sign > 0 else theme.bad)
        for shade in self._shades:
            shade.setBrush(pg.mkBrush(theme.changed))
            for line in shade.lines:
                line.setPen(pg.mkPen(None))
        for edge in self.edges:
            edge.setPen(pg.mkPen(theme.accent, width=1.5))
            edge.setHoverPen(pg.mkPen(theme.accent, width=4))
            edge.setBounds((math.log10(LEAST), math.log10(MOST)))

    def _draw_band(self, band: tuple[float, float]) -> None:
        places = [math.log10(min(MOST, max(LEAST, edge))) for edge in band]
        for shade in self._shades:
            shade.setRegion(places)
        for edge, place in zip(self.edges, places, strict=True):
            edge.setValue(place)

    def _draw_curves(self, region: TrustRegion, settings: Mapping[str, object]) -> None:
        theme = themes().theme
        corners = [edge for edge in np.log10(region.band(settings))
                   if math.log10(LEAST) < edge < math.log10(MOST)]
        x = np.union1d(np.linspace(math.log10(LEAST), math.log10(MOST), _POINTS), corners)
        colours = {1.0: theme.good, -1.0: theme.bad}
        heights = {sign: region.earned(10**x, sign, settings) for sign in self.curves}
        for sign, curve in self.curves.items():
            curve.setData(x, heights[sign], pen=pg.mkPen(colours[sign], width=2))
            self._names[sign].setPos(x[0], heights[sign][0])
        low, high = float(heights[-1.0].min()), float(heights[1.0].max())
        self._upper.setYRange(low - 0.15, high + 0.15, padding=0)

    def _draw_tokens(
        self, region: TrustRegion, settings: Mapping[str, object], tokens: Tokens | None
    ) -> None:
        theme = themes().theme
        if self._dots is None or tokens is not self._dots.tokens:
            self._dots = _Dots(tokens)
        shown, sign, x = self._dots.shown, self._dots.sign, self._dots.x
        held = (np.zeros(0, bool) if tokens is None else
                region.held(tokens.ratio, tokens.advantage, settings))
        y = np.where(sign > 0, region.earned(shown, 1.0, settings),
                     np.where(sign < 0, region.earned(shown, -1.0, settings), 0.0))
        edges = np.linspace(math.log10(LEAST), math.log10(MOST), _BINS + 1)
        free_counts, held_counts = (np.histogram(part, edges)[0].astype(float)
                                    for part in (x[~held], x[held]))
        self._draw_counts(edges, free_counts, held_counts)
        index = np.arange(len(x))
        if len(x) > _MANY:
            places = self._dots.places + held
            first = np.full(6 * (_PLACES + 1), -1)
            first[places[::-1]] = index[::-1]
            first = first[first >= 0]
            x, y, held, index = x[first], y[first], held[first], index[first]
        dot = QColor(theme.accent)
        dot.setAlpha(90)
        self.free.setData(x[~held], y[~held], pen=pg.mkPen(None), brush=pg.mkBrush(dot),
                          data=index[~held])
        self.held.setData(x[held], y[held], pen=pg.mkPen(theme.warning, width=1.2),
                          brush=pg.mkBrush(None), data=index[held])

    def _draw_counts(self, edges: Array, free: Array, held: Array) -> None:
        theme = themes().theme
        both = free + held
        zero = np.zeros_like(free)
        for bars, low, high, colour in (
            (self.counts[0], zero, free, mix(theme.accent, theme.base, 0.6)),
            (self.counts[1], free, both, theme.warning),
        ):
            bars.setOpts(x0=edges[:-1], x1=edges[1:], y0=low, y1=high, pen=pg.mkPen(None),
                         brush=pg.mkBrush(colour))
        self._lower.setYRange(0, max(1.0, float(both.max()) * 1.05), padding=0)

    def _draw_epochs(self, epochs: Sequence[Array]) -> None:
        """A bar an epoch over nine of ten ratios that it found, a darker one over half of them."""
        theme = themes().theme
        known = [(row, np.log10(found.clip(LEAST, MOST))) for row, found in enumerate(epochs, 1)
                 if np.isfinite(found).all()]
        rows = np.array([row for row, _ in known], float)
        found = np.array([ratios for _, ratios in known]).reshape(-1, COUNT)
        for bars, least, most, share in ((self.spreads[0], 1, 19, 0.3),
                                         (self.spreads[1], 5, 15, 0.65)):
            bars.setOpts(x0=found[:, least], x1=found[:, most], y0=rows - 0.35, y1=rows + 0.35,
                         pen=pg.mkPen(None), brush=pg.mkBrush(mix(theme.accent, theme.base, share)))
        middle = np.repeat(found[:, 10], 2)
        self.medians.setData(middle, np.column_stack([rows - 0.35, rows + 0.35]).ravel(),
                             pen=pg.mkPen(theme.text, width=2))
        self._epochs.setYRange(0.4, max(len(epochs), 1) + 0.6, padding=0)
        step = max(1, len(epochs) // 4)
        self._epochs.getAxis("left").setTicks(
            [[(row, str(row)) for row in range(1, len(epochs) + 1, step)]])
        self._has_epochs = bool(known)
        self._fit(self._low)

    def _choose(self, _: object, points: Sequence[pg.SpotItem]) -> None:
        if len(points):
            self.token_chosen.emit(int(points[0].data()))

    def _drag(self, edge: pg.InfiniteLine) -> None:
        self.edge_dragged.emit(10 ** edge.value())
