"""A gold reward is scored on the side: its numbers are there, and nothing else is another."""

import dataclasses

import pytest
from helpers.folders import save_reward
from helpers.recorded import outcome
from helpers.short_runs import WAYS, start_of

from workbench.algorithms import find_algorithm
from workbench.learning.metrics import GOLD, PARTS, SCORES, about_part
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.names import reward_name, reward_of
from workbench.training.reward_parts import RewardPart, describe, part_names


def finish(client, command):
    client.send(command)
    return client.wait(ev.RunFinished, lambda e: e.outcome == "finished").run_id


def without_parts(found):
    """What a run came to, but for what each part of its reward gave and how long it took."""
    if dataclasses.is_dataclass(found):
        found = {f.name: getattr(found, f.name) for f in dataclasses.fields(found)}
    if isinstance(found, dict):
        return {name: without_parts(value) for name, value in found.items()
                if name != "parts" and not str(name).startswith(PARTS)}
    return [without_parts(each) for each in found] if isinstance(found, list | tuple) else found


@pytest.mark.parametrize("way", [way for way, (algorithm, _) in WAYS.items()
                                 if find_algorithm(algorithm).makes == "policy"])
def test_it_is_logged_and_changes_nothing(ready, store, folders, tmp_path, way):
    policy, reward = folders
    finish(ready, start_of(way))
    gold = str(save_reward(tmp_path / "judge"))
    ready.send(do.LoadModels(policy, (RewardPart(reward), RewardPart(gold, 0.0))))
    ready.wait_for(State.READY)
    finish(ready, start_of(way))
    for cycle in (1, 2, 3):
        one, two = (without_parts(outcome(store, run, cycle)) for run in (1, 2))
        assert repr(one) == repr(two)  # NaN is itself there
    found = store.metrics(2)
    assert found[f"{PARTS}{GOLD}judge"].cycles == [1, 2, 3]
    kind = "rollout" if SCORES in found else "comparison"  # what learns from data writes no other
    for cycle, value in enumerate(found[f"{PARTS}{GOLD}judge"].values, start=1):
        written = store.completions(2, cycle, kind)
        assert value == pytest.approx(
            sum(w.parts[f"{GOLD}judge"] for w in written) / len(written), abs=1e-5)
    run = store.run(2)
    assert [part["weight"] for part in run.models["reward"]] == [1, 0]
    assert reward_of(run) == "reward, beside gold judge"
    assert not any(name.startswith(PARTS) for name in store.metrics(1))


def test_it_is_called_what_it_is():
    assert describe([1, 0, -2, 0], part_names([1, 0, -2, 0], ["a", "b", "c", "b"])) == (
        "a − 2 × c, beside gold b and gold b 2")
    assert reward_name((RewardPart("a"), RewardPart("b", 0.0))) == "a, beside gold b"
    assert part_names([0], ["a"]) == ["a"]
    assert "nothing is learned from it" in about_part(f"{PARTS}{GOLD}b").help
