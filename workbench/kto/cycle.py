"""KTO's cycle, as :mod:`workbench.learning.referenced` has it, on marked completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from workbench.formatting import number, percent
from workbench.kto.hyperparameters import KTOSettings
from workbench.kto.loss import MarkLoss
from workbench.kto.marked import MarkedTable, read_table
from workbench.kto.metrics import PASSES, START_TOLD_APART
from workbench.kto.objective import told_apart
from workbench.kto.tokens import MARK
from workbench.learning.data_lengths import Lengths, ReferencedMemory
from workbench.learning.data_tables import measure_texts
from workbench.learning.referenced import ReferencedTrainer
from workbench.models.control import Control
from workbench.models.forward import read_logprobs
from workbench.models.phases import Phase
from workbench.models.sampling import Completions
from workbench.records import PromptLike, ScoredText


class KTOTrainer(ReferencedTrainer[KTOSettings, ScoredText, MarkedTable]):
    """Kahneman-Tversky optimisation of one policy on single completions: of each the rows are
    itself and, to estimate z, another one behind its prompt."""

    PREPARED_BY = (*ReferencedTrainer.PREPARED_BY, "good_at", "good_threshold")
    REFERENCE = "completions/reference"
    NOUN = "completions"
    PASSES = PASSES
    LEARNED = 1
    MEMORY = ReferencedMemory

    def read_table(
        self, items: Sequence[ScoredText], settings: KTOSettings, never: frozenset[str]
    ) -> MarkedTable:
        """Return the completions as the policy reads them."""
        return read_table(
            items, self.policy_tokenizer, control_tokens=settings.control_tokens == "tokens",
            held_out_share=settings.held_out_share, seed=settings.seed, never=never)

    def read(self, prompts: Sequence[PromptLike], settings: KTOSettings, *by: Any) -> None:
        """Read the completions as the policy does, unless they are read already ``by`` the same.

        Raises:
            PromptError: none can be learned from, or all are of one kind.
        """
        super().read(prompts, settings, *by)
        self.table.check(settings)

    def apply(self, old: KTOSettings, new: KTOSettings) -> None:
        """Take over changes, as every trainer; other completions may be good then.

        Raises:
            PromptError: all would be of one kind.
        """
        self.table.check(new)
        super().apply(old, new)

    def learned(self, places: Sequence[int], device: torch.device) -> Completions:
        """Return some completions as rows, (n, T)."""
        return self.table.own(places, device)

    def make_loss(
        self, places: Sequence[int], settings: KTOSettings, control: Control
    ) -> MarkLoss:
        """Return the loss of some completions."""
        step = _Step(control, settings.steps_per_cycle)

        def read_mismatched(rows: Tensor) -> Tensor:
            step.done += 1
            some = self.table.mismatched([places[row] for row in rows.tolist()], rows.device)
            return read_logprobs(
                self.policy, some, temperature=settings.temperature,
                max_tokens=settings.micro_batch_tokens, control=step).sum(dim=1)

        return MarkLoss(self.table.good(places, settings).to(self.policy.device),
                        self.references(places), settings, read_mismatched)

    def columns(
        self, places: Sequence[int], tokens: Mapping[str, Tensor], settings: KTOSettings
    ) -> Mapping[str, Tensor]:
        """Return what is known of the tokens of some completions with the marks of these."""
        like = tokens["ref_logprob"]
        good = self.table.good(places, settings).to(like)
        return {**tokens, MARK: good.unsqueeze(1).expand_as(like)}

    def evaluated(self, settings: KTOSettings) -> int:
        """Return how many of the held-out completions are read after a cycle."""
        return settings.eval_completions

    def start_metrics(self, sums: Tensor, settings: KTOSettings) -> dict[str, float]:
        """Return how often the start policy finds a good completion likelier than a bad one."""
        good = self.table.good(range(len(self.table)), settings).to(sums.device)
        return {START_TOLD_APART: told_apart(sums[0::2], good)}

    def say_prepared(self, settings: KTOSettings, metrics: Mapping[str, float]) -> str:
        """Return a sentence on what there is to learn from."""
        good = self.table.good(range(len(self.table)), settings).float().mean().item()
        said = (f"The start policy has read {len(self.table):,} completions: {percent(good)} are "
                f"good, with scores of at least {number(self.table.threshold(settings))}.")
        both = self.table.say_both_ways(settings)
        return f"{said} {both}" if both else said

    def measure_lengths(self, items: Sequence[ScoredText], settings: KTOSettings) -> Lengths:
        """Return how long completions are."""
        return measure_texts(
            items, self.policy_tokenizer, control_tokens=settings.control_tokens == "tokens")


class _Step:
    """A control that tells of a step how many are done, whatever is read for it."""

    def __init__(self, control: Control, total: int) -> None:
        self._control, self._total, self.done = control, total, -1

    def step(self, phase: Phase, done: int, total: int) -> None:
        """Report the steps of the cycle."""
        self._control.step(Phase.UPDATING, self.done, self._total)
