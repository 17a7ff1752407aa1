"""DPO's objective as it is drawn: its terms' shares of the loss, and the loss of a pair by its
margin. No torch; the formulas are those of :mod:`workbench.dpo.objective`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.algorithm import Curve, Items, LossCurve, Objective, Share, Term, weighed
from workbench.dpo.metrics import LOSS, SFT
from workbench.formatting import number, percent, short_number
from workbench.learning.implicit_reward import log_ratio
from workbench.learning.metrics import DATA
from workbench.papers import AZAR_2023, CHOWDHURY_2024, PANG_2024, RAFAILOV_2023, ZHAO_2023

if TYPE_CHECKING:
    from workbench.algorithm import Array
    from workbench.records import TokenTrace


def shares(
    metrics: Mapping[str, float], settings: Mapping[str, Any], cycle: int
) -> Sequence[Share]:
    """Return what preferences and imitation gave to the mean loss."""
    coefficient = settings.get("sft_coef", 0.0)
    return (Share(metrics[LOSS], short_number(metrics[LOSS])),
            weighed(coefficient, metrics.get(SFT, math.nan), "c = 0"))


def pair_loss(margin: Array, settings: Mapping[str, Any]) -> Array:
    """Return the preference loss of pairs of a ``margin`` β·d, (n,) of (n,)."""
    import numpy as np

    kind, beta = settings["loss_type"], settings["beta"]
    if kind == "hinge":
        return (1 - margin).clip(min=0)
    if kind == "ipo":
        return np.square((margin - 0.5) / beta)
    right, wrong = np.logaddexp(0, -margin), np.logaddexp(0, margin)
    share = settings.get("label_smoothing", 0.0)
    if kind == "robust":
        return ((1 - share) * right - share * wrong) / (1 - 2 * share)
    return (1 - share) * right + share * wrong


def _curves(settings: Mapping[str, Any], metrics: Mapping[str, float]) -> Sequence[Curve]:
    return (Curve("", lambda margin: pair_loss(margin, settings)),)


def _mark(settings: Mapping[str, Any], metrics: Mapping[str, float]) -> tuple[float, str]:
    aim = {"ipo": (0.5, "aim"), "hinge": (1.0, "enough")}
    return aim.get(settings["loss_type"], (0.0, "start policy"))


def items(traces: Sequence[TokenTrace], settings: Mapping[str, Any]) -> Items:
    """Return the margin of each pair whose tokens are kept, before its step; it is found at its
    chosen completion."""
    import numpy as np

    known = {trace.position: log_ratio(trace) for trace in traces}
    if settings["loss_type"] == "ipo" and settings.get("average_log_prob"):
        known = {trace.position: known[trace.position] / len(trace.tokens) for trace in traces}
    chosen = [row for row in sorted(known) if row % 2 == 0 and row + 1 in known
              and math.isfinite(known[row]) and math.isfinite(known[row + 1])]
    x = settings["beta"] * np.array([known[row] - known[row + 1] for row in chosen])
    return Items(x, np.zeros(len(chosen), int), [(row, 0) for row in chosen])


def _say(found: Items, settings: Mapping[str, Any], metrics: Mapping[str, float]) -> str:
    total, right = len(found.x), int((found.x > 0).sum())
    size = metrics.get(DATA, total)
    whole = f"{total:,} pairs" if size >= total else f"{total:,} draws of {size:,.0f} pairs"
    what = {
        "hinge": "a pair beyond 1 teaches nothing more",
        "ipo": "a pair beyond ½ is pulled back",
    }.get(settings["loss_type"], "the steeper the curve at a pair, the more it teaches")
    return (f"{right:,} of {whole} ({percent(right / total)}) were the right way round, "
            "right of 0, when they were learned from; the mean margin was "
            f"{number(float(found.x.mean()))}. "
            f"{what[0].upper()}{what[1:]}.")


OBJECTIVE = Objective(
    "L_DPO", "", (LOSS,),
    (Term("L_PREF", "The loss of the pairs: the less, the clearer the policy stands for the chosen "
          "completion against the rejected one, measured from the start policy. Mean over the "
          "cycle's pairs, each before its step",
          formula="L_PREF = mean of -log s(β·d)", source=RAFAILOV_2023),
     Term("c · L_SFT", "How surprised the policy is by the chosen completions, a token, times the "
          "SFT coefficient c: keeps them likely", optional=True,
          formula="L_SFT = mean of {-log π(chosen)}÷{tokens}", source=PANG_2024)),
    shares,
    curve=LossCurve(
        "Loss by margin",
        "Each dot is a pair of the cycle, at its margin: by how much more the policy's log-ratio "
        "to the start policy is for the chosen completion than for the rejected one, times β. "
        "Right of 0 the policy stands for the chosen one. The curve is what a pair of that margin "
        "adds to the loss, and where it is steep a pair teaches much",
        "margin β·d", "loss", "pairs", _curves, _mark, items, _say,
        least=2.0,
        formula="d = log {π(chosen)}÷{π_start(chosen)} - log {π(rejected)}÷{π_start(rejected)}\n"
                "sigmoid: -log s(β·d); hinge: max(0, 1 - β·d); ipo: (d - 1÷(2·β))²",
        source=f"{RAFAILOV_2023}; {ZHAO_2023}; {AZAR_2023}; {CHOWDHURY_2024}"),
    more=(SFT, DATA))
