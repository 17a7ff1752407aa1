"""The strip says which part of a cycle is on and what came of it, in the run's own numbers."""

import math

import pytest
from helpers.play import SMALL, play, until
from helpers.window import DEFAULTS, ready
from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtWidgets import QApplication, QToolTip

from workbench.algorithms import algorithm_named
from workbench.formatting import number, percent, signed
from workbench.gui.cycle_strip.strip import COMPACT, HEIGHT
from workbench.models.phases import Phase
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

TITLES = ["Write", "Score", "Estimate", "Update", "Compare"]


def begin(opened, run_id=7):
    ready(opened)
    opened.controller.handle([
        ev.RunStarted(run_id, "Run 7", "ppo", DEFAULTS | {"num_cycles": 20}),
        ev.StateChanged(State.RUNNING)])


def shown(opened):
    """Return what each part shows, those that are live marked."""
    return [f"{'*' if b.live else ''}{b.part.title} {b.result}".strip()
            for b in opened.window.strip.buttons]


def test_before_the_first_run_it_says_what_a_cycle_is_made_of(opened):
    assert shown(opened) == TITLES
    for button in opened.window.strip.buttons:
        assert button.accessibleName() == button.part.title
        assert button.part.help[:20] in button.toolTip()


def test_the_part_in_hand_is_live_and_what_is_known_stands_beside_it(opened):
    begin(opened)
    assert shown(opened) == TITLES
    opened.controller.handle([ev.Progress(7, 3, 20, Phase.SAMPLING, 38, 64)])
    assert shown(opened) == ["*Write 38/64", *TITLES[1:]]
    opened.controller.handle([
        ev.PartReported(7, 3, "write", {"objective/length": 47.6}),
        ev.PartReported(7, 3, "write", {}, True),
        ev.PartReported(7, 3, "score", {"objective/scores": 1.42, "objective/length": 47.6}),
        ev.PartReported(7, 3, "score", {}, True),
        ev.PartReported(7, 3, "estimate", {"val/value": 0.91}),
        ev.PartReported(7, 3, "estimate", {}, True),
        ev.PartReported(7, 3, "update", {
            "epoch": 2, "epochs": 4, "policy/clipfrac": 0.06, "policy/approxkl": 0.00625,
            "val/ratio_var": 0.0025})])
    assert shown(opened) == [
        "Write mean length 48", "Score mean 1.42", "Estimate mean 0.91",
        f"*Update epoch 2/4, outside {percent(0.06)}, moved KL +0.30", "Compare"]
    # The clip range, and one deviation of the ratio to each side of 1.
    assert opened.window.strip.buttons[3].band == pytest.approx((0.8, 1.2, 0.95, 1.05))
    # Of another run nothing is shown.
    opened.controller.handle([ev.Progress(8, 1, 20, Phase.SAMPLING, 1, 64)])
    assert shown(opened)[0] == "Write mean length 48"
    # The next cycle begins with nothing known.
    opened.controller.handle([ev.Progress(7, 4, 20, Phase.SAMPLING, 0, 64)])
    assert shown(opened)[1:] == TITLES[1:]


def test_no_part_gets_further_by_what_comes_before_the_first_cycle_or_between_parts(opened):
    begin(opened)
    for phase in (Phase.PRETRAINING, Phase.REFERENCE):
        opened.controller.handle([ev.Progress(7, 1, 20, phase, 700, 1921)])
        assert shown(opened) == TITLES
    opened.controller.handle([ev.Progress(7, 1, 20, Phase.SAMPLING, 38, 64)])
    assert shown(opened)[0] == "*Write 38/64"
    opened.controller.handle([ev.Progress(7, 1, 20, Phase.READING, 29, 64)])
    assert "29/64" not in " ".join(shown(opened))


def test_a_tooltip_on_screen_is_that_of_now(qtbot, opened, monkeypatch):
    begin(opened)
    button = opened.window.strip.buttons[0]
    monkeypatch.setattr(type(button), "underMouse", lambda self: self is button)
    opened.controller.handle([ev.Progress(7, 3, 20, Phase.SAMPLING, 38, 64)])
    QToolTip.showText(QPoint(5, 5), button.toolTip(), button)
    assert "38/64" in QToolTip.text()
    opened.controller.handle([ev.Progress(7, 3, 20, Phase.SAMPLING, 39, 64)])
    assert QToolTip.text() == button.toolTip()
    assert "39/64" in QToolTip.text()
    QToolTip.hideText()


def test_the_numbers_of_an_update_are_whole_and_the_range_gets_what_they_leave(qtbot, opened):
    begin(opened)
    opened.window.resize(1280, 720)
    opened.controller.handle([ev.PartReported(7, 3, "update", {
        "epoch": 4, "epochs": 4, "policy/clipfrac": 0.126, "policy/approxkl": 0.0625,
        "val/ratio_var": 0.0025, "objective/length": 47.6}),
        ev.PartReported(7, 3, "estimate", {"val/value": -0.91})])
    for button in opened.window.strip.buttons:
        assert button.words_room() >= button.fontMetrics().horizontalAdvance(button.result)


def test_a_run_held_within_a_cycle_shows_where(opened):
    begin(opened)
    opened.controller.handle([
        ev.Progress(7, 1, 20, Phase.SAMPLING, 64, 64),
        ev.PartReported(7, 1, "write", {"objective/length": 47.6}),
        ev.PartReported(7, 1, "write", {}, True),
        ev.StateChanged(State.PAUSED, "In cycle 1, after Write", within="write")])
    assert shown(opened) == ["*Write mean length 48", *TITLES[1:]]
    assert opened.window.status.cycle.text() == "Cycle 1 of 20"
    assert opened.window.actions_["pause"].text() == "Resume"
    opened.window.actions_["step_into"].trigger()
    assert opened.sent[-1] == do.StepInto()
    opened.controller.handle([ev.StateChanged(State.RUNNING, "Into cycle 1")])
    assert shown(opened) == ["Write mean length 48", "*Score", *TITLES[2:]]


def test_step_into_begins_a_run_that_is_held_after_its_first_part(opened):
    ready(opened)
    opened.window.actions_["step_into"].trigger()
    sent = opened.sent[-1]
    assert isinstance(sent, do.Start)
    assert (sent.into, sent.step) == (True, False)


def test_a_part_opens_the_view_that_shows_what_it_made(qtbot, opened):
    qtbot.mouseClick(opened.window.strip.buttons[1], Qt.MouseButton.LeftButton)
    assert opened.window.tokens.isVisible()
    opened.window.strip.buttons[-1].setFocus()
    qtbot.keyClick(opened.window.strip.buttons[-1], Qt.Key.Key_Space)
    assert opened.window.completions.isVisible()


def test_a_run_of_the_store_shows_its_last_cycle(qtbot, opened, run_id, store):
    opened.controller.show_run(run_id)
    qtbot.waitUntil(lambda: opened.window.strip.buttons[1].result != "")
    series = store.metrics(run_id)
    assert shown(opened)[1] == f"Score mean {number(series['objective/scores'].values[-1])}"
    assert not any(b.live for b in opened.window.strip.buttons)
    opened.controller.show_run(None)
    qtbot.waitUntil(lambda: shown(opened) == TITLES)


def test_it_gives_way_where_the_window_is_low_and_where_it_is_not_wanted(qtbot, opened):
    window = opened.window
    window.resize(1280, 720)
    assert window.strip.isVisible()
    assert window.strip.height() == COMPACT
    window.resize(1280, 900)
    qtbot.waitUntil(lambda: window.strip.height() == HEIGHT)
    window.resize(960, 480)
    qtbot.waitUntil(lambda: not window.strip.isVisible())
    window.resize(1280, 720)
    qtbot.waitUntil(window.strip.isVisible)
    window.strip_bar.toggleViewAction().trigger()
    assert not window.strip.isVisible()
    window.resize(1280, 730)
    assert not window.strip.isVisible()
    saved = window.save_state()
    window.strip_bar.toggleViewAction().trigger()
    assert window.strip.isVisible()
    window.restore_frame(saved)
    assert not window.strip.isVisible()


def test_titles_are_whole_at_960_pixels(qtbot, opened):
    begin(opened)
    opened.window.resize(960, 540)
    qtbot.waitUntil(lambda: opened.window.strip.isVisible())
    qtbot.waitUntil(lambda: all(
        button.width() >= button.minimumSizeHint().width()
        for button in opened.window.strip.buttons))


def test_what_is_known_of_parts_does_not_lay_the_window_out_anew(qtbot, opened):
    begin(opened)
    qtbot.waitUntil(lambda: opened.window.strip.isVisible())
    for _ in range(10):  # what begins is laid out
        QApplication.processEvents()
    asked = []

    class Watch(QObject):
        def eventFilter(self, watched, event):
            if event.type() == QEvent.Type.LayoutRequest:
                asked.append(watched)
            return False

    watch = Watch()
    strip = opened.window.strip
    strip.parentWidget().installEventFilter(watch)
    for cycle in (9, 10, 1000):
        strip.progress(ev.Progress(7, cycle, 2000, Phase.SAMPLING, 38, 64))
        strip.report(ev.PartReported(7, cycle, "score", {"objective/scores": cycle * 1.5}, True))
        QApplication.processEvents()
    assert shown(opened)[1] == "Score mean 1500.00"
    assert not asked


def test_its_numbers_are_those_of_the_store(qapp, tmp_path):
    """A real run, looked into part by part."""
    async def scenario(workbench):
        window, store = workbench.window, workbench.store
        await until(lambda: window.state is State.READY)
        window.hyperparameters.form.set_values(SMALL, "test")
        window.actions_["step_into"].trigger()
        for part in ("write", "score", "estimate", "update"):
            await until(lambda part=part: window.state is State.PAUSED
                        and window.strip.buttons[TITLES.index(part.title())].live)
            rollout = store.completions(1, 1, "rollout")
            texts = [b.result for b in window.strip.buttons]
            if part == "score":
                assert texts[1] == f"mean {number(sum(r.score for r in rollout) / len(rollout))}"
            if part == "estimate":
                values = [v for t in store.traces(1, 1) for v in t.numbers["value"].tolist()]
                assert texts[2] == f"mean {number(sum(values) / len(values))}"
            # Tokens has what is known of the cycle in hand.
            window.reveal("tokens")
            await until(lambda part=part: window.tokens.model.steps and (
                math.isfinite(window.tokens.model.steps[0].advantage),
                math.isfinite(window.tokens.model.steps[0].ratio)) == (
                    part in ("estimate", "update"), part == "update"))
            window.actions_["step_into"].trigger()
        await until(lambda: window.note.text() == "After cycle 1")
        metrics = {name: s.values[-1] for name, s in store.metrics(1).items()}
        moved = metrics["policy/approxkl"] * metrics["objective/length"]
        assert window.strip.buttons[3].result == (
            f"outside {percent(metrics['policy/clipfrac'])}, moved KL {signed(moved)}")
        assert window.strip.buttons[4].result == (
            f"mean {number(metrics['objective/scores_compared'])}")

    play(qapp, tmp_path / "home", scenario)


def test_where_no_data_is_held_out_there_is_no_part_for_it(opened):
    ready(opened)
    reward = algorithm_named("reward", {})
    for changes, there in (({}, True), ({"held_out_share": 0.0}, False),
                           ({"held_out_share": 0.0, "held_out_prompts": 2.0}, True)):
        opened.window.strip.show_run(7, reward, reward.settings().model_dump() | changes)
        parts = {b.part.name: b for b in opened.window.strip.buttons}
        assert parts["evaluate"].isHidden() != there
        assert not parts["update"].isHidden()
        opened.window.strip.set_state(State.RUNNING)
        opened.window.strip.report(ev.PartReported(7, 1, "draw", {}, True))
        opened.window.strip.report(ev.PartReported(7, 1, "update", {}, True))
        live = [b.part.name for b in opened.window.strip.buttons if b.live]
        assert live == (["evaluate"] if there else ["compare"])


def test_an_algorithm_without_parts_of_its_own_has_those_of_all(opened):
    opened.window.strip.show_run(None, algorithm_named("another", {}))
    assert shown(opened) == [t for t in TITLES if t != "Estimate"]


def test_a_count_is_never_cut_off_from_what_it_counts(opened):
    kto = algorithm_named("kto", {})
    opened.window.strip.show_run(7, kto, kto.settings().model_dump(), 1, {
        "data/size": 1900, "data/drawn": 128, "eval/told_apart": 0.8})
    drawn = next(b for b in opened.window.strip.buttons if b.part.name == "draw")
    assert drawn.result == "1,900 completions, 128 drawn"
    wide = drawn.fontMetrics().horizontalAdvance(drawn.result)
    assert drawn.words(wide) == drawn.result
    assert drawn.words(wide - 1) == "1,900 completions"
    assert drawn.words(1) == "1,900 completions"  # of which the paint elides the end
