"""What is this?: by the key of what has the keyboard or the pointer, from the menu of what is
clicked next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QApplication, QMenu, QWidget

from workbench.gui.what_is import explain_place, explain_what_has_the_keyboard

if TYPE_CHECKING:
    from workbench.gui.main_window import MainWindow

_HOW = "Click on what shall be explained; Esc ends this."
_NOTHING = ("Nothing is explained there: click on a plot, a term of the objective, a setting, a "
            "column or a tab.")


class Explaining(QObject):
    """``pointing``: the next click explains what it hits, and does nothing else."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._application = QApplication.instance() or QApplication()
        self.pointing = False
        self._by_menu = False
        self._pressed = False  # the release of this click, too, is nobody else's
        action = window.actions_["what_is"]
        for menu in action.associatedObjects():
            if isinstance(menu, QMenu):
                menu.aboutToHide.connect(self._menu_hides)
        window.actions_.on("what_is", self.explain)

    def explain(self) -> None:
        """Say what something is: what is clicked next, where it was asked for in the menu, or
        where nothing else is meant."""
        if self._by_menu or not explain_what_has_the_keyboard():
            self._point()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the click, and Escape."""
        kind = event.type()
        if kind == QEvent.Type.MouseButtonRelease and self._pressed:
            self._pressed = False
            self._application.removeEventFilter(self)
            return True
        if not self.pointing or not isinstance(watched, QWidget):
            return False
        if kind in (QEvent.Type.KeyPress, QEvent.Type.ShortcutOverride) and isinstance(
                event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            event.accept()
            self._end()
            self._application.removeEventFilter(self)
            return True
        if kind == QEvent.Type.MouseButtonPress and isinstance(event, QMouseEvent):
            self._end()
            self._pressed = True
            if event.button() == Qt.MouseButton.LeftButton and not explain_place(
                    watched, event.globalPosition().toPoint()):
                self._window.toast.show_message("info", _NOTHING)
            return True
        return False

    def _point(self) -> None:
        if not self.pointing:
            self.pointing, self._pressed = True, False
            QApplication.setOverrideCursor(Qt.CursorShape.WhatsThisCursor)
            self._application.installEventFilter(self)
        self._window.toast.show_message("info", _HOW)

    def _end(self) -> None:
        self.pointing = False
        self._window.toast.take_back(_HOW)
        QApplication.restoreOverrideCursor()

    def _menu_hides(self) -> None:
        """A menu hides just before what was chosen in it is done."""
        self._by_menu = True
        QTimer.singleShot(0, self, self._forget_menu)

    def _forget_menu(self) -> None:
        self._by_menu = False
