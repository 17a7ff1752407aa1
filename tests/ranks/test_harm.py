"""A process of a run is killed, hangs, or finds no memory or no disk: all end, or wait, it is said
which and why, nothing finished is lost, and another number of processes goes on."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from helpers.client import Client
from helpers.launched import after_cycle, assert_alike, ends, metrics, save_models, started, train
from helpers.patience import SECONDS

from workbench import processes
from workbench.store.schema import FILE_NAME
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.heartbeat import SILENCE

pytestmark = pytest.mark.slow

CYCLES = 4
Whole = dict[int, dict[str, float]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def whole(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The metrics of a run that comes to no harm."""
    home = tmp_path_factory.mktemp("whole")
    with started(home, *train(models, 1, CYCLES)) as process:
        status, said = ends(process)
        assert status == 0, said
    return metrics(home)


def harmed(models: Path, home: Path, harm: str, seconds: float = 30) -> str:
    """Return what a run of two says in the end, all of whose processes then are gone, in so many
    seconds."""
    with started(home, *train(models, 2, CYCLES), harm=harm) as process:
        ranks = after_cycle(process, 1)
        began = time.monotonic()
        status, said = ends(process)
        assert status == 1, said
        assert not psutil.wait_procs(list(ranks.values()), timeout=SECONDS)[1]
        assert time.monotonic() - began < seconds
    return said


def goes_on(home: Path, status: str, sentence: str, done: int, whole: Whole) -> None:
    """See how a run is marked, and that one process goes on as if nothing had happened."""
    store = Store(home)
    try:
        run = store.run(1)
        assert run is not None
        assert (run.status, run.cycles) == (status, done)
        assert run.note.startswith(sentence)
        assert_alike({cycle: whole[cycle] for cycle in range(1, done + 1)}, metrics(home))
        client = Client(store)
        try:
            client.send(do.ResumeRun(1, changes={"processes": 1}))
            assert client.wait(ev.RunFinished) == ev.RunFinished(1, "finished", CYCLES)
        finally:
            client.close()
    finally:
        store.close()
    assert_alike(whole, metrics(home))


@pytest.mark.parametrize(("rank", "phase"), [
    (rank, phase) if (rank == 0) == (phase in ("SAMPLING", "CHECKPOINT")) else pytest.param(
        rank, phase, marks=pytest.mark.sweep)
    for rank in range(2) for phase in ("SAMPLING", "SCORING", "UPDATING", "CHECKPOINT")])
def test_one_that_is_killed_in_a_phase_ends_all(
    models: Path, tmp_path: Path, whole: Whole, rank: int, phase: str
) -> None:
    """In cycle 3, or while the checkpoint of cycle 2 is written."""
    said = harmed(models, tmp_path, f"{rank} kill {phase} {2 if phase == 'CHECKPOINT' else 3}")
    sentence = (f"Process {rank + 1} of 2 is gone: it was killed, by a person or for want of "
                "memory.")
    assert sentence in said
    assert "Go on with: ppo-workbench resume 1" in said
    assert "Ctrl+C" not in said
    goes_on(tmp_path, "interrupted", sentence, 2, whole)


@pytest.mark.parametrize("rank", [0, 1])
def test_where_memory_runs_out_in_one_all_end_with_what_to_lower(
    models: Path, tmp_path: Path, whole: Whole, rank: int
) -> None:
    said = harmed(models, tmp_path, f"{rank} memory UPDATING 3")
    found = re.search(r"Memory ran out in process (\d) of 2 while .*?; the run is kept as it was "
                      r"after cycle 2\. Lower .*, and try again\.", said)
    assert found is not None, said
    assert int(found[1]) == rank + 1
    assert re.search(r"Go on with: ppo-workbench resume 1 --set \w+=\d", said)
    assert "Traceback" not in said
    goes_on(tmp_path, "failed", found[0], 2, whole)


@pytest.mark.parametrize("rank", [0, pytest.param(1, marks=pytest.mark.sweep)])
def test_one_that_hangs_is_ended_and_named(
    models: Path, tmp_path: Path, whole: Whole, rank: int
) -> None:
    # It takes 22 s; 45 where it is the launcher that loses patience.
    said = harmed(models, tmp_path, f"{rank} hang SCORING 3", seconds=SILENCE + 22)
    sentence = (f"Process {rank + 1} of 2 has given no sign of life for 20 seconds, and was ended.")
    assert sentence in said
    goes_on(tmp_path, "interrupted", sentence, 2, whole)


def wait_for(process: subprocess.Popen[str], words: str) -> str:
    """Return the line in which a process says so."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if words in line:
            return line
    raise AssertionError("".join(said))


def test_where_the_disk_of_the_first_is_full_all_wait_for_room(
    models: Path, tmp_path: Path, whole: Whole
) -> None:
    with started(tmp_path, *train(models, 2, CYCLES)) as process:
        ranks = after_cycle(process, 1)
        if os.access("/dev/shm", os.W_OK):  # and they meet on none
            assert ranks[0].environ()[processes.MEETING].startswith("/dev/shm/")
        log = (tmp_path / f"{FILE_NAME}-wal").stat().st_size
        _, most = ranks[0].rlimit(psutil.RLIMIT_FSIZE)
        ranks[0].rlimit(psutil.RLIMIT_FSIZE, (log, most))
        assert "so the run is paused after cycle" in wait_for(process, "Free some space at")
        assert all(rank.is_running() for rank in ranks.values())
        ranks[0].rlimit(psutil.RLIMIT_FSIZE, (most, most))
        status, said = ends(process)
        assert status == 0, said
        assert not psutil.wait_procs(list(ranks.values()), timeout=SECONDS)[1]
    assert_alike(whole, metrics(tmp_path))
