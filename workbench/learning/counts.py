"""How much there is to learn from, how much of it was drawn, and how much is held out: what shares
are shares of. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping

from workbench import health
from workbench.formatting import counted, percent
from workbench.learning.metrics import DATA, DRAWN, EVAL, HELD


def say_drawn(metrics: Mapping[str, float], noun: str) -> str:
    """Say how many of ``noun``, in the singular, a cycle has drawn, and of how many."""
    drawn, size = metrics.get(DRAWN), metrics.get(DATA)
    if drawn is None:
        return ""
    if size is None:
        return counted(round(drawn), noun)
    return (f"{counted(round(size), noun)}, {drawn:,.0f} "
            f"{'drawn' if drawn <= size else 'draws'}")


def say_share(metrics: Mapping[str, float], name: str) -> str:
    """Say a share, and of how many it is where that is known."""
    count = metrics.get(HELD if name.startswith(EVAL) else DRAWN)
    return percent(metrics[name]) + ("" if count is None else f" of {count:,.0f}")


def say_held(history: health.History, share: float) -> str:
    """Say a share of what is held out, and of how many it is where that is known."""
    count = health.last(history, HELD)
    return percent(share) + ("" if math.isnan(count) else f" of {count:,.0f}")
