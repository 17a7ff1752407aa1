"""Where the health check spoke: short coloured ticks at the foot of the plot concerned."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg

from workbench.gui.metrics.data import RunData, XAxis
from workbench.gui.widgets.theme import Theme

_HEIGHT = 0.12
_WIDTH = 4


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
