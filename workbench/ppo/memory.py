"""How much memory a run will take, by phase and part, before it starts; and what to lower.

The most is held in one phase, not in the sum of all: sampling holds the cache, the update holds
gradients and activations, and weights and the optimiser's state are there throughout.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from workbench.feedback.classifier import rows_at_once
from workbench.learning.workload import Phases, Workload, needed
from workbench.models.device import tokens_at_once
from workbench.models.forward import head_chunks
from workbench.models.in_place_gradients import adds_in_place
from workbench.models.optimizer import state_bytes
from workbench.models.phases import Phase
from workbench.ppo.footprint import Footprint, PolicyCosts, Trunk
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.settings import HyperparameterError, Value

_FLOAT = 4
# Kernels keep buffers of their own.
_BUFFERS = 20 << 20
# A GPU's allocator holds on to pieces it cannot use: a share of what is worked with.
_SLACK = 0.2
# A sampled token's id, mask, log-probability, entropy, value, reward, advantage and so on.
_TOKEN_BYTES = 64
# Of a token that values are pretrained on: its id, mask, reward and return, and what makes those.
_EPISODE_BYTES = 32
# (b, V) tensors in float32 while a token is chosen: logits, log-probabilities, probabilities, and
# their sums in double precision; the first three stay until the next token replaces them.
_CHOOSING, _CHOSEN = 6, 3


def memory(models: Footprint, hp: Hyperparameters, work: Workload) -> Phases:
    """Estimate a run's memory on its device, in bytes.

    Every completion is taken to be as long as ``hp`` allows, every prompt as the longest.

    Raises:
        UnsupportedModelError: the policy cannot be trained as ``hp`` asks.
    """
    hp = hp.in_effect()
    costs, value = models.costs(hp), models.value_costs(hp)
    rows, width = max(hp.batch_size, work.compared), work.prompt + hp.response_length
    held = _held(models, hp, rows)
    working = {
        Phase.SAMPLING: _sampling(costs, rows, work.prompt, width),
        Phase.SCORING: _scoring(models, costs, hp, rows, work),
        Phase.UPDATING: _updating(models, costs, value, hp, work),
    }
    # Gradients and the optimiser's state are made in the first update and stay.
    made = working[Phase.UPDATING]["Gradients"] + held["Optimiser"]
    phases, before = {}, 0
    for phase, parts in working.items():
        used = sum(parts.values())
        if models.device.type == "cpu":
            # What a phase has freed lies in pieces between what stays, and the next has larger
            # ones; small ones, such as a layer's gradients, fill the holes. Given back at once
            # (MALLOC_MMAP_THRESHOLD_) it would not count, but every step would fetch it anew.
            lost = max(0, before - (made if phase is Phase.UPDATING else 0))
        else:
            lost = round(_SLACK * used)
        phases[phase] = held | parts | {"Allocator": _BUFFERS + lost}
        before += used
    phases |= _for_values(models, costs, value, hp, work, held)
    return {phase: phases[phase] for phase in Phase if phase in phases}


def relief(
    models: Footprint, hp: Hyperparameters, work: Workload, available: int,
) -> dict[str, Value]:
    """Return the gentlest change of settings with which a run fits into ``available`` bytes.

    Tokens at once comes first, since it changes no number, then the batch size; then what is
    decided at the start. Returns nothing where no change is found.
    """
    for changes in _gentlest_first(models, hp, work):
        try:
            wanted = hp.with_changes(changes)
        except HyperparameterError:
            continue
        if needed(memory(models, wanted, work)) <= available:
            return {name: value for name, (value, _) in wanted.differences(hp).items()}
    return {}


def less(models: Footprint, hp: Hyperparameters, work: Workload, phase: Phase) -> dict[str, Value]:
    """Return the live change to try when memory ran out in ``phase``.

    Half the tokens at once where that lowers what the phase works with by a fifth; else half the
    batch; nothing where neither can be lowered.
    """
    measured = {Phase.COMPARING: Phase.SAMPLING, Phase.READING: Phase.SCORING}.get(phase, phase)

    def working(settings: Hyperparameters) -> int:
        parts = memory(models, settings, work)[measured]
        held = _held(models, settings.in_effect(), settings.batch_size)
        return sum(parts[name] for name in parts if name not in held and name != "Allocator")

    for changes in (_halved_tokens(models, hp, work, 1), _halved_batch(hp, 1)):
        if changes:
            lowered = hp.with_changes(changes)
            if "batch_size" in changes or working(lowered) <= 0.8 * working(hp):
                return changes
    return {}


def _held(models: Footprint, hp: Hyperparameters, rows: int) -> dict[str, int]:
    weights, trained = models.weights, models.trained(hp)
    value = models.value_parameters(hp)
    return {
        "Policy": weights.bytes + (_FLOAT * (trained - value) if hp.lora_rank else 0),
        "Reference": 0 if hp.lora_rank else weights.bytes,
        "Value model": _FLOAT * value,
        "Reward model": models.reward_bytes,
        "Optimiser": models.optimizer_bytes(hp),
        "Completions": _TOKEN_BYTES * rows * hp.response_length,
    }


def _sampling(costs: PolicyCosts, rows: int, prompt: int, width: int) -> dict[str, int]:
    cache, logits = costs.cache(rows, width), _FLOAT * rows * costs.vocabulary
    step = max(costs.step(rows, width) + _CHOSEN * logits, _CHOOSING * logits)
    # Reading the prompts, when the cache holds nothing yet but takes its room.
    reading = costs.writing(rows, prompt) - costs.cache(rows, prompt)
    return {"KV cache": cache, "Packed weights": costs.packed, "Sampling": max(step, reading)}


def _scoring(
    models: Footprint, costs: PolicyCosts, hp: Hyperparameters, rows: int, work: Workload
) -> dict[str, int]:
    longest = work.prompt + hp.response_length - 1
    together = max(1, min(rows, _at_once(models, hp) // longest))
    tokens = together * hp.response_length
    states = _FLOAT * costs.width * (together * longest + tokens)
    reading = max(costs.reading(together, longest),
                  states + costs.head(1, _chunk(costs, tokens, models.device)))
    texts = min(rows, rows_at_once(work.scored))
    return {"Reading": max([reading, *(cost(texts, work.scored) for cost in models.rewards())])}


def _updating(
    models: Footprint, costs: PolicyCosts, value: Trunk | None, hp: Hyperparameters, work: Workload
) -> dict[str, int]:
    longest = work.prompt + hp.response_length - 1
    mini_batch = hp.batch_size // hp.num_mini_batches
    rows = max(1, min(mini_batch, _at_once(models, hp) // longest))
    tokens = rows * hp.response_length
    states = _FLOAT * costs.width * tokens * (2 if value else 1)
    kept = costs.trunk.kept(rows, longest) + (value.kept(rows, longest) if value else 0)
    # Elsewhere each weight's gradient is made before it is added to the sum.
    head, layer = (0, 0) if hp.lora_rank or adds_in_place(models.placement(hp)) else (
        _FLOAT * models.weights.head_parameters, _FLOAT * models.weights.largest_layer)
    reader = costs.head_entropy if hp.entropy_coef > 0 else costs.head_training
    heads = reader(1, _chunk(costs, tokens, models.device)) + head
    trunk = costs.trunk.peak(rows, longest) - costs.trunk.kept(rows, longest) + states + layer
    return {
        "Gradients": _FLOAT * models.trained(hp),
        # The states the heads read: as a whole, and in pieces with their gradients.
        "Activations": kept + 3 * states,
        "Logits and backward pass": max(heads, trunk),
    }


def _for_values(
    models: Footprint, costs: PolicyCosts, value: Trunk | None, hp: Hyperparameters, work: Workload,
    held: dict[str, int],
) -> Phases:
    """The phases in which values alone learn, as far as there are any. What they work with finds
    its place in what another phase has freed."""
    longest = work.prompt + hp.response_length - 1
    rows = max(1, min(hp.batch_size, _at_once(models, hp) // longest))
    width = models.value_width(hp) + 1
    if value is None:  # sums of products, in double precision, and the states they are made of
        reading = _scoring(models, costs, hp, rows, work)["Reading"]
        learning = {
            "Sums of states": 2 * _FLOAT * width * (2 * width + rows * hp.response_length),
            "Reading": reading}
        solving = 2 * _FLOAT * 4 * width**2
    else:
        parameters = models.value_parameters(hp) + width
        states = _FLOAT * width * rows * hp.response_length
        learning = {
            "Gradients": _FLOAT * parameters,
            "Activations": value.kept(rows, longest) + 3 * states,
            "Backward pass": value.peak(rows, longest) - value.kept(rows, longest)}
        # An optimiser of its own, and the best weights so far.
        solving = state_bytes(hp.optimizer, parameters) + _FLOAT * parameters
    phases: Phases = {}
    if hp.num_value_epochs:
        phases[Phase.VALUES] = held | learning | {"Allocator": _BUFFERS}
    if hp.value_pretraining_episodes:
        tokens = hp.value_pretraining_episodes * hp.response_length
        writing = _sampling(costs, hp.batch_size, work.prompt, work.prompt + hp.response_length)
        fitting = learning | {"Fitting": solving}
        most = max(writing, fitting, key=lambda parts: sum(parts.values()))
        phases[Phase.PRETRAINING] = held | {"Optimiser": 0} | most | {
            "Completions": _EPISODE_BYTES * tokens, "Allocator": _BUFFERS}
    return phases


def _at_once(models: Footprint, hp: Hyperparameters) -> int:
    return tokens_at_once(hp.micro_batch_tokens, models.device)


def _chunk(costs: PolicyCosts, tokens: int, device: torch.device) -> int:
    return next(head_chunks(tokens, costs.vocabulary, device)).stop


def _gentlest_first(
    models: Footprint, hp: Hyperparameters, work: Workload
) -> Iterator[dict[str, Value]]:
    yield {}
    tokens = [_halved_tokens(models, hp, work, times) for times in range(20)]
    batch = [_halved_batch(hp, times) for times in range(20)]
    yield from (t for t in tokens if t)
    yield from (b for b in batch if b)
    yield from (t | b for b in batch for t in tokens if t and b)
    smallest = next((t for t in reversed(tokens) if t), {})
    starts: tuple[dict[str, Value], ...] = ({"gradient_checkpointing": True}, {"lora_rank": 16})
    for start in starts:
        yield start
        yield smallest | start


def _halved_tokens(
    models: Footprint, hp: Hyperparameters, work: Workload, times: int
) -> dict[str, Value]:
    # More than the whole batch has at once changes nothing.
    whole = max(hp.batch_size, work.compared) * (work.prompt + hp.response_length)
    lowered = min(_at_once(models, hp), whole) >> times
    return {"micro_batch_tokens": lowered} if times and lowered >= 16 else {}


def _halved_batch(hp: Hyperparameters, times: int) -> dict[str, Value]:
    lowered = hp.batch_size >> times
    if not times or not lowered:
        return {}
    changes: dict[str, Value] = {"batch_size": lowered}
    if lowered % hp.num_mini_batches:
        changes["num_mini_batches"] = next(
            n for n in range(hp.num_mini_batches, 0, -1) if lowered % n == 0)
    return changes
