"""The tables of sets of pairs, marks and thumbs."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar

from sqlite_utils import Database

from workbench.store.clock import now
from workbench.store.judged import (
    Added,
    Choice,
    Entry,
    Judged,
    JudgedPair,
    JudgedSet,
    Mark,
    PairToJudge,
    Thumb,
)
from workbench.store.judged_rows import (
    STANDS,
    guidelines_digest,
    mark_record,
    mark_row,
    pair_record,
    pair_row,
    put_mark,
    thumb_record,
    thumb_row,
)
from workbench.store.rows import number

T = TypeVar("T")
Marked = tuple[PairToJudge, Sequence[Mark]]
"""A pair to be put into a set, with marks of it."""
_SEEDS = 2**31
_SETS = ("select s.*, (select count(*) from judged_pairs where set_id = s.id) as pairs, "
         "(select count(*) from judged_pairs p join marks m on m.pair_id = p.id "
         f"where p.set_id = s.id and m.{STANDS} and m.choice != 'skip') as marks, "
         "(select count(*) from thumbs where set_id = s.id) as thumbs, "
         "(select count(*) from judged_pairs p join marks m on m.pair_id = p.id "
         f"where p.set_id = s.id and m.{STANDS} and m.choice in ('first', 'second')) "
         "as preferences, "
         "(select count(*) from judged_pairs p join marks m on m.pair_id = p.id "
         f"where p.set_id = s.id and m.{STANDS} and (m.choice in ('first', 'second', 'both_bad') "
         "or (m.choice = 'tie' and m.strength))) as verdicts from judged_sets s")


class Judgements:
    """Queries run on the caller's thread; writes return a future, as those of
    :class:`workbench.store.store.Store` do, and each mark is a commit of its own."""

    def __init__(self, submit: Callable[[Callable[[Database], Any]], Future[Any]],
                 reader: Callable[[], Database]) -> None:
        self._submit, self._reader = submit, reader

    # -- sets

    def sets(self) -> list[JudgedSet]:
        """Return every set, the first made first."""
        return [_set(row) for row in self._reader().query(f"{_SETS} order by s.id")]

    def set(self, name: str) -> JudgedSet | None:
        """Return the set of a name; None: there is none."""
        rows = self._reader().query(f"{_SETS} where s.name = ?", [name])
        return next(map(_set, rows), None)

    def make_set(self, name: str, seed: int | None = None) -> Future[int]:
        """Make a set, unless there is one of that name; the future gives its number."""
        row = {"name": name, "created_at": now(), "guidelines": "",
               "seed": random.SystemRandom().randrange(_SEEDS) if seed is None else seed}

        def write(db: Database) -> int:
            db.table("judged_sets").insert(row, ignore=True)
            found = db.execute("select id from judged_sets where name = ?", [name]).fetchone()
            return int(found[0])
        return self._submit(write)

    def rename_set(self, set_id: int, name: str) -> Future[None]:
        """Give a set another name, which none must have: sqlite3.IntegrityError else."""
        def write(db: Database) -> None:
            db.table("judged_sets").update(set_id, {"name": name})
        return self._submit(write)

    def delete_set(self, set_id: int) -> Future[None]:
        """Remove a set with its pairs, marks and thumbs; what runs learned from it they keep."""
        def write(db: Database) -> None:
            for table in ("marks", "judge_answers"):
                db.execute(f"delete from {table} where pair_id in "
                           "(select id from judged_pairs where set_id = ?)", [set_id])
            for table in ("judged_pairs", "thumbs"):
                db.table(table).delete_where("set_id = ?", [set_id])
            db.table("judged_sets").delete(set_id)
        return self._submit(write)

    def write_guidelines(self, set_id: int, text: str) -> Future[None]:
        """Keep what the person goes by; marks made from now on name it by its hash."""
        def write(db: Database) -> None:
            db.table("judged_sets").update(set_id, {"guidelines": text})
        return self._submit(write)

    def guidelines(self, digest: str) -> str:
        """Return the guidelines, or the rubric, of a hash; "" where they are not known."""
        rows = self._reader().query("select text from guidelines where digest = ?", [digest])
        return next((row["text"] for row in rows), "")

    # -- pairs

    def add(self, set_id: int, found: Iterable[PairToJudge | Marked],
            thumbs: Iterable[Thumb] = ()) -> Future[Added]:
        """Put pairs, with marks where they have some, and thumbs into a set. What the set has it
        keeps: a pair once, whichever side stands first, and a mark of a file once."""
        items = [each if isinstance(each, tuple) else (each, ()) for each in found]
        several = list(thumbs)

        def write(db: Database) -> Added:
            added = _Adding(db, set_id)
            for pair, marks in items:
                added.add(pair, marks)
            before = _count(db, "thumbs", set_id)
            db.table("thumbs").insert_all(
                (thumb_row(set_id, thumb) for thumb in several), ignore=True)
            return replace(added.counts, thumbs=_count(db, "thumbs", set_id) - before)
        return self._submit(write)

    def has_cycles(self, set_id: int, run: str, cycles: tuple[int, int]) -> bool:
        """Return whether a set has a pair of what the compared prompts were completed with after
        these two ``cycles`` of a run, of which ``run`` is the identity."""
        sides = "".join(
            f" and json_extract({side}_origin, '$.run') = :run"
            f" and json_extract({side}_origin, '$.kind') = 'comparison'"
            for side in ("first", "second"))
        return bool(list(self._reader().query(
            f"select 1 from judged_pairs where set_id = :set{sides} and "
            "(coalesce(json_extract(first_origin, '$.cycle'), 0), "
            "coalesce(json_extract(second_origin, '$.cycle'), 0)) in "
            "(values (:one, :other), (:other, :one)) limit 1",
            {"set": set_id, "run": run, "one": cycles[0], "other": cycles[1]})))

    def score(self, scores: Mapping[int, tuple[float, float]], scored_by: str) -> Future[None]:
        """Keep what a reward gives both completions of pairs, by their numbers."""
        rows = [(*(each if math.isfinite(each) else None for each in both), scored_by, pair_id)
                for pair_id, both in scores.items()]

        def write(db: Database) -> None:
            db.conn.executemany("update judged_pairs set first_score = ?, second_score = ?, "
                                "scored_by = ? where id = ?", rows)
        return self._submit(write)

    def pair(self, pair_id: int) -> JudgedPair | None:
        """Return a pair; None: there is none of that number."""
        rows = self._reader().query("select * from judged_pairs where id = ?", [pair_id])
        return next(map(pair_record, rows), None)

    def pairs(self, set_id: int) -> Iterator[JudgedPair]:
        """Give the pairs of a set in the order in which they were put in."""
        return map(pair_record, self._reader().query(
            "select * from judged_pairs where set_id = ? order by id", [set_id]))

    def entries(self, set_id: int, by: str, pair_id: int | None = None) -> list[Entry]:
        """Return the pairs of a set, or one, without their texts, and what a person said of
        each."""
        which, one = ("", []) if pair_id is None else (" and p.id = ?", [pair_id])
        said: dict[int, tuple[Choice, int, int]] = {}
        again: dict[int, list[Choice]] = defaultdict(list)
        for pair, mark, choice, strength, repeat in self._reader().execute(
                "select m.pair_id, m.id, m.choice, m.strength, m.repeat from marks m "
                "join judged_pairs p on p.id = m.pair_id where p.set_id = ? and m.by = ? "
                f"and m.judge = 0 and m.replaced_by is null{which} order by m.id",
                [set_id, by, *one]):
            if repeat:
                again[pair].append(choice)
            else:
                said[pair] = choice, strength, mark
        nothing: tuple[Choice | None, int, int] = None, 0, 0
        return [Entry(pair, prompt, (number(first), number(second)), *said.get(pair, nothing),
                      repeats=tuple(again.get(pair, ())))
                for pair, prompt, first, second in self._reader().execute(
                    "select p.id, prompt_digest, first_score, second_score from judged_pairs p "
                    f"where set_id = ?{which} order by p.id", [set_id, *one])]

    def prompts(self, set_id: int) -> dict[str, str]:
        """Return the prompts of a set by what :class:`Entry` calls them, the first first."""
        return dict(self._reader().execute(
            "select prompt_digest, prompt from judged_pairs where id in (select min(id) from "
            "judged_pairs where set_id = ? group by prompt_digest) order by id", [set_id]))

    # -- marks

    def mark(self, pair_id: int, by: str, choice: Choice, *, strength: int = 0,
             judge: bool = False, seconds: float = float("nan"), left: str = "",
             guidelines: str = "", repeat: bool = False) -> Future[int]:
        """Record a mark, in place of those that the same one has made of the pair, unless it is a
        ``repeat``; the future gives its number once it is on the disk.

        Args:
            guidelines: the text that was beside the pair; its hash is kept with the mark.
        """
        at = now("milliseconds")
        made = Mark(0, pair_id, by, choice, strength, judge, at, seconds, left,
                    guidelines_digest(guidelines), None, repeat)

        return self._submit(lambda db: put_mark(db, made, guidelines))

    def undo(self, set_id: int, by: str) -> Future[Mark | None]:
        """Take the last mark back that a person has made in a set, so that what it came in place of
        stands again; the future gives it, None where there was none."""
        def write(db: Database) -> Mark | None:
            last = next(iter(db.query(
                "select m.* from marks m join judged_pairs p on p.id = m.pair_id "
                "where m.by = ? and p.set_id = ? and m.judge = 0 and m.source is null "
                "order by m.id desc limit 1", [by, set_id])), None)
            if last is None:
                return None
            db.execute("update marks set replaced_by = null where replaced_by = ?", [last["id"]])
            db.table("marks").delete(last["id"])
            return mark_record(last)
        return self._submit(write)

    def marks(self, set_id: int) -> list[Mark]:
        """Return every mark in a set, also those that do not stand, in the order they were made."""
        return [mark_record(row) for row in self._reader().query(
            "select m.* from marks m join judged_pairs p on p.id = m.pair_id where p.set_id = ? "
            "order by m.id", [set_id])]

    def people(self, set_id: int) -> dict[str, int]:
        """Return how many marks that stand are whose, by name."""
        return dict(self._reader().execute(
            "select m.by, count(*) from marks m join judged_pairs p on p.id = m.pair_id where "
            f"p.set_id = ? and m.{STANDS} and m.choice != 'skip' group by m.by order by m.by",
            [set_id]))

    def marked(self, set_id: int) -> Iterator[tuple[PairToJudge, Mark]]:
        """Give the marks that stand and say something, each with its pair, by pair."""
        for row in self._reader().query(
                "select p.*, m.id as mark_id, m.by, m.judge, m.choice, m.strength, m.at, "
                "m.seconds, m.left, m.guidelines, m.margin, m.repeat, m.replaced_by, m.pair_id, "
                "m.source from judged_pairs p join marks m on m.pair_id = p.id where "
                f"p.set_id = ? and m.{STANDS} and m.choice != 'skip' order by p.id, m.id",
                [set_id]):
            yield pair_record(row).pair, mark_record({**row, "id": row["mark_id"]})

    def judged(self, set_id: int, *, judges: bool = True) -> Judged:
        """Return what the marks of a set give to learn from: a pair for each preference. Where
        people disagree, all count; without ``judges`` only people do."""
        found = []
        whose: Counter[tuple[str, bool]] = Counter()
        ties = both_bad = 0
        sides: dict[str, set[Choice]] = defaultdict(set)
        for pair, mark in self.marked(set_id):
            if mark.judge and not judges:
                continue
            ties += mark.choice == "tie"
            both_bad += mark.choice == "both_bad"
            if (decided := pair.decided(mark)) is not None:
                found.append(decided)
                whose[mark.by, bool(mark.judge)] += 1
                sides[pair.digest].add(mark.choice)
        return Judged(tuple(found), ties, both_bad, sum(len(each) > 1 for each in sides.values()),
                      whose)

    # -- thumbs

    def thumb(self, set_id: int, thumb: Thumb, *, away: bool = False) -> Future[None]:
        """Record a thumb, in place of that of the same person on the same completion; ``away``
        takes that back."""
        row = thumb_row(set_id, replace(thumb, at=thumb.at or now("milliseconds")))

        def write(db: Database) -> None:
            db.table("thumbs").delete_where(
                "set_id = ? and by = ? and digest = ?", [set_id, thumb.by, thumb.digest])
            if not away:
                db.table("thumbs").insert(row)
        return self._submit(write)

    def thumbs(self, set_id: int) -> list[Thumb]:
        """Return the thumbs of a set in the order they were given."""
        return [thumb_record(row) for row in self._reader().query(
            "select * from thumbs where set_id = ? order by id", [set_id])]

    def thumbs_of(self, set_id: int, by: str) -> dict[str, bool]:
        """Return a person's thumbs, up or not, by
        :func:`workbench.store.judged.completion_digest`."""
        return {digest: bool(up) for digest, up in self._reader().execute(
            "select digest, up from thumbs where set_id = ? and by = ?", [set_id, by])}


class _Adding:
    """Puts pairs and their marks into a set, within a transaction."""

    def __init__(self, db: Database, set_id: int) -> None:
        self._db, self._set_id = db, set_id
        self.counts = Added()

    def add(self, pair: PairToJudge, marks: Sequence[Mark]) -> None:
        if not pair.differs:
            self.counts = replace(self.counts, equal=self.counts.equal + 1)
            return
        row = pair_row(self._set_id, pair)
        there = self._db.execute(
            "select id, first from judged_pairs where set_id = ? and digest = ?",
            [self._set_id, row["digest"]]).fetchone()
        swapped = there is not None and there[1] != pair.first.text
        if there is None:
            pair_id = self._insert("judged_pairs", row)
            self.counts = replace(self.counts, pairs=self.counts.pairs + 1)
        else:
            pair_id = there[0]
            self.counts = replace(self.counts, known=self.counts.known + 1)
        new = 0
        for mark in marks:
            own = mark_row(replace(_swapped(mark) if swapped else mark, pair=pair_id))
            if not (mark.at and self._has(own)):
                new += self._insert("marks", own, "or ignore") > 0
        self.counts = replace(self.counts, marks=self.counts.marks + new)

    def _has(self, row: dict[str, Any]) -> bool:
        """Whether the set has a mark that was made at that moment, and exported."""
        same = "pair_id", "by", "judge", "choice", "at"
        return self._db.execute(
            f"select 1 from marks where {' and '.join(f'{name} = ?' for name in same)}",
            [row[name] for name in same]).fetchone() is not None

    def _insert(self, table: str, row: dict[str, Any], otherwise: str = "") -> int:
        """Insert a row and return its number; 0: it was ignored."""
        done = self._db.conn.execute(
            f"insert {otherwise} into {table} ({', '.join(map('[{}]'.format, row))}) "
            f"values ({', '.join('?' * len(row))})", list(row.values()))
        return int(done.lastrowid or 0) if done.rowcount else 0


def _swapped(mark: Mark) -> Mark:
    other: dict[str, Choice] = {"first": "second", "second": "first"}
    return replace(mark, choice=other.get(mark.choice, mark.choice),
                   left=other.get(mark.left, mark.left))


def _set(row: dict[str, Any]) -> JudgedSet:
    return JudgedSet(row["id"], row["name"], row["created_at"], row["seed"], row["guidelines"],
                     row["pairs"], row["marks"], row["thumbs"], row["preferences"], row["verdicts"])


def _count(db: Database, table: str, set_id: int) -> int:
    return int(db.execute(f"select count(*) from {table} where set_id = ?", [set_id]).fetchone()[0])
