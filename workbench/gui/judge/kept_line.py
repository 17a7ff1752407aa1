"""Room for a line that comes and goes."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtWidgets import QPushButton, QWidget

from workbench.gui.widgets.layouts import vbox


class KeptLine(QWidget):
    """Holds lines of which one at most is shown, and has room for one whether it is or not, so
    that nothing beside it moves; where there is none to spare, only for one that is shown."""

    fitted = Signal()
    """It is as high as it is to be."""

    def __init__(self, lines: Sequence[QWidget], highest: Sequence[QPushButton]) -> None:
        """``highest`` are the buttons in them that decide how high a line is."""
        super().__init__()
        self._highest, self._lines, self._spare = highest, lines, True
        vbox(self, *lines)
        for line in lines:
            line.installEventFilter(self)
        self.fit()

    @property
    def line_height(self) -> int:
        """How high a line is with the letters there are."""
        return max(button.sizeHint().height() for button in self._highest)

    def set_spare(self, spare: bool) -> None:
        """Say whether there is room to spare."""
        if spare != self._spare:
            self._spare = spare
            self.fit()

    def fit(self) -> None:
        """Be as high as a line, or not there."""
        there = self._spare or any(line.isVisibleTo(self) for line in self._lines)
        self.setFixedHeight(self.line_height if there else 0)
        self.fitted.emit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Have room for a line that comes, and none for one that goes."""
        if event.type() in (QEvent.Type.ShowToParent, QEvent.Type.HideToParent):
            self.fit()
        return super().eventFilter(watched, event)
