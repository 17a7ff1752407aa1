"""Which plots there are, and how they stand beside each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from workbench.algorithm import Algorithm
from workbench.algorithms import companions_of
from workbench.gui.metrics.controls import MOST_PLOTS
from workbench.gui.metrics.data import XAxis
from workbench.gui.metrics.plot import MetricPlot
from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.layouts import vbox
from workbench.gui.widgets.theme import Theme, themes
from workbench.learning.metrics import PARTS, SCORES

_LEGEND_LINES = 2
_LEAST_WIDTH = 160  # pixels in which most titles are whole, above their value


class PlotGrid(QWidget):
    """The plots below the legend of their runs. A plot that stays is kept when others are chosen.
    None is made before :meth:`make_plots`: they take a good part of a window's start.

    Iterating gives the plots on screen: all of them, or the one that is enlarged. What the person
    does on a plot, the signals tell as the plot does.
    """

    hovered = Signal(object, object)  # plot, (x, y) or None
    panned = Signal(object, float, float)
    zoomed = Signal(float, float)
    stretched = Signal()
    selected = Signal(float, float)
    clicked = Signal(float)
    wished = Signal(object, str, bool)  # plot, a Wish, whether it was ticked
    reset = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._chosen: list[str] = []
        self._wanted = False
        self._plots: list[MetricPlot] = []
        self._parts: tuple[str, ...] = ()
        self._companions: dict[str, tuple[str, ...]] = {}
        self._enlarged: MetricPlot | None = None
        self._columns = 0
        self._x_axis: XAxis = "cycles"
        self.legend = named(label(wrap=True, rich=True), "legend", "Runs in the plots",
                            "The run on display and those drawn over it; tick runs in Runs")
        self.legend.hide()
        self._wordings = ("", "")
        self._grid = QGridLayout()
        self._grid.setSpacing(8)
        vbox(self, self.legend, (self._grid, 1), spacing=4)

    def __iter__(self) -> Iterator[MetricPlot]:
        return iter([self._enlarged] if self._enlarged else self._plots)

    @property
    def enlarged(self) -> MetricPlot | None:
        """The plot that is shown alone."""
        return self._enlarged

    def enlarge(self, plot: MetricPlot | None) -> None:
        """Show one plot alone, or all again."""
        self._enlarged = plot
        self._columns = 0
        self._arrange()

    def follow(self) -> None:
        """Let every plot choose its y range again."""
        for plot in self._plots:
            plot.follow()

    def names(self) -> list[str]:
        """Return the names of the metrics plotted. The parts of the reward are not among them."""
        return [name for name in self._chosen if name != PARTS]

    def plot_of(self, name: str) -> MetricPlot | None:
        """Return the plot that shows this metric."""
        return next((plot for plot in self._plots if name in plot.names), None)

    def choose(
        self, names: Sequence[str], parts: tuple[str, ...], algorithm: Algorithm
    ) -> None:
        """Plot these metrics as ``algorithm`` has them, in this order, and the ``parts`` of the
        reward in one plot."""
        self._parts = parts
        self._companions = {algorithm.headline: companions_of(algorithm)}
        self._chosen = shown = list(names)
        if parts:  # right after the reward itself
            shown.insert(shown.index(SCORES) + 1 if SCORES in shown else 0, PARTS)
        if self._wanted:
            self._make_anew()

    def make_plots(self) -> bool:
        """Make the plots that are chosen, from now on at once; return whether this is the first
        that is said of it."""
        first, self._wanted = not self._wanted, True
        if first:
            self._make_anew()
        return first

    def _make_anew(self) -> None:
        """Make the plots that are missing, and let go of those that are not chosen any more."""
        kept = {plot.about.name: plot for plot in self._plots
                if plot.about.name in self._chosen
                and plot.names == self._lines(plot.about.name)}
        for plot in self._plots:
            if plot not in kept.values():
                plot.hide()
                plot.deleteLater()
        self._plots = [kept.get(name) or self._make(name) for name in self._chosen]
        if self._enlarged not in self._plots:
            self._enlarged = None
        self._columns = 0
        self._arrange()

    def set_x_axis(self, x_axis: XAxis) -> None:
        """Label x as time or as cycles."""
        self._x_axis = x_axis
        for plot in self._plots:
            plot.set_x_axis(x_axis)

    def set_x_range(self, low: float, high: float, source: MetricPlot | None = None) -> None:
        """Show this part of x in every plot; ``source`` shows it already."""
        for plot in self:
            if plot is not source:
                plot.set_x_range(low, high)
            plot.fit()

    def show_legend(self, whole: str, brief: str, tip: str) -> None:
        """Say which runs are drawn, in brief where the ``whole`` would take too much of the plots'
        room, as ``tip`` says it in any case; "" takes the legend away."""
        self._wordings = whole, brief
        self.legend.setToolTip(tip)
        self.legend.setVisible(bool(whole))
        self._fit_legend()

    def _fit_legend(self) -> None:
        whole, brief = self._wordings
        self.legend.setText(whole)
        most = _LEGEND_LINES * self.legend.fontMetrics().lineSpacing() + 2
        if self.legend.heightForWidth(self.width()) > most:
            self.legend.setText(brief)

    def apply_theme(self, theme: Theme) -> None:
        """Draw in the colours of ``theme``."""
        for plot in self._plots:
            plot.apply_theme(theme)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Rearrange the plots where another number of columns suits better."""
        super().resizeEvent(event)
        self._fit_legend()
        self._arrange()

    def event(self, event: QEvent) -> bool:
        """Watch what it is scrolled in: that may get lower while the plots stay as high as they
        must be."""
        around = self.parentWidget()
        if event.type() == QEvent.Type.ParentChange and around:
            around.installEventFilter(self)
        return super().event(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Rearrange the plots where another number of columns suits better."""
        if event.type() == QEvent.Type.Resize and watched is self.parentWidget():
            self._arrange()
        return False

    def _lines(self, name: str) -> tuple[str, ...]:
        """Return the metrics that the plot of ``name`` shows."""
        return self._parts if name == PARTS else (name, *self._companions.get(name, ()))

    def _make(self, name: str) -> MetricPlot:
        plot = MetricPlot(name, themes().theme, self, self._parts if name == PARTS else (),
                          self._companions.get(name, ()))
        plot.set_x_axis(self._x_axis)
        plot.hovered.connect(partial(self.hovered.emit, plot))
        plot.panned.connect(partial(self.panned.emit, plot))
        plot.zoomed.connect(self.zoomed)
        plot.stretched.connect(self.stretched)
        plot.wished.connect(partial(self.wished.emit, plot))
        plot.selected.connect(self.selected)
        plot.clicked.connect(self.clicked)
        plot.reset.connect(self.reset)
        return plot

    def _arrange(self) -> None:
        shown = list(self)
        count = len(shown)
        if not count:
            return
        around = self.parentWidget()  # in which the plots are scrolled where it is low
        columns = best_columns(count, self.width(), min(
            self.height(), around.height() if around else self.height()))
        if columns == self._columns:
            return
        self._columns = columns
        for i in range(MOST_PLOTS + 1):
            self._grid.setRowStretch(i, 0)
            self._grid.setColumnStretch(i, 0)
        for plot in self._plots:
            if plot not in shown:
                self._grid.removeWidget(plot)
                plot.hide()
        for i, plot in enumerate(shown):
            self._grid.addWidget(plot, i // columns, i % columns)
            self._grid.setRowStretch(i // columns, 1)
            self._grid.setColumnStretch(i % columns, 1)
            plot.turn = i
            plot.show_x_axis(i + columns >= count)
            plot.show()


def best_columns(count: int, width: int, height: int) -> int:
    """Return how many columns give ``count`` plots a shape nearest to twice as wide as high,
    wide enough for title and value."""
    def distance(columns: int) -> float:
        rows = math.ceil(count / columns)
        shape = (max(width, 1) / columns) / (max(height, 1) / rows)
        return abs(math.log(shape / 2)) + 0.3 * (rows * columns - count)
    most = max(1, min(count, width // _LEAST_WIDTH))
    return min(range(1, most + 1), key=distance)
