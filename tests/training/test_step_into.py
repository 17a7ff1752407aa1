"""A run is held within a cycle, looked at, and goes on as if it had not been."""

import math

import numpy as np
import pytest
from helpers.recorded import outcome

from workbench.ppo.hyperparameters import parse
from workbench.records import TokenTrace
from workbench.store.records import CompletionRecord
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

PROMPTS = (do.PromptItem("one"), do.PromptItem("two"), do.PromptItem("three"))
PARTS = ["write", "score", "estimate", "update", "compare"]


def start(**more):
    into = more.pop("into", False)
    return do.Start(parse({
        "num_cycles": 3, "batch_size": 4, "response_length": 6, "learning_rate": 1e-2,
        "kl_coef": 0.05, "comparison_prompts": 2, "checkpoint_every": 1, "keep_checkpoints": 9,
        **more}), PROMPTS, into=into)


def held(client):
    """Wait until the run is held, and return after which part."""
    return client.wait_for(State.PAUSED).within


def asked(client, command, answer):
    """Send what is answered aside from the run, and return the answer."""
    client.send(command)
    return client.wait(answer)


@pytest.mark.parametrize("settings", [{}, {"lora_rank": 2}, {"value_model": "policy"}],
                         ids=["all weights", "adapters", "separate value model"])
def test_whatever_is_asked_between_parts_leaves_the_run_as_it_would_have_been(
    ready, store, settings
):
    """Tried, sampled, written on and read wherever the run can be held."""
    ready.send(start(**settings))
    ready.wait_for(State.FINISHED)
    ready.send(start(into=True, **settings))
    sources = (do.TrySource("current"), do.TrySource("start"), do.TrySource("checkpoint", 1, 2))
    seen, readers, values = [], set(), set()
    while True:
        event = ready.wait(ev.StateChanged)
        if event.state is State.PAUSED:
            place = len(seen)
            seen.append(event.within)
            assert not asked(ready, do.Try(1, ("one",), sources, length=4), ev.TryFinished).stopped
            asked(ready, do.WriteOn(2, 2, 1, 0, 1, times=3, source=sources[place % 3]), ev.WroteOn)
            sample = {"run_id": 1, "cycle": 2} if place % 2 else {"run_id": 2, "cycle": 0}
            asked(ready, do.SampleBestOf(id=3, n=4, **sample), ev.BestOfSampled)
            if event.within:
                assert store.traced_cycles(2)[-1] == seen.count("") + 1  # of the cycle in hand
            for at in (0, 1):
                read = asked(ready, do.ReadDistribution(4, 2, 1, 0, at), ev.DistributionRead)
                readers.add(read.found.reader)
            for checkpoint in store.checkpoints.all(2):
                values.add(asked(
                    ready, do.ReadValues(5, 2, 1, 0, checkpoint.cycle), ev.ValuesRead).values)
            ready.send(do.StepInto())
        if event.state is State.FINISHED:
            break
    # After Compare the cycle is whole, and the run is paused between two.
    assert seen == [*PARTS[:-1], "", *PARTS[:-1], "", *PARTS[:-1]]
    assert outcome(store, 1, 3) == outcome(store, 2, 3)
    assert not ready.of(ev.TryFailed)
    # Of the start, of a checkpoint, and of the policy as it stood each time.
    writers = {c.writer for c in store.crossroads(2, 1, 0)}
    assert {"Start policy", "Run 1 after cycle 2", "Run 2 after cycle 1"} < writers
    assert "Run 2 after cycle 1" in readers
    assert len(values) >= 2


def test_what_the_cycle_has_so_far_is_in_the_store(ready, store):
    ready.send(start(into=True))
    assert held(ready) == "write"
    run = store.run(1)
    assert (run.status, run.cycles) == ("paused", 0)
    written = store.completions(1, 1, "rollout")
    assert len(written) == 4
    assert all(math.isnan(c.score) and math.isnan(c.kl) for c in written)
    assert set(store.trace(1, 1, 0).numbers) == {"logprob", "entropy"}

    ready.send(do.StepInto())
    assert held(ready) == "score"
    assert "value" not in store.trace(1, 1, 0).numbers  # Estimate tells it
    scored = store.completions(1, 1, "rollout")
    assert [c.text for c in scored] == [c.text for c in written]
    assert all(math.isfinite(c.score) and math.isfinite(c.kl) for c in scored)
    told = [e for e in ready.of(ev.PartReported) if e.part == "score" and e.metrics][-1].metrics
    assert told["objective/scores"] == pytest.approx(sum(c.score for c in scored) / 4)

    ready.send(do.StepInto())
    assert held(ready) == "estimate"
    before = store.trace(1, 1, 2).numbers
    assert {"value", "advantage", "return", "reward"} < set(before)
    assert "ratio" not in before

    ready.send(do.StepInto())
    assert held(ready) == "update"
    after = store.trace(1, 1, 2).numbers
    assert (after["ratio"] != 1).any()
    assert all((after[name] == before[name]).all() for name in before)
    ready.send(do.Resume())
    assert ready.wait(ev.RunFinished).outcome == "finished"
    assert [c.cycle for c in ready.of(ev.CycleFinished)] == [1, 2, 3]
    assert store.completions(1, 1, "rollout") == scored


def test_tokens_that_are_not_kept_go_with_the_cycle(ready, store):
    ready.send(start(into=True, keep_tokens=0))
    assert held(ready) == "write"
    assert store.traced_cycles(1) == [1]
    ready.send(do.StepCycle())
    assert held(ready) == ""
    assert store.traced_cycles(1) == []
    assert len(store.completions(1, 1, "rollout")) == 4


@pytest.mark.parametrize("part", PARTS[:-1])
def test_a_stop_within_a_cycle_keeps_the_cycles_before(ready, store, part):
    ready.send(start(into=True))
    for name in (*PARTS[:-1], "", *PARTS[: PARTS.index(part)]):
        assert held(ready) == name
        ready.send(do.StepInto())
    assert held(ready) == part
    assert store.traced_cycles(1) == [1, 2]
    ready.send(do.Stop())
    ended = ready.wait(ev.RunFinished)
    # After the update only the comparison is missing, which a stop waits for.
    whole = 2 if part == "update" else 1
    assert (ended.outcome, ended.cycles) == ("stopped", whole)
    assert store.run(1).cycles == whole
    assert store.traced_cycles(1) == list(range(1, whole + 1))
    assert store.completions(1, 2, "rollout") == [] or whole == 2
    ready.send(do.ResumeRun(1))
    assert ready.wait(ev.RunFinished).outcome == "finished"
    ready.send(start())
    assert ready.wait(ev.RunFinished).outcome == "finished"
    assert outcome(store, 1, 3) == outcome(store, 2, 3)


def test_within_a_cycle_only_what_leaves_it_whole_is_done(ready, store):
    ready.send(start(into=True))
    assert held(ready) == "write"
    for command in (do.Fork(1, 0), do.GoBack(1, 0), do.Checkpoint()):
        ready.send(command)
        assert ready.wait(ev.CommandRefused).sentence == (
            "The run is within cycle 1: let it end that with Step, or stop it, first.")
    ready.send(do.SetHyperparameters({"kl_coef": 0.5}))
    assert ready.wait(ev.HyperparametersStaged).takes_effect_at == 2
    ready.send(do.StepCycle())
    assert held(ready) == ""
    ready.send(do.Checkpoint())
    ready.send(do.Resume())
    assert ready.wait(ev.RunFinished).outcome == "finished"
    assert store.metrics(1)["kl_coef"].values == [0.05, 0.5, 0.5]


def test_a_running_run_is_held_after_the_part_in_hand(ready):
    ready.send(start(num_cycles=1000))
    ready.wait(ev.CycleFinished)
    ready.send(do.StepInto())
    within = held(ready)
    # Asked for while the cycle was being compared, the run stands between two.
    assert within in {*PARTS[:-1], ""}
    ready.send(do.Stop())
    assert ready.wait(ev.RunFinished).outcome == "stopped"


def test_closing_within_a_cycle_loses_only_that(client, folders, store):
    client.send(do.LoadModels(*folders))
    client.wait_for(State.READY)
    client.send(start(into=True))
    for _ in PARTS:
        held(client)
        client.send(do.StepInto())
    assert held(client) == "write"
    client.close()
    assert (store.run(1).status, store.run(1).cycles) == ("stopped", 1)
    assert store.traced_cycles(1) == [1]
    assert [c.cycle for c in store.checkpoints.all(1)] == [1]


def test_what_a_process_that_is_gone_had_of_a_cycle_is_forgotten(store):
    run_id = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                              prompts=()).result()
    store.record_draft(
        run_id, 1, [CompletionRecord(0, 0, "a", "b", math.nan, math.nan, 1, True)],
        [TokenTrace(0, 0, np.array([1], np.int32), ("b",), {"value": np.zeros(1, np.float32)})]
    ).result()
    store.run_locks.release(run_id)
    assert store.mark_interrupted().result() == [run_id]
    assert store.completions(run_id, 1, "rollout") == []
    assert store.traced_cycles(run_id) == []


def test_every_part_is_reported_in_order(ready):
    ready.send(start(num_cycles=2))
    assert ready.wait(ev.RunFinished).outcome == "finished"
    for cycle in (1, 2):
        reported = [e for e in ready.of(ev.PartReported) if e.cycle == cycle]
        assert list(dict.fromkeys(e.part for e in reported)) == PARTS
        assert [e.part for e in reported if e.done] == PARTS[:-1]
        epochs = [e.metrics["epoch"] for e in reported if "epoch" in e.metrics]
        assert epochs == sorted(epochs)
        assert epochs[0] == 1
