"""Which cycle is looked at: the one before, any, the one after, or always the latest."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from workbench.gui.widgets.controls import enable, tool_button
from workbench.gui.widgets.cycle_picker import CyclePicker


class CycleControls(QWidget):
    """``picked`` carries a cycle that the person chose, ``following`` whether the latest is wanted
    from now on.

    Args:
        name: what the object names of its parts begin with.
        tip: what is shown of the cycle.
        let_go: what ends following, in a sentence.
        no_earlier: why there is no cycle before the first.
    """

    picked = Signal(int)
    following = Signal(bool)

    def __init__(self, name: str, tip: str, let_go: str = "Choosing a cycle lets go of it",
                 no_earlier: str = "There is no earlier cycle.") -> None:
        super().__init__()
        self._cycles: Sequence[int] = ()
        self._no_earlier = no_earlier
        self.previous = tool_button("‹", f"{name}_previous", "Previous cycle", "The cycle before",
                                    role="compact")
        self.next = tool_button("›", f"{name}_next", "Next cycle", "The cycle after",
                                role="compact")
        self.cycle = CyclePicker(f"{name}_cycle", "Cycle", tip)
        self.latest = tool_button(
            "Latest", f"{name}_latest", "Latest",
            f"Follow the run: always show the latest cycle. {let_go}", role="compact")
        self.latest.setCheckable(True)
        self.previous.clicked.connect(lambda: self._step(-1))
        self.next.clicked.connect(lambda: self._step(1))
        self.cycle.picked.connect(self.picked)
        self.latest.clicked.connect(self.following)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for widget in (self.previous, self.cycle, self.next, self.latest):
            row.addWidget(widget)

    def show_cycles(self, cycles: Sequence[int], shown: int, following: bool) -> None:
        """Offer ``cycles``, ascending, of which ``shown`` is on display."""
        self._cycles = cycles
        self.cycle.show_cycles(cycles, shown)
        place = cycles.index(shown)
        enable(self.previous, place > 0, self._no_earlier)
        enable(self.next, place < len(cycles) - 1, "There is no later cycle yet.")
        self.latest.setChecked(following)

    def _step(self, by: int) -> None:
        row = self.cycle.currentIndex() + by
        if 0 <= row < len(self._cycles):
            self.picked.emit(self._cycles[row])
