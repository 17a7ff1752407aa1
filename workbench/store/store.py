"""The experiment database as the rest of the workbench sees it: queries and writes."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlite_utils import Database

from workbench.store import branches
from workbench.store.checkpoints import Checkpoints
from workbench.store.home import StoreError
from workbench.store.owners import Owners, this_process
from workbench.store.records import (
    LIVE,
    ChangeRecord,
    CompletionRecord,
    HealthRecord,
    Kind,
    Prompt,
    PromptSet,
    RunRecord,
    Series,
    Status,
)
from workbench.store.schema import connect, open_database
from workbench.store.steering import Steering
from workbench.store.writer import Writer

if TYPE_CHECKING:  # numpy takes a while to import, and a window wants its store first
    from workbench.store.traces import TraceRecord


class Store:
    """One home folder's experiments. Queries run on the caller's thread, on its own connection;
    writes go through the one writer thread and return a future."""

    def __init__(self, home: Path) -> None:
        """Open (create, migrate) the store in ``home``.

        Raises:
            StoreError: with one plain sentence.
        """
        self.home = home
        self.path = open_database(home)
        self.checkpoints = Checkpoints(home)
        self.owners = Owners(home)
        self._writer = Writer(self.path)
        self._local = threading.local()
        self._readers: list[Database] = []
        self.steering = Steering(self._writer.submit, lambda: self._db)
        self.mark_interrupted().result()

    def close(self) -> None:
        """Commit what waits, close every connection, let go of every run. Safe to call twice."""
        self._writer.close()
        self.owners.release_all()
        while self._readers:
            self._readers.pop().close()

    def leave(self) -> None:
        """Close the connection of the calling thread, which is about to end."""
        db: Database | None = self._local.__dict__.pop("db", None)
        if db is not None:
            self._readers.remove(db)
            db.close()

    # -- queries

    def runs(self) -> list[RunRecord]:
        """Return every run, newest first."""
        return [_run(row) for row in self._db.query("select * from runs order by id desc")]

    def run(self, run_id: int) -> RunRecord | None:
        """Return one run, or None when there is none of that number."""
        rows = self._db.query("select * from runs where id = ?", [run_id])
        return next((_run(row) for row in rows), None)

    def metrics(self, run_id: int) -> dict[str, Series]:
        """Return every metric of a run over its cycles."""
        result: dict[str, Series] = {}
        for row in self._db.query(
            "select name, cycle, value from metrics where run_id = ? order by cycle", [run_id]
        ):
            series = result.setdefault(row["name"], Series())
            series.cycles.append(row["cycle"])
            series.values.append(math.nan if row["value"] is None else row["value"])
        return result

    def is_elsewhere(self, run: RunRecord) -> bool:
        """Whether another process trains ``run``, as far as the store says."""
        return run.status in LIVE and not self.owners.is_mine(run.id)

    def cycle_metrics(self, run_id: int, after: int) -> dict[int, dict[str, float]]:
        """Return the metrics of every cycle past ``after``, by cycle."""
        result: dict[int, dict[str, float]] = {}
        for row in self._db.query(
            "select name, cycle, value from metrics where run_id = ? and cycle > ? "
            "order by cycle, rowid", [run_id, after]
        ):
            result.setdefault(row["cycle"], {})[row["name"]] = _number(row["value"])
        return result

    def completions(
        self, run_id: int, cycle: int, kind: Kind = "comparison"
    ) -> list[CompletionRecord]:
        """Return a cycle's completions.

        ``comparison`` holds the compared prompts completed *after* ``cycle`` (0: by the start
        policy), every time with the same random numbers; ``rollout`` what the cycle learned from.
        """
        return [
            CompletionRecord(
                position=row["position"], prompt=row["prompt"], prompt_text=row["prompt_text"],
                text=row["text"], score=_number(row["score"]), kl=_number(row["kl"]),
                length=row["length"], ended=bool(row["ended"]),
                parts={k: _number(v) for k, v in json.loads(row["parts"] or "{}").items()},
            )
            for row in self._db.query(
                "select c.*, p.text as prompt_text from completions c join run_prompts p "
                "on p.run_id = c.run_id and p.position = c.prompt "
                "where c.run_id = ? and c.cycle = ? and c.kind = ? order by c.position",
                [run_id, cycle, kind],
            )
        ]

    def traces(self, run_id: int, cycle: int) -> list[TraceRecord]:
        """Return the token traces of a cycle's rollout that are still kept."""
        from workbench.store.traces import unpack

        return [unpack(row) for row in self._db.query(
            "select * from traces where run_id = ? and cycle = ? order by position",
            [run_id, cycle])]

    def compared_cycles(self, run_id: int) -> list[int]:
        """Return the cycles after which the compared prompts were completed, ascending."""
        rows = self._db.query(
            "select distinct cycle from completions where run_id = ? and kind = 'comparison' "
            "order by cycle", [run_id])
        return [row["cycle"] for row in rows]

    def changes(self, run_id: int) -> list[ChangeRecord]:
        """Return the hyperparameter changes of a run, oldest first."""
        return [
            ChangeRecord(
                cycle=row["cycle"], at=row["at"], name=row["name"],
                old=json.loads(row["old"]), new=json.loads(row["new"]), by=row["by"])
            for row in self._db.query("select * from changes where run_id = ? order by id",
                                      [run_id])
        ]

    def health(self, run_id: int) -> list[HealthRecord]:
        """Return what the health check found in a run, by cycle, serious findings first."""
        return [
            HealthRecord(row["cycle"], row["rule"], row["severity"], row["sentence"])
            for row in self._db.query(
                "select * from health where run_id = ? "
                "order by cycle, severity != 'serious', rowid", [run_id])
        ]

    def settings_after(self, run_id: int, cycle: int) -> dict[str, object]:
        """Return the hyperparameters a run used in ``cycle`` (0: those it began with)."""
        record = self.run(run_id)
        found = dict(record.hyperparameters) if record else {}
        return found | {c.name: c.new for c in self.changes(run_id) if c.cycle <= cycle}

    def reward_spans(self) -> dict[int, tuple[float, float]]:
        """Return the mean reward of every run's first and last cycle."""
        cell = ("(select value from metrics m where m.run_id = r.id and m.cycle = {} "
                "and m.name = 'objective/scores')")
        rows = self._db.query(
            f"select id, {cell.format(1)} as first, {cell.format('r.cycles')} as last "
            "from runs r")
        return {row["id"]: (row["first"], row["last"]) for row in rows
                if row["first"] is not None and row["last"] is not None}

    def run_prompts(self, run_id: int) -> list[Prompt]:
        """Return the prompts of a run in their order."""
        rows = self._db.query(
            "select * from run_prompts where run_id = ? order by position", [run_id])
        return [Prompt(row["text"], pinned=bool(row["pinned"])) for row in rows]

    def prompt_set_names(self) -> list[str]:
        """Return the names of the saved prompt sets, most recently saved first."""
        return [row["name"] for row in
                self._db.query("select name from prompt_sets order by saved_at desc, id desc")]

    def prompt_set(self, name: str) -> PromptSet | None:
        """Return a saved prompt set, or None."""
        for found in self._db.query("select * from prompt_sets where name = ?", [name]):
            rows = self._db.query(
                "select * from prompts where set_id = ? order by position", [found["id"]])
            prompts = tuple(
                Prompt(r["text"], bool(r["enabled"]), bool(r["pinned"])) for r in rows)
            return PromptSet(name, prompts, found["source"] or "")
        return None

    def is_trusted(self, sha256: str) -> bool:
        """Return whether the person has agreed to run a Python file of this content."""
        return any(self._db.query("select 1 from trusted_files where sha256 = ?", [sha256]))

    # -- writes

    def trust(self, sha256: str, path: str) -> Future[None]:
        """Remember that the person has agreed to run a Python file; ``path`` is where it lay."""
        row = {"sha256": sha256, "path": path, "at": now()}
        return self._writer.submit(lambda db: _upsert(db, "trusted_files", [row]))

    def create_run(
        self, *, name: str, policy: str, reward: str, models: Mapping[str, object],
        hyperparameters: Mapping[str, object], prompts: Sequence[Prompt],
    ) -> Future[int]:
        """Record a new running run and its prompts; the future gives its number.

        The run is this store's to train (:attr:`owners`) until it has an outcome.
        """
        def write(db: Database) -> int:
            run_id: Any = db.table("runs").insert({
                "name": name, "created_at": now(), "status": "running", "owner": this_process(),
                "policy": policy, "reward": reward, "models": json.dumps(models),
                "hyperparameters": json.dumps(hyperparameters), "cycles": 0, "note": "",
            }).last_pk
            if not name:
                db.table("runs").update(run_id, {"name": f"Run {run_id}"})
            self.checkpoints.delete(int(run_id))  # of a run that was never committed
            db.table("run_prompts").insert_all(
                {"run_id": run_id, "position": i, "text": p.text, "pinned": int(p.pinned)}
                for i, p in enumerate(prompts))
            # Within the transaction: nobody can see a running run that has no owner.
            self.owners.take(int(run_id))
            return int(run_id)
        return self._writer.submit(write)

    def record_comparison(
        self, run_id: int, cycle: int, completions: Iterable[CompletionRecord]
    ) -> Future[None]:
        """Record the compared prompts' completions after ``cycle``."""
        rows = _completion_rows(run_id, cycle, "comparison", completions)
        return self._writer.submit(lambda db: _upsert(db, "completions", rows))

    def record_cycle(
        self, run_id: int, cycle: int, *, metrics: Mapping[str, float],
        rollout: Iterable[CompletionRecord], comparison: Iterable[CompletionRecord],
        traces: Iterable[TraceRecord] = (), keep_traces: int = 0,
        health: Iterable[HealthRecord] = (),
    ) -> Future[None]:
        """Record a finished cycle whole: metrics, what it learned from, the comparison after, and
        what the health check found.

        Traces of cycles before the last ``keep_traces`` are dropped, but for pinned prompts.
        """
        rows = (_completion_rows(run_id, cycle, "rollout", rollout)
                + _completion_rows(run_id, cycle, "comparison", comparison))
        numbers = [{"run_id": run_id, "cycle": cycle, "name": k,
                    "value": float(v) if math.isfinite(v) else None} for k, v in metrics.items()]
        packed = _packed(run_id, cycle, traces)
        findings = _health_rows(run_id, health)

        def write(db: Database) -> None:
            _upsert(db, "metrics", numbers)
            _upsert(db, "completions", rows)
            _upsert(db, "traces", packed)
            _upsert(db, "health", findings)
            db.execute(
                "delete from traces where run_id = ? and cycle <= ? and prompt not in "
                "(select position from run_prompts where run_id = ? and pinned)",
                [run_id, cycle - keep_traces, run_id])
            _upsert(db, "cycles", [{"run_id": run_id, "cycle": cycle, "finished_at": now()}])
            db.table("runs").update(run_id, {"cycles": cycle})
        return self._writer.submit(write)

    def record_health(self, run_id: int, health: Iterable[HealthRecord]) -> Future[None]:
        """Record findings of a cycle that failed."""
        rows = _health_rows(run_id, health)
        return self._writer.submit(lambda db: _upsert(db, "health", rows))

    def record_changes(
        self, run_id: int, cycle: int, changes: Sequence[branches.Change]
    ) -> Future[None]:
        """Record ``(name, old, new, by)`` for each hyperparameter that ``cycle`` uses first."""
        return self._writer.submit(
            lambda db: branches.replace_changes(db, run_id, cycle, changes, now()))

    def fork_run(
        self, parent: int, cycle: int, *, name: str, hyperparameters: Mapping[str, object],
        changes: Sequence[branches.Change],
    ) -> Future[int]:
        """Record a new running run that stands where ``parent`` stood after ``cycle``, with its
        checkpoint; the future gives its number. ``hyperparameters`` are those of its start,
        ``changes`` what its next cycle uses first."""
        def write(db: Database) -> int:
            run_id = branches.fork(
                db, parent, cycle, name=name, hyperparameters=hyperparameters, changes=changes,
                moment=now(), owner=this_process())
            self.owners.take(run_id)
            self.checkpoints.share(parent, run_id, [cycle])
            return run_id
        return self._writer.submit(write)

    def rewind(self, run_id: int, cycle: int) -> Future[None]:
        """Forget what was recorded after ``cycle`` but the changes, which are to be replayed: the
        run goes on from there, trained by this store. The future raises StoreError when another
        process trains it."""
        def write(db: Database) -> None:
            self._take(db, run_id)
            _forget(db, run_id, cycle, journal=False)
            self.checkpoints.drop_after(run_id, cycle)
        return self._writer.submit(write)

    def go_back(self, run_id: int, cycle: int, *, replay: bool) -> Future[int]:
        """Let a run stand where it stood after ``cycle``; what followed is kept as an abandoned
        branch, whose number the future gives. With ``replay`` the changes that followed stay, to
        be made again. The future raises StoreError when another process trains the run."""
        def write(db: Database) -> int:
            self._take(db, run_id)
            branch = branches.keep_abandoned(db, run_id, cycle, now())
            self.checkpoints.share(
                run_id, branch, [c.cycle for c in self.checkpoints.all(run_id)
                                 if c.cycle >= cycle])
            _forget(db, run_id, cycle, journal=not replay)
            self.checkpoints.drop_after(run_id, cycle)
            return branch
        return self._writer.submit(write)

    def record_models(self, run_id: int, cycle: int, models: Mapping[str, object]) -> Future[None]:
        """Record that a run goes on after ``cycle`` with models other than it began with."""
        def write(db: Database) -> None:
            run = db.execute("select models from runs where id = ?", [run_id]).fetchone()
            before = json.loads(run[0] or "{}")
            history = before.pop("before", [])
            whole = {**models, "before": [*history, {"until_cycle": cycle, **before}]}
            db.table("runs").update(run_id, {"models": json.dumps(whole)})
        return self._writer.submit(write)

    def set_status(self, run_id: int, status: Status, note: str = "") -> Future[None]:
        """Record where a run stands; one that has come to an outcome is let go of."""
        def write(db: Database) -> None:
            db.table("runs").update(run_id, {"status": status, "note": note})
            if status not in LIVE:
                self.owners.release(run_id)
        return self._writer.submit(write)

    def mark_interrupted(self) -> Future[list[int]]:
        """Mark the runs whose process is gone, however it went; the future gives their numbers."""
        def write(db: Database) -> list[int]:
            live = [row["id"] for row in db.query(
                "select id from runs where status in ('running', 'paused')")]
            gone = [run_id for run_id in live if not self.owners.is_alive(run_id)]
            for run_id in gone:
                db.table("runs").update(run_id, {"status": "interrupted"})
            return gone
        return self._writer.submit(write)

    def rename_run(self, run_id: int, name: str) -> Future[None]:
        """Give a run another name."""
        def write(db: Database) -> None:
            db.table("runs").update(run_id, {"name": name})
        return self._writer.submit(write)

    def delete_run(self, run_id: int) -> Future[None]:
        """Remove a run and everything recorded of it; its forks stay. The future raises StoreError
        when another process trains it."""
        def write(db: Database) -> None:
            self._take(db, run_id)
            branches.delete(db, run_id)
            self.checkpoints.delete(run_id)
            self.owners.forget(run_id)
        return self._writer.submit(write)

    def save_prompt_set(self, prompts: PromptSet) -> Future[None]:
        """Save a prompt set under its name, replacing what was there."""
        def write(db: Database) -> None:
            db.execute(
                "insert into prompt_sets (name, source, saved_at) values (?, ?, ?) "
                "on conflict (name) do update set source = excluded.source, "
                "saved_at = excluded.saved_at", [prompts.name, prompts.source, now()])
            set_id = db.execute(
                "select id from prompt_sets where name = ?", [prompts.name]).fetchone()[0]
            db.table("prompts").delete_where("set_id = ?", [set_id])
            _insert(db, "prompts", [
                {"set_id": set_id, "position": i, "text": p.text, "enabled": int(p.enabled),
                 "pinned": int(p.pinned)} for i, p in enumerate(prompts.prompts)])
        return self._writer.submit(write)

    def delete_prompt_set(self, name: str) -> Future[None]:
        """Remove a saved prompt set; the runs that used its prompts keep them."""
        def write(db: Database) -> None:
            db.execute("delete from prompts where set_id in "
                       "(select id from prompt_sets where name = ?)", [name])
            db.table("prompt_sets").delete_where("name = ?", [name])
        return self._writer.submit(write)

    def _take(self, db: Database, run_id: int) -> None:
        if not self.owners.take(run_id):
            owner = next((row["owner"] for row in db.query(
                "select owner from runs where id = ?", [run_id])), None)
            raise StoreError(f"Run {run_id} is being trained by {owner or 'another process'}; "
                             "stop it there first.")

    @property
    def _db(self) -> Database:
        db: Database | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = connect(self.path)
            self._readers.append(db)
        return db


def now() -> str:
    """Return the present moment as the store writes it (UTC, ISO 8601, seconds)."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _run(row: Mapping[str, Any]) -> RunRecord:
    return RunRecord(
        id=row["id"], name=row["name"], created_at=row["created_at"], status=row["status"],
        policy=row["policy"] or "", reward=row["reward"] or "",
        models=json.loads(row["models"] or "{}"),
        hyperparameters=json.loads(row["hyperparameters"]),
        cycles=row["cycles"], note=row["note"] or "", parent=row["parent_id"],
        parent_cycle=row["parent_cycle"] or 0, owner=row["owner"] or "")


def _forget(db: Database, run_id: int, cycle: int, *, journal: bool) -> None:
    branches.forget(db, run_id, cycle, journal=journal)
    db.table("runs").update(
        run_id, {"cycles": cycle, "status": "running", "owner": this_process(), "note": ""})


def _completion_rows(
    run_id: int, cycle: int, kind: Kind, completions: Iterable[CompletionRecord]
) -> list[dict[str, Any]]:
    return [
        {"run_id": run_id, "cycle": cycle, "kind": kind, "position": c.position,
         "prompt": c.prompt, "text": c.text,
         "score": c.score if math.isfinite(c.score) else None,
         "kl": c.kl if math.isfinite(c.kl) else None,
         "length": c.length, "ended": int(c.ended),
         "parts": json.dumps({k: v if math.isfinite(v) else None for k, v in c.parts.items()})
         if c.parts else None}
        for c in completions
    ]


def _health_rows(run_id: int, health: Iterable[HealthRecord]) -> list[dict[str, Any]]:
    return [{"run_id": run_id, "cycle": h.cycle, "rule": h.rule, "severity": h.severity,
             "sentence": h.sentence} for h in health]


def _packed(run_id: int, cycle: int, traces: Iterable[TraceRecord]) -> list[dict[str, Any]]:
    from workbench.store.traces import pack

    return [pack(run_id, cycle, trace) for trace in traces]


def _insert(db: Database, table: str, rows: list[dict[str, Any]]) -> None:
    db.table(table).insert_all(rows)


def _upsert(db: Database, table: str, rows: list[dict[str, Any]]) -> None:
    db.table(table).insert_all(rows, replace=True)
