"""The objective ``L_PPO = L_POLICY + c1 * L_VF + c2 * L_ENT``, term by term.

Schulman et al. 2017 (arXiv:1707.06347). Each term is a pure function of (b, T) tensors; padding
never counts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.learning.aggregation import Aggregation, How, masked_mean
from workbench.ppo.kl import MAX_LOG_RATIO


def aggregate(loss: Tensor, mask: Tensor, how: How, *, response_length: int) -> Tensor:
    """Return the loss of a batch of the losses (b, T) of its tokens, a scalar
    (:class:`workbench.learning.aggregation.Aggregation`).

    Args:
        mask: (b, T) bool, True on real tokens; at least one in every row.
        how: ``token``, ``sequence`` or ``constant``.
        response_length: the longest completion there may be, for ``constant``.
    """
    weights = Aggregation(how, response_length).weights(mask.sum(dim=1))
    return (loss.masked_fill(~mask, 0.0).sum(dim=1) * weights).sum()


def entropy(logits: Tensor) -> Tensor:
    """Return ``H = -sum_v p(v) * log p(v)`` of ``softmax(logits)``, over the last dimension.

    Logits of minus infinity have probability 0 and contribute nothing.
    """
    logprobs = logits.log_softmax(dim=-1)
    return -(logprobs.exp() * logprobs.clamp(min=torch.finfo(logprobs.dtype).min)).sum(dim=-1)


def probability_ratio(logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
    """Return ``rho = exp(logprobs - old_logprobs)``, the log-ratio clamped so that it is finite."""
    return (logprobs - old_logprobs).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()


def sequence_log_ratios(log_ratios: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of each row's real ``log_ratios`` (b, T) at every one of its places, 0 where
    masked: the ratio of a completion is the geometric mean of its tokens' (GSPO, Zheng et al. 2025,
    arXiv:2507.18071, equation 7)."""
    mean = log_ratios.masked_fill(~mask, 0.0).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
    return mean.unsqueeze(1).expand_as(log_ratios).masked_fill(~mask, 0.0)


def policy_loss_terms(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, *,
    cliprange: float, cliprange_high: float = 0.0, dual_clip: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """The clipped surrogate of each token, before any averaging.

    ``max(-A * rho, -A * clip(rho, 1 - eps, 1 + eps))``, where the upper eps is ``cliprange_high``
    unless that is 0 (Yu et al. 2025, arXiv:2503.14476). With ``dual_clip`` c > 0, tokens with a
    negative advantage lose at most ``-c * A`` (Ye et al. 2020, arXiv:1912.09729, equation 5).

    Returns:
        ``(loss, ratio, clipped)``: the loss and rho of each token, and whether the clipped branch
        was the larger (the trust region held).
    """
    ratio = probability_ratio(logprobs, old_logprobs)
    plain = -advantages * ratio
    held = -advantages * ratio.clamp(1.0 - cliprange, 1.0 + (cliprange_high or cliprange))
    loss = torch.maximum(plain, held)
    if dual_clip > 0:
        bound = -dual_clip * advantages
        loss = torch.where(advantages < 0, torch.minimum(loss, bound), loss)
    return loss, ratio, held > plain


def policy_loss(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor, *,
    cliprange: float, cliprange_high: float = 0.0, dual_clip: float = 0.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The mean clipped surrogate over real tokens; all arguments (b, T).

    Returns:
        ``(loss, metrics)`` with ``approxkl`` (``mean(½ (log rho)²)``), ``clipfrac`` and ``ratio``.
    """
    loss, ratio, clipped = policy_loss_terms(
        logprobs, old_logprobs, advantages, cliprange=cliprange, cliprange_high=cliprange_high,
        dual_clip=dual_clip)
    with torch.no_grad():
        metrics = {
            "approxkl": masked_mean(0.5 * (logprobs - old_logprobs).square(), mask),
            "clipfrac": masked_mean(clipped.to(loss.dtype), mask),
            "ratio": masked_mean(ratio, mask),
        }
    return masked_mean(loss, mask), metrics


def update_size(
    logprobs: Tensor, old_logprobs: Tensor, mask: Tensor, *, cliprange: float,
    cliprange_high: float = 0.0,
) -> dict[str, Tensor]:
    """How far a whole update moved the policy; all arguments (b, T).

    Args:
        logprobs: of the sampled tokens under the policy after its last step.
        old_logprobs: the same under the policy that sampled them.

    Returns:
        ``approxkl`` (``mean(½ (log rho)²)``) and ``clipfrac``, the share of tokens whose ratio rho
        is below ``1 - cliprange`` or above ``1 + cliprange_high``, or ``cliprange`` where that is
        0.
    """
    ratio = probability_ratio(logprobs, old_logprobs)
    outside = (ratio < 1.0 - cliprange) | (ratio > 1.0 + (cliprange_high or cliprange))
    return {
        "approxkl": masked_mean(0.5 * (logprobs - old_logprobs).square(), mask),
        "clipfrac": masked_mean(outside.to(ratio.dtype), mask),
    }


def value_loss_terms(
    values: Tensor, old_values: Tensor, returns: Tensor, *, cliprange_value: float
) -> tuple[Tensor, Tensor]:
    """``½ (V - R)²`` of each token, clipped around the old value; before any averaging.

    With ``cliprange_value`` c > 0 it is ``½ max((V - R)², (clip(V, V_old ± c) - R)²)``, as in
    Ziegler et al. 2019 and every implementation since; 0 switches the clip off.

    Returns:
        ``(loss, clipped)`` of each token.
    """
    plain = (values - returns).square()
    if cliprange_value <= 0:
        return 0.5 * plain, torch.zeros_like(plain, dtype=torch.bool)
    near = old_values + (values - old_values).clamp(-cliprange_value, cliprange_value)
    held = (near - returns).square()
    return 0.5 * torch.maximum(plain, held), held > plain


def value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, *, cliprange_value: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """The mean value loss over real tokens; all arguments (b, T).

    Returns:
        ``(loss, metrics)`` with ``clipfrac``, the share of tokens whose value was held back.
    """
    loss, clipped = value_loss_terms(
        values, old_values, returns, cliprange_value=cliprange_value)
    return masked_mean(loss, mask), {"clipfrac": masked_mean(clipped.to(loss.dtype), mask)}


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> Tensor:
    """Return ``1 - Var(R - V) / Var(R)`` over real tokens, but -1 where it is lower: how many times
    worse than a constant values are says nothing more. NaN where the returns are all equal, but for
    rounding."""
    target, error = returns[mask], (returns - values)[mask]
    if target.numel() < 2:
        return torch.full((), float("nan"))
    variance = target.var()
    rounding = 4 * torch.finfo(target.dtype).eps * torch.maximum(
        target.abs().max(), error.abs().max())
    explained = (1 - error.var() / variance).clamp(min=-1.0)
    return torch.where(variance > rounding.square(), explained, torch.nan)
