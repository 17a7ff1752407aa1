"""The notices that were shown, kept with their time until the window closes."""

from __future__ import annotations

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from workbench.gui.widgets.controls import enable, named
from workbench.gui.widgets.dialog import Dialog
from workbench.gui.widgets.toast import Notice, Toast

_LEVELS = {"info": "", "warning": "Warning: ", "error": "Error: "}


class Notifications(Dialog):
    """Lists the notices, newest first, as text that can be selected and copied."""

    def __init__(self, toast: Toast, parent: QWidget) -> None:
        super().__init__(parent, "notifications", "Notifications")
        self._toast = toast
        self.text = named(QPlainTextEdit(readOnly=True), "notifications_text", "Notifications",
                          "What the window has told since it was opened, newest first")
        self.text.setPlaceholderText("Nothing yet. What the window tells in passing is kept here.")
        self.text.setTabChangesFocus(True)
        self.body.addWidget(self.text)
        self._copy = self.add_action("Copy all", "copy_notifications",
                                     "Put all of it on the clipboard", self.copy)
        self.finish("Close", "Close the list", 640, 400)
        self._show()
        toast.told.connect(self._show)

    def copy(self) -> None:
        """Put all notices on the clipboard."""
        QGuiApplication.clipboard().setText(self.text.toPlainText())

    def _show(self) -> None:
        self.text.setPlainText("\n".join(_line(n) for n in reversed(self._toast.notices)))
        enable(self._copy, bool(self._toast.notices), "There is nothing to copy yet.")


def _line(notice: Notice) -> str:
    return f"{notice.at:%H:%M:%S}  {_LEVELS[notice.level]}{notice.sentence}"
