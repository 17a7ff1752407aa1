"""Frontier: reward against what it cost, run against run and against the best of n."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import pointer
from helpers.window import DEFAULTS, PROMPTS, Opened, bare_controls, unexplained
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from workbench import algorithms
from workbench.dpo.declaration import DPO
from workbench.gui.frontier.reading import bands, read_picture
from workbench.gui.frontier.view import FrontierView
from workbench.gui.widgets.run_colours import run_colour, stroke
from workbench.gui.widgets.theme import themes
from workbench.learning.best_of_n import MOST, kl_bound
from workbench.learning.metrics import COMPARED, HELD_OUT, KL, SCORES, SECONDS, STEPS
from workbench.ppo.declaration import PPO
from workbench.records import BestOf
from workbench.store.records import CompletionRecord, Prompt
from workbench.store.store import Store
from workbench.training.commands import SampleBestOf, StopTrying
from workbench.training.events import (
    BestOfSampled,
    CommandRefused,
    CycleFinished,
    RunStarted,
    SamplingBestOf,
    SamplingBestOfFailed,
    State,
    StateChanged,
)


def record(store: Store, run_id: int, cycle: int, more: float = 0.0) -> None:
    written = [CompletionRecord(i, i, text, " a", 0.5, 0.3 * cycle + i, 5, True)
               for i, text in enumerate(PROMPTS)]
    store.record_cycle(
        run_id, cycle, rollout=[], comparison=written,
        metrics={SCORES: 0.1 * cycle + more, KL: 0.25 * cycle**2, COMPARED: 0.2 * cycle,
                 STEPS: 4.0, SECONDS: 1.5, **({HELD_OUT: 0.7} if cycle == 2 else {})}).result()


def fill(store: Store, cycles: int = 4, more: float = 0.0, algorithm: str = "ppo",
         **settings: object) -> int:
    run_id: int = store.create_run(
        name="", policy="/p", reward="/r", models={}, prompts=[Prompt(t) for t in PROMPTS],
        hyperparameters={**DEFAULTS, "batch_size": 8, **settings}, algorithm=algorithm).result()
    for cycle in range(1, cycles + 1):
        record(store, run_id, cycle, more)
    store.set_status(run_id, "finished").result()
    return run_id


def best(run_id: int, n: int = 4) -> BestOf:
    return BestOf(run_id, 0, "Start policy", 0, 9, tuple(0.1 * k for k in range(n)),
                  tuple(kl_bound(k) for k in range(1, n + 1)))


def show(qtbot: QtBot, opened: Opened, run_id: int, *ticked: int) -> FrontierView:
    window = opened.window
    window.resize(1280, 800)
    window.show()
    window.runs.refresh()
    opened.controller.show_run(run_id)
    window.runs.model.set_ticked(ticked)
    window.reveal("frontier")
    view = window.frontier
    qtbot.waitUntil(lambda: view.picture is not None and len(
        view.picture.tracks) == 1 + len(ticked) and view.plot.isVisible())
    return view


def place(view: FrontierView, x: float, y: float) -> QPoint:
    at = view.plot.getViewBox().mapViewToScene(QPointF(x, y))
    return view.plot.mapFromScene(at)


def test_points_are_what_the_store_has(store):
    run_id = fill(store)
    store.record_changes(run_id, 3, [("batch_size", 8, 20, "person")]).result()
    [track] = read_picture(store, run_id, [], "trained").tracks
    assert track.cycles.tolist() == [1, 2, 3, 4]
    assert track.reward == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert track.costs["kl"] == pytest.approx([0.25, 1, 2.25, 4])
    assert track.costs["root"] == pytest.approx([0.5, 1, 1.5, 2])
    assert track.costs["samples"] == pytest.approx([8, 16, 36, 56])
    assert track.costs["steps"] == pytest.approx([4, 8, 12, 16])
    assert track.costs["seconds"] == pytest.approx([1.5, 3, 4.5, 6])


def test_what_is_written_after_the_update_has_its_own_distance(store):
    run_id = fill(store)
    [compared] = read_picture(store, run_id, [], "compared").tracks
    assert compared.reward == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert compared.costs["kl"] == pytest.approx([1.3, 1.6, 1.9, 2.2])  # of three completions
    [held_out] = read_picture(store, run_id, [], "held out").tracks
    assert held_out.cycles.tolist() == [2]
    assert held_out.costs["kl"] == pytest.approx([1.6])
    assert held_out.costs["seconds"] == pytest.approx([3.0])


def test_an_estimate_below_zero_is_drawn_as_it_was_measured(qtbot, opened, store):
    run_id = fill(store, cycles=0)
    store.record_cycle(run_id, 1, rollout=[], comparison=[], metrics={
        SCORES: 0.1, KL: -0.182, STEPS: 4.0, SECONDS: 1.5}).result()
    (track,) = read_picture(store, run_id, (), "trained").tracks
    assert (track.costs["kl"].tolist(), track.costs["root"].tolist()) == ([-0.182], [0.0])
    view = show(qtbot, opened, run_id)
    assert "KL −0.182" in view.plot.accessibleDescription()
    (low, _), _ = view.plot.getViewBox().viewRange()
    assert low <= -0.182


def test_what_is_nothing_but_rounding_is_no_distance(qtbot, opened, store):
    run_id = fill(store, cycles=0)
    store.record_cycle(run_id, 1, rollout=[], comparison=[], metrics={
        SCORES: 0.1, KL: 4e-7, STEPS: 4.0, SECONDS: 1.5}).result()
    (track,) = read_picture(store, run_id, (), "trained").tracks
    assert track.costs["kl"].tolist() == track.costs["root"].tolist() == [0.0]
    view = show(qtbot, opened, run_id)
    (low, high), _ = view.plot.getViewBox().viewRange()
    assert low < 0 < 0.5 < high


def test_what_learns_from_pairs_draws_no_samples(store, monkeypatch):
    monkeypatch.setattr(algorithms, "ALGORITHMS", (PPO, DPO))
    run_id = fill(store, algorithm="dpo", **DPO.settings().model_dump())
    [track] = read_picture(store, run_id, [], "trained").tracks
    assert track.metric == COMPARED  # by which its runs are compared
    assert track.reward == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert track.costs["kl"] == pytest.approx([1.3, 1.6, 1.9, 2.2])  # of what is compared
    assert track.costs["samples"] == pytest.approx([0] * 4)


@pytest.mark.parametrize(("first", "then"), [(PPO, DPO), (DPO, PPO), (PPO, PPO), (DPO, DPO)])
def test_cycles_that_a_fork_shares_stand_where_those_of_its_parent_do(store, first, then):
    def begin(algorithm):
        return {**algorithm.settings().model_dump(), "batch_size": 8}
    parent = store.create_run(
        name="", policy="/p", reward="/r", models={}, prompts=[Prompt(t) for t in PROMPTS],
        hyperparameters=begin(first), algorithm=first.name).result()
    store.record_comparison(parent, 0, [
        CompletionRecord(i, i, text, " a", -0.4, 0.0, 5, True)
        for i, text in enumerate(PROMPTS)]).result()
    for cycle in (1, 2, 3):
        record(store, parent, cycle)
    other = {"algorithm": then.name} if then is not first else {}
    fork = store.fork_run(parent, 2, name="", hyperparameters=begin(then), changes=(),
                          **other).result()
    record(store, fork, 3)
    old, new = read_picture(store, parent, [fork], "compared").tracks
    assert (old.cycles.tolist(), new.cycles.tolist()) == ([0, 1, 2, 3], [0, 1, 2, 3])
    assert (new.reward[0], new.costs["kl"][0]) == (pytest.approx(-0.4), 0)
    for x, cost in old.costs.items():
        assert new.costs[x][:3] == pytest.approx(cost[:3])
    drawn = [0 if algorithm is DPO else 8 for algorithm in (first, first, then)]
    assert np.diff(new.costs["samples"]).tolist() == drawn
    # Drawn by what they are compared by, too.
    trained = read_picture(store, parent, [fork], "trained").tracks
    shared = [[(c, r, k) for c, r, k in zip(t.cycles, t.reward, t.costs["kl"], strict=True)
               if c <= 2] for t in trained]
    assert shared[0] == shared[1]


@pytest.mark.parametrize(("algorithm", "y", "of"), [
    ("ppo", "trained", "trained"), ("dpo", "trained", "compared"), ("ppo", "compared", "compared"),
    ("dpo", "held out", "held out")])
def test_the_prompts_of_the_reward_that_is_drawn_are_known(store, algorithm, y, of):
    assert read_picture(store, fill(store, algorithm=algorithm), [], y).of == of


def test_seeds_of_one_setting_make_a_band(store):
    first, second = fill(store, seed=1), fill(store, cycles=3, more=0.4, seed=2)
    fill(store, seed=1, learning_rate=1e-5)
    tracks = read_picture(store, first, [second, 3], "trained").tracks
    [band] = bands(tracks, "kl")
    assert band.runs == (first, second)
    assert band.costs == pytest.approx([0.25, 1, 2.25])  # the cycles of both
    assert band.least == pytest.approx([0.1, 0.2, 0.3])
    assert band.mean == pytest.approx([0.3, 0.4, 0.5])
    assert band.most == pytest.approx([0.5, 0.6, 0.7])


def test_the_best_of_n_is_of_the_same_models(store):
    run_id, other = fill(store), fill(store)
    assert read_picture(store, run_id, [other], "trained").best == ()
    store.record_best_of(best(other)).result()
    assert read_picture(store, run_id, [other], "trained").best == (best(other),)
    foreign = store.create_run(name="", policy="/q", reward="/r", models={}, prompts=[],
                               hyperparameters=DEFAULTS).result()
    assert read_picture(store, foreign, [other], "trained").best == ()


def test_runs_are_drawn_in_their_colours_and_read_off(qtbot, opened, store):
    first, second = fill(store), fill(store, more=0.3)
    store.record_best_of(best(first)).result()
    view = show(qtbot, opened, first, second)
    plot = view.plot
    for line, run_id in zip(plot._lines, (first, second), strict=False):
        assert line.opts["pen"].color() == QColor(run_colour(run_id, themes().theme))
    assert plot._lines[1].yData == pytest.approx([0.4, 0.5, 0.6, 0.7])
    assert plot._best[0].xData == pytest.approx([kl_bound(n) for n in (1, 2, 3, 4)])
    assert plot._best[0].opts["pen"].style() == Qt.PenStyle.DashLine
    assert "Best of n, start policy" in view._legend.text()
    # The legend has each run's own stroke, as colours alone come again.
    for run_id in (first, second):
        assert f"{stroke(run_id, themes().theme)}&nbsp;Run&nbsp;" in view._legend.text()
    pointer.move(plot.viewport(), place(view, 1.0, 0.5))
    assert view._said.text() == (
        "Run 2, cycle 2: training reward 0.50; KL 1, 16 samples, 8 steps, 0:03")
    pointer.move(plot.viewport(), place(view, kl_bound(3), 0.2))
    assert view._said.text().startswith("Best of 3 (Start policy, 9 prompts): reward 0.20 at a KL")
    QApplication.sendEvent(plot, QEvent(QEvent.Type.Leave))
    assert view._said.text().startswith("Point at a cycle")


def test_the_axis_has_no_factor_beside_its_unit(qtbot, opened, store):
    run_id = fill(store, cycles=1)  # a KL of 0.25
    view = show(qtbot, opened, run_id)
    axis = view.plot.getAxis("bottom")
    opened.window.resize(1280, 1400)
    qtbot.waitUntil(axis.label.isVisible)
    view.plot.getViewBox().setXRange(0, 0.3)
    qtbot.waitUntil(lambda: axis.range[1] < 1)
    assert "(x" not in axis.labelString()
    assert "nats" in axis.labelString()


def test_against_samples_the_best_of_n_is_a_height(qtbot, opened, store):
    run_id = fill(store)
    store.record_best_of(best(run_id)).result()
    view = show(qtbot, opened, run_id)
    view.controls.costs.setCurrentText("Samples drawn")
    assert view.plot._best[0].xData == pytest.approx([0, 32])
    assert view.plot._best[0].yData == pytest.approx([0.3, 0.3])
    assert view.plot._lines[0].xData == pytest.approx([8, 16, 24, 32])
    view.controls.costs.setCurrentText("√KL to start policy")
    assert view.plot._lines[0].xData == pytest.approx([0.5, 1, 1.5, 2])
    assert view.plot._best[0].xData == pytest.approx(
        np.sqrt([kl_bound(n) for n in (1, 2, 3, 4)]))


def test_a_click_goes_to_the_cycle_also_of_another_run(qtbot, opened, store):
    first, second = fill(store), fill(store, more=0.3)
    view = show(qtbot, opened, first, second)
    with qtbot.waitSignal(view.cycle_chosen) as told:
        qtbot.mouseClick(view.plot.viewport(), Qt.MouseButton.LeftButton,
                         pos=place(view, 1.0, 0.2))
    assert told.args == [2]
    assert opened.window.distributions.wanted == 2
    assert view.plot.cycle == 2
    qtbot.keyClick(view.plot, Qt.Key.Key_Right)
    assert (view.wanted, view.plot.cycle) == (3, 3)
    qtbot.keyClick(view.plot, Qt.Key.Key_Home)
    assert view.wanted == 1
    qtbot.keyClick(view.plot, Qt.Key.Key_End)
    assert view.wanted == 4
    assert view._said.text().startswith("Run 1, cycle 4")
    qtbot.mouseClick(view.plot.viewport(), Qt.MouseButton.LeftButton, pos=place(view, 2.25, 0.6))
    assert (view.run_id, view.wanted) == (second, 3)
    qtbot.waitUntil(lambda: view.picture is not None and view.plot.cycle == 3)


def test_a_band_keeps_the_line_of_the_run_on_display(qtbot, opened, store):
    first, second = fill(store, seed=1), fill(store, more=0.4, seed=2)
    view = show(qtbot, opened, first, second)
    view.controls.band.setChecked(True)
    assert [line.isVisible() for line in view.plot._lines] == [True, False, True]
    assert view.plot._lines[2].yData == pytest.approx([0.3, 0.4, 0.5, 0.6])
    assert view.plot._areas[0].isVisible()
    assert "Run&nbsp;1&nbsp;and&nbsp;another&nbsp;seed" in view._legend.text()
    view.controls.band.setChecked(False)
    assert [line.isVisible() for line in view.plot._lines] == [True, True, False]
    assert not view.plot._areas[0].isVisible()


def test_a_new_cycle_of_any_run_that_is_drawn_comes_in(qtbot, opened, store):
    first, second = fill(store), fill(store)
    view = show(qtbot, opened, first, second)
    record(store, second, 5)
    view.cycle_available(second)
    qtbot.waitUntil(lambda: len(view.picture.tracks[1].cycles) == 5)


def test_the_best_of_n_is_asked_for_and_drawn(qtbot, opened, store):
    run_id = fill(store)
    view = show(qtbot, opened, run_id)
    opened.controller.handle([StateChanged(State.READY)])
    view.controls.n.setValue(8)
    qtbot.mouseClick(view.controls.button, Qt.MouseButton.LeftButton)
    assert opened.sent[-1] == SampleBestOf(1, run_id, 0, 8)
    assert view.controls.button.text() == "Stop"
    opened.controller.handle([SamplingBestOf(1, 128, 512)])
    assert view._said.text() == "Sampling the best of n: 25\N{NO-BREAK SPACE}% of 512 completions"
    qtbot.mouseClick(view.controls.button, Qt.MouseButton.LeftButton)
    assert opened.sent[-1] == StopTrying()
    opened.controller.handle([SamplingBestOfFailed(1)])
    assert view.controls.button.text() == "Best of n"
    view.controls.source.setCurrentText("Last checkpoint")
    view.sample_best_of()
    assert opened.sent[-1] == SampleBestOf(2, run_id, None, 8)
    # It is of the prompts that the drawn reward is of.
    view.controls.rewards.setCurrentText("Compared reward")
    opened.controller.handle([SamplingBestOfFailed(2)])
    qtbot.waitUntil(lambda: view.picture.of == "compared")
    view.sample_best_of()
    assert opened.sent[-1] == SampleBestOf(3, run_id, None, 8, of="compared")
    view.controls.rewards.setCurrentText("Reward")
    opened.controller.handle([SamplingBestOfFailed(3)])
    qtbot.waitUntil(lambda: view.picture.of == "trained")
    view.sample_best_of()
    store.record_best_of(best(run_id)).result()
    opened.controller.handle([BestOfSampled(4, best(run_id))])
    qtbot.waitUntil(lambda: len(view.picture.best) == 1)
    # An earlier version sampled it, and did not say which prompts.
    assert "(9 prompts; the runs&#x27; reward is of training prompts" in view._legend.text()
    store.record_best_of(replace(best(run_id), of="trained")).result()
    view.load_now()
    qtbot.waitUntil(lambda: view.picture.best[0].of == "trained")
    assert view._legend.text().endswith("Best of n, start policy (9 training prompts)")
    view.sample_best_of()
    opened.controller.handle([CommandRefused("SampleBestOf", "There is no run 9.")])
    assert view.controls.button.isEnabled()
    view.sample_best_of()
    with qtbot.waitSignal(view.message) as told:
        opened.controller.handle([SamplingBestOfFailed(6, "The reward failed.")])
    assert told.args == ["warning", "The reward failed."]


def test_while_a_run_runs_the_button_says_what_to_do(qtbot, opened, store):
    view = show(qtbot, opened, fill(store))
    opened.controller.handle([StateChanged(State.RUNNING)])
    assert not view.controls.button.isEnabled()
    assert "Pause first" in view.controls.button.toolTip()
    assert unexplained(view) == []
    assert bare_controls(view) == []


def test_where_there_is_nothing_it_says_why(qtbot, opened, store):
    window = opened.window
    window.show()
    window.reveal("frontier")
    view = window.frontier
    assert view._pages.empty.text().startswith("Press Start")
    assert "choose one in Runs" in view.controls.button.toolTip()
    run_id = fill(store, cycles=1)
    opened.controller.show_run(run_id)
    qtbot.waitUntil(lambda: view.picture is not None)
    view.controls.rewards.setCurrentText("Held-out reward")
    qtbot.waitUntil(lambda: view._pages.empty.text().startswith("No prompts are held out"))


def test_what_was_chosen_is_remembered(qtbot, opened, store):
    view = show(qtbot, opened, fill(store))
    view.controls.costs.setCurrentText("Time")
    view.controls.rewards.setCurrentText("Compared reward")
    view.controls.band.setChecked(True)
    view.controls.n.setValue(32)
    saved = view.save_state()
    fresh = FrontierView(store, opened.background)
    qtbot.addWidget(fresh)
    fresh.restore_state(saved)
    assert (fresh.controls.cost, fresh.controls.reward) == ("seconds", "compared")
    assert fresh.save_state() == saved
    fresh.restore_state({"x": 3, "y": [], "n": "many"})  # what is no choice changes nothing
    assert fresh.controls.n.value() == 32


def test_a_finished_cycle_keeps_what_is_shown_of_the_one_chosen(qtbot, opened, store):
    run_id = fill(store)
    view = show(qtbot, opened, run_id)
    view.choose_cycle(2)
    record(store, run_id, 5)
    opened.controller.handle([CycleFinished(run_id, 5, 9, {})])
    qtbot.waitUntil(lambda: len(view.picture.tracks[0].cycles) == 5)
    assert view.plot.cycle == 2


def test_of_a_larger_n_as_many_as_can_be_are_taken_and_that_is_said(qtbot, opened, store):
    view = show(qtbot, opened, fill(store))
    field = view.controls.n
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, "100")
    assert field.text() == "100"
    with qtbot.waitSignal(view.message) as told:
        qtbot.keyClick(field, Qt.Key.Key_Return)
    assert field.value() == MOST
    assert told.args == ["info", f"n is {MOST}, the most completions of a prompt that are written."]


def test_a_run_that_another_reward_scores_is_named_and_not_drawn(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    first, other = fill(store), fill(store)
    third = store.create_run(
        name="Third", policy="/p", reward="/kindness", models={}, algorithm="ppo",
        prompts=[Prompt(t) for t in PROMPTS], hyperparameters=DEFAULTS).result()
    record(store, third, 1)
    view = show(qtbot, opened, first, other)
    opened.window.runs.model.set_ticked({other, third})
    qtbot.waitUntil(lambda: view.picture is not None and bool(view.picture.left_out))
    assert [track.run_id for track in view.plot.tracks] == [first, other]
    assert "another reward scores it: Third (kindness)" in view._legend.text()
    opened.window.reveal("metrics")
    metrics = opened.window.metrics
    qtbot.waitUntil(lambda: len(metrics._others) == 2)
    metrics.repaint_now()
    named = {run.name: run.full_name for run in metrics._others}
    assert named["Third"] == "Third (scored by another reward, kindness)"
    assert named[store.run(other).name] == store.run(other).name


def test_what_nobody_ticked_is_unticked_when_another_run_starts(
    opened: Opened, store: Store
) -> None:
    mine, parent, third = fill(store), fill(store), fill(store)
    opened.window.runs.refresh()
    model = opened.window.runs.model
    model.set_ticked({mine})
    model.lend_ticks([parent, mine])
    assert model.ticks == {mine, parent}
    opened.window.runs.restore_state(opened.window.runs.save_state())
    assert model.ticks == {mine, parent}
    opened.controller.handle([
        RunStarted(third, "Run 3", "ppo", DEFAULTS), StateChanged(State.RUNNING)])
    assert model.ticks == {mine}
