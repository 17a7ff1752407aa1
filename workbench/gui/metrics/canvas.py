"""The area that curves are drawn on, and what the pointer does there."""

from __future__ import annotations

from typing import Any, Literal

import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QMouseEvent
from PySide6.QtWidgets import QFrame

from workbench.gui.metrics.axes import CycleAxis, ValueAxis
from workbench.gui.metrics.overlays import mix
from workbench.gui.widgets.theme import Theme

_SHORTEST = 4  # pixels of a drag that zooms; less is a hand that shook


class _ViewBox(pg.ViewBox):
    """A drag zooms on x, with Shift it selects a part of x. The wheel zooms x. The middle button
    moves along x, within the limits; on an axis itself wheel and drag move that axis."""

    moved = Signal(int)  # the axis that the person moved
    zoomed = Signal(float, float)  # to this part of x
    selected = Signal(float, float)  # from where to where in x
    clicked = Signal(float)  # where in x
    _drag: Literal["zoom", "select", "move"] = "move"

    def wheelEvent(self, ev: Any, axis: int | None = None) -> None:
        """Zoom one axis."""
        super().wheelEvent(ev, axis=axis or 0)
        self.moved.emit(axis or 0)

    def mouseDragEvent(self, ev: Any, axis: int | None = None) -> None:
        """Zoom to or select a part of x, or move one axis."""
        ev.accept()
        if ev.isStart():  # letting Shift go on the way changes nothing
            shift = ev.modifiers() & Qt.KeyboardModifier.ShiftModifier
            over_curves = axis is None and ev.button() == Qt.MouseButton.LeftButton
            self._drag = "move" if not over_curves else "select" if shift else "zoom"
        start, end = ev.buttonDownPos(), ev.pos()
        places = self.mapToView(start).x(), self.mapToView(end).x()
        if self._drag == "select":
            self.selected.emit(*places)
        elif self._drag == "zoom":
            self.updateScaleBox(QPointF(start.x(), 0), QPointF(end.x(), self.height()))
            if ev.isFinish():
                self.rbScaleBox.hide()
                if abs(end.x() - start.x()) >= _SHORTEST:
                    self.zoomed.emit(min(places), max(places))
        elif ev.button() != Qt.MouseButton.RightButton:
            super().mouseDragEvent(ev, axis=axis or 0)
            self.moved.emit(axis or 0)

    def mouseClickEvent(self, ev: Any) -> None:
        """Tell of a click."""
        if ev.button() == Qt.MouseButton.LeftButton and not ev.double():
            ev.accept()
            self.clicked.emit(self.mapToView(ev.pos()).x())


class Canvas(pg.PlotWidget):
    """The plotting area. Tells where the pointer is in data coordinates."""

    hovered = Signal(object)  # (x, y) or None
    reset = Signal()

    def __init__(self) -> None:
        super().__init__(viewBox=_ViewBox(enableMenu=False), enableMenu=False,
                         axisItems={"left": ValueAxis(), "bottom": CycleAxis()})
        self.setFrameShape(QFrame.Shape.NoFrame)
        # The view around has the keyboard: its keys mean the same over every plot.
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.hideButtons()
        self.setClipToView(True)
        self.setDownsampling(auto=True, mode="peak")

    def apply_theme(self, theme: Theme) -> None:
        """Draw in the colours of ``theme``."""
        self.setBackground(theme.base)
        for side in ("left", "bottom"):
            axis = self.getAxis(side)
            axis.setPen(theme.border)
            axis.setTextPen(theme.muted)
        band = self.getViewBox().rbScaleBox
        band.setPen(pg.mkPen(theme.accent))
        band.setBrush(pg.mkBrush(mix(theme.accent, theme.base, 0.2)))
        band.setZValue(-1)

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

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Leave the menu to the plot."""
        event.ignore()
