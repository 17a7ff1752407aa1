"""Writing with values: a policy's distribution tilted to what Q-learning found better."""

from __future__ import annotations

from torch import Tensor


def steer(
    logprobs: Tensor, q: Tensor, values: Tensor, *, beta: float, top_k: int = 0
) -> Tensor:
    """Return logits ``log pi + beta * (Q - V)``, to be divided by a temperature and drawn from
    (Snell et al. 2022, arXiv:2206.11871, section 4.3).

    Args:
        logprobs: (b, V) of the policy.
        q: (b, V) what each token is worth; the smaller of two target heads.
        values: (b,) what the state is worth.
        beta: how much that counts; 0 gives the policy back.
        top_k: only so many tokens with the highest logits can be drawn; 0: all.

    Returns:
        (b, V), minus infinity where a token cannot be drawn.
    """
    logits = logprobs + beta * (q - values.unsqueeze(-1))
    if 0 < top_k < logits.shape[-1]:
        least = logits.topk(top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < least, float("-inf"))
    return logits
