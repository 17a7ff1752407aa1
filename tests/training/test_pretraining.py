"""Value pretraining of a run: once for the same, exact with and without what was kept."""

import shutil
from argparse import Namespace

import pytest
from helpers.client import Client

from workbench.listing import show_run
from workbench.ppo.hyperparameters import parse
from workbench.ppo.metrics import PRETRAINED
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

pytestmark = pytest.mark.slow
PROMPTS = (do.PromptItem("one"), do.PromptItem("two"), do.PromptItem("three"))


def start(prompts=PROMPTS, **settings):
    return do.Start(parse({
        "num_cycles": 2, "batch_size": 4, "response_length": 6, "learning_rate": 1e-3,
        "comparison_prompts": 2, "value_pretraining_episodes": 20,
        "value_pretraining_epochs": 2, **settings}), prompts)


def finish(client: Client) -> ev.Prepared:
    """Wait for the end of a run; return what was said of its values."""
    values = client.wait(ev.Prepared)
    assert client.wait(ev.RunFinished).outcome == "finished"
    return values


def outcome(store, run_id):
    metrics = {name: s.values for name, s in store.metrics(run_id).items()
               if "second" not in name}
    arrays, state = store.checkpoints.read(run_id, 2)
    return metrics, {k: v.tobytes() for k, v in arrays.items()}, state["numbers"]


def kept_files(store):
    return store.home / "pretrained-values"


@pytest.mark.parametrize("kind", ["shared", "policy"])
def test_a_second_run_begins_at_once_and_is_the_same(ready, store, kind):
    ready.send(start(value_model=kind))
    first = finish(ready)
    assert (first.run_id, first.kept) == (1, False)
    assert first.sentence.startswith("Values pretrained on 20 completions of the start policy")
    found = store.metrics(1)[PRETRAINED]
    assert (found.cycles, found.values) == ([0], [first.metrics[PRETRAINED]])
    assert {e.phase for e in ready.of(ev.Progress)} >= {
        ev.Phase.PRETRAINING, ev.Phase.SAMPLING}

    ready.seen.clear()
    ready.send(start(value_model=kind))
    again = finish(ready)
    assert again.kept
    assert again.metrics == first.metrics
    assert ev.Phase.PRETRAINING not in {e.phase for e in ready.of(ev.Progress)}
    assert outcome(store, 2) == outcome(store, 1)

    # Another run's values do for no other seed, and nothing needs what was kept.
    ready.send(start(value_model=kind, seed=1))
    assert not finish(ready).kept
    shutil.rmtree(kept_files(store))
    ready.send(do.GoBack(1, 0))
    assert not finish(ready).kept
    assert outcome(store, 1) == outcome(store, 2)


def test_show_tells_it_apart_from_the_last_cycle(ready, store, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    ready.send(start())
    finish(ready)
    assert show_run(Namespace(run=1, home=str(store.home))) == 0
    before, of_last = capsys.readouterr().out.split("Metrics of cycle 2")
    assert "Before the first cycle" in before
    assert PRETRAINED in before
    assert PRETRAINED not in of_last
    assert "objective/scores" in of_last


def test_a_fork_from_the_start_is_the_run_that_began_so(ready, store):
    ready.send(start(value_pretraining_episodes=0))
    assert ready.wait(ev.RunFinished).outcome == "finished"
    assert not ready.of(ev.Prepared)
    ready.send(start())
    finish(ready)
    ready.send(do.Fork(1, 0, {"value_pretraining_episodes": 20}))
    assert finish(ready).kept
    assert outcome(store, 3) == outcome(store, 2)
    assert outcome(store, 2) != outcome(store, 1)


def test_what_was_damaged_is_made_again(ready, store):
    ready.send(start())
    finish(ready)
    for file in kept_files(store).glob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    ready.send(start())
    assert not finish(ready).kept
    assert outcome(store, 2) == outcome(store, 1)
    ready.send(start())
    assert finish(ready).kept


@pytest.mark.parametrize("kind", ["shared", "policy"])
def test_stopped_inside_it_begins_again_the_same(ready, store, kind):
    ready.send(start(value_model=kind))
    finish(ready)
    shutil.rmtree(kept_files(store))
    steps = []

    def stop_in_the_middle(event: ev.Event) -> None:
        if isinstance(event, ev.Progress) and event.phase is ev.Phase.PRETRAINING:
            steps.append(event)
            if len(steps) == 40:
                ready.send(do.Stop())
    ready.listen(stop_in_the_middle)
    ready.send(start(value_model=kind))
    stopped = ready.wait(ev.RunFinished)
    assert (stopped.outcome, stopped.cycles) == ("stopped", 0)
    assert len(steps) == 40
    assert not kept_files(store).exists()
    assert PRETRAINED not in store.metrics(2)
    ready.send(do.ResumeRun(2))
    finish(ready)
    assert outcome(store, 2) == outcome(store, 1)


def test_a_pause_inside_it_holds_after_the_next_cycle(ready, store):
    ready.send(start())
    ready.wait(ev.Progress, lambda e: e.phase is ev.Phase.PRETRAINING)
    ready.send(do.Pause())
    ready.wait_for(State.PAUSED)
    assert store.run(1).cycles == 1
    ready.send(do.Resume())
    assert ready.wait(ev.RunFinished).outcome == "finished"
    assert len(ready.of(ev.Prepared)) == 1


def test_runs_of_before_have_none(ready, store):
    """Settings that an older version recorded open as they were."""
    known = parse({}).model_dump()
    older = {name: value for name, value in known.items()
             if "value_pretraining" not in name
             and name not in ("value_learning_rate", "num_value_epochs")}
    assert parse(older) == parse({})
    assert parse({}).value_pretraining_episodes == parse({}).num_value_epochs == 0
