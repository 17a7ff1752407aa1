"""A label whose text changes while a run goes on."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget


class StillLabel(QWidget):
    """Holds a wrapping label. Qt lays out the whole window for every new text of a label in a
    layout; this one tells of nothing but another height."""

    def __init__(self, label: QLabel) -> None:
        super().__init__()
        self._label = label
        label.setParent(self)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._fit()

    def sizeHint(self) -> QSize:
        """As high as the text needs at this width."""
        return QSize(self._label.sizeHint().width(), self.minimumHeight())

    def event(self, event: QEvent) -> bool:
        """Take note that the text is another."""
        if event.type() == QEvent.Type.LayoutRequest:
            self._fit()
        return super().event(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Wrap anew."""
        super().resizeEvent(event)
        self._fit()

    def showEvent(self, event: QShowEvent) -> None:
        """Be as high as what was said meanwhile."""
        super().showEvent(event)
        self._fit()

    def _fit(self) -> None:
        height = max(self._label.heightForWidth(self.width()), self.fontMetrics().height())
        self._label.setGeometry(0, 0, self.width(), height)
        if height != self.minimumHeight():
            self.setFixedHeight(height)
