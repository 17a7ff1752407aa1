"""`ppo-workbench train --processes N`: several processes as one run, watched through the store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from helpers.folders import save_policy, save_reward
from helpers.patience import SECONDS
from helpers.processes import environment

from workbench.store.store import Store

pytestmark = pytest.mark.slow

SMALL = ("batch_size=6", "response_length=8", "comparison_prompts=2", "num_mini_batches=2",
         "lr_scheduler_type=constant", "checkpoint_every=1", "keep_checkpoints=9")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_policy(folder / "policy")
    save_reward(folder / "reward")
    return folder


@contextmanager
def started(home: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, which is gone afterwards with all that it started."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", *words, "--home", str(home)], env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
        process.wait()


def train(models: Path, processes: int, cycles: int) -> tuple[str, ...]:
    """Return the words that train on the models of a folder."""
    return ("train", "--policy", str(models / "policy"), "--reward", str(models / "reward"),
            "--processes", str(processes), "--cycles", str(cycles),
            *(word for setting in SMALL for word in ("--set", setting)))


def ends(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a command's end; return its exit status and what it still said."""
    said = process.communicate(timeout=SECONDS)[0]
    return process.returncode, said


def after_cycle(process: subprocess.Popen[str], number: int) -> dict[int, psutil.Process]:
    """Wait until a cycle has been told; return the processes that compute, by their ranks."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("cycle") and int(line.split()[1].partition("/")[0]) >= number:
            return {int(child.environ()["RANK"]): child
                    for child in psutil.Process(process.pid).children(recursive=True)}
    raise AssertionError("".join(said))


def metrics(home: Path, run: int = 1) -> dict[int, dict[str, float]]:
    store = Store(home)
    try:
        return {cycle: {n: x for n, x in found.items() if "seconds" not in n and "/s" not in n}
                for cycle, found in store.cycle_metrics(run, 0).items()}
    finally:
        store.close()


def assert_alike(ours: dict[int, dict[str, float]], others: dict[int, dict[str, float]]) -> None:
    assert ours.keys() == others.keys()
    for cycle, found in ours.items():
        assert others[cycle] == pytest.approx(
            {n: x for n, x in found.items() if n != "tokens_per_second"} | {
                "tokens_per_second": others[cycle]["tokens_per_second"]},
            rel=1e-4, abs=1e-5, nan_ok=True)


def test_what_two_began_one_ends_as_one_would_have_from_the_start(
    models: Path, tmp_path: Path
) -> None:
    with started(tmp_path / "whole", *train(models, 1, 4)) as process:
        assert ends(process)[0] == 0
    home = tmp_path / "shared"
    with started(home, *train(models, 2, 2)) as process:
        ranks = after_cycle(process, 1)
        listening = {c.laddr.ip for one in ranks.values()
                     for c in one.net_connections() if c.status == psutil.CONN_LISTEN}
        assert listening <= {"127.0.0.1", "::1"}
        status, said = ends(process)
        assert status == 0, said
        assert not psutil.wait_procs(list(ranks.values()), timeout=SECONDS)[1]
    with started(home, "resume", "1", "--cycles", "4", "--processes", "1") as process:
        status, said = ends(process)
        assert status == 0, said
    assert_alike(metrics(tmp_path / "whole"), metrics(home))
    store = Store(home)
    try:
        assert [(c.cycle, c.old, c.new) for c in store.changes(1) if c.name == "processes"] == [
            (3, 2, 1)]
    finally:
        store.close()


def test_ctrl_c_stops_all_with_a_checkpoint(models: Path, tmp_path: Path) -> None:
    with started(tmp_path, *train(models, 2, 100_000)) as process:
        ranks = after_cycle(process, 2)
        os.kill(process.pid, signal.SIGINT)
        status, said = ends(process)
        assert status == 130
        assert "Go on with: ppo-workbench resume 1" in said
        assert not psutil.wait_procs(list(ranks.values()), timeout=SECONDS)[1]
    store = Store(tmp_path)
    try:
        run = store.run(1)
        assert run is not None
        assert run.status == "stopped"
        assert [c.cycle for c in store.checkpoints.all(1)][-1] == run.cycles
    finally:
        store.close()


def test_a_process_that_is_killed_ends_all_and_is_named_and_three_go_on(
    models: Path, tmp_path: Path
) -> None:
    with started(tmp_path, *train(models, 2, 100_000)) as process:
        ranks = after_cycle(process, 2)
        ranks[1].kill()
        status, said = ends(process)
        assert status == 1
        assert "Process 2 of 2 is gone: it was killed" in said
        assert not psutil.wait_procs(list(ranks.values()), timeout=SECONDS)[1]
    done = max(metrics(tmp_path))
    with started(tmp_path, "resume", "1", "--cycles", str(done + 2), "--processes", "3") as process:
        status, said = ends(process)
        assert status == 0, said
    assert max(metrics(tmp_path)) == done + 2


def test_where_the_first_is_killed_the_others_end(models: Path, tmp_path: Path) -> None:
    with started(tmp_path, *train(models, 2, 100_000)) as process:
        ranks = after_cycle(process, 2)
        ranks[0].kill()
        assert ends(process)[0] == 1
        assert not psutil.wait_procs(list(ranks.values()), timeout=SECONDS)[1]
    assert len(metrics(tmp_path)) >= 2
