"""How long what a run learns from is, the micro-batches that follow from it, and what it then takes
in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from workbench.learning.footprint import Footprint, S
from workbench.learning.memory import RunMemory, at_once
from workbench.learning.workload import Workload
from workbench.models.capabilities import Batching
from workbench.models.forward import cut_by_width

_READ = 256
"""Of more texts or pairs so many are counted, of all lengths."""
_TOKEN_BYTES = 40
"""Of a token in a table: a number of Python's, and the place that points to it."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long texts, or pairs of them, are."""

    rows: Sequence[tuple[int, float]]
    """Of each the tokens that are fed, with the prompt's, and those of its completion; longest
    first. Of a pair they are those of the longer text, and the mean of both completions."""
    total: int
    """Tokens of all."""

    @property
    def table_bytes(self) -> int:
        """What a table of all takes."""
        return _TOKEN_BYTES * self.total

    def shapes(
        self, count: int, tokens: int, batching: Batching, *, each: int = 1, together: int = 1
    ) -> list[tuple[int, int, int]]:
        """Return rows, width and tokens of completions of the micro-batches of at most ``tokens``
        that ``count`` of them make, each with ``each`` rows, of all lengths in equal shares."""
        known = self.rows
        chosen = [known[i * len(known) // count] for i in range(count) for _ in range(each)]
        shapes, first = [], 0
        for rows, width in cut_by_width([fed for fed, _ in chosen], tokens, together=together,
                                        batching=batching):
            part = chosen[first : first + rows]
            shapes.append((rows, width, round(sum(completion for _, completion in part))))
            first += rows
        return shapes


def of_all_lengths(items: Sequence[T], length: Callable[[T], int]) -> list[T]:
    """Return the longest of ``items`` and, of many, some of all lengths."""
    by_length = sorted(items, key=length, reverse=True)
    return by_length[:: max(1, len(items) // _READ)]


class DataMemory(RunMemory[S], Generic[S]):
    """Of a run on pairs or texts of all their ``lengths``."""

    ROWS = 1
    """Rows that each of them is."""

    def __init__(self, models: Footprint[S], work: Workload, lengths: Lengths) -> None:
        """Estimate for ``models`` and ``work``."""
        super().__init__(models, work)
        self.lengths = lengths

    def tokens(self, hp: S) -> int:
        """Return how many tokens go through the model at once, of a whole batch."""
        return min(at_once(self.models, hp), self.ROWS * hp.batch_size * self.lengths.rows[0][0])
