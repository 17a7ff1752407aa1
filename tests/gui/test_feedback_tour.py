"""The feedback tour: its cards turn as the person gets on."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.person import Person
from helpers.play import play, until
from helpers.window import DEFAULTS, Opened, bare_controls, fill, ready, unexplained
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from workbench.gui.app import Workbench
from workbench.gui.controllers.feedback_tour import PAIRS
from workbench.gui.tour_dialog import STEPS, TourDialog
from workbench.store.judged import PairToJudge, Side
from workbench.store.records import HealthRecord
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.pair_data import pairs_of_judgements
from workbench.training.reward_making import making

SETTINGS = making().settings().model_dump()
TITLES = [step.title for step in STEPS]


def tour(opened: Opened) -> TourDialog:
    opened.window.actions_["feedback_tour"].trigger()
    dialog = opened.controller.tour.dialog
    assert dialog is not None
    return dialog


def go_on(qtbot: QtBot, dialog: TourDialog) -> None:
    qtbot.mouseClick(dialog.ok, Qt.MouseButton.LeftButton)


def test_it_waits_for_models_and_stands_beside_the_window(opened: Opened) -> None:
    dialog = tour(opened)
    assert dialog.heading.text() == TITLES[0]
    assert not dialog.isModal()
    assert not dialog.ok.isEnabled()
    assert "press Load in Models" in dialog.ok.toolTip()
    ready(opened)
    assert dialog.ok.isEnabled()
    assert not bare_controls(dialog)
    assert not unexplained(dialog)
    assert tour(opened) is dialog  # there is one
    dialog.close()
    assert opened.controller.tour.dialog is None


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)])
def test_its_card_covers_nothing_that_it_speaks_of_or_asks_for(
    opened: Opened, size: tuple[int, int]
) -> None:
    ready(opened)
    window = opened.window
    window.resize(*size)
    window.reset_layout()
    window.docks["guide"].show()
    QApplication.processEvents()
    dialog = tour(opened)
    spoken_of = [window.strip_bar, window.models, window.docks["guide"], window.statusBar(),
                 *(window.docks[name] for name in ("metrics", "completions", "judge"))]
    for step in range(len(STEPS)):
        dialog.show_step(step, "It agrees with 90 % of your choices.")
        for name in ("metrics", "judge", "completions"):
            window.reveal(name)
        QApplication.processEvents()
        card = dialog.frameGeometry()
        assert window.frameGeometry().contains(card)
        for each in spoken_of:
            if not each.visibleRegion().isEmpty():
                there = QRect(each.mapToGlobal(QPoint()), each.size())
                assert not card.intersects(there), (STEPS[step].title, each.objectName())


def put_in(opened: Opened, store: Store, number: int) -> None:
    """Put so many pairs into the set of the tour."""
    found = store.judgements.set("Feedback tour")
    assert found is not None
    store.judgements.add(found.id, [
        PairToJudge(f"Prompt {i}", Side(f" good {i}"), Side(f" bad {i}")) for i in range(number)
    ]).result()
    opened.window.judge.load_now()


def test_its_cards_turn_as_the_person_gets_on(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    ready(opened)
    dialog, judge = tour(opened), opened.window.judge
    go_on(qtbot, dialog)
    assert dialog.heading.text() == TITLES[1]
    [asked] = [c for c in opened.sent if isinstance(c, do.Try)]
    assert len(asked.prompts) >= 2 * PAIRS
    assert judge.set_name == "Feedback tour"
    put_in(opened, store, 12)
    judge.answer("tie")
    assert dialog.said.text() == f"0 of {PAIRS} marked."  # a tie teaches nothing
    for _ in range(PAIRS - 1):
        judge.answer("left")
    assert dialog.said.text() == f"{PAIRS - 1} of {PAIRS} marked."
    assert not dialog.ok.isVisible()
    judge.answer("right")
    while dialog.heading.text() != TITLES[2]:  # one pair came again
        judge.answer("left")
    go_on(qtbot, dialog)
    qtbot.waitUntil(lambda: opened.window.findChild(QMessageBox, "make_reward") is not None)
    opened.window.findChild(QMessageBox, "make_reward").reject()
    run = fill(store)
    opened.controller.handle([ev.RunStarted(run, "It", "reward", SETTINGS), ev.StateChanged(
        State.RUNNING)])
    assert dialog.heading.text() == TITLES[3]
    opened.controller.handle([ev.RunFinished(run, "finished", 3), ev.StateChanged(State.FINISHED)])
    assert dialog.heading.text() == TITLES[4]
    assert dialog.ok.isEnabled()


def test_whose_pairs_are_used_up_by_ties_is_written_more(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    ready(opened)
    dialog, judge = tour(opened), opened.window.judge
    go_on(qtbot, dialog)
    assert "do not count towards the ten" in dialog.sentence.text()
    assert not dialog.ok.isVisible()  # they are being written
    [asked] = [c for c in opened.sent if isinstance(c, do.Try)]
    put_in(opened, store, 3)
    opened.controller.handle([ev.TryFinished(asked.id, False)])
    assert not dialog.ok.isVisible()  # pairs are left
    for said in ("tie", "both_bad", "left"):
        judge.answer(said)
    assert dialog.said.text() == (
        f"1 of {PAIRS} marked. No pair is left: have the policy write more.")
    assert dialog.ok.text() == "Write more pairs"
    assert dialog.ok.isVisible()
    assert dialog.ok.isEnabled()
    go_on(qtbot, dialog)
    assert len([c for c in opened.sent if isinstance(c, do.Try)]) == 2
    assert dialog.said.text() == f"1 of {PAIRS} marked. The policy writes the pairs …"
    assert not dialog.ok.isVisible()


def test_who_stops_the_reward_makes_it_again(opened: Opened, store: Store) -> None:
    ready(opened)
    dialog, run = tour(opened), fill(store)
    dialog.show_step(2)
    opened.controller.handle([ev.RunStarted(run, "It", "reward", SETTINGS)])
    opened.controller.handle([ev.RunFinished(run, "stopped", 1), ev.StateChanged(State.READY)])
    assert dialog.heading.text() == TITLES[2]
    assert "make it again" in dialog.said.text()


def test_its_last_card_says_what_unlikely_words_mean_where_health_spoke_of_them(
    opened: Opened, store: Store
) -> None:
    ready(opened)
    dialog = tour(opened)
    for spoke in (False, True):
        dialog.show_step(4)
        run = fill(store)
        if spoke:
            store.record_health(run, [HealthRecord(2, "unlikely", "warning", "Many.")]).result()
        opened.controller.handle([
            ev.RunStarted(run, "Run", "ppo", DEFAULTS), ev.StateChanged(State.RUNNING),
            ev.RunFinished(run, "finished", 3), ev.StateChanged(State.FINISHED)])
        assert dialog.heading.text() == TITLES[6]
        assert ("words that the start policy would hardly ever write"
                in dialog.said.text()) == spoke


@pytest.mark.slow
def test_it_leads_from_ten_marks_to_before_and_after(
    qapp: QApplication, qtbot: QtBot, home: Path
) -> None:
    async def scenario(workbench: Workbench) -> None:
        window, tour = workbench.window, workbench.controller.tour
        await until(lambda: window.state is State.READY)
        window.hyperparameters.form.set_values({
            "num_cycles": 2, "batch_size": 8, "num_mini_batches": 1, "num_ppo_epochs": 1,
            "response_length": 12, "comparison_prompts": 4}, "test")
        window.actions_["feedback_tour"].trigger()
        dialog = tour.dialog
        assert dialog is not None
        go_on(qtbot, dialog)
        await until(lambda: window.judge.queue.entries)
        Person(noise=0).mark(qtbot, window.judge, PAIRS)
        assert dialog.heading.text() == TITLES[2]
        go_on(qtbot, dialog)
        await until(lambda: window.findChild(QMessageBox, "make_reward"))
        window.findChild(QMessageBox, "make_reward").findChild(
            QPushButton, "make_reward_accept").click()
        await until(lambda: dialog.heading.text() == TITLES[4] and dialog.ok.isEnabled())
        assert "of your choices" in dialog.said.text()
        go_on(qtbot, dialog)
        await until(lambda: dialog.heading.text() == TITLES[6])
        assert "run-1-cycle-" in workbench.store.run(2).reward  # the one that was made
        assert workbench.store.run(2).hyperparameters["vf_coef"] == 0.1
        assert not window.completions.visibleRegion().isEmpty()
        go_on(qtbot, dialog)
        assert tour.dialog is None

    play(qapp, home, scenario)


def test_it_says_why_it_cannot_begin_and_what_to_do(opened: Opened, store: Store) -> None:
    ready(opened)
    run = fill(store, status="paused")
    opened.controller.handle([
        ev.RunStarted(run, "Run", "ppo", DEFAULTS), ev.StateChanged(State.PAUSED)])
    dialog = tour(opened)
    assert not dialog.ok.isEnabled()
    assert "press Stop in the tool bar first" in dialog.said.text()
    assert dialog.said.isVisible()
    opened.controller.handle([
        ev.RunFinished(run, "stopped", 1), ev.StateChanged(State.FINISHED)])
    assert dialog.ok.isEnabled()
    assert not dialog.said.text()


def test_it_goes_on_where_it_stood(qtbot: QtBot, opened: Opened, store: Store) -> None:
    ready(opened)
    dialog, judge = tour(opened), opened.window.judge
    go_on(qtbot, dialog)
    found = store.judgements.set("Feedback tour")
    store.judgements.add(found.id, [
        PairToJudge(f"Prompt {i}", Side(f" good {i}"), Side(f" bad {i}")) for i in range(12)
    ]).result()
    judge.load_now()
    for _ in range(3):
        judge.answer("left")
    judge.settle()
    dialog.close()
    judge.sets.choose("Another")
    dialog = tour(opened)
    qtbot.waitUntil(lambda: dialog.said.text() == f"3 of {PAIRS} marked.")
    assert dialog.heading.text() == TITLES[1]
    assert judge.set_name == "Feedback tour"
    dialog.close()
    run = store.create_run(
        name="It", policy="/p", reward="/r", models={}, algorithm="reward", prompts=[],
        hyperparameters=SETTINGS, data=pairs_of_judgements(store, "Feedback tour")).result()
    store.set_status(run, "finished").result()
    dialog = tour(opened)  # a reward was made of that set
    assert dialog.heading.text() == TITLES[0]
    go_on(qtbot, dialog)
    assert judge.set_name == "Feedback tour B"
    dialog.show_step(3)
    opened.controller.reward_making._folder = "/made"
    dialog.close()
    assert tour(opened).heading.text() == TITLES[4]


def test_the_keys_are_for_the_pairs_once_they_have_come(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    ready(opened)
    dialog, judge = tour(opened), opened.window.judge
    go_on(qtbot, dialog)
    dialog.activateWindow()
    qtbot.waitUntil(dialog.isActiveWindow)
    found = store.judgements.set("Feedback tour")
    store.judgements.add(found.id, [
        PairToJudge(f"Prompt {i}", Side(f" good {i}"), Side(f" bad {i}")) for i in range(12)
    ]).result()
    judge.load_now()
    judge.adding.changed.emit()
    qtbot.waitUntil(opened.window.isActiveWindow)
    assert judge.isAncestorOf(QApplication.focusWidget())


def test_no_step_moves_the_upper_edge_of_the_card(opened: Opened) -> None:
    ready(opened)
    opened.window.resize(1280, 720)
    opened.window.reset_layout()
    QApplication.processEvents()
    dialog = tour(opened)
    edges = set()
    for step in range(len(STEPS)):
        dialog.show_step(step, "It agrees with 90 % of your choices.")
        edges.add((dialog.frameGeometry().top(), dialog.frameGeometry().bottom()))
    assert len(edges) == 1
    [below] = [opened.window.docks[name] for name in ("prompts", "runs")
               if not opened.window.docks[name].visibleRegion().isEmpty()]
    assert dialog.frameGeometry().bottom() <= below.mapToGlobal(below.rect().bottomLeft()).y()
