"""What could come next: the distribution over the next token, and what follows each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from workbench.models.forward import divide_by_temperature
from workbench.models.policy import Policy


def next_token(policy: Policy, ids: Sequence[int], temperature: float) -> Tensor:
    """Return the (V,) float32 probabilities of the token after ``ids``."""
    return next_logprobs(policy, ids, temperature).exp()


@torch.no_grad()
def next_logprobs(policy: Policy, ids: Sequence[int], temperature: float = 1.0) -> Tensor:
    """Return the (V,) float32 log-probabilities of the token after ``ids``, as it is written."""
    states = policy.hidden_states(torch.tensor([list(ids)], device=policy.device))
    logits = divide_by_temperature(policy.writing_logits(states[0, -1:]), temperature)
    return logits.log_softmax(dim=-1)[0]


@torch.no_grad()
def values_after(policy: Policy, rows: Sequence[Sequence[int]]) -> list[float]:
    """Return what the value head foresees after each text of token ids; NaN where the policy has
    none."""
    if policy.value_head is None:
        return [math.nan] * len(rows)
    return [policy.values(policy.value_states(
        torch.tensor([list(ids)], device=policy.device))[0, -1:]).item() for ids in rows]


@torch.no_grad()
def values_along(policy: Policy, prompt: Sequence[int], tokens: Sequence[int]) -> list[float]:
    """Return what the value head foresees before each of the ``tokens`` that follow ``prompt``."""
    states = policy.value_states(torch.tensor([[*prompt, *tokens]], device=policy.device))
    before = states[0, len(prompt) - 1 : len(prompt) + len(tokens) - 1]
    found: list[float] = policy.values(before).tolist()
    return found


def likeliest(chances: Tensor, count: int, also: int) -> list[int]:
    """Return the ``count`` likeliest tokens, likeliest first; ``also`` is among them, if need be in
    the place of the last."""
    found = [int(i) for i in chances.topk(min(count, len(chances))).indices]
    return found if also in found else [*found[:-1], also]
