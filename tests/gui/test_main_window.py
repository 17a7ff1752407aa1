"""What every part of the window owes the person: layout, keyboard, names, palette, sheets."""

import base64
import re
import struct
import subprocess
import sys

import pytest
from helpers.window import (
    DEFAULTS,
    PROMPTS,
    Opened,
    as_plain,
    bare_controls,
    fill,
    is_part_of_another,
    make_all,
    ready,
)
from PySide6.QtCore import QByteArray, QEvent, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QStatusTipEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QGraphicsView,
    QLabel,
    QToolBar,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from workbench.gui.actions import tip_of
from workbench.gui.command_palette import CommandPalette, plain
from workbench.gui.dock_layout import screen_width
from workbench.gui.main_window import MainWindow, first_size
from workbench.gui.notifications import Notifications
from workbench.gui.widgets.controls import describe, enable, push_button
from workbench.gui.widgets.number_field import NumberField
from workbench.gui.widgets.theme import themes
from workbench.health import Finding
from workbench.models.phases import Phase
from workbench.ppo.hyperparameters import Hyperparameters, specs
from workbench.store.prompt_files import ENDINGS
from workbench.store.records import Prompt
from workbench.store.store import Store
from workbench.training.events import (
    Event,
    HealthChecked,
    HyperparametersStaged,
    LoadingFailed,
    Progress,
    RunStarted,
    State,
    StateChanged,
)


def test_every_control_has_a_name_and_a_tooltip(opened: Opened) -> None:
    make_all(opened.window)
    bare = bare_controls(opened.window)
    assert not bare, "\n".join(bare)


def test_nothing_is_plotted_before_there_is_something_to_see(
    qtbot: QtBot, opened: Opened, run_id: int
) -> None:
    window = opened.window
    assert window.findChildren(QGraphicsView) == []
    opened.controller.show_run(run_id)
    window.reveal("metrics")
    qtbot.waitUntil(lambda: bool(window.findChildren(QGraphicsView)))
    assert [plot.about.name for plot in window.metrics._grid] == window.metrics.plots()
    # The pictures that are behind other tabs wait.
    assert all(window.metrics.isAncestorOf(v) for v in window.findChildren(QGraphicsView))
    window.resize(1280, 800)
    window.reveal("frontier")
    qtbot.waitUntil(lambda: any(
        window.frontier.isAncestorOf(v) for v in window.findChildren(QGraphicsView)))


def test_no_two_actions_share_a_shortcut(opened: Opened) -> None:
    seen: dict[str, str] = {}
    for action in opened.window.all_actions():
        for key in action.shortcuts():
            if action.shortcutContext() == Qt.ShortcutContext.WindowShortcut:
                text = key.toString()
                assert seen.setdefault(text, action.objectName()) == action.objectName(), text


def test_a_disabled_action_says_why(opened: Opened) -> None:
    actions = opened.window.actions_
    enabled = {action.objectName(): tip_of(action) for action in actions}
    for state in State:
        opened.controller.handle([StateChanged(state)])
        for action in actions:
            tip, why = action.toolTip(), action.property("why")
            assert bool(why) == (not action.isEnabled()), (state, action.objectName())
            if not action.isEnabled():
                assert why in " ".join(as_plain(tip).split()), (state, action.objectName())
                assert why not in enabled[action.objectName()], state


def test_a_disabled_control_says_why_and_an_enabled_one_no_longer(qtbot: QtBot) -> None:
    button = push_button("Go", "go", "Goes", lambda: None)
    qtbot.addWidget(button)
    enable(button, False, "Select a run first.")
    assert button.toolTip() == "Goes\nSelect a run first."
    describe(button, "Goes on")
    assert button.toolTip() == "Goes on\nSelect a run first."
    enable(button, True, "Select a run first.")
    assert button.toolTip() == "Goes on"
    assert button.isEnabled()


def test_no_hover_text_covers_phase_and_progress(qtbot: QtBot, opened: Opened) -> None:
    window = opened.window
    opened.controller.handle([StateChanged(State.RUNNING),
                              Progress(1, 1, 3, Phase.SAMPLING, 1, 2)])
    for action in window.all_actions():
        action.hover()
        QApplication.sendEvent(window, QStatusTipEvent(action.statusTip()))
        assert window.status.phase.isVisible(), action.objectName()
        assert window.status.bar.isVisible()
    assert window.status.currentMessage() == ""


def test_palette_finds_and_does(qtbot: QtBot, opened: Opened) -> None:
    opened.window.actions_["palette"].trigger()
    palette = opened.window.findChild(CommandPalette)
    qtbot.keyClicks(palette._field, "dark theme")
    with qtbot.waitSignal(opened.window.actions_["theme_dark"].triggered):
        qtbot.keyClick(palette._field, Qt.Key.Key_Return)
    assert themes().theme.name == "dark"
    themes().set_mode("system")


def test_palette_does_not_do_what_makes_no_sense_now(qtbot: QtBot, opened: Opened) -> None:
    done: list[bool] = []
    opened.window.actions_["stop"].triggered.connect(done.append)
    palette = CommandPalette([opened.window.actions_["stop"]], opened.window)
    palette.open()
    palette.accept()
    assert done == []
    assert palette.isVisible()
    palette.close()


def palette_of(opened: Opened, qtbot: QtBot, typed: str) -> CommandPalette:
    opened.window.actions_["palette"].trigger()
    palette = opened.window.findChild(CommandPalette)
    qtbot.keyClicks(palette._field, typed)
    return palette


def test_palette_finds_places(qtbot: QtBot, opened: Opened, store: Store) -> None:
    run_id = fill(store)
    opened.window.runs.refresh()
    opened.window.prompts._model.insert("add", 0, [Prompt(text) for text in PROMPTS])
    opened.controller.show_run(run_id)
    for typed, *found in (
        ("learn", "Learning rate", "Setting"), ("explained", "Explained variance", "Plot"),
        ("creative", "Temperature", "Setting"), ("run 1", "Run 1", "Run"),
        ("the coffee", "The coffee was", "Prompt"), ("cycle 2", "Cycle 2", "Completions"),
    ):
        palette = palette_of(opened, qtbot, typed)
        model = palette._list.model()
        assert [model.index(0, column).data() for column in (0, 1)] == found
        palette.close()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def test_palette_goes_there(qtbot: QtBot, opened: Opened, store: Store) -> None:
    window = opened.window
    first, second = fill(store), fill(store)
    window.runs.refresh()
    window.prompts._model.insert("add", 0, [Prompt(text) for text in PROMPTS])
    opened.controller.show_run(second)
    window.activateWindow()

    def go(typed: str) -> None:
        qtbot.keyClick(palette_of(opened, qtbot, typed)._field, Qt.Key.Key_Return)
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)

    for name in ("learning_rate", "dual_clip", "kl_target", "seed"):
        go(specs()[name].label)
        row = window.hyperparameters.form.rows[name]
        assert row.isVisible(), name
        assert not row.visibleRegion().isEmpty(), name
        if row.field.isEnabled():
            assert row.field.hasFocus(), name
    go("Explained variance")
    assert "val/explained_variance" in window.metrics.plots()
    go("Run 1")
    assert opened.controller.shown == first
    go("the coffee")
    assert window.prompts.selected() == [2]
    assert not window.docks["prompts"].visibleRegion().isEmpty()
    go("cycle 2")
    assert window.completions.shown.cycles == (1, 2)


def test_palette_says_when_nothing_matches(qtbot: QtBot, opened: Opened) -> None:
    palette = palette_of(opened, qtbot, "xyzzy")
    assert palette._nothing.isVisible()
    assert palette._nothing.text().startswith("No match for “xyzzy”. Try ")
    qtbot.keyClick(palette._field, Qt.Key.Key_Return)
    assert palette.isVisible()
    palette._field.clear()
    assert not palette._nothing.isVisible()
    assert palette._list.model().rowCount() == len(opened.window.all_actions())
    palette.close()


def test_palette_has_every_action_of_the_menus(opened: Opened) -> None:
    known = {a.text() for a in opened.window.all_actions()}
    in_menus = {a.text() for menu in opened.window.menuBar().actions()
                for a in menu.menu().actions() if a.text() and not a.menu()}
    assert in_menus <= known


def test_palette_names_what_a_menu_says_in_short(opened: Opened) -> None:
    names = {plain(action) for action in opened.window.all_actions()}
    assert {"Preset: Careful", "Plots: Trust region",
            "Show all, and follow the latest cycle",
            "Zoom to the selected cycles", "Save prompts to file",
            "Copy completions as Markdown"} <= names


@pytest.mark.parametrize(("action", "name"), [
    ("shortcuts", "shortcut_sheet"), ("about", "about")])
def test_sheets_open(opened: Opened, action: str, name: str) -> None:
    opened.window.actions_[action].trigger()
    dialog = opened.window.findChild(QDialog, name)
    assert dialog.isVisible()
    dialog.close()


def test_docks_are_reached_by_keyboard(qtbot: QtBot, opened: Opened) -> None:
    window = opened.window
    window.activateWindow()
    keys = [action.shortcut().toString() for action in window.dock_actions]
    assert keys == [*(f"Ctrl+{n % 10}" for n in range(1, 11)),
                    *(f"Ctrl+Shift+{n}" for n in range(1, len(keys) - 9))]
    for action in window.dock_actions:
        name = action.objectName().removeprefix("go_to_")
        dock = window.docks[name]
        dock.close()
        QTest.keySequence(window, action.shortcut())
        assert dock.isVisible(), name
        assert dock.isAncestorOf(QApplication.focusWidget()), name


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 720), (960, 540), (640, 360)])
def test_reset_layout_fits(qtbot: QtBot, opened: Opened, size: tuple[int, int]) -> None:
    window = opened.window
    window.docks["runs"].close()
    window.docks["models"].setFloating(True)
    window.resize(*size)
    window.actions_["reset_layout"].trigger()
    for name, dock in window.docks.items():
        assert not dock.isFloating()
        assert not dock.isHidden() or name == "guide"  # which stays closed
    QApplication.processEvents()
    assert (window.width(), window.height()) == size
    for name, dock in window.docks.items():
        in_tabs = window.tabifiedDockWidgets(dock)
        assert dock.isHidden() or any(
            not d.visibleRegion().isEmpty() for d in (dock, *in_tabs)), name
        if not dock.visibleRegion().isEmpty():
            corner = dock.mapTo(window, QPoint(dock.width(), dock.height()))
            assert corner.x() <= size[0]
            assert corner.y() <= size[1]
    assert not window.docks["metrics"].visibleRegion().isEmpty()


def test_small_things_are_remembered(qtbot: QtBot, opened: Opened) -> None:
    window = opened.window
    window.resize(1300, 800)
    window.actions_["reset_layout"].trigger()
    window.docks["models"].close()
    window.hyperparameters.form.set_values({"lam": 0.5}, "test")
    saved = window.save_state()
    other = MainWindow()
    qtbot.addWidget(other, before_close_func=lambda w: w.deleteLater())
    other.restore_frame(saved)
    other.restore_views(saved)
    assert not other.docks["models"].isVisibleTo(other)
    assert other.docks["prompts"].isVisibleTo(other)
    assert other.hyperparameters.hyperparameters().lam == 0.5


def test_sizes_of_docks_are_remembered(qtbot: QtBot, opened: Opened) -> None:
    window = opened.window
    window.resize(1300, 800)
    window.actions_["reset_layout"].trigger()
    QApplication.processEvents()
    window.resizeDocks([window.docks["models"]], [360], Qt.Orientation.Horizontal)
    QApplication.processEvents()
    wide = window.docks["models"].width()
    saved = window.save_state()
    del saved["geometry"]  # the test's screen is smaller than that
    other = MainWindow()
    qtbot.addWidget(other, before_close_func=lambda w: w.deleteLater())
    other.resize(1300, 800)
    other.restore_frame(saved)
    with qtbot.waitExposed(other):
        other.show()
    QApplication.processEvents()
    assert wide > 330
    assert abs(other.docks["models"].width() - wide) <= 8


def test_closing_is_asked_for_not_done(qtbot: QtBot, opened: Opened) -> None:
    with qtbot.waitSignal(opened.window.close_wanted):
        opened.window.close()
    assert opened.window.isVisible()


def test_first_paint_is_told_once(qtbot: QtBot, store: Store) -> None:
    window = MainWindow()
    qtbot.addWidget(window, before_close_func=lambda w: w.deleteLater())
    times: list[int] = []
    window.first_paint.connect(lambda: times.append(1))
    with qtbot.waitSignal(window.first_paint):
        window.show()
    window.repaint()
    QApplication.processEvents()
    assert times == [1]


def test_undo_follows_the_keyboard(qtbot: QtBot, opened: Opened) -> None:
    window = opened.window
    window.activateWindow()
    window.reveal("hyperparameters")
    window.hyperparameters.form.set_values({"lam": 0.5}, "λ")
    undo = window.undo_actions[0]
    assert undo.isEnabled()
    undo.trigger()
    assert window.hyperparameters.hyperparameters().lam == 0.95
    window.reveal("prompts")
    assert window.undo_group.activeStack() is window.prompts.undo_stack


def test_toast_is_shown_and_goes(qtbot: QtBot, opened: Opened,
                                 caplog: pytest.LogCaptureFixture) -> None:
    toast = opened.window.toast
    toast.show_message("warning", "Mind the gap.")
    assert toast.isVisible()
    assert "Mind the gap." in caplog.text
    qtbot.mouseClick(toast, Qt.MouseButton.LeftButton)
    assert not toast.isVisible()


def test_notices_are_kept_with_their_time_and_can_be_copied(
    qtbot: QtBot, opened: Opened
) -> None:
    toast, action = opened.window.toast, opened.window.actions_["notifications"]
    toast.show_message("info", "Saved plots.png.")
    toast.show_message("warning", "Mind <the> gap.")
    action.trigger()
    listed = opened.window.findChild(Notifications)
    lines = listed.text.toPlainText().splitlines()
    assert [line[8:] for line in lines] == ["  Warning: Mind <the> gap.", "  Saved plots.png."]
    assert all(re.match(r"\d\d:\d\d:\d\d  ", line) for line in lines)
    toast.show_message("error", "More.")  # told while the list is open
    assert listed.text.toPlainText().startswith(f"{toast.notices[-1].at:%H:%M:%S}  Error: More.")
    qtbot.mouseClick(listed._copy, Qt.MouseButton.LeftButton)
    assert QApplication.clipboard().text() == listed.text.toPlainText()
    listed.close()


def test_the_bell_is_in_the_tool_bar_and_tool_buttons_take_the_keyboard_by_tab_only(
    opened: Opened
) -> None:
    bar = opened.window.findChild(QToolBar, "run_toolbar")
    buttons = [b for b in bar.findChildren(QToolButton) if not is_part_of_another(b)]
    assert "notifications_button" in [b.objectName() for b in buttons]
    assert all(b.focusPolicy() == Qt.FocusPolicy.TabFocus for b in buttons)


def test_a_control_that_goes_away_leaves_the_keyboard_to_its_dock(
    qtbot: QtBot, opened: Opened
) -> None:
    window = opened.window
    window.activateWindow()
    dock = window.hyperparameters
    opened.controller.handle([StateChanged(State.RUNNING)])
    dock.run_started(Hyperparameters())
    field = dock.form.rows["kl_coef"].field
    assert isinstance(field, NumberField)
    field.take(0.03)
    dock.apply_button.setFocus()
    qtbot.mouseClick(dock.apply_button, Qt.MouseButton.LeftButton)
    dock.staged(HyperparametersStaged({"kl_coef": 0.03}, 2))
    assert not dock.apply_button.isEnabled()
    assert window.focusWidget() is dock
    row = dock.form.rows["kl_coef"]
    row.reset.setFocus()
    qtbot.mouseClick(row.reset, Qt.MouseButton.LeftButton)
    assert not row.reset.isVisible()
    assert row.field.hasFocus()
    bar = window.findChild(QToolBar, "run_toolbar")
    pause = bar.widgetForAction(window.actions_["pause"])
    pause.setFocus()
    qtbot.keyClick(pause, Qt.Key.Key_Space)
    assert not pause.isEnabled()
    assert window.focusWidget() is window  # and not Stop


@pytest.mark.usefixtures("theme")
def test_theme_changes_under_a_running_window(opened: Opened, store: Store) -> None:
    events: list[Event] = [StateChanged(State.RUNNING)]
    opened.controller.handle(events)
    opened.controller.show_run(fill(store))
    for mode in ("dark", "light", "dark"):
        opened.window.actions_[f"theme_{mode}"].trigger()
        assert themes().theme.name == mode
        assert not opened.window.grab().isNull()


def test_the_first_paint_waits_for_no_plots() -> None:
    code = ("import sys, workbench.gui.app; "
            "assert not {'pyqtgraph', 'numpy', 'sqlite_utils'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True)




def test_a_cycle_beyond_the_run_is_told_of_and_is_no_setting(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    opened.controller.show_run(fill(store, 1))
    palette = palette_of(opened, qtbot, "cycle 5")
    assert palette._list.model().rowCount() == 0
    assert palette._nothing.text() == "Run 1 has 1 cycle."


def test_a_failed_load_is_kept_among_the_notifications(opened: Opened) -> None:
    opened.controller.handle([LoadingFailed("There is no such folder.", "policy", "")])
    assert [n.sentence for n in opened.window.toast.notices] == ["There is no such folder."]
    assert not opened.window.toast.isVisible()


def test_tab_goes_through_all_that_is_seen_and_nothing_behind_it(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    fill(store)
    opened.controller.show_run(1)
    window = opened.window
    window.resize(1280, 720)
    window.dock_layout.reset()
    qtbot.waitUntil(lambda: window.docks["runs"].visibleRegion().isEmpty())
    window.setFocus()
    names: list[str] = []
    while len(names) < 200:
        qtbot.keyClick(window.focusWidget() or window, Qt.Key.Key_Tab)
        now = window.focusWidget()
        assert now is not None
        if now.objectName() and now.objectName() in names:
            break
        names.append(now.objectName())
        behind = [d.windowTitle() for d in window.docks.values()
                  if d.isAncestorOf(now) and d.visibleRegion().isEmpty()]
        assert not behind, now.objectName()
    # Also what has to be scrolled to, but not Runs, which is behind Prompts.
    assert {"policy", "entropy_coef", "prompts_table", "metrics_view",
            "completions_table"} <= set(names)
    assert "runs_table" not in names


def test_the_run_on_display_is_named_again_after_none_was(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    opened.controller.show_run(None)
    QApplication.processEvents()
    run_id = fill(store)
    opened.controller.show_run(run_id)
    qtbot.waitUntil(lambda: opened.window.shown.width() >= (
        opened.window.shown.fontMetrics().horizontalAdvance("Showing Run 1")))


def test_nothing_moves_in_the_tool_bar_when_pause_becomes_resume(opened: Opened) -> None:
    def places() -> dict[str, QRect]:
        QApplication.processEvents()
        return {b.objectName(): b.geometry() for b in opened.window.findChildren(QToolButton)
                if b.objectName().endswith("_button") and b.isVisible()}
    opened.controller.handle([StateChanged(State.RUNNING)])
    before = places()
    opened.controller.handle([StateChanged(State.PAUSED)])
    assert places() == before
    assert "pause_button" in before


@pytest.mark.parametrize(("screen", "window"), [
    ((1280, 720), (1264, 672)), ((1366, 768), (1280, 720)), ((1920, 1080), (1632, 918)),
    ((3840, 2160), (3264, 1836)), ((640, 360), (624, 312))])
def test_the_window_opens_as_large_as_the_screen_allows(
    screen: tuple[int, int], window: tuple[int, int]
) -> None:
    assert first_size(QSize(*screen)) == QSize(*window)


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)])
def test_completions_get_the_larger_half_and_models_what_it_needs(
    opened: Opened, size: tuple[int, int]
) -> None:
    window = opened.window
    window.resize(*size)
    window.dock_layout.reset()
    QApplication.processEvents()
    QApplication.processEvents()
    assert window.docks["completions"].height() > window.docks["metrics"].height()
    assert window.docks["prompts"].height() > window.docks["models"].height()
    assert window.docks["models"].height() <= 344


def test_a_notice_covers_no_dock(qtbot: QtBot, opened: Opened) -> None:
    window = opened.window
    window.resize(1280, 720)
    window.toast.show_message("warning", "Run 1 has finished after 20 cycles.")
    QApplication.processEvents()
    toast = window.toast.geometry()
    assert not any(toast.intersects(dock.geometry()) for dock in window.docks.values())
    assert not toast.intersects(window.status.geometry())
    assert toast.left() > window.menuBar().actionGeometry(window.menuBar().actions()[-1]).right()
    assert window.rect().contains(toast)


def test_the_run_on_display_keeps_its_name_where_the_bar_is_full(
    opened: Opened, store: Store
) -> None:
    window = opened.window
    window.resize(960, 540)
    opened.controller.show_run(fill(store))
    opened.controller.handle([StateChanged(State.LOADING, "A long note, " * 20)])
    QApplication.processEvents()
    assert window.shown.width() >= window.fontMetrics().averageCharWidth() * 12


@pytest.mark.parametrize("width", [960, 1280])
def test_the_bar_says_where_the_run_stands_in_full(
    opened: Opened, store: Store, width: int
) -> None:
    window = opened.window
    window.resize(width, 540)
    opened.controller.show_run(fill(store))
    opened.controller.handle([StateChanged(State.RUNNING, "Pausing after cycle 12")])
    window.show_chip("Stopped after 3 of 6", "warning")
    QApplication.processEvents()
    for part in (window.chip, window.note, window.shown):
        assert part.width() >= part.sizeHint().width(), part.text()
    palette = window.findChild(QToolButton, "palette_button")
    assert palette is not None
    assert palette.isVisible()


def test_a_note_is_shown_to_its_last_letter_and_no_button_moves(opened: Opened) -> None:
    window = opened.window
    window.resize(1400, 720)
    opened.controller.handle([StateChanged(State.RUNNING)])
    QApplication.processEvents()
    places = {name: button.geometry() for name, button in window.run_bar.buttons.items()}
    for cycle in (1, 4, 5, 7, 10, 12, 345):
        window.show_state(State.PAUSED, f"After cycle {cycle}")
        QApplication.processEvents()
        assert QLabel.text(window.note) == f"After cycle {cycle}"  # what is drawn
        assert {name: b.geometry() for name, b in window.run_bar.buttons.items()} == places


@pytest.mark.parametrize("width", [640, 800, 900, 960])
def test_at_200_percent_of_a_small_screen_nothing_leaves_the_window(
    opened: Opened, store: Store, width: int
) -> None:
    window = opened.window
    ready(opened)
    window.resize(width, 360)
    window.dock_layout.reset()
    run_id = fill(store, 3)
    opened.controller.show_run(run_id)
    opened.controller.handle([HealthChecked(run_id, 3, (
        Finding("kl", "serious", "Far."), Finding("steps", "warning", "Wide.")))])
    window.show_state(State.PAUSED, "After cycle 3")
    QApplication.processEvents()
    QApplication.processEvents()
    for name in ("notifications_button", "palette_button", "health_chip"):
        part = window.findChild(QToolButton, name)
        assert part is not None
        assert part.isVisible(), name
        assert part.mapTo(window, QPoint(part.width(), 0)).x() <= window.width(), name
    assert "KL" in window.health.text()
    window.health.click()
    panel = window.findChild(QDialog, "health_panel")
    assert panel is not None
    inside = window.rect().translated(window.mapToGlobal(QPoint(0, 0)))
    assert inside.contains(panel.geometry())
    panel.close()


def test_at_200_percent_the_controls_of_the_plots_take_one_row(
    opened: Opened, store: Store
) -> None:
    window = opened.window
    window.resize(640, 360)
    window.dock_layout.reset()
    opened.controller.show_run(fill(store, 3))
    window.reveal("metrics")
    QApplication.processEvents()
    rows = {part.y() for part in window.metrics.controls.children()
            if isinstance(part, QWidget) and part.isVisible()}
    assert len(rows) == 1


@pytest.mark.parametrize("width", [640, 960, 1280])
def test_load_and_start_and_a_long_name_are_not_cut_off(
    opened: Opened, store: Store, width: int
) -> None:
    window = opened.window
    ready(opened)
    window.resize(width, 540)
    opened.controller.show_run(fill(store, 1, "A name that takes all the room there is and more"))
    window.models.policy.combo.setEditText("no/such/folder")
    QApplication.processEvents()
    start = window.run_bar.buttons["start"]
    assert window.actions_["start"].text() == "Load and start"
    assert start.width() >= start.sizeHint().width()
    drawn = QLabel.text(window.shown)
    assert drawn.startswith("Showing A name")
    assert drawn.endswith("…")
    assert window.shown.fontMetrics().horizontalAdvance(drawn) <= (
        window.shown.contentsRect().width())
    palette = window.findChild(QToolButton, "palette_button")
    assert palette is not None
    assert palette.isVisible()


def test_no_text_moves_the_bar_of_the_phase(opened: Opened, store: Store) -> None:
    run_id = fill(store, 1, status="running")
    opened.controller.handle([RunStarted(run_id, "Run 1", "ppo", DEFAULTS),
                              StateChanged(State.RUNNING)])
    status = opened.window.status
    places = set()
    for phase, total in ((Phase.SAMPLING, 8), (Phase.COMPARING, 0), (Phase.UPDATING, 8)):
        status.progress(Progress(run_id, 2, 20, phase, 1, total))
        QApplication.processEvents()
        places.add((status.bar.x(), status.phase.x()))
    assert len(places) == 1
    (bar, phase) = places.pop()
    assert bar < phase


def test_nothing_moves_when_loading_ends(opened: Opened) -> None:
    window = opened.window
    window.resize(1280, 720)
    window.dock_layout.reset()
    ready(opened)
    fields = (window.models.policy.combo, window.models.load_button,
              window.hyperparameters.history)
    found = []
    for state in (State.LOADING, State.READY):
        opened.controller.handle([StateChanged(state)])
        QApplication.processEvents()
        QApplication.processEvents()
        found.append([(f.mapTo(window, QPoint(0, 0)), f.size()) for f in fields])
    assert found[0] == found[1]


def test_a_floating_dock_lies_beside_where_it_was(qtbot: QtBot, opened: Opened) -> None:
    dock = opened.window.docks["models"]
    was = dock.mapToGlobal(QPoint(0, 0))
    dock.setFloating(True)
    QApplication.processEvents()
    assert dock.pos() - was != QPoint(0, 0)
    assert opened.window.frameGeometry().contains(dock.pos())
    dock.setFloating(False)


def test_delete_stands_apart_in_the_menu(opened: Opened) -> None:
    (run,) = [a.menu() for a in opened.window.menuBar().actions() if a.text() == "&Run"]
    entries = [a.objectName() if not a.isSeparator() else "-" for a in run.actions()]
    groups = [group.split() for group in " ".join(entries).split("-")]
    assert groups[-1] == ["rename_selected", "delete_selected"]
    assert ["load_models", "cancel_loading"] in groups
    assert groups[0] == ["start", "pause", "step", "step_into", "stop"]


def test_the_shortcut_sheet_is_searched(qtbot: QtBot, opened: Opened) -> None:
    opened.window.actions_["shortcuts"].trigger()
    sheet = opened.window.findChild(QDialog, "shortcut_sheet")
    qtbot.keyClicks(sheet.findChild(QWidget, "shortcut_find"), "tray pause")
    shown = [w.text() for w in sheet.findChildren(QLabel) if w.isVisible()]
    assert shown == []
    sheet.findChild(QWidget, "shortcut_find").setText("ctrl+p hold")
    shown = [w.text() for w in sheet.findChildren(QLabel) if w.isVisible()]
    assert shown[:3] == ["Run", "Ctrl+P", "Pause"]
    sheet.close()


def test_the_shortcut_sheet_says_what_a_key_does_of_any_run(
    opened: Opened, store: Store
) -> None:
    fill(store, 2, "Mine")
    opened.window.runs.refresh()
    opened.window.runs._select(1)
    assert "Mine" in opened.window.actions_["fork_run"].text()
    opened.window.actions_["shortcuts"].trigger()
    sheet = opened.window.findChild(QDialog, "shortcut_sheet")
    texts = [text.text() for text in sheet.findChildren(QLabel)]
    assert "Fork from checkpoint" in texts
    assert not [text for text in texts if "Mine" in text]
    sheet.close()


def test_the_menu_opens_every_file_that_holds_prompts(opened: Opened) -> None:
    opened.window.actions_["open_prompts"].trigger()
    dialog = opened.window.findChild(QFileDialog)
    assert all(f"*{ending}" in dialog.nameFilters()[0] for ending in ENDINGS)
    assert dialog.fileMode() == QFileDialog.FileMode.ExistingFiles
    dialog.close()


@pytest.mark.parametrize("width", [400, 640, 1280])
def test_a_notice_with_a_button_leaves_the_menus_free(opened: Opened, width: int) -> None:
    window = opened.window
    window.resize(width, 480)
    window.toast.show_offer(
        "Run 1 was interrupted after cycle 6 of 16: the process that trained it is gone.",
        "Resume", "Go on with this run", lambda: None)
    QApplication.processEvents()
    last = window.menuBar().actionGeometry(window.menuBar().actions()[-1]).right()
    assert window.toast.geometry().left() > last
    assert window.toast.geometry().right() < window.width()


def test_the_chip_is_as_wide_as_its_text_again_after_a_longer_one(opened: Opened) -> None:
    opened.window.show_chip("Ready", "good")
    QApplication.processEvents()
    before = opened.window.chip.width()
    opened.window.show_chip("Stopped after 4 of 20 cycles", "neutral")
    QApplication.processEvents()
    assert opened.window.chip.width() > before
    opened.window.show_chip("Ready", "good")
    QApplication.processEvents()
    assert opened.window.chip.width() == before


@pytest.mark.parametrize(("state", "why"), [
    (State.RUNNING,
     "Export policy of Run 1: a run is on; stop it to export the policy of any run."),
    (State.READY, "Export policy: select a run in Runs first."),
])
def test_a_shortcut_that_can_do_nothing_now_says_why(
    qtbot: QtBot, opened: Opened, state: State, why: str
) -> None:
    opened.controller.handle([StateChanged(state)])
    if state == State.RUNNING:
        fill(opened.window.runs._store)
        opened.window.runs.refresh()
        opened.window.runs.table.selectRow(0)
    opened.window.models.policy.combo.setFocus()
    qtbot.keyClick(opened.window.models.policy.combo, Qt.Key.Key_E,
                   Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert opened.window.toast.notices[-1].sentence == why


def test_a_restored_floating_dock_shows_after_the_window(qtbot: QtBot, opened: Opened) -> None:
    opened.window.docks["hyperparameters"].setFloating(True)
    saved = opened.window.save_state()
    window = MainWindow()
    qtbot.addWidget(window)
    window.restore_frame(saved)
    dock = window.docks["hyperparameters"]
    assert dock.isFloating()
    assert not dock.isVisible()  # a window manager would leave it behind what is shown later
    window.show()
    qtbot.waitUntil(dock.isVisible)
    assert dock.windowHandle().transientParent() is window.windowHandle()


@pytest.mark.parametrize(("times", "size", "expected"), [
    (2, QSize(500, 600), QSize(250, 300)),  # saved at half the scale
    (1, QSize(500, 600), QSize(500, 600)),
    (1, QSize(3000, 2000), QSize(752, 752)),  # saved on a larger screen
    (0, QSize(3000, 2000), QSize(752, 752)),  # no geometry is remembered
])
def test_a_restored_floating_dock_fits_its_screen(
    qtbot: QtBot, opened: Opened, times: int, size: QSize, expected: QSize
) -> None:
    floating = opened.window.docks["metrics"]
    floating.setFloating(True)
    floating.move(700, 700)
    floating.resize(size)
    saved = opened.window.save_state()
    window = MainWindow()
    qtbot.addWidget(window)
    screen = window.screen().geometry()
    assert screen.size() == QSize(800, 800)
    geometry = QByteArray.fromBase64(str(saved["geometry"]).encode())
    assert screen_width(geometry) == screen.width()
    if times:
        data = bytearray(bytes(geometry.data()))
        struct.pack_into(">i", data, 46, times * screen.width())
        assert screen_width(QByteArray(bytes(data))) == times * screen.width()
        saved["geometry"] = base64.b64encode(data).decode()
    else:
        del saved["geometry"]
    window.restore_frame(saved)
    window.show()
    dock = window.docks["metrics"]
    qtbot.waitUntil(dock.isVisible)
    assert dock.isFloating()
    assert dock.size() == expected
    assert screen.contains(dock.frameGeometry())
