"""Policy and reward, of which one cannot be loaded."""

import pytest
from helpers.folders import save_reward

import workbench.training.models
from workbench.ppo.hyperparameters import parse
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.reward_parts import RewardPart

PROMPTS = (do.PromptItem("one"), do.PromptItem("two"))


def start(cycles):
    return do.Start(
        parse({"num_cycles": cycles, "batch_size": 4, "response_length": 6, "kl_coef": 0.05,
               "comparison_prompts": 2}), PROMPTS)


@pytest.mark.parametrize("which", ["policy", "reward"])
def test_the_half_that_is_there_is_loaded_and_not_read_again(client, folders, tmp_path, which):
    none, whole = str(tmp_path / "none"), do.LoadModels(*folders, halves="each")
    broken = {"policy": do.LoadModels(none, folders[1], halves="each"),
              "reward": do.LoadModels(folders[0], none, halves="each")}[which]
    read = []
    client.listen(lambda event: read.append(event.text)
                  if isinstance(event, ev.LoadingProgress) else None)
    for _ in range(2):  # at once after the start, and by the thread that has imported torch
        client.send(broken)
        assert client.wait(ev.LoadingFailed).which == which
        client.wait_for(State.IDLE)
    (half,) = client.of(ev.HalfLoaded)
    other = "reward" if which == "policy" else "policy"
    assert (half.which, half.facts.source) == (other, folders[other == "reward"])
    assert (half.command.policy, [p.source for p in half.command.parts]) == {
        "policy": ("", [folders[1]]), "reward": (folders[0], [])}[which]
    first = set(read)
    assert first
    client.send(start(1))
    assert client.wait(ev.CommandRefused).command == "Start"
    read.clear()
    client.send(whole)
    assert client.wait(ev.ModelsLoaded).command == whole
    client.wait_for(State.READY)
    assert read
    assert not first & set(read)
    client.send(start(1))
    assert client.wait(ev.RunFinished).outcome == "finished"


def test_a_failure_of_one_half_does_not_keep_the_other_from_being_changed(
    ready, folders, tmp_path
):
    none, other = str(tmp_path / "none"), str(save_reward(tmp_path / "other"))
    ready.send(do.LoadModels(none, other, halves="each"))
    assert ready.wait(ev.LoadingFailed).which == "policy"
    assert ready.wait(ev.ModelsLoaded).command == do.LoadModels(folders[0], other)
    ready.wait_for(State.READY)
    ready.send(do.LoadModels(none, none, halves="each"))
    ready.wait(ev.LoadingFailed)
    ready.wait_for(State.READY)
    ready.send(start(1))
    ready.wait(ev.RunFinished)
    assert [failed.which for failed in ready.of(ev.LoadingFailed)] == ["policy", "policy", "reward"]


@pytest.mark.parametrize("halves", ["both", "each"])
def test_everything_that_cannot_be_loaded_is_told(client, folders, tmp_path, halves):
    parts = (RewardPart(str(tmp_path / "none")), RewardPart(folders[1]),
             RewardPart(str(tmp_path / "none.py")))
    for _ in range(2):  # at once after the start, and by the thread that has imported torch
        client.send(do.LoadModels(str(tmp_path / "gone"), parts, halves=halves))
        client.wait(ev.LoadingFailed)
        client.wait_for(State.IDLE)
    told = [(failed.which, failed.part, failed.details, failed.unexpected)
            for failed in client.of(ev.LoadingFailed)]
    assert told == 2 * [("policy", 0, "", False), ("reward", 0, "", False),
                        ("reward", 2, "", False)]
    client.send(do.LoadModels(*folders))
    client.wait(ev.ModelsLoaded)


def test_a_failure_that_nobody_foresaw_has_details_for_the_log(client, folders, monkeypatch):
    monkeypatch.setattr(workbench.training.models, "load_policy", lambda *_, **__: 1 / 0)
    client.send(do.LoadModels(*folders))
    failed = client.wait(ev.LoadingFailed)
    assert failed.sentence.startswith("The policy could not be loaded: division by zero.")
    assert "ZeroDivisionError" in failed.details
    assert failed.unexpected
