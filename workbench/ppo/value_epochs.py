"""Gradient steps on values alone: after the policy's epochs, and before the first cycle.

The loss is the plain ``½ (V - R)²``. The clip of the policy's epochs bounds how far values move
while the policy moves, too; here nothing else moves, and it would only end the passes early.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workbench.models import ranks
from workbench.models.control import Control, NotFiniteError
from workbench.models.forward import micro_batches
from workbench.models.in_place_gradients import in_place_gradients
from workbench.models.phases import Phase
from workbench.models.policy import Policy
from workbench.models.randomness import Stream, mini_batches
from workbench.models.sampling import Completions
from workbench.models.sharding import shorten_gradients, tables_whole
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.linear_values import Moments


def head_epochs(
    policy: Policy, optimizer: torch.optim.Optimizer, moments: Moments, hp: Hyperparameters
) -> None:
    """Let the value head learn from states that do not move, all of them in each step.

    Args:
        moments: of the states and returns of the batch.

    Raises:
        NotFiniteError: a gradient is not a number.
    """
    head = policy.value_head
    assert head is not None
    for _ in range(hp.num_value_epochs):
        head.weight.grad, head.bias.grad = moments.gradient(head)
        take_step(policy, optimizer, hp.max_grad_norm)


class ValueModelEpochs:
    """Lets a separate value model learn from a batch, in mini-batches as the policy does."""

    def __init__(
        self, policy: Policy, completions: Completions, returns: Tensor, hp: Hyperparameters
    ) -> None:
        """Learn ``returns``, (b, T), of ``completions``."""
        self._policy, self._completions = policy, completions
        self._returns, self._hp = returns, hp

    def run(self, optimizer: torch.optim.Optimizer, cycle: int, control: Control) -> None:
        """Take the steps of a cycle.

        Raises:
            NotFiniteError: a gradient is not a number.
        """
        hp = self._hp
        total = hp.num_value_epochs * hp.num_mini_batches
        done = 0
        for epoch in range(hp.num_value_epochs):
            for rows in mini_batches(hp.seed, cycle, epoch, len(self._returns),
                                     hp.num_mini_batches, Stream.VALUE_BATCHES):
                control.step(Phase.VALUES, done, total)
                self.step(optimizer, rows, control, (done, total))
                done += 1

    def step(
        self, optimizer: torch.optim.Optimizer, rows: Tensor, control: Control,
        progress: tuple[int, int],
    ) -> None:
        """Take a step by the mean value loss of some rows.

        Raises:
            NotFiniteError: the gradient is not a number.
        """
        policy, completions = self._policy, self._completions
        count = int(completions.mask[rows.to(policy.device)].sum())
        with tables_whole(policy, learn=True), in_place_gradients(policy):
            for batch in micro_batches(
                completions, rows, max_tokens=self._hp.micro_batch_tokens, device=policy.device,
                batching=policy.capabilities.reading,
            ):
                control.step(Phase.VALUES, *progress)
                states = policy.value_states(batch.input_ids).flatten(0, 1)[batch.source]
                errors = policy.values(states) - self._returns[batch.row, batch.column]
                (0.5 * errors.square().sum() / count).backward()
        ranks.sum_gradients(policy.trained()[1])
        take_step(policy, optimizer, self._hp.max_grad_norm)


def take_step(policy: Policy, optimizer: torch.optim.Optimizer, max_grad_norm: float) -> None:
    """Take one step with the gradient that is there, and clear it.

    Raises:
        NotFiniteError: it is not a number.
    """
    _, parameters = policy.trained()
    norm = shorten_gradients(parameters, max_grad_norm or float("inf"))
    if not math.isfinite(norm.item()):
        raise NotFiniteError("The gradient of the value function is not a finite number; it was "
                             "not applied. Lower the value learning rate or clip scores.")
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
