"""What is typed while a dialog opens is not lost, and the window below it does not answer."""

from __future__ import annotations

import pytest
from helpers.window import Opened, fill
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QWindow
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit
from pytestqt.qtbot import QtBot

from workbench.gui.runs.branch_dialog import BranchDialog
from workbench.gui.widgets.dialog import Dialog, ask_for
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State


@pytest.fixture
def handle(qtbot: QtBot, opened: Opened, store: Store) -> QWindow:
    """The window on the screen, with a run that is selected."""
    store.checkpoints.write(fill(store, 2), 2, {}, {})
    opened.window.show()
    qtbot.waitExposed(opened.window)
    opened.controller.handle([ev.StateChanged(State.READY)])
    opened.window.runs.refresh()
    opened.window.runs._select(1)
    return opened.window.windowHandle()


def type_at(handle: QWindow, text: str) -> None:
    for letter in text:
        QTest.keyClick(handle, letter)


def is_open(opened: Opened) -> bool:
    return any(dialog.isVisible() for dialog in opened.window.findChildren(Dialog))


def test_a_name_typed_before_the_dialog_has_the_keyboard_is_the_name(
    opened: Opened, handle: QWindow
) -> None:
    opened.window.actions_["fork_run"].trigger()
    type_at(handle, "bold one")
    dialog = opened.window.findChild(BranchDialog)
    assert dialog.name.text() == "bold one"
    QTest.keyClick(handle, Qt.Key.Key_Return)
    assert do.Fork(1, 2, {"num_cycles": 22}, "bold one") in opened.sent
    assert not is_open(opened)


def test_escape_typed_at_once_leaves_the_dialog(opened: Opened, handle: QWindow) -> None:
    opened.window.actions_["go_back"].trigger()
    assert is_open(opened)
    QTest.keyClick(handle, Qt.Key.Key_Escape)
    assert not is_open(opened)
    assert not [c for c in opened.sent if isinstance(c, do.GoBack)]


def test_the_window_does_not_answer_while_a_dialog_is_open(
    qtbot: QtBot, opened: Opened, handle: QWindow
) -> None:
    window = opened.window
    answers: list[str] = []
    field = QLineEdit()
    button = window.metrics.controls.log
    window.reveal("metrics")
    qtbot.waitUntil(lambda: not button.visibleRegion().isEmpty())
    at = button.mapTo(window, button.rect().center())

    def click() -> bool:
        QTest.mouseClick(handle, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)
        return button.isChecked()
    assert click()
    ask_for(window, "asked", "Asked", "What?", field, "Use", "Use it",
            lambda: answers.append(field.text()))
    assert click()  # it does nothing
    QApplication.sendEvent(handle, QEvent(QEvent.Type.Close))
    assert window.isVisible()
    type_at(handle, "abc")
    assert field.text() == "abc"
    QTest.keyClick(handle, Qt.Key.Key_Return)
    assert answers == ["abc"]
    assert not is_open(opened)
    assert not click()
