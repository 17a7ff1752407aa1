"""What a cycle learned from, token by token, in the window."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from helpers.traces import fill, learned, record, trace
from helpers.window import DEFAULTS, PROMPTS, Opened, bare_controls, metrics
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QTextCursor, QTextDocumentFragment
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QDockWidget, QLabel
from pytestqt.qtbot import QtBot

from workbench.gui.completions.model import TITLES, Column
from workbench.gui.tokens.steps import most_telling, strengths
from workbench.gui.tokens.table import ColouredText, StepsModel, tint
from workbench.gui.tokens.view import TokensView
from workbench.gui.widgets.theme import DARK, LIGHT, themes
from workbench.learning.distributions import KL_OF_COMPLETIONS
from workbench.ppo.tokens import COLUMNS, TOKENS, Step, read_steps, say
from workbench.records import TokenTrace
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

SETTINGS = {"cliprange": 0.2, "whiten_advantages": True}


@pytest.fixture
def tokens(qtbot: QtBot, opened: Opened, store: Store) -> TokensView:
    """The view on a run of three cycles."""
    opened.controller.show_run(fill(store))
    opened.window.reveal("tokens")
    qtbot.waitUntil(lambda: opened.window.tokens.list.count() == len(PROMPTS))
    return opened.window.tokens


def said(view: TokensView) -> str:
    return view.findChild(QLabel, "tokens_said").text()


def step(**more: object) -> Step:
    values = {"piece": " clean", "value": 0.34, "value_after": 1.23, "advantage": 1.0,
              "chance": 0.5, "start_chance": 0.25, "ratio": 1.1, "kl": 0.69, "entropy": 1.5,
              "held": False, "last": False}
    return Step(**(values | more))  # type: ignore[arg-type]


def read(kept: TokenTrace, score: float) -> tuple[Step, ...]:
    return read_steps(kept.pieces, kept.numbers, score, SETTINGS)  # type: ignore[arg-type]


def test_a_step_has_what_comes_after_its_token_and_what_the_clip_did() -> None:
    clean, sure, loud, end = read(trace(), 1.87)
    assert (round(clean.value, 2), round(clean.value_after, 2)) == (0.34, 1.23)
    assert (round(end.value, 2), end.value_after, end.last) == (0.8, 1.87, True)
    assert end.counted == trace().numbers["reward"][-1]
    assert math.isnan(clean.counted)
    # Where scores are normalised, clipped or penalised, values are of what they were made.
    scaled = read(trace(), 45.2)[-1]
    column = next(column for column in COLUMNS if column.title == "Value")
    assert column.text(scaled) == "0.80 → 1.87"
    assert column.weight(scaled) == pytest.approx(1.87)
    assert clean.chance == pytest.approx(0.5)
    assert clean.start_chance == pytest.approx(0.25)
    assert clean.kl == pytest.approx(math.log(2), abs=1e-6)
    # 0.75 < 1 - 0.2 with an advantage below 0 is past the clip; 1.1 is within it.
    assert [s.held for s in (clean, sure, loud, end)] == [False, False, True, False]


@pytest.mark.parametrize(("advantage", "ratio", "held"), [
    (1.0, 1.21, True), (1.0, 0.5, False), (-1.0, 0.79, True), (-1.0, 1.5, False),
    (0.0, 1.5, False)])
def test_the_clip_holds_only_the_side_the_advantage_pushes_to(
    advantage: float, ratio: float, held: bool
) -> None:
    one = trace(advantage=advantage)
    one.numbers["ratio"][0] = ratio
    assert read(one, 0.0)[0].held is held


def test_a_token_is_told_in_words() -> None:
    text = say(step(), SETTINGS).replace("\N{NO-BREAK SPACE}", " ")
    assert "Value head: 0.34 before it, 1.23 after it: it rose by 0.89." in text
    assert "Advantage +1.00 deviations: better than the cycle's average token." in text
    assert "Chance 50 % (start policy 25 %); the update made it ×1.10." in text
    assert "reward model then gave −1.34" in say(step(value_after=-1.34, last=True), SETTINGS)
    assert "worse than the cycle's average token" in say(step(advantage=-0.4), SETTINGS)
    assert "Advantage −0.40: worse than the value head expected." in say(
        step(advantage=-0.4), {"cliprange": 0.2})
    same = say(step(value_after=1.87, counted=1.83, last=True), SETTINGS)
    assert "reward model then gave 1.87. Advantage" in same
    scaled = say(step(value_after=45.2, counted=1.03, last=True), SETTINGS)
    assert "reward model then gave 45.20, which was trained on as 1.03. Advantage" in scaled
    sure = say(step(chance=1.0, entropy=0.0, advantage=2.18), SETTINGS)
    assert "there was no choice here, so it shows what came later." in sure
    end = say(step(chance=1.0, entropy=0.0, advantage=2.18, last=True), SETTINGS)
    assert "there was no choice here, so it shows the reward model's score." in end
    beyond = say(step(ratio=4.68, held=True), SETTINGS)
    # A single step does not end at the edge, so that what left it may have been its own push.
    assert ("made it ×4.68, held by the clip (the band is 0.80 to 1.20): it no longer pushes "
            "itself; the step that left the band, or other tokens, moved it further.") in beyond
    assert ("made it ×0.50, outside the band 0.80 to 1.20 but not held: carried by other tokens, "
            "against its own advantage.") in say(step(ratio=0.5), SETTINGS)
    for ratio, advantage in ((0.9, 1.0), (1.1, -1.0)):
        assert (f"made it ×{ratio:.2f}, carried by other tokens, against its own advantage."
                in say(step(ratio=ratio, advantage=advantage), SETTINGS))
        assert "carried" not in say(step(ratio=ratio, advantage=-advantage), SETTINGS)
    rare = say(step(piece="<b>", chance=1e-5, start_chance=1e-6), SETTINGS)
    shown = QTextDocumentFragment.fromHtml(rare).toPlainText().replace("\N{NO-BREAK SPACE}", " ")
    assert shown.startswith("<b> ")
    assert shown.endswith("Chance <0.1 % (start policy <0.1 %); the update made it ×1.10.")
    assert "deviations" not in say(step(), {"cliprange": 0.2})


@pytest.mark.parametrize(("value", "after", "returned", "advantage", "told"), [
    (0.23, 0.38, -0.24, -2.38,
     "it rose by 0.15. What followed was worse than foreseen (−0.62 as GAE counts it); together "
     "−0.47. Advantage −2.38 deviations: worse than the cycle's average token."),
    (0.44, 0.44, 1.34, 3.35,
     "it stayed. What followed was better than foreseen (+0.90 as GAE counts it); together +0.90. "
     "Advantage +3.35 deviations: better than the cycle's average token."),
    (0.5, 0.25, 0.3, 0.4,
     "it fell by 0.25. What followed was better than foreseen (+0.05 as GAE counts it); together "
     "−0.20. Advantage +0.40 deviations: better than the cycle's average token."),
    # Sums and differences are those of the numbers as they are written.
    (0.2349, 0.3751, 0.3, 0.4,
     "0.23 before it, 0.38 after it: it rose by 0.15. What followed was worse than foreseen "
     "(−0.08 as GAE counts it); together +0.07. "),
    (0.5, 0.4, 0.4, -0.7, "it fell by 0.10. What followed was as foreseen; together −0.10. "),
])
def test_an_advantage_does_not_belie_the_value(
    value: float, after: float, returned: float, advantage: float, told: str
) -> None:
    lam = 0.9
    then = after + (returned - after) / lam
    first, last = read_steps(
        (" a", " b"), {"value": [value, after], "return": [returned, then],
                       "advantage": [advantage, 0.0], "reward": [0.0, then], "entropy": [1.0, 1.0],
                       "ratio": [1.0, 1.0], "logprob": [-1.0, -1.0], "ref_logprob": [-1.0, -1.0]},
        then, {"whiten_advantages": True, "lam": lam})
    assert told in say(first, {"whiten_advantages": True})
    assert "What followed" not in say(last, SETTINGS)


def test_a_price_that_is_part_of_an_advantage_is_told() -> None:
    text = say(step(returned=0.9, followed=-0.2), SETTINGS)  # 0.56 of 0.89, less 0.20 and 0.13
    assert ("What followed was worse than foreseen (−0.20 as GAE counts it), KL price and discount "
            "−0.13; together +0.56. Advantage +1.00 deviations") in text
    assert "together" not in say(step(returned=0.9, followed=-0.2), {"cliprange": 0.2})


def test_what_kl_price_and_discount_add_is_called_a_gain() -> None:
    assert "KL price and discount +0.07 (a gain here);" in say(
        step(returned=0.9, followed=-0.4), SETTINGS)


def test_help_says_that_one_kl_may_be_below_0() -> None:
    tips = [next(c.help for c in COLUMNS if c.title == "KL"), KL_OF_COMPLETIONS.help,
            TITLES[Column.KL][1]]
    assert all("may be below 0; only the mean over many is a distance" in tip for tip in tips)


def test_the_token_that_mattered_had_alternatives() -> None:
    assert most_telling(read(trace(advantage=0.8), 1.87), TOKENS) == 0
    # The second has an advantage of 0.9, but no other token was possible there.
    assert most_telling(read(trace(advantage=0.1), 1.87), TOKENS) == 2
    assert most_telling((), TOKENS) == -1


def test_colours_go_from_nothing_to_the_largest() -> None:
    steps = read(trace(), 1.87)
    found = strengths(steps, COLUMNS[0])
    assert found == pytest.approx([1.0, 0.9, -0.7, 0.02], abs=1e-6)
    assert strengths([step(advantage=math.nan), step(advantage=0.0)], COLUMNS[0]) == [0.0, 0.0]


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("strength", [-1.0, 0.5, 1.0])
def test_text_is_readable_on_every_ground(
    qapp: object, theme: None, mode: str, strength: float
) -> None:
    themes().set_mode(mode)  # type: ignore[arg-type]
    text = {"light": LIGHT, "dark": DARK}[mode].text
    for column in COLUMNS:
        assert contrast(text, tint(column, strength).name()) >= 4.5, column.title


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.2, 1.4.3."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_table_is_a_proper_model(qapp: object) -> None:
    model = StepsModel()
    model.set_columns(COLUMNS)
    tester = QAbstractItemModelTester(
        model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.show_steps(read(trace(), 1.87))
    row = [model.index(2, i).data() for i in range(model.columnCount())]
    assert row == ["loud", "−0.70", "1.20 → 0.80", "25\N{NO-BREAK SPACE}%",
                   "×0.75 held", "−0.69", "1.40"]
    assert all(model.headerData(i, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
               for i in range(model.columnCount()))
    del tester


def test_the_latest_cycle_shows_its_best_completion_first(tokens: TokensView) -> None:
    assert tokens.controls.cycles.cycle.currentText() == "cycle 3"
    lines = [tokens.list.model().index(i, 0).data() for i in range(3)]
    assert [line[:5].strip() for line in lines] == ["1.87", "0.50", "−1.34"]
    assert tokens.text.toPlainText() == "The film was clean and loud."
    assert tokens.table.currentIndex().row() == 0
    assert "Value head: 0.34 before it, 1.23 after it" in said(tokens)


def test_a_click_on_a_token_tells_of_it(qtbot: QtBot, tokens: TokensView) -> None:
    cursor = QTextCursor(tokens.text.document())
    cursor.setPosition(len("The film was clean and lo"))
    where = tokens.text.cursorRect(cursor).center()
    qtbot.mouseClick(tokens.text.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(where))
    assert tokens.table.currentIndex().row() == 2
    assert "held by the clip" in said(tokens)
    (mark,) = tokens.text.extraSelections()
    assert mark.cursor.selectedText() == " loud"  # type: ignore[attr-defined]


def test_a_small_floating_view_drops_no_column(tokens: TokensView) -> None:
    dock = tokens.parentWidget()
    assert isinstance(dock, QDockWidget)
    dock.setFloating(True)
    dock.resize(500, 400)
    QApplication.processEvents()
    table = tokens.table
    assert not any(table.isColumnHidden(i) for i in range(table.model().columnCount()))
    assert table.horizontalHeader().length() > table.viewport().width()
    assert table.horizontalScrollBar().isVisible()
    dock.resize(1000, 400)
    QApplication.processEvents()
    assert not table.horizontalScrollBar().isVisible()


def test_arrows_go_through_the_tokens(qtbot: QtBot, tokens: TokensView) -> None:
    tokens.table.setFocus()
    qtbot.keyClick(tokens.table, Qt.Key.Key_Down)
    assert tokens.table.currentIndex().row() == 1
    assert "no choice here" in said(tokens)


def test_the_list_is_filtered_and_what_is_read_stays(qtbot: QtBot, tokens: TokensView) -> None:
    tokens.list.setCurrentRow(1)
    shown, asked = tokens.text.toPlainText(), tokens.filter
    asked.show_text("reward<0")
    assert [tokens.list.model().index(i, 0).data()[:5] for i in range(tokens.list.count())] == [
        "−1.34"]
    assert tokens.controls.count.text() == "1 of 3 completions"
    assert (tokens.list.currentRow(), tokens.text.toPlainText()) == (-1, shown)
    asked.show_text("reward>9")
    assert tokens.list.count() == 0
    assert tokens.findChild(QLabel, "tokens_none").isVisible()
    assert tokens.text.toPlainText() == shown
    asked.show_text("reward>")
    assert (tokens.list.count(), tokens.list.currentRow()) == (3, 1)
    assert tokens.controls.count.text() == "3 completions, best first"
    assert not tokens.findChild(QLabel, "tokens_none").isVisible()


def test_a_filter_holds_for_the_cycles_that_come_and_gives_way_to_a_prompt_asked_for(
    qtbot: QtBot, tokens: TokensView, store: Store
) -> None:
    tokens.filter.show_text("coffee")
    tokens.follow(True)
    pass_cycle(qtbot, tokens, store, 4)
    assert tokens.list.count() == 1
    assert tokens.text.toPlainText().startswith("The coffee was")
    tokens.show_prompt(4, 1)
    assert tokens.filter.text() == ""
    assert tokens.text.toPlainText().startswith("The film was")


def test_within_a_cycle_completion_and_token_stay_from_part_to_part(
    qtbot: QtBot, opened: Opened, tokens: TokensView, store: Store
) -> None:
    whole = [trace(i, i) for i in range(3)]
    begun = [replace(one, numbers={name: one.numbers[name] for name in ("logprob", "entropy")})
             for one in whole]
    unscored = [replace(r, score=math.nan, kl=math.nan) for r in learned(4)]
    store.record_draft(1, 4, unscored, begun).result()
    tokens.follow(True)
    assert tokens.controls.count.text() == "3 completions, in the order written"
    assert tokens.list.currentRow() == 0
    tokens.table.selectRow(3)
    text = tokens.text.toPlainText()
    for rollout, traces in ((learned(4), begun), (learned(4), whole)):
        store.record_draft(1, 4, rollout, traces).result()
        tokens.load_now()
        assert tokens.controls.count.text() == "3 completions, best first"
        assert tokens.text.toPlainText() == text
        assert tokens.table.currentIndex().row() == 3
    assert tokens.list.currentRow() == 1


def test_another_completion_is_shown_from_its_line_on(
    qtbot: QtBot, opened: Opened, tokens: TokensView
) -> None:
    bar = tokens._side.verticalScrollBar()
    bar.setRange(0, 50)  # as in a low view
    bar.setValue(50)
    tokens.table.selectRow(2)
    assert bar.value() == 50
    tokens.list.setCurrentRow(1)
    assert bar.value() == 0


def test_another_completion_and_another_cycle(qtbot: QtBot, tokens: TokensView) -> None:
    tokens.list.setCurrentRow(2)
    assert tokens.text.toPlainText().startswith("The coffee was")
    qtbot.mouseClick(tokens.controls.cycles.previous, Qt.MouseButton.LeftButton)
    assert tokens.controls.cycles.cycle.currentText() == "cycle 2"
    assert tokens.controls.cycles.next.isEnabled()


def pass_cycle(qtbot: QtBot, tokens: TokensView, store: Store, cycle: int, keep: int = 10) -> None:
    """Record a cycle and tell the view, until it has looked."""
    record(store, 1, cycle, keep)
    tokens.cycle_available(1)
    qtbot.waitUntil(lambda: not tokens._stale and not tokens._reload.isActive())


def news(tokens: TokensView) -> str:
    button = tokens.controls.news
    return button.text() if button.isVisible() else ""


def click_item(qtbot: QtBot, tokens: TokensView, row: int) -> None:
    where = tokens.list.visualRect(tokens.list.model().index(row, 0)).center()
    qtbot.mouseClick(tokens.list.viewport(), Qt.MouseButton.LeftButton, pos=where)


def test_it_follows_the_run_until_a_cycle_is_chosen(
    qtbot: QtBot, tokens: TokensView, store: Store
) -> None:
    pass_cycle(qtbot, tokens, store, 4)
    assert tokens.controls.cycles.cycle.currentText() == "cycle 4"
    assert tokens.controls.cycles.latest.isChecked()
    tokens.controls.cycles.cycle.setCurrentIndex(1)
    assert not tokens.controls.cycles.latest.isChecked()
    pass_cycle(qtbot, tokens, store, 5)
    assert tokens.controls.cycles.cycle.count() == 5
    assert tokens.controls.cycles.cycle.currentText() == "cycle 2"


@pytest.mark.parametrize("row", [0, 2])  # the first is chosen already
def test_a_completion_that_is_read_stays_when_the_next_cycle_ends(
    qtbot: QtBot, tokens: TokensView, store: Store, row: int
) -> None:
    click_item(qtbot, tokens, row)
    shown = tokens.text.toPlainText()
    assert not tokens.controls.cycles.latest.isChecked()
    pass_cycle(qtbot, tokens, store, 4)
    assert tokens.controls.cycles.cycle.currentText() == "cycle 3"
    assert tokens.text.toPlainText() == shown
    assert tokens.list.currentRow() == row
    assert news(tokens) == "cycle 4 is there"
    qtbot.mouseClick(tokens.controls.news, Qt.MouseButton.LeftButton)
    assert tokens.controls.cycles.cycle.currentText() == "cycle 4"
    assert tokens.controls.cycles.latest.isChecked()
    assert news(tokens) == ""


def test_a_token_that_is_read_stays_when_the_next_cycle_ends(
    qtbot: QtBot, tokens: TokensView, store: Store
) -> None:
    tokens.table.setFocus()
    qtbot.keyClick(tokens.table, Qt.Key.Key_Down)
    told = said(tokens)
    pass_cycle(qtbot, tokens, store, 4)
    assert tokens.controls.cycles.cycle.currentText() == "cycle 3"
    assert (tokens.table.currentIndex().row(), said(tokens)) == (1, told)


def test_a_new_run_lets_go_of_the_token_that_was_read(
    qtbot: QtBot, opened: Opened, tokens: TokensView, store: Store
) -> None:
    tokens.table.setFocus()
    tokens.table.selectRow(3)
    assert not tokens.controls.cycles.latest.isChecked()
    other = fill(store, cycles=1, tokens=2)  # its completions have no such row
    opened.controller.handle([
        ev.RunStarted(other, "Run 2", "ppo", DEFAULTS), ev.StateChanged(State.RUNNING)])
    for cycle in (1, 2):
        if cycle > 1:
            record(store, other, cycle, tokens=2)
        tokens.cycle_available(other)
        qtbot.waitUntil(lambda: not tokens._stale and not tokens._reload.isActive())
        assert tokens.controls.cycles.cycle.currentText() == f"cycle {cycle}"
        assert tokens.controls.cycles.latest.isChecked()


def test_what_is_read_stays_when_its_cycle_is_kept_no_longer(
    qtbot: QtBot, tokens: TokensView, store: Store
) -> None:
    click_item(qtbot, tokens, 1)
    pass_cycle(qtbot, tokens, store, 4, keep=1)
    assert store.traced_cycles(1) == [4]
    assert tokens.controls.cycles.cycle.currentText() == "cycle 3"
    click_item(qtbot, tokens, 2)
    assert tokens.text.toPlainText() == "The coffee was clean and loud."
    assert tokens.model.rowCount() == 4
    qtbot.mouseClick(tokens.controls.cycles.latest, Qt.MouseButton.LeftButton)
    picker = tokens.controls.cycles.cycle
    assert [picker.itemText(i) for i in range(picker.count())] == ["cycle 4"]


def test_a_cycle_is_shown_or_the_nearest_that_is_kept(
    qtbot: QtBot, tokens: TokensView, store: Store
) -> None:
    tokens.show_cycle(2)
    qtbot.waitUntil(lambda: tokens.controls.cycles.cycle.currentText() == "cycle 2")
    assert not tokens.controls.notice.isVisible()
    assert news(tokens) == "cycle 3 is there"
    pass_cycle(qtbot, tokens, store, 4, keep=2)
    tokens.show_cycle(1)
    qtbot.waitUntil(lambda: tokens.controls.cycles.cycle.currentText() == "cycle 3")
    assert tokens.controls.notice.text() == "Tokens of cycle 1 were not kept"
    qtbot.mouseClick(tokens.controls.cycles.next, Qt.MouseButton.LeftButton)
    assert not tokens.controls.notice.isVisible()


@pytest.mark.parametrize(("by", "cycle"), [("pause", 3), ("step", 3), ("pause", 1)])
def test_what_was_chosen_stays_when_the_run_goes_on_unless_it_is_back_before_it(
    qtbot: QtBot, opened: Opened, store: Store, by: str, cycle: int
) -> None:
    window, run_id = opened.window, fill(store)
    store.checkpoints.write(run_id, cycle, {}, {})
    store.set_status(run_id, "stopped").result()
    window.runs.refresh()
    opened.controller.handle([ev.StateChanged(State.READY)])
    opened.controller.show_run(run_id)
    window.reveal("tokens")
    tokens, completions, plots = window.tokens, window.completions, window.metrics
    qtbot.waitUntil(lambda: tokens.list.count() == len(PROMPTS) and len(plots._run.cycles) == 3)
    tokens.controls.cycles.cycle.setCurrentIndex(1)
    completions.controls.pickers[0].setCurrentIndex(0)
    completions.controls.pickers[1].setCurrentIndex(2)
    window.actions_[by].trigger()
    assert opened.sent[-1] == do.ResumeRun(run_id, step=by == "step")
    store.rewind(run_id, cycle).result()
    opened.controller.handle([
        ev.RunResumed(run_id, "Run 1", cycle, "ppo", DEFAULTS), ev.StateChanged(State.RUNNING)])
    record(store, run_id, cycle + 1)
    opened.controller.handle([
        ev.ComparisonReady(run_id, cycle + 1),
        ev.CycleFinished(run_id, cycle + 1, 20, metrics(cycle + 1))])
    window.reveal("completions")
    qtbot.waitUntil(lambda: not completions._stale and not completions._reload.isActive())
    window.reveal("tokens")
    qtbot.waitUntil(lambda: not tokens._stale and not tokens._reload.isActive())
    qtbot.waitUntil(lambda: list(plots._run.cycles) == list(range(1, cycle + 2)))
    pair = tuple(picker.currentText() for picker in completions.controls.pickers[:2])
    there = tokens.controls.cycles.cycle.currentText(), pair, plots._pointing.choice.cycle
    follows = (tokens.controls.cycles.latest.isChecked(),
               completions.controls.modes["latest"].isChecked())
    if cycle == 3:
        assert there == ("cycle 2", ("start", "cycle 2"), 2)
        assert follows == (False, False)
    else:
        assert there == ("cycle 2", ("cycle 1", "cycle 2"), None)
        assert follows == (True, True)


def test_colouring_by_another_number(tokens: TokensView) -> None:
    def ground(letter: int) -> str:
        cursor = QTextCursor(tokens.text.document())
        cursor.setPosition(letter)
        return cursor.charFormat().background().color().name()

    loud = len("The film was clean and lo")
    by_advantage = ground(loud)
    tokens.controls.colour_by.setCurrentText("Entropy")
    assert ground(loud) != by_advantage
    assert tokens.save_state() == {"colour_by": "Entropy", "line": "With words"}
    tokens.restore_state({"colour_by": "no such number"})
    assert tokens.controls.colour_by.currentText() == "Entropy"


def test_from_a_comparison_to_its_tokens(qtbot: QtBot, opened: Opened, store: Store) -> None:
    opened.controller.show_run(fill(store))
    view = opened.window.completions
    opened.window.reveal("completions")
    view.choose(1, 2)
    view.table.go_to(2)
    view.do("open")
    qtbot.keyClick(view.pages.detail, Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    tokens = opened.window.tokens
    assert tokens.isVisible()
    assert tokens.controls.cycles.cycle.currentText() == "cycle 2"
    assert tokens.text.toPlainText().startswith("The coffee was")


def test_what_is_not_there_is_said(opened: Opened, store: Store) -> None:
    opened.window.reveal("tokens")
    empty = opened.window.tokens.findChild(QLabel, "tokens_empty")
    assert empty.isVisible()
    assert "Press Start" in empty.text()
    opened.controller.show_run(fill(store, cycles=0))
    opened.window.tokens.load_now()
    assert "No cycle of this run is complete" in empty.text()
    opened.controller.show_run(fill(store, keep=0))
    opened.window.tokens.load_now()
    assert "Token details kept" in empty.text()


def test_every_control_has_a_name(tokens: TokensView) -> None:
    assert bare_controls(tokens) == []


def test_rounding_noise_is_not_coloured() -> None:
    kl = next(column for column in COLUMNS if column.title == "KL")
    noise = [step(kl=5.6e-8), step(kl=-0.004)]
    assert [kl.text(s) for s in noise] == ["0.00", "0.00"]
    assert strengths(noise, kl) == [0.0, 0.0]
    assert strengths([step(kl=0.01), step(kl=0.02)], kl) == pytest.approx([0.2, 0.4])


@pytest.mark.parametrize("words", [3, 400])
def test_the_coloured_text_shows_whole_lines(qtbot: QtBot, words: int) -> None:
    text = ColouredText()
    qtbot.addWidget(text)
    text.resize(300, 100)
    text.show()
    text.show_steps("The room", [step(piece=" word") for _ in range(words)], COLUMNS[0])
    margins = 2 * text.document().documentMargin()
    lines = (text.viewport().height() - margins) / text.fontMetrics().lineSpacing()
    assert lines == pytest.approx(round(lines), abs=0.1)
    assert lines >= 1 if words == 3 else lines >= 3


@pytest.mark.parametrize("height", [540, 720])
def test_what_is_said_of_a_token_is_not_cut_on_a_small_screen(
    qtbot: QtBot, opened: Opened, store: Store, height: int
) -> None:
    window = opened.window
    window.resize(1280, height)
    window.actions_["reset_layout"].trigger()
    opened.controller.show_run(fill(store))
    window.reveal("tokens")
    window.tokens.load_now()
    QApplication.processEvents()
    view = window.tokens
    view._said.setText("It says more of this token than has room beside the table. " * 30)
    QApplication.processEvents()
    said, table = view._said.parentWidget(), view.table
    qtbot.waitUntil(lambda: said.geometry().bottom() < table.geometry().top())
    assert said.height() >= view._said.heightForWidth(said.width())
    above = view.line if view.text.isHidden() else view.text
    assert above.geometry().bottom() < said.geometry().top()
    assert table.viewport().height() >= 2 * table.rowHeight(0)


def test_a_text_that_is_shown_whole_has_no_bar_that_scrolls_nothing(qtbot: QtBot) -> None:
    text = ColouredText()
    qtbot.addWidget(text)
    text.resize(300, 100)
    text.show()
    for size in range(8, 15):
        text.setStyleSheet(f"font-size: {size}pt")
        for words in range(1, 40, 2):
            text.setPlainText("word " * words)
            text._fit()
            QApplication.processEvents()
            cut = text.document().size().height() - text.viewport().height()
            # What is left out is at least half a line.
            assert text.verticalScrollBar().isVisible() is (
                cut > text.fontMetrics().lineSpacing() / 2)
