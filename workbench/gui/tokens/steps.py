"""How strongly the steps of a completion are coloured, and which is looked at first. No Qt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from workbench.algorithm import TokenColumn, TokenView
from workbench.formatting import number, signed
from workbench.store.records import CompletionRecord

_WRITTEN = 0.005  # what is nearer to 0 is written as 0.00
_FAINT = 0.05  # where no number of a column is larger, they are coloured by this
_SHOWN = 200  # characters of a prompt or a completion in a line


def strengths(steps: Sequence[Any], column: TokenColumn) -> list[float]:
    """Return how strongly each step is coloured, from -1 to 1; 1 is the column's largest. Numbers
    that are all next to 0 stay pale, and what is written as 0 has no colour."""
    weights = [w if math.isfinite(w) else 0.0 for w in map(column.weight, steps)]
    weights = [w if abs(w) >= _WRITTEN else 0.0 for w in weights]
    most = max(map(abs, weights), default=0.0)
    return [w / max(most, _FAINT) for w in weights]


def most_telling(steps: Sequence[Any], view: TokenView) -> int:
    """Return the token whose choice mattered most; -1 where there are none."""
    return max(range(len(steps)), default=-1, key=lambda i: view.weight(steps[i]))


def summary(
    record: CompletionRecord, gained: float = math.nan, *, first: bool = True
) -> str:
    """Return the line of a completion in the list: with its advantage, where it has siblings, or
    its title, where it has one; those that are not the ``first`` of them have
    their prompt in a line above."""
    prompt = record.prompt_text[:_SHOWN] if first else "…"
    text = " ".join((prompt + record.text[:_SHOWN]).split())
    if record.title:
        worth = signed(record.score) if math.isfinite(record.score) else "–"
        return "  ".join((record.title, worth, text))
    return "  ".join((
        number(record.score), *([signed(gained)] if math.isfinite(gained) else ()), text))


def by_groups(
    records: Sequence[CompletionRecord], view: TokenView | None, settings: Mapping[str, object]
) -> list[list[CompletionRecord]]:
    """Return completions of a cycle by their groups, each best first, and that with the best first;
    each by itself where the run has no groups. Those that stand side by side stay as they were
    drawn."""
    if view is not None and view.sides is not None:
        return _together(records, len(view.sides.titles))
    count = settings.get(view.siblings.count) if view is not None and view.siblings else 1
    each = count if isinstance(count, int) and count > 1 else 1
    found = [sorted(members, key=_best) for members in _together(records, each)]
    return sorted(found, key=lambda members: _best(members[0]))


def _together(records: Sequence[CompletionRecord], each: int) -> list[list[CompletionRecord]]:
    in_turn = sorted(records, key=lambda record: record.position)
    return [list(members) for _, members in groupby(in_turn, lambda r: r.position // each)]


def _best(record: CompletionRecord) -> tuple[bool, float]:
    return math.isnan(record.score), -record.score
