"""A paused run is tried and goes on as if it had not been."""

import shutil

import pytest
from helpers.recorded import outcome
from helpers.trying import CURRENT, PROMPTS, START, attempt, start

from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State


def pause_after(client, cycle, **settings):
    """Start a run and hold it after ``cycle``; return its number."""
    client.send(start(step=True, **settings))
    run_id = client.wait(ev.RunStarted).run_id
    client.wait_for(State.PAUSED)
    for _ in range(cycle - 1):
        client.send(do.StepCycle())
        client.wait_for(State.PAUSED)
    return run_id


@pytest.mark.parametrize("settings", [{}, {"lora_rank": 2}, {"value_model": "policy"}],
                         ids=["all weights", "adapters", "separate value model"])
def test_trying_leaves_no_trace(ready, store, settings):
    ready.send(start(**settings))
    assert ready.wait(ev.RunFinished).outcome == "finished"
    run_id = pause_after(ready, 2, **settings)
    earlier = do.TrySource("checkpoint", run_id, 1)
    latest = do.TrySource("checkpoint", run_id, 2)
    for seed in (0, 1):
        first, current, now, then = attempt(
            ready, START, CURRENT, latest, earlier, seed=seed, temperature=0.8, top_p=0.95)
        assert now == current  # the last checkpoint is where the run stands
        assert len({tuple(t) for t in (first, then, current)}) == 3
    ready.send(do.Try(8, ("a",), (earlier, CURRENT), length=100))
    ready.wait(ev.TryStarted)
    ready.send(do.StopTrying())
    ready.wait(ev.TryFinished)
    assert store.run(run_id).status == "paused"
    ready.send(do.Resume())
    assert ready.wait(ev.RunFinished).outcome == "finished"
    assert outcome(store, run_id, 4) == outcome(store, 1, 4)


def test_the_start_is_the_start_and_its_distance_is_zero(ready, folders):
    before, = attempt(ready, CURRENT)  # no run yet: the policy is the start policy
    assert [e.labels for e in ready.seen if isinstance(e, ev.TryStarted)] == [
        ("Policy as loaded, not trained",)]
    pause_after(ready, 2)
    after, = attempt(ready, START)
    assert after == before
    now, = attempt(ready, CURRENT)
    assert now != before
    start_kl, current_kl = (
        [c.kl for c in e.completions] for e in ready.of(ev.TryScored)[-2:])
    assert start_kl == [0, 0]
    assert all(abs(kl) > 1e-3 for kl in current_kl)


def test_texts_grow_and_end_as_they_are_scored(ready):
    pause_after(ready, 1)
    attempt(ready, CURRENT, prompts=("one",), length=60, seed=5)
    started, = (i for i, e in enumerate(ready.seen) if isinstance(e, ev.TryStarted))
    told = [e for e in ready.seen[started:] if isinstance(e, ev.TryProgress)]
    scored, = ready.of(ev.TryScored)
    assert told[0].tokens == (1,)
    tokens = [e.tokens[0] for e in told]
    assert tokens == sorted(tokens)
    for event in told:
        assert scored.completions[0].text.startswith(event.texts[0])


def test_another_command_ends_a_try_and_is_served(ready):
    pause_after(ready, 1, num_cycles=2)
    ready.send(do.Try(1, ("one",) * 4, (CURRENT, START) * 20, length=100))
    ready.wait(ev.TryProgress)
    ready.send(do.SetHyperparameters({"kl_coef": 0.5}))  # does not
    ready.send(do.Resume())
    assert ready.wait(ev.TryFinished).stopped
    ready.wait(ev.HyperparametersStaged)
    assert ready.wait(ev.HyperparametersApplied).cycle == 2
    assert ready.wait(ev.RunFinished).outcome == "finished"


def test_tries_wait_for_one_another_and_one_that_waits_can_be_given_up(ready):
    ready.send(do.Try(1, ("one",), (CURRENT, START) * 5, length=100))
    ready.wait(ev.TryProgress)
    for waiting in (do.Try(-1, ("two",), (CURRENT,), length=4), do.Try(-2, ("a",), (CURRENT,)),
                    do.StopTrying(-2)):
        ready.send(waiting)
    ended = [ready.wait(ev.TryFinished) for _ in range(3)]
    assert [(e.id, e.stopped) for e in ended] == [(-2, True), (1, False), (-1, False)]
    assert [e.id for e in ready.of(ev.TryScored)] == [1] * 10 + [-1]
    ready.send(do.Try(-3, (), (CURRENT,)))
    assert ready.wait(ev.CommandRefused).id == -3


def test_a_memory_estimate_waits_for_the_end_of_a_try(ready):
    ready.send(do.Try(1, ("one",), (CURRENT, START) * 5, length=100))
    ready.wait(ev.TryProgress)
    ready.send(do.EstimateMemory(start().hyperparameters, PROMPTS))
    assert not ready.wait(ev.TryFinished).stopped
    ready.wait(ev.MemoryEstimated)


def test_closing_ends_a_try(ready):
    ready.send(do.Try(1, ("one",), (CURRENT,) * 200, length=100))
    ready.wait(ev.TryProgress)
    ready.close()
    assert ready.of(ev.TryFinished)[0].stopped


def test_what_cannot_be_tried_says_why(ready, store):
    cases = [
        (do.Try(1, (), (CURRENT,)), "type one"),
        (do.Try(1, ("a",), ()), "tick"),
        (do.Try(1, ("a",), (CURRENT,), temperature=-1), "Temperature must be between 0 and 5"),
        (do.Try(1, ("a",), (CURRENT,), top_p=0), "Top-p must be between 0.01 and 1"),
        (do.Try(1, ("a" * 200,), (CURRENT,)), "too long"),
    ]
    for command, sentence in cases:
        ready.send(command)
        refused = ready.wait(ev.CommandRefused)
        assert sentence in refused.sentence
        assert refused.command == "Try"
    ready.send(start(num_cycles=1000))
    ready.wait_for(State.RUNNING)
    ready.send(do.Try(1, ("a",), (CURRENT,)))
    assert "Pause first" in ready.wait(ev.CommandRefused).sentence
    ready.send(do.Stop())
    ready.wait_for(State.FINISHED)
    attempt(ready, CURRENT)


def test_a_bad_checkpoint_costs_its_column_only(ready, store):
    with_adapters = pause_after(ready, 1, lora_rank=2)
    ready.send(do.Stop())
    ready.wait_for(State.FINISHED)
    run_id = pause_after(ready, 2)
    next(store.checkpoints.all(run_id)[0].path.glob("*.safetensors")).write_bytes(b"cut short")
    shutil.rmtree(store.checkpoints.all(run_id)[1].path)
    sources = (do.TrySource("checkpoint", run_id, 1), do.TrySource("checkpoint", run_id, 2),
               do.TrySource("checkpoint", with_adapters, 1), CURRENT)
    ready.send(do.Try(3, ("one",), sources, length=4))
    ready.wait(ev.TryFinished)
    assert [(e.source, e.sentence.split(";")[0]) for e in ready.of(ev.TryFailed)] == [
        (0, "The checkpoint of cycle 1 is missing or damaged"),
        (1, "The checkpoint of cycle 2 is missing or damaged"),
        (2, "This checkpoint belongs to another model or another LoRA rank than the policy that "
            "is loaded")]
    assert [e.source for e in ready.of(ev.TryScored)] == [3]


def test_what_wrote_an_answer_is_named_by_run_and_cycle(ready):
    first = pause_after(ready, 2)
    attempt(ready, CURRENT, do.TrySource("checkpoint", first, 1))
    ready.send(do.Stop())
    ready.wait_for(State.FINISHED)
    attempt(ready, CURRENT)
    second = pause_after(ready, 1)
    attempt(ready, CURRENT)
    assert [e.labels for e in ready.of(ev.TryStarted)] == [
        (f"Run {first} after cycle 2", f"Run {first} after cycle 1"),
        (f"Run {first} after cycle 2",), (f"Run {second} after cycle 1",)]
