"""The mouse, as Qt tells a widget of it.

``QTest.mouseMove`` moves the one pointer of the platform instead, which tells whichever window lies
there first: that may be one of another test.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QWidget

NONE, LEFT = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton
_NO_KEY = Qt.KeyboardModifier.NoModifier
_KIND = QEvent.Type
# A hundred moves a second are all that pyqtgraph looks at else; those of a test come faster.
pg.setConfigOption("mouseRateLimit", 0)


def move(widget: QWidget, at: QPointF | QPoint) -> None:
    """Let the pointer move to a place of ``widget``."""
    _send(widget, _KIND.MouseMove, at, NONE, NONE, _NO_KEY)


def leave(widget: QWidget) -> None:
    """Let the pointer leave ``widget``."""
    QApplication.sendEvent(_target(widget), QEvent(_KIND.Leave))


def drag(widget: QWidget, places: Sequence[QPointF | QPoint],
         button: Qt.MouseButton = LEFT, keys: Qt.KeyboardModifier = _NO_KEY) -> None:
    """Let the pointer move to the first of some places of ``widget``, and with ``button`` pressed
    through the others to the last."""
    move(widget, places[0])
    _send(widget, _KIND.MouseButtonPress, places[0], button, button, keys)
    for at in places[1:]:
        _send(widget, _KIND.MouseMove, at, NONE, button, keys)
    _send(widget, _KIND.MouseButtonRelease, places[-1], button, NONE, keys)


def _target(widget: QWidget) -> QWidget:
    return widget.viewport() if isinstance(widget, QAbstractScrollArea) else widget


def _send(widget: QWidget, kind: QEvent.Type, at: QPointF | QPoint, button: Qt.MouseButton,
          held: Qt.MouseButton, keys: Qt.KeyboardModifier) -> None:
    target, where = _target(widget), QPointF(at)
    QApplication.sendEvent(
        target, QMouseEvent(kind, where, target.mapToGlobal(where), button, held, keys))
