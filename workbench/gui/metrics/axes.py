"""Axes: a y axis that may be logarithmic on both sides of zero, and x in cycles or in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg

from workbench.formatting import format_duration
from workbench.gui.metrics.data import Array, XAxis

_DECADES = 3  # below the largest number; nearer to zero a logarithmic scale is linear
_NOISE = 1e-6  # of float32 sums around zero
_LINE = 13  # pixels that a label needs
_WIDE = 48  # pixels that one needs below a plot
_ROOM = 18  # pixels between labels on a logarithmic axis, where they are not as far apart
_CLOCK = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400)


@dataclass(frozen=True, slots=True)
class Scale:
    """How values become heights. ``threshold`` 0 is linear; otherwise the scale is logarithmic
    beyond the threshold on either side of zero and close to linear within (symmetric log)."""

    threshold: float = 0.0

    @staticmethod
    def log_for(values: Array) -> Scale:
        """Return a logarithmic scale that shows up to three decades of ``values``, whatever a few
        of them are."""
        sizes = np.abs(values[np.isfinite(values) & (values != 0)])
        if not len(sizes) or sizes.max() <= _NOISE:
            return Scale(1.0)
        # Less than a hundred numbers have no outlier.
        largest = float(np.percentile(sizes, 99, method="higher"))
        smallest = float(np.percentile(sizes, 1, method="lower"))
        exponent = math.floor(math.log10(max(smallest, largest * 10.0**-_DECADES)))
        return Scale(10.0 ** (exponent - 1))

    def forward(self, values: Array) -> Array:
        """Return the heights of ``values``."""
        if not self.threshold:
            return values
        return np.sign(values) * np.log10(1 + np.abs(values) / self.threshold)

    def height(self, value: float) -> float:
        """Return the height of one value."""
        return float(self.forward(np.array(value)))

    def inverse(self, height: float) -> float:
        """Return the value at ``height``."""
        if not self.threshold:
            return height
        size = self.threshold * (10 ** min(abs(height), 300.0) - 1)
        return math.copysign(size, height)


class ValueAxis(pg.AxisItem):
    """An axis of values, mostly y. On a logarithmic scale ticks stand at powers of ten, or at round
    numbers where the view spans less than a decade or two."""

    def __init__(self, side: str = "left") -> None:
        super().__init__(side)
        self.enableAutoSIPrefix(False)  # numbers are as they are, also beside a label
        self._log = Scale()

    def set_scale(self, scale: Scale) -> None:
        """Label heights of this scale."""
        if scale != self._log:
            self._log = scale
            self.picture = None
            self.update()

    def tickSpacing(
        self, minVal: float, maxVal: float, size: float,  # noqa: N803
    ) -> list[tuple[float, float]]:
        """Return one distance, so that all labels have the same number of decimals."""
        # About three labels, if need be closer together: one alone says nothing.
        across = self.orientation in ("bottom", "top")
        room = (max(min(3.5, size / _WIDE), size / (1.5 * _WIDE), 1.0) if across else
                max(min(3.5, size / 16), size / 26, 1.0))
        step = _round_step((maxVal - minVal) / room)
        if math.floor(maxVal / step) <= math.ceil(minVal / step):
            step = _round_step(step / 2.6)
        return [(step, 0)]

    def tickValues(
        self, minVal: float, maxVal: float, size: float,  # noqa: N803
    ) -> list[tuple[float, list[float]]]:
        """Return tick heights, grouped by level."""
        if not self._log.threshold:
            least = _LINE * (maxVal - minVal) / max(size, 1.0)
            return [(step, _apart(_thin(values, size), least)) for step, values in
                    super().tickValues(minVal, maxVal, size)]
        low, high = self._log.inverse(minVal), self._log.inverse(maxVal)
        if low * high > 0 and max(abs(low), abs(high)) < 20 * min(abs(low), abs(high)):
            values = [v for _, level in super().tickValues(low, high, size) for v in level]
        else:
            values = _powers(low, high, self._log.threshold)
        heights = [self._log.height(v) for v in values]
        return [(1.0, _apart(heights, _ROOM * (maxVal - minVal) / max(size, 1.0)))]

    def tickStrings(
        self, values: Sequence[float], scale: float, spacing: float
    ) -> list[str]:
        """Return the label of each tick."""
        if self._log.threshold:
            return [_plain(float(f"{self._log.inverse(v):.6g}")) for v in values]
        places = max(0, math.ceil(-math.log10(spacing) - 1e-9))
        if places > 3 or max(map(abs, values), default=0) >= 1e5:
            return [_plain(float(f"{v:.6g}")) for v in values]
        return [f"{v:,.{places}f}".replace("-", "−") for v in values]


class CycleAxis(pg.AxisItem):
    """The x axis: whole cycles, or time as 0:40, 12:30, 2:05:00."""

    def __init__(self) -> None:
        super().__init__("bottom")
        self.enableAutoSIPrefix(False)
        self._x_axis: XAxis = "cycles"

    def set_x_axis(self, x_axis: XAxis) -> None:
        """Show seconds since the start as time, or plain cycles."""
        self._x_axis = x_axis
        self.picture = None
        self.update()

    def tickSpacing(
        self, minVal: float, maxVal: float, size: float,  # noqa: N803
    ) -> list[tuple[float, float]]:
        """Return the distance between ticks."""
        label = 56 if self._x_axis == "time" else 24 + 7 * len(f"{maxVal:,.0f}")  # pixels
        room = max(3.0, size / label)
        if self._x_axis == "time":
            wanted = (maxVal - minVal) / room
            spacing = next((s for s in _CLOCK if s >= wanted), 86_400 * math.ceil(wanted / 86_400))
            return [(float(spacing), 0)]
        return [(max(1.0, _round_step((maxVal - minVal) / room)), 0)]

    def tickStrings(
        self, values: Sequence[float], scale: float, spacing: float
    ) -> list[str]:
        """Return the label of each tick."""
        if self._x_axis != "time":
            return [f"{v:,.0f}" for v in values]
        return [format_duration(v) for v in values]


def _powers(low: float, high: float, threshold: float) -> list[float]:
    """Return 0 and the powers of ten between ``low`` and ``high``."""
    first, last = math.ceil(math.log10(threshold)), math.ceil(
        math.log10(max(abs(low), abs(high), threshold)))
    sizes = [10.0**e for e in range(first + 1, last + 1)]
    values = [0.0, *sizes, *(-s for s in sizes)]
    slack = 1e-9 * max(abs(low), abs(high))  # heights come back a little off
    return sorted(v for v in values if low - slack <= v <= high + slack)


def _apart(heights: Sequence[float], least: float) -> list[float]:
    """Leave out what stands too near to another, 0 and then the outermost before the rest."""
    kept: list[float] = []
    for height in sorted(heights, key=lambda h: (h != 0, -abs(h))):
        if all(abs(height - other) >= least for other in kept):
            kept.append(height)
    return sorted(kept)


def _thin(values: Sequence[float], size: float) -> Sequence[float]:
    """Leave only the outermost of more labels than a low axis has lines for."""
    return values if len(values) <= max(2, size // _LINE) else [values[0], values[-1]]


def _round_step(wanted: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is not below ``wanted``."""
    power = 10.0 ** math.floor(math.log10(max(wanted, 1e-12)))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= wanted * (1 - 1e-9))


def _plain(value: float) -> str:
    """Write a tick's value without needless zeros."""
    if abs(value) < 1e-12:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        text = f"{value:,.10f}".rstrip("0").rstrip(".")
    else:
        mantissa, exponent = f"{value:.2e}".split("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return text.replace("-", "−", 1) if value < 0 else text
