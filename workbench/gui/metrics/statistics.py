"""What a part of a curve amounts to: mean, extremes, change. No Qt."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.algorithm import Metric
from workbench.formatting import difference, short_number
from workbench.gui.metrics.data import Array, Curve

_TITLES = ("mean", "min", "max", "change", "points")
_COLUMNS = ((0, 1, 2, 3, 4), (0, 1, 2, 3), (0, 3))  # those shown, by the room there is
_MOST_LETTERS = 18


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the numbers themselves, not of the smoothed curve; what is not finite is left out.

    All are NaN where there is no number.
    """

    mean: float
    least: float
    most: float
    first: float
    last: float
    points: int

    @staticmethod
    def of(values: Array) -> Statistics:
        """Return the statistics of some values."""
        known = values[np.isfinite(values)]
        if not len(known):
            return Statistics(math.nan, math.nan, math.nan, math.nan, math.nan, 0)
        return Statistics(float(known.mean()), float(known.min()), float(known.max()),
                          float(known[0]), float(known[-1]), len(known))

    def cells(self, metric: Metric) -> list[str]:
        """Return what the table shows, under ``mean``, ``min``, ``max``, ``change``,
        ``points``."""
        between = short_number(self.last - self.first)
        # What the least and the most differ by, where they are the ends.
        change = difference(metric.text(self.first), metric.text(self.last)) or (
            f"+{between}" if self.last > self.first else between)
        return [*(metric.text(value) for value in (self.mean, self.least, self.most)), change,
                f"{self.points:,}"]


@dataclass(frozen=True, slots=True)
class Row:
    """One curve in the table: what it is called, in which colour, its numbers, and of which
    metric they are."""

    name: str
    colour: str
    statistics: Statistics
    metric: Metric

    @property
    def cells(self) -> list[str]:
        """What the table shows of it."""
        return self.statistics.cells(self.metric)


def between(curve: Curve, first: int, last: int) -> Statistics:
    """Return the statistics of a curve from one cycle to another, both included."""
    begin, end = np.searchsorted(curve.cycles, (first, last + 1))
    return Statistics.of(curve.values[begin:end])


def as_table(rows: Sequence[Row], most: int, room: int) -> str:
    """Return a table of at most so many rows as rich text, with names where there are several
    rows, and with as many columns as there is ``room`` for."""
    shown = rows[:most]
    several = len(shown) > 1
    columns = next((c for c in _COLUMNS if len(c) + 2 * several <= room), _COLUMNS[-1])
    head = "".join(_cell(_TITLES[i]) for i in columns)
    lines = [f"<tr>{'<td></td>' * several}{head}</tr>"]
    for row in shown:
        name = row.name if len(row.name) <= _MOST_LETTERS else row.name[: _MOST_LETTERS - 1] + "…"
        first = (f"<td style='color: {row.colour}; white-space: pre; padding-right: 12px'>"
                 f"{html.escape(name)}</td>" if several else "")
        known = row.cells
        lines.append(f"<tr>{first}{''.join(_cell(known[i]) for i in columns)}</tr>")
    return f"<table cellspacing='0'>{''.join(lines)}</table>"


def in_words(rows: Sequence[Row]) -> str:
    """Return the table as sentences, for a tooltip or a screen reader."""
    several = len(rows) > 1
    return "\n".join(
        (f"{row.name}: " if several else "")
        + ", ".join(f"{title} {cell}" for title, cell in zip(
            _TITLES, row.cells, strict=True))
        for row in rows)


def _cell(text: str) -> str:
    return f"<td align='right' style='padding-right: 12px'>{text}</td>"
