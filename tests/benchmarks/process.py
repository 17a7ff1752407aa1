"""A side in a process of its own, asked and answered line by line."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

from work import SEPARATE_VALUE_MODEL, Work, flops

_HERE = Path(__file__).parent
_SCRIPTS = {
    **dict.fromkeys(("ours", "ours-bf16", "ours-separate", "ours-grpo"), "side_ours.py"),
    "ours-dpo": "side_ours_dpo.py",
    "ours-kto": "side_ours_kto.py",
    "trl-1.16.0-kto": "side_trl_1_16_kto.py",
    "ours-reward": "side_ours_reward.py",
    **dict.fromkeys(
        ("trl-1.16.0-reward", "trl-1.16.0-reward-defaults"), "side_trl_1_16_reward.py"),
    "trl-1.12.0": "side_trl_1_12.py", "trl-0.11.4": "side_trl_0_11.py",
    **dict.fromkeys(("trl-1.16.0-dpo", "trl-1.16.0-dpo-defaults"), "side_trl_1_16_dpo.py"),
    "trl-1.16.0-grpo": "side_trl_1_16_grpo.py",
}


class SideError(RuntimeError):
    """A side ended without an answer."""


@dataclass
class Measured:
    """What the measured cycles of one side gave."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    phases: list[dict[str, float]] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    flops: list[float] = field(default_factory=list)
    memory: float = 0.0

    def phase(self, name: str) -> float | None:
        """Return the median seconds of a phase; None if the side has no such phase."""
        found = [p[name] for p in self.phases if name in p]
        return median(found) if found else None


class Side:
    """A running side. Use as a context manager: leaving ends the process."""

    def __init__(self, name: str, python: Path, work: Work, settings: dict[str, str]) -> None:
        self.name = name
        self.work = work
        self.measured = Measured()
        self._folder = tempfile.TemporaryDirectory()
        self._log = Path(self._folder.name, "log.txt")
        request = Path(self._folder.name, "work.json")
        work.save(request)
        threads = str(work.threads)
        environment = {
            **os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads,
            "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1",
        }
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [python, _HERE / _SCRIPTS[name], request, name, json.dumps(settings)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                env=environment)
        self.versions = self._answer()

    def __enter__(self) -> Side:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._folder.cleanup()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for the answer."""
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def cycle(self, *, warm_up: bool = False) -> None:
        """Run one cycle and keep what it measured, unless it only warms up."""
        found = self.ask(do="cycle")
        if warm_up:
            return
        measured = self.measured
        measured.seconds.append(found["seconds"])
        measured.cpu.append(found["cpu"])
        measured.phases.append(found["phases"])
        measured.tokens.append(sum(found["lengths"]))
        measured.flops.append(flops(
            self.work, found["lengths"],
            separate_value_model=self.name in SEPARATE_VALUE_MODEL))
        measured.memory = found["memory"]

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            said = self._log.read_text()[-3000:]
            raise SideError(f"{self.name} ended without an answer:\n{said}")
        return json.loads(line)
