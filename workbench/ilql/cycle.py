"""The ILQL cycle: steps on completions that were scored before, then the comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.ilql.heads import QHeads
from workbench.ilql.hyperparameters import ILQLSettings
from workbench.ilql.loss import ILQLLoss
from workbench.ilql.memory import TextsMemory
from workbench.ilql.metrics import (
    ADVANTAGE,
    AWAC,
    CQL,
    EXPLAINED,
    PASSES,
    Q_MEAN,
    TOTAL,
    V_MEAN,
    Q,
    V,
)
from workbench.ilql.reading import read_tokens
from workbench.ilql.scored import ScoredTable, read_table
from workbench.learning.data_lengths import Lengths
from workbench.learning.data_tables import measure_texts
from workbench.learning.epochs import Epochs, Plan, mean, summarise
from workbench.learning.metrics import DATA, DRAWN, OF_WRITTEN
from workbench.learning.offline import OfflineTrainer
from workbench.learning.parts import UPDATE
from workbench.learning.traces import token_traces
from workbench.learning.trainer import Arrays, scheduled
from workbench.models.clock import Clock
from workbench.models.control import Control, CycleControl
from workbench.models.optimizer import set_rates
from workbench.models.phases import Phase
from workbench.models.policy import Steering
from workbench.models.randomness import prompt_at
from workbench.models.sampling import Completions
from workbench.models.sources import Report, silent
from workbench.records import (
    CycleResult,
    Draft,
    PromptLike,
    ScoredText,
    TokenTrace,
    with_equal_columns,
)

_HEADS, _TARGETS = "weights/q_heads.", "targets/"
_KEPT = 64
"""Completions of a cycle whose tokens are kept."""
_LOGGED = {Q: "q", V: "v", CQL: "cql", AWAC: "awac", TOTAL: "total", Q_MEAN: "q_mean",
           V_MEAN: "v_mean", ADVANTAGE: "advantage"}


class ILQLTrainer(OfflineTrainer[ILQLSettings, ScoredText, ScoredTable]):
    """Learns what tokens are worth from scored completions, and lets the policy write by that."""

    STEERED_BY = (_HEADS, _TARGETS)
    MEMORY = TextsMemory

    heads: QHeads

    def read_table(
        self, items: Sequence[ScoredText], settings: ILQLSettings, never: frozenset[str]
    ) -> ScoredTable:
        """Return the completions as the policy reads them."""
        return read_table(items, self.policy_tokenizer,
                          control_tokens=settings.control_tokens == "tokens", never=never)

    def begin(
        self, prompts: Sequence[str | PromptLike], settings: ILQLSettings,
        prompt_ids: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Return to the start policy, for a new run that learns from the scored completions and
        compares ``prompts``.

        Raises:
            PromptError: none of the completions can be learned from; as every trainer.
            UnsupportedModelError: the models cannot be used as ``settings`` ask.
        """
        self.read(with_equal_columns(prompts), settings)
        super().begin(prompts, settings, prompt_ids)
        self._steer(settings)

    def apply(self, old: ILQLSettings, new: ILQLSettings) -> None:
        """Take over changes, as every trainer; other completions may be left out then."""
        super().apply(old, new)
        self.read(self.prompts, new)
        self._steer(new)

    def _begun(self, settings: ILQLSettings, value_source: Any) -> None:
        policy = self.policy
        # What is random of them follows from the seed, as all else.
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            self.heads = QHeads(policy.value_width, policy.config.vocab_size, policy.device)
        policy.add_module("q_heads", self.heads)
        self._rate = settings.polyak

    def _make_optimizer(self, kind: str) -> torch.optim.Optimizer:
        optimizer = super()._make_optimizer(kind)
        optimizer.register_step_post_hook(lambda *_: self.heads.follow(self._rate))
        return optimizer

    @classmethod
    def steering(
        cls, arrays: Mapping[str, np.ndarray], settings: ILQLSettings, device: torch.device
    ) -> Steering | None:
        """Return how a policy with the weights of a snapshot writes by its values; None where the
        snapshot, of another algorithm, has none."""
        heads = QHeads.of_arrays({
            name.removeprefix(prefix): array for name, array in arrays.items()
            for prefix in cls.STEERED_BY if name.startswith(prefix)}, device)
        return None if heads is None else partial(
            heads.steered, beta=settings.beta, top_k=settings.steer_top_k)

    # -- memory

    def measure_lengths(self, items: Sequence[ScoredText], settings: ILQLSettings) -> Lengths:
        """Return how long completions are."""
        return measure_texts(
            items, self.policy_tokenizer, control_tokens=settings.control_tokens == "tokens")

    def _arrays(self) -> Arrays:
        yield from super()._arrays()
        for name, parameter in self.heads.targets.items():
            yield f"{_TARGETS}{name}", parameter.detach().cpu().numpy().copy()

    @torch.no_grad()
    def restore(self, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, float]) -> None:
        """Go on from a snapshot, as every trainer."""
        super().restore(arrays, numbers)
        for name, parameter in self.heads.targets.items():
            kept = arrays.get(f"{_TARGETS}{name}")
            if kept is None:
                self.position = 0  # that of another algorithm is one in the prompts
            else:
                parameter.copy_(torch.from_numpy(kept))

    def export(self, folder: str, report: Report = silent) -> None:
        """Save the policy as every trainer does, and beside it its values and how transformers
        writes by them (:mod:`workbench.ilql.custom_generate`).

        Raises:
            OSError: the folder cannot be written.
        """
        super().export(folder)
        steering = self.policy.steering
        assert isinstance(steering, partial)
        self.heads.save(folder, trunk=self.policy.capabilities.trunk or "", **steering.keywords)

    # -- the cycle

    def run_cycle(
        self, cycle: int, settings: ILQLSettings, compared: Sequence[int], control: CycleControl
    ) -> CycleResult:
        """Take the steps of cycle number ``cycle`` (from 1), complete the ``compared`` prompts by
        what was learned, and return all of it, as every trainer."""
        control.step(Phase.UPDATING, 0, settings.steps_per_cycle)
        clock = Clock(self.policy.device)
        self._rate = settings.polyak
        number = settings.steps_per_cycle * settings.batch_size
        drawn = [prompt_at(settings.seed, self.position + i, len(self.table))
                 for i in range(number)]
        completions, rewards = self.table.batch(drawn, self.policy.device)
        rate = scheduled(settings, settings.learning_rate, cycle)
        set_rates(self.optimizer, rate,
                  scheduled(settings, settings.q_learning_rate or settings.learning_rate, cycle))
        traces = self._traces(drawn[:_KEPT], settings, control) if settings.keep_tokens else []
        loss = ILQLLoss(self.heads, completions, rewards, settings)
        plan = Plan.of(settings, cycle, mini_batches=settings.steps_per_cycle)
        log = Epochs(self.policy, completions, loss, plan, control).run(self.optimizer)
        self.position += number
        metrics = summarise(log) | {name: mean(log, key) for name, key in _LOGGED.items()} | {
            "lr": rate, PASSES: self.position / len(self.table), DRAWN: number,
            DATA: len(self.table),
            EXPLAINED: _explained(mean(log, "unforeseen"), loss.returns[completions.mask])}
        metrics.pop("policy/epochs")
        clock.lap("seconds/update")
        control.tell(UPDATE.name, metrics)
        with clock.paused():
            control.part_done(UPDATE.name, lambda: Draft((), traces))
        comparison = self._end_cycle(
            cycle, compared, settings, control, clock, metrics, completions.mask, OF_WRITTEN)
        return CycleResult(metrics, (), comparison, traces)

    def _traces(
        self, places: Sequence[int], settings: ILQLSettings, control: Control
    ) -> list[TokenTrace]:
        """Return the tokens of some completions of the data, as they are before they are learned
        from."""
        noted, columns, others = read_tokens(
            self.policy, self.heads, *self.table.batch(places, self.policy.device), settings,
            control)
        traces = token_traces([-1] * len(places), noted, columns, self.policy_tokenizer, others)
        return [replace(trace, prompt_text=self.table.texts[place].prompt.text,
                        worth=self.table.texts[place].score)
                for trace, place in zip(traces, places, strict=True)]

    def _sample(
        self, drawn: Sequence[int], noise: Tensor, settings: ILQLSettings, control: Control,
        phase: Phase,
    ) -> Completions:
        self._steer(settings)
        return super()._sample(drawn, noise, settings, control, phase)

    def _steer(self, settings: ILQLSettings) -> None:
        """Let the policy write by what was learned."""
        self.policy.steering = partial(
            self.heads.steered, beta=settings.beta, top_k=settings.steer_top_k)


def _explained(unforeseen: float, came: Tensor) -> float:
    """Return the share of the variance of what ``came``, (n,), that was foreseen, of the mean
    square of what was not, but -1 where it is lower; NaN where all came out alike."""
    variance = came.var(unbiased=False).item()
    return max(-1.0, 1 - unforeseen / variance) if variance > 0 else math.nan
