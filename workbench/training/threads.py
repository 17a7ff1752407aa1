"""How many threads of torch compute a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch

from workbench import processes


class Threads:
    """With another number of threads, sums come in another order and round otherwise. So a run that
    goes on computes with as many as it began with, wherever it does."""

    def __init__(self, told: int | None, spare: int) -> None:
        """``told`` is always obeyed; without it, a new run leaves ``spare`` of torch's threads."""
        self._told = told
        self._most = max(1, (os.cpu_count() or 1) // processes.on_this_machine())
        self._own = told or max(1, min(torch.get_num_threads(), self._most) - spare)
        self.begin()

    def begin(self) -> None:
        """Compute what no run has begun."""
        torch.set_num_threads(self._own)

    def go_on(self, record: Mapping[str, Any]) -> None:
        """Compute the run with this :meth:`workbench.training.models.Models.record`."""
        known = min(record.get("threads", self._own), self._most)
        torch.set_num_threads(self._told or known)
