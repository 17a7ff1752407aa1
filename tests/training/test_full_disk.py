"""A full disk holds a run: nothing is lost, and it goes on when there is room."""

import sys

import pytest
from helpers.client import Client
from helpers.disk import full

from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD
from workbench.ppo.hyperparameters import parse
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits of Unix")


def start(cycles=3, *, step=True, **settings):
    return do.Start(parse({
        "num_cycles": cycles, "batch_size": 4, "response_length": 6, "kl_coef": 0.05,
        "comparison_prompts": 2, "checkpoint_every": 0, "learning_rate": 1e-3, **settings}),
        (do.PromptItem("one"), do.PromptItem("two")), step=step)


def held(client):
    return client.wait(ev.StateChanged, lambda e: e.held)


def written(store, run_id):
    """Return all that is recorded of a run's cycles but the time they took."""
    return ({name: s.values for name, s in store.metrics(run_id).items() if "second" not in name},
            [store.completions(run_id, cycle, kind) for cycle in range(4)
             for kind in ("rollout", "comparison")])


def test_a_cycle_waits_for_room_and_is_not_lost(ready, store):
    ready.send(start(step=False))
    ready.wait(ev.RunFinished)
    ready.send(start())
    ready.wait_for(State.PAUSED)
    with full(store.home):
        ready.send(do.StepCycle())
        paused = held(ready)
        assert paused.state is State.PAUSED
        assert paused.note == (
            "The disk cannot be written (disk I/O error), so the run is paused after cycle 1 and "
            f"cycle 2 waits in memory. Free some space at {store.home}, then resume.")
        assert (store.run(2).cycles, store.run(2).status) == (1, "paused")
        ready.send(do.SetHyperparameters({"cliprange": 0.2}))  # the value it has
        assert ready.wait(ev.HyperparametersStaged).takes_effect_at == 3
        for command in (do.GoBack(2, 1), do.Fork(2)):  # would lose what waits
            ready.send(command)
            assert "cycle 2 waits in memory" in ready.wait(ev.CommandRefused).sentence
        ready.send(do.Resume())
        assert held(ready).note == paused.note
    ready.send(do.Resume())
    assert ready.wait(ev.RunFinished) == ev.RunFinished(2, "finished", 3)
    assert written(store, 2) == written(store, 1)
    told = [e.cycle for e in ready.of(ev.CycleFinished) if e.run_id == 2]
    assert told == [1, 2, 3]
    assert [c.cycle for c in store.checkpoints.all(2)][-1] == 3


def test_a_database_taken_away_holds_the_run_until_it_is_back(ready, store):
    ready.send(start())
    ready.wait_for(State.PAUSED)
    database, away = store.home / "workbench.db", store.home / "away.db"
    database.rename(away)
    ready.send(do.StepCycle())
    assert held(ready).note == (
        "The experiment database was moved away or deleted while it was open, so the run is paused "
        f"after cycle 1 and cycle 2 waits in memory. Put the very file back at {database}, then "
        "resume.")
    ready.send(do.Resume())
    held(ready)
    away.rename(database)
    ready.send(do.Resume())
    assert ready.wait(ev.RunFinished) == ev.RunFinished(1, "finished", 3)
    assert store.metrics(1)["kl_coef"].cycles == [1, 2, 3]


def test_a_change_waits_for_room_and_is_journaled(ready, store):
    ready.send(start())
    ready.wait_for(State.PAUSED)
    ready.send(do.SetHyperparameters({"kl_coef": 0.5}))
    with full(store.home):
        ready.send(do.Resume())
        assert "the changed settings of cycle 2 waits in memory" in held(ready).note
        ready.send(do.SetHyperparameters({"kl_coef": 0.7}))
        assert ready.wait(
            ev.HyperparametersStaged, lambda e: e.changes["kl_coef"] == 0.7).takes_effect_at == 3
    ready.send(do.Resume())
    ready.wait(ev.RunFinished)
    assert [(c.cycle, c.old, c.new) for c in store.changes(1)] == [(2, 0.05, 0.5), (3, 0.5, 0.7)]
    assert store.metrics(1)["kl_coef"].values == [0.05, 0.5, 0.7]


def test_the_first_completions_wait_for_room(ready, store):
    ready.send(start(1000, step=False))
    ready.wait(ev.CycleFinished)
    ready.send(do.Stop())
    ready.wait_for(State.FINISHED)
    with full(store.home, room=60_000):  # enough to begin
        ready.send(start(1, comparison_prompts=2, keep_tokens=0))
        ready.wait(ev.RunStarted)
        held(ready)
    ready.send(do.Resume())
    assert ready.wait(ev.RunFinished).outcome == "finished"
    assert store.compared_cycles(2) == [0, 1]


def test_stopped_for_want_of_room_says_what_is_lost(ready, store):
    ready.send(start())
    ready.wait_for(State.PAUSED)
    with full(store.home):
        ready.send(do.StepCycle())
        held(ready)
        ready.send(do.Stop())
        finished = ready.wait(ev.RunFinished)
        assert finished == ev.RunFinished(
            1, "stopped", 1, "The disk cannot be written (disk I/O error), so cycle 2 is not "
            "kept; it is made again when the run is resumed.")
        assert ready.wait_for(State.FINISHED).note == finished.lost
        assert not store.run_locks.is_alive(1)
    assert [c.cycle for c in store.checkpoints.all(1)] == [1]
    ready.send(do.ResumeRun(1))
    assert ready.wait(ev.RunFinished).outcome == "finished"
    assert store.metrics(1)["kl_coef"].cycles == [1, 2, 3]


def test_closing_while_held_ends_cleanly(ready, store, home):
    ready.send(start())
    ready.wait_for(State.PAUSED)
    with full(store.home):
        ready.send(do.StepCycle())
        held(ready)
        ready.close()
        [finished] = ready.of(ev.RunFinished)
        assert "cycle 2" in finished.lost
        store.close()
    again = Store(home)
    assert (again.run(1).status, again.run(1).cycles) == ("interrupted", 1)
    assert again._db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    again.close()


def test_room_that_is_there_at_the_stop_is_used(ready, store):
    ready.send(start())
    ready.wait_for(State.PAUSED)
    with full(store.home):
        ready.send(do.StepCycle())
        held(ready)
    ready.send(do.Stop())
    assert ready.wait(ev.RunFinished) == ev.RunFinished(1, "stopped", 2)
    assert store.run(1).cycles == 2
    assert [c.cycle for c in store.checkpoints.all(1)] == [1, 2]


def test_a_checkpoint_without_room_holds_the_run(store):
    client = Client(store)
    client.send(do.LoadModels(str(BUNDLED_POLICY), str(BUNDLED_REWARD)))
    client.wait_for(State.READY)
    client.send(start(checkpoint_every=1, keep_tokens=0))
    client.wait_for(State.PAUSED)
    with full(store.home, room=2_000_000):  # for rows, not for weights
        client.send(do.Resume())
        paused = held(client)
        assert paused.note == (
            "The disk is full, so the run is paused after cycle 2. Free some space at "
            f"{store.home}, then resume.")
        assert (store.run(1).cycles, store.run(1).status) == (2, "paused")
        assert [c.cycle for c in store.checkpoints.all(1)] == [1]
        assert store.checkpoints.is_whole(1, 1)
        client.send(do.Resume())
        assert held(client).note == paused.note
        client.send(do.Checkpoint())
        assert client.wait(ev.CheckpointFailed).sentence.startswith(
            "The disk is full: the checkpoint of cycle 2 could not be written; free some space")
    client.send(do.Resume())
    assert client.wait(ev.RunFinished).outcome == "finished"
    assert [e.cycle for e in client.of(ev.CheckpointWritten)] == [1, 2, 3]
    client.close()
