"""Every view shows every way to learn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.client import Client
from helpers.folders import save_policy, save_reward
from helpers.short_runs import WAYS, start_of
from helpers.window import Opened, as_plain, bare_controls
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from workbench.algorithms import algorithm_of_run, find_metric
from workbench.formatting import number
from workbench.gui.distributions.fan import of_quantiles
from workbench.gui.frontier.reading import read_picture as read_frontier
from workbench.gui.guide.results import read_results
from workbench.gui.guide.scene import read_scene
from workbench.learning.metrics import COMPARED
from workbench.ppo.declaration import PPO
from workbench.reward_training.declaration import REWARD
from workbench.store.quantiles import quantiles
from workbench.store.store import Store
from workbench.training.commands import LoadModels
from workbench.training.events import State


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a short run of every way to learn, in their order."""
    base = tmp_path_factory.mktemp("every")
    store = Store(base / "home")
    client = Client(store)
    client.send(LoadModels(str(save_policy(base / "policy")), str(save_reward(base / "reward"))))
    client.wait_for(State.READY)
    for way in WAYS:
        client.send(start_of(way))
        client.wait_for(State.FINISHED)
    client.close()
    store.close()
    return base / "home"


@pytest.fixture
def opened_on(trained: Path, qtbot: QtBot) -> Iterator[Opened]:
    store = Store(trained)
    window = Opened(store)
    with qtbot.waitExposed(window.window):
        window.window.show()
    yield window
    window.close()
    store.close()


@pytest.mark.parametrize("way", WAYS)
def test_every_view_is_painted(qtbot: QtBot, opened_on: Opened, way: str) -> None:
    window = opened_on.window
    run = next(r for r in window.runs.model.runs if r.id == 1 + list(WAYS).index(way))
    opened_on.controller.show_run(run.id)
    algorithm = algorithm_of_run(run)
    if algorithm.tokens is not None:
        window.reveal("tokens")
        qtbot.waitUntil(lambda: len(window.tokens.model.steps) > 0)
    for name in window.docks:
        window.reveal(name)
        QApplication.processEvents()
        window.grab()  # an error in painting fails the test
    window.reveal("distributions")
    qtbot.waitUntil(lambda: len(window.distributions.fans) > 0)
    assert all("Nothing is known" not in fan.said.text() for fan in window.distributions.fans)
    window.grab()
    kept = window.tokens.store.traces(run.id, run.cycles)[0]
    if kept.likeliest is not None:
        window.reveal("chances")
        qtbot.waitUntil(lambda: len(window.chances.bars.picture.rows) > 0)
        window.grab()


@pytest.mark.parametrize("way", ["DPO", "KTO", "ILQL"])
def test_what_was_learned_from_is_on_the_curve_of_its_loss(
    qtbot: QtBot, opened_on: Opened, way: str
) -> None:
    window, run_id = opened_on.window, 1 + list(WAYS).index(way)
    opened_on.controller.show_run(run_id)
    window.reveal("objective")
    view = window.objective
    qtbot.waitUntil(lambda: view.picture is not None and view.picture.run_id == run_id)
    assert view.picture is not None
    items = view.picture.items
    assert items is not None
    assert not view.curve.isHidden()
    assert view.region.isHidden()
    assert view.edge.isHidden()
    drawn = sum(np.asarray(bars.opts["y1"]) - np.asarray(bars.opts["y0"])
                for bars in view.curve.counts)
    assert np.sum(drawn) == len(items.x)
    assert view.said_label.text() == view.curve.accessibleDescription()
    assert view.said_label.text()[0].isdigit()
    assert bare_controls(view) == []
    spot = view.curve.dots.points()[0]
    with qtbot.waitSignal(view.token_wanted) as told:
        view.curve.dots.sigClicked.emit(view.curve.dots, [spot], None)
    assert told.args == [3, *items.places[int(spot.data())]]
    window.docks["objective"].setFloating(True)
    window.docks["objective"].resize(600, 240)
    qtbot.waitUntil(lambda: view.curve._lower not in view.curve.ci.items)


def test_what_has_a_single_loss_says_where_it_is_drawn(qtbot: QtBot, opened_on: Opened) -> None:
    window = opened_on.window
    opened_on.controller.show_run(1 + list(WAYS).index("Reward model"))
    window.reveal("objective")
    qtbot.waitUntil(lambda: "in Metrics" in window.objective._pages.empty.text())


@pytest.mark.parametrize("way", ["DPO", "KTO", "Reward model"])
def test_what_is_added_up_word_by_word_ends_at_its_total(
    qtbot: QtBot, opened_on: Opened, way: str
) -> None:
    window, run_id = opened_on.window, 1 + list(WAYS).index(way)
    opened_on.controller.show_run(run_id)
    window.reveal("tokens")
    qtbot.waitUntil(lambda: len(window.tokens.model.steps) > 0)
    figures = window.tokens.line.figures
    assert figures.sums
    assert math.isnan(figures.gap)  # nothing was missed, and nothing is hatched
    points = np.array([*figures.estimates, figures.end])
    shares = np.array(figures.bars)
    known = np.isfinite(shares)
    assert np.diff(points)[known] == pytest.approx(shares[known], abs=1e-5)
    assert shares[known].any()
    guide = algorithm_of_run(window.runs.model.runs[0]).guide
    assert guide is not None
    scene = read_scene(window.tokens.store, run_id, guide.cards)
    assert scene is not None
    assert scene.estimates is not None
    assert scene.estimates.values[-1] == scene.estimates.end
    assert scene.estimates.flag == ("score " if way == "Reward model" else "implicit reward ") + (
        number(scene.estimates.end))


@pytest.mark.parametrize("way", ["DPO", "KTO", "Reward model"])
def test_a_number_of_whole_completions_has_a_histogram(
    qtbot: QtBot, opened_on: Opened, way: str
) -> None:
    window, run_id = opened_on.window, 1 + list(WAYS).index(way)
    opened_on.controller.show_run(run_id)
    window.reveal("distributions")
    view = window.distributions
    qtbot.waitUntil(lambda: view.picture is not None and view.picture.run_id == run_id
                    and not view._waiting and len(view.fans) == len(view.picture.spreads))
    for fan in view.fans:
        assert np.sum(fan.plot.bars.opts["x1"]) > 0
        assert "its single numbers are not kept" in as_plain(fan.plot._beside.toolTip())


def test_numbers_are_spread_as_their_quantiles() -> None:
    numbers = np.random.default_rng(1).normal(size=5000)
    drawn = of_quantiles(quantiles(numbers))
    assert quantiles(drawn)[1:-1] == pytest.approx(quantiles(numbers)[1:-1], abs=0.02)


def test_runs_of_several_ways_say_which_and_are_compared_by_the_same(opened_on: Opened) -> None:
    model = opened_on.window.runs.model
    named = {run.id: model.index(row, 0).data() for row, run in enumerate(model.runs)}
    numbers = {run.id: model.index(row, 1) for row, run in enumerate(model.runs)}
    store = opened_on.window.tokens.store
    for run_id, way in enumerate(WAYS, 1):
        assert named[run_id] == f"Run {run_id} · {way}"
        metric = find_metric(COMPARED if way != "Reward model" else REWARD.headline)
        found = store.metrics(run_id, [metric.name]).get(metric.name)
        if found is None:
            assert numbers[run_id].data() == "–"
            continue
        own = "right " if way == "Reward model" else ""
        # What is compared begins at the start policy.
        begun = found.values[0] if own else np.mean(
            [c.score for c in store.completions(run_id, 0, "comparison")])
        # The first number is left out where the list is narrow; the tip has both.
        last = f"→ {metric.text(found.values[-1])}"
        assert numbers[run_id].data().startswith(own)
        assert numbers[run_id].data().endswith(last)
        assert f": {metric.text(begun)} {last}" in numbers[run_id].data(
            Qt.ItemDataRole.ToolTipRole)
    assert model.headerData(1, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole) == (
        "Compared\nreward")
    assert model.index(0, 0).data(Qt.ItemDataRole.EditRole) == "Run 6"


def test_the_frontier_of_several_ways_has_one_reward_from_the_start_policy_on(
    opened_on: Opened
) -> None:
    store = opened_on.window.tokens.store
    picture = read_frontier(store, 1, [2, 3], "trained")
    assert [track.metric for track in picture.tracks] == [COMPARED] * 3
    assert [track.name for track in picture.tracks] == [
        "Run 1 · PPO", "Run 2 · GRPO", "Run 3 · DPO"]
    for track in picture.tracks:
        assert track.cycles.tolist() == [0, 1, 2, 3]
        assert [cost[0] for cost in track.costs.values()] == [0] * len(track.costs)
        assert track.reward[0] == pytest.approx(
            np.mean([c.score for c in store.completions(track.run_id, 0, "comparison")]))
    # Runs of one way go on being drawn by what they are trained on.
    (alone,) = read_frontier(store, 1, [], "trained").tracks
    assert (alone.metric, alone.name) == (PPO.headline, "Run 1")


@pytest.mark.parametrize("way", ["DPO", "KTO"])
def test_what_keeps_no_likeliest_tokens_says_so_and_what_can_be_done(
    qtbot: QtBot, opened_on: Opened, way: str
) -> None:
    window, run_id = opened_on.window, 1 + list(WAYS).index(way)
    opened_on.controller.show_run(run_id)
    window.reveal("tokens")
    qtbot.waitUntil(lambda: len(window.tokens.model.steps) > 0)
    window.reveal("chances")
    said = window.chances._said
    qtbot.waitUntil(lambda: said.text().startswith(f"{way} keeps no likeliest tokens"))
    assert not window.chances.whole.isEnabled()
    assert "by a policy in memory: " in said.text()
    assert "then the slider" not in said.text()


@pytest.mark.parametrize("way", list(WAYS))
def test_siblings_are_offered_where_there_can_be_some(opened_on: Opened, way: str) -> None:
    opened_on.window.paths.choose_mode("siblings")
    opened_on.controller.show_run(1 + list(WAYS).index(way))
    button = opened_on.window.paths._modes["siblings"]
    assert button.isEnabled() == (way in ("PPO", "GRPO"))
    if not button.isEnabled():
        assert opened_on.window.paths.shows() == "token"
        assert f"{way} learns from no completions of its own" in as_plain(button.toolTip())


def test_the_summary_of_a_reward_model_is_of_the_judge(opened_on: Opened) -> None:
    store, run_id = opened_on.window.tokens.store, 1 + list(WAYS).index("Reward model")
    results = read_results(store, run_id)
    assert results is not None
    metric = find_metric(REWARD.headline)
    series = store.metrics(run_id, [metric.name, metric.of])
    if metric.name in series:
        first, last = (metric.text(series[metric.name].values[i]) for i in (0, -1))
        assert results.made == (
            f"{metric.label}: {first} → {last} of {series[metric.of].values[-1]:.0f}")
    summary = opened_on.window.guide.summary
    summary.show_results(results)
    assert ("The policy stays as it is" in summary._gain.text()) == bool(results.made)
    policy = read_results(store, 1)
    assert policy is not None
    assert policy.made == ""


def test_the_curve_has_as_much_room_as_the_bars_after_a_run_of_ppo(
    qtbot: QtBot, opened_on: Opened
) -> None:
    window = opened_on.window
    window.docks["objective"].setFloating(True)
    window.docks["objective"].resize(900, 500)
    view = window.objective
    for way in ("PPO", "DPO", "PPO", "KTO"):
        run_id = 1 + list(WAYS).index(way)
        opened_on.controller.show_run(run_id)
        window.reveal("objective")
        qtbot.waitUntil(lambda run_id=run_id: (
            view.picture is not None and view.picture.run_id == run_id and view.isVisible()))
        QApplication.processEvents()
        beside = view.region if way == "PPO" else view.curve
        assert abs(view.bars.width() - beside.width()) <= 2


def test_a_run_that_trains_no_policy_has_no_frontier_and_says_why(
    qtbot: QtBot, opened_on: Opened
) -> None:
    window = opened_on.window
    window.runs.model.set_ticked(())
    opened_on.controller.show_run(1 + list(WAYS).index("Reward model"))
    window.reveal("frontier")
    empty = window.frontier._pages.empty
    qtbot.waitUntil(lambda: empty.text().startswith("This run makes a reward model"))
    assert empty.isVisible()
