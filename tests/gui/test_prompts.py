"""The prompts: every edit and its undo, files, the clipboard, the working set in the store."""

import gzip
import os
import re
from dataclasses import replace

import pytest
from PySide6.QtCore import QAbstractItemModel, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QAction, QDropEvent, QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QPlainTextEdit, QPushButton, QToolButton, QWidget

from workbench.gui.prompts.library import WORKING_SET
from workbench.gui.prompts.model import Column, PromptsFilter, PromptsModel
from workbench.gui.prompts.view import PromptsView
from workbench.store.prompt_files import read_prompts
from workbench.store.records import Message, Prompt, PromptSet

A, B, C, D = (Prompt(text) for text in ("alpha", "beta", "gamma", "delta"))


@pytest.fixture
def view(qtbot, store):
    store.save_prompt_set(PromptSet(WORKING_SET, (A, B, C, D))).result()
    made = PromptsView(store)
    qtbot.addWidget(made)
    made.resize(320, 400)
    with qtbot.waitExposed(made):
        made.show()
    return made


def texts(view):
    return "".join(p.text[0] for p in view.prompts())


def select(view, *rows):
    table = view.table
    table.clearSelection()
    flag = table.selectionModel().SelectionFlag
    for row in rows:
        index = table.model().index(row, Column.TEXT)
        table.selectionModel().select(index, flag.Select | flag.Rows)
        table.selectionModel().setCurrentIndex(index, flag.NoUpdate)


def press(view, name):
    view.table.findChild(QAction, name).trigger()


@pytest.mark.parametrize(("rows", "action", "result"), [
    ((1,), "prompts_delete", "agd"),
    ((0, 3), "prompts_delete", "bg"),
    ((0, 1, 2, 3), "prompts_delete", ""),
    ((1, 2), "prompts_duplicate", "abgbgd"),
    ((2,), "prompts_up", "agbd"),
    ((2, 3), "prompts_up", "agdb"),
    ((0,), "prompts_up", "abgd"),
    ((0, 2), "prompts_down", "bdag"),
    ((3,), "prompts_down", "abgd"),
])
def test_each_edit_can_be_undone_and_redone(view, rows, action, result):
    QAbstractItemModelTester(view.table.model(), view.table)
    select(view, *rows)
    press(view, action)
    assert texts(view) == result
    while view.undo_stack.canUndo():
        view.undo_stack.undo()
    assert view.prompts() == (A, B, C, D)
    while view.undo_stack.canRedo():
        view.undo_stack.redo()
    assert texts(view) == result


def test_space_switches_and_p_pins_the_selected_rows(qtbot, view):
    select(view, 0, 1)
    view.table.setFocus()
    qtbot.keyClick(view.table, Qt.Key.Key_Space)
    assert [p.enabled for p in view.prompts()] == [False, False, True, True]
    assert view.count.text() == "4 prompts, 2 on"
    select(view, 1, 2)
    qtbot.keyClick(view.table, Qt.Key.Key_Space)
    assert [p.enabled for p in view.prompts()] == [False, True, True, True]
    qtbot.keyClick(view.table, Qt.Key.Key_P)
    assert [p.pinned for p in view.prompts()] == [False, True, True, False]


def test_a_click_on_the_box_or_the_star(qtbot, view):
    for column, name in ((Column.ENABLED, "enabled"), (Column.PINNED, "pinned")):
        before = getattr(view.prompts()[1], name)
        place = view.table.visualRect(view.table.model().index(1, column))
        at = QPoint(place.left() + 11, place.center().y())
        qtbot.mouseClick(view.table.viewport(), Qt.MouseButton.LeftButton, pos=at)
        assert getattr(view.prompts()[1], name) is not before


def editor(view):
    return view.table.findChild(QPlainTextEdit, "prompt_editor")


def test_a_prompt_is_edited_in_place_with_several_lines(qtbot, view):
    index = view.table.model().index(1, Column.TEXT)
    view.table.setCurrentIndex(index)
    view.table.edit(index)
    qtbot.keyClicks(editor(view), "one")
    qtbot.keyClick(editor(view), Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(editor(view), "p two")
    qtbot.keyClick(editor(view), Qt.Key.Key_Return)
    assert view.prompts()[1].text == "one\np two"
    view.undo_stack.undo()
    assert view.prompts() == (A, B, C, D)


def test_an_empty_text_is_refused(view):
    model = view.table.model()
    assert not model.setData(model.index(0, Column.TEXT), " \n ")
    assert view.prompts()[0] == A


def test_a_new_prompt_is_one_undo_step(qtbot, view):
    select(view, 1)
    press(view, "prompts_add")
    assert texts(view) == "abgd"  # none yet
    qtbot.keyClicks(editor(view), "new")
    qtbot.keyClick(editor(view), Qt.Key.Key_Return)
    assert texts(view) == "abngd"
    view.undo_stack.undo()
    assert view.prompts() == (A, B, C, D)
    view.undo_stack.redo()
    assert texts(view) == "abngd"


def test_a_new_prompt_left_empty_is_gone_without_a_trace(qtbot, view):
    press(view, "prompts_add")
    qtbot.keyClick(editor(view), Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: view.table.model().rowCount() == 4)
    assert not view.undo_stack.canUndo()
    assert not view.undo_stack.canRedo()


def test_a_list_replaced_while_a_prompt_is_edited(qtbot, view, tmp_path):
    press(view, "prompts_add")
    qtbot.keyClicks(editor(view), "unfinished")
    (tmp_path / "a.txt").write_text("x\ny\n")
    with qtbot.waitSignal(view.changed):
        view.open_file(tmp_path / "a.txt")
    qtbot.wait_until(lambda: editor(view) is None)
    assert texts(view) == "xy"


def test_the_filter_shows_what_contains_the_text(qtbot, view):
    view.filter.setText("TA")
    qtbot.waitUntil(lambda: view.table.model().rowCount() == 2)
    assert view.count.text() == "4 prompts, 4 on, 2 shown"
    assert not view.table.findChild(QAction, "prompts_up").isEnabled()
    select(view, 1)
    press(view, "prompts_delete")
    assert texts(view) == "abg"
    view.filter.setText("zzz")
    qtbot.waitUntil(lambda: view.empty.isVisible())
    assert "No prompt contains" in view.empty.text()
    view.filter.clear()
    qtbot.waitUntil(lambda: view.table.model().rowCount() == 3)


def test_pasted_lines_become_prompts_below_the_current_one(qtbot, view):
    QGuiApplication.clipboard().setText("one\n\n two \r\nthree\n")
    select(view, 0)
    with qtbot.waitSignal(view.undoable) as told:
        press(view, "prompts_paste")
    assert told.args[:2] == ["info", "3 prompts added."]
    assert [p.text for p in view.prompts()][:4] == ["alpha", "one", " two ", "three"]
    select(view, 0, 1)
    press(view, "prompts_copy")
    assert QGuiApplication.clipboard().text() == "alpha\none"
    view.undo_stack.undo()
    assert view.prompts() == (A, B, C, D)


def test_a_file_replaces_the_list_and_bad_lines_are_told_once(qtbot, view, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('"one"\n\nbad\nworse\n{"prompt": "two", "pinned": true}\n')
    with qtbot.waitSignal(view.undoable) as told:
        view.open_file(path)
    assert told.args[:2] == [
        "warning", "Line 3 is not JSON; 1 more line left out; 2 prompts read."]
    assert view.prompts() == (Prompt("one"), Prompt("two", pinned=True))
    assert not view.selected()  # a stray Delete must not take them all
    view.undo_stack.undo()
    assert view.prompts() == (A, B, C, D)


def test_a_file_is_taken_back_on_its_notice(qtbot, opened, tmp_path):
    prompts, toast = opened.window.prompts, opened.window.toast
    there = prompts.prompts()
    (tmp_path / "a.txt").write_text("one\nThe hotel was\ntwo\nThe hotel was\none\n")
    with qtbot.waitSignal(prompts.undoable):
        prompts.open_file(tmp_path / "a.txt")
    assert toast.text == "5 prompts read. More than once in the list: “one” and 1 more."
    assert toast.action_button.text() == "Undo"
    qtbot.mouseClick(toast.action_button, Qt.MouseButton.LeftButton)
    assert prompts.prompts() == there
    prompts.undo_stack.redo()
    assert len(prompts.prompts()) == 5


def test_pasted_prompts_that_are_there_already_are_named(qtbot, view):
    QGuiApplication.clipboard().setText("beta\nnew\n")
    with qtbot.waitSignal(view.undoable) as told:
        press(view, "prompts_paste")
    assert told.args[1] == "2 prompts added. More than once in the list: “beta”."
    told.args[2]()
    assert view.prompts() == (A, B, C, D)


def test_a_megabyte_is_shown_in_part_and_not_edited_here(qtbot, view):
    long = Prompt("so much to read " * 62_500)
    view._model.load([long, B])
    shown, tip = (view.table.model().index(0, Column.TEXT).data(role) for role in (
        Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole))
    assert len(shown) <= 2001
    assert "1,000,000 characters, too long to edit here" in tip
    assert len(tip) < 4000
    select(view, 0)
    view.table.setFocus()
    qtbot.keyClick(view.table, Qt.Key.Key_F2)
    assert editor(view) is None
    select(view, 1)
    qtbot.keyClick(view.table, Qt.Key.Key_F2)
    assert editor(view).toPlainText() == "beta"
    assert view.prompts() == (long, B)


@pytest.mark.parametrize("column", list(Column))
def test_f2_edits_the_text_wherever_the_row_was_clicked(qtbot, view, column):
    view._model.load([A, B])
    view.table.setCurrentIndex(view.table.model().index(1, column))
    view.table.setFocus()
    qtbot.keyClick(view.table, Qt.Key.Key_F2)
    assert editor(view).toPlainText() == "beta"


def test_a_conversation_is_read_here_and_changed_in_its_file(qtbot, view):
    turns = (Message("system", "be kind"), Message("user", "alpha?"))
    talk = Prompt("System: be kind\n\nUser: alpha?\n\nAssistant:", messages=turns)
    view._model.load([talk, B])
    index = view.table.model().index(0, Column.TEXT)
    assert index.data() == "System: be kind User: alpha? Assistant:"
    assert "A conversation of 2 turns: change it in a file" in index.data(
        Qt.ItemDataRole.ToolTipRole)
    select(view, 0)
    view.table.setFocus()
    qtbot.keyClick(view.table, Qt.Key.Key_F2)
    assert editor(view) is None
    press(view, "prompts_pin")
    assert view.prompts() == (replace(talk, pinned=True), B)


def test_what_a_file_says_beside_its_prompts_is_told_and_kept(qtbot, view, store, tmp_path):
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(b'[{"question": "2+2?", "answer": "4"}]'))
    with qtbot.waitSignal(view.undoable) as told:
        view.open_file(path)
    assert told.args[1] == "1 prompt read from “question”, with “answer” beside."
    right = (Prompt("2+2?", columns={"answer": "4"}),)
    assert view.prompts() == right
    qtbot.waitUntil(lambda: store.prompt_set(WORKING_SET).prompts == right)
    assert PromptsView(store).prompts() == right


def test_a_filter_ends_what_is_being_edited(qtbot, view):
    select(view, 0)
    view.table.edit(view.table.currentIndex())
    view.filter.setText("zzz")
    qtbot.waitUntil(lambda: view.empty.isVisible() and editor(view) is None)
    assert texts(view) == "abgd"


def test_the_star_says_what_pinning_does(view):
    tip = view.table.model().index(0, Column.PINNED).data(Qt.ItemDataRole.ToolTipRole)
    assert "always among those that are compared" in tip


def test_a_file_that_cannot_be_read_changes_nothing(qtbot, view, tmp_path):
    with qtbot.waitSignal(view.message) as told:
        view.open_file(tmp_path / "none.txt")
    assert told.args[0] == "error"
    assert "There is no file" in told.args[1]
    assert view.prompts() == (A, B, C, D)


@pytest.mark.parametrize("onto", ["table", "view"])
def test_files_are_dropped(qtbot, view, tmp_path, onto):
    names = ("a.txt", "b.csv", "c.png", "d.TXT.GZ", "e.gz")
    for name in names:
        line = f"prompt from {name}\n".encode()
        (tmp_path / name).write_bytes(
            gzip.compress(line) if name.lower().endswith("gz") else line)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / name)) for name in names])
    event = QDropEvent(QPointF(9, 9), Qt.DropAction.CopyAction, data,
                       Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    with qtbot.waitSignal(view.changed):
        (view.table if onto == "table" else view).dropEvent(event)
    assert [p.text for p in view.prompts()] == [
        "prompt from a.txt", "prompt from b.csv", "prompt from d.TXT.GZ"]


@pytest.mark.parametrize(("rows", "position", "result"), [
    ((0,), 4, "bgda"), ((0, 1), 3, "gabd"), ((3,), 0, "dabg"), ((1, 3), 2, "abdg"),
    ((1, 2), 2, "abgd"),
])
def test_dragged_rows_go_where_they_are_dropped(view, rows, position, result):
    select(view, *rows)
    view.table.rows_dropped.emit(position)
    assert texts(view) == result
    assert "".join(view.prompts()[i].text[0] for i in view.selected()) in result


@pytest.mark.parametrize("ending", [".txt", ".jsonl", ".csv"])
def test_the_list_is_saved_to_a_file(qtbot, view, tmp_path, ending):
    select(view, 0)
    press(view, "prompts_pin")
    path = tmp_path / f"out{ending}"
    with qtbot.waitSignal(view.saved) as told:
        view.library.save_file(path)
    assert told.args[0] == path
    assert ("does not keep" in told.args[1]) == (ending == ".txt")
    found = read_prompts(path).prompts
    assert found == view.prompts() if ending != ".txt" else len(found) == 4


def test_a_file_that_cannot_be_written_is_told(qtbot, view, tmp_path):
    with qtbot.waitSignal(view.message, check_params_cb=lambda level, _: level == "error"):
        view.library.save_file(tmp_path / "missing" / "a.txt")


def test_the_working_set_is_saved_after_an_edit(qtbot, view, store):
    select(view, 0)
    press(view, "prompts_delete")
    qtbot.waitUntil(lambda: store.prompt_set(WORKING_SET).prompts == (B, C, D))
    select(view, 0)
    press(view, "prompts_delete")
    view.save()
    again = PromptsView(store)
    qtbot.addWidget(again)
    qtbot.waitUntil(lambda: store.prompt_set(WORKING_SET).prompts == (C, D))


def test_named_sets(qtbot, view, store):
    view.library.save_set("mine")
    qtbot.waitUntil(lambda: view.library.saved_sets() == ["mine"])
    select(view, 0)
    press(view, "prompts_delete")
    view.library.load_set("mine")
    assert view.prompts() == (A, B, C, D)
    view.undo_stack.undo()
    assert view.prompts() == (B, C, D)
    menu = view.findChild(QToolButton, "prompts_save").menu()
    menu.aboutToShow.emit()
    delete = next(a.menu() for a in menu.actions() if a.text() == "Delete a saved set")
    delete.aboutToShow.emit()
    delete.actions()[0].trigger()
    view.findChild(QPushButton, "delete_set").click()
    qtbot.waitUntil(lambda: view.library.saved_sets() == [])
    assert view.prompts() == (B, C, D)


def test_a_store_that_is_closed_is_told(qtbot, view, store):
    select(view, 0)
    press(view, "prompts_delete")
    store.close()
    with qtbot.waitSignal(view.message, check_params_cb=lambda level, _: level == "error"):
        view.save()


def test_the_first_start_has_the_built_in_prompts_and_an_empty_list_says_what_to_do(qtbot, store):
    view = PromptsView(store)
    qtbot.addWidget(view)
    view.show()
    assert len(view.prompts()) > 8
    view.table.selectAll()
    press(view, "prompts_delete")
    assert view.empty.isVisible()
    assert "Add" in view.empty.text()
    press(view, "prompts_add")
    qtbot.keyClicks(editor(view), "first")
    qtbot.keyClick(editor(view), Qt.Key.Key_Return)
    assert [p.text for p in view.prompts()] == ["first"]


def test_state_is_kept(qtbot, view, store):
    view.filter.setText("a")
    other = PromptsView(store)
    qtbot.addWidget(other)
    other.restore_state(view.save_state())
    assert other.filter.text() == "a"
    other.restore_state({})


def test_models_keep_their_promises(qtbot, qtmodeltester):
    model = PromptsModel()
    shown = PromptsFilter(model)
    for each in (model, shown):
        QAbstractItemModelTester(each, each)
    model.load((A, B, C))
    model.insert("x", 1, [D, D])
    model.edit("y", [C, D])
    model.undo_stack.undo()
    shown.set_text("a")
    model.move([0, 2], 5)
    model.remove([0, 1, 2, 3, 4])
    while model.undo_stack.canUndo():
        model.undo_stack.undo()
    qtmodeltester.check(model)
    assert isinstance(shown, QAbstractItemModel)


def test_every_control_says_what_it_is(view):
    for child in view.findChildren(QWidget):
        ours = child.objectName() and not child.objectName().startswith("qt_")
        if ours and not re.match("prompts_(empty|view|count)", child.objectName()):
            assert child.accessibleName(), child.objectName()
    assert os.environ["QT_QPA_PLATFORM"] == "offscreen"


def test_the_current_row_stays_in_sight_when_the_table_becomes_lower(qtbot, view):
    view.resize(300, 420)
    view.library.replace("many", [Prompt(f"prompt {i}") for i in range(40)], "info", "", set())
    view.go_to(39)
    table = view.table
    QApplication.processEvents()
    assert table.viewport().rect().contains(table.visualRect(table.currentIndex()))
    view.resize(300, 360)  # as when a line comes above
    QApplication.processEvents()
    assert table.viewport().rect().contains(table.visualRect(table.currentIndex()))
