"""Which pair comes next, and how far one is."""

import math
from collections.abc import Mapping

import pytest

from workbench.gui.judge.queue import ALL, EVERY, MARKED, OTHERWISE, SKIPPED, UNMARKED, Queue
from workbench.store.judged import Choice, Entry


def queue(*choices: Choice | None, shown: str = UNMARKED) -> Queue:
    """Pairs of which the reward scored the first higher, with what was said of each."""
    found = Queue((Entry(number, f"p{number % 2}", (1.0 / number, 0.0), choice, 0,
                         number if choice else 0) for number, choice in enumerate(choices, 1)), 3)
    found.choose(shown)
    return found


def current(found: Queue) -> int | None:
    return found.current.id if found.current else None


def test_the_next_that_is_unmarked_comes_also_from_the_beginning() -> None:
    found = queue(None, "first", None, None)
    found.show(3)
    found.marked("second", 1)
    assert current(found) == 4
    found.marked("tie", 1)
    assert current(found) == 1
    found.marked("skip", 0)
    assert current(found) is None
    assert (found.done, found.left, found.count(SKIPPED), found.position) == (3, 0, 1, (3, 3))
    assert found.step(-1)
    assert current(found) == 4


def test_what_is_skipped_once_more_comes_no_more_until_chosen_again() -> None:
    found = queue("skip", "first", "skip", shown=SKIPPED)
    assert found.left == 2
    found.marked("skip", 0)
    assert current(found) == 3
    found.marked("second", 1)
    assert current(found) is None
    assert found.left == 1
    found.choose(SKIPPED)
    assert current(found) == 1


def test_nearest_scores_come_first_and_unknown_ones_last() -> None:
    found = Queue([Entry(1, "", (math.nan, 0.0)), Entry(2, "", (3.0, 0.0)),
                   Entry(3, "", (0.0, 1.0))])
    found.choose(ALL, nearest=True)
    assert [current(found), found.step(1), current(found), found.step(1), current(found)] == [
        3, True, 2, True, 1]
    assert not found.step(1)


def test_agreement_is_of_what_the_reward_tells_apart() -> None:
    found = queue("first", "second", "first", "tie", None, shown=OTHERWISE)
    assert (found.with_reward, current(found), found.position) == ((2, 3), 2, (1, 1))
    found.entries[9] = Entry(9, "", (0.0, 0.0))
    found = Queue([*found.entries.values(), Entry(10, "", (0.0, 1.0))])
    found.show(10)
    found.marked("second", 1)
    found.show(9)
    found.marked("first", 1)
    assert found.with_reward == (3, 4)
    assert found.kappa_with_reward == pytest.approx((0.75 - 0.5) / (1 - 0.5))


def test_one_comes_again_after_ten_and_undoing_brings_it_back() -> None:
    found = queue(*[None] * 25)
    for _ in range(EVERY):
        assert not found.repeating
        found.marked("first", 1)
    again = current(found)
    assert found.repeating
    assert again in range(1, EVERY - 4)
    found.marked("second", 1)
    assert (found.repeating, current(found), found.with_oneself) == (False, EVERY + 1, (0, 1))
    for _ in range(EVERY):
        found.marked("first", 1)
    assert found.repeating
    assert current(found) != again
    found.marked("skip", 0)
    assert found.with_oneself == (0, 1)


def test_marks_of_an_earlier_day_are_not_all_asked_again() -> None:
    found = queue(*["first"] * 100, *[None] * 20)
    for _ in range(EVERY - 1):
        found.marked("first", 1)
        assert not found.repeating


def test_a_mark_that_is_made_anew_counts_once() -> None:
    found = queue(*[None] * 12)
    for _ in range(EVERY + 2):
        found.show(1)
        found.marked("first", 1)
    assert not found.repeating
    assert (found.done, found.count(MARKED)) == (1, 1)


@pytest.mark.parametrize(("others", "expected"), [
    ({1: "first", 2: "first"}, (1, 2, 0.0)), ({}, (0, 0, math.nan)),
    ({1: "first", 2: "second"}, (2, 2, 1.0))])
def test_another_person(others: Mapping[int, Choice], expected: tuple[int, int, float]) -> None:
    found = queue("first", "second", "skip")
    found.choose(ALL, others=others)
    assert found.with_other(others) == pytest.approx(expected, nan_ok=True)
    assert found.position[1] == expected[1] - expected[0]
