"""The application as a person meets it: bundled models, a run, a change, closing, coming back."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.disk import full
from helpers.play import SMALL, play, until
from helpers.window import fill
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import (
    QApplication,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QSystemTrayIcon,
)

from workbench.gui import app
from workbench.gui.app import Workbench
from workbench.gui.controllers.exporting import ExportDialog
from workbench.gui.errors import ErrorDialog, ErrorReporter
from workbench.gui.widgets.theme import themes
from workbench.store.home import StoreError
from workbench.store.store import Store
from workbench.training.events import State

pytestmark = pytest.mark.slow


@pytest.fixture
def plain_again(qapp: QApplication) -> Iterator[None]:
    """Take away what :func:`app.run` gives the application: under its style sheet, windows of later
    tests would take twice as long to make."""
    palette = qapp.palette()
    yield
    themes()._installed = False
    qapp.setStyleSheet("")
    qapp.setPalette(palette)


def trigger(workbench: Workbench, action: str) -> None:
    """Do what a click does: nothing when it is greyed."""
    assert workbench.window.actions_[action].isEnabled(), action
    workbench.window.actions_[action].trigger()


async def start(workbench: Workbench, **settings: object) -> None:
    window = workbench.window
    await until(lambda: window.state is State.READY)
    window.hyperparameters.form.set_values(SMALL | settings, "test")
    trigger(workbench, "start")
    await until(lambda: window.state is State.RUNNING)


def plotted(workbench: Workbench) -> list[int]:
    run = workbench.window.metrics._run
    return [int(c) for c in run.cycles] if run else []


def test_a_run_from_start_to_coming_back(qapp: QApplication, home: Path) -> None:
    async def first(workbench: Workbench) -> None:
        window = workbench.window
        await until(lambda: window.state is State.READY)
        window.hyperparameters.form.set_values(SMALL | {"num_cycles": 3, "kl_coef": 0.05}, "test")
        trigger(workbench, "step")
        await until(lambda: window.state is State.PAUSED)
        window.hyperparameters.form.set_values({"kl_coef": 0.2}, "test")
        trigger(workbench, "apply")
        trigger(workbench, "pause")
        await until(lambda: window.state is State.FINISHED)
        await until(lambda: plotted(workbench) == [1, 2, 3])
        assert window.hyperparameters.history.tree.topLevelItemCount() == 1
        assert workbench.store.compared_cycles(1) == [0, 1, 2, 3]
        assert window.models.policy.facts.isVisibleTo(window.models)

    async def again(workbench: Workbench) -> None:
        window = workbench.window
        await until(lambda: plotted(workbench) == [1, 2, 3])
        assert window.runs.newest.status == "finished"  # type: ignore[union-attr]
        assert window.windowTitle() == "Run 1 – PPO Workbench"
        assert window.hyperparameters.hyperparameters().response_length == 12
        assert window.hyperparameters.history.tree.topLevelItem(0).text(2) == "0.05 → 0.2"
        await until(lambda: window.state is State.READY)

    play(qapp, home, first)
    play(qapp, home, again)
    assert "The window is closed" in (home / "logs" / "workbench.log").read_text("utf-8")


def test_pause_step_resume_stop(qapp: QApplication, home: Path) -> None:
    async def scenario(workbench: Workbench) -> None:
        window = workbench.window
        await start(workbench, num_cycles=50)
        trigger(workbench, "pause")
        await until(lambda: window.state is State.PAUSED)
        done = window.runs.newest.cycles  # type: ignore[union-attr]
        trigger(workbench, "step")
        await until(lambda: window.runs.newest.cycles == done + 1  # type: ignore[union-attr]
                    and window.state is State.PAUSED)
        trigger(workbench, "pause")
        await until(lambda: window.state is State.RUNNING)
        trigger(workbench, "stop")
        assert window.chip.text() == "Stopping"
        await until(lambda: window.state is State.FINISHED)
        assert window.runs.newest.status == "stopped"  # type: ignore[union-attr]

    play(qapp, home, scenario)


def test_a_stopped_run_is_offered_and_resumed(qapp: QApplication, home: Path) -> None:
    async def first(workbench: Workbench) -> None:
        await start(workbench, num_cycles=50)
        await until(lambda: workbench.window.runs.newest.cycles >= 1)  # type: ignore[union-attr]
        trigger(workbench, "pause")
        await until(lambda: workbench.window.state is State.PAUSED)
        assert "written" in workbench.window.toast.text
        trigger(workbench, "stop")
        await until(lambda: workbench.window.state is State.FINISHED)

    async def again(workbench: Workbench) -> None:
        window = workbench.window
        newest = window.runs.newest
        assert newest is not None
        done = newest.cycles
        assert window.toast.text == f"Run 1 was stopped after cycle {done} of 50."
        window.toast.action_button.click()  # while the models are still being loaded
        await until(lambda: window.state is State.RUNNING)
        await until(lambda: len(plotted(workbench)) > done)
        assert plotted(workbench) == list(range(1, len(plotted(workbench)) + 1))
        assert window.completions._cycles[-1] > done
        assert window.hyperparameters.hyperparameters().num_cycles == 50
        assert workbench.store.run(2) is None

    play(qapp, home, first)
    play(qapp, home, again)


def test_closing_asks_while_a_run_is_alive(qapp: QApplication, home: Path) -> None:
    async def scenario(workbench: Workbench) -> None:
        window = workbench.window
        await start(workbench, num_cycles=50)
        window.close()
        box = window.findChild(QMessageBox, "close_question")
        box.findChild(object, "close_question_cancel").click()
        assert not workbench._exit.is_set()
        window.close()
        await until(lambda: window.findChild(QMessageBox, "close_question") is not box)
        box = window.findChild(QMessageBox, "close_question")
        box.findChild(object, "stop_and_close").click()
        assert workbench._exit.is_set()

    async def after(workbench: Workbench) -> None:
        assert workbench.window.runs.newest.status == "stopped"  # type: ignore[union-attr]

    play(qapp, home, scenario)
    play(qapp, home, after)


def test_closing_a_run_that_is_paused_and_written_says_that_nothing_is_lost(
    qapp: QApplication, home: Path
) -> None:
    async def scenario(workbench: Workbench) -> None:
        window = workbench.window
        await start(workbench, num_cycles=50)
        await until(lambda: plotted(workbench))
        trigger(workbench, "pause")
        await until(lambda: window.state is State.PAUSED)
        done = workbench.store.run(1).cycles
        window.close()
        box = window.findChild(QMessageBox, "close_question")
        assert box.text() == (
            f"Run 1 is paused after cycle {done}, whose checkpoint is written. Close?")
        assert box.informativeText() == "Resume goes on from there."
        assert box.findChild(QPushButton, "keep_running") is None
        box.findChild(QPushButton, "close_question_cancel").click()
        trigger(workbench, "step_into")  # what is held within a cycle is not kept
        await until(lambda: window.strip._within == "write")
        window.close()
        await until(lambda: window.findChild(QMessageBox, "close_question") is not box)
        box = window.findChild(QMessageBox, "close_question")
        assert box.text() == "A run is still alive. Stop it and close?"
        assert box.findChild(QPushButton, "keep_running") is not None
        box.findChild(QPushButton, "stop_and_close").click()

    play(qapp, home, scenario)


@pytest.mark.qt_log_ignore("systemTrayWindowChanged")  # the offscreen platform has none
@pytest.mark.parametrize("tray", [True, False])
def test_a_run_goes_on_without_its_window(
    qapp: QApplication, home: Path, monkeypatch: pytest.MonkeyPatch, tray: bool
) -> None:
    # The offscreen platform has none; the icon itself is the real one.
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", staticmethod(lambda: tray))
    told: list[str] = []
    monkeypatch.setattr(QSystemTrayIcon, "showMessage", lambda _, title, text, *more: told.append(
        text))

    async def scenario(workbench: Workbench) -> None:
        window, icon = workbench.window, workbench.tray.icon
        entries = {a.objectName(): a for a in workbench.tray.menu.actions()}
        await start(workbench, num_cycles=500)
        window.close()
        box = window.findChild(QMessageBox, "close_question")
        box.findChild(QPushButton, "keep_running").click()
        if not tray:
            assert window.isMinimized()
            assert not icon.isVisible()
            return
        assert not window.isVisible()
        assert icon.isVisible()
        await until(lambda: "Running, cycle 2 of 500" in icon.toolTip())
        assert icon.toolTip().startswith("Run 1 – PPO Workbench\n")
        entries["pause"].trigger()
        await until(lambda: "Paused" in icon.toolTip())
        assert entries["pause"].text() == "Resume"
        entries["tray_show"].trigger()
        assert window.isVisible()
        assert not icon.isVisible()
        workbench.tray.put_away()
        icon.activated.emit(QSystemTrayIcon.ActivationReason.Trigger)  # a click
        assert window.isVisible()
        workbench.tray.put_away()
        entries["pause"].trigger()
        await until(lambda: "Running" in icon.toolTip())
        assert not [text for text in told if "stopped" in text]  # warnings there may be
        entries["tray_stop"].trigger()
        await until(lambda: window.state is State.FINISHED)
        await until(lambda: told and told[-1].startswith("Run 1 stopped after "))
        assert not entries["tray_stop"].isEnabled()
        entries["tray_quit"].trigger()
        assert workbench._exit.is_set()

    async def after(workbench: Workbench) -> None:
        assert workbench.window.isVisible()

    play(qapp, home, scenario)
    play(qapp, home, after)


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits of Unix")
def test_a_full_disk_pauses_the_run_until_there_is_room(qapp: QApplication, home: Path) -> None:
    async def scenario(workbench: Workbench) -> None:
        window, toast = workbench.window, workbench.window.toast
        await start(workbench, num_cycles=500)
        await until(lambda: plotted(workbench))
        with full(home):
            await until(lambda: workbench.controller.held)
            done = workbench.store.run(1).cycles
            assert toast.text == window.note.text() == workbench.controller.held
            assert f"so the run is paused after cycle {done} and cycle {done + 1} waits in memory" \
                in toast.text
            window.close()
            box = window.findChild(QMessageBox, "close_question")
            assert "is not written when the window closes has to be made" in box.informativeText()
            box.findChild(object, "close_question_cancel").click()
            toast.action_button.click()
            assert not toast.isVisible()
            await until(lambda: toast.isVisible())  # there is no room yet
            assert window.state is State.PAUSED
            assert toast.action_button.isVisible()
        toast.action_button.click()
        await until(lambda: len(plotted(workbench)) > done + 1)
        assert plotted(workbench)[: done + 2] == list(range(1, done + 3))
        assert workbench.controller.held == ""

    play(qapp, home, scenario)


def test_a_second_window_on_the_same_home_says_so(qapp: QApplication, home: Path) -> None:
    async def scenario(workbench: Workbench) -> None:
        second = Workbench(home)
        with pytest.raises(StoreError, match=f"already open on {home}; use that window, or"):
            await second.serve()
        second.window.deleteLater()

    play(qapp, home, scenario)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal of Unix")
@pytest.mark.usefixtures("plain_again")
def test_an_interrupt_ends_a_window_that_has_nothing_to_work_with(
    qapp: QApplication, home: Path
) -> None:
    home.write_text("no folder")
    said: list[str] = []

    def interrupt() -> None:
        for dialog in qapp.topLevelWidgets():
            if isinstance(dialog, ErrorDialog) and dialog.isVisible():
                said.append(dialog.findChild(QLabel, "error_sentence").text())
                timer.stop()
                signal.raise_signal(signal.SIGINT)
    timer = QTimer(interval=20)
    timer.timeout.connect(interrupt)
    timer.start()
    assert app.run(home) == 1
    assert [sentence.partition(" (")[0] for sentence in said] == [
        f"The home folder {home} cannot be written"]


def test_closing_before_anything_is_loaded(qapp: QApplication, home: Path) -> None:
    async def scenario(workbench: Workbench) -> None:
        workbench.window.close()

    play(qapp, home, scenario)


def test_layout_and_choices_come_back(qapp: QApplication, home: Path) -> None:
    async def first(workbench: Workbench) -> None:
        workbench.window.docks["completions"].close()
        workbench.window.hyperparameters.form.set_values({"lam": 0.5}, "test")

    async def again(workbench: Workbench) -> None:
        assert workbench.window.docks["completions"].isHidden()
        assert workbench.window.hyperparameters.hyperparameters().lam == 0.5

    play(qapp, home, first)
    play(qapp, home, again)


@pytest.mark.usefixtures("plain_again")
def test_a_home_that_cannot_be_used_is_said(qapp: QApplication, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder", encoding="utf-8")
    said: list[str] = []

    def close_dialog() -> None:
        for dialog in qapp.topLevelWidgets():
            if isinstance(dialog, ErrorDialog) and dialog.isVisible():
                said.append(dialog.findChild(QLabel, "error_sentence").text())
                dialog.reject()

    timer = QTimer(interval=20)
    timer.timeout.connect(close_dialog)
    timer.start()
    assert app.run(blocked / "home") == 1
    timer.stop()
    assert len(said) == 1
    assert str(blocked) in said[0]


def test_an_unexpected_error_is_shown_once_and_logged(
    qapp: QApplication, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    errors = ErrorReporter()
    for _ in range(3):
        errors.loop_handler(None, {"exception": ValueError("lost")})
    qapp.processEvents()
    dialogs = [w for w in qapp.topLevelWidgets() if isinstance(w, ErrorDialog) and w.isVisible()]
    assert len(dialogs) == 1
    assert caplog.text.count("ValueError: lost") == 3
    dialogs[0].reject()


def test_a_policy_leaves_as_a_plain_folder(
    qapp: QApplication, home: Path, tmp_path: Path
) -> None:
    async def scenario(workbench: Workbench) -> None:
        window = workbench.window
        await start(workbench, num_cycles=1)
        await until(lambda: window.state is State.FINISHED)
        trigger(workbench, "export_policy")
        dialog = window.findChild(ExportDialog)
        dialog.findChild(QLineEdit, "export_folder").setText(str(tmp_path / "out"))
        dialog.findChild(QPushButton, "export_now").click()
        await until(lambda: "was exported to" in window.toast.text)
        assert window.state is State.FINISHED

    play(qapp, home, scenario)
    # The copy aside has become the folder itself.
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("out")] == ["out"]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        p.name for p in (tmp_path / "out").iterdir()}


def test_the_run_that_was_on_display_is_shown_again(qapp: QApplication, home: Path) -> None:
    store = Store(home)
    older, newer = fill(store), fill(store)
    store.close()

    async def first(workbench: Workbench) -> None:
        assert workbench.controller.shown == newer
        workbench.controller.show_run(older)

    async def again(workbench: Workbench) -> None:
        assert workbench.controller.shown == older

    async def newest(workbench: Workbench) -> None:
        assert workbench.controller.shown == newer + 1

    play(qapp, home, first)
    play(qapp, home, again)
    store = Store(home)
    fill(store)  # by another process, while no window was open
    store.close()
    play(qapp, home, newest)
