"""Advantages: how much better a token turned out than was expected: by a value head, or, where
there is none, by what other completions were worth."""

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


def group_advantages(
    scores: Tensor, groups: Tensor, *, normalize: bool = True, eps: float = 1e-4
) -> Tensor:
    """Return by how much each completion is better than the mean of its group, in deviations of
    the group (GRPO, Shao et al. 2024, arXiv:2402.03300, section 4.1.2).

    ``(r - mean) / (std + eps)``, where the deviation has the divisor n - 1. A group whose scores
    are all equal, as one of a single completion, gives exactly 0.

    Args:
        scores: (b,) float.
        groups: (b,) integer; the completions with the same number are a group.
        normalize: divide by the deviation. Not to do so is Dr. GRPO (Liu et al. 2025,
            arXiv:2503.20783): else groups of little spread weigh as much as others.

    Returns:
        (b,)
    """
    members = _Groups(groups)
    difference = (scores - members.mean(scores)).masked_fill(members.alike(scores), 0.0)
    if not normalize:
        return difference
    variance = members.sum(difference.square()) / (members.size - 1).clamp(min=1)
    return difference / (variance.sqrt() + eps)


def leave_one_out_advantages(scores: Tensor, groups: Tensor) -> Tensor:
    """Return by how much each completion is better than the mean of the others of its group (RLOO,
    Ahmadian et al. 2024, arXiv:2402.14740, equation 8).

    Args:
        scores: (b,) float.
        groups: (b,) integer; the completions with the same number are a group.

    Returns:
        (b,); exactly 0 where all of a group are equal.

    Raises:
        ValueError: a group has a single completion, so there are no others.
    """
    members = _Groups(groups)
    if bool((members.size < 2).any()):
        raise ValueError("leave one out needs at least two completions in each group")
    difference = (scores - members.mean(scores)).masked_fill(members.alike(scores), 0.0)
    return difference * members.size / (members.size - 1)


def batch_advantages(rewards: Tensor, mask: Tensor, *, gamma: float) -> Tensor:
    """Return what followed each token, whitened over the whole batch (REINFORCE++, Hu 2025,
    arXiv:2501.03262).

    Args:
        rewards: (b, T) float, the reward of each token.
        mask: (b, T) bool, True on real tokens.
        gamma: the discount.

    Returns:
        (b, T), 0 where masked.
    """
    return whiten(discounted_returns(rewards, mask, gamma=gamma), mask)


def discounted_returns(rewards: Tensor, mask: Tensor, *, gamma: float) -> Tensor:
    """Return ``G_t = r_t + gamma * G_{t+1}`` of each token, (b, T), 0 where masked."""
    return generalized_advantages(
        rewards, torch.zeros_like(rewards), mask, gamma=gamma, lam=1.0)[0]


def baselines(scores: Tensor, groups: Tensor, *, leave_one_out: bool = False) -> Tensor:
    """Return what each completion is held against, (b,): the mean of its group, or that of the
    others of its group."""
    members = _Groups(groups)
    if leave_one_out:
        return scores - leave_one_out_advantages(scores, groups)
    return members.mean(scores)


def without_spread(scores: Tensor, groups: Tensor) -> Tensor:
    """Return the share of groups whose scores are all equal, so that nothing is learned of them."""
    members = _Groups(groups)
    # Each completion stands for its share of its group.
    return (members.alike(scores) / members.size).sum() / (1 / members.size).sum()


class _Groups:
    """Sums, means and extremes over groups, for each of their members, (b,)."""

    def __init__(self, groups: Tensor) -> None:
        _, self._number = groups.unique(return_inverse=True)
        self._count = int(self._number.max()) + 1 if groups.numel() else 0
        self.size = self.sum(torch.ones_like(groups))

    def sum(self, x: Tensor) -> Tensor:
        return x.new_zeros(self._count).index_add(0, self._number, x)[self._number]

    def mean(self, x: Tensor) -> Tensor:
        return self.sum(x) / self.size

    def alike(self, x: Tensor) -> Tensor:
        """Return whether all members of a group have the same number."""
        least, most = (x.new_zeros(self._count).scatter_reduce(
            0, self._number, x, how, include_self=False)[self._number] for how in ("amin", "amax"))
        return least == most


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
