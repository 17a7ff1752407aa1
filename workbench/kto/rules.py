"""The rules of KTO's health check."""

from __future__ import annotations

import math

from workbench import health
from workbench.formatting import number, percent
from workbench.kto.hyperparameters import KTOSettings
from workbench.kto.metrics import (
    GOOD,
    LOSS,
    MARGIN,
    METRICS,
    PAIR,
    PAIRS,
    PASSES,
    REWARD_GOOD,
    SHARE,
    TOLD_APART,
)
from workbench.learning import rules
from workbench.learning.metrics import DATA, DRAWN, EVAL

_LABELS = {metric.name: metric.label for metric in METRICS}
_HELD, _HELD_PAIRS = f"{EVAL}{TOLD_APART}", f"{EVAL}{PAIRS}"
_FAR_MARGIN, _FAR_NATS, _FALLEN = 5.0, 50.0, 0.2
_ENOUGH = 64
_SCARCE = 4.0
"""So many times as much as the other kind may one weigh."""


def _not_finite(history: health.History, hp: KTOSettings) -> health.Reading:
    return health.all_finite(history, (LOSS, "policy/grad_norm"), _LABELS)


def _runaway(history: health.History, hp: KTOSettings) -> health.Reading:
    """A margin of 5 is odds of 150 to 1; with a small β it is never reached, but 50 nats are as
    far. Log-probabilities of good completions should rise; where they fall by a fifth, it is the
    language that goes. (They are of other completions each cycle; β times how far they have moved
    is the reward.)"""
    margin, far = health.recent(history, MARGIN), min(_FAR_MARGIN, _FAR_NATS * hp.beta)
    now, moved = health.recent(history, GOOD), health.recent(history, REWARD_GOOD) / hp.beta
    fallen = -moved / max(abs(now - moved), 1e-9)
    share = health.both(margin / far, fallen / _FALLEN)
    return health.spoken(
        f"good less bad {number(margin)}, log π of the good {percent(-fallen)}",
        f"above {far:g} while log π of the good falls by {percent(_FALLEN)}", share,
        "serious" if share > 2 else "warning", (
            f"The good ones are {number(margin)} above the bad while they have become "
            f"{percent(fallen)} less likely in nats: the policy runs away from both."))


def _good(history: health.History) -> float:
    """Return the share of good ones as soon as so many were drawn that it is that of the data, or
    nearly; NaN before."""
    drawn = [count for count in history.get(DRAWN, ()) if math.isfinite(count)]
    enough = sum(drawn) >= min(_ENOUGH, health.last(history, DATA))
    return health.so_far(history, SHARE) if enough else health.recent(history, SHARE)


def _scarce(good: float, bad: float) -> tuple[float, float, str]:
    """Return how many times as much the other kind weighs as one of which there is a share of
    ``good``, the share of the limit that this is, and the ratio in words."""
    times = health.ratio(bad, good)
    return times, health.both(times / _SCARCE), f"1 : {number(times, 1)}"


def _few_good(history: health.History, hp: KTOSettings) -> health.Reading:
    good = _good(history)
    times, share, value = _scarce(hp.desirable_weight * good, hp.undesirable_weight * (1 - good))
    return health.spoken(value, f"bad ones weighing {_SCARCE:g} times as much", share, "warning", (
        f"{percent(good)} of the completions are good, and with their weights the bad ones count "
        f"{number(times, 1)} times as much: the policy learns what not to write, and little of "
        "what to."), health.over_so_far(history, SHARE))


def _few_bad(history: health.History, hp: KTOSettings) -> health.Reading:
    good = _good(history)
    times, share, value = _scarce(hp.undesirable_weight * (1 - good), hp.desirable_weight * good)
    return health.spoken(value, f"good ones weighing {_SCARCE:g} times as much", share, "warning", (
        f"{percent(1 - good)} of the completions are bad, and with their weights the good ones "
        f"count {number(times, 1)} times as much: the policy hardly learns what not to write."),
        health.over_so_far(history, SHARE))


def _by_heart(history: health.History, hp: KTOSettings) -> health.Reading:
    return rules.by_heart(
        history, TOLD_APART, _HELD, PASSES,
        ("of the good and bad completions are told apart", "they are"), of=_HELD_PAIRS, noun=PAIR)


RULES = (
    health.Rule(
        health.NOT_FINITE, "Numbers lost", LOSS, _not_finite,
        "Lower the learning rate and go back to the last checkpoint.", "learning_rate",
        lambda hp: hp.learning_rate / 10, alone=True),
    health.Rule(
        "kto_runaway", "Margin runs away", MARGIN, _runaway,
        "Raise β, lower the learning rate, or lower the weight of the bad ones.", "beta",
        lambda hp: 2 * hp.beta, short="Margin"),
    health.Rule(
        "kto_few_good", "Good ones scarce", SHARE, _few_good,
        "Raise the weight of good ones (desirable_weight), lower the threshold, or bring more that "
        "are good.", "desirable_weight", lambda hp: max(1.0, 2 * hp.desirable_weight),
        short="Good"),
    health.Rule(
        "kto_few_bad", "Bad ones scarce", SHARE, _few_bad,
        "Raise the weight of bad ones (undesirable_weight), raise the threshold, or bring more "
        "that are bad.", "undesirable_weight", lambda hp: max(1.0, 2 * hp.undesirable_weight),
        short="Bad"),
    health.Rule(
        "kto_by_heart", "Known by heart", TOLD_APART, _by_heart,
        "Stop here, bring more completions, or lower the learning rate.", "learning_rate",
        lambda hp: hp.learning_rate / 2, short="By heart"),
    *rules.of_compared(
        "kto", "Lower the learning rate or raise β, and go back to an earlier checkpoint.",
        "learning_rate", lambda hp: hp.learning_rate / 4),
)
WATCHED = (*rules.WATCHED, LOSS, GOOD, REWARD_GOOD, MARGIN, SHARE, DRAWN, DATA, TOLD_APART, _HELD,
           PASSES, _HELD_PAIRS, "policy/grad_norm")
