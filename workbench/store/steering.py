"""How processes on one home folder speak of a run: what it is asked to do, and what it tells.

The process that trains a run reads its commands and writes its events; the others do the reverse.
Everything that lasts is in the run's own tables: events are only what a watcher cannot find there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlite_utils import Database

from workbench.store.clock import now
from workbench.store.run_locks import this_process

KEPT_EVENTS = 1000
"""More than the shortest cycles tell between two looks of a watcher, a dozen each."""
Outcome = Literal["done", "refused"]


@dataclass(frozen=True, slots=True)
class PostedCommand:
    """A command that another process gave, and what became of it (``outcome`` None: not yet)."""

    id: int
    name: str
    arguments: str
    by: str
    outcome: Outcome | None = None
    sentence: str = ""
    problems: Mapping[str, str] = field(default_factory=dict)


class Steering:
    """The tables ``commands`` and ``live_events``. Names and JSON: what they mean is the
    engine's."""

    def __init__(self, submit: Callable[[Callable[[Database], Any]], Future[Any]],
                 reader: Callable[[], Database]) -> None:
        self._submit, self._reader = submit, reader

    def version(self) -> int:
        """Return a number that changes when the database has, but for this thread's own writes;
        asking costs a few microseconds."""
        return int(self._reader().execute("PRAGMA data_version").fetchone()[0])

    # -- commands

    def post(self, run_id: int, name: str, arguments: str) -> Future[int]:
        """Ask the process that trains a run for something; the future gives the command's
        number."""
        def write(db: Database) -> int:
            return int(db.table("commands").insert({
                "run_id": run_id, "at": now("milliseconds"), "by": this_process(), "name": name,
                "arguments": arguments}).last_pk)  # type: ignore[arg-type]
        return self._submit(write)

    def waiting(self, run_id: int, after: int) -> list[PostedCommand]:
        """Return the commands numbered above ``after`` that have no answer, oldest first."""
        return [_command(row) for row in self._reader().query(
            "select * from commands where run_id = ? and id > ? and outcome is null order by id",
            [run_id, after])]

    def commands(self, run_id: int) -> list[PostedCommand]:
        """Return every command that other processes gave a run, oldest first."""
        return [_command(row) for row in self._reader().query(
            "select * from commands where run_id = ? order by id", [run_id])]

    def answer(self, command_id: int, outcome: Outcome, sentence: str = "",
               problems: Mapping[str, str] | None = None) -> Future[None]:
        """Record what became of a command."""
        return self._submit(lambda db: db.table("commands").update(command_id, {
            "answered_at": now("milliseconds"), "outcome": outcome, "sentence": sentence,
            "problems": json.dumps(dict(problems or {}))}) and None)

    def refuse_waiting(self, run_id: int, sentence: str) -> Future[None]:
        """Refuse every command of a run that has no answer."""
        def write(db: Database) -> None:
            db.execute(
                "update commands set answered_at = ?, outcome = 'refused', sentence = ? "
                "where run_id = ? and outcome is null", [now("milliseconds"), sentence, run_id])
        return self._submit(write)

    # -- events

    def begin(self, run_id: int) -> Future[None]:
        """Forget what was told of this run, and of every run that nobody trains any more."""
        def write(db: Database) -> None:
            db.table("live_events").delete_where(
                "run_id = ? or run_id in "
                "(select id from runs where status not in ('running', 'paused'))", [run_id])
        return self._submit(write)

    def tell(self, run_id: int, events: Sequence[tuple[int, str, str]]) -> Future[None]:
        """Record events as ``(number, name, JSON)``. Number 0 is where the run is just now, and
        takes the place of the one before; of the others the last few are kept."""
        rows = [{"run_id": run_id, "number": n, "name": name, "event": event}
                for n, name, event in events]
        newest = max(n for n, _, _ in events)

        def write(db: Database) -> None:
            db.table("live_events").insert_all(rows, replace=True)
            db.table("live_events").delete_where(
                "run_id = ? and number between 1 and ?", [run_id, newest - KEPT_EVENTS])
        return self._submit(write)

    def events(self, run_id: int, after: int) -> list[tuple[int, str, str]]:
        """Return the events numbered above ``after``, in order, and then number 0."""
        return [(row["number"], row["name"], row["event"]) for row in self._reader().query(
            "select * from live_events where run_id = ? and (number = 0 or number > ?) "
            "order by number = 0, number", [run_id, after])]


def _command(row: Mapping[str, Any]) -> PostedCommand:
    return PostedCommand(
        row["id"], row["name"], row["arguments"], row["by"], row["outcome"],
        row["sentence"] or "", json.loads(row["problems"] or "{}"))
