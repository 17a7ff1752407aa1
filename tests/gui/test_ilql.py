"""ILQL in the window: whose completions it learns from is chosen, said and remembered; its tokens
are shown."""

from __future__ import annotations

import json
from pathlib import Path

from helpers.play import SMALL, play, until
from helpers.window import Opened, ready
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from workbench.dpo.declaration import DPO
from workbench.gui.app import Workbench
from workbench.gui.hyperparameters.data_line import DataLine
from workbench.ilql.declaration import ILQL
from workbench.ppo.declaration import PPO
from workbench.records import ScoredData
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training.events import State

QUICK = {"num_cycles": 2, "batch_size": 4, "steps_per_cycle": 2, "response_length": 6,
         "comparison_prompts": 4}
GOOD = {"prompt": "The tea was", "completion": " hot.", "score": 1}


def wrote(path: Path, *records: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_what_it_learns_from_is_chosen_and_remembered(
    qtbot: QtBot, opened: Opened, tmp_path: Path
) -> None:
    ready(opened)
    dock = opened.window.hyperparameters
    line = dock.data_line
    dock.choose_algorithm(ILQL)
    assert line.isVisibleTo(dock)
    assert line.text.text() == "No completions of finished runs of these models yet"
    assert "a file of completions with scores" in line.button.toolTip()
    line.open_file(wrote(tmp_path / "mine.jsonl", GOOD, {**GOOD, "score": ""}))
    qtbot.waitUntil(lambda: not line.reading)
    assert line.text.text() == "mine.jsonl (1 completion)"
    assert ("1 scored completion, 1 left out: 1 without a score. Left out: Line 2 has no score."
            ) in opened.window.toast.text
    line.take_runs([7])
    qtbot.waitUntil(lambda: not line.reading)
    assert "There is no run 7" in opened.window.toast.text
    assert line.text.text() == "mine.jsonl (1 completion)"
    # The pairs that DPO learns from are a choice of their own.
    dock.choose_algorithm(DPO)
    assert line.text.text().startswith("Bundled pairs")
    dock.choose_algorithm(ILQL)
    opened.window.actions_["start"].trigger()
    started = [c for c in opened.sent if isinstance(c, do.Start)]
    assert isinstance(started[-1].data, ScoredData)
    state = dock.save_state()
    line.take_default()
    assert "learns_from" not in dock.save_state()
    dock.restore_state(state)
    qtbot.waitUntil(lambda: not line.reading)
    assert line.text.text() == "mine.jsonl (1 completion)"


def test_what_was_chosen_for_another_algorithm_is_said_to_be_kept(
    qtbot: QtBot, opened: Opened, tmp_path: Path
) -> None:
    ready(opened)
    dock, toast = opened.window.hyperparameters, opened.window.toast
    line, field = dock.data_line, dock.algorithm_field
    assert [group for group in ILQL.settings.GROUPS if "completions" in group] == [
        "Compared completions"]

    def choose(title: str) -> None:
        field.setCurrentText(title)
        field.activated.emit(field.currentIndex())

    choose("KTO")
    assert [label.text() for label in line.findChildren(QLabel) if label.isVisibleTo(dock)][-1] == (
        "Data")
    line.open_file(wrote(tmp_path / "mine.jsonl", GOOD, {**GOOD, "score": 0}))
    qtbot.waitUntil(lambda: not line.reading)
    choose("ILQL")
    assert toast.text == (
        "ILQL learns from mine.jsonl, as was chosen for KTO; Choose… has something else.")
    line.take_default()
    toast.show_message("info", "Something else.")
    choose("KTO")
    assert toast.text == "Something else."


def offered(line: DataLine) -> list[str]:
    """Return what the menu of a line has."""
    line.button.click()
    found = [action.text() for action in line._menu.actions() if action.text()]
    line._menu.close()
    return found


def test_a_run_on_what_another_wrote(qapp: QApplication, home: Path) -> None:
    async def scenario(workbench: Workbench) -> None:
        window, store = workbench.window, workbench.store
        dock, line = window.hyperparameters, window.hyperparameters.data_line
        await until(lambda: window.state is State.READY)
        dock.choose_algorithm(ILQL)
        assert line.text.text() == "No completions of finished runs of these models yet"
        window.actions_["start"].trigger()
        await until(lambda: "there are none" in window.toast.text)
        dock.choose_algorithm(PPO)
        dock.form.set_values({**SMALL}, "test")
        window.actions_["start"].trigger()
        await until(lambda: window.state is State.FINISHED)
        dock.choose_algorithm(ILQL)
        dock.form.set_values({**QUICK}, "test")
        assert line.text.text() == "All finished runs of these models (1 run)"
        line.take_runs([1])
        await until(lambda: not line.reading)
        assert line.text.text().startswith("Completions of Run 1 (")
        window.actions_["start"].trigger()
        await until(lambda: window.state is State.RUNNING)
        assert "A run is on" in line.button.toolTip()
        await until(lambda: window.state is State.FINISHED)
        assert window.metrics.plots() == list(ILQL.default_plots)
        run = store.run(2)
        assert run is not None
        assert (run.algorithm, run.data["what"], run.cycles) == ("ilql", "Completions of Run 1", 2)
        await until(lambda: dock.data_line.button.isEnabled())
        # What learned from data wrote nothing to learn from.
        assert offered(line) == ["All finished runs of these models (1 run)",
                                 "Completions of a file…", "Completions of Run 1"]
        assert len(line.taken()) == 1
        dock.choose_algorithm(DPO)
        assert offered(line) == ["Bundled pairs", "Pairs of a file…",
                                 "Pairs of a run: there is none that makes any yet"]
        dock.choose_algorithm(ILQL)
        for name in window.docks:
            window.reveal(name)
        window.reveal("tokens")
        tokens = window.tokens
        await until(lambda: tokens.model.steps)
        assert "Q − V" in tokens._said.text()
        assert any(step.instead is not None for step in tokens.model.steps)
        assert tokens.controls.count.text() == "8 completions, in the order drawn"

    play(qapp, home, scenario)
    store = Store(home)
    data = store.run_data(2)
    assert isinstance(data, ScoredData)
    assert len(data.texts) > 8
    store.close()
