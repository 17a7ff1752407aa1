"""The home of every landed version opens, shows, resumes to the same numbers, forks and exports."""

import pytest
from helpers.client import Client
from helpers.old_homes import OLD_HOMES, unpack
from transformers import AutoModelForCausalLM

from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev

NAMES = ["Whole", "Stopped", "Fork", "Back", "Back, up to cycle 2"]


@pytest.fixture(params=OLD_HOMES, ids=lambda path: path.name)
def store(request, tmp_path):
    store = Store(unpack(request.param, tmp_path / "old"))
    yield store
    store.close()


@pytest.fixture
def client(store):
    client = Client(store)
    yield client
    client.close()


def numbers(store, run_id):
    """Every metric of a run by cycle, times apart."""
    return {name: dict(zip(series.cycles, series.values, strict=True))
            for name, series in store.metrics(run_id).items() if "second" not in name}


def check_completions(store, run_id, other, last=6):
    """Hold the completions of a run against those of another, word by word."""
    for cycle in range(last + 1):
        for kind in ("rollout", "comparison"):
            these, those = (store.completions(run, cycle, kind) for run in (run_id, other))
            assert [c.text for c in these] == [c.text for c in those]
            check_close([c.score for c in these], [c.score for c in those])


def check_close(found, recorded):
    """Another processor rounds differently; the version that wrote the home ran on one of them."""
    assert found == pytest.approx(recorded, rel=1e-4, abs=1e-5, nan_ok=True)


def resume(client, run_id, cycle=None):
    client.send(do.ResumeRun(run_id, cycle))
    assert client.wait(ev.RunFinished).outcome == "finished"


def test_all_of_it_is_there(store):
    runs = {run.id: run for run in store.runs()}
    assert [runs[i].name for i in sorted(runs)] == NAMES
    assert [runs[i].cycles for i in sorted(runs)] == [6, 4, 4, 2, 2]
    assert [runs[i].status for i in sorted(runs)] == [
        "finished", "stopped", "finished", "finished", "abandoned"]
    assert (runs[3].parent, runs[3].parent_cycle) == (2, 3)
    assert (runs[5].parent, runs[5].parent_cycle) == (4, 1)
    assert [(c.cycle, c.name, c.new) for c in store.changes(1)] == [(3, "learning_rate", 5e-4)]
    assert [c.name for c in store.changes(3)] == ["learning_rate", "num_cycles", "kl_coef"]
    assert len(store.completions(1, 6, "rollout")) == 4
    assert len(store.completions(1, 6)) == 2
    assert [len(store.traces(1, cycle)) for cycle in (1, 2, 6)] == [2, 1, 4]
    assert {s.name: len(s.prompts) for s in (store.prompt_set("Kept"), store.prompt_set("Two"))
            } == {"Kept": 2, "Two": 1}
    assert [c.cycle for c in store.checkpoints.all(2)] == [3, 4]


def test_a_run_goes_on_as_it_would_have_gone_on_then(store, client):
    recorded = numbers(store, 1)
    resume(client, 2)
    here = numbers(store, 2)
    assert here.keys() >= recorded.keys()
    for name, values in recorded.items():
        check_close(here[name], values)
    check_completions(store, 2, 1)


def test_every_checkpoint_leads_to_the_same_numbers(store, client):
    client.send(do.Fork(2, 3, {}, "From the third"))
    assert client.wait(ev.RunFinished).outcome == "finished"
    resume(client, 2, 4)
    again, once = numbers(store, 2), numbers(store, 6)
    # The version that wrote the first cycles did not measure all that is measured now.
    assert once.keys() == again.keys()
    for name, values in again.items():
        check_close({cycle: once[name][cycle] for cycle in values}, values)
    check_completions(store, 6, 2)


def test_a_run_is_forked(store, client):
    client.send(do.Fork(1, None, {"num_cycles": 7}, "Later"))
    assert client.wait(ev.RunFinished).outcome == "finished"
    forked = store.runs()[0]
    assert (forked.name, forked.parent, forked.parent_cycle, forked.cycles) == (
        "Later", 1, 6, 7)


def test_a_policy_is_exported(store, client, tmp_path):
    client.send(do.ExportRun(1, str(tmp_path / "exported")))
    assert client.wait(ev.Exported).run_id == 1
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "exported").config.n_embd == 8
