"""How long work reports its progress, learns that it should end, and ends by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from workbench.models.phases import Phase
from workbench.records import Draft


class Interrupted(Exception):  # noqa: N818 - not an error: the person asked for it
    """Raised from :meth:`Control.step` when the work should end now."""


class NotFiniteError(ArithmeticError):
    """A number that the update needs is NaN or infinite; nothing was learned from it.

    ``intact`` says that the policy is as it was before the cycle, and finite.
    """

    def __init__(self, sentence: str, *, intact: bool = False) -> None:
        self.intact = intact
        super().__init__(sentence)


class Control(Protocol):
    """Passed into every long computation."""

    def step(self, phase: Phase, done: int, total: int) -> None:
        """Report progress.

        Raises:
            Interrupted: to end the computation here.
        """


class CycleControl(Control, Protocol):
    """Passed into a cycle, which has parts (:class:`workbench.algorithm.Part`)."""

    def tell(self, part: str, numbers: Mapping[str, float]) -> None:
        """Report metrics of a part, as far as they are known."""

    def part_done(self, part: str, draft: Callable[[], Draft]) -> None:
        """Report that a part is done. Returns when the next is to begin, which may be after the
        person has looked at what ``draft`` gives.

        Raises:
            Interrupted: to end the cycle here.
        """


class Unattended:
    """A control that nobody watches."""

    def step(self, phase: Phase, done: int, total: int) -> None:
        """Do nothing."""

    def tell(self, part: str, numbers: Mapping[str, float]) -> None:
        """Do nothing."""

    def part_done(self, part: str, draft: Callable[[], Draft]) -> None:
        """Do nothing."""
