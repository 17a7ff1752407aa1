"""What the person points at, by pointer or keyboard: a cycle read off, a range, a cycle chosen."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent

from workbench.gui.metrics.chosen_cycle import ChosenCycle
from workbench.gui.metrics.crosshair import Crosshair
from workbench.gui.metrics.data import RunData, XAxis
from workbench.gui.metrics.grid import PlotGrid
from workbench.gui.metrics.plot import MetricPlot
from workbench.gui.metrics.selection import Selection


class Pointing(QObject):
    """Crosshair, selected range and chosen cycle of all plots. ``changed`` asks for :meth:`draw`;
    ``chosen`` tells which cycle the other views are to show."""

    changed = Signal()
    chosen = Signal(int)

    def __init__(self, grid: PlotGrid, parent: QObject) -> None:
        super().__init__(parent)
        self.run: RunData | None = None
        self.others: Sequence[RunData] = ()
        """The runs drawn over it."""
        self.x_axis: XAxis = "cycles"
        self.crosshair = Crosshair(grid)
        self.selection = Selection(grid)
        self.choice = ChosenCycle(grid, self)
        self.choice.chosen.connect(self.chosen)
        grid.hovered.connect(self._hover)
        grid.selected.connect(self._select)
        grid.clicked.connect(self._click)

    def draw(self) -> None:
        """Show everything in every plot."""
        if self.run:
            self.selection.draw(self.run, self.x_axis)
            self.choice.draw(self.run, self.x_axis)
            self.crosshair.draw(self.run, self.x_axis)

    def press(self, event: QKeyEvent) -> bool:
        """Left and right move the crosshair, with Shift they select; Enter chooses its cycle.
        Return whether it was one of these keys."""
        key = Qt.Key(event.key())
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(key)
        here = self.crosshair.cycle
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and here is not None:
            if self.run and here in self.run.cycles:
                self.choice.choose(here)
        elif step and self.run and len(self.run.cycles):
            self.crosshair.step(step, self.run)
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                now = self.crosshair.cycle
                assert now is not None
                self.selection.extend(now if here is None else here, now)
        else:
            return False
        self.changed.emit()
        return True

    def marks_something(self) -> bool:
        """Whether there is a range or a chosen cycle."""
        return self.selection.cycles is not None or self.choice.cycle is not None

    def clear(self) -> bool:
        """Take everything away; return whether there was anything."""
        if not self.marks_something() and self.crosshair.cycle is None:
            return False
        self.selection.clear()
        self.choice.clear()
        self.crosshair.cycle = None
        self.changed.emit()
        return True

    def _hover(self, plot: MetricPlot, point: tuple[float, float] | None) -> None:
        self.crosshair.hover(plot, point, self.run, self.others, self.x_axis)
        self.changed.emit()

    def _select(self, start: float, end: float) -> None:
        first, last = (self._cycle_at(x) for x in (start, end))
        if first is not None and last is not None:
            self.selection.set(first, last)
            self.changed.emit()

    def _click(self, x: float) -> None:
        cycle = self._cycle_at(x)
        if cycle is not None:
            self.choice.click(cycle)
        self.selection.clear()
        self.changed.emit()

    def _cycle_at(self, x: float) -> int | None:
        return self.run.cycle_at(x, self.x_axis) if self.run else None
