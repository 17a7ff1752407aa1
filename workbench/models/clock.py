"""How long the parts of a cycle take."""

from __future__ import annotations

import time

import torch

from workbench.models.device import synchronize


class Clock:
    """Wall time of the parts of a cycle."""

    def __init__(self, device: torch.device) -> None:
        """Begin now; work on ``device`` counts when it is done."""
        self._device = device
        self._start = self._last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """End the part that began when the last one ended; its seconds go to ``laps``."""
        synchronize(self._device)
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now

    def skip(self) -> None:
        """Leave out what has passed since the last lap: nothing was computed."""
        now = time.perf_counter()
        self._start += now - self._last
        self._last = now

    @property
    def total(self) -> float:
        """Seconds from the beginning to the last lap."""
        return self._last - self._start
