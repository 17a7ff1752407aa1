"""Best of n: sample n completions of each prompt and keep the one that the reward likes best. It
learns nothing, and is what anything that learns has to beat. No torch."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MOST = 64
"""Completions of each prompt."""


def best_weights(n: int) -> Array:
    """Return the chance that the i-th smallest of ``n`` numbers is the largest of k of them drawn
    without putting back, (n, n) by k - 1 and i - 1: C(i - 1, k - 1) / C(n, k)."""
    return np.array([[math.comb(i, k - 1) / math.comb(n, k) for i in range(n)]
                     for k in range(1, n + 1)])


def best_of(scores: Array, also: Array | None = None) -> Array:
    """Return the mean over prompts of the best of k, for every k from 1 to n, (n,).

    It is the mean over all choices of k of the n samples, which is what k samples give on average:
    no k is favoured, though all of them use the same samples.

    Args:
        scores: (p, n) of n completions of each of p prompts.
        also: (p, n) other numbers of the same completions, whose mean over the best ones is
            returned instead.
    """
    order = np.argsort(scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores if also is None else also, order, axis=1)
    return np.asarray(best_weights(scores.shape[1]) @ ranked.mean(axis=0))


def kl_bound(n: int) -> float:
    """Return how far the best of n is at most from the policy that wrote, in nats a completion:
    ln n - (n - 1) / n (Beirami et al. 2024; equal where no two completions are the same).

    >>> round(kl_bound(4), 6)
    0.636294
    """
    return math.log(n) - (n - 1) / n
