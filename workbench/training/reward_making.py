"""A reward model of what was said in Judge: how many pairs it takes, how it is trained on them, how
long that takes, and how the policy goes on with it. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from workbench.algorithm import Algorithm
from workbench.algorithms import ALGORITHMS
from workbench.formatting import counted
from workbench.learning.metrics import SECONDS
from workbench.models.fitting_rate import fitting_learning_rate
from workbench.settings import Settings, Value
from workbench.training.commands import Fork
from workbench.training.reward_parts import RewardPart

if TYPE_CHECKING:
    from workbench.store.records import RunRecord
    from workbench.store.store import Store

LEAST = 8
"""So many pairs can be learned from."""
MORE_CYCLES = 20
"""So many cycles the policy goes on with the new reward."""
_WRITTEN = ("response_length", "temperature", "stop_strings", "control_tokens", "precision",
            "comparison_prompts", "seed")
"""What the policy's run decides: what it writes is what will be scored."""
_BATCH, _SMALL_BATCH = 16, 4
_STEPS = 30
"""At least so many steps are taken, however few the pairs are."""
_PASSES = 2
"""With one mark in ten wrong, more learn the wrong ones by heart."""
_MOST_PASSES = 12
_HELD_FROM = 30
"""Of fewer pairs none is held out."""
_RATE = 2.0
"""How much higher the learning rate is than one for a policy: the head begins at random."""
_PER_PAIR = 0.009
"""Seconds that a pair takes in one pass with the bundled policy, on one core of 2024."""
_BUNDLED = 1.6e6
_GPU = 40.0
"""How many times faster a GPU is, roughly."""


def making() -> Algorithm:
    """Return what makes a reward model of pairs."""
    return next(each for each in ALGORITHMS if each.makes == "reward model")


def settings_for(pairs: int, parameters: int, like: Mapping[str, Value]) -> Settings:
    """Return how a reward model is trained on so many pairs, a cycle for each pass over them.

    Args:
        pairs: how many there are.
        parameters: how many the policy has, on whose trunk it is trained.
        like: the settings of the policy's run, or of the next one.
    """
    held = 0.1 if pairs >= _HELD_FROM else 0.0
    batch = min(_BATCH, max(_SMALL_BATCH, pairs // 8))
    steps = max(1, math.ceil(pairs * (1 - held) / batch))
    cycles = min(_MOST_PASSES, max(_PASSES, math.ceil(_STEPS / steps)))
    known = {name: like[name] for name in _WRITTEN if name in like}
    return making().settings.parse({
        **known, "num_cycles": cycles, "batch_size": batch, "steps_per_cycle": steps,
        "held_out_share": held, "learning_rate": _RATE * fitting_learning_rate(parameters)})


def seconds_for(
    store: Store, settings: Settings, *, policy: str, parameters: int, gpu: bool
) -> float:
    """Return about how many seconds that takes: as long as the last reward model of this policy
    took for each pair, or, where there is none, by the policy's size."""
    read = settings.num_cycles * _read(settings.model_dump())
    for run in store.runs():
        if run.algorithm == making().name and run.policy == policy and run.cycles:
            took = store.metrics(run.id, (SECONDS,))
            if known := run.cycles * _read(run.hyperparameters):
                return read * sum(took[SECONDS].values) / known
    return read * _PER_PAIR * parameters / _BUNDLED / (_GPU if gpu else 1.0)


def _read(settings: Mapping[str, Value]) -> int:
    """Return how many pairs a cycle learns from."""
    return int(settings["steps_per_cycle"]) * int(settings["batch_size"])


def about(seconds: float) -> str:
    """Write a duration that is known roughly."""
    if seconds < 45:
        return "less than a minute"
    if seconds < 90:
        return "about a minute"
    minutes = round(seconds / 60)
    return f"about {counted(minutes, 'minute')}" if minutes < 90 else (
        f"about {counted(round(minutes / 60), 'hour')}")


def agreement(store: Store, run_id: int) -> float:
    """Return on which share of the pairs a reward model that was made goes with what was said: of
    the held-out ones, or else of those that it has learned from; NaN where nothing was measured."""
    names = [figure.metric for figure in making().progress]
    found = store.metrics(run_id, names)
    return next((found[name].values[-1] for name in names
                 if name in found and found[name].values), math.nan)


def too_few(pairs: int) -> str:
    """Return why so many pairs are none to make a reward of; "" where they are enough."""
    return "" if pairs >= LEAST else (
        f"Say of {counted(LEAST - pairs, 'more pair' if pairs else 'pair')} which side is better "
        "first.")


def next_name(store: Store, judged: str) -> str:
    """Return what the next reward model of a set of judgements is called."""
    taken, number = {run.name for run in store.runs()}, 1
    while f"{judged} {number}" in taken:
        number += 1
    return f"{judged} {number}"


def going_on(store: Store, run: RunRecord, parts: tuple[RewardPart, ...]) -> Fork | None:
    """Return the fork of a run that goes on from its last checkpoint with another reward; None: it
    has learned nothing yet that there is a checkpoint of."""
    known = [each.cycle for each in store.checkpoints.all(run.id) if each.cycle <= run.cycles]
    if not known or not known[-1]:
        return None
    last = known[-1]
    planned = int(store.settings_planned(run.id).get("num_cycles", 0))
    cycles = planned if planned - last >= MORE_CYCLES // 2 else last + MORE_CYCLES
    return Fork(run.id, last, {"num_cycles": cycles} if cycles != planned else {}, reward=parts)
