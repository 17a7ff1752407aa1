"""On a small screen and at 200 % nothing that counts is cut, and a view can have the window."""

from __future__ import annotations

import pytest
from helpers.traces import fill as fill_traced
from helpers.window import DEFAULTS, PROMPTS, Opened, fill, ready
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QFontMetricsF
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QScrollBar, QTabBar, QWidget
from pytestqt.qtbot import QtBot

from workbench.gui.completions.model import Column
from workbench.gui.metrics.plot import MetricPlot
from workbench.gui.widgets.form_scroll import FormScroll
from workbench.store.records import CompletionRecord, Prompt
from workbench.store.store import Store
from workbench.training import events as ev
from workbench.training.events import State

LAPTOP_AT_200 = 960, 540  # what a screen of 1920x1080 has at 200 %
NUMBERS = {"epoch": 4, "epochs": 4, "policy/clipfrac": 0.126, "policy/approxkl": 0.0625,
           "val/ratio_var": 0.0025, "objective/length": 47.6, "objective/scores": -1.42,
           "val/value": -0.91}

pytestmark = pytest.mark.usefixtures("styled")


def size(opened: Opened, width: int, height: int) -> None:
    """Give the window a size, and the docks the places that go with it."""
    opened.window.resize(width, height)
    for _ in range(3):
        QApplication.processEvents()


def in_sight(opened: Opened) -> list[str]:
    """Return the docks that are seen."""
    return [name for name, dock in opened.window.docks.items()
            if not dock.visibleRegion().isEmpty()]


def is_whole(widget: QWidget) -> bool:
    """Whether nothing of a widget is cut or covered."""
    return widget.visibleRegion().boundingRect() == widget.rect()


def test_the_strip_drops_words_and_keeps_its_numbers(opened: Opened) -> None:
    size(opened, *LAPTOP_AT_200)
    ready(opened)
    opened.controller.handle([
        ev.RunStarted(7, "Run 7", "ppo", DEFAULTS | {"num_cycles": 20}),
        ev.StateChanged(State.RUNNING),
        *(ev.PartReported(7, 3, part, NUMBERS, True) for part in ("write", "score", "estimate")),
        ev.PartReported(7, 3, "update", NUMBERS)])
    QApplication.processEvents()
    said = {b.part.name: (b.words(b.words_room()), b) for b in opened.window.strip.buttons}
    assert {name: words for name, (words, _) in said.items() if name in ("write", "estimate")} == {
        "write": "length 48", "estimate": "−0.91"}
    assert said["score"][0].endswith("−1.42")
    assert said["update"][0].endswith("KL +2.98")
    for words, button in said.values():
        assert QFontMetricsF(button.font()).horizontalAdvance(words) <= button.words_room()


def test_a_word_without_its_sign_is_no_beginning(opened: Opened) -> None:
    button = opened.window.strip.buttons[3]
    button.result = "outside 12.6 %, KL +0.30"
    wide = QFontMetricsF(button.font()).horizontalAdvance
    assert button.words(1000) == button.result
    assert button.words(wide("KL +0.30")) == "KL +0.30"
    assert button.words(wide("12.6 %, KL +0.30") - 1) == "KL +0.30"
    assert button.words(1) == "+0.30"


def test_apply_and_revert_are_whole_and_one_bar_scrolls(opened: Opened) -> None:
    ready(opened)
    opened.controller.handle([ev.RunStarted(7, "Run 7", "ppo", DEFAULTS),
                              ev.StateChanged(State.PAUSED, "After cycle 6")])
    form = opened.window.hyperparameters
    form.form.set_values({"kl_coef": 0.1, "temperature": 0.8}, "test")
    for width, height in (LAPTOP_AT_200, (1280, 720), (1600, 900)):
        size(opened, width, height)
        opened.window.reveal("hyperparameters")
        size(opened, width, height)
        assert is_whole(form.apply_button), (width, height)
        assert is_whole(form.revert_button), (width, height)
        bars = [bar for bar in form.findChildren(QScrollBar) if bar.maximum() > bar.minimum()
                and bar.isVisible() and bar.orientation() is Qt.Orientation.Vertical]
        assert [type(bar.parentWidget().parentWidget()) for bar in bars] == [FormScroll]


def test_the_history_is_brought_into_view_where_it_is_opened(opened: Opened, run_id: int) -> None:
    opened.controller.show_run(run_id)
    size(opened, *LAPTOP_AT_200)
    opened.window.reveal("hyperparameters")
    form = opened.window.hyperparameters
    form.history.set_open(True)
    assert is_whole(form.history.header)


def test_the_plots_controls_are_one_line(qtbot: QtBot, opened: Opened) -> None:
    size(opened, *LAPTOP_AT_200)
    controls = opened.window.metrics.controls
    assert controls.slider.isVisible()
    qtbot.waitUntil(lambda: controls.height() < 1.5 * controls.plots.height())
    assert controls._smooth.isHidden()
    size(opened, 1600, 900)
    qtbot.waitUntil(lambda: controls.height() < 1.5 * controls.plots.height())
    assert controls._smooth.isVisible()


def test_the_filter_is_on_the_line_of_the_cycles(
    qtbot: QtBot, opened: Opened, run_id: int
) -> None:
    opened.controller.show_run(run_id)
    size(opened, *LAPTOP_AT_200)
    opened.window.reveal("completions")
    controls = opened.window.completions.controls
    qtbot.waitUntil(lambda: opened.window.completions.rows() != [])
    qtbot.waitUntil(lambda: controls.filter.y() == 0)
    assert is_whole(controls.filter)
    assert controls.filter.width() >= 13 * controls.fontMetrics().averageCharWidth()


def test_the_value_line_is_read(qtbot: QtBot, opened: Opened, store: Store) -> None:
    opened.controller.show_run(fill_traced(store))
    view = opened.window.tokens
    for screen, least in ((LAPTOP_AT_200, 100), ((1280, 720), 80)):
        size(opened, *screen)
        opened.window.reveal("tokens")
        qtbot.waitUntil(lambda: view.list.count() == len(PROMPTS))
        size(opened, *screen)
        assert view.line.height() >= least
        assert is_whole(view.line)


def test_a_mistyped_filter_covers_no_headline(
    qtbot: QtBot, opened: Opened, run_id: int
) -> None:
    opened.controller.show_run(run_id)
    size(opened, 1280, 720)
    opened.window.reveal("completions")
    view = opened.window.completions
    qtbot.waitUntil(lambda: view.rows() != [])
    view.controls.filter.setFocus()
    view.controls.filter.show_text("kl>")
    note = view.controls.filter._note
    headline = QRect(view._headline.mapTo(view, QPoint()), view._headline.size())
    assert note.isVisible()
    assert view._headline.isVisible()
    assert note.parentWidget() is view
    assert not note.geometry().intersects(headline)


def test_another_order_begins_at_the_top(qtbot: QtBot, opened: Opened, store: Store) -> None:
    prompts = [f"Prompt {i}" for i in range(60)]
    run_id = store.create_run(
        name="", policy="p", reward="r", models={}, hyperparameters=DEFAULTS,
        prompts=[Prompt(text) for text in prompts]).result()
    for cycle in (0, 1):
        texts = [CompletionRecord(i, i, text, "clean and quiet", 0.1 * i, 0.1, 5, True)
                 for i, text in enumerate(prompts)]
        if cycle:
            store.record_cycle(run_id, 1, metrics={}, rollout=[], comparison=texts).result()
        else:
            store.record_comparison(run_id, 0, texts).result()
    opened.controller.show_run(run_id)
    opened.window.reveal("completions")
    table = opened.window.completions.table
    qtbot.waitUntil(lambda: table.model().rowCount() == len(prompts))
    table.scrollToBottom()
    assert table.verticalScrollBar().value() > 0
    table.sort_by(Column.REWARD, True)
    assert table.verticalScrollBar().value() == 0
    assert table.rowAt(1) == 0


# -- the window's room

def test_the_docks_follow_the_window_until_one_is_moved(opened: Opened) -> None:
    size(opened, *LAPTOP_AT_200)
    assert in_sight(opened) == ["models", "metrics"]
    opened.window.reveal("tokens")
    size(opened, 1280, 720)
    assert in_sight(opened) == ["models", "prompts", "metrics", "hyperparameters", "tokens"]
    opened.window.docks["objective"].setFloating(True)
    opened.window.docks["objective"].setFloating(False)
    size(opened, *LAPTOP_AT_200)
    assert {"prompts", "metrics", "hyperparameters"} <= set(in_sight(opened))
    opened.window.reset_layout()
    QApplication.processEvents()
    assert in_sight(opened) == ["prompts", "metrics"]


def test_what_has_the_keyboard_stays_in_front_where_places_are_shared(opened: Opened) -> None:
    for name in ("tokens", "metrics"):
        size(opened, 1280, 720)
        for each in ("tokens", name):
            opened.window.reveal(each)
        size(opened, *LAPTOP_AT_200)
        assert in_sight(opened) == ["prompts", name]


def test_a_closed_dock_stays_closed_in_another_layout(opened: Opened) -> None:
    size(opened, *LAPTOP_AT_200)
    opened.window.docks["prompts"].close()
    size(opened, 1280, 720)
    assert opened.window.docks["prompts"].isHidden()
    assert not opened.window.docks["runs"].isHidden()


def test_a_view_is_enlarged_with_the_tabs_beside_it(opened: Opened) -> None:
    size(opened, 1280, 720)
    window, action = opened.window, opened.window.actions_["enlarge_view"]
    window.reveal("objective")
    before, places = in_sight(opened), {d: d.geometry() for d in window.docks.values()}
    action.trigger()
    size(opened, 1280, 720)
    assert in_sight(opened) == ["objective"]
    assert window.docks["objective"].width() >= 1270
    assert action.isChecked()
    window.reveal("paths")
    QApplication.processEvents()
    assert in_sight(opened) == ["paths"]
    window.reveal("objective")
    action.trigger()
    size(opened, 1280, 720)
    assert in_sight(opened) == before
    assert not action.isChecked()
    for name in before:
        dock = window.docks[name]
        assert dock.size() == places[dock].size()


def test_a_double_click_on_a_tab_enlarges_and_another_shows_all(opened: Opened) -> None:
    size(opened, 1280, 720)
    before = in_sight(opened)
    bar = tabs(opened, "Tokens")
    click(bar, "Tokens")
    assert in_sight(opened) == ["tokens"]
    click(tabs(opened, "Tokens"), "Tokens")
    assert in_sight(opened) == [*(n for n in before if n != "completions"), "tokens"]


def test_the_view_whose_tab_was_clicked_is_enlarged_and_escape_leaves_it(opened: Opened) -> None:
    size(opened, 1280, 720)
    window = opened.window
    window.activateWindow()
    for name in ("tokens", "objective", "paths", "chances", "distributions"):
        title = window.docks[name].windowTitle()
        window.reveal("completions")
        bar = tabs(opened, title)
        at = next(i for i in range(bar.count()) if bar.tabText(i) == title)
        QTest.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.tabRect(at).center())
        QApplication.processEvents()
        assert name in in_sight(opened)
        QTest.keyClick(window, Qt.Key.Key_F11)
        QApplication.processEvents()
        assert in_sight(opened) == [name]
        QTest.keyClick(QApplication.focusWidget() or window, Qt.Key.Key_Escape)
        QApplication.processEvents()
        assert "models" in in_sight(opened)


def test_the_view_that_was_clicked_in_is_enlarged_though_nothing_there_takes_keys(
    opened: Opened
) -> None:
    size(opened, 1280, 720)
    window = opened.window
    window.activateWindow()
    for name in ("completions", "models", "metrics", "prompts"):
        window.reveal("hyperparameters")
        plain = [w for w in window.views[name].findChildren(QWidget)
                 if type(w) in (QWidget, QLabel, MetricPlot)
                 and w.isVisible() and w.focusPolicy() is Qt.FocusPolicy.NoFocus]
        assert plain
        QTest.mouseClick(plain[-1], Qt.MouseButton.LeftButton)
        QTest.keyClick(window, Qt.Key.Key_F11)
        QApplication.processEvents()
        assert in_sight(opened) == [name]
        QTest.keyClick(window, Qt.Key.Key_F11)
        size(opened, 1280, 720)
        assert "hyperparameters" in in_sight(opened)


def tabs(opened: Opened, title: str) -> QTabBar:
    """Return the tabs among which one has this title."""
    return next(bar for bar in opened.window.findChildren(QTabBar) if bar.isVisible()
                and title in [bar.tabText(i) for i in range(bar.count())])


def click(bar: QTabBar, title: str) -> None:
    """Double click on a tab."""
    at = next(i for i in range(bar.count()) if bar.tabText(i) == title)
    QTest.mouseDClick(bar, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier,
                      bar.tabRect(at).center())
    for _ in range(3):
        QApplication.processEvents()


def test_a_view_that_has_no_place_beside_the_enlarged_one_shows_all(opened: Opened) -> None:
    size(opened, 1280, 720)
    opened.window.reveal("tokens")
    opened.window.enlarge_view()
    opened.window.reveal("runs")
    QApplication.processEvents()
    assert {"runs", "metrics", "tokens"} <= set(in_sight(opened))


def test_what_is_remembered_is_the_window_with_all_docks(
    opened: Opened, store: Store, run_id: int
) -> None:
    size(opened, 1280, 720)
    opened.window.reveal("tokens")
    opened.window.enlarge_view()
    saved = opened.window.save_state()
    assert saved["layout"] == "three columns"
    other = Opened(store)
    other.window.show()
    other.window.restore_frame(saved)
    size(other, 1280, 720)
    assert {"models", "metrics", "hyperparameters"} <= set(in_sight(other))
    size(other, *LAPTOP_AT_200)
    assert len(in_sight(other)) == 2
    other.close()


def test_a_floating_view_is_not_enlarged(opened: Opened) -> None:
    size(opened, 1280, 720)
    opened.window.docks["tokens"].setFloating(True)
    opened.window.reveal("tokens")
    before = in_sight(opened)
    opened.window.actions_["enlarge_view"].trigger()
    assert in_sight(opened) == before
    assert not opened.window.actions_["enlarge_view"].isChecked()


def test_runs_of_six_cycles_have_their_numbers_below_every_lower_plot(
    opened: Opened, store: Store
) -> None:
    for _ in range(3):
        fill(store, 6)
    size(opened, *LAPTOP_AT_200)
    opened.window.runs.refresh()
    opened.controller.show_run(1)
    opened.window.runs.model.set_ticked({2, 3})
    metrics = opened.window.metrics
    size(opened, *LAPTOP_AT_200)
    metrics.repaint_now()
    QApplication.processEvents()
    lower = list(metrics._grid)[-1]
    axis = lower._canvas.mapTo(lower, QPoint(0, lower._canvas.height()))
    assert axis.y() <= lower.height()
    assert is_whole(lower)


def test_the_texts_of_a_row_begin_beside_each_other(
    qtbot: QtBot, opened: Opened, run_id: int
) -> None:
    opened.controller.show_run(run_id)
    size(opened, 1280, 720)
    opened.window.reveal("completions")
    view = opened.window.completions
    qtbot.waitUntil(lambda: view.rows() != [])
    view.do("open")
    panes = [(title, text) for pane, title, text in view.pages.detail._panes if pane.isVisible()]
    before = panes[0][0].height()
    panes[1][0].setText("Cycle 3 · reward 0.99 (one 0.2, another 0.79) · KL 1.13 · 23 tokens " * 2)
    size(opened, 1270, 720)
    high = panes[1][0].heightForWidth(panes[1][0].width())
    assert high > before
    assert {title.height() for title, _ in panes} == {high}
    assert len({text.y() for _, text in panes}) == 1
    view.pages.detail.moved.emit(1)
    size(opened, 1280, 720)
    assert {title.height() for title, _ in panes} == {before}
