"""How long what a run learns from is, the micro-batches that follow from it, and what it then takes
in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from workbench.learning.footprint import Footprint, S
from workbench.learning.memory import (
    Parts,
    RunMemory,
    alone,
    at_once,
    held,
    reading,
    uneven,
    updating,
)
from workbench.learning.workload import Phases, Workload
from workbench.models.capabilities import Batching
from workbench.models.forward import cut_by_width
from workbench.models.phases import Phase

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

    LEARNED = 1
    """Rows of each that are learned from."""

    def __init__(self, models: Footprint[S], work: Workload, lengths: Lengths) -> None:
        """Estimate for ``models`` and ``work``."""
        super().__init__(models, work)
        self.lengths = lengths

    def tokens(self, hp: S) -> int:
        """Return how many tokens go through the model at once, of a whole batch."""
        return min(at_once(self.models, hp), self.LEARNED * hp.batch_size * self.lengths.rows[0][0])


class ReferencedMemory(DataMemory[S], Generic[S]):
    """Where two rows of each are read by the start policy before the first cycle, and after each
    cycle those that are held out; every compared completion is taken to be as long as the settings
    allow."""

    def phases(self, hp: S) -> Phases:
        """Return the bytes of each part, by phase."""
        models, lengths, each = self.models, self.lengths, self.LEARNED
        costs, batching = models.costs(hp), models.capabilities.reading
        longest = lengths.shapes(len(lengths.rows), at_once(models, hp), batching, each=2)
        read = max(reading(models, costs, *shape) for shape in longest)
        shapes = lengths.shapes(
            hp.batch_size, at_once(models, hp), batching, each=each, together=each)
        # The update comes first and needs most.
        working: Phases = {
            Phase.UPDATING: updating(models, costs, hp, shapes),
            Phase.EVALUATING: {"Reading": read},
            Phase.COMPARING: self.comparing(costs, hp),
        }
        phases = {phase: alone(models, self.held(hp), parts) for phase, parts in working.items()}
        phases[Phase.UPDATING]["Allocator"] += uneven(
            costs, max(tokens for *_, tokens in shapes), models.device)
        return phases

    def measured_as(self, phase: Phase) -> Phase:
        """Return the phase that stands for one in which memory ran out."""
        return phase if phase in (Phase.UPDATING, Phase.COMPARING) else Phase.EVALUATING

    def held(self, hp: S) -> Parts:
        """Return the bytes of what is there throughout."""
        return held(self.models, hp, self.work.compared) | {"Data": self.lengths.table_bytes}
