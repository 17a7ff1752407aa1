"""Chances: what could stand at a token, in the numbers that the store and the policy have."""

import math
import re

import numpy as np
import pytest
from helpers import pointer
from helpers.reinforce import REINFORCE, add_reinforce
from helpers.window import DEFAULTS, PROMPTS, as_plain, ready
from PySide6.QtCore import Qt

from workbench.gui.chances.bars import say_row
from workbench.gui.chances.reading import ROWS, Whole, entropy_of, tempered
from workbench.ppo.declaration import PPO
from workbench.records import Distribution, Likeliest, TokenTrace
from workbench.store.records import CompletionRecord, Prompt
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

PIECES = {3: " bad", 7: " good", 9: " fine", 11: " odd"}
BEFORE = np.log(np.array([[0.5, 0.2, 0.1, 0.05], [0.4, 0.3, 0.1, 0.3]], np.float32))
START = np.log(np.array([[0.6, 0.1, 0.1, 0.05], [0.4, 0.3, 0.1, 0.3]], np.float32))
AFTER = np.log(np.array([[0.4, 0.3, 0.1, 0.08], [0.4, 0.3, 0.1, 0.3]], np.float32))
LIKELIEST = Likeliest(  # of the first token the drawn one is not among the likeliest
    np.array([[3, 7, 9, 11], [3, 7, 9, 7]], np.int32), PIECES,
    {"start": START, "before": BEFORE, "after": AFTER})
ENTROPY = 1.3


def trace(likeliest=LIKELIEST):
    return TokenTrace(0, 0, np.array([11, 7], np.int32), (" odd", " good"),
                      {"entropy": np.full(2, ENTROPY, np.float32)}, likeliest)


def fill(store, likeliest=LIKELIEST, algorithm="ppo", **settings):
    """Return a run of three cycles, which have one completion with tokens each."""
    run_id = store.create_run(
        name="", policy="p", reward="r", models={}, algorithm=algorithm,
        hyperparameters={**DEFAULTS, "entropy_coef": 0.02, **settings},
        prompts=[Prompt(PROMPTS[0])]).result()
    for cycle in (1, 2, 3):
        store.record_cycle(
            run_id, cycle, rollout=[CompletionRecord(
                0, 0, PROMPTS[0], " odd good", 1.9, 0.0, 2, True)],
            metrics={"policy/entropy_avg": 1.0 / cycle, "objective/entropy": 9.0,
                     "objective/distinct_2": 0.5, "objective/repetition": math.nan},
            comparison=[], traces=[trace(likeliest)], keep_traces=9).result()
    return run_id


def shown(qtbot, opened, run_id, at=0, cycle=2):
    ready(opened)
    opened.window.resize(1280, 800)
    opened.window.reveal("chances")
    qtbot.waitUntil(lambda: not opened.window.chances.visibleRegion().isEmpty())
    opened.window.chances.show_place(run_id, cycle, 0, at)
    return opened.window.chances


def test_what_values_make_of_chances_has_bars_too(qtbot, opened, store):
    found = Likeliest(LIKELIEST.tokens, PIECES, {"before": BEFORE, "steered": AFTER})
    view = shown(qtbot, opened, fill(store, found, "ilql"))
    qtbot.waitUntil(lambda: bool(view.bars.picture.rows))
    picture = view.bars.picture
    assert picture.marks == ("Policy alone", "With values")
    assert picture.rows[0].chances == pytest.approx((0.5, 0.4))
    assert say_row(picture.rows[0], picture) == (
        "“bad”: policy alone 50\N{NO-BREAK SPACE}%; with values 40\N{NO-BREAK SPACE}%.")


def distribution(run_id, at=0, seed=0, vocabulary=60):
    numbers = np.random.default_rng(seed)
    logprobs, start = (tempered(3 * numbers.normal(size=vocabulary), 1).astype(np.float32)
                       for _ in range(2))
    named = {*np.argsort(-logprobs)[:12], *np.argsort(-start)[:12], 11}
    return Distribution(run_id, 2, 0, at, "Run 1 after cycle 3", 11, logprobs, start,
                        {int(i): f" t{i}" for i in named})


def test_before_a_token_is_chosen_it_says_what_it_is_for(opened):
    opened.window.reveal("chances")
    view = opened.window.chances
    assert view._empty.isVisible()
    assert "Choose a token in Tokens" in view._empty.text()


def test_the_bars_are_what_the_store_has(qtbot, opened, store):
    view = shown(qtbot, opened, fill(store))
    assert view._where.text() == "Cycle 2, in place of “odd” right after the prompt"
    picture = view.bars.picture
    assert picture.marks == ("Start policy", "Before the update", "After it")
    assert [row.piece for row in picture.rows] == [" bad", " good", " fine", " odd", None]
    assert [row.drawn for row in picture.rows] == [False, False, False, True, False]
    for column, row in enumerate(picture.rows[:4]):
        assert row.chances == pytest.approx(
            [math.exp(by[0, column]) for by in (START, BEFORE, AFTER)])
    assert picture.rows[4].chances == pytest.approx([0.15, 0.15, 0.12], abs=1e-6)
    # A chance of 1 would fill the track, whatever the row.
    left, right = view.bars._track()
    for row in range(5):
        for mark in range(3):
            assert view.bars.bar(row, mark).width() == pytest.approx(
                (right - left) * picture.rows[row].chances[mark])
    # The second token is among the likeliest; it has one row.
    view.show_place(view._place[0], 2, 0, 1)
    assert [(r.piece, r.drawn) for r in view.bars.picture.rows] == [
        (" bad", False), (" good", True), (" fine", False), (None, False)]
    assert view._where.text() == "Cycle 2, in place of “good” after … odd"


def test_the_arrows_are_what_the_entropy_term_pushes(qtbot, opened, store):
    view = shown(qtbot, opened, fill(store))
    rows = view.bars.picture.rows
    chances = np.exp(BEFORE[0].astype(float))
    expected = -0.02 * chances * (np.log(chances) + ENTROPY)
    assert [row.push for row in rows[:4]] == pytest.approx(expected, rel=1e-5)
    assert rows[4].push == pytest.approx(-expected.sum(), rel=1e-5)  # they add up to 0
    lengths = [view.bars.arrow(row) for row in range(5)]
    assert [length > 0 for length in lengths] == [False, True, True, True, True]
    assert max(map(abs, lengths)) == -lengths[0]  # the largest push has the longest
    assert "c₂ = 0.02" in view._idea.text()


def test_without_an_entropy_term_there_are_no_arrows(qtbot, opened, store, monkeypatch):
    view = shown(qtbot, opened, fill(store, entropy_coef=0.0))
    assert not view.bars.picture.pushes
    assert view._idea.text().endswith("it is off in this cycle (c₂ = 0).")
    add_reinforce(monkeypatch)
    view.show_place(fill(store, algorithm="reinforce"), 2, 0, 0)
    assert REINFORCE.entropy is None
    assert not view.bars.picture.pushes
    assert [row.piece for row in view.bars.picture.rows][-2:] == [" odd", None]
    assert view._idea.text() == (
        "Temperature changes how a token is drawn and leaves the policy as it is.")
    assert [line.of_metric.name for line in view.lines] == [
        "objective/entropy", "objective/distinct_2", "objective/repetition"]
    for row in range(len(view.bars.picture.rows)):
        assert view.bars.arrow(row) == 0
    assert not view.bars.grab().isNull()


def test_the_whole_distribution_is_reshaped_by_the_slider_and_nothing_else_is(
    qtbot, opened, store
):
    run_id = fill(store)
    view = shown(qtbot, opened, run_id)
    assert not view.slider.isEnabled()
    assert "press Whole distribution first" in as_plain(view.slider.toolTip())
    qtbot.mouseClick(view.whole, Qt.MouseButton.LeftButton)
    assert opened.sent[-1] == do.ReadDistribution(1, run_id, 2, 0, 0)
    assert view._said.text() == "Reading…"
    found = distribution(run_id)
    opened.controller.handle([ev.DistributionRead(1, found)])
    assert view.slider.isEnabled()
    assert view.slider.value() == 100
    pushes = [row.push for row in view.bars.picture.rows]
    sent = len(opened.sent)
    ids = np.argsort(-found.logprobs)[:ROWS].tolist()
    for value in (10, 40, 100, 300):
        view.slider.setValue(value)
        picture = view.bars.picture
        assert picture.marks == ("Start policy", "Run 1 after cycle 3")
        assert [r.piece for r in picture.rows] == [*(f" t{i}" for i in ids), " t11", None]
        for mark, logprobs in enumerate((found.start, found.logprobs)):
            scaled = np.exp(logprobs.astype(float) / (value / 100))
            whole = scaled / scaled.sum()
            assert [r.chances[mark] for r in picture.rows[:-1]] == pytest.approx(
                whole[[*ids, 11]], abs=1e-12)
            assert sum(r.chances[mark] for r in picture.rows) == pytest.approx(1)
        assert [r.push for r in picture.rows] == pushes
        assert picture.reshaped == pytest.approx(-(whole * np.log(whole)).sum(), rel=1e-6)
        before, *after = re.findall(r"[\d.]+ nats", view._said.text())
        assert before == f"{picture.entropy:.2f} nats"
        assert after == ([] if value == 100 else [f"{picture.reshaped:.2f} nats"])
    assert len(opened.sent) == sent
    # What is kept comes back, and the slider to the temperature that the run samples at.
    view.whole.click()
    assert view.bars.picture.marks[1] == "Before the update"
    assert view.slider.value() == 100
    assert not view.slider.isEnabled()


@pytest.mark.parametrize("temperature", [0.1, 0.73, 1.0, 3.0])
def test_a_temperature_is_the_softmax_of_the_logits_divided_by_it(temperature):
    logits = 5 * np.random.default_rng(1).normal(size=2000)
    logprobs = logits - np.log(np.exp(logits).sum())
    expected = np.exp(logits / temperature) / np.exp(logits / temperature).sum()
    np.testing.assert_allclose(np.exp(tempered(logprobs, temperature)), expected, rtol=1e-10)
    assert entropy_of(tempered(logprobs, temperature)) == pytest.approx(
        -(expected * np.log(expected)).sum(), rel=1e-10)


def test_a_whole_distribution_is_pushed_as_it_is_sampled():
    # At temperature 0.5 the update sees another distribution than the policy's own.
    found, settings = distribution(1), {"temperature": 0.5, "entropy_coef": 0.1}
    picture = Whole(found, PPO.entropy, settings, 1).at(2.0)
    sampled = tempered(found.logprobs, 0.5)
    assert picture.entropy == entropy_of(sampled)
    row = picture.rows[0]
    top = sampled.max()
    assert row.push == pytest.approx(-0.1 * math.exp(top) * (top + picture.entropy))
    assert sum(r.push for r in picture.rows) == pytest.approx(0, abs=1e-12)


def test_it_is_read_anew_at_every_place_as_long_as_it_can_be(qtbot, opened, store):
    run_id = fill(store)
    view = shown(qtbot, opened, run_id)
    view.whole.click()
    view.show_place(run_id, 2, 0, 1)
    assert opened.sent[-1] == do.ReadDistribution(2, run_id, 2, 0, 1)
    opened.controller.handle([ev.DistributionRead(1, distribution(run_id))])  # too late
    assert view._said.text() == "Reading…"
    opened.controller.handle([ev.DistributionRead(2, distribution(run_id, at=1))])
    assert view.slider.isEnabled()
    view.slider.setValue(150)
    view.show_place(run_id, 2, 0, 1)  # more may be known of it
    opened.controller.handle([ev.DistributionRead(3, distribution(run_id, at=1))])
    assert view.slider.value() == 150
    # A run that goes on changes the policy; what is kept is shown meanwhile.
    opened.controller.handle([ev.StateChanged(State.RUNNING)])
    sent = len(opened.sent)
    assert not view.slider.isEnabled()
    assert not view.whole.isEnabled()
    assert "Pause first" in as_plain(view.whole.toolTip())
    assert view.bars.picture.marks[1] == "Before the update"
    view.show_place(run_id, 2, 0, 0)
    assert len(opened.sent) == sent
    opened.controller.handle([ev.StateChanged(State.PAUSED)])
    assert opened.sent[-1] == do.ReadDistribution(4, run_id, 2, 0, 0)


def test_failures_are_told(qtbot, opened, store):
    view = shown(qtbot, opened, fill(store))
    view.whole.click()
    opened.controller.handle([ev.ReadingDistributionFailed(1, "It cannot be.")])
    assert opened.window.toast.text == "It cannot be."
    assert not view.whole.isChecked()
    view.whole.click()
    opened.controller.handle([ev.CommandRefused("ReadDistribution", "Pause first.")])
    assert not view.whole.isChecked()
    assert view.bars.picture.rows


def test_what_is_not_kept_says_so(qtbot, opened, store):
    view = shown(qtbot, opened, fill(store, likeliest=None))
    assert view._said.text().startswith("The likeliest tokens of this cycle were not kept. ")
    assert not view.bars.isVisible()
    view.show_place(view._place[0], 9, 0, 0)
    assert "are not kept any more" in view._said.text()
    assert view._where.text() == "Cycle 9"


def test_a_place_is_read_when_the_view_comes_to_the_front(qtbot, opened, store):
    run_id = fill(store)
    view = shown(qtbot, opened, run_id)
    opened.window.reveal("tokens")
    qtbot.waitUntil(lambda: view.visibleRegion().isEmpty())
    view.show_place(run_id, 3, 0, 1)
    opened.controller.handle([ev.StateChanged(State.PAUSED)])
    assert view._where.text().startswith("Cycle 2")
    opened.window.reveal("chances")
    qtbot.waitUntil(lambda: view._where.text().startswith("Cycle 3"))


def test_it_follows_the_latest_cycle_while_tokens_is_behind_others(qtbot, opened, store):
    run_id = fill(store)
    ready(opened)
    window = opened.window
    window.resize(1280, 800)
    window.reveal("chances")
    qtbot.waitUntil(lambda: not window.chances.visibleRegion().isEmpty())
    window.tokens.hide()
    opened.controller.show_run(run_id)
    qtbot.waitUntil(lambda: window.chances._where.text().startswith("Cycle 3"))
    assert window.tokens.visibleRegion().isEmpty()


def test_a_state_that_comes_before_a_place_was_read(qtbot, opened, store):
    ready(opened)
    opened.window.reveal("metrics")
    view = opened.window.chances
    view.hide()
    view.show_place(fill(store), 2, 0, 0)
    opened.controller.handle([ev.StateChanged(State.PAUSED)])
    assert view._said.text() == ""


def test_small_plots_follow_the_metrics(qtbot, opened, store):
    view = shown(qtbot, opened, fill(store))
    entropy, distinct, repetition = view.lines
    assert (entropy.said(), distinct.said(), repetition.said()) == ("0.500", "0.500", "–")
    assert entropy.accessibleDescription() == "0.500 in cycle 2"
    heights = [p.y() for p in entropy.points()]
    assert heights == sorted(heights)  # it falls
    assert repetition.points() == []
    view.show_place(view._place[0], 3, 0, 0)
    assert entropy.said() == "0.333"
    assert not view.grab().isNull()


def test_it_says_whose_chances_the_arrows_go_by_and_what_the_slider_waits_for(
    qtbot, opened, store
):
    view = shown(qtbot, opened, fill(store))
    assert "by the chances before the update" in view._idea.text()
    for widget in (view.slider, view._degrees, view._slider_name):
        assert not widget.isEnabled()
        assert "press Whole distribution first" in widget.toolTip()
    opened.controller.handle([ev.StateChanged(State.RUNNING)])
    assert not view.whole.isEnabled()
    assert "Pause first" in view.whole.toolTip()


def test_a_row_is_told_by_pointer_and_keyboard(qtbot, opened, store):
    view = shown(qtbot, opened, fill(store))
    bars = view.bars
    middle = bars.bar(3, 1).center()
    pointer.move(bars, middle)
    expected = say_row(bars.picture.rows[3], bars.picture)
    assert expected == (
        "“odd”, which was drawn: start policy 5.0\N{NO-BREAK SPACE}%; before the update "
        "5.0\N{NO-BREAK SPACE}%; after it 8.0\N{NO-BREAK SPACE}%; the entropy term pushes its "
        "logit, the score that softmax makes chances of, up (slope 0.00170).")
    qtbot.waitUntil(lambda: view._pointed.text() == expected)
    bars.setFocus()
    qtbot.keyClick(bars, Qt.Key.Key_Down)
    assert view._pointed.text().startswith("All other tokens: start policy 15")
    qtbot.keyClick(bars, Qt.Key.Key_Up)
    assert view._pointed.text() == expected
    assert expected in bars.accessibleDescription()


def test_tokens_says_where_the_person_is(qtbot, opened, store):
    run_id = fill(store)
    opened.controller.show_run(run_id)
    opened.window.reveal("tokens")
    qtbot.waitUntil(lambda: len(opened.window.tokens.model.steps) == 2)
    opened.window.tokens._choose_step(1)
    opened.window.reveal("chances")
    qtbot.waitUntil(lambda: "in place of “good”" in opened.window.chances._where.text())
