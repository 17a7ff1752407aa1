"""How runs become a tree: a fork takes over a run's past, a rewind may leave a branch behind.

Every run has its whole past for itself, so that deleting the one it came from loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlite_utils import Database

RECORDED = ("cycles", "metrics", "completions", "traces", "changes", "health",
            "crossroads", "quantiles", "best_of")
"""The tables with a row for a run and a cycle."""
Change = tuple[str, object, object, str]
"""Name, old value, new value, by whom."""


def fork(
    db: Database, parent: int, cycle: int, *, run_id: int, identity: str, name: str,
    hyperparameters: Mapping[str, object], changes: Iterable[Change], moment: str, owner: str,
    other: Mapping[str, object], keep: bool = True,
) -> None:
    """Add the running run ``run_id`` that stands where ``parent`` stood after ``cycle``.

    ``changes`` are journaled for the next cycle; of ``other`` columns it has values of its own.
    Without ``keep`` it has nothing of what was recorded up to there.
    """
    _copy(db, parent, cycle, {
        **other,
        "id": run_id, "uid": identity, "name": name,
        "created_at": moment, "status": "running", "owner": owner, "note": "", "cycles": cycle,
        "hyperparameters": json.dumps(hyperparameters)})
    # A fork of the beginning makes its own start completions: the settings may differ.
    if cycle and keep:
        _copy_rows(db, parent, run_id, until=cycle)
    replace_changes(db, run_id, cycle + 1, changes, moment)


def keep_abandoned(
    db: Database, run_id: int, cycle: int, *, branch: int, identity: str, moment: str
) -> None:
    """Keep what a run did, with all that followed ``cycle``, as the run ``branch``."""
    run = db.table("runs").get(run_id)
    _copy(db, run_id, cycle, {
        "id": branch, "uid": identity, "name": f"{run['name']}, up to cycle {run['cycles']}",
        "created_at": moment, "status": "abandoned", "owner": "",
        "note": f"What {run['name']} did before it went back to cycle {cycle}."})
    _copy_rows(db, run_id, branch, until=run["cycles"])
    # What was forked from a later cycle has its past in the branch now.
    db.execute("update runs set parent_id = ? where parent_id = ? and parent_cycle > ?",
               [branch, run_id, cycle])


def forget(db: Database, run_id: int, cycle: int, *, journal: bool) -> None:
    """Delete what was recorded after ``cycle``; of the changes only with ``journal``."""
    for table in RECORDED:
        if table != "changes" or journal:
            db.table(table).delete_where("run_id = ? and cycle > ?", [run_id, cycle])


def drop_draft(db: Database, run_id: int) -> None:
    """Delete what was recorded of a cycle that was not finished."""
    for table in ("completions", "traces"):
        db.execute(
            f"delete from [{table}] where run_id = ? and cycle > "
            "(select cycles from runs where id = ?)", [run_id, run_id])


def delete(db: Database, run_id: int) -> None:
    """Delete a run. Its forks become those of the run it came from, as far as they agree."""
    run = db.table("runs").get(run_id)
    db.execute(
        "update runs set parent_id = ?, parent_cycle = min(parent_cycle, ?) where parent_id = ?",
        [run["parent_id"], run["parent_cycle"], run_id])
    for table in (*RECORDED, "run_prompts", "commands", "live_events"):
        db.table(table).delete_where("run_id = ?", [run_id])
    db.table("runs").delete(run_id)


def replace_changes(
    db: Database, run_id: int, cycle: int, changes: Iterable[Change], moment: str
) -> None:
    """Journal the changes that ``cycle`` uses first; what was journaled for it is replaced."""
    db.table("changes").delete_where("run_id = ? and cycle = ?", [run_id, cycle])
    db.table("changes").insert_all(
        {"run_id": run_id, "cycle": cycle, "at": moment, "name": name, "old": json.dumps(old),
         "new": json.dumps(new), "by": by} for name, old, new, by in changes)


def _copy(db: Database, run_id: int, cycle: int, values: Mapping[str, Any]) -> None:
    """Copy a run's own row, but for ``values``, and its prompts."""
    row: dict[str, Any] = dict(db.table("runs").get(run_id))
    db.table("runs").insert(row | {
        "parent_id": run_id, "parent_cycle": cycle, "sweep": None, "place": None, **values})
    _copy_table(db, "run_prompts", run_id, values["id"], "", [])


def _copy_rows(db: Database, source: int, target: int, until: int) -> None:
    for table in RECORDED:
        # Metrics keep the order in which their cycle gave them.
        order = " order by rowid" if table == "metrics" else ""
        _copy_table(db, table, source, target, f"and cycle <= ?{order}", [until])


def _copy_table(
    db: Database, table: str, source: int, target: int, where: str, values: list[object]
) -> None:
    names = [c for c in db.table(table).columns_dict if c not in ("id", "run_id")]
    columns = ", ".join(f"[{name}]" for name in names)
    db.execute(
        f"insert into [{table}] (run_id, {columns}) select ?, {columns} from [{table}] "
        f"where run_id = ? {where}", [target, source, *values])
