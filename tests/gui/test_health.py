"""What the health check found shows on the chip, in its explanation and on the plots."""

from __future__ import annotations

from helpers.window import DEFAULTS, Opened, fill, metrics
from PySide6.QtWidgets import QCheckBox, QLabel, QPushButton
from pytestqt.qtbot import QtBot

from workbench.algorithms import find_rule
from workbench.formatting import percent
from workbench.gui.errors import ErrorDialog
from workbench.gui.health.scales import Scale
from workbench.health import NOT_FINITE, Finding, judge
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.rules import RULES
from workbench.store.records import HealthRecord
from workbench.store.store import Store
from workbench.training import events as ev
from workbench.training.commands import ResumeRun

KL = Finding("kl", "serious", "Completions are 71 nats from the start policy.")
STEPS = Finding("steps", "warning", "The trust region holds back 39% of the tokens.")


def begin(opened: Opened, store: Store, cycles: int = 0) -> int:
    """Show a live run."""
    run_id = fill(store, cycles=cycles)
    opened.controller.handle([ev.RunStarted(run_id, "Run", "ppo", DEFAULTS)])
    for cycle in range(1, cycles + 1):
        opened.controller.handle([ev.CycleFinished(run_id, cycle, 20, metrics(cycle))])
    return run_id


def test_chip_shows_the_worst_and_how_many_more(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    opened.window.resize(1280, 720)  # where the bar is shorter, the title is
    run_id = begin(opened, store)
    chip = opened.window.health
    assert not chip.isVisible()
    opened.controller.handle([ev.HealthChecked(run_id, 1, (KL, STEPS))])
    qtbot.waitUntil(chip.isVisible)
    assert chip.text() == "KL runs away (+1)"
    assert chip.property("chip") == "bad"
    assert "71 nats" in chip.toolTip()
    opened.controller.handle([ev.HealthChecked(run_id, 2, ())])
    qtbot.waitUntil(chip.isHidden)


def test_an_alarm_is_kept_among_the_notifications_once(opened: Opened, store: Store) -> None:
    run_id = fill(store)
    kl = Finding("kl", "serious", "KL is 90 nats.")
    for cycle, found in enumerate(((kl,), (kl,), (), (kl,)), start=1):
        opened.controller.handle([ev.HealthChecked(run_id, cycle, found)])
    said = [(notice.level, notice.sentence) for notice in opened.window.toast.notices]
    title = find_rule("kl").title  # type: ignore[union-attr]
    assert said == [("warning", f"Run 1, cycle {cycle}: {title}. KL is 90 nats.")
                    for cycle in (1, 4)]


def test_the_explanation_leads_to_plot_setting_and_pause(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    run_id = begin(opened, store, cycles=3)
    opened.controller.handle([ev.HealthChecked(run_id, 3, (KL, STEPS))])
    window, health = opened.window, opened.controller.health
    qtbot.waitUntil(window.health.isVisible)
    window.health.click()
    panel = health.panel
    assert panel.isVisible()
    panel.findChild(QCheckBox, "pause_kl").click()
    form = window.hyperparameters.form
    assert form.values()["pause_on_kl"] is True
    panel.findChild(QPushButton, "try_steps").click()
    assert form.values()["learning_rate"] == 5e-5  # half of the run's
    assert not panel.isVisible()

    assert "policy/clipfrac" not in window.metrics.plots()
    window.actions_["health"].trigger()
    panel.findChild(QPushButton, "show_steps").click()
    assert "policy/clipfrac" in window.metrics.plots()


def test_an_old_run_shows_what_was_found_in_it(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    opened.window.resize(1280, 720)
    run_id = fill(store)
    store.record_health(run_id, [
        HealthRecord(2, "steps", "warning", "Large."), HealthRecord(3, "kl", "serious", "Far."),
        HealthRecord(3, "no_longer_a_rule", "warning", "?")]).result()
    opened.controller.show_run(run_id)
    qtbot.waitUntil(opened.window.health.isVisible)
    assert opened.window.health.text() == "KL runs away"
    marks = opened.window.metrics._run.health
    assert [(m.cycle, m.metric) for m in marks] == [
        (2, "policy/clipfrac"), (3, "objective/kl")]
    opened.controller.show_run(None)
    qtbot.waitUntil(opened.window.health.isHidden)


def test_a_run_that_is_well_says_so(opened: Opened, store: Store) -> None:
    begin(opened, store)
    opened.window.actions_["health"].trigger()
    panel = opened.controller.health.panel
    assert panel.isVisible()
    assert not panel.findChildren(QPushButton)
    panel.close()


WELL = {"objective/scores": 1.0, "objective/scores_std": 0.9, "objective/kl": 6.0,
        "objective/length": 24.0, "objective/distinct": 1.0, "objective/unlikely": 0.005,
        "policy/entropy_avg": 0.9, "policy/approxkl": 0.05, "policy/clipfrac": 0.25,
        "policy/grad_norm": 0.3, "loss/policy_avg": 0.0, "loss/value_avg": 0.15,
        "val/explained_variance": 0.4, "val/num_eos_tokens": 60.0, "objective/cut": 0.0}


def rows(opened: Opened, store: Store, cycles: list[dict[str, float]]) -> dict[str, Scale]:
    """Show a run that had these metrics and open the explanation; return its scales by rule."""
    run_id = begin(opened, store)
    for cycle, numbers in enumerate(cycles, start=1):
        store.record_cycle(run_id, cycle, metrics=numbers, rollout=[], comparison=[]).result()
        opened.controller.handle([ev.CycleFinished(run_id, cycle, 20, numbers)])
    opened.controller.handle([ev.HealthChecked(
        run_id, len(cycles), tuple(judge(
            RULES, {name: [m[name] for m in cycles] for name in WELL}, Hyperparameters())))])
    opened.window.actions_["health"].trigger()
    return {scale.objectName().removeprefix("scale_"): scale
            for scale in opened.controller.health.panel.findChildren(Scale)}


def test_every_rule_stands_on_a_scale_to_its_limit_while_all_is_well(
    opened: Opened, store: Store
) -> None:
    found = rows(opened, store, [WELL] * 12)
    assert list(found) == [rule.name for rule in RULES]
    assert found["kl"].share == 0.25
    assert found["kl"].accessibleName() == (
        "KL runs away: 0.25 nats a token, median of the last 3 cycles, limit above 1, well")
    assert found["unended"].accessibleName() == (
        "Completions do not end: 60 of 64 ended, median of the last 3 cycles, "
        "limit below 1 in 20, well")
    assert {scale.severity for scale in found.values()} == {None}
    panel = opened.controller.health.panel
    texts = [label.text() for label in panel.findChildren(QLabel)]
    assert "0.40 explained, median of the last 8 cycles" in texts
    assert not [text for text in texts if "nan" in text]
    # Calm: nothing in the colours of a warning.
    assert not {label.property("role") for label in panel.findChildren(QLabel)} & {
        "warning", "error"}
    panel.close()


def test_a_rule_that_speaks_has_gone_past_its_limit_on_the_scale(
    opened: Opened, store: Store
) -> None:
    found = rows(opened, store, [WELL] * 6 + [WELL | {"objective/kl": 96.0}] * 3)
    assert found["kl"].severity == "serious"
    assert found["kl"].share > 1
    assert found["kl"].accessibleName().endswith("limit above 1, too far")
    assert found["entropy"].severity is None
    opened.controller.health.panel.close()


def test_what_is_not_known_yet_is_said(opened: Opened, store: Store) -> None:
    found = rows(opened, store, [WELL])
    assert found["entropy"].accessibleName() == (
        f"Entropy collapses: not known yet, limit below {percent(0.5)}")
    assert found["kl"].accessibleName().endswith("well")
    opened.controller.health.panel.close()


def test_after_numbers_that_are_not_finite_the_last_checkpoint_is_a_click_away(
    opened: Opened, store: Store
) -> None:
    run_id = begin(opened, store, cycles=3)
    sentence = "The gradient of cycle 4 is not a finite number."
    opened.controller.handle([
        ev.HealthChecked(run_id, 4, (Finding(NOT_FINITE, "serious", sentence),)),
        ev.RunFailed(run_id, sentence, "details")])
    box = opened.window.findChild(ErrorDialog, "failed_run")
    said = box.findChild(QLabel, "error_sentence").text()
    assert said.startswith(sentence)
    assert "Learning rate set to 1e-5" in said
    box.findChild(QPushButton, "resume_good").click()
    assert opened.sent == [ResumeRun(run_id, None, {"learning_rate": 1e-5})]
