"""A second algorithm in the window: its settings, its plots and its runs beside those of PPO."""

from __future__ import annotations

import pytest
from helpers.reinforce import REINFORCE, ReinforceSettings, add_reinforce
from helpers.window import DEFAULTS, PROMPTS, Opened, as_plain, completions, fill, ready
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QLabel
from pytestqt.qtbot import QtBot

from workbench import algorithms
from workbench.dpo.declaration import DPO
from workbench.gui.controllers.palette_entries import palette_entries
from workbench.gui.hyperparameters.dock import HyperparametersDock
from workbench.gui.metrics.view import MetricsView
from workbench.gui.runs.branch_dialog import BranchDialog
from workbench.gui.runs.comparison import compare
from workbench.learning.metrics import COMPARED, HELD_OUT, KL, LENGTH, SCORES
from workbench.ppo.declaration import PPO
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.store.records import HealthRecord, Prompt
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

LOSS = "reinforce/loss"
TWO = pytest.mark.usefixtures("two")


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be two algorithms."""
    add_reinforce(monkeypatch)


def record(store: Store, algorithm: str = "reinforce", cycles: int = 3, **settings: object) -> int:
    """Record a run of another algorithm and return its number."""
    used = ReinforceSettings(num_cycles=cycles, **settings)  # type: ignore[arg-type]
    run_id = store.create_run(
        name="", policy="/models/policy", reward="/models/reward", models={}, algorithm=algorithm,
        hyperparameters=used.model_dump(), prompts=[Prompt(text) for text in PROMPTS]).result()
    store.record_comparison(run_id, 0, completions(0)).result()
    for cycle in range(1, cycles + 1):
        numbers = {SCORES: 0.25 * cycle, COMPARED: 0.3 * cycle, KL: 0.1 * cycle, LENGTH: 9.0,
                   LOSS: -0.01 * cycle, "seconds": 1.0, "tokens_per_second": 700.0}
        store.record_cycle(run_id, cycle, metrics=numbers, rollout=[],
                           comparison=completions(cycle)).result()
    store.set_status(run_id, "finished").result()
    return run_id


def chooser(opened: Opened) -> QComboBox:
    return opened.window.hyperparameters.algorithm_field


def choose(opened: Opened, title: str) -> None:
    """Choose an algorithm as a click in the list does."""
    field = chooser(opened)
    field.setCurrentText(title)
    field.activated.emit(field.currentIndex())


def show(qtbot: QtBot, opened: Opened, run_id: int) -> MetricsView:
    opened.window.runs.refresh()
    opened.window.runs.opened.emit(run_id)
    view = opened.window.metrics
    qtbot.waitUntil(lambda: view._run is not None and view._run.run_id == run_id
                    and len(view._run.cycles) == 3)
    view.repaint_now()
    return view


def offered(view: MetricsView) -> list[str]:
    """Return the entries of the menu of plots."""
    return [a.text() for a in view.controls.plots.menu().actions() if a.text()]


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is PPO alone."""
    monkeypatch.setattr(algorithms, "ALGORITHMS", (PPO,))


@pytest.mark.usefixtures("one")
def test_with_one_algorithm_nothing_speaks_of_it(opened: Opened, store: Store) -> None:
    dock = opened.window.hyperparameters
    assert not chooser(opened).isVisibleTo(dock)
    ready(opened)
    assert " by " not in opened.window.trains.sentence
    found = palette_entries(opened.window, store, None, lambda _: None)
    assert not [entry for entry in found if entry.text == "Algorithm"]
    assert dock.save_state().keys() == {"values", "before", "show_all", "open"}
    fill(store)
    assert not [row for row in compare(store, store.runs() * 2) if row.title == "Algorithm"]


@TWO
def test_choosing_an_algorithm_shows_its_settings(qtbot: QtBot, opened: Opened) -> None:
    dock, window = opened.window.hyperparameters, opened.window
    assert chooser(opened).isVisibleTo(dock)
    assert chooser(opened).accessibleName() == "Algorithm"
    assert as_plain(chooser(opened).toolTip()) == PPO.help
    ready(opened)
    dock.form.set_values({"learning_rate": 3e-3, "kl_coef": 0.4}, "test")
    assert " by PPO, seed 0" in window.trains.sentence
    estimate = ev.MemoryEstimated(
        {ev.Phase.SAMPLING: {"Policy": 1}}, 9, "cpu", algorithm="ppo")
    opened.controller.handle([estimate])
    assert dock.memory.isVisibleTo(dock)
    choose(opened, "REINFORCE")
    opened.controller.handle([estimate])  # of a moment ago
    assert list(dock.form.rows) == list(REINFORCE.settings.specs())
    assert dock.hyperparameters() == ReinforceSettings(learning_rate=3e-3)
    assert as_plain(chooser(opened).toolTip()) == REINFORCE.help
    assert " by REINFORCE, seed 0" in window.trains.sentence
    assert not dock.memory.isVisibleTo(dock)
    assert [a.text() for a in dock._presets.actions() if a.text()] == ["Defaults", "Careful"]
    assert "Learning rate 1e-4" in as_plain(dock._presets.actions()[-1].toolTip())
    qtbot.waitUntil(lambda: bool(opened.sent))  # a moment after the change
    asked = [c for c in opened.sent if isinstance(c, do.EstimateMemory)]
    assert asked[-1].hyperparameters == ReinforceSettings(learning_rate=3e-3)
    dock.form.set_values({"learning_rate": 5e-3, "mean_baseline": False}, "test")
    dock.go_to("steps_per_batch")
    window.actions_["start"].trigger()
    assert [c.hyperparameters for c in opened.sent if isinstance(c, do.Start)] == [
        ReinforceSettings(learning_rate=5e-3, mean_baseline=False)]
    choose(opened, "PPO")
    assert dock.hyperparameters() == Hyperparameters(learning_rate=5e-3, kl_coef=0.4)
    choose(opened, "REINFORCE")
    assert dock.form.values()["mean_baseline"] is False


@TWO
def test_the_algorithm_of_a_run_that_is_on_is_fixed(opened: Opened, store: Store) -> None:
    run_id = record(store)
    used = ReinforceSettings(num_cycles=9, learning_rate=1e-4).model_dump()
    opened.controller.handle([
        ev.RunResumed(run_id, "Run 1", 3, "reinforce", used), ev.StateChanged(State.RUNNING)])
    dock = opened.window.hyperparameters
    assert (chooser(opened).currentText(), chooser(opened).isEnabled()) == ("REINFORCE", False)
    assert ("A run of REINFORCE is on; another can be chosen when it has ended."
            in as_plain(chooser(opened).toolTip()))
    assert dock.form.values() == used
    other = fill(store)
    opened.window.runs.opened.emit(other)  # to look at; the form stays the live run's
    assert dock.algorithm is REINFORCE
    dock.take(Hyperparameters(learning_rate=7e-4), "test")
    assert dock.form.values() == {**used, "learning_rate": 7e-4, "num_cycles": 20}
    dock.revert()
    dock.form.set_values({"learning_rate": 2e-4}, "test")
    dock.apply_changes()
    assert opened.sent[-1] == do.SetHyperparameters({"learning_rate": 2e-4})
    opened.controller.handle([
        ev.RunFinished(run_id, "finished", 9), ev.StateChanged(State.FINISHED)])
    assert chooser(opened).isEnabled()
    opened.controller.handle([ev.RunStarted(other, "Run 2", "ppo", DEFAULTS)])
    assert dock.hyperparameters() == Hyperparameters()


@TWO
def test_a_run_is_shown_as_its_algorithm_has_it(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    run_id, other = record(store), fill(store)
    view = show(qtbot, opened, other)
    view.choose_plots([SCORES, KL, "val/value"])
    drawn = view._grid.plot_of(SCORES)
    assert drawn is not None
    assert drawn.names == (SCORES, *PPO.companions, HELD_OUT)
    assert show(qtbot, opened, run_id) is view
    assert view.plots() == [SCORES, LOSS, KL, LENGTH]
    assert offered(view)[:4] == ["Overview", "Reward and KL", "Update", "Time"]
    assert LOSS in view.controls._choices
    assert "val/value" not in view.controls._choices
    drawn = view._grid.plot_of(SCORES)
    assert drawn is not None
    assert drawn.names == (SCORES, COMPARED, HELD_OUT)
    assert drawn.about.label == "Training reward"
    assert chooser(opened).currentText() == "REINFORCE"
    opened.window.reveal("tokens")
    empty = opened.window.tokens.findChild(QLabel, "tokens_empty")
    qtbot.waitUntil(lambda: empty.text().startswith("REINFORCE tells nothing of single tokens"))
    # Over it a run of PPO: what both have stands in one plot, what only one has in its own.
    opened.window.runs.model.set_ticked({other})
    qtbot.waitUntil(lambda: len(view._others) == 1)
    view.repaint_now()
    for name, points in ((SCORES, 3), (KL, 3), (LOSS, 0)):
        plot = view._grid.plot_of(name)
        assert plot is not None
        assert [len(curve.x) for curve in plot._overlays.runs] == [points]
    assert show(qtbot, opened, other).plots() == [SCORES, KL, "val/value"]
    assert offered(view)[0] == "Overview"
    assert chooser(opened).currentText() == "PPO"


def test_runs_that_go_by_unlike_numbers_are_listed_by_what_both_measure(
    opened: Opened, store: Store
) -> None:
    def title() -> object:
        return model.headerData(1, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole)

    def tip(row: int) -> object:
        return model.index(row, 1).data(Qt.ItemDataRole.ToolTipRole)

    model = opened.window.runs.model
    dpo = store.create_run(
        name="", policy="/models/policy", reward="/models/reward", models={}, algorithm="dpo",
        hyperparameters=DPO.settings().model_dump(), prompts=[Prompt("one")]).result()
    store.record_cycle(dpo, 1, metrics={COMPARED: 0.75}, rollout=[], comparison=[]).result()
    opened.window.runs.refresh()
    assert title() == "Compared\nreward"
    ppo = fill(store)
    opened.window.runs.refresh()
    assert title() == "Compared\nreward"
    assert [str(tip(row)).count("Compared reward of") for row in range(2)] == [1, 1]
    # Held against one another they are by what both measure.
    rows = [row.title for row in compare(store, [r for r in store.runs() if r.id in (ppo, dpo)])]
    assert "Best compared reward" in rows
    assert "Best training reward" not in rows


@TWO
def test_runs_of_two_algorithms_are_listed_and_compared(opened: Opened, store: Store) -> None:
    record(store, mean_baseline=False)
    fill(store)
    opened.window.runs.refresh()
    model = opened.window.runs.model
    model.set_brief(False)  # as where there is room
    assert [model.index(row, 1).data() for row in range(2)] == ["0.50 → 1.50", "0.25 → 0.75"]
    assert model.headerData(1, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole) == (
        "Training\nreward")
    opened.window.runs.table.selectRow(1)
    assert opened.window.runs._details.text().startswith("REINFORCE. Policy: policy.")
    assert "Mean baseline off" in opened.window.runs._details.text()
    rows = {row.title: row.cells for row in compare(store, store.runs()[::-1])}
    assert rows["Algorithm"] == ("REINFORCE", "PPO")
    assert rows["Best training reward"] == ("0.75 at cycle 3", "1.50 at cycle 3")
    assert rows["Mean baseline"] == ("off", "–")
    assert "Clip range (ε)" not in rows  # which says no more than that one is PPO
    opened.window.runs.settings_button.click()
    assert opened.window.hyperparameters.hyperparameters() == ReinforceSettings(
        num_cycles=3, mean_baseline=False)


@TWO
def test_a_run_is_forked_with_the_settings_of_its_algorithm(opened: Opened, store: Store) -> None:
    run_id = record(store)
    run = store.run(run_id)
    assert run is not None
    chosen: list[do.Fork | do.GoBack] = []
    dialog = BranchDialog(opened.window, store, run, chosen.append)
    assert list(dialog.form.rows) == list(REINFORCE.settings.specs())
    dialog.form.set_values({"mean_baseline": False}, "test")
    assert "Mean baseline on → off" in dialog._summary.text()
    dialog.accept()
    assert chosen == [do.Fork(run_id, 0, {"mean_baseline": False}, "")]
    opened.controller.handle([ev.RunResumed(
        run_id, "Run 2", 0, "reinforce", ReinforceSettings(mean_baseline=False).model_dump(),
        parent="Run 1")])
    assert opened.window.hyperparameters.hyperparameters() == ReinforceSettings(mean_baseline=False)


@TWO
def test_the_choice_is_remembered(qtbot: QtBot, opened: Opened) -> None:
    dock = opened.window.hyperparameters
    dock.form.set_values({"kl_coef": 0.3}, "test")
    choose(opened, "REINFORCE")
    dock.form.set_values({"steps_per_batch": 2}, "test")
    other = HyperparametersDock()
    qtbot.addWidget(other)
    other.restore_state(dock.save_state())
    assert other.save_state() == dock.save_state()
    assert other.hyperparameters() == ReinforceSettings(steps_per_batch=2)
    assert other.algorithm_field.currentText() == "REINFORCE"
    other.choose_algorithm(PPO)
    assert other.hyperparameters() == Hyperparameters(kl_coef=0.3)
    # A layout of a version with one algorithm, and one with an algorithm that is gone.
    for more in ({}, {"algorithm": "gone", "others": {"ppo": {"values": {"kl_coef": 0.7}}}}):
        old = HyperparametersDock()
        qtbot.addWidget(old)
        old.restore_state({"values": {"kl_coef": 0.7}, **more})
        assert old.hyperparameters() == Hyperparameters(kl_coef=0.7)
    view = opened.window.metrics
    view.show_run(None, {}, [], REINFORCE)
    view.choose_plots([LOSS])
    again = MetricsView()
    qtbot.addWidget(again)
    again.restore_state(view.save_state())
    assert again.plots() == list(PPO.default_plots)
    again.show_run(None, {}, [], REINFORCE)
    assert again.plots() == [LOSS]


@TWO
def test_the_palette_finds_the_algorithm_and_what_it_has(opened: Opened, store: Store) -> None:
    def found() -> dict[str, str]:
        entries = palette_entries(opened.window, store, None, lambda _: None)
        return {e.text: e.beside for e in entries}
    assert found()["Algorithm"] == "Setting"
    assert "Clip range (ε)" in found()
    choose(opened, "REINFORCE")
    assert found()["Mean baseline"] == "Setting"
    assert "Clip range (ε)" not in found()
    entry = next(e for e in palette_entries(opened.window, store, None, lambda _: None)
                 if e.text == "Algorithm")
    assert "clipped" in entry.also
    opened.window.reveal("runs")
    entry.call()
    assert chooser(opened).hasFocus()


def test_what_another_version_had_is_shown_and_ends_nothing(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    """Its algorithm, its settings, numbers and rules."""
    run_id = record(store)  # nothing here knows REINFORCE
    store.record_changes(run_id, 2, [("mean_baseline", True, False, "person")]).result()
    store.record_health(run_id, [HealthRecord(3, "bored", "warning", "It is bored.")]).result()
    opened.window.health.hide()
    view = show(qtbot, opened, run_id)
    assert view.plots() == [SCORES, KL, LENGTH]
    view.choose_plots(["z", LOSS, SCORES])
    view.append(run_id, 4, {"z": 1.0, LOSS: float("nan"), SCORES: 1.0})
    view.repaint_now()
    view.point_at("novel/number", 2)
    assert view.plots() == ["z", LOSS, SCORES, "novel/number"]
    opened.controller.handle([ev.HealthChecked(run_id, 4, (
        ev.Finding("bored", "warning", "It is bored."),), "")])
    opened.controller.health.explain()
    opened.controller.health.panel.close()
    opened.window.runs.table.selectRow(0)
    assert "mean_baseline" in opened.window.runs._details.text()
    assert {row.title for row in compare(store, store.runs() * 2)} == {
        "Cycles run", "Best training reward", "Last training reward", "Last KL to start policy"}
    assert chooser(opened).currentText() == "PPO"
    opened.window.runs.settings_button.click()
    assert opened.window.hyperparameters.hyperparameters() == Hyperparameters()


def test_a_way_of_ppo_is_named_as_itself_before_it_starts(qtbot: QtBot, opened: Opened) -> None:
    dock, window = opened.window.hyperparameters, opened.window
    field = dock.algorithm_field
    titles = [field.itemText(i) for i in range(field.count())]
    assert titles == ["PPO", "GRPO", "Dr. GRPO", "DAPO", "RLOO", "REINFORCE++", "DPO", "KTO",
                      "ILQL", "Reward model"]
    assert [b.part.title for b in window.strip.buttons] == [
        "Write", "Score", "Estimate", "Update", "Compare"]
    for title in titles[1:]:
        field.setCurrentText(title)
        field.activated.emit(field.currentIndex())
        assert field.currentText() == title
        way = next((p for p in PPO.presets if p.name == title), None)
        if way is not None:
            assert dock.form.values().items() >= way.values.items()
    field.setCurrentText("GRPO")
    field.activated.emit(field.currentIndex())
    assert dock.algorithm is PPO
    grpo = PPO.variant(dock.form.values())
    assert [b.part.title for b in window.strip.buttons][2] == "Advantages"
    assert window.guide._algorithm is grpo
    assert window.metrics.algorithm is grpo
    # What is changed of it is still of its kind, and what was typed is no reason to take a preset.
    dock.form.set_values({"kl_coef": 0.3, "completions_per_prompt": 4}, "test")
    assert field.currentText() == "GRPO"
    dock.form.undo_stack.undo()
    dock.form.set_values({"advantage_estimator": "gae", "completions_per_prompt": 1,
                          "kl_coef": 0.3}, "test")
    assert field.currentText() == "PPO"
    field.activated.emit(field.currentIndex())
    assert dock.form.values()["kl_coef"] == 0.3


def test_what_is_on_display_is_no_other_for_what_is_chosen(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    run_id = fill(store)
    opened.controller.show_run(run_id)
    qtbot.waitUntil(lambda: opened.window.strip._run == run_id)
    opened.window.hyperparameters.take(Hyperparameters(advantage_estimator="group"), "test")
    assert "Estimate" in [b.part.title for b in opened.window.strip.buttons]
    opened.controller.show_run(None)
    assert "Advantages" in [b.part.title for b in opened.window.strip.buttons]
