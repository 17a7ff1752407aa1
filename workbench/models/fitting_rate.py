"""Which learning rate suits a model of what size. No torch."""

from __future__ import annotations

import math

_SMALL = 1.6e6, 2.5e-4
"""Parameters and learning rate of the bundled policy, by its reward after 20 cycles."""
_LARGE = 135e6, 2e-5
"""Likewise of SmolLM2-135M-Instruct."""


def fitting_learning_rate(parameters: int) -> float:
    """Return the learning rate to begin with when all of a model's weights are trained.

    A power of the number of parameters through the two that were measured here, 2.5e-4 for 1.6
    million and 2e-5 for 135 million, rounded to two digits. It gives 6.4e-6 for a billion; TRL's
    default for PPO, meant for models of that size, is 3e-6. Adapters (LoRA) take rates about ten
    times as high.

    Args:
        parameters: how many the policy has.
    """
    slope = math.log(_LARGE[1] / _SMALL[1]) / math.log(_LARGE[0] / _SMALL[0])
    rate = _SMALL[1] * (max(1, parameters) / _SMALL[0]) ** slope
    return float(f"{min(1e-3, rate):.1e}")
