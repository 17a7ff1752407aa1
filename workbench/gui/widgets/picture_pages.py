"""What a view shows, or in its place why there is nothing."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QStackedWidget, QWidget

from workbench.gui.widgets.controls import label


class PicturePages(QStackedWidget):
    """A sentence at first. What there is to see is made by ``make`` when it is first shown: plots
    take a good part of a window's start, and of most there is nothing to see yet."""

    def __init__(self, name: str, make: Callable[[], QWidget]) -> None:
        super().__init__()
        self._make = make
        self._whole: QWidget | None = None
        self.empty = label("", "muted", wrap=True)
        """Says why there is nothing to see."""
        self.empty.setObjectName(f"{name}_empty")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setMargin(24)
        self.addWidget(self.empty)

    def say(self, why: str) -> None:
        """Show a sentence and nothing else."""
        self.empty.setText(why)
        self.setCurrentWidget(self.empty)

    def make(self) -> None:
        """Have what there is to see from now on, shown or not."""
        if self._whole is None:
            self._whole = self._make()
            self.addWidget(self._whole)

    def show_whole(self) -> None:
        """Show what there is to see."""
        self.make()
        assert self._whole is not None
        self.setCurrentWidget(self._whole)

    @property
    def is_made(self) -> bool:
        """Whether there has been something to see."""
        return self._whole is not None

    def is_whole(self) -> bool:
        """Return whether there is something to see."""
        return self.currentWidget() is not self.empty
