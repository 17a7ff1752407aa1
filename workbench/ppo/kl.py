"""How far the policy has moved from the start policy, and what that costs."""

from __future__ import annotations

import torch
from torch import Tensor

# exp of the largest log-ratio still fits float32 with room for squares and sums.
MAX_LOG_RATIO = 20.0


def kl_estimate(logprobs: Tensor, ref_logprobs: Tensor, estimator: str) -> Tensor:
    """Estimate ``KL(policy || reference)`` from sampled tokens, one number a token.

    With ``d = logprobs - ref_logprobs``: k1 = d, k2 = d²/2, k3 = exp(-d) - 1 + d.
    John Schulman, "Approximating KL Divergence" (2020).

    Args:
        logprobs: (b, T) log-probability of each sampled token under the policy.
        ref_logprobs: (b, T) the same under the reference.
        estimator: ``"k1"``, ``"k2"`` or ``"k3"``.

    Raises:
        ValueError: for any other estimator.
    """
    d = logprobs - ref_logprobs
    if estimator == "k1":
        return d
    if estimator == "k2":
        return 0.5 * d.square()
    if estimator == "k3":
        # expm1 keeps the small differences that exp(-d) - 1 rounds away.
        return torch.expm1((-d).clamp(max=MAX_LOG_RATIO)) + d
    raise ValueError(f"the KL estimator must be k1, k2 or k3, not {estimator!r}")


def kl_loss_terms(logprobs: Tensor, ref_logprobs: Tensor, estimator: str) -> Tensor:
    """Return what stands for ``KL(policy || reference)`` in a loss, one number a token.

    For k1 it is k2: k1's own gradient, that of ``logprobs``, is 0 on average and holds no
    reference. k2's, ``d`` times that of ``logprobs``, is on average the gradient of the KL that k1
    estimates. Tang and Munos 2025 (arXiv:2506.09477).

    Args:
        logprobs, ref_logprobs: (b, T), as for :func:`kl_estimate`.
        estimator: ``"k1"``, ``"k2"`` or ``"k3"``.
    """
    return kl_estimate(logprobs, ref_logprobs, "k2" if estimator == "k1" else estimator)


def adapt_kl_coef(kl_coef: float, kl: float, *, target: float, horizon: int, n: int) -> float:
    """One step of the adaptive KL controller, Ziegler et al. 2019 (arXiv:1909.08593), section 2.2.

    ``e = clip(kl / target - 1, -0.2, 0.2)``; ``beta <- beta * (1 + e * n / horizon)``. A cycle of
    more completions than the horizon corrects as one of the horizon: beta stays above 0.

    Args:
        kl: the cycle's mean KL a completion, in nats.
        n: completions in the cycle.
    """
    error = min(max(kl / target - 1.0, -0.2), 0.2)
    return kl_coef * (1.0 + error * min(1.0, n / horizon))
