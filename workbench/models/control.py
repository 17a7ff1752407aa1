"""How long work reports its progress, learns that it should end, and ends by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from workbench.models import ranks
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


class SharedControl:
    """The control of work that ranks do together: what the first one's ``control`` says is said to
    all of them, at every step, so that all end at the same one."""

    def __init__(self, control: CycleControl | None) -> None:
        """Ask ``control``, on the first rank; the others have none."""
        self._control = control

    def step(self, phase: Phase, done: int, total: int) -> None:
        """Report progress of the first rank, and end where it does."""
        self._ask(lambda control: control.step(phase, done, total))

    def tell(self, part: str, numbers: Mapping[str, float]) -> None:
        """Report metrics, which all ranks have alike."""
        if self._control is not None:
            self._control.tell(part, numbers)

    def part_done(self, part: str, draft: Callable[[], Draft]) -> None:
        """Report a part, and wait until the first rank goes on."""
        self._ask(lambda control: control.part_done(part, draft))

    def _ask(self, question: Callable[[CycleControl], None]) -> None:
        control = self._control
        if ranks.is_apart():
            if control is not None:
                question(control)
            return
        error: BaseException | None = None
        if control is not None:
            try:
                question(control)
            except BaseException as raised:
                error = raised
        ended = ranks.any_(error is not None)
        if error is not None:
            raise error
        if ended:
            raise Interrupted


class Unattended:
    """A control that nobody watches."""

    def step(self, phase: Phase, done: int, total: int) -> None:
        """Do nothing."""

    def tell(self, part: str, numbers: Mapping[str, float]) -> None:
        """Do nothing."""

    def part_done(self, part: str, draft: Callable[[], Draft]) -> None:
        """Do nothing."""
