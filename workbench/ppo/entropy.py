"""What the entropy term pushes, as it is drawn. No torch.

The term itself is that of :mod:`workbench.ppo.loss`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.algorithm import EntropyTerm

if TYPE_CHECKING:
    from workbench.algorithm import Array


def push(logprobs: Array, entropy: float, settings: Mapping[str, Any]) -> Array:
    """Return ``c2 · dH/dl = -c2 · p (ln p + H)`` for the logit l of each token, divided by the
    temperature as it is when sampled: tokens rarer than ``exp(-H)`` are raised, likelier ones
    lowered, and over a whole distribution it adds up to 0. (n,), as ``logprobs``."""
    import numpy as np  # which a window opens without

    chances = np.exp(logprobs)
    # A token of chance 0, at the limit.
    pushed = -chances * (np.where(chances > 0, logprobs, 0.0) + entropy)
    return np.asarray(settings["entropy_coef"] * pushed)


def off(settings: Mapping[str, Any], cycle: int) -> str:
    """Return why the term has no gradient in ``cycle``."""
    if cycle <= settings.get("critic_warmup_cycles", 0):
        return "critic warm-up"
    return "" if settings["entropy_coef"] else "c₂ = 0"


ENTROPY = EntropyTerm("entropy_coef", "c₂", "entropy", off, push)
