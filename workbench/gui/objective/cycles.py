"""Which cycle is looked at."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from workbench.gui.widgets.controls import enable, tool_button
from workbench.gui.widgets.cycle_picker import CyclePicker


class Cycles(QWidget):
    """``picked`` carries a cycle that the person chose; None: the latest, from now on."""

    picked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._cycles: Sequence[int] = ()
        self.previous = tool_button("‹", "objective_previous", "Previous cycle",
                                    "The cycle before", role="compact")
        self.next = tool_button("›", "objective_next", "Next cycle", "The cycle after",
                                role="compact")
        self.cycle = CyclePicker("objective_cycle", "Cycle",
                                 "The cycle whose loss and trust region are shown")
        self.latest = tool_button(
            "Latest", "objective_latest", "Latest", "Follow the run: always show the latest cycle. "
            "Choosing a cycle lets go of it", role="compact")
        self.latest.setCheckable(True)
        self.previous.clicked.connect(lambda: self._step(-1))
        self.next.clicked.connect(lambda: self._step(1))
        self.cycle.picked.connect(lambda cycle: self.picked.emit(cycle))
        self.latest.clicked.connect(
            lambda on: self.picked.emit(None if on else self.cycle.currentData()))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for widget in (self.previous, self.cycle, self.next, self.latest):
            row.addWidget(widget)

    def show_cycles(self, cycles: Sequence[int], shown: int, following: bool) -> None:
        """Offer ``cycles``, of which ``shown`` is on display."""
        self._cycles = cycles
        self.cycle.show_cycles(cycles, shown)
        place = cycles.index(shown)
        enable(self.previous, place > 0, "There is no earlier cycle.")
        enable(self.next, place < len(cycles) - 1, "There is no later cycle yet.")
        self.latest.setChecked(following)

    def _step(self, by: int) -> None:
        row = self.cycle.currentIndex() + by
        if 0 <= row < len(self._cycles):
            self.picked.emit(self._cycles[row])
