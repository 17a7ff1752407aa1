"""Health at a glance: a dial for each rule below the plots."""

from __future__ import annotations

import pytest
from helpers.window import Opened, fill, unexplained
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from workbench.gui.health.dials import Dials
from workbench.gui.health.scales import in_words
from workbench.gui.widgets.theme import themes
from workbench.ppo.declaration import PPO
from workbench.store.records import Prompt
from workbench.store.store import Store
from workbench.training.health import read_run


@pytest.fixture
def dials(qtbot: QtBot, opened: Opened, store: Store) -> Dials:
    """Those of a run of three cycles."""
    opened.window.resize(1600, 1000)
    opened.window.dock_layout.reset()
    opened.window.reveal("metrics")
    opened.controller.show_run(fill(store))
    found = opened.window.metrics.dials
    qtbot.waitUntil(lambda: len(found.dials) == len(PPO.rules))
    return found


def test_each_rule_has_one_that_says_where_it_stands(dials: Dials, store: Store) -> None:
    readings = read_run(store, store.run(1))
    assert [dial.rule for dial in dials.dials] == [rule.name for rule in PPO.rules]
    for rule, dial in zip(PPO.rules, dials.dials, strict=True):
        assert dial.reading == readings[rule.name]
        assert dial.accessibleName() == f"{rule.title}: {in_words(readings[rule.name])}"
        assert dial.text() == rule.short
        assert dial.sizeHint().width() <= dial.width()
    assert unexplained(dials) == []


def colours(dials: Dials, rule: str) -> set[str]:
    dial = next(dial for dial in dials.dials if dial.rule == rule)
    image = dial.grab().toImage()
    return {image.pixelColor(x, y).name() for x in range(image.width())
            for y in range(image.height())}


@pytest.mark.parametrize("high", [1000, 640])
def test_it_is_grey_while_fine_and_coloured_past_the_limit(
    qtbot: QtBot, opened: Opened, dials: Dials, store: Store, high: int
) -> None:
    opened.window.resize(1600, high)
    theme = themes().theme
    for dial in dials.dials:
        assert not colours(dials, dial.rule) & {theme.warning, theme.bad}
    settings = PPO.settings()
    for cycle in (4, 5, 6):
        store.record_cycle(1, cycle, metrics={
            "objective/kl": 60.0, "objective/length": 10.0}, rollout=[], comparison=[]).result()
    dials.cycle_available(1)
    kl = next(dial for dial in dials.dials if dial.rule == "kl")
    qtbot.waitUntil(lambda: kl.reading is not None and kl.reading.severity is not None)
    assert kl.reading.share > 1
    assert kl.reading.value == f"{60 / 10:.2f} nats a token"
    assert settings.kl_controller == "fixed"
    colour = theme.bad if kl.reading.severity == "serious" else theme.warning
    assert colour in colours(dials, "kl")


def test_a_click_opens_the_report(qtbot: QtBot, opened: Opened, dials: Dials) -> None:
    panel = opened.controller.health.panel
    qtbot.mouseClick(dials.dials[2], Qt.MouseButton.LeftButton)
    assert panel.isVisible()
    assert panel.findChild(object, "scale_kl") is not None
    assert opened.window.geometry().contains(panel.geometry())
    panel.close()


def test_by_keyboard(qtbot: QtBot, opened: Opened, dials: Dials) -> None:
    opened.window.activateWindow()
    dials.setFocus()
    assert dials.dials[0].current
    qtbot.keyClick(dials, Qt.Key.Key_Right)
    qtbot.keyClick(dials, Qt.Key.Key_Right)
    assert [dial.current for dial in dials.dials].index(True) == 2
    assert dials.accessibleDescription() == dials.dials[2].accessibleName()
    qtbot.keyClick(dials, Qt.Key.Key_Return)
    assert opened.controller.health.panel.isVisible()
    opened.controller.health.panel.close()
    opened.window.metrics.setFocus()
    assert not any(dial.current for dial in dials.dials)


def test_a_run_without_a_cycle_has_them_empty_and_no_run_none(
    qtbot: QtBot, opened: Opened, dials: Dials, store: Store
) -> None:
    opened.controller.show_run(None)
    assert dials.isHidden()
    run_id = store.create_run(
        name="", policy="p", reward="r", models={}, hyperparameters={},
        prompts=[Prompt("a")]).result()
    opened.controller.show_run(run_id)
    assert dials.isVisible()
    qtbot.waitUntil(lambda: bool(dials.dials) and not any(
        dial.reading.known for dial in dials.dials))
    assert all("not known yet" in dial.accessibleName() for dial in dials.dials)


def test_bars_of_a_low_window_say_what_they_are(opened: Opened, dials: Dials, store: Store) -> None:
    assert not dials.said.isVisibleTo(dials)
    dials.set_compact(True)
    assert dials.said.isVisibleTo(dials)
    wrong = sum(r.severity is not None for r in read_run(store, store.run(1)).values())
    assert dials.said.text().strip() == f"Health: {f'{wrong} to look at' if wrong else 'well'}"
    dials.set_compact(False)
    assert not dials.said.isVisibleTo(dials)
