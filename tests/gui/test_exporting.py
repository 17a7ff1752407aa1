"""A run's policy is exported: asked for, refused in place, done, and shown where it lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.window import Opened, fill
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QComboBox, QFileDialog, QLabel, QLineEdit, QPushButton

from workbench.gui.controllers.exporting import ExportDialog
from workbench.store.folders import why_not_writable
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State


@pytest.fixture
def asked(opened: Opened, store: Store) -> ExportDialog:
    """The question, for a run with checkpoints after cycles 2 and 3."""
    run_id = fill(store, 3, "A/B: warm")
    for cycle in (2, 3):
        store.checkpoints.write(run_id, cycle, {}, {})
    opened.window.runs.refresh()
    opened.window.runs.table.selectRow(0)
    opened.controller.handle([ev.StateChanged(State.READY)])
    opened.window.actions_["export_policy"].trigger()
    return opened.window.findChild(ExportDialog)


def field(dialog: ExportDialog) -> QLineEdit:
    return dialog.findChild(QLineEdit, "export_folder")


def test_the_last_checkpoint_into_a_new_folder_is_offered(
    asked: ExportDialog, opened: Opened
) -> None:
    choice = asked.findChild(QComboBox, "export_cycle")
    assert [choice.itemText(i) for i in range(choice.count())] == [
        "After cycle 3, the last checkpoint", "After cycle 2", "At the start, before training"]
    assert field(asked).text().endswith("a-b-warm-cycle-3")
    choice.setCurrentIndex(1)
    assert field(asked).text().endswith("a-b-warm-cycle-2")


def test_what_is_asked_for_is_sent(asked: ExportDialog, opened: Opened, tmp_path: Path) -> None:
    field(asked).setText(str(tmp_path / "mine"))
    asked.findChild(QComboBox, "export_cycle").setCurrentIndex(2)
    assert field(asked).text() == str(tmp_path / "mine")  # a name of one's own stays
    asked.findChild(QPushButton, "export_now").click()
    assert opened.sent == [do.ExportRun(1, str(tmp_path / "mine"), 0)]
    # The next is offered beside it.
    opened.window.actions_["export_policy"].trigger()
    again = opened.window.findChildren(ExportDialog)[-1]
    assert field(again).text() == str(tmp_path / "a-b-warm-cycle-3")
    again.reject()
    assert len(opened.sent) == 1


def test_a_folder_that_cannot_be_used_is_said_in_place(
    asked: ExportDialog, opened: Opened, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    problem = asked.findChild(QLabel, "export_problem")
    for text, sentence in (
        (" ", "Name a folder"), ("relative", "whole path"), (str(tmp_path), "is not empty"),
        (str(tmp_path / "file" / "in"), "is a file; choose a folder"),
    ):
        field(asked).setText(text)
        asked.findChild(QPushButton, "export_now").click()
        assert sentence in problem.text()
        assert problem.isVisible()
        field(asked).setText("other")
        assert not problem.isVisible()
    assert opened.sent == []


def test_a_folder_is_browsed_for(asked: ExportDialog, tmp_path: Path) -> None:
    asked.findChild(QPushButton, "browse_export_folder").click()
    dialog = asked.findChild(QFileDialog, "export_folder_dialog")
    dialog.filesSelected.emit([str(tmp_path)])
    assert field(asked).text() == str(tmp_path)
    dialog.close()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs file permissions")
def test_a_locked_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "Nothing can be written" in why_not_writable(tmp_path / "new")
    tmp_path.chmod(0o700)


def test_exporting_waits_for_the_run_that_is_on(opened: Opened, store: Store) -> None:
    fill(store)
    opened.window.runs.refresh()
    opened.window.runs.table.selectRow(0)
    for state in State:
        opened.controller.handle([ev.StateChanged(state)])
        assert opened.window.actions_["export_policy"] in opened.window.runs.make_menu().actions()
        free = state in (State.IDLE, State.READY, State.FINISHED, State.FAILED)
        assert opened.window.actions_["export_policy"].isEnabled() is free, state


def test_nothing_selected_nothing_to_export(opened: Opened) -> None:
    opened.controller.handle([ev.StateChanged(State.READY)])
    assert not opened.window.actions_["export_policy"].isEnabled()


def test_where_it_lies_is_told_and_shown(
    opened: Opened, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: shown.append(url.toLocalFile()))
    run_id = fill(store)
    opened.controller.handle([ev.Exported(run_id, 3, str(tmp_path))])
    toast = opened.window.toast
    assert toast.text == (f"The policy of Run 1 after cycle 3 was exported to {tmp_path}, read "
                          "back and found the same.")
    toast.action_button.click()
    assert shown == [str(tmp_path)]
    opened.controller.handle([ev.Exported(run_id, 3, "/out", "There was too little memory.")])
    assert toast.text == ("The policy of Run 1 after cycle 3 was exported to /out. There was too "
                          "little memory.")
