"""How long the parts of a cycle take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

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
        """End the part that began when the last one ended; its seconds are added to ``laps``."""
        synchronize(self._device)
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - self._last
        self._last = now

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what passes within: nothing of the cycle is computed there."""
        synchronize(self._device)
        began = time.perf_counter()
        yield
        waited = time.perf_counter() - began
        self._start += waited
        self._last += waited

    @property
    def total(self) -> float:
        """Seconds from the beginning to the last lap."""
        return self._last - self._start
