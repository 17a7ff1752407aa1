"""The value line: the store's numbers over the words, and one pointer for line, text and table."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import pointer
from helpers.traces import fill, learned, trace
from helpers.window import DEFAULTS, PROMPTS, Opened, completions, metrics
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QImage, QTextCursor
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from workbench.formatting import number
from workbench.gui.tokens.line_figures import Figures, edges, prompt_end, read_figures
from workbench.gui.tokens.value_line import ValueLineChart
from workbench.gui.tokens.view import TokensView
from workbench.gui.widgets.theme import DARK, LIGHT, themes
from workbench.ppo.tokens import VALUE_LINE, read_steps
from workbench.records import TokenTrace
from workbench.store.records import Prompt
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

LOUD = 2  # the token with a value that falls


@pytest.fixture
def tokens(qtbot: QtBot, opened: Opened, store: Store) -> TokensView:
    """The view on a run, with room for all that it shows."""
    opened.controller.show_run(fill(store))
    return enlarge(qtbot, opened)


def enlarge(qtbot: QtBot, opened: Opened) -> TokensView:
    view = opened.window.tokens
    opened.window.reveal("tokens")
    dock = opened.window.docks["tokens"]
    dock.setFloating(True)
    dock.resize(1000, 700)
    qtbot.waitUntil(lambda: view.list.count() == len(PROMPTS) and view.text.isVisible())
    return view


def record_trace(store: Store, traces: list[TokenTrace]) -> int:
    run_id = store.create_run(
        name="", policy="/models/policy", reward="/models/reward", models={},
        hyperparameters=DEFAULTS, prompts=[Prompt(text) for text in PROMPTS]).result()
    store.record_cycle(
        run_id, 1, metrics=metrics(1), rollout=learned(1), comparison=completions(1),
        keep_traces=10, traces=traces).result()
    return run_id


def long_trace(position: int, count: int) -> TokenTrace:
    """A completion of ``count`` tokens whose estimates go up and down."""
    x = np.arange(count, dtype=np.float32)
    numbers = {
        "logprob": np.full(count, math.log(0.5), np.float32),
        "ref_logprob": np.full(count, math.log(0.5), np.float32),
        "value": np.sin(x / 9), "reward": np.where(x == count - 1, 1.87, 0).astype(np.float32),
        "advantage": np.cos(x / 5), "return": np.full(count, 1.87, np.float32),
        "ratio": np.ones(count, np.float32), "entropy": np.ones(count, np.float32)}
    return TokenTrace(position, position, np.arange(count, dtype=np.int32),
                      (" word",) * count, numbers)


def hovered(view: TokensView) -> tuple[int, int, list[str]]:
    """Return the token that the line and the table mark, and the words that the text marks beside
    the chosen one."""
    marks = view.text.extraSelections()
    chosen = view.table.currentIndex().row() >= 0
    words = [mark.cursor.selectedText() for mark in marks]
    return view.line.hover_row, view.table._hover, words[:-1] if chosen else words


def letter(view: TokensView, place: int) -> QPointF:
    cursor = QTextCursor(view.text.document())
    cursor.setPosition(place)
    return QPointF(view.text.cursorRect(cursor).center()) + QPointF(2, 0)


def test_what_is_drawn_is_what_the_store_has(tokens: TokensView, store: Store) -> None:
    for row, record in enumerate(sorted(learned(3), key=lambda r: -r.score)):
        tokens.list.setCurrentRow(row)
        kept = store.trace(1, 3, record.position)
        assert kept is not None
        figures = tokens.line.figures
        assert figures.estimates == pytest.approx(list(kept.numbers["value"]))
        assert figures.targets == pytest.approx(list(kept.numbers["return"]))
        assert figures.bars == pytest.approx(list(kept.numbers["advantage"]))
    tokens.list.setCurrentRow(0)
    figures = tokens.line.figures
    assert (figures.end, figures.flag) == (1.87, "reward 1.87")
    assert figures.gap == pytest.approx(1.87 - 0.8)
    assert figures.gap_text == "not yet foreseen: 1.07"


def test_the_pointer_on_the_line_marks_word_and_row(tokens: TokensView) -> None:
    pointer.move(tokens.line, tokens.line.slot(LOUD).center())
    assert hovered(tokens) == (LOUD, LOUD, [" loud"])
    pointer.leave(tokens.line)
    assert hovered(tokens) == (-1, -1, [])


def test_the_pointer_on_the_line_leaves_the_table_where_it_is_read(tokens: TokensView) -> None:
    tokens.table.setMinimumHeight(0)
    tokens.table.setMaximumHeight(60)
    QApplication.processEvents()
    bar = tokens.table.verticalScrollBar()
    assert bar.maximum() > 0
    tokens._choose_step(0)
    before = bar.value()
    for row in range(len(tokens.model.steps)):
        tokens._hover_step(row)
        assert bar.value() == before


def test_the_pointer_on_a_word_marks_line_and_row(tokens: TokensView) -> None:
    pointer.move(tokens.text, letter(tokens, len("The film was clean and lo")))
    assert hovered(tokens) == (LOUD, LOUD, [" loud"])
    pointer.move(tokens.text, letter(tokens, 3))  # of the prompt
    assert hovered(tokens) == (-1, -1, [])
    pointer.move(tokens.text, letter(tokens, len("The film was clean and lo")))
    pointer.leave(tokens.text)
    assert hovered(tokens) == (-1, -1, [])


def test_the_pointer_on_a_row_marks_line_and_word(tokens: TokensView) -> None:
    where = tokens.table.visualRect(tokens.model.index(LOUD, 1)).center()
    pointer.move(tokens.table, QPointF(where))
    assert hovered(tokens) == (LOUD, LOUD, [" loud"])
    pointer.leave(tokens.table)
    assert hovered(tokens) == (-1, -1, [])


def test_a_click_or_an_arrow_chooses_a_token(qtbot: QtBot, tokens: TokensView) -> None:
    qtbot.mouseClick(tokens.line.viewport(), Qt.MouseButton.LeftButton,
                     pos=tokens.line.slot(LOUD).center().toPoint())
    assert tokens.table.currentIndex().row() == tokens.line.row == LOUD
    assert not tokens.controls.cycles.latest.isChecked()  # somebody reads it
    tokens.line.setFocus()
    for key, row in ((Qt.Key.Key_Right, 3), (Qt.Key.Key_Right, 3), (Qt.Key.Key_Left, 2),
                     (Qt.Key.Key_Home, 0), (Qt.Key.Key_Left, 0), (Qt.Key.Key_End, 3)):
        qtbot.keyClick(tokens.line, key)
        assert tokens.table.currentIndex().row() == tokens.line.row == row
    # Beside the last token nothing is chosen.
    qtbot.mouseClick(tokens.line.viewport(), Qt.MouseButton.LeftButton,
                     pos=QPoint(tokens.line.viewport().width() - 4, 20))
    assert tokens.line.row == 3


def test_the_chosen_token_is_described(qtbot: QtBot, tokens: TokensView) -> None:
    tokens.line.setFocus()
    qtbot.keyClick(tokens.line, Qt.Key.Key_End)
    assert tokens.line.accessibleName() == "Value line"
    assert tokens.line.accessibleDescription() == (
        ".: the value head's estimate is 0.80 before it, then reward 1.87, not yet foreseen: "
        "1.07; advantage +0.02.")
    assert "dashed" in tokens.line.toolTip()


def test_what_is_not_known_yet_is_left_out(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    unknown = np.full(4, math.nan, np.float32)
    parts = [replace(trace(i, i), numbers=trace(i, i).numbers | {
        "advantage": unknown, "return": unknown, "reward": unknown}) for i in range(3)]
    opened.controller.show_run(record_trace(store, parts))
    view = enlarge(qtbot, opened)
    figures = view.line.figures
    assert figures.largest_bars == (0, 0)
    assert figures.span == pytest.approx((0.34, 1.87))
    without, drawn = colours(view), colours(view, trace(), 1.87)
    assert LIGHT.better not in without
    assert LIGHT.better in drawn


def test_before_estimate_there_are_no_values(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    known = ("logprob", "entropy")
    parts = [replace(trace(i, i), numbers={k: v for k, v in trace(i, i).numbers.items()
                                           if k in known}) for i in range(3)]
    opened.controller.show_run(record_trace(store, parts))
    view = enlarge(qtbot, opened)
    assert not any(map(math.isfinite, view.line.figures.estimates))
    assert "Value head: told by Estimate. Advantage: told by Estimate. " in view._said.text()
    assert view.model.index(0, 2).data() == "–"
    assert view.line.accessibleDescription().endswith("estimate is not told yet.")
    view.line.hover(1)
    assert LIGHT.better not in colours(view)


def colours(view: TokensView, kept: TokenTrace | None = None, score: float = math.nan) -> set[str]:
    """Return the colours of the line's picture, of ``kept`` in place of what it shows."""
    if kept is not None:
        view.line.show_steps(
            "", read_steps(kept.pieces, kept.numbers, score, {}),  # type: ignore[arg-type]
            view.line._grounds)
    view.line.mark(-1)
    image = view.line.viewport().grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    pixels = np.unique(np.frombuffer(image.constBits(), np.uint32)) & 0xFFFFFF
    return {f"#{pixel:06x}" for pixel in pixels}


def test_before_a_score_there_is_no_flag_and_no_gap(qapp: object) -> None:
    steps = read_steps((" a", " b"), {"value": [0.2, 0.4]}, math.nan, {})
    figures = read_figures(VALUE_LINE, steps)
    assert math.isnan(figures.end)
    assert math.isnan(figures.gap)
    assert (figures.flag, figures.gap_text) == ("not scored yet", "")
    assert figures.span == pytest.approx((0.05, 0.55))  # a line that hardly moves is drawn as such
    assert read_figures(VALUE_LINE, ()) == Figures()


def test_of_a_long_prompt_the_last_words_are_shown() -> None:
    assert prompt_end("The hotel was", 28) == "The hotel was"
    assert prompt_end("We had dinner at the restaurant because", 20) == "…restaurant because"
    assert prompt_end("Donaudampfschifffahrt", 8) == "…ifffahrt"


def test_words_are_as_wide_as_their_text_or_all_alike() -> None:
    assert edges([10, 30], 20, even=False) == [0, 10, 40]
    assert edges([10, 30], 80, even=False) == [0, 20, 80]
    assert edges([10, 30], 20, even=True) == [0, 10, 20]


@pytest.mark.parametrize("count", [1, 256])
def test_a_long_completion_is_scrolled_with_the_chosen_token(
    qtbot: QtBot, opened: Opened, store: Store, count: int
) -> None:
    opened.controller.show_run(record_trace(store, [long_trace(i, count) for i in range(3)]))
    view = enlarge(qtbot, opened)
    line, wide = view.line, view.line.viewport().width()
    assert (line.horizontalScrollBar().maximum() > 0) == (count == 256)
    for row in (0, count // 2, count - 1):
        view._choose_step(row)
        assert 0 <= line.slot(row).left() < line.slot(row).right() <= line._end() + 1
        assert line._end() < wide  # what it came to is always in sight
    view.controls.line.setCurrentText("Whole")
    assert line.horizontalScrollBar().maximum() == 0
    assert line.slot(0).left() >= 0
    assert line.slot(count - 1).right() <= line._end() + 1
    assert line.row_at(line.slot(count - 1).center().x()) == count - 1


def test_how_much_of_it_is_shown_is_remembered(tokens: TokensView) -> None:
    assert tokens.line.isVisible()
    tokens.restore_state({"line": "Hidden"})
    assert not tokens.line.isVisible()
    assert tokens.text.isVisible()
    assert tokens.save_state()["line"] == "Hidden"
    tokens.restore_state({"line": "no such way"})
    assert tokens.controls.line.currentText() == "Hidden"


def test_where_there_is_little_room_it_stands_in_place_of_the_text(
    opened: Opened, tokens: TokensView
) -> None:
    dock = opened.window.docks["tokens"]
    dock.resize(700, 260)
    QApplication.processEvents()
    assert tokens.line.isVisible()
    assert not tokens.text.isVisible()
    # High enough to be read, and the chosen token and the table have as much.
    assert 80 <= tokens.line.height() <= tokens._side.height() // 2
    tokens.line.mark(3)
    assert tokens.line.slot(3).right() <= tokens.line._end() + 1
    tokens.controls.line.setCurrentText("Hidden")
    assert tokens.text.isVisible()


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_it_is_drawn_in_the_colours_of_the_theme(
    styled: None, tokens: TokensView, mode: str
) -> None:
    themes().set_mode(mode)  # type: ignore[arg-type]
    theme = {"light": LIGHT, "dark": DARK}[mode]
    tokens.list.setCurrentRow(1)
    found = colours(tokens)
    assert {theme.base, theme.better, theme.worse, theme.good, theme.bad} <= found


def test_an_algorithm_may_have_no_line(tokens: TokensView) -> None:
    algorithm = tokens._algorithm
    assert algorithm.tokens is not None
    tokens._use(replace(algorithm, tokens=replace(algorithm.tokens, line=None)))
    assert not tokens.line.isVisible()
    assert not tokens.controls.line.isVisible()
    chart = ValueLineChart()
    chart.show_steps("", tokens.model.steps, [])
    assert chart.figures == Figures()
    assert not chart.viewport().grab().isNull()


def test_the_head_of_a_checkpoint_is_drawn_beside(
    qtbot: QtBot, opened: Opened, tokens: TokensView, store: Store
) -> None:
    box = tokens.earlier
    assert not box.isEnabled()
    assert "no checkpoint" in box.toolTip()
    for cycle in (1, 2):
        store.checkpoints.write(tokens.run_id, cycle, {}, {})
    tokens.load_now()
    opened.window.show_state(State.FINISHED)
    assert [box.itemText(i) for i in range(box.count())] == [
        "no other", "after cycle 1", "after cycle 2"]
    sent = len(opened.sent)
    box.setCurrentIndex(1)
    assert opened.sent[sent:] == [do.ReadValues(1, tokens.run_id, tokens._shown_cycle,
                                                tokens._record.position, 1)]
    values = tuple(0.1 * n - 3 for n in range(len(tokens.model.steps)))
    before = tokens.line.grab().toImage()
    opened.controller.handle([ev.ValuesRead(1, values)])
    figures = tokens.line.figures
    assert figures.others == values
    assert figures.other_text == f"after cycle 1: {number(values[-1])}"
    assert figures.span[0] == pytest.approx(min(values))  # both have room
    assert tokens.line.grab().toImage() != before
    tokens.controls.colour_by.setCurrentIndex(1)  # the same completion, in other colours
    assert tokens.line.figures.others == values
    # While it is on display it stays, also when its checkpoint is not kept any more.
    store.checkpoints.remove(tokens.run_id, 1)
    tokens.load_now()
    assert box.currentText() == "after cycle 1"
    assert tokens.line.figures.others == values
    box.setCurrentIndex(0)
    store.checkpoints.write(tokens.run_id, 1, {}, {})
    tokens.load_now()
    box.setCurrentIndex(1)
    opened.controller.handle([ev.ValuesRead(2, values)])
    # Another completion is asked about anew, and what comes late of the one before is passed over.
    tokens.list.setCurrentRow(1)
    assert opened.sent[-1] == do.ReadValues(3, tokens.run_id, tokens._shown_cycle,
                                            tokens._record.position, 1)
    assert tokens.line.figures.others == ()
    opened.controller.handle([ev.ValuesRead(1, values)])
    assert tokens.line.figures.others == ()
    opened.controller.handle([ev.ReadingValuesFailed(3, "The checkpoint is damaged.")])
    assert box.currentText() == "no other"
    assert "The checkpoint is damaged." in opened.window.toast.text
    sent = len(opened.sent)
    opened.window.show_state(State.RUNNING)
    assert not box.isEnabled()
    assert "Pause first" in box.toolTip()
    assert len(opened.sent) == sent


def test_why_the_head_of_a_checkpoint_went_is_told(
    qtbot: QtBot, opened: Opened, tokens: TokensView, store: Store
) -> None:
    box = tokens.earlier
    store.checkpoints.write(tokens.run_id, 2, {}, {})
    tokens.load_now()
    opened.window.show_state(State.FINISHED)
    box.setCurrentIndex(1)
    opened.controller.handle([ev.ValuesRead(1, (0.5,) * len(tokens.model.steps))])
    store.checkpoints.remove(tokens.run_id, 2)
    tokens.load_now()
    assert box.currentText() == "after cycle 2"
    tokens.list.setCurrentRow(1)
    assert (box.currentText(), box.isEnabled()) == ("no other", False)
    assert tokens.line.figures.others == ()
    assert opened.window.toast.text == (
        "The checkpoint after cycle 2 is not kept any more, so that its value head is drawn no "
        "longer.")
