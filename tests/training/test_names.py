"""What models and rewards are called."""

from pathlib import Path

import pytest

from workbench.store.reward_models import MadeReward, titles
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


def test_models_offers_it_by_the_same_words_with_the_name_of_its_run() -> None:
    made = [MadeReward(run, cycle, Path(f"/home/me/reward-models/run-{run}-cycle-{cycle}"))
            for run, cycle in ((3, 2), (2, 9), (2, 3), (1, 4))]
    found = titles(made, {3: "Mine", 2: "Run 2"})
    assert list(found) == [
        "reward model of run 3 (Mine)", "reward model of run 2",
        "reward model of run 2 after cycle 3", "reward model of run 1 (deleted)"]
    assert all(title.startswith(source_name(folder)) for title, folder in found.items())
