"""Room for a line that comes and goes."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QPushButton, QWidget

from workbench.gui.widgets.layouts import vbox


class KeptLine(QWidget):
    """Holds lines of which one at most is shown, and has room for one whether it is or not, so
    that nothing beside it moves."""

    def __init__(self, lines: Sequence[QWidget], highest: Sequence[QPushButton]) -> None:
        """``highest`` are the buttons in them that decide how high a line is."""
        super().__init__()
        self._highest = highest
        vbox(self, *lines)
        self.fit()

    def fit(self) -> None:
        """Be as high as a line with the letters there are."""
        self.setFixedHeight(max(button.sizeHint().height() for button in self._highest))
