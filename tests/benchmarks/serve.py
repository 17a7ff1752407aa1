"""How a side answers: one JSON object a line, until its standard input ends."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from sequences import lengths
from work import Work


class Phases:
    """Wall time by phase of the cycle under way."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Add the time spent inside to ``name``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    def timed(self, function: Callable, name: Callable[..., str | None]) -> Callable:
        """Return ``function``, timed under what ``name`` makes of its arguments, if anything."""
        def call(*args: Any, **kwargs: Any) -> Any:
            phase = name(*args, **kwargs)
            if phase is None:
                return function(*args, **kwargs)
            with self.time(phase):
                return function(*args, **kwargs)
        return call

    def take(self, total: float | None = None) -> dict[str, float]:
        """Return what was measured and start anew; what is left of ``total`` is the update."""
        found, self.seconds = dict(self.seconds), defaultdict(float)
        if total is not None:
            found["update"] = total - sum(found.values())
        return found


def answer_stream() -> Any:
    """Keep standard output for answers; whatever else prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return answers


class Server:
    """Reads requests and writes answers."""

    def __init__(self, work: Work) -> None:
        warnings.filterwarnings("ignore")
        self._answers = answer_stream()
        self._work = work
        self._cpu = 0.0
        torch.set_num_threads(work.threads)

    def requests(self) -> Iterator[dict[str, Any]]:
        """Yield what is asked for, after saying that the side is ready."""
        self.answer(ready=True, torch=torch.__version__, memory=peak_memory())
        for line in sys.stdin:
            self._cpu = time.process_time()
            yield json.loads(line)

    def answer(self, **fields: Any) -> None:
        """Write one answer."""
        self._answers.write(json.dumps(fields) + "\n")

    def answer_cycle(self, cycle: int, seconds: float, phases: dict[str, float]) -> None:
        """Answer a ``cycle`` request."""
        now = time.process_time()
        self.answer(seconds=seconds, cpu=now - self._cpu, phases=phases, memory=peak_memory(),
                    lengths=lengths(self._work, cycle))


def matmul_rate(bf16: bool) -> float:
    """Return operations a second of a large product, the best of a few."""
    dtype, size = (torch.bfloat16 if bf16 else torch.float32), 1536
    left, right = torch.randn(2, size, size).to(dtype)
    best = 0.0
    for _ in range(4):
        start = time.perf_counter()
        left @ right
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def peak_memory() -> float:
    """Return the most memory this process has had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)
