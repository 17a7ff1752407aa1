"""The objective as a picture: the formula, bars over cycles and the trust region."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import pointer
from helpers.reinforce import REINFORCE
from helpers.window import DEFAULTS, PROMPTS, Opened, bare_controls, completions, unexplained
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from workbench.algorithms import algorithm_named
from workbench.formatting import short_number
from workbench.gui.main_window import MainWindow
from workbench.gui.objective.bars import stacked
from workbench.gui.objective.chips import Formula
from workbench.gui.objective.reading import Picture, Tokens
from workbench.gui.objective.region import LEAST, MOST
from workbench.gui.objective.view import ObjectiveView
from workbench.gui.widgets.theme import themes
from workbench.kto.declaration import KTO
from workbench.kto.metrics import LOSS, OF_BAD, OF_GOOD
from workbench.ppo.metrics import GRADIENT_OF
from workbench.ppo.picture import ratios_in
from workbench.records import TokenTrace
from workbench.store.records import CompletionRecord, Prompt
from workbench.store.store import Store

SETTINGS = DEFAULTS | {"vf_coef": 4.0, "entropy_coef": 0.02}
TOKENS, COMPLETIONS = 40, 3


def loss_of(cycle: int, entropy_coef: float = 0.02) -> dict[str, float]:
    policy, value, entropy = -0.02 * cycle, 0.3 / cycle, 2.5 - 0.1 * cycle
    return {"loss/policy_avg": policy, "loss/value_avg": value, "policy/entropy_avg": entropy,
            "loss/total_avg": policy + 4 * value - entropy_coef * entropy}


def traces(cycle: int) -> list[TokenTrace]:
    """Tokens with ratios on both sides of the band, and beyond the axis."""
    rng = np.random.default_rng(cycle)
    return [TokenTrace(i, i, np.arange(TOKENS, dtype=np.int32), [" a"] * TOKENS, {
        "ratio": np.exp(0.4 * rng.standard_normal(TOKENS)).astype(np.float32),
        "advantage": rng.standard_normal(TOKENS).astype(np.float32)}) for i in range(COMPLETIONS)]


def fill(store: Store, cycles: int = 4, kept: int = 2, **settings: object) -> int:
    run_id = store.create_run(
        name="", policy="/models/policy", reward="/models/reward", models={},
        hyperparameters=SETTINGS | settings, prompts=[Prompt(text) for text in PROMPTS]).result()
    for cycle in range(1, cycles + 1):
        record(store, run_id, cycle, kept)
    return run_id


def record(store: Store, run_id: int, cycle: int, kept: int = 2) -> None:
    rollout = [CompletionRecord(i, i, text, " a" * TOKENS, 0.5, 0.1, TOKENS, True)
               for i, text in enumerate(PROMPTS)]
    store.record_cycle(run_id, cycle, metrics=loss_of(cycle), rollout=rollout,
                       comparison=completions(cycle), keep_traces=kept,
                       traces=traces(cycle)).result()


@pytest.fixture
def view(qtbot: QtBot, opened: Opened, store: Store) -> ObjectiveView:
    """The view on a run of four cycles, of which the tokens of two are kept."""
    opened.controller.show_run(fill(store))
    opened.window.reveal("objective")
    await_cycle(qtbot, opened.window.objective, 4)
    return opened.window.objective


def await_cycle(qtbot: QtBot, view: ObjectiveView, cycle: int) -> None:
    qtbot.waitUntil(lambda: view.picture is not None and view.picture.cycle == cycle)


def counted(cycle: int, clip: float) -> tuple[int, int, int]:
    """Tokens, those outside the band, and those of these that the clip holds."""
    ratio, advantage = (np.concatenate([t.numbers[name] for t in traces(cycle)]).astype(float)
                        for name in ("ratio", "advantage"))
    outside = (ratio < 1 - clip) | (ratio > 1 + clip)
    held = np.where(advantage > 0, ratio > 1 + clip, (advantage < 0) & (ratio < 1 - clip))
    return len(ratio), int(outside.sum()), int((outside & held).sum())


def drag_edge(view: ObjectiveView, start: float, end: float) -> None:
    """Draw an edge of the band from one ratio to another with the mouse."""
    box, plot = view.region.edges[0].getViewBox(), view.region
    pointer.drag(plot, [
        QPointF(plot.mapFromScene(box.mapViewToScene(QPointF(np.log10(ratio), 0.3))))
        for ratio in (start, 1.4, end)])


def heights(view: ObjectiveView) -> np.ndarray:
    """The sum of the parts of each cycle's bar, as it is drawn."""
    return np.sum([np.asarray(part.opts["y1"]) - np.asarray(part.opts["y0"])
                   for part in view.bars.parts], axis=0)


def test_the_chips_have_the_numbers_of_the_store(view: ObjectiveView) -> None:
    policy, value, entropy, kl = view.formula.chips
    found = loss_of(4)
    assert policy.said == short_number(found["loss/policy_avg"])
    assert value.said == (f"4 × {short_number(found['loss/value_avg'])} = "
                          f"{short_number(4 * found['loss/value_avg'])}")
    assert entropy.said == (f"0.02 × {short_number(-found['policy/entropy_avg'])} = "
                            f"{short_number(-0.02 * found['policy/entropy_avg'])}")
    assert view.formula.total.accessibleDescription() == short_number(found["loss/total_avg"])
    assert kl.isHidden()
    assert not any(chip.off for chip in (policy, value, entropy))


def test_no_plus_stands_before_the_first_term_that_shows(qtbot: QtBot) -> None:
    formula = Formula(QLabel("Cycle"))
    qtbot.addWidget(formula)
    metrics = {LOSS: 0.343, OF_GOOD: 0.230, OF_BAD: 0.113}
    for known, pluses in ((metrics, 1), ({LOSS: 0.343}, 0)):
        shares = KTO.objective.shares(known, {}, 1)
        formula.show_picture(Picture(1, KTO, [1], [shares], [0.343], 1, {}), False)
        shown = [text for text in formula.findChildren(QLabel)
                 if text.text() == "+" and text.isVisibleTo(formula)]
        assert len(shown) == pluses


def test_the_parts_of_every_bar_add_up_to_the_loss(view: ObjectiveView) -> None:
    assert heights(view) == pytest.approx(
        [loss_of(cycle)["loss/total_avg"] for cycle in range(1, 5)])


def test_what_is_above_zero_and_what_is_below_are_stacked_apart() -> None:
    starts, ends = stacked(np.array([[-1.0, 2.0, -0.5, 1.0], [np.nan, 2.0, 0.0, -1.0]]))
    assert starts.tolist() == [[0, 0, -1, 2], [0, 0, 2, 0]]
    assert ends.tolist() == [[-1, 2, -1.5, 3], [0, 2, 2, -1]]


def test_bars_use_the_coefficients_of_their_cycle(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    run_id = fill(store, cycles=2)
    store.record_changes(run_id, 2, [("entropy_coef", 0.02, 0.0, "person")]).result()
    opened.controller.show_run(run_id)
    opened.window.reveal("objective")
    view = opened.window.objective
    await_cycle(qtbot, view, 2)
    assert view.formula.chips[2].off
    assert heights(view) == pytest.approx([
        loss_of(1)["loss/total_avg"], loss_of(2, entropy_coef=0.0)["loss/total_avg"]])


def test_a_click_on_a_bar_goes_to_its_cycle(
    qtbot: QtBot, opened: Opened, view: ObjectiveView
) -> None:
    box = view.bars.getViewBox()
    at = view.bars.mapFromScene(box.mapViewToScene(QPointF(3, 0.1)))
    with qtbot.waitSignal(view.cycle_chosen) as told:
        qtbot.mouseClick(view.bars.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(at))
    assert told.args == [3]
    await_cycle(qtbot, view, 3)
    assert view.cycles.cycle.currentText() == "cycle 3"
    assert not view.cycles.latest.isChecked()


def test_it_follows_the_run_until_a_cycle_is_chosen(
    qtbot: QtBot, opened: Opened, view: ObjectiveView, store: Store
) -> None:
    record(store, 1, 5)
    view.cycle_available(1)
    await_cycle(qtbot, view, 5)
    assert view.cycles.latest.isChecked()
    qtbot.mouseClick(view.cycles.previous, Qt.MouseButton.LeftButton)
    await_cycle(qtbot, view, 4)
    record(store, 1, 6)
    view.cycle_available(1)
    qtbot.waitUntil(lambda: view.picture is not None and len(view.picture.cycles) == 6)
    assert view.picture is not None
    assert view.picture.cycle == 4
    opened.window.metrics.cycle_chosen.emit(2)
    await_cycle(qtbot, view, 2)
    qtbot.mouseClick(view.cycles.latest, Qt.MouseButton.LeftButton)
    await_cycle(qtbot, view, 6)


def test_every_token_is_a_dot_on_its_curve(view: ObjectiveView) -> None:
    tokens, outside, held = counted(4, 0.2)
    free = view.region.free.getData()
    rings = view.region.held.getData()
    assert len(free[0]) + len(rings[0]) == tokens == TOKENS * COMPLETIONS
    assert len(rings[0]) == held
    assert 0 < held < outside < tokens
    flat = np.round(rings[1], 9)
    assert set(flat.tolist()) == {1.2, -0.8}
    low, high = (np.asarray(bars.opts[end]) for bars, end in
                 zip(view.region.counts, ("y1", "y1"), strict=True))
    assert low.sum() == tokens - held
    assert (high - low).sum() == held


def test_a_click_on_a_dot_goes_to_its_token(
    qtbot: QtBot, opened: Opened, view: ObjectiveView, store: Store
) -> None:
    held = view.region.held
    spot = held.points()[3]
    index = int(spot.data())
    assert view.picture.tokens.ratio[index] == pytest.approx(
        float(np.concatenate([t.numbers["ratio"] for t in traces(4)])[index]))
    at_pixel = view.region.mapFromScene(held.mapToScene(spot.pos()))
    chosen: list[int] = []
    view.region.token_chosen.connect(chosen.append)
    qtbot.mouseClick(view.region.viewport(), Qt.MouseButton.LeftButton, pos=at_pixel)
    (index,) = chosen  # itself, or one that lies over it
    ratio = view.picture.tokens.ratio[index].clip(LEAST, MOST)
    assert np.log10(ratio) == pytest.approx(spot.pos().x(), abs=0.02)
    tokens = opened.window.tokens
    position, at = divmod(index, TOKENS)
    assert tokens.isVisible()
    assert (tokens._shown_cycle, tokens._record.position) == (4, position)
    assert tokens.table.currentIndex().row() == at
    step = tokens.model.steps[at]
    assert (step.held, step.ratio) == (True, pytest.approx(view.picture.tokens.ratio[index]))


def test_of_many_tokens_one_stands_for_those_in_its_place(view: ObjectiveView) -> None:
    assert view.picture is not None
    picture = view.picture
    assert picture.settings is not None
    objective = picture.algorithm.objective
    assert objective is not None
    assert objective.region is not None
    rng = np.random.default_rng(1)
    many = Tokens(np.exp(0.3 * rng.standard_normal(16_384)), rng.standard_normal(16_384))
    view.region.show_region(objective.region, picture.settings, many)
    dots, rings = (part.getData()[0] for part in (view.region.free, view.region.held))
    assert 500 < len(dots) + len(rings) < 1500
    assert np.asarray(view.region.counts[1].opts["y1"]).sum() == 16_384
    flat = ((many.advantage > 0) & (many.ratio > 1.2)) | (
        (many.advantage < 0) & (many.ratio < 0.8))
    assert np.asarray(view.region.counts[0].opts["y1"]).sum() == (~flat).sum()


def _held(outside: int, held: int, be: str = "are") -> str:
    if held == outside:
        return f"all of these {be} held by the clip."
    return (f"{held} of these {be} held by the clip, the others moved against their advantage, "
            "carried by other tokens.")


def test_the_sentence_counts_what_the_clip_holds(view: ObjectiveView) -> None:
    tokens, outside, held = counted(4, 0.2)
    assert view.edge.said.text() == (
        f"{outside} of {tokens} tokens are outside the band 0.8 to 1.2; {_held(outside, held)}")
    assert not view.edge.use.isEnabled()


def test_dragging_the_edge_asks_what_another_would_have_held_and_stages_it(
    qtbot: QtBot, opened: Opened, view: ObjectiveView
) -> None:
    form = opened.window.hyperparameters.form
    before = dict(form.values())
    opened.window.docks["objective"].setFloating(True)
    opened.window.docks["objective"].resize(1200, 600)  # pixels enough for two decimals
    qtbot.waitUntil(lambda: view.region.width() > 500)
    QApplication.processEvents()
    drag_edge(view, 1.2, 1.15)
    tokens, outside, held = counted(4, 0.15)
    assert view.edge.said.text() == (
        f"With ε = 0.15, {outside} of {tokens} tokens of this update would be outside the band "
        f"0.85 to 1.15; {_held(outside, held, 'would be')}")
    assert len(view.region.held.getData()[0]) == held
    assert view.region.edges[0].value() == pytest.approx(np.log10(0.85))
    assert form.values() == before
    assert view.edge.use.text() == "Use ε = 0.15"
    qtbot.mouseClick(view.edge.use, Qt.MouseButton.LeftButton)
    assert form.values() == before | {"cliprange": 0.15}
    assert opened.sent == []
    form.undo_stack.undo()
    assert form.values() == before


def test_another_edge_can_be_typed(qtbot: QtBot, view: ObjectiveView) -> None:
    assert view.edge.field is not None
    view.edge.field.setFocus()
    view.edge.field.selectAll()
    qtbot.keyClicks(view.edge.field, "0.4")
    assert view.edge.said.text().startswith(f"With ε = 0.4, {counted(4, 0.4)[1]} of")
    view.edge.field.selectAll()
    qtbot.keyClicks(view.edge.field, "0.2")
    assert not view.edge.use.isEnabled()


def test_without_tokens_the_curves_stand_alone(qtbot: QtBot, view: ObjectiveView) -> None:
    view.choose_cycle(1)
    await_cycle(qtbot, view, 1)
    assert "tokens of cycle 1 were not kept" in view.edge.said.text()
    assert len(view.region.free.getData()[0]) == 0
    assert len(view.region.curves[1.0].getData()[0]) > 100


def test_empty_states_say_what_will_be_here(
    qtbot: QtBot, opened: Opened, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = opened.window.objective
    opened.window.reveal("objective")
    assert view._pages.empty.text().startswith("Press Start")
    run_id = fill(store, cycles=0)
    opened.controller.show_run(run_id)
    qtbot.waitUntil(lambda: "No cycle of this run" in view._pages.empty.text())
    view.set_alive(True)
    qtbot.waitUntil(lambda: "when the cycle has ended" in view._pages.empty.text())
    monkeypatch.setattr("workbench.gui.objective.reading.algorithm_of_run", lambda _: REINFORCE)
    view.cycle_available(run_id)
    qtbot.waitUntil(lambda: view._pages.empty.text().startswith(REINFORCE.title))
    assert view._pages.empty.isVisible()


def test_a_low_view_leaves_the_curves_their_room(
    qtbot: QtBot, view: ObjectiveView, opened: Opened
) -> None:
    dock = opened.window.docks["objective"]
    dock.setFloating(True)
    dock.resize(700, 600)
    region = view.region
    qtbot.waitUntil(lambda: region._lower in region.ci.items)
    assert view.formula.chips[1].text().endswith("<br>" + view.formula.chips[1].said)
    dock.resize(700, 260)
    qtbot.waitUntil(lambda: region._lower not in region.ci.items)
    assert view.formula.chips[1].text() == (
        f"<b><i>c</i>₁ · <i>L</i><sub>VF</sub></b> {short_number(4 * 0.075)}")
    assert "4 × 0.075" in view.formula.chips[1].toolTip().replace("0.0750", "0.075")
    dock.resize(700, 600)
    qtbot.waitUntil(lambda: region._lower in region.ci.items)


def test_a_layout_of_before_has_it_among_the_tabs(qtbot: QtBot, opened: Opened) -> None:
    window = opened.window
    window.resize(1300, 800)
    window.actions_["reset_layout"].trigger()
    window.removeDockWidget(window.docks["objective"])
    window.docks["objective"].setParent(None)
    saved = window.save_state()
    del saved["geometry"]
    window.docks["objective"].setParent(window)
    other = MainWindow()
    qtbot.addWidget(other, before_close_func=lambda w: w.deleteLater())
    other.resize(1300, 800)
    other.restore_frame(saved)
    with qtbot.waitExposed(other):
        other.show()
    dock = other.docks["objective"]
    assert not dock.isFloating()
    assert other.docks["completions"] in other.tabifiedDockWidgets(dock)
    assert not other.docks["completions"].visibleRegion().isEmpty()


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_it_is_drawn_in_the_colours_of_the_theme(
    theme: None, view: ObjectiveView, mode: str
) -> None:
    themes().set_mode(mode)  # type: ignore[arg-type]
    assert view.bars.backgroundBrush().color().name() == themes().theme.base
    assert view.region.backgroundBrush().color().name() == themes().theme.base


def test_good_and_bad_have_the_same_colour_in_bars_as_on_curves(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    kto = algorithm_named("kto", {})
    run_id = store.create_run(
        name="", policy="/models/policy", reward="/models/reward", models={}, algorithm="kto",
        hyperparameters=kto.settings().model_dump(), prompts=[Prompt(PROMPTS[0])]).result()
    store.record_cycle(run_id, 1, rollout=[], comparison=completions(1), metrics={
        LOSS: 0.5, OF_GOOD: 0.2, OF_BAD: 0.3}).result()
    opened.controller.show_run(run_id)
    opened.window.reveal("objective")
    view = opened.window.objective
    await_cycle(qtbot, view, 1)
    qtbot.waitUntil(lambda: len(view.bars.parts) == 2)
    theme = themes().theme
    assert kto.objective is not None
    titles = [kto.objective.terms[int(part.name())].title for part in view.bars.parts]
    assert titles == ["L_GOOD", "L_BAD"]
    drawn = [part.opts["brush"].color().name() for part in view.bars.parts]
    assert drawn == [theme.good, theme.bad]
    for chip, colour in zip(view.formula.chips[1:], drawn, strict=True):
        assert colour in _colours(chip)


def _colours(chip: QWidget) -> set[str]:
    """The colours of the edge at the left of a chip."""
    image = chip.grab().toImage()
    return {image.pixelColor(x, image.height() // 2).name() for x in range(6)}


def test_controls_are_named_and_explained(view: ObjectiveView) -> None:
    assert bare_controls(view) == []
    assert unexplained(view) == []
    assert view.region.accessibleDescription() == view.edge.said.text()


def test_the_terms_shares_of_the_gradient_on_request(
    qtbot: QtBot, opened: Opened, view: ObjectiveView, store: Store
) -> None:
    assert "gradient" not in view.formula.chips[0].said
    button = view.formula.measure
    assert not button.isChecked()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert opened.window.hyperparameters.form.values()["measure_gradients"] is True
    assert opened.window.toast.text == "Gradient of each term is on in Hyperparameters now."
    # The button is no term of the sum, and the view says what comes of it.
    assert not view.formula.isAncestorOf(button)
    assert button.isChecked()
    assert view.formula.measured.text() == (
        "Measured in the next run by Start; an experiment or a fork keeps its run's setting.")
    view.set_alive(True)
    view.draw()
    assert view.formula.measured.text() == "Measured from the next cycle on, after Apply."
    norms = {"policy": 3.0, "value": 1.5, "entropy": 0.5, "kl": 0.0}
    store.record_changes(
        view.run_id, 5, [("measure_gradients", False, True, "you")]).result()
    store.record_cycle(
        view.run_id, 5, metrics=loss_of(5) | {GRADIENT_OF[k]: v for k, v in norms.items()},
        rollout=[], comparison=[]).result()
    view.cycle_available(view.run_id)
    await_cycle(qtbot, view, 5)
    policy, value, entropy, _ = view.formula.chips
    assert policy.said.endswith("gradient 60\N{NO-BREAK SPACE}%")
    assert value.said.endswith("gradient 30\N{NO-BREAK SPACE}%")
    assert entropy.said.endswith("gradient 10\N{NO-BREAK SPACE}%")
    assert view.picture.cycles == [1, 2, 3, 4, 5]  # also those without
    assert view.formula.measured.text() == ""
    view.formula.set_low(True)
    assert "∇ 60\N{NO-BREAK SPACE}%" in policy.text()
    assert view.formula.measure.isChecked()


def test_the_ratios_that_each_epoch_found(
    qtbot: QtBot, opened: Opened, view: ObjectiveView, store: Store
) -> None:
    dock = opened.window.docks["objective"]
    dock.setFloating(True)
    dock.resize(1000, 700)
    region = view.region
    assert region._epochs not in region.ci.items  # nothing is known of them
    rng = np.random.default_rng(1)
    ratios = {ratios_in(epoch): np.exp(0.05 * epoch * rng.standard_normal(200))
              for epoch in range(1, 5)}
    store.record_cycle(view.run_id, 5, metrics=loss_of(5), rollout=[], comparison=[],
                       traces=traces(5), keep_traces=2, spreads=ratios).result()
    view.cycle_available(view.run_id)
    await_cycle(qtbot, view, 5)
    assert region._epochs in region.ci.items
    for bars, low, high in zip(region.spreads, (5, 25), (95, 75), strict=True):
        for end, percent in (("x0", low), ("x1", high)):
            assert 10 ** bars.opts[end] == pytest.approx(
                [np.percentile(values, percent) for values in ratios.values()], rel=1e-5)
    assert 10 ** region.medians.xData[::2] == pytest.approx(
        [np.median(values) for values in ratios.values()], rel=1e-5)
    dock.resize(1000, 300)
    qtbot.waitUntil(lambda: region._epochs not in region.ci.items)
    view.choose_cycle(4)
    await_cycle(qtbot, view, 4)
    assert len(region.spreads[0].opts["x0"]) == 0
