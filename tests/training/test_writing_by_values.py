"""What Q-learning has learned of values steers whatever is written with a policy of its run, and
nothing else; an exported policy writes by them with transformers alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.client import Client
from helpers.trying import CURRENT, PROMPTS, START, attempt, start

from workbench.ilql.hyperparameters import ILQLSettings
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State


def start_ilql(*, step: bool = False, **settings: object) -> do.Start:
    return do.Start(ILQLSettings.parse({
        "num_cycles": 3, "batch_size": 4, "steps_per_cycle": 3, "response_length": 6,
        "learning_rate": 1e-3, "q_learning_rate": 0.05, "polyak": 0.5, "beta": 20,
        "comparison_prompts": 2, "checkpoint_every": 1, "keep_checkpoints": 9, **settings}),
        PROMPTS, step=step)


def finish(client: Client, command: do.Start) -> int:
    client.send(command)
    run_id = client.wait(ev.RunStarted).run_id
    assert client.wait(ev.RunFinished).outcome == "finished"
    return run_id


def texts(client: Client, *sources: do.TrySource) -> list[list[str]]:
    return attempt(client, *sources, length=12, seed=3)


@pytest.mark.parametrize("settings", [{}, {"lora_rank": 2}], ids=["all weights", "adapters"])
def test_a_checkpoint_writes_by_its_own_values_whatever_is_in_training(
    ready: Client, settings: dict[str, object]
) -> None:
    ppo = finish(ready, start(**settings))
    of_ppo = do.TrySource("checkpoint", ppo, 4)
    begin, plain = texts(ready, START, of_ppo)
    ready.send(start_ilql(step=True, **settings))
    ilql = ready.wait(ev.RunStarted).run_id
    ready.wait_for(State.PAUSED)
    ready.send(do.StepCycle())
    ready.wait_for(State.PAUSED)
    earlier, latest = (do.TrySource("checkpoint", ilql, cycle) for cycle in (1, 2))
    current, first, second, start_now, ppo_now = texts(
        ready, CURRENT, earlier, latest, START, of_ppo)
    assert current == second != first
    # Neither the start policy nor another run's checkpoint is steered by them.
    assert (start_now, ppo_now) == (begin, plain)
    ready.send(do.Stop())
    ready.wait(ev.RunFinished)
    finish(ready, start(**settings))
    assert texts(ready, earlier, latest, of_ppo) == [first, second, plain]


def test_values_steer_best_of_n(ready: Client, store: Store) -> None:
    finish(ready, start())
    run = finish(ready, start_ilql(learning_rate=0, awac_coef=0))
    ready.send(do.SampleBestOf(1, run, 3, 4, (), 3, 0))
    steered = ready.wait(ev.BestOfSampled).found
    ready.send(do.SampleBestOf(1, run, 0, 4, (), 3, 0))
    plain = ready.wait(ev.BestOfSampled).found
    assert plain.kl[0] == 0
    assert steered.kl[0] > 0.1  # the policy's weights have hardly moved: it is the values


_WRITE = """
import json, sys
sys.modules["workbench"] = None  # whoever imports it finds none
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
prompts = "one", "hello there"
def written(model, tokenizer, **how):
    found = []
    for prompt in prompts:
        ids = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
        out = model.generate(**ids, do_sample=False, max_new_tokens=12, pad_token_id=0, **how)
        found.append(tokenizer.decode(out[0, ids["input_ids"].shape[1]:], skip_special_tokens=True))
    return found
def every_way(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    own = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    by_values = dict(custom_generate=folder, trust_remote_code=True)
    return [written(which, tokenizer, **how) for which, how in (
        (model, {}), (model, dict(beta=0.0, **by_values)), (model, by_values),
        (model, dict(beta=1.0, steer_top_k=1, **by_values)), (own, {}), (own, dict(beta=0.0)))]
print(json.dumps([every_way(folder) for folder in sys.argv[1:]]))
"""


def test_an_exported_policy_writes_by_values_with_transformers_alone(
    ready: Client, tmp_path: Path
) -> None:
    """One that was trained whole, and one with adapters."""
    written = {}
    for name, settings in {"whole": {}, "adapters": {"lora_rank": 2}}.items():
        finish(ready, start(**settings))
        run = finish(ready, start_ilql(**settings))
        folder = str(tmp_path / name)
        ready.send(do.ExportRun(run, folder, 3))
        assert ready.wait(ev.Exported).note == ""
        written[folder], = attempt(
            ready, CURRENT, prompts=("one", "hello there"), temperature=0.0, length=12)
    done = subprocess.run([sys.executable, "-c", _WRITE, *written], check=False,
                          capture_output=True, text=True,
                          env={**os.environ, "HF_HOME": str(tmp_path / "cache")})
    assert done.returncode == 0, done.stderr
    for steered, found in zip(written.values(), json.loads(done.stdout), strict=True):
        plain, beta_0, by_values, one, own, own_0 = found
        assert plain == beta_0 == own_0 != by_values
        assert by_values == own == steered
        assert one != plain
