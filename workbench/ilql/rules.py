"""The rules of ILQL's health check."""

from __future__ import annotations

import math

from workbench import health
from workbench.formatting import number
from workbench.ilql.hyperparameters import ILQLSettings
from workbench.ilql.metrics import METRICS, Q_MEAN, TOTAL, Q
from workbench.learning import rules

_LABELS = {metric.name: metric.label for metric in METRICS}
_LEAST, _NOTHING = 0.01, 4.0
_FAR = 10.0
"""Scores are standardised: what is worth more deviations than this nobody has seen."""


def _not_finite(history: health.History, hp: ILQLSettings) -> health.Reading:
    return health.all_finite(history, (TOTAL, "policy/grad_norm"), _LABELS)


def _diverging(history: health.History, hp: ILQLSettings) -> health.Reading:
    """Returns are standardised scores on the last token, discounted: Q has no reason to be far from
    -3 to 3. A loss of Q that grows tenfold says the same of its aim; where the first cycle had
    diverged already it cannot grow, but two Qs that know nothing are one deviation off each, and at
    the last token alone: above 4 they are worse than that at every token."""
    # Where all scores are equal, it begins at 0.
    start = health.at_start(history, Q)
    most = min(_NOTHING, 10 * max(_LEAST, start)) if math.isfinite(start) else _NOTHING
    now = health.last(history, Q) > 10 * _NOTHING  # what is lost within a cycle is told of at once
    look = health.last if now else health.recent
    mean, loss = look(history, Q_MEAN), look(history, Q)
    share = health.either(abs(mean) / _FAR, health.ratio(loss, most))
    value = f"Q {number(mean)}, loss {loss:.3g}"
    limit = f"beyond ±{_FAR:g}, or a loss above {most:.3g}"
    return health.spoken(value, limit, share, "serious" if share > 3 else "warning", (
        f"Q of what was written is {number(mean)} deviations and its loss {loss:.3g}: "
        "values feed on one another."), "" if now else health.OVER_RECENT)


RULES = (
    health.Rule(
        health.NOT_FINITE, "Numbers lost", TOTAL, _not_finite,
        "Lower the learning rate and go back to the last checkpoint.", "learning_rate",
        lambda hp: hp.learning_rate / 10, alone=True, short="Finite"),
    health.Rule(
        "ilql_diverging", "Q diverges", Q_MEAN, _diverging,
        "Raise the conservative coefficient, lower the learning rate of the heads or the target "
        "rate.", "cql_coef", lambda hp: max(0.1, 2 * hp.cql_coef), short="Q"),
    *rules.of_compared(
        "ilql", "Lower β (beta), by which values steer the policy.", "beta",
        lambda hp: hp.beta / 2),
)
WATCHED = (*rules.WATCHED, TOTAL, Q, Q_MEAN, "policy/grad_norm")
