"""`ppo-workbench train --processes N`: several processes as one run, watched through the store."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import psutil
import pytest
from helpers.launched import after_cycle, assert_alike, ends, metrics, save_models, started, train
from helpers.models import CPU
from helpers.patience import SECONDS

from workbench.feedback.loading import load_reward
from workbench.models.control import Unattended
from workbench.models.sources import silent
from workbench.records import Exchange
from workbench.store.reward_models import folder_of
from workbench.store.store import Store
from workbench.training.runner import GATHERED_ONCE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_models(tmp_path_factory.mktemp("models"))


def test_what_two_began_three_share_out_and_one_ends_as_one_would_have_from_the_start(
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
    for cycles, words, each in (
            ("3", ("--processes", "3", "--set", "sharding=shard"), " for each of 3 processes"),
            ("4", ("--processes", "1"), "")):
        with started(home, "resume", "1", "--cycles", cycles, *words) as process:
            status, said = ends(process)
            assert status == 0, said
            memory = next(line for line in said.splitlines() if line.startswith("Memory:"))
            assert memory.endswith(f" free{each}.")
            assert (GATHERED_ONCE in said) == ("sharding=shard" in words)
    assert_alike(metrics(tmp_path / "whole"), metrics(home))
    store = Store(home)
    try:
        assert [(c.cycle, c.old, c.new) for c in store.changes(1) if c.name == "processes"] == [
            (3, 2, 3), (4, 3, 1)]
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


def test_ctrl_c_before_the_processes_are_there_stops_them_all_the_same(
    models: Path, tmp_path: Path
) -> None:
    with started(tmp_path, *train(models, 2, 100_000)) as process:
        while not psutil.Process(process.pid).children():
            psutil.wait_procs([psutil.Process(process.pid)], timeout=0.05)
        os.kill(process.pid, signal.SIGINT)
        status, said = ends(process)
        assert status in (2, 130), said
        assert "Stop" in said


def test_values_are_pretrained_by_two_that_share_out_a_value_model(
    models: Path, tmp_path: Path
) -> None:
    more = ("sharding=shard", "value_model=policy", "value_pretraining_episodes=12")
    with started(tmp_path, *train(models, 2, 1), *(
            word for setting in more for word in ("--set", setting))) as process:
        status, said = ends(process)
        assert status == 0, said
    assert "Values pretrained on 12 completions" in said


def test_two_that_share_out_a_reward_model_leave_it_whole(models: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps(
        {"prompt": f"{word} ", "chosen": "good", "rejected": "bad"}) + "\n"
        for word in ("a", "b", "c", "d", "e", "f", "g", "h")))
    home = tmp_path / "home"
    words = ("train", "--algorithm", "reward", "--policy", str(models / "policy"), "--reward",
             str(models / "reward"), "--data", str(pairs), "--processes", "2", "--cycles", "1")
    settings = ("sharding=shard", "batch_size=2", "steps_per_cycle=1", "response_length=4",
                "comparison_prompts=2", "standardise_on=4")
    with started(home, *words, *(word for s in settings for word in ("--set", s))) as process:
        status, said = ends(process)
        assert status == 0, said
    assert "could not" not in said
    made = load_reward(str(folder_of(home, 1, 1)), CPU, silent).reward
    assert made.score([Exchange("a ", "good", "a good")], control=Unattended()).isfinite().all()
