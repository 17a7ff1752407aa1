"""Rewards of any kind in a session: consent, failures, what is recorded, and going on."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.reward_server import serving

from workbench.assets import EXAMPLE_REWARDS
from workbench.cli import parse as parse_words
from workbench.options import reward_of
from workbench.ppo.hyperparameters import parse
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.reward_parts import (
    PartError,
    RewardPart,
    describe,
    find_source,
    parse_part,
    unique_names,
)

LENGTH = "def reward(prompts, completions):\n    return [len(c) for c in completions]\n"
# Fails once the third batch comes: the start's comparison, cycle 1 and its comparison pass.
FAILS_LATER = """calls = 0

def reward(prompts, completions):
    global calls
    calls += 1
    return [len(c) / (calls < 4) for c in completions]
"""


def start(cycles=2, **settings):
    return do.Start(parse({"num_cycles": cycles, "batch_size": 4, "response_length": 5,
                           "comparison_prompts": 2, **settings}),
                    (do.PromptItem("one"), do.PromptItem("two")))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(LENGTH)
    return path


def agree(client, store, command):
    """Send ``command``; agree to the file it needs, and return what was asked."""
    client.send(command)
    failed = client.wait(ev.LoadingFailed)
    assert failed.again == command
    store.trust(failed.untrusted.sha256, failed.untrusted.path).result()
    client.send(failed.again)
    return failed.untrusted


def load(folders, *parts):
    return do.LoadModels(folders[0], tuple(parts))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_runs_only_after_consent_to_its_content(client, store, folders, file):
    command = load(folders, RewardPart(str(file)))
    file.write_text(f"open({str(file.parent / 'ran')!r}, 'w').close()\n{LENGTH}")
    client.send(command)
    failed = client.wait(ev.LoadingFailed)
    assert failed.untrusted == ev.UntrustedFile(str(file), digest(file), file.read_text())
    assert not (file.parent / "ran").exists()
    agree(client, store, command)
    assert client.wait(ev.ModelsLoaded).reward.sha256 == digest(file)
    assert (file.parent / "ran").exists()
    client.send(command)  # not asked again
    client.wait(ev.ModelsLoaded)
    client.wait_for(State.READY)
    file.write_text(LENGTH)
    client.send(command)
    assert client.wait(ev.LoadingFailed).untrusted.sha256 == digest(file)


def test_a_server_is_asked_once_the_person_agrees_to_it(client, store, folders):
    with serving() as server:
        command = load(folders, RewardPart(folders[1]), RewardPart(server.url, 0.5))
        client.send(command)
        assert client.wait(ev.LoadingFailed).untrusted == ev.UntrustedServer(server.url)
        assert not server.asked
        agree(client, store, command)
        loaded = client.wait(ev.ModelsLoaded).reward.parts[1]
        name = f"127.0.0.1:{server.server_port}/score"
        assert (loaded.name, loaded.architecture) == (name, "Server")
        client.wait_for(State.READY)
        client.send(start(2))
        assert client.wait(ev.RunFinished).outcome == "finished"
        written = store.completions(1, 1, "rollout")
        assert all(w.parts[name] == len(w.text) for w in written)
        sent = [text for asked in server.asked for text in asked["completions"]]
        assert {w.text for w in written} <= set(sent)
        # One that fails ends the run with a sentence; when it is back, the run goes on.
        client.send(replace(start(4), step=True))
        client.wait(ev.CycleFinished, lambda e: e.run_id == 2)
        client.wait_for(State.PAUSED)
        server.answers = [(403, "no")]
        client.send(do.Resume())
        assert client.wait(ev.RunFailed).sentence == (
            f"{name} answered 403 (Forbidden); see to the server and resume the run.")
        client.send(do.ResumeRun(2))
        client.wait(ev.RunFinished, lambda e: e.outcome == "finished")
    assert store.run(2).cycles == 4


def test_the_examples_need_no_consent(client, folders):
    client.send(load(folders, *(RewardPart(str(p)) for p in EXAMPLE_REWARDS.values())))
    loaded = client.wait(ev.ModelsLoaded)
    assert [p.name for p in loaded.reward.parts] == ["vader", "length_and_repetition"]


def test_a_weighted_sum_is_recorded_and_goes_on(client, store, folders, file):
    parts = (RewardPart(folders[1], 0.5), RewardPart(str(file), -0.1))
    agree(client, store, load(folders, *parts))
    client.wait(ev.ModelsLoaded)
    client.send(start(3))
    assert client.wait(ev.RunFinished).outcome == "finished"
    run = store.run(1)
    assert run.reward == "0.5 × reward − 0.1 × mine"
    assert [p["sha256"] for p in run.models["reward"]] == ["", digest(file)]
    series = store.metrics(1)
    for total, model, length in zip(*(series[f"objective/scores{n}"].values for n in (
            "", "/reward", "/mine")), strict=True):
        assert total == pytest.approx(0.5 * model - 0.1 * length, abs=1e-5)
    for kind in ("comparison", "rollout"):
        for row in store.completions(1, 3, kind):
            assert row.parts["mine"] == len(row.text)
            assert row.score == pytest.approx(0.5 * row.parts["reward"] - 0.1 * row.parts["mine"])
    # With other models loaded, the run brings its own back; what comes is what would have come.
    client.send(do.LoadModels(*folders))
    client.wait(ev.ModelsLoaded)
    client.wait_for(State.READY)
    before = store.completions(1, 3, "rollout")
    client.send(do.ResumeRun(1, 0))
    assert client.wait(ev.RunResumed).note == ""
    assert client.wait(ev.RunFinished).outcome == "finished"
    assert store.completions(1, 3, "rollout") == before


def test_a_failing_file_ends_the_run_cleanly_and_a_mended_one_goes_on(
    client, store, folders, file
):
    file.write_text(FAILS_LATER)
    agree(client, store, load(folders, RewardPart(str(file))))
    client.wait(ev.ModelsLoaded)
    client.send(start(3))
    failed = client.wait(ev.RunFailed)
    assert failed.sentence.startswith(
        "mine.py, line 6: reward raised ZeroDivisionError (division by zero), on completion 1 of 4 "
        "(prompt “")
    assert "return [len(c) / (calls < 4) for c in completions]" in failed.details
    assert client.wait(ev.RunFinished).cycles == 1
    client.wait_for(State.FAILED)
    assert (store.run(1).status, store.run(1).cycles) == ("failed", 1)
    assert [c.cycle for c in store.checkpoints.all(1)] == [1]  # nothing learned is lost
    old = digest(file)
    file.write_text(LENGTH)
    client.send(start())
    assert client.wait(ev.CommandRefused).sentence == (
        "mine.py has changed since it was loaded; load again to use it as it is now.")
    assert agree(client, store, do.ResumeRun(1)).changed
    assert client.wait(ev.RunResumed).note == "mine.py has changed since the run began."
    assert client.wait(ev.RunFinished).outcome == "finished"
    models = store.run(1).models
    assert models["reward"][0]["sha256"] == digest(file)
    assert models["before"][0]["until_cycle"] == 1
    assert models["before"][0]["reward"][0]["sha256"] == old


@pytest.mark.parametrize(("parts", "sentence"), [
    ((), "No reward was named"),
    ((RewardPart("a", 0.0), RewardPart("b", 0.0)), "no part with a weight other than 0"),
    ((RewardPart(str(EXAMPLE_REWARDS["vader"])), RewardPart("./nowhere")), "There is no folder"),
])
def test_what_cannot_be_loaded_is_said(client, folders, parts, sentence):
    client.send(load(folders, *parts))
    failed = client.wait(ev.LoadingFailed)
    assert sentence in failed.sentence
    assert failed.part == max(0, len(parts) - 1) * ("nowhere" in failed.sentence)


def test_parts_as_they_are_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=3").mkdir()
    vader = str(EXAMPLE_REWARDS["vader"])
    assert parse_part("org/model") == RewardPart("org/model")
    assert parse_part("org/model=0.5") == RewardPart("org/model", 0.5)
    assert parse_part("vader=-2") == RewardPart(vader, -2.0)
    assert parse_part("a=3") == RewardPart("a=3")
    assert parse_part("a=3=2") == RewardPart("a=3", 2.0)
    assert parse_part("b=c") == RewardPart("b=c")
    assert parse_part("mine.py=1e-1") == RewardPart(str(tmp_path / "mine.py"), 0.1)
    with pytest.raises(PartError, match="must be a finite number"):
        parse_part("vader=nan")
    (tmp_path / "vader").mkdir()  # what is there comes first
    assert find_source("vader") == "vader"


def test_sums_as_people_write_them():
    assert describe([1, 0.5, -2, -1], ["a", "b", "c", "d"]) == "a + 0.5 × b − 2 × c − d"
    assert describe([-1], ["a"]) == "−a"
    assert unique_names(["a", "b", "a", "a"]) == ["a", "b", "a 2", "a 3"]


def test_a_changed_half_leaves_the_other_as_it_is(client, store, folders, file):
    model, vader = load(folders, RewardPart(folders[1])), RewardPart(str(EXAMPLE_REWARDS["vader"]))

    def texts(command):
        """Load, and return what is told of it."""
        client.send(command)
        client.wait(ev.ModelsLoaded)
        said = {event.text: 1 for event in client.seen if isinstance(event, ev.LoadingProgress)}
        client.seen.clear()
        client.wait_for(State.READY)
        return list(said)  # which may be told again and again
    first = texts(model)
    assert any("policy" in text for text in first)
    client.send(start(1, lora_rank=2))
    client.wait(ev.RunFinished)
    scored = store.completions(1, 0, "comparison")
    assert texts(load(folders, vader)) == ["Running vader.py"]
    client.send(start(1))
    client.wait(ev.RunFinished)
    # What the run before trained is gone: the start policy begins again.
    assert [c.text for c in store.completions(2, 0, "comparison")] == [c.text for c in scored]
    assert not any("policy" in text for text in texts(model))
    assert texts(model) == first  # asked for again, both are read again


def test_a_file_is_asked_about_before_anything_is_loaded(client, folders, file):
    client.send(load(folders, RewardPart(str(file))))
    client.wait(ev.LoadingFailed)
    assert not [event for event in client.seen if isinstance(event, ev.LoadingProgress)]


def test_a_resumed_run_pauses_after_one_cycle(client, store, folders):
    client.send(do.LoadModels(*folders))
    client.wait(ev.ModelsLoaded)
    client.send(do.Start(start(3).hyperparameters, start().prompts, step=True))
    client.wait_for(State.PAUSED)
    client.send(do.Stop())
    client.wait(ev.RunFinished)
    client.send(do.ResumeRun(1, step=True))
    client.wait_for(State.PAUSED)
    assert store.run(1).cycles == 2


def test_how_a_classifier_reads_is_kept_with_the_run_and_goes_on(client, store, folders):
    client.send(load(folders, RewardPart(folders[1], reads="segments", end_token=True)))
    facts = client.wait(ev.ModelsLoaded).reward
    assert (facts.reads, facts.end_token, facts.limit) == ("segments", True, 256)
    client.send(start(3))
    assert client.wait(ev.RunFinished).outcome == "finished"
    [kept] = store.run(1).models["reward"]
    assert (kept["reads"], kept["end_token"]) == ("segments", True)
    as_pairs = store.completions(1, 0)
    client.send(do.LoadModels(*folders))
    client.wait(ev.ModelsLoaded)
    client.send(start(1))
    client.wait(ev.RunFinished)
    as_text = store.completions(2, 0)
    assert [c.text for c in as_text] == [c.text for c in as_pairs]
    assert [c.score for c in as_text] != [c.score for c in as_pairs]
    before = store.completions(1, 3, "rollout")
    client.send(do.ResumeRun(1, 0))
    client.wait(ev.RunResumed)
    client.wait(ev.RunFinished)
    assert store.completions(1, 3, "rollout") == before


def test_a_run_of_a_version_before_reads_as_its_tokenizer_suggests():
    record = {"reward": [{"source": "org/r", "weight": 0.5, "label": 1, "sha256": ""}],
              "use_chat_template": False}
    command = do.LoadModels.recorded("p", record)
    assert command.parts == (RewardPart("org/r", 0.5, 1, "auto", False),)


def test_the_command_line_says_how_the_reward_before_reads():
    options = parse_words(["train", "--reward", "org/a", "--reward-reads", "segments",
                           "--reward", "org/b=2", "--reward-label", "1", "--reward-end-token"])
    assert reward_of(options) == (
        RewardPart("org/a", reads="segments"), RewardPart("org/b", 2.0, 1, end_token=True))


HANGS_LATER = """import threading

calls = 0

def reward(prompts, completions):
    global calls
    calls += 1
    if calls == 4:
        print("waiting for ever")
        threading.Event().wait()
    return [len(c) for c in completions]
"""


@pytest.mark.parametrize("ends", ["stop", "close"])
def test_a_run_whose_reward_never_returns_can_be_ended(client, store, folders, file, ends):
    file.write_text(HANGS_LATER)
    agree(client, store, load(folders, RewardPart(str(file))))
    client.wait_for(State.READY)
    client.send(start(cycles=5))
    # The start's comparison, cycle 1 and its comparison pass.
    client.wait(ev.CycleFinished, lambda e: e.cycle == 1)
    client.wait(ev.Progress, lambda e: e.cycle == 2 and e.phase is ev.Phase.SCORING)
    if ends == "close":
        client.close()
    else:
        client.send(do.Stop())
        client.wait(ev.RunFinished, lambda e: e.outcome == "stopped")
        client.send(do.ResumeRun(1))
        client.wait(ev.RunFinished)
    run = store.run(1)
    assert run.status == ("stopped" if ends == "close" else "finished")
