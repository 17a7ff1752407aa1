"""How long work reports its progress, learns that it should end, and ends by itself."""

from __future__ import annotations

from typing import Protocol

from workbench.models.phases import Phase


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


class Unattended:
    """A control that nobody watches."""

    def step(self, phase: Phase, done: int, total: int) -> None:
        """Do nothing."""
