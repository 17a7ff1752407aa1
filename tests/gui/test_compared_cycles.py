"""Which cycles the table of completions shows as a run goes on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.gui.completions.cycles import LEAST, MOST, ComparedCycles

CYCLES = list(range(11))


@pytest.mark.parametrize(("mode", "held", "shown"), [
    ("latest", (), (9, 10)), ("start", (), (0, 10)), ("latest", (0,), (0, 9, 10)),
    ("start", (5,), (0, 5, 10)), ("start", (0, 3, 6), (0, 3, 6, 10)), ("latest", (9,), (9, 10)),
    ("latest", (0, 77), (0, 9, 10)), ("latest", (0, 4, 6), (0, 4, 9, 10)),
])
def test_two_follow_the_run_and_those_held_stay(mode, held, shown):
    compared = ComparedCycles()
    compared.follow(mode)
    compared.held = held
    assert compared.of(CYCLES) == shown
    later = compared.of([*CYCLES, 11])
    assert later[-1] == 11
    assert set(later) >= set(held) & set(CYCLES[:-2]) - {6}


def test_there_may_be_one_cycle_or_none():
    compared = ComparedCycles()
    assert (compared.of([]), compared.of([0]), compared.of([0, 1])) == ((), (0,), (0, 1))
    assert compared.another([0, 1]) is None
    assert compared.another([0]) is None


def test_another_is_the_start_and_then_the_middle_of_the_widest_gap():
    compared = ComparedCycles()
    compared.add(CYCLES)
    assert compared.of(CYCLES) == (0, 9, 10)
    compared.add(CYCLES)
    assert compared.of(CYCLES) == (0, 4, 9, 10)
    assert compared.another(CYCLES) is None
    assert compared.mode == "latest"
    compared.remove(CYCLES, 0)
    assert (compared.of(CYCLES), compared.mode) == ((4, 9, 10), "latest")
    compared.remove(CYCLES, 2)  # one that followed
    assert (compared.of(CYCLES), compared.mode) == ((4, 9), "chosen")
    compared.remove(CYCLES, 0)  # two are the least
    assert compared.of(CYCLES) == (4, 9)
    compared.add(CYCLES)
    assert compared.of(CYCLES) == (0, 4, 9)


def test_a_held_cycle_is_replaced_and_one_that_follows_no_longer_does():
    compared = ComparedCycles()
    compared.follow("start")
    compared.held = (5,)
    compared.replace(CYCLES, 1, 7)
    assert (compared.of(CYCLES), compared.mode) == ((0, 7, 10), "start")
    compared.replace(CYCLES, 2, 8)
    assert (compared.of(CYCLES), compared.mode) == ((0, 7, 8), "chosen")
    assert compared.of([0, 1]) == (0, 1)  # those of another run


@given(st.integers(2, 40), st.lists(st.tuples(st.sampled_from(["add", "remove", "follow",
                                                               "replace"]), st.integers(0, 40))))
def test_whatever_is_done_there_are_two_to_four_that_the_run_has(count, done):
    compared, cycles = ComparedCycles(), list(range(count))
    for what, number in done:
        shown = compared.of(cycles)
        match what:
            case "add":
                compared.add(cycles)
            case "remove":
                compared.remove(cycles, number % len(shown))
            case "replace":
                compared.replace(cycles, number % len(shown), number % count)
            case _:
                compared.follow("start" if number % 2 else "latest")
        assert LEAST <= len(compared.of(cycles)) <= MOST
        assert set(compared.of(cycles)) <= set(cycles)
