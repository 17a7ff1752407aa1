"""The rules of DPO's health check."""

from __future__ import annotations

from workbench import health
from workbench.dpo.hyperparameters import DPOSettings
from workbench.dpo.metrics import ACCURACY, CHOSEN, LOSS, MARGIN, METRICS, PASSES
from workbench.formatting import number, percent
from workbench.learning import rules
from workbench.learning.metrics import EVAL, HELD

_LABELS = {metric.name: metric.label for metric in METRICS}
_HELD = f"{EVAL}{ACCURACY}"
_FAR_MARGIN, _FAR_NATS, _FALLEN = 5.0, 50.0, 0.2


def _not_finite(history: health.History, hp: DPOSettings) -> health.Reading:
    return health.all_finite(history, (LOSS, CHOSEN, "policy/grad_norm"), _LABELS)


def _runaway(history: health.History, hp: DPOSettings) -> health.Reading:
    """A margin of 5 is odds of 150 to 1 for the chosen completion; with a small β it is never
    reached, but 50 nats are as far. Log-probabilities of chosen completions usually fall by a few
    per cent; by a fifth, it is the language that goes."""
    margin, far = health.recent(history, MARGIN), min(_FAR_MARGIN, _FAR_NATS * hp.beta)
    start = health.at_start(history, CHOSEN)
    fallen = (start - health.recent(history, CHOSEN)) / max(abs(start), 1e-9)
    share = health.both(margin / far, fallen / _FALLEN)
    value = f"margin {number(margin)}, log π of the chosen {percent(-fallen)}"
    limit = f"margin above {far:g} while log π of the chosen falls by {percent(_FALLEN)}"
    return health.spoken(value, limit, share, "serious" if share > 2 else "warning", (
        f"The margin is {number(margin)} while the chosen completions have become "
        f"{percent(fallen)} less likely in nats: the policy runs away from both."))


def _by_heart(history: health.History, hp: DPOSettings) -> health.Reading:
    return rules.by_heart(
        history, ACCURACY, _HELD, PASSES, ("of the pairs are told apart", "they are"))


RULES = (
    health.Rule(
        health.NOT_FINITE, "Numbers lost", LOSS, _not_finite,
        "Lower the learning rate and go back to the last checkpoint.", "learning_rate",
        lambda hp: hp.learning_rate / 10, alone=True),
    health.Rule(
        "dpo_runaway", "Margin runs away", MARGIN, _runaway,
        "Raise the SFT coefficient (sft_coef) to 0.1 or more, raise β, or lower the learning rate.",
        "sft_coef", lambda hp: max(0.1, 2 * hp.sft_coef), short="Margin"),
    health.Rule(
        "dpo_by_heart", "Pairs known by heart", ACCURACY, _by_heart,
        "Stop here, bring more pairs, or lower the learning rate.", "learning_rate",
        lambda hp: hp.learning_rate / 2, short="By heart"),
    *rules.of_compared(
        "dpo", "Lower the learning rate or raise β, and go back to an earlier checkpoint.",
        "learning_rate", lambda hp: hp.learning_rate / 4),
)
WATCHED = (*rules.WATCHED, LOSS, CHOSEN, MARGIN, ACCURACY, _HELD, PASSES, HELD,
           "policy/grad_norm")
