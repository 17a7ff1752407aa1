"""The losses of ILQL, term by term: pure functions of tensors in which padding never counts.

Snell et al. 2022 (arXiv:2206.11871); the expectile regression is that of Kostrikov et al. 2021
(arXiv:2110.06169), the conservative term that of Kumar et al. 2020 (arXiv:2006.04779).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workbench.learning.aggregation import masked_mean


def q_targets(next_values: Tensor, rewards: Tensor, *, gamma: float) -> Tensor:
    """Return what the Q of each token taken should be, ``r + gamma * V(s')``."""
    return rewards + gamma * next_values


def returns(rewards: Tensor, mask: Tensor, *, gamma: float) -> Tensor:
    """Return what came in the end of each token, ``G_t = r_t + gamma * G_{t+1}``, (b, T); 0 where
    masked."""
    found, after = torch.zeros_like(rewards), torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        after = (rewards[:, t] + gamma * after) * mask[:, t]
        found[:, t] = after
    return found


def q_loss(
    q1: Tensor, q2: Tensor, next_values: Tensor, rewards: Tensor, mask: Tensor, *, gamma: float
) -> Tensor:
    """How far both heads are from what a token brought and what is expected after it.

    ``(Q_i(s, a) - [r + gamma * V(s')])²``, the mean over real tokens, summed over both heads.

    Args:
        q1, q2: (b, T) the two heads' values of the tokens taken.
        next_values: (b, T) V of the state after each token, 0 after the last; no gradient.
        rewards: (b, T) of each token.
        mask: (b, T) bool, True on real tokens.
    """
    target = q_targets(next_values, rewards, gamma=gamma).detach()
    return sum((masked_mean((q - target).square(), mask) for q in (q1, q2)),
               torch.zeros((), device=mask.device))


def value_loss_terms(values: Tensor, target_q: Tensor, *, tau: float) -> Tensor:
    """``|tau - 1[Q < V]| (Q - V)²`` of each token: with tau above 1/2, V is pulled to the better of
    what was done in a state, not to its mean."""
    difference = target_q.detach() - values
    weight = torch.where(difference < 0, 1.0 - tau, tau)
    return weight * difference.square()


def value_loss(values: Tensor, target_q: Tensor, mask: Tensor, *, tau: float) -> Tensor:
    """The mean expectile loss of V over real tokens.

    Args:
        values: (b, T) V of the state each token was taken in.
        target_q: (b, T) the smaller of the two target heads' values of the token; no gradient.
        mask: (b, T) bool, True on real tokens.
        tau: the expectile.
    """
    return masked_mean(value_loss_terms(values, target_q, tau=tau), mask)


def conservative_loss(q_logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """The mean cross-entropy of ``softmax(Q)`` at the tokens taken: tokens that nobody wrote are
    valued no higher than those that somebody did.

    Args:
        q_logits: (b, T, V) a head's values of all tokens.
        tokens: (b, T) those taken.
        mask: (b, T) bool, True on real tokens.
    """
    losses = nn.functional.cross_entropy(
        q_logits.flatten(0, -2), tokens.flatten(), reduction="none").view(tokens.shape)
    return masked_mean(losses, mask)


@torch.no_grad()
def follow(target: nn.Module, online: nn.Module, *, rate: float) -> None:
    """Move the parameters of ``target`` to those of ``online`` by the share ``rate`` (Polyak)."""
    for slow, fast in zip(target.parameters(), online.parameters(), strict=True):
        slow.lerp_(fast, rate)
