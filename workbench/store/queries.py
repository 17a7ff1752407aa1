"""The experiment database as it is read."""

from __future__ import annotations

import json
import math
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlite_utils import Database

from workbench.records import BestOf, Crossroads, DataByKind, RunData
from workbench.store.best_of import unpack as unpack_best_of
from workbench.store.crossroads import unpack as unpack_crossroads
from workbench.store.records import (
    ChangeRecord,
    CompletionRecord,
    HealthRecord,
    Kind,
    Prompt,
    PromptSet,
    RunRecord,
    Series,
    SweepRecord,
    Value,
)
from workbench.store.rows import (
    completion_record,
    number,
    prompt_record,
    run_record,
    sweep_record,
    unpack_ids,
)
from workbench.store.schema import connect

if TYPE_CHECKING:  # numpy takes a while to import, and a window wants its store first
    import numpy as np
    from numpy.typing import NDArray

    from workbench.records import TokenTrace


_RUN = ("select r.*, iif(parent_id is null, null, (select json_group_array(json_array(name, "
        "json(new))) from (select name, new from changes where run_id = r.id "
        "and cycle > ifnull(json_extract(r.past, '$[#-1][0]'), 0) "
        "and cycle <= r.parent_cycle + 1 order by cycle))) as forked_with from runs r")
_COMPLETION = ("select c.*, p.text as prompt_text from completions c join run_prompts p "
               "on p.run_id = c.run_id and p.position = c.prompt")


class Queries:
    """Queries run on the caller's thread, on its own connection."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._readers: list[Database] = []

    def leave(self) -> None:
        """Close the connection of the calling thread, which is about to end."""
        db: Database | None = self._local.__dict__.pop("db", None)
        if db is not None:
            self._readers.remove(db)
            db.close()

    def runs(self) -> list[RunRecord]:
        """Return every run, newest first."""
        return [run_record(row) for row in self._db.query(f"{_RUN} order by id desc")]

    def run(self, run_id: int) -> RunRecord | None:
        """Return one run, or None when there is none of that number."""
        rows = self._db.query(f"{_RUN} where id = ?", [run_id])
        return next((run_record(row) for row in rows), None)

    def sweeps(self) -> list[SweepRecord]:
        """Return every sweep, newest first."""
        return [sweep_record(row) for row in self._db.query(
            "select * from sweeps order by id desc")]

    def sweep(self, number: int) -> SweepRecord | None:
        """Return one sweep, or None when there is none of that number."""
        rows = self._db.query("select * from sweeps where id = ?", [number])
        return next((sweep_record(row) for row in rows), None)

    def runs_of_sweep(self, number: int) -> list[RunRecord]:
        """Return the runs of a sweep, newest first."""
        return [run_record(row) for row in self._db.query(
            f"{_RUN} where sweep = ? order by id desc", [number])]

    def identity(self, run_id: int) -> str:
        """Return what tells a run from those of the same number in other databases; "" when there
        is none of that number."""
        rows = self._db.query("select uid from runs where id = ?", [run_id])
        return next((row["uid"] or "" for row in rows), "")

    def metrics(self, run_id: int, names: Sequence[str] = ()) -> dict[str, Series]:
        """Return the metrics of a run over its cycles: those of ``names``, or every one, in the
        order in which its last cycle gave them."""
        result = {row["name"]: Series() for row in self._db.query(
            "select name from metrics where run_id = ? and cycle = "
            "(select max(cycle) from metrics where run_id = ?) order by rowid", [run_id, run_id])
            if not names or row["name"] in names}
        chosen = f"and name in ({', '.join('?' * len(names))}) " if names else ""
        for row in self._db.query(
            f"select name, cycle, value from metrics where run_id = ? {chosen}order by cycle",
            [run_id, *names]
        ):
            series = result.setdefault(row["name"], Series())
            series.cycles.append(row["cycle"])
            series.values.append(number(row["value"]))
        return result

    def compared_scores(self, run_id: int) -> Series:
        """Return the mean score of the compared prompts after every cycle."""
        return self._compared_mean(run_id, "score")

    def compared_kl(self, run_id: int) -> Series:
        """Return how far the compared prompts' completions after every cycle are from the start
        policy, on average."""
        return self._compared_mean(run_id, "kl")

    def compared_start(self, run_id: int) -> float:
        """Return the mean score of the compared prompts before the first cycle; NaN where that is
        not known."""
        rows = list(self._db.query(
            "select avg(score) as mean from completions where run_id = ? and kind = 'comparison' "
            "and cycle = 0", [run_id]))
        return math.nan if rows[0]["mean"] is None else number(rows[0]["mean"])

    def _compared_mean(self, run_id: int, column: str) -> Series:
        rows = list(self._db.query(
            f"select cycle, avg({column}) as mean from completions where run_id = ? "
            "and kind = 'comparison' and cycle > 0 group by cycle order by cycle", [run_id]))
        return Series([row["cycle"] for row in rows], [number(row["mean"]) for row in rows])

    def cycle_metrics(self, run_id: int, after: int) -> dict[int, dict[str, float]]:
        """Return the metrics of every cycle past ``after``, by cycle."""
        result: dict[int, dict[str, float]] = {}
        for row in self._db.query(
            "select name, cycle, value from metrics where run_id = ? and cycle > ? "
            "order by cycle, rowid", [run_id, after]
        ):
            result.setdefault(row["cycle"], {})[row["name"]] = number(row["value"])
        return result

    def completions(
        self, run_id: int, cycle: int, kind: Kind = "comparison"
    ) -> list[CompletionRecord]:
        """Return a cycle's completions.

        ``comparison`` holds the compared prompts completed *after* ``cycle`` (0: by the start
        policy), every time with the same random numbers; ``rollout`` what the cycle learned from.
        """
        return [
            completion_record(row) for row in self._db.query(
                f"{_COMPLETION} where c.run_id = ? and c.cycle = ? and c.kind = ? "
                "order by c.position", [run_id, cycle, kind])]

    def every_rollout(self, run_id: int) -> list[CompletionRecord]:
        """Return all that a run wrote to learn from, by cycle."""
        return [
            completion_record(row) for row in self._db.query(
                f"{_COMPLETION} where c.run_id = ? and c.kind = 'rollout' and c.cycle <= "
                "(select cycles from runs where id = c.run_id) order by c.cycle, c.position",
                [run_id])]

    def scored_rollout(self, run: RunRecord) -> bool:
        """Return whether a run wrote scored completions to learn from. What learns from data writes
        none; what of a fork's past was learned by one algorithm is alike, so that its last cycle
        tells, unless nothing of that was scored."""
        last = json.dumps([run.cycles, *(past.until for past in run.past)])
        # A cross join keeps its order: each is looked up, rather than the whole run read.
        scored = [known for known, in self._db.execute(
            "select c.score is not null from json_each(?) wanted cross join completions c "
            "where c.run_id = ? and c.cycle = wanted.value and c.kind = 'rollout'",
            [last, run.id])]
        return any(scored) or (bool(scored) and any(self._db.execute(
            "select 1 from completions where run_id = ? and kind = 'rollout' and cycle <= ? "
            "and score is not null limit 1", [run.id, run.cycles])))

    def wrote_more_than(self, run: RunRecord, number: int) -> bool:
        """Return whether a run wrote more than so many completions to learn from."""
        return any(self._db.execute(
            "select 1 from completions where run_id = ? and kind = 'rollout' and cycle <= ? "
            "limit 1 offset ?", [run.id, run.cycles, number]))

    def compared_completion(
        self, run_id: int, cycle: int, position: int
    ) -> CompletionRecord | None:
        """Return one compared completion of a cycle, if there is one."""
        rows = self._db.query(
            f"{_COMPLETION} where c.run_id = ? and c.cycle = ? and c.kind = 'comparison' "
            "and c.position = ?", [run_id, cycle, position])
        return next((completion_record(row) for row in rows), None)

    def compared_rewards(
        self, run_id: int, position: int, cycles: Sequence[int]
    ) -> dict[int, float]:
        """Return the reward of one compared prompt's completion after each of ``cycles``."""
        # A cross join keeps its order: each is looked up, rather than the whole run read.
        rows = self._db.execute(
            "select c.cycle, c.score from json_each(?) wanted cross join completions c "
            "where c.run_id = ? and c.cycle = wanted.value and c.kind = 'comparison' "
            "and c.position = ?", [json.dumps(list(cycles)), run_id, position])
        return {cycle: number(score) for cycle, score in rows}

    def traces(self, run_id: int, cycle: int) -> list[TokenTrace]:
        """Return the token traces of a cycle's rollout that are still kept."""
        from workbench.store.traces import unpack

        return [unpack(row) for row in self._db.query(
            "select * from traces where run_id = ? and cycle = ? order by position",
            [run_id, cycle])]

    def trace(self, run_id: int, cycle: int, position: int) -> TokenTrace | None:
        """Return the token trace of one completion of a cycle's rollout, if it is still kept."""
        from workbench.store.traces import unpack

        rows = self._db.query(
            "select * from traces where run_id = ? and cycle = ? and position = ?",
            [run_id, cycle, position])
        return next((unpack(row) for row in rows), None)

    def traced_cycles(self, run_id: int, after: int = 0) -> list[int]:
        """Return the cycles past ``after`` of which token traces are kept, ascending."""
        rows = self._db.execute(
            "select distinct cycle from traces where run_id = ? and cycle > ? order by cycle",
            [run_id, after])
        return [cycle for cycle, in rows]

    def traced_positions(self, run_id: int, cycle: int) -> list[int]:
        """Return the rows of a cycle's rollout whose token traces are kept, ascending."""
        rows = self._db.query(
            "select position from traces where run_id = ? and cycle = ? order by position",
            [run_id, cycle])
        return [row["position"] for row in rows]

    def token_quantiles(
        self, run_id: int, names: Sequence[str], after: int = 0, last: int = sys.maxsize
    ) -> dict[str, dict[int, NDArray[np.float64]]]:
        """Return how numbers of a run's tokens are spread in each cycle past ``after``, up to
        ``last``: by name and cycle, (COUNT,) quantiles (:mod:`workbench.store.quantiles`)."""
        from workbench.store.quantiles import unpack

        result: dict[str, dict[int, NDArray[np.float64]]] = {name: {} for name in names}
        for row in self._db.query(
            "select * from quantiles where run_id = ? and cycle > ? and cycle <= ? "
            f"and name in ({', '.join('?' * len(names))}) order by cycle",
            [run_id, after, last, *names]
        ):
            result[row["name"]][row["cycle"]] = unpack(row)
        return result

    def rollout_numbers(
        self, run_id: int, after: int, last: int
    ) -> list[tuple[int, float, float, int]]:
        """Return cycle, score, KL and length of every completion that the cycles past ``after``, up
        to ``last``, learned from, by cycle."""
        return [(cycle, number(score), number(kl), length) for cycle, score, kl, length in
                self._db.execute(
                    "select cycle, score, kl, length from completions where run_id = ? "
                    "and cycle > ? and cycle <= ? and kind = 'rollout' order by cycle",
                    [run_id, after, last])]

    def is_traced(self, run_id: int, cycle: int, prompt: int) -> bool:
        """Return whether tokens of what a cycle learned from a prompt are still kept."""
        return any(self._db.execute(
            "select 1 from traces where run_id = ? and cycle = ? and prompt = ? limit 1",
            [run_id, cycle, prompt]))

    def crossroads(self, run_id: int, cycle: int, position: int) -> list[Crossroads]:
        """Return what was written on from a completion of a cycle's rollout, in its order."""
        return [unpack_crossroads(row) for row in self._db.query(
            "select * from crossroads where run_id = ? and cycle = ? and position = ? order by at",
            [run_id, cycle, position])]

    def best_of(self, run_id: int) -> list[BestOf]:
        """Return what is known of the best of n completions of a run's policy, by cycle."""
        return [unpack_best_of(row) for row in self._db.query(
            "select * from best_of where run_id = ? order by cycle", [run_id])]

    def compared_cycles(self, run_id: int) -> list[int]:
        """Return the cycles after which the compared prompts were completed, ascending."""
        rows = self._db.execute(
            "select distinct cycle from completions where run_id = ? and kind = 'comparison' "
            "order by cycle", [run_id])
        return [cycle for cycle, in rows]

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

    def settings_after(self, run_id: int, cycle: int) -> dict[str, Value]:
        """Return the hyperparameters a run used in ``cycle`` (0: those it began with)."""
        record = self.run(run_id)
        if record is None:
            return {}
        begun, found = 0, dict(record.hyperparameters)
        for past in reversed(record.past):
            if cycle > past.until:
                begun = past.until
                break
            found = dict(past.hyperparameters)
        return found | {
            c.name: c.new for c in self.changes(run_id) if begun < c.cycle <= cycle}

    def settings_planned(self, run_id: int) -> dict[str, Value]:
        """Return the hyperparameters a run goes on with: with every change that was made, also one
        that no cycle has used yet."""
        return self.settings_after(run_id, sys.maxsize)

    def metric_spans(
        self, headlines: Mapping[str, str], run_id: int | None = None, *, compared: str = ""
    ) -> dict[int, tuple[float, float]]:
        """Return a metric of the first cycle that is kept, and of the last, of every run or of one.

        Args:
            headlines: which metric, by the run's algorithm.
            compared: the metric that is the mean score of the compared prompts. It begins with the
                start policy's, and cycles that did not record it have it from their completions.
        """
        name = f"case r.algorithm {' '.join('when ? then ?' for _ in headlines)} end"
        cell = ("(select value from metrics m where m.run_id = r.id {} "
                f"and m.name = {name} order by m.cycle limit 1)")
        mean = ("(select avg(score) from completions c where c.run_id = r.id "
                f"and c.kind = 'comparison' and c.cycle = {{}} and ? = {name})")
        given = [text for pair in headlines.items() for text in pair]
        which, one = ("", []) if run_id is None else (" where id = ?", [run_id])
        rows = self._db.query(
            f"select id, coalesce({mean.format('0')}, {cell.format('')}) as first, "
            f"coalesce({cell.format('and m.cycle = r.cycles')}, "
            f"case when r.cycles > 0 then {mean.format('r.cycles')} end) as last "
            f"from runs r{which}",
            [compared, *given, *given, *given, compared, *given, *one])
        return {row["id"]: (row["first"], row["last"]) for row in rows
                if row["first"] is not None and row["last"] is not None}

    def lengths(self) -> dict[int, object]:
        """Return the number of cycles every run is to have, where that was changed on its way."""
        rows = self._db.query(
            "select run_id, new from changes where name = 'num_cycles' order by id")
        return {row["run_id"]: json.loads(row["new"]) for row in rows}

    def run_prompts(self, run_id: int) -> list[Prompt]:
        """Return the prompts of a run in their order."""
        rows = self._db.query(
            "select text, pinned, messages, columns from run_prompts where run_id = ? "
            "order by position", [run_id])
        return [prompt_record(row) for row in rows]

    def run_data(self, run_id: int) -> RunData | None:
        """Return what a run learns from beside its prompts; None where that is nothing."""
        about = next((json.loads(row["data"]) for row in self._db.query(
            "select data from runs where id = ? and data is not null", [run_id])), None)
        return self._unpacked(about) if about is not None else None

    def sweep_data(self, number: int) -> DataByKind:
        """Return what was chosen for a sweep to learn from; empty: nothing, or it was not kept."""
        told: dict[str, Any] = next((json.loads(row["data"]) for row in self._db.query(
            "select data from sweeps where id = ? and data is not null", [number])), {})
        found = {kind: tuple(about["runs"]) if "runs" in about else self._unpacked(about)
                 for kind, about in told.items()}
        return {kind: chosen for kind, chosen in found.items() if chosen is not None}

    def _unpacked(self, about: Mapping[str, Any]) -> RunData | None:
        from workbench.store.pair_sets import unpack

        rows = self._db.query("select pairs from pair_sets where digest = ?", [about["digest"]])
        return next((unpack(row, about) for row in rows), None)

    def run_prompt_ids(self, run_id: int) -> list[list[int]] | None:
        """Return the token ids of a run's prompts; None where they were not kept."""
        rows = [row["tokens"] for row in self._db.query(
            "select tokens from run_prompts where run_id = ? order by position", [run_id])]
        return None if None in rows else [unpack_ids(packed) for packed in rows]

    def prompt_set_names(self) -> list[str]:
        """Return the names of the saved prompt sets, most recently saved first."""
        return [row["name"] for row in
                self._db.query("select name from prompt_sets order by id desc")]

    def prompt_set(self, name: str) -> PromptSet | None:
        """Return a saved prompt set, or None."""
        for found in self._db.query("select * from prompt_sets where name = ?", [name]):
            rows = self._db.query(
                "select * from prompts where set_id = ? order by position", [found["id"]])
            return PromptSet(name, tuple(map(prompt_record, rows)), found["source"] or "")
        return None

    def is_trusted(self, sha256: str) -> bool:
        """Return whether the person has agreed to run a Python file of this content."""
        return any(self._db.query("select 1 from trusted_files where sha256 = ?", [sha256]))

    def _close_readers(self) -> None:
        while self._readers:
            self._readers.pop().close()

    @property
    def _db(self) -> Database:
        db: Database | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = connect(self.path)
            self._readers.append(db)
        return db
