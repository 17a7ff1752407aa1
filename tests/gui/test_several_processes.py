"""Processes 2 in the window: they are started, watched and steered, and one process goes on."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from helpers.folders import save_policy, save_reward
from helpers.play import play, until
from helpers.processes import environment
from helpers.window import Opened
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from workbench.gui.app import Workbench
from workbench.gui.bridge import Bridge
from workbench.gui.controllers.other_processes import OtherProcesses
from workbench.store.store import Store
from workbench.training.commands import Fork
from workbench.training.comparing import find_ways, make_plan
from workbench.training.events import State
from workbench.training.session_router import SessionRouter

pytestmark = pytest.mark.slow


@pytest.fixture
def opened(
    qtbot: QtBot, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Opened]:
    """The window as the application composes it, with tiny models loaded."""
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    bridge = Bridge()
    board = SessionRouter(store, bridge.put, threads=1)
    made = Opened(store, board.send)
    bridge.events.connect(made.controller.handle)
    elsewhere = OtherProcesses(made.window, store, made.background)
    with qtbot.waitExposed(made.window):
        made.window.show()
    made.window.models.policy.set_source(str(save_policy(tmp_path / "p")))
    made.window.models.reward.set_source(str(save_reward(tmp_path / "r")))
    made.window.models.load()
    qtbot.waitUntil(lambda: made.window.state is State.READY)
    yield made
    elsewhere.stop()
    for one in computing():
        one.kill()
    board.close()
    bridge.close()
    made.close()


def computing() -> list[psutil.Process]:
    """Return the processes that compute a run, by the words that they were started with."""
    found = []
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has just ended
            if "hand-over" in one.cmdline() and "RANK" in one.environ():
                found.append(one)
    return found


def handed_over() -> list[psutil.Process]:
    """Return the processes that were started for a run, the launching one too."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has just ended
            if "hand-over" in process.cmdline():
                found.append(process)
    return found


def test_two_processes_are_started_steered_and_stopped_and_one_goes_on(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    window, actions, form = opened.window, opened.window.actions_, (
        opened.window.hyperparameters.form)

    def soon(condition: Callable[[], object]) -> None:
        qtbot.waitUntil(lambda: bool(condition()))

    form.set_values({
        "processes": 2, "num_cycles": 5000, "batch_size": 4, "num_mini_batches": 1,
        "response_length": 5, "comparison_prompts": 2}, "test")
    assert window.trains.sentence.endswith(", seed 0, in 2 processes")
    actions["start"].trigger()
    soon(lambda: "Starting 2 processes" in window.note.text())
    assert window.state is State.LOADING
    soon(lambda: window.state is State.RUNNING)
    ranks = computing()
    assert len(ranks) == 2
    soon(lambda: window.metrics._run is not None and len(window.metrics._run.cycles) >= 2)

    form.set_values({"kl_coef": 0.4}, "test")
    actions["apply"].trigger()
    soon(lambda: [(c.name, c.new) for c in store.changes(1)] == [("kl_coef", 0.4)])

    actions["pause"].trigger()
    soon(lambda: window.state is State.PAUSED)
    cycles = store.run(1).cycles
    actions["step"].trigger()
    soon(lambda: window.note.text() == f"After cycle {cycles + 1}")
    actions["stop"].trigger()
    soon(lambda: store.run(1).status == "stopped")
    assert not psutil.wait_procs(ranks, timeout=600)[1]

    soon(lambda: actions["pause"].isEnabled() and opened.controller.watched is None)
    form.set_values({"processes": 1}, "test")
    opened.controller.resuming.resume(1, step=True)
    soon(lambda: store.run(1).cycles == cycles + 2)
    assert not computing()
    assert ("processes", 2, 1) in [(c.name, c.old, c.new) for c in store.changes(1)]
    soon(lambda: window.state is State.PAUSED)
    actions["stop"].trigger()
    soon(lambda: store.run(1).status == "stopped")


@pytest.mark.parametrize("answer", ["leave_and_close", "stop_and_close"])
def test_closing_while_they_are_started_asks_whether_the_run_is_to_go_on(
    qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    home = tmp_path / "home"
    for name, value in environment().items():
        monkeypatch.setenv(name, value)

    async def close(workbench: Workbench) -> None:
        window = workbench.window
        await until(lambda: window.state is State.READY)
        window.hyperparameters.form.set_values({
            "processes": 2, "num_cycles": 5000, "batch_size": 4, "num_mini_batches": 1,
            "response_length": 5, "comparison_prompts": 2}, "test")
        window.actions_["start"].trigger()
        await until(lambda: "Starting 2 processes" in window.note.text())
        window.close()
        box = window.findChild(QMessageBox, "leave_question")
        assert box.text() == "The processes of a run are still being started. Close?"
        box.findChild(QPushButton, "leave_question_cancel").click()
        assert not workbench._exit.is_set()
        window.close()
        await until(lambda: window.findChild(QMessageBox, "leave_question") is not box)
        window.findChild(QMessageBox, "leave_question").findChild(QPushButton, answer).click()
        assert workbench._exit.is_set()

    async def come_back(workbench: Workbench) -> None:
        window, store = workbench.window, workbench.store
        if answer == "stop_and_close":
            assert store.runs() == []
            return
        await until(lambda: store.run(1) is not None and store.run(1).cycles >= 1)
        workbench.controller.show_run(1)  # which watches it
        await until(lambda: window.state is State.RUNNING)
        window.actions_["stop"].trigger()
        await until(lambda: store.run(1).status == "stopped")

    models = [str(save_policy(tmp_path / "p")), str(save_reward(tmp_path / "r"))]
    play(qapp, home, close, models=models)
    left = handed_over()
    if answer == "stop_and_close":
        assert not psutil.wait_procs(left, timeout=600)[1]
    play(qapp, home, come_back, models=models)
    assert not psutil.wait_procs(left, timeout=600)[1]


def test_what_the_processes_cannot_do_is_said(
    qtbot: QtBot, opened: Opened, tmp_path: Path
) -> None:
    window = opened.window
    window.hyperparameters.form.set_values({"processes": 2, "batch_size": 4}, "test")
    shutil.rmtree(tmp_path / "p")
    window.actions_["start"].trigger()
    qtbot.waitUntil(lambda: "What they said is in" in window.toast.text)
    assert str(tmp_path / "p") in window.toast.text
    qtbot.waitUntil(lambda: window.state is State.READY)
    assert not computing()


def test_a_process_that_is_killed_is_named_and_resume_offered(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    window = opened.window
    window.hyperparameters.form.set_values({
        "processes": 2, "num_cycles": 5000, "batch_size": 4, "num_mini_batches": 1,
        "response_length": 5, "comparison_prompts": 2}, "test")
    window.actions_["start"].trigger()
    qtbot.waitUntil(lambda: window.state is State.RUNNING)
    qtbot.waitUntil(lambda: store.run(1) is not None and store.run(1).cycles >= 2)
    next(p for p in computing() if p.environ()["RANK"] == "1").kill()
    qtbot.waitUntil(lambda: window.toast.action_button.isVisible())
    assert "Process 2 of 2 is gone" in window.toast.text
    assert window.toast.action_button.text() == "Resume"
    assert store.run(1).status == "interrupted"
    assert opened.controller.readiness.stopped.id == 1


def test_the_best_of_n_of_a_run_of_two_processes_are_sampled_by_two_and_can_be_stopped(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    window, frontier = opened.window, opened.window.frontier
    window.hyperparameters.form.set_values({
        "processes": 2, "num_cycles": 1, "batch_size": 4, "num_mini_batches": 1,
        "response_length": 5, "comparison_prompts": 2}, "test")
    window.actions_["start"].trigger()
    qtbot.waitUntil(lambda: store.run(1) is not None and store.run(1).status == "finished")
    qtbot.waitUntil(lambda: opened.controller.watched is None and not computing())
    window.reveal("frontier")
    button = frontier.controls.button
    qtbot.waitUntil(button.isEnabled)
    frontier.controls.n.setValue(64)
    button.click()
    qtbot.waitUntil(
        lambda: frontier._said.text() == "Sampling the best of n: starting its processes")
    qtbot.waitUntil(lambda: len(computing()) == 2)
    ranks = computing()
    button.click()
    qtbot.waitUntil(lambda: button.text() == "Best of n")
    assert not psutil.wait_procs(ranks, timeout=600)[1]
    assert store.best_of(1) == []
    frontier.controls.n.setValue(2)
    button.click()
    qtbot.waitUntil(lambda: len(store.best_of(1)) == 1)
    qtbot.waitUntil(lambda: button.text() == "Best of n")
    assert len(store.best_of(1)[0].rewards) == 2
    assert not opened.window.toast.text.startswith("The processes")


def test_each_run_of_a_comparison_is_computed_by_two(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    window, form = opened.window, opened.window.hyperparameters.form
    form.set_values({
        "processes": 2, "num_cycles": 1, "batch_size": 4, "num_mini_batches": 1,
        "response_length": 5, "comparison_prompts": 2}, "test")
    start = opened.controller.run_control.on_screen()
    plan = make_plan(find_ways(["PPO", "REINFORCE++"]), [0], start.hyperparameters, 4, "samples")
    opened.controller.comparing._begin(plan, start)
    qtbot.waitUntil(lambda: "All 2 runs of the comparison are done" in window.toast.text)
    assert [(run.status, run.hyperparameters["processes"]) for run in store.runs()] == [
        ("finished", 2), ("finished", 2)]
    assert not store.changes(1)
    qtbot.waitUntil(lambda: not computing())


def test_the_feedback_tour_follows_a_run_that_two_compute(
    qtbot: QtBot, opened: Opened, store: Store, tmp_path: Path
) -> None:
    window, controller = opened.window, opened.controller
    window.hyperparameters.form.set_values({
        "processes": 2, "num_cycles": 2, "batch_size": 4, "num_mini_batches": 1,
        "response_length": 5, "comparison_prompts": 2}, "test")
    controller.reward_making._folder = str(save_reward(tmp_path / "made"))
    window.actions_["feedback_tour"].trigger()
    dialog = controller.tour.dialog
    dialog.show_step(4)
    controller.tour.state_changed(window.state)
    dialog.ok.click()
    qtbot.waitUntil(lambda: dialog.step == 5)
    assert not dialog.ok.isVisible()
    assert store.run(1).hyperparameters["processes"] == 2
    qtbot.waitUntil(lambda: dialog.step == 6)
    qtbot.waitUntil(lambda: window.state is State.FINISHED)
    assert window.chip.text() == "Finished"
    dialog.close()
    window.hyperparameters.form.set_values({"num_cycles": 4}, "test")
    window.runs.model.set_ticked(())
    controller.resuming.go_on("Run 1", Fork(1, 2, {"num_cycles": 3}))
    qtbot.waitUntil(lambda: store.run(2) is not None and store.run(2).status == "finished")
    qtbot.waitUntil(lambda: window.runs.model.ticks == {1})
