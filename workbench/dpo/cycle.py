"""DPO's cycle, as :mod:`workbench.learning.referenced` has it, on pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from workbench.dpo.hyperparameters import DPOSettings
from workbench.dpo.loss import PairLoss
from workbench.dpo.memory import PairsMemory, measure
from workbench.dpo.metrics import PASSES, START_ACCURACY
from workbench.dpo.pairs import PairTable, read_table
from workbench.formatting import percent
from workbench.learning.data_lengths import Lengths
from workbench.learning.referenced import ReferencedTrainer
from workbench.models.control import Control
from workbench.records import Pair


class DPOTrainer(ReferencedTrainer[DPOSettings, Pair, PairTable]):
    """Direct preference optimisation of one policy on pairs: of each the rows are the chosen and
    the rejected completion."""

    REFERENCE = "pairs/reference"
    NOUN = "pairs"
    PASSES = PASSES
    LEARNED = 2
    MEMORY = PairsMemory

    def read_table(
        self, items: Sequence[Pair], settings: DPOSettings, never: frozenset[str]
    ) -> PairTable:
        """Return the pairs as the policy reads them."""
        return read_table(
            items, self.policy_tokenizer, control_tokens=settings.control_tokens == "tokens",
            held_out_share=settings.held_out_share, seed=settings.seed, never=never)

    def make_loss(
        self, places: Sequence[int], settings: DPOSettings, control: Control
    ) -> PairLoss:
        """Return the loss of some pairs."""
        lengths = [len(ids) for p in places for ids in (self.table.chosen[p],
                                                        self.table.rejected[p])]
        return PairLoss(torch.tensor(lengths, device=self.policy.device),
                        self.references(places), settings)

    def evaluated(self, settings: DPOSettings) -> int:
        """Return how many of the held-out pairs are read after a cycle."""
        return settings.eval_pairs

    def start_metrics(self, sums: Tensor, settings: DPOSettings) -> dict[str, float]:
        """Return how often the start policy finds the chosen completion the likelier."""
        return {START_ACCURACY: (sums[0::2] > sums[1::2]).float().mean().item()}

    def say_prepared(self, settings: DPOSettings, metrics: Mapping[str, float]) -> str:
        """Return a sentence on what the start policy prefers."""
        return (f"The start policy has read {len(self.table):,} pairs: of "
                f"{percent(metrics[START_ACCURACY])} it finds the chosen completion the likelier.")

    def measure_lengths(self, items: Sequence[Pair], settings: DPOSettings) -> Lengths:
        """Return how long pairs are."""
        return measure(
            items, self.policy_tokenizer, control_tokens=settings.control_tokens == "tokens")
