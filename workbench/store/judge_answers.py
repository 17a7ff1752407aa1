"""The table of what judges said of pairs in each order, and the marks that come of it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

from sqlite_utils import Database

from workbench.formatting import counted, number, percent
from workbench.store.clock import now
from workbench.store.judged import PREFERENCES, Choice, Mark, kappa
from workbench.store.judged_rows import guidelines_digest, put_mark

Said = Literal["first", "second", "tie", "unusable", "unanswered"]
"""Which completion of the pair is better, by one order; or that the answer was of no use, or that
there was none."""
_USABLE = "first", "second", "tie"


@dataclass(frozen=True, slots=True)
class Quality:
    """How far a judge can be trusted. ``pairs`` have a usable answer in both orders; ``flips`` of
    them say otherwise in the other order, ``ties`` are ties in both. Of ``unequal`` pairs it
    prefers one completion and one has more characters, that one ``longer`` times. ``unusable``
    answers and ``unanswered`` questions are no marks. ``kappa`` is Cohen's with the person's own
    marks of ``both`` pairs, NaN where it is not defined."""

    by: str
    rubric: str
    """The hash of the one that it was asked by."""
    pairs: int = 0
    flips: int = 0
    ties: int = 0
    unequal: int = 0
    longer: int = 0
    unusable: int = 0
    unanswered: int = 0
    both: int = 0
    same: int = 0
    kappa: float = math.nan

    @property
    def summary(self) -> str:
        """Say it in a sentence."""
        said = [f"{counted(self.pairs, 'pair')} judged"]
        if self.pairs:
            said.append(f"{percent(self.flips / self.pairs)} change with the order and are ties")
            said.append(f"{percent(self.ties / self.pairs)} are ties in both")
        if self.unequal:
            said.append(f"the longer one is preferred in {percent(self.longer / self.unequal)}")
        said.append(f"{self.unusable:,} unusable answers" if self.unusable != 1 else
                    "1 unusable answer")
        if self.unanswered:
            said.append(f"{self.unanswered:,} not answered")
        if self.both:
            told = f", Cohen's kappa {number(self.kappa)}" if self.kappa == self.kappa else ""
            said.append(f"agrees with you on {self.same:,} of {self.both:,}{told}")
        return f"{'; '.join(said)}."


def combined(one: Said, other: Said) -> Choice | None:
    """Return what the answers in both orders come to: a preference where they agree, else a tie;
    None: one of them is of no use."""
    if one not in _USABLE or other not in _USABLE:
        return None
    return one if one == other and (one == "first" or one == "second") else "tie"


class JudgeAnswers:
    """As :class:`workbench.store.judgements.Judgements`: queries run on the caller's thread, writes
    return a future."""

    def __init__(self, submit: Callable[[Callable[[Database], Any]], Future[Any]],
                 reader: Callable[[], Database]) -> None:
        self._submit, self._reader = submit, reader

    def missing(
        self, set_id: int, by: str, rubric: str, most: int | None = None
    ) -> list[tuple[int, bool]]:
        """Return which pairs are still to be asked about, and whether swapped: of at most so many
        pairs those without an answer in both orders, in their order; last those whose question was
        not answered before."""
        digest = guidelines_digest(rubric)
        there: dict[int, dict[bool, Said]] = defaultdict(dict)
        for pair, swapped, said in self._reader().execute(
                "select a.pair_id, a.swapped, a.said from judge_answers a join judged_pairs p "
                "on p.id = a.pair_id where p.set_id = ? and a.by = ? and a.rubric = ?",
                [set_id, by, digest]):
            there[pair][bool(swapped)] = said
        found: list[tuple[bool, int, list[bool]]] = []
        for (pair,) in self._reader().execute(
                "select id from judged_pairs where set_id = ? order by id", [set_id]):
            said = there.get(pair, {})
            orders = [s for s in (False, True) if said.get(s, "unanswered") == "unanswered"]
            if orders:
                found.append(("unanswered" in said.values(), pair, orders))
        found.sort()
        return [(pair, swapped) for _, pair, orders in found[:most] for swapped in orders]

    def record(
        self, pair_id: int, by: str, rubric: str, swapped: bool, said: Said, *,
        probability: float = math.nan, problem: str = "",
    ) -> Future[None]:
        """Keep what a judge said in one order; once both orders are answered, they are a mark.

        Args:
            probability: that the pair's first completion is better, where the judge gives it.
            problem: what is wrong with an answer of no use.
        """
        at, digest = now("milliseconds"), guidelines_digest(rubric)
        row = {"pair_id": pair_id, "by": by, "rubric": digest, "swapped": int(swapped),
               "said": said, "problem": problem, "at": at,
               "probability": probability if math.isfinite(probability) else None}

        def write(db: Database) -> None:
            if not db.execute("select 1 from judged_pairs where id = ?", [pair_id]).fetchone():
                return  # deleted meanwhile
            db.table("judge_answers").insert(row, replace=True)
            other = db.execute(
                "select said from judge_answers where pair_id = ? and by = ? and rubric = ? and "
                "swapped = ?", [pair_id, by, digest, int(not swapped)]).fetchone()
            if other and (choice := combined(said, other[0])):
                put_mark(db, _mark(pair_id, by, choice, digest), rubric)
        return self._submit(write)

    def settle(self, set_id: int, by: str, rubric: str) -> Future[None]:
        """Let what a judge said by this rubric stand again, where its marks by another do."""
        digest = guidelines_digest(rubric)

        def write(db: Database) -> None:
            found = db.execute(
                "select a.pair_id, a.said, b.said from judge_answers a join judge_answers b on "
                "b.pair_id = a.pair_id and b.by = a.by and b.rubric = a.rubric and b.swapped = 1 "
                "join judged_pairs p on p.id = a.pair_id where a.swapped = 0 and p.set_id = ? and "
                "a.by = ? and a.rubric = ? and not exists (select 1 from marks m where "
                "m.pair_id = a.pair_id and m.by = a.by and m.judge = 1 and m.guidelines = ? and "
                "m.replaced_by is null)", [set_id, by, digest, digest]).fetchall()
            for pair, one, other in found:
                if choice := combined(one, other):
                    put_mark(db, _mark(pair, by, choice, digest), rubric)
        return self._submit(write)

    def qualities(self, set_id: int, person: str) -> list[Quality]:
        """Return how far each judge of a set can be trusted, by each rubric it was asked by, the
        first asked first."""
        lengths = {pair: (first, second) for pair, first, second in self._reader().execute(
            "select id, length(first), length(second) from judged_pairs where set_id = ?",
            [set_id])}
        own = {pair: "tie" if choice == "both_bad" else choice for pair, choice in
               self._reader().execute(
                   "select m.pair_id, m.choice from marks m join judged_pairs p on "
                   "p.id = m.pair_id where p.set_id = ? and m.by = ? and m.judge = 0 and "
                   "m.repeat = 0 and m.replaced_by is null and m.choice != 'skip'",
                   [set_id, person])}
        said: dict[tuple[str, str], dict[int, list[Said]]] = defaultdict(lambda: defaultdict(list))
        for by, rubric, pair, one in self._reader().execute(
                "select a.by, a.rubric, a.pair_id, a.said from judge_answers a join judged_pairs p "
                "on p.id = a.pair_id where p.set_id = ? order by a.rowid", [set_id]):
            said[by, rubric][pair].append(one)
        return [_quality(by, rubric, pairs, lengths, own) for (by, rubric), pairs in said.items()]


def _quality(
    by: str, rubric: str, said: dict[int, list[Said]], lengths: dict[int, tuple[int, int]],
    own: dict[int, str],
) -> Quality:
    kinds = Counter(one for each in said.values() for one in each)
    usable = {pair: (each[0], each[1]) for pair, each in said.items()
              if len(each) == 2 and combined(each[0], each[1])}
    choices = {pair: combined(*each) for pair, each in usable.items()}
    unequal = [(choice == "first") == (lengths[pair][0] > lengths[pair][1])
               for pair, choice in choices.items()
               if choice in PREFERENCES and lengths[pair][0] != lengths[pair][1]]
    both = Counter((own[pair], str(choice)) for pair, choice in choices.items() if pair in own)
    return Quality(
        by, rubric, len(usable), sum(one != other for one, other in usable.values()),
        sum(each == ("tie", "tie") for each in usable.values()), len(unequal), sum(unequal),
        kinds["unusable"], kinds["unanswered"], sum(both.values()),
        sum(count for (one, other), count in both.items() if one == other), kappa(both))


def _mark(pair_id: int, by: str, choice: Choice, rubric: str) -> Mark:
    return Mark(0, pair_id, by, choice, judge=True, at=now("milliseconds"), guidelines=rubric)
