"""The wall clock is set back and leaps ahead while runs are trained: nothing goes by it."""

import itertools
import queue
import time
from datetime import UTC, datetime

import pytest
from helpers.client import Client
from helpers.patience import SECONDS

from workbench.ppo.hyperparameters import parse
from workbench.store import clock
from workbench.store.records import Prompt, PromptSet
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.remote import RemoteSession

MOMENTS = [datetime(year, 3, 29, 2, 30, tzinfo=UTC) for year in (2026, 1999, 2041, 1970, 2026)]


@pytest.fixture
def leaping(monkeypatch):
    """Whoever reads the clock finds it years before or after the last time."""
    moments = itertools.cycle(MOMENTS)

    class Leaping(datetime):
        @classmethod
        def now(cls, tz=None):
            return next(moments)

    monkeypatch.setattr(clock, "datetime", Leaping)
    monkeypatch.setattr(time, "time", lambda: next(moments).timestamp())


def start(step):
    return do.Start(parse({
        "num_cycles": 4, "batch_size": 4, "response_length": 6, "kl_coef": 0.05,
        "comparison_prompts": 2, "checkpoint_every": 1, "keep_checkpoints": 9}),
        (do.PromptItem("one"), do.PromptItem("two")), step=step)


def written(store, run_id):
    return ({name: (s.cycles, s.values) for name, s in store.metrics(run_id).items()
             if "second" not in name},
            [store.completions(run_id, cycle, "rollout") for cycle in (1, 2, 3, 4)])


def finish(client):
    assert client.wait(ev.RunFinished).outcome == "finished"


def test_a_run_under_a_leaping_clock_is_the_same_run(ready, store, leaping):
    ready.send(start(step=True))
    for cycle in (1, 2):
        ready.wait(ev.StateChanged, lambda e: e.state is State.PAUSED)
        ready.send(do.SetHyperparameters({"cliprange": 0.1 * (cycle + 2)}))
        ready.send(do.StepCycle())
    ready.wait(ev.StateChanged, lambda e: e.state is State.PAUSED)
    ready.send(do.Stop())
    ready.wait(ev.RunFinished)
    assert [(c.cycle, c.new) for c in store.changes(1)] == [
        (2, pytest.approx(0.3)), (3, pytest.approx(0.4))]
    ready.send(do.ResumeRun(1))
    finish(ready)
    ready.send(do.ResumeRun(1, 1))  # again, changes and all
    finish(ready)
    once = written(store, 1)
    ready.send(do.Fork(1, 3))
    finish(ready)
    assert written(store, 2) == once
    ready.send(do.GoBack(2, 3))
    finish(ready)
    assert written(store, 2) == once
    assert [run.id for run in store.runs()] == [3, 2, 1]
    moments = [at for (at,) in store._db.execute(
        "select finished_at from cycles where run_id = 1 order by cycle")]
    assert moments != sorted(moments)  # they were written down as the clock had it
    assert [e.cycle for e in ready.of(ev.CycleFinished)] == [1, 2, 3, 4, 2, 3, 4, 4, 4]
    assert all(e.metrics["seconds"] > 0 for e in ready.of(ev.CycleFinished))
    assert [c.cycle for c in store.checkpoints.all(1)] == [1, 2, 3, 4]


def test_a_watched_run_is_not_taken_for_a_lost_one(ready: Client, home, leaping):
    ready.send(start(step=True))
    ready.wait_for(State.PAUSED)
    other, events = Store(home), queue.SimpleQueue()
    watched = RemoteSession(other, 1, events.put)
    seen = [events.get(timeout=SECONDS)]

    def until(kind, **fields):
        while not isinstance(seen[-1], kind) or any(
                getattr(seen[-1], k) != v for k, v in fields.items()):
            seen.append(events.get(timeout=SECONDS))

    until(ev.StateChanged, state=State.PAUSED)
    watched.send(do.StepCycle())
    until(ev.StateChanged, state=State.PAUSED, note="After cycle 2")
    watched.send(do.SetHyperparameters({"cliprange": 0.3}))
    watched.send(do.Resume())
    until(ev.RunFinished)
    assert seen[-1] == ev.RunFinished(1, "finished", 4)
    assert [e.cycle for e in seen if isinstance(e, ev.CycleFinished)] == [2, 3, 4]
    assert [c.name for c in other.steering.commands(1)] == [
        "StepCycle", "SetHyperparameters", "Resume"]
    assert other.run(1).status == "finished"
    watched.close()
    other.close()


def test_prompt_sets_are_listed_as_they_were_saved(store, leaping):
    for name in ("a", "b", "c", "a"):
        store.save_prompt_set(PromptSet(name, (Prompt(name),))).result()
    assert store.prompt_set_names() == ["a", "c", "b"]
    assert store.prompt_set("a").prompts == (Prompt("a"),)
