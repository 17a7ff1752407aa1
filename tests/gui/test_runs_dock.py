"""Runs are listed, shown, renamed and deleted."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from helpers.window import Opened, fill, metrics
from PySide6.QtCore import QEvent, Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QLineEdit, QMessageBox
from pytestqt.qtbot import QtBot

from workbench.algorithms import find_algorithm, headlines
from workbench.gui.background import Background
from workbench.gui.runs.dock import RunsDock, RunsModel, describe
from workbench.gui.runs.model import COLUMNS
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.records import Pair, PairData
from workbench.store.store import Store
from workbench.training import events as ev
from workbench.training.events import State

FAIL = QAbstractItemModelTester.FailureReportingMode.Fatal


@pytest.fixture
def background() -> Iterator[Background]:
    made = Background()
    yield made
    made.close()


def test_nothing_is_delivered_to_a_closed_window(qtbot: QtBot) -> None:
    delivered: list[str] = []
    background = Background()
    background.run(lambda: "read", delivered.append)
    background.close()  # the reading is done, its delivery still in the event loop's queue
    QApplication.processEvents()
    assert delivered == []


@pytest.fixture
def dock(qtbot: QtBot, store: Store, background: Background) -> RunsDock:
    fill(store, 3)
    fill(store, 2, "Second", "stopped")
    dock = RunsDock(store, background)
    qtbot.addWidget(dock)
    dock.resize(400, 400)
    dock.show()
    return dock


def row(dock: RunsDock, number: int) -> list[object]:
    model = dock.model
    return [model.index(number, c).data() for c in range(model.columnCount())]


def test_model_keeps_the_rules(qapp: object, store: Store) -> None:
    model = RunsModel()
    tester = QAbstractItemModelTester(model, FAIL)
    fill(store)
    model.fill(store.runs(), store.metric_spans(headlines()))
    fill(store)
    model.fill(store.runs(), store.metric_spans(headlines()))
    model.fill(store.runs(), {})
    model.set_shown(1)
    model.fill([], {})
    del tester


def test_newest_comes_first(dock: RunsDock) -> None:
    assert row(dock, 0)[:4] == ["Second", "0.50 → 1.00", "2", "stopped"]
    assert row(dock, 1)[:4] == ["Run 1", "0.50 → 1.50", "3", "finished"]


def test_double_click_and_enter_show_a_run(qtbot: QtBot, dock: RunsDock) -> None:
    dock.table.selectRow(1)
    with qtbot.waitSignal(dock.opened) as opened:
        dock.table.doubleClicked.emit(dock.model.index(1, 0))
    assert opened.args == [1]
    dock.table.setFocus()
    with qtbot.waitSignal(dock.opened):
        qtbot.keyClick(dock.table, Qt.Key.Key_Return)


def test_details_name_what_differs_from_the_defaults(dock: RunsDock) -> None:
    dock.table.selectRow(1)
    assert dock._details.text() == (
        "PPO. Policy: policy. Reward: reward. Settings: Cycles 3, Learning rate 1e-4; "
        "cycle 2: KL coefficient (β) 0.05 → 0.1.")


def test_details_name_what_a_run_learns_from(store: Store) -> None:
    run_id = store.create_run(
        name="", policy="p", reward="r", models={}, prompts=(), hyperparameters={},
        algorithm="dpo", data=PairData("Mine", (Pair("p", "good", "bad"),))).result()
    assert "Data: Mine. Settings: " in describe(store.run(run_id), [])


def test_details_name_what_was_changed_on_the_way(dock: RunsDock, store: Store) -> None:
    run = store.run(1)
    assert run is not None
    run = replace(run, hyperparameters=Hyperparameters().model_dump())
    for cycle in range(7, 12):
        store.record_changes(1, cycle, [("kl_coef", 0.04, 0.02, "person"),
                                        ("learning_rate", 5e-4, 1e-3, "person")]).result()
    first = [change for change in store.changes(1) if change.cycle == 7]
    assert describe(run, first).endswith(
        "Settings: defaults; cycle 7: KL coefficient (β) 0.04 → 0.02, "
        "Learning rate 5e-4 → 1e-3.")
    assert describe(run, store.changes(1)).endswith("; and changes at 2 more cycles.")
    assert describe(run, []).endswith("Settings: defaults.")


def test_settings_can_be_taken_over(qtbot: QtBot, dock: RunsDock) -> None:
    dock.table.selectRow(0)
    with qtbot.waitSignal(dock.settings) as settings:
        dock.settings_button.click()
    assert settings.args[0].learning_rate == 1e-4


def test_keys_act_on_the_row_in_whichever_column_it_was_clicked(
    qtbot: QtBot, dock: RunsDock, store: Store
) -> None:
    for column in range(len(COLUMNS)):
        dock.table.setCurrentIndex(dock.model.index(0, column))
        dock.table.setFocus()
        run = dock.selected()
        qtbot.keyClick(dock.table, Qt.Key.Key_Space)
        assert dock.model.ticks == {run.id}
        qtbot.keyClick(dock.table, Qt.Key.Key_Space)
        assert not dock.model.ticks
        qtbot.keyClick(dock.table, Qt.Key.Key_F2)
        editor = dock.table.findChild(QLineEdit)
        assert editor.text() == run.name
        qtbot.keyClick(editor, Qt.Key.Key_Escape)
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def test_rename_in_place(qtbot: QtBot, dock: RunsDock, store: Store) -> None:
    dock.table.selectRow(1)
    with qtbot.waitSignal(dock.renamed):
        dock.model.setData(dock.model.index(1, 0), "Careful one")
    assert store.run(1).name == "Careful one"  # type: ignore[union-attr]
    assert row(dock, 1)[0] == "Careful one"
    assert not dock.model.setData(dock.model.index(1, 0), "  ")


def editor(dock: RunsDock) -> QLineEdit | None:
    return dock.table.viewport().findChild(QLineEdit)


def test_a_name_being_typed_outlasts_cycles_and_new_runs(
    qtbot: QtBot, dock: RunsDock, store: Store
) -> None:
    dock.table.selectRow(1)
    dock.rename_selected()
    dock.rename_selected()  # once more while it is open
    qtbot.keyClicks(editor(dock), "Half a na")
    store.record_cycle(1, 4, metrics=metrics(4), rollout=[], comparison=[]).result()
    dock.refresh_run(1)
    fill(store, 1, "Third")
    dock.refresh()
    assert editor(dock).text() == "Half a na"
    with qtbot.waitSignal(dock.renamed):
        qtbot.keyClick(editor(dock), Qt.Key.Key_Return)
    assert store.run(1).name == "Half a na"  # type: ignore[union-attr]


def test_a_run_that_goes_while_its_name_is_typed(
    qtbot: QtBot, dock: RunsDock, store: Store
) -> None:
    dock.table.selectRow(0)
    dock.rename_selected()
    store.delete_run(2).result()
    dock.refresh()
    qtbot.waitUntil(lambda: editor(dock) is None)
    assert [dock.model.runs[i].id for i in range(dock.model.rowCount())] == [1]


def test_a_cycle_that_ends_changes_one_row(qtbot: QtBot, dock: RunsDock, store: Store) -> None:
    store.record_cycle(1, 4, metrics=metrics(4), rollout=[], comparison=[]).result()
    with qtbot.assertNotEmitted(dock.model.modelReset), qtbot.waitSignal(
            dock.model.dataChanged) as changed:
        dock.refresh_run(1)
    assert {index.row() for index in changed.args[:2]} == {1}
    assert row(dock, 1)[:4] == ["Run 1", "0.50 → 2.00", "4", "finished"]
    assert row(dock, 0)[:4] == ["Second", "0.50 → 1.00", "2", "stopped"]
    tip = dock._details.text()
    dock.table.selectRow(1)
    assert dock._details.text() != tip


def test_what_another_process_did_is_caught_up_with(dock: RunsDock, store: Store) -> None:
    dock.table.selectRow(1)
    store.set_status(2, "failed").result()
    fill(store, 1, "Third")
    for _ in range(2):
        dock.catch_up([(r.id, r.name, r.status, r.cycles) for r in store.runs()])
    assert [row(dock, i)[0] for i in range(3)] == ["Third", "Second", "Run 1"]
    assert row(dock, 1)[3] == "failed"
    store.set_status(2, "stopped").result()
    dock.catch_up([(r.id, r.name, r.status, r.cycles) for r in store.runs()])
    assert row(dock, 1)[3] == "stopped"
    assert dock.selected().id == 1  # type: ignore[union-attr]


def test_the_selection_stays_beside_delete(opened: Opened, store: Store) -> None:
    for name in ("First", "Second", "Third"):
        fill(store, 2, name)
    dock, controller = opened.window.runs, opened.controller
    dock.refresh()
    controller.show_run(3)
    assert dock.selected().id == 3  # type: ignore[union-attr]
    dock.table.selectRow(2)
    for event in (ev.StateChanged(State.RUNNING, ""), ev.CycleFinished(3, 2, 2, metrics(2)),
                  ev.StateChanged(State.PAUSED, ""), ev.StateChanged(State.FINISHED, "")):
        controller.handle([event])
        assert dock.selected().id == 1  # type: ignore[union-attr]
    fill(store, 1, "Fourth")
    dock.refresh()
    controller.show_run(4)
    assert dock.selected().id == 1  # type: ignore[union-attr]
    controller.show_run(1)
    controller.show_run(2)
    assert dock.selected().id == 2  # type: ignore[union-attr]


def test_columns_have_room_for_their_longest_text(dock: RunsDock, store: Store) -> None:
    dock.resize(900, 400)
    store.rename_run(1, "A careful one").result()
    dock.refresh()
    for column in range(dock.model.columnCount()):
        for i in range(2):
            hint = dock.table.sizeHintForIndex(dock.model.index(i, column)).width()
            assert dock.table.columnWidth(column) >= hint


def test_delete_asks_first(qtbot: QtBot, dock: RunsDock, store: Store) -> None:
    dock.table.selectRow(0)
    dock.delete_button.click()
    box = dock.findChild(QMessageBox, "delete_run")
    assert "Second" in box.text()
    assert store.run(2) is not None
    with qtbot.waitSignal(dock.deleted) as deleted:
        box.findChild(object, "confirm_delete").click()
    assert deleted.args == [2]
    assert store.run(2) is None
    assert dock.model.rowCount() == 1


def test_a_run_that_is_alive_cannot_be_deleted(dock: RunsDock, store: Store) -> None:
    store.set_status(2, "running").result()
    dock.refresh()
    dock.table.selectRow(0)
    assert not dock.delete_button.isEnabled()
    dock.delete_selected()
    assert dock.findChild(QMessageBox) is None


def test_empty_state_says_the_next_step(
    qtbot: QtBot, store: Store, background: Background
) -> None:
    dock = RunsDock(store, background)
    qtbot.addWidget(dock)
    assert "Press Start" in dock._stack.currentWidget().text()  # type: ignore[attr-defined]


def test_where_a_run_stands_is_not_cut_in_a_small_window(qtbot: QtBot, opened: Opened,
                                                         store: Store) -> None:
    for status in ("finished", "stopped", "failed", "interrupted", "abandoned"):
        fill(store, name="A run with quite a long name", status=status)
    opened.window.resize(1280, 720)
    opened.window.dock_layout.reset()
    opened.window.reveal("runs")
    opened.window.runs.refresh()
    QApplication.processEvents()
    table = opened.window.runs.table
    column = COLUMNS.index("Status")
    needed = max(table.sizeHintForIndex(table.model().index(row, column)).width()
                 for row in range(table.model().rowCount()))
    assert table.columnWidth(column) >= needed
    assert (table.columnViewportPosition(column) + table.columnWidth(column)
            <= table.viewport().width())


def test_names_can_be_read_in_a_small_window_whatever_stands_beside_them(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    first = fill(store)
    for name, status in (("Run 1, up to cycle 8", "abandoned"), ("Run 4", "finished"),
                         ("Run 1: Clip range (ε) 0.02", "interrupted")):
        run = store.run(first)
        assert run is not None
        forked = store.fork_run(first, 2, name=name, hyperparameters=run.hyperparameters,
                                changes=()).result()
        store.set_status(forked, status).result()
    opened.window.resize(1280, 720)
    opened.window.dock_layout.reset()
    opened.window.reveal("runs")
    opened.window.runs.refresh()
    QApplication.processEvents()
    table = opened.window.runs.table
    assert table.columnWidth(0) >= 56 + 14 + 70
    assert not table.isColumnHidden(COLUMNS.index("Status"))
    last = table.model().index(0, 1)
    assert not table.isColumnHidden(1)
    assert last.data() == "→ 1.50"
    for index in (table.model().index(0, 0), last):
        assert "raining reward" in index.data(Qt.ItemDataRole.ToolTipRole)
        assert "0.50 → 1.50" in index.data(Qt.ItemDataRole.ToolTipRole)
    # With more room both numbers are there again.
    table.parentWidget().resize(500, 400)
    table.resize(480, 300)
    assert last.data() == "0.50 → 1.50"


def test_a_comparison_that_starts_and_forks_leave_the_reward_its_place(
    opened: Opened, store: Store
) -> None:
    first = fill(store)
    opened.window.resize(1440, 900)
    opened.window.dock_layout.reset()
    opened.window.reveal("runs")
    table, model = opened.window.runs.table, opened.window.runs.model

    def rewards() -> list[object]:
        opened.window.runs.refresh()
        QApplication.processEvents()
        assert not table.isColumnHidden(1)
        assert table.columnWidth(1) >= table.sizeHintForColumn(1)
        return [model.index(i, 1).data() for i in range(model.rowCount())]

    assert rewards() == ["0.50 → 1.50"]
    for name in ("dpo", "kto", "ilql"):
        settings = find_algorithm(name).settings().model_dump()
        forked = store.fork_run(first, 2, name=f"Run 1, by {name.upper()}", algorithm=name,
                                hyperparameters=settings, changes=()).result()
        store.set_status(forked, "interrupted").result()
    found = rewards()
    assert len(found) == 4
    assert all(str(text).startswith("→ ") for text in found)
    assert table.columnWidth(0) >= 84
    assert not table.isColumnHidden(COLUMNS.index("Status"))
    # Where there is next to no room the status is left out before the number.
    table.resize(190, 300)
    QApplication.processEvents()
    assert table.isColumnHidden(COLUMNS.index("Status"))
    assert not table.isColumnHidden(1)
    assert table.columnWidth(1) >= table.sizeHintForColumn(1)


def test_the_run_on_display_says_why_it_has_no_tick(opened: Opened, store: Store) -> None:
    first, other = fill(store), fill(store)
    opened.window.runs.refresh()
    opened.controller.show_run(first)
    model = opened.window.runs.table.model()
    tips = [model.index(row, 0).data(Qt.ItemDataRole.ToolTipRole) for row in range(2)]
    assert other
    assert sorted("drawn without a tick" in tip for tip in tips) == [False, True]
