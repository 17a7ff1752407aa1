"""One plot: a title, the value, the raw trace faint behind the smoothed one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QFont, QPen, QResizeEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QVBoxLayout, QWidget

from workbench.gui.controls import label
from workbench.gui.metrics.axes import CycleAxis, Scale, ValueAxis
from workbench.gui.metrics.canvas import Canvas
from workbench.gui.metrics.data import Along, Array, RunData, Trace, format_number, robust_range
from workbench.gui.metrics.header import GapWarning, Header, Keys
from workbench.gui.metrics.health_marks import HealthTicks
from workbench.gui.metrics.overlays import FEW, Drawn, Overlays, curve, mix
from workbench.gui.metrics.statistics import Row, as_table, between, in_words
from workbench.gui.plain_text import plain_tip
from workbench.gui.runs.colours import run_colour
from workbench.gui.theme import Theme
from workbench.ppo.metrics import METRICS, find_metric

SECOND = {"objective/scores": "objective/rlhf_reward"}
"""A metric that is drawn dashed in another's plot."""

_CURVE = 90  # pixels that a table leaves to the curves, where it is of more than one row
_DOT_PX = 4.5  # a dot's reach
_MARGIN = 0.08 / 1.16  # of a plot's height, above and below what robust_range finds
_NEAR = 24  # pixels between the pointer and the curve it means
_WIDTH = 1.5
_STYLES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine,
           Qt.PenStyle.DashDotLine)


class MetricPlot(QFrame):
    """A plot of one metric (and its dashed companion, where it has one), or of several ``lines``
    with a legend.

    Every drawing item is made once; :meth:`draw` only hands over new arrays.
    """

    hovered = Signal(object)
    reset = Signal()
    panned = Signal(float, float)  # the person moved x to this range
    selected = Signal(float, float)  # a part of x, from where the person began to select it
    clicked = Signal()

    def __init__(self, name: str, theme: Theme, parent: QWidget | None = None,
                 lines: Sequence[str] = ()) -> None:
        super().__init__(parent)
        self.about = find_metric(name)
        self.lines = tuple(lines)
        second = SECOND.get(name)
        self.names = self.lines or ((name, second) if second else (name,))
        self.setObjectName(f"plot_{name}")
        # So that a long header does not make its column wider, nor a warning its row higher.
        self.setMinimumSize(120, 60)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self.setAccessibleName(f"Plot of {self.about.label}")
        self._manual_y = False
        self._range_text = ""  # stands in the place of the unit
        self._scale = Scale()
        self._traces: list[Trace] = []
        self._positions: list[Array] = []
        self._others: list[tuple[str, int, Trace]] = []
        self._theme, self._colour_of, self._name = theme, 1, ""
        self._build()
        self.apply_theme(theme)

    # -- what the view tells

    def draw(
        self, run: RunData, along: Along, log: bool, x_range: tuple[float, float] | None,
        overlays: Sequence[RunData] = (),
    ) -> None:
        """Hand the traces of ``run`` to the curves, those of ``overlays`` to thin ones, and show
        ``x_range``, None keeping it."""
        if x_range:
            self.set_x_range(*x_range)  # first: what is out of view is not drawn
        traces = [run.traces.get(name) or Trace() for name in self.names]
        others = [o.traces.get(self.names[0]) or Trace() for o in overlays]
        self._scale = (Scale.log_for(np.concatenate([t.values for t in [*traces, *others]]))
                       if log else Scale())
        if self._colour_of != run.run_id:
            self._colour_of = run.run_id
            self.apply_theme(self._theme)
        self._name = run.name
        self._others = [(o.name, o.run_id, trace)
                        for o, trace in zip(overlays, others, strict=True)]
        self._overlays.draw(overlays, self.names[0], self._scale, along)
        self._value_axis.set_scale(self._scale)
        for curves, trace in zip(self._curves, traces, strict=True):
            x = run.positions(trace.cycles, along)
            smoothed = trace.weight > 0
            raw, smooth, head = curves
            raw.setVisible(smoothed)
            if smoothed:
                raw.setData(x, self._scale.forward(trace.values), skipFiniteCheck=False)
            heights = self._scale.forward(trace.smooth)
            few = len(x) < FEW
            smooth.setData(x, heights, antialias=few)
            if few != (smooth.opts["pen"].widthF() > 1):
                pen = QPen(smooth.opts["pen"])
                pen.setWidthF(_WIDTH if few else 1)
                smooth.setPen(pen)
            _set_points(head, x[-1:], heights[-1:])
        self._traces, self._positions = traces, [run.positions(t.cycles, along) for t in traces]
        self._marks.setXVals(run.positions(np.array([c for c, _ in run.marks], float), along))
        self._marks.setVisible(bool(run.marks))
        self._health.draw(run, along)
        self._fork.setVisible(run.origin is not None)
        if run.origin:
            self._fork.setPos(float(run.positions(
                np.array([run.origin[0]], float), along)[0]))
        self._gaps.show_gaps(traces[0].gaps)
        self.fit()

    def fit(self) -> None:
        """Choose the y range for the part of x in view, unless the person set one."""
        if self._manual_y or not self._traces:
            return
        low, high = self._box.viewRange()[0]
        parts: list[Array] = []
        for trace, x in zip(self._traces, self._positions, strict=True):
            first, last = np.searchsorted(x, (low, high + 1e-9))
            parts += (trace.values[first:last], trace.smooth[first:last])
        parts += self._overlays.values_between(low, high)
        found = robust_range([self._scale.forward(part) for part in parts])
        if found:
            self._box.setYRange(*_with_room(*found, self._box.height()), padding=0)
        # Else the first paint finds a stale matrix, mends it and asks for a second.
        self._box.prepareForPaint()

    def hasHeightForWidth(self) -> bool:
        """Be content with any height, or a legend of two lines would squeeze the other plots."""
        return False

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the header."""
        super().resizeEvent(event)
        self._header.fit()

    def set_x_range(self, low: float, high: float) -> None:
        """Show this part of x; :meth:`fit` then chooses y."""
        self._box.setXRange(low, high, padding=0)

    def follow(self) -> None:
        """Forget a y range that the person set."""
        self._manual_y = False

    def set_along(self, along: Along) -> None:
        """Label x as time or as cycles."""
        self._cycle_axis.set_along(along)

    def show_x_axis(self, shown: bool) -> None:
        """Show the labels of x, or leave them to the plot below."""
        self._cycle_axis.setStyle(showValues=shown)
        self._cycle_axis.setHeight(None if shown else 4)

    def set_cursor(self, cycle: int | None, x: float, note: str) -> None:
        """Put the crosshair at ``cycle`` and show the values there; None shows the latest."""
        for line in (self._cursor, self._dots):
            line.setVisible(cycle is not None)
        values = [(t.at(cycle) if cycle is not None else float(t.smooth[-1]) if len(t) else
                   math.nan) for t in self._traces] or [math.nan] * len(self.names)
        self._header.show_values(
            () if self.lines else values,
            self._range_text or (self.about.unit if cycle is None else f"cycle {cycle:,}"))
        if self.lines:
            self._keys.show_values(values, self._theme.series)
        if cycle is not None:
            self._cursor.setPos(x)
            heights = np.array([self._scale.height(v) for v in values])
            _set_points(self._dots, np.full(len(heights), x), heights)
        self._note.setVisible(bool(note))
        if note:
            self._note.setText(note)
            self._note.setTextWidth(-1)
            if self._note.boundingRect().width() > self._box.width():
                self._note.setTextWidth(self._box.width())
            # To the right of the mark, but never over the edge.
            (_, right), (_, top) = self._box.viewRange()
            width = max(1.0, self._note.boundingRect().width() * self.pixel)
            self._note.setAnchor((min(max(0.0, (x + width - right) / width), 1.0), 0))
            self._note.setPos(x, top)

    def show_range(self, cycles: tuple[int, int] | None,
                   places: tuple[float, float] | None) -> None:
        """Mark a range of cycles and show its statistics; None shows none."""
        self._region.setVisible(places is not None)
        self._statistics.setVisible(cycles is not None)
        self._range_text = ""
        if cycles is None or places is None:
            return
        if places != tuple(self._region.getRegion()):
            self._region.setRegion(places)
        names = [find_metric(name).label for name in self.lines] or [self._name]
        rows = [Row(name, self._colour(i), between(trace, *cycles))
                for i, (name, trace) in enumerate(zip(names, self._traces, strict=False))]
        # (A companion, drawn dashed, is left out: zip ends with the names.)
        rows += [Row(name, run_colour(run_id, self._theme), between(trace, *cycles))
                 for name, run_id, trace in self._others]
        first, last = cycles
        span = f"Cycle {first:,}" if first == last else f"Cycles {first:,} to {last:,}"
        # What there is no room for beside a curve worth looking at, the tooltip tells.
        room = self.height() - _CURVE - self._header.height()
        metrics = self._statistics.fontMetrics()
        most = max(1, room // metrics.height() - 1)
        self._statistics.setText(as_table(
            rows, most, self.width() // (metrics.horizontalAdvance("−0.0000") + 12)))
        self._statistics.setToolTip(plain_tip(
            f"{span}, the numbers themselves, not smoothed. Change: the last less the first.\n"
            f"{in_words(rows)}"))
        self._statistics.setAccessibleDescription(f"{span}. {in_words(rows)}")
        self._range_text = span.lower()

    def nearest(self, x: float, y: float) -> str:
        """Return the name and the value of the curve at this point; "" where there is none, and
        where there is only one run."""
        if not self._overlays.runs:
            return ""
        low, high = self._box.viewRange()[1]
        pixel = (high - low) / max(1.0, self._box.height())
        own = Drawn(self._name, self._positions[0], self._traces[0].smooth)
        found = min((abs(self._scale.height(value) - y) / pixel, drawn.name, value)
                    for drawn in (own, *self._overlays.runs)
                    for value in [drawn.at(x)] if math.isfinite(value)) if len(own.x) else None
        return f"{found[1]}: {format_number(found[2])}" if found and found[0] < _NEAR else ""

    @property
    def pixel(self) -> float:
        """The width of a pixel in units of x."""
        return float(self._box.viewPixelSize()[0])

    # -- making it

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 4, 0)
        layout.setSpacing(0)
        self._header = Header(self.about, () if self.lines else self.names)
        layout.addWidget(self._header)
        if self.lines:
            self._keys = Keys(self.about, self.lines)
            layout.addWidget(self._keys)
        self._gaps = GapWarning(self.about)
        layout.addWidget(self._gaps)
        self._statistics = label(role="muted", rich=True)
        self._statistics.setMinimumWidth(1)
        self._statistics.setContentsMargins(0, 0, 4, 0)
        self._statistics.setObjectName("range_statistics")
        self._statistics.setAccessibleName(f"{self.about.label}, selected range")
        self._statistics.hide()
        layout.addWidget(self._statistics)
        self._canvas = Canvas()
        self._canvas.setAccessibleName(f"Curve of {self.about.label}")
        layout.addWidget(self._canvas, 1)

        self._canvas.getPlotItem().setContentsMargins(0, 6, 0, 0)  # half a tick label
        self._box: pg.ViewBox = self._canvas.getViewBox()
        self._value_axis: ValueAxis = self._canvas.getAxis("left")
        self._cycle_axis: CycleAxis = self._canvas.getAxis("bottom")
        digits = QFont(self.font())
        digits.setPointSizeF(self.font().pointSizeF() * 0.85)
        for axis in (self._value_axis, self._cycle_axis):
            axis.setTickFont(digits)
            axis.enableAutoSIPrefix(False)
            axis.setStyle(tickLength=-4, tickTextOffset=4)
        self._statistics.setFont(digits)
        # The same width everywhere, so that plots above each other line up.
        self._value_axis.setWidth(self.fontMetrics().horizontalAdvance("−0.000"))

        self._curves = []
        for name in self.names:
            raw, smooth = curve(), curve()
            head = pg.ScatterPlotItem(size=6, pxMode=True)
            for z, item in ((1, raw), (3, smooth)):
                item.setZValue(z - (name != self.names[0]))
                self._canvas.addItem(item)
            self._canvas.addItem(head)
            self._curves.append((raw, smooth, head))
        self._overlays = Overlays(self._canvas, self._theme)
        self._fork = pg.InfiniteLine(angle=90)
        self._marks = pg.VTickGroup()
        self._health = HealthTicks(self._canvas, self.names)
        self._cursor = pg.InfiniteLine(angle=90)
        self._dots = pg.ScatterPlotItem(size=7, pxMode=True)
        self._note = pg.TextItem()
        self._note.setFont(digits)
        for item in (self._fork, self._marks, self._cursor, self._dots, self._note):
            item.setZValue(5)
            self._canvas.addItem(item, ignoreBounds=True)
        self._note.setZValue(6)
        self._region = pg.LinearRegionItem(movable=False)
        self._region.setZValue(-2)
        self._region.hide()
        self._canvas.addItem(self._region, ignoreBounds=True)
        self._fork.setZValue(0)
        self._fork.hide()
        self._box.disableAutoRange()
        self._canvas.hovered.connect(self.hovered)
        self._canvas.reset.connect(self.reset)
        self._box.moved.connect(self._moved)
        self._box.selected.connect(self.selected)
        self._box.clicked.connect(self.clicked)
        self.set_cursor(None, 0.0, "")

    def apply_theme(self, theme: Theme) -> None:
        """Draw in the colours of ``theme``."""
        self._canvas.setBackground(theme.base)
        for axis in (self._value_axis, self._cycle_axis):
            axis.setPen(theme.border)
            axis.setTextPen(theme.muted)
        self._theme = theme
        self._overlays.apply_theme(theme)
        for i, (raw, smooth, head) in enumerate(self._curves):
            colour = self._colour(i)
            raw.setPen(pg.mkPen(mix(colour, theme.base, 0.45)))
            pen = QPen(QColor(colour), _WIDTH)
            pen.setCosmetic(True)
            pen.setStyle(_STYLES[i % len(_STYLES)])
            smooth.setPen(pen)
            head.setPen(None)
            head.setBrush(colour)
            if i and not self.lines:
                self._header.show_key(METRICS[self.names[i]], colour)
        self._fork.setPen(pg.mkPen(theme.muted, style=Qt.PenStyle.DashLine))
        self._marks.setPen(pg.mkPen(theme.warning, style=Qt.PenStyle.DotLine))
        self._health.apply_theme(theme)
        self._region.setBrush(mix(theme.accent, theme.base, 0.14))
        for line in self._region.lines:
            line.setPen(pg.mkPen(mix(theme.accent, theme.base, 0.6)))
        self._cursor.setPen(pg.mkPen(theme.muted))
        self._dots.setPen(pg.mkPen(theme.base))
        self._dots.setBrush(theme.text)
        self._note.setColor(theme.text)
        self._note.fill = pg.mkBrush(theme.window)
        self._note.border = pg.mkPen(theme.warning)

    def _colour(self, line: int) -> str:
        """The colour says which run, the kind of line which metric; but parts have colours too."""
        if self.lines:
            return self._theme.series[line % len(self._theme.series)]
        own = run_colour(self._colour_of, self._theme)
        return mix(own, self._theme.base, 0.7) if line else own

    def _moved(self, axis: int) -> None:
        if axis:
            self._manual_y = True
        else:
            self.panned.emit(*self._box.viewRange()[0])


def _set_points(points: pg.ScatterPlotItem, x: Array, y: Array) -> None:
    # A point that is not a number makes the item's bounds so.
    finite = np.isfinite(y)
    points.setData(x[finite], y[finite])


def _with_room(low: float, high: float, height: float) -> tuple[float, float]:
    """Return a range in which a dot on the outermost value is whole in a plot of few pixels."""
    missing = max(0.0, _DOT_PX - _MARGIN * height) / max(height - 2 * _DOT_PX, _DOT_PX)
    return low - missing * (high - low), high + missing * (high - low)
