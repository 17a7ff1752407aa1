"""What the process that trains a run tells others of it, and takes from them.

A thread of its own polls for commands, so that a paused run takes them as a running one does, and
training itself never looks: between two polls it does nothing, and a poll of a database that
nobody wrote to costs microseconds.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.store.home import StoreError
from workbench.training import wire
from workbench.training.commands import Command
from workbench.training.events import (
    CommandRefused,
    ComparisonReady,
    Event,
    Progress,
    RunFinished,
    RunResumed,
    RunStarted,
)

if TYPE_CHECKING:
    from workbench.store.store import Store

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25  # between two looks at what was asked; events go out as often


class RemoteCommand:
    """A command to run ``run_id`` from another process. Handled within ``with``, what is refused
    is its answer."""

    def __init__(self, command: Command, run_id: int, publisher: RunPublisher, number: int) -> None:
        self.command, self.run_id = command, run_id
        self.refused: CommandRefused | None = None
        self._publisher, self._number = publisher, number

    def __enter__(self) -> None:
        self._publisher.opened.append(self)

    def __exit__(self, *_: object) -> None:
        self._publisher.opened.remove(self)
        no = self.refused
        self._publisher.answer(
            self._number, "" if no is None else no.sentence, dict(no.problems) if no else {})


class RunPublisher:
    """Publishes a session's run while it has one, and takes commands to it. :meth:`publish` is
    called on the training thread."""

    def __init__(self, store: Store, put: Callable[[RemoteCommand], None]) -> None:
        self.opened: list[RemoteCommand] = []
        """The commands that are being handled; one may come while another is."""
        self._store, self._put = store, put
        self._news: list[Event] = []
        self._progress: Progress | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def publish(self, event: Event) -> bool:
        """Take note of an event. False: it is the answer to a remote command, and nobody else's."""
        if isinstance(event, CommandRefused):
            command = self.opened[-1] if self.opened else None
            if command is not None and event.command == type(command.command).__name__:
                command.refused = event
                return False
        elif isinstance(event, RunStarted | RunResumed):
            self._begin(event.run_id)
        elif self._thread is None:
            return True
        elif isinstance(event, Progress):
            self._progress = event
        elif isinstance(event, wire.TOLD) or (
            isinstance(event, ComparisonReady) and event.cycle == 0
        ):
            self._news.append(event)
            if isinstance(event, RunFinished):
                self.close()
        return True

    def answer(self, number: int, sentence: str, problems: dict[str, str]) -> None:
        """Say what became of a command: refused with ``sentence``, or done."""
        self._store.steering.answer(
            number, "refused" if sentence else "done", sentence, problems)

    def close(self) -> None:
        """Tell what is left to tell and end the thread. Safe to call twice."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ended.set()
            thread.join()

    def _begin(self, run_id: int) -> None:
        self._store.steering.begin(run_id)
        self._store.steering.refuse_waiting(
            run_id, "Nobody trained the run when this was asked; ask again.")
        self._news, self._progress, self._ended = [], None, threading.Event()
        self._thread = threading.Thread(
            target=self._serve, args=(run_id, self._ended), name="publisher", daemon=True)
        self._thread.start()

    def _serve(self, run_id: int, ended: threading.Event) -> None:
        told = taken = 0
        version = -1
        over = False
        while not over:
            over = ended.wait(POLL_SECONDS)
            with contextlib.suppress(StoreError, sqlite3.Error):  # told at the next poll, then
                told = self._tell(run_id, told)
            try:
                now = self._store.steering.version()
                if now != version:
                    version, taken = now, self._take(run_id, taken)
                if over:
                    self._store.steering.refuse_waiting(run_id, "The run has ended.")
            except (StoreError, sqlite3.Error):
                continue  # training has the same trouble, and says so
        self._store.leave()

    def _tell(self, run_id: int, told: int) -> int:
        """Write the news; return the number of the last."""
        count = len(self._news)  # the training thread may add more meanwhile
        news = [(told + i, *wire.dump(event))
                for i, event in enumerate(self._news[:count], start=1)]
        progress, self._progress = self._progress, None
        if progress is not None:
            news.append((0, *wire.dump(progress)))
        if news:
            self._store.steering.tell(run_id, news).result()
            del self._news[:count]
        return told + count

    def _take(self, run_id: int, taken: int) -> int:
        """Hand the waiting commands on; return the number of the last."""
        for posted in self._store.steering.waiting(run_id, taken):
            taken = posted.id
            try:
                command = wire.load(posted.name, posted.arguments)
            except ValueError:
                self.answer(taken, f"{posted.name} is not known here; both processes should be "
                                   "of the same version of PPO Workbench.", {})
            else:
                log.info("%s for run %d from %s", posted.name, run_id, posted.by)
                self._put(RemoteCommand(command, run_id, self, taken))
        return taken
