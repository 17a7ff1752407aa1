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
from helpers.launched import SMALL, save_models
from helpers.patience import SECONDS
from helpers.processes import environment

from workbench.store.store import Store

pytestmark = pytest.mark.slow

@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_models(tmp_path_factory.mktemp("models"))


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


def after_cycle(agents: Sequence[subprocess.Popen[str]], number: int) -> list[psutil.Process]:
    """Wait until the first has told of a cycle; return the process that computes on each node."""
    assert agents[0].stdout is not None
    for line in agents[0].stdout:
        if line.startswith("cycle") and line.split()[1].startswith(f"{number}/"):
            break
    children = [psutil.Process(agent.pid).children() for agent in agents]
    assert [len(found) for found in children] == [1, 1]
    return [found[0] for found in children]


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
        computing = after_cycle(agents, 2)
        os.kill(agents[0].pid, signal.SIGINT)
        said = [agent.communicate(timeout=SECONDS)[0] for agent in agents]
        assert "Go on with: ppo-workbench resume 1" in said[0]
        assert not psutil.wait_procs(computing, timeout=SECONDS)[1]
    assert not homes[1].exists()
    store = Store(homes[0])
    try:
        run = store.run(1)
        assert run is not None
        assert run.status == "stopped"
        assert [c.cycle for c in store.checkpoints.all(1)][-1] == run.cycles
    finally:
        store.close()


def test_where_the_second_node_loses_its_process_both_end_and_the_run_goes_on_alone(
    models: Path, tmp_path: Path
) -> None:
    homes = tmp_path / "first", tmp_path / "second"
    with two_nodes(homes, *words(models, 100_000)) as agents:
        computing = after_cycle(agents, 2)
        computing[1].kill()
        said = [agent.communicate(timeout=SECONDS)[0] for agent in agents]
        assert "Process 2 of 2 is gone: it was killed" in said[0]
        assert all(agent.returncode for agent in agents)
        assert not psutil.wait_procs(computing, timeout=SECONDS)[1]
    done = max(metrics(homes[0]))
    on = subprocess.run(
        [sys.executable, "-m", "workbench", "resume", "1", "--processes", "1", "--cycles",
         str(done + 1), "--home", str(homes[0])],
        env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False)
    assert on.returncode == 0, on.stderr
    assert max(metrics(homes[0])) == done + 1
