"""The tables of the experiment database, as migrations that only ever grow."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from filelock import FileLock, Timeout
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from workbench.store.disk_errors import has_something, log_of, not_opened
from workbench.store.home import StoreError, prepare_home

FILE_NAME = "workbench.db"
_PATIENCE = 30.0  # seconds to wait for another process

migrations = Migrations("ppo-workbench")


@migrations()
def first_tables(db: Database) -> None:
    """Runs with their prompts, cycles, metrics, completions and changes; saved prompt sets."""
    db.table("runs").create(
        {
            "id": int,
            "name": str,
            "created_at": str,
            "status": str,
            "owner": str,
            "policy": str,
            "reward": str,
            "models": str,
            "hyperparameters": str,
            "cycles": int,
            "note": str,
        },
        pk="id",
        not_null={"name", "created_at", "status", "hyperparameters", "cycles"},
        strict=True,
    )
    run = [("run_id", "runs", "id")]
    db.table("run_prompts").create(
        {"run_id": int, "position": int, "text": str, "pinned": int},
        pk=("run_id", "position"), foreign_keys=run, strict=True,
    )
    db.table("cycles").create(
        {"run_id": int, "cycle": int, "finished_at": str},
        pk=("run_id", "cycle"), foreign_keys=run, strict=True,
    )
    # A value of NULL is a number that was not finite.
    db.table("metrics").create(
        {"run_id": int, "cycle": int, "name": str, "value": float},
        pk=("run_id", "cycle", "name"), foreign_keys=run, strict=True,
    )
    db.table("completions").create(
        {
            "run_id": int, "cycle": int, "kind": str, "position": int, "prompt": int,
            "text": str, "score": float, "kl": float, "length": int, "ended": int,
        },
        pk=("run_id", "cycle", "kind", "position"), foreign_keys=run, strict=True,
    )
    db.table("changes").create(
        {"id": int, "run_id": int, "cycle": int, "at": str, "name": str,
         "old": str, "new": str, "by": str},
        pk="id", foreign_keys=run, strict=True,
    )
    db.table("changes").create_index(["run_id", "cycle"])
    db.table("prompt_sets").create(
        {"id": int, "name": str, "source": str, "saved_at": str}, pk="id", strict=True,
    )
    db.table("prompt_sets").create_index(["name"], unique=True)
    db.table("prompts").create(
        {"set_id": int, "position": int, "text": str, "enabled": int, "pinned": int},
        pk=("set_id", "position"),
        foreign_keys=[("set_id", "prompt_sets", "id")], strict=True,
    )


@migrations()
def token_traces(db: Database) -> None:
    """Every token of a rollout: ids, texts and numbers, packed by workbench.store.traces."""
    db.table("traces").create(
        {"run_id": int, "cycle": int, "position": int, "prompt": int, "tokens": bytes,
         "pieces": str, "columns": str, "numbers": bytes},
        pk=("run_id", "cycle", "position"), foreign_keys=[("run_id", "runs", "id")], strict=True,
    )


@migrations()
def health_findings(db: Database) -> None:
    """What the health check said after a cycle. A cycle that failed has a row here only."""
    db.table("health").create(
        {"run_id": int, "cycle": int, "rule": str, "severity": str, "sentence": str},
        pk=("run_id", "cycle", "rule"), foreign_keys=[("run_id", "runs", "id")], strict=True,
    )


@migrations()
def tree_of_runs(db: Database) -> None:
    """The run a run was forked from, and the last cycle both have in common."""
    db.table("runs").add_column("parent_id", int)
    db.table("runs").add_column("parent_cycle", int)


@migrations()
def reward_parts(db: Database) -> None:
    """What each part of a weighted reward gave a completion; Python files that may be run."""
    db.table("completions").add_column("parts", str)
    db.table("trusted_files").create(
        {"sha256": str, "path": str, "at": str}, pk="sha256", strict=True)


@migrations()
def steering(db: Database) -> None:
    """What other processes ask of a run, and what the one that trains it tells them."""
    run = [("run_id", "runs", "id")]
    db.table("commands").create(
        {"id": int, "run_id": int, "at": str, "by": str, "name": str, "arguments": str,
         "answered_at": str, "outcome": str, "sentence": str, "problems": str},
        pk="id", foreign_keys=run, strict=True,
    )
    db.table("commands").create_index(["run_id", "outcome"])
    db.table("live_events").create(
        {"run_id": int, "number": int, "name": str, "event": str},
        pk=("run_id", "number"), foreign_keys=run, strict=True,
    )


@migrations()
def identity_of_runs(db: Database) -> None:
    """What tells a run from another of the same number in another database, for its checkpoints
    are no part of the database."""
    db.table("runs").add_column("uid", str)
    db.execute("update runs set uid = lower(hex(randomblob(16)))")


@migrations()
def tokens_of_prompts(db: Database) -> None:
    """A run's prompts as the policy read them: int32, little-endian. NULL: not kept. A chat
    template may write another text on another day."""
    db.table("run_prompts").add_column("tokens", bytes)


@migrations()
def what_prompts_bring_along(db: Database) -> None:
    """The turns of prompts that are conversations, and what their files say beside the prompts,
    both as JSON; NULL for none."""
    for table in ("run_prompts", "prompts"):
        db.table(table).add_column("messages", str)
        db.table(table).add_column("columns", str)


@migrations()
def cut_texts(db: Database) -> None:
    """How many tokens of a completion's text the reward model did not read."""
    db.table("completions").add_column("cut", int)


@migrations()
def algorithms_of_runs(db: Database) -> None:
    """How a run learns; before there was a choice it was PPO."""
    db.table("runs").add_column("algorithm", str, not_null_default="ppo")


@migrations()
def paths_not_taken(db: Database) -> None:
    """What was written on from a place of a completion, as JSON."""
    db.table("crossroads").create(
        {"run_id": int, "cycle": int, "position": int, "at": int, "writer": str, "found": str},
        pk=("run_id", "cycle", "position", "at", "writer"), foreign_keys=[("run_id", "runs", "id")],
        strict=True)


@migrations()
def likeliest_tokens(db: Database) -> None:
    """The likeliest tokens at every place of a completion: their texts as JSON, ids and
    log-probabilities packed by workbench.store.traces."""
    db.table("traces").add_column("likeliest", str)
    db.table("traces").add_column("chances", bytes)


@migrations()
def quantiles_of_tokens(db: Database) -> None:
    """How each number of a cycle's tokens is spread, packed by workbench.store.quantiles."""
    db.table("quantiles").create(
        {"run_id": int, "cycle": int, "name": str, "quantiles": bytes},
        pk=("run_id", "cycle", "name"), foreign_keys=[("run_id", "runs", "id")], strict=True)


@migrations()
def sweeps(db: Database) -> None:
    """Runs that were planned together: what is to be trained, as JSON, and which of them a run
    is."""
    db.table("sweeps").create(
        {"id": int, "name": str, "created_at": str, "plan": str}, pk="id", strict=True)
    db.table("runs").add_column("sweep", int)
    db.table("runs").add_column("place", int)


@migrations()
def best_of_n(db: Database) -> None:
    """What the best of n completions are worth by what a run's policy was after a cycle, as
    JSON."""
    db.table("best_of").create(
        {"run_id": int, "cycle": int, "found": str}, pk=("run_id", "cycle"),
        foreign_keys=[("run_id", "runs", "id")], strict=True)


@migrations()
def pairs_of_runs(db: Database) -> None:
    """The pairs that runs learn from, as packed JSON Lines under the hash of these, and which of
    them a run does, as JSON; NULL for none."""
    db.table("pair_sets").create(
        {"digest": str, "count": int, "pairs": bytes}, pk="digest", strict=True)
    db.table("runs").add_column("data", str)


@migrations()
def tokens_of_pairs(db: Database) -> None:
    """Of tokens whose prompt is none of the run's: that prompt, and what they came to."""
    db.table("traces").add_column("prompt_text", str)
    db.table("traces").add_column("worth", float)


@migrations()
def other_ways_before(db: Database) -> None:
    """By which algorithms a fork's cycles before it were learned, as JSON; NULL: by its own."""
    db.table("runs").add_column("past", str)


@migrations()
def judgements(db: Database) -> None:
    """Sets of pairs, what people and judges said of them, thumbs on single completions, and the
    guidelines that were beside them, by their hash. Origins are JSON; a score of NULL is not known.
    A mark with ``replaced_by`` has given way to a later one; one with a ``source`` came of a file,
    and comes of it once."""
    db.table("judged_sets").create(
        {"id": int, "name": str, "created_at": str, "seed": int, "guidelines": str},
        pk="id", strict=True)
    db.table("judged_sets").create_index(["name"], unique=True)
    db.table("judged_pairs").create(
        {"id": int, "set_id": int, "digest": str, "prompt": str, "prompt_digest": str,
         "messages": str, "turns": int, "first": str, "second": str, "first_ended": int,
         "second_ended": int, "first_score": float, "second_score": float, "first_origin": str,
         "second_origin": str, "scored_by": str},
        pk="id", foreign_keys=[("set_id", "judged_sets", "id")], strict=True)
    db.table("judged_pairs").create_index(["set_id", "digest"], unique=True)
    # Whole for a list of the pairs, whose texts it would take long to pass over.
    db.table("judged_pairs").create_index(
        ["set_id", "id", "prompt_digest", "first_score", "second_score"])
    db.table("marks").create(
        {"id": int, "pair_id": int, "by": str, "judge": int, "choice": str, "strength": int,
         "at": str, "seconds": float, "left": str, "guidelines": str, "margin": float,
         "repeat": int, "replaced_by": int, "source": str},
        pk="id", foreign_keys=[("pair_id", "judged_pairs", "id")], strict=True)
    db.table("marks").create_index(["pair_id", "by"])
    db.table("marks").create_index(["by"])
    db.table("marks").create_index(["replaced_by"])
    db.table("marks").create_index(["pair_id", "source"], unique=True)
    db.table("thumbs").create(
        {"id": int, "set_id": int, "digest": str, "by": str, "up": int, "at": str, "prompt": str,
         "messages": str, "turns": int, "completion": str, "ended": int, "score": float,
         "origin": str},
        pk="id", foreign_keys=[("set_id", "judged_sets", "id")], strict=True)
    db.table("thumbs").create_index(["set_id", "by", "digest"], unique=True)
    db.table("guidelines").create({"digest": str, "text": str, "at": str}, pk="digest", strict=True)


@migrations()
def judge_answers(db: Database) -> None:
    """What judges said of pairs in each order, by the hash of the rubric: the text of which
    completion is better, or why that is not known. A probability is that of the first."""
    db.table("judge_answers").create(
        {"pair_id": int, "by": str, "rubric": str, "swapped": int, "said": str, "problem": str,
         "probability": float, "at": str},
        pk=("pair_id", "by", "rubric", "swapped"),
        foreign_keys=[("pair_id", "judged_pairs", "id")], strict=True)


@migrations()
def data_of_sweeps(db: Database) -> None:
    """What was chosen for a sweep to learn from, by its kind, as JSON; NULL: nothing was kept."""
    db.table("sweeps").add_column("data", str)


def connect(path: Path, *, create: bool = False) -> Database:
    """Open a connection with the settings every thread uses (WAL, full durability).

    Args:
        create: make the file where there is none. Otherwise a database that was moved away would
            be replaced by an empty one.
    """
    uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
    db = Database(sqlite3.connect(uri, uri=True, timeout=_PATIENCE, check_same_thread=False))
    try:
        db.enable_wal()
        # One commit a cycle: full durability costs milliseconds and survives a power cut.
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error:
        db.close()
        raise
    return db


def open_database(home: Path) -> Path:
    """Create or migrate the database in ``home`` and return its file.

    Raises:
        StoreError: the folder cannot be written, the file is no database of ours, is damaged, or
            was written by a newer version.
    """
    prepare_home(home)
    path = home / FILE_NAME
    try:
        # Of two that open a new home at once, one would find the other's half-made tables.
        with FileLock(path.with_suffix(".db.lock"), timeout=_PATIENCE):
            _migrate(path)
    except Timeout as error:
        raise StoreError(
            f"The database {path} is being opened by another process; try again.") from error
    except OSError as error:
        raise StoreError(
            f"The database {path} cannot be locked ({error.strerror or error}); choose another "
            "home folder with --home."
        ) from error
    except (sqlite3.Error, MemoryError) as error:
        raise not_opened(path, error) from error
    return path


def _migrate(path: Path) -> None:
    _refuse_a_lone_log(path)
    checkpoints = path.parent / "checkpoints"
    if path.exists() and not path.stat().st_size and checkpoints.is_dir() and any(
            checkpoints.iterdir()):
        raise StoreError(
            f"The experiment database {path} is empty, though there are checkpoints of runs in "
            f"{checkpoints}. Restore it from a copy, or delete the empty file to start afresh; "
            "the checkpoints stay.")
    db = connect(path, create=True)
    try:
        known = {m.name for m in migrations.pending(db)} | {
            m.name for m in migrations.applied(db)}
        if known - {m.name for m in migrations._migrations}:
            raise StoreError(
                f"The database {path} was written by a newer version of PPO Workbench; "
                "upgrade, or choose another home folder with --home."
            )
        if migrations.pending(db):
            migrations.apply(db)
    finally:
        db.close()


def _refuse_a_lone_log(path: Path) -> None:
    """Keep SQLite from deleting the log of a database that is not there: after a crash, or while
    another program has it open, that holds all of the last changes."""
    log = log_of(path)
    if not has_something(path) and has_something(log):
        raise StoreError(
            f"The experiment database {path} is {'empty' if path.exists() else 'not there'}, but "
            f"the log of its last changes is: {log.name}. Put the database back beside it, or "
            f"move {log.name} away, too (keep both together), to start afresh.")
