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


def say_share(metrics: Mapping[str, float], name: str, of: str = "", noun: str = "") -> str:
    """Say a share, and of how many it is where that is known: of the metric ``of``, and what these
    are in the singular; by default of what is drawn or held out."""
    of = of or (HELD if name.startswith(EVAL) else DRAWN)
    return percent(metrics[name]) + of_many(metrics.get(of, math.nan), noun)


def say_held(history: health.History, share: float, of: str = HELD, noun: str = "") -> str:
    """Say a share of what is held out, and of how many it is where that is known, as
    :func:`say_share`."""
    return percent(share) + of_many(health.last(history, of), noun)


def of_many(count: float, noun: str = "") -> str:
    """Return what follows a share to say of how many it is; nothing where that is not known."""
    if math.isnan(count):
        return ""
    return f" of {counted(round(count), noun) if noun else f'{count:,.0f}'}"
