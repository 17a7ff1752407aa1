"""Which card shows while a run goes on. No Qt."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.guide import BEFORE, Card

READING = 3.0  # seconds that the shortest card takes


class Following:
    """Shows the card of the part that the run is at. A part that took less time in the cycle before
    than its card takes to read is passed over; where all did, the cards of the cycle come one after
    the other, as they are read.

    ``row`` is the card that shows; the one past the last is the summary of the run.
    """

    def __init__(self, cards: Sequence[Card], parts: Sequence[str]) -> None:
        self.cards = cards
        self._parts = list(parts)
        self._cycle = [row for row, card in enumerate(cards) if card.part in self._parts]
        self.row = self.first(BEFORE)
        self.on = True
        self._at = BEFORE  # where the run was last
        self._is_on = self._held = False  # whether it is there still, and whether it stays
        self._began = False  # whether a card of before the run gives way to the first of its own
        self._since = 0.0
        self._took: dict[str, float] = {}  # seconds of each part when it was last whole

    @property
    def summary(self) -> int:
        """Where the summary stands."""
        return len(self.cards)

    @property
    def at(self) -> str:
        """The part that is on, or at which the run is held; "" where none is."""
        return self._at if self._is_on and self._at in self._parts else ""

    @property
    def is_held(self) -> bool:
        """Whether the run stays where it is."""
        return self._held

    @property
    def live(self) -> bool:
        """Whether the card that shows is of the part that is on."""
        return (self._is_on and self.row < self.summary and self._at in self._parts
                and self.cards[self.row].part == self._at)

    @property
    def fast(self) -> bool:
        """Whether the run is faster than one reads."""
        return set(self._took) >= set(self._parts) and all(
            took < READING for took in self._took.values())

    @property
    def held(self) -> tuple[int, int] | None:
        """Which card of the part at which the run is held shows, and of how many; None: no such
        card."""
        if not (self.live and self._held):
            return None
        rows = [row for row in self._cycle if self.cards[row].part == self._at]
        return rows.index(self.row) + 1, len(rows)

    def first(self, part: str) -> int:
        """Return the first card of a part, or the first of all."""
        return next((row for row, card in enumerate(self.cards) if card.part == part),
                    self._cycle[0] if part in self._parts and self._cycle else 0)

    def go_to(self, row: int) -> None:
        """Show a card."""
        self.row = min(max(0, row), self.summary)

    def begin(self) -> None:
        """Another run is on display, which is on: nothing is known yet of where it is."""
        self._at, self._is_on, self._began = BEFORE, False, True
        self._took = {}
        if self.on and self.row == self.summary:
            self.go_to(self.first(BEFORE))

    def stand(self, part: str) -> None:
        """The run is held at this part, or there is none: its card shows at once, and no later
        one."""
        self._at, self._is_on, self._held = part, True, part in self._parts
        if self._leads() and (self.row >= self.summary or self.cards[self.row].part != part):
            self.go_to(self.first(part))

    def rest(self) -> None:
        """No part is on."""
        self._is_on = self._held = False

    def end_cycle(self) -> None:
        """The run is paused after a cycle: show the card of its last part."""
        self.rest()
        if self.on and self.row in self._cycle and self.cards[self.row].part != self._parts[-1]:
            self.go_to(self.first(self._parts[-1]))

    def end(self) -> None:
        """The run on display is over."""
        self._at, self._began = BEFORE, False
        self.rest()
        if self.on:
            self.go_to(self.summary)

    def back(self) -> None:
        """Show the card before."""
        self.go_to(self.row - 1)

    def turn(self, part: str, now: float) -> None:
        """The run goes on with this part of a cycle, at ``now`` in seconds. Its card shows once the
        part has :meth:`lasted`."""
        if self._at in self._parts and part != self._at and not self._held:
            self._took[self._at] = now - self._since
        self._since = now
        self._at, self._is_on, self._held = part, True, False
        if self._leads() and self.row not in self._cycle:
            self.go_to(self.first(part))

    def lasted(self, read: bool) -> bool:
        """The part that is on has not been over at once: show its card, if it is followed and
        leaves time to read it, and the next one if the card that shows has been ``read``. Return
        whether another one shows now."""
        part, before = self.at, self.row
        if not (self.on and part) or self.fast:
            return False
        if self.live:
            if read and not self.leaf():
                self.go_to(self.first(part))
        elif self._took.get(part, READING) >= READING:
            self.go_to(self.first(part))
        return self.row != before

    def _leads(self) -> bool:
        """Return whether the run decides on the card that shows: while it is followed, and where
        it has begun since and the card still tells how to begin one."""
        began, self._began = self._began, False
        return self.on or (began and self.row < self.summary and self.row not in self._cycle)

    def leaf(self) -> bool:
        """The card has been read: show the next one of its part, or of the cycle where that is
        faster, and return whether there is one. Where the run is held, whoever reads turns."""
        if self._held or not (self.on and self._is_on and self.row in self._cycle):
            return False
        place = self._cycle.index(self.row) + 1
        wanted = self._cycle[place % len(self._cycle)]
        same = place < len(self._cycle) and self.cards[wanted].part == self.cards[self.row].part
        if not (same or self.fast):
            return False
        self.row = wanted
        return True
