"""How long work reports its progress and learns that it should end."""

from __future__ import annotations

from typing import Protocol

from workbench.ppo.phases import Phase


class Interrupted(Exception):  # noqa: N818 - not an error: the person asked for it
    """Raised from :meth:`Control.step` when the work should end now."""


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
