"""What stands in a plot beside its curves: lines at cycles, the selected range, a note."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QFont

from workbench.gui.metrics.curves import set_points
from workbench.gui.metrics.data import Array, RunData, XAxis
from workbench.gui.metrics.overlays import mix
from workbench.gui.widgets.theme import Theme

_HEIGHT = 0.12
_WIDTH = 4


class Marks:
    """Every item of one plot that is not a curve; made once, shown where it is needed."""

    def __init__(self, canvas: pg.PlotWidget, names: tuple[str, ...], font: QFont) -> None:
        self._box = canvas.getViewBox()
        self._drawn: object = None
        self.fork = pg.InfiniteLine(angle=90)
        self.changes = pg.VTickGroup()
        self.health = HealthTicks(canvas, names)
        self.chosen = pg.InfiniteLine(angle=90)
        """At the cycle that Completions and Tokens were sent to."""
        self.cursor = pg.InfiniteLine(angle=90)
        self.dots = pg.ScatterPlotItem(size=7, pxMode=True)
        self.note = pg.TextItem()
        self.note.setFont(font)
        self.region = pg.LinearRegionItem(movable=False)
        for z, item in ((0, self.fork), (5, self.changes), (4, self.chosen), (5, self.cursor),
                        (5, self.dots), (6, self.note), (-2, self.region)):
            item.setZValue(z)
            canvas.addItem(item, ignoreBounds=True)
        for hidden in (self.fork, self.chosen, self.region):
            hidden.hide()

    def draw(self, run: RunData, x_axis: XAxis) -> None:
        """Show where settings changed, where the run was forked and where health spoke."""
        key = (run.run_id, run.origin, x_axis, tuple(run.marks), tuple(run.health),
               x_axis == "cycles" or len(run.cycles))
        if key == self._drawn:
            return
        self._drawn = key
        changed = np.array([cycle for cycle, _ in run.marks], float)
        self.changes.setXVals(run.positions(changed, x_axis))
        self.changes.setVisible(bool(run.marks))
        self.health.draw(run, x_axis)
        self.fork.setVisible(run.origin is not None)
        if run.origin:
            self.fork.setPos(float(run.positions(np.array([run.origin[0]], float), x_axis)[0]))

    def show_cursor(self, x: float | None, heights: Array) -> None:
        """Put the crosshair at ``x`` with a dot at each height; None takes it away."""
        for item in (self.cursor, self.dots):
            item.setVisible(x is not None)
        if x is not None:
            self.cursor.setPos(x)
            set_points(self.dots, np.full(len(heights), x), heights)

    def show_chosen(self, x: float | None) -> None:
        """Mark the cycle that the other views show; None marks none."""
        self.chosen.setVisible(x is not None)
        if x is not None:
            self.chosen.setPos(x)

    def show_note(self, note: str, x: float) -> None:
        """Say something at ``x``; "" takes it away."""
        self.note.setVisible(bool(note))
        if note:
            self.note.setText(note)
            self.note.setTextWidth(-1)
            if self.note.boundingRect().width() > self._box.width():
                self.note.setTextWidth(self._box.width())
            # To the right of the mark, but never over the edge.
            (_, right), (_, top) = self._box.viewRange()
            width = max(1.0, self.note.boundingRect().width() * self._box.viewPixelSize()[0])
            self.note.setAnchor((min(max(0.0, (x + width - right) / width), 1.0), 0))
            self.note.setPos(x, top)

    def show_region(self, places: tuple[float, float] | None) -> None:
        """Mark a part of x."""
        self.region.setVisible(places is not None)
        if places and places != tuple(self.region.getRegion()):
            self.region.setRegion(places)

    def apply_theme(self, theme: Theme) -> None:
        """Draw in the colours of ``theme``."""
        self.fork.setPen(pg.mkPen(theme.muted, style=Qt.PenStyle.DashLine))
        self.changes.setPen(pg.mkPen(theme.warning, style=Qt.PenStyle.DotLine))
        self.health.apply_theme(theme)
        self.region.setBrush(mix(theme.accent, theme.base, 0.14))
        for line in self.region.lines:
            line.setPen(pg.mkPen(mix(theme.accent, theme.base, 0.6)))
        self.chosen.setPen(pg.mkPen(theme.accent))
        self.cursor.setPen(pg.mkPen(theme.muted))
        self.dots.setPen(pg.mkPen(theme.base))
        self.dots.setBrush(theme.text)
        self.note.setColor(theme.text)
        self.note.fill = pg.mkBrush(theme.window)
        self.note.border = pg.mkPen(theme.warning)


class HealthTicks:
    """The marks of one plot: two drawing items, made once."""

    def __init__(self, canvas: pg.PlotWidget, names: tuple[str, ...]) -> None:
        self._names = names
        self._ticks = {serious: pg.VTickGroup(yrange=[0, _HEIGHT]) for serious in (False, True)}
        for serious, ticks in self._ticks.items():
            ticks.setZValue(5 + serious)
            canvas.addItem(ticks, ignoreBounds=True)

    def draw(self, run: RunData, x_axis: XAxis) -> None:
        """Show the findings of ``run`` that concern this plot."""
        for serious, ticks in self._ticks.items():
            cycles = [m.cycle for m in run.health
                      if m.metric in self._names and m.serious == serious]
            ticks.setXVals(run.positions(np.array(cycles, float), x_axis))
            ticks.setVisible(bool(cycles))

    def apply_theme(self, theme: Theme) -> None:
        """Draw in the colours of ``theme``."""
        for serious, ticks in self._ticks.items():
            ticks.setPen(pg.mkPen(theme.bad if serious else theme.warning, width=_WIDTH))
