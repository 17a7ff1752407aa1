"""Programs in several processes that meet as those of a run on one machine do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from helpers.patience import SECONDS

ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    """Return that of a program of the tests that is a process of its own."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests"))), "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo"}


def run_together(program: Path, arguments: Sequence[str], number: int) -> None:
    """Run a program in ``number`` processes.

    Raises:
        AssertionError: one failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        started = [subprocess.Popen(
            [sys.executable, str(program), *arguments], text=True, stderr=subprocess.PIPE,
            env=environment() | {
                # Sets of texts are gone through in another order in each.
                "PYTHONHASHSEED": str(rank), "RANK": str(rank), "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(number),
                "LOCAL_WORLD_SIZE": str(number), "TORCHELASTIC_RUN_ID": "test",
                "PPO_WORKBENCH_MEETING": folder}) for rank in range(number)]
        try:
            said = [process.communicate(timeout=SECONDS)[1] for process in started]
        finally:
            for process in started:
                process.kill()
    failed = [text for process, text in zip(started, said, strict=True) if process.returncode]
    assert not failed, failed
