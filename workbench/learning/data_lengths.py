"""How long what a run learns from is, the micro-batches that follow from it, and what it then takes
in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from workbench.learning.footprint import Footprint, S
from workbench.learning.memory import (
    Parts,
    RunMemory,
    alone,
    at_once,
    held,
    pieces,
    reading,
    updating,
)
from workbench.learning.workload import Phases, Workload
from workbench.models.branches import share_rows, tokens_in_row
from workbench.models.forward import cut_by_width
from workbench.models.phases import Phase

_READ = 256
"""Of more texts or pairs so many are counted, of all lengths."""
_DRAWN = 16
"""Batches that are drawn: one of many texts of like length makes the largest micro-batch."""
_TOKEN_BYTES = 40
"""Of a token in a table: a number of Python's, and the place that points to it."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Item:
    """How many tokens a text has, or a pair of texts that begin alike."""

    prompt: int
    """What they begin with."""
    completions: tuple[int, ...]

    @property
    def fed(self) -> int:
        """Tokens of the longer text that are fed: all but the last."""
        return self.prompt + max(self.completions) - 1


class Lengths:
    """How long texts, or pairs of them, are."""

    def __init__(self, items: Iterable[Item], total: int) -> None:
        """Order ``items``, the longest first; all have ``total`` tokens, those that were left out
        for being many too."""
        self.items = sorted(items, key=lambda item: item.fed, reverse=True)
        self.total = total

    @property
    def longest(self) -> int:
        """Tokens of the longest text that are fed."""
        return self.items[0].fed

    @property
    def table_bytes(self) -> int:
        """What a table of all takes."""
        return _TOKEN_BYTES * self.total

    def shapes(
        self, count: int, tokens: int, models: Footprint[Any], *, each: int = 1, together: int = 1
    ) -> list[tuple[int, int, int]]:
        """Return rows, width and tokens of completions of the micro-batches of at most ``tokens``
        that batches of ``count`` items make: one of all lengths in equal shares, and some drawn.

        Args:
            each: rows of an item; of a text more than one are taken to be as long as it is.
            together: so many rows of an item stay in one micro-batch.
        """
        equal = [self.items[i * len(self.items) // count] for i in range(count)]
        draw = np.random.default_rng(0)
        drawn = [[self.items[i] for i in draw.integers(len(self.items), size=count)]
                 for _ in range(_DRAWN if count < len(self.items) else 0)]
        return [shape for some in (equal, *drawn)
                for shape in _shapes(some, tokens, models, each, together)]


def _shapes(
    items: Sequence[Item], tokens: int, models: Footprint[Any], each: int, together: int
) -> Iterator[tuple[int, int, int]]:
    """Yield the shapes of one batch, as :func:`workbench.models.forward.micro_batches` cuts it."""
    prompts = [item.prompt for item in items for _ in range(each)]
    lengths = [n for item in items for n in (item.completions * each)[:each]]
    batching = models.capabilities.reading
    rows = share_rows(
        prompts, lengths, each, range(len(lengths)), models.branches, tokens, together)
    if rows:
        widths = [tokens_in_row(prompts, lengths, some) for some in rows]
        together = 1
    else:
        rows = [[row] for row in range(len(lengths))]
        fed = [prompt + length - 1 for prompt, length in zip(prompts, lengths, strict=True)]
        widths = [max(fed[row - row % together :][:together]) for row in range(len(fed))]
    order = sorted(range(len(rows)), key=lambda row: -widths[row])
    first = 0
    for number, width in cut_by_width(
            [widths[row] for row in order], tokens, together=together, batching=batching):
        part = [row for at in order[first : first + number] for row in rows[at]]
        yield number, width, sum(lengths[row] for row in part)
        first += number


def of_all_lengths(items: Sequence[T], length: Callable[[T], int]) -> list[T]:
    """Return the longest of ``items`` and, of many, some of all lengths."""
    by_length = sorted(items, key=length, reverse=True)
    return by_length[:: max(1, len(items) // _READ)]


class DataMemory(RunMemory[S], Generic[S]):
    """Of a run on pairs or texts of all their ``lengths``."""

    LEARNED = 1
    """Rows of each that are learned from."""

    def __init__(self, models: Footprint[S], work: Workload, lengths: Lengths) -> None:
        """Estimate for ``models`` and ``work``."""
        super().__init__(models, work)
        self.lengths = lengths

    def tokens(self, hp: S) -> int:
        """Return how many tokens go through the model at once, of a whole batch."""
        return min(at_once(self.models, hp), self.LEARNED * hp.batch_size * self.lengths.longest)


class ReferencedMemory(DataMemory[S], Generic[S]):
    """Where two rows of each are read by the start policy before the first cycle, and after each
    cycle those that are held out; every compared completion is taken to be as long as the settings
    allow."""

    def phases(self, hp: S) -> Phases:
        """Return the bytes of each part, by phase."""
        models, lengths, each = self.models, self.lengths, self.LEARNED
        costs = models.costs(hp)
        longest = lengths.shapes(len(lengths.items), at_once(models, hp), models, each=2)
        read = max(reading(models, costs, *shape) for shape in longest)
        shapes = lengths.shapes(
            hp.batch_size, at_once(models, hp), models, each=each, together=each)
        # The update comes first and needs most.
        working: Phases = {
            Phase.UPDATING: updating(models, costs, hp, shapes, reads_first=True),
            Phase.EVALUATING: {"Reading": read},
            Phase.COMPARING: self.comparing(costs, hp),
        }
        phases = {phase: alone(models, self.held(hp), parts) for phase, parts in working.items()}
        phases[Phase.UPDATING]["Allocator"] += pieces(working[Phase.UPDATING], models.device)
        return phases

    def measured_as(self, phase: Phase) -> Phase:
        """Return the phase that stands for one in which memory ran out."""
        return phase if phase in (Phase.UPDATING, Phase.COMPARING) else Phase.EVALUATING

    def held(self, hp: S) -> Parts:
        """Return the bytes of what is there throughout."""
        return held(self.models, hp, self.work.compared) | {"Data": self.lengths.table_bytes}
