"""The one thread that writes to the database."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from sqlite_utils import Database

from workbench.store.home import StoreError
from workbench.store.schema import connect

T = TypeVar("T")
_Job = tuple[Callable[[Database], Any], Future[Any]]


class Writer:
    """Runs write operations one after another, all that wait in one transaction.

    Waiting for a fixed interval would only add delay: while one transaction is being flushed the
    next batch collects by itself.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, operation: Callable[[Database], T]) -> Future[T]:
        """Queue ``operation``; the future is done once it is committed (or has failed)."""
        if self._closed:
            raise StoreError("The store is closed.")
        future: Future[T] = Future()
        self._jobs.put((operation, future))
        return future

    def close(self) -> None:
        """Commit what waits and end the thread."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self._thread.join()

    def _run(self) -> None:
        db = connect(self._path)
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
        outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            # Taking the lock at once lets another process's writer be waited for; a transaction
            # that begins by reading would fail instead of waiting.
            db.execute("BEGIN IMMEDIATE")
            for operation, future in jobs:
                try:
                    with db.atomic():
                        outcomes.append((future, operation(db), None))
                except sqlite3.OperationalError:
                    raise  # the whole transaction is at risk: disk full, read-only
                except Exception as error:
                    outcomes.append((future, None, error))
            db.execute("COMMIT")
        except sqlite3.Error as error:
            db.rollback()
            sentence = (
                f"The experiment database {self._path} could not be written ({error}); free some "
                "disk space or choose another home folder with --home."
            )
            outcomes = [(future, None, StoreError(sentence)) for _, future in jobs]
        for future, result, failure in outcomes:
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)
