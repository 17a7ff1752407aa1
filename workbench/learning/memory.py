"""What the parts of any run take in memory, and which change of settings makes it fit.

The most is held in one phase, not in the sum of all: sampling holds the cache, the update holds
gradients and activations, and weights and the optimiser's state are there throughout.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Generic

import torch

from workbench.feedback.classifier import rows_at_once
from workbench.learning.footprint import Footprint, PolicyCosts, S, Trunk
from workbench.learning.workload import Phases, Workload, needed
from workbench.memory_allocator import LARGE
from workbench.models.device import tokens_at_once
from workbench.models.forward import head_chunks
from workbench.models.in_place_gradients import adds_in_place
from workbench.models.kernels import copies_weight
from workbench.models.phases import Phase
from workbench.settings import HyperparameterError, Value

FLOAT = 4
# Kernels keep buffers of their own.
BUFFERS = 20 << 20
# A GPU's allocator holds on to pieces it cannot use: a share of what is worked with.
_SLACK = 0.2
# A sampled token's id, mask, log-probability, entropy, value, reward, advantage and so on.
_TOKEN_BYTES = 64
# (b, V) tensors in float32 while a token is chosen: logits, log-probabilities, probabilities, and
# their sums in double precision; the first three stay until the next token replaces them.
_CHOOSING, _CHOSEN = 6, 3

# A share of what the update works with, as measured (tests/benchmarks/MEMORY.md).
_PIECES = 0.2

Parts = dict[str, int]


def held(models: Footprint[S], hp: S, rows: int, *, values: int = 0) -> Parts:
    """Return what is there throughout, with ``rows`` completions and a value model of ``values``
    parameters."""
    weights, trained = models.weights, models.trained(hp)
    return {
        "Policy": weights.bytes + (FLOAT * (trained - values) if hp.lora_rank else 0),
        "Reference": 0 if hp.lora_rank else weights.bytes,
        "Value model": FLOAT * values,
        "Reward model": models.reward_bytes,
        "Optimiser": models.optimizer_bytes(hp),
        "Completions": _TOKEN_BYTES * rows * hp.response_length,
    }


def sampling(costs: PolicyCosts, rows: int, prompt: int, width: int) -> Parts:
    """Return what writing takes: ``rows`` completions of prompts of ``prompt`` tokens, ``width``
    with them."""
    cache, logits = costs.cache(rows, width), FLOAT * rows * costs.vocabulary
    step = max(costs.step(rows, width) + _CHOSEN * logits, _CHOOSING * logits)
    # Reading the prompts, when the cache holds nothing yet but takes its room.
    reading = costs.writing(rows, prompt) - costs.cache(rows, prompt)
    return {"KV cache": cache, "Packed weights": costs.packed, "Sampling": max(step, reading)}


def reading(
    models: Footprint[S], costs: PolicyCosts, rows: int, width: int, tokens: int
) -> int:
    """Return what the policy takes to read ``rows`` of ``width`` tokens side by side, ``tokens`` of
    them completions."""
    states = FLOAT * costs.width * (rows * width + tokens)
    return max(costs.reading(rows, width),
               states + costs.head(1, chunk(costs, tokens, models.device)))


def scoring(
    models: Footprint[S], costs: PolicyCosts, hp: S, rows: int, work: Workload
) -> Parts:
    """Return what it takes to read and score ``rows`` completions."""
    longest = work.prompt + hp.response_length - 1
    together = max(1, min(rows, at_once(models, hp) // longest))
    read = reading(models, costs, together, longest, together * hp.response_length)
    texts = min(rows, rows_at_once(work.scored))
    return {"Reading": max([read, *(cost(texts, work.scored) for cost in models.rewards())])}


def updating(
    models: Footprint[S], costs: PolicyCosts, hp: S, shapes: Sequence[tuple[int, int, int]], *,
    value: Trunk | None = None, entropy: bool = False, reads_first: bool = False,
) -> Parts:
    """Return what the steps take.

    Args:
        shapes: of the micro-batches: rows, tokens of the longest, and tokens of completions in all.
        value: the value model's trunk, if it has one of its own.
        entropy: whether the loss has a gradient through the entropy.
        reads_first: whether all log-probabilities of a micro-batch are read before it is learned
            from.
    """
    in_place = adds_in_place(models.placement(hp))
    # Elsewhere each weight's gradient is made before it is added to the sum.
    head, layer = (0, 0) if hp.lora_rank or in_place else (
        FLOAT * models.weights.head_parameters, FLOAT * models.weights.largest_layer)
    if in_place and not hp.lora_rank and copies_weight(costs.vocabulary):
        head = FLOAT * models.weights.head_parameters
    reader = costs.head_entropy if entropy else costs.head_training

    def parts(rows: int, longest: int, tokens: int) -> Parts:
        states = FLOAT * costs.width * tokens * (2 if value else 1)
        kept = costs.trunk.kept(rows, longest) + (value.kept(rows, longest) if value else 0)
        heads = reader(1, chunk(costs, tokens, models.device, learns=not hp.lora_rank)) + head
        if reads_first:
            heads = max(heads, costs.head(1, chunk(costs, tokens, models.device)))
        trunk = costs.trunk.peak(rows, longest) - costs.trunk.kept(rows, longest) + states + layer
        return {
            "Gradients": FLOAT * models.trained(hp),
            # The states the heads read: as a whole, and in pieces with their gradients.
            "Activations": kept + 3 * states,
            "Logits and backward pass": max(heads, trunk),
        }

    return max((parts(*shape) for shape in shapes), key=lambda each: sum(each.values()))


def with_allocator(
    models: Footprint[S], there: Parts, working: Mapping[Phase, Parts]
) -> Phases:
    """Return the phases of a cycle, in turn, with what is ``there`` throughout and what the
    allocator cannot use again."""
    # Gradients and the optimiser's state are made in the first update and stay.
    made = working[Phase.UPDATING]["Gradients"] + there["Optimiser"]
    phases, before = {}, 0
    # A packed copy of a large head has pages of its own: it leaves no pieces.
    head = FLOAT * models.weights.head_parameters
    head *= head >= LARGE
    for phase, parts in working.items():
        used = sum(parts.values())
        if models.device.type == "cpu":
            # What a phase has freed lies in pieces between what stays, and the next has larger
            # ones; small ones, such as a layer's gradients, fill the holes. Given back at once
            # (MALLOC_MMAP_THRESHOLD_) it would not count, but every step would fetch it anew.
            lost = max(0, before - (made if phase is Phase.UPDATING else 0))
        else:
            lost = round(_SLACK * used)
        phases[phase] = there | parts | {"Allocator": BUFFERS + lost}
        before += used - (head if parts.get("Packed weights") else 0)
    return phases


def pieces(update: Parts, device: torch.device) -> int:
    """Return what a CPU's heap loses in an ``update`` on texts of all lengths: micro-batches of
    all shapes leave pieces which the next cannot use."""
    return round(_PIECES * sum(update.values())) if device.type == "cpu" else 0


def alone(models: Footprint[S], there: Parts, parts: Parts) -> Parts:
    """Return a phase that finds its place in what one before it has freed."""
    lost = 0 if models.device.type == "cpu" else round(_SLACK * sum(parts.values()))
    return there | parts | {"Allocator": BUFFERS + lost}


def at_once(models: Footprint[S], hp: S) -> int:
    """Return how many tokens go through the model at once."""
    return tokens_at_once(hp.micro_batch_tokens, models.device)


def chunk(
    costs: PolicyCosts, tokens: int, device: torch.device, *, learns: bool = False
) -> int:
    """Return of how many of ``tokens`` the logits are made at once."""
    return next(head_chunks(tokens, costs.vocabulary, device, learns=learns)).stop


class RunMemory(ABC, Generic[S]):
    """What a run takes on its device, by phase and part, before it starts; and what to lower."""

    def __init__(self, models: Footprint[S], work: Workload) -> None:
        """Estimate for ``models`` as they were measured, and for ``work``."""
        self.models, self.work = models, work

    @abstractmethod
    def phases(self, hp: S) -> Phases:
        """Return the bytes of each part that each phase holds at its worst moment.

        Raises:
            UnsupportedModelError: the policy cannot be trained as ``hp`` asks.
        """

    @abstractmethod
    def held(self, hp: S) -> Parts:
        """Return the bytes of what is there throughout."""

    @abstractmethod
    def tokens(self, hp: S) -> int:
        """Return how many tokens go through the model at once, of at most one batch."""

    def measured_as(self, phase: Phase) -> Phase:
        """Return the phase of :meth:`phases` that stands for one in which memory ran out."""
        return phase

    def halved_batch(self, hp: S, times: int) -> dict[str, Value]:
        """Return the change that halves the batch so many times; nothing where that is none."""
        lowered = hp.batch_size >> times
        return {"batch_size": lowered} if times and lowered else {}

    def comparing(self, costs: PolicyCosts, hp: S) -> Parts:
        """Return what completing and scoring the compared prompts takes, whichever is more."""
        work = self.work
        ways = (sampling(costs, work.compared, work.prompt, work.prompt + hp.response_length),
                scoring(self.models, costs, hp, work.compared, work))
        return max(ways, key=lambda parts: sum(parts.values()))

    def relief(self, hp: S, available: int) -> dict[str, Value]:
        """Return the gentlest change of settings with which a run fits into ``available`` bytes.

        Tokens at once comes first, since it changes no number, then the batch size; then what is
        decided at the start. Returns nothing where no change is found.
        """
        for changes in _gentlest_first(self.tokens(hp), partial(self.halved_batch, hp)):
            try:
                wanted = hp.with_changes(changes)
            except HyperparameterError:
                continue
            if needed(self.phases(wanted)) <= available:
                return {name: value for name, (value, _) in wanted.differences(hp).items()}
        return {}

    def less(self, hp: S, phase: Phase) -> dict[str, Value]:
        """Return the live change to try when memory ran out in ``phase``.

        Half the tokens at once where that lowers by a fifth what the phase works with; else half
        the batch; nothing where neither can be lowered.
        """
        for changes in (_halved_tokens(self.tokens(hp), 1), self.halved_batch(hp, 1)):
            if changes:
                lowered = hp.with_changes(changes)
                if "batch_size" in changes or self._working(lowered, phase) <= 0.8 * self._working(
                        hp, phase):
                    return changes
        return {}

    def _working(self, hp: S, phase: Phase) -> int:
        """Return what a phase works with beyond what is there throughout."""
        parts, there = self.phases(hp)[self.measured_as(phase)], self.held(hp)
        return sum(parts[name] for name in parts if name not in there and name != "Allocator")


def _gentlest_first(
    tokens: int, halved_batch: Callable[[int], dict[str, Value]]
) -> Iterator[dict[str, Value]]:
    yield {}
    fewer = [_halved_tokens(tokens, times) for times in range(20)]
    batch = [halved_batch(times) for times in range(20)]
    yield from (t for t in fewer if t)
    yield from (b for b in batch if b)
    yield from (t | b for b in batch for t in fewer if t and b)
    smallest = next((t for t in reversed(fewer) if t), {})
    starts: tuple[dict[str, Value], ...] = ({"gradient_checkpointing": True}, {"lora_rank": 16})
    for start in starts:
        yield start
        yield smallest | start


def _halved_tokens(tokens: int, times: int) -> dict[str, Value]:
    lowered = tokens >> times
    return {"micro_batch_tokens": lowered} if times and lowered >= 16 else {}
