"""A policy goes on learning by another reward: a fork that shares nothing that the first one
judged."""

import dataclasses

import pytest
from helpers.folders import save_reward
from helpers.recorded import outcome
from helpers.short_runs import WAYS, start, start_of

from workbench.algorithms import find_algorithm
from workbench.learning.metrics import COMPARED, GOLD, SCORES
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.reward_parts import RewardPart

LENGTH = "def reward(prompts, completions):\n    return [float(len(c)) for c in completions]\n"


@pytest.fixture
def other(store, tmp_path):
    """Another reward, which the person has agreed to run."""
    from workbench.feedback.reward_file import read_reward_file

    path = tmp_path / "length.py"
    path.write_text(LENGTH)
    file = read_reward_file(str(path))
    store.trust(file.sha256, file.path).result()
    return RewardPart(str(path))


def finish(client, command):
    client.send(command)
    client.wait(ev.RunFinished, lambda e: e.outcome == "finished")


@pytest.mark.parametrize("way", [way for way, (algorithm, _) in WAYS.items()
                                 if find_algorithm(algorithm).makes == "policy"])
def test_it_goes_on_by_the_other_reward_and_shows_no_score_of_the_first(
    ready, store, other, way
):
    finish(ready, start_of(way))
    ready.send(do.Fork(1, 2, {"num_cycles": 4}, reward=(other,)))
    resumed = ready.wait(ev.RunResumed)
    assert (resumed.run_id, resumed.cycle) == (2, 2)
    assert "length is the reward" in resumed.note
    ready.wait(ev.RunFinished, lambda e: e.outcome == "finished" and e.run_id == 2)
    run = store.run(2)
    assert (run.parent, run.parent_cycle, run.reward_since, run.cycles) == (1, 2, 2, 4)
    assert run.reward == str(other.source)
    assert store.run(1).reward_since == 0
    # Compared by the other reward from where it begins; nothing is there of before.
    for cycle in range(5):
        for written in store.completions(2, cycle):
            assert cycle >= 2
            assert written.score == len(written.text)
        assert bool(store.completions(2, cycle)) == (cycle >= 2)
    assert {cycle for series in store.metrics(2).values() for cycle in series.cycles} == {3, 4}
    # What is compared after cycle 2 is what the first run wrote then, judged otherwise.
    assert [w.text for w in store.completions(2, 2)] == [w.text for w in store.completions(1, 2)]
    assert 2 in store.metric_spans({run.algorithm: COMPARED})


def test_it_is_resumed_bit_for_bit_also_from_where_it_begins(ready, store, other):
    finish(ready, start(normalize_scores=True))
    fork = do.Fork(1, 2, {"num_cycles": 4, "checkpoint_every": 1}, reward=(other,))
    ready.send(fork)
    ready.wait(ev.RunFinished, lambda e: e.outcome == "finished" and e.run_id == 2)
    whole = outcome(store, 2, 4)
    for cycle in (3, 2):
        ready.send(do.ResumeRun(2, cycle))
        ready.wait(ev.RunResumed)
        ready.wait(ev.RunFinished, lambda e: e.outcome == "finished")
        assert outcome(store, 2, 4) == whole


def test_scores_are_normalised_by_the_scale_of_the_other(ready, store, other):
    finish(ready, start(normalize_scores=True))
    numbers = store.checkpoints.read(1, 3)[1]["numbers"]
    ready.send(do.Fork(1, 3, {"num_cycles": 4}, reward=(other,)))
    ready.wait(ev.RunFinished, lambda e: e.outcome == "finished" and e.run_id == 2)
    scores = [w.score for w in store.completions(2, 4, "rollout")]
    found = store.checkpoints.read(2, 4)[1]["numbers"]
    assert found["score_mean"] == pytest.approx(sum(scores) / len(scores))
    assert found["score_mean"] != numbers["score_mean"]


def test_settings_changed_on_the_way_stay(ready, store, other):
    ready.send(dataclasses.replace(start(), step=True))
    ready.wait_for(State.PAUSED)
    ready.send(do.SetHyperparameters({"learning_rate": 0.02}))
    ready.send(do.Resume())
    ready.wait(ev.RunFinished, lambda e: e.outcome == "finished")
    ready.send(do.Fork(1, 2, {"num_cycles": 3, "temperature": 0.9}, reward=(other,)))
    ready.wait(ev.RunFinished, lambda e: e.outcome == "finished" and e.run_id == 2)
    used = store.settings_after(2, 3)
    assert (used["learning_rate"], used["temperature"]) == (0.02, 0.9)
    assert [(c.cycle, c.name, c.new) for c in store.changes(2) if c.name == "temperature"] == [
        (3, "temperature", 0.9)]


def test_the_same_reward_is_a_fork_like_any(ready, store, folders):
    finish(ready, start())
    ready.send(do.Fork(1, 2, {"num_cycles": 4}, reward=(RewardPart(folders[1]),)))
    ready.wait(ev.RunFinished, lambda e: e.outcome == "finished" and e.run_id == 2)
    assert store.run(2).reward_since == 0
    assert store.completions(2, 1) == store.completions(1, 1)


def test_a_reward_that_is_only_watched_leaves_the_scores_of_the_one_learned_by(
    ready, store, folders, other
):
    finish(ready, start(normalize_scores=True))
    ready.send(do.Fork(1, 2, {"num_cycles": 4}))
    ready.wait(ev.RunFinished, lambda e: e.outcome == "finished" and e.run_id == 2)
    gold = dataclasses.replace(other, weight=0.0)
    ready.send(do.Fork(1, 2, {"num_cycles": 4}, reward=(RewardPart(folders[1]), gold)))
    assert "so that its earlier scores stay" in ready.wait(
        ev.RunResumed, lambda e: e.run_id == 3).note
    ready.wait(ev.RunFinished, lambda e: e.outcome == "finished" and e.run_id == 3)
    # It learns as without, and has the whole line.
    scores = {run: store.metrics(run, (SCORES,))[SCORES] for run in (1, 2, 3)}
    assert scores[3].cycles == [1, 2, 3, 4]
    assert scores[3].values == scores[2].values
    assert store.run(3).reward_since == 0
    assert store.completions(3, 2) == store.completions(1, 2)
    [watched] = [s for name, s in store.metrics(3).items() if GOLD in name]
    assert watched.cycles == [3, 4]
    # One that learns by another has nothing of either.
    ready.send(do.Fork(3, 3, {"num_cycles": 5}, reward=(other,)))
    ready.wait(ev.RunFinished, lambda e: e.outcome == "finished" and e.run_id == 4)
    assert store.run(4).reward_since == 3
    assert store.metrics(4, (SCORES,))[SCORES].cycles == [4, 5]


def test_what_makes_a_reward_has_no_other(ready, store, other):
    finish(ready, start_of("Reward model"))
    ready.send(do.Fork(1, 2, reward=(other,)))
    assert "makes a reward of its own" in ready.wait(ev.CommandRefused).sentence


def test_from_the_start_there_is_nothing_to_go_on_from(ready, store, tmp_path):
    finish(ready, start())
    ready.send(do.Fork(1, 0, reward=(RewardPart(str(save_reward(tmp_path / "more"))),)))
    assert "begin a new one with the other reward" in ready.wait(ev.CommandRefused).sentence
