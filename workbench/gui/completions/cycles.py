"""Which cycles are compared, while a run goes on. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

Mode = Literal["latest", "start", "chosen"]
LEAST, MOST = 2, 4


class ComparedCycles:
    """The cycles of the columns. In the modes "latest" (the last two) and "start" (the first and
    the last) two follow the run, and those ``held`` stay beside them; in "chosen" all stay.

    Attributes:
        followed: what the person last chose to follow.
    """

    def __init__(self) -> None:
        self.mode: Mode = "latest"
        self.followed: Mode = "latest"
        self.held: tuple[int, ...] = ()
        self._chosen: tuple[int, ...] = ()

    def follow(self, mode: Mode) -> None:
        """Follow the run from now on."""
        self.mode = self.followed = mode

    def choose(self, cycles: Sequence[int]) -> None:
        """Stay with these."""
        self._chosen, self.mode = tuple(cycles), "chosen"

    def all_there(self, cycles: Sequence[int]) -> bool:
        """Return whether those that were chosen are among ``cycles``."""
        return set(self._chosen) <= set(cycles)

    def of(self, cycles: Sequence[int]) -> tuple[int, ...]:
        """Return which of ``cycles``, ascending, are shown: two to four, or what there is."""
        if len(cycles) < LEAST:
            return tuple(cycles)
        if self.mode == "chosen" and self.all_there(cycles):
            return self._chosen
        held = self._held(cycles)
        if self.mode == "start":
            return cycles[0], *held, cycles[-1]
        return *held, cycles[-2], cycles[-1]

    def replace(self, cycles: Sequence[int], column: int, cycle: int) -> None:
        """Show ``cycle`` in a column; one that followed the run no longer does."""
        self._change(cycles, column, (cycle,))

    def remove(self, cycles: Sequence[int], column: int) -> None:
        """Show a column no longer."""
        if len(self.of(cycles)) > LEAST:
            self._change(cycles, column, ())

    def add(self, cycles: Sequence[int]) -> None:
        """Show one more, where there is one: the first cycle, or the one in the widest gap."""
        new, shown = self.another(cycles), self.of(cycles)
        if new is None:
            return
        if self.mode == "chosen":
            place = next((i for i, cycle in enumerate(shown) if cycle > new), len(shown))
            self.choose((*shown[:place], new, *shown[place:]))
        else:
            self.held = tuple(sorted((*self._held(cycles), new)))

    def another(self, cycles: Sequence[int]) -> int | None:
        """Return the cycle that one more column would show, None where there is no room or none
        left."""
        shown = self.of(cycles)
        if not LEAST <= len(shown) < MOST:
            return None
        if cycles[0] not in shown:
            return cycles[0]
        places = sorted({cycles.index(cycle) for cycle in shown})
        gaps = [(b - a, a) for a, b in pairwise([*places, len(cycles)]) if b - a > 1]
        if not gaps:
            return None
        wide, first = max(gaps, key=lambda gap: gap[0])
        return cycles[first + wide // 2]

    def _change(self, cycles: Sequence[int], column: int, new: tuple[int, ...]) -> None:
        shown = self.of(cycles)
        now = (*shown[:column], *new, *shown[column + 1:])
        held = range(1, len(shown) - 1) if self.mode == "start" else range(len(shown) - 2)
        if self.mode != "chosen" and column in held:
            self.held = tuple(now[i] for i in range(held.start, held.stop - (not new)))
        else:
            self.choose(now)

    def _held(self, cycles: Sequence[int]) -> tuple[int, ...]:
        following = ((cycles[0], cycles[-1]) if self.mode == "start" else tuple(cycles[-2:]))
        return tuple(c for c in self.held if c in cycles and c not in following)[: MOST - 2]
