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
        self._at = BEFORE  # where the run is
        self._left = self.summary - 1  # the card that gave way to the summary
        self._ahead = 0  # parts that the run is ahead of the card

    @property
    def summary(self) -> int:
        """Where the summary stands."""
        return len(self.cards)

    @property
    def live(self) -> bool:
        """Whether the card that shows is of the part that is on."""
        return (self.row < self.summary and self._at in self._parts
                and self.cards[self.row].part == self._at)

    def first(self, part: str) -> int:
        """Return the first card of a part, or the first of all."""
        return next((row for row, card in enumerate(self.cards) if card.part == part),
                    self._cycle[0] if part in self._parts and self._cycle else 0)

    def go_to(self, row: int) -> None:
        """Show a card."""
        self.row, self._ahead = min(max(0, row), self.summary), 0

    def stand(self, part: str) -> None:
        """The run is held at this part, or there is none: its card shows at once."""
        self._at = part
        if self.on and (self.row >= self.summary or self.cards[self.row].part != part):
            self.go_to(self.first(part))

    def end(self) -> None:
        """The run on display is over."""
        self._at = BEFORE
        if self.on and self.row < self.summary:
            self._left = self.row
            self.go_to(self.summary)

    def back(self) -> None:
        """Show the card before; from the summary the one that gave way to it, to read on."""
        self.go_to(self._left if self.row == self.summary else self.row - 1)

    def turn(self, part: str) -> None:
        """The run goes on with this part of a cycle."""
        if self._at in self._parts:
            self._ahead += self._steps(self._at, part)
        self._at = part
        if self.on and self.row not in self._cycle:
            self.go_to(self.first(part))

    def leaf(self) -> bool:
        """The card has been read: show the next one, if the run has come to it, and return
        whether it has."""
        if not self.on or self.row not in self._cycle:
            return False
        wanted = self._cycle[(self._cycle.index(self.row) + 1) % len(self._cycle)]
        steps = self._steps(self.cards[self.row].part, self.cards[wanted].part)
        if steps > self._ahead:
            return False
        self.row, self._ahead = wanted, self._ahead - steps
        return True

    def _steps(self, one: str, other: str) -> int:
        return (self._parts.index(other) - self._parts.index(one)) % len(self._parts)
