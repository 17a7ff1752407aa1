"""While nobody looks at the window the system tells what matters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.window import Opened, fill
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QSystemTrayIcon

from workbench.gui.controllers.tray import Tray
from workbench.health import Finding
from workbench.store.store import Store
from workbench.training.events import (
    HealthChecked,
    RunFailed,
    RunFinished,
    State,
    StateChanged,
)

pytestmark = pytest.mark.qt_log_ignore("systemTrayWindowChanged")  # offscreen there is none
KL = Finding("kl", "serious", "KL is 90 nats.")
ALIKE = Finding("alike", "warning", "Half of the completions are alike.")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the system was asked to show. The offscreen platform shows nothing itself."""
    shown: list[str] = []
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", staticmethod(lambda: True))
    monkeypatch.setattr(QSystemTrayIcon, "showMessage",
                        lambda _, title, text, *more: shown.append(text))
    return shown


@pytest.fixture
def tray(opened: Opened, store: Store, told: list[str]) -> Iterator[Tray]:
    fill(store)
    tray = Tray(opened.window, lambda: None)
    opened.window.activateWindow()
    yield tray
    tray.icon.hide()


def test_a_run_that_warns_pauses_or_ends_is_told_while_the_window_is_elsewhere(
    opened: Opened, tray: Tray, told: list[str]
) -> None:
    opened.window.hide()
    assert QApplication.activeWindow() is None
    tray.handle([HealthChecked(1, 2, (ALIKE,))])
    tray.handle([HealthChecked(1, 3, (ALIKE,))])  # known already
    tray.handle([HealthChecked(1, 4, (KL, ALIKE), "KL runs away")])
    opened.controller.handle([StateChanged(State.FINISHED), finished := RunFinished(
        1, "finished", 3)])
    tray.handle([finished])
    tray.handle([RunFailed(1, "Memory ran out at <b>.", "details")])
    assert told[:2] == [
        "After cycle 2: Half of the completions are alike.",
        "The run pauses after cycle 4: KL runs away. KL is 90 nats."]
    assert told[2].startswith("Run 1 finished after 3 cycles.")
    assert told[3].replace("\u200b", "") == "Memory ran out at <b>."
    assert tray.icon.isVisible()
    opened.window.show()
    tray._came_back(Qt.ApplicationState.ApplicationActive)
    assert not tray.icon.isVisible()


def test_nothing_is_told_twice_to_who_looks_at_the_window(
    opened: Opened, tray: Tray, told: list[str]
) -> None:
    assert QApplication.activeWindow() is opened.window
    tray.handle([HealthChecked(1, 4, (KL,), "KL runs away"), RunFinished(1, "finished", 3)])
    assert told == []
    assert not tray.icon.isVisible()
