"""The area that curves are drawn on, and what the pointer does there."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QFrame

from workbench.gui.metrics.axes import CycleAxis, ValueAxis


class _ViewBox(pg.ViewBox):
    """Wheel and drag move along x, with Shift a drag selects a part of it; on the y axis itself
    they move y."""

    moved = Signal(int)  # the axis that the person moved
    selected = Signal(float, float)  # from where to where in x
    clicked = Signal()
    _selecting = False

    def wheelEvent(self, ev, axis=None):
        """Zoom one axis."""
        super().wheelEvent(ev, axis=axis or 0)
        self.moved.emit(axis or 0)

    def mouseDragEvent(self, ev, axis=None):
        """Select a part of x, or pan one axis."""
        if ev.isStart():  # letting Shift go on the way changes nothing
            shift = ev.modifiers() & Qt.KeyboardModifier.ShiftModifier
            self._selecting = axis is None and bool(shift)
        if self._selecting:
            ev.accept()
            self.selected.emit(self.mapToView(ev.buttonDownPos()).x(),
                               self.mapToView(ev.pos()).x())
            return
        super().mouseDragEvent(ev, axis=axis or 0)
        self.moved.emit(axis or 0)

    def mouseClickEvent(self, ev):
        """Tell of a click."""
        ev.accept()
        self.clicked.emit()


class Canvas(pg.PlotWidget):
    """The plotting area. Tells where the pointer is in data coordinates."""

    hovered = Signal(object)  # (x, y) or None
    reset = Signal()

    def __init__(self) -> None:
        super().__init__(viewBox=_ViewBox(), enableMenu=False,
                         axisItems={"left": ValueAxis(), "bottom": CycleAxis()})
        self.setFrameShape(QFrame.Shape.NoFrame)
        # The view around has the keyboard: its keys mean the same over every plot.
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.hideButtons()
        self.setClipToView(True)
        self.setDownsampling(auto=True, mode="peak")

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Report the point under the pointer."""
        super().mouseMoveEvent(event)
        box = self.getViewBox()
        scene = self.mapToScene(event.position().toPoint())
        inside = box.sceneBoundingRect().contains(scene)
        point = box.mapSceneToView(scene)
        self.hovered.emit((point.x(), point.y()) if inside else None)

    def leaveEvent(self, event: QEvent) -> None:
        """Report that the pointer is gone."""
        super().leaveEvent(event)
        self.hovered.emit(None)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Ask for the whole run."""
        self.reset.emit()
        event.accept()
