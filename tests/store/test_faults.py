"""What a disk, a folder or a clock can do to a store: one plain sentence, and nothing lost.

Each fault is a real one, in a process of its own.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from workbench.store.home import StoreError
from workbench.store.schema import FILE_NAME
from workbench.store.store import Store

unix = pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits of Unix")

# A file may not grow beyond the limit: to a program that is what a full disk is, an error of
# write(2). It can be lifted again, as a disk can be tidied.
FULL = """
import resource, signal, sys
from pathlib import Path

import numpy as np

from workbench.store.checkpoints import CheckpointError
from workbench.store.home import StoreError
from workbench.store.store import Store

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

store = Store(Path(sys.argv[1]))
run = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                       prompts=[]).result()
store.record_cycle(run, 1, metrics={"x": 1.0}, rollout=[], comparison=[]).result()
store.checkpoints.write(run, 1, {"a": np.ones(1000)}, {})
limit(400_000)
try:
    store.checkpoints.write(run, 2, {"a": np.ones(1_000_000)}, {})
except CheckpointError as error:
    print(error)
try:
    store.checkpoints.write(run, 1, {"a": np.ones(1_000_000)}, {})
except CheckpointError as error:
    print(error)
try:
    for cycle in range(2, 1000):
        store.record_cycle(run, cycle, metrics={f"{cycle}/{i}": 1.0 for i in range(1000)},
                           rollout=[], comparison=[]).result()
except StoreError as error:
    print(error)
limit(resource.RLIM_INFINITY)
store.record_cycle(run, cycle, metrics={"x": 2.0}, rollout=[], comparison=[]).result()
print(cycle)
store.set_status(run, "stopped").result()
store.close()
"""

# Who runs as root may write anywhere, and becomes somebody else for this.
OPEN = """
import os, sys
from pathlib import Path
from workbench.store.home import StoreError
from workbench.store.store import Store
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    Store(Path(sys.argv[1])).close()
    print("opened")
except StoreError as error:
    print(error)
"""


def run_child(script, *arguments):
    done = subprocess.run([sys.executable, "-c", script, *map(str, arguments)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@unix
def test_a_full_disk(home):
    second, again, database, cycle = run_child(FULL, home)
    assert second.startswith("The checkpoint of cycle 2 could not be written (")
    assert "File too large" in second
    assert "free some disk space" in second
    assert again.startswith("The checkpoint of cycle 1 could not be written (")
    assert database.startswith(f"The experiment database {home / FILE_NAME} could not be written")
    store = Store(home)
    # Whole cycles up to the one that did not fit, then the one written when there was room.
    assert store.run(1).cycles == int(cycle)
    assert store.metrics(1)["x"].cycles == [1, int(cycle)]
    assert [c.cycle for c in store.checkpoints.all(1)] == [1]
    assert store.checkpoints.read(1, 1)[0]["a"].sum() == 1000
    assert store._db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    store.close()


@unix
def test_a_home_that_can_only_be_read():
    base = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    base.chmod(0o755)
    home = base / "home"
    try:
        Store(home).close()
        home.chmod(0o555)
        [sentence] = run_child(OPEN, home)
        assert sentence.startswith(f"The home folder {home} cannot be written (Permission denied)")
        assert "--home" in sentence
    finally:
        home.chmod(0o755)
        shutil.rmtree(base)


def test_a_database_cut_short(home):
    Store(home).close()
    (home / FILE_NAME).write_bytes((home / FILE_NAME).read_bytes()[:5000])
    with pytest.raises(StoreError, match=r"cannot be (opened|written) .*"):
        Store(home)
