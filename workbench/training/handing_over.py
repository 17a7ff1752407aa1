"""A run that is computed by several processes, begun from here: `ppo-workbench hand-over` starts
them, takes what is asked for from its standard input, and says which run it became."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from workbench.training.commands import Command, LoadModels

POLL_SECONDS = 0.1
SAYS = "ppo-workbench: "
"""How a line begins that says what is wrong."""


class HandedOver:
    """Processes that are being started. ``begun`` is told the number of the run, or ``failed`` why
    there is none, on a thread of its own. The processes go on when this one ends."""

    def __init__(
        self, home: Path, load: LoadModels | None, command: Command, processes: int,
        begun: Callable[[int], None], failed: Callable[[str], None],
    ) -> None:
        """Start them.

        Args:
            load: the models of a run that begins; one that goes on names its own.
            command: what they do first.
        """
        self._begun, self._failed, self._cancelled = begun, failed, False
        self._asked, self._left = threading.Event(), threading.Event()
        logs = home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._log = logs / f"processes-{os.getpid()}-{uuid4().hex[:8]}.log"
        with self._log.open("wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "workbench", "hand-over", "--home", str(home),
                 "--processes", str(processes)],
                stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT,
                start_new_session=True)
        self._thread = threading.Thread(
            target=self._follow, args=(pickle.dumps((load, command)),), name="handing over",
            daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Give up, unless the run has begun."""
        self._cancelled = True
        self._process.terminate()

    def leave(self) -> None:
        """Let them go on alone: wait until they have been asked, and tell nobody any more."""
        self._left.set()
        self._asked.wait()

    def _follow(self, request: bytes) -> None:
        assert self._process.stdin is not None
        try:
            with self._process.stdin as pipe:
                pipe.write(request)
        except OSError:
            pass  # it has ended, and has said why
        self._asked.set()
        while self._process.poll() is None:
            if (run := self._run()) is not None:
                if not self._left.is_set():
                    self._begun(run)
                self._process.wait()
                self._log.unlink(missing_ok=True)
                return
            time.sleep(POLL_SECONDS)
        if not self._left.is_set():
            self._failed("Starting the processes was cancelled." if self._cancelled
                         else self._why())

    def _lines(self) -> list[str]:
        return self._log.read_text("utf-8", errors="replace").splitlines()

    def _run(self) -> int | None:
        for line in self._lines():
            if line.startswith('{"run":'):
                return int(json.loads(line)["run"])
        return None

    def _why(self) -> str:
        said = [line.removeprefix(SAYS) for line in self._lines() if line.startswith(SAYS)]
        sentence = said[-1] if said else "the processes ended before the run had begun."
        return f"{sentence[:1].upper()}{sentence[1:]} What they said is in {self._log}."
