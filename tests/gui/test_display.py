"""The application on a real display: `xvfb-run -a python -m pytest -m xvfb`."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.play import SMALL, play, until
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox

from workbench.gui.app import Workbench
from workbench.store.store import Store
from workbench.training.events import State


@pytest.mark.xvfb
def test_a_person_opens_runs_and_closes(qapp: QApplication, home: Path) -> None:
    assert qapp.platformName() != "offscreen"

    async def scenario(workbench: Workbench) -> None:
        window = workbench.window
        assert window.isVisible()
        picture = window.screen().grabWindow(window.winId()).toImage()
        colours = {picture.pixel(x, y) for x in range(0, picture.width(), 7)
                   for y in range(0, picture.height(), 7)}
        assert len(colours) > 8  # painted, not blank
        await until(lambda: window.state is State.READY)
        window.hyperparameters.form.set_values(SMALL | {"num_cycles": 50}, "test")
        window.activateWindow()
        await until(window.isActiveWindow)
        QTest.keyClick(window, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
        await until(lambda: window.state is State.RUNNING)
        await until(lambda: window.metrics._run is not None and len(window.metrics._run.cycles))
        assert window.completions.table.isVisible()
        window.close()
        await until(lambda: window.findChild(QMessageBox, "close_question"))
        button = window.findChild(QMessageBox, "close_question").findChild(
            object, "stop_and_close")
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        assert workbench._exit.is_set()

    play(qapp, home, scenario)
    assert not [w for w in qapp.topLevelWidgets() if w.isVisible()]
    store = Store(home)
    run = store.run(1)
    store.close()
    assert run is not None
    assert run.status == "stopped"
    assert run.cycles >= 1
