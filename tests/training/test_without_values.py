"""Runs without a value head: judged, asked, and forked from and into those with one."""

import math

import pytest
from helpers.short_runs import start

from workbench.algorithms import algorithm_of_run
from workbench.ppo.metrics import OF_VALUES
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.side_request import NO_VALUES

GROUPS = {"advantage_estimator": "group", "completions_per_prompt": 2}


def finish(client, command):
    client.send(command)
    assert client.wait(ev.RunFinished).outcome == "finished"


def test_what_is_not_there_is_not_called_ill(ready, store):
    finish(ready, start(**GROUPS))
    assert [h for h in store.health(1) if h.rule == "not_finite"] == []
    assert not OF_VALUES & set(store.metrics(1))
    assert algorithm_of_run(store.run(1)).title == "GRPO"


def test_its_policy_is_asked_as_any(ready, store):
    finish(ready, start(**GROUPS))
    ready.send(do.WriteOn(5, 1, 3, 0, 1, times=2))
    found = ready.wait(ev.WroteOn).found
    assert repr(store.crossroads(1, 3, 0)) == repr([found])  # NaN is no number that is equal
    assert math.isnan(found.value)
    assert all(math.isnan(branch.value) for branch in found.branches)
    assert all(math.isfinite(branch.worth) for branch in found.branches)
    ready.send(do.ReadDistribution(6, 1, 3, 0, 1))
    assert ready.wait(ev.DistributionRead).found.taken == store.trace(1, 3, 0).tokens[1]
    ready.send(do.ReadValues(7, 1, 3, 0, 2))
    assert ready.wait(ev.ReadingValuesFailed).sentence == NO_VALUES


@pytest.mark.parametrize(("first", "then", "titles"), [
    ({}, GROUPS, ("PPO", "GRPO")), (GROUPS, {"advantage_estimator": "gae"}, ("GRPO", "PPO"))])
def test_a_run_is_forked_into_another_estimator(ready, store, first, then, titles):
    finish(ready, start(**first))
    finish(ready, do.Fork(1, 1, then))
    assert tuple(algorithm_of_run(store.run(i)).title for i in (1, 2)) == titles
    found = store.metrics(2, ["loss/value_avg", "objective/frac_reward_zero_std"])
    without, with_values = (found[name].cycles for name in (
        "objective/frac_reward_zero_std", "loss/value_avg"))
    assert (with_values, without) == (([1], [2, 3]) if first == {} else ([2, 3], [1]))
    assert [h for h in store.health(2) if h.rule == "not_finite"] == []
    # A fork of the fork knows as well, and it is resumed as it stands.
    finish(ready, do.Fork(2, 2, {"learning_rate": 1e-3}))
    assert algorithm_of_run(store.run(3)).title == titles[1]
    finish(ready, do.GoBack(2, 2, {"num_cycles": 4}))
    assert algorithm_of_run(store.run(2)).title == titles[1]
    assert store.run(2).cycles == 4
    has_head = any("value_head" in name for name in store.checkpoints.read(2, 4)[0])
    assert has_head == (titles[1] == "PPO")
    # From its own beginning it is what it began as.
    finish(ready, do.Fork(2, 0, {}))
    assert algorithm_of_run(store.run(5)).title == titles[0]
    assert ready.session is not None
    assert not [e for e in ready.of(ev.StateChanged) if e.state is State.FAILED]
