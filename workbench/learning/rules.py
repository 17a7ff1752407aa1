"""The rules of the health check for what learns from data that is there: they look at what is
written to be compared after every cycle. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from workbench import health
from workbench.formatting import percent
from workbench.learning import counts
from workbench.learning.metrics import HELD
from workbench.settings import Value

_UNLIKELY = 0.1
WATCHED = ("objective/kl", "objective/length", "objective/unlikely")


def _kl(history: health.History, hp: Any) -> health.Reading:
    """A token e times likelier than at the start, on average (1 nat), is far for a fine-tuned
    model; at 3 nats the start policy's language is gone. What learns by default stays below 0.4."""
    length = "objective/length"
    kl, last = health.recent(history, "objective/kl"), health.last(history, "objective/kl")
    token = kl / max(1.0, health.recent(history, length))
    last_token = last / max(1.0, health.last(history, length))
    over = health.OVER_RECENT
    if last_token > 3 or math.isnan(token):  # what is lost within a cycle is told of at once
        kl, token, over = last, last_token, ""
    return health.spoken(
        f"{token:.2f} nats a token", "above 1",
        health.both(token) if over else health.both(last_token / 3),
        "serious" if token > 3 else "warning", (
            f"The compared completions are {kl:.0f} nats from the start policy, {token:.1f} a "
            "token: its language is being lost."), over)


def _unlikely(history: health.History, hp: Any) -> health.Reading:
    """The bundled policy itself writes 0.5 % of such words."""
    now = health.recent(history, "objective/unlikely")
    return health.spoken(
        f"{percent(now)} of the tokens", f"above {percent(_UNLIKELY)}",
        health.both(now / _UNLIKELY), "serious" if now > 3 * _UNLIKELY else "warning", (
            f"{percent(now)} of the tokens of the compared completions are ones that the start "
            "policy would write less than once in a thousand times."))


def by_heart(
    history: health.History, own: str, held: str, passes: str, said: tuple[str, str], *,
    of: str = HELD, noun: str = "", every: int = 1,
) -> health.Reading:
    """Return where the rule stands that what is told apart after several passes says nothing,
    unless the held-out ones are told apart too. A cycle of several passes is enough to tell.

    Args:
        own, held, passes: the metrics: shares of what is learned from and of what is held out, and
            how often each has been learned from.
        said: of what ``own`` is the share, and what is then said to be known by heart.
        of, noun: what ``held`` is a share of, as :func:`workbench.learning.counts.say_held`.
        every: after how many cycles held-out ones are read.
    """
    share, apart = health.so_far(history, own), health.so_far(history, held)
    times, told = health.last(history, passes), counts.say_held(history, apart, of, noun)
    known = math.isfinite(apart)
    none = not known and len(history.get(own, ())) >= every
    gap = share - apart if known else math.nan if not none else 0.3 if share > 0.99 else 0.0
    value = f"{percent(share)}, held out {told}" if known else percent(share)
    limit = ("above 99% after two passes, with nothing held out that tells" if none else
             "above 95% after two passes, and 15 points above the held-out ones")
    but = (f" but of the held-out ones {told}: {said[1]} known by heart" if known else
           f", and nothing is held out that tells whether others are: {said[1]} most likely "
           "known by heart")
    return health.spoken(
        value, limit, health.both(share / 0.95, times / 2, gap / 0.15), "warning",
        f"{percent(share)} {said[0]} after {times:.1f} passes{but}.",
        health.over_so_far(history, own))


def of_compared(
    prefix: str, advice: str, setting: str, change: Callable[[Any], Value]
) -> tuple[health.Rule, ...]:
    """Return the rules, under names that begin with ``prefix``.

    Args:
        advice: what to do, in a sentence.
        setting, change: what is proposed.
    """
    return (
        health.Rule(f"{prefix}_kl", "Language is lost", "objective/kl", _kl, advice, setting,
                    change, short="KL"),
        health.Rule(f"{prefix}_unlikely", "Words the start policy would not write",
                    "objective/unlikely", _unlikely, advice, setting, change, short="Words"))
