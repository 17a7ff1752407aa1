"""The list of comparisons: rows as high as their texts, laid out a few at a time."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, Qt, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QListView, QWidget

from workbench.gui.widgets.plain_text import plain_tip


class ComparisonList(QListView):
    """Enter or a double click opens a row; Ctrl+C copies it."""

    opened = Signal(QModelIndex)
    copied = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("completions_list")
        self.setAccessibleName("Completions before and after")
        self.setToolTip(plain_tip("Double click or Enter shows a row in full; Ctrl+C copies it"))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # Always there: a bar that comes and goes changes the width and every row's height.
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.verticalScrollBar().setSingleStep(24)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setLayoutMode(QListView.LayoutMode.Batched)
        self.setBatchSize(32)
        self.doubleClicked.connect(self.opened)

    def lay_out(self) -> None:
        """Give changed rows their height now: Qt would do it later, and paint everything twice."""
        self.executeDelayedItemsLayout()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Open with Enter, copy with Ctrl+C."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.opened.emit(self.currentIndex())
        elif event.matches(QKeySequence.StandardKey.Copy):
            self.copied.emit()
        else:
            super().keyPressEvent(event)

    def viewportEvent(self, event: QEvent) -> bool:
        """Let no tooltip of the whole list cover the texts."""
        return True if event.type() == QEvent.Type.ToolTip else super().viewportEvent(event)
