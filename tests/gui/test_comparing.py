"""Comparing ways to learn from the window: the dialog, and one run after the other."""

from pathlib import Path

import pytest
from helpers.play import play, until
from helpers.window import Opened, ready
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from workbench.dpo.declaration import DPO
from workbench.gui.comparing_dialog import ComparingDialog
from workbench.ilql.declaration import ILQL
from workbench.ppo.declaration import PPO
from workbench.ppo.hyperparameters import parse
from workbench.records import Pair
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.comparing import Plan, progress
from workbench.training.events import State
from workbench.training.pair_data import bundled_pairs


def ask(opened: Opened) -> ComparingDialog:
    opened.window.actions_["compare_algorithms"].trigger()
    return opened.window.findChildren(ComparingDialog)[-1]


@pytest.fixture
def asked(opened: Opened, store: Store) -> ComparingDialog:
    """The dialog, opened with the models in memory."""
    ready(opened)
    return ask(opened)


def test_it_says_what_it_would_train(asked: ComparingDialog) -> None:
    assert [box.text() for box in asked.boxes if box.isChecked()] == ["PPO", "GRPO", "RLOO"]
    asked.seeds.setText("0, 1")
    asked.budget.setText("640")
    assert asked.said.text().startswith(
        "6 runs:\nPPO, GRPO, RLOO: 10 cycles of 64 completions: 640 written.")
    asked.budget.setText("650")  # in whole cycles
    assert "11 cycles of 64 completions: 704 written." in asked.said.text()
    asked.budget.setText("640")
    asked.unit.setCurrentIndex(asked.unit.findData("seconds"))
    assert asked.said.text().startswith(
        "6 runs until 640 seconds are over:\nPPO, GRPO, RLOO: cycles of 64 completions.")
    assert asked.start.isEnabled()


@pytest.mark.parametrize(("field", "text", "sentence"), [
    ("seeds", "0; 1", "Seeds are whole numbers with commas between"),
    ("seeds", "", "Seeds are whole numbers"),
    ("budget", "1,000", "whole number, without separators"),
    ("budget", "0", "must be above 0"),
    ("budget", "63", "let each run have at least 64"),
])
def test_what_is_mistyped_is_said(
    asked: ComparingDialog, field: str, text: str, sentence: str
) -> None:
    getattr(asked, field).setText(text)
    assert sentence in asked.said.text()
    assert not asked.start.isEnabled()
    assert sentence in asked.start.toolTip()


def test_each_algorithm_has_what_stood_in_the_form_for_it(opened: Opened, store: Store) -> None:
    ready(opened)
    dock = opened.window.hyperparameters
    dock.choose_algorithm(DPO)
    dock.form.set_values({"batch_size": 5}, "test")
    dock.choose_algorithm(PPO)
    dock.form.set_values({"batch_size": 16, "num_cycles": 3}, "test")
    dock.choose_algorithm(ILQL)
    dialog = ask(opened)
    assert dialog.start.isDefault()
    assert dialog.budget.text() == "48"
    for box in dialog.boxes:
        box.setChecked(box.text() in ("GRPO", "DPO", "ILQL"))
    pairs = len(bundled_pairs().pairs)
    assert dialog.said.text().splitlines()[:4] == [
        "3 runs:", "GRPO: 3 cycles of 16 completions: 48 written.",
        f"DPO: 3 cycles of 5 pairs, 4 times: 60 drawn from Bundled pairs ({pairs:,} pairs).",
        "ILQL: 3 cycles of 64 completions, 20 times: 3,840 drawn from "
        "what runs of these models that have finished by then wrote (now 0 runs)."]
    titles = {each.text() for each in dialog.findChildren(QLabel)}
    assert "&Each run writes" in titles
    assert "DPO, ILQL: from data, for as many cycles as Hyperparameters say." in dialog.said.text()
    dialog.unit.setCurrentIndex(dialog.unit.findData("seconds"))
    titles = {each.text() for each in dialog.findChildren(QLabel)}
    assert "&Each run has" in titles


def test_what_would_find_nothing_to_learn_from_is_said_before_the_first_run(
    asked: ComparingDialog,
) -> None:
    for box in asked.boxes:
        box.setChecked(box.text() in ("DPO", "ILQL"))
    assert "ILQL learns from what finished runs of the same models wrote" in asked.said.text()
    assert not asked.start.isEnabled()
    next(box for box in asked.boxes if box.text() == "GRPO").setChecked(True)
    assert asked.start.isEnabled()


def test_all_that_is_said_is_seen_however_long(asked: ComparingDialog, styled: None) -> None:
    for box in asked.boxes:
        box.setChecked(True)
        QApplication.processEvents()
        assert asked.said.height() >= asked.said.heightForWidth(asked.said.width())
        assert asked.rect().contains(asked.start.mapTo(asked, asked.start.rect().bottomRight()))


def test_no_way_is_no_comparison(asked: ComparingDialog) -> None:
    for box in asked.boxes:
        box.setChecked(False)
    assert "at least one way" in asked.said.text()
    assert not asked.start.isEnabled()


def started(opened: Opened, store: Store) -> int:
    """Answer the last Start as the session does."""
    command = next(c for c in reversed(opened.sent) if isinstance(c, do.Start))
    settings = command.hyperparameters.model_dump()
    run_id = store.create_run(
        name=command.name, policy="p", reward="r", prompts=store.run_prompts(0),
        models={"reward": [], "use_chat_template": False}, hyperparameters=settings,
        sweep=command.sweep).result()
    opened.controller.handle([
        ev.StateChanged(State.RUNNING),
        ev.RunStarted(run_id, command.name, "ppo", settings, "")])
    return run_id


def end(opened: Opened, store: Store, run_id: int, outcome: str, cycles: int = 1) -> None:
    store.set_status(run_id, outcome).result()
    opened.controller.handle([
        ev.RunFinished(run_id, outcome, cycles), ev.StateChanged(State.FINISHED)])


def names(opened: Opened) -> list[str]:
    return [c.name for c in opened.sent if isinstance(c, do.Start)]


def test_one_run_begins_when_another_has_ended(
    opened: Opened, store: Store, asked: ComparingDialog
) -> None:
    mine = opened.window.hyperparameters.form.values()
    for box in asked.boxes:
        box.setChecked(box.text() in ("PPO", "GRPO"))
    asked.start.click()
    assert names(opened) == ["PPO, seed 0"]
    first = started(opened, store)
    end(opened, store, first, "finished")
    assert names(opened) == ["PPO, seed 0", "GRPO, seed 0"]
    second = started(opened, store)
    assert opened.window.hyperparameters.form.values()["advantage_estimator"] == "group"
    end(opened, store, second, "finished")
    assert len(names(opened)) == 2
    assert opened.window.runs.model.ticks == {first, second}
    assert "All 2 runs of the comparison are done" in opened.window.toast.text
    assert opened.window.hyperparameters.form.values() == mine  # nobody had typed theirs


def test_a_run_that_is_stopped_holds_it_and_it_goes_on(
    opened: Opened, store: Store, asked: ComparingDialog, qtbot: QtBot
) -> None:
    asked.start.click()
    first = started(opened, store)
    end(opened, store, first, "stopped", 0)
    assert len(names(opened)) == 1
    assert "held after 0 of 3 runs" in opened.window.toast.text
    asked.close()
    again = ask(opened)
    button = next(b for b in again.findChildren(type(again.start))
                  if b.objectName().startswith("compare_go_on"))
    assert (button.isDefault(), again.start.isDefault()) == (True, False)
    button.click()
    assert isinstance(opened.sent[-1], do.LoadModels)
    opened.controller.handle([ev.StateChanged(State.LOADING), ev.StateChanged(State.READY)])
    resumed = opened.sent[-1]
    assert isinstance(resumed, do.ResumeRun)
    assert resumed.run_id == first


def test_what_was_chosen_to_learn_from_is_still_when_it_goes_on(
    opened: Opened, store: Store, asked: ComparingDialog, tmp_path: Path, qtbot: QtBot
) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text('{"prompt": "p", "chosen": " good", "rejected": " bad"}\n')
    line = opened.window.hyperparameters.data_line
    opened.window.hyperparameters.choose_algorithm(DPO)
    line.open_file(file)
    qtbot.waitUntil(lambda: line.data is not None)
    for box in asked.boxes:
        box.setChecked(box.text() in ("PPO", "DPO"))
    asked.start.click()
    first = started(opened, store)
    end(opened, store, first, "stopped")
    line.take_default()  # of a run that is begun later by hand
    button = next(b for b in ask(opened).findChildren(type(asked.start))
                  if b.objectName().startswith("compare_go_on"))
    button.click()
    opened.controller.handle([ev.StateChanged(State.LOADING), ev.StateChanged(State.READY)])
    opened.controller.handle([ev.StateChanged(State.RUNNING)])
    end(opened, store, first, "finished")
    assert names(opened) == ["PPO, seed 0", "DPO, seed 0"]
    (dpo,) = (c for c in opened.sent if isinstance(c, do.Start) and c.name == "DPO, seed 0")
    assert dpo.data.pairs == (Pair("p", " good", " bad"),)


def test_what_the_person_set_is_there_again_after_a_comparison_that_went_on(
    opened: Opened, store: Store, asked: ComparingDialog
) -> None:
    dock = opened.window.hyperparameters
    dock.choose_algorithm(ILQL)
    dock.form.set_values({"batch_size": 5}, "test")
    mine = dock.form.values()
    for box in asked.boxes:
        box.setChecked(box.text() == "GRPO")
    asked.start.click()
    run_id = started(opened, store)
    end(opened, store, run_id, "stopped")
    next(b for b in ask(opened).findChildren(type(asked.start))
         if b.objectName().startswith("compare_go_on")).click()
    opened.controller.handle([ev.StateChanged(State.LOADING), ev.StateChanged(State.READY)])
    run = store.run(run_id)
    opened.controller.handle([ev.StateChanged(State.RUNNING), ev.RunResumed(
        run_id, run.name, 0, "ppo", run.hyperparameters)])
    assert dock.algorithm is PPO
    assert dock.form.values()["advantage_estimator"] == "group"
    end(opened, store, run_id, "finished")
    assert dock.algorithm is ILQL
    assert dock.form.values() == mine


def test_seconds_stop_a_run_and_the_next_begins(
    opened: Opened, store: Store, asked: ComparingDialog
) -> None:
    asked.budget.setText("5")
    asked.unit.setCurrentIndex(asked.unit.findData("seconds"))
    asked.start.click()
    run_id = started(opened, store)
    for cycle in (1, 2):
        metrics = {"seconds": 3.0, "tokens_per_second": 9.0}
        store.record_cycle(run_id, cycle, metrics=metrics, rollout=(), comparison=()).result()
        opened.controller.handle([ev.CycleFinished(run_id, cycle, 100_000, metrics)])
        assert (do.Stop() in opened.sent) == (cycle == 2)
    end(opened, store, run_id, "stopped", 2)
    assert names(opened) == ["PPO, seed 0", "GRPO, seed 0"]


def test_models_come_first(opened: Opened, store: Store) -> None:
    opened.controller.handle([ev.StateChanged(State.READY)])
    opened.window.actions_["compare_algorithms"].trigger()
    assert not opened.window.findChildren(ComparingDialog)
    assert "Load the models first" in opened.window.toast.text


@pytest.mark.slow
def test_a_comparison_in_the_application(qapp: QApplication, tmp_path: Path, styled: None) -> None:
    async def scenario(workbench) -> None:  # type: ignore[no-untyped-def]
        window = workbench.window
        await until(lambda: window.state is State.READY)
        window.hyperparameters.form.set_values(
            {**parse({}).model_dump(), "batch_size": 8, "response_length": 6, "num_cycles": 2},
            "test")
        window.actions_["compare_algorithms"].trigger()
        (dialog,) = window.findChildren(ComparingDialog)
        dialog.boxes[2].setChecked(False)
        dialog.boxes[-1].setChecked(False)
        chosen = [box.text() for box in dialog.boxes if box.isChecked()]
        dialog.start.click()
        await until(lambda: window.toast.text.startswith("All "))
        sweep = workbench.store.sweeps()[0]
        assert len(Plan.of_json(sweep.plan).runs) == len(chosen)
        assert all(at.done for at in progress(workbench.store, sweep.id))
        assert {run.name for run in workbench.store.runs()} == {
            f"{name}, seed 0" for name in chosen}
        assert all(run.cycles == 2 for run in workbench.store.runs())
    play(qapp, tmp_path, scenario)


@pytest.mark.slow
def test_a_comparison_that_was_stopped_ends_in_the_application_on_the_data_it_named(
    qapp: QApplication, tmp_path: Path, styled: None
) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(
        f'{{"prompt": "The {word}", "chosen": " was good.", "rejected": " was bad."}}\n'
        for word in ("tea", "day", "cat", "sea", "sun", "car", "hat", "pen")))

    async def scenario(workbench) -> None:  # type: ignore[no-untyped-def]
        window, store = workbench.window, workbench.store
        await until(lambda: window.state is State.READY)
        dock = window.hyperparameters
        dock.choose_algorithm(DPO)
        dock.form.set_values({"batch_size": 2, "num_cycles": 2, "steps_per_cycle": 1}, "test")
        dock.data_line.open_file(file)
        await until(lambda: dock.data_line.data is not None)
        dock.choose_algorithm(PPO)
        dock.form.set_values(
            {"batch_size": 8, "response_length": 6, "num_cycles": 40}, "test")
        window.actions_["compare_algorithms"].trigger()
        (dialog,) = window.findChildren(ComparingDialog)
        for box in dialog.boxes:
            box.setChecked(box.text() in ("PPO", "DPO"))
        dialog.start.click()
        await until(lambda: any(run.cycles for run in store.runs()))
        window.actions_["stop"].trigger()
        await until(lambda: "held after 0 of 2 runs" in window.toast.text)
        dock.choose_algorithm(DPO)
        dock.data_line.take_default()
        window.actions_["compare_algorithms"].trigger()
        again = window.findChildren(ComparingDialog)[-1]
        next(b for b in again.findChildren(type(again.start))
             if b.objectName().startswith("compare_go_on")).click()
        await until(lambda: window.toast.text.startswith("All "))
        found = {run.name: run for run in store.runs()}
        assert found.keys() == {"PPO, seed 0", "DPO, seed 0"}
        assert {run.status for run in found.values()} == {"finished"}
        assert len(store.run_data(found["DPO, seed 0"].id).pairs) == 8
        assert dock.algorithm is DPO
    play(qapp, tmp_path, scenario)
