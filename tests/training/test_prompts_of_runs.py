"""What prompts bring along reaches the reward and the policy, and stays with the run."""

import json

import pytest
from helpers.client import Client
from helpers.folders import save_policy
from transformers import AutoTokenizer

from workbench.feedback.reward_file import read_reward_file
from workbench.ppo.hyperparameters import parse
from workbench.store.records import Message, Prompt, PromptSet
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
TURNS = (Message("system", "be kind"), Message("user", "two"))
PROMPTS = (
    do.PromptItem("one", columns={"answer": "1", "level": {"deep": [1, None, "ü"]}}),
    do.PromptItem("System: be kind\n\nUser: two\n\nAssistant:", messages=TURNS,
                  columns={"answer": "22"}))
REWARD = """
import json

def reward(prompts, completions, answer, level):
    with open({log!r}, "a") as file:
        for row in zip(prompts, answer, level):
            file.write(json.dumps(row) + chr(10))
    return [float(len(a)) for a in answer]
"""
SEEN = {("one", "1", '{"deep": [1, null, "\\u00fc"]}'),
        ("System: be kind\n\nUser: two\n\nAssistant:", "22", "null")}


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def models(tmp_path, store, log):
    file = tmp_path / "mine.py"
    file.write_text(REWARD.format(log=str(log)))
    store.trust(read_reward_file(str(file)).sha256, str(file)).result()
    policy = save_policy(tmp_path / "policy", chat_template=CHAT)
    return do.LoadModels(str(policy), str(file), use_chat_template=True)


@pytest.fixture
def loaded(client, models):
    client.send(models)
    client.wait_for(State.READY)
    return client


def start(prompts=PROMPTS, **settings):
    return do.Start(parse({"num_cycles": 1, "batch_size": 4, "response_length": 4,
                           "comparison_prompts": 2, **settings}), prompts)


def seen(log):
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    log.unlink()
    return {(prompt, answer, json.dumps(level)) for prompt, answer, level in rows}


def test_columns_and_turns_stay_with_a_run(loaded, store, log):
    loaded.send(start())
    assert loaded.wait(ev.RunFinished).outcome == "finished"
    assert seen(log) == SEEN
    assert store.run_prompts(1) == [
        Prompt(p.text, messages=p.messages, columns=p.columns) for p in PROMPTS]
    told = AutoTokenizer.from_pretrained(store.run(1).policy)
    assert [told.decode(ids) for ids in store.run_prompt_ids(1)] == [
        "<user>one<assistant>", "<system>be kind<user>two<assistant>"]
    again = Client(store)
    again.send(do.ResumeRun(1, changes={"num_cycles": 2}))
    assert again.wait(ev.RunFinished).outcome == "finished"
    assert seen(log) == SEEN
    again.send(do.Fork(1, 1, changes={"num_cycles": 2}))
    assert again.wait(ev.RunFinished).outcome == "finished"
    again.close()
    assert seen(log) == SEEN
    assert store.run_prompts(2) == store.run_prompts(1)


def test_a_column_that_is_missing_is_named_before_a_run_begins(loaded, store):
    loaded.send(start((do.PromptItem("one", columns={"level": 1}),)))
    assert loaded.wait(ev.CommandRefused).sentence == (
        "mine.py asks for the column “answer”, which the prompts do not have (they have “level”); "
        "open a prompt file that has it, or give the parameter a default value.")
    assert store.runs() == []


def test_a_try_brings_what_is_known_of_a_prompt(loaded, log):
    typed = (PROMPTS[0].text, PROMPTS[1].text)
    loaded.send(do.Try(1, typed, (do.TrySource("start"),), length=4, known=PROMPTS))
    assert not loaded.wait(ev.TryFinished).stopped
    assert seen(log) == SEEN
    loaded.send(do.Try(2, ("one",), (do.TrySource("start"),), length=4))
    assert "asks for the column “answer”" in loaded.wait(ev.CommandRefused).sentence


def test_a_saved_set_keeps_columns_and_turns(store):
    prompts = tuple(Prompt(p.text, enabled=False, pinned=True, messages=p.messages,
                           columns=p.columns) for p in PROMPTS)
    store.save_prompt_set(PromptSet("mine", prompts, "file.jsonl")).result()
    assert store.prompt_set("mine") == PromptSet("mine", prompts, "file.jsonl")
