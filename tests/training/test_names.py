"""What models and rewards are called."""

import pytest

from workbench.training.names import reward_name, source_name
from workbench.training.reward_parts import RewardPart


@pytest.mark.parametrize(("source", "name"), [
    ("/home/me/reward-models/run-2-cycle-3", "reward model of run 2"),
    ("/home/me/models/run-2-cycle-3", "run-2-cycle-3"),
    ("/home/me/reward-models/mine", "mine")])
def test_a_reward_model_that_a_run_has_made_is_called_by_the_run(source: str, name: str) -> None:
    assert source_name(source) == name


def test_it_is_called_so_in_a_sum() -> None:
    parts = [RewardPart("/home/me/reward-models/run-2-cycle-3", 0.5), RewardPart("/models/other")]
    assert "reward model of run 2" in reward_name(parts)
