"""One distribution: its bands over cycles, and how it is spread in the cycle looked at."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QFrame, QGraphicsPathItem, QWidget
from superqt import QElidingLabel

from workbench.algorithm import Distribution
from workbench.gui.distributions.reading import Array, Spread
from workbench.gui.metrics.axes import CycleAxis, ValueAxis
from workbench.gui.what_is import explain_by, of_picture
from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.layouts import vbox
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import Theme, mix, themes
from workbench.store.quantiles import COUNT

_BINS = 24
_LEAST_SPAN = 0.5
_AXIS = 44  # pixels of the y axes, so that plots below one another have x in the same places
_BELOW = 24  # pixels of the x axes
_TITLED = 40  # pixels of the x axes with their title
_TALL = 180  # pixels of a plot that has room for it
_ABOVE = 8  # pixels, for the upper half of a number at the very top
_LEAST_HEIGHT = 150  # pixels
_OF_BANDS = "Drawn of the bands of this cycle: its single numbers are not kept"
_DRAWN = 2000  # numbers that quantiles are drawn as
_ALONE = np.array([-0.3, 0.3])  # where the band of a single cycle begins and ends
_NOTHING = "Nothing is known of it in this run"


class Fan(QWidget):
    """Half of the numbers lie in the dark band, nine of ten in the light one; the line is the
    median. Beside it the chosen cycle's numbers, at the same heights. ``chosen`` carries a cycle
    that was clicked."""

    chosen = Signal(int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(f"distribution_{name}")
        self.title = label(role="heading")
        self.said = QElidingLabel(textFormat=Qt.TextFormat.PlainText)
        self.said.setProperty("role", "muted")
        self.said.setMinimumWidth(1)
        self.plot = _FanPlot()
        self.plot.chosen.connect(self.chosen)
        self._shown: Distribution | None = None
        explain_by(self, lambda: of_picture(self._shown) if self._shown else None)
        vbox(self, self.title, self.said, (self.plot, 1), spacing=2)

    def show_spread(self, spread: Spread, cycle: int) -> None:
        """Draw a distribution, looked at in ``cycle``."""
        distribution = self._shown = spread.distribution
        self.title.setText(distribution.title)
        self.title.setToolTip(plain_tip(distribution.help))
        self.said.setText(say(spread, cycle))
        self.said.setToolTip(plain_tip(say_all(spread, cycle)))
        named(self.plot, f"{self.objectName()}_plot", f"{distribution.title} by cycle",
              f"{distribution.help}. Half of the numbers lie in the dark band, nine of ten in the "
              "light one; the line is the median. A click goes to a cycle")
        self.plot.setAccessibleDescription(say_all(spread, cycle))
        self.plot.show_spread(spread, cycle)


def say(spread: Spread, cycle: int) -> str:
    """Return how a number is spread in ``cycle``, in a few words."""
    if cycle not in spread.cycles:
        return _NOTHING if not spread.cycles else f"Nothing is known of it in cycle {cycle:,}"
    row = spread.quantiles[spread.cycles.index(cycle)]
    if np.isnan(row).any():
        return f"Cycle {cycle:,} has no number of it"
    text = spread.distribution.text
    low, middle, high = (text(float(row[place])) for place in (5, 10, 15))
    return f"half in {low} to {high}, median {middle}"


def say_all(spread: Spread, cycle: int) -> str:
    """Return how a number is spread in ``cycle``, with its ends."""
    said = say(spread, cycle)
    if cycle not in spread.cycles:
        return said
    row, text = spread.quantiles[spread.cycles.index(cycle)], spread.distribution.text
    if np.isnan(row).any():
        return said
    return (f"{said}, nine of ten between {text(float(row[1]))} and {text(float(row[19]))}, "
            f"all between {text(float(row[0]))} and {text(float(row[-1]))}")


class _FanPlot(pg.GraphicsLayoutWidget):
    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the cycle is chosen above, by the keyboard
        self.setMinimumSize(120, _LEAST_HEIGHT)
        self._cycles: list[int] = []
        layout = self.ci.layout
        layout.setContentsMargins(0, _ABOVE, 0, 0)
        layout.setHorizontalSpacing(2)
        self._over = self.addPlot(0, 0, enableMenu=False, axisItems={
            "left": ValueAxis(), "bottom": CycleAxis()})
        self._beside = self.addPlot(0, 1, enableMenu=False)
        self._beside.hideAxis("left")
        self._beside.getAxis("bottom").setStyle(showValues=False, tickLength=0)
        layout.setColumnStretchFactor(0, 4)
        layout.setColumnStretchFactor(1, 1)
        for plot in (self._over, self._beside):
            plot.setMouseEnabled(x=False, y=False)
            plot.hideButtons()
            plot.getViewBox().setDefaultPadding(0)
            plot.getAxis("bottom").setHeight(_BELOW)  # so that both have y in the same places
        self._over.getAxis("left").setWidth(_AXIS)
        self.bands = [QGraphicsPathItem() for _ in range(2)]
        for band in self.bands:  # which stay as the mark goes over them
            band.setCacheMode(QGraphicsPathItem.CacheMode.DeviceCoordinateCache)
        self.median = pg.PlotDataItem(antialias=True)
        self._mark = pg.InfiniteLine(angle=90)
        for item in (*self.bands, self.median, self._mark):
            self._over.addItem(item, ignoreBounds=True)
        self.bars = pg.BarGraphItem(x0=[], x1=[], y0=[], y1=[])
        self._middle = pg.InfiniteLine(angle=0)
        self._beside.addItem(self.bars)
        self._beside.addItem(self._middle)
        self._x, self._rows = np.empty(0), np.empty((0, COUNT))
        self._theme: Theme | None = None

    def show_spread(self, spread: Spread, cycle: int) -> None:
        if self._theme is not (theme := themes().theme):
            self._theme = theme
            self._dress(theme)
        known = ~np.isnan(spread.quantiles).any(axis=1)
        x, rows = np.array(spread.cycles, float)[known], spread.quantiles[known]
        if not (np.array_equal(x, self._x) and np.array_equal(rows, self._rows)):
            self._x, self._rows = x, rows
            self._cycles = [int(c) for c in x]
            self._draw_bands(x, rows)
        self._mark.setPos(cycle)
        if len(x):
            row = rows[self._cycles.index(cycle)] if cycle in self._cycles else None
            self._draw_values(spread, row)
            self._middle.setVisible(row is not None)
            if row is not None:
                self._middle.setPos(row[10])

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Say what x is where there is room."""
        super().resizeEvent(event)
        if event is None:  # pyqtgraph's own call, while there are no plots yet
            return
        titled = self.height() >= _TALL
        for plot in (self._over, self._beside):
            plot.getAxis("bottom").setHeight(_TITLED if titled else _BELOW)
        self._over.getAxis("bottom").showLabel(titled)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave it to what scrolls the plots."""
        event.ignore()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to the cycle that is pressed."""
        box = self._over.getViewBox()
        at = self.mapToScene(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and self._cycles and (
                box.sceneBoundingRect().contains(at)):
            x = box.mapSceneToView(QPointF(at)).x()
            self.chosen.emit(min(self._cycles, key=lambda cycle: abs(cycle - x)))
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Nothing is dragged here."""
        event.accept()

    def _draw_bands(self, x: Array, rows: Array) -> None:
        limits = (x[0] - 0.5, max(x[-1], x[0] + 3) + 0.5) if len(x) else (0.0, 1.0)
        if len(x) == 1:  # a single cycle has a width to be seen
            x, rows = x + _ALONE, rows[[0, 0]]
        for band, low, high in zip(self.bands, (1, 5), (19, 15), strict=True):
            band.setPath(pg.arrayToQPath(
                np.concatenate([x, x[::-1]]), np.concatenate([rows[:, low], rows[::-1, high]])))
        self.median.setData(x, rows[:, 10])
        if len(x):
            for plot in (self._over, self._beside):
                plot.setYRange(*view_range(rows), padding=0)
            self._over.setXRange(*limits, padding=0)

    def _draw_values(self, spread: Spread, row: Array | None) -> None:
        values = spread.values
        if values is None:
            values = np.empty(0) if row is None else of_quantiles(row)
        counts, edges = histogram(values, *view_range(self._rows))
        self.bars.setOpts(x0=np.zeros(len(counts)), x1=counts, y0=edges[:-1], y1=edges[1:],
                          pen=pg.mkPen(None),
                          brush=pg.mkBrush(mix(themes().theme.accent, themes().theme.base, 0.6)))
        self._beside.setXRange(0, max(1.0, float(counts.max())), padding=0.02)
        self._beside.setToolTip(plain_tip(
            _OF_BANDS if spread.values is None and row is not None else ""))

    def _dress(self, theme: Theme) -> None:
        self.setBackground(theme.base)
        for plot in (self._over, self._beside):
            for side in ("left", "bottom"):
                plot.getAxis(side).setPen(theme.border)
                plot.getAxis(side).setTextPen(theme.muted)
        axis = self._over.getAxis("bottom")
        shown = axis.label.isVisible()
        axis.setLabel("cycle", color=theme.muted)
        axis.showLabel(shown)
        light, dark = QColor(theme.accent), QColor(theme.accent)
        light.setAlphaF(0.16)
        dark.setAlphaF(0.30)
        for band, colour in zip(self.bands, (light, dark), strict=True):
            band.setBrush(pg.mkBrush(colour))
            band.setPen(pg.mkPen(None))
        self.median.setPen(pg.mkPen(theme.accent, width=2))
        self._mark.setPen(pg.mkPen(theme.muted, style=Qt.PenStyle.DashLine))
        self._middle.setPen(pg.mkPen(theme.accent, width=2))


def of_quantiles(row: Array) -> Array:
    """Return numbers that are spread as the quantiles ``row`` say, (COUNT,): as many in each share
    between two of them, evenly."""
    return np.interp((np.arange(_DRAWN) + 0.5) / _DRAWN, np.linspace(0, 1, COUNT), row)


def view_range(rows: Array) -> tuple[float, float]:
    """Return the heights to draw: nine of ten numbers of every cycle, and some room. What hardly
    differs is not drawn as if it did."""
    low, high = float(rows[:, 1].min()), float(rows[:, 19].max())
    room = max(0.12 * (high - low), (_LEAST_SPAN - (high - low)) / 2)
    return low - room, high + room


def histogram(values: Array, low: float, high: float) -> tuple[Array, Array]:
    """Return how many of ``values`` lie in each bin from ``low`` to ``high``, and the bins' edges.
    What lies beyond counts in the outermost."""
    edges = np.linspace(low, high, _BINS + 1)
    inside = values[np.isfinite(values)].clip(low, high)
    return np.histogram(inside, edges)[0].astype(float), edges
