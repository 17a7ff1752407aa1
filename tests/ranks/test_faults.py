"""Processes of a run that are killed at any moment: nothing finished is lost, and others go on."""

from __future__ import annotations

import random
import time
from pathlib import Path

import psutil
import pytest
from helpers.launched import after_cycle, assert_alike, ends, metrics, save_models, started, train
from helpers.patience import SECONDS

from workbench.store.store import Store

pytestmark = pytest.mark.sweep

CYCLES = 8


def test_each_rank_killed_at_any_moment_loses_nothing_finished(tmp_path: Path) -> None:
    models = save_models(tmp_path / "models")
    with started(tmp_path / "whole", *train(models, 1, CYCLES)) as process:
        assert ends(process)[0] == 0
    whole = metrics(tmp_path / "whole")
    moments = random.Random(0)
    for number in range(20):
        home = tmp_path / f"{number}"
        with started(home, *train(models, 2 + number % 2, CYCLES)) as process:
            ranks = after_cycle(process, 1 + number % 3)
            psutil.wait_procs(list(ranks.values()), timeout=moments.uniform(0, 0.3))
            ranks[number % len(ranks)].kill()
            began = time.monotonic()
            status, said = ends(process)
            assert not psutil.wait_procs(list(ranks.values()), timeout=SECONDS)[1]
            assert time.monotonic() - began < 30
        store = Store(home)
        try:
            run = store.run(1)
            assert run is not None
            done = run.cycles
            assert status == (0 if run.status == "finished" else 1), said
        finally:
            store.close()
        assert_alike({cycle: whole[cycle] for cycle in range(1, done + 1)}, metrics(home))
        if done < CYCLES:
            with started(home, "resume", "1", "--processes", str(1 + (number + 1) % 3)) as process:
                status, said = ends(process)
                assert status == 0, said
        assert_alike(whole, metrics(home))
