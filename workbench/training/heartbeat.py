"""How the processes of a run learn that one of them has failed, hangs or is gone.

Each says every few seconds that it lives. The first one looks at all, the others at the first, and
each at the one that started it. Work that waits for a process which hangs would wait for ever: that
process is ended, and so all others find its connections closed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from datetime import timedelta
from pathlib import Path

import psutil
from torch.distributed import (  # type: ignore[attr-defined]
    FileStore,
    PrefixStore,
    Store,
    TCPStore,
)

from workbench import processes
from workbench.models import ranks

BEAT = 2.0
"""Seconds between two signs of life."""
SILENCE = 20.0
"""Seconds without one after which a process is taken to hang."""
_MEMORY = "memory ran out."
_REPORT_S = 3.0
"""Seconds that are waited for a failed process to say why."""


def meeting_place(name: str) -> Store:
    """Return where the processes of this run find one another: a file where all are on this
    machine, so that nothing listens at a port; else where torchrun says."""
    if folder := os.environ.get(processes.MEETING):
        return FileStore(str(Path(folder) / name), processes.started())
    of_agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    store = TCPStore(
        os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), processes.started(),
        is_master=not of_agent and processes.own_number() == 0, wait_for_workers=False,
        multi_tenant=True)
    return PrefixStore(name, store)


class Heartbeat:
    """Says that this process lives, and watches the others."""

    def __init__(self) -> None:
        """Begin, once all processes have met."""
        self._store = meeting_place("heartbeat")
        self._store.set_timeout(timedelta(seconds=SILENCE))
        self._own, self._count = processes.own_number(), processes.started()
        self._parent = os.getppid()
        self._sentence = ""
        self._ended = threading.Event()
        self._store.set(f"process/{self._own}", f"{socket.gethostname()} {os.getpid()}")
        self._say(0)
        self._thread = threading.Thread(target=self._watch, name="heartbeat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Say no more; the run is over."""
        with contextlib.suppress(Exception):
            self._store.set(f"over/{self._own}", "1")
        self._ended.set()
        self._thread.join()

    def fail(self, sentence: str) -> None:
        """Say why this process ends before the others; "": memory ran out."""
        with contextlib.suppress(Exception):
            self._store.set(f"failed/{self._own}", sentence or _MEMORY)

    def why(self) -> ranks.RankError:
        """Return what says which process has failed, and why, once a connection has broken."""
        until = time.monotonic() + _REPORT_S
        while True:
            for rank in range(self._count):
                if rank != self._own and (said := self._read(f"failed/{rank}")):
                    return (ranks.RankMemoryError(processes.name_of(rank)) if said == _MEMORY else
                            ranks.RankError(f"{self._name(rank)} failed: {said}"))
            if self._sentence:
                return ranks.RankError(self._sentence)
            gone = [rank for rank in range(self._count) if rank != self._own and self._gone(rank)]
            if gone and time.monotonic() > until - _REPORT_S / 2:
                return ranks.RankError(processes.killed(gone[0], self._count))
            if time.monotonic() > until:
                return ranks.RankError(
                    "A process of the run is gone, or cannot be reached any more.")
            time.sleep(0.1)

    def _name(self, rank: int) -> str:
        return processes.name_of(rank).capitalize()

    def _say(self, number: int) -> None:
        self._store.set(f"beat/{self._own}", str(number))

    def _read(self, key: str) -> str:
        with contextlib.suppress(Exception):
            if self._store.check([key]):
                return self._store.get(key).decode()
        return ""

    def _place(self, rank: int) -> int | None:
        """Return a process's number in the system, if it is on this machine."""
        host, _, pid = self._read(f"process/{rank}").partition(" ")
        return int(pid) if host == socket.gethostname() else None

    def _gone(self, rank: int) -> bool:
        pid = self._place(rank)
        if pid is None:
            return False
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def _watch(self) -> None:
        others = range(1, self._count) if self._own == 0 else [0]
        last: dict[int, tuple[str, float]] = {}
        number = 0
        while not self._ended.wait(BEAT):
            if os.getppid() != self._parent:  # who started this is gone
                self._orphaned()
            number += 1
            try:
                self._say(number)
                for rank in others:
                    self._look(rank, last)
            except Exception:  # where they met is gone
                self._leave()

    def _look(self, rank: int, last: dict[int, tuple[str, float]]) -> None:
        if self._read(f"over/{rank}"):
            last.pop(rank, None)
            return
        beat, now = self._read(f"beat/{rank}"), time.monotonic()
        before, since = last.get(rank, ("", now))
        if beat != before:
            last[rank] = beat, now
        elif now - since > SILENCE:
            self._sentence = (f"{self._name(rank)} has given no sign of life for {SILENCE:.0f} "
                              "seconds, and was ended.")
            pid = self._place(rank)
            if pid is None:  # on another machine: nothing here can end it
                if self._own:
                    os._exit(1)
                os.kill(os.getpid(), signal.SIGTERM)  # again and again, until it ends at once
                return
            if rank == 0:  # which can tell nobody itself
                processes.leave_note(processes.WHY, self._sentence)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            last.pop(rank)

    def _orphaned(self) -> None:
        """End what nobody is there for any more: the first process as where the system asks it to,
        with a checkpoint; the others end with it, or after a while."""
        if self._own == 0:
            self._parent = os.getppid()
            os.kill(os.getpid(), signal.SIGINT)
        elif self._ended.wait(SILENCE):
            return
        else:
            os._exit(1)

    def _leave(self) -> None:
        """End where the others cannot be found any more."""
        if self._own:
            os._exit(1)
        os.kill(os.getpid(), signal.SIGINT)
        self._ended.set()
