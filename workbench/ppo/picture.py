"""The objective as it is drawn: its terms' shares of the loss, and the trust region. No torch.

The formulas are those of :mod:`workbench.ppo.objective` and :mod:`workbench.ppo.loss`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.algorithm import Objective, Share, Term, TrustRegion, weighed
from workbench.formatting import short_number
from workbench.papers import SCHULMAN_2017, SHAO_2024
from workbench.ppo.metrics import ENTROPY_LOSS, GRADIENT_OF

if TYPE_CHECKING:
    from workbench.algorithm import Array, Flags

_POLICY, _VALUE, _ENTROPY, _TOTAL = (
    "loss/policy_avg", "loss/value_avg", "policy/entropy_avg", "loss/total_avg")


def shares(
    metrics: Mapping[str, float], settings: Mapping[str, Any], cycle: int
) -> Sequence[Share]:
    """Return what policy, value, entropy and KL gave to the mean loss of ``cycle``. KL is what the
    other three leave of the total, where it enters the loss."""
    found = _shares(metrics, settings, cycle)
    return [replace(share, gradient=metrics.get(GRADIENT_OF[name], math.nan))
            for name, share in zip(GRADIENT_OF, found, strict=True)]


def _shares(
    metrics: Mapping[str, float], settings: Mapping[str, Any], cycle: int
) -> Sequence[Share]:
    policy, value, entropy, total = (metrics[name] for name in (_POLICY, _VALUE, _ENTROPY, _TOTAL))
    values = weighed(settings["vf_coef"], value, "c₁ = 0")
    if cycle <= settings.get("critic_warmup_cycles", 0):
        off = Share(0.0, "off: critic warm-up", off=True)
        return off, values, off, off
    first = (Share(policy, short_number(policy)), values, weighed(
        # A run of an earlier version has no other than the mean over tokens.
        settings["entropy_coef"], metrics.get(ENTROPY_LOSS, -entropy), "c₂ = 0"))
    left = total - sum(share.amount for share in first)
    in_loss = settings.get("kl_in", "reward") == "loss"
    return *first, (Share(left, short_number(left)) if in_loss
                    else Share(0.0, "off: KL enters the reward", off=True))


def shares_without_values(
    metrics: Mapping[str, float], settings: Mapping[str, Any], cycle: int
) -> Sequence[Share]:
    """Return what policy, entropy and KL gave to the mean loss of ``cycle``, where there is no
    value head."""
    found = shares({**metrics, _VALUE: 0.0}, {
        **settings, "vf_coef": 0.0, "critic_warmup_cycles": 0}, cycle)
    return [share for place, share in enumerate(found) if place != 1]


def ratios_in(epoch: int) -> str:
    """Return what the ratios are kept as that an epoch found before its steps; 1 is the first."""
    return f"ratio_epoch_{epoch}"


def band(settings: Mapping[str, Any]) -> tuple[float, float]:
    """Return the clip range around a ratio of 1."""
    below = settings["cliprange"]
    return 1 - below, 1 + (settings.get("cliprange_high") or below)


def earned(ratio: Array, sign: float, settings: Mapping[str, Any]) -> Array:
    """Return the clipped surrogate ``min(rho A, clip(rho, 1 - eps, 1 + eps) A)`` of each ratio for
    an advantage A of ``sign``; with a dual clip c it is at least -c."""
    low, high = band(settings)
    if sign > 0:
        return ratio.clip(max=high)
    return -ratio.clip(low, settings.get("dual_clip") or None)


def held(ratio: Array, advantage: Array, settings: Mapping[str, Any]) -> Flags:
    """Return which tokens have no gradient: beyond the band on the side that their advantage
    pushes to, or beyond the dual clip. An advantage of 0 pushes nowhere and is not held."""
    low, high = band(settings)
    flat = ((advantage > 0) & (ratio > high)) | ((advantage < 0) & (ratio < low))
    dual = settings.get("dual_clip")
    return flat | ((advantage < 0) & (ratio > dual)) if dual else flat


OBJECTIVE = Objective(
    "L_PPO", _TOTAL, (_POLICY, _VALUE, _ENTROPY, _TOTAL),
    (Term("L_POLICY", "What tokens earned by their advantage, clipped: below 0 where the update "
          "made better tokens likelier. Mean over the cycle's update",
          formula="L_POLICY = mean of max(-A·ρ, -A·clip(ρ, 1-ε, 1+ε))", source=SCHULMAN_2017),
     Term("c₁ · L_VF", "How far the value head was off, times the value coefficient c₁: "
          "½ (V − R)², the mean over the cycle's update",
          formula="L_VF = mean of ½·(V - R)²", source=SCHULMAN_2017),
     Term("c₂ · L_ENT", "Entropy lowers the loss: minus the entropy in nats, times the entropy "
          "coefficient c₂", formula="L_ENT = mean of Σ_v π(v)·log π(v)", source=SCHULMAN_2017),
     Term("KL price", "KL in the loss, times its coefficient: what the other terms leave of the "
          "total", optional=True, formula="mean of β·KL", source=SHAO_2024)),
    shares,
    TrustRegion(
        "The ratio ρ says how many times as likely the update made a token. A token with a "
        "positive advantage earns more the likelier it gets, one with a negative advantage the "
        "rarer it gets, but only up to the edge of the band 1 ± ε. A token outside the band on the "
        "side its advantage pushes to is held (the rings): its curve is flat there and it pushes "
        "no further, though other tokens may carry it on. One that is outside on the other side "
        "is not held: others carried it there",
        "cliprange", "ε", "ratio", "advantage", earned, held, band,
        lambda ratio: abs(ratio - 1),
        formula="ρ = {π_after}÷{π_before}\nL_POLICY = mean of max(-A·ρ, -A·clip(ρ, 1-ε, 1+ε))",
        source=SCHULMAN_2017,
        epochs=lambda settings: [
            ratios_in(epoch + 1) for epoch in range(settings["num_ppo_epochs"])]),
    more=(*GRADIENT_OF.values(), ENTROPY_LOSS), measure="measure_gradients")
