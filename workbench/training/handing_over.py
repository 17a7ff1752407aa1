"""What several processes compute, begun from here: `ppo-workbench hand-over` starts them, takes
what is asked for from its standard input, and says as lines of JSON which run it became, or how
far it is."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from workbench.training.commands import Command, LoadModels

POLL_SECONDS = 0.1
SAYS = "ppo-workbench: "
"""How a line begins that says what is wrong."""


class HandedOver:
    """Processes that are being started. The processes go on when this one ends."""

    def __init__(
        self, home: Path, load: LoadModels | None, command: Command, processes: int,
        heard: Callable[[Mapping[str, Any]], bool], ended: Callable[[str], None],
    ) -> None:
        """Start them.

        Args:
            load: the models of a run that begins; one that goes on names its own.
            command: what they do first.
            heard: told each thing that they say; whether that is all that is wanted of them.
            ended: told why they ended before it was, or nothing where they were asked to.
                Both are called on a thread of their own.
        """
        self._heard, self._ended, self._cancelled = heard, ended, False
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
        """Give up, unless all that is wanted has been heard."""
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
        if self._listen():
            self._process.wait()
            self._log.unlink(missing_ok=True)
        elif not self._left.is_set():
            self._ended("" if self._cancelled else self._why())

    def _listen(self) -> bool:
        """Hear what is said until that is all, and return whether it was."""
        begun = ""
        with self._log.open(encoding="utf-8", errors="replace") as said:
            while True:
                over = self._process.poll() is not None
                while line := said.readline():
                    begun += line
                    if not line.endswith("\n"):  # the rest is still being written
                        break
                    line, begun = begun, ""
                    if line.startswith("{") and (
                            self._left.is_set() or self._heard(json.loads(line))):
                        return True
                if over:
                    return False
                time.sleep(POLL_SECONDS)

    def _why(self) -> str:
        lines = self._log.read_text("utf-8", errors="replace").splitlines()
        said = [line.removeprefix(SAYS) for line in lines if line.startswith(SAYS)]
        sentence = said[-1] if said else "the processes ended before they had said anything."
        return f"{sentence[:1].upper()}{sentence[1:]} What they said is in {self._log}."
