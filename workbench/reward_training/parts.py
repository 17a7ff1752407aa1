"""The parts of a cycle that trains a reward model. No torch."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.algorithm import Part
from workbench.formatting import number
from workbench.learning import counts
from workbench.learning.parts import COMPARE, say_number
from workbench.reward_training.metrics import ACCURACY, HELD_ACCURACY, LOSS, SAMPLES


def say_drawn(metrics: Mapping[str, float]) -> str:
    """Say how many pairs a cycle has drawn."""
    return counts.say_drawn(metrics, "pair")


def _say_update(metrics: Mapping[str, float]) -> str:
    if LOSS not in metrics:
        return ""
    return f"loss {number(metrics[LOSS], 3)}, right {counts.say_share(metrics, ACCURACY)}"


def _say_held_out(metrics: Mapping[str, float]) -> str:
    return f"right {counts.say_share(metrics, HELD_ACCURACY)}" if HELD_ACCURACY in metrics else ""


DRAW = Part(
    "draw", "Draw pairs", 1,
    "Of the pairs so many are drawn as the cycle's steps learn from; nothing is written.",
    "tokens", say_drawn)
UPDATE = Part(
    "update", "Update", 2,
    "Each step raises the score of the chosen completion of a pair against that of the rejected "
    "one. The policy stays as it is.",
    "metrics", _say_update)
EVALUATE = Part(
    "evaluate", "Held out", 0,
    "The reward model reads pairs of prompts that it never learns from: how often does the chosen "
    "completion have the higher score?",
    "metrics", _say_held_out)
SCORE = Part(
    COMPARE.name, "Score", 0,
    "The reward model scores the completions of the compared prompts. The policy wrote them once, "
    "so that one sees how the judge has changed.",
    "completions", say_number("mean", SAMPLES))
PARTS = (DRAW, UPDATE, EVALUATE, SCORE)
