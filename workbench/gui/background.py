"""Store queries off the main thread: a function runs on a worker, its result comes back here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal, Slot

from workbench.store.disk_errors import sentence_on_store
from workbench.store.home import StoreError

log = logging.getLogger(__name__)


class Background(QObject):
    """One worker thread, so results come back in the order they were asked for."""

    _done = Signal(object)
    failed = Signal(str, str)
    """How bad it is and one plain sentence, when the store could not do what it was asked."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._closed = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="window-reader")
        self._done.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def run(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Call ``work`` on the worker and ``then`` with its result on the main thread;
        neither once it is closed."""
        if self._closed:
            return
        future = self._pool.submit(work)
        future.add_done_callback(lambda done: self._done.emit((done, then)))

    def close(self) -> None:
        """Drop what has not begun, wait for what has, and deliver nothing more: who asked may be
        gone when the event loop comes to it."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    @Slot(object)
    def _deliver(self, answer: tuple[Future[Any], Callable[[Any], None]]) -> None:
        future, then = answer
        if self._closed or future.cancelled():
            return
        error = future.exception()
        sentence = sentence_on_store(error) if error else None
        if error and sentence:
            if not isinstance(error, StoreError):  # whose sentence, logged where it shows, says all
                log.error("%s", sentence, exc_info=error)
            self.failed.emit("error", sentence)
        elif error:
            raise error
        else:
            then(future.result())
