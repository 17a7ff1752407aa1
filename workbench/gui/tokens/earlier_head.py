"""What the value head of an earlier checkpoint foresaw of the completion on display."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox

from workbench.gui.widgets.controls import enable, named
from workbench.training.commands import ReadValues
from workbench.training.events import ReadingValuesFailed, State, ValuesRead
from workbench.training.states import WHEN, allowed

ValuesEvent = ValuesRead | ReadingValuesFailed
Completion = tuple[int, int, int]
"""Run, cycle, and row in its batch."""
_NONE = "no other"
_NO_CHECKPOINT = "This run has no checkpoint."


class EarlierHead(QComboBox):
    """Offers the checkpoints of the run. Where one is chosen, :attr:`wanted` carries the command
    for each completion that is shown, and :attr:`read` what it foresaw: the checkpoint's cycle and
    a number a token; none: nothing is to be shown."""

    wanted = Signal(object)
    read = Signal(int, object)
    message = Signal(str, str)
    """Level and sentence of a message for the person."""

    def __init__(self) -> None:
        super().__init__()
        named(self, "tokens_earlier_head", "Value head of another checkpoint",
              "Draw beside the line what the value head of a checkpoint foresees of the same "
              "words, to see it learn. The line itself is what was foreseen when they were written")
        self.setProperty("role", "compact")
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(len("after cycle 00"))
        self.addItem(_NONE)
        self._completion: Completion | None = None
        self._state = State.IDLE
        self._number = 0
        self._asked = False
        self._values: Sequence[float] = ()
        self._gone: int | None = None
        """The checkpoint of what is shown, where it is not kept any more."""
        self._enable()
        self.currentIndexChanged.connect(lambda _: self._ask())

    def checkpoint(self) -> int | None:
        """Return the cycle of the checkpoint that is chosen, if one is."""
        chosen: int | None = self.currentData()
        return chosen

    # -- what the view tells

    def show_checkpoints(self, cycles: Sequence[int]) -> None:
        """Offer these; the one that was chosen stays while it is among them."""
        chosen = self.checkpoint()
        # What is on display is read on, also when its checkpoint goes.
        self._gone = chosen if chosen not in cycles and self._values else None
        if self._gone is not None:
            cycles = sorted([*cycles, self._gone])
        if [self.itemData(i) for i in range(1, self.count())] == list(cycles):
            return
        with QSignalBlocker(self):
            self.clear()
            self.addItem(_NONE)
            for cycle in cycles:
                self.addItem(f"after cycle {cycle:,}" if cycle else "at the start", cycle)
            self.setCurrentIndex(max(0, self.findData(chosen)) if chosen is not None else 0)
        self._enable()
        if self.checkpoint() != chosen:
            self._ask()

    def show_completion(self, completion: Completion | None) -> None:
        """Another completion is on display, or the same one anew."""
        before, self._completion = self._completion, completion
        if self._gone is not None:
            if completion == before:
                self.read.emit(self._gone, self._values)
                return
            self._let_go(self._gone, told=completion is not None and before is not None
                         and completion[0] == before[0])
        self._ask()

    def _let_go(self, checkpoint: int, *, told: bool) -> None:
        """Offer a checkpoint no longer that is not kept any more."""
        self._gone = None
        with QSignalBlocker(self):
            self.removeItem(self.findData(checkpoint))
            self.setCurrentIndex(0)
        self._enable()
        if told:
            self.message.emit("info", f"The checkpoint after cycle {checkpoint:,} is not kept any "
                                   "more, so that its value head is drawn no longer.")

    def set_state(self, state: State) -> None:
        """Take note of what can be asked for."""
        could, self._state = self._can_ask(), state
        self._enable()
        if self._can_ask() and not could:
            self._ask()

    def handle(self, event: ValuesEvent) -> None:
        """Take note of what was read."""
        if not self._asked or event.id != self._number:
            return  # another was asked for since
        self._asked = False
        checkpoint = self.checkpoint()
        if isinstance(event, ValuesRead) and checkpoint is not None:
            self._values = event.values
            self.read.emit(checkpoint, event.values)
        elif isinstance(event, ReadingValuesFailed) and event.sentence:
            self.message.emit("warning", event.sentence)
            self.setCurrentIndex(0)

    def refused(self) -> None:
        """The command was refused, as the person is told elsewhere."""
        self._asked = False

    # -- inside

    def _can_ask(self) -> bool:
        return self._state in allowed(ReadValues)

    def _enable(self) -> None:
        there = self.count() > 1
        enable(self, there and self._can_ask(),
               WHEN[ReadValues][1] if there else _NO_CHECKPOINT)

    def _ask(self) -> None:
        checkpoint = self.checkpoint()
        if self._gone is not None and checkpoint == self._gone:
            return  # it cannot be read again
        self._gone = None
        self.read.emit(0, ())
        self._values = ()
        self._asked = False
        if checkpoint is not None and self._completion is not None and self._can_ask():
            self._number += 1
            self._asked = True
            self.wanted.emit(ReadValues(self._number, *self._completion, checkpoint))
