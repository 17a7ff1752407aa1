"""Judging a set: what is missing is asked, in both orders, and kept at once. No torch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from workbench.judging.judge import Judge, JudgeError
from workbench.judging.questions import Question
from workbench.store.store import Store

MOST_FAILURES = 3
"""After so many requests in a row that were not answered, none more is sent."""
MARKED_BY = "judge: "
"""How the names that judges mark by begin."""


def judge_set(
    store: Store, set_id: int, judge: Judge, rubric: str, *, most: int | None = None,
    step: Callable[[int, int], object], unanswered: Callable[[], object] = lambda: None,
) -> int:
    """Ask a judge of the pairs of a set that it has not said all of by this rubric, each in both
    orders, and return how many questions it was asked. Every answer is on the disk before the next
    question; what ends this loses none.

    Args:
        most: of so many pairs at most; None: of all.
        step: told how many questions of how many are answered, also while one is; may raise
            Interrupted to give up.
        unanswered: called for each question that was not answered.

    Raises:
        JudgeError: the judge can say nothing, or did not several times in a row.
    """
    by = f"{MARKED_BY}{judge.name}"
    answers = store.judge_answers
    answers.settle(set_id, by, rubric).result()
    missing = answers.missing(set_id, by, rubric, most)
    failures = 0
    step(0, len(missing))
    for done, (pair_id, swapped) in enumerate(missing):
        found = store.judgements.pair(pair_id)
        if found is None:  # the set was deleted meanwhile
            break
        question = Question(found.pair, rubric, swapped)
        answer = judge.ask(question, partial(step, done, len(missing)))
        said = question.said(answer.letter) if answer.letter else (
            "unusable" if answer.answered else "unanswered")
        answers.record(pair_id, by, rubric, swapped, said, problem=answer.problem,
                       probability=(1 - answer.probability) if swapped else answer.probability,
                       ).result()
        if not answer.answered:
            unanswered()
        failures = 0 if answer.answered else failures + 1
        if failures == MOST_FAILURES:
            step(done + 1, len(missing))
            raise JudgeError(f"{judge.name} {answer.problem}, {MOST_FAILURES} times in a row; see "
                             "to it and ask again: what it said is kept.")
        step(done + 1, len(missing))
    return len(missing)
