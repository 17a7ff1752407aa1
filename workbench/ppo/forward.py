"""Reading sampled completions again: log-probabilities, values and entropies of every token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.ppo.control import Control
from workbench.ppo.phases import Phase
from workbench.ppo.policy import Policy
from workbench.ppo.sampling import Completions
from workbench.ppo.token_statistics import token_statistics

# Logits of this many entries are held at once (float32: 64 MiB).
_HEAD_ENTRIES = 1 << 24

# What is fastest where: a CPU's caches want small pieces, a GPU wants large ones.
_TOKENS_AT_ONCE = {"cpu": 1024, "cuda": 16_384, "mps": 4096}


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Some rows of a batch, side by side: what goes through the trunk at once.

    ``source`` picks, from the flattened (rows, width) hidden states, the one before each response
    token; ``row`` and ``column`` say where in (b, T) that token stands.
    """

    input_ids: Tensor
    source: Tensor
    row: Tensor
    column: Tensor


def tokens_at_once(micro_batch_tokens: int, device: torch.device) -> int:
    """Return how many tokens go through the model at once; 0 asks for what suits the device."""
    return micro_batch_tokens or _TOKENS_AT_ONCE.get(device.type, 4096)


def micro_batches(
    completions: Completions, rows: Tensor, *, max_tokens: int, device: torch.device
) -> Iterator[MicroBatch]:
    """Split ``rows`` by length so that little padding is computed.

    Sequences are prompt and response without the padding between them, so a token's position is
    its index. The last token is never fed: nothing is predicted from it.

    Args:
        max_tokens: of a micro-batch, padding included; 0 for what suits the device.
    """
    max_tokens = tokens_at_once(max_tokens, device)
    prompt_lengths = torch.tensor([len(p) for p in completions.prompts])
    response_lengths = completions.lengths.cpu()
    totals = prompt_lengths + response_lengths - 1
    order = rows[totals[rows].argsort(descending=True, stable=True)].tolist()
    tokens = completions.tokens.cpu()
    while order:
        width = int(totals[order[0]])
        count = max(1, min(len(order), max_tokens // width))
        chosen, order = order[:count], order[count:]
        ids = torch.zeros(count, width, dtype=torch.long)
        source, row, column = [], [], []
        for i, r in enumerate(chosen):
            p, n = int(prompt_lengths[r]), int(response_lengths[r])
            ids[i, :p] = torch.tensor(completions.prompts[r])
            ids[i, p : p + n - 1] = tokens[r, : n - 1]
            first = i * width + p - 1
            source.append(torch.arange(first, first + n))
            row.append(torch.full((n,), r))
            column.append(torch.arange(n))
        yield MicroBatch(
            ids.to(device), *(torch.cat(part).to(device) for part in (source, row, column)))


def head_chunks(tokens: int, vocabulary: int) -> Iterator[slice]:
    """Split ``tokens`` so that the logits of a chunk stay within a fixed memory."""
    size = max(128, _HEAD_ENTRIES // vocabulary)
    return (slice(i, min(i + size, tokens)) for i in range(0, tokens, size))


@torch.no_grad()
def read(
    policy: Policy, completions: Completions, *, temperature: float, max_tokens: int,
    control: Control, phase: Phase = Phase.SCORING,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``(logprobs, values, entropies)`` of the response tokens, (b, T), 0 over padding."""
    mask = completions.mask
    results = [torch.zeros(mask.shape, device=mask.device) for _ in range(3)]
    rows = torch.arange(mask.shape[0])
    done = 0
    for batch in micro_batches(completions, rows, max_tokens=max_tokens, device=policy.device):
        control.step(phase, done, len(rows))
        states = policy.hidden_states(batch.input_ids)
        value_states = policy.value_states(batch.input_ids, states).flatten(0, 1)[batch.source]
        hidden = states.flatten(0, 1)[batch.source]
        taken = completions.tokens[batch.row, batch.column]
        for part in head_chunks(len(taken), policy.config.vocab_size):
            logits = policy.logits(hidden[part]) / temperature
            logprobs, entropy = token_statistics(logits, taken[part])
            at = (batch.row[part], batch.column[part])
            for result, numbers in zip(
                results, (logprobs, policy.values(value_states[part]), entropy), strict=True
            ):
                result[at] = numbers
        done += batch.input_ids.shape[0]
    return results[0], results[1], results[2]
