"""The numbers behind the plots: growing arrays, smoothing, robust ranges. No Qt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workbench.learning.metrics import SECONDS, STEPS
from workbench.store.records import Series

Array = np.ndarray
XAxis = Literal["cycles", "steps", "time"]
"""What the x axis counts."""

_COUNTED: Mapping[str, str] = {"steps": STEPS, "time": SECONDS}

# Percentiles are estimated from this many points: enough for a range, and quick.
_SAMPLE = 4000
# Below this share of a number's size a difference is not in its first three digits.
_TOLD_APART = 0.01


@dataclass(frozen=True, slots=True)
class HealthMark:
    """One finding: after which cycle, about which metric, and what to say when pointed at."""

    cycle: int
    metric: str
    serious: bool
    text: str


class Column:
    """An array of floats that grows by one in constant time."""

    def __init__(self, values: Sequence[float] | Array = ()) -> None:
        self._room = np.array(values, dtype=float)
        self._size = len(self._room)

    def __len__(self) -> int:
        return self._size

    @property
    def array(self) -> Array:
        """The values, as a view without a copy."""
        return self._room[: self._size]

    def append(self, value: float) -> None:
        """Add one value at the end."""
        if self._size == len(self._room):
            self._room = np.resize(self._room, max(64, 2 * self._size))
        self._room[self._size] = value
        self._size += 1

    def truncate(self, size: int) -> None:
        """Keep only the first ``size`` values."""
        self._size = min(self._size, size)


class Curve:
    """One metric over cycles, raw and smoothed. Numbers that are not finite become gaps."""

    def __init__(self, series: Series | None = None, weight: float = 0.0) -> None:
        values = np.array(series.values if series else (), dtype=float)
        self._cycles = Column(series.cycles if series else ())
        self._values = Column(np.where(np.isfinite(values), values, np.nan))
        self._weight = weight
        self.revision = 0
        """Counts how often what was there already has changed."""
        self._smooth_all()

    def __len__(self) -> int:
        return len(self._cycles)

    @property
    def cycles(self) -> Array:
        """The cycles, ascending."""
        return self._cycles.array

    @property
    def values(self) -> Array:
        """The raw values."""
        return self._values.array

    @property
    def smooth(self) -> Array:
        """The debiased exponential moving average of the raw values."""
        return self._smooth.array if self._weight else self.values

    @property
    def gaps(self) -> list[int]:
        """The cycles whose number was not finite."""
        return [int(c) for c in self.cycles[np.isnan(self.values)]]

    @property
    def weight(self) -> float:
        """How much of the past the average keeps: 0 is none, 0.99 a hundred cycles."""
        return self._weight

    @weight.setter
    def weight(self, weight: float) -> None:
        if weight != self._weight:
            self._weight = weight
            self._smooth_all()

    def append(self, cycle: int, value: float) -> None:
        """Add a cycle. One that is there already is replaced, with all that follow it."""
        if len(self) and cycle <= self.cycles[-1]:
            size = int(np.searchsorted(self.cycles, cycle))
            self._cycles.truncate(size)
            self._values.truncate(size)
            self._smooth_all()
        value = value if math.isfinite(value) else math.nan
        self._cycles.append(cycle)
        self._values.append(value)
        self._total *= self._weight
        self._mass *= self._weight
        if not math.isnan(value):
            self._total += value
            self._mass += 1.0
        self._smooth.append(math.nan if math.isnan(value) else self._total / self._mass)

    def index(self, cycle: int) -> int:
        """Return where ``cycle`` is in the arrays, -1 where it is not."""
        index = int(np.searchsorted(self.cycles, cycle))
        return index if index < len(self) and self.cycles[index] == cycle else -1

    def at(self, cycle: int) -> float:
        """Return the raw value at ``cycle``, NaN where there is none."""
        index = self.index(cycle)
        return float(self.values[index]) if index >= 0 else math.nan

    def _smooth_all(self) -> None:
        self.revision += 1
        values = self.values
        valid = ~np.isnan(values)
        totals = discounted_sum(np.where(valid, values, 0.0), self._weight)
        masses = discounted_sum(valid.astype(float), self._weight)
        self._total = float(totals[-1]) if len(totals) else 0.0
        self._mass = float(masses[-1]) if len(masses) else 0.0
        averages = np.divide(totals, masses, out=np.full(len(values), np.nan), where=valid)
        self._smooth = Column(averages)


class RunData:
    """Everything the plots know of one run."""

    def __init__(self, run_id: int, series: Mapping[str, Series], weight: float = 0.0) -> None:
        self.run_id = run_id
        self.curves = {name: Curve(s, weight) for name, s in series.items()}
        self.marks: list[tuple[int, str]] = []
        self.health: list[HealthMark] = []
        self.name = f"Run {run_id}"
        self.origin: tuple[int, str] | None = None
        """The last cycle a fork has in common with the run it came from, and what to say there."""
        self.reward = ""
        """What scores it, where that is not what scores the run on display."""
        self.first = 0
        """From which cycle on it is drawn over another run that shares its past."""
        self._weight = weight

    @property
    def full_name(self) -> str:
        """Its name, of a fork which run it came from, and its reward where that is another."""
        origin = self.origin[1] if self.origin else ""
        said = [f"{origin[:1].lower()}{origin[1:]}"] if origin else []
        if self.reward:
            said.append(f"scored by another reward, {self.reward}")
        return f"{self.name} ({'; '.join(said)})" if said else self.name

    def append(self, cycle: int, metrics: Mapping[str, float]) -> None:
        """Add the numbers of one cycle."""
        for name, value in metrics.items():
            if name not in self.curves:
                self.curves[name] = Curve(weight=self._weight)
            self.curves[name].append(cycle, value)

    def set_weight(self, weight: float) -> None:
        """Smooth every curve anew."""
        self._weight = weight
        for curve in self.curves.values():
            curve.weight = weight

    @property
    def cycles(self) -> Array:
        """Every cycle that any metric was logged at, ascending."""
        longest = max(self.curves.values(), key=len, default=None)
        return np.empty(0) if longest is None else longest.cycles

    def cycle_at(self, x: float, x_axis: XAxis) -> int | None:
        """Return the cycle nearest to this place on the x axis."""
        cycles = self.cycles
        if not len(cycles):
            return None
        places = self.positions(cycles, x_axis)
        index = int(np.searchsorted(places, x))
        nearest = min((i for i in (index - 1, index) if 0 <= i < len(places)),
                      key=lambda i: abs(float(places[i]) - x))
        return int(cycles[nearest])

    def positions(self, cycles: Array, x_axis: XAxis) -> Array:
        """Return where ``cycles`` lie on the x axis: themselves, or how many optimiser steps or
        seconds there were until their end. A run that did not count them has its cycles."""
        counted = self.curves.get(_COUNTED.get(x_axis, ""))
        if not counted:
            return cycles
        return np.interp(cycles, counted.cycles, np.cumsum(np.nan_to_num(counted.values)))


def in_view(x: Array, values: Array, low: float, high: float) -> Array:
    """Return the values of a curve in this part of x, and those where its lines enter and leave
    it: their other ends lie beyond."""
    first, last = np.searchsorted(x, (low, high + 1e-9))
    if first == 0 and last == len(x):
        return values
    ends = [np.interp(edge, x[i - 1:i + 1], values[i - 1:i + 1])
            for i, edge in ((first, low), (last, high)) if 0 < i < len(x)]
    return np.concatenate([values[first:last], ends])


def extent(run: RunData, others: Sequence[RunData], x_axis: XAxis) -> tuple[float, float]:
    """Return the part of the x axis that a run and those drawn over it take, with a margin."""
    places = [run.positions(run.cycles, x_axis)]
    places += [r.positions(r.cycles, x_axis)[np.searchsorted(r.cycles, r.first):]
               for r in others]
    low = min(float(x[0]) for x in places if len(x))
    high = max(float(x[-1]) for x in places if len(x))
    margin = 0.02 * (high - low) or 1.0
    return low - margin, high + margin


def steady(shown: tuple[float, float] | None,
           wanted: tuple[float, float]) -> tuple[float, float]:
    """Return what to show of x while a run grows: the range ``shown`` for as long as it is about
    what is ``wanted``, then one with a little room to grow. Axes that stay need no drawing."""
    if shown is None:
        return wanted
    width = wanted[1] - wanted[0]
    beyond = (shown[1] - wanted[1]) / width
    if abs(shown[0] - wanted[0]) <= 0.01 * width and -0.01 <= beyond <= 0.03:
        return shown
    return wanted if beyond > 0 else (wanted[0], wanted[1] + 0.02 * width)


def discounted_sum(values: Array, weight: float) -> Array:
    """Return ``s[t] = values[t] + weight * s[t - 1]``, by doubling: log n passes over the array.

    >>> discounted_sum(np.array([1.0, 1.0, 1.0]), 0.5)
    array([1.  , 1.5 , 1.75])
    """
    result = values.astype(float)
    reach, factor = 1, weight
    while reach < len(result) and factor > 1e-12:
        shifted = result[:-reach] * factor
        result[reach:] += shifted
        reach, factor = 2 * reach, factor * factor
    return result


def robust_range(
    arrays: Sequence[Array], noise: float = 0.0,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> tuple[float, float] | None:
    """Return a y range that a few outliers cannot stretch, or None without any finite value.

    The 1st to 99th percentile and a margin; the true extremes where they are not far out. Values
    that differ by less than an axis can tell, or are all below ``noise``, get a range to stand in.
    Beyond ``bounds`` there is no margin.
    """
    parts = [a[:: max(1, len(a) // _SAMPLE)] for a in arrays]
    values = np.concatenate(parts) if parts else np.empty(0)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = (float(x) for x in np.percentile(values, (1, 99)))
    reach = 0.5 * (high - low)
    least, most = float(values.min()), float(values.max())
    few = len(values) < 20  # too few to call any an outlier
    low = least if few or least >= low - reach else low
    high = most if few or most <= high + reach else high
    size = max(abs(low), abs(high))
    if size <= noise:
        return max(-1.0, min(bounds[0], 0.0)), min(1.0, max(bounds[1], 0.0))
    margin = 0.08 * (high - low) if high - low > _TOLD_APART * size else 0.1 * size
    # Where a number lies beyond, as an estimate may, it has its margin all the same.
    return (max(low - margin, bounds[0]) if low >= bounds[0] else low - margin,
            min(high + margin, bounds[1]) if high <= bounds[1] else high + margin)
