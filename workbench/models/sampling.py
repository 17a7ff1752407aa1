"""Phase 1: the policy writes completions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from workbench.models import ranks
from workbench.models.control import Control
from workbench.models.decoders import Writer, inference_weights, make_decoder
from workbench.models.device import widest_float
from workbench.models.phases import Phase
from workbench.models.policy import Policy
from workbench.models.sharding import fits_whole, is_shared_out
from workbench.stop_strings import Stopped

_ASKED_EVERY = 8
"""Tokens after which ranks that are together ask one another whether any row goes on."""
_IMPOSSIBLE = -1e30
"""The log-probability of a token that cannot be drawn, in place of minus infinity."""


@dataclass(frozen=True, slots=True)
class Completions:
    """What was sampled. Response tensors are (b, T), padded on the right, on the policy's device.

    ``values[:, t]`` is the value of the state in which token t was chosen, that is, of the text
    before it; a separate value model gives it later (:func:`workbench.models.forward.read_values`).
    ``likeliest`` and ``likeliest_logprobs`` are the tokens that were likeliest at each place,
    likeliest first, and last the one that was chosen, (b, T, k); None where they were not asked
    for. So many rows as ``siblings``, one after another, complete the same prompt.
    """

    prompts: list[list[int]]
    tokens: Tensor
    mask: Tensor
    logprobs: Tensor
    entropies: Tensor
    values: Tensor
    ended: Tensor
    likeliest: Tensor | None = None
    likeliest_logprobs: Tensor | None = None
    siblings: int = 1

    @classmethod
    def of_ids(
        cls, prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]],
        device: torch.device, siblings: int = 1,
    ) -> Self:
        """Return completions that are there already, of whose tokens nothing is known."""
        lengths = torch.tensor([len(ids) for ids in responses])
        mask = torch.arange(max(map(len, responses), default=0)) < lengths.unsqueeze(1)
        tokens = torch.zeros(mask.shape, dtype=torch.long)
        tokens[mask] = torch.tensor([token for ids in responses for token in ids], dtype=torch.long)
        nothing = torch.zeros(1, 1, device=device).expand(mask.shape)
        return cls(
            [list(ids) for ids in prompts], tokens.to(device), mask.to(device), nothing, nothing,
            nothing, torch.ones(len(responses), dtype=torch.bool, device=device), siblings=siblings)

    def response(self, row: int) -> list[int]:
        """Return a row's real token ids, the end-of-sequence token included."""
        return self.tokens[row, self.mask[row]].tolist()

    def responses(self) -> list[list[int]]:
        """Return those of every row."""
        return [row[:n] for row, n in zip(
            self.tokens.tolist(), self.lengths.tolist(), strict=True)]

    @property
    def lengths(self) -> Tensor:
        """(b,) real tokens of each row."""
        return self.mask.sum(dim=1)


class Stops:
    """Watches for completions that end by what they say (:mod:`workbench.stop_strings`)."""

    def __init__(
        self, prompts: Sequence[Sequence[int]], eos_ids: Sequence[int], length: int,
        stopped: Stopped | None,
    ) -> None:
        """Watch ``prompts`` being completed by at most ``length`` tokens; by None nothing ends."""
        self._prompts, self._eos, self._stopped = prompts, frozenset(eos_ids), stopped
        self._written: list[list[int]] = [[] for _ in prompts]
        self._going = set(range(len(prompts))) if stopped else set()
        self.places = torch.full((len(prompts), 1), length)
        """(b, 1) the place of the token with which a row ended so; ``length``: it did not."""

    def look(self, writer: Writer, t: int) -> None:
        """Look at what every row has been given as its token number ``t``."""
        if self._stopped is None:
            return
        ended = []
        for row, token in enumerate(writer.tokens[:, t].tolist()):
            if row not in self._going:
                continue
            self._written[row].append(token)
            if token in self._eos:
                self._going.discard(row)
            elif self._stopped(self._prompts[row], self._written[row]):
                self._going.discard(row)
                self.places[row] = t
                ended.append(row)
        if ended:
            writer.end(torch.tensor(ended, device=writer.tokens.device))


def own_rows(prompts: Sequence[Sequence[int]]) -> list[int]:
    """Return which of the ``prompts`` this rank completes. Equal ones that follow one another,
    which are read once, stay together."""
    first = [row for row in range(len(prompts)) if not row or prompts[row] != prompts[row - 1]]
    ends = [*first[1:], len(prompts)]
    if len(first) < ranks.count():
        return ranks.share([1.0] * len(prompts))
    chosen = ranks.share([end - row for row, end in zip(first, ends, strict=True)])
    return [row for unit in chosen for row in range(first[unit], ends[unit])]


def choose_tokens(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Sample one token a row by inverting the distribution function.

    Args:
        probabilities: (n, V) float32.
        uniform: (n,) numbers in [0, 1).

    Returns:
        (n,) tokens; one with probability 0 is never chosen.
    """
    # Sums over a large vocabulary lose the small probabilities in float32.
    wide = widest_float(probabilities.device)
    cumulative = probabilities.cumsum(dim=-1, dtype=wide)
    below_one = 1 - torch.finfo(wide).eps
    threshold = uniform.to(cumulative).clamp(max=below_one).unsqueeze(-1) * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, threshold, right=True).squeeze(-1)
    return tokens.clamp(max=probabilities.shape[-1] - 1)


@torch.no_grad()
def sample(
    policy: Policy, prompts: Sequence[Sequence[int]], uniforms: Tensor, *,
    temperature: float, eos_ids: Sequence[int], control: Control,
    phase: Phase = Phase.SAMPLING, decoder: Callable[..., Writer] = make_decoder,
    stopped: Stopped | None = None, likeliest: int = 0,
) -> Completions:
    """Complete every prompt, from the full distribution (no top-k, no top-p).

    Args:
        prompts: b lists of at least one token id.
        uniforms: (b, T) numbers in [0, 1), one for each token that may be sampled; T is the
            longest response.
        eos_ids: a response ends with the first of these, which is part of it.
        decoder: makes what runs the model.
        stopped: asked after each token whether it ends the response; None: no text does.
        likeliest: so many of the likeliest tokens at each place are noted; 0: none.
    """
    device, length = policy.device, uniforms.shape[1]
    own = own_rows(prompts)
    whole = ranks.count() == 1 or not is_shared_out(policy.model) or fits_whole(policy.model)
    if ranks.count() > 1 and is_shared_out(policy.model):
        policy.gathers = whole
    # Layers are gathered one by one then, by all ranks alike: who has nothing to do writes along.
    along = not whole
    idle = along and not own
    own = own or ([0] if idle else [])
    mine = [prompts[row] for row in own]
    places = torch.tensor(own, dtype=torch.long, device=device)
    all_mine = len(own) == len(prompts)
    watch = Stops(mine, eos_ids, length, stopped)
    uniforms = uniforms.to(device, widest_float(device))
    logprobs, entropies, values = (
        torch.zeros(uniforms.shape, device=device) for _ in range(3))
    noted = min(likeliest, policy.config.vocab_size)
    best = torch.zeros(*uniforms.shape, noted + 1, dtype=torch.long, device=device)
    best_logprobs = torch.zeros(*uniforms.shape, noted + 1, device=device)

    def choose(hidden: Tensor, rows: Tensor, t: Tensor) -> Tensor:
        logits = policy.writing_logits(hidden) / temperature
        normalised = logits.log_softmax(dim=-1)
        if policy.steering is not None:  # which may leave tokens out: 0 times infinity is no number
            normalised = normalised.clamp(min=_IMPOSSIBLE)
        probabilities = normalised.exp()
        rows = rows if all_mine else places[rows]
        chosen = choose_tokens(probabilities, uniforms[rows, t])
        logprob = normalised.gather(-1, chosen.unsqueeze(-1))
        logprobs[rows, t] = logprob.squeeze(-1)
        # Spelled without a dot product: autocast would reduce its precision.
        entropies[rows, t] = -(probabilities * normalised).sum(dim=-1)
        if noted:
            top = normalised.topk(noted, dim=-1)
            best_logprobs[rows, t] = torch.cat([top.values, logprob], dim=-1)
            best[rows, t] = torch.cat([top.indices, chosen.unsqueeze(-1)], dim=-1)
        if policy.value_head is not None and policy.value_trunk is None:
            values[rows, t] = policy.values(hidden)
        return chosen

    tokens = torch.zeros(uniforms.shape, dtype=torch.long, device=device)
    ends = torch.zeros(len(prompts), 1, dtype=torch.long, device=device)
    with inference_weights(policy, whole=whole), contextlib.ExitStack() as stack:
        writer = stack.enter_context(closing(
            decoder(policy, mine, length, choose, eos_ids))) if mine else None
        for t in range(length):
            going = writer is not None and not idle and (not t or writer.drop_ended())
            ask = ranks.count() == 1 or t % _ASKED_EVERY == 0
            if ask and not ranks.any_(going):
                break
            control.step(phase, t, length)
            if writer is not None and (going or along):
                writer.step()
                watch.look(writer, t)
    control.step(phase, length, length)
    if idle:
        for found in (logprobs, entropies, values, best, best_logprobs):
            found.zero_()
    elif writer is not None:
        tokens[places], ends[places] = writer.tokens, watch.places.to(device)
    ranks.sum_(tokens, ends, logprobs, entropies, values, best, best_logprobs)

    # A row that had ended while it was still in the batch went on unseen: cut it there.
    stops = torch.isin(tokens, torch.tensor(list(eos_ids), dtype=torch.long, device=device))
    stops |= torch.arange(length, device=device) == ends
    mask = stops.cumsum(dim=1) - stops.long() == 0
    width = int(mask.sum(dim=1).max())
    mask = mask[:, :width]

    def cut(x: Tensor) -> Tensor:
        there = mask if x.dim() == 2 else mask.unsqueeze(-1)
        return x[:, :width].masked_fill(~there, 0)

    return Completions(
        list(map(list, prompts)), cut(tokens), mask, cut(logprobs), cut(entropies), cut(values),
        (stops[:, :width] & mask).any(dim=1),
        cut(best) if noted else None, cut(best_logprobs) if noted else None)
