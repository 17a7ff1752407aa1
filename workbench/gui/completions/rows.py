"""The completions of each compared prompt after several cycles. No Qt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workbench.formatting import number
from workbench.store.records import CompletionRecord


def cycle_name(cycle: int) -> str:
    """Name the policy after ``cycle``."""
    return f"cycle {cycle:,}" if cycle else "start policy"


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt's completions, one a cycle; None where a cycle has none of it."""

    first: CompletionRecord
    others: tuple[CompletionRecord | None, ...] = ()
    pinned: bool = False

    @property
    def records(self) -> tuple[CompletionRecord | None, ...]:
        """Its completions, in the order of the columns."""
        return self.first, *self.others

    @property
    def written(self) -> list[CompletionRecord]:
        """Those that there are."""
        return [record for record in self.records if record is not None]

    @property
    def prompt(self) -> str:
        """The prompt's text."""
        return self.first.prompt_text

    @property
    def last(self) -> CompletionRecord:
        """The completion in the last column that has one."""
        return next(filter(None, reversed(self.others)), self.first)

    @property
    def ends(self) -> tuple[str, str]:
        """The rewards in the first column and in the last, as they are written; – is none."""
        last = self.others[-1] if self.others else None
        return number(self.first.score), number(last.score if last else math.nan)

    @property
    def change(self) -> float:
        """The change in reward from the first column to the last; NaN where it is not known."""
        last = self.others[-1] if self.others else None
        return math.nan if last is None else last.score - self.first.score


@dataclass(frozen=True, slots=True)
class Shown:
    """The completions of the same prompts after several cycles, or of the start policy alone."""

    cycles: tuple[int, ...] = ()
    rows: tuple[Row, ...] = field(default=())

    @property
    def means(self) -> list[float]:
        """The mean reward of every cycle, over the prompts that are scored in the first and in
        the last."""
        rows = [r for r in self.rows if not r.others or math.isfinite(r.change)]
        return [_mean([r.records[i] for r in rows]) for i in range(len(self.cycles))]


def line_up(
    columns: Sequence[Sequence[CompletionRecord]], pinned: Mapping[str, bool],
) -> tuple[Row, ...]:
    """Bring the completions of the same prompt together. ``pinned`` goes by the prompt's text."""
    if not columns:
        return ()
    found = [{record.position: record for record in column} for column in columns[1:]]
    return tuple(Row(first, tuple(column.get(first.position) for column in found),
                     pinned.get(first.prompt_text, False)) for first in columns[0])


def _mean(records: Sequence[CompletionRecord | None]) -> float:
    values = [r.score for r in records if r is not None and math.isfinite(r.score)]
    return sum(values) / len(values) if values else math.nan
