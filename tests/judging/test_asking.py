"""Judging a set: both orders, every answer kept, nothing asked twice."""

import math

import pytest
from helpers.judges import RUBRIC, Told, pairs, put_in

from workbench.formatting import percent
from workbench.judging.asking import judge_set
from workbench.judging.judge import JudgeError
from workbench.judging.questions import Answer
from workbench.models.control import Interrupted
from workbench.store.judged import PairToJudge, Side

BY = "judge: told"


def good(question):
    return Answer("A" if question.shown[0].startswith("good") else "B")


def judge(store, set_id, judge, rubric=RUBRIC, most=None, step=lambda done, total: None):
    return judge_set(store, set_id, judge, rubric, most=most, step=step)


def test_both_orders_are_asked_and_what_agrees_is_a_mark(store):
    set_id = put_in(store, pairs(2))
    told, steps = Told(good), []
    assert judge(store, set_id, told, step=lambda *at: steps.append(at)) == 4
    assert told.asked == [("Prompt 0", False), ("Prompt 0", True),
                          ("Prompt 1", False), ("Prompt 1", True)]
    assert [*dict.fromkeys(steps)] == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    marks = store.judgements.marks(set_id)
    assert [(m.by, m.choice, m.judge, m.stands) for m in marks] == [(BY, "first", True, True)] * 2
    assert {store.judgements.guidelines(m.guidelines) for m in marks} == {RUBRIC}
    assert len(store.judgements.judged(set_id).pairs) == 2


def test_what_follows_the_order_is_a_tie_and_what_is_of_no_use_is_none(store):
    set_id = put_in(store, pairs(3))

    def says(question):
        if question.pair.prompt == "Prompt 1" and question.swapped:
            return Answer(problem="no verdict in the last line")
        return good(question) if question.pair.prompt == "Prompt 2" else Answer("A")
    judge(store, set_id, Told(says))
    assert [(m.pair, m.choice) for m in store.judgements.marks(set_id)] == [
        (1, "tie"), (3, "first")]
    [quality] = store.judge_answers.qualities(set_id, "ann")
    assert (quality.pairs, quality.flips, quality.ties) == (2, 1, 0)
    assert (quality.unusable, quality.unanswered) == (1, 0)


def test_nothing_is_asked_twice_but_what_was_not_answered(store):
    set_id = put_in(store, pairs(4))

    def says(question):
        if question.pair.prompt == "Prompt 0":
            return Answer(problem="did not answer", answered=False)
        return Answer(problem="an empty answer") if question.pair.prompt == "Prompt 1" else (
            good(question))
    first, second, failed = Told(says), Told(good), []
    judge_set(store, set_id, first, RUBRIC, most=3, step=lambda done, total: None,
              unanswered=lambda: failed.append(1))
    assert len(failed) == 2
    assert len(first.asked) == 6
    judge(store, set_id, second)
    # What was never asked comes first, so that what is not answered holds nothing up.
    assert second.asked == [("Prompt 3", False), ("Prompt 3", True),
                            ("Prompt 0", False), ("Prompt 0", True)]
    assert judge(store, set_id, Told(good)) == 0
    [quality] = store.judge_answers.qualities(set_id, "ann")
    assert (quality.pairs, quality.unusable, quality.unanswered) == (3, 2, 0)


def test_what_ends_it_loses_nothing(store):
    set_id = put_in(store, pairs(5))

    def stop(done, total):
        if done == 3:
            raise Interrupted
    first, second = Told(good), Told(good)
    with pytest.raises(Interrupted):
        judge(store, set_id, first, step=stop)
    assert len(first.asked) == 3
    assert judge(store, set_id, second) == 7
    assert sorted(first.asked + second.asked) == sorted(
        (f"Prompt {i}", swapped) for i in range(5) for swapped in (False, True))
    assert [m.choice for m in store.judgements.marks(set_id)] == ["first"] * 5


def test_it_gives_up_after_failures_in_a_row_and_goes_on_with_others_then(store):
    set_id = put_in(store, pairs(4))
    silent = Told(lambda question: Answer(problem="did not answer within 5 seconds",
                                          answered=False))
    with pytest.raises(JudgeError) as raised:
        judge(store, set_id, silent)
    assert str(raised.value) == (
        "told did not answer within 5 seconds, 3 times in a row; see to it and ask again: what it "
        "said is kept.")
    assert len(silent.asked) == 3
    assert store.judgements.marks(set_id) == []
    told = Told(good)
    assert judge(store, set_id, told) == 8
    assert told.asked[0] == ("Prompt 2", False)


def test_a_rubric_is_another_judge_whose_marks_stand_when_it_is_asked_for_again(store):
    set_id = put_in(store, pairs(2))
    judge(store, set_id, Told(good))
    judge(store, set_id, Told(lambda question: Answer("C")), rubric="Call all equal.")
    assert store.judgements.people(set_id) == {BY: 2}
    standing = [m for m in store.judgements.marks(set_id) if m.stands]
    assert [m.choice for m in standing] == ["tie", "tie"]
    assert judge(store, set_id, Told(good)) == 0
    standing = [m for m in store.judgements.marks(set_id) if m.stands]
    assert [(m.choice, store.judgements.guidelines(m.guidelines)) for m in standing] == [
        ("first", RUBRIC)] * 2
    assert [q.pairs for q in store.judge_answers.qualities(set_id, "ann")] == [2, 2]


def test_quality_by_numbers_worked_out_by_hand(store):
    lengths = [(3, 5), (3, 5), (5, 3), (4, 4), (3, 5), (3, 5)]
    set_id = put_in(store, [
        PairToJudge(f"Prompt {i}", Side("a" * one), Side("b" * other))
        for i, (one, other) in enumerate(lengths)])
    # By pair: what is said straight, and swapped.
    said = [("A", "B"), ("B", "A"), ("A", "B"), ("B", "A"), ("A", "A"), ("C", "C")]

    def says(question):
        return Answer(said[int(question.pair.prompt[-1])][question.swapped])
    judge(store, set_id, Told(says))
    # It says: first, second, first, second, tie (it flips), tie. Of pairs with a longer one it
    # prefers one in 0, 1 and 2, the longer in 1 and 2.
    own = ["first", "first", "first", "second", "both_bad", "skip"]
    for pair, choice in enumerate(own, 1):
        store.judgements.mark(pair, "ann", choice).result()
    [quality] = store.judge_answers.qualities(set_id, "ann")
    assert (quality.by, quality.pairs, quality.flips, quality.ties) == (BY, 6, 1, 1)
    assert (quality.unequal, quality.longer) == (3, 2)
    # Of five both say: ann f f f s t, the judge f s f s t. Four agree, p_o = 0.8;
    # p_e = (3*2 + 1*2 + 1*1) / 25 = 0.36; kappa = 0.44 / 0.64.
    assert (quality.both, quality.same) == (5, 4)
    assert math.isclose(quality.kappa, 0.6875)
    sixth = percent(1 / 6)
    assert quality.summary == (
        f"6 pairs judged; {sixth} change with the order and are ties; {sixth} are ties in both; "
        f"the longer one is preferred in {percent(2 / 3)}; 0 unusable answers; agrees with you on "
        "4 of 5, Cohen's kappa 0.69.")


def test_a_set_is_deleted_with_its_answers(store):
    set_id = put_in(store, pairs(1))
    judge(store, set_id, Told(good))
    store.judgements.delete_set(set_id).result()
    assert store.judge_answers.qualities(set_id, "ann") == []
    set_id = put_in(store, pairs(1))
    assert judge(store, set_id, Told(good)) == 2
