"""The line about the reward that is made of judgements: how far it is, and what can be done with
it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QWidget
from superqt import QElidingLabel

from workbench.formatting import percent
from workbench.gui.widgets.controls import enable, named, push_button, tool_button
from workbench.gui.widgets.icons import icon
from workbench.gui.widgets.layouts import hbox
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import set_look, themes
from workbench.training.events import State
from workbench.training.states import ALIVE

TEXT = "Make a reward from your judgements"
TIP = ("Train a reward model on what was said of these pairs, in one step; the policy can then go "
       "on learning by it")


class Making(QWidget):
    """``wanted``: a reward is to be made; ``possible`` says why none can be, "" where one can;
    ``go_on_wanted`` and ``start_wanted``: what is to be done with the one that was made."""

    wanted = Signal()
    possible = Signal(str)
    go_on_wanted = Signal()
    start_wanted = Signal()

    def __init__(self, why_too_few: Callable[[], str]) -> None:
        """``why_too_few`` says why there are too few marks; "" where there are enough."""
        super().__init__()
        self._why_too_few = why_too_few
        self._state = State.IDLE
        self._name = ""
        self._told: str | None = None
        self._there = self._gives_way = False
        self.said = named(QElidingLabel(textFormat=Qt.TextFormat.PlainText), "reward_made",
                          "The reward that is made", "")
        self.said.setMinimumWidth(1)
        self.go_on = push_button(
            "Go on with the new reward", "reward_go_on", "Let the policy go on learning by it from "
            "its last checkpoint, as a fork of its run", self.go_on_wanted.emit)
        set_look(self.go_on, role="primary")
        self.start = push_button(
            "Start a run with it", "reward_start", "Begin a new run from the start policy that "
            "learns by this reward", self.start_wanted.emit)
        self.close_button = tool_button("", "reward_made_close", "Close this line",
                                        "Close this line; Models keeps the reward", "mini")
        self.close_button.clicked.connect(self.done)
        hbox(self, (self.said, 1), self.go_on, self.start, self.close_button, spacing=8)
        themes().changed.connect(self._draw)
        self._draw()
        self.hide()

    # -- what is possible

    def set_state(self, state: State) -> None:
        """Take note of what can be asked for."""
        self._state = state
        self.tell()

    def why_not(self) -> str:
        """Return why no reward can be made now; "" where one can."""
        if self._name:
            return f"{self._name} is being made."
        if self._state in (State.RUNNING, State.STOPPING):
            return "A run is training: pause it first."
        if self._state is State.LOADING:
            return "Models are being loaded; wait a moment."
        return self._why_too_few()

    def tell(self) -> None:
        """Say whether one can be made now."""
        alive = self._state in ALIVE
        enable(self.go_on, not alive, "A run is on: stop it first.")
        enable(self.start, not alive, "A run is on: stop it first.")
        if (why := self.why_not()) != self._told:
            self._told = why
            self.possible.emit(why)

    # -- how far it is

    def begin(self, name: str) -> None:
        """A reward is being made."""
        self._name = name
        self._say(f"{name} is being made …", offers=False)

    def progress(self, cycle: int, cycles: int, right: float | None) -> None:
        """Say how far it is."""
        share = f", right on {percent(right)} of the pairs it does not learn from" if right else ""
        self._say(f"{self._name}: pass {cycle} of {cycles}{share}", offers=False)

    def made(self, sentence: str, why_not_go_on: str) -> None:
        """Offer what can be done with it."""
        self._say(sentence, offers=True)
        self.go_on.setVisible(not why_not_go_on)

    def end(self) -> None:
        """Nothing is being made any more."""
        self._name = ""
        self.done()
        self.tell()

    def done(self) -> None:
        """What was offered was taken, or is not wanted."""
        self._there = False
        self._fit()

    def give_way(self, other: bool) -> None:
        """Leave the place to another line, or take it again."""
        self._gives_way = other
        self._fit()

    def _fit(self) -> None:
        self.setVisible(self._there and not self._gives_way)

    def _say(self, sentence: str, *, offers: bool) -> None:
        self.said.setText(sentence)
        self.said.setToolTip(plain_tip(sentence))
        for button in (self.go_on, self.start, self.close_button):
            button.setVisible(offers)
        self.tell()
        self._there = True
        self._fit()

    def _draw(self) -> None:
        self.close_button.setIcon(icon("close"))
