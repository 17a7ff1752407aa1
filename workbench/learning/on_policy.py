"""Learning from what the policy itself has just written: the cycle of PPO and its kin."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from workbench.learning.batch import Batch, check_finite, measure
from workbench.learning.metrics import LENGTH
from workbench.learning.parts import SCORE, UPDATE, WRITE
from workbench.learning.traces import likeliest_before, token_traces
from workbench.learning.trainer import S, Trainer
from workbench.models.clock import Clock
from workbench.models.control import CycleControl
from workbench.models.phases import Phase
from workbench.models.randomness import Stream, prompt_at, uniforms
from workbench.models.sampling import Completions
from workbench.records import Completion, CycleResult, Draft, TokenTrace


@dataclass(frozen=True, slots=True)
class Learned:
    """What an algorithm made of a batch: its metrics, and what it saw of each token."""

    metrics: Mapping[str, float]
    traces: Sequence[TokenTrace] = ()
    spreads: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Numbers of which only how they are spread is kept, by name, (n,) each."""


class OnPolicyTrainer(Trainer[S]):
    """Trains one policy by one reward: a cycle's completions are written, scored, learned from
    (:meth:`learn`) and then no more."""

    @abstractmethod
    def learn(self, batch: Batch, cycle: int, settings: S, control: CycleControl, clock: Clock
              ) -> Learned:
        """Let the policy learn from ``batch``, with :attr:`optimizer`.

        Args:
            clock: to be lapped as ``seconds/scoring`` before the first step and as
                ``seconds/update`` after the last.

        Raises:
            Interrupted: ``control`` asked to end; the policy may be part of the way.
            NotFiniteError: a gradient is not a number.
        """

    def columns(self, completions: Completions, batch: Batch | None) -> dict[str, Tensor]:
        """Return what is known of each token before the update, (b, T) each, by the column of its
        trace; ``batch`` is None until the completions have been scored."""
        return {}

    def group_size(self, settings: S) -> int:
        """Return how many completions of each prompt drawn a cycle writes, one after the other."""
        return 1

    def run_cycle(
        self, cycle: int, settings: S, compared: Sequence[int], control: CycleControl
    ) -> CycleResult:
        """Write, have it scored, learn from it (:meth:`learn`) and compare, as every trainer."""
        control.step(Phase.SAMPLING, 0, settings.response_length)  # before memory is taken for it
        clock = Clock(self.policy.device)
        each = self.group_size(settings)
        trained_on = self.trained_on
        drawn = [
            trained_on[prompt_at(settings.seed, self.position + i // each, len(trained_on))]
            for i in range(settings.batch_size)]
        noise = uniforms(
            settings.seed, Stream.ROLLOUT, cycle, settings.batch_size, settings.response_length)
        completions = replace(self._sample(drawn, noise, settings, control, Phase.SAMPLING),
                              siblings=each)
        clock.lap("seconds/sampling")
        control.tell(WRITE.name, {LENGTH: completions.lengths.float().mean().item()})
        with clock.paused():
            control.part_done(WRITE.name, lambda: self._draft(drawn, completions, None))
        batch = self._score(drawn, completions, settings, control, Phase.SCORING)
        check_finite(batch, cycle)
        metrics = measure(batch)
        control.tell(SCORE.name, metrics)
        with clock.paused():
            control.part_done(SCORE.name, lambda: self._draft(drawn, completions, batch))
        learned = self.learn(batch, cycle, settings, control, clock)
        metrics |= learned.metrics
        self.position += settings.batch_size // each
        control.tell(UPDATE.name, learned.metrics)
        with clock.paused():
            control.part_done(UPDATE.name, lambda: Draft(batch.written, learned.traces))
        comparison = self._end_cycle(
            cycle, compared, settings, control, clock, metrics, completions.mask)
        return CycleResult(
            metrics, batch.written, comparison, learned.traces, learned.spreads)

    def _draft(
        self, drawn: Sequence[int], completions: Completions, batch: Batch | None
    ) -> Draft:
        """Return what is known before the update."""
        written = batch.written if batch is not None else [
            Completion(p, e.completion, math.nan, math.nan, length, ended)
            for p, e, length, ended in zip(
                drawn, self._exchanges(drawn, completions), completions.lengths.tolist(),
                completions.ended.tolist(), strict=True)]
        return Draft(written, list(token_traces(
            drawn, completions, self.columns(completions, batch), self.policy_tokenizer,
            likeliest_before(completions, batch))))
