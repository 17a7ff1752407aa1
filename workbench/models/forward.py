"""Reading sampled completions again: log-probabilities, values and entropies of every token."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import neg

import torch
from torch import Tensor

from workbench.models import ranks
from workbench.models.branches import Line, lay_out, share_rows, side_by_side
from workbench.models.capabilities import Batching
from workbench.models.control import Control
from workbench.models.device import tokens_at_once
from workbench.models.phases import Phase
from workbench.models.policy import Policy
from workbench.models.sampling import Completions
from workbench.models.sharding import tables_whole
from workbench.models.token_statistics import token_statistics

# What is fastest where: a CPU's caches want small pieces, a GPU wants large ones.
# Logits of this many entries, four bytes each, are held at once; but of so many tokens at least,
# for the head is gone over once a chunk, and where it learns so is its gradient: either is as large
# as a vocabulary.
_HEAD_ENTRIES = {"cpu": 1 << 21, "cuda": 1 << 26, "mps": 1 << 24}
_HEAD_TOKENS, _HEAD_TOKENS_LEARNED = 256, 512
# A row shorter than this share of the longest goes into another micro-batch, unless that would
# leave this one with less than a quarter of its tokens.
_SHORTEST, _LEAST = 0.8, 1 / 4


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
    positions: Tensor | None = None
    """(rows, width): where the tokens stand in their texts; None: one after the other."""
    seen: Tensor | None = None
    """(rows, 1, width, width) bool: which tokens each one reads; None: all before it."""

    def states(self, policy: Policy) -> Tensor:
        """Return the hidden state before each response token, (n, H)."""
        return policy.hidden_states(
            self.input_ids, self.positions, self.seen).flatten(0, 1)[self.source]


def micro_batches(
    completions: Completions, rows: Tensor, *, max_tokens: int, device: torch.device,
    batching: Batching = Batching.PADDED, together: int = 1, branches: int = 0,
) -> Iterator[MicroBatch]:
    """Split ``rows`` by length so that hardly any padding is computed.

    Sequences are prompt and response without the padding between them, so a token's position is
    its index. The last token is never fed: nothing is predicted from it.

    Siblings share a row, where that takes fewer operations: their prompt is read once.

    Where ranks are together, each gets its share of ``rows``, and all as many micro-batches: those
    that are wanting are of one token out of which none was chosen.

    Args:
        max_tokens: of a micro-batch, padding included; 0 for what suits the device.
        batching: which rows may be side by side.
        together: so many of ``rows``, one after another, stay in one micro-batch; not where
            ``batching`` keeps rows of unlike lengths apart.
        branches: the width of the model's states, if it reads branches; else 0.
    """
    max_tokens = tokens_at_once(max_tokens, device)
    shared = share_rows(
        [len(p) for p in completions.prompts], completions.lengths.tolist(), completions.siblings,
        rows.tolist(), branches, max_tokens, together)
    if shared:
        lines = _laid_out(completions, shared)
        cuts = list(cut_by_width([len(line.ids) for line in lines], max_tokens))
        wanting = ranks.most(len(cuts)) - len(cuts)
        yield from _branched(lines, cuts, device)
        yield from _fillers(wanting, device)
        return
    rows = _own(completions, rows, together)
    together = together if batching is Batching.PADDED else 1
    prompt_lengths = torch.tensor([len(p) for p in completions.prompts])
    response_lengths = completions.lengths.cpu()
    totals = prompt_lengths + response_lengths - 1
    units = rows.view(-1, together)
    width_of = totals[units].amax(dim=1)
    order = width_of.argsort(descending=True, stable=True)
    rows = units[order].flatten()
    widths = width_of[order].repeat_interleave(together).tolist()
    ids = torch.zeros(len(rows), max(widths, default=0), dtype=torch.long)
    place = torch.arange(ids.shape[1])
    ids[place < prompt_lengths[rows, None]] = torch.tensor(
        [token for r in rows.tolist() for token in completions.prompts[r]], dtype=torch.long)
    fed = torch.arange(completions.mask.shape[1]) < response_lengths[rows, None] - 1
    ids[(place >= prompt_lengths[rows, None]) & (place < totals[rows, None])] = (
        completions.tokens.cpu()[rows][fed])
    cuts = list(cut_by_width(widths, max_tokens, together=together, batching=batching))
    wanting = ranks.most(len(cuts)) - len(cuts)
    first = 0
    for count, width in cuts:
        part = slice(first, first + count)
        first += count
        row, column = torch.nonzero(
            torch.arange(completions.mask.shape[1]) < response_lengths[rows[part], None],
            as_tuple=True)
        source = row * width + prompt_lengths[rows[part]][row] - 1 + column
        yield MicroBatch(*(tensor.to(device) for tensor in (
            ids[part, :width], source, rows[part][row], column)))
    yield from _fillers(wanting, device)


def _own(completions: Completions, rows: Tensor, together: int) -> Tensor:
    """Return which of ``rows`` this rank reads; so many as ``together`` stay so."""
    if ranks.count() == 1:
        return rows
    units = rows.view(-1, together)
    lengths = completions.lengths.tolist()
    return units[ranks.share([sum(len(completions.prompts[row]) + lengths[row] for row in unit)
                              for unit in units.tolist()])].flatten()


def _fillers(wanting: int, device: torch.device) -> Iterator[MicroBatch]:
    """Yield what is wanting to as many micro-batches as the rank with the most has."""
    for _ in range(wanting):
        none = torch.zeros(0, dtype=torch.long, device=device)
        yield MicroBatch(torch.zeros(1, 1, dtype=torch.long, device=device), none, none, none)


def _laid_out(completions: Completions, shared: list[list[int]]) -> list[Line]:
    """Return the rows of this rank that hold several completions each, the longest first."""
    lengths = completions.lengths.tolist()
    tokens = completions.tokens.cpu()
    lines = sorted((lay_out(completions.prompts[some[0]], some, [
        tokens[row, : lengths[row]].tolist() for row in some]) for some in shared),
        key=lambda line: -len(line.ids))
    return [lines[i] for i in ranks.share([len(line.ids) for line in lines])]


def _branched(
    lines: list[Line], cuts: list[tuple[int, int]], device: torch.device
) -> Iterator[MicroBatch]:
    """Yield micro-batches of rows that hold several completions each."""
    first = 0
    for count, _ in cuts:
        yield MicroBatch(*(tensor.to(device) for tensor in side_by_side(
            lines[first : first + count])))
        first += count


def cut_by_width(
    widths: Sequence[int], max_tokens: int, *, together: int = 1,
    batching: Batching = Batching.PADDED,
) -> Iterator[tuple[int, int]]:
    """Split rows of ``widths`` tokens, longest first, into micro-batches; return the number of rows
    and the width of each."""
    first = 0
    while first < len(widths):
        width = widths[first]
        count = max(1, min(len(widths) - first, max_tokens // width))
        within = widths[first : first + count]
        close = bisect_right(within, -_SHORTEST * width, key=neg)
        count = min(count, max(close, math.ceil(_LEAST * max_tokens / width)))
        count = max(together, count - count % together)
        if batching is Batching.SINGLE:
            count = 1
        elif batching is Batching.EQUAL:
            count = bisect_right(within, -width, key=neg, hi=count)
        yield count, width
        first += count


def head_chunks(
    tokens: int, vocabulary: int, device: torch.device, *, learns: bool = False
) -> Iterator[slice]:
    """Split ``tokens`` evenly so that the logits of a chunk stay within a fixed memory; the head
    has a gradient if it ``learns``."""
    most = max(_HEAD_TOKENS_LEARNED if learns else _HEAD_TOKENS,
               _HEAD_ENTRIES.get(device.type, 1 << 24) // vocabulary)
    size = math.ceil(tokens / max(1, math.ceil(tokens / most)))
    return (slice(i, min(i + size, tokens)) for i in range(0, tokens, size or 1))


def read_logprobs(
    policy: Policy, completions: Completions, *, temperature: float, max_tokens: int,
    control: Control, phase: Phase = Phase.SCORING,
) -> Tensor:
    """Return the log-probabilities of the response tokens, (b, T), 0 over padding."""
    return read_chances(policy, completions, temperature=temperature, max_tokens=max_tokens,
                        control=control, phase=phase)[0]


@torch.no_grad()
def read_chances(
    policy: Policy, completions: Completions, *, temperature: float, max_tokens: int,
    control: Control, phase: Phase = Phase.SCORING,
    show: Callable[[Tensor, MicroBatch], None] | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Return the log-probabilities of the response tokens, (b, T), and of the tokens that were
    likeliest where they stand, (b, T, k), if those were noted; 0 over padding.

    Args:
        show: given each micro-batch's states (n, H), out of which its n tokens were chosen.
    """
    noted = completions.likeliest
    others = None if noted is None else torch.zeros(noted.shape, device=policy.device)

    def numbers(batch: MicroBatch) -> Iterator[Tensor]:
        hidden = batch.states(policy)
        if show is not None:
            show(hidden, batch)
        taken = completions.tokens[batch.row, batch.column]
        for part in head_chunks(len(taken), policy.config.vocab_size, policy.device):
            logits = divide_by_temperature(policy.logits(hidden[part]), temperature)
            if noted is None or others is None:
                logprobs = token_statistics(logits, taken[part])[0]
                del logits  # before the next are made
                yield logprobs
                continue
            at = batch.row[part], batch.column[part]
            # Looked up before the logits are overwritten; what normalises them is what lies
            # between a token's logit and its log-probability.
            wanted = logits.gather(-1, noted[at])
            own = logits.gather(-1, taken[part].unsqueeze(-1))
            logprobs = token_statistics(logits, taken[part])[0]
            others[at] = wanted - (own - logprobs.unsqueeze(-1))
            del logits
            yield logprobs

    found = _read(policy, completions, numbers, max_tokens, control, phase,
                  branches=policy.branches)
    if others is not None:
        ranks.sum_(others)
    return found, others


@torch.no_grad()
def read_values(
    policy: Policy, completions: Completions, *, max_tokens: int, control: Control,
    phase: Phase = Phase.SCORING,
) -> Tensor:
    """Return the values of the states the response tokens were chosen in, (b, T), 0 over padding.

    Of a separate value model, that is; with a shared trunk sampling has them already.
    """

    def numbers(batch: MicroBatch) -> Iterator[Tensor]:
        states = policy.value_states(batch.input_ids).flatten(0, 1)
        yield policy.values(states[batch.source])

    return _read(policy, completions, numbers, max_tokens, control, phase)


def _read(
    policy: Policy, completions: Completions, numbers: Callable[[MicroBatch], Iterator[Tensor]],
    max_tokens: int, control: Control, phase: Phase, *, branches: int = 0,
) -> Tensor:
    result = torch.zeros(completions.mask.shape, device=policy.device)
    rows = torch.arange(len(result))
    done = 0
    with tables_whole(policy):
        for batch in micro_batches(completions, rows, max_tokens=max_tokens, device=policy.device,
                                   batching=policy.capabilities.reading, branches=branches):
            control.step(phase, done, len(rows))
            if found := list(numbers(batch)):
                result[batch.row, batch.column] = torch.cat(found)
            done += len(batch.row.unique())
    ranks.sum_(result)
    return result


def divide_by_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Divide ``logits`` by ``temperature``, in place: they are large."""
    return logits if temperature == 1 else logits.div_(temperature)
