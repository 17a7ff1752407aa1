"""A range of cycles on the plots: selected, read, zoomed into, given up."""

import math

import numpy as np
import pytest
from helpers import pointer
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QApplication, QLabel, QToolTip, QWidget

from workbench.algorithms import ALGORITHMS, find_metric
from workbench.gui.metrics.axes import ValueAxis
from workbench.gui.metrics.data import robust_range
from workbench.gui.metrics.plot import _DOT_PX, _with_room
from workbench.gui.metrics.statistics import Statistics
from workbench.gui.metrics.view import MetricsView
from workbench.ppo.declaration import PPO
from workbench.store.records import Series


def data(count, last=None):
    return {name: Series(list(range(1, count + 1)), [float(i + c) for c in range(1, count)]
                         + [i + count if last is None else last])
            for i, name in enumerate((*PPO.default_plots, "seconds"))}


@pytest.fixture
def view(qtbot, theme):
    made = MetricsView()
    qtbot.addWidget(made)
    made.resize(720, 440)
    with qtbot.waitExposed(made):
        made.show()
    made.show_run(1, data(20), [])
    made.repaint_now()
    QApplication.processEvents()
    yield made
    QToolTip.hideText()


def plot(view, name="objective/kl"):
    return next(p for p in view.findChildren(QWidget) if p.objectName() == f"plot_{name}")


def pixel(view, cycle, name="objective/kl"):
    canvas = plot(view, name)._canvas
    box = canvas.getViewBox()
    (_, _), (low, high) = box.viewRange()
    return canvas.mapFromScene(box.mapViewToScene(QPointF(cycle, (low + high) / 2)))


def drag(view, start, end, name="objective/kl"):
    """Drag with Shift, from cycle to cycle."""
    begin, finish = QPointF(pixel(view, start, name)), QPointF(pixel(view, end, name))
    pointer.drag(plot(view, name)._canvas, [begin, (begin + finish) / 2, finish],
                 keys=Qt.KeyboardModifier.ShiftModifier)
    view.repaint_now()


def table(view, name="objective/kl"):
    words = plot(view, name).findChild(QLabel, "range_statistics")
    return words.accessibleDescription() if words.isVisible() else ""


def test_shift_and_drag_select_on_every_plot(qtbot, view):
    drag(view, 5, 12)
    assert table(view) == ("Cycles 5 to 12. mean 11.5, min 8.00, max 15.0, change +7.00, "
                           "points 8")
    assert table(view, "objective/scores").startswith("Cycles 5 to 12. mean 8.50")
    low, high = plot(view, "objective/scores").marks.region.getRegion()
    assert (low, high) == (5, 12)
    assert view._following  # selecting is not panning
    drag(view, 14, 9.2)  # backwards
    assert table(view).startswith("Cycles 9 to 14.")


def test_a_click_and_escape_give_the_range_up(qtbot, view):
    drag(view, 5, 12)
    qtbot.mouseClick(plot(view)._canvas.viewport(), Qt.MouseButton.LeftButton,
                     pos=pixel(view, 3))
    view.repaint_now()
    assert not table(view)
    assert not plot(view).marks.region.isVisible()
    assert not view.controls.zoom.isEnabled()
    drag(view, 5, 12)
    qtbot.keyClick(view, Qt.Key.Key_Escape)
    view.repaint_now()
    assert not table(view)


def test_the_keyboard_selects_and_zooms(qtbot, view):
    shift = Qt.KeyboardModifier.ShiftModifier
    for _ in range(4):
        qtbot.keyClick(view, Qt.Key.Key_Left)  # to cycle 17
    for _ in range(3):
        qtbot.keyClick(view, Qt.Key.Key_Left, shift)
    view.repaint_now()
    assert table(view).startswith("Cycles 14 to 17.")
    assert view.controls.zoom.isEnabled()
    view.activateWindow()
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_Z)
    view.repaint_now()
    low, high = plot(view)._box.viewRange()[0]
    assert 13.9 < low < 14
    assert 17 < high < 17.1
    assert not view._following
    qtbot.keyClick(view, Qt.Key.Key_F)
    view.repaint_now()
    assert plot(view)._box.viewRange()[0][0] < 1


def test_other_runs_have_a_row_of_their_own(view):
    view.overlay({2: data(9)})
    drag(view, 5, 12)
    assert table(view).splitlines() == [
        "Cycles 5 to 12. Run 1: mean 11.5, min 8.00, max 15.0, change +7.00, points 8",
        "Run 2: mean 10.0, min 8.00, max 12.0, change +4.00, points 5"]


def test_a_range_lives_on_as_the_run_does(view):
    view.controls.x_axis["time"].setChecked(True)
    view.repaint_now()
    view._pointing.selection.set(18, 20)
    view._selected()
    view.append(1, 21, {"objective/kl": math.nan})
    view.repaint_now()
    assert table(view).startswith("Cycles 18 to 20.")
    view.show_run(2, data(3), [])
    view.repaint_now()
    assert not table(view)


def test_what_is_not_a_number_is_no_point():
    found = Statistics.of(np.array([math.nan, 1.0, 3.0, math.nan]))
    assert found == Statistics(2.0, 1.0, 3.0, 1.0, 3.0, 2)
    assert Statistics.of(np.array([math.nan])).cells(find_metric("lr")) == ["–", "–", "–", "–", "0"]


@pytest.mark.parametrize("height", [24.0, 40.0, 60.0])
@pytest.mark.parametrize(("low", "high"), [(0.86, 0.91), (-0.3, 2.9), (0.48, 0.66), (-4.0, 43.0)])
def test_a_low_axis_has_two_labels_and_no_crowd(height, low, high):
    axis = ValueAxis()
    ticks = [t for _, level in axis.tickValues(low, high, height) for t in level]
    assert 2 <= len(ticks) <= max(2, height // 13)
    assert all(low <= t <= high for t in ticks)


@pytest.mark.parametrize("height", [30.0, 60.0, 200.0])
def test_the_outermost_value_is_far_enough_from_the_edge_for_its_dot(height):
    low, high = robust_range([np.array([1.0, 2.0])])
    wide = _with_room(low, high, height)
    pixel = (wide[1] - wide[0]) / height
    assert (1.0 - wide[0]) / pixel >= _DOT_PX - 1e-9
    assert (wide[1] - 2.0) / pixel >= _DOT_PX - 1e-9


@pytest.mark.parametrize(("values", "bounds", "shown"), [
    ([0.0, 1.0], (0.0, 1.0), (0.0, 1.0)),
    ([0.0, 0.0], (0.0, 1.0), (0.0, 1.0)),
    ([1.0, 1.0], (0.0, 1.0), (0.9, 1.0)),
    ([-1e-7], (0.0, math.inf), (0.0, 1.0)),
    ([-0.5, 0.5], (0.0, math.inf), (-0.58, 0.58)),  # an estimate of a distance
    ([-40.0, 0.0], (-math.inf, 0.0), (-43.2, 0.0)),
])
@pytest.mark.parametrize("height", [30.0, 200.0])
def test_an_axis_ends_where_no_number_can_be(values, bounds, shown, height):
    found = robust_range([np.array(values)], 1e-6, bounds)
    assert found == pytest.approx(shown)
    low, high = _with_room(*found, height, bounds)
    pixel = (high - low) / height
    assert (min(values) - low) / pixel >= _DOT_PX - 1e-9
    assert (high - max(values)) / pixel >= _DOT_PX - 1e-9
    # There is room for the dot, but not for the next label.
    ticks = [t for _, level in ValueAxis().tickValues(low, high, height) for t in level]
    assert all(min(bounds[0], *values) - 1e-9 <= t <= max(bounds[1], *values) + 1e-9
               for t in ticks)


def test_every_metric_of_every_algorithm_says_between_which_numbers_it_lies():
    for algorithm in ALGORITHMS:
        for metric in algorithm.metrics:
            least, most = metric.bounds
            assert least < most
            if metric.unit == "share":
                assert most == 1


def test_what_is_alone_is_a_dot_on_the_run_on_display_and_on_those_drawn_over_it(qtbot, view):
    name = "objective/kl"
    view.show_run(1, {name: Series([1, 2, 3, 4, 5], [1.0, math.nan, 2.0, 3.0, math.nan])}, [])
    view.overlay({7: {name: Series([1], [0.5])}, 8: {name: Series([1, 2], [0.5, 1.0])}})
    view.choose_plots([name])
    view.repaint_now()
    shown = plot(view)
    for alone, dots in ((shown._curves.alone, [(1.0, 1.0)]), (shown._overlays.alone, [(1.0, 0.5)])):
        assert list(zip(*alone.item.getData(), strict=True)) == dots
        assert alone.item.boundingRect().width() >= 0
    view.overlay({})
    view.repaint_now()
    assert len(shown._overlays.alone.item.data) == 0
