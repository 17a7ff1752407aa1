"""Paths not taken: what could have come next is written on from, scored and kept with the run."""

import math

import pytest
import torch
from helpers.short_runs import start

from workbench.records import Branch, Continuation, Crossroads
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.side_request import NOT_KEPT, OTHER_MODELS


def wrote_on(client, **where):
    client.send(do.WriteOn(**{"id": 5, "run_id": 1, "cycle": 1, "position": 0, "at": 1, "times": 3,
                              **where}))
    return client.wait(ev.WroteOn).found


def test_the_tree_is_what_transformers_and_the_reward_say(ready, store, folders):
    # Held before the first update the policy is still the start policy, which lies in a folder.
    from transformers import AutoModelForCausalLM

    ready.send(start(into=True))
    while (event := ready.wait(ev.StateChanged)).within != "estimate":
        if event.state is State.PAUSED:
            ready.send(do.StepInto())
    found = wrote_on(ready)
    assert store.crossroads(1, 1, 0) == [found]
    trace = store.trace(1, 1, 0)
    before = [*store.run_prompt_ids(1)[trace.prompt], int(trace.tokens[0])]
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(folders[0])(torch.tensor([before])).logits
    chances = (logits[0, -1].double() / 0.8).softmax(-1)
    likeliest = chances.topk(5).indices.tolist()
    tokens = [b.token for b in found.branches]
    assert tokens[:4] == likeliest[:4]
    assert found.taken in tokens
    assert tokens[4] in (likeliest[4], found.taken)
    for branch in found.branches:
        assert branch.chance == pytest.approx(chances[branch.token].item(), abs=1e-5)
        assert branch.start_chance == pytest.approx(branch.chance, abs=1e-6)
        assert all(len(c.tokens) <= 6 - 2 for c in branch.continuations)
    assert found.value == pytest.approx(trace.numbers["value"][1].item(), abs=1e-5)
    # Scored as any completion: the one that was written in the cycle has the score it has there.
    scored = {c.score for b in found.branches for c in b.continuations}
    assert len(scored) > 1
    assert all(math.isfinite(score) for score in scored)


def test_its_means_are_those_of_its_leaves():
    def branch(token, chance, *scores):
        return Branch(token, "", chance, chance, 0.0,
                      tuple(Continuation((), (), s, True) for s in scores))

    found = Crossroads(1, 1, 0, 3, "Policy", 0, 0.5, 7, (
        branch(4, 0.5, 1.0, 0.0), branch(7, 0.2, 2.0, 1.8), branch(9, 0.1, 1.7)))
    assert found.path.worth == pytest.approx(1.9)
    assert found.others == pytest.approx((0.5 * 0.5 + 0.1 * 1.7) / 0.6)  # 0.7
    assert found.advantage == pytest.approx(1.2)
    assert found.worth == pytest.approx((0.5 * 0.5 + 0.2 * 1.9 + 0.1 * 1.7) / 0.8)


def test_every_branch_is_written_on_with_the_same_random_numbers(ready, store):
    ready.send(start(step=True))
    ready.wait_for(State.PAUSED)
    first = wrote_on(ready, seed=3)
    assert wrote_on(ready, seed=3) == first
    assert wrote_on(ready, seed=4) != first
    # One more time changes none of those before; the later one took the earlier's place.
    more = wrote_on(ready, seed=3, times=4)
    for was, now in zip(first.branches, more.branches, strict=True):
        assert [c.tokens for c in now.continuations[: len(was.continuations)]] == [
            c.tokens for c in was.continuations]
    assert store.crossroads(1, 1, 0) == [more]


def test_what_ends_the_text_is_one_path(ready, store):
    ready.send(start(step=True))
    ready.wait_for(State.PAUSED)
    found = wrote_on(ready, at=len(store.trace(1, 1, 0).tokens) - 1, branches=3)
    last = store.completions(1, 1, "rollout")[0]
    assert all(len(b.continuations) in (1, 3) for b in found.branches)
    if len(store.trace(1, 1, 0).tokens) == 6:  # there is no room for more
        assert [c.tokens for b in found.branches for c in b.continuations] == [()] * 3
        assert found.path.worth == pytest.approx(last.score, abs=1e-5)


def test_it_is_ended_by_a_word_and_leaves_nothing(ready, store):
    ready.send(start(step=True, response_length=48))
    ready.wait_for(State.PAUSED)
    ready.listen(lambda e: ready.send(do.StopTrying()) if isinstance(e, ev.WritingOn) else None)
    ready.send(do.WriteOn(1, 1, 1, 0, 0))
    assert ready.wait(ev.WritingOnFailed).sentence == ""
    assert store.crossroads(1, 1, 0) == []


def test_what_cannot_be_written_on_says_why(ready, store, folders, tmp_path):
    ready.send(start(step=True))
    ready.wait_for(State.PAUSED)
    for where in ({"cycle": 2}, {"position": 9}, {"at": 99}, {"run_id": 8}):
        ready.send(do.WriteOn(**{
            "id": 1, "run_id": 1, "cycle": 1, "position": 0, "at": 0, **where}))
        assert ready.wait(ev.WritingOnFailed).sentence == NOT_KEPT
    ready.send(do.WriteOn(1, 1, 1, 0, 0, do.TrySource("checkpoint", 1, 3)))
    assert "cycle 3" in ready.wait(ev.WritingOnFailed).sentence
    ready.send(do.Stop())
    ready.wait_for(State.FINISHED)
    ready.send(do.LoadModels(*folders, use_chat_template=False))
    ready.wait_for(State.READY)
    assert wrote_on(ready).writer == "Policy as loaded, not trained"
    from helpers.folders import save_reward

    ready.send(do.LoadModels(folders[0], str(save_reward(tmp_path / "another"))))
    ready.wait_for(State.READY)
    ready.send(do.WriteOn(1, 1, 1, 0, 0))
    assert ready.wait(ev.WritingOnFailed).sentence == OTHER_MODELS


def test_a_running_run_is_not_disturbed(ready):
    ready.send(start(num_cycles=50))
    ready.wait(ev.CycleFinished)
    ready.send(do.WriteOn(1, 1, 1, 0, 0))
    assert ready.wait(ev.CommandRefused).sentence.startswith("Pause first: ")
    ready.send(do.Stop())
    assert ready.wait(ev.RunFinished).outcome == "stopped"


def test_it_is_kept_with_forks_and_goes_with_its_run(ready, store):
    ready.send(start(step=True))
    ready.wait_for(State.PAUSED)
    found = wrote_on(ready)
    ready.send(do.Fork(1, 1))
    ready.wait(ev.RunResumed)
    ready.wait_for(State.FINISHED)
    assert [c.branches for c in store.crossroads(2, 1, 0)] == [found.branches]
    assert isinstance(store, Store)
    store.delete_run(1).result()
    assert store.crossroads(1, 1, 0) == []
    assert len(store.crossroads(2, 1, 0)) == 1
