"""What algorithms do alike that learn from completions which are there already by how much likelier
the policy finds them than the start policy does: prepare, draw, step, read what is held out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from workbench.learning.aggregation import Aggregation
from workbench.learning.epochs import Epochs, Plan, summarise
from workbench.learning.metrics import DATA, DRAWN, EVAL, HELD, OF_WRITTEN
from workbench.learning.offline import I, OfflineTrainer, Table
from workbench.learning.parts import DRAW, EVALUATE, UPDATE
from workbench.learning.referenced_settings import ReferencedSettings
from workbench.learning.sums import SumLoss
from workbench.learning.traces import token_traces
from workbench.learning.trainer import Arrays, scheduled
from workbench.memory_allocator import return_freed_memory
from workbench.models.clock import Clock
from workbench.models.control import Control, CycleControl, NotFiniteError
from workbench.models.forward import read_logprobs
from workbench.models.optimizer import set_rates
from workbench.models.phases import Phase
from workbench.models.policy import Policy
from workbench.models.randomness import prompt_at
from workbench.models.sampling import Completions
from workbench.records import CycleResult, Draft, PromptLike, TokenTrace, with_equal_columns

_AT_ONCE = 512
"""Items that are read in one call: the log-probabilities of all tokens of very many would take much
memory."""
_KEPT = 128
"""Items of a cycle whose tokens are kept."""


class ReferencedTable(Table, Protocol):
    """Items as the policy reads them; ``training`` and ``held_out`` are their places."""

    @property
    def training(self) -> Sequence[int]: ...
    @property
    def held_out(self) -> Sequence[int]: ...

    def completions(self, places: Sequence[int], device: torch.device) -> Completions:
        """Return two rows of each of some items, one after the other, (2n, T)."""

    def prompt_text(self, place: int) -> str:
        """Return the prompt of an item as a person reads it."""


S = TypeVar("S", bound=ReferencedSettings)
T = TypeVar("T", bound=ReferencedTable)


class ReferencedTrainer(OfflineTrainer[S, I, T], Generic[S, I, T]):
    """Learns from items of two rows each. It holds the start policy's log-probabilities of all of
    them, which are read once."""

    READ_BY: ClassVar[tuple[str, ...]] = ("precision", "temperature", "control_tokens")
    """Settings by which the start policy finds other log-probabilities, beyond rounding."""
    PREPARED_BY: ClassVar[tuple[str, ...]] = (*READ_BY, "lora_rank", "micro_batch_tokens")
    PREPARATION = 1
    REFERENCE: ClassVar[str]
    """What these are called in a snapshot."""
    NOUN: ClassVar[str]
    """What items are, in the plural."""
    PASSES: ClassVar[str]
    """The metric that tells how often each has been learned from."""
    LEARNED: ClassVar[int]
    """How many of the two rows are learned from; the other is only read."""

    reference_sums: Tensor | None = None
    """(2n,) log-probabilities by the start policy, of both rows of each of the n items that can be
    learned from, in turn; None: not read yet."""

    # -- what an algorithm has of its own

    @abstractmethod
    def make_loss(self, places: Sequence[int], settings: S, control: Control) -> SumLoss:
        """Return the loss of some items."""

    @abstractmethod
    def evaluated(self, settings: S) -> int:
        """Return how many of the held-out items are read after a cycle."""

    @abstractmethod
    def start_metrics(self, sums: Tensor, settings: S) -> dict[str, float]:
        """Return the start metrics, of the start policy's log-probabilities (2n,)."""

    def learned(self, places: Sequence[int], device: torch.device) -> Completions:
        """Return the rows of some items that are learned from, (:attr:`LEARNED` n, T)."""
        return self.table.completions(places, device)

    def columns(
        self, places: Sequence[int], tokens: Mapping[str, Tensor], settings: S
    ) -> Mapping[str, Tensor]:
        """Return what is kept of the tokens of some items' learned rows, of what is known of
        them, (b, T) each."""
        return tokens

    # --

    def begin(
        self, prompts: Sequence[str | PromptLike], settings: S,
        prompt_ids: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Return to the start policy, for a new run that learns from the items and compares
        ``prompts``, as every trainer.

        Raises:
            PromptError: none of the items can be learned from.
        """
        self.read(with_equal_columns(prompts), settings, settings.held_out_share, settings.seed)
        super().begin(prompts, settings, prompt_ids)
        self.reference_sums = None

    def apply(self, old: S, new: S) -> None:
        """Take over changes, as every trainer; the start policy may find other log-probabilities
        then, or other items be held out."""
        super().apply(old, new)
        self.read(self.prompts, new, new.held_out_share, new.seed)
        if any(getattr(old, name) != getattr(new, name) for name in self.READ_BY):
            self.reference_sums = None

    def _arrays(self) -> Arrays:
        yield from super()._arrays()
        if self.reference_sums is not None:
            yield self.REFERENCE, self.reference_sums.cpu().numpy()

    def restore(self, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, float]) -> None:
        """Go on from a snapshot, as every trainer."""
        super().restore(arrays, numbers)
        self._take_reference(arrays)

    def is_own(self, arrays: Mapping[str, np.ndarray]) -> bool:
        """Return whether a snapshot is of this algorithm."""
        return self.REFERENCE in arrays

    # -- before the first cycle

    def episodes(self, settings: S) -> int:
        """Return how many completions the start policy reads."""
        return 2 * len(self.table)

    def prepare(self, settings: S, control: Control) -> dict[str, float]:
        """Let the start policy read all items."""
        return self.start_metrics(self._read_reference(settings, control), settings)

    def prepared(self) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Return the start policy's log-probabilities."""
        assert self.reference_sums is not None
        return {self.REFERENCE: self.reference_sums.cpu().numpy()}, {}

    def restore_prepared(
        self, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, float]
    ) -> None:
        """Begin with what :meth:`prepared` returned, as every trainer."""
        if not self._take_reference(arrays):
            raise ValueError(f"the log-probabilities belong to other {self.NOUN}")

    # -- the cycle

    def run_cycle(
        self, cycle: int, settings: S, compared: Sequence[int], control: CycleControl
    ) -> CycleResult:
        """Take the steps of cycle number ``cycle`` (from 1), read the held-out items, complete the
        ``compared`` prompts, and return all of it, as every trainer."""
        control.step(Phase.UPDATING, 0, settings.steps_per_cycle)
        clock = Clock(self.policy.device)
        if self.reference_sums is None:  # it goes on from another algorithm's checkpoint
            self._read_reference(settings, control)
        number, training = settings.steps_per_cycle * settings.batch_size, self.table.training
        drawn = [training[prompt_at(settings.seed, self.position + i, len(training))]
                 for i in range(number)]
        completions = self.learned(drawn, self.policy.device)
        loss = self.make_loss(drawn, settings, control)
        kept = drawn[:_KEPT] if settings.keep_tokens else []
        tokens = self._start_tokens(kept, settings, control)
        if kept:
            loss.keep(completions.mask)
        self._part_done(control, clock, DRAW.name, {
            DRAWN: number, DATA: len(training)}, lambda: self._traces(
            kept, tokens, settings))
        rate = scheduled(settings, settings.learning_rate, cycle)
        set_rates(self.optimizer, rate, rate)
        plan = Plan.of(settings, cycle, mini_batches=settings.steps_per_cycle,
                       together=self.LEARNED)
        log = Epochs(self.policy, completions, loss, plan, control,
                     Aggregation("constant")).run(self.optimizer)
        loss.sum_ranks()
        self.position += number
        metrics = loss.measure() | summarise(log) | {
            "lr": rate, self.PASSES: self.position / len(training), DRAWN: number,
            DATA: len(training)}
        clock.lap("seconds/update")
        if loss.logprobs is not None:
            width = tokens["ref_logprob"].shape[1]
            tokens["logprob"] = loss.logprobs[: self.LEARNED * len(kept), :width]
        traces = self._traces(kept, tokens, settings)
        self._part_done(control, clock, UPDATE.name, metrics, lambda: traces)
        if self.table.held_out:
            metrics |= self._evaluate(cycle, settings, control)
            clock.lap("seconds/evaluation")
            self._part_done(control, clock, EVALUATE.name, metrics, lambda: traces)
        comparison = self._end_cycle(
            cycle, compared, settings, control, clock, metrics, completions.mask, OF_WRITTEN)
        metrics.pop("policy/epochs")
        spreads = {name: numbers.cpu().numpy() for name, numbers in loss.of_items.items()
                   if len(numbers)}
        return CycleResult(metrics, (), comparison, traces, spreads)

    @staticmethod
    def _part_done(
        control: CycleControl, clock: Clock, part: str, metrics: Mapping[str, float],
        traces: Callable[[], Sequence[TokenTrace]],
    ) -> None:
        control.tell(part, metrics)
        with clock.paused():
            control.part_done(part, lambda: Draft((), traces()))

    def _evaluate(self, cycle: int, settings: S, control: Control) -> dict[str, float]:
        """Read held-out items, always the same, and return what is logged of them."""
        places = self.sampled(self.table.held_out, self.evaluated(settings), settings)
        loss = self.make_loss(places, settings, control)
        sums = self._read(self.policy, places, settings, control, Phase.EVALUATING)
        if not bool(torch.isfinite(sums).all()):
            raise NotFiniteError(
                f"Cycle {cycle} left a policy whose log-probabilities are not finite numbers; the "
                "cycle was dropped. Lower the learning rate.")
        loss.take(sums)
        return loss.measure(EVAL) | {HELD: len(places)}

    def _read_reference(self, settings: S, control: Control) -> Tensor:
        with self.reference() as start:
            self.reference_sums = self._read(
                start, range(len(self.table)), settings, control, Phase.REFERENCE)
        if not bool(torch.isfinite(self.reference_sums).all()):
            raise NotFiniteError(
                f"The start policy finds a completion of the {self.NOUN} impossible: its "
                f"log-probability is not a finite number. Take it out of the {self.NOUN}.",
                intact=True)
        return self.reference_sums

    def _read(
        self, policy: Policy, places: Sequence[int], settings: S, control: Control,
        phase: Phase,
    ) -> Tensor:
        """Return the log-probabilities of whole completions, (2n,)."""
        found = []
        for start in range(0, len(places), _AT_ONCE):
            control.step(phase, start, len(places))
            some = self.table.completions(places[start : start + _AT_ONCE], policy.device)
            found.append(read_logprobs(
                policy, some, temperature=settings.temperature,
                max_tokens=settings.micro_batch_tokens, control=_PartOfWork(control, phase, start,
                                                                       len(places)),
                phase=phase).sum(dim=1))
            if phase is Phase.REFERENCE:
                # Texts of all lengths leave pieces of all sizes, which the next cannot use: a heap
                # would grow to several times what is used.
                return_freed_memory()
        return torch.cat(found)

    def _start_tokens(
        self, places: Sequence[int], settings: S, control: Control
    ) -> dict[str, Tensor]:
        """Return what the start policy finds of each token of some items, (b, T)."""
        if not places:
            return {}
        with self.reference() as start:
            return {"ref_logprob": read_logprobs(
                start, self.learned(places, self.policy.device),
                temperature=settings.temperature, max_tokens=settings.micro_batch_tokens,
                control=control, phase=Phase.READING)}

    def _traces(
        self, places: Sequence[int], tokens: Mapping[str, Tensor], settings: S
    ) -> list[TokenTrace]:
        """Return the tokens of some items with what is known of each, (b, T), and the implicit
        reward that they add up to."""
        if not places:
            return []
        rows = [p for p in places for _ in range(self.LEARNED)]
        known = "logprob" in tokens
        worth = settings.beta * (tokens["logprob"] - tokens["ref_logprob"]).sum(dim=1) if (
            known) else torch.full((len(rows),), torch.nan)
        found = token_traces(
            [-1] * len(rows), self.learned(places, torch.device("cpu")),
            self.columns(places, tokens, settings), self.policy_tokenizer)
        return [replace(trace, prompt_text=self.table.prompt_text(place), worth=total)
                for trace, place, total in zip(found, rows, worth.tolist(), strict=True)]

    def references(self, places: Sequence[int]) -> Tensor:
        """Return the start policy's log-probabilities of some items, (2n,)."""
        assert self.reference_sums is not None
        both = torch.tensor(places, device=self.policy.device)
        return self.reference_sums.view(-1, 2)[both].flatten()

    def _take_reference(self, arrays: Mapping[str, np.ndarray]) -> bool:
        sums = arrays.get(self.REFERENCE)
        if sums is None or sums.shape != (2 * len(self.table),):
            return False
        self.reference_sums = torch.from_numpy(sums.copy()).to(self.policy.device)
        return True


class _PartOfWork:
    """A control that tells how far a longer piece of work is."""

    def __init__(self, control: Control, phase: Phase, done: int, total: int) -> None:
        self._control, self._phase, self._done, self._total = control, phase, done, total

    def step(self, phase: Phase, done: int, total: int) -> None:
        """Report progress of the whole."""
        self._control.step(self._phase, min(self._done + done // 2, self._total), self._total)
