"""KTO's objective as it is drawn: what good and bad completions give to the loss, and the loss of
one by its implicit reward. No torch; the formulas are those of :mod:`workbench.kto.objective`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.algorithm import Curve, Items, LossCurve, Objective, Share, Term
from workbench.formatting import number, short_number
from workbench.kto.metrics import KL as Z
from workbench.kto.metrics import LOSS, OF_BAD, OF_GOOD
from workbench.kto.tokens import MARK
from workbench.learning.implicit_reward import log_ratio
from workbench.papers import ETHAYARAJH_2024

if TYPE_CHECKING:
    from workbench.algorithm import Array
    from workbench.records import TokenTrace

_OFF = Share(0.0, "off", off=True)


def shares(
    metrics: Mapping[str, float], settings: Mapping[str, Any], cycle: int
) -> Sequence[Share]:
    """Return what the good and the bad completions gave to the mean loss; of a cycle of which that
    was not measured, what all gave."""
    loss, good, bad = metrics[LOSS], metrics.get(OF_GOOD), metrics.get(OF_BAD)
    if good is None or bad is None:
        return Share(loss, short_number(loss)), _OFF, _OFF
    return _OFF, Share(good, short_number(good)), Share(bad, short_number(bad))


def mark_loss(
    reward: Array, good: bool, settings: Mapping[str, Any], z: float
) -> Array:
    """Return the loss of completions of an implicit ``reward`` β·h, (n,) of (n,), where the
    reference point is ``z``."""
    import numpy as np

    weight = settings["desirable_weight" if good else "undesirable_weight"]
    away = reward - settings["beta"] * max(0.0, z)
    return weight / (1 + np.exp(np.clip(away if good else -away, -500, 500)))


def _curves(settings: Mapping[str, Any], metrics: Mapping[str, float]) -> Sequence[Curve]:
    z = metrics.get(Z, 0.0)
    return (Curve("bad", lambda reward: mark_loss(reward, False, settings, z), "bad"),
            Curve("good", lambda reward: mark_loss(reward, True, settings, z), "good"))


def _mark(settings: Mapping[str, Any], metrics: Mapping[str, float]) -> tuple[float, str]:
    return settings["beta"] * metrics.get(Z, math.nan), "β·z"


def items(traces: Sequence[TokenTrace], settings: Mapping[str, Any]) -> Items:
    """Return the implicit reward of each completion whose tokens are kept, before its step."""
    import numpy as np

    there = [(trace, ratio) for trace in traces
             if MARK in trace.numbers and math.isfinite(ratio := log_ratio(trace))]
    return Items(settings["beta"] * np.array([ratio for _, ratio in there]),
                 np.array([int(trace.numbers[MARK][0]) for trace, _ in there], int),
                 [(trace.position, 0) for trace, _ in there])


def _say(found: Items, settings: Mapping[str, Any], metrics: Mapping[str, float]) -> str:
    z = settings["beta"] * metrics.get(Z, 0.0)
    good, bad = found.x[found.curve == 1], found.x[found.curve == 0]
    return (f"{int((good > z).sum()):,} of {len(good):,} good ones were above the reference point "
            f"{number(z)} when they were learned from, and {int((bad < z).sum()):,} of "
            f"{len(bad):,} bad ones below. A completion teaches most near it.")


OBJECTIVE = Objective(
    "L_KTO", "", (LOSS,),
    (Term("L_MARKS", "The loss of good and bad completions. Mean over the cycle, each before its "
          "step", optional=True, formula="mean of λ·[1 - s(±β·(h - z))]", source=ETHAYARAJH_2024),
     Term("L_GOOD", "What the good completions gave: the less, the more the policy has come to "
          "write them, beyond what it does of everything. Weighed by λ_D, over all completions",
          optional=True, formula="{Σ_good λ_D·[1 - s(β·(h - z))]}÷{completions}",
          source=ETHAYARAJH_2024, tone="good"),
     Term("L_BAD", "What the bad completions gave: the less, the more the policy has left them. "
          "Weighed by λ_U, over all completions",
          optional=True, formula="{Σ_bad λ_U·[1 - s(β·(z - h))]}÷{completions}",
          source=ETHAYARAJH_2024, tone="bad")),
    shares,
    curve=LossCurve(
        "Loss by implicit reward",
        "Each dot is a completion of the cycle, at its implicit reward: how much likelier the "
        "policy has become to write it than the start policy, times β. A good one loses as it "
        "rises, a bad one as it falls, both around the reference point β·z: how far the policy has "
        "moved on the whole, here the mean of the cycle's steps",
        "implicit reward β·h", "loss", "completions", _curves, _mark, items, _say,
        least=2.0,
        formula="h = log {π}÷{π_start}\ngood: λ_D·[1 - s(β·(h - z))]\n"
                "bad: λ_U·[1 - s(β·(z - h))]",
        source=ETHAYARAJH_2024),
    more=(OF_GOOD, OF_BAD, Z))
