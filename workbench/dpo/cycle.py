"""The DPO cycle: steps on pairs, then the held-out pairs, then the comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from workbench.dpo.hyperparameters import DPOSettings
from workbench.dpo.loss import PairLoss
from workbench.dpo.memory import PairsMemory, measure
from workbench.dpo.metrics import EVAL, PASSES, START_ACCURACY
from workbench.dpo.pairs import PairTable, read_table
from workbench.dpo.parts import DRAW, EVALUATE, UPDATE
from workbench.formatting import percent
from workbench.learning.aggregation import Aggregation
from workbench.learning.data_lengths import Lengths
from workbench.learning.epochs import Epochs, Plan, summarise
from workbench.learning.metrics import OF_WRITTEN
from workbench.learning.offline import OfflineTrainer
from workbench.learning.traces import token_traces
from workbench.learning.trainer import scheduled
from workbench.learning.workload import Workload
from workbench.models.clock import Clock
from workbench.models.control import Control, CycleControl, NotFiniteError
from workbench.models.forward import read_logprobs
from workbench.models.optimizer import set_rates
from workbench.models.phases import Phase
from workbench.models.policy import Policy
from workbench.models.randomness import prompt_at
from workbench.records import (
    CycleResult,
    Draft,
    Pair,
    PromptLike,
    TokenTrace,
    with_equal_columns,
)

_REFERENCE = "pairs/reference"
_AT_ONCE = 512
"""Pairs that are read in one call: the log-probabilities of all tokens of very many would take much
memory."""
_KEPT = 128
"""Pairs of a cycle whose tokens are kept."""


class DPOTrainer(OfflineTrainer[DPOSettings, Pair, PairTable]):
    """Direct preference optimisation of one policy on pairs. It holds the start policy's
    log-probabilities of them, which are read once."""

    PREPARED_BY = ("precision", "lora_rank", "temperature", "control_tokens", "micro_batch_tokens")
    PREPARATION = 1

    reference_sums: Tensor | None = None
    """(2n,) log-probabilities by the start policy, of the chosen and the rejected completion of
    each of the n pairs that can be learned from, in turn; None: not read yet."""

    def read_table(
        self, items: Sequence[Pair], settings: DPOSettings, never: frozenset[str]
    ) -> PairTable:
        """Return the pairs as the policy reads them."""
        return read_table(
            items, self.policy_tokenizer, control_tokens=settings.control_tokens == "tokens",
            held_out_share=settings.held_out_share, seed=settings.seed, never=never)

    def begin(
        self, prompts: Sequence[str | PromptLike], settings: DPOSettings,
        prompt_ids: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Return to the start policy, for a new run that learns from the pairs and compares
        ``prompts``.

        Raises:
            PromptError: none of the pairs can be learned from; as every trainer.
            UnsupportedModelError: the models cannot be used as ``settings`` ask.
        """
        self.read(with_equal_columns(prompts), settings, settings.held_out_share, settings.seed)
        super().begin(prompts, settings, prompt_ids)
        self.reference_sums = None

    def snapshot(self) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Return all that the next cycle depends on, as arrays and numbers."""
        arrays, numbers = super().snapshot()
        if self.reference_sums is not None:
            arrays[_REFERENCE] = self.reference_sums.cpu().numpy()
        return arrays, numbers

    def restore(self, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, float]) -> None:
        """Go on from a snapshot, as every trainer."""
        super().restore(arrays, numbers)
        self._take_reference(arrays)

    # -- before the first cycle

    def episodes(self, settings: DPOSettings) -> int:
        """Return how many completions the start policy reads."""
        return 2 * len(self.table)

    def prepare(self, settings: DPOSettings, control: Control) -> dict[str, float]:
        """Let the start policy read all pairs."""
        sums = self._read_reference(settings, control)
        return {START_ACCURACY: (sums[0::2] > sums[1::2]).float().mean().item()}

    def say_prepared(self, settings: DPOSettings, metrics: Mapping[str, float]) -> str:
        """Return a sentence on what the start policy prefers."""
        return (f"The start policy has read {len(self.table):,} pairs: of "
                f"{percent(metrics[START_ACCURACY])} it finds the chosen completion the likelier.")

    def prepared(self) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Return the start policy's log-probabilities."""
        assert self.reference_sums is not None
        return {_REFERENCE: self.reference_sums.cpu().numpy()}, {}

    def restore_prepared(
        self, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, float]
    ) -> None:
        """Begin with what :meth:`prepared` returned, as every trainer."""
        if not self._take_reference(arrays):
            raise ValueError("the log-probabilities belong to other pairs")

    # -- the cycle

    def run_cycle(
        self, cycle: int, settings: DPOSettings, compared: Sequence[int], control: CycleControl
    ) -> CycleResult:
        """Take the steps of cycle number ``cycle`` (from 1), read the held-out pairs, complete the
        ``compared`` prompts, and return all of it, as every trainer."""
        control.step(Phase.UPDATING, 0, settings.steps_per_cycle)
        clock = Clock(self.policy.device)
        if self.reference_sums is None:  # it goes on from another algorithm's checkpoint
            self._read_reference(settings, control)
        number, training = settings.steps_per_cycle * settings.batch_size, self.table.training
        drawn = [training[prompt_at(settings.seed, self.position + i, len(training))]
                 for i in range(number)]
        completions = self.table.completions(drawn, self.policy.device)
        loss = PairLoss(completions.lengths, self._reference(drawn), settings)
        kept = drawn[:_KEPT] if settings.keep_tokens else []
        tokens = self._start_tokens(kept, settings, control)
        if kept:
            loss.keep(completions.mask)
        control.tell(DRAW.name, {"pairs": number})
        with clock.paused():
            control.part_done(DRAW.name, lambda: Draft((), self._traces(kept, tokens, settings)))
        rate = scheduled(settings, settings.learning_rate, cycle)
        set_rates(self.optimizer, rate, rate)
        plan = Plan.of(settings, cycle, mini_batches=settings.steps_per_cycle, together=2)
        log = Epochs(self.policy, completions, loss, plan, control,
                     Aggregation("constant")).run(self.optimizer)
        self.position += number
        metrics = loss.measure() | summarise(log) | {
            "lr": rate, PASSES: self.position / len(training)}
        clock.lap("seconds/update")
        if loss.logprobs is not None:
            width = tokens["ref_logprob"].shape[1]
            tokens["logprob"] = loss.logprobs[: 2 * len(kept), :width]
        traces = self._traces(kept, tokens, settings)
        control.tell(UPDATE.name, metrics)
        with clock.paused():
            control.part_done(UPDATE.name, lambda: Draft((), traces))
        if self.table.held_out:
            metrics |= self._evaluate(cycle, settings, control)
            clock.lap("seconds/evaluation")
            control.tell(EVALUATE.name, metrics)
            with clock.paused():
                control.part_done(EVALUATE.name, lambda: Draft((), traces))
        comparison = self._end_cycle(
            cycle, compared, settings, control, clock, metrics, completions.mask, OF_WRITTEN)
        metrics.pop("policy/epochs")
        spreads = {name: numbers.cpu().numpy() for name, numbers in loss.of_pairs.items()}
        return CycleResult(metrics, (), comparison, traces, spreads)

    # -- memory

    def needs(self, settings: DPOSettings, work: Workload) -> PairsMemory:
        """Return what a run takes of memory.

        Raises:
            PromptError: none of the pairs can be learned from.
        """
        return PairsMemory(self.footprint, work, self.lengths(settings, work))

    def measure_lengths(self, items: Sequence[Pair], settings: DPOSettings) -> Lengths:
        """Return how long pairs are."""
        return measure(
            items, self.policy_tokenizer, control_tokens=settings.control_tokens == "tokens")

    def _evaluate(self, cycle: int, settings: DPOSettings, control: Control) -> dict[str, float]:
        """Read held-out pairs, always the same, and return what is logged of them."""
        places = self.table.held_out[: settings.eval_pairs]
        lengths = [len(ids) for p in places for ids in (self.table.chosen[p],
                                                        self.table.rejected[p])]
        loss = PairLoss(torch.tensor(lengths, device=self.policy.device),
                        self._reference(places), settings)
        loss.sums = self._read(self.policy, places, settings, control, Phase.EVALUATING)
        if not bool(torch.isfinite(loss.sums).all()):
            raise NotFiniteError(
                f"Cycle {cycle} left a policy whose log-probabilities are not finite numbers; the "
                "cycle was dropped. Lower the learning rate.")
        return loss.measure(EVAL)

    def _read_reference(self, settings: DPOSettings, control: Control) -> Tensor:
        with self.reference() as start:
            self.reference_sums = self._read(
                start, range(len(self.table)), settings, control, Phase.REFERENCE)
        if not bool(torch.isfinite(self.reference_sums).all()):
            raise NotFiniteError(
                "The start policy finds a completion of the pairs impossible: its log-probability "
                "is not a finite number. Take it out of the pairs.", intact=True)
        return self.reference_sums

    def _read(
        self, policy: Policy, places: Sequence[int], settings: DPOSettings, control: Control,
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
        return torch.cat(found)

    def _start_tokens(
        self, places: Sequence[int], settings: DPOSettings, control: Control
    ) -> dict[str, Tensor]:
        """Return what the start policy finds of each token of some pairs, (2n, T)."""
        if not places:
            return {}
        with self.reference() as start:
            return {"ref_logprob": read_logprobs(
                start, self.table.completions(places, self.policy.device),
                temperature=settings.temperature, max_tokens=settings.micro_batch_tokens,
                control=control, phase=Phase.READING)}

    def _traces(
        self, places: Sequence[int], tokens: Mapping[str, Tensor], settings: DPOSettings
    ) -> list[TokenTrace]:
        """Return the tokens of some pairs with what is known of each, (2n, T), and the implicit
        reward that they add up to."""
        if not places:
            return []
        known = "logprob" in tokens
        worth = settings.beta * (tokens["logprob"] - tokens["ref_logprob"]).sum(dim=1) if (
            known) else torch.full((2 * len(places),), torch.nan)
        found = token_traces(
            [-1] * (2 * len(places)), self.table.completions(places, torch.device("cpu")), tokens,
            self.policy_tokenizer)
        return [replace(trace, prompt_text=self.table.texts[place][0], worth=total)
                for trace, place, total in zip(
                    found, [p for p in places for _ in range(2)], worth.tolist(), strict=True)]

    def _reference(self, places: Sequence[int]) -> Tensor:
        """Return the start policy's log-probabilities of some pairs, (2n,)."""
        assert self.reference_sums is not None
        both = torch.tensor(places, device=self.policy.device)
        return self.reference_sums.view(-1, 2)[both].flatten()

    def _take_reference(self, arrays: Mapping[str, np.ndarray]) -> bool:
        sums = arrays.get(_REFERENCE)
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
