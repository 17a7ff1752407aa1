"""Phase 1: the policy writes completions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.ppo.control import Control
from workbench.ppo.kernels import packed_weights
from workbench.ppo.kv_cache import make_cache
from workbench.ppo.phases import Phase
from workbench.ppo.policy import Policy

# Rows that have ended are dropped from the batch once this share of it is dead.
_COMPACT_AT = 0.15


@dataclass(frozen=True, slots=True)
class Completions:
    """What was sampled. Response tensors are (b, T), padded on the right, on the policy's device.

    ``values[:, t]`` is the value of the state in which token t was chosen, that is, of the text
    before it; a separate value model gives it later (:func:`workbench.ppo.forward.read_values`).
    """

    prompts: list[list[int]]
    tokens: Tensor
    mask: Tensor
    logprobs: Tensor
    entropies: Tensor
    values: Tensor
    ended: Tensor

    def response(self, row: int) -> list[int]:
        """Return a row's real token ids, the end-of-sequence token included."""
        return self.tokens[row, self.mask[row]].tolist()

    @property
    def lengths(self) -> Tensor:
        """(b,) real tokens of each row."""
        return self.mask.sum(dim=1)


def choose_tokens(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Sample one token a row by inverting the distribution function.

    Args:
        probabilities: (n, V) float32.
        uniform: (n,) numbers in [0, 1).

    Returns:
        (n,) tokens; one with probability 0 is never chosen.
    """
    # Sums over a large vocabulary lose the small probabilities in float32.
    wide = torch.float32 if probabilities.device.type == "mps" else torch.float64
    cumulative = probabilities.cumsum(dim=-1, dtype=wide)
    below_one = 1 - torch.finfo(wide).eps
    threshold = uniform.to(cumulative).clamp(max=below_one).unsqueeze(-1) * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, threshold, right=True).squeeze(-1)
    return tokens.clamp(max=probabilities.shape[-1] - 1)


@torch.no_grad()
def sample(
    policy: Policy, prompts: Sequence[Sequence[int]], uniforms: Tensor, *,
    temperature: float, eos_ids: Sequence[int], control: Control,
    phase: Phase = Phase.SAMPLING,
) -> Completions:
    """Complete every prompt, from the full distribution (no top-k, no top-p).

    Args:
        prompts: b lists of at least one token id.
        uniforms: (b, T) numbers in [0, 1), one for each token that may be sampled; T is the
            longest response.
        eos_ids: a response ends with the first of these, which is part of it.
    """
    device, rows = policy.device, len(prompts)
    length = uniforms.shape[1]
    width = max(map(len, prompts))
    ids = torch.zeros(rows, width, dtype=torch.long)
    attention = torch.ones(rows, width + length, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt):] = torch.tensor(prompt)
        attention[row, : width - len(prompt)] = 0
    padded = bool((attention == 0).any())
    ids, attention, uniforms = ids.to(device), attention.to(device), uniforms.to(device)
    positions = (attention.cumsum(dim=1) - 1).clamp(min=0)
    eos = torch.tensor(list(eos_ids), dtype=torch.long, device=device)

    tokens = torch.zeros(rows, length, dtype=torch.long, device=device)
    mask = torch.zeros(rows, length, dtype=torch.bool, device=device)
    logprobs, entropies, values = (torch.zeros(rows, length, device=device) for _ in range(3))
    ended = torch.zeros(rows, dtype=torch.bool, device=device)

    # `live` maps the rows still in the batch to their place in the results.
    live = torch.arange(rows, device=device)
    cache = make_cache(policy.model.config, width + length)
    fed, start = ids, 0
    with policy.autocast(), packed_weights(policy.model, policy.placement.dtype):
        for t in range(length):
            control.step(phase, t, length)
            end = width + t
            hidden = policy.trunk(
                input_ids=fed,
                attention_mask=attention[:, :end] if padded else None,
                position_ids=positions[:, start:end],
                cache=cache, use_cache=True,
            ).last_hidden_state[:, -1]
            logits = policy.logits(hidden) / temperature
            normalised = logits.log_softmax(dim=-1)
            probabilities = normalised.exp()
            chosen = choose_tokens(probabilities, uniforms[live, t])
            tokens[live, t] = chosen
            mask[live, t] = True
            logprobs[live, t] = normalised.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
            # Spelled without a dot product: autocast would reduce its precision.
            entropies[live, t] = -(probabilities * normalised).sum(dim=-1)
            if policy.value_trunk is None:
                values[live, t] = policy.values(hidden)
            finished = torch.isin(chosen, eos)
            ended[live] |= finished
            going = ~ended[live]
            remaining = int(going.sum())
            if remaining == 0 or t == length - 1:
                break
            # A finished row that is still in the batch goes on unseen: the mask is cut below.
            if remaining <= (1 - _COMPACT_AT) * len(live):
                keep = going.nonzero().squeeze(-1)
                cache.batch_select_indices(keep)
                live, attention, positions = live[keep], attention[keep], positions[keep]
                chosen = chosen[keep]
            fed, start = chosen.unsqueeze(-1), end
    control.step(phase, length, length)

    # A row that had ended while it was still in the batch went on unseen: cut it there.
    stops = torch.isin(tokens, eos) & mask
    mask &= stops.cumsum(dim=1) - stops.long() == 0
    width = int(mask.sum(dim=1).max())
    mask = mask[:, :width]

    def cut(x: Tensor) -> Tensor:
        return x[:, :width].masked_fill(~mask, 0)

    return Completions(
        list(map(list, prompts)), cut(tokens), mask, cut(logprobs), cut(entropies), cut(values),
        ended)
