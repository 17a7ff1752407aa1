"""Several completions of one prompt in one row: the prompt is read once for all of them.

A row holds the prompt and, one after another, its completions. Each token stands where it stands in
its own text, and reads the prompt and its own completion alone; so its state is the one that it has
in a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

_PADDING = -1
_LONGEST = 2048
"""Tokens of a row that is shared: what each of them reads is a square of it."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of W tokens: ``branch`` says whose each is, 0 for the prompt, and ``positions`` where
    in its text it stands. ``source`` are the tokens out of whose states the completions' tokens
    were chosen, ``row`` and ``column`` where those stand in (b, T)."""

    ids: list[int]
    branch: list[int]
    positions: list[int]
    source: list[int]
    row: list[int]
    column: list[int]


def lay_out(prompt: Sequence[int], rows: Sequence[int], responses: Sequence[Sequence[int]]) -> Line:
    """Return ``responses`` to a prompt in one row; the last token of each is not fed."""
    start = len(prompt)
    line = Line(list(prompt), [0] * start, list(range(start)), [], [], [])
    for number, (row, response) in enumerate(zip(rows, responses, strict=True), start=1):
        fed = len(response) - 1
        line.source.extend([start - 1, *range(len(line.ids), len(line.ids) + fed)])
        line.row.extend([row] * len(response))
        line.column.extend(range(len(response)))
        line.ids.extend(response[:-1])
        line.branch.extend([number] * fed)
        line.positions.extend(range(start, start + fed))
    return line


def side_by_side(lines: Sequence[Line]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return token ids (n, W), padded on the right, source, row, column, positions (n, W) and which
    tokens each one reads, (n, 1, W, W)."""
    width = max(len(line.ids) for line in lines)

    def padded(rows: Iterable[list[int]], value: int) -> Tensor:
        return torch.tensor([row + [value] * (width - len(row)) for row in rows])

    source = torch.tensor([
        place * width + at for place, line in enumerate(lines) for at in line.source])
    row = torch.tensor([at for line in lines for at in line.row])
    column = torch.tensor([at for line in lines for at in line.column])
    branch = padded((line.branch for line in lines), _PADDING)
    keys, queries = branch.unsqueeze(1), branch.unsqueeze(2)
    before = torch.ones(width, width, dtype=torch.bool).tril()
    seen = before & ((keys == 0) | (keys == queries))
    return (padded((line.ids for line in lines), 0), source, row, column,
            padded((line.positions for line in lines), 0), seen.unsqueeze(1))


def share_rows(
    prompts: Sequence[int], lengths: Sequence[int], siblings: int, rows: Sequence[int], width: int,
    max_tokens: int, together: int,
) -> list[list[int]]:
    """Return which of ``rows`` share a row of the model; nothing where none should.

    Args:
        prompts: tokens of each row's prompt.
        lengths: and of its completion.
        siblings: so many rows, one after another, are completions of one prompt.
        width: of the model's states; 0: it does not read branches.
        max_tokens: a shared row has no more.
        together: so many siblings must be in one micro-batch: they share a row, or none does.
    """
    if not width or siblings < 2:
        return []

    def length(some: Sequence[int]) -> int:
        return prompts[some[0]] + sum(lengths[row] for row in some)

    if together > 1:
        units = [list(rows[i : i + together]) for i in range(0, len(rows), together)]
        gain = sum(_saved(prompts[unit[0]], length(unit[:i]), lengths[unit[i]], width)
                   for unit in units for i in range(1, together))
        fits = all(length(unit) <= _LONGEST for unit in units)
        return units if fits and gain > 0 else []
    families: dict[int, list[int]] = {}
    for row in rows:
        families.setdefault(row // siblings, []).append(row)
    # As many in every row, so that rows are of like width.
    most = most_in_a_row(
        round(fmean(prompts[row] for row in rows)), round(fmean(lengths[row] for row in rows)),
        siblings, width, max_tokens)
    if most < 2:
        return []
    shared: list[list[int]] = []
    for family in families.values():
        some: list[int] = []
        for row in sorted(family, key=lambda row: -lengths[row]):
            if some and len(some) < most and length([*some, row]) <= min(max_tokens, _LONGEST):
                some.append(row)
            else:
                some = [row]
                shared.append(some)
    return shared if any(len(some) > 1 for some in shared) else []


def tokens_in_row(prompts: Sequence[int], lengths: Sequence[int], some: Sequence[int]) -> int:
    """Return how many tokens of the model's row are fed where ``some`` share it: of each completion
    all but the last."""
    return prompts[some[0]] + sum(lengths[row] - 1 for row in some)


def most_in_a_row(
    prompt: int, response: int, siblings: int, width: int, max_tokens: int
) -> int:
    """Return how many of ``siblings`` share a row, by :func:`share_rows`, where all have so many
    tokens of response."""
    count, limit = 1, min(max_tokens, _LONGEST)
    while (count < siblings and prompt + (count + 1) * response <= limit
           and _saved(prompt, prompt + count * response, response, width) > 0):
        count += 1
    return count


def _saved(prompt: int, before: int, own: int, width: int) -> float:
    """Return how many operations it saves that a completion of ``own`` tokens comes into a row of
    ``before``, in units of 4 width: those of a layer's matrices for the prompt (12 width² a token,
    each costing two), and its own attention (half a square); against that of the longer row, of
    which nothing is left out."""
    return (6 * width * prompt + (prompt + own) ** 2 / 2
            - ((before + own) ** 2 - before**2))
