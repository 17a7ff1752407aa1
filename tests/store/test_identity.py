"""No weights are deleted that nobody asked to delete, and no run goes on from another's."""

import json
import shutil
import sqlite3

import numpy as np
import pytest

from workbench.store import checkpoints
from workbench.store.checkpoints import CheckpointError, Checkpoints, ForeignError
from workbench.store.disk_errors import NotWrittenError
from workbench.store.records import Prompt
from workbench.store.schema import FILE_NAME
from workbench.store.store import Store


def new_run(store, cycles=(1, 2)):
    """Record a run with a checkpoint after each cycle; its weights say which run it is."""
    run_id = store.create_run(
        name="", policy="p", reward="r", models={"policy": {}, "reward": []},
        hyperparameters={"num_cycles": 5}, prompts=[Prompt("one")]).result()
    for cycle in cycles:
        store.record_cycle(run_id, cycle, metrics={"x": 1.0}, rollout=[], comparison=[]).result()
        write(store.checkpoints, run_id, cycle, 10 * run_id)
    store.set_status(run_id, "stopped").result()
    return run_id


def write(into, run_id, cycle, value):
    into.write(run_id, cycle, [("w", np.full(3, float(value)))],
                      {"numbers": {}, "hyperparameters": {"num_cycles": 5}})


def weights(store, run_id, cycle):
    return store.checkpoints.read(run_id, cycle)[0]["w"][0]


def files(home):
    return {p.relative_to(home): p.read_bytes()
            for p in (home / "checkpoints").rglob("*") if p.is_file()}


def move_away(home, name="old.db"):
    """Do what the sentence on a damaged database says."""
    shutil.move(home / FILE_NAME, home / name)
    for end in ("-wal", "-shm"):
        (home / (FILE_NAME + end)).unlink(missing_ok=True)


def test_a_database_moved_away_and_restored_finds_its_own_checkpoints(home):
    store = Store(home)
    assert [new_run(store), new_run(store)] == [1, 2]
    store.close()
    before = files(home)
    move_away(home)
    store = Store(home)
    assert new_run(store) == 3  # above what lies there
    store.close()
    assert before.items() <= files(home).items()
    move_away(home, "second.db")
    shutil.move(home / "old.db", home / FILE_NAME)
    store = Store(home)
    assert [weights(store, run, 2) for run in (1, 2)] == [10, 20]
    assert new_run(store) == 4
    store.close()


def test_the_number_of_a_lock_is_not_given_again(home):
    """A run without checkpoints may still be trained by a process whose database was moved."""
    first = Store(home)
    running = first.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                               prompts=[]).result()
    move_away(home)
    second = Store(home)
    assert new_run(second) == running + 1
    assert first.run_locks.is_mine(running)
    second.close()
    first.close()


def test_a_checkpoint_of_another_database_is_refused_and_kept(home):
    """As homes are where a version that did not look has made a run over another's folder."""
    store = Store(home)
    new_run(store)
    other = Checkpoints(home, lambda _: "another")
    shutil.rmtree(home / "checkpoints" / "1")
    write(other, 1, 1, 99)
    write(other, 1, 3, 99)
    kept = files(home)
    with pytest.raises(ForeignError, match=r"written by another run 1, of another database; move "
                                           rf"{home / 'checkpoints' / '1'} away"):
        store.checkpoints.read(1, 1)
    store.rewind(1, 0).result()  # resumed from its beginning
    write(store.checkpoints, 1, 1, 10)
    store.checkpoints.prune(1, 1)
    store.set_status(1, "stopped").result()
    assert weights(store, 1, 1) == 10
    store.delete_run(1).result()
    assert sorted(kept.values()) == sorted(files(home).values())
    store.close()


def test_a_checkpoint_from_before_runs_had_identities_is_read(home):
    store = Store(home)
    new_run(store)
    file = home / "checkpoints/1/2/state.json"
    state = json.loads(file.read_text())
    del state["run"], state["digest"]
    file.write_text(json.dumps({"digest": checkpoints._digest_of(state), **state}))
    assert weights(store, 1, 2) == 10
    store.delete_run(1).result()
    assert not (home / "checkpoints" / "1").exists()
    store.close()


def test_a_branch_has_checkpoints_of_its_own(home):
    store = Store(home)
    new_run(store)
    fork = store.fork_run(1, 1, name="", hyperparameters={}, changes=[]).result()
    abandoned = store.go_back(1, 1, replay=False).result()
    assert (fork, abandoned) == (2, 3)
    assert [weights(store, run, 1) for run in (1, 2, 3)] == [10, 10, 10]
    assert len({store.identity(run) for run in (1, 2, 3)}) == 3
    assert [c.cycle for c in store.checkpoints.all(1)] == [1]
    assert all(store.checkpoints.is_whole(run, 1) for run in (1, 2, 3))
    inodes = {(home / f"checkpoints/{run}/1/tensors-1.safetensors").stat().st_ino
              for run in (1, 2, 3)}
    assert len(inodes) == 1  # weights are shared
    store.set_status(1, "stopped").result()
    store.delete_run(1).result()
    assert weights(store, fork, 1) == 10
    store.close()


def test_a_branch_that_comes_to_nothing_leaves_nothing(home, monkeypatch):
    store = Store(home)
    new_run(store)
    before = files(home)
    share = store.checkpoints.share

    def fail(*arguments):
        share(*arguments)
        raise CheckpointError("no room")

    monkeypatch.setattr(store.checkpoints, "share", fail)
    for failed in (store.fork_run(1, 2, name="", hyperparameters={}, changes=[]),
                   store.go_back(1, 1, replay=False)):
        assert isinstance(failed.exception(), CheckpointError)
    assert files(home) == before
    monkeypatch.undo()
    assert store.fork_run(1, 2, name="", hyperparameters={}, changes=[]).result() == 2
    store.close()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_database_that_is_gone_takes_nothing_more(home, replaced):
    store = Store(home)
    run = new_run(store)
    shutil.move(home / FILE_NAME, home / "elsewhere.db")
    if replaced:
        sqlite3.connect(home / FILE_NAME).close()
        (home / FILE_NAME).touch()
    error = store.rename_run(run, "Lost").exception()
    assert isinstance(error, NotWrittenError)
    assert str(error).startswith("The experiment database was "
                                 + ("replaced by another" if replaced else "moved away or deleted"))
    shutil.move(home / "elsewhere.db", home / FILE_NAME)
    store.rename_run(run, "Kept").result()
    assert store.run(run).name == "Kept"
    store.close()
