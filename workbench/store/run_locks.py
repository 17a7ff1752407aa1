"""Which living process trains a run: one lock of the operating system for each run.

A process that ends, however it ends, lets go of its locks, so a lock that can be taken means that
nobody trains the run. Process numbers would not do: they are used again, and say nothing about
another machine or container that shares the home folder.
"""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

from filelock import FileLock, Timeout

from workbench.store.disk_errors import NotWrittenError, why_not

_PATIENCE = 0.25  # seconds; another process may be looking, which takes the lock for a moment


class RunLocks:
    """The locks under one home folder: ``locks/RUN.lock``, and one for the window. Safe to use from
    any thread."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "locks"
        self._held: dict[int | str, FileLock] = {}
        self._guard = threading.RLock()

    def take_window(self) -> bool:
        """Be the one window on the home folder; return False when there is another.

        Raises:
            NotWrittenError: the lock cannot be written.
        """
        return self._take("window")

    def take(self, run_id: int) -> bool:
        """Make a run this store's to train; return False when another has it.

        Raises:
            NotWrittenError: the lock cannot be written.
        """
        return self._take(run_id)

    def release(self, run_id: int) -> None:
        """Let go of a run, if it is this store's."""
        with self._guard:
            lock = self._held.pop(run_id, None)
            if lock is not None:
                lock.release()

    def release_all(self) -> None:
        """Let go of everything."""
        with self._guard:
            while self._held:
                self._held.popitem()[1].release()

    def forget(self, run_id: int) -> None:
        """Remove the lock of a run that is deleted."""
        self.release(run_id)
        self._path(run_id).unlink(missing_ok=True)

    def highest(self) -> int:
        """Return the highest number of a run that has a lock here, also of one that the database
        does not know."""
        return max((int(p.stem) for p in self._folder.glob("*.lock") if p.stem.isdecimal()),
                   default=0)

    def is_mine(self, run_id: int) -> bool:
        """Whether this store trains the run."""
        return run_id in self._held

    def is_alive(self, run_id: int) -> bool:
        """Whether this or any other living process trains the run."""
        with self._guard:
            if run_id in self._held:
                return True
            if not self._path(run_id).exists():
                return False
            lock = self._lock(run_id, 0)
            if lock is not None:
                lock.release()
            return lock is None

    def _take(self, name: int | str) -> bool:
        with self._guard:
            if name not in self._held:
                lock = self._lock(name, _PATIENCE)
                if lock is None:
                    return False
                self._held[name] = lock
            return True

    def _lock(self, name: int | str, patience: float) -> FileLock | None:
        lock = FileLock(self._path(name), thread_local=False)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=patience, poll_interval=0.01)
        except Timeout:
            return None
        except OSError as error:
            raise NotWrittenError(
                why_not(error), f"no run can be held in {self._folder}; free some space there, or "
                                "choose another home folder with --home.",
                f"Free some space at {self._folder.parent}") from error
        return lock

    def _path(self, name: int | str) -> Path:
        return self._folder / f"{name}.lock"


def this_process() -> str:
    """Name this process, for a person."""
    return f"process {os.getpid()} on {socket.gethostname()}"
