"""Held-out prompts: never trained on, and scored as a person would find it."""

import pytest
import torch
from helpers.client import Client
from helpers.recorded import outcome
from helpers.reinforce import ReinforceSettings, add_reinforce
from helpers.short_runs import PROMPTS, start

from workbench.learning.held_out import held_out
from workbench.learning.metrics import COMPARED, HELD_OUT
from workbench.models.randomness import Stream, uniforms
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

APART = held_out(3, 1)[0]


def run_through(client, command):
    client.send(command)
    assert client.wait(ev.RunFinished).outcome == "finished"


def drawn(store, run_id):
    return {c.prompt for cycle in (1, 2, 3) for c in store.completions(run_id, cycle, "rollout")}


@pytest.mark.parametrize("settings", [
    {}, {"value_pretraining_episodes": 12},
    {"advantage_estimator": "group", "completions_per_prompt": 2}],
    ids=["plain", "values learned before", "groups"])
def test_they_are_never_drawn(ready, store, settings):
    run_through(ready, start(**settings))
    assert drawn(store, 1) == {0, 1, 2}
    assert HELD_OUT not in store.metrics(1)
    run_through(ready, start(held_out_prompts=1, **settings))
    assert drawn(store, 2) == {0, 1, 2} - {APART}
    assert store.metrics(2)[HELD_OUT].cycles == [1, 2, 3]


def test_their_reward_is_what_transformers_finds(ready, store, folders):
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForSequenceClassification,
        AutoTokenizer,
    )

    run_through(ready, start(held_out_prompts=1, learning_rate=0.0, seed=5))
    policy = AutoModelForCausalLM.from_pretrained(folders[0])
    tokenizer = AutoTokenizer.from_pretrained(folders[0])
    numbers = uniforms(5, Stream.HELD_OUT, 0, 1, 6)[0]
    prompt = store.run_prompt_ids(1)[APART]
    ids = list(prompt)
    with torch.no_grad():
        for uniform in numbers:
            chances = (policy(torch.tensor([ids])).logits[0, -1].double() / 0.8).softmax(-1)
            ids.append(int(torch.searchsorted(chances.cumsum(0), uniform, right=True)))
            if ids[-1] == tokenizer.eos_token_id:
                break
    text = PROMPTS[APART].text + tokenizer.decode(ids[len(prompt):], skip_special_tokens=True)
    judge = AutoModelForSequenceClassification.from_pretrained(folders[1])
    reader = AutoTokenizer.from_pretrained(folders[1])
    with torch.no_grad():
        score = judge(**reader(text, return_tensors="pt")).logits[0, 0].item()
    assert store.metrics(1)[HELD_OUT].values == pytest.approx([score] * 3, abs=1e-5)


def test_every_so_many_cycles_and_in_as_small_batches_as_those_learned_from(ready, store):
    run_through(ready, start(held_out_prompts=2, held_out_every=2))
    assert store.metrics(1)[HELD_OUT].cycles == [2]
    run_through(ready, start(held_out_prompts=2, batch_size=1))
    run_through(ready, start(held_out_prompts=2, batch_size=1))
    assert outcome(store, 2, 3) == outcome(store, 3, 3)


def test_a_resume_and_a_fork_hold_out_the_same(ready, store):
    run_through(ready, start(held_out_prompts=0.4))
    ready.send(start(held_out_prompts=0.4, step=True))
    ready.wait_for(State.PAUSED)
    ready.send(do.Stop())
    ready.wait(ev.RunFinished)
    ready.close()
    again = Client(store)
    run_through(again, do.ResumeRun(2))
    assert outcome(store, 1, 3) == outcome(store, 2, 3)
    run_through(again, do.Fork(1, 1))
    assert outcome(store, 1, 3) == outcome(store, 3, 3)
    # What was trained on may be held out from there on, and the other way round.
    run_through(again, do.Fork(1, 1, {"held_out_prompts": 0}))
    assert store.metrics(4)[HELD_OUT].cycles == [1]
    again.send(do.Fork(1, 1, {"held_out_prompts": 3}))
    assert "leaves none of the 3 prompts" in again.wait(ev.CommandRefused).sentence
    again.close()


def test_a_run_that_would_hold_out_all_is_refused_in_a_sentence(ready):
    ready.send(start(held_out_prompts=3))
    said = ready.wait(ev.CommandRefused).sentence
    assert said.startswith("Held-out prompts (held_out_prompts) leaves none of the 3 prompts")
    assert "Traceback" not in said


def test_every_algorithm_has_them(client, store, folders, monkeypatch):
    add_reinforce(monkeypatch)
    client.send(do.LoadModels(*folders))
    client.wait_for(State.READY)
    run_through(client, do.Start(ReinforceSettings.parse({
        "num_cycles": 3, "batch_size": 4, "response_length": 6, "comparison_prompts": 2,
        "held_out_prompts": 1}), PROMPTS))
    assert drawn(store, 1) == {0, 1, 2} - {APART}
    found = store.metrics(1)
    assert found[HELD_OUT].cycles == found[COMPARED].cycles == [1, 2, 3]
