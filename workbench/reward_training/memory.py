"""How much memory the training of a reward model takes, by phase and part, before it starts; and
what to lower."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.feedback.reward_text import Reader
from workbench.learning.data_lengths import DataMemory, Item, Lengths, of_all_lengths
from workbench.learning.footprint import Footprint
from workbench.learning.memory import FLOAT, Parts, alone, at_once, held
from workbench.learning.workload import Phases
from workbench.models.in_place_gradients import adds_in_place
from workbench.models.phases import Phase
from workbench.records import Pair
from workbench.reward_training.hyperparameters import RewardSettings
from workbench.reward_training.model import tokens_alike
from workbench.reward_training.pairs import read_table


def measure(pairs: Sequence[Pair], tokenizer: Any, *, chat: bool) -> Lengths:
    """Return how long ``pairs`` are, as a reward model with the policy's tokenizer reads them.

    Raises:
        PromptError: none can be learned from.
    """
    some = of_all_lengths(pairs, lambda p: len(p.asked.text) + max(map(len, p.answers)))
    table = read_table(some, Reader(tokenizer), chat=chat, held_out_share=0.0, seed=0)
    # The end may come as one more token.
    widths = [len(row.ids) + 1 for row in table.rows]
    items = []
    for place in range(0, len(widths), 2):
        alike = tokens_alike(*table.rows[place : place + 2])
        items.append(Item(alike, tuple(
            width - alike + 1 for width in widths[place : place + 2])))
    return Lengths(items, sum(widths) * len(pairs) // len(items))


class RewardFootprint(Footprint[RewardSettings]):
    """What is trained is a copy of the policy's trunk, with or without adapters."""

    def trained(self, hp: RewardSettings) -> int:
        """Return how many parameters learn."""
        return (self.weights.adapter_parameters * hp.lora_rank
                or self.weights.trunk_parameters) + self.width


class RewardMemory(DataMemory[RewardSettings]):
    """A batch is taken to have pairs of all lengths. A reward model that goes on is taken to be as
    large as the policy."""

    LEARNED = 2

    def phases(self, hp: RewardSettings) -> Phases:
        """Return the bytes of each part, by phase."""
        models, lengths = self.models, self.lengths
        costs = models.costs(hp)
        shapes = lengths.shapes(hp.batch_size, at_once(models, hp), models, each=2, together=2)
        longest = lengths.shapes(len(lengths.items), at_once(models, hp), models, each=2)
        # Elsewhere each weight's gradient is made before it is added to the sum.
        layer = 0 if hp.lora_rank or adds_in_place(models.placement(hp)) else (
            FLOAT * models.weights.largest_layer)

        def parts(rows: int, width: int) -> Parts:
            kept = costs.trunk.kept(rows, width)
            return {"Gradients": FLOAT * models.trained(hp), "Activations": kept,
                    "Backward pass": costs.trunk.peak(rows, width) - kept + layer}

        working: Phases = {
            Phase.UPDATING: max((parts(rows, width) for rows, width, _ in shapes),
                                key=lambda each: sum(each.values())),
            Phase.EVALUATING: {"Reading": max(
                costs.reading(rows, width) for rows, width, _ in longest)},
            Phase.COMPARING: self.comparing(costs, hp),
        }
        return {phase: alone(models, self.held(hp), parts) for phase, parts in working.items()}

    def measured_as(self, phase: Phase) -> Phase:
        """Return the phase that stands for one in which memory ran out."""
        return phase if phase in (Phase.UPDATING, Phase.COMPARING) else Phase.EVALUATING

    def held(self, hp: RewardSettings) -> Parts:
        """Return the bytes of what is there throughout."""
        models, weights = self.models, self.models.weights
        there = held(models, hp, self.work.compared)
        adapters = FLOAT * weights.adapter_parameters * hp.lora_rank
        return {name: size for name, size in there.items() if name != "Reference"} | {
            "Policy": weights.bytes,
            "Reward model in training": FLOAT * weights.trunk_parameters + adapters,
            "Pairs": self.lengths.table_bytes}
