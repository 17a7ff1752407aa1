"""Models and rewards as people call them, in a few words."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD
from workbench.known_models import known_policy
from workbench.training.reward_parts import RewardPart, base_name, describe, unique_names


def policy_name(source: str) -> str:
    """Return what to call a policy."""
    if source == str(BUNDLED_POLICY):
        return "bundled policy"
    known = known_policy(source)
    return known.title if known else base_name(source)


def reward_name(parts: Sequence[RewardPart]) -> str:
    """Return what to call a reward: its parts as a sum where there are several."""
    names = unique_names(["bundled reward" if part.source == str(BUNDLED_REWARD)
                          else base_name(part.source) for part in parts])
    return describe([part.weight for part in parts], names)
