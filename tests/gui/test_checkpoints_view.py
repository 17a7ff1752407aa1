"""The checkpoints of a run, as the window shows them."""

import numpy as np
import pytest
from helpers.window import Opened, fill
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from workbench.gui.runs.checkpoints import CheckpointsView
from workbench.store.store import Store


def texts(view: CheckpointsView) -> list[list[str]]:
    table = view.table
    return [[table.item(row, column).text() for column in range(table.columnCount())]
            for row in range(table.rowCount())]


@pytest.fixture
def view(qtbot: QtBot, opened: Opened, store: Store) -> CheckpointsView:
    run_id = fill(store)
    for cycle, score in ((1, 2.5), (2, 1.0), (3, None), (4, 2.0)):
        store.checkpoints.write(
            run_id, cycle, [("a", np.ones(500_000, np.float32))], {}, score=score)
    (store.checkpoints.all(run_id)[1].path / "tensors-1.safetensors").write_bytes(b"?")
    opened.window.runs.refresh()
    opened.window.runs._select(run_id)
    opened.window.actions_["checkpoints"].trigger()
    found: CheckpointsView = opened.window.findChild(CheckpointsView, "checkpoints")
    qtbot.waitUntil(lambda: "checking…" not in [row[-1] for row in texts(found)])
    return found


def test_what_is_there_and_why(view: CheckpointsView) -> None:
    assert view.windowTitle() == "Checkpoints of Run 1"
    assert texts(view) == [
        ["4", "2.00", "2.0 MB", "last", "whole"], ["3", "–", "2.0 MB", "last", "whole"],
        ["2", "1.00", "0 kB", "–", "damaged"], ["1", "2.50", "2.0 MB", "best", "whole"]]
    assert view.summary.text().startswith("4 checkpoints, 6.0 MB in all. While the run goes on, "
                                          "the last 2, the best and the pinned ones are kept.")


def test_pin_and_delete(view: CheckpointsView, store: Store) -> None:
    view.table.selectRow(1)
    view.pin_button.click()
    assert texts(view)[1][3] == "last, pinned"
    assert view.pin_button.text() == "Unpin"
    store.checkpoints.prune(1, 1)
    assert [c.cycle for c in store.checkpoints.all(1)] == [1, 3, 4]
    view.pin_button.click()
    assert not store.checkpoints.all(1)[1].pinned
    view.delete_button.click()
    asked = view.findChild(QMessageBox, "delete_checkpoint_question")
    assert asked.text() == "Delete the checkpoint after cycle 3?"
    asked.reject()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert len(store.checkpoints.all(1)) == 3
    for _ in range(3):
        view.delete_button.click()
        view.findChild(QPushButton, "confirm_delete_checkpoint").click()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert texts(view) == []
    assert not view.delete_button.isEnabled()
    assert view.summary.text() == "There is no checkpoint: a resume begins this run again."
    assert store.checkpoints.all(1) == []


def test_nothing_selected(opened: Opened) -> None:
    opened.window.actions_["checkpoints"].trigger()
    assert opened.window.toast.text == "There is no run yet."
