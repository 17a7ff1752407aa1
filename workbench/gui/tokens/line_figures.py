"""The numbers of a value line and where its tokens stand. No Qt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from workbench.algorithm import ValueLine
from workbench.formatting import visible

_LEAST_SPAN = 0.5  # estimates that hardly move are drawn as such


@dataclass(frozen=True)
class Figures:
    """What is drawn of a completion: a number a token, NaN where it is not known."""

    estimates: tuple[float, ...] = ()
    targets: tuple[float, ...] = ()
    bars: tuple[float, ...] = ()
    end: float = math.nan
    flag: str = ""
    gap_text: str = ""
    gained: str = ""
    """What bars are called."""
    sums: bool = False
    """Whether the line ends at what the completion came to."""
    others: tuple[float, ...] = ()
    """What another value head foresees, where one is shown."""
    other_text: str = ""

    @property
    def gap(self) -> float:
        """What the last estimate lacked."""
        return self.end - self.estimates[-1] if self.estimates and not self.sums else math.nan

    @cached_property
    def span(self) -> tuple[float, float]:
        """The lowest and the highest number that the line has to reach."""
        known = list(finite((*self.estimates, *self.targets, *self.others, self.end)))
        low, high = min(known, default=0.0), max(known, default=0.0)
        widen = max(0.0, _LEAST_SPAN - (high - low)) / 2
        return low - widen, high + widen

    @property
    def largest_bars(self) -> tuple[float, float]:
        """How far bars go up, and down."""
        known = list(finite(self.bars))
        return max(0.0, *known, 0.0), -min(0.0, *known, 0.0)


def read_figures(line: ValueLine, steps: Sequence[Any]) -> Figures:
    """Return what is drawn of ``steps``."""
    if not steps:
        return Figures()
    last = steps[-1]
    return Figures(tuple(map(line.estimate, steps)), tuple(map(line.target, steps)),
                   tuple(map(line.bar, steps)), line.end(last), line.flag(last), line.gap(last),
                   line.gained, line.sums)


def prompt_end(prompt: str, most: int) -> str:
    """Return the last words of a prompt, of ``most`` letters or fewer."""
    shown = visible(prompt)
    if len(shown) <= most:
        return shown
    cut = shown[-most:]
    _, space, words = cut.partition(" ")
    return f"…{words if space else cut}"


def edges(widths: Sequence[float], room: float, even: bool) -> list[float]:
    """Return where tokens begin, and the last one ends.

    Args:
        widths: pixels that each token's text takes; where they are less than ``room`` in all,
            tokens are as much wider.
        even: let all tokens be equally wide and take ``room`` in all, whatever their texts are.
    """
    wider = max(1.0, room / sum(widths))
    widths = [room / len(widths) if even else width * wider for width in widths]
    found = [0.0]
    for width in widths:
        found.append(found[-1] + width)
    return found


def finite(numbers: Iterable[float]) -> Iterable[float]:
    """Return the numbers that are known."""
    return filter(math.isfinite, numbers)
