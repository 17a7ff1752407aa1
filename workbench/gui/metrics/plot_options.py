"""How plots are drawn: smoothed, logarithmic, along what; for all, and for some otherwise. No
Qt."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.gui.metrics.data import XAxis


class PlotOptions:
    """What the person chose. ``log`` is for all plots, except those in ``log_of``."""

    def __init__(self) -> None:
        self.weight = 0.0
        self.x_axis: XAxis = "cycles"
        self.log = False
        self.log_of: dict[str, bool] = {}
        self.raw: set[str] = set()
        """Plots without their smoothed curve."""

    def is_log(self, name: str) -> bool:
        """Whether a plot is logarithmic."""
        return self.log_of.get(name, self.log)

    def set_log(self, name: str, log: bool) -> None:
        """Draw one plot otherwise than the rest, or as they are again."""
        self.log_of.pop(name, None)
        if log != self.log:
            self.log_of[name] = log

    def set_all_log(self, log: bool) -> None:
        """Draw every plot alike."""
        self.log, self.log_of = log, {}

    def all_log(self, names: Sequence[str]) -> bool:
        """Whether all of these plots are logarithmic."""
        return all(self.is_log(name) for name in names)

    def set_raw(self, name: str, raw: bool) -> None:
        """Leave the smoothed curve of one plot out, or draw it."""
        (self.raw.add if raw else self.raw.discard)(name)

    def save(self) -> dict[str, object]:
        """Return what :meth:`restore` takes."""
        return {"smoothing": self.weight, "log": self.log, "log_of": dict(self.log_of),
                "raw": sorted(self.raw), "along": self.x_axis}

    def restore(self, state: dict[str, object]) -> None:
        """Choose what was saved; what is unknown is left out."""
        smoothing, log_of, raw = (state.get(key) for key in ("smoothing", "log_of", "raw"))
        self.weight = smoothing if isinstance(smoothing, float) and 0 <= smoothing < 1 else 0.0
        self.log = state.get("log") is True
        self.log_of = ({str(name): log is True for name, log in log_of.items()}
                       if isinstance(log_of, dict) else {})
        self.raw = {str(name) for name in raw} if isinstance(raw, list) else set()
        x_axis = state.get("along")
        self.x_axis = x_axis if x_axis in ("steps", "time") else "cycles"
