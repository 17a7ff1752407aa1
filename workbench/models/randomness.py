"""Every random number of a run as a function of its seed and of where it is used.

No generator carries state from one cycle to the next, so a resumed run draws what the
uninterrupted one would have drawn, a row's numbers do not depend on the other rows of its batch,
and the compared prompts meet the same numbers after every cycle.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


class Stream(IntEnum):
    """What the numbers are for."""

    PROMPT_ORDER = 1
    ROLLOUT = 2
    COMPARISON = 3
    MINI_BATCHES = 4
    TRYING = 5
    VALUE_BATCHES = 6
    PRETRAINING = 7
    HELD_OUT = 8
    BEST_OF = 9
    HELD_OUT_PAIRS = 10
    STANDARDISING = 11
    EVALUATED = 12


def uniforms(seed: int, stream: Stream, cycle: int, rows: int, length: int) -> Tensor:
    """Return (rows, length) float64 numbers in [0, 1); a longer length keeps the prefix."""
    numbers = np.empty((rows, length))
    for row in range(rows):
        numbers[row] = np.random.default_rng([seed, stream, cycle, row]).random(length)
    return torch.from_numpy(numbers)


def prompt_at(seed: int, position: int, count: int) -> int:
    """Return which of ``count`` prompts is the ``position``-th drawn in a run.

    Prompts come in shuffled passes: each is drawn once before any is drawn again.
    """
    return int(_pass_order(seed, position // count, count)[position % count])


@lru_cache(maxsize=2)
def _pass_order(seed: int, number: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, Stream.PROMPT_ORDER, number]).permutation(count)


def mini_batches(
    seed: int, cycle: int, epoch: int, rows: int, number: int,
    stream: Stream = Stream.MINI_BATCHES,
) -> list[Tensor]:
    """Split ``rows`` rows into ``number`` random mini-batches of equal size."""
    rng = np.random.default_rng([seed, stream, cycle, epoch])
    return list(torch.from_numpy(rng.permutation(rows)).chunk(number))
