"""The experiment database as the rest of the workbench sees it: queries and writes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from sqlite_utils import Database

from workbench.records import BestOf, Crossroads, DataByKind, RunData
from workbench.store import branches
from workbench.store.best_of import pack as pack_best_of
from workbench.store.checkpoints import Checkpoints
from workbench.store.clock import now
from workbench.store.crossroads import pack as pack_crossroads
from workbench.store.home import StoreError
from workbench.store.judge_answers import JudgeAnswers
from workbench.store.judgements import Judgements
from workbench.store.pair_sets import drop_unused as drop_unused_pairs
from workbench.store.pair_sets import pack as pack_pairs
from workbench.store.pair_sets import pack_choices
from workbench.store.queries import Queries
from workbench.store.records import (
    LIVE,
    CompletionRecord,
    HealthRecord,
    Prompt,
    PromptSet,
    RunRecord,
    Status,
)
from workbench.store.rows import (
    Row,
    completion_rows,
    health_rows,
    new_identity,
    pack_ids,
    prompt_row,
    quantile_rows,
    trace_rows,
    with_history,
)
from workbench.store.run_locks import RunLocks, this_process
from workbench.store.schema import open_database
from workbench.store.steering import Steering
from workbench.store.value_cache import ValueCache
from workbench.store.writer import Writer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    # numpy takes a while to import, and a window wants its store first
    from workbench.records import TokenTrace


class Store(Queries):
    """One home folder's experiments. Queries run on the caller's thread, on its own connection;
    writes go through the one writer thread and return a future."""

    def __init__(self, home: Path) -> None:
        """Open (create, migrate) the store in ``home``.

        Raises:
            StoreError: with one plain sentence.
        """
        super().__init__(open_database(home))
        self.home = home
        self.checkpoints = Checkpoints(home, self.identity)
        self.value_cache = ValueCache(home)
        self.run_locks = RunLocks(home)
        self._writer = Writer(self.path)
        self.steering = Steering(self._writer.submit, lambda: self._db)
        self.judgements = Judgements(self._writer.submit, lambda: self._db)
        self.judge_answers = JudgeAnswers(self._writer.submit, lambda: self._db)
        self.mark_interrupted().result()

    def is_there(self) -> bool:
        """Whether the database still lies where it was opened."""
        return self._writer.is_there()

    def close(self) -> None:
        """Commit what waits, close every connection, let go of every run. Safe to call twice."""
        self._writer.close()
        self.run_locks.release_all()
        self._close_readers()

    def is_elsewhere(self, run: RunRecord) -> bool:
        """Whether another process trains ``run``, as far as the store says."""
        return run.status in LIVE and not self.run_locks.is_mine(run.id)

    # -- writes

    def trust(self, sha256: str, path: str) -> Future[None]:
        """Remember that the person has agreed to run a Python file; ``path`` is where it lay."""
        row = {"sha256": sha256, "path": path, "at": now()}
        return self._writer.submit(lambda db: _upsert(db, "trusted_files", [row]))

    def create_run(
        self, *, name: str, policy: str, reward: str, models: Mapping[str, object],
        hyperparameters: Mapping[str, object], prompts: Sequence[Prompt],
        prompt_ids: Sequence[Sequence[int]] = (), algorithm: str = "ppo",
        sweep: tuple[int, int] | None = None, data: RunData | None = None,
    ) -> Future[int]:
        """Record a new running run and its prompts, with the token ids that the policy reads them
        as; the future gives its number.

        The run is this store's to train (:attr:`owners`) until it has an outcome.
        ``sweep`` is that it belongs to, and its place there; ``data`` what it learns from beside
        its prompts.
        """
        taken: list[int] = []
        pairs, about = pack_pairs(data) if data is not None else (None, None)
        packed = [pack_ids(ids) for ids in prompt_ids]

        def write(db: Database) -> int:
            run_id = self._next_number(db)
            db.table("runs").insert({
                "id": run_id, "uid": new_identity(), "name": name or f"Run {run_id}",
                "created_at": now(), "status": "running", "owner": this_process(),
                "policy": policy, "reward": reward, "models": json.dumps(models),
                "algorithm": algorithm,
                "hyperparameters": json.dumps(hyperparameters), "cycles": 0, "note": "",
                **dict(zip(("sweep", "place"), sweep or (), strict=False)), "data": about,
            })
            if pairs is not None:
                _upsert(db, "pair_sets", [pairs])
            db.table("run_prompts").insert_all(
                {"run_id": run_id, "position": i, **prompt_row(p),
                 "tokens": packed[i] if packed else None}
                for i, p in enumerate(prompts))
            # Within the transaction: nobody can see a running run that has no owner.
            taken.append(run_id)
            self.run_locks.take(run_id)
            return run_id

        def undo() -> None:
            while taken:
                self.run_locks.forget(taken.pop())
        return self._writer.submit(write, undo=undo)

    def create_sweep(
        self, name: str, plan: Mapping[str, object], data: DataByKind | None = None,
    ) -> Future[int]:
        """Record runs that are to be trained together, and what was chosen for them to learn
        from; the future gives the number of the sweep."""
        sets, about = pack_choices(data or {})
        row = {"name": name, "created_at": now(), "plan": json.dumps(plan), "data": about}

        def write(db: Database) -> int:
            _upsert(db, "pair_sets", sets)
            number = db.table("sweeps").insert(row).last_pk
            assert isinstance(number, int)
            return number
        return self._writer.submit(write)

    def record_prompt_ids(self, run_id: int, prompt_ids: Sequence[Sequence[int]]) -> Future[None]:
        """Record the token ids that the policy reads a run's prompts as."""
        packed = [pack_ids(ids) for ids in prompt_ids]

        def write(db: Database) -> None:
            for position, tokens in enumerate(packed):
                db.execute("update run_prompts set tokens = ? where run_id = ? and position = ?",
                           [tokens, run_id, position])
        return self._writer.submit(write)

    def record_comparison(
        self, run_id: int, cycle: int, completions: Iterable[CompletionRecord]
    ) -> Future[None]:
        """Record the compared prompts' completions after ``cycle``."""
        rows = completion_rows(run_id, cycle, "comparison", completions)
        return self._writer.submit(lambda db: _upsert(db, "completions", rows))

    def record_start(self, run_id: int, metrics: Mapping[str, float]) -> Future[None]:
        """Record what was measured before the first cycle."""
        numbers = _metric_rows(run_id, 0, metrics)
        return self._writer.submit(lambda db: _upsert(db, "metrics", numbers))

    def record_cycle(
        self, run_id: int, cycle: int, *, metrics: Mapping[str, float],
        rollout: Iterable[CompletionRecord], comparison: Iterable[CompletionRecord],
        traces: Iterable[TokenTrace] = (), keep_traces: int = 0,
        health: Iterable[HealthRecord] = (), spreads: Mapping[str, ArrayLike] | None = None,
    ) -> Future[None]:
        """Record a finished cycle whole: metrics, what it learned from, the comparison after, and
        what the health check found.

        Traces of cycles before the last ``keep_traces`` are dropped, but for pinned prompts and
        how their numbers are spread; so is that of ``spreads``, numbers by name.
        """
        rows = (completion_rows(run_id, cycle, "rollout", rollout)
                + completion_rows(run_id, cycle, "comparison", comparison))
        numbers = _metric_rows(run_id, cycle, metrics)
        traces = list(traces)
        packed = trace_rows(run_id, cycle, traces)
        spread = quantile_rows(run_id, cycle, traces, spreads or {})
        findings = health_rows(run_id, health)

        # A process that ended between going back and dropping the checkpoints of what followed.
        self.checkpoints.drop_after(run_id, cycle - 1)

        def write(db: Database) -> None:
            _upsert(db, "metrics", numbers)
            _upsert(db, "completions", rows)
            _upsert(db, "traces", packed)
            _upsert(db, "quantiles", spread)
            _upsert(db, "health", findings)
            db.execute(
                "delete from traces where run_id = ? and cycle <= ? and prompt not in "
                "(select position from run_prompts where run_id = ? and pinned)",
                [run_id, cycle - keep_traces, run_id])
            _upsert(db, "cycles", [{"run_id": run_id, "cycle": cycle, "finished_at": now()}])
            db.table("runs").update(run_id, {"cycles": cycle})
        return self._writer.submit(write)

    def record_draft(
        self, run_id: int, cycle: int, rollout: Iterable[CompletionRecord],
        traces: Iterable[TokenTrace],
    ) -> Future[None]:
        """Record what the cycle in hand has so far, in place of what it had before; it becomes the
        cycle's own, or goes with :meth:`drop_draft`."""
        rows = completion_rows(run_id, cycle, "rollout", rollout)
        packed = trace_rows(run_id, cycle, traces)

        def write(db: Database) -> None:
            _upsert(db, "completions", rows)
            _upsert(db, "traces", packed)
        return self._writer.submit(write)

    def drop_draft(self, run_id: int) -> Future[None]:
        """Forget what was recorded of a cycle that was not finished."""
        return self._writer.submit(lambda db: branches.drop_draft(db, run_id))

    def record_crossroads(self, found: Crossroads) -> Future[None]:
        """Record what was written on from a place, in place of what the same policy wrote there
        before."""
        row = pack_crossroads(found)
        return self._writer.submit(lambda db: _upsert(db, "crossroads", [row]))

    def record_best_of(self, found: BestOf) -> Future[None]:
        """Record what the best of n are worth, in place of what was known of the same policy."""
        row = pack_best_of(found)
        return self._writer.submit(lambda db: _upsert(db, "best_of", [row]))

    def record_health(self, run_id: int, health: Iterable[HealthRecord]) -> Future[None]:
        """Record findings of a cycle that failed."""
        rows = health_rows(run_id, health)
        return self._writer.submit(lambda db: _upsert(db, "health", rows))

    def record_changes(
        self, run_id: int, cycle: int, changes: Sequence[branches.Change]
    ) -> Future[None]:
        """Record ``(name, old, new, by)`` for each hyperparameter that ``cycle`` uses first."""
        return self._writer.submit(
            lambda db: branches.replace_changes(db, run_id, cycle, changes, now()))

    def forget_changes(self, run_id: int, changes: Sequence[tuple[int, str]]) -> Future[None]:
        """Take changes, each of a cycle and a name, out of a run's journal."""
        def write(db: Database) -> None:
            for cycle, name in changes:
                db.table("changes").delete_where(
                    "run_id = ? and cycle = ? and name = ?", [run_id, cycle, name])
        return self._writer.submit(write)

    def fork_run(
        self, parent: int, cycle: int, *, name: str, hyperparameters: Mapping[str, object],
        changes: Sequence[branches.Change], about: str = "", algorithm: str = "",
        data: RunData | None = None, reward: str = "",
        models: Mapping[str, object] | None = None, same_scores: bool = False,
    ) -> Future[int]:
        """Record a new running run that stands where ``parent`` stood after ``cycle``, with its
        checkpoint; the future gives its number. ``hyperparameters`` are those of its start,
        ``changes`` what its next cycle uses first; ``about`` follows the number in the name where
        there is no ``name``. With an ``algorithm``, which is not the parent's, ``hyperparameters``
        are those of its first own cycle, and ``data`` is what it learns from. With a ``reward``,
        which is not the parent's, ``models`` are what it goes on with, and it has nothing of what
        was recorded before, unless the two differ in what is only watched (``same_scores``)."""
        other: dict[str, object] = {}
        if models is not None:
            run = self.run(parent)
            other = {"reward": reward, "models": with_history(
                run.models if run else {}, models, cycle, same_scores=same_scores)}
        pairs = None
        if algorithm:
            pairs, about_data = pack_pairs(data) if data is not None else (None, None)
            other |= {"algorithm": algorithm, "data": about_data,
                      "past": self._past(parent, cycle)}
        made: list[tuple[int, str]] = []

        def write(db: Database) -> int:
            run_id, identity = self._next_number(db), new_identity()
            made.append((run_id, identity))
            branches.fork(
                db, parent, cycle, run_id=run_id, identity=identity,
                name=name or f"Run {run_id}{about and f': {about}'}",
                hyperparameters=hyperparameters, changes=changes, moment=now(),
                owner=this_process(), other=other, keep=models is None or same_scores)
            if pairs is not None:
                _upsert(db, "pair_sets", [pairs])
            self.run_locks.take(run_id)
            self.checkpoints.share(parent, run_id, [cycle], identity)
            return run_id
        return self._writer.submit(write, undo=lambda: self._unmake(made))

    def _past(self, parent: int, cycle: int) -> str | None:
        """Return what the past of a fork is that learns by another algorithm."""
        run = self.run(parent)
        if run is None or not cycle:
            return None
        before = [past for past in run.past if past.until < cycle]
        return json.dumps([*before, (cycle, run.algorithm, dict(run.hyperparameters))])

    def rewind(self, run_id: int, cycle: int) -> Future[None]:
        """Forget what was recorded after ``cycle`` but the changes, which are to be replayed: the
        run goes on from there, trained by this store. The future raises StoreError when another
        process trains it."""
        def write(db: Database) -> None:
            self._take(db, run_id)
            _forget(db, run_id, cycle, journal=False)
        return self._writer.submit(write, lambda: self.checkpoints.drop_after(run_id, cycle))

    def go_back(self, run_id: int, cycle: int, *, replay: bool) -> Future[int]:
        """Let a run stand where it stood after ``cycle``; what followed is kept as an abandoned
        branch, whose number the future gives. With ``replay`` the changes that followed stay, to
        be made again. The future raises StoreError when another process trains the run."""
        made: list[tuple[int, str]] = []

        def write(db: Database) -> int:
            self._take(db, run_id)
            branch, identity = self._next_number(db), new_identity()
            made.append((branch, identity))
            branches.keep_abandoned(
                db, run_id, cycle, branch=branch, identity=identity, moment=now())
            self.checkpoints.share(
                run_id, branch, [c for c in self.checkpoints.cycles(run_id) if c >= cycle],
                identity)
            _forget(db, run_id, cycle, journal=not replay)
            return branch
        return self._writer.submit(
            write, lambda: self.checkpoints.drop_after(run_id, cycle),
            lambda: self._unmake(made))

    def record_models(self, run_id: int, cycle: int, models: Mapping[str, object]) -> Future[None]:
        """Record that a run goes on after ``cycle`` with models other than it began with."""
        def write(db: Database) -> None:
            run = db.execute("select models from runs where id = ?", [run_id]).fetchone()
            whole = with_history(json.loads(run[0] or "{}"), models, cycle)
            db.table("runs").update(run_id, {"models": whole})
        return self._writer.submit(write)

    def set_status(self, run_id: int, status: Status, note: str = "") -> Future[None]:
        """Record where a run stands; one that has come to an outcome is let go of."""
        def write(db: Database) -> None:
            db.table("runs").update(run_id, {"status": status, "note": note})
        return self._writer.submit(
            write, None if status in LIVE else lambda: self.run_locks.release(run_id))

    def mark_interrupted(self) -> Future[list[int]]:
        """Mark the runs whose process is gone, however it went; the future gives their numbers."""
        def write(db: Database) -> list[int]:
            live = [row["id"] for row in db.query(
                "select id from runs where status in ('running', 'paused')")]
            gone = [run_id for run_id in live if not self.run_locks.is_alive(run_id)]
            for run_id in gone:
                branches.drop_draft(db, run_id)
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
        known: list[str] = []

        def write(db: Database) -> None:
            self._take(db, run_id)
            known[:] = [row["uid"] or "" for row in db.query(
                "select uid from runs where id = ?", [run_id])]
            branches.delete(db, run_id)
            drop_unused_pairs(db)

        def gone() -> None:
            self.checkpoints.delete(run_id, known[0])
            self.run_locks.forget(run_id)
        return self._writer.submit(write, gone)

    def save_prompt_set(self, prompts: PromptSet) -> Future[None]:
        """Save a prompt set under its name, replacing what was there."""
        def write(db: Database) -> None:
            _delete_prompt_set(db, prompts.name)
            set_id = db.table("prompt_sets").insert({
                "name": prompts.name, "source": prompts.source, "saved_at": now()}).last_pk
            _insert(db, "prompts", [
                {"set_id": set_id, "position": i, "enabled": int(p.enabled), **prompt_row(p)}
                for i, p in enumerate(prompts.prompts)])
        return self._writer.submit(write)

    def delete_prompt_set(self, name: str) -> Future[None]:
        """Remove a saved prompt set; the runs that used its prompts keep them."""
        return self._writer.submit(lambda db: _delete_prompt_set(db, name))

    def _next_number(self, db: Database) -> int:
        """Return a number that no run has, nor had in a database that was here before: what is in
        its folder may be all that is left of it."""
        last = db.execute("select max(id) from runs").fetchone()[0] or 0
        return 1 + int(max(last, self.checkpoints.highest(), self.run_locks.highest()))

    def _unmake(self, made: list[tuple[int, str]]) -> None:
        """Take back the folders and locks of branches that came to nothing."""
        while made:
            run_id, identity = made.pop()
            self.checkpoints.delete(run_id, identity)
            self.run_locks.forget(run_id)

    def _take(self, db: Database, run_id: int) -> None:
        if not self.run_locks.take(run_id):
            owner = next((row["owner"] for row in db.query(
                "select owner from runs where id = ?", [run_id])), None)
            raise StoreError(f"Run {run_id} is being trained by {owner or 'another process'}; "
                             "stop it there first.")


def _forget(db: Database, run_id: int, cycle: int, *, journal: bool) -> None:
    branches.forget(db, run_id, cycle, journal=journal)
    db.table("runs").update(
        run_id, {"cycles": cycle, "status": "running", "owner": this_process(), "note": ""})


def _delete_prompt_set(db: Database, name: str) -> None:
    db.execute("delete from prompts where set_id in "
               "(select id from prompt_sets where name = ?)", [name])
    db.table("prompt_sets").delete_where("name = ?", [name])


def _insert(db: Database, table: str, rows: list[Row]) -> None:
    db.table(table).insert_all(rows)


def _metric_rows(run_id: int, cycle: int, metrics: Mapping[str, float]) -> list[Row]:
    return [{"run_id": run_id, "cycle": cycle, "name": name,
             "value": float(value) if math.isfinite(value) else None}
            for name, value in metrics.items()]


def _upsert(db: Database, table: str, rows: list[Row]) -> None:
    db.table(table).insert_all(rows, replace=True)
