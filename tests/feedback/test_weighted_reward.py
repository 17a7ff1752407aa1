"""A weighted sum of rewards: exact numbers, and each part seen for itself."""

import math

import pytest
import torch
from helpers.models import TextReward, make_ppo

from workbench.algorithms import find_metric
from workbench.feedback.reward_text import RewardError
from workbench.feedback.weighted_reward import WeightedPart, WeightedSum, score_all
from workbench.models.policy import UnsupportedModelError
from workbench.ppo.hyperparameters import parse
from workbench.ppo.metrics import METRICS
from workbench.records import Exchange

ROWS = [Exchange("p", text, f"p{text}") for text in ("a", "bb", "")]


def weighted(*parts):
    return WeightedSum([WeightedPart(name, weight, TextReward(function))
                        for name, weight, function in parts])


def test_the_sum_is_exact(unattended):
    reward = weighted(("length", 2.0, len), ("even", -0.5, lambda t: len(t) % 2 == 0))
    scores, parts, _ = score_all(reward, ROWS, control=unattended)
    assert scores.tolist() == [2.0, 3.5, -0.5]
    assert {name: part.tolist() for name, part in parts.items()} == {
        "length": [1, 2, 0], "even": [0, 1, 1]}
    assert torch.equal(reward.score(ROWS, control=unattended), scores)


def test_a_part_of_weight_0_is_only_watched(unattended):
    scores, parts, _ = score_all(
        weighted(("length", 1.0, len), ("watched", 0.0, lambda t: math.nan)), ROWS,
        control=unattended)
    assert scores.tolist() == [1, 2, 0]
    assert parts["watched"].isnan().all()


def test_a_single_reward_has_no_parts(unattended):
    scores, parts, cut = score_all(TextReward(len), ROWS, control=unattended)
    assert scores.tolist() == [1, 2, 0]
    assert parts == {}
    assert cut.tolist() == [0, 0, 0]


def test_every_part_is_measured_and_kept(unattended):
    hp = parse({"num_cycles": 1, "batch_size": 8, "response_length": 6})
    ppo = make_ppo()
    ppo.reward = weighted(
        ("length", 0.5, len), ("capitals", 2.0, lambda t: sum(map(str.isupper, t))))
    ppo.begin(["ab", "c"], hp)
    result = ppo.run_cycle(1, hp, [0, 1], unattended)
    assert set(result.metrics) - {metric.name for metric in METRICS} == {
        "objective/scores/length", "objective/scores/capitals"}
    assert result.metrics["objective/scores"] == pytest.approx(
        0.5 * result.metrics["objective/scores/length"]
        + 2.0 * result.metrics["objective/scores/capitals"])
    assert find_metric("objective/scores/length").label == "length"
    for written in (*result.rollout, *result.comparison):
        assert written.parts == {"length": len(written.text),
                                 "capitals": sum(map(str.isupper, written.text))}
        assert written.score == 0.5 * written.parts["length"] + 2 * written.parts["capitals"]


def test_a_sum_can_start_no_value_model():
    ppo = make_ppo()
    ppo.reward = weighted(("length", 1.0, len), ("other", 1.0, len))
    with pytest.raises(UnsupportedModelError, match="only when the reward is a single causal"):
        ppo.begin(["ab"], parse({"value_model": "reward"}))


def abstaining(function):
    reward = TextReward(function)
    reward.abstains = True
    return reward


def test_a_part_that_does_not_apply_counts_nothing(unattended):
    reward = WeightedSum([
        WeightedPart("length", 1.0, TextReward(len)),
        WeightedPart("even", 2.0, abstaining(lambda t: math.nan if len(t) % 2 else 10.0))])
    scores, parts, _ = score_all(reward, ROWS, control=unattended)
    assert scores.tolist() == [1, 22, 20]
    assert parts["even"].isnan().tolist() == [True, False, False]


def test_a_number_that_is_none_is_not_taken_for_what_does_not_apply(unattended):
    # Of a classifier a NaN is a fault.
    scores, _, _ = score_all(weighted(
        ("length", 1.0, len), ("broken", 1.0, lambda t: math.nan)), ROWS, control=unattended)
    assert scores.isnan().all()


@pytest.mark.parametrize(("reward", "said"), [
    (abstaining(lambda t: math.nan if t == "bb" else 1.0), "the reward does not apply"),
    (WeightedSum([WeightedPart("one", 1.0, abstaining(lambda t: math.nan if t == "bb" else 1.0)),
                  WeightedPart("watched", 0.0, TextReward(len))]),
     "no part of the reward applies"),
])
def test_where_nothing_applies_it_is_said(unattended, reward, said):
    with pytest.raises(RewardError, match=f"To completion 2 of 3 {said}") as raised:
        score_all(reward, ROWS, control=unattended)
    assert "Completion:\nbb" in raised.value.details


def test_a_part_is_measured_where_it_applies(unattended):
    hp = parse({"num_cycles": 1, "batch_size": 8, "response_length": 6})
    ppo = make_ppo()
    ppo.reward = WeightedSum([
        WeightedPart("length", 1.0, TextReward(len)),
        WeightedPart("long", 1.0, abstaining(lambda t: len(t) if len(t) > 3 else math.nan))])
    ppo.begin(["ab", "c"], hp)
    result = ppo.run_cycle(1, hp, [0, 1], unattended)
    found = [w.parts["long"] for w in result.rollout if w.parts["long"] == w.parts["long"]]
    assert 0 < len(found) <= 8
    assert result.metrics["objective/scores/long"] == pytest.approx(sum(found) / len(found))
