"""Distributions over cycles, and what was foreseen against what came."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from helpers import pointer
from helpers.reinforce import REINFORCE
from helpers.window import DEFAULTS, PROMPTS, Opened, completions, unexplained
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QFontMetricsF
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from workbench import algorithms
from workbench.gui.distributions.calibration import CalibrationPlot
from workbench.gui.distributions.calibration import say as say_predictions
from workbench.gui.distributions.fan import Fan, histogram, say, view_range
from workbench.gui.distributions.reading import Known, Picture, means, read_picture
from workbench.gui.distributions.view import DistributionsView
from workbench.gui.metrics.axes import ValueAxis
from workbench.gui.widgets.form_scroll import FormScroll
from workbench.gui.widgets.theme import themes
from workbench.ppo.declaration import PPO
from workbench.records import TokenTrace
from workbench.store.records import CompletionRecord, Prompt
from workbench.store.store import Store

COUNT, TOKENS = 8, 30
NAMES = ["Reward", "Advantage", "KL", "Length"]


def completions_of(cycle: int) -> list[CompletionRecord]:
    rng = np.random.default_rng(cycle)
    return [CompletionRecord(i, 0, PROMPTS[0], " a", float(rng.normal(cycle / 2)),
                             float(rng.exponential(cycle)), int(rng.integers(5, 40)), True)
            for i in range(COUNT)]


def traces_of(cycle: int) -> list[TokenTrace]:
    rng = np.random.default_rng(100 + cycle)
    found = []
    for i in range(COUNT):
        value = rng.normal(size=TOKENS)
        numbers = {"advantage": rng.normal(size=TOKENS), "value": value,
                   "return": 0.5 * value + 0.1 * rng.normal(size=TOKENS)}
        found.append(TokenTrace(i, 0, np.zeros(TOKENS, np.int32), (" a",) * TOKENS,
                                {k: v.astype(np.float32) for k, v in numbers.items()}))
    return found


def record(store: Store, run_id: int, cycle: int, kept: int = 2) -> None:
    store.record_cycle(
        run_id, cycle, metrics={"val/explained_variance": 0.4 + cycle / 100},
        rollout=completions_of(cycle), comparison=completions(cycle), keep_traces=kept,
        traces=traces_of(cycle)).result()


def fill(store: Store, cycles: int = 5, kept: int = 2, **more: str) -> int:
    run_id: int = store.create_run(
        name="", policy="/models/policy", reward="/models/reward", models={},
        hyperparameters=DEFAULTS, prompts=[Prompt(text) for text in PROMPTS], **more).result()
    for cycle in range(1, cycles + 1):
        record(store, run_id, cycle, kept)
    return run_id


def await_cycle(qtbot: QtBot, view: DistributionsView, cycle: int) -> None:
    """Wait until all of a cycle is drawn, one plot after the other."""
    qtbot.waitUntil(lambda: view.picture is not None and view.picture.cycle == cycle
                    and not view._waiting)


@pytest.fixture
def view(qtbot: QtBot, opened: Opened, store: Store) -> DistributionsView:
    """The view on a run of five cycles, of which the tokens of two are kept."""
    opened.controller.show_run(fill(store))
    opened.window.reveal("distributions")
    await_cycle(qtbot, opened.window.distributions, 5)
    return opened.window.distributions


def read(store: Store, run_id: int, cycle: int | None = None) -> Picture:
    picture = read_picture(store, run_id, cycle, Known())
    assert picture is not None
    return picture


def test_quantiles_are_those_of_the_numbers_in_the_store(store: Store) -> None:
    run_id = fill(store)
    picture = read(store, run_id)
    assert [s.distribution.title for s in picture.spreads] == NAMES
    levels = np.arange(0, 101, 5)
    for spread in picture.spreads:
        assert spread.cycles == [1, 2, 3, 4, 5]
        for row, cycle in zip(spread.quantiles, spread.cycles, strict=True):
            records = store.completions(run_id, cycle, "rollout")
            numbers = {
                "Reward": [r.score for r in records], "KL": [r.kl for r in records],
                "Length": [r.length for r in records],
                "Advantage": np.concatenate([t.numbers["advantage"] for t in traces_of(cycle)]),
            }[spread.distribution.title]
            assert row == pytest.approx(np.percentile(numbers, levels), rel=1e-5, abs=1e-6)
            if cycle == picture.cycle:
                assert spread.values is not None
                assert sorted(spread.values) == pytest.approx(sorted(numbers), rel=1e-6)


def test_what_is_known_already_is_not_read_again(store: Store) -> None:
    run_id, known = fill(store, cycles=3), Known()
    before = read_picture(store, run_id, None, known)
    kept = known.completions["score"][2]
    record(store, run_id, 4)
    after = read_picture(store, run_id, None, known)
    assert before is not None
    assert after is not None
    assert known.completions["score"][2] is kept
    fresh = read(store, run_id)
    for spread, again in zip(after.spreads, fresh.spreads, strict=True):
        assert spread.cycles == again.cycles == [1, 2, 3, 4]
        assert np.array_equal(spread.quantiles, again.quantiles)


def test_means_of_equal_shares_by_hand() -> None:
    predicted, actual = np.array([3.0, 1.0, 4.0, 2.0]), np.array([30.0, 10.0, 50.0, 30.0])
    foreseen, came = means(predicted, actual, 2)
    assert foreseen.tolist() == [1.5, 3.5]
    assert came.tolist() == [20.0, 40.0]
    assert [len(part) for part in means(predicted, actual)] == [4, 4]


def test_what_hardly_differs_is_drawn_as_such() -> None:
    rows = np.linspace(-1e-6, 1e-6, 21)[None, :].repeat(3, axis=0)
    assert view_range(rows) == pytest.approx((-0.25, 0.25), abs=1e-5)
    low, high = view_range(np.linspace(0, 10, 21)[None, :])
    assert low < 0.5
    assert high > 9.5


def test_what_lies_beyond_counts_at_the_edge() -> None:
    counts, edges = histogram(np.array([-9.0, 0.1, 0.1, 9.0, math.nan]), 0.0, 1.0)
    assert counts.sum() == 4
    assert counts[0] == 1
    assert counts[-1] == 1
    assert (edges[0], edges[-1]) == (0.0, 1.0)


def test_it_says_how_the_numbers_lie(view: DistributionsView, store: Store) -> None:
    scores = [r.score for r in completions_of(5)]
    low, middle, high = np.percentile(scores, [25, 50, 75])
    assert view.fans[0].said.text() == (
        f"half in {low:.2f} to {high:.2f}, median {middle:.2f}".replace(
            "-", "\N{MINUS SIGN}"))
    predictions = view.picture.predictions
    assert view.calibration.said.text() == say_predictions(predictions)
    assert predictions.explained == pytest.approx(0.45)
    assert say_predictions(predictions).startswith("Foresees 45\N{NO-BREAK SPACE}% of the")
    # Every token is in the picture.
    assert (view.calibration.cells.image**2).sum() == pytest.approx(COUNT * TOKENS)
    assert view.fans[1].plot.bars.opts["x1"].sum() == COUNT * TOKENS
    assert view.fans[0].plot.bars.opts["x1"].sum() == COUNT
    assert unexplained(view) == []


def test_the_bands_are_drawn_where_the_quantiles_are(view: DistributionsView) -> None:
    fan, spread = view.fans[0], view.picture.spreads[0]
    assert np.array_equal(fan.plot.median.yData, spread.quantiles[:, 10])
    for band, low, high in zip(fan.plot.bands, (1, 5), (19, 15), strict=True):
        path = band.path()
        corners = [(path.elementAt(i).x, path.elementAt(i).y) for i in range(path.elementCount())]
        there = [(1.0 + i, row[low]) for i, row in enumerate(spread.quantiles)]
        back = [(1.0 + i, row[high]) for i, row in enumerate(spread.quantiles)]
        assert corners == [*there, *reversed(back)]


def test_a_single_cycle_has_bands_that_are_seen(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    opened.controller.show_run(fill(store, cycles=1))
    opened.window.reveal("distributions")
    view = opened.window.distributions
    await_cycle(qtbot, view, 1)
    for fan in view.fans:
        for band in fan.plot.bands:
            box = band.path().boundingRect()
            assert (box.left(), box.width()) == pytest.approx((0.7, 0.6))
        assert fan.plot.median.xData.tolist() == pytest.approx([0.7, 1.3])
        assert fan.plot._over.getViewBox().viewRange()[0] == pytest.approx([0.5, 4.5])


def test_a_click_goes_to_a_cycle_everywhere(
    qtbot: QtBot, opened: Opened, view: DistributionsView
) -> None:
    plot = view.fans[0].plot
    box = plot._over.getViewBox()
    at = plot.mapFromScene(box.mapViewToScene(QPointF(2.2, 0.5)))
    pointer.drag(plot, [at])
    await_cycle(qtbot, view, 2)
    assert view.cycles.cycle.currentText() == "cycle 2"
    assert not view.cycles.latest.isChecked()
    assert opened.window.objective.wanted == opened.window.tokens.wanted == 2
    # Of its tokens only the bands are kept.
    assert view.picture.spreads[1].values is None
    assert view.calibration.said.text() == "The tokens of this cycle are not kept"
    assert plot.bars.opts["x1"].sum() == COUNT
    qtbot.mouseClick(view.cycles.latest, Qt.MouseButton.LeftButton)
    await_cycle(qtbot, view, 5)


def test_it_follows_the_run_and_waits(
    qtbot: QtBot, opened: Opened, view: DistributionsView, store: Store
) -> None:
    run_id = view.run_id
    record(store, run_id, 6)
    view.cycle_available(run_id)
    await_cycle(qtbot, view, 6)
    qtbot.mouseClick(view.cycles.previous, Qt.MouseButton.LeftButton)
    await_cycle(qtbot, view, 5)
    record(store, run_id, 7)
    view.cycle_available(run_id)
    qtbot.waitUntil(lambda: view.picture.cycles[-1] == 7)
    assert view.picture.cycle == 5
    # Back to an earlier cycle: what followed is read anew.
    store.rewind(run_id, 4).result()
    opened.controller.show_run(run_id)
    qtbot.waitUntil(lambda: view.picture is not None and view.picture.cycles[-1] == 4)


def test_what_is_not_there_is_said(qtbot: QtBot, opened: Opened, store: Store) -> None:
    view = opened.window.distributions
    opened.window.reveal("distributions")
    assert "Press Start" in view._pages.empty.text()
    assert view._pages.empty.isVisible()
    opened.controller.show_run(fill(store, cycles=0))
    qtbot.waitUntil(lambda: view.picture is not None)
    assert "Resume begins it" in view._pages.empty.text()
    bare = fill(store, cycles=1, kept=0)
    store._writer.submit(lambda db: (
        db.table("quantiles").delete_where("run_id = ?", [bare]),
        db.table("completions").delete_where("run_id = ?", [bare]))).result()
    opened.controller.show_run(bare)
    qtbot.waitUntil(lambda: view.picture is not None and view.picture.run_id == bare)
    assert "kept none of the numbers" in view._pages.empty.text()
    run_id = fill(store, cycles=1, kept=0)
    store._writer.submit(lambda db: db.table("quantiles").delete_where("1")).result()
    opened.controller.show_run(run_id)
    await_cycle(qtbot, view, 1)
    assert view.fans[1].said.text() == "Nothing is known of it in this run"


def test_another_algorithm_has_those_of_its_completions(
    qtbot: QtBot, opened: Opened, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(algorithms, "ALGORITHMS", (PPO, REINFORCE))
    run_id = fill(store, algorithm=REINFORCE.name)
    opened.controller.show_run(run_id)
    opened.window.reveal("distributions")
    view = opened.window.distributions
    await_cycle(qtbot, view, 5)
    assert [fan.title.text() for fan in view.fans] == ["Reward", "Length", "KL"]
    assert view.calibration.isHidden()


def test_in_every_theme(qtbot: QtBot, view: DistributionsView, theme: None) -> None:
    for mode in ("dark", "light"):
        themes().set_mode(mode)
        assert view.fans[0].plot.backgroundBrush().color().name() == themes().theme.base


def test_a_cycle_without_a_number_says_so(store: Store) -> None:
    run_id = fill(store, cycles=1)
    store.record_cycle(
        run_id, 2, metrics={}, rollout=completions_of(2), comparison=[], keep_traces=2, traces=[
            TokenTrace(0, 0, np.zeros(2, np.int32), (" a",) * 2,
                       {"advantage": np.full(2, np.nan, np.float32)})]).result()
    assert not len(read(store, run_id, 2).predictions.foreseen)  # of neither column
    spread = read(store, run_id, 1).spreads[1]
    assert spread.cycles == [1, 2]
    assert say(spread, 2) == "Cycle 2 has no number of it"
    assert say(spread, 7) == "Nothing is known of it in cycle 7"


def test_as_many_columns_as_there_is_room_for(view: DistributionsView, opened: Opened) -> None:
    dock = opened.window.docks["distributions"]
    dock.setFloating(True)
    for width, columns in ((1200, 3), (640, 2), (330, 1)):
        dock.resize(width, 600)
        grid = view._grid
        places = [grid.getItemPosition(grid.indexOf(fan))[:2] for fan in view.fans]
        assert places == [divmod(i, columns) for i in range(4)]


def test_the_top_number_is_whole_and_x_is_named_where_there_is_room(
    view: DistributionsView, opened: Opened
) -> None:
    plot = view.fans[0].plot
    line = plot.fontMetrics().height()
    for height, named in ((400, True), (150, False)):
        plot.setFixedHeight(height)
        QApplication.processEvents()
        box = plot._over.getViewBox().sceneBoundingRect()
        assert box.top() >= line / 2 - 1
        beside = plot._beside.getViewBox().sceneBoundingRect()
        assert (box.top(), box.bottom()) == pytest.approx((beside.top(), beside.bottom()), abs=1)
        axis = plot._over.getAxis("bottom")
        assert axis.label.isVisible() == named
        assert axis.labelText == "cycle"
        assert box.bottom() + axis.height() <= height + 1


def test_the_wheel_over_a_plot_scrolls_the_view(qtbot: QtBot) -> None:
    fan, calibration, form = Fan("1"), CalibrationPlot(), QWidget()
    column = QVBoxLayout(form)
    for plot in (fan, calibration):
        plot.setFixedHeight(300)
        column.addWidget(plot)
    area = FormScroll(form)
    qtbot.addWidget(area)
    area.resize(400, 320)
    with qtbot.waitExposed(area):
        area.show()
    bar = area.verticalScrollBar()
    for start, by in ((0, -120), (bar.maximum(), 120)):  # over the one, over the other
        bar.setValue(start)
        QApplication.processEvents()
        QTest.wheelEvent(area.windowHandle(), QPointF(200, 150), QPoint(0, by))
        QApplication.processEvents()
        assert bar.value() != start


@pytest.mark.parametrize(("low", "high"), [(-1.2, 1.7), (0.13, 0.14), (-30.0, 42.0)])
@pytest.mark.parametrize("width", [70, 120, 240, 500, 1100])
def test_numbers_below_a_plot_are_clear_of_one_another(low: float, high: float, width: int) -> None:
    axis = ValueAxis("bottom")
    ((spacing, values),) = axis.tickValues(low, high, width)
    texts = axis.tickStrings(values, 1.0, spacing)
    assert texts
    wide = QFontMetricsF(QApplication.font())
    for (one, a), (other, b) in pairwise(zip(values, texts, strict=True)):
        assert (other - one) / (high - low) * width >= (
            wide.horizontalAdvance(a) + wide.horizontalAdvance(b)) / 2


def test_a_run_that_goes_leaves_no_plot_waiting(
    qtbot: QtBot, opened: Opened, view: DistributionsView
) -> None:
    view.choose_cycle(2)
    qtbot.waitUntil(lambda: view.picture is not None and view.picture.cycle == 2)
    view.draw()  # once more, while plots wait
    assert sorted(view._waiting) == list(range(1 + len(view.fans)))
    opened.controller.show_run(None)
    assert not view._waiting
    assert not view._next.isActive()
    assert not view._pages.is_whole()
