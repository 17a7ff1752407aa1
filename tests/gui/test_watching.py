"""A headless run in a process of its own, opened, steered and outlived by the window."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.folders import save_policy, save_reward
from helpers.window import Opened
from pytestqt.qtbot import QtBot

from workbench.gui.bridge import Bridge
from workbench.gui.controllers.other_processes import OtherProcesses
from workbench.store.store import Store
from workbench.training.events import State
from workbench.training.session_router import SessionRouter


@pytest.fixture
def headless(tmp_path: Path, home: Path) -> Iterator[subprocess.Popen[str]]:
    prompts = tmp_path / "p.txt"
    prompts.write_text("one\ntwo\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "train", "--home", str(home), "--cycles", "5000",
         "--policy", save_policy(tmp_path / "p"), "--reward", save_reward(tmp_path / "r"),
         "--prompts", str(prompts), "--set", "batch_size=4", "--set", "response_length=5"],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def watching(qtbot: QtBot, store: Store) -> Iterator[Opened]:
    """The window as the application composes it, with a session of its own."""
    bridge = Bridge()
    board = SessionRouter(store, bridge.put, threads=1)
    opened = Opened(store, board.send)
    bridge.events.connect(opened.controller.handle)
    elsewhere = OtherProcesses(opened.window, store, opened.background)
    with qtbot.waitExposed(opened.window):
        opened.window.show()
    yield opened
    elsewhere.stop()
    board.close()
    bridge.close()
    opened.close()


def test_a_headless_run_is_watched_and_steered(
    qtbot: QtBot, watching: Opened, store: Store, headless: subprocess.Popen[str]
) -> None:
    window, actions = watching.window, watching.window.actions_

    def until(condition: Callable[[], object]) -> None:
        qtbot.waitUntil(lambda: bool(condition()))

    until(lambda: window.runs.model.rowCount() == 1)
    assert window.runs.model.index(0, 3).data() == "running elsewhere"
    window.runs.table.selectRow(0)
    window.runs.open_selected()
    until(lambda: window.state is State.RUNNING)
    assert f"process {headless.pid} " in window.toast.text
    assert watching.controller.watched == 1
    until(lambda: window.metrics._run is not None and len(window.metrics._run.cycles) >= 3)
    assert list(window.metrics._run.cycles) == list(range(1, len(window.metrics._run.cycles) + 1))
    until(lambda: len(window.completions._cycles) >= 3)

    window.hyperparameters.form.set_values({"kl_coef": 0.4}, "test")
    actions["apply"].trigger()
    until(lambda: [(c.name, c.new, c.by) for c in store.changes(1)] == [
        ("kl_coef", 0.4, "person")])
    until(lambda: window.hyperparameters.history.tree.topLevelItemCount() == 1)

    actions["pause"].trigger()
    until(lambda: window.state is State.PAUSED)
    run = store.run(1)
    assert run.status == "paused"
    until(lambda: window.status.cycle.text() == f"Cycle {run.cycles} of 5000")
    assert headless.poll() is None
    actions["step"].trigger()
    until(lambda: window.note.text() == f"After cycle {run.cycles + 1}")

    headless.send_signal(signal.SIGKILL)
    until(lambda: window.toast.action_button.isVisible())
    assert "the process that trained it is gone" in window.toast.text
    assert store.run(1).status == "interrupted"
    until(lambda: window.state is State.IDLE)  # the window's own session
    assert watching.controller.watched is None
    until(lambda: window.runs.resume_button.isEnabled())


_OTHER_WINDOW = """
import sys
from pathlib import Path
from workbench.ppo.hyperparameters import parse
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training.events import State
from workbench.training.session import Session

home, policy, reward = sys.argv[1:]
store = Store(Path(home))
def on(event):
    if getattr(event, "state", None) is State.READY:
        session.send(do.Start(parse({
            "num_cycles": 5000, "batch_size": 2, "num_mini_batches": 1, "response_length": 4,
            "comparison_prompts": 1}), (do.PromptItem("one"), do.PromptItem("two"))))
session = Session(store, on, threads=1)
session.send(do.LoadModels(policy, (do.RewardPart(reward),)))
sys.stdin.readline()
session.close()
store.close()
"""


def test_a_watched_run_whose_window_is_closed_says_so(
    qtbot: QtBot, tmp_path: Path, home: Path, watching: Opened
) -> None:
    window = watching.window

    def until(condition: Callable[[], object]) -> None:
        qtbot.waitUntil(lambda: bool(condition()))
    with subprocess.Popen(
        [sys.executable, "-c", _OTHER_WINDOW, str(home), save_policy(tmp_path / "p"),
         save_reward(tmp_path / "r")], stdin=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}) as other:
        until(lambda: window.runs.model.rowCount() == 1)
        window.runs.table.selectRow(0)
        window.runs.open_selected()
        until(lambda: watching.controller.watched == 1)
        until(lambda: window.metrics._run is not None and len(window.metrics._run.cycles) >= 1)
        other.communicate("close")
    until(lambda: watching.controller.watched is None)
    until(lambda: window.state is State.IDLE)
    said = window.toast.text
    assert said.startswith("Run 1 was stopped after cycle ")
    assert "of 5000. The window that trained it was closed." in said
    assert window.toast.action_button.text() == "Resume"
    assert window.runs.model.index(0, 3).data() == "stopped"
