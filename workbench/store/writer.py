"""The one thread that writes to the database."""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlite_utils import Database

from workbench.store.disk_errors import NotWrittenError, not_written
from workbench.store.home import StoreError
from workbench.store.schema import connect

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    operation: Callable[[Database], Any]
    future: Future[Any]
    then: Callable[[], object] | None
    undo: Callable[[], object] | None


class Writer:
    """Runs write operations one after another, all that wait in one transaction.

    Waiting for a fixed interval would only add delay: while one transaction is being flushed the
    next batch collects by itself.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._guard = threading.Lock()
        """Nothing is queued behind the end, where nobody would ever do it."""
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(
        self, operation: Callable[[Database], T], then: Callable[[], object] | None = None,
        undo: Callable[[], object] | None = None,
    ) -> Future[T]:
        """Queue ``operation``; the future is done once it is committed (or has failed).

        It may be called again after a failure, so what cannot be rolled back belongs into
        ``then``, which is called once, between the commit and the future, or is taken back by
        ``undo``, which is called whenever the operation was begun but not committed. The future
        raises NotWrittenError when the disk does not take it.
        """
        future: Future[T] = Future()
        with self._guard:
            if self._closed:
                raise StoreError("The store is closed.")
            self._jobs.put(_Job(operation, future, then, undo))
        return future

    def close(self) -> None:
        """Commit what waits and end the thread."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        db = connect(self._path)
        self._file = _file(self._path)
        try:
            open_ = True
            while open_:
                batch = [self._jobs.get()]
                while not self._jobs.empty():
                    batch.append(self._jobs.get())
                open_ = None not in batch
                self._commit(db, [job for job in batch if job is not None])
        finally:
            db.close()

    def _commit(self, db: Database, jobs: list[_Job]) -> None:
        outcomes: list[tuple[_Job, Any, BaseException | None]] = []
        if not self.is_there():
            for job in jobs:
                job.future.set_exception(self._gone())
            return
        try:
            # Taking the lock at once lets another process's writer be waited for; a transaction
            # that begins by reading would fail instead of waiting.
            db.execute("BEGIN IMMEDIATE")
            for job in jobs:
                try:
                    with db.atomic():
                        outcomes.append((job, job.operation(db), None))
                except sqlite3.OperationalError:
                    raise  # the whole transaction is at risk: disk full, read-only
                except Exception as error:
                    outcomes.append((job, None, error))
                    _undo([job])
            db.execute("COMMIT")
        except sqlite3.Error as error:
            db.rollback()
            _undo(jobs)
            if len(jobs) > 1:
                # Where there is no room for a cycle there may be for a name.
                for job in jobs:
                    self._commit(db, [job])
                return
            outcomes = [(job, None, not_written(self._path, error)) for job in jobs]
        for job, result, failure in outcomes:
            try:
                if failure is None and job.then is not None:
                    job.then()
            except Exception as error:
                failure = error
            if failure is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(failure)

    def is_there(self) -> bool:
        """Whether the database still is where it was opened."""
        return _file(self._path) == self._file

    def _gone(self) -> NotWrittenError:
        """What would be written to a file that has no name any more is lost when it is closed."""
        what = "replaced by another" if self._path.exists() else "moved away or deleted"
        return NotWrittenError(
            f"The experiment database was {what} while it was open",
            f"nothing more can be written to {self._path}; put the very file back there, or close "
            "the workbench and open it again.",
            f"Put the very file back at {self._path}")


def _file(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from any other; None when there is none."""
    try:
        there = path.stat()
    except OSError:
        return None
    return there.st_dev, there.st_ino


def _undo(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.undo is not None:
            with contextlib.suppress(Exception):
                job.undo()
