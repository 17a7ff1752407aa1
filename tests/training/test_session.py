"""The engine driven as its clients drive it: real models, real store, real thread."""

import subprocess
import sys

import pytest
from helpers.client import Client
from helpers.folders import save_reward

from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD
from workbench.ppo.cycle import NO_VALUE_HEAD
from workbench.ppo.hyperparameters import parse
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.preflight import missing_sources
from workbench.training.reward_parts import RewardPart

PROMPTS = (do.PromptItem("one"), do.PromptItem("two", pinned=True), do.PromptItem("three"))


def start(cycles=3, *, step=False, **settings):
    return do.Start(
        parse({"num_cycles": cycles, "batch_size": 4, "response_length": 6, "kl_coef": 0.05,
               "comparison_prompts": 2, **settings}), PROMPTS, step=step)


def test_a_run_from_start_to_finish(ready, store):
    ready.send(start())
    run_id = ready.wait(ev.RunStarted).run_id
    assert ready.wait(ev.RunFinished).outcome == "finished"
    assert ready.wait_for(State.FINISHED)
    finished = ready.of(ev.CycleFinished)
    assert [e.cycle for e in finished] == [1, 2, 3]
    # What was announced is what was recorded.
    run = store.run(run_id)
    assert (run.status, run.cycles) == ("finished", 3)
    series = store.metrics(run_id)
    for event in finished:
        for name, value in event.metrics.items():
            assert series[name].values[event.cycle - 1] == value or value != value
    assert [e.cycle for e in ready.of(ev.ComparisonReady)] == [0, 1, 2, 3]
    assert [c.prompt_text for c in store.completions(run_id, 0)] == ["two", "one"]  # pinned first
    assert len(store.completions(run_id, 3, "rollout")) == 4
    assert {e.phase for e in ready.of(ev.Progress)} == set(ev.Phase) - {
        ev.Phase.PRETRAINING, ev.Phase.VALUES,  # off by default
        ev.Phase.REFERENCE, ev.Phase.EVALUATING}  # of pairs


@pytest.mark.parametrize(("precision", "has", "said"), [
    ("bfloat16", False, "This processor has no bfloat16: "), ("bfloat16", True, ""),
    ("float32", False, "")])
def test_a_run_that_would_crawl_says_so(ready, monkeypatch, precision, has, said):
    monkeypatch.setattr("workbench.models.device.has_bfloat16", lambda _: has)
    ready.send(start(1, precision=precision))
    note = ready.wait_for(State.RUNNING).note
    assert note.startswith(said)
    assert bool(note) is bool(said)
    assert ready.wait(ev.RunFinished).outcome == "finished"


def test_a_policy_without_a_value_head_says_what_to_set(ready, folders):
    assert ready.of(ev.ModelsLoaded)[0].policy.notes == (NO_VALUE_HEAD,)
    ready.send(do.LoadModels(str(BUNDLED_POLICY), str(BUNDLED_REWARD)))
    assert ready.wait(ev.ModelsLoaded).policy.notes == ()


def test_what_settings_do_that_nobody_may_expect_is_said_at_the_start(ready):
    ready.send(start(1, kl_estimator="k3"))
    assert ready.wait(ev.RunStarted).note == (
        "With KL estimator k3 in the reward a token is charged whichever way it has moved, which "
        "does not hold the policy near its start; k1 does.")
    assert ready.wait(ev.RunFinished).outcome == "finished"
    ready.seen.clear()
    ready.send(start(1, gamma=0.9))  # this policy brings no values that could be lost
    assert ready.wait(ev.RunStarted).note == ""
    assert ready.wait(ev.RunFinished).outcome == "finished"
    ready.seen.clear()
    ready.send(do.Fork(1, 0, {"kl_estimator": "k1", "vf_coef": 0.0}))
    assert ready.wait(ev.RunResumed).note == (
        "With a value coefficient c₁ (vf_coef) of 0 and no value epochs values learn nothing "
        "during the run.")
    assert ready.wait(ev.RunFinished).outcome == "finished"


def test_every_metric_is_described(ready):
    from workbench.ppo.declaration import PPO

    ready.send(start(1, measure_gradients=True))
    assert set(ready.wait(ev.CycleFinished).metrics) == {metric.name for metric in PPO.metrics}


def test_pause_step_and_resume(ready, store):
    ready.send(start(5, step=True))
    run_id = ready.wait(ev.RunStarted).run_id
    ready.wait_for(State.PAUSED)
    assert [e.cycle for e in ready.of(ev.CycleFinished)] == [1]
    assert store.run(run_id).status == "paused"
    ready.send(do.StepCycle())
    ready.wait_for(State.PAUSED)
    assert [e.cycle for e in ready.of(ev.CycleFinished)] == [1, 2]
    ready.send(do.Resume())
    ready.wait(ev.CycleFinished)
    ready.send(do.Pause())
    ready.wait_for(State.PAUSED)
    ready.send(do.Resume())
    assert ready.wait(ev.RunFinished).cycles == 5


def test_pausing_changes_no_number(ready, store):
    for step in (False, True):
        ready.send(start(3, step=step))
        while True:
            event = ready.wait(ev.StateChanged)
            if event.state is State.PAUSED:
                ready.send(do.StepCycle())
            if event.state is State.FINISHED:
                break
    whole, stepped = (store.completions(i, 3, "rollout") for i in (1, 2))
    assert whole == stepped


def test_live_change_takes_effect_at_the_next_cycle(ready, store):
    ready.send(start(3, step=True))
    run_id = ready.wait(ev.RunStarted).run_id
    ready.wait_for(State.PAUSED)
    ready.send(do.SetHyperparameters({"kl_coef": 0.5, "lr_scheduler_type": "constant"}))
    staged = ready.wait(ev.HyperparametersStaged)
    assert staged.takes_effect_at == 2
    ready.send(do.Resume())
    applied = ready.wait(ev.HyperparametersApplied)
    assert applied.cycle == 2
    assert applied.hyperparameters["kl_coef"] == 0.5
    ready.wait(ev.RunFinished)
    assert store.metrics(run_id)["kl_coef"].values == [0.05, 0.5, 0.5]
    rates = store.metrics(run_id)["lr"].values
    assert rates[1] == rates[2] == rates[0]
    assert [(c.cycle, c.name, c.old, c.new, c.by) for c in store.changes(run_id)] == [
        (2, "kl_coef", 0.05, 0.5, "person"),
        (2, "lr_scheduler_type", "linear", "constant", "person")]


def test_switching_the_controller_off_keeps_what_it_reached(ready, store):
    ready.send(start(4, step=True, kl_controller="adaptive", kl_target=0.01, kl_horizon=4))
    run_id = ready.wait(ev.RunStarted).run_id
    ready.wait_for(State.PAUSED)
    ready.send(do.StepCycle())
    ready.wait_for(State.PAUSED)
    ready.send(do.SetHyperparameters({"kl_controller": "fixed"}))
    ready.send(do.Resume())
    ready.wait(ev.RunFinished)
    first, second, third, fourth = store.metrics(run_id)["kl_coef"].values
    assert third == fourth != first == 0.05
    assert abs(third / second - 1) <= 0.2 + 1e-9
    journal = {c.name: (c.cycle, c.old, c.new, c.by) for c in store.changes(run_id)}
    assert journal == {"kl_controller": (3, "adaptive", "fixed", "person"),
                       "kl_coef": (3, 0.05, third, "controller")}


def test_a_change_while_running_says_when(ready):
    ready.send(start(1000))
    ready.wait(ev.CycleFinished)
    ready.send(do.SetHyperparameters({"cliprange": 0.1}))
    staged = ready.wait(ev.HyperparametersStaged)
    applied = ready.wait(ev.HyperparametersApplied)
    assert applied.cycle == staged.takes_effect_at
    ready.send(do.Stop())
    ready.wait_for(State.FINISHED)


@pytest.mark.parametrize(("changes", "name", "sentence"), [
    ({"seed": 1}, "seed", "cannot change during a run"),
    ({"cliprange": -1}, "cliprange", "between 0.001 and 10"),
    ({"num_mini_batches": 3}, "num_mini_batches", "must divide the batch size"),
    ({"response_length": 500}, "response_length", "too long"),
    ({"nonsense": 1}, "nonsense", "no hyperparameter"),
])
def test_bad_changes_are_refused_and_the_run_goes_on(ready, changes, name, sentence):
    ready.send(start(2, step=True))
    ready.wait_for(State.PAUSED)
    ready.send(do.SetHyperparameters(changes))
    refused = ready.wait(ev.CommandRefused)
    assert sentence in refused.problems[name]
    ready.send(do.Resume())
    assert ready.wait(ev.RunFinished).outcome == "finished"


def test_fewer_cycles_end_the_run(ready):
    ready.send(start(1000, step=True))
    ready.wait_for(State.PAUSED)
    ready.send(do.SetHyperparameters({"num_cycles": 1}))
    ready.send(do.Resume())
    assert ready.wait(ev.RunFinished).cycles == 1


@pytest.mark.parametrize("moment", [
    ev.Phase.SAMPLING, ev.Phase.UPDATING, ev.Phase.READING, ev.Phase.COMPARING])
def test_stop_in_every_phase(ready, store, moment):
    ready.send(start(1000))
    run_id = ready.wait(ev.RunStarted).run_id
    ready.wait(ev.CycleFinished)
    ready.wait(ev.Progress, lambda e: e.phase is moment)
    ready.send(do.Stop())
    finished = ready.wait(ev.RunFinished)
    assert finished.outcome == "stopped"
    assert store.run(run_id).status == "stopped"
    assert store.run(run_id).cycles == finished.cycles >= 1
    ready.send(start(1))
    assert ready.wait(ev.RunFinished).outcome == "finished"


def test_commands_out_of_place_are_refused(ready):
    for command in (do.Pause(), do.Resume(), do.StepCycle(), do.Stop(),
                    do.SetHyperparameters({"kl_coef": 1.0})):
        ready.send(command)
        assert ready.wait(ev.CommandRefused).command == type(command).__name__
    ready.send(start(1000))
    ready.wait_for(State.RUNNING)
    for command in (start(), do.LoadModels("a", "b"), do.Resume()):
        ready.send(command)
        assert ready.wait(ev.CommandRefused).command == type(command).__name__
    ready.send(do.Stop())
    ready.wait_for(State.FINISHED)


def test_nothing_starts_without_models_or_prompts(client, ready):
    ready.send(do.Start(parse({}), ()))
    assert "no prompt" in ready.wait(ev.CommandRefused).sentence
    ready.send(do.Start(parse({}), (do.PromptItem("x" * 200),)))
    assert "too long" in ready.wait(ev.CommandRefused).sentence
    assert ready.session.state is State.READY


def test_start_before_loading_is_refused(client):
    client.send(start())
    assert "when models are loaded" in client.wait(ev.CommandRefused).sentence


def test_failed_loading_keeps_the_models_there_were(ready, folders, tmp_path):
    several = str(save_reward(tmp_path / "several", labels=("a", "b")))
    for policy, reward, which in (
        (str(tmp_path), folders[1], "policy"), (folders[0], folders[0], "reward"),
        (folders[0], several, "reward"),
    ):
        ready.send(do.LoadModels(policy, reward))
        failed = ready.wait(ev.LoadingFailed)
        assert failed.which == which
        assert ready.wait(ev.StateChanged).state is State.READY
    assert failed.labels == ("a", "b")
    ready.send(start(1))
    assert ready.wait(ev.RunFinished).outcome == "finished"


@pytest.mark.parametrize("which", ["policy", "reward"])
def test_a_folder_that_is_not_there_is_told_before_anything_is_loaded(
    client, folders, tmp_path, which
):
    none = str(tmp_path / "none")
    policy, reward = (none, folders[1]) if which == "policy" else (folders[0], none)
    client.send(do.LoadModels(policy, reward))
    failed = client.wait(ev.LoadingFailed)
    assert (failed.which, failed.sentence) == (
        which, f"There is no folder {none}; check its name.")
    assert not client.of(ev.LoadingProgress)


_LOOK = """
import os, sys
from pathlib import Path
from queue import SimpleQueue
from workbench.store.store import Store
from workbench.training import events as ev
from workbench.training.commands import LoadModels
from workbench.training.session import Session

def listen(event):
    told.put((event, "torch" in sys.modules or "huggingface_hub" in sys.modules))

home, policy, reward = sys.argv[1:]
told, store = SimpleQueue(), Store(Path(home))
session = Session(store, listen)
session.send(LoadModels(policy, reward))
for _ in range(3):
    event, heavy = told.get()
    said = event.which + " " + event.sentence if isinstance(event, ev.LoadingFailed) else (
        event.state.name)
    print(said, heavy, flush=True)
os._exit(0)  # the imports that follow are not waited for
"""


@pytest.mark.parametrize("which", ["policy", "reward"])
def test_what_is_not_there_is_told_before_anything_heavy_is_imported(tmp_path, which):
    none, there = str(tmp_path / "none"), {
        "policy": str(BUNDLED_POLICY), "reward": str(BUNDLED_REWARD)}
    named = there | {which: none}
    done = subprocess.run(
        [sys.executable, "-c", _LOOK, str(tmp_path / "home"), named["policy"], named["reward"]],
        capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "LOADING False", f"{which} There is no folder {none}; check its name. False",
        "IDLE False"], done.stderr


def test_a_reward_file_that_is_not_there_is_told_of_its_part(tmp_path):
    parts = (RewardPart(str(BUNDLED_REWARD)), RewardPart(str(tmp_path / "none.py")))
    (failed,) = missing_sources(do.LoadModels(str(BUNDLED_POLICY), parts))
    assert (failed.which, failed.part) == ("reward", 1)
    assert failed.sentence == f"There is no file {tmp_path / 'none.py'}; check its name."
    assert not missing_sources(do.LoadModels("some/name-on-the-hub", str(BUNDLED_REWARD)))


def test_loading_can_be_cancelled(client, folders):
    client.send(do.LoadModels(*folders))
    client.send(do.CancelLoading())
    assert client.wait(ev.LoadingFailed).cancelled
    assert client.wait(ev.StateChanged).state is State.IDLE


def test_a_cancel_is_no_mistake_when_loading_has_just_failed(client, folders, tmp_path):
    class AtTheLastStep:
        def __call__(self, event):
            if isinstance(event, ev.LoadingProgress):
                client.send(do.CancelLoading())

    client.listen(AtTheLastStep())
    client.send(do.LoadModels(str(tmp_path), folders[1]))
    client.wait_for(State.IDLE)
    client.send(do.CancelLoading())
    client.send(do.LoadModels(str(tmp_path / "none"), folders[1]))
    client.wait_for(State.IDLE)
    assert client.of(ev.LoadingFailed)
    assert not client.of(ev.CommandRefused)


def test_closing_in_the_middle_of_a_run(store, folders):
    client = Client(store)
    client.send(do.LoadModels(*folders))
    client.wait_for(State.READY)
    client.send(start(1000))
    client.wait(ev.CycleFinished)
    client.close()
    run = store.runs()[0]
    assert run.status == "stopped"
    assert run.cycles >= 1
    assert client.of(ev.RunFinished)


def test_a_database_that_refuses_ends_the_run_with_a_sentence(ready, home):
    import sqlite3

    from workbench.store.schema import FILE_NAME

    ready.send(start(1000))
    run_id = ready.wait(ev.RunStarted).run_id
    ready.wait(ev.CycleFinished)
    with sqlite3.connect(home / FILE_NAME) as db:  # what no room on the disk would mend
        db.execute("create trigger never before insert on metrics begin "
                   "select raise(abort, 'not in this table'); end")
    db.close()
    failed = ready.wait(ev.RunFailed)
    assert failed.run_id == run_id
    assert "not in this table" in failed.sentence
    ready.wait_for(State.FAILED)
    reader = Store(home)
    assert reader.run(run_id).status == "failed"
    assert reader.run(run_id).cycles == max(reader.metrics(run_id)["lr"].cycles)
    reader.close()
