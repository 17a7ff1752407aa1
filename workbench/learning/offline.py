"""What algorithms do alike that learn from data which is there already."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar, cast

import numpy as np

from workbench.learning.data_lengths import DataMemory, Item, Lengths
from workbench.learning.data_tables import sample_of
from workbench.learning.trainer import S, Trainer, held_out_prompts
from workbench.learning.workload import Workload
from workbench.records import PromptLike

_SAMPLES = "samples_held_out"


class Table(Protocol):
    """What is learned from, as the policy reads it."""

    def __len__(self) -> int: ...

    @property
    def remark(self) -> str:
        """What is learned from and what is not, in a sentence."""


I = TypeVar("I")  # noqa: E741 - what it learns from: pairs, say
T = TypeVar("T", bound=Table)


class OfflineTrainer(Trainer[S], Generic[S, I, T]):
    """Learns from items that :meth:`learn_from` gives it. The reward only judges the compared
    prompts."""

    MEMORY: ClassVar[type[DataMemory[Any]]]
    """What its runs take."""

    _items: Sequence[I] = ()
    _table: T | None = None
    _read_with: object = None
    _lengths: tuple[Sequence[I], str, Lengths] | None = None
    _of_sample = True
    """Whether a sample of the held-out items is read; runs of versions before that read the first
    ones, and go on with these."""

    @abstractmethod
    def read_table(self, items: Sequence[I], settings: S, never: frozenset[str]) -> T:
        """Return items as the policy reads them, without those of the prompts ``never``.

        Raises:
            PromptError: none can be learned from.
        """

    @abstractmethod
    def measure_lengths(self, items: Sequence[I], settings: S) -> Lengths:
        """Return how long items are.

        Raises:
            PromptError: none can be learned from.
        """

    def learn_from(self, items: Sequence[I]) -> None:
        """Learn from ``items`` in the runs that begin from now on."""
        if items is not self._items:
            self._items, self._table = items, None

    def begin(
        self, prompts: Sequence[str | PromptLike], settings: S,
        prompt_ids: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Return to the start policy, as every trainer."""
        super().begin(prompts, settings, prompt_ids)
        self._of_sample = True

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers of a snapshot, as every trainer."""
        return super().numbers | {_SAMPLES: float(self._of_sample)}

    def restore(self, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, float]) -> None:
        """Go on from a snapshot, as every trainer."""
        super().restore(arrays, numbers)
        if _SAMPLES not in numbers and self.is_own(arrays):
            self._of_sample = False

    def restore_numbers(self, numbers: Mapping[str, float]) -> None:
        """Take over the numbers of a snapshot alone, as every trainer."""
        super().restore_numbers(numbers)
        self._of_sample = bool(numbers.get(_SAMPLES, self._of_sample))

    def is_own(self, arrays: Mapping[str, np.ndarray]) -> bool:
        """Return whether a snapshot is of this algorithm, and not of one that a run goes on
        from."""
        return True

    def sampled(self, held_out: Sequence[int], most: int, settings: S) -> Sequence[int]:
        """Return which of the held-out items are read: ``most`` at most, always the same."""
        return sample_of(held_out, most, settings.seed) if self._of_sample else held_out[:most]

    @property
    def table(self) -> T:
        """The items as the policy reads them, after :meth:`begin`."""
        assert self._table is not None
        return self._table

    def read(self, prompts: Sequence[PromptLike], settings: S, *by: Any) -> None:
        """Read the items as the policy does, unless they are read already ``by`` the same.

        Raises:
            PromptError: none can be learned from.
        """
        never = frozenset(prompts[i].text for i in held_out_prompts(len(prompts), settings))
        how = (settings.control_tokens, never, *by)
        if self._table is None or self._read_with != how:
            self._table = self.read_table(self._items, settings, never)
            self._read_with = how

    def remark(self) -> str:
        """Return a sentence on what the run that has begun learns from."""
        return self.table.remark

    def needs(self, settings: S, work: Workload) -> DataMemory[S]:
        """Return what a run takes of memory.

        Raises:
            PromptError: none of the items can be learned from.
        """
        return self.MEMORY(self.footprint, work, self.lengths(settings, work))

    def lengths(self, settings: S, work: Workload) -> Lengths:
        """Return how long the items of ``work`` are, counted once for the same ones; while they
        are not known, as long as ``settings`` allow.

        Raises:
            PromptError: none can be learned from.
        """
        items, read = cast("Sequence[I]", work.data), settings.control_tokens
        if not items:
            return Lengths([Item(work.prompt, (settings.response_length,))], 0)
        known = self._lengths
        if known is None or known[0] is not items or known[1] != read:
            known = self._lengths = (items, read, self.measure_lengths(items, settings))
        return known[2]
