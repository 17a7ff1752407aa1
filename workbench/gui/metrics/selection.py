"""A range of cycles chosen on the plots."""

from __future__ import annotations

import numpy as np

from workbench.gui.metrics.data import RunData, XAxis
from workbench.gui.metrics.grid import PlotGrid


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
