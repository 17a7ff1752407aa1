"""The parts of a cycle of DPO. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from workbench.dpo.metrics import ACCURACY, LOSS, MARGIN
from workbench.formatting import number
from workbench.learning import counts, parts
from workbench.learning.metrics import EVAL


def _say_update(metrics: Mapping[str, float]) -> str:
    if LOSS not in metrics:
        return ""
    return f"loss {number(metrics[LOSS], 3)}, margin {number(metrics[MARGIN])}"


def _say_held_out(metrics: Mapping[str, float]) -> str:
    name = f"{EVAL}{ACCURACY}"
    return f"accuracy {counts.say_share(metrics, name)}" if name in metrics else ""


def say_drawn(metrics: Mapping[str, float]) -> str:
    """Say how many pairs a cycle has drawn."""
    return counts.say_drawn(metrics, "pair")


DRAW = replace(
    parts.DRAW, title="Draw pairs", say=say_drawn,
    help="Of the pairs so many are drawn as the cycle's steps learn from. The start policy has "
         "read them all before the first cycle; nothing is written.")
UPDATE = replace(
    parts.UPDATE, say=_say_update,
    help="Each step makes the chosen completion of a pair likelier against the rejected one, "
         "measured from the start policy.")
EVALUATE = replace(
    parts.EVALUATE, say=_say_held_out,
    help="The policy reads pairs of prompts that it never learns from: how often does it stand for "
         "the chosen completion?")
PARTS = (DRAW, UPDATE, EVALUATE, parts.COMPARE)
