"""The guide: a card a part of the cycle, which follows the run at the pace of reading."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.play import SMALL, play, until
from helpers.window import DEFAULTS, PROMPTS, Opened, bare_controls, completions, ready, unexplained
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from workbench.algorithms import ALGORITHMS, guide_of, parts_of
from workbench.formatting import number
from workbench.gui.app import Workbench
from workbench.gui.dock_layout import FOUR_COLUMNS
from workbench.gui.guide.drawings import DRAW
from workbench.gui.guide.following import Following
from workbench.gui.guide.pencil import Pencil
from workbench.gui.guide.scene import EXAMPLE, Dots, InHand, read_scene, went_on, whole_word
from workbench.gui.guide.view import GuideView
from workbench.gui.widgets.theme import themes
from workbench.guide import BEFORE, LOADING, Card
from workbench.ppo.declaration import PPO
from workbench.records import TokenTrace
from workbench.store.records import CompletionRecord, Prompt
from workbench.store.store import Store
from workbench.training import events as ev
from workbench.training.events import State

PIECES = (" The", " staff", " was", " ki", "nd", ".")
ADVANTAGES = ((0.1, -0.3, 0.2, 1.7, 0.4, 2.5), (0.0, 0.2, -2.2, -0.4, 0.1, -3.0))
RATIOS = ((1.01, 0.98, 1.1, 1.34, 1.0, 1.05), (1.0, 1.02, 0.71, 0.97, 1.0, 0.9))
NUMBERS = {"objective/scores": 0.25, "objective/scores_compared": 0.5, "objective/kl": 2.5,
           "kl_coef": 0.04, "loss/policy_avg": -0.02, "loss/value_avg": 0.1,
           "policy/entropy_avg": 1.2, "loss/total_avg": 0.38, "policy/clipfrac": 0.25,
           "val/advantage_std": 0.6, "val/explained_variance": 0.4, "objective/length": 6.0}


def traces() -> list[TokenTrace]:
    return [TokenTrace(row, row, np.arange(6, dtype=np.int32), PIECES, {
        "logprob": np.log(np.linspace(0.2, 0.7, 6)).astype(np.float32),
        "value": np.linspace(0.34, 1.23, 6).astype(np.float32),
        "return": np.full(6, 1.5, np.float32),
        "advantage": np.array(ADVANTAGES[row], np.float32),
        "ratio": np.array(RATIOS[row], np.float32)}) for row in range(2)]


def rollout() -> list[CompletionRecord]:
    return [CompletionRecord(row, row, PROMPTS[row], "".join(PIECES), score, 0.1, 6, True)
            for row, score in enumerate((1.87, -1.34))]


def draft(ended: bool = True) -> list[CompletionRecord]:
    return [CompletionRecord(0, 0, PROMPTS[0], " half", math.nan, math.nan, 1, ended)]


def draft_traces() -> list[TokenTrace]:
    return [TokenTrace(0, 0, np.array([1], np.int32), (" half",), {
        "logprob": np.array([-0.5], np.float32), "value": np.array([0.9], np.float32)})]


def fill(store: Store, cycles: int = 2) -> int:
    run_id = store.create_run(
        name="", policy="/models/policy", reward="/models/reward", models={},
        hyperparameters=DEFAULTS | {"num_cycles": cycles, "entropy_coef": 0.01},
        prompts=[Prompt(text) for text in PROMPTS]).result()
    store.record_comparison(run_id, 0, completions(0)).result()
    for cycle in range(1, cycles + 1):
        store.record_cycle(
            run_id, cycle, metrics=NUMBERS | {"policy/entropy_avg": 1.3 - 0.1 * cycle},
            rollout=rollout(), comparison=completions(cycle), traces=traces(),
            keep_traces=2).result()
    store.set_status(run_id, "finished").result()
    return run_id


@pytest.fixture
def guide(opened: Opened) -> GuideView:
    opened.window.reveal("guide")
    return opened.window.guide


def title(guide: GuideView) -> str:
    return guide._title.text()


def titles(part: str) -> list[str]:
    return [card.title for card in PPO.guide.cards if card.part == part]


def begin(opened: Opened, run_id: int = 7) -> None:
    ready(opened)
    opened.controller.handle([
        ev.RunStarted(run_id, "Run 7", "ppo", DEFAULTS | {"num_cycles": 20}),
        ev.StateChanged(State.RUNNING)])


def report(opened: Opened, *parts: str, cycle: int = 1, run_id: int = 7) -> None:
    """Let these parts of a cycle be done."""
    for part in parts:
        opened.controller.handle([ev.PartReported(run_id, cycle, part, {"objective/length": 6.0}),
                                  ev.PartReported(run_id, cycle, part, {}, True)])


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_every_part_of_a_cycle_has_a_card_in_its_order(algorithm) -> None:
    order = [part.name for part in parts_of(algorithm)]
    cards = [card.part for card in guide_of(algorithm).cards]
    assert cards[:2] == [LOADING, BEFORE]
    told = set(cards[2:])
    assert list(dict.fromkeys(cards[2:])) == [name for name in order if name in told]
    assert told == set(order) or algorithm.guide is None
    assert cards[2:] == sorted(cards[2:], key=order.index)
    for experiment in guide_of(algorithm).experiments:
        assert experiment.setting in algorithm.settings.specs()
    assert {card.drawing for card in guide_of(algorithm).cards} <= set(DRAW)


def test_five_ideas_have_a_card_each() -> None:
    said = " ".join(card.title.lower() for card in PPO.guide.cards)
    for idea in ("value head", "advantage", "clip", "entropy", "kl"):
        assert idea in said


@pytest.mark.parametrize(("key", "many", "with_kl"), [
    ("ppo", "three", "four"), ("ppo/group", "two", "three")])
def test_the_card_on_the_loss_names_every_term_that_is_drawn(key, many, with_kl) -> None:
    algorithm = PPO if key == "ppo" else PPO.variants["group"]
    card = next(card for card in guide_of(algorithm).cards if card.drawing == "terms")
    assert algorithm.objective is not None
    for where, title in (("reward", many), ("loss", with_kl)):
        read = card.read_with({"kl_in": where})
        assert read.title == f"One loss of {title} terms"
        loss, _, terms = read.formula.partition(" = ")
        assert loss == algorithm.objective.title
        named = [term.title.replace(" ", "") for term in algorithm.objective.terms
                 if where == "loss" or not term.optional]
        assert [term.replace(" ", "") for term in terms.split(" + ")] == named
    assert card.say({"loss/total_avg": -0.06}, {}).startswith(f"{algorithm.objective.title} ")


def test_before_a_run_it_tells_of_the_models_and_then_of_the_start(opened, guide) -> None:
    assert title(guide) == titles(LOADING)[0]
    ready(opened)
    assert title(guide) == titles(BEFORE)[0]
    assert guide.canvas.example
    assert not bare_controls(guide)
    assert not unexplained(guide)


def test_the_card_is_that_of_the_part_after_which_a_run_is_held(opened, guide) -> None:
    begin(opened)
    for part in ("write", "score", "estimate", "update"):
        report(opened, part)
        opened.controller.handle([ev.StateChanged(State.PAUSED, "held", within=part)])
        assert title(guide) == titles(part)[0]
        many = len(titles(part))
        assert guide._where.text().endswith(f"held here, 1 of {many}" if many > 1 else "held here")
        for _ in range(5):  # no other card, however long one reads
            guide._reading.timeout.emit()
        assert title(guide) == titles(part)[0]
        opened.controller.handle([ev.StateChanged(State.RUNNING)])


def test_a_running_cycle_is_followed_once_a_part_has_lasted(opened, guide) -> None:
    begin(opened)
    opened.controller.handle([ev.Progress(7, 1, 20, ev.Phase.SAMPLING, 1, 64)])
    assert title(guide) == titles("write")[0]
    assert not guide._now.isVisible()
    report(opened, "write", "score", "estimate")
    assert title(guide) == titles("write")[0]  # those between were over at once
    assert guide._now.text() == "The run is at Update."
    assert guide._settling.isActive()
    assert guide._settling.interval() < 1000
    guide._settling.timeout.emit()
    assert title(guide) == titles("update")[0]
    assert not guide._now.isVisible()
    told = []
    for _ in range(4):
        guide._reading.timeout.emit()  # the time that reading takes is over
        told.append(title(guide))
    assert told == [*titles("update")[1:], titles("update")[-1], titles("update")[-1]]
    report(opened, "update")
    guide._settling.timeout.emit()
    assert title(guide) == titles("compare")[0]


def test_of_cycles_faster_than_reading_one_card_comes_after_the_other(opened, guide) -> None:
    begin(opened)
    for cycle in (1, 2, 3):
        opened.controller.handle([ev.Progress(7, cycle, 20, ev.Phase.SAMPLING, 1, 64)])
        report(opened, *(p.name for p in parts_of(PPO)), cycle=cycle)
    opened.controller.handle([ev.Progress(7, 4, 20, ev.Phase.SAMPLING, 1, 64)])
    report(opened, "write", cycle=4)
    guide._settling.timeout.emit()
    told = [title(guide)]
    for _ in range(len(PPO.guide.cards)):
        guide._reading.timeout.emit()
        told.append(title(guide))
        assert guide.card_part() == "score" or guide._now.text().startswith("The run is at Score.")
        assert guide.card_part() == "score" or "faster than one reads" in guide._now.text()
    assert set(told) == {c.title for c in PPO.guide.cards if c.part not in (BEFORE, LOADING)}


def test_a_part_too_short_to_be_read_is_passed_over_from_the_second_cycle_on() -> None:
    cards = [Card(part, f"{part} {i}", "", "cycle") for part in "abc" for i in range(2)]
    following, now = Following([Card(BEFORE, "", "", "cycle"), *cards], "abc"), 0.0

    def cycle() -> list[str]:
        nonlocal now
        seen = []
        for part, took in (("a", 1.0), ("b", 20.0), ("c", 4.0)):
            following.turn(part, now)
            following.lasted(read=False)
            seen.append(following.cards[following.row].title)
            now += took
        return seen

    assert cycle() == ["a 0", "b 0", "c 0"]
    assert cycle() == ["c 0", "b 0", "c 0"]
    assert not following.fast
    following.turn("a", now)
    assert (following.at, following.live) == ("a", False)
    following.turn("b", now + 1)
    following.lasted(read=False)
    assert following.lasted(read=True)  # the second of its cards
    assert following.cards[following.row].title == "b 1"
    assert following.lasted(read=True)  # and again from the first
    assert following.cards[following.row].title == "b 0"


def test_after_the_last_step_into_of_a_cycle_the_cycle_is_done(opened, guide) -> None:
    begin(opened)
    for part in ("write", "score", "estimate", "update"):
        report(opened, part)
        opened.controller.handle([ev.StateChanged(State.PAUSED, "held", within=part)])
    opened.controller.handle([ev.StateChanged(State.RUNNING)])
    report(opened, "compare")
    opened.controller.handle([ev.CycleFinished(7, 1, 20, NUMBERS),
                              ev.StateChanged(State.PAUSED)])
    assert title(guide) == titles("compare")[0]
    assert guide._now.text() == "The run is paused: this cycle is done."


def test_a_guide_that_is_not_to_turn_stays_at_its_summary(opened, guide, store: Store) -> None:
    over = fill(store)
    ready(opened)
    opened.controller.show_run(over)
    assert guide.following.row == guide.following.summary
    guide.follow_box.click()
    begin(opened, run_id=over + 1)
    report(opened, "write", run_id=over + 1)
    guide._settling.timeout.emit()
    assert guide.following.row == guide.following.summary


def test_paging_says_that_pages_no_longer_turn(opened, guide) -> None:
    begin(opened)
    report(opened, "write")
    guide.next_button.click()
    assert "no longer turns with the run" in guide._now.text()
    guide.follow_box.click()
    assert "no longer turns" not in guide._now.text()


def test_where_the_run_is_held_no_card_turns_by_itself() -> None:
    cards = [Card(part, f"{part} {i}", "", "cycle") for part in "abc" for i in range(2)]
    following = Following([Card(BEFORE, "", "", "cycle"), *cards], "abc")
    for part in "abcab":
        following.turn(part, 0.0)
    following.stand("b")
    assert (following.row, following.held) == (3, (1, 2))
    assert not following.leaf()
    assert (following.row, following.held) == (3, (1, 2))
    following.go_to(4)
    assert following.held == (2, 2)
    following.rest()
    assert following.held is None
    assert not following.live


def test_a_run_that_begins_unfollowed_leaves_the_cards_of_before_it(opened, guide) -> None:
    ready(opened)
    guide.follow_box.click()
    assert title(guide) == titles(BEFORE)[0]
    begin(opened)
    report(opened, "write")
    assert title(guide) == titles("write")[0]
    report(opened, "score")
    assert title(guide) == titles("write")[0]
    guide.go_to(1)  # who goes back there stays there
    report(opened, "estimate")
    assert title(guide) == titles(BEFORE)[0]


def test_a_page_stays_while_another_run_is_on(qtbot: QtBot, opened, guide, store: Store) -> None:
    over = fill(store)
    begin(opened, run_id=over + 1)
    report(opened, "write", run_id=over + 1)
    opened.controller.handle([ev.StateChanged(State.PAUSED, "held", within="write")])
    opened.controller.show_run(over)
    qtbot.waitUntil(lambda: guide.summary.results is not None)
    opened.controller.handle([ev.StateChanged(State.RUNNING)])
    report(opened, "score", run_id=over + 1)
    opened.controller.handle([ev.StateChanged(State.PAUSED, "held", within="score")])
    assert guide.following.row == guide.following.summary
    opened.controller.show_run(over + 1)
    assert title(guide) == titles("score")[0]
    assert "held here" in guide._where.text()


def test_the_numbers_of_a_held_cycle_are_its_own(
    qtbot: QtBot, opened, guide, store: Store
) -> None:
    run_id = fill(store, cycles=1)
    opened.controller.handle([
        ev.RunResumed(run_id, "Run 1", 1, "ppo", DEFAULTS | {"num_cycles": 5}),
        ev.StateChanged(State.RUNNING)])
    store.record_draft(run_id, 2, draft(), draft_traces()).result()
    opened.controller.handle([
        ev.PartReported(run_id, 2, "write", {"objective/length": 27.0}),
        ev.PartReported(run_id, 2, "write", {}, True),
        ev.StateChanged(State.PAUSED, "held", within="write")])
    qtbot.waitUntil(lambda: guide.scene.cycle == 2)
    said = {card.title: guide.scene.say(card) for card in guide.following.cards}
    assert said["The policy writes"].startswith("Cycle 2: ")
    assert "27 tokens" in said["The policy writes"]
    assert said["One loss of three terms"].startswith("Cycle 1: ")
    row = next(i for i, c in enumerate(guide.following.cards) if c.drawing == "terms")
    guide.go_to(row)
    assert guide.canvas._foot == "cycle 1"
    opened.controller.handle([
        ev.PartReported(run_id, 2, "update", NUMBERS, True),
        ev.StateChanged(State.PAUSED, "held", within="update")])
    qtbot.waitUntil(lambda: guide.canvas._foot == "cycle 2")
    assert guide._said.text() == "Cycle 2: L_PPO +0.38"


def test_the_numbers_said_are_of_the_cycle_that_is_drawn(
    qtbot: QtBot, opened, guide, store: Store
) -> None:
    run_id = fill(store, cycles=1)
    opened.controller.handle([
        ev.RunResumed(run_id, "Run 1", 1, "ppo", DEFAULTS | {"num_cycles": 5}),
        ev.StateChanged(State.RUNNING)])
    # A run that goes on writes no drafts: of its cycle 2 there are numbers and nothing to draw.
    opened.controller.handle([
        ev.PartReported(run_id, 2, "write", {"objective/length": 27.0}, True),
        ev.PartReported(run_id, 2, "score", {"objective/scores": 0.75, "objective/kl": 7.0}, True)])
    qtbot.waitUntil(lambda: guide.scene.cycle == 2)
    told = {}
    for row, card in enumerate(guide.following.cards):
        guide.go_to(row)
        told[card.title] = guide.canvas._foot, guide._said.text()
        if guide._said.text():
            assert guide._said.text().lower().startswith(f"{guide.canvas._foot}: ")
    assert told["The policy writes"][1] == (
        f"Cycle 1: {DEFAULTS['batch_size']} completions of 6 tokens on average")
    assert told["The reward model scores"][1] == "Cycle 1: Mean score of all: 0.25"
    assert told["KL: the price of moving away"][1].startswith("Cycle 2: KL 7.0 nats")


def test_what_is_said_of_a_cycle_is_by_its_own_settings(store: Store) -> None:
    run_id = fill(store, cycles=1)
    store.record_changes(run_id, 2, [
        ("batch_size", DEFAULTS["batch_size"], 8, "person")]).result()
    scene = read_scene(store, run_id, PPO.guide.cards, InHand(2, {"objective/length": 27.0}))
    assert scene.settings["batch_size"] == 8
    assert scene.say(PPO.guide.cards[2]).startswith(f"Cycle 1: {DEFAULTS['batch_size']} ")


def test_in_the_first_cycle_what_is_not_known_yet_is_said_to_be_so(
    qtbot: QtBot, opened, guide, store: Store
) -> None:
    run_id = store.create_run(
        name="", policy="/p", reward="/r", models={}, hyperparameters=DEFAULTS,
        prompts=[Prompt(PROMPTS[0])]).result()
    begin(opened, run_id)
    report(opened, "write", run_id=run_id)
    opened.controller.handle([ev.StateChanged(State.PAUSED, "held", within="write")])
    qtbot.waitUntil(lambda: guide.scene.cycle == 1)
    for row, card in enumerate(guide.following.cards):
        guide.go_to(row)
        if card.drawing not in ("models", "cycle"):
            assert guide.canvas.example
            assert guide.canvas._foot == "an example: not yet known in cycle 1"
            assert not guide._said.text()


def test_back_and_next_leaf_while_following_waits(opened, guide) -> None:
    begin(opened)
    report(opened, "write")
    first = guide.following.row
    guide.next_button.click()
    assert not guide.follow_box.isChecked()
    assert guide.following.row == first + 1
    report(opened, "score", "estimate")
    guide._reading.timeout.emit()
    assert guide.following.row == first + 1
    guide.back_button.click()
    guide.back_button.click()
    assert guide.following.row == first - 1
    guide.follow_box.click()
    assert title(guide) == titles("update")[0]
    for _ in guide.following.cards:
        guide.go_back()
    assert not guide.back_button.isEnabled()


def test_a_part_that_is_chosen_in_the_strip_is_explained(qtbot: QtBot, opened, guide) -> None:
    strip = opened.window.strip

    def choose(part: str) -> None:
        button = next(b for b in strip.buttons if b.part.name == part)
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    choose("update")  # before a run
    assert title(guide) == titles("update")[0]
    assert opened.window.objective.isVisible()
    assert guide.follow_box.isChecked()
    begin(opened)
    opened.controller.handle([ev.Progress(7, 1, 20, ev.Phase.SAMPLING, 1, 64)])
    report(opened, "write")
    choose("score")  # which is on
    assert title(guide) == titles("score")[0]
    assert guide.follow_box.isChecked()
    guide.go_to(guide.following.first("update") + 1)
    second = title(guide)
    choose("update")  # another card of it shows: it stays
    assert title(guide) == second
    choose("estimate")  # the run is elsewhere, and does not take the card away
    assert title(guide) == titles("estimate")[0]
    assert not guide.follow_box.isChecked()
    report(opened, "score", "estimate", "update")
    guide._reading.timeout.emit()
    assert title(guide) == titles("estimate")[0]
    opened.window.docks["guide"].close()
    choose("write")  # closed, it stays as it is
    assert title(guide) == titles("estimate")[0]


def test_what_is_drawn_are_the_numbers_of_the_store(store: Store) -> None:
    run_id = fill(store)
    scene = read_scene(store, run_id, PPO.guide.cards)
    assert (scene.cycle, scene.num_cycles, scene.made_up) == (2, 2, False)
    assert (scene.best.score, scene.worst.score) == (1.87, -1.34)
    assert scene.best.text == PROMPTS[0] + "".join(PIECES)
    # Of " ki", "nd", "." only what was foreseen at the word's end.
    assert scene.estimates.text == "The staff was kind."
    assert scene.estimates.values == pytest.approx(
        np.linspace(0.34, 1.23, 6)[[0, 1, 2, 3, 5]], abs=1e-6)
    assert scene.estimates.end == 1.87
    # The full stop had more, but is no word.
    assert (scene.up.text, scene.down.text) == (" kind", " was")
    assert (scene.up.advantage, scene.down.advantage) == pytest.approx((1.7, -2.2))
    assert (scene.up.ratio, scene.down.ratio) == pytest.approx((1.34, 0.71))
    assert [chance for _, chance in scene.chances] == pytest.approx(np.linspace(0.2, 0.7, 6))
    assert scene.first["policy/entropy_avg"] == pytest.approx(1.2)
    assert scene.metrics["policy/entropy_avg"] == pytest.approx(1.1)
    total = sum(share.amount for _, share in scene.terms)
    assert total == pytest.approx(-0.02 + 4.0 * 0.1 - 0.01 * 1.1)
    assert isinstance(scene.dots, Dots)
    assert scene.dots.band == pytest.approx((0.8, 1.2))
    assert scene.dots.held == [False, False, False, True, False, False, False, False, True,
                               False, False, False]
    assert scene.rewards[0] == pytest.approx(-1)
    assert scene.distance == 2.5


def test_a_cycle_in_hand_is_drawn_as_far_as_it_is_known(store: Store) -> None:
    run_id = fill(store, cycles=1)
    store.record_draft(run_id, 2, draft(), draft_traces()).result()
    scene = read_scene(store, run_id, PPO.guide.cards)
    assert [piece for piece, _ in scene.chances] == [" half"]
    assert scene.estimates.values == pytest.approx([0.9])
    assert scene.best.score == 1.87  # the draft has no scores yet
    assert scene.up.advantage == pytest.approx(1.7)


def test_a_text_that_is_cut_off_in_a_sentence_ends_with_dots(store: Store) -> None:
    run_id = fill(store, cycles=1)
    store.record_draft(run_id, 2, draft(ended=False), draft_traces()).result()
    scene = read_scene(store, run_id, PPO.guide.cards)
    assert [piece for piece, _ in scene.chances] == [" half", "…"]
    assert scene.estimates.text == "half…"
    assert (went_on("It was"), went_on("It was. ")) == ("…", "")


def test_where_there_is_no_room_for_more_tokens_dots_say_so(
    qtbot: QtBot, guide: GuideView, monkeypatch
) -> None:
    written: list[tuple[str, QRectF]] = []
    monkeypatch.setattr(Pencil, "write", lambda self, box, text, *rest, **named: written.append(
        (text, box)))
    card = PPO.guide.cards[2]
    for count, cut in ((7, False), (200, True)):
        written.clear()
        guide.canvas.show_card(card, replace(EXAMPLE, chances=[(" word", 0.5)] * count), "")
        guide.canvas.grab()
        dots = [box for text, box in written if text == "…"]
        assert len(dots) == cut
        assert all(box.right() <= guide.canvas.width() for box in dots)


def test_a_token_is_written_out_as_its_word() -> None:
    assert whole_word(PIECES, 3) == whole_word(PIECES, 4) == " kind"
    assert whole_word(PIECES, 0) == " The"
    assert whole_word(PIECES, 5) == "."


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_card_is_drawn_of_a_run_and_of_an_example(
    qtbot: QtBot, opened: Opened, guide: GuideView, store: Store, theme: None, mode
) -> None:
    themes().set_mode(mode)
    opened.controller.show_run(fill(store))
    qtbot.waitUntil(lambda: not guide.scene.made_up)
    scene = guide.scene
    for row, card in enumerate(guide.following.cards):
        guide.go_to(row)
        assert title(guide) == card.title
        pictures = []
        for shown in (scene, EXAMPLE):
            guide.canvas.show_card(card, shown, "")
            assert guide.canvas.example == (shown is EXAMPLE)
            pictures.append(guide.canvas.grab().toImage())
        if card.drawing != "models":
            assert pictures[0] != pictures[1], card.title


def test_a_card_says_its_numbers(qtbot: QtBot, opened, guide, store: Store) -> None:
    opened.controller.show_run(fill(store))
    qtbot.waitUntil(lambda: not guide.scene.made_up)
    said = {card.title: card.say(guide.scene.metrics, guide.scene.settings)
            for card in guide.following.cards}
    assert f"× β 0.04 = {number(0.1)} off" in said["KL: the price of moving away"]
    assert "1 is 0.60 of reward" in said["The advantage: better than foreseen?"]
    assert "0.80 to 1.20" in said["The clip: a guard rail"]
    assert number(math.exp(1.1), 1) in said["Entropy keeps choices open"]


@pytest.mark.parametrize("variant", ["gae", *PPO.variants])
def test_the_cycle_is_drawn_of_what_the_algorithm_has(
    guide: GuideView, monkeypatch, variant: str
) -> None:
    written: list[str] = []
    write = Pencil.write
    monkeypatch.setattr(Pencil, "write", lambda self, box, text, *rest, **named: (
        written.append(text), write(self, box, text, *rest, **named)))
    algorithm = PPO.variants.get(variant, PPO)
    cards = [card for card in guide_of(algorithm).cards if card.drawing == "cycle"]
    assert len(cards) == 2
    for card in cards:
        written.clear()
        guide.canvas.show_card(card, EXAMPLE, "")
        guide.canvas.grab()
        assert ("policy, value head" in written) == ("write, score, estimate" in written) == (
            algorithm is PPO)
        assert algorithm is PPO or {"write, score, advantages", "policy"} <= set(written)


def test_where_the_entropy_is_as_at_first_the_picture_says_so(
    qtbot: QtBot, opened, guide, store: Store, monkeypatch
) -> None:
    written: list[str] = []
    write = Pencil.write
    monkeypatch.setattr(Pencil, "write", lambda self, box, text, *rest, **named: (
        written.append(text), write(self, box, text, *rest, **named)))
    row = next(i for i, c in enumerate(guide.following.cards) if c.drawing == "openness")
    opened.controller.show_run(fill(store, cycles=1))
    qtbot.waitUntil(lambda: guide.scene.cycle == 1)
    guide.go_to(row)
    guide.canvas.grab()
    assert {"1.20 nats", "1.20 nats, as at first"} <= set(written)
    written.clear()
    opened.controller.show_run(fill(store))
    qtbot.waitUntil(lambda: guide.scene.cycle == 2)
    guide.go_to(row)
    guide.canvas.grab()
    assert {"1.20 nats", "1.10 nats"} <= set(written)


def test_it_is_there_at_the_first_start_and_squeezes_no_dock(qtbot: QtBot, opened) -> None:
    window, docks = opened.window, opened.window.docks
    for width, height, shown, column in (
        (FOUR_COLUMNS, 800, True, True), (1280, 720, True, False), (960, 540, False, False),
    ):
        window.resize(width, height)
        docks["guide"].hide()
        window.dock_layout.reset()
        QApplication.processEvents()
        without = docks["metrics"].width()
        window.dock_layout._begun = False
        window.dock_layout.reset()
        QApplication.processEvents()
        assert docks["guide"].isHidden() is not shown
        assert docks["guide"].visibleRegion().isEmpty() is not shown
        beside = docks["hyperparameters"] not in window.tabifiedDockWidgets(docks["guide"])
        if shown:
            assert beside is column
        assert docks["metrics"].width() >= (600 if column else without)
    window.actions_["guide"].trigger()
    assert window.docks["guide"].isVisible()
    window.dock_layout.reset()
    assert window.docks["guide"].isVisible()
    window.docks["guide"].close()
    window.dock_layout.reset()
    assert not window.docks["guide"].isVisible()


def test_more_opens_the_view_that_has_it(opened, guide) -> None:
    guide.go_to(2)
    assert guide.card.view == "tokens"
    guide.more_button.click()
    assert opened.window.tokens.isVisible()


@pytest.mark.slow
def test_it_follows_a_real_run_and_closed_once_stays_closed(qapp, tmp_path) -> None:
    seen: dict[str, str] = {}

    async def first(workbench: Workbench) -> None:
        window = workbench.window
        await until(lambda: window.state is State.READY)
        window.resize(FOUR_COLUMNS, 800)
        window.actions_["guide"].trigger()
        window.hyperparameters.form.set_values(SMALL, "test")
        for part in ("write", "score", "estimate", "update"):
            window.actions_["step_into"].trigger()
            await until(lambda part=part: window.strip._within == part)
            seen[part] = window.guide._title.text()
        await until(lambda: not window.guide.scene.made_up and window.guide.scene.up is not None)
        # The first cycle is not whole, yet all that is drawn of it is its own.
        await until(lambda: window.guide.scene.dots is not None)
        scene = window.guide.scene
        assert scene.cycle == 1
        assert scene.terms
        assert set(scene.of.values()) == {1}
        assert scene.say(PPO.guide.cards[2]).endswith("tokens on average")
        window.docks["guide"].close()

    async def again(workbench: Workbench) -> None:
        assert not workbench.window.docks["guide"].isVisible()
        workbench.window.resize(FOUR_COLUMNS + 100, 820)
        assert not workbench.window.docks["guide"].isVisible()

    play(qapp, tmp_path, first)
    assert seen == {part: titles(part)[0] for part in seen}
    play(qapp, tmp_path, again)


@pytest.mark.parametrize("rewards", [(-1.0, 1.0), (1.0, -1.0), (0.0, 2.0, 0.1), (1.0, 1.0)])
def test_the_numbers_of_a_course_stand_clear_of_its_line(
    guide, monkeypatch: pytest.MonkeyPatch, rewards: tuple[float, ...]
) -> None:
    boxes: list[QRectF] = []
    points: list[QPointF] = []
    monkeypatch.setattr(
        Pencil, "write", lambda self, box, text, *rest, **named: boxes.append(QRectF(box)))
    stroke = Pencil.stroke
    monkeypatch.setattr(Pencil, "stroke", lambda self, found, *rest, **named: (
        points.extend(found), stroke(self, found, *rest, **named)))
    row = next(i for i, c in enumerate(guide.following.cards) if c.drawing == "rewards")
    guide.go_to(row)
    guide.canvas.show_card(guide.following.cards[row], replace(EXAMPLE, rewards=rewards), "")
    boxes.clear()
    points.clear()
    guide.canvas.grab()
    assert len(points) == len(rewards)
    assert len(boxes) >= 4  # both numbers, with what they are
    assert max(point.y() for point in points) < min(box.top() for box in boxes)


def test_where_a_card_stands_leaves_room_for_its_number(opened: Opened) -> None:
    guide = opened.window.guide
    opened.window.reveal("guide")
    guide.resize(260, 500)
    guide._where.setText("Phase 1 · Score · held here, 1 of 2")
    QApplication.processEvents()
    where, count = guide._where, guide._count
    assert where.geometry().right() < count.geometry().left()
    assert where.height() >= where.heightForWidth(where.width())
    assert where.wordWrap()
