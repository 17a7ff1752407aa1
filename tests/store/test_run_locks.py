"""Only one process trains a run, and a run whose process is gone is nobody's."""

import os
import subprocess
import sys

import pytest

from workbench.store.home import StoreError
from workbench.store.records import Prompt
from workbench.store.store import Store

CHILD = """
import sys
from pathlib import Path
from workbench.store.store import Store
store = Store(Path(sys.argv[1]))
print(store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                       prompts=[]).result(), flush=True)
sys.stdin.read()
"""


def new_run(store):
    return store.create_run(
        name="", policy="p", reward="r", models={}, hyperparameters={},
        prompts=[Prompt("one")]).result()


def test_a_run_belongs_to_the_store_that_trains_it(store, home):
    run_id = new_run(store)
    other = Store(home)  # does not mark it as interrupted
    assert other.run(run_id).status == "running"
    assert store.run_locks.is_mine(run_id)
    assert not other.run_locks.is_mine(run_id)
    assert other.run_locks.is_alive(run_id)
    for refused in (other.rewind(run_id, 0), other.delete_run(run_id)):
        with pytest.raises(StoreError, match=f"trained by process {os.getpid()} on .*; stop it"):
            refused.result()
    store.set_status(run_id, "paused").result()
    assert other.run_locks.is_alive(run_id)
    store.set_status(run_id, "stopped").result()
    assert not other.run_locks.is_alive(run_id)
    other.rewind(run_id, 0).result()
    assert other.run_locks.is_mine(run_id)
    with pytest.raises(StoreError):
        store.rewind(run_id, 0).result()
    other.close()


def test_a_run_whose_process_was_killed_was_interrupted(store, home):
    mine = new_run(store)
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(home)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    theirs = int(child.stdout.readline())
    assert store.mark_interrupted().result() == []
    assert store.run_locks.is_alive(theirs)
    child.kill()
    child.communicate()
    assert not store.run_locks.is_alive(theirs)
    assert store.mark_interrupted().result() == [theirs]
    assert [store.run(i).status for i in (mine, theirs)] == ["running", "interrupted"]
    store.rewind(theirs, 0).result()
    assert store.run(theirs).owner.startswith(f"process {os.getpid()} ")


def test_a_closed_store_owns_nothing(home):
    first = Store(home)
    run_id, done = new_run(first), new_run(first)
    first.set_status(done, "finished").result()
    first.close()
    again = Store(home)
    assert [again.run(i).status for i in (run_id, done)] == ["interrupted", "finished"]
    again.delete_run(run_id).result()
    assert [p.name for p in (home / "locks").iterdir()] == [f"{done}.lock"]
    again.close()
