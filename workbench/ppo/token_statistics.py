"""Log-probability of the token taken and entropy of its distribution, from logits, lean.

Plain autograd through ``log_softmax``, ``gather`` and the entropy keeps four (n, V) tensors; this
keeps one, or two for an entropy bonus, and goes over them half as often.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _TokenStatistics(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, tokens: Tensor, entropy_gradient: bool) -> Any:
        probabilities = logits.softmax(dim=-1)
        # log Σ exp(l) = max l - log max p: the sum is not computed a second time.
        norm = logits.amax(dim=-1) - probabilities.amax(dim=-1).log()
        logprobs = logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1) - norm
        # H = -Σ p log p = log Σ exp(l) - Σ p l
        entropy = (norm - torch.linalg.vecdot(probabilities, logits)).clamp(min=0)
        ctx.entropy_gradient = entropy_gradient
        saved = (logits, norm - entropy) if entropy_gradient else ()
        ctx.save_for_backward(tokens, probabilities, *saved)
        if not entropy_gradient:
            ctx.mark_non_differentiable(entropy)
        return logprobs, entropy

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        grad_logprobs, grad_entropy = grads
        tokens, probabilities, *saved = ctx.saved_tensors
        # d logp(token) / d logits = onehot - p
        if ctx.entropy_gradient:
            # d H / d logit_v = -p_v (log p_v + H)
            logits, offset = saved
            grad = (logits - offset.unsqueeze(-1)).mul_(-grad_entropy.unsqueeze(-1))
            grad.sub_(grad_logprobs.unsqueeze(-1)).mul_(probabilities)
        else:
            # In place: there is one backward pass, and the probabilities are not needed after it.
            grad = probabilities.mul_(-grad_logprobs.unsqueeze(-1))
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
