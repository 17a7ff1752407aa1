"""What the store does not do in the background, the person is told in its own words."""

import sqlite3
import sys

import pytest
from helpers.disk import full
from helpers.window import Opened, fill
from pytestqt.qtbot import QtBot

from workbench.gui.errors import UNEXPECTED, ErrorDialog, ErrorReporter
from workbench.store.store import Store


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits of Unix")
def test_a_run_renamed_or_deleted_on_a_full_disk(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    window = opened.window
    run_id = fill(store)
    window.runs.refresh()
    for change in (lambda: window.runs._rename(run_id, "Another" * 20_000),
                   lambda: window.runs._delete(run_id)):
        with full(store.home), qtbot.waitSignal(opened.background.failed):
            change()
        assert window.toast.text.startswith("The disk cannot be written (disk I/O error): ")
        assert window.toast.isVisible()
        assert not window.findChildren(ErrorDialog)
    assert [run.name for run in store.runs()] == [f"Run {run_id}"]


def test_a_damaged_database_is_called_one(qtbot: QtBot, opened: Opened, tmp_path) -> None:
    file = tmp_path / "damaged.db"
    file.write_bytes(b"no database" * 1000)

    def read() -> None:
        db = sqlite3.connect(file)
        try:
            db.execute("select * from runs")
        finally:
            db.close()

    with qtbot.waitSignal(opened.background.failed):
        opened.background.run(read, lambda _: None)
    assert opened.window.toast.text.startswith("The experiment database is damaged (file is not")
    reporter = ErrorReporter()
    said: list[str] = []
    reporter.report = lambda sentence, details="": said.append(sentence)  # type: ignore[method-assign]
    for call in (read, lambda: 1 / 0):
        try:
            call()
        except Exception as error:
            reporter._main_hook(type(error), error, error.__traceback__)
    assert said[0] == opened.window.toast.text
    assert said[1] == UNEXPECTED
    assert "safe" not in UNEXPECTED
