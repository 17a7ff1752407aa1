"""Models and rewards as people call them, in a few words, wherever they are named. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD
from workbench.known_models import known_policy
from workbench.store.records import RunRecord
from workbench.store.reward_models import called, made_by
from workbench.training.reward_parts import RewardPart, base_name, describe, part_names

_BUNDLED = {str(BUNDLED_POLICY): "bundled policy", str(BUNDLED_REWARD): "bundled reward"}


def source_name(source: str) -> str:
    """Return what to call a policy, or a part of a reward, that comes from a folder, a hub name or
    a file."""
    if (run := made_by(source)) is not None:
        return called(run)
    known = known_policy(source)
    return _BUNDLED.get(source) or (known.title if known else base_name(source))


def reward_name(parts: Sequence[RewardPart]) -> str:
    """Return what to call a reward: its parts as a sum where there are several."""
    weights = [part.weight for part in parts]
    return describe(weights, part_names(weights, [source_name(part.source) for part in parts]))


def reward_of(run: RunRecord) -> str:
    """Return what to call the reward of a run."""
    recorded: Any = run.models.get("reward") or []
    return reward_name([RewardPart(p["source"], p["weight"]) for p in recorded]
                       or [RewardPart(run.reward)])
