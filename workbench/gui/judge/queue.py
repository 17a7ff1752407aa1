"""Which pair comes next, which were before, and how far the person is. No Qt."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from workbench.store.judged import (
    PREFERENCES,
    Choice,
    Entry,
    Mark,
    kappa,
)

EVERY = 10
"""After so many marks a pair comes again with its sides swapped."""
_RECENT = 5
"""The last marks are remembered too well to be asked again."""
UNMARKED, SKIPPED, MARKED, OTHERWISE, ALL = "unmarked", "skipped", "marked", "otherwise", "all"
SHOWN: Mapping[str, tuple[str, str]] = {
    UNMARKED: ("Unmarked", "Pairs that you have not marked yet"),
    SKIPPED: ("Skipped", "Pairs that you have skipped"),
    MARKED: ("Marked", "Pairs that you have marked, to look at them again"),
    OTHERWISE: ("Reward disagrees",
                "Pairs whose other side the reward scored higher than the one you prefer"),
    ALL: ("All", "Every pair of the set"),
}
"""What can be shown, each with a title and what it means."""


class Queue:
    """The pairs of a set that fit what is to be shown, in an order; one of them is ``current``.

    A mark changes what is known of a pair and not which pairs there are, so that one can go back;
    they are chosen anew by :meth:`choose`.
    """

    def __init__(self, entries: Iterable[Entry] = (), seed: int = 0) -> None:
        self.entries = {entry.id: entry for entry in entries}
        # Kept up to date entry by entry: there may be very many.
        self._tally = Counter(what for entry in self.entries.values() for what in _told(entry))
        self._seed = seed
        self._fresh = 0
        """Pairs that were marked since one came again."""
        self._last = max((entry.mark for entry in self.entries.values()), default=0)
        self._ids: list[int] = list(self.entries)
        self._places = {number: place for place, number in enumerate(self._ids)}
        self._place = 0
        self._left = self._tally[UNMARKED]
        self.shown = ALL
        self.repeating = False
        """Whether the current pair is asked once more, with its sides swapped."""
        self._aside: int | None = None
        """A pair that is current without being next in the order."""

    # -- what is shown

    def choose(self, shown: str, *, prompt: str = "", nearest: bool = False,
               others: Mapping[int, Choice] | None = None, keep: int | None = None) -> None:
        """Show the pairs that fit.

        Args:
            shown: one of :data:`SHOWN`.
            prompt: of this prompt alone; "": of all.
            nearest: those come first whose scores are nearest to each other.
            others: of those alone that somebody else marked, and differently than the person, if
                the person has marked them.
            keep: the pair that is to be current, if it fits.
        """
        self.shown = shown
        found = [e for e in self.entries.values() if _fits(e, shown)
                 and (not prompt or e.prompt == prompt)
                 and (others is None or _differs(e, others))]
        if nearest:
            found.sort(key=lambda entry: entry.apart)
        self._ids = [entry.id for entry in found]
        self._places = {number: place for place, number in enumerate(self._ids)}
        self._left = sum(self._waits(entry) for entry in found)
        self._aside, self.repeating = None, False
        place = None if keep is None else self._places.get(keep)
        self._place = place or 0
        if place is None and shown in (UNMARKED, SKIPPED):
            self._seek(0)

    @property
    def current(self) -> Entry | None:
        """The pair that is shown; None: there is none, or all that were to be marked are."""
        if self._aside is not None:
            return self.entries[self._aside]
        return self.entries[self._ids[self._place]] if self._place < len(self._ids) else None

    @property
    def position(self) -> tuple[int, int]:
        """The current pair's place among those shown, from 1 on, and how many these are."""
        return min(self._place + 1, len(self._ids)), len(self._ids)

    # -- moving

    def step(self, by: int) -> bool:
        """Go on or back by so many pairs; return whether there was one."""
        if self._aside is not None and by > 0:
            self._aside, self.repeating = None, False
            return True
        place = self._place + by
        if not self._ids or not 0 <= place < len(self._ids):
            return False
        self._aside, self.repeating = None, False
        self._place = place
        return True

    def show(self, pair: int, *, repeating: bool = False) -> None:
        """Go to a pair, be it among those shown or not."""
        self.repeating = repeating
        if not repeating and pair in self._places:
            self._place, self._aside = self._places[pair], None
        else:
            self._aside = pair

    # -- marking

    def marked(self, choice: Choice, strength: int) -> None:
        """Take note of a mark of the current pair, and go on to the next."""
        entry = self.current
        if entry is None:
            return
        if self.repeating:
            self._fresh = 0
            self._put(replace(entry, repeats=(*entry.repeats, choice)))
        else:
            self._last += 1
            self._fresh += _fits(entry, MARKED) < (choice != "skip")
            self._put(replace(entry, choice=choice, strength=strength, mark=self._last))
        if self._aside is None:
            self._place += 1
        self._aside, self.repeating = None, False
        if (again := self._due()) is not None:
            self._aside, self.repeating = again, True
        elif self.shown in (UNMARKED, SKIPPED):
            self._seek(self._place)

    def taken_back(self, mark: Mark, entry: Entry) -> None:
        """Go back to a pair whose last mark was undone; ``entry`` is what is known of it now."""
        self._fresh = EVERY if mark.repeat else max(0, self._fresh - (mark.choice != "skip"))
        self._put(entry)
        self.show(mark.pair, repeating=mark.repeat)

    def _put(self, entry: Entry) -> None:
        """Take note of what is known of a pair now."""
        before = self.entries[entry.id]
        self._tally.subtract(_told(before))
        self._tally.update(_told(entry))
        if entry.id in self._places:
            self._left += self._waits(entry) - self._waits(before)
        self.entries[entry.id] = entry

    def _waits(self, entry: Entry) -> bool:
        """Whether a pair is still to be marked."""
        return entry.choice is None or (self.shown == SKIPPED and entry.choice == "skip")

    def _seek(self, start: int) -> None:
        """Go to the next pair that is still to be marked, if need be from the beginning."""
        found = [*range(start, len(self._ids))]
        if self.shown != SKIPPED:  # where skipping once more is to go on
            found += range(start)
        self._place = next(
            (place for place in found if self._waits(self.entries[self._ids[place]])),
            len(self._ids))

    def _due(self) -> int | None:
        """Return the pair that is to come again, if one is."""
        if self._fresh < EVERY:
            return None
        said = sorted((entry for entry in self.entries.values() if _fits(entry, MARKED)),
                      key=lambda entry: entry.mark)
        known = [entry.id for entry in said[:-_RECENT] if not entry.repeats]
        chance = random.Random(f"{self._seed}:{self._tally['asked again']}")
        return chance.choice(known) if known else None

    # -- how far

    @property
    def done(self) -> int:
        """How many pairs of the set are marked."""
        return self._tally[MARKED]

    @property
    def preferred(self) -> int:
        """Of how many pairs the person says which side is better."""
        return self._tally["preferred"]

    @property
    def left(self) -> int:
        """How many pairs of those shown are still to be marked."""
        return self._left

    def count(self, shown: str) -> int:
        """Return how many pairs of the set fit."""
        return self._tally[shown]

    @property
    def with_reward(self) -> tuple[int, int]:
        """How many preferences go with the reward, of how many of pairs that it tells apart."""
        return self._tally["with the reward"], self._tally["with the reward"] + (
            self._tally[OTHERWISE])

    @property
    def kappa_with_reward(self) -> float:
        """How far preferences go with the reward beyond chance."""
        return kappa({(said, other): self._tally[f"{said}, reward {other}"]
                      for said in PREFERENCES for other in PREFERENCES})

    def with_other(self, others: Mapping[int, Choice]) -> tuple[int, int, float]:
        """Return on how many pairs the person and another agree, of how many that both have marked,
        and how far that is beyond chance."""
        both = Counter((entry.choice, others[entry.id]) for entry in self.entries.values()
                       if entry.id in others and entry.choice not in (None, "skip"))
        found = {(str(one), str(other)): number for (one, other), number in both.items()}
        same = sum(number for (one, other), number in found.items() if one == other)
        return same, sum(found.values()), kappa(found)

    @property
    def with_oneself(self) -> tuple[int, int]:
        """How many repeats say what was said at first, of how many."""
        tally = self._tally
        return tally["the same again"], tally["asked again"] - tally["skipped again"]


def other_marks(marks: Sequence[Mark], by: str) -> dict[int, Choice]:
    """Return what somebody said of each pair, the last that stands."""
    return {mark.pair: mark.choice for mark in marks
            if mark.by == by and mark.stands and mark.choice != "skip"}


def _fits(entry: Entry, shown: str) -> bool:
    match shown:
        case "unmarked":
            return entry.choice is None
        case "skipped":
            return entry.choice == "skip"
        case "marked":
            return entry.choice not in (None, "skip")
        case "otherwise":
            return (entry.choice in PREFERENCES and entry.reward_prefers is not None
                    and entry.choice != entry.reward_prefers)
    return True


def _told(entry: Entry) -> list[str]:
    """Return what a pair counts as."""
    found = [shown for shown in SHOWN if _fits(entry, shown)]
    found += ["preferred"] * (entry.choice in PREFERENCES)
    if entry.choice in PREFERENCES and entry.reward_prefers is not None:
        found.append(f"{entry.choice}, reward {entry.reward_prefers}")
        found += ["with the reward"] * (entry.choice == entry.reward_prefers)
    for again in entry.repeats:
        found.append("asked again")
        found += ["skipped again"] if again == "skip" else (
            ["the same again"] if again == entry.choice else [])
    return found


def _differs(entry: Entry, others: Mapping[int, Choice]) -> bool:
    return entry.id in others and entry.choice not in (None, "skip") and (
        entry.choice != others[entry.id])
