"""The crosshair: which cycle is read off the plots, and what is said of it."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLabel, QWidget

from workbench.gui.metrics.data import RunData, XAxis
from workbench.gui.metrics.grid import PlotGrid
from workbench.gui.metrics.plot import MetricPlot

_LONGEST = 32  # letters of a run's name
_GAP = 4

_MARK_PIXELS = 8


class Crosshair:
    """Follows the pointer or the keyboard; :meth:`draw` shows it in every plot."""

    def __init__(self, grid: PlotGrid) -> None:
        self._grid = grid
        self._readout = Readout(grid)
        self.cycle: int | None = None
        """The cycle read off; None is the latest, without a crosshair."""
        self._plot: MetricPlot | None = None
        self._point: tuple[float, float] | None = None

    def hover(self, plot: MetricPlot, point: tuple[float, float] | None, run: RunData | None,
              others: Sequence[RunData], x_axis: XAxis) -> None:
        """Go to the cycle nearest to the pointer, or away with it. Along cycles it may be one that
        only one of the ``others`` has."""
        self._plot, self._point = plot if point else None, point
        self.cycle = None
        if point is not None and run is not None:
            runs = [run, *others] if x_axis == "cycles" else [run]
            found = [c for r in runs if (c := r.cycle_at(point[0], x_axis)) is not None]
            self.cycle = min(found, key=lambda cycle: abs(cycle - point[0]), default=None)

    def step(self, by: int, run: RunData) -> None:
        """Go on or back by one cycle; the first step goes to the latest."""
        cycles = run.cycles
        here = len(cycles) if self.cycle is None else int(np.searchsorted(cycles, self.cycle))
        self.cycle = int(cycles[min(max(here + by, 0), len(cycles) - 1)])

    @property
    def plot(self) -> MetricPlot | None:
        """The plot that the pointer is over."""
        return self._plot if self._plot in list(self._grid) else None

    def point_at(self, plot: MetricPlot, cycle: int) -> None:
        """Go to ``cycle`` and say in ``plot`` what is marked there."""
        self._plot, self.cycle = plot, cycle

    def draw(self, run: RunData, x_axis: XAxis) -> None:
        """Show the crosshair, the values there, and what is marked near it."""
        if self.cycle is None:
            self._readout.hide()
            for plot in self._grid:
                plot.set_cursor(None, 0.0)
            return
        plots = list(self._grid)
        pointed = self.plot
        x = float(run.positions(np.array([self.cycle], float), x_axis)[0])
        reach = _MARK_PIXELS * plots[0].pixel
        named = [*run.marks, *([run.origin] if run.origin else [])]
        marks = run.positions(np.array([cycle for cycle, _ in named], float), x_axis)
        notes = [text for (_, text), at in zip(named, marks, strict=True)
                 if abs(at - x) <= reach]
        health = run.positions(np.array([m.cycle for m in run.health], float), x_axis)
        near = pointed.nearest(*self._point) if pointed and self._point else ""
        for plot in plots:
            # The label only where the person looks, or once when the keyboard moves.
            shown = plot is (pointed or plots[0])
            found = [mark.text for mark, at in zip(run.health, health, strict=True)
                     if abs(at - x) <= reach and mark.metric in plot.names] if shown else []
            plot.set_cursor(self.cycle, x, "\n".join(notes + found) if shown else "")
            if shown:
                self._readout.show_values(
                    plot, plot.pixel_of(x), plot.values_of_runs(self.cycle), near)


class Readout(QLabel):
    """A small table over the plots, beside the one that is pointed at where there is room."""

    def __init__(self, grid: QWidget) -> None:
        super().__init__(grid)
        self._grid = grid
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setObjectName("crosshair_values")
        self.setAccessibleName("Values of the runs at the crosshair")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def show_values(self, plot: QWidget, x: int, values: Sequence[tuple[str, str, str]],
                    near: str) -> None:
        """Show name, colour and value of each run of ``plot``, whose crosshair is ``x`` from its
        left edge; the one that is ``near`` is bold. No values take it away."""
        self.setVisible(bool(values))
        if not values:
            return
        self.setText("<table cellspacing='0'>" + "".join(
            _row(*value, bold=value[0] == near) for value in values) + "</table>")
        self.resize(self.sizeHint())
        self.move(_beside(QRect(plot.pos(), plot.size()), plot.x() + x, self.size(),
                          self._grid.visibleRegion().boundingRect()))
        self.raise_()


def _row(name: str, colour: str, value: str, bold: bool) -> str:
    name = name if len(name) <= _LONGEST else f"{name[:_LONGEST - 1]}…"
    open_, close = ("<b>", "</b>") if bold else ("", "")
    return (f"<tr><td style='color: {colour}; white-space: pre; padding-right: 12px'>{open_}"
            f"{html.escape(name)}{close}</td><td align='right'>{open_}{value}{close}</td></tr>")


def _beside(plot: QRect, x: int, size: QSize, room: QRect) -> QPoint:
    """Return where to stand: below the plot, above it, or within it on the side where the
    crosshair, at ``x``, is not."""
    left = max(room.left(), min(x + _GAP, room.right() - size.width()))
    if plot.bottom() + _GAP + size.height() <= room.bottom():
        return QPoint(left, plot.bottom() + _GAP)
    if plot.top() - _GAP - size.height() >= room.top():
        return QPoint(left, plot.top() - _GAP - size.height())
    far = plot.left() if x > plot.center().x() else plot.right() - size.width()
    return QPoint(max(far, room.left()), max(room.top(), plot.bottom() - size.height() - _GAP))
