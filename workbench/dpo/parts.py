"""The parts of a cycle of DPO. No torch."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.algorithm import Part
from workbench.dpo.metrics import ACCURACY, EVAL, LOSS, MARGIN
from workbench.formatting import number, percent
from workbench.learning.parts import COMPARE


def _say_update(metrics: Mapping[str, float]) -> str:
    if LOSS not in metrics:
        return ""
    return f"loss {number(metrics[LOSS], 3)}, margin {number(metrics[MARGIN])}"


def _say_held_out(metrics: Mapping[str, float]) -> str:
    name = f"{EVAL}{ACCURACY}"
    return f"accuracy {percent(metrics[name])}" if name in metrics else ""


def say_drawn(metrics: Mapping[str, float]) -> str:
    """Say how many pairs a cycle has drawn."""
    return f"{metrics['pairs']:.0f} pairs" if "pairs" in metrics else ""


DRAW = Part(
    "draw", "Draw pairs", 1,
    "Of the pairs so many are drawn as the cycle's steps learn from. The start policy has read "
    "them all before the first cycle; nothing is written.",
    "tokens", say_drawn)
UPDATE = Part(
    "update", "Update", 2,
    "Each step makes the chosen completion of a pair likelier against the rejected one, measured "
    "from the start policy.",
    "metrics", _say_update)
EVALUATE = Part(
    "evaluate", "Held out", 0,
    "The policy reads pairs of prompts that it never learns from: how often does it stand for the "
    "chosen completion?",
    "metrics", _say_held_out)
PARTS = (DRAW, UPDATE, EVALUATE, COMPARE)
