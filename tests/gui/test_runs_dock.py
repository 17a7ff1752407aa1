"""Runs are listed, shown, renamed and deleted."""

from collections.abc import Iterator

import pytest
from helpers.window import fill
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QMessageBox
from pytestqt.qtbot import QtBot

from workbench.gui.background import Background
from workbench.gui.runs_dock import RunsDock, RunsModel
from workbench.store.store import Store

FAIL = QAbstractItemModelTester.FailureReportingMode.Fatal


@pytest.fixture
def background() -> Iterator[Background]:
    made = Background()
    yield made
    made.close()


@pytest.fixture
def dock(qtbot: QtBot, store: Store, background: Background) -> RunsDock:
    fill(store, 3)
    fill(store, 2, "Second", "stopped")
    dock = RunsDock(store, background)
    qtbot.addWidget(dock)
    dock.resize(400, 400)
    dock.show()
    return dock


def row(dock: RunsDock, number: int) -> list[object]:
    model = dock.model
    return [model.index(number, c).data() for c in range(model.columnCount())]


def test_model_keeps_the_rules(store: Store) -> None:
    model = RunsModel()
    tester = QAbstractItemModelTester(model, FAIL)
    fill(store)
    model.fill(store.runs(), store.reward_spans())
    fill(store)
    model.fill(store.runs(), store.reward_spans())
    model.fill(store.runs(), {})
    model.set_shown(1)
    model.fill([], {})
    del tester


def test_newest_comes_first(dock: RunsDock) -> None:
    assert row(dock, 0)[:4] == ["Second", "0.50 → 1.00", "2", "stopped"]
    assert row(dock, 1)[:4] == ["Run 1", "0.50 → 1.50", "3", "finished"]


def test_double_click_and_enter_show_a_run(qtbot: QtBot, dock: RunsDock) -> None:
    dock.table.selectRow(1)
    with qtbot.waitSignal(dock.opened) as opened:
        dock.table.doubleClicked.emit(dock.model.index(1, 0))
    assert opened.args == [1]
    dock.table.setFocus()
    with qtbot.waitSignal(dock.opened):
        qtbot.keyClick(dock.table, Qt.Key.Key_Return)


def test_details_name_what_differs_from_the_defaults(dock: RunsDock) -> None:
    dock.table.selectRow(1)
    assert dock._details.text() == (
        "Policy: policy. Reward: reward. Settings: Cycles 3, Learning rate 1e-4.")


def test_settings_can_be_taken_over(qtbot: QtBot, dock: RunsDock) -> None:
    dock.table.selectRow(0)
    with qtbot.waitSignal(dock.settings) as settings:
        dock.settings_button.click()
    assert settings.args[0]["learning_rate"] == 1e-4


def test_rename_in_place(qtbot: QtBot, dock: RunsDock, store: Store) -> None:
    dock.table.selectRow(1)
    with qtbot.waitSignal(dock.renamed):
        dock.model.setData(dock.model.index(1, 0), "Careful one")
    assert store.run(1).name == "Careful one"  # type: ignore[union-attr]
    assert row(dock, 1)[0] == "Careful one"
    assert not dock.model.setData(dock.model.index(1, 0), "  ")


def test_delete_asks_first(qtbot: QtBot, dock: RunsDock, store: Store) -> None:
    dock.table.selectRow(0)
    dock.delete_button.click()
    box = dock.findChild(QMessageBox, "delete_run")
    assert "Second" in box.text()
    assert store.run(2) is not None
    with qtbot.waitSignal(dock.deleted) as deleted:
        box.findChild(object, "confirm_delete").click()
    assert deleted.args == [2]
    assert store.run(2) is None
    assert dock.model.rowCount() == 1


def test_a_run_that_is_alive_cannot_be_deleted(dock: RunsDock, store: Store) -> None:
    store.set_status(2, "running").result()
    dock.refresh()
    dock.table.selectRow(0)
    assert not dock.delete_button.isEnabled()
    dock.delete_selected()
    assert dock.findChild(QMessageBox) is None


def test_empty_state_says_the_next_step(
    qtbot: QtBot, store: Store, background: Background
) -> None:
    dock = RunsDock(store, background)
    qtbot.addWidget(dock)
    assert "Press Start" in dock._stack.currentWidget().text()  # type: ignore[attr-defined]
