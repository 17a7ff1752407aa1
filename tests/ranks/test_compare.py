"""`ppo-workbench compare --processes N`: each run of a comparison is computed by several."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest
from helpers.launched import (
    SMALL,
    after_cycle,
    assert_alike,
    ends,
    metrics,
    save_models,
    started,
)
from helpers.patience import SECONDS

from workbench.store.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_models(tmp_path_factory.mktemp("models"))


def compare(models: Path, processes: int, *more: str) -> tuple[str, ...]:
    """Return the words that compare two ways to learn, on the models of a folder."""
    return ("compare", "--ways", "PPO,RLOO", "--policy", str(models / "policy"), "--reward",
            str(models / "reward"), "--processes", str(processes),
            *(word for setting in (*SMALL, "batch_size=8", *more) for word in ("--set", setting)))


def test_two_that_share_out_weights_compare_as_one_does(models: Path, tmp_path: Path) -> None:
    for home, number in (("one", 1), ("two", 2)):
        with started(tmp_path / home, *compare(
                models, number, "sharding=shard", "num_cycles=2")) as process:
            status, said = ends(process)
            assert status == 0, said
    for run in (1, 2):
        ours, others = (metrics(tmp_path / home, run) for home in ("two", "one"))
        assert list(ours) == [1, 2]
        assert_alike(others, ours)
    store = Store(tmp_path / "two")
    try:
        assert [run.hyperparameters["processes"] for run in store.runs()] == [2, 2]
    finally:
        store.close()


def test_ctrl_c_stops_all_and_it_goes_on_in_as_many(models: Path, tmp_path: Path) -> None:
    with started(tmp_path, *compare(models, 2, "num_cycles=30")) as process:
        ranks = after_cycle(process, 3)
        assert len(ranks) == 2
        os.kill(process.pid, signal.SIGINT)
        status, said = ends(process)
        assert status == 130, said
        assert "Go on with: ppo-workbench compare --continue 1" in said
        assert not psutil.wait_procs(list(ranks.values()), timeout=SECONDS)[1]
    with started(tmp_path, "compare", "--continue", "1") as process:
        ranks = after_cycle(process, 30)
        assert len(ranks) == 2
        status, said = ends(process)
        assert status == 0, said
    assert [max(metrics(tmp_path, run)) for run in (1, 2)] == [30, 30]


def test_a_process_that_is_killed_holds_the_comparison(models: Path, tmp_path: Path) -> None:
    with started(tmp_path, *compare(models, 2, "num_cycles=10000")) as process:
        ranks = after_cycle(process, 2)
        ranks[1].kill()
        status, said = ends(process)
        assert status == 1, said
        assert "Process 2 of 2 is gone" in said
        assert "Go on with: ppo-workbench compare --continue 1" in said
        assert not psutil.wait_procs(list(ranks.values()), timeout=SECONDS)[1]
