"""Prompts that are never trained on: scored now and then, they tell whether what was learned holds
beyond the prompts it was learned from. No torch."""

from __future__ import annotations

import numpy as np

_CHOICE = 9  # whatever the seed of a run, so that runs that differ in it alone hold out the same


def held_out(count: int, wanted: float) -> list[int]:
    """Return which of ``count`` prompts are held out, ascending: spread over all of them, and the
    same for every run of as many.

    Args:
        wanted: how many; below 1 which share of them, which is at least one prompt; 0: none.

    Raises:
        ValueError: no prompt would be left to train on.
    """
    if not wanted:
        return []
    number = int(wanted) if wanted >= 1 else max(1, round(wanted * count))
    if number >= count:
        raise ValueError(
            f"Held-out prompts (held_out_prompts) leaves none of the {count:,} prompts to train "
            "on; lower it, or switch on more prompts." if count > 1 else
            "The only prompt cannot be held out; switch on more prompts, or set Held-out prompts "
            "(held_out_prompts) to 0.")
    order = np.random.default_rng([_CHOICE, count]).permutation(count)
    return sorted(int(i) for i in order[:number])
