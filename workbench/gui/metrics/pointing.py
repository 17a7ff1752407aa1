"""What the person points at, by pointer or keyboard: a cycle read off, a range, a cycle chosen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent

from workbench.gui.metrics.crosshair import Crosshair
from workbench.gui.metrics.data import RunData, XAxis
from workbench.gui.metrics.grid import PlotGrid
from workbench.gui.metrics.plot import MetricPlot

_SECOND_CLICK_MS = 250


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


class ChosenCycle(QObject):
    """A thin line in every plot. The other views hear of it once no second click can make the
    click a double one, which means something else."""

    chosen = Signal(int)

    def __init__(self, grid: PlotGrid, parent: QObject) -> None:
        super().__init__(parent)
        self._grid = grid
        self.cycle: int | None = None
        self._before: int | None = None
        self._soon = QTimer(self, singleShot=True, interval=_SECOND_CLICK_MS)
        self._soon.timeout.connect(self.tell)

    def click(self, cycle: int) -> None:
        """Choose a cycle by a click, which may be the first of two."""
        self._before, self.cycle = self.cycle, cycle
        self._soon.start()

    def choose(self, cycle: int) -> None:
        """Choose a cycle."""
        self.cycle = cycle
        self.tell()

    def take_back(self) -> None:
        """Forget a click that was the first of two."""
        if self._soon.isActive():
            self._soon.stop()
            self.cycle = self._before

    def clear(self) -> None:
        """Choose none."""
        self._soon.stop()
        self.cycle = None

    def leave(self, cycle: int) -> bool:
        """Choose none where another view shows ``cycle`` instead; return whether that is so. A
        click that the views have not heard of yet stays."""
        if self._soon.isActive() or self.cycle in (None, cycle):
            return False
        self.cycle = None
        return True

    def tell(self) -> None:
        """Send the other views there."""
        self._soon.stop()
        if self.cycle is not None:
            self.chosen.emit(self.cycle)

    def draw(self, run: RunData, x_axis: XAxis) -> None:
        """Show the line."""
        x = None if self.cycle is None else float(
            run.positions(np.array([self.cycle], float), x_axis)[0])
        for plot in self._grid:
            plot.marks.show_chosen(x)


class Selection:
    """From which cycle to which; :meth:`draw` marks it in every plot, with its statistics."""

    def __init__(self, grid: PlotGrid) -> None:
        self._grid = grid
        self._ends: tuple[int, int] | None = None

    @property
    def cycles(self) -> tuple[int, int] | None:
        """The first and the last cycle, or None."""
        return None if self._ends is None else (min(self._ends), max(self._ends))

    def set(self, start: int, end: int) -> None:
        """Choose the cycles from where it began to where it is now, in either direction."""
        self._ends = (start, end)

    def extend(self, start: int, end: int) -> None:
        """Move the end; ``start`` is where a new range begins."""
        self._ends = (self._ends[0] if self._ends else start, end)

    def clear(self) -> None:
        """Choose nothing."""
        self._ends = None

    def places(self, run: RunData, x_axis: XAxis) -> tuple[float, float] | None:
        """Return where it lies on the x axis."""
        if self.cycles is None:
            return None
        low, high = run.positions(np.array(self.cycles, float), x_axis)
        return float(low), float(high)

    def draw(self, run: RunData, x_axis: XAxis) -> None:
        """Mark it in every plot."""
        for plot in self._grid:
            plot.show_range(self.cycles, self.places(run, x_axis))
