"""The cycle that the person sent Completions and Tokens to."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from workbench.gui.metrics.data import RunData, XAxis
from workbench.gui.metrics.grid import PlotGrid

_SECOND_CLICK_MS = 250


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
