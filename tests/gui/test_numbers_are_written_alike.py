"""A number is written in one way wherever it is shown, and is called by one name."""

from __future__ import annotations

import pytest
from helpers.window import Opened, completions, fill, ready
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QTableWidget
from pytestqt.qtbot import QtBot

from workbench import cli
from workbench.algorithms import find_metric
from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD
from workbench.gui.runs.branch_dialog import BranchDialog
from workbench.gui.runs.checkpoints import CheckpointsView
from workbench.gui.runs.comparison import compare
from workbench.gui.runs.dock import describe
from workbench.learning.guide import say_kl
from workbench.learning.metrics import COMPARED, KL, SCORES
from workbench.ppo.declaration import PPO
from workbench.run_lines import cycle_line
from workbench.store.store import Store
from workbench.training.events import CycleFinished

MEASURED = {SCORES: -0.14021, COMPARED: -0.72344, KL: 4.8e-6, "policy/clipfrac": 0.11133,
            "seconds": 2.0, "tokens_per_second": 812.0}


@pytest.fixture
def run_id(store: Store) -> int:
    found = fill(store, 2)
    rows = [type(row)(**{f: getattr(row, f) for f in row.__slots__} | {"score": MEASURED[COMPARED]})
            for row in completions(3)]
    store.record_cycle(found, 3, metrics=MEASURED, rollout=[], comparison=rows).result()
    store.checkpoints.write(found, 3, {}, {}, score=MEASURED[COMPARED])
    return found


def written(name: str) -> str:
    return find_metric(name).text(MEASURED[name])


def test_a_metric_is_written_in_one_way() -> None:
    assert [written(name) for name in MEASURED] == [
        "−0.14", "−0.72", "0", "0.111", "2.00", "812"]
    small = [find_metric(SCORES).text(value) for value in (0, -0.00559, 0.00421, -4.21e-5)]
    assert small == ["0.00", "−0.01", "0.0042", "−4.2e-5"]
    kl = find_metric(KL)
    assert (kl.text(-0.3), kl.in_full(-0.0206)) == (
        "−0.300", "−0.0206, below 0 by chance of few samples")
    assert (kl.in_full(-1e-9), kl.in_full(0.3)) == ("0", "0.300")
    assert find_metric(SCORES).in_full(-0.3) == "−0.30"
    assert say_kl({KL: -0.0206}, {}) == (
        "KL −0.0206 nats a completion, below 0 by chance of few samples")
    assert say_kl({KL: 6.42}, {}) == "KL 6.4 nats a completion"


def test_every_view_writes_a_metric_alike(
    qtbot: QtBot, opened: Opened, store: Store, run_id: int
) -> None:
    window = opened.window
    window.runs.refresh()
    opened.controller.show_run(run_id)
    view = window.metrics
    view.choose_plots([SCORES, COMPARED, KL, "policy/clipfrac"])
    qtbot.waitUntil(lambda: view._run is not None and len(view._run.cycles) == 3)
    view.repaint_now()
    for plot in view._grid:
        assert plot._header._values[0].text() == written(plot.about.name)
    view._pointing.selection.set(3, 3)
    view._selected()
    view.repaint_now()
    for plot in view._grid:
        known = plot._statistics.accessibleDescription()
        assert f"mean {written(plot.about.name)}, min" in known, known
    first = find_metric(SCORES).text(0.5)
    assert window.runs.model.index(0, 1).data() == f"{first} → {written(SCORES)}"
    window.runs._select(run_id)
    window.actions_["fork_run"].trigger()
    asked = window.findChild(BranchDialog)
    cells = [asked.checkpoints.item(0, column).text() for column in (1, 2)]
    assert cells == [written(COMPARED), written(KL)]
    asked.reject()
    window.actions_["checkpoints"].trigger()
    kept = window.findChild(CheckpointsView)
    assert kept.table.item(0, 1).text() == written(COMPARED)
    kept.reject()
    run = store.run(run_id)
    assert run
    rows = {row.title: row.cells for row in compare(store, [run, run])}
    assert rows["Last training reward"] == (written(SCORES),) * 2
    assert rows["Last KL to start policy"] == (f"{written(KL)} nats",) * 2
    window.reveal("completions")
    headline = window.completions._summary
    qtbot.waitUntil(lambda: f"<b>{written(COMPARED)}</b>" in headline.text())


def test_the_command_line_writes_a_metric_as_the_window_does(
    store: Store, run_id: int, capsys: pytest.CaptureFixture[str]
) -> None:
    line = cycle_line(CycleFinished(run_id, 3, 20, MEASURED), PPO.figures)
    assert "  training reward -0.14  KL 0  outside band 0.111  " in line
    store.close()
    assert cli.main(["runs", "--home", str(store.home)]) == 0
    listed = capsys.readouterr().out
    assert "training reward" in listed
    assert "0.50 to -0.14" in listed


def test_each_reward_has_one_name(opened: Opened, store: Store) -> None:
    window, run_id = opened.window, fill(store)
    store.checkpoints.write(run_id, 3, {}, {})
    window.runs.refresh()
    window.runs._select(run_id)
    training, compared = (find_metric(name).label for name in (SCORES, COMPARED))
    assert (training, compared) == ("Training reward", "Compared reward")
    horizontal = Qt.Orientation.Horizontal
    assert window.runs.model.headerData(1, horizontal, Qt.ItemDataRole.DisplayRole).split() == (
        training.split())
    assert PPO.figures[0].label == training.lower()
    for action in ("fork_run", "checkpoints"):
        window.actions_[action].trigger()
    tables = window.findChildren(QTableWidget)
    titles = [table.horizontalHeaderItem(1).text() for table in tables
              if table.columnCount() in (4, 5)]
    assert titles == [compared, compared]
    opened.controller.show_run(run_id)
    window.completions._load()
    assert window.findChild(QLabel, "completions_summary").text().startswith(compared)


def test_the_models_that_ship_have_one_name(opened: Opened, store: Store) -> None:
    run_id = store.create_run(
        name="", policy=str(BUNDLED_POLICY), reward=str(BUNDLED_REWARD), prompts=[],
        models={"reward": [{"source": str(BUNDLED_REWARD), "weight": 1.0}]},
        hyperparameters={}).result()
    run = store.run(run_id)
    assert run
    said = "Policy: bundled policy. Reward: bundled reward."
    assert said in describe(run, [])
    ready(opened)
    assert "bundled policy with bundled reward" in opened.window.trains.sentence
