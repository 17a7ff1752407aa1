"""Working with the plots: zoom, go to a cycle, enlarge, scale, export."""

import csv
import dataclasses
import math
import re

import numpy as np
import pytest
from helpers import pointer
from helpers.window import Opened, fill
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import (
    QContextMenuEvent,
    QGuiApplication,
    QImage,
    QPainter,
    QPicture,
    QWheelEvent,
)
from PySide6.QtWidgets import QApplication, QLabel, QToolButton

from workbench import algorithms
from workbench.algorithm import Metric
from workbench.algorithms import find_metric
from workbench.gui.metrics.axes import Scale
from workbench.gui.metrics.controls import Controls
from workbench.gui.metrics.data import robust_range
from workbench.gui.metrics.reading import read_series
from workbench.gui.metrics.view import MetricsView
from workbench.ppo.declaration import PPO
from workbench.store.records import Series
from workbench.store.store import Store

pytestmark = pytest.mark.slow
KL, REWARD = "objective/kl", "objective/scores"
LEFT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton


@pytest.fixture
def view(qtbot, store: Store, theme) -> MetricsView:
    """The plots of a finished run of twelve cycles, as the window shows them."""
    run_id = fill(store, 12)
    made = MetricsView()
    qtbot.addWidget(made)
    made.resize(900, 640)  # room for four plots with numbers on their axes
    with qtbot.waitExposed(made):
        made.show()
    made.set_records(store.runs())
    made.show_run(run_id, read_series(store, run_id), store.changes(run_id), PPO)
    made.set_alive(False)
    made.repaint_now()
    QApplication.processEvents()
    return made


@pytest.fixture
def in_window(qtbot, opened: Opened, store: Store) -> MetricsView:
    """The same in the real window."""
    run_id = fill(store, 12)
    opened.window.resize(1500, 950)
    opened.controller.show_run(run_id)
    made = opened.window.metrics
    qtbot.waitUntil(lambda: made._run is not None and len(made._run.cycles) == 12)
    made.repaint_now()
    opened.window.dock_layout.reset()  # to the size the window has now
    QApplication.processEvents()
    QApplication.processEvents()
    return made


def plot(view, name=KL):
    return view._grid.plot_of(name)


def port(view, name=KL):
    return plot(view, name)._canvas.viewport()


def pixel(view, cycle, name=KL):
    canvas = plot(view, name)._canvas
    box = canvas.getViewBox()
    low, high = box.viewRange()[1]
    return canvas.mapFromScene(box.mapViewToScene(QPointF(cycle, (low + high) / 2)))


def drag(view, start, end, button=LEFT):
    """Drag over a plot, from cycle to cycle."""
    begin, finish = QPointF(pixel(view, start)), QPointF(pixel(view, end))
    pointer.drag(port(view), [begin, (begin + finish) / 2, finish], button)
    view.repaint_now()


def wheel(view, clicks):
    to = port(view)
    at = QPointF(to.rect().center())
    QApplication.sendEvent(to, QWheelEvent(
        at, to.mapToGlobal(at), QPoint(), QPoint(0, 120 * clicks), NONE,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False))


def x_ranges(view):
    return {tuple(np.round(p._box.viewRange()[0], 6)) for p in view._grid}


def value(view, name):
    title = f"{find_metric(name).label}, current value"
    return next(w for w in view.findChildren(QLabel) if w.accessibleName() == title)


def test_a_drag_zooms_on_x_and_a_double_click_shows_all(qtbot, view):
    whole = x_ranges(view)
    drag(view, 4, 9)
    ((low, high),) = x_ranges(view)
    assert low == pytest.approx(4, abs=0.1)
    assert high == pytest.approx(9, abs=0.1)
    assert view.controls.follow.isEnabled()
    qtbot.mouseDClick(port(view), LEFT, pos=pixel(view, 6))
    view.repaint_now()
    assert x_ranges(view) == whole
    assert view._pointing.choice.cycle is None  # the first of two clicks chose nothing
    assert not view.controls.follow.isEnabled()


def test_there_is_no_way_beyond_the_data(view):
    ((low, high),) = x_ranges(view)
    assert low <= 1 < 12 <= high
    wheel(view, -20)
    assert x_ranges(view) == {(low, high)}
    drag(view, 4, 9)
    drag(view, 8, 5, Qt.MouseButton.MiddleButton)
    ((left, right),) = x_ranges(view)
    assert left > 4.5
    assert right - left == pytest.approx(5, abs=0.2)
    for _ in range(4):
        drag(view, right - 0.5, left + 0.5, Qt.MouseButton.MiddleButton)
        ((left, right),) = x_ranges(view)
    assert right == pytest.approx(high)
    for _ in range(6):
        wheel(view, 10)
    ((left, right),) = x_ranges(view)
    assert right - left == pytest.approx((high - low) / 12, rel=0.01)


def test_a_click_goes_to_that_cycle_everywhere(qtbot, opened, in_window):
    view = in_window
    with qtbot.waitSignal(view.cycle_chosen) as told:
        qtbot.mouseClick(port(view), LEFT, pos=pixel(view, 7.2))
    assert told.args == [7]
    qtbot.waitUntil(lambda: opened.window.completions.shown.cycles[-1] == 7)
    assert opened.window.tokens.wanted == 7
    view.repaint_now()
    for shown in view._grid:
        assert shown.marks.chosen.isVisible()
        assert shown.marks.chosen.value() == 7
    view.keyPressEvent(key(Qt.Key.Key_Escape))
    view.repaint_now()
    assert not any(shown.marks.chosen.isVisible() for shown in view._grid)


def key(which):
    from PySide6.QtGui import QKeyEvent
    return QKeyEvent(QEvent.Type.KeyPress, which, Qt.KeyboardModifier.NoModifier)


def test_enter_goes_to_the_cycle_under_the_crosshair(qtbot, view):
    for _ in range(3):
        qtbot.keyClick(view, Qt.Key.Key_Left)
    with qtbot.waitSignal(view.cycle_chosen) as told:
        qtbot.keyClick(view, Qt.Key.Key_Return)
    assert told.args == [10]


def test_escape_leaves_an_enlarged_plot_first_also_with_a_cycle_chosen(view):
    view._pointing.choice.choose(7)
    view.enlarge(plot(view))
    view.keyPressEvent(key(Qt.Key.Key_Escape))
    assert view._grid.enlarged is None
    assert view._pointing.choice.cycle == 7
    view.keyPressEvent(key(Qt.Key.Key_Escape))
    assert view._pointing.choice.cycle is None


def test_the_line_goes_where_tokens_shows_another_cycle(opened, in_window):
    view = in_window
    view._pointing.choice.choose(7)
    opened.window.tokens.cycle_shown.emit(7)
    assert view._pointing.choice.cycle == 7
    opened.window.tokens.cycle_shown.emit(8)
    assert view._pointing.choice.cycle is None
    view._pointing.choice.click(6)  # the others hear of it a moment later
    opened.window.tokens.cycle_shown.emit(8)
    assert view._pointing.choice.cycle == 6


def test_a_plot_is_enlarged_and_put_back(qtbot, view):
    button = plot(view).findChild(QToolButton, "enlarge_objective_kl")
    assert "KL" in button.accessibleName()
    others = [p for p in view._grid if p is not plot(view)]
    before = plot(view).width()
    qtbot.mouseClick(button, LEFT)
    view.repaint_now()
    QApplication.processEvents()
    assert list(view._grid) == [plot(view)]
    assert not any(p.isVisible() for p in others)
    assert plot(view).width() > 1.5 * before
    qtbot.keyClick(view, Qt.Key.Key_Escape)
    assert all(p.isVisible() for p in others)
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_E)
    assert view._grid.enlarged is view._current()
    qtbot.mouseClick(view._current().menu.buttons[0], LEFT)
    assert view._grid.enlarged is None


def entry(view, text, name=KL):
    return next(a for a in plot(view, name).menu.actions() if a.text() == text)


def test_each_plot_has_a_scale_of_its_own(view):
    entry(view, "Logarithmic y axis").trigger()
    view.repaint_now()
    assert plot(view)._scale.threshold > 0
    assert plot(view, REWARD)._scale == Scale()
    assert not view.controls.log.isChecked()
    assert view.save_state()["log_of"] == {KL: True}
    view.controls.log.setChecked(True)
    view.repaint_now()
    assert all(p._scale.threshold > 0 for p in view._grid)
    entry(view, "Logarithmic y axis").trigger()
    assert not view.controls.log.isChecked()
    saved = view.save_state()
    view.restore_state({})
    view.restore_state(saved)
    assert view.save_state() == saved
    assert (entry(view, "Logarithmic y axis").isChecked(),
            entry(view, "Logarithmic y axis", REWARD).isChecked()) == (False, True)


def test_each_plot_can_leave_the_smoothed_curve_out(view):
    raw = entry(view, "Only as measured")
    assert not raw.isEnabled()
    assert "Smooth is off" in raw.toolTip()
    view.controls.slider.setValue(80)
    assert raw.isEnabled()
    raw.trigger()
    view.repaint_now()
    trace = view._run.curves[KL]
    drawn = {name: plot(view, name)._curves.items[0][1].yData for name in (KL, REWARD)}
    np.testing.assert_allclose(drawn[KL], trace.values)
    np.testing.assert_allclose(drawn[REWARD], view._run.curves[REWARD].smooth)


def test_the_menu_opens_by_right_click_and_by_keyboard(qtbot, view):
    menu = plot(view).menu
    at = pixel(view, 6)
    QApplication.sendEvent(port(view), QContextMenuEvent(
        QContextMenuEvent.Reason.Mouse, at, port(view).mapToGlobal(at)))
    qtbot.waitUntil(menu.isVisible)
    menu.hide()
    for button in plot(view).menu.buttons:
        assert button.focusPolicy() == Qt.FocusPolicy.TabFocus
    QApplication.sendEvent(view, QContextMenuEvent(
        QContextMenuEvent.Reason.Keyboard, QPoint(5, 5), view.mapToGlobal(QPoint(5, 5))))
    qtbot.waitUntil(lambda: view._current().menu.isVisible())
    view._current().menu.hide()


# -- numbers

def test_a_wider_number_is_shown_whole_in_the_same_pass(view):
    shown = value(view, KL)
    for number in (4.0, -1234.5, 0.0):
        view.append(1, len(view._run.cycles) + 1, {KL: number, REWARD: number * 1000 - 0.1})
        view.repaint_now()
        for name in (KL, REWARD):
            shown = value(view, name)
            assert shown.width() >= shown.sizeHint().width()
            assert shown.geometry().right() <= shown.parentWidget().width()


def test_the_row_of_a_span_is_there_at_once(view):
    view._pointing.selection.set(3, 8)
    view._selected()
    view.repaint_now()
    row = plot(view).findChild(QLabel, "range_statistics")
    assert row.height() >= row.fontMetrics().height()
    assert row.geometry().bottom() <= plot(view)._canvas.geometry().top()


def test_the_large_number_is_the_measured_one(view):
    view.controls.slider.setValue(80)
    view.repaint_now()
    values = view._run.curves[KL]
    assert value(view, KL).text() == "2.40" != f"{values.smooth[-1]:.2f}"
    beside = next(w for w in plot(view).findChildren(QLabel)
                  if w.accessibleName() == f"{find_metric(KL).label}, smoothed value")
    assert beside.text() == f"≈ {values.smooth[-1]:.2f}"


def test_a_distance_of_rounding_noise_is_zero(view):
    view.append(1, 13, {KL: 2.3e-6})
    view.repaint_now()
    assert value(view, KL).text() == "0"
    view.append(1, 14, {KL: -5.6e-8})
    view.repaint_now()
    assert value(view, KL).text() == "0"


def test_the_axis_of_rounding_noise_counts_no_millionths(qtbot, view):
    view.show_run(7, {KL: Series([1], [2.3e-6])}, [])
    view.repaint_now()
    assert plot(view)._box.viewRange()[1][1] > 0.1
    view.append(7, 2, {KL: 0.17})
    view.repaint_now()
    assert plot(view)._box.viewRange()[1][1] < 0.25


def test_of_a_distance_below_zero_it_is_said_why(view):
    view.append(1, 13, {KL: -0.13, REWARD: -0.13})
    view.repaint_now()
    assert value(view, KL).text() == "−0.130"
    assert "below 0 by chance" in value(view, KL).toolTip()
    assert "cannot" in value(view, KL).toolTip()
    assert value(view, REWARD).text() == "−0.13"


def test_the_two_rewards_have_names_and_stand_in_one_plot(view):
    assert find_metric(REWARD).label == "Training reward"
    assert find_metric("objective/scores_compared").label == "Compared reward"
    assert plot(view, "objective/scores_compared") is plot(view, REWARD)
    # This run's cycles were recorded without it, as an earlier version did.
    trace = view._run.curves["objective/scores_compared"]
    assert trace.cycles.tolist() == list(range(1, 13))
    np.testing.assert_allclose(trace.values, [-1 + 0.3 * c for c in range(1, 13)])


def test_recorded_rewards_of_the_compared_prompts_are_not_counted_again(store):
    run_id = fill(store, 3)
    store.record_cycle(run_id, 4, metrics={REWARD: 1.0, "objective/scores_compared": 0.25},
                       rollout=[], comparison=[]).result()
    found = read_series(store, run_id)["objective/scores_compared"]
    assert found.cycles == [1, 2, 3, 4]
    assert found.values == pytest.approx([-0.7, -0.4, -0.1, 0.25])


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [
    [0.0], [-1.5e-7], [1.94], [1.94, 1.9401], [0.00421, 0.00422], [5e-4, 5e-4], [12345.0, 12346.0],
    [-0.36, -0.3601]])
def test_few_and_equal_points_have_an_axis_with_numbers(qtbot, theme, values, log):
    view = MetricsView()
    qtbot.addWidget(view)
    view.resize(720, 440)
    with qtbot.waitExposed(view):
        view.show()
    cycles = list(range(1, len(values) + 1))
    view.controls.log.setChecked(log)
    view.show_run(5, {KL: Series(cycles, values)}, [])
    view.repaint_now()
    QApplication.processEvents()
    picture = QPicture()
    painter = QPainter(picture)
    drawn = plot(view)._value_axis.generateDrawSpecs(painter)[2]
    painter.end()
    texts = [text for _, _, text in drawn]
    assert len(texts) >= (1 if log else 2), texts
    low, high = plot(view)._box.viewRange()[1]
    assert high - low > 1e-6


def test_a_logarithmic_scale_has_a_floor():
    values = np.array([-1.5e-7, 0.4, 2.0, 18.0])
    assert 18e-3 / 100 <= Scale.log_for(values).threshold <= 18e-3
    many = np.concatenate([np.linspace(1, 20, 500), [1e9]])
    assert Scale.log_for(many).threshold < 1  # one spike does not hide the rest
    assert robust_range([np.array([-1.5e-7])], noise=1e-6) == (-1, 1)


def test_a_metric_of_an_unknown_kind_is_offered_too(qtbot, monkeypatch):
    new = Metric("novel/number", "Novel number", "", "x", "What it is.")
    changed = dataclasses.replace(PPO, metrics=(*PPO.metrics, new))
    monkeypatch.setattr(algorithms, "ALGORITHMS", (changed,))
    controls = Controls()
    qtbot.addWidget(controls)
    assert controls._choices["novel/number"].text() == "Novel number"


def test_what_is_off_says_why(view):
    assert "No cycles are selected" in view.controls.zoom.toolTip()
    assert "follow" in view.controls.follow.toolTip()
    view.choose_plots([KL])
    assert "last plot" in view.controls._choices[KL].toolTip()
    assert "only one reward" in view.controls._parts.toolTip()


# -- figures

def test_a_figure_is_copied(view):
    QGuiApplication.clipboard().clear()
    entry(view, "Copy figure").trigger()
    copied = QGuiApplication.clipboard().image()
    assert copied.width() == round(85 / 25.4 * 300)
    assert copied.pixelColor(2, 2).name() == "#ffffff"  # also from a dark window
    view.copy_figure()
    assert QGuiApplication.clipboard().image().width() == round(170 / 25.4 * 300)


def test_figures_are_exported_with_title_axes_and_legend(qtbot, view, tmp_path):
    view.overlay({7: {KL: Series([1, 2, 3], [1.0, math.nan, 2.0])}})
    dialog = view.ask_export()
    assert dialog.plots.itemText(0) == "All 4 plots"
    for kind in ("png", "svg", "pdf"):
        dialog = view.ask_export(plot(view))
        dialog.format.setCurrentIndex(dialog.format.findData(kind))
        dialog.title.setText("A = <b> & c")
        with qtbot.waitSignal(view.saved) as told:
            dialog.save(tmp_path / f"one.{kind}")
        assert told.args == [tmp_path / f"one.{kind}", ""]
    image = QImage(str(tmp_path / "one.png"))
    assert image.width() == 1004
    svg = (tmp_path / "one.svg").read_text()
    texts = re.findall(r">([^<>\n]+)</text>", svg)
    for text in ("A = &lt;b&gt; &amp; c", "KL to start policy", "nats / completion", "Cycle",
                 "Run 1", "Run 7"):
        assert any(text in found for found in texts), (text, texts)
    assert 'width="85.' in svg
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")


def exported_texts(view, plot, path):
    """Return what is written in the figure of one plot."""
    view.ask_export(plot).save(path)
    return re.findall(r">([^<>\n]+)</text>", path.read_text())


def test_every_figure_names_its_axes(view, tmp_path):
    view.choose_plots(["loss/policy_avg"])
    view.repaint_now()
    texts = exported_texts(view, plot(view, "loss/policy_avg"), tmp_path / "one.svg")
    # Once above the plot, and once beside an axis that has no unit.
    assert sum("Policy loss" in text for text in texts) == 2
    assert any("Cycle" in text for text in texts)


def test_a_figure_says_from_which_run_a_fork_came(view, store, tmp_path):
    store.fork_run(1, 5, name="Dearer", hyperparameters=store.run(1).hyperparameters,
                   changes=()).result()
    view.set_records(store.runs())
    view.overlay({2: {KL: Series([5, 6], [1.0, 2.0])}})
    view.repaint_now()
    assert any("Dearer (forked from Run 1 after cycle 5)" in text for text in
               exported_texts(view, plot(view), tmp_path / "both.svg"))
    legend = view._grid.legend.text().replace("&nbsp;", " ")
    assert "Dearer (forked from Run 1 after cycle 5)" in legend
    view.show_run(2, {KL: Series([5, 6], [1.0, 2.0])}, [])
    view.overlay({})
    view.repaint_now()
    assert any("Dearer (forked from Run 1 after cycle 5)" in text for text in
               exported_texts(view, plot(view), tmp_path / "one.svg"))


def test_a_figure_is_as_wide_as_wanted(view, tmp_path):
    dialog = view.ask_export()
    assert "pixels first" in dialog.pixels.toolTip()
    dialog.width_.setCurrentIndex(2)
    assert dialog.pixels.isEnabled()
    dialog.pixels.setValue(1234)
    dialog.save(tmp_path / "all.png")
    assert QImage(str(tmp_path / "all.png")).width() == 1234


def test_numbers_are_exported(view, tmp_path):
    view._run.curves[KL].values[1] = math.nan
    view.ask_export().save(tmp_path / "all.csv")
    rows = list(csv.DictReader((tmp_path / "all.csv").read_text().splitlines()))
    assert [(row["run"], row["name"], row["cycle"]) for row in rows] == [
        ("1", "Run 1", str(c)) for c in range(1, 13)]
    assert rows[1][KL] == ""
    assert float(rows[2][KL]) == view._run.curves[KL].values[2]
    shown = [*PPO.default_plots[:1], *PPO.companions, *PPO.default_plots[1:]]
    assert list(rows[0]) == ["run", "name", "cycle", *shown]  # of the plots on screen
    view.ask_export(plot(view)).save(tmp_path / "one.csv")
    assert (tmp_path / "one.csv").read_text().splitlines()[0] == f"run,name,cycle,{KL}"
    view.choose_plots([KL, "seconds"])
    view.overlay({7: {KL: Series([1, 2], [0.5, 0.25])}})
    view._others[0].name = "=other"
    view.ask_export().save(tmp_path / "two.csv")
    head, *lines = (tmp_path / "two.csv").read_text().splitlines()
    assert head == f"run,name,cycle,{KL},seconds"
    assert lines[-2:] == ["7,'=other,1,0.5,", "7,'=other,2,0.25,"]


def test_a_place_that_cannot_be_written_is_told(qtbot, view, tmp_path):
    for kind in ("png", "svg", "pdf", "csv"):
        with qtbot.waitSignal(view.message) as told:
            view.ask_export().save(tmp_path / "missing" / f"out.{kind}")
        level, text = told.args
        assert level == "error"
        assert "No such file" in text
    assert set(PPO.default_plots) == set(view.plots())


@pytest.mark.parametrize(("size", "rows"), [((150, 80), False), ((240, 90), True)])
def test_a_plot_of_few_pixels_leaves_its_companions_to_the_tooltip(view, size, rows):
    shown = plot(view, REWARD)
    shown.setParent(None)
    shown.resize(*size)
    shown.show()
    QApplication.processEvents()
    header = shown._header
    assert any(key.isVisible() for key in header._keys.values()) is rows
    assert header.geometry().bottom() < shown.height()
    assert "Compared reward" in header.title.toolTip()
    shown.deleteLater()
