"""Trying a policy in the window."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from helpers.play import SMALL, play, until
from helpers.window import DEFAULTS, Opened, fill
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QLabel, QTextEdit
from pytestqt.qtbot import QtBot

from workbench.gui.app import Workbench
from workbench.gui.trying.record import join_prompts, split_prompts
from workbench.records import Completion
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

START, CURRENT = do.TrySource("start"), do.TrySource("current")


@pytest.fixture
def paused(opened: Opened) -> Opened:
    opened.controller.handle([ev.StateChanged(State.PAUSED, "After cycle 2")])
    opened.window.reveal("trying")
    return opened


def cell(opened: Opened, column: int, row: int = 0) -> QTextEdit:
    return opened.window.trying.results.findChild(QTextEdit, f"try_text_{column}_{row}")


def facts(opened: Opened, column: int, row: int = 0) -> str:
    return opened.window.trying.results.findChild(
        QLabel, f"try_text_{column}_{row}_facts").text()


def begin(opened: Opened, prompt: str = "The film was") -> do.Try:
    view = opened.window.trying
    view.prompt.setPlainText(prompt)
    view.button.click()
    command = opened.sent[-1]
    assert isinstance(command, do.Try)
    labels = tuple(s.kind for s in command.sources)
    opened.controller.handle([ev.TryStarted(command.id, labels)])
    return command


def scored(command: do.Try, source: int, *texts: str, score: float = 1.0) -> ev.TryScored:
    return ev.TryScored(command.id, source, tuple(
        Completion(i, t, score, 2.0, 4, True) for i, t in enumerate(texts)))


def marked(text: QTextEdit) -> list[str]:
    """The words on a coloured ground."""
    found = []
    block = text.document().begin()
    while block.isValid():
        found += [f.fragment().text() for f in block.begin()
                  if f.fragment().charFormat().background().style() != Qt.BrushStyle.NoBrush]
        block = block.next()
    return found


@pytest.mark.parametrize(("text", "prompts"), [
    ("", ()), ("one", ("one",)), ("one\ntwo", ("one\ntwo",)),
    ("one\n---\n\n---\n two", ("one", " two")),
    ("a --- b", ("a --- b",)),
])
def test_prompts_are_split_at_lines_of_dashes(text: str, prompts: tuple[str, ...]) -> None:
    assert split_prompts(text) == prompts
    assert split_prompts(join_prompts(list(prompts))) == prompts


def test_the_prompt_shows_whole_lines(paused: Opened) -> None:
    prompt = paused.window.trying.prompt
    line = prompt.fontMetrics().lineSpacing()
    shown = (prompt.viewport().height() - prompt.document().documentMargin()) / line
    assert 3 <= shown < 3.5


@pytest.mark.parametrize("size", [(960, 540), (1280, 720)])
def test_nothing_is_laid_over_another_where_there_is_little_height(
    paused: Opened, size: tuple[int, int]
) -> None:
    window, view = paused.window, paused.window.trying
    window.resize(*size)
    command = begin(paused)
    for source in (0, 1):
        paused.controller.handle([scored(command, source, "The film was long. " * 9)])
    paused.controller.handle([ev.TryFinished(command.id, False)])
    for _ in range(4):  # the docks follow the window's size
        QApplication.processEvents()
    rows = [view.prompt, view.controls, view.results]
    for above, below in pairwise(rows):
        assert above.geometry().bottom() < below.geometry().top()
    assert view.button.height() >= view.button.sizeHint().height()
    assert view.results.visibleRegion().boundingRect() == view.results.rect()
    for field in view.controls.fields.values():
        at = QRect(field.mapTo(view.controls, QPoint(0, 0)), field.size())
        assert view.controls.rect().contains(at)


def test_what_was_tried_stays_in_place_when_the_run_goes_on(paused: Opened) -> None:
    view = paused.window.trying
    paused.controller.handle([ev.TryFinished(begin(paused).id, False)])
    QApplication.processEvents()
    before = view.results.geometry().topLeft()
    paused.controller.handle([ev.StateChanged(State.RUNNING)])
    QApplication.processEvents()
    assert view.line.isVisible()
    assert view.results.geometry().topLeft() == before


def test_the_layout_is_the_same_before_and_after_the_first_try(paused: Opened) -> None:
    view = paused.window.trying
    parts = (view.prompt, view.button, view.controls, view.results, view.history, view.copy_button)
    paused.window.reveal("trying")

    def places() -> list[QRect]:
        QApplication.processEvents()
        return [part.geometry() for part in parts]
    before = places()
    assert before[0].top() < 16
    assert not view.history.isEnabled()
    paused.controller.handle([ev.TryFinished(begin(paused).id, False)])
    assert places() == before
    assert view.history.isEnabled()


def test_that_the_run_goes_on_is_said_while_there_is_one(opened: Opened) -> None:
    view = opened.window.trying
    for state in State:
        opened.controller.handle([ev.StateChanged(state)])
        assert ("the run goes on" in view.line.text()) is (state is State.PAUSED), state
        assert view.line.isVisibleTo(view) is bool(view.line.text())


def test_ctrl_enter_tries_and_does_not_apply(qtbot: QtBot, paused: Opened) -> None:
    window = paused.window
    window.activateWindow()
    window.hyperparameters.form.set_values({"lam": 0.5}, "test")
    window.actions_["try"].trigger()
    assert QApplication.focusWidget() is window.trying.prompt
    qtbot.keyClicks(window.trying.prompt, "The film was")
    window.trying.controls.fields["top_p"].set_value(0.9)
    qtbot.keyClick(window.trying.prompt, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert paused.sent == [
        do.Try(1, ("The film was",), (START, CURRENT), 1.0, 0.9, 0, 48)]


def test_columns_fill_and_differences_are_marked(paused: Opened) -> None:
    command = begin(paused)
    paused.controller.handle([
        ev.TryProgress(command.id, 0, (" a dull",), (2,)),
        ev.TryProgress(command.id, 0, (" a dull story",), (3,))])
    assert cell(paused, 0).toPlainText() == "a dull story"
    assert facts(paused, 0) == "3 tokens…"
    assert facts(paused, 1) == "waits"
    assert paused.window.trying.button.text() == "Stop"
    paused.controller.handle([
        scored(command, 0, " a dull story", score=-0.5), scored(command, 1, " a great story"),
        ev.TryFinished(command.id, stopped=False)])
    assert (marked(cell(paused, 0)), marked(cell(paused, 1))) == (["dull"], ["great"])
    assert "▲ +1.50" in facts(paused, 1)
    assert "reward −0.50 · KL 2.00 · 4 tokens" in facts(paused, 0)
    assert paused.window.trying.button.text() == "Try"


def test_stopping_says_what_was_not_finished(qtbot: QtBot, paused: Opened) -> None:
    command = begin(paused)
    paused.controller.handle([ev.TryProgress(command.id, 0, (" a",), (1,))])
    qtbot.keyClick(paused.window.trying.prompt, Qt.Key.Key_Escape)
    assert paused.sent[-1] == do.StopTrying(command.id)
    paused.controller.handle([ev.TryFinished(command.id, stopped=True)])
    assert (facts(paused, 0), facts(paused, 1)) == ("1 token, stopped", "stopped")


def test_a_column_that_failed_says_why(paused: Opened) -> None:
    command = begin(paused)
    paused.controller.handle([ev.TryFailed(command.id, 0, "The checkpoint is damaged.")])
    problem = paused.window.trying.results.findChild(QLabel, "try_problem_0")
    assert problem.isVisibleTo(paused.window)
    assert problem.text() == "The checkpoint is damaged."


def test_earlier_tries_are_kept_copied_and_used_again(paused: Opened) -> None:
    view = paused.window.trying
    for number, prompt in enumerate(("The film was", "The hotel\n---\nThe coffee"), start=1):
        view.controls.set_values({"seed": number})
        command = begin(paused, prompt)
        texts = [f" try {number}"] * len(command.prompts)
        paused.controller.handle([
            scored(command, 0, *texts), scored(command, 1, *texts),
            ev.TryFinished(command.id, stopped=False)])
    assert cell(paused, 1, 1).toPlainText() == "try 2"
    view.history.setCurrentIndex(0)
    assert cell(paused, 1).toPlainText() == "try 1"
    assert "seed 1" in view.results.findChild(QLabel, "try_settings").text()
    view.copy_button.click()
    assert "**The film was**\n\nstart (reward 1.00 · KL 2.00 · 4 tokens):\n\n>  try 1" in (
        QGuiApplication.clipboard().text())
    view.reuse_button.click()
    assert view.prompt.toPlainText() == "The film was"
    assert view.controls.values()["seed"] == 1


def test_a_refused_try_leaves_nothing(paused: Opened) -> None:
    view = paused.window.trying
    view.prompt.setPlainText("x")
    view.button.click()
    paused.controller.handle([ev.CommandRefused("Try", "Prompt 1 (“x”) is too long.")])
    assert view.attempts == ()
    assert not view.busy
    assert "too long" in paused.window.toast.text


def test_what_is_missing_is_said(paused: Opened) -> None:
    view = paused.window.trying
    view.button.click()
    assert "Type a prompt" in paused.window.toast.text
    view.prompt.setPlainText("x")
    view.controls.choose(start=False, current=False)
    view.button.click()
    assert "Choose who" in paused.window.toast.text
    assert paused.sent == []


def test_trying_waits_for_a_pause(opened: Opened) -> None:
    view = opened.window.trying
    for state in State:
        opened.controller.handle([ev.StateChanged(state)])
        can = state in do_when()
        assert view.button.isEnabled() is can, state
        assert ("pause the run" in view.line.text()) is (state is State.RUNNING), state


def do_when() -> tuple[State, ...]:
    """The states the session allows a try in."""
    from workbench.training.states import WHEN

    return WHEN[do.Try][0]


def test_prompts_are_picked_from_the_table(opened: Opened) -> None:
    view, table = opened.window.trying, opened.window.prompts
    rows = table.rows()
    view._offer_prompts()
    entries = view._pick_menu.actions()
    entries[3].trigger()
    assert split_prompts(view.prompt.toPlainText()) == (rows[0].text,)
    assert not entries[1].isEnabled()
    table.table.selectRow(2)
    table.toggle_pinned()
    view._offer_prompts()
    view._pick_menu.actions()[1].trigger()
    assert split_prompts(view.prompt.toPlainText()) == (rows[2].text,)


def test_what_was_set_is_remembered(opened: Opened) -> None:
    view = opened.window.trying
    view.prompt.setPlainText("The film was")
    view.controls.set_values({"temperature": 0.0, "top_p": 0.9, "seed": 3, "length": 20})
    view.controls.choose(start=False, current=True)
    saved = view.save_state()
    view.restore_state({})
    view.restore_state(saved | {"nonsense": 1})
    assert view.save_state() == saved
    assert view.controls.sources() == (CURRENT,)


def test_checkpoints_are_offered(opened: Opened, store: Store) -> None:
    import numpy as np

    run_id = fill(store)
    for cycle in (2, 3):
        store.checkpoints.write(run_id, cycle, [("a", np.ones(1, np.float32))], {})
    opened.controller.show_run(run_id)
    controls = opened.window.trying.controls
    actions = controls.checkpoints.menu().actions()
    assert [a.text() for a in actions] == ["After cycle 2", "After cycle 3"]
    actions[0].trigger()
    assert controls.sources() == (START, do.TrySource("checkpoint", run_id, 2), CURRENT)
    store.checkpoints.write(run_id, 4, [("a", np.ones(1, np.float32))], {})
    store.checkpoints.prune(run_id, 2)
    opened.controller.handle([ev.CheckpointWritten(run_id, 4, 10)])
    assert controls.sources() == (START, CURRENT)


def test_the_last_checkpoint_stands_for_a_run_that_is_watched(
    opened: Opened, store: Store
) -> None:
    import numpy as np

    run_id = fill(store, 3, status="paused")
    store.run_locks.release(run_id)  # another process has it
    for cycle in (2, 3):
        store.checkpoints.write(run_id, cycle, [("a", np.ones(1, np.float32))], {})
    opened.controller.handle([
        ev.RunFollowed(run_id, "Run 1", 3, "ppo", DEFAULTS, "process 7 on there"),
        ev.StateChanged(State.PAUSED)])
    view = opened.window.trying
    view.prompt.setPlainText("one")
    view.button.click()
    assert isinstance(opened.sent[-1], do.Try)
    assert opened.sent[-1].sources == (START, do.TrySource("checkpoint", run_id, 3))


@pytest.mark.slow
def test_a_paused_run_is_tried_and_goes_on(qapp: QApplication, home: Path) -> None:
    async def scenario(workbench: Workbench) -> None:
        window, view = workbench.window, workbench.window.trying
        await until(lambda: window.state is State.READY)
        window.hyperparameters.form.set_values(SMALL, "test")
        window.actions_["step"].trigger()
        await until(lambda: window.state is State.PAUSED)
        await until(lambda: view.controls.checkpoints.menu().actions())
        view.controls.checkpoints.menu().actions()[0].trigger()
        view.prompt.setPlainText("The hotel was\n---\nThe film was")
        view.controls.set_values({"length": 16, "seed": 4})
        view.try_or_stop()
        await until(lambda: view.attempts and view.attempts[0].over)
        columns = view.attempts[0].columns
        assert [c.label for c in columns] == [
            "Start policy", "Run 1 after cycle 1", "Run 1 after cycle 1"]
        assert [c.text for c in columns[1].completions] == [c.text for c in columns[2].completions]
        for index, column in enumerate(columns):
            for row, completion in enumerate(column.completions):
                shown = view.results.findChild(QTextEdit, f"try_text_{index}_{row}")
                assert shown.toPlainText() == completion.text.lstrip(" ")
        window.actions_["pause"].trigger()
        await until(lambda: window.state is State.FINISHED)

    play(qapp, home, scenario)


@pytest.mark.parametrize("at_first", [(960, 540), (1280, 720)])  # tabs, or columns made smaller
def test_in_a_small_window_the_numbers_of_every_completion_can_be_read(
    opened: Opened, at_first: tuple[int, int]
) -> None:
    window = opened.window
    window.resize(*at_first)
    window.dock_layout.reset()
    window.resize(960, 540)
    opened.controller.handle([ev.StateChanged(State.PAUSED)])
    window.reveal("trying")
    command = begin(opened, "The film was\n---\nThe hotel was")
    text = "clean and quiet, with a view over the sea " * 5
    opened.controller.handle([scored(command, i, text, text) for i in (0, 1)])
    opened.controller.handle([ev.TryFinished(command.id, False)])
    for _ in range(3):  # it is laid out, and brought into view
        QApplication.processEvents()
    view = window.trying
    for column in (0, 1):
        for row in (0, 1):
            said = view.results.findChild(QLabel, f"try_text_{column}_{row}_facts")
            for around in (view.results, view._scroll):
                around.ensureWidgetVisible(said, 0, 0)
                QApplication.processEvents()
            assert said.text()
            assert said.height() >= said.heightForWidth(said.width())
            assert said.visibleRegion().boundingRect() == said.rect(), (column, row)
