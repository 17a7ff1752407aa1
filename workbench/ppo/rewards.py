"""From one score a completion to one reward a token."""

from __future__ import annotations

import torch
from torch import Tensor


def scale(scores: Tensor) -> tuple[float, float]:
    """Return mean and deviation of scores (b,); the deviation of scores that are all equal, but
    for rounding, is 1: they say nothing of the scale of others."""
    mean, std = scores.mean().item(), scores.std(unbiased=False).item()
    return mean, std if std > _rounding(scores) else 1.0


def _rounding(scores: Tensor) -> float:
    """Return the deviation that rounding alone may give scores (b,).

    A model in half precision gives only numbers of that precision, here too, though they come as
    float32. (So are whole numbers, which a function of a person's own gives exactly.)
    """
    largest = scores.abs().max().item()
    if not torch.equal(scores, scores.round()):
        for dtype in (torch.bfloat16, torch.float16):
            if torch.equal(scores, scores.to(dtype).to(scores.dtype)):
                return torch.finfo(dtype).eps * largest
    return 4 * torch.finfo(scores.dtype).eps * largest


def shape_scores(
    scores: Tensor, ended: Tensor, *, missing_eos_penalty: float, clip: float,
    mean: float = 0.0, std: float = 1.0,
) -> Tensor:
    """Normalise, clip and penalise scores, in this order.

    Args:
        scores: (b,) what the reward model gave.
        ended: (b,) bool, whether the completion reached its end-of-sequence token.
        missing_eos_penalty: subtracted where it did not.
        clip: scores are limited to plus or minus this; 0 leaves them alone.
        mean, std: of the start policy's scores, when normalising.
    """
    shaped = (scores - mean) / std
    if clip > 0:
        shaped = shaped.clamp(-clip, clip)
    return shaped - missing_eos_penalty * (~ended).to(shaped.dtype)


def token_rewards(scores: Tensor, kl: Tensor, mask: Tensor, *, kl_coef: float) -> Tensor:
    """``r_t = -kl_coef * kl_t``, plus the score on the last real token.

    Args:
        scores: (b,) shaped scores.
        kl: (b, T) KL estimate of each token.
        mask: (b, T) bool, True on real tokens: a prefix of at least one in every row.

    Returns:
        (b, T), 0 where masked.
    """
    rewards = (-kl_coef * kl).masked_fill(~mask, 0.0)
    last = mask.sum(dim=1) - 1
    rows = torch.arange(mask.shape[0], device=mask.device)
    rewards[rows, last] += scores
    return rewards
