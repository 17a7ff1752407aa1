"""How much there is to learn from, how much of it was drawn, and how much is held out: what shares
are shares of. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping

from workbench import health
from workbench.algorithm import Metric
from workbench.formatting import counted, percent
from workbench.learning.metrics import EVAL

DRAWN, SIZE, HELD = "data/drawn", "data/size", f"{EVAL}size"


def count_metrics(noun: str, *, held_out: bool = True) -> tuple[Metric, ...]:
    """Return the metrics that count ``noun``, in the plural."""
    found = (
        Metric(DRAWN, f"{noun.capitalize()} drawn", noun, "steps times batch size",
               f"How many {noun} the steps of the cycle learned from. Where there are fewer to "
               "learn from, some come more than once.", exact=True),
        Metric(SIZE, f"{noun.capitalize()} to learn from", noun, "",
               f"How many {noun} there are to learn from, without those that are held out.",
               exact=True))
    return (*found, Metric(
        HELD, f"{noun.capitalize()} held out", noun, "",
        f"How many {noun} are read after a cycle that are never learned from. A share of few says "
        "little.", absent=f"No {noun} are held out, or it was not their turn in this cycle.",
        exact=True)) if held_out else found


def say_drawn(metrics: Mapping[str, float], noun: str) -> str:
    """Say how many of ``noun``, in the singular, a cycle has drawn, and of how many."""
    drawn, size = metrics.get(DRAWN), metrics.get(SIZE)
    if drawn is None:
        return ""
    if size is None:
        return counted(round(drawn), noun)
    whole = counted(round(size), noun)
    return f"{drawn:,.0f} of {whole}" if drawn <= size else f"{drawn:,.0f} draws of {whole}"


def say_share(metrics: Mapping[str, float], name: str) -> str:
    """Say a share, and of how many it is where that is known."""
    count = metrics.get(HELD if name.startswith(EVAL) else DRAWN)
    return percent(metrics[name]) + ("" if count is None else f" of {count:,.0f}")


def say_held(history: health.History, share: float) -> str:
    """Say a share of what is held out, and of how many it is where that is known."""
    count = health.last(history, HELD)
    return percent(share) + ("" if math.isnan(count) else f" of {count:,.0f}")
