"""A simulated person with a hidden taste, who marks pairs in the Judge view by keys and is wrong
now and then."""

from __future__ import annotations

import random

from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from workbench.gui.judge.view import JudgeView

_TOLD_APART = 2
"""So many words more or fewer are seen; one is not."""


def taste(text: str) -> float:
    """Return how much the person likes a text: the shorter the better, in words."""
    return -float(len(text.split()))


def prefers(first: str, second: str) -> str:
    """Return which of two texts the person likes more without being wrong; "" for neither."""
    apart = taste(first) - taste(second)
    return "" if abs(apart) < _TOLD_APART else "first" if apart > 0 else "second"


class Person:
    """Says the other side instead of theirs with the chance ``noise``."""

    def __init__(self, noise: float = 0.1, seed: int = 0) -> None:
        self._noise, self._chance = noise, random.Random(seed)

    def says(self, first: str, second: str) -> str:
        """Return which of two texts they say is better; "" for neither."""
        said = prefers(first, second)
        if said and self._chance.random() < self._noise:
            said = "second" if said == "first" else "first"
        return said

    def key(self, view: JudgeView) -> Qt.Key:
        """Return the key they press at the pair on the screen."""
        said = self.says(view.stage.left.toPlainText(), view.stage.right.toPlainText())
        return {"": Qt.Key.Key_3, "first": Qt.Key.Key_1, "second": Qt.Key.Key_2}[said]

    def mark(self, qtbot: QtBot, view: JudgeView, marks: int) -> None:
        """Mark pairs until they say of so many which side is better."""
        view.stage.setFocus()
        while view.queue.preferred < marks:
            assert view.queue.current is not None, "there are too few pairs"
            qtbot.keyClick(view.stage, self.key(view))
