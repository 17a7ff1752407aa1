"""Completions before and after: what changed, in which order, copied and exported."""

import csv
import math
import re
from dataclasses import replace

import pytest
from helpers.traces import fill as fill_traces
from helpers.window import PROMPTS as WINDOW_PROMPTS
from helpers.window import Opened, as_plain, bare_controls, fill, unexplained
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QRect, Qt, QTimer
from PySide6.QtGui import (
    QContextMenuEvent,
    QFont,
    QFontMetrics,
    QGuiApplication,
    QTextCharFormat,
)
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QLabel, QMenu, QTextEdit, QToolButton, QWidget

from workbench.gui.completions.completion_texts import as_csv, as_markdown, change, change_of
from workbench.gui.completions.delegate import MOST_LINES, PAD
from workbench.gui.completions.diff import marked_difference, split, word_difference
from workbench.gui.completions.filters import parse
from workbench.gui.completions.headline import headline
from workbench.gui.completions.model import (
    COUNT,
    SORTS,
    Column,
    CompletionsModel,
    CompletionsProxy,
)
from workbench.gui.completions.rows import Shown, cycle_name, line_up
from workbench.gui.completions.view import CompletionsView
from workbench.gui.widgets.cycle_picker import CyclePicker
from workbench.gui.widgets.theme import themes
from workbench.store.records import CompletionRecord, Prompt
from workbench.store.store import Store

PROMPTS = ("This film is", "The hotel", "My bicycle")
TEXTS = {
    0: (" a slow mess", " was fine", " broke"),
    1: (" a slow joy", " was fine", " broke at once"),
    2: (" a warm joy to see", " was lovely", " broke at once"),
}
SCORES = {0: (-1.0, 0.5, 0.2), 1: (0.25, 0.5, 0.1), 2: (1.5, 0.75, math.nan)}


def records(cycle):
    return [CompletionRecord(i, i, prompt, TEXTS[cycle][i], SCORES[cycle][i], cycle + i / 10,
                             3 + i, ended=i != 2) for i, prompt in enumerate(PROMPTS)]


@pytest.fixture
def run(store):
    """A run with the start policy's completions and two cycles'."""
    prompts = [Prompt(text, pinned=text == "The hotel") for text in PROMPTS]
    number = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                              prompts=prompts).result()
    for cycle in TEXTS:
        store.record_comparison(number, cycle, records(cycle)).result()
    return number


@pytest.fixture
def view(qtbot, store, theme):
    made = CompletionsView(store)
    qtbot.addWidget(made)
    made.resize(760, 420)
    with qtbot.waitExposed(made):
        made.show()
    return made


def compared(view):
    return view.shown.cycles


def visible_texts(view):
    return " ".join(w.text() for w in view.findChildren(QLabel) if w.isVisible())


def button(view, name):
    return view.findChild(QToolButton, name)


# -- what changed

words = st.lists(st.sampled_from(["a", "good", "bad", "film", "🎬", "映画", ".", "\n"])).map(
    " ".join)


@given(words, words)
def test_what_is_not_marked_is_the_same_on_both_sides(before, after):
    found = word_difference(before, after)
    kept = []
    for text, spans in ((before, found.deleted), (after, found.inserted)):
        pieces = split(text, spans)
        assert "".join(piece for piece, _ in pieces) == text
        kept.append("".join(re.sub(r"\s", "", piece) for piece, changed in pieces if not changed))
    assert kept[0] == kept[1]


@pytest.mark.parametrize(("before", "after", "deleted", "inserted"), [
    ("the same", "the same", [], []),
    ("a slow mess", "a slow joy", ["mess"], ["joy"]),
    ("good film.", "good film!", ["."], ["!"]),
    ("", "all new", [], ["all new"]),
    ("よい映画", "悪い映画", ["よ"], ["悪"]),
    ("x a y", "p a q", ["x a y"], ["p a q"]),  # a lone common word is no anchor
])
def test_word_differences(before, after, deleted, inserted):
    found = word_difference(before, after)
    assert [t for t, changed in split(before, found.deleted) if changed] == deleted
    assert [t for t, changed in split(after, found.inserted) if changed] == inserted


@pytest.mark.parametrize(("before", "after", "marked"), [
    ("a slow mess", "a slow joy", True),
    ("the film was long and dull today", "the film was short and warm today", True),
    ("nothing of this is left", "all of it has been replaced by new words", False),
    ("", "all new", False),
])
def test_marks_that_would_cover_most_are_left_out(before, after, marked):
    assert bool(marked_difference(before, after).inserted) is marked


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_changed_words_have_one_hue_of_their_own_and_a_line(view, run, mode):
    themes().set_mode(mode)
    theme = themes().theme
    view.show_run(run)
    view.choose(0, 1)
    view.do("open")
    for place, word in ((1, "mess"), (2, "joy")):
        text = view.findChild(QTextEdit, f"detail_text_{place}")
        cursor = text.document().find(word)
        style = cursor.charFormat()
        assert style.background().color().name() == theme.changed
        assert style.underlineStyle() == QTextCharFormat.UnderlineStyle.SingleUnderline
        assert not text.document().find("slow").charFormat().background().style().value
    assert theme.changed not in (theme.better, theme.worse)


# -- which cycles

def test_without_a_run_it_says_what_to_do(view, store):
    assert "Press Start" in visible_texts(view)
    assert not view.controls.menu.isEnabled()
    number = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                              prompts=[Prompt("x")]).result()
    view.show_run(number)
    assert "start policy is writing" in visible_texts(view)


def test_cycles_that_come_without_a_pause_are_shown(qtbot, view, run, store):
    view.show_run(run)
    for i, record in enumerate(records(2)):
        store.record_comparison(run, 3, [replace(record, position=i)]).result()
    soon = QTimer(interval=5)  # cycles that are shorter than the view waits for more of them
    soon.timeout.connect(lambda: view.cycle_available(run, 3))
    soon.start()
    qtbot.waitUntil(lambda: compared(view) == (2, 3))
    soon.stop()


def test_it_follows_the_latest_cycle(qtbot, view, run, store):
    view.show_run(run)
    assert compared(view) == (1, 2)
    for i, record in enumerate(records(2)):
        store.record_comparison(run, 3, [replace(record, text=f" new {i}", position=i)]).result()
    view.cycle_available(run + 1, 3)
    view.cycle_available(run, 3)
    qtbot.waitUntil(lambda: compared(view) == (2, 3))
    assert view.rows()[0].last.text == " new 0"
    assert view.controls.modes["latest"].isChecked()


def test_the_start_policy_alone_is_shown_until_there_is_a_cycle(qtbot, view, store):
    number = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                              prompts=[Prompt(p) for p in PROMPTS]).result()
    view.show_run(number)
    store.record_comparison(number, 0, records(0)).result()
    view.cycle_available(number, 0)
    qtbot.waitUntil(lambda: compared(view) == (0,) and len(view.rows()) == 3)
    assert not view.controls.pickers[0].isEnabled()
    view.grab()
    view.copy("all")
    assert "Start policy" in QGuiApplication.clipboard().text()
    store.record_comparison(number, 1, records(1)).result()
    view.cycle_available(number, 1)
    qtbot.waitUntil(lambda: compared(view) == (0, 1))


def test_cycles_are_chosen_stepped_through_and_followed_again(qtbot, view, run):
    view.show_run(run)
    controls = view.controls
    qtbot.mouseClick(controls.modes["start"], Qt.MouseButton.LeftButton)
    assert compared(view) == (0, 2)
    controls.pickers[0].setCurrentIndex(controls.pickers[0].findText("cycle 2"))
    assert compared(view) == (2, 2)
    assert not any(b.isChecked() for b in controls.modes.values())
    qtbot.mouseClick(controls.previous, Qt.MouseButton.LeftButton)
    assert compared(view) == (1, 1)
    qtbot.mouseClick(controls.next, Qt.MouseButton.LeftButton)
    assert compared(view) == (2, 2)
    assert not controls.next.isEnabled()
    view.cycle_available(run, 2)
    qtbot.waitUntil(lambda: not view._reload.isActive())
    assert compared(view) == (2, 2)  # what the person chose stays
    qtbot.mouseClick(controls.modes["latest"], Qt.MouseButton.LeftButton)
    assert compared(view) == (1, 2)
    assert controls.pickers[0].currentText() == "cycle 1"


def test_a_run_that_has_ended_shows_its_start_and_its_end(qtbot, view, run, store):
    view.show_run(run)
    assert compared(view) == (1, 2)
    view.run_ended(run + 1)
    view.run_ended(run)
    qtbot.waitUntil(lambda: compared(view) == (0, 2))
    assert view.controls.modes["start"].isChecked()
    qtbot.mouseClick(view.controls.modes["latest"], Qt.MouseButton.LeftButton)
    assert compared(view) == (1, 2)
    store.set_status(run, "finished").result()
    view.show_run(run)
    assert compared(view) == (0, 2)
    store.set_status(run, "running").result()
    view.show_run(run)
    assert compared(view) == (1, 2)  # a run that goes on is followed again


def test_the_end_of_a_run_leaves_what_the_person_chose(qtbot, view, run):
    view.show_run(run)
    view.choose(1, 2)
    view.run_ended(run)
    assert not view._reload.isActive()
    assert compared(view) == (1, 2)


@pytest.mark.parametrize(("mode", "cycle", "expected"), [
    ("latest", 2, (1, 2)), ("latest", 1, (0, 1)), ("latest", 0, (0, 1)), ("latest", 9, (1, 2)),
    ("start", 2, (0, 2)), ("start", 1, (0, 1))])
def test_a_cycle_is_shown_beside_the_one_before_it(view, run, mode, cycle, expected):
    view.show_run(run)
    view.follow(mode)
    view.show_cycle(cycle)
    assert compared(view) == expected
    assert not any(b.isChecked() for b in view.controls.modes.values())


def test_one_more_cycle_is_added_to_those_on_offer(qtbot):
    picker = CyclePicker("cycle", "Cycle", "A cycle")
    qtbot.addWidget(picker)
    QAbstractItemModelTester(picker.model(), QAbstractItemModelTester.FailureReportingMode.Fatal)
    cycles = list(range(5001))
    picker.show_cycles(cycles, 5000)
    assert (picker.count(), picker.currentText()) == (5001, "cycle 5,000")
    with qtbot.assertNotEmitted(picker.model().modelReset), qtbot.waitSignal(
            picker.model().rowsInserted) as added, qtbot.assertNotEmitted(picker.picked):
        picker.show_cycles([*cycles, 5001], 5000)
    assert added.args[1:] == [5001, 5001]
    with qtbot.waitSignal(picker.picked) as picked:
        picker.setCurrentIndex(0)
    assert picked.args == [0]
    assert picker.currentText() == "start"
    picker.show_cycles([0, 1], None, 1)
    assert (picker.currentIndex(), picker.itemText(1)) == (-1, "1 (fork)")


def test_the_header_tells_mean_change_and_what_is_the_same(view, run, store):
    view.show_run(run)
    view.choose(0, 1)
    text = re.sub("<[^>]*>", "", visible_texts(view))
    assert "Compared reward of 3 prompts −0.10 → 0.28 ▲ +0.38 · same" in text
    assert "same random numbers and sampling" in text
    view.choose(1, 2)  # one score is not a number there
    assert "0.38 → 1.12 ▲ +0.74" in re.sub("<[^>]*>", "", visible_texts(view))
    store.record_changes(run, 2, [("temperature", 1.0, 0.7, "person"),
                                  ("lam", 0.95, 0.9, "person")]).result()
    view.choose(1, 2)
    assert "but another temperature" in visible_texts(view)
    view.choose(0, 1)
    assert "and sampling" in visible_texts(view)


# -- order

@pytest.mark.parametrize(("name", "descending", "order"), [
    ("Prompt", False, [0, 1, 2]),
    ("Reward", True, [0, 1, 2]),
    ("Reward", False, [2, 1, 0]),
    ("Change", True, [0, 1, 2]),
    ("KL", True, [2, 1, 0]),
    ("Length", False, [0, 1, 2]),
])
def test_rows_are_sorted(view, run, name, descending, order):
    view.show_run(run)
    view.table.sort_by(SORTS[name], descending)
    assert [row.first.position for row in view.rows()] == order


def test_a_click_on_a_header_sorts(qtbot, view, run):
    view.show_run(run)
    header = view.table.horizontalHeader()
    for order in ([2, 1, 0], [0, 1, 2]):
        at = QPoint(header.sectionViewportPosition(Column.REWARD) + 10, header.height() // 2)
        qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=at)
        assert [row.first.position for row in view.rows()] == order
    view.row_actions["sort_prompt"].trigger()
    assert view.table.sorting() == (Column.PROMPT, False)
    view.row_actions["sort_prompt"].trigger()
    assert [row.first.position for row in view.rows()] == [2, 1, 0]
    view.table.sort_by(Column.TEXT, True)  # by the reward after the first cycle shown
    assert [row.first.position for row in view.rows()] == [1, 0, 2]


def test_a_new_cycle_keeps_the_chosen_row(qtbot, view, run, store):
    view.show_run(run)
    view.table.sort_by(Column.CHANGE, True)
    view.table.setCurrentIndex(view.table.model().index(1, 0))
    chosen = view.table.model().row(view.table.currentIndex()).prompt
    better = [replace(r, score=r.position * 10.0) for r in records(2)]
    store.record_comparison(run, 3, better).result()
    view.cycle_available(run, 3)
    qtbot.waitUntil(lambda: compared(view) == (2, 3))
    assert view.table.model().row(view.table.currentIndex()).prompt == chosen


def test_the_model_keeps_its_promises(qtbot, qtmodeltester):
    model = CompletionsModel()
    proxy = CompletionsProxy(model, model)
    proxy.sort(Column.CHANGE, Qt.SortOrder.DescendingOrder)
    for each in (model, proxy):
        QAbstractItemModelTester(each, each)
    model.show(Shown((0,), line_up([records(0)], {})))
    model.show(Shown((0, 1), line_up([records(0), records(1)], {"The hotel": True})))
    proxy.set_filter(parse("hotel"))
    model.show(Shown((0, 1, 2), line_up([records(0), records(1), records(2)], {})))
    proxy.set_filter(parse(""))
    model.show(Shown((1, 2), line_up([records(1)[:2], records(2)], {})))
    qtmodeltester.check(model)
    spoken = [model.index(0, i).data(Qt.ItemDataRole.AccessibleTextRole) for i in range(COUNT)]
    assert "Prompt: This film is" in spoken
    assert "Cycle 2, reward 1.50:  a warm joy to see" in spoken
    assert "Change +1.25" in spoken
    model.show(Shown())
    assert model.rowCount() == 0


# -- reading, copying, saving

def test_a_row_is_read_in_full_with_both_texts_scrolling_together(qtbot, view, run, store):
    long = [replace(r, text="word " * 3000 + r.text) for r in records(2)]
    store.record_comparison(run, 3, long).result()
    store.record_comparison(run, 4, [replace(r, text=r.text + " more") for r in long]).result()
    view.show_run(run)
    view.table.setFocus()
    qtbot.keyClick(view.table, Qt.Key.Key_Return)
    before, after = (view.findChild(QTextEdit, f"detail_text_{i}") for i in (1, 2))
    assert after.isVisible()
    assert before.toPlainText() == long[0].text
    after.verticalScrollBar().setValue(after.verticalScrollBar().maximum())
    assert before.verticalScrollBar().value() == before.verticalScrollBar().maximum()
    before.verticalScrollBar().setValue(0)
    assert after.verticalScrollBar().value() == 0
    qtbot.mouseClick(button(view, "detail_next"), Qt.MouseButton.LeftButton)
    assert before.toPlainText() == long[1].text
    for mode in ("dark", "light"):
        themes().set_mode(mode)
        view.grab()
    qtbot.keyClick(after, Qt.Key.Key_Escape)
    assert view.table.isVisible()
    assert view.table.currentIndex().row() == 1


def test_numbers_and_titles_are_never_cut(qtbot, view, run):
    view.show_run(run)
    table = view.table
    for column, widest in ((Column.REWARD, "−12.34"), (Column.CHANGE, "▲ +9.99"),
                           (Column.KL, "−20.5"), (Column.LENGTH, "1,024")):
        room = table.columnWidth(column)
        assert table.delegate._bold_digits.width(widest) + 2 * PAD <= room
        font = table.horizontalHeader().font()
        font.setWeight(QFont.Weight.DemiBold)
        title = table.model().headerData(column, Qt.Orientation.Horizontal)
        assert QFontMetrics(font).horizontalAdvance(title) + 8 + 8 <= room  # padding, arrow


def test_long_texts_show_their_first_lines_and_say_how_much_more_there_is(view, run, store):
    store.record_comparison(run, 3, [replace(r, text="word " * 1000) for r in records(2)]).result()
    view.show_run(run)
    laid = view.table.delegate.laid(view.rows()[2], 1)
    more, shown = re.fullmatch(r"([\d,]+) more words · cut off", laid.badge)[1], laid.shown.split()
    assert int(more.replace(",", "")) + len(shown) == 1000
    high = laid.badge_at.y() + view.table.delegate.line
    assert high <= MOST_LINES * view.table.delegate.line
    view.choose(0, 1)
    laid = view.table.delegate.laid(view.rows()[0], 0)
    assert (laid.badge, laid.shown) == ("", "a slow mess")


def test_a_click_on_how_much_more_there_is_opens_the_texts(qtbot, view, run, store):
    store.record_comparison(run, 3, [replace(r, text="word " * 1000) for r in records(2)]).result()
    view.show_run(run)
    table = view.table
    index = table.model().index(2, Column.TEXT + 1)
    box = table.delegate.badge_rect(table.visualRect(index), view.rows()[2], index.column())
    cell = table.visualRect(index)
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton,
                     pos=cell.topLeft() + QPoint(10, 30))
    assert view.pages.currentWidget() is not view.pages.detail
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=box.center().toPoint())
    assert view.pages.currentWidget() is view.pages.detail


def test_texts_that_begin_alike_show_where_they_part(view, run, store):
    same = "one two three four " * 60
    store.record_comparison(
        run, 3, [replace(r, text=f"{same}and it was slow.") for r in records(2)]).result()
    store.record_comparison(
        run, 4, [replace(r, text=f"{same}and it was lovely.") for r in records(2)]).result()
    view.show_run(run)
    view.choose(3, 4)
    before, after = (view.table.delegate.laid(view.rows()[0], i) for i in (0, 1))
    assert before.shown == "… and it was slow."
    assert after.shown == "… and it was lovely."
    assert after.layout.formats()
    assert "more word" not in after.badge


def test_only_texts_in_view_and_what_is_shown_again_are_kept(view, run, store):
    for cycle in range(3, 90):
        store.record_comparison(run, cycle, [
            replace(r, text=f"cycle {cycle} " + "word " * 300) for r in records(2)]).result()
    view.show_run(run)
    laid = view.table.delegate._made
    for _ in range(80):
        view.step(-1)
        view.grab()
    assert 64 < len(laid) <= 256
    kept = list(laid.values())
    view._load()  # the same texts, read from the store again
    view.grab()
    assert all(any(text is old for old in kept) for text in laid.values())


def test_a_long_prompt_is_shown_in_part(view, store):
    number = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                              prompts=[Prompt("word " * 200_000)]).result()
    for cycle in (0, 1):
        store.record_comparison(
            number, cycle, [CompletionRecord(0, 0, "", " end", 0.5, 0.1, 1, True)]).result()
    view.show_run(number)
    view.do("open")
    label = view.findChild(QLabel, "detail_prompt")
    assert len(label.text()) <= 301
    assert len(label.toolTip()) < 4000


def test_characters_beyond_the_basic_plane_are_marked_in_place(view, run, store):
    store.record_comparison(run, 3, [replace(r, text="🎬🎬 old end") for r in records(2)]).result()
    store.record_comparison(run, 4, [replace(r, text="🎬🎬 new end") for r in records(2)]).result()
    view.show_run(run)
    view.grab()
    assert view.table.delegate.laid(view.rows()[0], 0).shown == "🎬🎬 old end"


def test_rows_are_copied(qtbot, view, run):
    view.show_run(run)
    view.table.setCurrentIndex(view.table.model().index(2, 0))
    view.table.setFocus()
    with qtbot.waitSignal(view.message):
        qtbot.keyClick(view.table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    text = QGuiApplication.clipboard().text()
    assert text.startswith("**My bicycle**")
    assert "Cycle 2 (reward –, KL" not in text
    assert "cut off" in text
    assert "> broke at once" in text.replace(">  ", "> ")
    view.copy("all")
    assert QGuiApplication.clipboard().text().count("**") == 6
    view.copy("csv")
    assert QGuiApplication.clipboard().text().startswith("prompt,pinned,change_in_reward,")


def test_all_rows_are_saved_as_csv(qtbot, view, run, tmp_path):
    view.show_run(run)
    with qtbot.waitSignal(view.saved):
        view.export(tmp_path / "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [r["prompt"] for r in rows] == list(PROMPTS)
    assert rows[0]["text_before"] == TEXTS[1][0]
    assert rows[0]["text_after"] == TEXTS[2][0]
    assert float(rows[0]["change_in_reward"]) == 1.25
    assert rows[1]["pinned"] == "1"
    assert rows[2]["reward_after"] == ""
    assert rows[2]["ended_after"] == "0"
    with qtbot.waitSignal(view.message, check_params_cb=lambda level, _: level == "error"):
        view.export(tmp_path / "missing" / "out.csv")


def test_a_change_is_the_difference_of_the_rewards_beside_it(qtbot):
    pair = [[replace(r, score=score) for r in records(0)] for score in (-0.366, 1.1351)]
    shown = Shown((0, 2), line_up(pair, {}))
    assert change_of(shown.rows[0]) == "▲ +1.51"
    assert "▲ +1.51" in as_markdown(shown)
    assert "−0.37 → <b>1.14</b>" in headline(shown, shown.rows, ())
    assert ">▲ +1.51<" in headline(shown, shown.rows, ())


def test_wording():
    assert [change("−0.37", v) for v in ("1.14", "−0.62", "−0.37", "–")] == [
        "▲ +1.51", "▼ −0.25", "= 0.00", ""]
    assert [cycle_name(c) for c in (0, 1200)] == ["start policy", "cycle 1,200"]
    assert as_markdown(Shown((0,), line_up([records(0)], {}))).count("Start policy") == 3


def test_state_is_kept(qtbot, view, run, store):
    view.show_run(run)
    view.table.sort_by(Column.KL, True)
    view.follow("start")
    other = CompletionsView(store)
    qtbot.addWidget(other)
    other.restore_state(view.save_state())
    other.show_run(run)
    assert compared(other) == (0, 2)
    assert other.table.sorting() == (Column.KL, True)
    other.restore_state({"sort": "gone", "mode": 3})
    assert other.save_state() == view.save_state()


def test_512_long_rows_are_shown_at_once(qtbot, view, store):
    prompts = [Prompt(f"prompt {i}") for i in range(512)]
    number = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                              prompts=prompts).result()
    for cycle in (0, 1):
        store.record_comparison(number, cycle, [
            CompletionRecord(i, i, "", f"word{cycle} and more " * 300, i / 10, 1.0, 900, True)
            for i in range(512)]).result()
    view.show_run(number)
    view.resize(500, 400)
    bar = view.table.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 512 * 100)
    bar.setValue(bar.maximum())
    view.grab()
    assert view.table.indexAt(view.table.viewport().rect().center()).row() > 500


def test_every_control_says_what_it_is(view, run):
    view.show_run(run)
    for child in view.findChildren(QWidget):
        name = child.objectName()
        if name and not re.match("qt_|completions_(empty|view)", name):
            assert child.accessibleName(), name


def test_the_controls_take_one_row_in_a_small_window(opened: Opened, store: Store) -> None:
    window = opened.window
    window.resize(1280, 720)
    window.actions_["reset_layout"].trigger()
    opened.controller.show_run(fill(store, 2))
    QApplication.processEvents()
    room = window.completions.controls.pickers[1].width()
    opened.controller.show_run(fill(store, 12))
    QApplication.processEvents()
    controls = window.completions.controls
    assert controls.pickers[1].currentText() == "cycle 12"
    assert controls.pickers[1].width() == room  # nothing moves on the way
    first, last = (
        QRect(button.mapTo(controls, QPoint(0, 0)), button.size())
        for button in (controls.previous, controls.filter))
    assert first.top() <= last.center().y() <= first.bottom()


# -- several cycles

def titles(view):
    header = view.table.horizontalHeader()
    return [view.table.model().headerData(i, Qt.Orientation.Horizontal)
            for i in range(header.count()) if not header.isSectionHidden(i)]


def test_cycles_are_added_chosen_and_taken_away(qtbot, view, run):
    view.resize(1000, 420)
    view.show_run(run)
    numbers = ["Reward", "Change", "KL", "Length"]
    assert titles(view) == ["#", "Cycle 1", "Cycle 2", *numbers]
    qtbot.mouseClick(view.controls.add, Qt.MouseButton.LeftButton)
    assert titles(view) == ["#", "Start policy", "Cycle 1", "Cycle 2", *numbers]
    assert not view.controls.add.isEnabled()
    assert "shown already" in view.controls.add.toolTip()
    assert view.controls.modes["latest"].isChecked()
    text = re.sub("<[^>]*>", "", visible_texts(view))
    assert "−0.10 → 0.28 → 1.12" not in text  # the third has no score in the last cycle
    assert "−0.25 → 0.38 → 1.12 ▲ +1.37" in text
    view.controls.pickers[1].setCurrentIndex(0)
    assert (compared(view), view.compared.mode) == ((0, 0, 2), "chosen")
    qtbot.mouseClick(view.controls.removers[0], Qt.MouseButton.LeftButton)
    assert compared(view) == (0, 2)
    assert not any(remover.isVisible() for remover in view.controls.removers)
    view.choose(0, 1, 2, 1)
    assert view.controls.pickers[3].isVisible()
    assert "room for 4" in view.controls.add.toolTip()
    view.grab()


def test_a_cycle_held_stays_beside_those_that_follow(qtbot, view, run, store):
    view.show_run(run)
    view.add_cycle()
    store.record_comparison(run, 3, records(1)).result()
    view.cycle_available(run, 3)
    qtbot.waitUntil(lambda: compared(view) == (0, 2, 3))
    other = CompletionsView(store)
    qtbot.addWidget(other)
    other.restore_state(view.save_state())
    other.show_run(run)
    assert compared(other) == (0, 2, 3)
    other.restore_state({"mode": "latest", "sort": "Change", "descending": True})  # as it once was
    assert compared(other) == (2, 3)
    assert other.table.sorting() == (Column.CHANGE, True)


def test_what_is_chosen_stays_and_news_are_told(qtbot, view, run, store):
    view.show_run(run)
    view.choose(0, 1)
    assert view.controls.news.text() == "cycle 2 is there"
    qtbot.mouseClick(view.controls.news, Qt.MouseButton.LeftButton)
    assert compared(view) == (1, 2)
    assert not view.controls.news.isVisible()


def test_each_column_is_marked_against_the_one_before_it(view, run):
    view.show_run(run)
    view.choose(0, 1, 2)
    row = view.rows()[0]
    marked = []
    for place in range(3):
        laid = view.table.delegate.laid(row, place)
        marked.append([laid.layout.text()[f.start: f.start + f.length]
                       for f in laid.layout.formats()])
    assert marked == [["mess"], ["joy"], []]  # most of the last is new
    view.choose(0, 1, 0)
    last = view.table.delegate.laid(view.rows()[0], 2)
    assert [last.layout.text()[f.start: f.start + f.length]
            for f in last.layout.formats()] == ["mess"]


def test_several_cycles_are_saved_with_what_lies_between(view, run):
    view.show_run(run)
    view.choose(0, 1, 2)
    rows = list(csv.DictReader(as_csv(view.shown).splitlines()))
    assert [rows[0][f"text_{side}"] for side in ("before", "between", "after")] == [
        TEXTS[0][0], TEXTS[1][0], TEXTS[2][0]]
    assert float(rows[0]["change_in_reward"]) == 2.5
    assert as_markdown(view.shown).count("Cycle 1 (") == 3


# -- it waits

def test_what_is_read_stays_where_it_is_when_a_cycle_comes(qtbot, view, store):
    prompts = [Prompt(f"prompt {i}") for i in range(64)]
    number = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                              prompts=prompts).result()

    def record(cycle, words):
        store.record_comparison(number, cycle, [
            CompletionRecord(i, i, "", f" word{cycle}" * words, math.sin(i * (cycle + 1)), 1.0, 9,
                             True) for i in range(64)]).result()
    record(0, 3)
    record(1, 3)
    view.show_run(number)
    table = view.table
    table.sort_by(Column.REWARD, True)
    table.go_to(30)
    prompt, y = table.model().row(table.currentIndex()).prompt, table.visualRect(
        table.currentIndex()).y()
    record(2, 40)  # rows become higher
    view.cycle_available(number, 2)
    qtbot.waitUntil(lambda: compared(view) == (1, 2))
    assert table.model().row(table.currentIndex()).prompt == prompt
    assert table.currentIndex().row() != 30
    assert table.visualRect(table.currentIndex()).y() == y
    table.verticalScrollBar().setValue(0)  # the chosen row is out of view: then the first stays
    table.sort_by(Column.PROMPT, False)
    first = table.indexAt(QPoint(0, 0)).row()
    table.verticalScrollBar().setValue(777)
    first = table.indexAt(QPoint(0, 0))
    prompt, y = table.model().row(first).prompt, table.visualRect(first).y()
    record(3, 3)
    view.cycle_available(number, 3)
    qtbot.waitUntil(lambda: compared(view) == (2, 3))
    first = table.indexAt(QPoint(0, 0))
    assert (table.model().row(first).prompt, table.visualRect(first).y()) == (prompt, y)


def test_rows_are_filtered(qtbot, view, run):
    view.show_run(run)
    asked = view.controls.filter
    asked.show_text("reward<1")
    assert [row.prompt for row in view.rows()] == ["The hotel"]
    assert "of 1 of 3 prompts" in visible_texts(view)
    view.copy("all")
    assert QGuiApplication.clipboard().text().count("**") == 2
    asked.show_text("mess")  # in a completion that is not shown
    assert view.rows() == []
    assert "No prompt fits the filter. Clear it (Escape in its field) to see all 3." in (
        visible_texts(view))
    view.choose(0, 2)
    assert [row.prompt for row in view.rows()] == ["This film is"]
    assert view.table.isVisible()
    asked.show_text("reward<")
    assert len(view.rows()) == 3
    asked.show_text("hotel")
    view.select_prompt(2)
    assert asked.text() == ""
    assert view.table.model().row(view.table.currentIndex()).prompt == "My bicycle"


# -- what can be done with a row

def press(qtbot, view, key):
    view.table.setFocus()
    qtbot.keyClick(view.table, key)
    return view.table.model().row(view.table.currentIndex()).prompt


def test_best_worst_and_most_changed_are_a_key_away(qtbot, view, run, store):
    store.record_comparison(run, 3, [replace(r, score=s) for r, s in zip(
        records(2), (1.0, 0.5, -4.0), strict=True)]).result()
    store.record_comparison(run, 4, [replace(r, score=s) for r, s in zip(
        records(2), (0.5, 0.25, -0.5), strict=True)]).result()
    view.show_run(run)
    assert press(qtbot, view, Qt.Key.Key_B) == "This film is"
    assert press(qtbot, view, Qt.Key.Key_W) == "My bicycle"
    assert press(qtbot, view, Qt.Key.Key_B) == "This film is"
    assert press(qtbot, view, Qt.Key.Key_M) == "My bicycle"
    view.controls.filter.show_text("-hotel")
    view.controls.filter.show_text("hotel")
    assert press(qtbot, view, Qt.Key.Key_B) == "The hotel"
    for name, key in (("best", "B"), ("worst", "W"), ("changed", "M")):
        assert view.row_actions[name].shortcut().toString() == key
        assert key in as_plain(view.row_actions[name].toolTip())


def test_the_menu_offers_what_makes_sense_and_says_why_not(qtbot, view, run):
    view.show_run(run)
    actions = view.row_actions
    view.choose(0, 2)
    view.table.setCurrentIndex(view.table.model().index(0, Column.TEXT))  # the start policy's
    assert not actions["tokens"].isEnabled()
    assert "start policy has learned from no completion" in as_plain(actions["tokens"].toolTip())
    assert not actions["pin"].isEnabled()
    assert "Prompts does not have this prompt" in as_plain(actions["pin"].toolTip())
    actions["copy_completion"].trigger()
    assert QGuiApplication.clipboard().text() == TEXTS[0][0]
    view.table.setCurrentIndex(view.table.model().index(0, Column.TEXT + 1))
    actions["copy_completion"].trigger()
    assert QGuiApplication.clipboard().text() == TEXTS[2][0]
    actions["copy_prompt"].trigger()
    assert QGuiApplication.clipboard().text() == PROMPTS[0]
    for name in ("tokens", "paths"):
        assert not actions[name].isEnabled()
        assert "No tokens are kept" in as_plain(actions[name].toolTip())
    menu = actions.make_menu()
    qtbot.addWidget(menu)
    texts = [action.text() for action in menu.actions()]
    for text in ("Copy prompt", "Copy completion", "Pin prompt", "Try this prompt",
                 "Show its tokens", "Show its paths", "Play its story", "Best completion"):
        assert text in texts
    assert menu.toolTipsVisible()
    view.controls.filter.show_text("nothing has this")
    assert not actions["copy_prompt"].isEnabled()
    assert "Choose a row first" in as_plain(actions["copy_prompt"].toolTip())


def test_the_menu_key_opens_the_menu_at_the_row(qtbot, view, run):
    view.show_run(run)
    view.table.setFocus()
    at = view.table.visualRect(view.table.currentIndex()).center()
    event = QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, at,
                              view.table.viewport().mapToGlobal(at))
    QApplication.sendEvent(view.table.viewport(), event)
    menu = view.table.findChild(QMenu, "completions_menu")
    assert menu.isVisible()
    menu.close()


def test_a_prompt_is_pinned_tried_and_shown_elsewhere(
    qtbot, opened: Opened, store: Store
) -> None:
    window, run_id = opened.window, fill_traces(store)
    opened.controller.show_run(run_id)
    window.prompts.library.replace("set", [Prompt(text) for text in WINDOW_PROMPTS[:2]], "info", "")
    view = window.completions
    window.reveal("completions")
    qtbot.waitUntil(lambda: len(view.rows()) == 3)
    view.table.go_to(1)
    view.row_actions["pin"].trigger()
    assert [p.pinned for p in window.prompts.rows()] == [False, True]
    qtbot.waitUntil(lambda: view.rows()[1].pinned)
    assert view.row_actions["pin"].text() == "Unpin prompt"
    view.row_actions["pin"].trigger()
    assert not any(p.pinned for p in window.prompts.rows())
    view.row_actions["try"].trigger()
    assert window.trying.prompt.toPlainText() == WINDOW_PROMPTS[1]
    assert window.trying.isVisible()
    window.reveal("completions")
    with qtbot.waitSignal(view.tokens_wanted) as told:
        view.row_actions["tokens"].trigger()
    assert told.args == [3, 1]
    assert window.tokens.text.toPlainText().startswith(WINDOW_PROMPTS[1])
    window.reveal("completions")
    view.row_actions["paths"].trigger()
    assert window.paths.isVisible()
    assert window.paths._place[:3] == (run_id, 3, 1)
    names = {action.objectName() for action in window.all_actions()}
    assert {"completions_best", "completions_pin", "completions_story",
            "completions_sort_reward"} <= names
    assert not (found := unexplained(view)), found
    assert not (bare := bare_controls(view)), bare


# -- one prompt's story

def marked_words(text):
    words, block = [], text.document().begin()
    it = block.begin()
    while not it.atEnd():
        if it.fragment().charFormat().fontUnderline() or (
                it.fragment().charFormat().underlineStyle()
                == QTextCharFormat.UnderlineStyle.SingleUnderline):
            words.append(it.fragment().text())
        it += 1
    return words


@pytest.fixture
def story(qtbot, view, run):
    """The story of the first prompt, at the start policy."""
    view.show_run(run)
    view.choose(0, 2)
    view.table.setCurrentIndex(view.table.model().index(0, Column.TEXT))
    view.table.setFocus()
    qtbot.keyClick(view.table, Qt.Key.Key_S)
    assert view.pages.story.isVisible()
    return view.pages.story


def test_the_slider_goes_through_every_cycle(qtbot, view, story):
    told = view.findChild(QLabel, "story_facts")
    assert (story.isVisible(), story.cycle, story.text.toPlainText()) == (True, 0, "a slow mess")
    assert told.text().startswith("Start policy · reward −1.00")
    qtbot.keyClick(story.slider, Qt.Key.Key_Right)
    assert (story.cycle, story.text.toPlainText()) == (1, "a slow joy")
    assert marked_words(story.text) == ["joy"]
    assert "Cycle 1 of 2 · reward 0.25" in told.text()
    assert "▲ +1.25" in told.text()
    story.slider.setValue(2)
    assert marked_words(story.text) == []
    assert "most of it is new" in told.text()
    story.slider.setValue(1)
    assert "most of it is new" not in told.text()
    for mode in ("dark", "light"):
        themes().set_mode(mode)
        view.grab()
    qtbot.mouseClick(button(view, "story_next"), Qt.MouseButton.LeftButton)
    assert (story.cycle, story.text.toPlainText()) == (1, "was fine")
    with qtbot.waitSignal(view.tokens_wanted) as wanted:
        qtbot.keyClick(story.slider, Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    assert wanted.args == [1, 1]
    qtbot.keyClick(story.slider, Qt.Key.Key_Escape)
    assert view.table.isVisible()


def test_it_plays_to_the_end_and_stops(qtbot, view, story):
    play = view.findChild(QToolButton, "story_play")
    qtbot.keyClick(story.slider, Qt.Key.Key_Space)
    assert (play.text(), story._timer.isActive()) == ("Stop", True)
    qtbot.waitUntil(lambda: story.cycle == 2)
    assert (play.text(), story._timer.isActive()) == ("Play", False)
    qtbot.mouseClick(play, Qt.MouseButton.LeftButton)  # from the start again
    assert (story.cycle, play.text()) == (0, "Stop")
    qtbot.mouseClick(play, Qt.MouseButton.LeftButton)
    assert play.text() == "Play"
    qtbot.mouseClick(play, Qt.MouseButton.LeftButton)
    view.pages.leave()
    assert not story._timer.isActive()


def test_a_new_cycle_makes_the_story_longer_and_leaves_what_is_read(qtbot, view, story, store, run):
    story.slider.setValue(1)
    store.record_comparison(run, 3, records(1)).result()
    view.cycle_available(run, 3)
    qtbot.waitUntil(lambda: story.slider.maximum() == 3)
    assert (story.cycle, story.text.toPlainText()) == (1, "a slow joy")
    story.slider.setValue(3)
    assert story.cycle == 3


def test_a_step_reads_two_completions_and_no_more(view, story, store):
    said = []
    store._db.conn.set_trace_callback(said.append)
    story.slider.setValue(2)
    store._db.conn.set_trace_callback(None)
    read = [statement for statement in said if statement.startswith("select")]
    assert len(read) == 2
    assert all("c.position = " in statement for statement in read)


def test_the_line_over_the_slider_is_the_rewards(view, story):
    line = story.line
    assert line._values[:2] == (-1.0, 0.25)
    assert line._values[2] == 1.5
    places = [line.point(i, value) for i, value in enumerate(line._values)]
    assert places[0].y() > places[1].y() > places[2].y()
    assert places[0].x() < places[1].x() < places[2].x()
