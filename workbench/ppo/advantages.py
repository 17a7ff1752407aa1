"""Advantages: how much better a token turned out than the value head expected."""

from __future__ import annotations

import torch
from torch import Tensor

WHITEN_EPS = 1e-8


def generalized_advantages(
    rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float, lam: float
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation.

    ``delta_t = r_t + gamma * V_{t+1} - V_t`` and ``A_t = delta_t + gamma * lam * A_{t+1}``, with
    ``V = A = 0`` after the last real token. Schulman et al. 2016 (arXiv:1506.02438), equation 16.

    Args:
        rewards: (b, T) float, the reward of each token.
        values: (b, T) float, the value of the state each token was taken in.
        mask: (b, T) bool, True on real tokens; what lies elsewhere is ignored.

    Returns:
        ``(advantages, returns)``, (b, T) each and 0 where masked; ``returns = advantages +
        values``, the target of the value loss.
    """
    rewards = rewards.masked_fill(~mask, 0.0)
    values = values.masked_fill(~mask, 0.0)
    advantages = torch.zeros_like(values)
    following_value = torch.zeros_like(values[:, 0])
    following_advantage = torch.zeros_like(following_value)
    for t in range(values.shape[1] - 1, -1, -1):
        delta = rewards[:, t] + gamma * following_value - values[:, t]
        following_advantage = (delta + gamma * lam * following_advantage) * mask[:, t]
        following_value = values[:, t]
        advantages[:, t] = following_advantage
    return advantages, (advantages + values).masked_fill(~mask, 0.0)


def whitening_factor(x: Tensor, mask: Tensor, beside: Tensor | None = None) -> Tensor:
    """Return what scales the real entries of ``x`` to deviation 1.

    The variance is that of the sample (divisor n - 1), as TRL's ``masked_whiten`` takes it.

    Args:
        x: (b, T) float.
        mask: (b, T) bool; the other entries do not count.
        beside: (b, T), what is to be scaled along: its variance is added.
    """
    variance = x.new_zeros(())
    for real in (x[mask], *([] if beside is None else [beside[mask]])):
        if real.numel() > 1:
            variance = variance + real.var()
    return torch.rsqrt(variance + WHITEN_EPS)


def whiten(
    x: Tensor, mask: Tensor, *, shift_mean: bool = True, factor: Tensor | None = None
) -> Tensor:
    """Scale the real entries of ``x`` to deviation 1 and, if ``shift_mean``, to mean 0.

    The deviation has no floor, though that of a solved task is the value head's error alone, which
    can un-learn it (without a KL price, at lambda 0). None would tell the two apart: such a task of
    three tokens un-learned at 0.09 to 0.29 where its first cycles had 0.19 to 0.21, and healthy
    runs of the bundled policy end at 0.6 of their first deviation. The health check speaks of the
    reward that falls.

    Args:
        x: (b, T) float.
        mask: (b, T) bool; the other entries become 0 and do not count.
        factor: to scale by, instead of the one that gives deviation 1.
    """
    if not bool(mask.any()):
        return torch.zeros_like(x)
    mean = x[mask].mean()
    whitened = (x - mean) * (whitening_factor(x, mask) if factor is None else factor)
    if not shift_mean:
        whitened = whitened + mean
    return whitened.masked_fill(~mask, 0.0)
