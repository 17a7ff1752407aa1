"""How much memory a run of DPO will take, by phase and part, before it starts; and what to
lower."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.dpo.hyperparameters import DPOSettings
from workbench.dpo.pairs import read_table
from workbench.learning.data_lengths import DataMemory, Lengths, of_all_lengths
from workbench.learning.memory import Parts, alone, at_once, held, reading, updating
from workbench.learning.workload import Phases
from workbench.models.phases import Phase
from workbench.models.policy_tokenizer import PolicyTokenizer
from workbench.records import Pair


def measure(
    pairs: Sequence[Pair], policy_tokenizer: PolicyTokenizer, *, control_tokens: bool
) -> Lengths:
    """Return how long ``pairs`` are, as the policy reads them.

    Raises:
        PromptError: none can be learned from.
    """
    some = of_all_lengths(pairs, lambda p: len(p.asked.text) + max(map(len, p.answers)))
    table = read_table(some, policy_tokenizer, control_tokens=control_tokens,
                       held_out_share=0.0, seed=0)
    rows, total = [], 0
    for prompt, *sides in zip(table.prompts, table.chosen, table.rejected, strict=True):
        rows.append((len(prompt) + max(map(len, sides)) - 1, sum(map(len, sides)) / 2))
        total += len(prompt) + sum(map(len, sides))
    return Lengths(sorted(rows, reverse=True), total * len(pairs) // len(rows))


class PairsMemory(DataMemory[DPOSettings]):
    """A batch is taken to have pairs of all lengths, every compared completion to be as long as the
    settings allow."""

    ROWS = 2

    def phases(self, hp: DPOSettings) -> Phases:
        """Return the bytes of each part, by phase."""
        models, lengths = self.models, self.lengths
        costs, batching = models.costs(hp), models.capabilities.reading
        longest = lengths.shapes(len(lengths.rows), at_once(models, hp), batching, each=2)
        read = max(reading(models, costs, *shape) for shape in longest)
        # The update comes first and needs most.
        working: Phases = {
            Phase.UPDATING: updating(models, costs, hp, lengths.shapes(
                hp.batch_size, at_once(models, hp), batching, each=2, together=2)),
            Phase.EVALUATING: {"Reading": read},
            Phase.COMPARING: self.comparing(costs, hp),
        }
        return {phase: alone(models, self.held(hp), parts) for phase, parts in working.items()}

    def measured_as(self, phase: Phase) -> Phase:
        """Return the phase that stands for one in which memory ran out."""
        return phase if phase in (Phase.UPDATING, Phase.COMPARING) else Phase.EVALUATING

    def held(self, hp: DPOSettings) -> Parts:
        """Return the bytes of what is there throughout."""
        return held(self.models, hp, self.work.compared) | {"Pairs": self.lengths.table_bytes}
