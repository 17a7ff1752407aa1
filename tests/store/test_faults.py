"""What a disk, a folder or a clock can do to a store: one plain sentence, and nothing lost.

Each fault is a real one, in a process of its own.
"""

import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers.disk import full
from helpers.patience import SECONDS

from workbench.store.checkpoints import CheckpointError
from workbench.store.disk_errors import NotWrittenError
from workbench.store.home import StoreError
from workbench.store.schema import FILE_NAME
from workbench.store.store import Store
from workbench.training.run import ResumeError, read_checkpoint

unix = pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits of Unix")

# A file may not grow beyond the limit: to a program that is what a full disk is, an error of
# write(2). It can be lifted again, as a disk can be tidied.
FULL = """
import resource, sys
from pathlib import Path

import numpy as np

from workbench.store.disk_errors import NotWrittenError
from workbench.store.store import Store

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

store = Store(Path(sys.argv[1]))
run = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                       prompts=[]).result()
store.record_cycle(run, 1, metrics={"x": 1.0}, rollout=[], comparison=[]).result()
store.checkpoints.write(run, 1, [("a", np.ones(1000))], {})
limit(400_000)
try:
    store.checkpoints.write(run, 2, [("a", np.ones(1_000_000))], {})
except NotWrittenError as error:
    print(error)
try:
    store.checkpoints.write(run, 1, [("a", np.ones(1_000_000))], {})
except NotWrittenError as error:
    print(error)
try:
    for cycle in range(2, 1000):
        store.record_cycle(run, cycle, metrics={f"{cycle}/{i}": 1.0 for i in range(1000)},
                           rollout=[], comparison=[]).result()
except NotWrittenError as error:
    print(error)
limit(resource.RLIM_INFINITY)
store.record_cycle(run, cycle, metrics={"x": 2.0}, rollout=[], comparison=[]).result()
print(cycle)
store.set_status(run, "stopped").result()
store.close()
"""

# A file system of a megabyte, seen by this process alone.
SMALL = """
import shutil, subprocess, sys
from pathlib import Path
from workbench.store.disk_errors import NotWrittenError
from workbench.store.store import Store

home = Path(sys.argv[1])
home.mkdir()
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(home)], check=True)
store = Store(home)
run = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                       prompts=[]).result()
(home / "others").write_bytes(bytes(shutil.disk_usage(home).free - 8192))
try:
    store.record_cycle(run, 1, metrics={str(i): 1.0 for i in range(1000)}, rollout=[],
                       comparison=[]).result()
except NotWrittenError as error:
    print(error)
print(store.run(run).cycles, store.checkpoints.all(run))
(home / "others").unlink()
store.record_cycle(run, 1, metrics={"x": 1.0}, rollout=[], comparison=[]).result()
print(store.run(run).cycles, store._db.execute("PRAGMA integrity_check").fetchone()[0])
store.close()
"""

# Who runs as root may write anywhere, and becomes somebody else for this.
OPEN = """
import os, sys
from pathlib import Path
from workbench.store.home import StoreError
from workbench.store.store import Store
from sqlite_utils import Database
Database(memory=True).close()  # imports what somebody else may not be able to read
if os.getuid() == 0:
    os.setuid(65534)
try:
    store = Store(Path(sys.argv[1]))
    try:
        store.trust("digest", "file.py").result()
    finally:
        store.close()
    print("opened")
except StoreError as error:
    print(error)
"""


LIMITED = """
import resource, sys
from pathlib import Path
from workbench.store.home import StoreError
from workbench.store.store import Store

def room():
    return 4096 * int(Path("/proc/self/statm").read_text().split()[0]) + 20_000

LIMIT
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
    assert second == (
        "The disk is full: the checkpoint of cycle 2 could not be written; free some space at "
        f"{home / 'checkpoints'}. Earlier checkpoints are kept.")
    assert again.startswith("The disk is full: the checkpoint of cycle 1 could not be written;")
    assert database == (
        f"The disk cannot be written (disk I/O error): the experiment database {home / FILE_NAME} "
        "could not be written; free some space there, or choose another home folder with --home.")
    store = Store(home)
    # Whole cycles up to the one that did not fit, then the one written when there was room.
    assert store.run(1).cycles == int(cycle)
    assert store.metrics(1)["x"].cycles == [1, int(cycle)]
    assert [c.cycle for c in store.checkpoints.all(1)] == [1]
    assert store.checkpoints.read(1, 1)[0]["a"].sum() == 1000
    assert store._db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    store.close()


def _may_mount():
    return shutil.which("unshare") and subprocess.run(
        ["unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True).returncode == 0


@pytest.mark.skipif(not _may_mount(), reason="needs mounts of one's own (Linux user namespaces)")
def test_a_disk_without_space_left(home):
    done = subprocess.run(["unshare", "-Urm", sys.executable, "-c", SMALL, str(home)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"The disk is full: the experiment database {home / FILE_NAME} could not be written; free "
        "some space there, or choose another home folder with --home.", "0 []", "1 ok"]


@unix
def test_a_batch_that_does_not_fit_is_written_as_far_as_it_does(home):
    """What waits while a transaction is flushed is written together; one job too large does not
    take the others with it."""
    store = Store(home)
    run = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                           prompts=[]).result()
    with full(home, room=100_000):
        hold = threading.Event()
        first = store._writer.submit(lambda db: hold.wait(SECONDS))
        large = store.record_cycle(run, 1, metrics={str(i): 1.0 for i in range(10_000)},
                                   rollout=[], comparison=[])
        small = store.rename_run(run, "Small")
        hold.set()
        assert first.result()
        assert isinstance(large.exception(), NotWrittenError)
        small.result()
    assert (store.run(run).name, store.run(run).cycles) == ("Small", 0)
    store.close()


@unix
def test_going_back_without_room_loses_no_checkpoint(home):
    store = Store(home)
    run = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                           prompts=[]).result()
    for cycle in (1, 2):
        store.record_cycle(run, cycle, metrics={"x": 1.0}, rollout=[], comparison=[]).result()
        store.checkpoints.write(run, cycle, {}, {})
    with full(home):
        for failed in (store.rewind(run, 1), store.go_back(run, 1, replay=False),
                       store.delete_run(run)):
            assert isinstance(failed.exception(), NotWrittenError)
    assert [c.cycle for c in store.checkpoints.all(run)] == [1, 2]
    store.rewind(run, 1).result()
    assert [c.cycle for c in store.checkpoints.all(run)] == [1]
    store.checkpoints.write(run, 2, {}, {})  # as if the process had ended before it was dropped
    store.record_cycle(run, 2, metrics={"x": 1.0}, rollout=[], comparison=[]).result()
    assert [c.cycle for c in store.checkpoints.all(run)] == [1]
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
    with pytest.raises(StoreError, match="is damaged") as error:
        Store(home)
    assert f"the checkpoints in {home / 'checkpoints'} stay" in str(error.value)


def test_an_open_that_fails_says_why(home):
    """A full disk, too little memory and a lack of permission are not taken for damage."""
    Store(home).close()
    whole = (home / FILE_NAME).read_bytes()
    for limit, sentence in (
        ("resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))", "The disk "),
        ("resource.setrlimit(resource.RLIMIT_AS, (room(), room()))", "There is too little memory"),
    ):
        [said] = run_child(LIMITED.replace("LIMIT", limit), home)
        assert re.match(sentence, said), said
        assert "damaged" not in said
        assert (home / FILE_NAME).read_bytes() == whole


def test_an_emptied_database_beside_checkpoints_is_no_new_home(tmp_path):
    Store(tmp_path).close()
    (tmp_path / FILE_NAME).write_bytes(b"")
    for more in ("-wal", "-shm"):
        (tmp_path / (FILE_NAME + more)).unlink(missing_ok=True)
    (tmp_path / "checkpoints" / "1").mkdir(parents=True)
    with pytest.raises(StoreError, match="is empty, though there are checkpoints"):
        Store(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    Store(tmp_path).close()


def test_a_file_in_the_place_of_the_checkpoints(tmp_path):
    store = Store(tmp_path)
    run = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                           prompts=[]).result()
    (tmp_path / "checkpoints").write_text("a file")
    assert store.checkpoints.all(run) == store.checkpoints.cycles(run) == []
    with pytest.raises(CheckpointError, match="would begin from the start"):
        store.checkpoints.write(run, 1, [("a", np.ones(3))], {})
    store.close()


@unix
def test_checkpoints_that_cannot_be_read_are_neither_none_nor_a_crash(tmp_path):
    """A folder closed to the reader, a disk that fails: here a link to itself."""
    store = Store(tmp_path)
    run = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                           prompts=[]).result()
    checkpoints, folder = store.checkpoints, tmp_path / "checkpoints" / str(run)
    checkpoints.write(run, 1, [("a", np.ones(3))], {})
    loop = folder / "2"
    loop.symlink_to(loop)
    assert [(c.cycle, c.bytes > 0) for c in checkpoints.all(run)] == [(1, True), (2, False)]
    assert not checkpoints.why_unreadable(run)
    with pytest.raises(CheckpointError, match="missing or damaged"):
        checkpoints.read(run, 2)
    checkpoints.write(run, 3, [("a", np.ones(3))], {})
    checkpoints.prune(run, 1)
    assert checkpoints.cycles(run) == [2, 3]
    folder.rename(tmp_path / "away")
    folder.symlink_to(folder)
    assert checkpoints.all(run) == checkpoints.cycles(run) == []
    assert checkpoints.why_unreadable(run).startswith(f"The checkpoints in {folder} cannot be read")
    with pytest.raises(CheckpointError, match="Earlier checkpoints are kept"):
        checkpoints.write(run, 4, [("a", np.ones(3))], {})
    with pytest.raises(ResumeError, match="cannot be read"):
        read_checkpoint(store, run, None)
    store.close()


@pytest.mark.parametrize("emptied", [False, True])
def test_a_log_whose_database_is_not_there_is_never_deleted(tmp_path, emptied):
    """After a crash, and while a run is on, the log holds what the database does not."""
    store = Store(tmp_path / "alive")
    run = store.create_run(name="kept", policy="p", reward="r", models={}, hyperparameters={},
                           prompts=[]).result()
    home = Path(shutil.copytree(tmp_path / "alive", tmp_path / "crashed"))
    store.close()
    file, log, away = home / FILE_NAME, home / f"{FILE_NAME}-wal", tmp_path / "away"
    file.rename(away)
    if emptied:
        file.touch()
    before = log.read_bytes()
    what = "empty" if emptied else "not there"
    with pytest.raises(StoreError, match=rf"is {what}, but the log .* move workbench.db-wal away"):
        Store(home)
    assert log.read_bytes() == before
    shutil.copy(away, file)
    store = Store(home)
    assert [r.name for r in store.runs()] == ["kept"]
    store.close()
    file.unlink()
    store = Store(home)  # with both away
    assert store.runs() == []
    store.close()
    assert run == 1


def test_advice_on_a_damaged_database_names_its_log_as_well(tmp_path):
    store = Store(tmp_path)
    store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                     prompts=[]).result()
    (tmp_path / FILE_NAME).write_bytes(b"this is no database " * 100)
    with pytest.raises(StoreError, match=r"Move workbench\.db and workbench\.db-wal away, to put"):
        Store(tmp_path)
    store.close()


@unix
def test_a_database_that_may_not_be_read_or_written():
    base = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    base.chmod(0o755)
    home, file = base / "home", base / "home" / FILE_NAME
    try:
        Store(home).close()
        home.chmod(0o777)
        for child in home.rglob("*"):
            child.chmod(0o777 if child.is_dir() else 0o666)
        assert run_child(OPEN, home) == ["opened"]
        for mode in (0o000, 0o444):
            file.chmod(mode)
            [sentence] = run_child(OPEN, home)
            assert "allow yourself to" in sentence
            assert f"write {file}" in sentence
            assert "damaged" not in sentence
            assert "space" not in sentence
    finally:
        shutil.rmtree(base)


def test_a_reader_puts_no_empty_database_where_one_was_moved_away(tmp_path):
    store = Store(tmp_path)
    (tmp_path / FILE_NAME).rename(tmp_path / "away.db")
    found = []

    def read() -> None:  # each thread has a connection of its own, opened when it first reads
        try:
            store.runs()
        except sqlite3.OperationalError as error:
            found.append(str(error))

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert found == ["unable to open database file"]
    assert not (tmp_path / FILE_NAME).exists()
    (tmp_path / "away.db").rename(tmp_path / FILE_NAME)
    assert store.runs() == []
    store.close()
