"""Gradient steps on a batch of completions: epochs, mini-batches and micro-batches of any loss."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from workbench.learning.aggregation import Aggregation
from workbench.learning.metrics import STEPS
from workbench.models import ranks
from workbench.models.capabilities import Batching
from workbench.models.control import Control, NotFiniteError
from workbench.models.forward import MicroBatch, divide_by_temperature, head_chunks, micro_batches
from workbench.models.in_place_gradients import in_place_gradients
from workbench.models.phases import Phase
from workbench.models.policy import Policy
from workbench.models.randomness import mini_batches
from workbench.models.sampling import Completions
from workbench.models.sharding import gradient_length, shorten_gradients, tables_whole
from workbench.models.token_statistics import token_statistics
from workbench.settings import Settings


@dataclass(frozen=True, slots=True)
class Tokens:
    """n tokens of a batch as the policy reads them now; ``at`` is where they stand in (b, T).

    ``logprobs``, ``entropy`` and ``values``, of the ``states`` (n, H) the tokens were chosen in,
    are (n,).
    """

    at: tuple[Tensor, Tensor]
    logprobs: Tensor
    entropy: Tensor
    values: Tensor
    states: Tensor


class TokenLoss(Protocol):
    """What an algorithm minimises."""

    @property
    def uses_entropy(self) -> bool:
        """Whether the loss has a gradient through the entropy."""

    def __call__(self, tokens: Tokens) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the loss of each token, and what is to be logged of it, (n,) each: as a mean over
        tokens, but what is called ``loss`` or ``loss/...`` as the loss is taken of a mini-batch."""


@runtime_checkable
class RowLoss(TokenLoss, Protocol):
    """A loss of a token that depends on the other tokens of its row, and of the rows that are
    learned from together with it."""

    @property
    def reads_logprobs(self) -> bool:
        """Whether :meth:`read_rows` looks at log-probabilities; else they are 0 there."""

    def read_rows(self, tokens: Tokens) -> None:
        """Take all tokens of some rows, without gradients, before their losses are asked for.
        Entropy and values are 0."""


@runtime_checkable
class BatchLoss(TokenLoss, Protocol):
    """A loss that depends on something of the whole mini-batch: of all of it at once, however it is
    cut into micro-batches."""

    def read_batch(self, rows: Tensor) -> None:
        """Take note that a step on ``rows``, (m,), is next, with the policy as it is now."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a batch is gone through. The defaults are those of a single step."""

    seed: int
    cycle: int
    epochs: int = 1
    mini_batches: int = 1
    micro_batch_tokens: int = 0
    """At once; 0: what suits the device. Changes no gradient."""
    temperature: float = 1.0
    max_grad_norm: float = 0.0
    """Longer gradients are shortened to it; 0: none."""
    values_alone: bool = False
    """The policy stays as it is: only its value head, or its value model, learns."""
    together: int = 1
    """So many rows, one after another, are learned from together: pairs, say."""

    @classmethod
    def of(
        cls, settings: Settings, cycle: int, *, epochs: int = 1, mini_batches: int = 1,
        values_alone: bool = False, together: int = 1,
    ) -> Self:
        """Return the plan of a cycle by the settings that all algorithms have."""
        return cls(settings.seed, cycle, epochs, mini_batches, settings.micro_batch_tokens,
                   settings.temperature, settings.max_grad_norm, values_alone, together)


class Epochs:
    """Runs the epochs of one cycle.

    The loss of a mini-batch is the sum over its real tokens divided by their number, or what the
    ``aggregation`` has in its place, however it is cut into micro-batches, so the cut changes no
    gradient. Losses are logged as that too, all else as the mean over tokens.
    """

    def __init__(
        self, policy: Policy, completions: Completions, loss: TokenLoss, plan: Plan,
        control: Control, aggregation: Aggregation | None = None,
    ) -> None:
        """Learn from ``completions`` by ``loss``."""
        self._policy, self._completions = policy, completions
        self._aggregation = aggregation or Aggregation()
        self._loss, self._plan, self._control = loss, plan, control
        self._total = plan.epochs * plan.mini_batches

    def run(
        self, optimizer: torch.optim.Optimizer,
        enough: Callable[[Mapping[str, float]], bool] = lambda means: False,
    ) -> list[dict[str, float]]:
        """Take the steps, and return what is logged of each, with ``epoch``, ``grad_norm`` and
        whether the gradient was ``applied``. A mini-batch of which no completion counts is passed
        over.

        Args:
            enough: given what is logged of the next step; whether it and all after it are left out.

        Raises:
            Interrupted: ``control`` asked to end.
            NotFiniteError: a gradient is not a number; it was not applied.
        """
        plan = self._plan
        log: list[dict[str, float]] = []
        epoch = 0
        stopped = False
        self._control.step(Phase.UPDATING, 0, self._total)
        while epoch < plan.epochs and not stopped:
            for chosen in self._mini_batches(epoch):
                optimizer.zero_grad(set_to_none=True)
                found = self._accumulate(chosen, len(log))
                if not found:  # no completion of it counts
                    continue
                parameters = [p for group in optimizer.param_groups for p in group["params"]]
                ranks.sum_gradients(parameters)
                means = {"epoch": float(epoch)} | found
                # This gradient is not applied any more.
                stopped = enough(means)
                norm = shorten_gradients(parameters, plan.max_grad_norm or float("inf"))
                log.append(means | {"grad_norm": norm.item(), "applied": float(not stopped)})
                if not math.isfinite(log[-1]["grad_norm"]):  # nor would Adam's state be, ever again
                    raise NotFiniteError(
                        f"The gradient of cycle {plan.cycle} is not a finite number; it was"
                        " not applied. Lower the learning rate or clip scores.")
                if stopped:
                    break
                optimizer.step()
            epoch += 1
        optimizer.zero_grad(set_to_none=True)
        self._control.step(Phase.UPDATING, self._total, self._total)
        return log

    def gradient_norm(self, optimizer: torch.optim.Optimizer, loss: TokenLoss) -> float:
        """Return the length of the gradient that ``loss`` would have in the first step. Applies
        nothing, and leaves no trace in what follows.

        Raises:
            Interrupted: the control asked to end.
        """
        usual, self._loss = self._loss, loss
        chosen = self._mini_batches(0)[0]
        try:
            optimizer.zero_grad(set_to_none=True)
            self._accumulate(chosen, 0)
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            ranks.sum_gradients(parameters)
            return gradient_length(parameters).item()
        finally:
            self._loss = usual
            optimizer.zero_grad(set_to_none=True)

    def _mini_batches(self, epoch: int) -> list[Tensor]:
        """Return the rows of each mini-batch of an epoch; those that belong together stay so."""
        plan = self._plan
        units = self._completions.mask.shape[0] // plan.together
        within = torch.arange(plan.together)
        return [(chosen.unsqueeze(1) * plan.together + within).flatten() for chosen in
                mini_batches(plan.seed, plan.cycle, epoch, units, plan.mini_batches)]

    def _micro_batches(self, chosen: Tensor) -> Iterator[MicroBatch]:
        policy, plan = self._policy, self._plan
        return micro_batches(
            self._completions, chosen, max_tokens=plan.micro_batch_tokens, device=policy.device,
            batching=policy.capabilities.reading, together=plan.together,
            # A separate value model reads each completion by itself.
            branches=policy.branches if policy.value_trunk is None else 0)

    def _accumulate(self, chosen: Tensor, done: int) -> dict[str, float]:
        """Add the gradient of one mini-batch and return what is logged of it; nothing where none of
        its completions counts."""
        policy, plan = self._policy, self._plan
        rows = chosen.to(policy.device)
        lengths = self._completions.mask[rows].sum(dim=1)
        counted = self._aggregation.counted
        if counted is not None:
            lengths = lengths * counted[rows]
        count = int(lengths.sum())
        if not count:
            return {}
        weights = None
        if self._aggregation.how != "token" or counted is not None:
            weights = torch.zeros(len(self._completions.mask), device=policy.device)
            weights[rows] = self._aggregation.weights(
                self._completions.mask[rows].sum(dim=1), rows)
        # Summed on the device: reading a number at every step would stall a GPU.
        sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=policy.device))
        if isinstance(self._loss, BatchLoss):
            self._loss.read_batch(rows)
        apart = plan.together > 1 and policy.capabilities.reading is not Batching.PADDED
        with tables_whole(policy, learn=True), in_place_gradients(policy):
            if apart and isinstance(self._loss, RowLoss):
                # Rows that belong together do not come together: all are read beforehand.
                for batch in self._micro_batches(chosen):
                    self._control.step(Phase.UPDATING, done, self._total)
                    with torch.no_grad():
                        states = batch.states(policy)
                    self._loss.read_rows(self._read(states, batch, self._loss.reads_logprobs))
            for batch in self._micro_batches(chosen):
                self._control.step(Phase.UPDATING, done, self._total)
                self._backward(batch, count, weights, sums, read=not apart)
        logged = ranks.totals({name: number.item() for name, number in sums.items()})
        return {name: number / (1 if weights is not None and _is_loss(name) else count)
                for name, number in logged.items()}

    def _backward(
        self, batch: MicroBatch, count: int, weights: Tensor | None, sums: dict[str, Tensor], *,
        read: bool,
    ) -> None:
        """Add one micro-batch's gradient, and what is logged to ``sums``. A token's loss is divided
        by ``count``, or multiplied by its row's of ``weights``, (b,).

        Two stages: through the heads, chunk by chunk, down to the trunk's output; then through the
        trunk once. The logits of a micro-batch never exist all at the same time.
        """
        policy, plan = self._policy, self._plan
        with torch.set_grad_enabled(not plan.values_alone):
            states = batch.states(policy)
        # The shared trunk stays as it is where values learn alone; a separate one is theirs.
        shared = policy.value_trunk is None
        value_states = (
            states if shared else policy.value_states(batch.input_ids).flatten(0, 1)[batch.source])
        if read and isinstance(self._loss, RowLoss):
            self._loss.read_rows(self._read(states, batch, self._loss.reads_logprobs))
        leaves, value_leaves = [], []
        for part in head_chunks(len(states), policy.config.vocab_size, policy.device,
                                learns=policy.head_learns):
            at = (batch.row[part], batch.column[part])
            leaf = states[part].detach().requires_grad_(not plan.values_alone)
            value_leaf = leaf if shared else value_states[part].detach().requires_grad_()
            leaves.append(leaf)
            value_leaves.append(value_leaf)
            with torch.set_grad_enabled(not plan.values_alone):
                logprobs, entropy = token_statistics(
                    divide_by_temperature(policy.logits(leaf), plan.temperature),
                    self._completions.tokens[at],
                    entropy_gradient=self._loss.uses_entropy,
                )
            loss, logged = self._loss(
                Tokens(at, logprobs, entropy, policy.values(value_leaf), leaf))
            for name, numbers in logged.items():
                told = numbers.detach()
                if weights is not None:
                    weight = weights[at[0]]
                    told = told * (weight if _is_loss(name) else weight != 0)
                sums[name] = sums[name] + told.sum()
            (loss.sum() / count if weights is None else (loss * weights[at[0]]).sum()).backward()
        if not plan.values_alone:
            states.backward(_gradients(leaves, states))
        if not shared:
            value_states.backward(_gradients(value_leaves, value_states))


    def _read(self, states: Tensor, batch: MicroBatch, wanted: bool) -> Tokens:
        """Return all tokens of a micro-batch for a :class:`RowLoss` to look at."""
        nothing = torch.zeros(len(states), device=states.device)
        logprobs = self._logprobs(states, batch) if wanted else nothing
        return Tokens(
            (batch.row, batch.column), logprobs, nothing, nothing, states.detach())

    @torch.no_grad()
    def _logprobs(self, states: Tensor, batch: MicroBatch) -> Tensor:
        """Return the log-probabilities of all tokens of a micro-batch, (n,)."""
        policy, found = self._policy, []
        for part in head_chunks(len(states), policy.config.vocab_size, policy.device):
            logprobs, _ = token_statistics(
                divide_by_temperature(policy.logits(states[part]), self._plan.temperature),
                self._completions.tokens[batch.row[part], batch.column[part]],
                entropy_gradient=False)
            found.append(logprobs)
        return torch.cat(found) if found else states.new_zeros(0)


def _is_loss(name: str) -> bool:
    return name.startswith("loss")


def _gradients(leaves: list[Tensor], of: Tensor) -> Tensor:
    """Return the gradient of states, (n, H), from that of their parts."""
    found = [leaf.grad for leaf in leaves if leaf.grad is not None]
    return torch.cat(found) if found else torch.zeros_like(of)


def summarise(log: list[dict[str, float]]) -> dict[str, float]:
    """Return the metrics that the steps of any loss have, of what :meth:`Epochs.run` returned."""
    return {
        "policy/grad_norm": mean(log, "grad_norm"),
        "policy/epochs": len({entry["epoch"] for entry in log if entry["applied"]}),
        STEPS: sum(entry["applied"] for entry in log),
    }


def mean(log: list[dict[str, float]], name: str) -> float:
    """Return the mean of a logged number over steps; NaN where there were none."""
    return sum(entry[name] for entry in log) / len(log) if log else math.nan
