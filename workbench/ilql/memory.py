"""How much memory a run of ILQL will take, by phase and part, before it starts; and what to
lower."""

from __future__ import annotations

from workbench.ilql.hyperparameters import ILQLSettings
from workbench.learning.data_lengths import DataMemory
from workbench.learning.footprint import PolicyCosts
from workbench.learning.memory import (
    FLOAT,
    Parts,
    at_once,
    chunk,
    held,
    pieces,
    updating,
    with_allocator,
)
from workbench.learning.workload import Phases
from workbench.models.optimizer import state_bytes
from workbench.models.phases import Phase

_Q_LOGITS = 7
"""(n, V) tensors in float32, beside the policy's own, while n tokens are steered: what is made of
log-probabilities, two targets, the smaller of these, its distance from V, that times β, the sum."""


class TextsMemory(DataMemory[ILQLSettings]):
    """A batch is taken to have completions of all lengths, every compared one to be as long as the
    settings allow."""

    def phases(self, hp: ILQLSettings) -> Phases:
        """Return the bytes of each part, by phase."""
        models, costs = self.models, self.models.costs(hp)
        shapes = self.lengths.shapes(hp.batch_size, at_once(models, hp), models)
        update = updating(models, costs, hp, shapes)
        most = max(tokens for *_, tokens in shapes)
        update["Gradients"] += FLOAT * _learning(costs)
        update["Logits and backward pass"] += (
            _Q_LOGITS * FLOAT * chunk(costs, most, models.device) * costs.vocabulary)
        lost = pieces(update, models.device)
        phases = with_allocator(models, self.held(hp), {
            Phase.UPDATING: update, Phase.COMPARING: self.comparing(costs, hp)})
        phases[Phase.UPDATING]["Allocator"] += lost
        return {phase: phases[phase] for phase in Phase if phase in phases}

    def measured_as(self, phase: Phase) -> Phase:
        """Return the phase that stands for one in which memory ran out."""
        return phase if phase is Phase.COMPARING else Phase.UPDATING

    def held(self, hp: ILQLSettings) -> Parts:
        """Return the bytes of what is there throughout."""
        costs = self.models.costs(hp)
        targets = 2 * (costs.width + 1) * (costs.width + costs.vocabulary)
        parts = held(self.models, hp, self.work.compared)
        parts["Optimiser"] += state_bytes(hp.optimizer, _learning(costs))
        return parts | {"Value heads": FLOAT * (_learning(costs) + targets),
                        "Data": self.lengths.table_bytes}


def _learning(costs: PolicyCosts) -> int:
    """Return how many parameters V and the two Q have."""
    hidden = costs.width * (costs.width + 1)
    return 3 * hidden + (costs.width + 1) * (1 + 2 * costs.vocabulary)
