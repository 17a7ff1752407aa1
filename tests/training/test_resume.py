"""Interrupted and resumed is never interrupted: bit for bit on a CPU."""

import shutil
from pathlib import Path

import pytest
import torch
from helpers import recorded
from helpers.client import Client
from helpers.folders import save_gguf

from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD
from workbench.ppo.hyperparameters import parse
from workbench.store.checkpoints import CheckpointError, Checkpoints
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.models import Models

pytestmark = pytest.mark.slow
PROMPTS = (do.PromptItem("one"), do.PromptItem("two"), do.PromptItem("three"))
VARIANTS = {
    "plain": {},
    "adapters": {"lora_rank": 2},
    "separate value model": {"value_model": "policy"},
    "values at their own pace": {"value_learning_rate": 1e-2, "num_value_epochs": 5},
    "separate value model at its own pace": {
        "value_model": "policy", "value_learning_rate": 1e-2, "num_value_epochs": 2},
    "adaptive KL, normalised scores": {"kl_controller": "adaptive", "normalize_scores": True},
}


def start(**settings):
    return do.Start(parse({
        "num_cycles": 6, "batch_size": 4, "num_ppo_epochs": 2, "response_length": 6,
        "learning_rate": 1e-3,
        "kl_coef": 0.05, "comparison_prompts": 2, "checkpoint_every": 2, "keep_checkpoints": 9,
        **settings}), PROMPTS)


def outcome(store, run_id):
    """Everything recorded of a run, and its last checkpoint."""
    return recorded.outcome(store, run_id, 6)


def finish(client):
    assert client.wait(ev.RunFinished).outcome == "finished"


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_resume_in_another_session_is_exact(store, folders, settings):
    first = Client(store)
    first.send(do.LoadModels(*folders))
    first.wait_for(State.READY)
    first.send(start(**settings))
    finish(first)
    first.send(start(**settings))
    first.wait(ev.CycleFinished, lambda e: e.cycle == 3)
    first.close()  # as closing the window does

    second = Client(store)  # has no models loaded: the run brings its own
    second.send(do.ResumeRun(2))
    resumed = second.wait(ev.RunResumed)
    assert resumed.cycle in (2, 3, 4)
    finish(second)
    second.close()
    assert outcome(store, 2) == outcome(store, 1)
    assert store.run(2).status == "finished"


def test_stopped_before_the_first_checkpoint_begins_again_the_same(ready, store):
    ready.send(start())
    finish(ready)
    ready.send(start(checkpoint_every=0))
    ready.wait(ev.Progress, lambda e: e.cycle == 1 and e.phase is ev.Phase.UPDATING)
    ready.send(do.Stop())
    ready.wait_for(State.FINISHED)
    for checkpoint in store.checkpoints.all(2):  # the stop may have come after the cycle
        shutil.rmtree(checkpoint.path)
    ready.send(do.ResumeRun(2))
    assert ready.wait(ev.RunResumed).cycle == 0
    finish(ready)
    assert outcome(store, 2) == outcome(store, 1)


def test_changes_made_after_the_checkpoint_are_replayed(ready, store):
    for resume in (False, True):
        ready.send(do.Start(start().hyperparameters, PROMPTS, step=True))
        for cycle in range(1, 6):
            ready.wait_for(State.PAUSED)
            if cycle == 3:
                ready.send(do.SetHyperparameters({"kl_coef": 0.7}))
            if resume and cycle == 5:
                ready.send(do.Stop())
                ready.wait_for(State.FINISHED)
                ready.send(do.ResumeRun(2, cycle=2))
                assert ready.wait(ev.RunResumed).hyperparameters["kl_coef"] == 0.05
            else:
                ready.send(do.StepCycle())
        finish(ready)
    assert store.metrics(2)["kl_coef"].values == [0.05] * 3 + [0.7] * 3
    assert outcome(store, 2) == outcome(store, 1)
    assert [(c.cycle, c.name) for c in store.changes(2)] == [(4, "kl_coef")]


def test_a_change_that_does_not_go_with_a_replayed_one_is_refused(ready, store):
    ready.send(do.Start(start(checkpoint_every=1).hyperparameters, PROMPTS, step=True))
    for _ in range(3):
        ready.wait_for(State.PAUSED)
        ready.send(do.SetHyperparameters({"num_mini_batches": 4}))
        ready.send(do.StepCycle())
    ready.wait_for(State.PAUSED)
    ready.send(do.Stop())
    ready.wait_for(State.FINISHED)
    ready.send(do.ResumeRun(1, cycle=0))  # whose second cycle takes four mini-batches again
    ready.send(do.SetHyperparameters({"batch_size": 6}))
    assert "must divide the batch size (6)" in ready.wait(ev.CommandRefused).sentence
    finish(ready)
    assert store.run(1).cycles == 6


def test_a_finished_run_goes_on_with_more_cycles(ready, store):
    ready.send(start(num_cycles=2))
    finish(ready)
    ready.send(do.ResumeRun(1))
    assert "raise the number of cycles" in ready.wait(ev.CommandRefused).sentence
    ready.send(do.ResumeRun(1, changes={"num_cycles": 4}))
    finish(ready)
    assert store.metrics(1)["lr"].cycles == [1, 2, 3, 4]
    assert [(c.cycle, c.name, c.old, c.new) for c in store.changes(1)] == [
        (3, "num_cycles", 2, 4)]


def test_what_cannot_be_resumed_says_why(ready, store):
    ready.send(start(num_cycles=4))
    finish(ready)
    more = {"num_cycles": 9}
    cases = [
        (do.ResumeRun(99), "no run 99"),
        (do.ResumeRun(1, 3, more), "no checkpoint after cycle 3"),
        (do.ResumeRun(1, changes={"seed": 4}), "Seed cannot change"),
    ]
    for command, sentence in cases:
        ready.send(command)
        assert sentence in ready.wait(ev.CommandRefused).sentence
    (store.checkpoints.all(1)[-1].path / "tensors-1.safetensors").write_bytes(b"cut short")
    ready.send(do.ResumeRun(1, changes=more))
    refused = ready.wait(ev.CommandRefused)
    assert refused.sentence == (
        "The checkpoint of Run 1 after cycle 4 is damaged; the one after cycle 2 is whole.")
    (store.checkpoints.all(1)[0].path / "state.json").write_text("{")
    ready.send(do.ExportRun(1, "nowhere"))
    assert ready.wait(ev.CommandRefused).instead == do.ExportRun(1, "nowhere", 0)
    ready.send(do.ResumeRun(1, 0, more))
    finish(ready)


def test_a_run_that_cannot_be_held_or_read_is_refused_and_the_session_goes_on(ready, store, home):
    ready.send(start(num_cycles=2))
    finish(ready)
    shutil.rmtree(home / "locks")
    (home / "locks").touch()
    more = {"num_cycles": 3}
    ready.send(do.ResumeRun(1, changes=more))
    assert "no run can be held in" in ready.wait(ev.CommandRefused).sentence
    (home / "locks").unlink()
    arrays, state = store.checkpoints.read(1, 2)
    strange = {"from_another_version": 1, **state["hyperparameters"]}
    store.checkpoints.write(1, 2, arrays.items(), {**state, "hyperparameters": strange})
    ready.send(do.ExportRun(1, str(home / "out")))
    assert "no hyperparameter named 'from_another_version'" in ready.wait(
        ev.CommandRefused).sentence
    store.checkpoints.write(1, 2, arrays.items(), state)
    ready.send(do.ResumeRun(1, changes=more))
    finish(ready)


def test_a_damaged_checkpoint_names_the_one_before(ready, store):
    ready.send(start(num_cycles=4))
    finish(ready)
    (store.checkpoints.all(1)[-1].path / "tensors-1.safetensors").unlink()
    ready.send(do.ResumeRun(1, changes={"num_cycles": 6}))
    refused = ready.wait(ev.CommandRefused)
    assert refused.instead == do.ResumeRun(1, 2, {"num_cycles": 6})
    ready.send(refused.instead)
    assert ready.wait(ev.RunResumed).cycle == 2
    # What followed cycle 2 is another history now; nothing of it can be taken for this one's.
    assert [c.cycle for c in store.checkpoints.all(1)] == [2]
    finish(ready)


def test_a_state_that_is_not_as_it_was_written_is_damaged(ready, store):
    ready.send(start(num_cycles=4))
    finish(ready)
    state = store.checkpoints.all(1)[-1].path / "state.json"
    state.write_text(state.read_text().replace("0.001", "0.009", 1))
    assert not store.checkpoints.is_whole(1, 4)
    ready.send(do.ResumeRun(1, changes={"num_cycles": 6}))
    assert ready.wait(ev.CommandRefused).instead.cycle == 2


def test_what_is_set_at_a_resume_overrules_what_was_set_later(ready, store):
    """Also where the controller left its coefficient behind."""
    settings = start(kl_controller="adaptive", kl_target=0.01, kl_horizon=4).hyperparameters
    ready.send(do.Start(settings, PROMPTS, step=True))
    for change in ({}, {"learning_rate": 5e-3}, {"kl_controller": "fixed"}, {}):
        ready.wait_for(State.PAUSED)
        if change:
            ready.send(do.SetHyperparameters(change))
        ready.send(do.StepCycle())
    ready.wait_for(State.PAUSED)
    ready.send(do.Stop())
    ready.wait_for(State.FINISHED)
    assert [(c.cycle, c.name, c.by) for c in store.changes(1)] == [
        (3, "learning_rate", "person"), (4, "kl_coef", "controller"),
        (4, "kl_controller", "person")]
    ready.send(do.ResumeRun(1, 2, {"learning_rate": 2e-3, "kl_controller": "adaptive"}))
    assert ready.wait(ev.RunResumed).abandoned == 2
    finish(ready)
    assert [(c.cycle, c.name, c.new, c.by) for c in store.changes(1)] == [
        (3, "learning_rate", 2e-3, "person")]
    rates = store.metrics(1)["lr"].values
    assert rates[2:] == [pytest.approx(2e-3 * (1 - cycle / 6)) for cycle in range(2, 6)]
    assert len(set(store.metrics(1)["kl_coef"].values)) == 6  # the controller went on


def test_a_run_goes_on_with_the_threads_it_began_with(store, folders, monkeypatch):
    """With others, sums would round otherwise."""
    monkeypatch.setattr("workbench.training.threads.os.cpu_count", lambda: 4)
    used = []
    for told, spare, command in (
            (2, 0, start(num_cycles=1, num_ppo_epochs=1, response_length=2)),
            (None, 1, do.ResumeRun(1, 0)), (1, 0, do.Fork(1, 0)),
            (None, 0, do.ResumeRun(2, 0))):
        client = Client(store, threads=told, spare_threads=spare)
        client.listen(lambda event: used.append(torch.get_num_threads())
                      if isinstance(event, ev.RunFinished) else None)
        client.send(do.LoadModels(*folders))
        client.wait_for(State.READY)
        client.send(command)
        finish(client)
        client.close()
    assert used == [2, 2, 1, 1]
    assert {run.id: run.models["threads"] for run in store.runs()} == {1: 2, 2: 1}


def test_the_last_the_best_and_the_pinned_checkpoints_stay(ready, store):
    ready.send(start(num_cycles=1, checkpoint_every=1, keep_checkpoints=2, learning_rate=1e-2))
    finish(ready)
    store.checkpoints.pin(1, 1, True)
    ready.send(do.ResumeRun(1, changes={"num_cycles": 6}))
    finish(ready)
    scores = {c: sum(x.score for x in store.completions(1, c)) / 2 for c in range(1, 7)}
    best = max(range(1, 7), key=lambda c: (scores[c], c))
    there = store.checkpoints.all(1)
    # 1 is pinned; the best of those that were there when one had to go.
    assert {1, 5, 6, best} == {c.cycle for c in there}
    assert [c.pinned for c in there] == [c.cycle == 1 for c in there]
    assert [c.score for c in there] == [pytest.approx(scores[c.cycle]) for c in there]
    store.checkpoints.pin(1, 1, False)
    store.checkpoints.prune(1, 2)
    assert {c.cycle for c in store.checkpoints.all(1)} == {5, 6, best}
    assert [e.cycle for e in ready.of(ev.CheckpointWritten)] == [1, 2, 3, 4, 5, 6]
    store.delete_run(1).result()
    assert store.checkpoints.all(1) == []


def test_a_checkpoint_that_cannot_be_written_ends_no_run(ready, store, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("workbench.store.checkpoints._flush", refuse)
    ready.send(start())
    assert "(Permission denied)" in ready.wait(ev.CheckpointFailed).sentence
    finish(ready)
    assert store.checkpoints.all(1) == []


def test_changed_model_files_are_noticed(client, store, folders, tmp_path):
    copy = shutil.copytree(folders[0], tmp_path / "policy")
    client.send(do.LoadModels(str(copy), folders[1]))
    client.wait_for(State.READY)
    client.send(start(num_cycles=2))
    finish(client)
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    again = Client(store)
    again.send(do.ResumeRun(1, changes={"num_cycles": 3}))
    assert again.wait(ev.CommandRefused).sentence == (
        f"The files of the policy {copy} have changed since the run began; put them back to go on "
        "with it, or start a new run.")
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    again.send(do.LoadModels(str(copy), folders[1]))
    again.wait_for(State.READY)
    again.send(do.ResumeRun(1, changes={"num_cycles": 3}))
    finish(again)
    again.close()


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_adapters_are_not_exported_upon_another_base(lora_rank, client, store, folders, tmp_path):
    copy = shutil.copytree(folders[0], tmp_path / "policy")
    client.send(do.LoadModels(str(copy), folders[1]))
    client.wait_for(State.READY)
    client.send(start(num_cycles=1, lora_rank=lora_rank))
    finish(client)
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    again = Client(store)
    again.send(do.ExportRun(1, str(tmp_path / "out"), None))
    if lora_rank:
        assert f"The files of the policy {copy} have changed" in again.wait(
            ev.CommandRefused).sentence
    else:
        again.wait(ev.Exported)
    assert (tmp_path / "out").exists() == (not lora_rank)
    again.close()


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_adapters_are_neither_exported_nor_tried_upon_another_base_that_is_loaded(
    lora_rank, client, store, folders, tmp_path
):
    """As in the window, where the policy that has changed is loaded and stays."""
    copy = shutil.copytree(folders[0], tmp_path / "policy")
    load = do.LoadModels(str(copy), folders[1])
    client.send(load)
    client.wait_for(State.READY)
    client.send(start(num_cycles=1, lora_rank=lora_rank))
    finish(client)
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    again = Client(store)
    again.send(load)
    again.wait_for(State.READY)
    again.send(start(num_cycles=1, lora_rank=lora_rank))  # so that its policy has adapters
    finish(again)
    again.send(do.Try(1, ("one",), (do.TrySource("checkpoint", 1, 1),), length=4))
    again.wait(ev.TryFinished)
    again.send(do.ExportRun(1, str(tmp_path / "out"), None))
    if lora_rank:
        refused = again.wait(ev.CommandRefused).sentence
        assert refused == (
            f"The files of the policy {copy} have changed since the run began; put them back to "
            "go on with it, or start a new run.")
        assert [event.sentence for event in again.of(ev.TryFailed)] == [refused]
    else:
        again.wait(ev.Exported)
        assert again.of(ev.TryFailed) == []
    again.close()


def test_bundled_models_of_another_version_are_told_as_that():
    models = Models()
    models._fingerprints = {
        f"policy {BUNDLED_POLICY}": "new", f"reward model {BUNDLED_REWARD}": "same"}
    sentence = models.changed_weights({"fingerprints": {f"policy {BUNDLED_POLICY}": "old"}})
    assert "bundled models of another version" in sentence
    assert "put them back" not in sentence


@pytest.mark.parametrize("named", ["folder", "file"])
def test_a_changed_gguf_file_is_noticed(named, client, store, folders, tmp_path):
    file = tmp_path / "policy" / "small.gguf"
    save_gguf(file)
    source = str(file if named == "file" else file.parent)
    client.send(do.LoadModels(source, folders[1]))
    client.wait_for(State.READY)
    client.send(start(num_cycles=1))
    finish(client)
    weights = bytearray(file.read_bytes())
    weights[-5] ^= 1
    file.write_bytes(weights)
    client.send(do.LoadModels(source, folders[1]))
    client.wait_for(State.READY)
    client.send(do.ResumeRun(1, changes={"num_cycles": 2}))
    assert f"The files of the policy {source} have changed" in client.wait(
        ev.CommandRefused).sentence


def test_half_a_checkpoint_is_none(home):
    import numpy as np

    checkpoints = Checkpoints(home)
    checkpoints.write(1, 3, [("a", np.ones(3))], {"numbers": {}})
    partial = home / "checkpoints" / "1" / "5.partial"
    partial.mkdir()
    assert [c.cycle for c in checkpoints.all(1)] == [3]
    with pytest.raises(CheckpointError, match="cycle 5 is missing"):
        checkpoints.read(1, 5)
    checkpoints.prune(1, 1)
    assert not partial.exists()
    assert checkpoints.read(1, 3)[0]["a"].tolist() == [1, 1, 1]


def test_the_store_agrees_after_reopening(ready, store, home):
    ready.send(start(num_cycles=2))
    finish(ready)
    again = Store(home)
    assert [c.cycle for c in again.checkpoints.all(1)] == [2]
    again.close()


@pytest.mark.parametrize("settings", [{}, {"lora_rank": 2}], ids=["all weights", "adapters"])
def test_the_exported_policy_is_the_trained_one(ready, store, tmp_path, settings):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ready.send(start(num_cycles=2, learning_rate=1e-2, **settings))
    finish(ready)
    ready.send(do.ExportRun(1, str(tmp_path / "out")))
    assert ready.wait(ev.Exported).cycle == 2
    ready.send(do.ExportRun(1, str(tmp_path / "start"), 0))
    ready.wait(ev.Exported)
    ids = AutoTokenizer.from_pretrained(tmp_path / "out")("hello", return_tensors="pt")["input_ids"]
    trained, untrained = (
        AutoModelForCausalLM.from_pretrained(tmp_path / name) for name in ("out", "start"))
    assert not torch.allclose(trained(ids).logits, untrained(ids).logits)
    # Loaded as a policy of its own, it is where the run ended.
    ready.send(do.LoadModels(str(tmp_path / "out"), store.run(1).reward))
    ready.wait_for(State.READY)
    ready.send(start(num_cycles=1))
    run_id = ready.wait(ev.RunStarted).run_id
    finish(ready)
    assert [c.text for c in store.completions(run_id, 0)] == [
        c.text for c in store.completions(1, 2)]


def test_an_export_that_cannot_be_written_says_so(ready, tmp_path):
    ready.send(start(num_cycles=1))
    finish(ready)
    (tmp_path / "file").write_text("")
    for folder, sentence in ((tmp_path / "file" / "out", "is a file; choose a folder"),
                             (tmp_path, "is not empty; choose an empty one")):
        ready.send(do.ExportRun(1, str(folder)))
        assert sentence in ready.wait(ev.CommandRefused).sentence


def test_an_export_that_breaks_off_leaves_nothing(ready, tmp_path, monkeypatch):
    from workbench.ppo.cycle import PPOTrainer

    def full(self, folder, *_):
        Path(folder).mkdir()
        raise OSError(28, "No space left on device")

    ready.send(start(num_cycles=1))
    finish(ready)
    monkeypatch.setattr(PPOTrainer, "export", full)
    ready.send(do.ExportRun(1, str(tmp_path / "out")))
    assert "(No space left on device); choose another" in ready.wait(ev.CommandRefused).sentence
    assert list(tmp_path.glob("out*")) == []


def test_a_checkpoint_of_another_run_is_not_gone_on_from(ready, store):
    ready.send(start(num_cycles=2))
    ready.wait(ev.RunFinished)
    arrays, state = store.checkpoints.read(1, 2)
    shutil.rmtree(store.checkpoints.all(1)[0].path)
    Checkpoints(store.home, lambda _: "of another database").write(1, 2, arrays.items(), state)
    for command in (do.ResumeRun(1, changes={"num_cycles": 3}), do.Fork(1), do.GoBack(1, 2)):
        ready.send(command)
        assert "was written by another run 1, of another database" in ready.wait(
            ev.CommandRefused).sentence
    ready.send(do.ResumeRun(1, cycle=0))
    assert ready.wait(ev.RunFinished).cycles == 2
    assert "2.of-another-run-1" in {p.name for p in (store.home / "checkpoints/1").iterdir()}
