"""Siblings: the completions of one prompt beside one another, in the numbers that the store has."""

from __future__ import annotations

from statistics import fmean, stdev

import pytest
from helpers import groups, pointer, traces
from helpers.groups import PRICE, SCORES
from helpers.window import PROMPTS, Opened, as_plain, fill
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from workbench.algorithms import algorithm_named
from workbench.formatting import number, signed
from workbench.gui.distributions import reading as distributions
from workbench.gui.guide.drawings import is_known
from workbench.gui.guide.scene import read_scene
from workbench.gui.objective import reading as objective
from workbench.gui.paths.groups import read_groups
from workbench.gui.paths.siblings import SiblingsView
from workbench.ppo.declaration import PPO
from workbench.store.store import Store

GRPO = algorithm_named("ppo", groups.GROUP)


def show(qtbot: QtBot, opened: Opened, run_id: int) -> SiblingsView:
    opened.controller.show_run(run_id)
    opened.window.paths.choose_mode("siblings")
    opened.window.reveal("paths")
    dock = opened.window.docks["paths"]
    dock.setFloating(True)
    dock.resize(1000, 500)
    view = opened.window.paths.siblings
    qtbot.waitUntil(lambda: view.picture is not None and view.picture.run_id == run_id
                    and view._pages.currentWidget() is not None)
    return view


@pytest.fixture
def siblings(qtbot: QtBot, opened: Opened, store: Store) -> SiblingsView:
    return show(qtbot, opened, groups.fill(store))


def first(view: SiblingsView) -> None:
    """Look at the first prompt's group, whatever Tokens shows."""
    view.choose_group(0)


@pytest.mark.parametrize("kind", ["group", "leave_one_out"])
def test_numbers_are_those_of_hand(
    qtbot: QtBot, opened: Opened, store: Store, kind: str
) -> None:
    view = show(qtbot, opened, groups.fill(store, advantage_estimator=kind))
    first(view)
    scores = sorted(SCORES[0], reverse=True)
    mean, spread = fmean(scores), stdev(scores)
    gained = [(s - mean) / (spread + 1e-4) if kind == "group" else (s - mean) * 4 / 3
              for s in scores]
    columns = {head: texts for head, _, texts in view.tree.columns()}
    assert columns == {
        "Score": [number(s) for s in scores], "Worth": [number(s - PRICE) for s in scores],
        "Advantage": [signed(a) for a in gained]}
    # Of either kind the line is the mean of the group: so is the mean of the means of the others.
    assert view.group().mean == pytest.approx(mean - PRICE)
    assert view._said.text() == (
        f"4 completions. The best is worth 3.75, the worst 0.75; group's mean {mean - PRICE:.2f}.")
    # The higher, the better, and the line lies in the middle of an even group.
    ends = [view.tree.end(row).y() for row in range(4)]
    assert ends == sorted(ends)
    assert view.tree.height_of(view.group().mean) == pytest.approx((ends[0] + ends[3]) / 2)


def test_lines_stand_clear_of_one_another(siblings: SiblingsView) -> None:
    first(siblings)
    tree = siblings.tree
    for place in range(3):
        siblings.choose_group(place)
        for high in (tree.minimumSizeHint().height(), 300):
            tree.resize(700, high)
            boxes = [tree.line(row) for row in range(4)]
            assert not any(a.intersects(b) for i, a in enumerate(boxes) for b in boxes[:i])
            assert all(box.top() >= 0 and box.bottom() <= tree.height() for box in boxes)
            assert not tree.grab().isNull()


def test_one_goes_from_completion_to_completion_and_opens_one(
    qtbot: QtBot, opened: Opened, siblings: SiblingsView
) -> None:
    first(siblings)
    tree = siblings.tree
    assert (siblings._text.isVisible(), siblings._hint.isVisible()) == (False, True)
    tree.setFocus()
    for _ in range(2):
        qtbot.keyClick(tree, Qt.Key.Key_Down)
    said = ("Score 3.00, worth 2.75, held against 2.25: advantage +0.39. clean and quiet 3")
    assert siblings._text.text() == said
    assert tree.accessibleDescription() == f"Completion 2 of 4: {said}"
    assert not siblings._hint.isVisible()
    qtbot.keyClick(tree, Qt.Key.Key_Return)
    tokens = opened.window.tokens
    qtbot.waitUntil(lambda: tokens._record is not None and tokens._record.position == 3)
    assert tokens._shown_cycle == 2
    opened.window.reveal("paths")
    assert tree.read_row == 1  # what Tokens shows is marked
    pointer.move(tree, tree.line(3).center())
    assert "Score 1.00" in siblings._text.text()
    qtbot.mouseClick(tree, Qt.MouseButton.LeftButton, pos=tree.line(3).center().toPoint())
    qtbot.waitUntil(lambda: tokens._record is not None and tokens._record.position == 0)
    for _ in range(9):
        qtbot.keyClick(tree, Qt.Key.Key_Up)
    assert tree.row == 0
    qtbot.keyClick(tree, Qt.Key.Key_End)
    assert tree.row == 3


def test_colours_tell_better_from_worse(siblings: SiblingsView) -> None:
    from workbench.gui.widgets.theme import themes

    theme = themes().theme
    first(siblings)
    colours = [siblings.tree.colour(row, theme) for row in range(4)]
    assert colours[0].green() > colours[0].red()
    assert colours[3].red() > colours[3].green()
    siblings.choose_group(1)  # all alike
    assert {siblings.tree.colour(row, theme).name() for row in range(4)} == {theme.muted}


def test_one_goes_from_prompt_to_prompt(qtbot: QtBot, siblings: SiblingsView) -> None:
    first(siblings)
    assert [siblings.prompt.itemText(i) for i in range(3)] == [
        f"{PROMPTS[0]}  (0.75 to 3.75)", f"{PROMPTS[1]}  (all 0.25)",
        f"{PROMPTS[2]}  (−2.25 to 1.25)"]
    assert not siblings.previous.isEnabled()
    qtbot.mouseClick(siblings.next, Qt.MouseButton.LeftButton)
    assert siblings.group().text == PROMPTS[1]
    assert siblings._said.text() == (
        "4 completions. All of them are worth 0.25: none is better than its siblings, so they "
        "teach nothing.")
    assert siblings.wanted == 2  # the cycle stays
    siblings.tree.setFocus()
    qtbot.keyClick(siblings.tree, Qt.Key.Key_Right)
    assert siblings.prompt.currentIndex() == 2
    assert not siblings.next.isEnabled()
    qtbot.keyClick(siblings.tree, Qt.Key.Key_Right)  # there is none
    assert siblings.prompt.currentIndex() == 2
    # The prompt stays in another cycle.
    qtbot.mouseClick(siblings.cycles.previous, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: siblings.shown_cycle() == 1)
    assert siblings.group().text == PROMPTS[2]


def test_it_follows_the_run(qtbot: QtBot, opened: Opened, siblings: SiblingsView,
                            store: Store) -> None:
    assert siblings.cycles.latest.isChecked()
    groups.record(store, siblings.run_id or 0, 3)
    siblings.cycle_available(siblings.run_id or 0)
    qtbot.waitUntil(lambda: siblings.shown_cycle() == 3)
    siblings.choose_group(2)
    groups.record(store, siblings.run_id or 0, 4)
    siblings.cycle_available(siblings.run_id or 0)
    qtbot.waitUntil(lambda: siblings.picture is not None and len(siblings.picture.cycles) == 4)
    assert siblings.shown_cycle() == 3
    assert not siblings.cycles.latest.isChecked()
    siblings.cycles.latest.click()
    qtbot.waitUntil(lambda: siblings.shown_cycle() == 4)
    assert siblings.cycles.latest.isChecked()
    assert siblings.prompt.currentIndex() == 2


def test_without_tokens_heights_are_scores(qtbot: QtBot, opened: Opened, store: Store) -> None:
    view = show(qtbot, opened, groups.fill(store, keep=0))
    assert [head for head, *_ in view.tree.columns()] == ["Score"]
    assert view.group().mean == fmean(SCORES[0])
    assert view._said.text() == (
        "4 completions. The best is worth 4.00, the worst 1.00; mean 2.50. Their tokens are not "
        "kept, or not judged yet, so that heights are scores and the dashed line is their mean.")


def test_what_there_is_none_of_is_said(qtbot: QtBot, opened: Opened, store: Store) -> None:
    view = opened.window.paths.siblings
    assert "Press Start" in view._empty.text()
    show(qtbot, opened, traces.fill(store))  # of PPO, with one completion of each prompt
    assert view._empty.text() == (
        "This cycle wrote each prompt's completions without siblings. Set Completions per prompt "
        "in Hyperparameters to 2 or more, and start a run: here they then stand side by side.")
    assert view._empty.isVisible()
    assert not view._of_prompt.isVisible()


def test_of_ppo_the_line_is_what_the_value_head_foresaw(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    view = show(qtbot, opened, groups.fill(store, advantage_estimator="gae"))
    first(view)
    kept = {t.position: t for t in store.traces(view.run_id or 0, 2)}
    assert view.group().mean == pytest.approx(
        fmean(float(kept[i].numbers["value"][0]) for i in range(4)))
    assert "value head at the prompt 2.25." in view._said.text()


def test_what_is_shown_is_remembered(opened: Opened, store: Store) -> None:
    paths = opened.window.paths
    assert paths.shows() == "token"
    assert paths.save_state() == {}  # nobody has said it yet
    paths._modes["siblings"].click()
    kept = paths.save_state()
    paths.choose_mode("token")
    paths.restore_state(kept)
    assert paths.shows() == "siblings"
    assert paths.siblings.isVisibleTo(paths)
    paths.restore_state({"shows": "novel"})
    assert paths.shows() == "siblings"
    # Paths of a completion are those from a token.
    opened.controller.show_run(fill(store))
    opened.window.completions.paths_wanted.emit(1, 0)
    assert paths.shows() == "token"
    assert "side by side" in as_plain(paths._modes["siblings"].toolTip())


def test_tokens_lists_siblings_together(qtbot: QtBot, opened: Opened, store: Store) -> None:
    opened.controller.show_run(groups.fill(store))
    opened.window.reveal("tokens")
    view = opened.window.tokens
    qtbot.waitUntil(lambda: view.list.count() == 12)
    lines = [view.list.model().index(row, 0).data() for row in range(12)]
    gained = [groups.advantages(SCORES[0], "group")[i] for i in (1, 3, 2, 0)]
    assert lines[:4] == [
        f"{score:.2f}  {signed(a)}  {start} clean and quiet {i}" for score, a, start, i in zip(
            (4, 3, 2, 1), gained, (PROMPTS[0], "…", "…", "…"), (1, 3, 2, 0), strict=True)]
    # The group with the best comes first.
    assert [line.split()[0] for line in lines] == [
        "4.00", "3.00", "2.00", "1.00", "1.50", "0.25", "−1.00", "−2.00", *["0.50"] * 4]
    assert lines[8] == f"0.50  0.00  {PROMPTS[1]} clean and quiet 0"
    assert view.controls.count.text() == "12 completions, siblings together, best first"
    assert view.list._model.firsts == {0, 4, 8}
    view.filter.show_text("quiet 0")
    assert view.list._model.firsts == {0, 1, 2}
    assert all("…" not in view.list.model().index(row, 0).data() for row in range(3))
    assert not view.list.grab().isNull()


def test_the_line_of_a_group_is_its_mean_and_no_value_head_is_beside_it(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    opened.controller.show_run(groups.fill(store))
    opened.window.reveal("tokens")
    view = opened.window.tokens
    qtbot.waitUntil(lambda: view.list.count() == 12)
    figures = view.line.figures
    assert figures.estimates == (2.25, 2.25, 2.25)
    assert figures.end == 3.75
    assert figures.flag == "reward 4.00\nworth 3.75"
    assert figures.gap_text == "1.50 better than the mean of its group"
    assert figures.bars == pytest.approx((groups.advantages(SCORES[0], "group")[1],) * 3)
    assert "better than the mean of its group, 2.25." in as_plain(view._said.text())
    assert not view.earlier.isVisible()
    assert not view.controls._earlier_title.isVisible()
    assert view.line.accessibleName() == "Group's mean"
    opened.controller.show_run(traces.fill(store))
    qtbot.waitUntil(lambda: view.list.count() == 3)
    assert view.earlier.isVisible()
    assert view.line.accessibleName() == "Value line"
    assert view.controls.count.text() == "3 completions, best first"
    assert view.list._model.firsts is None


def test_cycles_before_a_fork_are_read_as_they_were_learned_from(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    run_id = groups.fill(store, cycles=1, advantage_estimator="gae")
    fork = store.fork_run(
        run_id, 0, name="", hyperparameters=store.settings_after(run_id, 0),
        changes=[("advantage_estimator", "gae", "group", "person")]).result()
    store.rewind(fork, 0)
    groups.record(store, fork, 1)
    run = store.run(fork)
    assert run is not None
    assert run.forked_with == {"advantage_estimator": "group"}
    opened.controller.show_run(fork)
    opened.window.reveal("tokens")
    view = opened.window.tokens
    qtbot.waitUntil(lambda: view.list.count() == 12)
    assert view.line.accessibleName() == "Group's mean"
    opened.controller.show_run(run_id)
    qtbot.waitUntil(lambda: view.line.accessibleName() == "Value line")


def test_every_view_of_a_cycle_shows_it_as_what_it_was(store: Store) -> None:
    parent = groups.fill(store, cycles=1, advantage_estimator="gae")
    fork = store.fork_run(
        parent, 1, name="", hyperparameters=store.settings_after(parent, 0),
        changes=[("advantage_estimator", "gae", "group", "person")]).result()
    groups.record(store, fork, 2)
    for cycle, shown in ((1, PPO), (2, GRPO), (None, GRPO)):
        known = distributions.Known()
        for found in (read_groups(store, fork, cycle),
                      objective.read_picture(store, fork, cycle),
                      distributions.read_picture(store, fork, cycle, known)):
            assert found is not None
            assert found.algorithm is shown
        # What has been read of earlier cycles is there whichever is looked at.
        spreads = distributions.read_picture(store, fork, 1, known)
        assert spreads is not None
        assert all(1 in spread.cycles for spread in spreads.spreads
                   if spread.distribution.column in ("value", "advantage"))


def test_a_card_of_the_guide_draws_a_group(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    run_id = groups.fill(store)
    opened.controller.show_run(run_id)
    guide = opened.window.guide
    opened.window.reveal("guide")
    card = next(card for card in GRPO.guide.cards if card.drawing == "siblings")
    assert card.title == "Better than the others?"
    scene = read_scene(store, run_id, GRPO.guide.cards)
    best = sorted(zip(SCORES[0], groups.advantages(SCORES[0], "group"), strict=True), reverse=True)
    assert scene.siblings is not None
    assert scene.siblings.paths == [
        (pytest.approx(score - PRICE), pytest.approx(gained)) for score, gained in best]
    assert scene.siblings.mean == 2.25
    assert is_known(scene, card)
    guide.show_part("estimate")
    qtbot.waitUntil(lambda: guide.card == card and guide.scene.siblings is not None)
    assert not guide.grab().isNull()


def test_numbers_of_the_drawing_of_a_batch(store: Store) -> None:
    scene = read_scene(store, groups.fill(
        store, advantage_estimator="batch", completions_per_prompt=1), GRPO.guide.cards)
    assert scene.siblings is not None
    assert len(scene.siblings.paths) == 12
    assert scene.siblings.title == "batch's mean"


def test_a_run_with_siblings_begins_with_them(opened: Opened, store: Store) -> None:
    paths, with_them, without = opened.window.paths, groups.fill(store), fill(store)
    for run_id, shown in ((with_them, "siblings"), (without, "token"), (with_them, "siblings")):
        opened.controller.show_run(run_id)
        assert paths.shows() == shown
    opened.window.completions.paths_wanted.emit(2, 0)
    opened.controller.show_run(with_them)  # the same one
    assert paths.shows() == "token"
    paths._modes["token"].click()
    opened.controller.show_run(without)
    opened.controller.show_run(with_them)
    assert paths.shows() == "token"


def test_distributions_say_why_nothing_is_foreseen(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    view = opened.window.distributions
    opened.window.reveal("distributions")
    for run_id, without in ((groups.fill(store), True), (traces.fill(store), False)):
        opened.controller.show_run(run_id)
        qtbot.waitUntil(lambda run_id=run_id: (
            view.picture is not None and view.picture.run_id == run_id))
        qtbot.waitUntil(lambda: not view._waiting)
        assert view._unforeseen.isVisibleTo(view) == without
        assert view.calibration.isVisibleTo(view) != without
