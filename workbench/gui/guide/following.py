"""Which card shows while a run goes on. No Qt."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.guide import BEFORE, Card


class Following:
    """Goes through the cards of a cycle as the run comes to their parts, and no faster than they
    are read: where a cycle takes less time than that, it shows one after the other all the same.

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
        self._ahead = 0  # parts that the run is ahead of the card

    @property
    def summary(self) -> int:
        """Where the summary stands."""
        return len(self.cards)

    @property
    def live(self) -> bool:
        """Whether the card that shows is of the part that is on."""
        return (self._is_on and self.row < self.summary and self._at in self._parts
                and self.cards[self.row].part == self._at)

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
        self.row, self._ahead = min(max(0, row), self.summary), 0

    def begin(self) -> None:
        """Another run is on display, which is on: nothing is known yet of where it is."""
        self._at, self._is_on, self._began = BEFORE, False, True
        if self.row == self.summary:
            self.go_to(self.first(BEFORE))

    def stand(self, part: str) -> None:
        """The run is held at this part, or there is none: its card shows at once, and no later
        one."""
        self._at, self._is_on, self._held, self._ahead = part, True, part in self._parts, 0
        if self._leads() and (self.row >= self.summary or self.cards[self.row].part != part):
            self.go_to(self.first(part))

    def rest(self) -> None:
        """No part is on."""
        self._is_on = self._held = False

    def end(self) -> None:
        """The run on display is over."""
        self._at, self._began = BEFORE, False
        self.rest()
        if self.on:
            self.go_to(self.summary)

    def back(self) -> None:
        """Show the card before."""
        self.go_to(self.row - 1)

    def turn(self, part: str) -> None:
        """The run goes on with this part of a cycle."""
        if self._at in self._parts:
            self._ahead += self._steps(self._at, part)
        self._at, self._is_on, self._held = part, True, False
        if self._leads() and self.row not in self._cycle:
            self.go_to(self.first(part))

    def _leads(self) -> bool:
        """Return whether the run decides on the card that shows: while it is followed, and where
        it has begun since and the card still tells how to begin one."""
        began, self._began = self._began, False
        return self.on or (began and self.row not in self._cycle)

    def leaf(self) -> bool:
        """The card has been read: show the next one, if the run has come to it, and return
        whether it has."""
        if not self.on or self.row not in self._cycle:
            return False
        place = self._cycle.index(self.row) + 1
        if self._held and place == len(self._cycle):
            return False
        wanted = self._cycle[place % len(self._cycle)]
        steps = self._steps(self.cards[self.row].part, self.cards[wanted].part)
        if steps > self._ahead:
            return False
        self.row, self._ahead = wanted, self._ahead - steps
        return True

    def _steps(self, one: str, other: str) -> int:
        return (self._parts.index(other) - self._parts.index(one)) % len(self._parts)
