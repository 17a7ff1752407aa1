"""A dialog that holds its window's input back and takes the keys typed there.

Qt drops what is typed at a window that a modal one blocks. Until the window manager has given the
keyboard to a dialog that opens, which takes tens of milliseconds, that is what a person types on.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QKeyEvent, QWindow
from PySide6.QtWidgets import QApplication, QDialog

_KEYS = {QEvent.Type.KeyPress, QEvent.Type.KeyRelease}
_PRESSES = {QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonDblClick,
            QEvent.Type.TouchBegin, QEvent.Type.TabletPress}
_HELD = _PRESSES | {
    QEvent.Type.MouseButtonRelease, QEvent.Type.MouseMove, QEvent.Type.Wheel,
    QEvent.Type.TouchUpdate, QEvent.Type.TouchEnd, QEvent.Type.TabletMove,
    QEvent.Type.TabletRelease, QEvent.Type.NativeGesture, QEvent.Type.DragEnter,
    QEvent.Type.DragMove, QEvent.Type.Drop, QEvent.Type.Close}


class HeldInput(QObject):
    """What is done at ``window`` while ``dialog`` is open goes to the dialog, if it is a key, and
    nowhere else."""

    def __init__(self, dialog: QDialog, window: QWindow) -> None:
        super().__init__(dialog)
        self._dialog, self._window = dialog, window
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        self._moved = app.focusWindowChanged
        window.installEventFilter(self)
        self._let_go()
        self._moved.connect(self._focus_moved)
        dialog.finished.connect(self.end)

    def _let_go(self) -> None:
        """Let nothing look as if the pointer stayed over it."""
        for widget in QApplication.allWidgets():
            if widget.underMouse() and widget.window().windowHandle() is self._window:
                QApplication.sendEvent(widget, QEvent(QEvent.Type.Leave))

    def end(self) -> None:
        """Let the window have its input again."""
        self._window.removeEventFilter(self)
        self._moved.disconnect(self._focus_moved)
        self._dialog.finished.disconnect(self.end)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Pass keys on, hold the rest back."""
        kind = event.type()
        if kind in _KEYS and isinstance(event, QKeyEvent):
            # The key that opened the dialog may still be held down.
            if not event.isAutoRepeat() and self._dialog.isVisible():
                QApplication.sendEvent(self._dialog.focusWidget() or self._dialog, QKeyEvent(
                    kind, event.key(), event.modifiers(), event.text()))
            return True
        if kind in _PRESSES:
            self._take_focus()
        return kind in _HELD

    def _focus_moved(self, window: QWindow | None) -> None:
        if window is self._window:
            self._take_focus()

    def _take_focus(self) -> None:
        if self._dialog.isVisible():
            self._dialog.raise_()
            self._dialog.activateWindow()
