"""The Judge view: pairs come, keys mark them, and what was marked is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.window import Opened, fill, ready
from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QAction, QTextCursor
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QFileDialog,
    QLabel,
    QPushButton,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from workbench.dpo.declaration import DPO
from workbench.formatting import percent
from workbench.gui.judge.adding import FIRST_SET
from workbench.gui.judge.judge_dialog import Wanted
from workbench.gui.judge.queue import EVERY, MARKED, OTHERWISE, SKIPPED
from workbench.gui.judge.stage import Shown
from workbench.gui.judge.view import JudgeView
from workbench.ilql.declaration import ILQL
from workbench.records import Completion, PairData, ScoredData
from workbench.store.judged import CLEARLY, SLIGHTLY, Mark, PairToJudge, Side, Thumb, shown_left
from workbench.store.records import CompletionRecord, Prompt
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

KEYS = (Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3, Qt.Key.Key_4)
ME = "ann"


def pairs(number: int, scores: bool = True) -> list[PairToJudge]:
    """Pairs whose first completion the reward scored higher, ever less so."""
    return [PairToJudge(f"Prompt {i % 7}", Side(f" good {i}", score=2 + 1 / (i + 1)),
                        Side(f" bad {i}", score=2.0)) if scores else
            PairToJudge(f"Prompt {i}", Side(f" good {i}"), Side(f" bad {i}"))
            for i in range(number)]


def put_in(store: Store, found: list[PairToJudge], name: str = "Mine") -> int:
    set_id = store.judgements.make_set(name, seed=5).result()
    store.judgements.add(set_id, found).result()
    return set_id


@pytest.fixture
def judge(opened: Opened) -> JudgeView:
    """The view in front, with the keyboard."""
    view = opened.window.judge
    view.rename_person(ME)
    opened.window.reveal("judge")
    view.load_now()
    return view


def press(qtbot: QtBot, view: JudgeView, key: Qt.Key, shift: bool = False) -> None:
    modifier = Qt.KeyboardModifier.ShiftModifier if shift else Qt.KeyboardModifier.NoModifier
    view.stage.setFocus()
    qtbot.keyClick(view.stage, key, modifier)


def kept(store: Store, set_id: int) -> list[Mark]:
    """The marks on the disk, once all that were made are."""
    store.judgements.make_set("behind all of them").result()
    return store.judgements.marks(set_id)


def choose(view: JudgeView, shown: str) -> None:
    view.bar.want(shown)


def test_an_empty_view_says_how_to_begin_and_does_it_with_one_click(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    view = opened.window.judge
    opened.window.reveal("judge")
    page = view.empty_page
    assert view.pages.currentWidget() is page
    assert [b.isEnabled() for b in page.buttons] == [False, False, True]
    assert "Start a run, or choose one in Runs, first." in page.buttons[0].toolTip()
    run_id = fill(store)
    opened.controller.show_run(run_id)
    assert page.buttons[0].text() == "Start policy against cycle 3 of Run 1"
    qtbot.mouseClick(page.buttons[0], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: view.pages.currentWidget() is view.pair_page)
    qtbot.waitUntil(lambda: view.bar.said.text() == "0 of 3 marked, 3 left")
    assert {view.stage.left.toPlainText(), view.stage.right.toPlainText()} == {
        "clean and quiet 0", "clean and quiet 3"}
    assert "3 pairs added." in opened.window.toast.text


def test_pairs_that_are_there_are_not_offered_again(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    view = opened.window.judge
    opened.window.reveal("judge")
    opened.controller.show_run(fill(store))
    view.adding.add_cycles(3, 0)  # whichever side stands first
    qtbot.waitUntil(lambda: view.pages.currentWidget() is view.pair_page)
    for _ in range(3):
        press(qtbot, view, KEYS[0])
    qtbot.waitUntil(lambda: view.pages.currentWidget() is view.done_page)

    def start() -> QPushButton:
        return next(b for b in view.done_page.buttons if b.text().startswith("Start policy"))
    assert not start().isEnabled()
    assert "The set has these pairs already." in start().toolTip()
    view.sets.choose("Another")
    source = view.menus.sources()[0]
    assert (source.text, source.why_not) == ("Start policy against cycle 3 of Run 1", "")
    view.sets.choose(FIRST_SET)
    assert view.menus.sources()[0].why_not
    assert not view.menus.sources()[1].why_not  # other cycles may be chosen


def test_a_low_view_shows_an_empty_page_and_what_is_said_below_whole(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    window, view = opened.window, opened.window.judge
    window.docks["judge"].setFloating(True)
    window.reveal("judge")
    window.docks["judge"].resize(640, 280)

    def seen(widget: QWidget) -> bool:
        QApplication.processEvents()
        area = QRect(widget.mapTo(view, QPoint()), widget.size())
        return widget.isVisible() and view.rect().contains(area)
    assert view.pages.currentWidget() is view.empty_page
    bar = view._scroll.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() == 0)
    assert seen(view.bar)
    assert all(map(seen, view.empty_page.buttons))
    put_in(store, pairs(3))
    view.load_now()
    window.docks["judge"].resize(640, 240)
    qtbot.waitUntil(lambda: seen(view.stage.buttons["left"]))
    assert bar.maximum() > 0
    assert view.kept_line.height() == 0
    view.making.made("Mine 1 is made", "")
    qtbot.waitUntil(lambda: seen(view.making.go_on) and seen(view.stage.buttons["left"]))
    view.sets.choose("Nothing yet")
    qtbot.waitUntil(lambda: bar.value() == 0)
    assert seen(view.bar.sets)


def test_a_text_that_is_clicked_gives_the_keyboard_back(
    qtbot: QtBot, judge: JudgeView, store: Store
) -> None:
    put_in(store, pairs(3))
    judge.load_now()
    text = judge.stage.left
    qtbot.mouseClick(text.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(12, 12))
    assert judge.stage.hasFocus()
    text.setFocus()
    text.selectAll()
    qtbot.mouseRelease(text.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(40, 12))
    assert text.hasFocus()  # what is marked can be copied
    assert text.textCursor().hasSelection()
    qtbot.keyClick(text, KEYS[0])
    assert judge.stage.prompt.toPlainText() == "Prompt 1"
    assert judge.stage.hasFocus()


def test_a_pair_is_blind_and_its_side_is_that_of_the_seed(
    judge: JudgeView, store: Store
) -> None:
    put_in(store, pairs(4))
    judge.load_now()
    assert judge.stage.prompt.toPlainText() == "Prompt 0"
    first = judge.stage.left.toPlainText() == "good 0"
    assert first is (shown_left(5, 1) == "first")
    assert judge.stage.accessibleDescription().startswith("Prompt: Prompt 0\nLeft: ")
    assert all(not label.isVisibleTo(judge) for label in judge.stage._facts)
    seen = [label.text() for label in judge.findChildren(QLabel) if label.isVisibleTo(judge)]
    assert not any("reward" in text or "cycle" in text for text in seen)


def test_nothing_moves_under_the_person_as_lines_come_and_go(
    qtbot: QtBot, judge: JudgeView, store: Store, opened: Opened
) -> None:
    ready(opened)
    set_id = put_in(store, pairs(9))
    judge.load_now()

    def places() -> list[tuple[QPoint, QSize]]:
        QApplication.processEvents()
        return [(each.mapTo(opened.window, QPoint()), each.size()) for each in (
            judge.stage.left, judge.stage.right, *judge.stage.buttons.values())]
    first = places()
    for _ in range(6):
        press(qtbot, judge, KEYS[0])
    assert judge.bar.agreement.isVisible()
    assert places() == first
    judge.making.begin("Yours 1")
    assert judge.making.isVisible()
    assert places() == first
    judge.making.progress(1, 3, 0.5)
    assert places() == first
    judge.making.made("Yours 1 is made", "")
    assert places() == first
    judge.asking.ask(set_id, Wanted("policy"))
    assert judge.asking.isVisible()
    assert judge.making.isHidden()
    assert places() == first
    judge.asking.refused()
    assert not judge.asking.isVisible()
    assert judge.making.go_on.isVisible()
    assert places() == first
    judge.making.done()
    assert judge.making.isHidden()
    assert places() == first


def test_keys_mark_and_the_next_pair_comes(qtbot: QtBot, judge: JudgeView, store: Store) -> None:
    set_id = put_in(store, pairs(7))
    judge.load_now()
    press(qtbot, judge, Qt.Key.Key_1)
    assert judge.stage.prompt.toPlainText() == "Prompt 1"
    press(qtbot, judge, Qt.Key.Key_2, shift=True)
    press(qtbot, judge, Qt.Key.Key_3)
    press(qtbot, judge, Qt.Key.Key_4)
    press(qtbot, judge, Qt.Key.Key_Space)
    other = {"first": "second", "second": "first"}
    marks = kept(store, set_id)
    assert [(m.pair, m.choice, m.strength, m.by) for m in marks] == [
        (1, shown_left(5, 1), SLIGHTLY, ME), (2, other[shown_left(5, 2)], CLEARLY, ME),
        (3, "tie", SLIGHTLY, ME), (4, "both_bad", 0, ME), (5, "skip", 0, ME)]
    assert [m.left for m in marks] == [shown_left(5, number) for number in range(1, 6)]
    assert all(m.seconds >= 0 for m in marks)
    assert judge.bar.said.text() == "4 of 7 marked, 2 left · last: left for later"
    choose(judge, SKIPPED)
    assert judge.stage.prompt.toPlainText() == "Prompt 4"
    press(qtbot, judge, Qt.Key.Key_1)
    assert judge.pages.currentWidget() is judge.done_page
    assert kept(store, set_id)[-1].choice == shown_left(5, 5)


def test_arrows_go_back_and_a_mark_can_be_made_anew(
    qtbot: QtBot, judge: JudgeView, store: Store
) -> None:
    set_id = put_in(store, pairs(3))
    judge.load_now()
    press(qtbot, judge, Qt.Key.Key_1)
    press(qtbot, judge, Qt.Key.Key_Left)
    assert judge.stage.prompt.toPlainText() == "Prompt 0"
    assert judge.stage.buttons["left"].accessibleName() == "Left is better, as you said"
    press(qtbot, judge, Qt.Key.Key_Left)  # nothing is before it
    press(qtbot, judge, Qt.Key.Key_Space)  # it stays marked
    press(qtbot, judge, Qt.Key.Key_Left)
    press(qtbot, judge, Qt.Key.Key_4)
    assert judge.stage.prompt.toPlainText() == "Prompt 1"
    assert [(m.pair, m.choice, m.stands) for m in kept(store, set_id)] == [
        (1, shown_left(5, 1), False), (1, "both_bad", True)]


def test_undo_takes_exactly_the_last_back(qtbot: QtBot, judge: JudgeView, store: Store) -> None:
    set_id = put_in(store, pairs(5))
    judge.load_now()
    for key in KEYS:
        press(qtbot, judge, key)
    press(qtbot, judge, Qt.Key.Key_Z)
    assert judge.stage.prompt.toPlainText() == "Prompt 3"
    qtbot.keyClick(judge.stage.left, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert judge.stage.prompt.toPlainText() == "Prompt 2"
    assert [m.pair for m in kept(store, set_id)] == [1, 2]
    press(qtbot, judge, Qt.Key.Key_4)
    assert [(m.pair, m.choice) for m in kept(store, set_id)][-1] == (3, "both_bad")
    for _ in range(4):
        press(qtbot, judge, Qt.Key.Key_Z)
    assert kept(store, set_id) == []


def test_three_hundred_marks_of_which_twenty_are_undone_are_there_when_it_is_opened_again(
    qtbot: QtBot, store: Store
) -> None:
    set_id = put_in(store, pairs(400))
    opened = Opened(store)
    with qtbot.waitSignal(opened.window.first_paint):
        opened.window.show()
    view = opened.window.judge
    view.rename_person(ME)
    opened.window.reveal("judge")
    view.load_now()
    made = []
    for number in range(300):
        assert view._pair is not None
        made.append((view._pair.id, view.queue.repeating))
        press(qtbot, view, KEYS[number % 2], shift=number % 5 == 0)
    for _ in range(20):
        press(qtbot, view, Qt.Key.Key_Z)
    state = view.save_state()
    opened.close()
    found = kept(store, set_id)
    assert [(m.pair, m.repeat) for m in found] == made[:280]
    assert [m.id for m in found] == sorted(m.id for m in found)
    again = Opened(store)
    again.window.judge.restore_state(state)
    with qtbot.waitSignal(again.window.first_paint):
        again.window.show()
    again.window.reveal("judge")
    again.window.judge.load_now()
    queue = again.window.judge.queue
    assert queue.done == len({pair for pair, _ in made[:280]})
    assert queue.current is not None
    assert queue.current.choice is None
    again.close()


def test_every_tenth_comes_again_with_its_sides_swapped(
    qtbot: QtBot, judge: JudgeView, store: Store
) -> None:
    set_id = put_in(store, pairs(15))
    judge.load_now()
    for _ in range(EVERY):
        assert not judge.queue.repeating
        press(qtbot, judge, Qt.Key.Key_1)
    assert judge.queue.repeating
    assert judge._pair is not None
    pair, text = judge._pair.id, judge.stage.left.toPlainText()
    assert pair in range(1, EVERY - 4)
    assert judge.stage.buttons["left"].accessibleName() == "Left is better"
    press(qtbot, judge, Qt.Key.Key_1)  # always the left: the other than before
    first, again = (m for m in kept(store, set_id) if m.pair == pair)
    assert (again.repeat, again.left != first.left, again.choice != first.choice) == (
        True, True, True)
    assert text != f"good {pair - 1}" or first.choice == "second"
    assert "self-agreement 0 of 1" in judge.bar.said.text()
    assert judge.stage.prompt.toPlainText() == "Prompt 3"
    press(qtbot, judge, Qt.Key.Key_Z)
    assert judge.queue.repeating
    assert judge.stage.left.toPlainText() == text


def test_a_key_that_is_held_marks_one_pair(judge: JudgeView) -> None:
    actions = [a for a in judge.stage.actions() if a.objectName() != "judge_undo"]
    assert len(actions) == 6
    assert not any(action.autoRepeat() for action in judge.stage.actions())


def test_a_double_click_marks_one_pair(qtbot: QtBot, judge: JudgeView, store: Store) -> None:
    set_id = put_in(store, pairs(3))
    judge.load_now()
    button = judge.stage.buttons["right"]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.mouseDClick(button, Qt.MouseButton.LeftButton)
    assert len(kept(store, set_id)) == 1
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert [m.pair for m in kept(store, set_id)] == [1, 2]


def test_by_the_keyboard_alone(qtbot: QtBot, judge: JudgeView, store: Store) -> None:
    """A button that has the keyboard is pressed by Space, which skips elsewhere."""
    set_id = put_in(store, pairs(3))
    judge.load_now()
    button = judge.stage.buttons["tie"]
    button.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(button, Qt.Key.Key_Space)
    qtbot.keyClick(judge.stage.right, Qt.Key.Key_Space)
    assert [m.choice for m in kept(store, set_id)] == ["tie", "skip"]
    qtbot.keyClick(judge.stage.left, Qt.Key.Key_Left)
    assert judge.stage.prompt.toPlainText() == "Prompt 1"


def test_what_is_typed_into_the_guidelines_marks_nothing(
    qtbot: QtBot, judge: JudgeView, store: Store
) -> None:
    set_id = put_in(store, pairs(3))
    judge.load_now()
    judge.toggle_guidelines()
    qtbot.keyClicks(judge.guidelines.field, "1 z 2")
    assert kept(store, set_id) == []
    press(qtbot, judge, Qt.Key.Key_1)
    [mark] = kept(store, set_id)
    assert store.judgements.guidelines(mark.guidelines) == "1 z 2"
    assert store.judgements.set("Mine").guidelines == "1 z 2"


def test_differences_are_shown_on_request(judge: JudgeView, store: Store) -> None:
    put_in(store, [PairToJudge("p", Side(" a good warm tea"), Side(" a good cold tea"))])
    judge.load_now()

    def marked() -> bool:
        cursor = QTextCursor(judge.stage.left.document())
        cursor.setPosition(9)
        return bool(cursor.charFormat().fontUnderline())
    assert not marked()
    judge.bar.differences.click()
    assert marked()


def test_where_the_reward_says_otherwise(qtbot: QtBot, judge: JudgeView, store: Store) -> None:
    """It scored the first higher in every pair; the person prefers the second in two of six."""
    put_in(store, pairs(8))
    judge.load_now()
    for number in range(1, 7):
        first = shown_left(5, number) == "first"
        wants_first = number not in (2, 4)
        press(qtbot, judge, Qt.Key.Key_1 if first == wants_first else Qt.Key.Key_2)
    link = judge.bar.agreement
    assert link.accessibleName() == (
        f"You and the reward agree on {percent(2 / 3)} of 6 pairs; see the 2 where you do not")
    qtbot.mouseClick(link, Qt.MouseButton.LeftButton)
    assert judge.bar.wanted == OTHERWISE
    assert judge.queue.position == (1, 2)
    assert judge.stage.prompt.toPlainText() == "Prompt 1"
    facts = {label.text() for label in judge.stage._facts if label.isVisibleTo(judge)}
    assert facts == {"reward 2.50", "reward 2.00"}
    press(qtbot, judge, Qt.Key.Key_Right)
    assert judge.stage.prompt.toPlainText() == "Prompt 3"


def test_the_most_useful_comes_first(judge: JudgeView, store: Store) -> None:
    put_in(store, [*pairs(3), *pairs(1, scores=False)])
    judge.load_now()
    judge.bar.turn_nearest()
    assert [judge.queue.entries[n].apart for n in judge.queue._ids][:3] == pytest.approx(
        [1 / 3, 1 / 2, 1])
    assert judge.stage.prompt.toPlainText() == "Prompt 2"


def test_pairs_of_one_prompt_and_of_another_person(
    qtbot: QtBot, judge: JudgeView, store: Store
) -> None:
    set_id = put_in(store, pairs(9))
    for number in (1, 2, 3):
        store.judgements.mark(number, "bob", "first").result()
        store.judgements.mark(number, ME, "first" if number == 2 else "second").result()
    judge.load_now()
    prompts = judge.bar.prompts
    prompts.setCurrentIndex(prompts.findText("Prompt 1"))
    prompts.activated.emit(prompts.currentIndex())
    assert judge.queue.position[1] == 1  # that of the marked one is left out
    assert judge.stage.prompt.toPlainText() == "Prompt 1"
    prompts.setCurrentIndex(0)
    choose(judge, "person:bob")
    assert judge.bar.shown.currentText() == "bob says otherwise"
    assert judge.queue._ids == [1, 3]
    # Chance would give a third: the other always said the first, this one in one of three.
    assert judge.bar.said.text() == "You and bob agree on 1 of 3 pairs, Cohen's kappa 0.00"
    choose(judge, MARKED)
    assert judge.queue.position[1] == 3
    judge.rename_person("bob")
    assert judge.queue.done == 3
    assert store.judgements.people(set_id) == {ME: 3, "bob": 3}


def test_sets_are_made_named_and_deleted(judge: JudgeView, store: Store) -> None:
    put_in(store, pairs(2))
    put_in(store, pairs(1), "Other")
    judge.load_now()
    assert judge.bar.sets.isVisibleTo(judge)
    judge.bar.sets.setCurrentIndex(1)
    judge.bar.sets.activated.emit(1)
    assert (judge.set_name, len(judge.queue.entries)) == ("Other", 1)
    judge.sets.rename("Mine")  # is another's
    assert judge.set_name == "Other"
    judge.sets.rename("Taste")
    judge.sets.choose("New")
    assert judge.pages.currentWidget() is judge.empty_page
    judge.sets.delete()
    assert [each.name for each in store.judgements.sets()] == ["Mine", "Taste"]
    assert judge.set_name == "Mine"


def test_a_file_is_read_judged_and_written(
    qtbot: QtBot, judge: JudgeView, opened: Opened, store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    record = {"prompt": "The tea was", "chosen": " hot.", "rejected": " a tea."}
    path.write_text("".join(json.dumps(each) + "\n" for each in (
        record, {**record, "rejected": " hot."})))
    judge.adding.add_file(path)
    qtbot.waitUntil(lambda: len(judge.queue.entries) == 1)
    assert "Line 2 has two equal answers." in opened.window.toast.text
    press(qtbot, judge, Qt.Key.Key_1)
    written = tmp_path / "b.csv"
    judge.sets.export(written)
    qtbot.waitUntil(written.exists)
    assert len(written.read_text().splitlines()) == 3
    judge.adding.add_file(tmp_path / "none.jsonl")
    qtbot.waitUntil(lambda: "There is no file" in opened.window.toast.text)


def test_two_fresh_samples_of_the_policy(
    qtbot: QtBot, judge: JudgeView, opened: Opened, store: Store
) -> None:
    ready(opened)
    opened.window.prompts._model.load([Prompt("The film was"), Prompt("off", False)])
    qtbot.mouseClick(judge.empty_page.buttons[1], Qt.MouseButton.LeftButton)
    asked = opened.sent[-1]
    assert isinstance(asked, do.Try)
    assert (asked.prompts, asked.sources) == (
        ("The film was", "The film was"), (do.TrySource("current"),))
    assert "The policy writes two completions of 1 prompt" in judge.empty_page.sentence.text()
    opened.controller.handle([
        ev.TryStarted(asked.id, ("Run 1 after cycle 2",)),
        ev.TryScored(asked.id, 0, tuple(
            Completion(row, text, score, 0.1, 4, True)
            for row, (text, score) in enumerate(((" good", 1.0), (" bad", 0.5))))),
        ev.TryFinished(asked.id, False)])
    qtbot.waitUntil(lambda: judge.pages.currentWidget() is judge.pair_page)
    assert opened.window.trying.attempts == ()
    assert judge._pair is not None
    assert judge._pair.pair.first.origin.writer == "Run 1 after cycle 2"
    opened.controller.handle([ev.StateChanged(State.RUNNING)])
    assert "pause the run" in judge.adding.why_not_fresh()


def test_the_present_reward_scores_them(
    qtbot: QtBot, judge: JudgeView, opened: Opened, store: Store
) -> None:
    set_id = put_in(store, pairs(2, scores=False))
    judge.load_now()
    judge.bar.more_menu.aboutToShow.emit()
    entry = next(a for a in judge.bar.more_menu.actions() if a.text().startswith("Score by"))
    assert not entry.isEnabled()
    assert "with the models loaded" in entry.toolTip()
    ready(opened)
    press(qtbot, judge, Qt.Key.Key_1)
    judge.score()
    asked = opened.sent[-1]
    assert isinstance(asked, do.ScorePairs)
    assert asked.set_id == set_id
    assert "The reward scores pairs" in judge.bar.said.text()
    store.judgements.score({1: (0.0, 1.0), 2: (3.0, float("nan"))}, "present").result()
    opened.controller.handle([ev.PairsScored(asked.id, 2)])
    assert judge.queue.entries[1].reward_prefers == "second"
    assert judge.queue.entries[2].reward_prefers is None
    assert "2 pairs scored" in opened.window.toast.text
    assert judge.queue.current is not None
    assert judge.queue.current.id == 2
    judge.score()
    opened.controller.handle([ev.CommandRefused("ScorePairs", "Pause first.")])
    assert judge.adding.busy == ""


def test_siblings_and_two_cycles_are_asked_for(
    qtbot: QtBot, judge: JudgeView, opened: Opened, store: Store
) -> None:
    run_id = fill(store)
    store.record_cycle(run_id, 4, metrics={}, comparison=[], rollout=[
        CompletionRecord(i, 0, "The hotel was", f" text {i}", 0.5, 0.1, 3, True)
        for i in range(4)]).result()
    opened.controller.show_run(run_id)
    judge.menus._ask_cycles()
    dialog = judge.findChild(QComboBox, "judge_cycle_1").window()
    second = dialog.findChild(QComboBox, "judge_cycle_2")
    second.setCurrentIndex(second.findText("Cycle 2"))
    dialog.accept()
    qtbot.waitUntil(lambda: len(judge.queue.entries) == 3)
    QApplication.sendPostedEvents(None, 0)
    judge.menus._ask_cycle()
    dialog = [w for w in judge.findChildren(QComboBox, "judge_cycle_1") if w.isVisible()][-1]
    assert dialog.currentText() == "Cycle 4"
    dialog.window().accept()
    qtbot.waitUntil(lambda: len(judge.queue.entries) == 5)


def test_export_is_asked_for(judge: JudgeView, store: Store) -> None:
    put_in(store, pairs(1))
    judge.load_now()
    judge.bar.more_menu.aboutToShow.emit()
    actions = {a.text(): a for a in judge.bar.more_menu.actions()}
    assert f"Judging as {ME}…" in actions
    assert not actions["Learn from them"].isEnabled()
    actions["Export…"].trigger()
    dialog = judge.findChild(QFileDialog, "judge_export")
    assert dialog.defaultSuffix() == "jsonl"
    dialog.reject()


def test_thumbs_are_exported(
    qtbot: QtBot, judge: JudgeView, store: Store, tmp_path: Path
) -> None:
    def offered() -> QAction:
        judge.bar.more_menu.aboutToShow.emit()
        return next(a for a in judge.bar.more_menu.actions() if a.text() == "Export thumbs…")
    set_id = put_in(store, pairs(1))
    judge.load_now()
    assert not offered().isEnabled()
    store.judgements.thumb(set_id, Thumb("The tea was", Side(" hot."), ME, True)).result()
    offered().trigger()
    judge.findChild(QFileDialog, "judge_export_thumbs").reject()
    written = tmp_path / "thumbs.jsonl"
    with qtbot.waitSignal(judge.saved) as saved:
        judge.sets.export_thumbs(written)
    assert saved.args == [written, "1 thumb written."]
    assert json.loads(written.read_text())["label"] is True


def test_what_was_chosen_is_remembered(judge: JudgeView, store: Store) -> None:
    put_in(store, pairs(2))
    put_in(store, pairs(2), "Other")
    judge.sets.choose("Other")
    judge.bar.differences.setChecked(True)
    judge.toggle_guidelines()
    judge.bar.turn_nearest()
    saved = judge.save_state()
    judge.restore_state({})
    judge.restore_state(saved | {"nonsense": 1})
    judge.load_now()
    assert judge.save_state() == saved
    assert judge.set_name == "Other"


def test_a_mark_that_is_not_kept_is_said(
    qtbot: QtBot, judge: JudgeView, opened: Opened, store: Store
) -> None:
    put_in(store, pairs(2))
    judge.load_now()
    store.path.rename(store.path.with_suffix(".away"))
    press(qtbot, judge, Qt.Key.Key_1)
    qtbot.waitUntil(lambda: "The mark was not kept" in opened.window.toast.text)
    store.path.with_suffix(".away").rename(store.path)
    judge.load_now()
    assert judge.queue.done == 0


def test_they_are_learned_from(
    qtbot: QtBot, judge: JudgeView, opened: Opened, store: Store
) -> None:
    """With one click by DPO; whatever learns from single completions gets thumbs of both sides."""
    ready(opened)
    put_in(store, pairs(3))
    judge.load_now()
    for key in (Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_4):
        press(qtbot, judge, key)
    kept(store, 1)
    qtbot.mouseClick(judge.done_page.buttons[1], Qt.MouseButton.LeftButton)
    dock = opened.window.hyperparameters
    assert dock.algorithm is DPO
    qtbot.waitUntil(lambda: not dock.data_line.reading)
    assert dock.data_line.text.text() == "Mine (2 pairs)"
    assert opened.window.toast.text.endswith("Press Start to learn from it.")
    opened.window.actions_["start"].trigger()
    start = next(c for c in opened.sent if isinstance(c, do.Start))
    assert isinstance(start.data, PairData)
    assert start.data.summary == "2 preferences, 1 both bad."
    dock.choose_algorithm(ILQL)
    dock.data_line._choose()
    action = next(a for a in dock.data_line._menu.actions()
                  if a.text() == "Judgements “Mine”")
    dock.data_line._menu.close()
    action.trigger()
    qtbot.waitUntil(lambda: not dock.data_line.reading)
    assert isinstance(dock.data_line.data, ScoredData)
    assert [text.score for text in dock.data_line.data.items].count(1.0) == 2
    assert len(dock.data_line.data.items) == 6
    opened.controller.handle([ev.StateChanged(State.RUNNING)])
    judge.learn_wanted.emit("Mine")
    assert "A run is on" in opened.window.toast.text


def test_thumbs_on_completions_and_tries(
    qtbot: QtBot, judge: JudgeView, opened: Opened, store: Store
) -> None:
    opened.controller.show_run(fill(store))
    opened.window.reveal("completions")
    table = opened.window.completions.table
    qtbot.waitUntil(lambda: table.model().rowCount() == 3)
    table.setCurrentIndex(table.model().index(0, 2))
    table.setFocus()

    def given() -> list[tuple[str, bool, str]]:
        found = store.judgements.set(FIRST_SET)
        return [(t.completion.text, t.up, t.by) for t in store.judgements.thumbs(found.id)]
    qtbot.keyClick(table, Qt.Key.Key_U)
    assert given() == [("clean and quiet 3", True, ME)]
    spoken = table.model().index(0, 2).data(Qt.ItemDataRole.AccessibleTextRole)
    assert ", thumbs up: clean and quiet 3" in spoken
    before = table.grab().toImage()
    qtbot.keyClick(table, Qt.Key.Key_D)
    assert given() == [("clean and quiet 3", False, ME)]
    assert table.grab().toImage() != before
    qtbot.keyClick(table, Qt.Key.Key_D)
    assert given() == []
    trying = opened.window.trying
    opened.controller.handle([ev.StateChanged(State.PAUSED)])
    trying.prompt.setPlainText("The film was")
    trying.button.click()
    command = opened.sent[-1]
    opened.controller.handle([
        ev.TryStarted(command.id, ("start", "now")),
        ev.TryScored(command.id, 0, (Completion(0, " dull", 0.5, 0.0, 2, True),)),
        ev.TryFinished(command.id, False)])
    down = trying.results.findChild(QToolButton, "try_text_0_0_down")
    assert not trying.results.findChild(QToolButton, "try_text_1_0_down").isVisibleTo(trying)
    down.click()
    assert down.isChecked()
    assert given() == [(" dull", False, ME)]
    assert store.judgements.thumbs(1)[0].completion.origin.writer == "start"


@pytest.mark.parametrize("size", [(640, 360), (960, 540), (1280, 720)])
def test_in_a_small_window_both_texts_and_all_answers_are_seen(
    judge: JudgeView, opened: Opened, store: Store, styled: None, size: tuple[int, int]
) -> None:
    put_in(store, [PairToJudge("The film was", Side(" dull " * 20), Side(" great " * 20))])
    opened.window.resize(*size)
    for _ in range(3):
        QApplication.processEvents()
    opened.window.reveal("judge")
    judge.load_now()
    for _ in range(3):
        QApplication.processEvents()
    stage = judge.stage
    line = stage.fontMetrics().lineSpacing()
    for text in (stage.left, stage.right):
        assert text.visibleRegion().boundingRect().height() >= 2 * line
    for button in (*stage.buttons.values(), stage.skip, stage.undo):
        assert button.visibleRegion().boundingRect() == button.rect(), button.objectName()
        assert button.width() >= button.fontMetrics().horizontalAdvance(
            "" if button in (stage.skip, stage.undo) else button.text())


def test_every_key_is_among_the_shortcuts(opened: Opened) -> None:
    names = {action.objectName() for action in opened.window.all_actions()
             if isinstance(action, QAction)}
    assert {"judge_left", "judge_left_clearly", "judge_right", "judge_tie", "judge_both_bad",
            "judge_undo"} <= names


def test_completions_stay_where_they_are_from_pair_to_pair(
    qtbot: QtBot, judge: JudgeView, store: Store
) -> None:
    put_in(store, [PairToJudge("The film was " * 30, Side(" dull."), Side(" great."))])
    judge.load_now()
    stage = judge.stage
    long = Shown("The film was " * 60, "dull.", "great.", facts=("cycle 1", "a longer line " * 20))
    short = Shown("Tea", "dull.", "great.", facts=("cycle 1", "cycle 2"))
    stage.show_pair(long)
    QApplication.processEvents()
    top, bottom = stage.left.y(), stage.left.geometry().bottom()
    assert stage.right.geometry().bottom() == bottom  # whatever is said of the two
    stage.show_pair(short)
    QApplication.processEvents()
    assert stage.left.y() == stage.right.y() == top


def test_how_far_one_agrees_with_oneself_is_not_cut(judge: JudgeView, opened: Opened) -> None:
    opened.window.docks["judge"].setFloating(True)
    opened.window.docks["judge"].resize(640, 500)
    said = "12 of 40 marked, 28 left · self-agreement 3 of 4 · Left is better."
    judge.bar.show_pairs(True)
    judge.bar.show_progress(
        12, 40, said, "You and the reward agree on 75\N{NO-BREAK SPACE}% of 12; see the 3 where "
        "you do not", "")
    QApplication.processEvents()
    assert judge.bar.said.width() >= judge.bar.said.fontMetrics().horizontalAdvance(said)
    assert judge.bar.agreement.text() == "Reward: 75\N{NO-BREAK SPACE}% of 12"
    assert "You and the reward agree on 75" in judge.bar.agreement.toolTip()
