"""One plot: a title, the value, the raw curve faint behind the smoothed one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, Signal
from PySide6.QtGui import QContextMenuEvent, QEnterEvent, QFont, QResizeEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QWidget

from workbench.algorithms import find_metric
from workbench.gui.metrics.axes import CycleAxis, Scale, ValueAxis
from workbench.gui.metrics.canvas import Canvas
from workbench.gui.metrics.curves import STYLES, Curves
from workbench.gui.metrics.data import Curve, RunData, XAxis, robust_range
from workbench.gui.metrics.figure import Line, Panel
from workbench.gui.metrics.header import GapWarning, Header, Keys
from workbench.gui.metrics.marks import Marks
from workbench.gui.metrics.overlays import Drawn, Overlays, mix
from workbench.gui.metrics.plot_menu import PlotMenu
from workbench.gui.metrics.statistics import Row, as_table, between, in_words
from workbench.gui.what_is import explain_by, of_metric
from workbench.gui.widgets.controls import label
from workbench.gui.widgets.layouts import vbox
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.run_colours import run_colour, run_line
from workbench.gui.widgets.theme import LIGHT, Theme
from workbench.learning.counts import of_many

LEAST_HEIGHT = 72
"""Pixels in which title, curve and the numbers of the axes can be read."""
_CURVE = 90  # pixels that a table leaves to the curves, where it is of more than one row
_DOT_PX = 4.5  # a dot's reach
_MARGIN = 0.08 / 1.16  # of a plot's height, above and below what robust_range finds
_NEAR = 24  # pixels between the pointer and the curve it means
_NOISE = 1e-6  # below this a sum of float32 numbers around zero says nothing
_STEADY = 0.02  # of its height by which a y range may be off before it is chosen anew
_TURNS = 4
_STROKES = ("╌╌", "┈┈", "╌┈")


class MetricPlot(QFrame):
    """A plot of one metric, with its ``companions`` dashed and dotted, or of several ``lines`` with
    a legend.

    Every drawing item is made once; :meth:`draw` only hands over new arrays.
    """

    hovered = Signal(object)
    reset = Signal()
    panned = Signal(float, float)  # the person moved x to this range
    stretched = Signal()  # the person set the y range
    zoomed = Signal(float, float)  # the person wants to see this part of x
    selected = Signal(float, float)  # a part of x, from where the person began to select it
    clicked = Signal(float)  # where in x
    wished = Signal(str, bool)  # a Wish, and whether it was ticked

    def __init__(self, name: str, theme: Theme, parent: QWidget | None = None,
                 lines: Sequence[str] = (), companions: Sequence[str] = ()) -> None:
        super().__init__(parent)
        self.about = find_metric(name)
        self.lines = tuple(lines)
        self.names = self.lines or (name, *companions)
        self.setObjectName(f"plot_{name}")
        # So that a long header does not make its column wider, nor a warning its row higher; and
        # no lower than what can be read.
        self.setMinimumSize(120, LEAST_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self.setAccessibleName(f"Plot of {self.about.label}")
        self.manual_y = False
        """Whether the person set the y range."""
        self._limits: tuple[float, float] | None = None
        self.turn = 0
        """Which of the plots beside each other it is."""
        self._state: tuple[object, ...] = ()
        self._turn_drawn = 0
        self._range_text = ""  # stands in the place of the unit
        self._unit = self.about.unit
        self._scale = Scale()
        self._others: list[tuple[str, int, Curve]] = []
        self._theme, self._colour_of, self._own_colour, self._name = theme, 1, "", ""
        explain_by(self, lambda: of_metric(self.about), menu=False)
        self._build()
        self.apply_theme(theme)

    # -- what the view tells

    def draw(
        self, run: RunData, x_axis: XAxis, x_range: tuple[float, float] | None,
        overlays: Sequence[RunData] = (), *, log: bool = False, raw: bool = False,
    ) -> None:
        """Hand the curves of ``run`` to the curves, those of ``overlays`` to thin ones, and show
        ``x_range``, None keeping it. ``raw`` leaves smoothed curves out."""
        counted = run.curves.get(self.about.of)
        self._unit = self.about.unit if counted is None or not len(counted) else (
            of_many(counted.values[-1], self.about.of_noun).strip())
        if x_range:
            self.set_x_range(*x_range)  # first: what is out of view is not drawn
        others = [o.curves.get(self.names[0]) or Curve() for o in overlays]
        colours = [run_colour(r.run_id, self._theme) for r in (run, *overlays)]
        if not self._is_due(run, others, (run.run_id, run.name, *colours, x_axis, log, raw)):
            self.marks.draw(run, x_axis)
            self._curves.draw_ends(run, x_axis, self._scale)
            self._show_gaps()
            return
        own = [run.curves[name].values for name in self.names if name in run.curves]
        self._scale = (Scale.log_for(np.concatenate([*own, *(t.values for t in others), [0.0]]))
                       if log else Scale())
        self._colour_of = run.run_id
        if self._own_colour != colours[0]:
            self._own_colour = colours[0]
            self.apply_theme(self._theme)
        self._name = run.name
        self._others = [(o.name, o.run_id, curve)
                        for o, curve in zip(overlays, others, strict=True)]
        self._overlays.draw(overlays, self.names[0], self._scale, x_axis, raw)
        self._value_axis.set_scale(self._scale)
        self._curves.draw(run, x_axis, self._scale, raw)
        self.marks.draw(run, x_axis)
        self._show_gaps()
        self.fit()

    def _show_gaps(self) -> None:
        curve = self._curves.curves[0]
        self._gaps.show_gaps(curve.gaps, none=not len(curve))

    def _is_due(self, run: RunData, others: Sequence[Curve], asked: tuple[object, ...]) -> bool:
        """Whether the curves look otherwise than they were drawn last. What came since may be too
        little to be seen; plots beside each other then take turns, so that they do not all draw
        in one cycle what several brought."""
        curves = [run.curves.get(name) or Curve() for name in self.names]
        view = self._box.viewRange()
        state = (*asked, view[0], self._box.width(), [(t.revision, t.weight) for t in curves],
                 [id(run.curves.get(name)) for name in self.names],
                 [(id(t), t.revision, len(t)) for t in others])
        count = len(curves[0])
        x = self._curves.positions[0] if self._curves.positions else curves[0].cycles
        first, last = np.searchsorted(x, view[0])
        every = max(1, int((last - first) / max(1.0, self._box.width()) / 2))
        turn = (count + self.turn * every // _TURNS) // every
        due = state != self._state or turn != self._turn_drawn or every == 1
        self._state, self._turn_drawn = state, turn
        return due

    def fit(self) -> None:
        """Choose the y range for the part of x in view, unless the person set one."""
        if self.manual_y or not self._curves.curves:
            return
        low, high = self._box.viewRange()[0]
        parts = [*self._curves.between(low, high), *self._overlays.values_between(low, high)]
        noise = 0.0 if self.about.exact else max(_NOISE, self.about.rounding)
        bounds = self._bounds()
        found = robust_range([self._scale.forward(part) for part in parts], noise, bounds)
        if found:
            wanted = _with_room(*found, self._box.height(), bounds)
            slack = _STEADY * (wanted[1] - wanted[0])
            if any(abs(new - old) > slack
                   for new, old in zip(wanted, self._box.viewRange()[1], strict=True)):
                self._show_y(*wanted)
        # Else the first paint finds a stale matrix, mends it and asks for a second.
        self._box.prepareForPaint()

    def _bounds(self) -> tuple[float, float]:
        """Return the heights between which numbers of all the metrics can be."""
        least, most = zip(*(find_metric(name).bounds for name in self.names), strict=True)
        return self._scale.height(min(least)), self._scale.height(max(most))

    def _show_y(self, low: float, high: float) -> None:
        """Show this part of y, and let it be moved no farther than the outermost value."""
        heights = [self._scale.forward(values) for values in (
            *(t.values for t in self._curves.curves), *(o.values for o in self._overlays.runs))]
        found = np.concatenate([h[np.isfinite(h)] for h in heights])
        self._box.setLimits(yMin=min(low, float(found.min())), yMax=max(high, float(found.max())))
        self._box.setYRange(low, high, padding=0)

    def hasHeightForWidth(self) -> bool:
        """Be content with any height, or a legend of two lines would squeeze the other plots."""
        return False

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Let the header have as many rows as there is room for."""
        super().resizeEvent(event)
        self._header.fit()

    def enterEvent(self, event: QEnterEvent) -> None:
        """Offer what there is no room for else."""
        super().enterEvent(event)
        self._header.fit()

    def leaveEvent(self, event: QEvent) -> None:
        """Give the title its room back."""
        super().leaveEvent(event)
        self._header.fit()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Open the menu where the person asks for it."""
        self.menu.popup(event.globalPos())

    def open_menu(self) -> None:
        """Open the menu below the title, for the keyboard."""
        self.menu.popup(self.mapToGlobal(self._header.geometry().bottomLeft()))

    def set_limits(self, low: float, high: float, least: float) -> None:
        """Let x be moved between these places only, and be zoomed to no less than ``least``."""
        if (low, high) != self._limits:
            self._limits = low, high
            self._box.setLimits(xMin=low, xMax=high, minXRange=min(least, high - low))

    def set_x_range(self, low: float, high: float) -> None:
        """Show this part of x; :meth:`fit` then chooses y."""
        if [low, high] != self._box.viewRange()[0]:
            self._box.setXRange(low, high, padding=0)

    def follow(self) -> None:
        """Forget a y range that the person set."""
        self.manual_y = False

    def set_x_axis(self, x_axis: XAxis) -> None:
        """Label x as time or as cycles."""
        self._cycle_axis.set_x_axis(x_axis)

    def show_x_axis(self, shown: bool) -> None:
        """Show the labels of x, or leave them to the plot below."""
        self._cycle_axis.setStyle(showValues=shown)
        self._cycle_axis.setHeight(None if shown else 4)

    def set_cursor(self, cycle: int | None, x: float, note: str = "") -> None:
        """Put the crosshair at ``cycle`` and show the values there; None shows the latest."""
        values, drawn = self._curves.values_at(cycle)
        smoothed = self._curves.smoothed
        self._header.show_values(
            () if self.lines else values,
            self._range_text or (self._unit if cycle is None else f"cycle {cycle:,}"),
            drawn[0] if smoothed and not self.lines else math.nan,
            [len(curve) > 0 for curve in self._curves.curves])
        if self.lines:
            self._keys.show_values(values, self._theme.series)
            self.setMinimumHeight(
                LEAST_HEIGHT + max(0, self._keys.heightForWidth(self._keys.width())))
        self.marks.show_cursor(None if cycle is None else x,
                               self._scale.forward(np.array(drawn)))
        self.marks.show_note(note, x)
        self._place()

    def values_of_runs(self, cycle: int) -> list[tuple[str, str, str]]:
        """Return name, colour and value at ``cycle`` of the runs, where several are drawn."""
        if self.lines or not self._others or not self._curves.curves:
            return []
        own = (self._name, self._colour_of, self._curves.curves[0])
        return [(name, run_colour(run_id, self._theme), self.about.text(curve.at(cycle)))
                for name, run_id, curve in (own, *self._others)]

    def pixel_of(self, x: float) -> int:
        """Return how far from its left edge a place in x is."""
        place = self._canvas.mapFromScene(self._box.mapViewToScene(QPointF(x, 0)))
        return self._canvas.x() + place.x()

    def show_range(self, cycles: tuple[int, int] | None,
                   places: tuple[float, float] | None) -> None:
        """Mark a range of cycles and show its statistics; None shows none."""
        self.marks.show_region(places)
        metrics = self._statistics.fontMetrics()
        above = self.height() - self._header.height()
        # Two lines, and half of what a curve should have: less is neither read nor seen.
        self._statistics.setVisible(
            cycles is not None and above - 2 * metrics.height() >= _CURVE // 2)
        self._range_text = ""
        if cycles is None or places is None:
            self._canvas.setToolTip("")
            return
        names = [find_metric(name).label for name in self.lines] or [self._name]
        rows = [Row(name, self._colour(i), between(curve, *cycles), find_metric(metric))
                for i, (name, metric, curve) in enumerate(
                    zip(names, self.names, self._curves.curves, strict=False))]
        # (Companions are left out: zip ends with the names.)
        rows += [Row(name, run_colour(run_id, self._theme), between(curve, *cycles), self.about)
                 for name, run_id, curve in self._others]
        first, last = cycles
        span = f"Cycle {first:,}" if first == last else f"Cycles {first:,} to {last:,}"
        # What there is no room for beside a curve worth looking at, the tooltip tells.
        room = above - _CURVE
        most = max(1, room // metrics.height() - 1)
        self._statistics.setText(as_table(
            rows, most, self.width() // (metrics.horizontalAdvance("−0.0000") + 12)))
        tip = plain_tip(
            f"{span}, the numbers themselves, not smoothed. Change: the last less the first.\n"
            f"{in_words(rows)}")
        self._statistics.setToolTip(tip)
        self._canvas.setToolTip("" if self._statistics.isVisibleTo(self) else tip)
        self._statistics.setAccessibleDescription(f"{span}. {in_words(rows)}")
        self._range_text = span.lower()

    def nearest(self, x: float, y: float) -> str:
        """Return the name of the run whose curve is at this point; "" where there is none, and
        where there is only one run."""
        if not self._overlays.runs or not self._curves.curves:
            return ""
        low, high = self._box.viewRange()[1]
        pixel = (high - low) / max(1.0, self._box.height())
        own = Drawn(self._name, self._curves.positions[0],
                    self._curves.drawn(self._curves.curves[0]))
        found = min(((abs(self._scale.height(value) - y) / pixel, drawn.name)
                     for drawn in (own, *self._overlays.runs)
                     for value in [drawn.at(x)] if math.isfinite(value)), default=None)
        return found[1] if found and found[0] < _NEAR else ""

    def panel(self, marks: tuple[float, ...]) -> Panel:
        """Return the plot as it is shown, for a figure on white paper; ``marks`` are the places
        in x where settings were changed."""
        lines = [Line("", drawn.x, self._scale.forward(drawn.values), mix(
            run_colour(run_id, LIGHT), LIGHT.base, 0.8), run_line(run_id), 0.8)
            for (_, run_id, _), drawn in zip(self._others, self._overlays.runs, strict=True)]
        curves = self._curves
        for i, (name, curve, x) in enumerate(zip(
                self.names, curves.curves, curves.positions, strict=True)):
            if not len(curve):
                continue
            colour = self._colour(i, LIGHT)
            if curves.smoothed:
                lines.append(Line("", x, self._scale.forward(curve.values[:len(x)]),
                                  mix(colour, LIGHT.base, 0.45), width=0.6))
            lines.append(Line(find_metric(name).label, x,
                              self._scale.forward(curves.drawn(curve)[:len(x)]), colour,
                              STYLES[i % len(STYLES)]))
        (left, right), (low, high) = self._box.viewRange()
        return Panel(self.about.label, self.about.unit, tuple(lines), self._scale, (left, right),
                     (low, high), tuple(x for x in marks if left <= x <= right))

    @property
    def pixel(self) -> float:
        """The width of a pixel in units of x."""
        return float(self._box.viewPixelSize()[0])

    # -- making it

    def _build(self) -> None:
        layout = vbox(self, margins=(8, 4, 4, 0), spacing=0)
        self.menu = PlotMenu(self.about, self.wished.emit, self)
        self._header = Header(self.about, () if self.lines else self.names, self.menu.buttons)
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
        self._canvas.setMinimumHeight(1)  # or, squeezed, it would lie over the header
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
            axis.setStyle(tickLength=-4, tickTextOffset=4)
        self._statistics.setFont(digits)
        # The same width everywhere, so that plots above each other line up.
        self._value_axis.setWidth(self.fontMetrics().horizontalAdvance("−0.000"))

        self._curves = Curves(self._canvas, self.names)
        self._overlays = Overlays(self._canvas, self._theme)
        self.marks = Marks(self._canvas, self.names, digits)
        self._box.disableAutoRange()
        self._canvas.hovered.connect(self.hovered)
        self._canvas.reset.connect(self.reset)
        self._box.moved.connect(self._moved)
        self._box.zoomed.connect(self.zoomed)
        self._box.selected.connect(self.selected)
        self._box.clicked.connect(self.clicked)
        self.set_cursor(None, 0.0)

    def apply_theme(self, theme: Theme) -> None:
        """Draw in the colours of ``theme``."""
        self._theme = theme
        self._canvas.apply_theme(theme)
        self._overlays.apply_theme(theme)
        colours = [self._colour(i) for i in range(len(self.names))]
        self._curves.apply_theme(theme, colours)
        if not self.lines:
            for name, colour, stroke in zip(self.names[1:], colours[1:], _STROKES, strict=False):
                self._header.show_key(name, colour, stroke)
        self.marks.apply_theme(theme)
        self.menu.draw_icons()

    def _colour(self, line: int, theme: Theme | None = None) -> str:
        """The colour says which run, the kind of line which metric; but parts have colours too."""
        theme = theme or self._theme
        if self.lines:
            return theme.series[line % len(theme.series)]
        own = run_colour(self._colour_of, theme)
        return mix(own, theme.base, (1.0, 0.7, 0.5)[min(line, 2)])

    def _place(self) -> None:
        """Give every row its place now, where one came or went."""
        layout = self.layout()
        assert layout is not None
        layout.activate()

    def _moved(self, axis: int) -> None:
        if axis:
            self.manual_y = True
            self.stretched.emit()
        else:
            self.panned.emit(*self._box.viewRange()[0])


def _with_room(
    low: float, high: float, height: float,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> tuple[float, float]:
    """Return a range in which a dot on the outermost value is whole in a plot of few pixels, also
    on one of the ``bounds``, where there is no margin."""
    margin = _MARGIN * (high - low)
    reach = _DOT_PX * (high - low) / max(height - 2 * _DOT_PX, _DOT_PX)
    return (min(low, low + (0.0 if low == bounds[0] else margin) - reach),
            max(high, high - (0.0 if high == bounds[1] else margin) + reach))
