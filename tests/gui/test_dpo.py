"""DPO in the window: what it learns from is chosen, trained on, said and remembered."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from helpers.play import play, until
from helpers.preferences import few_bundled_pairs
from helpers.traces import fill
from helpers.window import PROMPTS, Opened, completions, ready
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from workbench.dpo.declaration import DPO
from workbench.gui.app import Workbench
from workbench.gui.distributions.reading import Known, read_picture
from workbench.gui.hyperparameters.data_line import DataLine
from workbench.ppo.declaration import PPO
from workbench.records import TokenTrace
from workbench.store.records import Prompt
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
    assert found.text.text() == f"Bundled pairs ({len(bundled_pairs().pairs):,} pairs)"
    found.open_file(wrote(tmp_path / "mine.jsonl", GOOD, {**GOOD, "rejected": " hot."}))
    qtbot.waitUntil(lambda: not found.reading)
    assert found.text.text() == "mine.jsonl (1 pair)"
    assert "1 pair, 1 left out: 1 equal texts. Left out: Line 2 has two equal answers." in (
        opened.window.toast.text)
    # A file without pairs changes nothing, and says why.
    found.open_file(wrote(tmp_path / "none.jsonl", {**GOOD, "rejected": " hot."}))
    qtbot.waitUntil(lambda: not found.reading)
    assert "none.jsonl holds no pairs" in opened.window.toast.text
    assert found.text.text() == "mine.jsonl (1 pair)"
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
    assert found.text.text() == "mine.jsonl (1 pair)"


def side(position: int, share: float, pieces: tuple[str, ...] = (" good", " tea")) -> TokenTrace:
    """A completion of a pair, whose first token gives ``share`` to its implicit reward at β 0.1."""
    start = np.array([-2.0, -1.0], np.float32)
    return TokenTrace(
        position, -1, np.arange(2, dtype=np.int32), pieces,
        {"logprob": start + np.array([10 * share, 0], np.float32), "ref_logprob": start}, None,
        ("The tea was", "The hotel had")[position // 2], share)


def fill_pairs(store: Store) -> int:
    run_id = store.create_run(
        name="", policy="/models/policy", reward="/models/reward", models={},
        hyperparameters=DPO.settings().model_dump(), algorithm="dpo",
        prompts=[Prompt(text) for text in PROMPTS]).result()
    store.record_comparison(run_id, 0, completions(0)).result()
    store.record_cycle(
        run_id, 1, metrics={"rewards/chosen": 0.3}, rollout=(), comparison=completions(1),
        keep_traces=10, traces=[side(0, 0.4), side(1, -0.2, (" awful", " tea")), side(2, 0.2),
                                side(3, 0.5, (" cold", " rooms"))]).result()
    return run_id


def test_tokens_show_the_chosen_beside_the_rejected(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    opened.controller.show_run(fill_pairs(store))
    view = opened.window.tokens
    opened.window.reveal("tokens")
    qtbot.waitUntil(lambda: view.list.count() == 4)
    assert view.controls.count.text() == "2 pairs, in the order drawn"
    model = view.list.model()
    assert [model.index(row, 0).data() for row in range(4)] == [
        "chosen  +0.40  The tea was good tea", "rejected  −0.20  … awful tea",
        "chosen  +0.20  The hotel had good tea", "rejected  +0.50  … cold rooms"]
    own, other = (view.findChild(QLabel, name) for name in ("tokens_title", "tokens_beside_title"))
    assert (own.text(), other.text()) == (
        "Chosen: implicit reward +0.40", "Rejected: implicit reward −0.20")
    assert view.text.toPlainText() == "The tea was good tea"
    assert view.pair.beside.toPlainText() == "The tea was awful tea"
    assert view.text.x() + view.text.parentWidget().x() < view.pair.beside.parentWidget().x()
    said = view.findChild(QLabel, "tokens_said")
    assert "gives +0.40 to the implicit reward +0.40" in said.text()
    # A token of the other one: it is that whose numbers show, and both texts stay where they are.
    cursor = view.pair.beside.textCursor()
    cursor.setPosition(len("The tea was aw"))
    view.pair.beside.setTextCursor(cursor)
    assert view.list.currentRow() == 1
    assert view.text.toPlainText() == "The tea was awful tea"
    assert (own.text(), other.text()) == (
        "Rejected: implicit reward −0.20", "Chosen: implicit reward +0.40")
    qtbot.waitUntil(lambda: view.pair.beside.parentWidget().x() < view.text.parentWidget().x())
    assert [step.piece for step in view.model.steps] == [" awful", " tea"]
    view.filter.show_text("hotel")
    assert view.controls.count.text() == "1 of 2 pairs, in the order drawn"
    view.filter.show_text("")
    # Another run's completions stand alone.
    opened.controller.show_run(fill(store))
    qtbot.waitUntil(lambda: view.list.count() == len(PROMPTS))
    assert own.isHidden()
    assert view.pair.beside.parentWidget().isHidden()


def test_a_run_on_the_bundled_pairs(qapp: QApplication, home: Path, tmp_path: Path) -> None:
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
        assert [len(spread.cycles) for spread in reading.spreads] == [2] * 5
        # It wrote none but what was compared, which the next must not learn from.
        before = dock.data_line.text.text()
        dock.data_line.take_run(1)
        await until(lambda: not dock.data_line.reading)
        assert "compared is never learned from" in window.toast.text
        assert dock.data_line.text.text() == before

    with few_bundled_pairs(tmp_path):
        play(qapp, home, scenario)
    store = Store(home)
    assert store.run_data(1) is not None
    store.close()
