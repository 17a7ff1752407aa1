"""The loss of completions that were found good or bad by themselves.

All take (b,) sums over the tokens of whole completions; h = log π - log π_start of one is its
log-ratio, and β times that the reward that the policy stands for. Prospect theory (Kahneman and
Tversky) weighs gains and losses against a reference point z; a completion teaches most where its
reward is near it (Ethayarajh et al. 2024, arXiv:2402.01306).
"""

from __future__ import annotations

import torch
from torch import Tensor


def reference_point(mismatched: Tensor) -> Tensor:
    """Return z, the batch's estimate of KL(π ‖ π_start): the mean of the log-ratios of completions
    behind prompts that they do not belong to, (b,), and at least 0; a scalar without a gradient."""
    return mismatched.detach().mean().clamp(min=0)


def kto_loss(
    log_ratios: Tensor, good: Tensor, *, beta: float, kl: Tensor | float,
    desirable_weight: float = 1.0, undesirable_weight: float = 1.0,
) -> Tensor:
    """Return the loss of each completion, (b,).

    λ_D·{1 - s(β(h - z))} of a good one and λ_U·{1 - s(β(z - h))} of a bad one.

    Args:
        log_ratios: (b,) h.
        good: (b,) bool.
        kl: z, one for all or (b,); below 0 it counts as 0. No gradient goes through it.
        desirable_weight, undesirable_weight: λ_D and λ_U.
    """
    z = torch.as_tensor(kl, dtype=log_ratios.dtype, device=log_ratios.device).detach().clamp(min=0)
    sign = good.to(log_ratios.dtype) * 2 - 1
    weights = torch.where(good, desirable_weight, undesirable_weight)
    return weights * (1 - (beta * sign * (log_ratios - z)).sigmoid())


def told_apart(scores: Tensor, good: Tensor, tie: float = 0.0) -> float:
    """Return how often a good completion has a higher score than a bad one, of all pairs of one
    good and one bad; a tie counts half. NaN where one kind is missing. (The area under the ROC
    curve.)

    Args:
        scores: (b,).
        good: (b,) bool.
        tie: what differs by no more than this is one.
    """
    bad = scores[~good].sort().values.contiguous()
    ours = scores[good].contiguous()
    below = torch.searchsorted(bad, ours - tie) + torch.searchsorted(bad, ours + tie, right=True)
    return (below.double().mean() / (2 * len(bad))).item() if len(bad) and len(ours) else float(
        "nan")
