"""ILQL's objective as it is drawn: its terms' shares of the loss, and the loss of V by how much
better or worse than it a token was. No torch; the formulas are those of
:mod:`workbench.ilql.objective`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.algorithm import Curve, Items, LossCurve, Objective, Share, Term, weighed
from workbench.formatting import format_number, percent, short_number
from workbench.ilql.metrics import AWAC, CQL, TOTAL, Q, V
from workbench.papers import KOSTRIKOV_2021, KUMAR_2020, SNELL_2022

if TYPE_CHECKING:
    from workbench.algorithm import Array
    from workbench.records import TokenTrace

_BETTER = "advantage"  # the column of the trace that has Q - V


def shares(
    metrics: Mapping[str, float], settings: Mapping[str, Any], cycle: int
) -> Sequence[Share]:
    """Return what Q, V, the conservative term and imitation gave to the mean loss."""
    return (*(Share(metrics[name], short_number(metrics[name])) for name in (Q, V)),
            weighed(settings["cql_coef"], metrics[CQL], "c = 0"),
            weighed(settings["awac_coef"], metrics[AWAC], "c′ = 0"))


def value_loss(better: Array, settings: Mapping[str, Any]) -> Array:
    """Return the loss of V at tokens whose Q is by so much the higher, (n,) of (n,)."""
    import numpy as np

    tau = settings["tau"]
    return np.where(better < 0, 1 - tau, tau) * np.square(better)


def _curves(settings: Mapping[str, Any], metrics: Mapping[str, float]) -> Sequence[Curve]:
    return (Curve("", lambda better: value_loss(better, settings)),)


def _mark(settings: Mapping[str, Any], metrics: Mapping[str, float]) -> tuple[float, str]:
    return 0.0, "Q = V"


def items(traces: Sequence[TokenTrace], settings: Mapping[str, Any]) -> Items:
    """Return how much better or worse than its state each token kept was, before the cycle's
    steps."""
    import numpy as np

    there = [trace for trace in traces if _BETTER in trace.numbers]
    x = np.concatenate([np.asarray(trace.numbers[_BETTER], float) for trace in there]) if (
        there) else np.empty(0)
    return Items(x, np.zeros(len(x), int), [
        (trace.position, at) for trace in there for at in range(len(trace.numbers[_BETTER]))])


def _say(found: Items, settings: Mapping[str, Any], metrics: Mapping[str, float]) -> str:
    better, total = int((found.x > 0).sum()), len(found.x)
    tau = settings["tau"]
    return (f"{better:,} of {total:,} tokens ({percent(better / total)}) were found better than "
            f"their state before the cycle's steps. Each of these pulls V up by τ = "
            f"{format_number(tau)} of its distance, each other one down by "
            f"{format_number(round(1 - tau, 10))}.")


OBJECTIVE = Objective(
    "L_ILQL", TOTAL, (Q, V, CQL, AWAC, TOTAL),
    (Term("L_Q", "How far both heads of Q are from what a token brought and what is expected after "
          "it", formula="L_Q = Σ_i mean of (Q_i - [r + γ·V'])²", source=SNELL_2022),
     Term("L_V", "How far the value of a state is from the better of what was done in it",
          formula="L_V = mean of |τ - 1[Q < V]|·(Q - V)²", source=KOSTRIKOV_2021),
     Term("c · L_CQL", "The conservative term: how much Q would rather have another token than the "
          "one that was written, times its coefficient c",
          formula="L_CQL = Σ_i mean of -log softmax(Q_i)(a)", source=KUMAR_2020),
     Term("c′ · L_AWAC", "Imitation: how surprising the policy finds what was written, times its "
          "coefficient c′", formula="L_AWAC = mean of -log π(a)", source=SNELL_2022)),
    shares,
    curve=LossCurve(
        "Loss of V by Q − V",
        "Each dot is a token of the cycle, at how much better or worse than its state Q finds it. "
        "The curve is the loss of V there: steeper on the right, where τ counts it, so that V goes "
        "to the better of what was written rather than to its mean",
        "Q − V, in deviations", "L_V", "tokens", _curves, _mark, items, _say,
        least=0.1,
        formula="L_V = |τ - 1[Q < V]|·(Q - V)²", source=f"{SNELL_2022}; {KOSTRIKOV_2021}"))
