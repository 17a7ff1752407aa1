"""What the plots and the views beside them show of one cycle, of a part of x and of equal runs."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.window import Opened, fill
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication, QLabel

from workbench.gui.metrics.axes import Scale, ValueAxis
from workbench.gui.metrics.data import RunData, in_view
from workbench.gui.metrics.figure_dialog import _file_name
from workbench.gui.metrics.legend import hidden_by
from workbench.gui.metrics.view import MetricsView
from workbench.gui.widgets.still_label import StillLabel
from workbench.store.records import Series
from workbench.store.store import Store

KL = "objective/kl"


@pytest.fixture
def view(qtbot, opened: Opened, store: Store, theme) -> MetricsView:
    """The plots of a finished run of twelve cycles."""
    opened.controller.show_run(fill(store, 12))
    made = opened.window.metrics
    qtbot.waitUntil(lambda: made._run is not None and len(made._run.cycles) == 12, timeout=60_000)
    made.repaint_now()
    return made


def test_the_line_follows_the_cycle_stepped_to_in_completions(qtbot, opened, view):
    completions = opened.window.completions
    qtbot.waitUntil(lambda: completions.shown.cycles[-1] == 12, timeout=60_000)
    completions.choose(10, 11)
    completions.controls.previous.click()
    assert view._pointing.choice.cycle == completions.shown.cycles[-1] == 10
    completions.controls.next.click()
    assert view._pointing.choice.cycle == 11
    view.repaint_now()
    lines = [plot.marks.chosen for plot in view._grid]
    assert all(line.isVisible() and line.value() == 11 for line in lines)


def test_follow_is_offered_where_only_y_was_zoomed(view):
    action = view._follow_action
    assert not action.isEnabled()
    assert not view.controls.follow.isEnabled()
    plot = view._grid.plot_of(KL)
    plot._moved(1)
    assert action.isEnabled()
    assert view.controls.follow.isEnabled()
    view.follow()
    assert not action.isEnabled()
    assert not plot.manual_y


def test_a_part_of_x_has_the_ends_of_its_lines_in_view():
    x, values = np.array([1.0, 2, 3, 4]), np.array([0.0, 10, 10, 0])
    assert set(in_view(x, values, 2, 3)) == {10}
    assert in_view(x, values, 1.5, 3.5).tolist() == [10, 10, 5, 5]
    assert in_view(x, values, 2.4, 2.6).tolist() == [10, 10]  # no point, but a line
    assert in_view(x, values, 0, 9).tolist() == values.tolist()


@pytest.mark.parametrize("size", [40, 80, 200])
def test_labels_of_a_logarithmic_axis_have_room(qtbot, theme, size):
    axis = ValueAxis()
    axis.set_scale(Scale(1e-3))
    low, high = (Scale(1e-3).height(v) for v in (-5.0, 40.0))
    ((_, heights),) = axis.tickValues(low, high, size)
    pixels = sorted(height * size / (high - low) for height in heights)
    assert len(pixels) >= 2
    assert all(b - a >= 13 for a, b in pairwise(pixels))


@pytest.mark.parametrize("size", [8, 16, 24, 32, 60])
def test_labels_of_a_low_axis_do_not_lie_over_each_other(qtbot, theme, size):
    for low, high in ((-0.1, 1.2), (-1.0, 2.5), (-0.2, 9.5), (0.83, 0.91)):
        ((_, heights),) = ValueAxis().tickValues(low, high, size)
        pixels = sorted(height * size / (high - low) for height in heights)
        assert pixels
        assert all(b - a >= 12.9 for a, b in pairwise(pixels))


def test_a_run_whose_curves_lie_behind_anothers_is_said_to_be_the_same(opened, store, view):
    twin, other = fill(store, 12), fill(store, 5)
    opened.window.runs.refresh()
    records = store.runs()
    view.set_records(records)
    view.overlay({i: store.metrics(i) for i in (twin, other)})
    view.repaint_now()
    text = view._grid.legend.text().replace("&nbsp;", " ")
    first = view._run.name
    assert f"(same as {first})" in text
    runs = [view._run, *view._overlays()]
    assert hidden_by(runs[0], runs, [KL]) is None
    assert hidden_by(runs[1], runs, [KL]) is runs[0]
    different = RunData(99, {KL: Series([1, 2], [0.0, 7.0])})
    assert hidden_by(different, [runs[0], different], [KL]) is None


def test_rows_of_runs_stay_when_the_live_run_is_offered(opened, store, view):
    runs = opened.window.runs
    runs.refresh()
    opened.window.reveal("runs")
    QApplication.processEvents()
    before = runs.table.y()
    runs.set_shown(runs.model.shown, True)
    QApplication.processEvents()
    assert runs.live_button.isVisibleTo(runs)
    runs.layout().activate()
    assert runs.table.y() == before
    assert runs.live_button.y() > runs.table.y()


def test_a_figure_is_named_after_its_run_and_what_it_shows():
    choice = SimpleNamespace(name="KL to start policy", figure=SimpleNamespace(title="Run 3: ß/x"))
    assert _file_name(choice) == "run-3-ß-x-kl-to-start-policy"


def test_another_text_lays_the_window_out_anew_only_where_its_height_differs(qtbot):
    said = QLabel("one line", wordWrap=True)
    still = StillLabel(said)
    qtbot.addWidget(still)
    still.resize(300, 40)
    still.show()
    high = still.height()
    said.setText("another line")
    QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
    assert still.height() == high
    said.setText("many words " * 40)
    QApplication.sendPostedEvents(still, QEvent.Type.LayoutRequest)
    assert still.height() > high
    assert said.height() == still.height()


def test_completions_behind_another_view_are_read_when_they_come_forward(
    qtbot, opened, store, view
):
    completions = opened.window.completions
    opened.window.resize(1500, 950)
    opened.window.show()
    opened.window.dock_layout.reset()
    opened.window.reveal("tokens")
    qtbot.waitUntil(lambda: completions.visibleRegion().isEmpty(), timeout=60_000)
    completions.follow("latest")
    run_id = completions._run_id
    last = store.completions(run_id, 12)
    store.record_comparison(run_id, 13, last).result()
    completions.cycle_available(run_id, 13)
    assert completions._stale
    assert not completions._reload.isActive()
    opened.window.reveal("completions")
    qtbot.waitUntil(lambda: completions.shown.cycles[-1] == 13, timeout=60_000)
