"""Runs without a value head in the views that are there for all of them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import groups, traces
from helpers.window import Opened, ready
from pytestqt.qtbot import QtBot

from workbench.algorithms import algorithm_of_run
from workbench.cli import main
from workbench.formatting import percent
from workbench.gui.paths.view import say
from workbench.gui.runs.branch_dialog import BranchDialog
from workbench.gui.runs.comparison import compare
from workbench.ppo.metrics import NO_SPREAD, OF_VALUES
from workbench.records import Branch, Continuation, Crossroads
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training.health import last_settings, read_run


def test_one_goes_from_a_run_with_values_to_one_without(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    with_values, without = traces.fill(store), groups.fill(store)
    view, strip = opened.window.metrics, opened.window.strip
    for run_id in (with_values, without, with_values):
        opened.controller.show_run(run_id)
        qtbot.waitUntil(lambda run_id=run_id: (
            view._run is not None and view._run.run_id == run_id and len(view._run.cycles) > 0))
        offered = set(view.controls._choices)
        assert bool(offered & OF_VALUES) == (run_id == with_values)
        assert (NO_SPREAD in offered) == (run_id == without)
        assert (NO_SPREAD in view.plots()) == (run_id == without)
        assert [button.part.title for button in strip.buttons] == [
            "Write", "Score", "Estimate" if run_id == with_values else "Advantages", "Update",
            "Compare"]


def test_names_say_how_a_run_learns(opened: Opened, store: Store) -> None:
    groups.fill(store)
    traces.fill(store)
    opened.window.runs.refresh()
    table = opened.window.runs.table
    for row, by in ((0, "PPO. "), (1, "GRPO. ")):
        table.selectRow(row)
        assert opened.window.runs._details.text().startswith(f"{by}Policy: policy.")
    rows = {row.title: row.cells for row in compare(store, store.runs()[::-1])}
    assert rows["Algorithm"] == ("GRPO", "PPO")
    assert rows["Advantage estimator"] == ("group", "gae")
    assert rows["Completions per prompt"] == ("4", "1")


def test_what_start_trains_names_the_estimator(opened: Opened) -> None:
    ready(opened)
    form = opened.window.hyperparameters.form
    assert " by PPO, seed 0" in opened.window.trains.sentence
    form.set_values({"advantage_estimator": "group", "completions_per_prompt": 8}, "test")
    assert " by GRPO, seed 0" in opened.window.trains.sentence
    # What has no effect without a value head is not shown.
    form.set_filter("", True)
    assert not [name for name in ("vf_coef", "lam", "value_model", "whiten_advantages")
                if form.rows[name].isVisibleTo(form)]
    assert form.rows["normalize_group_std"].isVisibleTo(form.sections["Advantages"].content)


def test_presets_that_choose_how_is_learned_stand_above_the_others(opened: Opened) -> None:
    menu = opened.window.hyperparameters._presets
    assert ["|" if action.isSeparator() else action.text() for action in menu.actions()] == [
        "Defaults", "|", "PPO", "GRPO", "Dr. GRPO", "DAPO", "RLOO", "REINFORCE++", "|",
        "Careful", "Bold", "Quick look"]


def test_a_fork_may_learn_in_another_way(opened: Opened, store: Store) -> None:
    run_id = traces.fill(store)
    store.set_status(run_id, "finished").result()
    store.checkpoints.write(run_id, 2, {}, {"hyperparameters": {}})
    run = store.run(run_id)
    assert run is not None
    chosen: list[do.Fork | do.GoBack] = []
    dialog = BranchDialog(opened.window, store, run, chosen.append)
    dialog.choose(2)
    changes = {"advantage_estimator": "group", "completions_per_prompt": 8}
    dialog.form.set_values(changes, "test")
    assert "Advantage estimator gae → group" in dialog._summary.text()
    dialog.accept()
    assert chosen == [do.Fork(run_id, 2, changes, "")]


def test_groups_without_spread_are_told_of(store: Store) -> None:
    run_id = groups.fill(store)
    run = store.run(run_id)
    assert run is not None
    assert "explained_variance" not in read_run(store, run)
    for cycle in (3, 4, 5):
        store.record_cycle(run_id, cycle, metrics={NO_SPREAD: 0.75}, rollout=[],
                           comparison=[]).result()
    run = store.run(run_id)
    assert run is not None
    reading = read_run(store, run)["no_spread"]
    assert reading.sentence == (
        f"Of {percent(0.75)} of the prompts all completions were worth the same, so nothing is "
        "learned from them.")
    assert 1 < reading.share == 0.75 / 0.7
    card = next(rule for rule in algorithm_of_run(run).rules if rule.name == "no_spread")
    assert card.short == "Spread"
    used = last_settings(store, run).with_changes({"batch_size": 64})
    assert card.suggestion(used) == {"completions_per_prompt": 8}


def test_a_tree_without_a_value_head_tells_of_none() -> None:
    end = (Continuation((), (), 1.0, True),)
    found = Crossroads(1, 1, 0, 0, "Start policy", 0, math.nan, 1, (
        Branch(1, "a", 0.5, 0.5, math.nan, end), Branch(2, "b", 0.5, 0.5, math.nan, end)))
    assert say(found).endswith("All together 1.00 (●).")
    assert say(replace(found, value=0.5)).endswith(
        "All together 1.00 (●); the value head foresaw 0.50 (◇).")


def test_the_command_line_says_how_a_run_learns(
    store: Store, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    groups.fill(store)
    traces.fill(store)
    assert main(["runs", "--home", str(home)]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert "algorithm" in listed[0]
    assert [word for line in listed[1:] for word in line.split() if word in ("PPO", "GRPO")] == [
        "PPO", "GRPO"]
