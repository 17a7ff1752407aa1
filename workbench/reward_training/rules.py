"""The health rules of a reward model in training. No torch."""

from __future__ import annotations

import math

from workbench import health
from workbench.formatting import number
from workbench.learning import rules
from workbench.learning.metrics import HELD
from workbench.reward_training.hyperparameters import RewardSettings
from workbench.reward_training.metrics import (
    ACCURACY,
    HELD_ACCURACY,
    HELD_LENGTH,
    HELD_LOSS,
    LENGTH,
    LOSS,
    METRICS,
    PASSES,
)

_LABELS = {metric.name: metric.label for metric in METRICS}
_LENGTH = 0.8
_RISEN = 0.05


def _not_finite(history: health.History, hp: RewardSettings) -> health.Reading:
    return health.all_finite(history, (LOSS, "policy/grad_norm"), _LABELS)


def _by_heart(history: health.History, hp: RewardSettings) -> health.Reading:
    return rules.by_heart(
        history, ACCURACY, HELD_ACCURACY, PASSES, ("of the choices are right", "the pairs are"),
        every=hp.held_out_every)


def _overfitted(history: health.History, hp: RewardSettings) -> health.Reading:
    """The loss of held-out pairs has a lowest point; beyond it, what is learned is of these pairs
    alone."""
    values = [x for x in history.get(HELD_LOSS, ()) if math.isfinite(x)]
    own = health.recent(history, LOSS)
    if len(values) < 2 * health.RECENT or not math.isfinite(own):
        return health.spoken("too early to tell", _limit(), math.nan, "warning", "")
    now, lowest = sum(values[-health.RECENT:]) / health.RECENT, min(values)
    began = next(iter(history.get(LOSS, ())), math.nan)
    share = health.both((now - lowest) / _RISEN, 2.0 if own < began else 0.0)
    return health.spoken(
        f"{number(now, 3)}, at its lowest {number(lowest, 3)}", _limit(), share, "warning",
        f"The loss of held-out pairs has risen from {lowest:.3f} to {now:.3f} while that of the "
        "pairs learned from falls.")


def _limit() -> str:
    return f"{_RISEN} above its lowest, while the loss of the pairs learned from falls"


def _length(history: health.History, hp: RewardSettings) -> health.Reading:
    held = health.recent(history, HELD_LENGTH)
    found = held if math.isfinite(held) else health.recent(history, LENGTH)
    way = "longer" if found > 0 else "shorter"
    return health.spoken(
        number(found), f"beyond ±{_LENGTH}", abs(found) / _LENGTH, "warning",
        f"The score goes with length (correlation {found:.2f}): {way} texts get more whatever they "
        "say.")


RULES = (
    health.Rule(
        health.NOT_FINITE, "Numbers lost", LOSS, _not_finite,
        "Lower the learning rate and go back to the last checkpoint.", "learning_rate",
        lambda hp: hp.learning_rate / 10, alone=True),
    health.Rule(
        "reward_by_heart", "Pairs known by heart", ACCURACY, _by_heart,
        "Stop here, bring more pairs, or lower the learning rate.", "learning_rate",
        lambda hp: hp.learning_rate / 2, short="By heart"),
    health.Rule(
        "reward_overfitted", "Held-out loss rises", HELD_LOSS, _overfitted,
        "Go back to the checkpoint with the best held-out pairs, or lower the learning rate.",
        "learning_rate", lambda hp: hp.learning_rate / 2, short="Overfitted"),
    health.Rule(
        "reward_length", "The score is length", HELD_LENGTH, _length,
        "Bring pairs whose chosen completions are not the longer, or the shorter, ones.",
        short="Length"),
)
WATCHED = (LOSS, ACCURACY, HELD_ACCURACY, HELD_LOSS, PASSES, HELD, LENGTH, HELD_LENGTH,
           "policy/grad_norm")
