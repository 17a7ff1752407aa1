"""Where pairs come from that a run learns from: the bundled ones, a file, another run."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.assets import DEFAULT_PAIRS
from workbench.formatting import number
from workbench.records import PairData
from workbench.store.pair_files import PairFile, read_pairs
from workbench.store.prompt_readers import PromptFileError
from workbench.store.run_pairs import pairs_of_run

if TYPE_CHECKING:  # a window wants its first paint before the database
    from workbench.store.judged import Judged, JudgedSet
    from workbench.store.queries import Queries
    from workbench.store.store import Store


class DataError(ValueError):
    """There is nothing to learn from. A plain sentence."""


@cache
def bundled_pairs() -> PairData:
    """Return the pairs that the bundled models make."""
    found = read_pairs(DEFAULT_PAIRS)
    return PairData("Bundled pairs", found.pairs, found.summary)


def pairs_of_file(path: Path) -> tuple[PairData, PairFile]:
    """Return the pairs of a file, and all that is to be said of it.

    Raises:
        DataError: it cannot be read, or holds no pair.
    """
    try:
        found = read_pairs(path)
    except PromptFileError as error:
        raise DataError(str(error)) from error
    if not found.pairs:
        only = " but ties" if len(found.problems) == found.ties else ""
        raise DataError(
            f"{path.name} holds no pairs{only} ({found.summary.rstrip('.')}); the first: "
            f"{found.problems[0]}")
    return PairData(path.name, found.pairs, found.summary), found


def pairs_of_judgements(store: Store, name: str, *, judges: bool = True) -> PairData:
    """Return the pairs that the marks of a set make (:mod:`workbench.store.judged`), without
    ``judges`` those of people alone.

    Raises:
        DataError: there is no such set, or no mark of it prefers one of two.
    """
    found = judged_set(store, name)
    judged = store.judgements.judged(found.id, judges=judges)
    if not judged.pairs:
        by_people = "" if judges else " by a person"
        raise DataError(f"“{name}” has no mark{by_people} that prefers one of two; mark pairs in "
                        "Judge first.")
    whose = say_whose(store, found.id, judged)
    return PairData(name if judges else f"{name}, without judges", judged.pairs,
                    f"{judged.summary.rstrip('.')}: {whose}." if whose else judged.summary)


def say_whose(store: Store, set_id: int, judged: Judged) -> str:
    """Say of whose marks pairs come, and how far each judge agrees with the person; "" where no
    judge has a part in them."""
    if not any(judge for _, judge in judged.whose):
        return ""
    people = [name for name, judge in judged.whose if not judge]
    kappas = {quality.by: quality for quality in store.judge_answers.qualities(
        set_id, people[0])} if len(people) == 1 else {}
    said = []
    for (name, judge), count in sorted(judged.whose.items(), key=lambda each: each[0][1]):
        known = kappas.get(name)
        kappa = "" if known is None or known.kappa != known.kappa else (
            f" (kappa {number(known.kappa)})")
        said.append(f"{count:,} of {name if judge or len(people) > 1 else 'yours'}{kappa}")
    return ", ".join(said)


def judged_set(store: Store, name: str) -> JudgedSet:
    """Return a set of judgements by its name.

    Raises:
        DataError: there is none of that name.
    """
    found = store.judgements.set(name)
    if found is None:
        names = ", ".join(f"“{each.name}”" for each in store.judgements.sets())
        raise DataError(f"There are no judgements called “{name}”; there are: {names}." if names
                        else "Nothing has been judged yet: mark pairs in Judge first.")
    return found


def pairs_from_run(store: Queries, run_id: int, *, least: float | None = None) -> PairData:
    """Return the pairs that a run's completions make (:mod:`workbench.store.run_pairs`).

    Raises:
        DataError: there is no such run, or they make none.
    """
    run = store.run(run_id)
    if run is None:
        raise DataError(f"There is no run {run_id}; `ppo-workbench runs` lists them.")
    found = pairs_of_run(store, run_id, least=least)
    if not found.pairs:
        left = dict(found.counts)
        raise DataError(
            f"{run.name} has no two scored completions of one prompt to make a pair of (what a run "
            "wrote to be compared is never learned from); choose one with more cycles, or with "
            "several completions of each prompt."
            if not left or set(left) == {"without a score"} else
            f"{run.name} has no two completions of one prompt whose scores are far enough apart to "
            "make a pair; choose a run with more completions of each prompt.")
    return PairData(f"Pairs of {run.name}", found.pairs, found.summary)
