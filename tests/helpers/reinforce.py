"""A second algorithm: REINFORCE with a mean baseline (Williams 1992), as the recipe in
ARCHITECTURE.md has one written. In a package it would be three files: settings, cycle and
declaration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from torch import Tensor

from workbench import algorithms
from workbench.algorithm import Algorithm, Figure, Metric, PlotSet, Preset
from workbench.learning.batch import Batch
from workbench.learning.epochs import Epochs, Plan, Tokens, mean, summarise
from workbench.learning.metrics import COMMON, COMPARED, KL, LENGTH, SCORES
from workbench.learning.on_policy import Learned, OnPolicyTrainer
from workbench.learning.trainer import scheduled
from workbench.models.clock import Clock
from workbench.models.control import Control
from workbench.models.optimizer import set_rates
from workbench.settings import Settings, declare


class ReinforceSettings(Settings):
    """The settings of a REINFORCE run."""

    mean_baseline: bool = declare(
        True, "Mean baseline", "Phase 2: update",
        "Take the mean score of the batch from every score, so that worse completions than the "
        "others become less likely.",
    )
    steps_per_batch: int = declare(
        1, "Steps per batch", "Phase 2: update",
        "Into so many parts a batch is cut, each for a step of its own.", ge=1, le=1024,
    )


@dataclass(frozen=True, slots=True)
class ReinforceLoss:
    """-A log π(token), where A is the completion's score less the baseline, (b,)."""

    advantages: Tensor
    uses_entropy: bool = False

    def __call__(self, tokens: Tokens) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the loss of each token, (n,), also to be logged."""
        loss = -self.advantages[tokens.at[0]] * tokens.logprobs
        return loss, {"loss": loss}


class ReinforceTrainer(OnPolicyTrainer[ReinforceSettings]):
    """Makes completions likelier that scored better than the others."""

    def learn(self, batch: Batch, cycle: int, settings: ReinforceSettings, control: Control,
              clock: Clock) -> Learned:
        """Let the policy learn from ``batch``."""
        baseline = batch.scores.mean() if settings.mean_baseline else 0.0
        clock.lap("seconds/scoring")
        rate = scheduled(settings, settings.learning_rate, cycle)
        set_rates(self.optimizer, rate, rate)
        plan = Plan.of(settings, cycle, mini_batches=settings.steps_per_batch)
        loss = ReinforceLoss(batch.scores - baseline)
        log = Epochs(self.policy, batch.completions, loss, plan, control).run(self.optimizer)
        clock.lap("seconds/update")
        return Learned(summarise(log) | {"reinforce/loss": mean(log, "loss"), "lr": rate})


def _trainer() -> Any:
    return ReinforceTrainer  # a package imports it here


REINFORCE = Algorithm(
    name="reinforce",
    title="REINFORCE",
    help="Makes what scored better than the average of its batch likelier (Williams 1992). No "
         "value head, no clip.",
    settings=ReinforceSettings,
    trainer=_trainer,
    metrics=(*COMMON.values(), Metric(
        "reinforce/loss", "REINFORCE loss", "", "mean of -A·log π(token)",
        "What the optimiser minimises.")),
    headline=SCORES,
    companions=(COMPARED,),
    plot_sets=(
        PlotSet("Overview", (SCORES, "reinforce/loss", KL, LENGTH), "Reward, loss, KL and length"),
    ),
    presets=(Preset("Careful", "Small steps.", {"learning_rate": 1e-4}),),
    progress=(Figure("reward", SCORES), Figure("loss", "reinforce/loss")),
)


def add_reinforce(patch: pytest.MonkeyPatch) -> None:
    """Let there be two algorithms."""
    patch.setattr(algorithms, "ALGORITHMS", (*algorithms.ALGORITHMS, REINFORCE))
