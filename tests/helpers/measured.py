"""What a model takes in memory, measured once for all sessions of the tests: half of the time that
a small run takes to begin, and always the same. `tests/ppo/test_memory.py` measures anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from workbench.learning import footprint
from workbench.learning.footprint import Cost, PolicyCosts, policy_costs, reward_costs

_POLICIES: dict[object, PolicyCosts] = {}
_REWARDS: dict[object, Cost] = {}


@contextmanager
def measured_once() -> Iterator[None]:
    """Remember what models of one kind and shape take, under the same arguments."""
    def of_policy(model: Any, *arguments: object, **named: object) -> PolicyCosts:
        key = (type(model), model.config.to_json_string(), str(arguments), str(named))
        if key not in _POLICIES:
            _POLICIES[key] = policy_costs(model, *arguments, **named)  # type: ignore[arg-type]
        return _POLICIES[key]

    def of_reward(model: Any) -> Cost:
        key = (type(model), model.config.to_json_string(), str(model.device), str(model.dtype))
        if key not in _REWARDS:
            _REWARDS[key] = reward_costs(model)
        return _REWARDS[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(footprint, "policy_costs", of_policy)
        patch.setattr(footprint, "reward_costs", of_reward)
        yield
