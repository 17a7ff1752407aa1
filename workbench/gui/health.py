"""Warnings in plain words about a run that is going wrong, from what its cycles report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from workbench.ppo.metrics import METRICS

_MUST_BE_FINITE = ("objective/scores", "objective/kl", "policy/entropy_avg", "loss/policy_avg",
                   "loss/value_avg")


@dataclass(frozen=True, slots=True)
class HealthWarning:
    """``title`` fits a chip; ``advice`` says what it means and what to do."""

    title: str
    advice: str


def find_warnings(
    first: Mapping[str, float], last: Mapping[str, float], kl_target: float
) -> list[HealthWarning]:
    """Return what is wrong after the ``last`` cycle, compared with the ``first``; worst first.

    Args:
        kl_target: in nats a completion; twice as much counts as far from the start policy.
    """
    found = [
        HealthWarning(f"{METRICS[name].label} is not a number",
                      "The update has blown up. Stop, lower the learning rate, and start again.")
        for name in _MUST_BE_FINITE if name in last and not math.isfinite(last[name])
    ]

    def value(name: str) -> float:
        return last.get(name, math.nan)  # a comparison with NaN is never true

    kl, entropy = value("objective/kl"), value("policy/entropy_avg")
    if kl > 2 * kl_target:
        found.append(HealthWarning(
            "KL is high",
            f"Completions are {kl:.0f} nats from the start policy and the reward may be gamed. "
            "Raise the KL coefficient or lower the learning rate."))
    if kl < -0.5:
        found.append(HealthWarning(
            "KL is negative",
            "The estimate is too noisy to hold the policy back. Choose the estimator k3, or a "
            "larger batch."))
    if entropy < 0.5 * first.get("policy/entropy_avg", math.nan):
        found.append(HealthWarning(
            "Entropy is collapsing",
            "The policy is half as open as in its first cycle and is losing its creativity. Raise "
            "the entropy coefficient or the KL coefficient."))
    if value("objective/distinct") < 0.5:
        found.append(HealthWarning(
            "Completions are alike",
            "Fewer than half of the cycle's completions are different. Raise the entropy "
            "coefficient or the temperature."))
    if value("policy/clipfrac_avg") > 0.3:
        found.append(HealthWarning(
            "Steps are large",
            f"The trust region holds back {value('policy/clipfrac_avg'):.0%} of the tokens. Lower "
            "the learning rate or the PPO epochs."))
    if value("val/explained_variance") < -0.5:
        found.append(HealthWarning(
            "Values are off",
            "The value head foresees the reward worse than a constant would. Raise the value "
            "coefficient, or warm the critic up."))
    return found
