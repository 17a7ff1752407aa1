"""Paths: the tree of what could have come next, in the numbers that the store has."""

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import pointer
from helpers.window import DEFAULTS, ready
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QTextDocumentFragment
from PySide6.QtWidgets import QApplication, QPushButton

from workbench.gui.paths.layout import grow, spread
from workbench.gui.paths.tree import _lit
from workbench.gui.paths.view import say
from workbench.records import Branch, Continuation, Crossroads, TokenTrace
from workbench.store.records import CompletionRecord, Prompt
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State


def continuation(*tokens, score):
    return Continuation(tokens, tuple(f" {t}" for t in tokens), score, True)


FOUND = Crossroads(1, 1, 0, 1, "Run 1 after cycle 1", 0, 0.64, 7, (
    Branch(4, " bad", 0.5, 0.6, 0.1,
           (continuation(1, 2, score=1.0), continuation(1, 3, 5, score=0.0))),
    Branch(7, " good", 0.2, 0.1, 0.9,
           (continuation(1, 2, score=2.0), continuation(1, 2, score=1.8))),
    Branch(9, ".", 0.1, 0.1, 0.5, (continuation(score=1.7),))))


def test_continuations_that_begin_alike_share_their_nodes():
    root = grow([FOUND])
    assert root.worth == FOUND.worth
    bad, good, end = root.children
    assert [c.worth for c in root.children] == [0.5, 1.9, 1.7]
    assert [c.taken for c in root.children] == [False, True, False]
    # 1 is common; then one ends after 2 and the other goes on.
    (fork,) = bad.children
    assert fork.worth == 0.5
    assert [leaf.worth for leaf in fork.children] == [1.0, 0.0]
    # Those that are the same to the end are two leaves of one node.
    assert [leaf.worth for leaf in good.leaves()] == [2.0, 1.8]
    assert [leaf.continuation.tokens for leaf in end.leaves()] == [()]
    assert len(root.leaves()) == 5
    assert all(node.x >= node.parent.x for node in root.walk() if node.parent)
    # A node's worth is the mean of its leaves', recomputed.
    for node in root.walk():
        if node.parent is not None:
            assert node.worth == pytest.approx(
                np.mean([leaf.worth for leaf in node.leaves()] or [node.worth]))
            assert node.advantage == node.worth - node.parent.worth


def test_names_stand_apart_and_where_there_is_room():
    assert spread([10, 11, 50], [14, 14, 14], 0, 100) == [3.5, 17.5, 50]
    assert spread([95, 96], [14, 14], 0, 100) == [86, 100]
    assert spread([50, 50, 50], [20, 6, 6], 0, 100) == pytest.approx(
        [50 - 32 / 3, 50 + 7 / 3, 50 + 25 / 3])
    crowded = spread([5] * 10, [14] * 10, 0, 90)
    assert crowded == pytest.approx([10 * i for i in range(10)])
    assert spread([], [], 0, 100) == []


def place(opened, store):
    """Let a run have one completion with tokens, and show its second."""
    ready(opened)
    run_id = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters=DEFAULTS,
                              prompts=[Prompt("The film")]).result()
    trace = TokenTrace(0, 0, np.array([3, 7], np.int32), (" was", " good"),
                       {"value": np.zeros(2, np.float32)})
    store.record_cycle(
        run_id, 1, metrics={}, rollout=[CompletionRecord(
            0, 0, "The film", " was good", 1.9, 0.0, 2, True)], comparison=[], traces=[trace],
        keep_traces=9).result()
    opened.window.reveal("paths")
    opened.window.paths.show_place(run_id, 1, 0, 1)
    opened.window.repaint()
    return run_id


def test_before_a_token_is_chosen_it_says_what_it_is_for(opened):
    opened.window.reveal("paths")
    assert "Choose a token in Tokens" in opened.window.paths._empty.text()
    assert opened.window.paths._empty.isVisible()


def test_it_is_written_on_and_drawn(qtbot, opened, store):
    run_id = place(opened, store)
    view = opened.window.paths
    assert view._where.text() == "Cycle 1, in place of “good” after … was"
    assert view._said.text() == "Nothing was written on from here yet."
    view.branches.setValue(3)
    view.times.setValue(2)
    view.source.setCurrentText("Start policy")
    qtbot.mouseClick(view.button, Qt.MouseButton.LeftButton)
    assert opened.sent[-1] == do.WriteOn(1, run_id, 1, 0, 1, do.TrySource("start"), 3, 2)
    assert view.button.text() == "Stop"
    opened.controller.handle([ev.WritingOn(1, 3, 40)])
    assert view._said.text() == "Writing on: 3 of at most 40 tokens"
    store.record_crossroads(FOUND).result()
    opened.controller.handle([ev.WroteOn(1, FOUND)])
    assert view.button.text() == "Write on from here"
    assert view._said.text() == (
        "“good” has a chance of 20\N{NO-BREAK SPACE}% by Run 1 after cycle 1 (start policy "
        "10\N{NO-BREAK SPACE}%). This path is worth 1.90, the others 0.70 on average: advantage "
        "+1.20 of reward, against the "
        "other paths. All together 1.00 (●); the value head foresaw 0.64 (◇).")
    tree = view.tree
    assert len(tree.root.leaves()) == 5
    # The higher its reward, the higher a leaf.
    places = sorted((tree.place(leaf).y(), -leaf.worth) for leaf in tree.root.leaves())
    assert places == sorted(places, key=lambda p: p[1])
    best = max(tree.root.leaves(), key=lambda leaf: leaf.worth)
    at = tree.place(best)
    pointer.move(tree, at)
    assert view._text.text() == "2.00: …good 1 2"
    # What the colours and the thick line mean, and how to read a path, is said beside the tree.
    assert QTextDocumentFragment.fromHtml(view._legend.text()).toPlainText() == (
        "━ worth more than where it comes from, ━ less, ━ about as much; thick: taken. Point "
        "at an end to read it")
    assert (view._text.isVisible(), view._legend.isVisible()) == (True, False)
    pointer.move(tree, QPointF(1, 1))
    assert (view._text.isVisible(), view._legend.isVisible()) == (False, True)
    pointer.move(tree, at)
    tree.setFocus()
    qtbot.keyClick(tree, Qt.Key.Key_Down)
    assert view._text.text() == "1.80: …good 1 2"
    assert not tree.grab().isNull()


def test_rewards_stand_at_their_leaves_and_clear_of_one_another(qtbot, opened, store):
    run_id = place(opened, store)
    view = opened.window.paths
    branches = tuple(replace(branch, continuations=tuple(
        Continuation((7, i), (" b", f" {i}"), 1.5 + i / 1000, False) for i in range(9)))
        for branch in FOUND.branches)
    view.tree.show_places([replace(FOUND, run_id=run_id, branches=branches)], 1)
    tree = view.tree
    leaves, found = tree.root.leaves(), tree.labels()
    assert 0 < len(found) < len(leaves)
    for leaf, box in found:
        assert abs(box.center().y() - tree.place(leaf).y()) < 1
        assert box.left() - tree.place(leaf).x() == 8
    boxes = [box for _, box in found]
    assert not any(a.intersects(b) for i, a in enumerate(boxes) for b in boxes[:i])
    written = [leaf for leaf, _ in found]
    hidden = next(leaf for leaf in leaves if leaf not in written)
    tree._point_at(hidden)
    assert tree.labels()[0][0] is hidden
    assert not tree.grab().isNull()


@pytest.mark.parametrize("name", ["paths", "chances"])
def test_a_view_of_a_place_says_that_the_run_has_gone_on_and_goes_there(
    qtbot, opened, store, name
):
    run_id = place(opened, store)
    opened.controller.show_run(run_id)
    opened.window.reveal("tokens")
    qtbot.waitUntil(lambda: len(opened.window.tokens.model.steps) == 2)
    opened.window.tokens._choose_step(1)  # and stay there
    opened.window.reveal(name)
    view = getattr(opened.window, name)
    qtbot.waitUntil(lambda: "Cycle 1" in view._where.text())
    assert not view.behind.isVisible()
    trace = store.trace(run_id, 1, 0)
    for cycle in (2, 3):
        store.record_cycle(
            run_id, cycle, metrics={}, rollout=[CompletionRecord(
                0, 0, "The film", " was good", 1.9, 0.0, 2, True)], comparison=[],
            traces=[trace], keep_traces=9).result()
        opened.controller.handle([ev.CycleFinished(run_id, cycle, 9, {})])
    assert view.behind.isVisible()
    assert view._gone_on.text() == "This is cycle 1; the run has gone on and has 3 cycles."
    qtbot.mouseClick(view.behind.findChild(QPushButton), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "Cycle 3" in view._where.text())
    assert not view.behind.isVisible()


def test_another_run_takes_the_place_away(opened, store):
    place(opened, store)
    store.record_crossroads(FOUND).result()
    view, chances = opened.window.paths, opened.window.chances
    view._read()
    opened.window.tokens.place_shown.emit(1, 1, 0, 1)
    opened.controller.show_run(1)  # the same one: it stays
    assert view._place == chances._place == (1, 1, 0, 1)
    other = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters=DEFAULTS,
                             prompts=[Prompt("The film")]).result()
    opened.controller.show_run(other)
    assert view._place is None
    assert chances._place is None
    for shown in (view, chances):
        assert shown._pages.currentWidget() is shown._empty
    assert view.tree.root is None


def near(count):
    """A crossroads of many tokens that are worth nearly the same."""
    return replace(FOUND, taken=0, branches=tuple(
        Branch(i, f" token {i}", 0.3 / (i + 1), 0.1, 1 + i / 1000,
               (continuation(1, 2, score=3.0 * (i % 2)), continuation(2, 3, score=1.0)))
        for i in range(count)))


@pytest.mark.parametrize(("height", "count", "named"), [(400, 8, 8), (110, 5, 5), (64, 5, None),
                                                       (200, 20, None)])
def test_a_branch_stands_where_its_name_does(opened, store, height, count, named):
    place(opened, store)
    tree = opened.window.paths.tree
    tree.show_places([near(count)], 1)
    tree.setMinimumHeight(0)
    tree.resize(600, height)
    names = tree.names()
    assert names[0][0].taken
    assert len(names) == named if named else 1 < len(names) < count
    # The likeliest are named.
    assert [node.branch.token for node, *_ in names] == list(range(len(names)))
    for node, box, _ in names:
        assert box.center().y() == pytest.approx(tree.place(node).y())
    boxes = [box for _, box, _ in names]
    assert not any(a.intersects(b) for i, a in enumerate(boxes) for b in boxes[:i])
    # One without a name is clear of the names of others.
    hidden = [node for node in tree.root.children if node not in [n for n, *_ in names]]
    assert not any(box.contains(tree.place(node)) for node in hidden for box in boxes)
    assert all(box.top() >= 0 and box.bottom() <= height for box in boxes)
    assert not tree.grab().isNull()


def test_numbers_of_the_scale_are_clear_of_one_another(opened, store):
    place(opened, store)
    tree = opened.window.paths.tree
    tree.show_places([FOUND], 1)
    tree.setMinimumHeight(0)
    for height, count in ((400, 5), (80, 4), (64, 3)):
        tree.resize(600, height)
        ticks = tree.ticks()
        assert len(ticks) <= count
        assert (ticks[0], ticks[-1]) == (0.0, 2.0)
        assert (height - 28) / (len(ticks) - 1) >= tree.fontMetrics().height()
    tree.resize(600, 400)
    assert tree.ticks() == [0, 0.5, 1, 1.5, 2]


def test_from_the_prompt(qtbot, opened, store):
    run_id = place(opened, store)
    view = opened.window.paths
    qtbot.mouseClick(view.from_prompt, Qt.MouseButton.LeftButton)
    assert view._where.text() == "Cycle 1, in place of “was” right after the prompt"
    # Nothing was written there yet, so that it is now.
    assert (opened.sent[-1].at, opened.sent[-1].run_id) == (0, run_id)
    assert view.button.text() == "Stop"
    store.record_crossroads(FIRST).result()
    opened.controller.handle([ev.WroteOn(1, FIRST)])
    assert not view.from_prompt.isEnabled()
    sent = len(opened.sent)
    view.go_to(1)
    qtbot.mouseClick(view.from_prompt, Qt.MouseButton.LeftButton)
    assert (view._place[3], len(opened.sent)) == (0, sent)  # what is there is shown


def test_the_name_of_a_branch_lights_it_and_shows_its_best_text(qtbot, opened, store):
    place(opened, store)
    store.record_crossroads(FOUND).result()
    view, tree = opened.window.paths, opened.window.paths.tree
    view._read()
    node, box, _ = next(n for n in tree.names() if n[0].branch.piece == " bad")
    qtbot.mouseClick(tree, Qt.MouseButton.LeftButton, pos=box.center().toPoint())
    assert tree._leaf is node
    assert view._text.text() == "0.50 on average of 2, the best 1.00: …bad 1 2"
    assert view._text.isVisible()
    assert {id(n) for n in node.leaves()} <= {id(n) for n in _lit(node)}
    assert not tree.grab().isNull()
    pointer.move(tree, QPointF(1, 1))
    assert tree._leaf is None


def test_the_tree_keeps_its_height_and_rewards_are_clear_of_names(qtbot, opened, store):
    place(opened, store)
    store.record_crossroads(FOUND).result()
    view, tree = opened.window.paths, opened.window.paths.tree
    view._read()
    opened.window.enlarge_view()
    for width in (1280, 700):
        opened.window.resize(width, 720)
        tree._point_at(None)
        QApplication.processEvents()
        height = tree.height()
        for node in (tree.names()[0][0], tree.root.leaves()[0]):
            tree._point_at(node)
            QApplication.processEvents()
            assert tree.height() == height
        names = [box for _, box, _ in tree.names()]
        tree._point_at(None)
        assert tree.labels()
        assert not any(a.intersects(b) for _, a in tree.labels() for b in names)


def test_it_says_why_tokens_has_another_advantage(opened, store):
    run_id = place(opened, store)
    trace = TokenTrace(0, 0, np.array([3, 7], np.int32), (" was", " good"), {
        "value": np.zeros(2, np.float32), "advantage": np.array([0.5, -3.69], np.float32)})
    store.record_cycle(
        run_id, 2, metrics={}, rollout=[CompletionRecord(
            0, 0, "The film", " was good", 1.9, 0.0, 2, True)], comparison=[], traces=[trace],
        keep_traces=9).result()
    store.record_crossroads(replace(FOUND, cycle=2)).result()
    view = opened.window.paths
    view.show_place(run_id, 2, 0, 1)
    assert view._said.text().endswith(
        "In Tokens it has −3.69 deviations: there against the value head's estimate (GAE), by the "
        "policy before the update of cycle 2; here against what else could be written, by "
        "Run 1 after cycle 1.")


def test_marks_of_the_first_place_are_clear_of_the_scale(opened, store):
    place(opened, store)
    tree = opened.window.paths.tree
    tree.show_places([FOUND], 1)
    assert tree.place(tree.root).x() >= 46 + 6
    assert all(box.left() >= 46 for _, box, _ in tree.estimates())


@pytest.mark.parametrize(("low", "high"), [(-0.62, 1.51), (0.013, 0.038), (-7.0, 12.4), (3.0, 3.1)])
def test_numbers_of_the_scale_are_round(opened, store, low, high):
    place(opened, store)
    tree = opened.window.paths.tree
    tree.resize(600, 400)
    tree._range = low, high
    ticks = tree.ticks()
    step = ticks[1] - ticks[0]
    assert round(step / 10 ** math.floor(math.log10(step) + 1e-9), 6) in (1, 2, 5)
    assert all(low - 1e-9 <= t <= high + 1e-9 for t in ticks)
    assert 2 <= len(ticks) <= 5


def test_what_another_policy_wrote_is_chosen(opened, store):
    place(opened, store)
    store.record_crossroads(FOUND).result()
    other = Crossroads(1, 1, 0, 1, "Start policy", 0, math.nan, 7, FOUND.branches[1:])
    store.record_crossroads(other).result()
    view = opened.window.paths
    view._read()
    assert [view.writer.itemText(i) for i in range(2)] == ["Run 1 after cycle 1", "Start policy"]
    assert view._chosen() == store.crossroads(1, 1, 0)[1]
    view.writer.setCurrentIndex(0)
    assert view._said.text() == say(FOUND)


def test_it_is_stopped_and_failures_are_told(qtbot, opened, store):
    place(opened, store)
    view = opened.window.paths
    view.write_on()
    view.write_on()
    assert opened.sent[-1] == do.StopTrying()
    opened.controller.handle([ev.WritingOnFailed(1)])
    assert view._said.text() == "Nothing was written on from here yet."
    view.write_on()
    opened.controller.handle([ev.WritingOnFailed(2, "It cannot be.")])
    assert opened.window.toast.text == "It cannot be."
    view.write_on()
    opened.controller.handle([ev.CommandRefused("WriteOn", "Pause first.")])
    assert view.button.text() == "Write on from here"
    opened.controller.handle([ev.StateChanged(State.RUNNING)])
    assert not view.button.isEnabled()
    assert "Pause first" in view.button.toolTip()


def test_tokens_says_where_the_person_is(qtbot, opened, store):
    run_id = place(opened, store)
    opened.controller.show_run(run_id)
    opened.window.reveal("tokens")
    qtbot.waitUntil(lambda: len(opened.window.tokens.model.steps) == 2)
    opened.window.tokens._choose_step(0)
    opened.window.reveal("paths")
    qtbot.waitUntil(lambda: "in place of “was”" in opened.window.paths._where.text())


# The same completion, written on from at its first token as well.
FIRST = replace(FOUND, at=0, value=1.2, taken=3, branches=(
    Branch(3, " was", 0.6, 0.5, 0.7, (continuation(7, 1, score=1.5), continuation(4, score=0.5))),
    Branch(8, " is", 0.2, 0.3, 0.4, (continuation(2, 2, 6, score=-1.0),)),
    Branch(9, ".", 0.1, 0.1, 0.5, (continuation(score=0.2),))))


def mean_by_hand(found, but=None):
    """What the branches are worth on average, each as likely as it is, from the scores alone."""
    rows = [(b.chance, [c.score for c in b.continuations]) for b in found.branches
            if b.token != but]
    return (sum(chance * sum(scores) / len(scores) for chance, scores in rows)
            / sum(chance for chance, _ in rows))


def test_places_of_one_completion_stand_in_one_tree_along_the_path_taken(opened, store):
    place(opened, store)
    for found in (FOUND, FIRST):
        store.record_crossroads(found).result()
    kept = store.crossroads(1, 1, 0)
    assert [found.at for found in kept] == [0, 1]
    root = grow(kept)
    assert (root.crossroads, root.is_place) == (kept[0], True)
    was = next(node for node in root.branches() if node.taken)
    assert was.branch.piece == " was"
    (later,) = [child for child in was.children if child.is_place]
    assert later.crossroads == kept[1]
    assert later.taken
    # Each is worth the mean of what was written on from it, and of nothing else.
    for node, found in zip((root, later), kept, strict=True):
        assert node.worth == pytest.approx(mean_by_hand(found))
        for branch in node.branches():
            assert branch.worth == pytest.approx(
                np.mean([leaf.continuation.score for leaf in branch.leaves()]))
        assert len(node.leaves()) == sum(len(b.continuations) for b in found.branches)
    assert was.worth == 1.0
    assert root.worth == pytest.approx(0.42 / 0.9)
    # The same number of tokens stands at the same place from left to right.
    ends = {}
    for node in root.walk():
        if node.continuation is not None:
            long = node.crossroads.at + 1 + len(node.continuation.tokens)
            assert ends.setdefault(long, node.x) == pytest.approx(node.x)
    assert sorted(ends.values()) == [ends[long] for long in sorted(ends)]
    assert max(ends.values()) == pytest.approx(1)
    assert root.x < was.x < later.x < later.branches()[0].x
    assert grow([]) is None


def test_one_goes_from_place_to_place(qtbot, opened, store):
    place(opened, store)
    for found in (FOUND, FIRST):
        store.record_crossroads(found).result()
    view, tree = opened.window.paths, opened.window.paths.tree
    view.show_place(1, 1, 0, 0)
    kept = store.crossroads(1, 1, 0)
    assert [node.crossroads for node in tree.places] == kept
    assert tree.chosen is tree.places[0]
    others = mean_by_hand(kept[0], but=3)
    assert (f"This path is worth 1.00, the others −{abs(others):.2f} on average: advantage "
            f"+{1 - others:.2f} of reward") in view._said.text()
    assert tree.accessibleDescription() == f"Place 1 of 2. {view._said.text()}"
    # Means and estimates stand at every place, those of the chosen one first.
    texts = [text for *_, text in tree.estimates()]
    assert texts[:2] == ["● 0.47", "◇ 1.20"]
    assert tree.value_at(tree.places[0]).y() < tree.place(tree.places[0]).y()
    assert {node.branch.piece for node, *_ in tree.names()} == {" was", " is", "."}
    tree.setFocus()
    qtbot.keyClick(tree, Qt.Key.Key_Right)
    assert tree.chosen is tree.places[1]
    assert view._place == (1, 1, 0, 1)
    assert view._said.text() == say(kept[1])
    assert view._where.text() == "Cycle 1, in place of “good” after … was"
    assert {node.branch.piece for node, *_ in tree.names()} == {" bad", " good", "."}
    qtbot.keyClick(tree, Qt.Key.Key_Right)  # there is no other
    assert tree.chosen is tree.places[1]
    # Up and Down stay with the chosen place.
    for _ in range(9):
        qtbot.keyClick(tree, Qt.Key.Key_Down)
        assert tree._leaf.crossroads == kept[1]
    assert not tree.grab().isNull()
    qtbot.keyClick(tree, Qt.Key.Key_Left)
    assert tree.chosen is tree.places[0]
    assert tree._leaf is None
    # A click on a path goes to its place.
    leaf = tree.places[1].leaves()[0]
    qtbot.mouseClick(tree, Qt.MouseButton.LeftButton, pos=tree.place(leaf).toPoint())
    assert view._place == (1, 1, 0, 1)
    qtbot.mouseClick(view.from_prompt, Qt.MouseButton.LeftButton)
    assert tree.chosen is tree.places[0]
    view.write_on()
    assert opened.sent[-1].at == 0


def test_the_tree_stays_at_a_token_that_nothing_was_written_on_from(qtbot, opened, store):
    place(opened, store)
    store.record_crossroads(FOUND).result()
    view, tree = opened.window.paths, opened.window.paths.tree
    view.show_place(1, 1, 0, 0)
    assert tree.chosen is None
    assert len(tree.root.leaves()) == 5
    assert view._said.text() == (
        "Nothing was written on from here yet. The tree is of another place of this completion; "
        "Left and Right in it go there.")
    assert [node.crossroads.at for node, *_ in tree.estimates()] == [1, 1]
    # What has been written keeps its names.
    assert {node.branch.piece for node, *_ in tree.names()} == {" bad", " good", "."}
    assert not tree.grab().isNull()
    qtbot.keyClick(tree, Qt.Key.Key_Left)
    assert tree.chosen is tree.places[0]
    # What comes of it joins the tree.
    view.go_to(0)
    view.write_on()
    store.record_crossroads(FIRST).result()
    opened.controller.handle([ev.WroteOn(view._number, FIRST)])
    assert [node.crossroads.at for node in tree.places] == [0, 1]
    assert tree.chosen is tree.places[0]
    view.show_place(1, 1, 7, 0)  # another completion has none of it
    assert tree.root is None


@pytest.mark.parametrize("count", [1, 3, 6])
def test_numbers_and_names_of_places_are_clear_of_one_another(opened, store, count):
    place(opened, store)
    tree = opened.window.paths.tree
    tree.show_places([replace(FOUND, at=2 * i, value=0.5 + 0.1 * i) for i in range(count)], 0)
    tree.resize(640, 300)
    boxes = [box for _, box, _ in tree.estimates()]
    assert tree.estimates()[0][0] is tree.places[0]
    for others in ([box for _, box, _ in tree.names()], boxes):
        assert not any(a.intersects(b) for a in boxes for b in others if a is not b)
    assert all(tree.rect().toRectF().contains(box) for box in boxes)
    # A name covers no mark of its place.
    assert all(box.left() > tree.place(tree.places[0]).x() + 6 for _, box, _ in tree.names())
