"""Pairs that people mark: what is kept, what is taken back, and what the marks give."""

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.old_homes import OLD_HOMES, unpack

from workbench.records import Pair
from workbench.store.judged import (
    CLEARLY,
    SLIGHTLY,
    Mark,
    Origin,
    PairToJudge,
    Side,
    Thumb,
    kappa,
    shown_left,
    thumbs_of_marks,
)
from workbench.store.records import Message
from workbench.store.store import Store

ME = "ann"


def pair(number: int = 0, **more: object) -> PairToJudge:
    origin = Origin(run="abc", cycle=3, kind="rollout", position=number)
    return PairToJudge(
        more.pop("prompt", f"Prompt {number}"),
        Side(f" one {number}", True, 0.5 + number, origin),
        Side(f" other {number}", False, 0.25, Origin(writer="Start policy")), **more)


def new_set(store: Store, *pairs: PairToJudge, name: str = "Mine") -> int:
    set_id = store.judgements.make_set(name, seed=7).result()
    store.judgements.add(set_id, pairs).result()
    return set_id


def mark(store: Store, pair_id: int, choice: str, by: str = ME, **more: object) -> int:
    return store.judgements.mark(pair_id, by, choice, **more).result()


def choices(store: Store, set_id: int, by: str = ME) -> list[str | None]:
    return [entry.choice for entry in store.judgements.entries(set_id, by)]


def test_a_pair_comes_back_as_it_was(store: Store) -> None:
    turns = (Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "Go on."))
    found = [pair(), pair(1, messages=turns, turns=True, scored_by="reward")]
    set_id = new_set(store, *found)
    assert [each.pair for each in store.judgements.pairs(set_id)] == found
    assert store.judgements.pair(2).pair == found[1]
    assert store.judgements.pair(3) is None
    told = store.judgements.set("Mine")
    assert (told.pairs, told.marks, told.seed) == (2, 0, 7)
    assert store.judgements.entries(set_id, ME)[1].scores == (1.5, 0.25)
    assert list(store.judgements.prompts(set_id).values()) == ["Prompt 0", "Prompt 1"]


def test_what_nobody_can_tell_apart_is_no_pair_and_a_pair_is_there_once(store: Store) -> None:
    set_id = new_set(store)
    swapped = PairToJudge("Prompt 0", pair().second, pair().first)
    equal = PairToJudge("p", Side(" same"), Side("same "))
    empty = PairToJudge("p", Side(" "), Side("text"))
    added = store.judgements.add(set_id, [pair(), swapped, equal, empty, pair(1)]).result()
    assert (added.pairs, added.known, added.equal) == (2, 1, 2)
    assert added.summary == (
        "2 pairs added, 1 there already, 2 left out, for their texts are equal or one is empty.")
    assert store.judgements.make_set("Mine").result() == set_id


def test_a_mark_stands_until_a_later_one_or_undo(store: Store) -> None:
    set_id = new_set(store, pair(), pair(1))
    judgements = store.judgements
    mark(store, 1, "skip")
    mark(store, 1, "first", strength=SLIGHTLY, seconds=1.5, left="second", guidelines="Be short.")
    mark(store, 2, "tie")
    mark(store, 1, "second", strength=CLEARLY)
    assert choices(store, set_id) == ["second", "tie"]
    assert [m.stands for m in judgements.marks(set_id)] == [False, False, True, True]
    assert judgements.undo(set_id, "bob").result() is None
    assert judgements.undo(set_id, ME).result().choice == "second"
    assert choices(store, set_id) == ["first", "tie"]
    first = judgements.marks(set_id)[1]
    assert (first.strength, first.seconds, first.left) == (SLIGHTLY, 1.5, "second")
    assert judgements.guidelines(first.guidelines) == "Be short."
    for expected in (["first", None], ["skip", None], [None, None]):
        judgements.undo(set_id, ME).result()
        assert choices(store, set_id) == expected
    assert judgements.undo(set_id, ME).result() is None


def test_a_repeat_tells_of_the_person_and_gives_nothing(store: Store) -> None:
    set_id = new_set(store, pair(), pair(1))
    mark(store, 1, "first")
    mark(store, 2, "second")
    mark(store, 1, "first", repeat=True)
    mark(store, 2, "first", repeat=True)
    assert choices(store, set_id) == ["first", "second"]
    assert [e.repeats for e in store.judgements.entries(set_id, ME)] == [("first",), ("first",)]
    assert len(store.judgements.judged(set_id).pairs) == 2
    assert store.judgements.set("Mine").marks == 2


def test_a_set_counts_what_gives_something_to_learn_from(store: Store) -> None:
    new_set(store, *map(pair, range(5)))
    for number, (choice, strength) in enumerate(
        (("first", 0), ("tie", 0), ("tie", SLIGHTLY), ("both_bad", 0), ("skip", 0)), 1
    ):
        mark(store, number, choice, strength=strength)
    found = store.judgements.set("Mine")
    assert (found.marks, found.preferences, found.verdicts) == (4, 1, 3)
    assert len(store.judgements.judged(found.id).pairs) == found.preferences
    assert len(list(thumbs_of_marks(store.judgements.marked(found.id), preferences=True))) == 6


def test_what_marks_give(store: Store) -> None:
    """A preference makes a pair; a tie and both bad none; disagreement is kept and counted."""
    set_id = new_set(store, *map(pair, range(4)))
    mark(store, 1, "first")
    mark(store, 1, "second", by="bob")
    mark(store, 2, "tie", strength=SLIGHTLY)
    mark(store, 3, "both_bad")
    mark(store, 4, "tie")
    judged = store.judgements.judged(set_id)
    assert judged.pairs == (
        Pair("Prompt 0", " one 0", " other 0", (), True, False, by=ME),
        Pair("Prompt 0", " other 0", " one 0", (), False, True, by="bob"))
    assert judged.summary == "2 preferences, 2 ties, 1 both bad; 1 pair judged both ways."
    assert store.judgements.people(set_id) == {"ann": 4, "bob": 1}
    thumbs = list(thumbs_of_marks(store.judgements.marked(set_id)))
    assert [(t.completion.text, t.up) for t in thumbs] == [
        (" one 1", True), (" other 1", True), (" one 2", False), (" other 2", False)]
    more = list(thumbs_of_marks(store.judgements.marked(set_id), preferences=True))
    assert [t.up for t in more] == [True, False, False, True, True, True, False, False]


def test_conversations_give_turns() -> None:
    asked = pair(turns=True)
    said = Mark(1, 1, ME, "second")
    assert asked.decided(said) == Pair(
        [("user", "Prompt 0")], [("assistant", " other 0")], [("assistant", " one 0")], (),
        False, True, by=ME)


def test_kappa() -> None:
    """Worked by hand: they agree on 35 of 50, where chance would give (25·30 + 25·20) / 2500."""
    said = {("a", "a"): 20, ("a", "b"): 5, ("b", "a"): 10, ("b", "b"): 15}
    assert kappa(said) == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    assert kappa({("a", "a"): 3, ("b", "b"): 3}) == 1
    assert math.isnan(kappa({}))
    assert math.isnan(kappa({("a", "a"): 3}))


def test_the_side_is_shuffled_by_the_seed_and_swapped_when_asked_again() -> None:
    shown = [shown_left(7, number) for number in range(1000)]
    assert 400 < shown.count("first") < 600
    assert shown == [shown_left(7, number) for number in range(1000)]
    assert shown != [shown_left(8, number) for number in range(1000)]
    assert all(shown_left(7, number, 1) != side for number, side in enumerate(shown))


def test_thumbs(store: Store) -> None:
    set_id = new_set(store)
    thumb = Thumb("Say.", Side(" good", origin=Origin(run="abc")), ME, up=True)
    store.judgements.thumb(set_id, thumb).result()
    store.judgements.thumb(set_id, Thumb("Say.", Side(" bad"), ME, up=False)).result()
    store.judgements.thumb(set_id, Thumb("Say.", Side("good"), ME, up=False)).result()
    assert [(t.completion.text, t.up) for t in store.judgements.thumbs(set_id)] == [
        (" bad", False), ("good", False)]
    assert store.judgements.thumbs_of(set_id, ME)[thumb.digest] is False
    store.judgements.thumb(set_id, thumb, away=True).result()
    assert [t.scored.score for t in store.judgements.thumbs(set_id)] == [0.0]


def test_sets_are_renamed_and_deleted(store: Store) -> None:
    set_id = new_set(store, pair())
    other = new_set(store, pair(), name="Other")
    mark(store, 1, "first")
    mark(store, 2, "second")
    store.judgements.write_guidelines(set_id, "Short.").result()
    store.judgements.rename_set(set_id, "Taste").result()
    assert [(s.name, s.guidelines) for s in store.judgements.sets()] == [
        ("Taste", "Short."), ("Other", "")]
    store.judgements.delete_set(set_id).result()
    assert [s.name for s in store.judgements.sets()] == ["Other"]
    assert choices(store, other) == ["second"]


@pytest.mark.parametrize("fixture", OLD_HOMES, ids=lambda path: path.name)
def test_homes_of_earlier_versions_take_judgements(tmp_path: Path, fixture: Path) -> None:
    store = Store(unpack(fixture, tmp_path / "old"))
    set_id = new_set(store, pair())
    mark(store, 1, "first")
    assert len(store.judgements.judged(set_id).pairs) == 1
    store.close()


_MARKING = """
import sys
from workbench.store.judged import PairToJudge, Side
from workbench.store.store import Store
from pathlib import Path
store = Store(Path(sys.argv[1]))
set_id = store.judgements.make_set("Mine").result()
store.judgements.add(set_id, [PairToJudge(f"p{i}", Side("a"), Side("b")) for i in range(500)])
for number in range(1, 501):
    store.judgements.mark(number, "ann", ("first", "second")[number % 2]).result()
    print(number, flush=True)
"""


def test_marks_that_were_made_are_there_after_a_kill(store: Store) -> None:
    home = store.home
    store.close()
    marking = subprocess.Popen(
        [sys.executable, "-c", _MARKING, str(home)], stdout=subprocess.PIPE, text=True)
    told = 0
    for line in marking.stdout:
        told = int(line)
        if told == 40:
            os.kill(marking.pid, signal.SIGKILL)
    marking.wait()
    marking.stdout.close()
    again = Store(home)
    found = again.judgements.marks(again.judgements.set("Mine").id)
    again.close()
    assert told <= len(found) <= told + 1
    assert [(m.pair, m.choice) for m in found] == [
        (number, ("first", "second")[number % 2]) for number in range(1, len(found) + 1)]
