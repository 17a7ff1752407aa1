"""What every judge does. No torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from workbench.judging.questions import Answer, Question


class JudgeError(Exception):
    """Nothing can be judged. The message is a plain sentence."""


class Judge(Protocol):
    """Says which of two completions is better."""

    @property
    def name(self) -> str:
        """What its marks are by."""
        ...

    def ask(self, question: Question, step: Callable[[], object]) -> Answer:
        """Return what it says of a pair in one order.

        Args:
            step: called meanwhile; may raise Interrupted to give up.

        Raises:
            JudgeError: it can say nothing of any pair.
        """
        ...
