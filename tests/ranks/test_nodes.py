"""``torchrun`` on two nodes: one run whose processes meet where torchrun says, not in a folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
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


def words(models: Path, cycles: int) -> tuple[str, ...]:
    """Return the words that train on the models of a folder."""
    return ("train", "--policy", str(models / "policy"), "--reward", str(models / "reward"),
            "--cycles", str(cycles), *(word for setting in SMALL for word in ("--set", setting)))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def two_nodes(homes: Sequence[Path], *said: str) -> Iterator[list[subprocess.Popen[str]]]:
    """An agent of torchrun for each of two homes, as on two machines; gone afterwards with what
    they started."""
    port = str(free_port())
    agents = [subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(node),
         "--nproc-per-node", "1", "--master-addr", "127.0.0.1", "--master-port", port,
         "-m", "workbench", *said],
        env=environment() | {"PPO_WORKBENCH_HOME": str(home)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for node, home in enumerate(homes)]
    try:
        yield agents
    finally:
        for agent in agents:
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(agent.pid).children(recursive=True):
                    child.kill()
            agent.kill()
            agent.wait()


def metrics(home: Path) -> dict[int, dict[str, float]]:
    """Return those of the first run, but for what was measured in seconds."""
    store = Store(home)
    try:
        return {cycle: {n: x for n, x in found.items() if "second" not in n}
                for cycle, found in store.cycle_metrics(1, 0).items()}
    finally:
        store.close()


def test_two_nodes_compute_what_one_process_does_and_the_first_keeps_it(
    models: Path, tmp_path: Path
) -> None:
    alone = subprocess.run(
        [sys.executable, "-m", "workbench", *words(models, 2), "--home", str(tmp_path / "alone")],
        env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False)
    assert alone.returncode == 0, alone.stderr
    homes = tmp_path / "first", tmp_path / "second"
    with two_nodes(homes, *words(models, 2)) as agents:
        for agent in agents:
            said = agent.communicate(timeout=SECONDS)[0]
            assert agent.returncode == 0, said
    assert not homes[1].exists()
    ours, others = metrics(homes[0]), metrics(tmp_path / "alone")
    assert list(ours) == list(others) == [1, 2]
    for cycle, found in ours.items():
        assert found == pytest.approx(others[cycle], rel=1e-5, abs=2e-6, nan_ok=True)


def test_ctrl_c_at_the_first_node_ends_both_with_a_checkpoint(
    models: Path, tmp_path: Path
) -> None:
    homes = tmp_path / "first", tmp_path / "second"
    with two_nodes(homes, *words(models, 100_000)) as agents:
        first = agents[0].stdout
        assert first is not None
        assert any(line.split()[:1] == ["cycle"] and line.split()[1].startswith("2/")
                   for line in first)
        computing = [psutil.Process(agent.pid).children(recursive=True) for agent in agents]
        assert all(computing)
        os.kill(agents[0].pid, signal.SIGINT)
        said = [agent.communicate(timeout=SECONDS)[0] for agent in agents]
        assert "Go on with: ppo-workbench resume 1" in said[0]
        assert not psutil.wait_procs([*computing[0], *computing[1]], timeout=SECONDS)[1]
    assert not homes[1].exists()
    store = Store(homes[0])
    try:
        run = store.run(1)
        assert run is not None
        assert run.status == "stopped"
        assert [c.cycle for c in store.checkpoints.all(1)][-1] == run.cycles
    finally:
        store.close()
