"""Processes 2 in the window: they are started, watched and steered, and one process goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from helpers.folders import save_policy, save_reward
from helpers.processes import environment
from helpers.window import Opened
from pytestqt.qtbot import QtBot

from workbench.gui.bridge import Bridge
from workbench.gui.controllers.other_processes import OtherProcesses
from workbench.store.store import Store
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
    return [p for p in psutil.Process().children(recursive=True)
            if "hand-over" in p.cmdline() and "RANK" in p.environ()]


def test_two_processes_are_started_steered_and_stopped_and_one_goes_on(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    window, actions, form = opened.window, opened.window.actions_, (
        opened.window.hyperparameters.form)

    def until(condition: Callable[[], object]) -> None:
        qtbot.waitUntil(lambda: bool(condition()))

    form.set_values({
        "processes": 2, "num_cycles": 5000, "batch_size": 4, "num_mini_batches": 1,
        "response_length": 5, "comparison_prompts": 2}, "test")
    assert window.trains.sentence.endswith(", seed 0, in 2 processes")
    actions["start"].trigger()
    until(lambda: "Starting 2 processes" in window.note.text())
    assert window.state is State.LOADING
    until(lambda: window.state is State.RUNNING)
    ranks = computing()
    assert len(ranks) == 2
    until(lambda: window.metrics._run is not None and len(window.metrics._run.cycles) >= 2)

    form.set_values({"kl_coef": 0.4}, "test")
    actions["apply"].trigger()
    until(lambda: [(c.name, c.new) for c in store.changes(1)] == [("kl_coef", 0.4)])

    actions["pause"].trigger()
    until(lambda: window.state is State.PAUSED)
    cycles = store.run(1).cycles
    actions["step"].trigger()
    until(lambda: window.note.text() == f"After cycle {cycles + 1}")
    actions["stop"].trigger()
    until(lambda: store.run(1).status == "stopped")
    assert not psutil.wait_procs(ranks, timeout=600)[1]

    until(lambda: actions["pause"].isEnabled() and opened.controller.watched is None)
    form.set_values({"processes": 1}, "test")
    opened.controller.resuming.resume(1, step=True)
    until(lambda: store.run(1).cycles == cycles + 2)
    assert not computing()
    assert ("processes", 2, 1) in [(c.name, c.old, c.new) for c in store.changes(1)]
    until(lambda: window.state is State.PAUSED)
    actions["stop"].trigger()
    until(lambda: store.run(1).status == "stopped")


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
