"""`ppo-workbench best-of-n --processes N`: what one process finds, found by several."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import psutil
import pytest
from helpers.launched import ends, save_models, started, train
from helpers.patience import SECONDS

from workbench.store.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a run of two cycles that moved its policy, and its fork that shares out
    weights."""
    made = tmp_path_factory.mktemp("home")
    models = save_models(tmp_path_factory.mktemp("models"))
    for words in ((*train(models, 1, 2), "--set", "learning_rate=1e-3"),
                  ("fork", "1", "--cycle", "1", "--set", "sharding=shard", "--set",
                   "checkpoint_every=1", "--processes", "2")):
        with started(made, *words) as process:
            status, said = ends(process)
            assert status == 0, said
    return made


def best_of(home: Path, run: int, cycle: int, processes: int) -> list[dict[str, float]]:
    """Return what the command says, a mapping for each n; the store has the same."""
    with started(home, "best-of-n", str(run), "--cycle", str(cycle), "--n", "3", "--json",
                 "--processes", str(processes)) as process:
        status, said = ends(process)
        assert status == 0, said
    found = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    store = Store(home)
    try:
        assert [of_n["reward"] for of_n in found] in [
            list(kept.rewards) for kept in store.best_of(run) if kept.cycle == cycle]
    finally:
        store.close()
    return found


@pytest.mark.parametrize(("run", "cycle"), [(1, 2), (2, 2), (2, 0)])
def test_any_number_of_processes_finds_the_same(home: Path, run: int, cycle: int) -> None:
    alone, *others = (best_of(home, run, cycle, number) for number in (1, 2, 3))
    assert [of_n["n"] for of_n in alone] == [1, 2, 3]
    assert bool(alone[0]["kl"]) == bool(cycle)
    for found in others:
        assert len(found) == len(alone)
        for ours, theirs in zip(alone, found, strict=True):
            assert theirs == pytest.approx(ours, rel=1e-5, abs=1e-6)


def test_ctrl_c_ends_all_of_them_and_keeps_nothing(home: Path) -> None:
    with started(home, "best-of-n", "1", "--cycle", "1", "--n", "64", "--processes",
                 "2") as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("Policy:"):
            assert process.poll() is None
        ranks = psutil.Process(process.pid).children(recursive=True)
        assert len(ranks) == 2
        os.kill(process.pid, signal.SIGINT)
        assert ends(process)[0] == 130
        assert not psutil.wait_procs(ranks, timeout=SECONDS)[1]
    store = Store(home)
    try:
        assert 1 not in [found.cycle for found in store.best_of(1)]
    finally:
        store.close()
