"""The reference: each row alone through plain transformers, without padding and without a cache."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from workbench.models.control import Unattended
from workbench.models.forward import read_logprobs
from workbench.models.policy import Policy, no_cache
from workbench.models.randomness import Stream, uniforms
from workbench.models.sampling import sample


@torch.no_grad()
def logprobs_alone(
    model: torch.nn.Module, prompt: Sequence[int], response: Sequence[int]
) -> Tensor:
    """Return the (T,) log-probabilities of a response."""
    ids = torch.tensor([[*prompt, *response]])
    logits = model(input_ids=ids, **no_cache(model)).logits[0, len(prompt) - 1 : -1].float()
    return logits.log_softmax(-1).gather(-1, torch.tensor(response)[:, None])[:, 0]


def differences(
    policy: Policy, prompts: Sequence[Sequence[int]], *, length: int = 12,
    eos_ids: Sequence[int] = (3,), max_tokens: int = 40,
) -> tuple[float, float]:
    """Return by how much log-probabilities are off at most: those kept from sampling, and those
    that training reads."""
    noise = uniforms(0, Stream.ROLLOUT, 1, len(prompts), length)
    done = sample(policy, prompts, noise, temperature=1.0, eos_ids=eos_ids, control=Unattended())
    read = read_logprobs(
        policy, done, temperature=1.0, max_tokens=max_tokens, control=Unattended())
    written = reading = 0.0
    for row, prompt in enumerate(prompts):
        right = logprobs_alone(policy.model, prompt, response := done.response(row))
        written = max(written, _far(done.logprobs[row, : len(response)], right))
        reading = max(reading, _far(read[row, : len(response)], right))
    return written, reading


def _far(found: Tensor, right: Tensor) -> float:
    distance = (found - right).abs().max().item()
    return distance if distance == distance else float("inf")


def assert_as_alone(policy: Policy, prompts: Sequence[Sequence[int]], **more: int) -> None:
    """Hold the policy to what README promises, 2e-4."""
    written, read = differences(policy, prompts, **more)
    assert written <= 2e-4
    assert read <= 2e-4
