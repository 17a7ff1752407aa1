"""The parts of a cycle that all algorithms have. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from workbench.algorithm import Part
from workbench.formatting import number
from workbench.learning.metrics import COMPARED, LENGTH, SCORES


def say_number(label: str, metric: str, places: int = 2) -> Callable[[Mapping[str, float]], str]:
    """Return what says a metric as soon as it is known: "mean 1.42"."""
    def say(metrics: Mapping[str, float]) -> str:
        return f"{label} {number(metrics[metric], places)}" if metric in metrics else ""
    return say


WRITE = Part(
    "write", "Write", 1,
    "The policy completes the prompts of this cycle, token by token, by chance.",
    "tokens", say_number("mean length", LENGTH, 0))
SCORE = Part(
    "score", "Score", 1,
    "The reward says how good each completion is, and the start policy how likely it finds it.",
    "tokens", say_number("mean", SCORES))
UPDATE = Part(
    "update", "Update", 2,
    "Gradient steps make likelier what turned out better, and less likely what turned out worse.",
    "metrics")
DRAW = Part(
    "draw", "Draw", 1,
    "Of the data so much is drawn as the cycle's steps learn from. The start policy has read all "
    "of it before the first cycle; nothing is written.",
    "tokens")
EVALUATE = Part(
    "evaluate", "Held out", 0,
    "The policy reads data of prompts that it never learns from.", "metrics")
HOLDING_OUT = ("held_out_share", "held_out_prompts")
"""The settings that hold data out: where none does, a cycle has no :data:`EVALUATE`."""
COMPARE = Part(
    "compare", "Compare", 0,
    "The updated policy completes the compared prompts, so that one sees what it has learned.",
    "completions", say_number("mean", COMPARED))
PARTS = (WRITE, SCORE, UPDATE, COMPARE)
