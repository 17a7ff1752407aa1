"""A reward is made of judgements in one step, and a policy goes on learning by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.window import Opened, fill, ready
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from workbench.formatting import number, percent
from workbench.gui.judge.view import JudgeView
from workbench.reward_training.metrics import HELD_ACCURACY
from workbench.store.judged import PairToJudge, Side
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.reward_parts import RewardPart

NAME = "Your judgements 1"


@pytest.fixture
def judge(qtbot: QtBot, opened: Opened, store: Store) -> JudgeView:
    """The view with ten pairs, of which seven are marked, beside a run that is on display."""
    set_id = store.judgements.make_set("Your judgements", seed=5).result()
    store.judgements.add(set_id, [
        PairToJudge(f"Prompt {i}", Side(f" good {i}"), Side(f" bad {i}")) for i in range(10)
    ]).result()
    ready(opened)
    opened.window.reveal("judge")
    view = opened.window.judge
    view.load_now()
    for _ in range(7):
        view.answer("left")
    return view


def asked(qtbot: QtBot, opened: Opened) -> QMessageBox:
    """The question that comes once what was said is read."""
    def there() -> list[QMessageBox]:
        return opened.window.findChildren(QMessageBox, "make_reward")
    qtbot.waitUntil(lambda: bool(there()))
    return there()[-1]


def accept(qtbot: QtBot, box: QMessageBox) -> None:
    button = box.findChild(QPushButton, "make_reward_accept")
    assert button is not None
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def starts(opened: Opened) -> list[do.Start]:
    return [c for c in opened.sent if isinstance(c, do.Start)]


def make(qtbot: QtBot, opened: Opened, store: Store, folder: Path) -> int:
    """Let the reward be made as the session would, and return its run."""
    opened.window.actions_["make_reward"].trigger()
    accept(qtbot, asked(qtbot, opened))
    [start] = starts(opened)
    run = store.create_run(
        name=start.name, policy="/models/policy", reward="/models/reward", models={},
        hyperparameters=start.hyperparameters.model_dump(), prompts=[], algorithm="reward",
        data=start.data).result()
    store.record_cycle(run, 1, metrics={HELD_ACCURACY: 0.75}, rollout=[], comparison=[]).result()
    opened.controller.handle([
        ev.RunStarted(run, start.name, "reward", start.hyperparameters.model_dump()),
        ev.StateChanged(State.RUNNING),
        ev.CycleFinished(run, 1, 3, {HELD_ACCURACY: 0.75}),
        ev.RewardModelMade(run, start.name, str(folder)),
        ev.RunFinished(run, "finished", 1), ev.StateChanged(State.FINISHED)])
    return run


def test_it_is_offered_once_enough_is_said_and_not_while_a_run_trains(
    qtbot: QtBot, opened: Opened, judge: JudgeView
) -> None:
    action, button = opened.window.actions_["make_reward"], judge.bar.make
    assert not button.isEnabled()
    assert not action.isEnabled()
    assert "Say of 1 more pair which side is better first." in button.toolTip()
    judge.answer("tie")
    assert not button.isEnabled()  # which makes no pair
    judge.answer("right")
    assert button.isEnabled()
    assert action.isEnabled()
    opened.controller.handle([ev.StateChanged(State.RUNNING)])
    assert not button.isEnabled()
    assert "A run is training: pause it first." in action.toolTip()
    opened.controller.handle([ev.StateChanged(State.PAUSED)])
    assert button.isEnabled()
    judge.undo()
    assert not button.isEnabled()


def test_it_says_what_it_does_and_begins_when_the_paused_run_has_ended(
    qtbot: QtBot, opened: Opened, judge: JudgeView, store: Store
) -> None:
    run = fill(store, status="paused")
    judge.answer("right")
    opened.controller.resuming.live = run
    opened.controller.handle([ev.StateChanged(State.PAUSED)])
    qtbot.mouseClick(judge.bar.make, Qt.MouseButton.LeftButton)
    box = asked(qtbot, opened)
    assert box.text() == "Make a reward from “Your judgements”?"
    more = box.informativeText()
    assert "8 pairs of which one side is better" in more
    assert "That takes less than a minute" in more
    assert "Run 1 is paused and ends first; it can go on from where it stands." in more
    assert opened.sent[-1:] != [do.Stop()]
    accept(qtbot, box)
    assert isinstance(opened.sent[-1], do.Stop)
    assert not starts(opened)
    opened.controller.handle([ev.StateChanged(State.STOPPING), ev.RunFinished(run, "stopped", 3)])
    assert not starts(opened)
    opened.controller.handle([ev.StateChanged(State.READY)])
    [start] = starts(opened)
    assert start.name == NAME
    assert [pair.chosen for pair in getattr(start.data, "pairs", ())]
    assert len(getattr(start.data, "pairs", ())) == 8
    # What the policy of the run writes is what the reward will score.
    assert start.hyperparameters.response_length == store.run(run).hyperparameters[  # type: ignore[union-attr]
        "response_length"]
    assert not judge.making.isHidden()
    assert judge.making.said.text() == f"{NAME} is being made …"


def test_at_its_end_the_run_goes_on_with_it_and_keeps_what_is_only_watched(
    qtbot: QtBot, opened: Opened, judge: JudgeView, store: Store, tmp_path: Path
) -> None:
    run = fill(store)
    store.checkpoints.write(run, 3, {}, {})
    opened.controller.show_run(run)
    gold = RewardPart("/models/gold", 0.0)
    opened.window.models.reward.set_parts((*opened.window.models.reward.parts(), gold))
    ready(opened)
    judge.answer("right")
    before = opened.window.hyperparameters.algorithm
    make(qtbot, opened, store, tmp_path)
    assert opened.window.hyperparameters.algorithm is before  # the form is the person's again
    line = judge.making
    assert line.said.text() == (
        f"{NAME} is made: right on {percent(0.75)} of the pairs it has not seen")
    assert line.go_on.isVisibleTo(judge)
    assert opened.window.toast.action_button.text() == "Go on with the new reward"
    qtbot.mouseClick(line.go_on, Qt.MouseButton.LeftButton)
    fork = opened.sent[-1]
    assert isinstance(fork, do.Fork)
    assert (fork.run_id, fork.cycle, fork.changes) == (run, 3, {"num_cycles": 23})
    assert fork.reward == (RewardPart(str(tmp_path)), gold)
    assert line.isHidden()
    form, parent = opened.window.hyperparameters.form, store.run(run)
    typed = form.values()["num_cycles"]
    used = {**parent.hyperparameters, "num_cycles": 23}
    made = store.fork_run(
        run, 3, name="Run 1b", hyperparameters=used,
        changes=[("num_cycles", 3, 23, "person")]).result()
    opened.controller.handle([
        ev.RunResumed(made, "Run 1b", 3, "ppo", used, parent=parent.name),
        ev.StateChanged(State.RUNNING)])
    assert opened.window.toast.text.endswith(
        "Cycles is 23 in place of 3 until it ends; the next Start has those from before.")
    assert form.values()["num_cycles"] == 23
    opened.controller.handle([
        ev.RunFinished(made, "finished", 23), ev.StateChanged(State.FINISHED)])
    assert form.values()["num_cycles"] == typed


def test_without_a_run_that_could_go_on_one_is_started_with_it(
    qtbot: QtBot, opened: Opened, judge: JudgeView, store: Store, tmp_path: Path
) -> None:
    judge.answer("right")
    actions = opened.window.actions_
    assert not actions["start_with_reward"].isEnabled()
    make(qtbot, opened, store, tmp_path)
    assert not judge.making.go_on.isVisibleTo(judge)
    assert not actions["go_on_with_reward"].isEnabled()
    assert actions["start_with_reward"].isEnabled()
    opened.sent.clear()
    qtbot.mouseClick(judge.making.start, Qt.MouseButton.LeftButton)
    load = opened.sent[-1]
    assert isinstance(load, do.LoadModels)
    assert load.parts == (RewardPart(str(tmp_path)),)
    ready(opened)
    [start] = starts(opened)
    assert start.hyperparameters.model_dump().get("num_mini_batches")  # it learns by PPO


def test_the_tour_starts_with_the_value_coefficient_that_a_new_value_head_needs(
    qtbot: QtBot, opened: Opened, judge: JudgeView, store: Store, tmp_path: Path
) -> None:
    judge.answer("right")
    make(qtbot, opened, store, tmp_path)
    opened.window.actions_["feedback_tour"].trigger()
    dialog = opened.controller.tour.dialog
    assert dialog is not None
    dialog.show_step(4)
    opened.sent.clear()
    assert opened.window.hyperparameters.form.values()["vf_coef"] == 4
    qtbot.mouseClick(dialog.ok, Qt.MouseButton.LeftButton)
    ready(opened)
    [start] = starts(opened)
    assert start.hyperparameters.model_dump()["vf_coef"] == 0.1
    dialog.close()


def test_what_is_refused_is_no_longer_being_made(
    qtbot: QtBot, opened: Opened, judge: JudgeView
) -> None:
    judge.answer("right")
    opened.window.actions_["make_reward"].trigger()
    accept(qtbot, asked(qtbot, opened))
    assert not judge.bar.make.isEnabled()
    opened.controller.handle([ev.CommandRefused("Start", "The policy cannot be copied.")])
    assert judge.making.isHidden()
    assert judge.bar.make.isEnabled()


def test_too_few_pairs_are_none_to_make_a_reward_of(
    qtbot: QtBot, opened: Opened, judge: JudgeView
) -> None:
    opened.controller.reward_making.ask()
    qtbot.waitUntil(lambda: "Say of 1 more pair" in opened.window.toast.text)
    assert not starts(opened)


def test_what_a_judge_said_is_told_apart_and_can_be_left_out(
    qtbot: QtBot, opened: Opened, judge: JudgeView, store: Store
) -> None:
    judge.answer("right")
    judge.settle()
    found = store.judgements.set(judge.set_name)
    for pair in store.judgements.pairs(found.id):
        for swapped in (False, True):
            store.judge_answers.record(
                pair.id, "judge: bundled", "Which?", swapped, "first").result()
    judge.load_now()
    opened.window.actions_["make_reward"].trigger()
    box = asked(qtbot, opened)
    kappa = store.judge_answers.qualities(found.id, judge.person)[0].kappa
    assert "Of these are 8 of yours, 10 of judge: bundled (kappa " in box.informativeText()
    assert f"(kappa {number(kappa)})" in box.informativeText()
    assert box.defaultButton().objectName() == "make_reward_accept"
    own = box.findChild(QPushButton, "make_reward_own")
    qtbot.mouseClick(own, Qt.MouseButton.LeftButton)
    [start] = starts(opened)
    assert len(start.data.pairs) == 8
    line = opened.window.hyperparameters.data_line
    opened.window.hyperparameters.choose_named("dpo")
    line.take_own_judgements(judge.set_name)
    qtbot.waitUntil(lambda: line.data is not None)
    assert len(line.data.pairs) == 8
    line.take_judgements(judge.set_name)
    qtbot.waitUntil(lambda: len(line.data.pairs) == 18)
    assert "8 of yours, 10 of judge: bundled" in line.data.summary
