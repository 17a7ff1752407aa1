"""What all dialogs share: names, margins, a size within the window, and going away when closed.

All are opened, never executed: the window goes on living.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QMessageBox,
    QPushButton,
    QToolButton,
    QWidget,
)

from workbench.gui.widgets.controls import goes_away, label, named
from workbench.gui.widgets.layouts import vbox
from workbench.gui.widgets.modality import HeldInput
from workbench.gui.widgets.plain_text import without_mnemonic

_MARGIN = 16


class Dialog(QDialog):
    """A titled window with a column of widgets, ``body``, and a row of ``buttons`` below it.

    A subclass fills ``body`` and ends with :meth:`finish`.
    """

    def __init__(self, parent: QWidget | None, name: str, title: str) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName(title)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.body = vbox(None, spacing=12)
        vbox(self, (self.body, 1), margins=_MARGIN, spacing=12)
        self.buttons = QDialogButtonBox()
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)

    def showEvent(self, event: QShowEvent) -> None:
        """Let no button become the default by standing beside a field."""
        for button in self.findChildren(QPushButton):
            button.setAutoDefault(False)
        super().showEvent(event)

    def open(self) -> None:
        """Show it before its parent's window, which does not answer meanwhile; what is typed there
        before the dialog has the keyboard counts as typed here."""
        parent = self.parentWidget()
        window = parent.window().windowHandle() if parent else None
        if window is None or QGuiApplication.platformName() == "cocoa":  # there it is a sheet
            super().open()
            return
        HeldInput(self, window)
        self.show()
        if self.focusWidget() is None:  # what has the keyboard once the dialog has
            self.focusNextChild()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter presses the button that has the keyboard, else the default one."""
        focus = self.focusWidget()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and isinstance(
                focus, QPushButton | QToolButton):
            focus.click()
        else:
            super().keyPressEvent(event)

    def focusNextPrevChild(self, next: bool) -> bool:
        """A control that goes away leaves the keyboard to the dialog, not to what is next."""
        if goes_away(self.focusWidget()):
            self.setFocus()
            return True
        return super().focusNextPrevChild(next)

    def add_action(self, text: str, name: str, tip: str,
                   call: Callable[[], object]) -> QPushButton:
        """Add a button that does something and leaves the dialog open."""
        button = self._add(text, name, tip, QDialogButtonBox.ButtonRole.ActionRole)
        button.clicked.connect(lambda _checked=False: call())
        return button

    def add_accept(self, text: str, name: str, tip: str, *, primary: bool = True) -> QPushButton:
        """Add the button that does what the dialog is for. Where it is ``primary``, Enter presses
        it; else Enter leaves."""
        button = self._add(text, name, tip, QDialogButtonBox.ButtonRole.AcceptRole,
                           "primary" if primary else "")
        button.setDefault(primary)
        return button

    def finish(self, leave: str, tip: str, width: int = 0, height: int = 0) -> QPushButton:
        """Put the buttons below, the last of which leaves ("Close", "Cancel"), and take the size
        wanted as far as the parent has it. Without a size the dialog is as large as it needs."""
        button = self._add(leave, f"{self.objectName()}_{leave.lower()}", tip,
                           QDialogButtonBox.ButtonRole.RejectRole)
        layout = self.layout()
        assert layout is not None
        layout.addWidget(self.buttons)
        default = next((b for b in self.buttons.buttons()
                        if isinstance(b, QPushButton) and b.isDefault()), button)
        default.setDefault(True)  # once more: now the dialog is there to be told
        parent = self.parentWidget()
        if width and parent:
            room = parent.window()
            self.resize(min(width, room.width() - 2 * _MARGIN),
                        min(height, room.height() - 2 * _MARGIN))
        elif not width:
            self.fit()
        return button

    def grow(self) -> None:
        """Be higher where a text has become longer; what stands in a shorter one stays."""
        layout = self.layout()
        if layout is not None and self.isVisible():
            layout.activate()
            self.resize(self.width(), max(self.height(), layout.totalHeightForWidth(self.width())))

    def fit(self) -> None:
        """Be as high as wrapped text needs, and no higher."""
        layout = self.layout()
        assert layout is not None
        self.buttons.updateGeometry()  # a button added to a finished dialog is not in it yet
        layout.activate()
        width = max(self.minimumWidth(), layout.totalSizeHint().width(),
                    self.width() if self.isVisible() else 0)
        self.resize(width, layout.totalHeightForWidth(width) if layout.hasHeightForWidth()
                    else layout.totalSizeHint().height())

    def _add(self, text: str, name: str, tip: str, role: QDialogButtonBox.ButtonRole,
             look: str = "") -> QPushButton:
        button = named(QPushButton(text), name, text.replace("&", ""), tip)
        button.setProperty("role", look)  # before it is first drawn
        button.setAutoDefault(False)
        self.buttons.addButton(button, role)
        button.ensurePolished()  # the style makes it wider, and a dialog asks before it is shown
        return button


def ask_for(
    parent: QWidget, name: str, title: str, question: str, field: QWidget, text: str, tip: str,
    then: Callable[[], object],
) -> Dialog:
    """Ask for what ``field`` takes; ``text`` and ``tip`` are those of the button that calls
    ``then``."""
    dialog = Dialog(parent, name, title)
    asked = label(without_mnemonic(question), wrap=True)
    asked.setBuddy(field)
    dialog.setMinimumWidth(360)
    named(field, f"{name}_field", question, tip)
    for widget in (asked, field):
        dialog.body.addWidget(widget)
    accept = dialog.add_accept(text, f"{name}_accept", tip)
    if isinstance(field, QComboBox) and (edit := field.lineEdit()):
        edit.returnPressed.connect(accept.click)  # a combo box keeps Enter to itself
    dialog.finish("Cancel", "Leave everything as it is")
    dialog.accepted.connect(lambda: then())
    dialog.open()
    field.setFocus()
    return dialog


def ask(
    parent: QWidget, name: str, title: str, sentence: str, more: str = "",
    answers: tuple[tuple[str, str, str, Callable[[], object]], ...] = (), *,
    icon: QMessageBox.Icon = QMessageBox.Icon.Question, leave: str = "Cancel",
    destroys: bool = False, enters: bool = False,
) -> QMessageBox:
    """Open a message with a button for each of ``answers`` (text, object name, tooltip, what it
    does) and one to leave it, which Enter does; with ``enters`` it gives the first answer."""
    box = QMessageBox(icon, title, sentence, QMessageBox.StandardButton.NoButton, parent)
    box.setObjectName(name)
    box.setAccessibleName(title)
    box.setTextFormat(Qt.TextFormat.PlainText)  # of what is set from here on
    box.setInformativeText(more)
    box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    roles = QMessageBox.ButtonRole
    for text, id_, tip, call in answers:
        button = box.addButton(text, roles.DestructiveRole if destroys else roles.AcceptRole)
        named(button, id_, text.replace("&", ""), tip)
        button.clicked.connect(lambda _checked=False, call=call: call())
    away = named(box.addButton(leave, roles.RejectRole), f"{name}_{leave.lower()}", leave,
                 "Close this message" if leave == "Close" else "Do nothing")
    box.setEscapeButton(away)
    first = box.findChild(QPushButton, answers[0][1]) if enters else None
    box.setDefaultButton(first or away)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    QDialog.open(box)
    return box


def choose_file(
    parent: QWidget, name: str, title: str, then: Callable[[list[Path]], object], *,
    filters: str = "", folder: bool = False, several: bool = False, at: str = "",
) -> QFileDialog:
    """Ask for a file that is there, for ``several``, or for a ``folder``."""
    mode = QFileDialog.FileMode
    dialog = _file_dialog(parent, name, title, at, filters, then)
    dialog.setFileMode(mode.Directory if folder else
                       mode.ExistingFiles if several else mode.ExistingFile)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly, folder)
    dialog.open()
    return dialog


def choose_new_file(
    parent: QWidget, name: str, title: str, suggestion: str, filters: str,
    then: Callable[[Path], object],
) -> QFileDialog:
    """Ask where to save. The first of ``filters`` says the ending until another is chosen."""
    dialog = _file_dialog(parent, name, title, suggestion, filters, lambda paths: then(paths[0]))
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setDefaultSuffix(_ending(filters.partition(";;")[0]))
    dialog.filterSelected.connect(lambda text: dialog.setDefaultSuffix(_ending(text)))
    dialog.open()
    return dialog


def _file_dialog(parent: QWidget, name: str, title: str, at: str, filters: str,
                 then: Callable[[list[Path]], object]) -> QFileDialog:
    dialog = QFileDialog(parent, title, at, filters)
    dialog.setObjectName(name)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.filesSelected.connect(lambda names: then([Path(found) for found in names]))
    return dialog


def _ending(filter_: str) -> str:
    """Return the ending of "JSON Lines (*.jsonl)"."""
    return filter_.rpartition(".")[2].rstrip(")")
