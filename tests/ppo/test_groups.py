"""Advantages of completions that are held against one another, in place of a value head."""

import math
from copy import deepcopy

import pytest
import torch
from helpers.models import make_ppo
from hypothesis import given
from hypothesis import strategies as st

from workbench import algorithms
from workbench.models.phases import Phase
from workbench.ppo.advantages import (
    baselines,
    batch_advantages,
    group_advantages,
    leave_one_out_advantages,
    without_spread,
)
from workbench.ppo.hyperparameters import parse
from workbench.ppo.metrics import NO_SPREAD, OF_VALUES
from workbench.ppo.objective import aggregate, policy_loss_terms, sequence_log_ratios
from workbench.settings import HyperparameterError

FOUR = torch.tensor([1.0, 2, 3, 4])
ONE_GROUP = torch.zeros(4, dtype=torch.long)


def close(found, expected, atol=1e-5):
    torch.testing.assert_close(
        found, torch.as_tensor(expected, dtype=found.dtype), rtol=0, atol=atol)


def test_a_group_by_hand():
    # std with n - 1 is sqrt(5 / 3) = 1.290994, to which 0.0001 is added.
    close(group_advantages(FOUR, ONE_GROUP), [-1.161805, -0.387268, 0.387268, 1.161805])
    close(group_advantages(FOUR, ONE_GROUP, normalize=False), [-1.5, -0.5, 0.5, 1.5])


def test_leave_one_out_by_hand():
    close(leave_one_out_advantages(FOUR, ONE_GROUP), [-2, -0.666667, 0.666667, 2])
    close(leave_one_out_advantages(torch.tensor([6.0, 3]), ONE_GROUP[:2]), [3, -3])
    close(baselines(FOUR, ONE_GROUP, leave_one_out=True), [3, 8 / 3, 7 / 3, 2])


def test_groups_know_nothing_of_one_another():
    scores = torch.tensor([1.0, 10, 3, 30, 2])
    groups = torch.tensor([7, 2, 7, 2, 7])  # any numbers, in any order
    close(group_advantages(scores, groups, normalize=False), [-1, -10, 1, 10, 0])
    close(leave_one_out_advantages(scores, groups), [-1.5, -20, 1.5, 20, 0])
    close(baselines(scores, groups), [2, 20, 2, 20, 2])


@pytest.mark.parametrize("advantages", [group_advantages, leave_one_out_advantages])
def test_equal_scores_teach_exactly_nothing(advantages):
    scores = torch.full((6,), 0.1) * 3  # of which rounding makes a mean that is another number
    assert advantages(scores, torch.tensor([0, 0, 0, 1, 1, 1])).tolist() == [0.0] * 6


def test_a_single_completion_has_no_others():
    assert group_advantages(torch.tensor([3.0]), torch.tensor([0])).tolist() == [0.0]
    with pytest.raises(ValueError, match="at least two completions"):
        leave_one_out_advantages(torch.tensor([3.0, 1, 2]), torch.tensor([0, 1, 1]))


def test_the_share_of_groups_without_spread():
    scores = torch.tensor([1.0, 1, 2, 5, 5, 5, 5, 3])
    assert without_spread(scores, torch.tensor([0, 0, 1, 2, 2, 2, 2, 1])).item() == (
        pytest.approx(2 / 3))


numbers = st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=12)


@given(numbers, st.integers(1, 4))
def test_each_group_alone(scores, count):
    scores = torch.tensor(scores, dtype=torch.double)
    groups = torch.arange(len(scores)) % count
    found = group_advantages(scores, groups, normalize=False)
    for group in groups.unique():
        own = scores[groups == group]
        close(found[groups == group], own - own.mean(), atol=1e-9)


@given(numbers)
def test_leave_one_out_by_brute_force(scores):
    scores = torch.tensor(scores, dtype=torch.double)
    found = leave_one_out_advantages(scores, torch.zeros(len(scores), dtype=torch.long))
    for i in range(len(scores)):
        others = torch.cat([scores[:i], scores[i + 1:]])
        close(found[i], scores[i] - others.mean(), atol=1e-9)


@pytest.mark.parametrize("advantages", [group_advantages, leave_one_out_advantages])
def test_the_order_of_groups_and_siblings_changes_no_advantage(advantages):
    torch.manual_seed(0)
    scores, groups = torch.randn(12), torch.arange(3).repeat_interleave(4)
    order = torch.randperm(12)
    torch.testing.assert_close(
        advantages(scores[order], groups[order]), advantages(scores, groups)[order],
        rtol=1e-5, atol=1e-6)
    # Nor does what the groups are numbered by.
    torch.testing.assert_close(advantages(scores, 7 - groups), advantages(scores, groups))


def test_the_whole_batch_by_hand():
    # Returns with gamma 0.5: [1 + .5 * 2, 2], [4]; their mean 8 / 3, their deviation 2 / sqrt(3).
    rewards = torch.tensor([[1.0, 2], [4, 99]])
    mask = torch.tensor([[True, True], [True, False]])
    close(batch_advantages(rewards, mask, gamma=0.5), [[-0.577350, -0.577350], [1.154701, 0]])


def test_aggregation_by_hand():
    loss = torch.tensor([[1.0, 2, 99], [3, 4, 5]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    found = [aggregate(loss, mask, how, response_length=10).item()
             for how in ("token", "sequence", "constant")]
    assert found == pytest.approx([3, 2.75, 0.75])


def test_a_wider_clip_above_by_hand():
    ratio, gain = torch.tensor([0.5, 1, 1.5]), torch.tensor([1.0, -1, 2])
    for high, last in ((0.0, -2.4), (0.28, -2.56)):
        loss, _, held = policy_loss_terms(
            ratio.log(), torch.zeros(3), gain, cliprange=0.2, cliprange_high=high)
        close(loss, [-0.5, 1, last])
        assert held.tolist() == [False, False, True]


def test_the_ratio_of_a_completion_is_the_geometric_mean():
    ratios = torch.tensor([[2.0, 8, 99], [0.5, 0.5, 4]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    close(sequence_log_ratios(ratios.log(), mask).exp(), [[4, 4, 1], [1, 1, 1]])


# -- a run

WITHOUT = [{"advantage_estimator": "group", "completions_per_prompt": 4},
           {"advantage_estimator": "leave_one_out", "completions_per_prompt": 4},
           {"advantage_estimator": "batch"}]


def small(**settings):
    return parse({"num_cycles": 3, "batch_size": 8, "response_length": 6, "learning_rate": 1e-3,
                  **settings})


def begin(settings, prompts=("A", "BC", "DEF")):
    ppo, hp = make_ppo(lambda text: float(len(set(text)))), small(**settings)
    ppo.begin(prompts, hp)
    return ppo, hp


def test_completions_of_a_prompt_stand_together_and_differ(unattended):
    ppo, hp = begin(WITHOUT[0])
    first, second = (ppo.run_cycle(cycle, hp, [0], unattended) for cycle in (1, 2))
    drawn = [[written.prompt for written in result.rollout] for result in (first, second)]
    for prompts in drawn:
        assert prompts == [prompts[0]] * 4 + [prompts[4]] * 4
    assert {drawn[0][0], drawn[0][4], drawn[1][0]} == {0, 1, 2}  # a pass goes over all of them
    assert len({written.text for written in first.rollout}) > 4


@pytest.mark.parametrize("settings", WITHOUT)
def test_there_is_nothing_of_a_value_head(unattended, settings):
    ppo, hp = begin({**settings, "value_model": "policy", "value_pretraining_episodes": 50,
                     "num_value_epochs": 3, "critic_warmup_cycles": 2})
    assert ppo.policy.value_head is None
    assert ppo.policy.value_trunk is None
    assert ppo.episodes(hp) == 0
    before = {name: p.clone() for name, p in ppo.policy.named_parameters()}
    result = ppo.run_cycle(1, hp, [0], unattended)
    moved = [name for name, p in ppo.policy.named_parameters() if not torch.equal(p, before[name])]
    assert moved  # no warm-up of what is not there
    assert not OF_VALUES & set(result.metrics)
    assert not any("value" in name for name in ppo.snapshot()[0])
    shown = algorithms.algorithm_named("ppo", hp.model_dump())
    known = {metric.name for metric in shown.metrics}
    assert set(result.metrics) <= known
    assert not OF_VALUES & known
    assert all(set(plots.metrics) <= known for plots in shown.plot_sets)
    assert set(shown.watched) <= known


@pytest.mark.parametrize("settings", WITHOUT)
def test_its_tokens_are_held_against_others(unattended, settings):
    ppo, hp = begin({**settings, "kl_coef": 0.1})
    ppo.run_cycle(1, hp, [0], unattended)  # so that there is a KL
    result = ppo.run_cycle(2, hp, [0], unattended)
    worth = [w.score - (0 if w.ended else hp.missing_eos_penalty) - 0.1 * w.kl
             for w in result.rollout]
    for place, (trace, written) in enumerate(zip(result.traces, result.rollout, strict=True)):
        numbers = {name: column[0] for name, column in trace.numbers.items()}
        others = worth[place // 4 * 4:place // 4 * 4 + 4]
        if hp.advantage_estimator == "batch":
            assert numbers["return"] == pytest.approx(worth[place], abs=1e-4)
            continue
        assert numbers["return"] == pytest.approx(worth[place], abs=1e-4)
        if hp.advantage_estimator == "group":
            mean = sum(others) / 4
            std = math.sqrt(sum((x - mean) ** 2 for x in others) / 3)
            expected = mean, (worth[place] - mean) / (std + 1e-4)
        else:
            mean = (sum(others) - worth[place]) / 3
            expected = mean, worth[place] - mean
        assert (numbers["value"], numbers["advantage"]) == pytest.approx(expected, abs=2e-3)
        assert all(x == trace.numbers["advantage"][0] for x in trace.numbers["advantage"])
        assert len(trace.numbers["advantage"]) == written.length


def test_groups_without_spread_are_counted_and_teach_nothing(unattended):
    ppo, hp = make_ppo(lambda text: 1.0), small(**WITHOUT[0], kl_coef=0, entropy_coef=0,
                                                missing_eos_penalty=0)
    ppo.begin(["A"], hp)
    before = [p.clone() for p in ppo.policy.parameters()]
    metrics = ppo.run_cycle(1, hp, [0], unattended).metrics
    assert metrics[NO_SPREAD] == 1.0
    assert all(torch.equal(p, b) for p, b in zip(ppo.policy.parameters(), before, strict=True))
    assert metrics["policy/grad_norm"] == 0.0


@pytest.mark.parametrize("settings", [*WITHOUT, {
    **WITHOUT[0], "ratio_level": "sequence", "loss_aggregation": "sequence",
    "leave_out_cut": True, "num_mini_batches": 2, "lora_rank": 2}])
def test_it_goes_on_bit_for_bit(unattended, settings):
    ppo, hp = begin(settings)
    ppo.run_cycle(1, hp, [0], unattended)
    arrays, kept = deepcopy(ppo.snapshot())
    straight = ppo.run_cycle(2, hp, [0], unattended)
    again, _ = begin(settings)
    again.restore(arrays, kept)
    resumed = again.run_cycle(2, hp, [0], unattended)
    times = [name for name in straight.metrics if name.startswith(("seconds", "tokens_per"))]
    for name, value in straight.metrics.items():
        if name not in times:
            assert resumed.metrics[name] == pytest.approx(value, rel=0, abs=0, nan_ok=True), name
    assert [w.text for w in resumed.rollout] == [w.text for w in straight.rollout]


def test_a_run_with_values_goes_on_without_and_back(unattended):
    ppo, hp = begin({})
    ppo.run_cycle(1, hp, [0], unattended)
    arrays, kept = deepcopy(ppo.snapshot())
    other, without = begin(WITHOUT[1])
    other.restore(arrays, kept)
    weights = dict(other.policy.named_parameters())
    assert all(torch.equal(p, weights[name]) for name, p in ppo.policy.named_parameters()
               if not name.startswith("value_head"))
    other.run_cycle(2, without, [0], unattended)
    back, _ = begin({})
    back.restore(*other.snapshot())
    assert back.policy.value_head.weight.abs().sum() == 0  # it begins anew
    back.run_cycle(3, hp, [0], unattended)


@pytest.mark.parametrize(("settings", "sentence"), [
    ({"advantage_estimator": "group"}, "set Completions per prompt .* to 2 or more"),
    ({"advantage_estimator": "leave_one_out"}, "set Completions per prompt .* to 2 or more"),
    ({"completions_per_prompt": 5, "batch_size": 64},
     r"Completions per prompt \(5\) must divide the batch size \(64\) .*; 4 or 8 would"),
])
def test_what_does_not_go_together_is_said(settings, sentence):
    with pytest.raises(HyperparameterError, match=sentence):
        parse(settings)


def test_memory_counts_no_values():
    from workbench.learning.workload import Workload

    settings = {"value_model": "policy", "num_value_epochs": 2, "value_pretraining_episodes": 100}
    work = Workload(4, 10, 2)
    ppo, with_values = make_ppo(len), parse({"batch_size": 8, **settings})
    without = parse({"batch_size": 8, **settings, **WITHOUT[2]})
    there, gone = (ppo.needs(hp, work).phases(hp) for hp in (with_values, without))
    assert {Phase.VALUES, Phase.PRETRAINING} <= set(there)
    assert not {Phase.VALUES, Phase.PRETRAINING} & set(gone)
    assert gone[Phase.UPDATING]["Value model"] == 0 < there[Phase.UPDATING]["Value model"]
    assert gone[Phase.UPDATING]["Activations"] < there[Phase.UPDATING]["Activations"]


def test_presets_are_what_they_are_called():
    for preset in algorithms.find_algorithm("ppo").presets:
        parse(dict(preset.values))
    titles = {preset.name: algorithms.algorithm_named("ppo", preset.values).title
              for preset in algorithms.find_algorithm("ppo").presets}
    assert titles.items() >= {
        "PPO": "PPO", "GRPO": "GRPO", "Dr. GRPO": "GRPO", "DAPO": "GRPO", "RLOO": "RLOO",
        "REINFORCE++": "REINFORCE++"}.items()
