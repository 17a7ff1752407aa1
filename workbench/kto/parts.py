"""The parts of a cycle of KTO. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from workbench.formatting import number
from workbench.kto.metrics import LOSS, MARGIN, PAIR, PAIRS, TOLD_APART
from workbench.learning import counts, parts
from workbench.learning.metrics import EVAL


def _say_update(metrics: Mapping[str, float]) -> str:
    if LOSS not in metrics:
        return ""
    margin = f", good less bad {number(metrics[MARGIN])}" if MARGIN in metrics else ""
    return f"loss {number(metrics[LOSS], 3)}{margin}"


def _say_held_out(metrics: Mapping[str, float]) -> str:
    told = say_told_apart(metrics, EVAL)
    return f"told apart {told}" if told else ""


def say_told_apart(metrics: Mapping[str, float], prefix: str = "") -> str:
    """Say how many of the good-bad pairs are told apart, of those with the names ``prefix``."""
    name = f"{prefix}{TOLD_APART}"
    return counts.say_share(metrics, name, f"{prefix}{PAIRS}", PAIR) if name in metrics else ""


def say_drawn(metrics: Mapping[str, float]) -> str:
    """Say how many completions a cycle has drawn."""
    return counts.say_drawn(metrics, "completion")


DRAW = replace(
    parts.DRAW, title="Draw", say=say_drawn,
    help="Of the completions so many are drawn as the cycle's steps learn from. The start policy "
         "has read them all before the first cycle; nothing is written.")
UPDATE = replace(
    parts.UPDATE, say=_say_update,
    help="Each step makes good completions likelier and bad ones less likely, measured from the "
         "start policy and from how far the policy has moved as a whole.")
EVALUATE = replace(
    parts.EVALUATE, say=_say_held_out,
    help="The policy reads completions of prompts that it never learns from: does it tell the good "
         "ones from the bad?")
PARTS = (DRAW, UPDATE, EVALUATE, parts.COMPARE)
