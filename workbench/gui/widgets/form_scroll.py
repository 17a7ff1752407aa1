"""A scroll area for a form."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QScrollArea, QScrollBar, QWidget


class _QuietBar(QScrollBar):
    """Shows nothing where there is nothing to scroll."""

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the bar, if it has a way to go."""
        if self.maximum() > self.minimum():
            super().paintEvent(event)


class FormScroll(QScrollArea):
    """Scrolls downwards only. The scroll bar is always there, so that the fields do not become
    narrower when there is something to scroll: a width that depended on it could make the text
    wrap so that the bar goes again, without end."""

    def __init__(self, form: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent, widgetResizable=True)
        self.setVerticalScrollBar(_QuietBar())
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(form)
