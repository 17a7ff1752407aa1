"""`ppo-workbench` in several processes, for tests that watch, kill and resume them."""

from __future__ import annotations

import os
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

SMALL = ("batch_size=6", "response_length=8", "comparison_prompts=2", "num_mini_batches=2",
         "lr_scheduler_type=constant", "checkpoint_every=1", "keep_checkpoints=9")


def save_models(folder: Path) -> Path:
    """Save a tiny policy and a tiny reward model in a folder, and return it."""
    save_policy(folder / "policy")
    save_reward(folder / "reward")
    return folder


HARM = Path(__file__).parent / "harm"


@contextmanager
def started(home: Path, *words: str, harm: str = "") -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, which is gone afterwards with all that it started.

    Args:
        harm: what one of the processes comes to (:mod:`helpers.harm.sitecustomize`).
    """
    env = environment()
    if harm:
        env |= {"HARM": harm, "PYTHONPATH": f"{HARM}{os.pathsep}{env['PYTHONPATH']}"}
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", *words, "--home", str(home)], env=env,
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
