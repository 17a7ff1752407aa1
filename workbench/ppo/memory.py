"""How much memory a run of PPO will take, by phase and part, before it starts; and what to
lower."""

from __future__ import annotations

import math

from workbench.learning.footprint import PolicyCosts, Trunk
from workbench.learning.memory import (
    BUFFERS,
    FLOAT,
    Parts,
    RunMemory,
    at_once,
    held,
    sampling,
    scoring,
    updating,
    with_allocator,
)
from workbench.learning.workload import Phases, Workload
from workbench.models.branches import most_in_a_row
from workbench.models.optimizer import state_bytes
from workbench.models.phases import Phase
from workbench.ppo.footprint import ValueFootprint
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.settings import Value

# Of a token that values are pretrained on: its id, mask, reward and return, and what makes those.
_EPISODE_BYTES = 32


class PPOMemory(RunMemory[Hyperparameters]):
    """Every completion is taken to be as long as the settings allow, every prompt to be as long as
    the longest."""

    models: ValueFootprint

    def phases(self, hp: Hyperparameters) -> Phases:
        """Return the bytes of each part, by phase."""
        hp, models, work = hp.in_effect(), self.models, self.work
        costs, value = models.costs(hp), models.value_costs(hp)
        rows = max(hp.batch_size, work.compared)
        there = self._there(hp, rows)
        phases = with_allocator(models, there, {
            Phase.SAMPLING: sampling(costs, rows, work.prompt, work.prompt + hp.response_length),
            Phase.SCORING: scoring(models, costs, hp, rows, work),
            Phase.UPDATING: updating(
                models, costs, hp, [self._largest(costs, hp, shared=value is None)],
                value=value, entropy=hp.entropy_coef > 0),
        }) | _for_values(models, costs, value, hp, work, there)
        return {phase: phases[phase] for phase in Phase if phase in phases}

    def measured_as(self, phase: Phase) -> Phase:
        """Return the phase that stands for one in which memory ran out."""
        return {Phase.COMPARING: Phase.SAMPLING, Phase.READING: Phase.SCORING}.get(phase, phase)

    def held(self, hp: Hyperparameters) -> Parts:
        """Return the bytes of what is there throughout."""
        return self._there(hp.in_effect(), hp.batch_size)

    def tokens(self, hp: Hyperparameters) -> int:
        """Return how many tokens go through the model at once, of the whole batch."""
        whole = max(hp.batch_size, self.work.compared) * (self.work.prompt + hp.response_length)
        return min(at_once(self.models, hp), whole)

    def halved_batch(self, hp: Hyperparameters, times: int) -> dict[str, Value]:
        """Return the change that halves the batch so many times, and its mini-batches with it."""
        changes = super().halved_batch(hp, times)
        if changes and int(changes["batch_size"]) % hp.num_mini_batches:
            changes["num_mini_batches"] = next(n for n in range(hp.num_mini_batches, 0, -1)
                                               if int(changes["batch_size"]) % n == 0)
        return changes

    def _there(self, hp: Hyperparameters, rows: int) -> Parts:
        return held(self.models, hp, rows, values=self.models.value_parameters(hp))

    def _largest(
        self, costs: PolicyCosts, hp: Hyperparameters, *, shared: bool
    ) -> tuple[int, int, int]:
        """Return rows, width and tokens of completions of the update's largest micro-batch."""
        models, work = self.models, self.work
        rows, tokens, each = hp.batch_size // hp.num_mini_batches, at_once(models, hp), 1
        if shared and hp.num_mini_batches == 1 and models.capabilities.branches:
            # Several mini-batches tear most siblings apart.
            each = most_in_a_row(work.prompt, hp.response_length, hp.completions_per_prompt,
                                 costs.width, tokens)
        width = work.prompt + each * (hp.response_length - 1)
        together = max(1, min(math.ceil(rows / each), tokens // width))
        return together, width, min(rows, together * each) * hp.response_length


def _for_values(
    models: ValueFootprint, costs: PolicyCosts, value: Trunk | None, hp: Hyperparameters,
    work: Workload, there: dict[str, int],
) -> Phases:
    """The phases in which values alone learn, as far as there are any. What they work with finds
    its place in what another phase has freed."""
    longest = work.prompt + hp.response_length - 1
    rows = max(1, min(hp.batch_size, at_once(models, hp) // longest))
    width = models.value_width(hp) + 1
    if value is None:  # sums of products, in double precision, and the states they are made of
        reading = scoring(models, costs, hp, rows, work)["Reading"]
        learning = {
            "Sums of states": 2 * FLOAT * width * (2 * width + rows * hp.response_length),
            "Reading": reading}
        solving = 2 * FLOAT * 4 * width**2
    else:
        parameters = models.value_parameters(hp) + width
        states = FLOAT * width * rows * hp.response_length
        learning = {
            "Gradients": FLOAT * parameters,
            "Activations": value.kept(rows, longest) + 3 * states,
            "Backward pass": value.peak(rows, longest) - value.kept(rows, longest)}
        # An optimiser of its own, and the best weights so far.
        solving = state_bytes(hp.optimizer, parameters) + FLOAT * parameters
    phases: Phases = {}
    if hp.num_value_epochs:
        phases[Phase.VALUES] = there | learning | {"Allocator": BUFFERS}
    if hp.value_pretraining_episodes:
        tokens = hp.value_pretraining_episodes * hp.response_length
        writing = sampling(costs, hp.batch_size, work.prompt, work.prompt + hp.response_length)
        fitting = learning | {"Fitting": solving}
        most = max(writing, fitting, key=lambda parts: sum(parts.values()))
        phases[Phase.PRETRAINING] = there | {"Optimiser": 0} | most | {
            "Completions": _EPISODE_BYTES * tokens, "Allocator": BUFFERS}
    return phases
