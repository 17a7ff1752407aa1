"""Finding out at loading how a policy reads and writes exactly.

What is right is what transformers itself computes of each row alone, without padding and without a
cache. Everything else that is done for speed is held against it, the fastest way first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from workbench.models.branches import lay_out, side_by_side
from workbench.models.capabilities import Batching, Capabilities
from workbench.models.decoders import (
    FixedDecoder,
    Writer,
    make_growing,
    steps_can_be_alike,
)
from workbench.models.policy import Policy, UnsupportedModelError, no_cache, shortened

TOLERANCE = 2e-4
"""How far a log-probability may be from that of the row alone, in float32."""
_ROUNDING = 8
"""How many times further than by another order of sums rounding may take a number."""
_IMPROBABLE = -12.0  # what is less probable is hardly ever sampled, and may be ten times as far
_PROMPTS = 1, 9, 9  # tokens; two of one length, and windows are passed while prompts are read
_WRITTEN = 4
_ENDS_AT = 1  # tokens after which one row has ended, and is dropped
_WINDOW = 8
_WINDOWS = frozenset({
    "sliding_window", "sliding_window_size", "attention_chunk_size", "attention_window_size",
    "window_size"})
"""What attributes are called that say how far a model sees back."""


_Way = TypeVar("_Way")


@dataclass(frozen=True, slots=True)
class _Row:
    """A text, and the log-probabilities (L, V) of what comes after each token that is fed."""

    prompt: list[int]
    response: list[int]
    whole: Tensor

    @property
    def expected(self) -> Tensor:
        """The (T, V) at each token of the response."""
        return self.whole[len(self.prompt) - 1 :]

    @property
    def fed(self) -> list[int]:
        """What a model reads to say them: the last token is never fed."""
        return self.prompt + self.response[:-1]


@torch.no_grad()
def find_capabilities(policy: Policy) -> Capabilities:
    """Find the fastest ways that give what each row alone gives, within :data:`TOLERANCE`.

    Raises:
        UnsupportedModelError: with one sentence, where there is none.
    """
    known = policy.capabilities
    try:
        with policy.in_full_precision(), _narrow_windows(policy):
            rows, end = _rows(policy)
            # What plain transformers makes of one text in two ways is not asked of others.
            limit = max(TOLERANCE, 2 * _rounding(policy, rows[-1]))
            policy.capabilities = replace(policy.capabilities, reading=_first(
                Batching, lambda batching: _reads(policy, rows, batching, limit)))
            policy.capabilities = replace(
                policy.capabilities, branches=policy.capabilities.reading is Batching.PADDED
                and _tried(lambda: _reads_branches(policy, rows, limit)))
            policy.capabilities = _writing(policy, rows, end, limit)
            return policy.capabilities
    finally:
        policy.capabilities = known


def _writing(policy: Policy, rows: list[_Row], end: int, limit: float) -> Capabilities:
    """The way of writing, by the one of reading that is known."""
    found = policy.capabilities
    ways = [replace(found, writing=batching, own_cache=own)
            for batching in (Batching.PADDED, Batching.EQUAL) for own in (False, True)]
    ways.append(replace(found, writing=found.reading, cached=False))

    def writes(way: Capabilities) -> bool:
        policy.capabilities = way
        return _writes(policy, rows, end, limit, make_growing)

    policy.capabilities = best = _first(ways, writes)
    if policy.device.type == "cuda" and steps_can_be_alike(policy) and not _tried(
            lambda: _writes(policy, rows, end, limit, FixedDecoder)):
        best = replace(best, steps_alike=False)
    return best


def _first(ways: Iterable[_Way], exact: Callable[[_Way], bool]) -> _Way:
    """Return the first way that is exact; the last needs no trial: it does as the row alone."""
    *some, last = ways
    for way in some:
        if _tried(partial(exact, way)):
            return way
    return last


def _tried(attempt: Callable[[], bool]) -> bool:
    try:
        return attempt()
    except torch.OutOfMemoryError:
        raise
    except Exception:  # other people's code met with what it does not expect
        return False


def _rows(policy: Policy) -> tuple[list[_Row], int]:
    """Return texts with ids from all of the vocabulary, also padding's, and the id that ends the
    response of the last row but one."""
    vocabulary = policy.model.get_input_embeddings().weight.shape[0]
    room = policy.context_length or sum((_PROMPTS[-1], _WRITTEN))
    written = max(1, min(_WRITTEN, room // 3))
    end = vocabulary - 1
    padding = getattr(policy.config, "pad_token_id", None)
    special = [padding] if isinstance(padding, int) and 0 <= padding < end else []
    # Evenly from 0 to the last but one, without a period that a row's length could meet.
    spread = [(i * 0.618034) % 1 for i in range(64)]
    ids = iter(special + [0, end - 1, *(int(share * end) for share in spread)] + 64 * [0])
    rows = []
    for number, length in enumerate(_PROMPTS):
        response = [max(0, next(ids)) for _ in range(written)]
        prompt = [max(0, next(ids)) for _ in range(max(1, min(length, room - written)))]
        prompt[0] = end if len(prompt) > 1 else prompt[0]
        if number == len(_PROMPTS) - 2:
            response[_ENDS_AT:] = [end] * len(response[_ENDS_AT:])
        rows.append(_Row(prompt, response, _plain(policy, prompt + response[:-1])))
    return rows, end


def _plain(policy: Policy, ids: list[int], *, rows: int = 1) -> Tensor:
    """Return the (L, V) log-probabilities by transformers itself, of this row alone, or of the
    first of so many that are the same."""
    row = torch.tensor([ids] * rows, device=policy.device)
    try:
        logits = policy.model(input_ids=row, **no_cache(policy.model)).logits
        return logits[0].float().log_softmax(dim=-1)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # as above
        raise _refusal(policy, f"cannot read some of its texts ({shortened(error)})") from error


def _rounding(policy: Policy, row: _Row) -> float:
    """Make sure that what comes later changes nothing before it, and that chance has no part;
    return how far rounding alone takes log-probabilities."""
    half = row.fed[: len(row.fed) // 2 + 1]
    alone = _plain(policy, half)
    far = _distance(row.whole[: len(half)], alone)
    if not far <= TOLERANCE:
        again = _distance(_plain(policy, half), alone)
        if not again <= TOLERANCE:
            raise _refusal(policy, "computes with random numbers, so no probability is certain")
        if far <= _ROUNDING * _distance(_plain(policy, half, rows=2), alone):
            return far
        remedy = ""
        if getattr(policy.config, "is_decoder", True) is False:
            remedy = (" (its config.json says that it is no decoder; if it was trained to write "
                      "from left to right, put \"is_decoder\": true there)")
        raise _refusal(policy, "reads in both directions: what comes later changes how probable "
                       f"earlier words are{remedy}")
    return far


def _reads(policy: Policy, rows: list[_Row], batching: Batching, limit: float) -> bool:
    groups: dict[int, list[_Row]] = {}
    for row in rows:
        groups.setdefault(0 if batching is Batching.PADDED else len(row.fed), []).append(row)
    for group in groups.values():
        ids = torch.zeros(len(group), max(len(row.fed) for row in group), dtype=torch.long)
        for place, row in enumerate(group):
            ids[place, : len(row.fed)] = torch.tensor(row.fed)
        states = policy.hidden_states(ids.to(policy.device))
        for place, row in enumerate(group):
            found = policy.logits(states[place, len(row.prompt) - 1 : len(row.fed)])
            if not _distance(found.log_softmax(dim=-1), row.expected) <= limit:
                return False
    return True


def _reads_branches(policy: Policy, rows: list[_Row], limit: float) -> bool:
    """Whether two responses to one prompt are as probable when they are read in one row."""
    prompt, responses = rows[-1].prompt, [rows[-1].response, rows[-2].response]
    line = lay_out(prompt, [0, 1], responses)
    ids, source, row, _, positions, seen = (
        tensor.to(policy.device) for tensor in side_by_side([line]))
    states = policy.hidden_states(ids, positions, seen)[0, source]
    expected = (rows[-1].whole, _plain(policy, prompt + responses[1][:-1]))
    return all(
        _distance(policy.logits(states[row == place]).log_softmax(dim=-1),
                  whole[len(prompt) - 1 :]) <= limit
        for place, whole in enumerate(expected))


def _writes(
    policy: Policy, rows: list[_Row], end: int, limit: float, make: Callable[..., Writer]
) -> bool:
    """Whether the responses, dictated, are as probable while they are written."""
    expected = torch.stack([row.expected for row in rows])
    dictated = torch.tensor([row.response for row in rows], device=policy.device)
    found = torch.zeros_like(expected)

    def dictate(hidden: Tensor, places: Tensor, t: Tensor) -> Tensor:
        found[places, t] = policy.logits(hidden).log_softmax(dim=-1)
        return dictated[places, t]

    length = dictated.shape[1]
    with contextlib.closing(
            make(policy, [row.prompt for row in rows], length, dictate, [end])) as writer:
        for t in range(length):
            if t:
                writer.drop_ended()
            writer.step()
    return all(
        _distance(found[place, : _until(row.response, end)],
                  expected[place, : _until(row.response, end)]) <= limit
        for place, row in enumerate(rows))


def _until(response: list[int], end: int) -> int:
    """How many tokens are written before a row has ended, its last one included."""
    return response.index(end) + 1 if end in response else len(response)


def _distance(found: Tensor, expected: Tensor) -> float:
    """Return how far log-probabilities are apart at most; NaN where one is no number."""
    far = torch.where(found == expected, 0.0, (found - expected).abs())
    return torch.where(expected < _IMPROBABLE, far / 10, far).max().item()


def _refusal(policy: Policy, why: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"The policy's architecture ({type(policy.model).__name__}) {why}; choose another model.")


@contextlib.contextmanager
def _narrow_windows(policy: Policy) -> Iterator[None]:
    """Let a model see back a few tokens only, so that texts of a few pass its windows."""
    configs = {id(c): c for c in (policy.config, getattr(policy.trunk, "config", policy.config))}
    places: list[dict[str, Any]] = [vars(c) for c in configs.values()]
    places += [vars(module) for module in policy.trunk.modules() if isinstance(module, nn.Module)]
    changed = [(place, name, place[name]) for place in places for name in _WINDOWS & place.keys()
               if isinstance(place[name], int) and place[name] > _WINDOW]
    try:
        for place, name, _ in changed:
            place[name] = _WINDOW
        yield
    finally:
        for place, name, value in changed:
            place[name] = value
