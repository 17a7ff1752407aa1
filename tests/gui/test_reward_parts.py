"""Rewards in the window: several with weights, consent to a Python file, a plot and scores of
each part."""

from pathlib import Path

import pytest
from helpers.window import Opened, facts, fill, metrics, ready
from PySide6.QtWidgets import QLabel, QScrollArea
from pytestqt.qtbot import QtBot

from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD, EXAMPLE_REWARDS
from workbench.gui.completions import completion_texts
from workbench.gui.metrics.reading import read_series
from workbench.gui.models.dock import ModelsDock
from workbench.gui.widgets.dialog import Dialog
from workbench.learning.metrics import PARTS
from workbench.store.records import CompletionRecord
from workbench.store.store import Store
from workbench.training import events as ev
from workbench.training.commands import Command, LoadModels, ResumeRun, Start
from workbench.training.events import UntrustedServer
from workbench.training.reward_parts import RewardPart

VADER = str(EXAMPLE_REWARDS["vader"])
MINE = ev.UntrustedFile("/rewards/mine.py", "0f" * 32, "def reward(p, c):\n    return c\n")


@pytest.fixture
def sent() -> list[Command]:
    return []


@pytest.fixture
def dock(qtbot: QtBot, sent: list[Command]) -> ModelsDock:
    dock = ModelsDock()
    qtbot.addWidget(dock)
    dock.command.connect(sent.append)
    dock.resize(300, 500)
    dock.show()
    return dock


def choose(button: object, text: str) -> None:
    next(a for a in button.menu().actions() if a.text() == text).trigger()  # type: ignore[attr-defined]


def test_one_reward_shows_no_weight(dock: ModelsDock) -> None:
    (row,) = dock.reward._rows
    assert not row.weight.isVisible()
    assert not row.remove.isVisible()


def test_rewards_are_added_weighed_and_removed(dock: ModelsDock, sent: list[Command]) -> None:
    choose(dock.reward.add_button, "VADER: friendly words")
    first, second = dock.reward._rows
    assert second.field.combo.currentText() == "VADER: friendly words"
    assert first.weight.isVisible()
    assert second.weight.hasFocus() or not dock.isActiveWindow()
    second.weight.setText("-0.5")
    dock.load_button.click()
    assert sent[-1] == LoadModels(
        str(BUNDLED_POLICY), (RewardPart(str(BUNDLED_REWARD)), RewardPart(VADER, -0.5)))
    names = [w.accessibleName() for row in dock.reward._rows
             for w in (row.field.combo, row.weight, row.remove)]
    assert len(set(names)) == 6
    first.remove.click()
    assert not second.weight.isVisible()
    dock.load_button.click()
    assert sent[-1] == LoadModels(str(BUNDLED_POLICY), VADER)  # alone it counts as it is


def test_a_gold_reward_is_added_to_be_watched_only(
    dock: ModelsDock, sent: list[Command]
) -> None:
    choose(dock.reward.gold_button, "VADER: friendly words")
    assert dock.reward._rows[-1].weight.text() == "0"
    dock.load_button.click()
    assert sent[-1] == LoadModels(
        str(BUNDLED_POLICY), (RewardPart(str(BUNDLED_REWARD)), RewardPart(VADER, 0.0)))


def test_what_was_chosen_is_remembered(dock: ModelsDock, qtbot: QtBot) -> None:
    parts = (RewardPart("org/toxicity", -2.0, 1), RewardPart(VADER, 0.5))
    dock.reward.set_parts(parts)
    other = ModelsDock()
    qtbot.addWidget(other)
    other.restore_state(dock.save_state())
    assert other.reward.parts() == parts
    other.restore_state({"rewards": [["", 1, None], ["a", "b", None], 3], "recent_rewards": 5})
    assert other.reward.parts() == parts


def test_the_output_of_one_of_several_classifiers(dock: ModelsDock, sent: list[Command]) -> None:
    dock.reward.set_parts((RewardPart(VADER), RewardPart("org/toxicity")))
    dock.failed(ev.LoadingFailed("It has two outputs.", "reward", labels=("bad", "good"), part=1))
    dock.failure.labels.setCurrentIndex(1)
    dock.failure.findChild(object, "use_label").click()
    assert sent[-1].parts == (RewardPart(VADER), RewardPart("org/toxicity", 1.0, 1))  # type: ignore[union-attr]
    dock.reward._rows[1].field.set_source("org/other")
    dock.load()
    assert sent[-1].parts[1].label is None  # type: ignore[union-attr]


def test_how_a_classifier_reads_is_chosen_and_remembered(
    dock: ModelsDock, sent: list[Command], qtbot: QtBot
) -> None:
    dock.reward.set_parts((RewardPart("org/deberta"),))
    reading = dock.reward._rows[0].reading
    assert reading.text() == "Reads: automatic"
    choose(reading, "Two segments")
    choose(reading, "End of text token")
    assert reading.text() == "Reads: two segments, end token"
    dock.load_button.click()
    wanted = RewardPart("org/deberta", reads="segments", end_token=True)
    assert sent[-1].parts == (wanted,)  # type: ignore[union-attr]
    other = ModelsDock()
    qtbot.addWidget(other)
    other.restore_state(dock.save_state())
    assert other.reward.parts() == (wanted,)
    # It was chosen for this one; what a version before remembered has none.
    dock.reward.fields[0].set_source("org/other")
    assert dock.reward.parts() == (RewardPart("org/other"),)
    assert reading.text() == "Reads: automatic"
    other.restore_state({"rewards": [["org/old", 0.5, 1], ["org/odd", 1, None, "sideways", 3]]})
    assert other.reward.parts() == (RewardPart("org/old", 0.5, 1), RewardPart("org/odd"))


def test_only_a_classifier_is_asked_how_it_reads(dock: ModelsDock) -> None:
    dock.reward.set_parts((RewardPart(str(BUNDLED_REWARD)), RewardPart(VADER)))
    assert [row.reading.isVisible() for row in dock.reward._rows] == [True, False]
    row = dock.reward._rows[0]
    model = facts("reward", source=str(BUNDLED_REWARD), reads="chat", limit=512)
    dock.loaded(ev.ModelsLoaded(facts("policy"), model, 1.0))
    assert row.reading.text() == "Reads: chat turns"
    assert "512 tokens of a text, of longer ones the end" in row.reading.toolTip()
    choose(row.reading, "One text")  # which is not what is loaded
    assert row.reading.text() == "Reads: one text"
    assert "512" not in row.reading.toolTip()
    names = [each.reading.accessibleName() for each in dock.reward._rows]
    assert names == ["How reward reads", "How reward 2 reads"]


def test_what_the_reward_model_did_not_read_is_said() -> None:
    record = CompletionRecord(0, 0, "p", "t", 1.0, 0.5, 8, True, cut=1200)
    assert completion_texts.facts(record) == (
        "reward 1.00 · KL 0.50 · 8 tokens · reward model did not read the first 1,200 of its "
        "tokens")


def test_facts_of_each_part(dock: ModelsDock) -> None:
    file = facts("vader", source=VADER, architecture="Python file", sha256="0f" * 32,
                 summary="Friendly words.")
    model = facts("reward", source=str(BUNDLED_REWARD))
    dock.reward.set_parts((RewardPart(str(BUNDLED_REWARD)), RewardPart(VADER)))
    dock.loaded(ev.ModelsLoaded(facts("policy"), facts("sum", parts=(model, file)), 1.0))
    assert [f.facts.text() for f in dock.reward.fields] == [
        "1.41 M parameters, float32 on CPU", "Python file: Friendly words."]


@pytest.mark.parametrize("again", [LoadModels("p", "/rewards/mine.py"), ResumeRun(1)])
def test_a_file_runs_once_the_person_agrees(
    opened: Opened, store: Store, again: Command
) -> None:
    window = opened.window
    opened.controller.handle([ev.LoadingFailed("Not run.", "reward", untrusted=MINE, again=again)])
    question = window.findChild(object, "run_file_question")
    assert question.findChild(object, "file_text").toPlainText() == MINE.text
    assert question.findChild(object, "run_file_question_cancel").isDefault()
    assert opened.sent == []
    question.findChild(object, "run_file").click()
    assert store.is_trusted(MINE.sha256)
    assert opened.sent == [again]


def test_a_server_is_asked_once_the_person_agrees(
    opened: Opened, store: Store, styled: None
) -> None:
    ready(opened)
    models = opened.window.models
    models.reward.set_source("https://judge.example/score?model=small")
    assert not models.reward._rows[0].reading.isVisibleTo(models)
    opened.window.actions_["start"].trigger()
    question = opened.window.findChild(Dialog, "ask_server_question")
    said = " ".join(label.text() for label in question.findChildren(QLabel))
    assert "https://judge.example/score?model=small" in said
    assert "every prompt with what the policy writes" in said
    assert question.findChild(object, "ask_server_question_cancel").isDefault()
    assert not [c for c in opened.sent if isinstance(c, LoadModels | Start)]
    question.findChild(object, "ask_server_question_cancel").click()
    assert "judge.example/score?model=small was not asked" in (
        opened.window.toast.notices[-1].sentence)
    assert not [c for c in opened.sent if isinstance(c, LoadModels | Start)]
    opened.window.actions_["start"].trigger()
    opened.window.findChild(object, "ask_server").click()
    assert store.is_trusted(UntrustedServer("https://judge.example/score?model=small").sha256)
    assert [c.parts[0].source for c in opened.sent if isinstance(c, LoadModels)] == [
        "https://judge.example/score?model=small"]


def test_a_file_is_not_run_when_the_person_declines(opened: Opened, store: Store) -> None:
    opened.controller.handle([ev.LoadingFailed(
        "mine.py was not run.", "reward", untrusted=MINE, again=ResumeRun(1))])
    opened.window.findChild(object, "run_file_question_cancel").click()
    assert not store.is_trusted(MINE.sha256)
    assert opened.sent == []
    assert opened.window.models.failure.sentence.text() == "mine.py was not run."


def test_a_run_that_goes_on_with_a_changed_file_says_so(opened: Opened, store: Store) -> None:
    run_id = fill(store)
    opened.controller.handle([ev.RunResumed(
        run_id, "Run 1", 2, "ppo", opened.window.hyperparameters.form.values(),
        note="mine.py has changed since the run began.")])
    assert opened.window.toast.text == (
        "Run 1 goes on after cycle 2. mine.py has changed since the run began.")


def with_parts(cycle: int) -> dict[str, float]:
    return metrics(cycle) | {"objective/scores/reward": 1.0 * cycle,
                             "objective/scores/v<ader": -0.25}


def test_the_parts_are_plotted_while_a_run_has_some(opened: Opened, tmp_path: Path) -> None:
    view = opened.window.metrics
    chosen = view.plots()
    view.show_run(1, {}, [])
    for cycle in (1, 2):
        view.append(1, cycle, with_parts(cycle))
    view.repaint_now()
    assert [p.about.label for p in view._grid._plots][:2] == [
        "Training reward", "Parts of the reward"]
    plot = view._grid._plots[1]
    assert plot.lines == ("objective/scores/reward", "objective/scores/v<ader")
    assert [items[1].yData.tolist() for items in plot._curves.items] == [[1, 2], [-0.25, -0.25]]
    assert "v&lt;ader <b>−0.25</b>" in plot._keys.text()
    assert view.plots() == chosen
    dialog = view.ask_export()
    dialog.save(tmp_path / "run.csv")
    assert "objective/scores/reward" in (tmp_path / "run.csv").read_text().splitlines()[0]
    parts = view.controls._parts
    assert parts.isEnabled()
    parts.trigger()
    assert [p.about.name for p in view._grid._plots] == chosen
    assert view.save_state()["parts"] is False
    parts.trigger()
    assert view._grid._plots[1].lines
    view.show_run(2, {}, [])
    view.append(2, 1, metrics(1))
    view.repaint_now()
    assert [p.about.name for p in view._grid._plots] == chosen
    assert not parts.isEnabled()


def test_the_curves_of_the_parts_are_alike_live_and_read_from_the_store(
    opened: Opened, store: Store
) -> None:
    view, order = opened.window.metrics, [
        "objective/scores/reward", "objective/scores/brevity", "objective/scores/gold bundled"]
    given = {order[2]: 0.5, order[0]: 1.0, order[1]: 2.0}
    run_id = fill(store)
    view.show_run(run_id, {}, [])
    view.append(run_id, 3, metrics(3) | given)
    view.repaint_now()

    def lines() -> list[str]:
        return list(next(p for p in view._grid._plots if p.about.name == PARTS).lines)
    assert lines() == order
    store.record_cycle(run_id, 3, metrics=metrics(3) | given, rollout=[], comparison=[]).result()
    fork = store.fork_run(run_id, 3, name="Run 1b", hyperparameters={}, changes=[]).result()
    for of_store in (run_id, fork):
        view.show_run(None, {}, [])
        view.show_run(of_store, read_series(store, of_store), [])
        view.repaint_now()
        assert lines() == order


def test_a_gold_part_is_called_gold_and_a_narrow_dock_shows_all_of_each_row(
    dock: ModelsDock,
) -> None:
    dock.reward.set_parts((RewardPart(VADER), RewardPart(str(BUNDLED_REWARD), 0.0)))
    assert [row._times.text() for row in dock.reward._rows] == ["×", "gold"]
    dock.reward._rows[1].weight.setText("0.5")
    assert dock.reward._rows[1]._times.text() == "×"
    dock.reward._rows[1].weight.setText("0")
    dock.reward.mark_unloaded(True)
    dock.resize(290, 300)
    [scroll] = dock.findChildren(QScrollArea)
    assert scroll.widget().minimumSizeHint().width() <= scroll.viewport().width()


def test_a_completion_says_what_each_part_gave() -> None:
    record = CompletionRecord(0, 0, "p", "text", 1.25, 0.1, 5, True,
                              {"reward": 1.5, "vader": -0.5})
    assert completion_texts.facts(record) == (
        "reward 1.25 (reward 1.50, vader −0.50) · KL 0.10 · 5 tokens")
