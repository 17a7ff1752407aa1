"""The plots: their numbers, what they show, how they move together."""

import math
import re

import numpy as np
import pyqtgraph as pg
import pytest
from helpers import pointer
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QImage, QWheelEvent
from PySide6.QtWidgets import QApplication, QLabel, QWidget

from workbench.algorithms import find_metric
from workbench.formatting import format_duration, short_number
from workbench.gui.metrics.axes import Scale, ValueAxis
from workbench.gui.metrics.canvas import Canvas
from workbench.gui.metrics.data import Curve, RunData, discounted_sum, robust_range
from workbench.gui.metrics.grid import best_columns
from workbench.gui.metrics.header import GapWarning
from workbench.gui.metrics.plot import LEAST_HEIGHT
from workbench.gui.metrics.view import MetricsView
from workbench.gui.widgets.theme import themes
from workbench.ppo.declaration import PPO
from workbench.store.records import ChangeRecord, Series
from workbench.training.events import Change

numbers = st.floats(-1e6, 1e6) | st.just(math.nan)


# -- the numbers

def by_hand(values, weight):
    """The debiased average as its definition says, one step after the other."""
    total = mass = 0.0
    for value in values:
        total, mass = total * weight, mass * weight
        if not math.isnan(value):
            total, mass = total + value, mass + 1
        yield math.nan if math.isnan(value) else total / mass


@given(st.lists(numbers, max_size=60), st.sampled_from([0.0, 0.3, 0.9, 0.99]))
def test_smoothing_is_the_debiased_average_all_at_once_and_one_by_one(values, weight):
    cycles = list(range(1, len(values) + 1))
    trace = Curve(Series(cycles, values), weight)
    grown = Curve(weight=weight)
    for cycle, value in zip(cycles, values, strict=True):
        grown.append(cycle, value)
    expected = list(by_hand(values, weight))
    np.testing.assert_allclose(trace.smooth, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(grown.smooth, expected, rtol=1e-6, atol=1e-6)
    assert trace.gaps == grown.gaps == [c for c, v in zip(cycles, values, strict=True)
                                        if math.isnan(v)]


def test_a_discounted_sum_over_a_long_array():
    values = np.random.default_rng(0).normal(size=5000)
    expected, last = [], 0.0
    for value in values:
        last = value + 0.97 * last
        expected.append(last)
    np.testing.assert_allclose(discounted_sum(values, 0.97), expected, atol=1e-9)


def test_a_cycle_that_comes_again_replaces_what_was_there():
    trace = Curve(Series([1, 2, 3], [1.0, 2.0, 3.0]), 0.5)
    trace.append(2, 5.0)
    assert trace.cycles.tolist() == [1, 2]
    assert trace.values.tolist() == [1, 5]
    np.testing.assert_allclose(trace.smooth, list(by_hand([1.0, 5.0], 0.5)))
    assert (trace.index(2), trace.index(3)) == (1, -1)


def test_outliers_do_not_stretch_the_range():
    values = np.concatenate([np.linspace(0, 1, 500), [1e9, -1e9, math.nan]])
    low, high = robust_range([values])
    assert -0.2 < low < 0 < 1 < high < 1.2
    assert robust_range([np.array([2.0])]) == (1.8, 2.2)
    assert robust_range([np.array([math.nan]), np.empty(0)]) is None
    low, high = robust_range([np.array([1.0, 2.0, 1000.0])])
    assert high > 1000  # three points have no outlier


def test_time_is_the_sum_of_the_cycles():
    run = RunData(1, {"seconds": Series([1, 2, 4], [10.0, math.nan, 5.0]),
                      "lr": Series([1, 4], [1.0, 1.0])})
    assert run.positions(np.array([1.0, 2.0, 4.0]), "time").tolist() == [10, 10, 15]
    assert run.positions(np.array([3.0]), "cycles").tolist() == [3]


def test_steps_are_the_gradients_applied():
    run = RunData(1, {"policy/steps": Series([1, 2, 3], [16.0, 7.0, 16.0])})
    assert run.positions(np.array([1.0, 2.0, 3.0]), "steps").tolist() == [16, 23, 39]
    assert run.cycle_at(24, "steps") == 2
    uncounted = RunData(2, {"lr": Series([1, 2], [1.0, 1.0])})
    assert uncounted.positions(np.array([2.0]), "steps").tolist() == [2]


@pytest.mark.parametrize(("value", "text"), [
    (0, "0"), (1.8666, "1.87"), (-0.04213, "−0.0421"), (3.2e-5, "3.2e-5"), (1e-4, "1e-4"),
    (12_400, "12,400"), (123.4, "123"), (-2.5e7, "−2.5e7"), (math.nan, "–"),
])
def test_numbers_are_short(value, text):
    assert short_number(value) == text


def test_durations():
    assert [format_duration(s) for s in (5, 750, 7500)] == ["0:05", "12:30", "2:05:00"]


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30))
def test_a_logarithmic_scale_takes_any_number_and_gives_it_back(values):
    scale = Scale.log_for(np.array(values))
    heights = scale.forward(np.array(values))
    assert np.isfinite(heights).all()
    for value, height in zip(values, heights, strict=True):
        assert scale.inverse(height) == pytest.approx(value, rel=1e-6, abs=scale.threshold * 1e-6)
    assert (np.argsort(heights, kind="stable") == np.argsort(values, kind="stable")).all() or (
        len(set(heights)) < len(set(values)))


@pytest.mark.parametrize(("values", "labels"), [
    ([-1.0, 0.01, 5.0], {"−1", "0", "1"}),
    ([0.001, 10.0], {"0.01", "0.1", "1", "10"}),
    ([2.1, 2.9], {"2.2", "2.4", "2.6", "2.8"}),
])
def test_logarithmic_ticks_are_round_numbers(qapp, values, labels):
    axis, data = ValueAxis(), np.array(values)
    scale = Scale.log_for(data)
    axis.set_scale(scale)
    low, high = float(scale.forward(data).min()), float(scale.forward(data).max())
    heights = [h for _, level in axis.tickValues(low, high, 200) for h in level]
    assert labels <= set(axis.tickStrings(heights, 1, 1))


# -- the view

def metrics(count, names=(*PPO.default_plots, "objective/rlhf_reward", "lr", "seconds")):
    noise = np.random.default_rng(1).normal(1, 0.2, size=(len(names), count))
    cycles = list(range(1, count + 1))
    return {name: Series(cycles, row.tolist()) for name, row in zip(names, noise, strict=True)}


@pytest.fixture
def view(qtbot, theme):
    made = MetricsView()
    qtbot.addWidget(made)
    made.resize(720, 400)
    with qtbot.waitExposed(made):
        made.show()
    return made


def plot(view, name):
    return next(p for p in view.findChildren(QWidget) if p.objectName() == f"plot_{name}")


def shown_value(view, name):
    """What a plot says, if there is one yet."""
    label = find_metric(name).label
    return next((w.text() for w in view.findChildren(QLabel)
                 if w.accessibleName() == f"{label}, current value"), "–")


def visible_texts(view):
    return [w.text() for w in view.findChildren(QLabel) if w.isVisible()]


def x_ranges(view):
    return [tuple(view_box.viewRange()[0]) for view_box in (
        plot(view, name)._box for name in view.plots())]


def test_without_a_run_it_says_what_to_do(view):
    view.repaint_now()
    assert any("Press Start" in text for text in visible_texts(view))
    view.show_run(1, {}, [])
    view.repaint_now()
    assert any("first cycle is under way" in text for text in visible_texts(view))


@pytest.mark.parametrize("count", [1, 2, 500])
def test_it_shows_any_number_of_points(view, count):
    data = metrics(count)
    view.show_run(1, data, [])
    view.repaint_now()
    assert view.plots() == list(PPO.default_plots)
    for name in (*PPO.default_plots, "objective/rlhf_reward"):
        assert shown_value(view, name) == find_metric(name).text(data[name].values[-1])
    low, high = x_ranges(view)[0]
    assert low < 1 <= count < high


def test_live_numbers_are_drawn_on_the_tick_and_only_for_the_run_shown(qtbot, view):
    view.show_run(7, {}, [])
    for cycle in (1, 2, 3):
        view.append(7, cycle, {"objective/scores": cycle / 10, "objective/kl": 1.0})
        view.append(8, cycle, {"objective/scores": 99.0})
    qtbot.waitUntil(lambda: shown_value(view, "objective/scores") == "0.30")
    assert shown_value(view, "policy/entropy_avg") == "–"
    view.show_run(None, {}, [])
    view.append(7, 4, {"objective/scores": 0.4})
    view.repaint_now()
    assert any("Press Start" in text for text in visible_texts(view))


def test_a_hidden_view_draws_when_it_is_shown(qtbot, view):
    view.hide()
    view.show_run(1, metrics(3), [])
    qtbot.waitUntil(lambda: not view._tick.isActive())
    assert shown_value(view, "objective/scores") == "–"
    view.show()
    qtbot.waitUntil(lambda: shown_value(view, "objective/scores") != "–")


def test_panning_one_plot_moves_all_and_pauses_following(qtbot, view):
    view.show_run(1, metrics(100), [])
    view.repaint_now()
    assert not view.controls.follow.isEnabled()
    canvas = plot(view, "objective/kl")._canvas
    at = QPointF(canvas.viewport().rect().center())
    wheel = QWheelEvent(at, canvas.viewport().mapToGlobal(at), QPoint(), QPoint(0, 240),
                        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
                        Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(canvas.viewport(), wheel)
    low, high = x_ranges(view)[0]
    assert 1 < low < high < 100
    assert len(set(x_ranges(view))) == 1
    view.append(1, 101, {"objective/kl": 1.0})
    view.repaint_now()
    assert x_ranges(view)[0] == (low, high)
    qtbot.mouseClick(view.controls.follow, Qt.MouseButton.LeftButton)
    view.repaint_now()
    assert all(low < 1 and high > 101 for low, high in x_ranges(view))
    assert not view.controls.follow.isEnabled()


def test_the_crosshair_reads_every_plot_at_the_nearest_cycle(qtbot, view):
    data = metrics(20)
    view.show_run(1, data, [])
    view.repaint_now()
    canvas = plot(view, "objective/kl")._canvas
    box = canvas.getViewBox()
    at = canvas.mapFromScene(box.mapViewToScene(QPointF(7.2, box.viewRange()[1][0])))
    pointer.move(canvas, QPoint(at.x(), at.y() - 20))
    expected = {name: find_metric(name).text(data[name].values[6]) for name in PPO.default_plots}
    qtbot.waitUntil(lambda: {n: shown_value(view, n) for n in PPO.default_plots} == expected)
    assert "cycle 7" in visible_texts(view)
    qtbot.keyClick(view, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: "cycle 8" in visible_texts(view))
    qtbot.keyClick(view, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: "cycle 8" not in visible_texts(view))
    assert shown_value(view, "objective/kl") == short_number(data["objective/kl"].values[-1])


def test_changes_are_marked_and_named_under_the_crosshair(qtbot, view):
    view.show_run(1, metrics(20), [ChangeRecord(5, "", "learning_rate", 3e-4, 1e-4, "person")])
    view.mark_changes(1, 9, [Change("whiten_rewards", False, True)])
    view.mark_changes(2, 9, [Change("seed", 1, 2)])
    view.repaint_now()
    first = plot(view, "objective/scores")
    assert list(first.marks.changes.xvals) == [5, 9]
    for key, text in ((5, "Learning rate 3e-4 → 1e-4"), (4, "Whiten rewards off → on")):
        for _ in range(key):
            qtbot.keyClick(view, Qt.Key.Key_Right if text[0] == "W" else Qt.Key.Key_Left)
        for _ in range(11 if text[0] == "L" else 0):
            qtbot.keyClick(view, Qt.Key.Key_Left)
        view.repaint_now()
        assert first.marks.note.isVisible()
        assert first.marks.note.toPlainText() == text


def test_what_is_not_a_number_is_a_gap_and_a_warning(qtbot, view):
    data = metrics(12)
    data["loss/value_avg"].values[6] = math.nan
    view.show_run(1, data, [])
    view.repaint_now()
    texts = visible_texts(view)
    assert any("value loss was not a number in cycle 7" in t for t in texts)
    view.append(1, 13, {"loss/value_avg": math.inf})
    view.repaint_now()
    assert any("in cycle 13 and 1 other" in t for t in visible_texts(view))
    assert shown_value(view, "loss/value_avg") == "–"
    qtbot.keyClick(view, Qt.Key.Key_Left)
    view.repaint_now()
    view.repaint()


def test_nothing_to_explain_is_no_warning(qtbot):
    gaps, lost = (GapWarning(find_metric(name)) for name in (
        "val/explained_variance", "loss/value_avg"))
    qtbot.addWidget(gaps)
    qtbot.addWidget(lost)
    gaps.show_gaps([3, 9])
    assert gaps.text() == "No explained variance in cycle 9 and 1 other cycle"
    assert gaps.property("role") == "muted"
    assert "nothing to explain" in gaps.toolTip()
    gaps.show_gaps([], none=True)
    assert gaps.text() == find_metric("val/explained_variance").absent
    assert not gaps.isHidden()
    lost.show_gaps([], none=True)
    assert lost.isHidden()  # there is no reason to tell
    lost.show_gaps([3, 8, 9])
    assert lost.text() == "⚠ value loss was not a number in cycle 9 and 2 other cycles"
    assert lost.property("role") == "warning"


def test_a_plot_that_stays_empty_says_why(view):
    name = "val/explained_variance"
    view.choose_plots([name])
    for data in (metrics(3, (name, "lr")), metrics(3, ("lr",))):
        view.show_run(1, data, [])
        view.repaint_now()
        said = [w.text() for w in view.findChildren(GapWarning) if not w.isHidden()]
        assert said == ([] if name in data else [find_metric(name).absent])


@pytest.mark.parametrize("log", [False, True])
def test_a_metric_that_is_never_a_number(view, log):
    data = metrics(3)
    for name in data:
        data[name].values[:] = [math.nan] * 3
    view.controls.log.setChecked(log)
    view.controls.slider.setValue(50)
    view.show_run(1, data, [])
    view.repaint_now()
    view.repaint()
    assert shown_value(view, "objective/kl") == "–"


def test_log_and_time_and_smoothing_survive_negative_numbers(qtbot, view):
    data = metrics(30)
    data["objective/scores"].values[:10] = [-1.0] * 9 + [0.0]
    view.show_run(1, data, [])
    view.controls.log.setChecked(True)
    view.controls.x_axis["time"].setChecked(True)
    view.controls.slider.setValue(80)
    view.repaint_now()
    assert shown_value(view, "objective/scores") == find_metric("objective/scores").text(
        data["objective/scores"].values[-1])
    assert x_ranges(view)[0][1] > sum(data["seconds"].values)
    assert view.grab().toImage() != QImage()


def test_one_to_six_plots_are_chosen_in_the_menu(view):
    view.show_run(1, metrics(5), [])
    choices = view.controls._choices
    for name in ("lr", "objective/scores_std"):
        choices[name].trigger()
    assert view.plots() == [*PPO.default_plots, "lr", "objective/scores_std"]
    assert not choices["kl_coef"].isEnabled()
    for name in view.plots()[:5]:
        choices[name].trigger()
    assert view.plots() == ["objective/scores_std"]
    assert not choices["objective/scores_std"].isEnabled()
    assert set(choices) == {metric.name for metric in PPO.metrics}
    view.repaint_now()


def test_sets_of_plots_that_belong_together(view):
    menu = view.controls.plots.menu()
    actions = {a.objectName(): a for a in menu.actions() if a.objectName().startswith("plots_")}
    assert ticked(actions) == ["plots_overview"]
    actions["plots_trust"].trigger()
    assert ticked(actions) == ["plots_trust"]
    assert view.plots() == ["policy/clipfrac", "policy/approxkl", "val/ratio_var",
                            "objective/kl"]
    actions["plots_trust"].trigger()
    assert ticked(actions) == ["plots_trust"]
    view.choose_plots(view.plots()[::-1])
    assert ticked(actions) == ["plots_trust"]
    view.choose_plots(view.plots()[1:])
    assert ticked(actions) == []
    actions["plots_overview"].trigger()
    assert view.plots() == list(PPO.default_plots)
    assert ticked(actions) == ["plots_overview"]
    assert all(set(plots.metrics) <= {m.name for m in PPO.metrics} for plots in PPO.plot_sets)


def ticked(actions):
    return [name for name, action in actions.items() if action.isChecked()]


def test_state_is_kept(qtbot, view):
    view.choose_plots(["lr", "objective/kl"])
    view.controls.slider.setValue(35)
    view.controls.log.setChecked(True)
    view.controls.x_axis["time"].setChecked(True)
    other = MetricsView()
    qtbot.addWidget(other)
    other.restore_state(view.save_state())
    assert other.save_state() == view.save_state()
    assert other.save_state() == {
        "plots": ["lr", "objective/kl"], "smoothing": 0.35, "log": True, "log_of": {}, "raw": [],
        "along": "time", "parts": True}
    other.restore_state({"plots": ["gone", 3], "smoothing": "x"})
    assert other.plots() == list(PPO.default_plots)


def test_the_theme_changes_while_it_is_shown(view):
    view.show_run(1, metrics(9), [])
    view.repaint_now()
    colours = set()
    for mode in ("light", "dark"):
        themes().set_mode(mode)
        colours.add(view.grab().toImage().pixelColor(view.width() // 4, view.height() // 2).name())
    assert len(colours) == 2


def test_plots_are_arranged_to_be_twice_as_wide_as_high():
    assert best_columns(4, 600, 260) == 2
    assert best_columns(4, 1600, 200) == 4
    assert best_columns(4, 300, 600) == 1
    assert best_columns(6, 1000, 400) == 3
    assert best_columns(1, 100, 900) == 1
    assert best_columns(4, 560, 120) < 4  # else the values would cover the titles


@pytest.mark.parametrize("size", [(560, 320), (900, 260), (1600, 500)])
def test_every_curve_is_named_and_no_number_covers_a_title(view, size):
    view.show_run(1, metrics(3) | {
        "objective/scores": Series([1, 2, 3], [0.02, 0.03, 0.0568]),
        "objective/scores_compared": Series([1, 2, 3], [0.1, 0.2, -12345.0]),
        "objective/rlhf_reward": Series([1, 2, 3], [0.1, 0.2, 0.3])}, [])
    view.resize(*size)
    view.repaint_now()
    QApplication.processEvents()
    said = " ".join(w.text() for w in plot(view, "objective/scores").findChildren(QLabel)
                    if w.isVisible())
    assert "compared" in said
    assert "penalised" in said
    for shown in view._grid:
        header = shown._header
        parts = [w for w in header.children() if w.isVisible()]
        for i, part in enumerate(parts):
            assert header.rect().contains(part.geometry()), part.accessibleName()
            for other in parts[:i]:
                assert not part.geometry().intersects(other.geometry())
    assert len({w.x() for w in view._grid}) <= view._grid.width() // 160


@pytest.mark.parametrize("count", [4, 8])
@pytest.mark.parametrize("at_first", [(960, 540), (1280, 720)])  # tabs, or columns that become such
def test_in_a_small_window_plots_are_scrolled_and_none_is_cut(opened, at_first, count):
    window = opened.window
    window.resize(*at_first)
    window.dock_layout.reset()
    window.reveal("metrics")
    view = window.metrics
    view.choose_plots([metric.name for metric in PPO.metrics[:count]])
    view.show_run(1, metrics(3) | {
        name: Series([1, 2, 3], [0.1, 0.2, 0.3]) for name in PPO.companions}, [])
    view.repaint_now()
    QApplication.processEvents()
    if at_first == (1280, 720):
        if count == 4:  # there they fit
            assert view._scroll.verticalScrollBar().maximum() == 0
        window.resize(960, 540)
    for _ in range(4):  # the docks are laid out anew, then sized
        view.repaint_now()
        QApplication.processEvents()
    bar, shown = view._scroll.verticalScrollBar(), view._scroll.viewport()
    for one in view._grid:
        assert one.height() >= LEAST_HEIGHT
        canvas = one.findChild(Canvas)
        assert one.rect().contains(canvas.geometry())
        assert canvas.geometry().top() > one._header.geometry().bottom()
        assert canvas.getViewBox().height() >= 20
        axis = canvas.getAxis("bottom")
        assert axis.mapRectToScene(axis.boundingRect()).bottom() <= canvas.height() + 1
        view._scroll.ensureWidgetVisible(one, 0, 0)
        assert one.visibleRegion().boundingRect() == one.rect()
    below = view._grid.height() - shown.height()
    assert bar.maximum() == max(0, below)
    assert bar.isVisible()


def test_of_a_hundred_thousand_cycles_no_more_is_drawn_than_can_be_seen(view):
    view.show_run(1, metrics(100_000), [])
    view.controls.slider.setValue(90)
    view.append(1, 100_001, dict.fromkeys(view._run.curves, 1.0))
    view.repaint_now()
    drawn = plot(view, PPO.default_plots[0])
    curves = [c for c in drawn._box.addedItems if isinstance(c, pg.PlotDataItem)]
    points = [len(c.curve.getData()[0]) for c in curves if c.isVisible()]
    assert 100 < max(points) <= 4 * drawn._box.width()


def test_every_control_says_what_it_is(view):
    view.show_run(1, metrics(3), [])
    view.repaint_now()
    for child in view.controls.findChildren(QWidget):
        if child.objectName() and not re.match("qt_", child.objectName()):
            assert child.accessibleName(), child.objectName()
            assert child.toolTip(), child.objectName()
    for name in PPO.default_plots:
        about = find_metric(name)
        titles = [w for w in plot(view, name).findChildren(QLabel) if w.text() == about.label]
        assert all(part in titles[0].toolTip() for part in (about.name, about.help[:20]))
