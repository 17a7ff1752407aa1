"""What the best of n are worth: sampled aside from the run, scored and kept with it."""

import math

import pytest
import torch
from helpers.client import Client
from helpers.short_runs import PROMPTS, start

from workbench.learning.best_of_n import kl_bound
from workbench.learning.held_out import held_out
from workbench.models.randomness import Stream, prompt_at, uniforms
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.side_request import OTHER_MODELS


def sampled(client, **what):
    client.send(do.SampleBestOf(**{"id": 7, "run_id": 1, "cycle": 0, "n": 4, **what}))
    return client.wait(ev.BestOfSampled).found


def run_through(client, command):
    client.send(command)
    assert client.wait(ev.RunFinished).outcome == "finished"


def test_it_is_what_transformers_and_the_reward_say(ready, store, folders):
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForSequenceClassification,
        AutoTokenizer,
    )

    run_through(ready, start())
    found = sampled(ready, n=3, seed=2)
    policy = AutoModelForCausalLM.from_pretrained(folders[0])
    writer = AutoTokenizer.from_pretrained(folders[0])
    judge = AutoModelForSequenceClassification.from_pretrained(folders[1])
    reader = AutoTokenizer.from_pretrained(folders[1])
    scores = {}
    with torch.no_grad():
        for prompt in PROMPTS:
            before = store.run_prompt_ids(1)[PROMPTS.index(prompt)]
            for place in range(3):  # where the prompt stands among those that are sampled
                for time in range(3):
                    ids = list(before)
                    for uniform in uniforms(2, Stream.BEST_OF, time, 3, 6)[place]:
                        logits = policy(torch.tensor([ids])).logits[0, -1].double() / 0.8
                        chances = logits.softmax(-1).cumsum(0)
                        ids.append(int(torch.searchsorted(chances, uniform, right=True)))
                        if ids[-1] == writer.eos_token_id:
                            break
                    text = prompt.text + writer.decode(
                        ids[len(before):], skip_special_tokens=True)
                    scores[prompt.text, place, time] = judge(
                        **reader(text, return_tensors="pt")).logits[0, 0].item()
    order = [PROMPTS[prompt_at(0, i, 3)].text for i in range(3)]
    rows = [[scores[text, place, time] for time in range(3)] for place, text in enumerate(order)]
    expected = [
        sum(sum(row) / 3 for row in rows) / 3,
        sum((max(a, b) + max(a, c) + max(b, c)) / 3 for a, b, c in rows) / 3,
        sum(map(max, rows)) / 3]
    assert found.rewards == pytest.approx(expected, abs=1e-5)
    assert found.kl == pytest.approx([kl_bound(n) for n in (1, 2, 3)])
    assert (found.cycle, found.prompts, found.writer) == (0, 3, "Start policy")
    assert store.best_of(1) == [found]


def test_of_a_checkpoint_its_distance_from_the_start_policy_counts(ready, store):
    run_through(ready, start())
    start_, end = sampled(ready), sampled(ready, cycle=3)
    assert end.writer == "Run 1 after cycle 3"
    assert [kl - kl_bound(n) for n, kl in enumerate(end.kl, 1)] != pytest.approx([0] * 4, abs=1e-3)
    assert end.rewards != start_.rewards
    assert store.best_of(1) == [start_, end]
    assert sampled(ready, cycle=None) == end  # the last checkpoint
    assert sampled(ready, cycle=3, seed=1) != end
    assert len(store.best_of(1)) == 2  # in place of what was there


def test_more_samples_keep_the_first_and_batches_change_nothing(ready, store):
    run_through(ready, start(batch_size=4))
    run_through(ready, start(batch_size=7))
    assert sampled(ready, run_id=2).rewards == pytest.approx(sampled(ready).rewards, abs=1e-6)
    few = sampled(ready, n=2)
    assert few.rewards[0] != pytest.approx(few.rewards[1])


def test_prompts_are_those_trained_on_or_those_given(ready, store):
    run_through(ready, start(held_out_prompts=1))
    assert sampled(ready).prompts == 2
    assert sampled(ready, most=1).prompts == 1
    given = sampled(ready, prompts=(PROMPTS[held_out(3, 1)[0]],))
    assert given.prompts == 1
    assert all(map(math.isfinite, given.rewards))


def test_the_prompts_of_what_a_run_is_drawn_by(ready, store):
    run_through(ready, start(held_out_prompts=1, comparison_prompts=2))
    assert sampled(ready).of == "trained"
    compared = [PROMPTS[written.prompt] for written in store.completions(1, 0)]
    found = sampled(ready, of="compared")
    assert (found.of, found.prompts) == ("compared", 2)
    assert found.rewards == sampled(ready, prompts=tuple(compared)).rewards
    apart = sampled(ready, of="held out")
    assert (apart.of, apart.prompts) == ("held out", 1)
    assert store.best_of(1) == [apart]
    run_through(ready, start())
    ready.send(do.SampleBestOf(1, 2, 0, of="held out"))
    assert ready.wait(ev.SamplingBestOfFailed).sentence.startswith("Run 2 has no held-out prompts")


def test_without_a_run_its_models_are_loaded_adapters_too(ready, store):
    run_through(ready, start(lora_rank=2))
    found = sampled(ready, cycle=2)
    ready.close()
    again = Client(store)  # has no models loaded
    assert sampled(again, cycle=2) == found
    again.close()


def test_it_is_ended_by_a_word_and_leaves_nothing(ready, store):
    run_through(ready, start())
    ready.listen(
        lambda e: ready.send(do.StopTrying()) if isinstance(e, ev.SamplingBestOf) else None)
    ready.send(do.SampleBestOf(1, 1, 0, 64))
    assert ready.wait(ev.SamplingBestOfFailed).sentence == ""
    assert store.best_of(1) == []


def test_what_cannot_be_sampled_says_why(ready, store, folders, tmp_path):
    run_through(ready, start(checkpoint_every=2))
    for n in (1, 65):
        ready.send(do.SampleBestOf(1, 1, 0, n))
        assert "between 2 and 64" in ready.wait(ev.SamplingBestOfFailed).sentence
    ready.send(do.SampleBestOf(1, 8))
    assert ready.wait(ev.CommandRefused).sentence.startswith("There is no run 8")
    ready.send(do.SampleBestOf(1, 1, 1))
    assert "no checkpoint after cycle 1" in ready.wait(ev.CommandRefused).sentence
    from helpers.folders import save_reward

    ready.send(do.LoadModels(folders[0], str(save_reward(tmp_path / "another"))))
    ready.wait_for(State.READY)
    ready.send(start(num_cycles=50, step=True))
    ready.wait_for(State.PAUSED)
    ready.send(do.SampleBestOf(1, 1, 0))
    assert ready.wait(ev.SamplingBestOfFailed).sentence == OTHER_MODELS
    ready.send(do.Resume())
    ready.wait_for(State.RUNNING)
    ready.send(do.SampleBestOf(1, 2, 0))
    assert ready.wait(ev.CommandRefused).sentence.startswith("Pause first: ")


def test_it_goes_with_forks_and_with_its_run(ready, store):
    run_through(ready, start())
    first, second = sampled(ready), sampled(ready, cycle=2)
    run_through(ready, do.Fork(1, 1))
    assert [f.rewards for f in store.best_of(2)] == [first.rewards]
    store.delete_run(1).result()
    assert store.best_of(1) == []
    assert second.rewards != first.rewards
