"""Figures of the plots on screen: as they are shown, of all runs that are drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.gui.metrics.data import RunData, XAxis
from workbench.gui.metrics.export import ONE_COLUMN
from workbench.gui.metrics.figure import Figure, Line
from workbench.gui.metrics.figure_dialog import Choice
from workbench.gui.metrics.plot import MetricPlot
from workbench.gui.widgets.run_colours import run_colour, run_line
from workbench.gui.widgets.theme import LIGHT


def choices(plots: Sequence[MetricPlot], run: RunData, others: Sequence[RunData],
            x_axis: XAxis) -> list[Choice]:
    """Return what can be exported: all of ``plots`` in one figure, where there are several, and
    then each of them."""
    title = run.name if others else run.full_name
    if others:
        title += f" and {len(others)} other run{'s' if len(others) > 1 else ''}"
    none = np.empty(0)
    runs = tuple(Line(r.full_name, none, none, run_colour(r.run_id, LIGHT), run_line(r.run_id))
                 for r in (run, *others)) if others else ()
    changes = tuple(run.positions(
        np.array([cycle for cycle, _ in run.marks], float), x_axis).tolist())
    panels = [plot.panel(changes) for plot in plots]
    each = [Choice(plot.about.label, Figure(title, x_axis, (panel,), runs), plot.names, ONE_COLUMN)
            for plot, panel in zip(plots, panels, strict=True)]
    if len(plots) == 1:
        return each
    metrics = dict.fromkeys(name for plot in plots for name in plot.names)
    return [Choice(f"All {len(plots)} plots", Figure(title, x_axis, tuple(panels), runs),
                   tuple(metrics)), *each]
