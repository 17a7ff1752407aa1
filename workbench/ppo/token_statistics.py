"""Log-probability of the token taken and entropy of its distribution, from logits, lean.

Plain autograd through ``log_softmax``, ``gather`` and the entropy keeps four (n, V) tensors; this
keeps one, and computes the gradient in place.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _TokenStatistics(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, tokens: Tensor, entropy_gradient: bool) -> Any:
        normaliser = logits.logsumexp(dim=-1, keepdim=True)
        logprobs = logits.gather(-1, tokens.unsqueeze(-1)) - normaliser
        probabilities = (logits - normaliser).exp_()
        # Σ p·logit as a batched dot product: no (n, V) intermediate.
        entropy = normaliser.squeeze(-1) - torch.linalg.vecdot(probabilities, logits)
        ctx.entropy_gradient = entropy_gradient
        saved = (logits, normaliser, entropy) if entropy_gradient else ()
        ctx.save_for_backward(tokens, probabilities, *saved)
        if not entropy_gradient:
            ctx.mark_non_differentiable(entropy)
        return logprobs.squeeze(-1), entropy

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        grad_logprobs, grad_entropy = grads
        tokens, probabilities, *saved = ctx.saved_tensors
        # d logp(token) / d logits = onehot - p
        grad = probabilities * -grad_logprobs.unsqueeze(-1)
        if ctx.entropy_gradient:
            # d H / d logit_v = -p_v (log p_v + H)
            logits, normaliser, entropy = saved
            surprise = (logits - normaliser).add_(entropy.unsqueeze(-1))
            grad.sub_(surprise.mul_(probabilities).mul_(grad_entropy.unsqueeze(-1)))
        grad.scatter_add_(-1, tokens.unsqueeze(-1), grad_logprobs.unsqueeze(-1))
        return grad, None, None


def token_statistics(
    logits: Tensor, tokens: Tensor, *, entropy_gradient: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the log-probability of ``tokens`` and the entropy of ``softmax(logits)``.

    Args:
        logits: (n, V) float32, finite, already divided by the temperature.
        tokens: (n,) the tokens taken.
        entropy_gradient: whether the entropy needs a gradient (an entropy bonus is on).

    Returns:
        ``(logprobs, entropy)``, (n,) each.
    """
    return _TokenStatistics.apply(logits, tokens, entropy_gradient)
