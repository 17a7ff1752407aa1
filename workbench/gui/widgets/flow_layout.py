"""A layout that goes on in the next line where one is full."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QStyle, QWidget

_METRIC = QStyle.PixelMetric


class FlowLayout(QLayout):
    """Widgets beside each other, each as large as it likes to be, as words stand in a text.

    After Qt's own example, https://doc.qt.io/qt-6/qtwidgets-layouts-flowlayout-example.html.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._items: list[QLayoutItem] = []
        self._across = self._down = -1

    def addItem(self, item: QLayoutItem) -> None:
        """Let an item be the last."""
        self._items.append(item)

    def count(self) -> int:
        """Return how many items there are."""
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        """Return an item; None where there is none."""
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        """Let go of an item, and return it; None where there is none."""
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def setHorizontalSpacing(self, pixels: int) -> None:
        """Leave so much between those beside each other, in place of what the style has."""
        self._across = pixels

    def horizontalSpacing(self) -> int:
        """Return what is left between those beside each other, in pixels."""
        return self._spacing(self._across, _METRIC.PM_LayoutHorizontalSpacing)

    def setVerticalSpacing(self, pixels: int) -> None:
        """Leave so much between two lines, in place of what the style has."""
        self._down = pixels

    def verticalSpacing(self) -> int:
        """Return what is left between two lines, in pixels."""
        return self._spacing(self._down, _METRIC.PM_LayoutVerticalSpacing)

    def expandingDirections(self) -> Qt.Orientation:
        """Be of use in any width."""
        return Qt.Orientation.Horizontal

    def hasHeightForWidth(self) -> bool:
        """Be as high as there are lines."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Return the height of all lines in a width."""
        return self._place(QRect(0, 0, width, 0), move=False)

    def minimumSize(self) -> QSize:
        """Need room for the largest."""
        size = QSize()
        for item in self._items:
            size = size.expandedTo(item.minimumSize())
        around = self.contentsMargins()
        return size + QSize(around.left() + around.right(), around.top() + around.bottom())

    def sizeHint(self) -> QSize:
        """Like no more room than it needs."""
        return self.minimumSize()

    def setGeometry(self, rect: QRect) -> None:
        """Place all items."""
        super().setGeometry(rect)
        self._place(rect, move=True)

    def _place(self, rect: QRect, *, move: bool) -> int:
        """Find every item's place, ``move`` it there, and return the height of all."""
        around = self.contentsMargins()
        inside = rect.marginsRemoved(around)
        x, y, high = inside.x(), inside.y(), 0
        across, down = self.horizontalSpacing(), self.verticalSpacing()
        for item in self._items:
            size = item.sizeHint()
            if high > 0 and x + size.width() > inside.right():
                x, y, high = inside.x(), y + high + down, 0
            if move:
                item.setGeometry(QRect(QPoint(x, y), size))
            x += size.width() + across
            high = max(high, size.height())
        return y + high - rect.y() + around.bottom()

    def _spacing(self, wanted: int, metric: QStyle.PixelMetric) -> int:
        parent = self.parentWidget()
        if wanted >= 0 or parent is None:
            return wanted
        return parent.style().pixelMetric(metric, None, parent)
