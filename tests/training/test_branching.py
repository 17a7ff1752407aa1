"""Forks and going back: what is shared is the same bit for bit, and nothing is lost."""

import pytest
from helpers.client import Client

from workbench.ppo.hyperparameters import parse
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

PROMPTS = (do.PromptItem("one"), do.PromptItem("two"), do.PromptItem("three"))


def start(**settings):
    return do.Start(parse({
        "num_cycles": 4, "batch_size": 4, "response_length": 6, "learning_rate": 1e-3,
        "comparison_prompts": 2, "checkpoint_every": 1, "keep_checkpoints": 9, "keep_tokens": 4,
        **settings}), PROMPTS)


def recorded(store, run_id, cycles=range(5)):
    """Everything recorded of a run's cycles, without wall times."""
    metrics = {name: [v for c, v in zip(s.cycles, s.values, strict=True) if c in cycles]
               for name, s in store.metrics(run_id).items() if "second" not in name}
    texts = [store.completions(run_id, c, kind)
             for c in cycles for kind in ("rollout", "comparison")]
    traces = [[(bytes(t.tokens), t.numbers["ratio"].tobytes()) for t in store.traces(run_id, c)]
              for c in cycles]
    return metrics, texts, traces


def weights(store, run_id, cycle):
    arrays, state = store.checkpoints.read(run_id, cycle)
    return {k: v.tobytes() for k, v in arrays.items()}, state["numbers"]


def finish(client):
    assert client.wait(ev.RunFinished).outcome == "finished"


def run(client, command):
    client.send(command)
    finish(client)


def forked(client, *arguments, **more):
    """Fork, run to the end, and return the event."""
    client.send(do.Fork(*arguments, **more))
    event = client.wait(ev.RunResumed)
    finish(client)
    return event


@pytest.mark.parametrize("settings", [{}, {"lora_rank": 2}], ids=["all weights", "adapters"])
@pytest.mark.parametrize("cycle", [0, 2])
def test_a_fork_without_changes_is_its_parent(ready, store, settings, cycle):
    run(ready, start(**settings))
    event = forked(ready, 1, cycle, name="Twin")
    assert (event.name, event.parent, event.cycle) == ("Twin", "Run 1", cycle)
    assert recorded(store, 2) == recorded(store, 1)
    assert weights(store, 2, 4) == weights(store, 1, 4)
    twin = store.run(2)
    assert (twin.parent, twin.parent_cycle, twin.cycles) == (1, cycle, 4)
    assert store.run_prompts(2) == store.run_prompts(1)


def test_a_fork_changes_what_follows_and_nothing_before(ready, store):
    run(ready, start())
    before = recorded(store, 1)
    forked(ready, 1, 2, {"learning_rate": 5e-3, "seed": 7, "num_mini_batches": 2})
    assert recorded(store, 1) == before
    assert recorded(store, 2, range(3)) == recorded(store, 1, range(3))
    assert recorded(store, 2, [3]) != recorded(store, 1, [3])
    assert {c.name: (c.cycle, c.old, c.new) for c in store.changes(2)} == {
        "learning_rate": (3, 1e-3, 5e-3), "seed": (3, 0, 7), "num_mini_batches": (3, 1, 2)}
    assert store.changes(1) == []
    assert store.settings_after(2, 4)["seed"] == 7
    assert store.settings_after(2, 2) == store.run(1).hyperparameters


def test_a_fork_is_replayed_from_its_journal(ready, store, tmp_path):
    run(ready, start())
    forked(ready, 1, 2, {
        "seed": 7, "gradient_checkpointing": True, "precision": "bfloat16"})
    first = recorded(store, 2)
    for cycle in (0, 3):  # with the change of models on the way, and behind it
        client = Client(store)
        client.send(do.ResumeRun(2, cycle))
        finish(client)
        client.close()
        assert recorded(store, 2) == first
    assert len(store.changes(2)) == 3
    assert len(store.runs()) == 2  # nothing was abandoned


def test_before_and_after_meet_the_same_random_numbers_in_a_fork_with_another_seed(ready, store):
    run(ready, start(num_cycles=1))
    forked(ready, 1, 1, {"seed": 7, "learning_rate": 0.0, "num_cycles": 2})
    assert store.completions(2, 2) == store.completions(2, 1)


def test_from_the_start_everything_can_change(ready, store):
    run(ready, start())
    forked(ready, 1, 0, {"lora_rank": 2, "value_model": "policy", "comparison_prompts": 1})
    assert len(store.completions(2, 0)) == 1
    assert store.run(2).hyperparameters["lora_rank"] == 2
    assert store.changes(2) == []
    assert recorded(store, 2, [1]) != recorded(store, 1, [1])


def test_a_fork_outlives_its_parent(ready, store):
    run(ready, start(keep_checkpoints=2))
    ready.send(do.Fork(1, 3))
    ready.wait(ev.RunResumed)
    finish(ready)
    expected = recorded(store, 1)
    store.delete_run(1).result()
    assert store.run(2).parent is None
    assert [c.cycle for c in store.checkpoints.all(2)] == [3, 4]
    run(ready, do.GoBack(2, 3))
    assert recorded(store, 2) == expected


def test_a_paused_run_makes_room_for_its_fork(ready, store):
    ready.send(do.Start(start().hyperparameters, PROMPTS, step=True))
    ready.wait_for(State.PAUSED)
    ready.send(do.Fork(1))
    assert ready.wait(ev.RunFinished).outcome == "stopped"
    assert ready.wait(ev.RunResumed).cycle == 1
    finish(ready)
    run(ready, do.ResumeRun(1))
    assert recorded(store, 1) == recorded(store, 2)


def test_going_back_keeps_the_other_way(ready, store):
    run(ready, start())
    before, end = recorded(store, 1), weights(store, 1, 4)
    forked(ready, 1, 3)
    ready.send(do.GoBack(1, 2, {"kl_coef": 0.9}))
    event = ready.wait(ev.RunResumed)
    assert (event.cycle, event.abandoned) == (2, 3)
    finish(ready)
    branch = store.run(3)
    assert (branch.status, branch.parent, branch.parent_cycle) == ("abandoned", 1, 2)
    assert branch.name == "Run 1, up to cycle 4"
    assert recorded(store, 3) == before
    assert weights(store, 3, 4) == end
    assert recorded(store, 1, range(3)) == recorded(store, 3, range(3))
    assert recorded(store, 1, [3, 4]) != recorded(store, 3, [3, 4])
    # What was forked after the point now has its past in the branch.
    assert (store.run(2).parent, store.run(2).parent_cycle) == (3, 3)
    # The branch is a run like any other.
    run(ready, do.ResumeRun(3, changes={"num_cycles": 5}))
    assert store.run(3).status == "finished"


def test_going_back_forgets_later_changes_and_a_resume_makes_them_again(ready, store):
    ready.send(do.Start(start().hyperparameters, PROMPTS, step=True))
    ready.wait_for(State.PAUSED)
    ready.send(do.SetHyperparameters({"kl_coef": 0.7}))
    ready.send(do.Resume())
    finish(ready)
    run(ready, do.ResumeRun(1, 1))
    assert store.metrics(1)["kl_coef"].values == [0.04, 0.7, 0.7, 0.7]
    assert len(store.runs()) == 1
    run(ready, do.GoBack(1, 1))
    assert store.metrics(1)["kl_coef"].values == [0.04] * 4
    assert [c.cycle for c in store.changes(2)] == [2]
    assert store.changes(1) == []


def test_a_resume_with_other_settings_keeps_the_other_way(ready, store):
    run(ready, start())
    run(ready, do.ResumeRun(1, 2, {"num_cycles": 4}))  # no other than they were
    assert len(store.runs()) == 1
    run(ready, do.ResumeRun(1, 2, {"kl_coef": 0.9}))
    assert [r.status for r in store.runs()] == ["abandoned", "finished"]
    run(ready, do.ResumeRun(1, changes={"num_cycles": 5}))  # nothing comes after
    assert len(store.runs()) == 2


@pytest.mark.parametrize("way", [do.Fork, do.GoBack, do.ResumeRun])
def test_a_controller_switched_off_on_the_way_leaves_what_it_reached(ready, store, way):
    run(ready, start(kl_controller="adaptive", kl_target=0.01, kl_horizon=4))
    reached = store.checkpoints.read(1, 2)[1]["numbers"]["kl_coef"]
    assert reached != 0.04
    run(ready, way(1, 2, {"kl_controller": "fixed"}))
    last = 2 if way is do.Fork else 1
    assert store.metrics(last)["kl_coef"].values[2:] == [reached] * 2
    assert {(c.cycle, c.name, c.new, c.by) for c in store.changes(last)} == {
        (3, "kl_controller", "fixed", "person"), (3, "kl_coef", reached, "controller")}


def test_a_fork_killed_before_its_first_cycle_keeps_its_changes(ready, store):
    run(ready, start())
    store.fork_run(1, 2, name="", hyperparameters=store.run(1).hyperparameters,
                   changes=[("kl_coef", 0.04, 0.9, "person")]).result()
    run(ready, do.ResumeRun(2))
    assert store.metrics(2)["kl_coef"].values == [0.04, 0.04, 0.9, 0.9]


def test_what_cannot_be_forked_says_why(ready, store):
    run(ready, start())
    long = {"response_length": 500}
    cases = [
        (do.Fork(9), "no run 9"),
        (do.Fork(1, 9), "no checkpoint after cycle 9"),
        (do.Fork(1, 4), "raise the number of cycles"),
        (do.Fork(1, 2, {"lora_rank": 4}), "only a fork from cycle 0"),
        (do.Fork(1, 2, {"num_mini_batches": 3}), "must divide the batch size"),
        (do.Fork(1, 2, {"nonsense": 1}), "no hyperparameter named 'nonsense'"),
        (do.Fork(1, 2, long), "lower the response length"),
        (do.GoBack(1, 2, {"seed": 3}), "fork the run to change it"),
        (do.GoBack(1, 2, long), "lower the response length"),
    ]
    for command, sentence in cases:
        ready.send(command)
        assert sentence in ready.wait(ev.CommandRefused).sentence
    assert [r.id for r in store.runs()] == [1]
    assert store.run(1).cycles == 4
