"""DPO in the window: what it learns from is chosen, trained on, said and remembered."""

from __future__ import annotations

import json
from pathlib import Path

from helpers.play import play, until
from helpers.window import Opened, ready
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from workbench.dpo.declaration import DPO
from workbench.gui.app import Workbench
from workbench.gui.distributions.reading import Known, read_picture
from workbench.gui.hyperparameters.data_line import DataLine
from workbench.ppo.declaration import PPO
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training.events import State
from workbench.training.pair_data import bundled_pairs

QUICK = {"num_cycles": 2, "batch_size": 4, "steps_per_cycle": 2, "response_length": 6,
         "comparison_prompts": 4, "eval_pairs": 8}


def line(opened: Opened) -> DataLine:
    return opened.window.hyperparameters.data_line


def wrote(path: Path, *records: dict[str, str]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


GOOD = {"prompt": "The tea was", "chosen": " hot.", "rejected": " a tea."}


def test_what_it_learns_from_is_chosen(qtbot: QtBot, opened: Opened, tmp_path: Path) -> None:
    ready(opened)
    dock, found = opened.window.hyperparameters, line(opened)
    assert not found.isVisibleTo(dock)
    dock.choose_algorithm(DPO)
    assert found.isVisibleTo(dock)
    assert found.text.text() == f"Bundled pairs ({len(bundled_pairs().pairs):,})"
    found.open_file(wrote(tmp_path / "mine.jsonl", GOOD, {**GOOD, "rejected": " hot."}))
    qtbot.waitUntil(lambda: not found.reading)
    assert found.text.text() == "mine.jsonl (1)"
    assert "1 pair, 1 left out: 1 equal texts. The first: Line 2 has two equal answers." in (
        opened.window.toast.text)
    # A file without pairs changes nothing, and says why.
    found.open_file(wrote(tmp_path / "none.jsonl", {**GOOD, "rejected": " hot."}))
    qtbot.waitUntil(lambda: not found.reading)
    assert "none.jsonl holds no pairs" in opened.window.toast.text
    assert found.text.text() == "mine.jsonl (1)"
    found.take_run(99)
    qtbot.waitUntil(lambda: not found.reading)
    assert "There is no run 99" in opened.window.toast.text
    opened.window.actions_["start"].trigger()
    started = [c for c in opened.sent if isinstance(c, do.Start)]
    assert started[-1].data is not None
    assert [p.prompt for p in started[-1].data.pairs] == ["The tea was"]
    dock.choose_algorithm(PPO)
    assert not found.isVisibleTo(dock)


def test_it_is_remembered(qtbot: QtBot, opened: Opened, tmp_path: Path) -> None:
    dock, found = opened.window.hyperparameters, line(opened)
    dock.choose_algorithm(DPO)
    assert "learns_from" not in dock.save_state()
    found.open_file(wrote(tmp_path / "mine.jsonl", GOOD))
    qtbot.waitUntil(lambda: not found.reading)
    state = dock.save_state()
    found.take_default()
    assert found.data is None
    dock.restore_state(state)
    qtbot.waitUntil(lambda: not found.reading)
    assert found.text.text() == "mine.jsonl (1)"


def test_a_run_on_the_bundled_pairs(qapp: QApplication, home: Path) -> None:
    async def scenario(workbench: Workbench) -> None:
        window, store = workbench.window, workbench.store
        dock = window.hyperparameters
        await until(lambda: window.state is State.READY)
        dock.choose_algorithm(DPO)
        dock.form.set_values({**QUICK}, "test")
        assert "by DPO" in window.trains.sentence
        window.actions_["start"].trigger()
        await until(lambda: window.state is State.RUNNING)
        assert not dock.data_line.button.isEnabled()
        assert "A run is on" in dock.data_line.button.toolTip()
        await until(lambda: window.state is State.FINISHED)
        assert window.metrics.plots() == list(DPO.default_plots)
        run = store.run(1)
        assert run is not None
        assert (run.algorithm, run.data["what"], run.cycles) == ("dpo", "Bundled pairs", 2)
        for name in window.docks:
            window.reveal(name)
        reading = read_picture(store, 1, None, Known())
        assert reading is not None
        assert (list(reading.cycles), reading.cycle) == ([1, 2], 2)
        assert [len(spread.cycles) for spread in reading.spreads] == [2, 2, 2]
        # Its completions make pairs for the next.
        dock.data_line.take_run(1)
        await until(lambda: not dock.data_line.reading)
        assert dock.data_line.text.text().startswith("Pairs of Run 1 (")

    play(qapp, home, scenario)
    store = Store(home)
    assert store.run_data(1) is not None
    store.close()
