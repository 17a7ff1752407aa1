"""The parts of a cycle of PPO. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workbench.algorithm import Part
from workbench.formatting import percent, signed
from workbench.learning import parts
from workbench.learning.metrics import LENGTH
from workbench.ppo.picture import band


def _say_update(metrics: Mapping[str, float]) -> str:
    said = []
    if "epoch" in metrics:
        said.append(f"epoch {metrics['epoch']:.0f}/{metrics['epochs']:.0f}")
    if "policy/clipfrac" in metrics:
        said.append(f"outside {percent(metrics['policy/clipfrac'])}")
    if "policy/approxkl" in metrics and LENGTH in metrics:
        said.append(f"moved KL {signed(metrics['policy/approxkl'] * metrics[LENGTH])}")
    return ", ".join(said)


def _trust_region(
    settings: Mapping[str, Any], metrics: Mapping[str, float]
) -> tuple[float, float, float, float] | None:
    """The clip range, and one deviation of the ratio to each side of 1."""
    if "val/ratio_var" not in metrics:
        return None
    spread = metrics["val/ratio_var"] ** 0.5
    return *band(settings), 1 - spread, 1 + spread


ESTIMATE = Part(
    "estimate", "Estimate", 1,
    "The value head has foreseen the reward at every token. What came better than that has a "
    "positive advantage, what came worse a negative one.",
    "tokens", parts.say_number("mean", "val/value"))
UPDATE = replace(
    parts.UPDATE,
    help="Several epochs make tokens with a positive advantage likelier and the others less "
         "likely. Outside are tokens whose ratio, how many times as likely the update made them, "
         "is beyond the band 1 ± ε; the clip holds those that their own advantage pushed there. "
         "KL says how far completions have moved in this update.",
    view="objective", say=_say_update, band=_trust_region)
PARTS = (parts.WRITE, parts.SCORE, ESTIMATE, UPDATE, parts.COMPARE)
