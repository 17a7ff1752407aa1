"""A judge asked from the Judge view: chosen, agreed to, followed, stopped."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator

import pytest
from helpers.judges import Told, pairs, prefers_good, put_in
from helpers.reward_server import RewardServer, serving
from helpers.window import Opened
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from workbench.gui.judge.asking import Asking
from workbench.gui.judge.judge_dialog import JudgeDialog, Wanted
from workbench.judging.asking import judge_set
from workbench.judging.questions import RUBRIC, Answer
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.session import Session

BY = "judge: bundled"


@pytest.fixture
def set_id(store: Store) -> int:
    return put_in(store, pairs(3))


@pytest.fixture
def asking(opened: Opened, set_id: int) -> Asking:
    opened.window.reveal("judge")
    opened.window.judge.rename_person("ann")
    opened.window.judge.sets.choose("Mine")
    return opened.window.judge.asking


def dialog_of(opened: Opened) -> JudgeDialog:
    opened.window.judge.asking.choose()
    dialog = opened.window.findChildren(JudgeDialog)[-1]  # one before may still go away
    assert dialog.isVisible()
    return dialog


def judged(opened: Opened) -> list[do.JudgePairs]:
    return [c for c in opened.sent if isinstance(c, do.JudgePairs)]


def test_a_judge_is_chosen_followed_and_ends_with_how_far_to_trust_it(
    qtbot: QtBot, opened: Opened, asking: Asking, store: Store, set_id: int
) -> None:
    dialog = dialog_of(opened)
    assert dialog.cost.text() == "6 questions."
    assert dialog.rubric.toPlainText() == RUBRIC
    assert not dialog.model.isEnabled()
    dialog.most.setValue(2)
    assert dialog.cost.text() == "4 questions."
    dialog.rubric.setPlainText(" ")
    assert not dialog.ask.isEnabled()
    assert "Say what makes an answer better." in dialog.ask.toolTip()
    dialog.rubric.setPlainText("The kinder one.")
    qtbot.mouseClick(dialog.ask, Qt.MouseButton.LeftButton)
    [command] = judged(opened)
    assert command == do.JudgePairs(command.id, set_id, "bundled", "The kinder one.", 2)
    assert asking.isVisible()
    assert asking.why_not() == "A judge is asked already; stop it, or wait."
    opened.controller.handle([ev.Judging(command.id, 1, 4)])
    assert asking.said.text() == "The judge has answered 1 of 4 questions"
    assert (asking.progress.value(), asking.progress.maximum()) == (1, 4)

    judge_set(store, set_id, Told(lambda question: Answer("A"), "bundled"), "The kinder one.",
              most=2, step=lambda done, total: None)
    opened.controller.handle([ev.PairsJudged(command.id, BY)])
    assert not asking.isVisible()
    assert "bundled: 2 pairs judged; 100" in opened.window.toast.text
    shown = opened.window.judge.bar.shown
    assert f"{BY} says otherwise" in [shown.itemText(i) for i in range(shown.count())]

    again = dialog_of(opened)
    assert again.cost.text() == "2 questions."
    assert "bundled: 2 pairs judged" in again.trust.text()
    again.rubric.setPlainText(RUBRIC)
    assert again.cost.text() == "4 questions."  # of two pairs, as before
    assert not again.trust.isVisible()
    again.reject()


def test_a_server_is_sent_nothing_before_the_person_agrees(
    qtbot: QtBot, opened: Opened, asking: Asking
) -> None:
    wanted = Wanted("http://localhost:1234/v1", "small")
    asking.wanted = wanted
    dialog = dialog_of(opened)
    assert dialog.model.isEnabled()
    assert dialog.cost.text().startswith("6 requests, each sent again up to 3 times")
    dialog.accept()
    assert not judged(opened)
    question = opened.window.findChild(QWidget, "ask_judge_question")
    said = " ".join(each.text() for each in question.findChildren(QLabel))
    assert "http://localhost:1234" in said
    assert "the prompt and both completions of each pair" in said
    assert "6 requests now" in said
    question.reject()
    assert not judged(opened)
    assert "http://localhost:1234 was not asked." in opened.window.toast.text
    dialog_of(opened).accept()
    button = opened.window.findChild(QPushButton, "ask_judge_server")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    [command] = judged(opened)
    assert (command.judge, command.model) == (wanted.judge, "small")
    opened.controller.handle([ev.JudgingFailed(command.id)])
    assert "The judge was stopped; what it said is kept" in opened.window.toast.text
    dialog_of(opened).accept()  # not asked again
    assert len(judged(opened)) == 2
    assert asking.save_state() == {
        "judge": wanted.judge, "model": "small", "rubric": RUBRIC, "most": 0}


def test_what_is_no_judge_cannot_be_asked(opened: Opened, asking: Asking) -> None:
    dialog = dialog_of(opened)
    for text, said in (("", "Choose a judge"), ("http://me:secret@host", "would be kept"),
                       ("http://", "names no server")):
        dialog.judge.setCurrentText(text)
        assert said in dialog.cost.text()
        assert not dialog.ask.isEnabled()
    dialog.judge.setCurrentText("http://host:1")
    assert dialog.cost.text().startswith("Up to 6 requests")
    assert dialog.ask.isEnabled()
    dialog.reject()


def test_it_is_said_why_no_judge_can_be_asked(opened: Opened, asking: Asking) -> None:
    asking.set_state(State.RUNNING)
    assert "Pause first" in asking.why_not()
    [entry] = [s for s in opened.window.judge.menus.more() if s.text == "Ask a judge…"]
    assert entry.why_not == asking.why_not()
    asking.set_state(State.PAUSED)
    assert asking.why_not() == ""


def test_what_was_wanted_is_remembered(opened: Opened, asking: Asking) -> None:
    asking.wanted = Wanted("bundled", "", "Short.", 7)
    state = json.loads(json.dumps(opened.window.judge.save_state()))
    asking.wanted = Wanted()
    opened.window.judge.restore_state(state)
    assert asking.wanted == Wanted("bundled", "", "Short.", 7)
    asking.restore_state({"judge": 3, "most": "x", "rubric": "Long."})
    assert asking.wanted == Wanted(rubric="Long.")


@pytest.fixture
def server() -> Iterator[RewardServer]:
    with serving(prefers_good) as found:
        yield found


def test_stop_leaves_a_request_that_hangs_and_asking_again_goes_on(
    store: Store, set_id: int, server: RewardServer
) -> None:
    """With a session in place of the window's."""
    told: queue.SimpleQueue[ev.Event] = queue.SimpleQueue()
    base = server.url.removesuffix("/score")
    store.trust(ev.UntrustedJudge(base, 0).sha256, base).result()
    server.answers = [(200, prefers_good({"messages": [{"content": "answer A\ngood\n====="}]})),
                      None]
    session = Session(store, told.put)
    try:
        session.send(do.JudgePairs(1, set_id, base, RUBRIC))
        assert server.hanging.wait(300)
        session.send(do.StopTrying())
        while not isinstance(event := told.get(timeout=300), ev.JudgingFailed):
            pass
        assert event == ev.JudgingFailed(1, "")
        assert not server.closing.is_set()
        session.send(do.JudgePairs(2, set_id, base, RUBRIC))
        while not isinstance(event := told.get(timeout=300), ev.PairsJudged):
            assert not isinstance(event, ev.JudgingFailed)
        assert event.by == f"judge: tiny at 127.0.0.1:{server.server_port}"
    finally:
        session.close()
    assert len(server.asked) == 7  # six, and the one that was not answered
    assert [m.choice for m in store.judgements.marks(set_id)] == ["first"] * 3


def test_an_address_that_was_not_agreed_to_and_a_policy_that_is_not_there(
    store: Store, set_id: int
) -> None:
    told: queue.SimpleQueue[ev.Event] = queue.SimpleQueue()
    session = Session(store, told.put)
    try:
        for judge, rubric, said in (
                ("http://host:1", RUBRIC, "host:1 is sent nothing before you agree."),
                ("policy", RUBRIC, "There is no policy in memory to judge; load one first."),
                ("bundled", " ", "There is no rubric; say what makes an answer better.")):
            session.send(do.JudgePairs(1, set_id, judge, rubric))
            while not isinstance(event := told.get(timeout=300), ev.JudgingFailed):
                pass
            assert event.sentence == said
    finally:
        session.close()


def test_failures_are_no_answers_and_why_stays_to_be_read(
    opened: Opened, asking: Asking, set_id: int
) -> None:
    asking.ask(set_id, Wanted())
    [command] = judged(opened)
    opened.controller.handle([ev.Judging(command.id, 2, 6, failed=2)])
    assert asking.said.text() == "The judge has answered 0 of 6 questions; 2 failed"
    opened.controller.handle([
        ev.Judging(command.id, 3, 6, failed=3), ev.JudgingFailed(command.id, "It is not there.")])
    assert asking.said.text() == "3 of 6 questions failed. It is not there."
    assert not asking.isHidden()
    assert asking.progress.isHidden()
    assert asking.stop_button.text() == "Close"
    assert asking.why_not() == ""
    asking.stop_button.click()
    assert asking.isHidden()
    asking.ask(set_id, Wanted())
    assert asking.stop_button.text() == "Stop"
    assert not asking.progress.isHidden()


def test_the_question_says_of_how_many_pairs_and_that_an_address_can_be_typed(
    opened: Opened, asking: Asking
) -> None:
    asking.wanted = Wanted(most=2)
    dialog = dialog_of(opened)
    assert dialog.most.text() == "2 of 3"
    assert any("address of a server" in each.text() for each in dialog.findChildren(QLabel))
