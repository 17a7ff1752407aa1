"""The window composed as the application composes it, fed with events as the bridge feeds it."""

import sys
import time

import pytest
from helpers.window import DEFAULTS, Opened, as_plain, completions, facts, fill, metrics, ready
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from workbench.gui.actions import SPECS
from workbench.gui.errors import ErrorDialog
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.store.records import Prompt
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State


def begin(opened: Opened, store: Store) -> int:
    """Let a run start as the session would."""
    run_id = fill(store, 0, status="running")
    opened.controller.handle([
        ev.RunStarted(run_id, f"Run {run_id}", "ppo", DEFAULTS), ev.StateChanged(State.RUNNING)])
    return run_id


def finish_cycle(opened: Opened, store: Store, run_id: int, cycle: int) -> None:
    store.record_cycle(run_id, cycle, metrics=metrics(cycle), rollout=[],
                       comparison=completions(cycle)).result()
    opened.controller.handle([
        ev.ComparisonReady(run_id, cycle), ev.CycleFinished(run_id, cycle, 20, metrics(cycle))])


def click(opened: Opened, action: str) -> None:
    opened.window.actions_[action].trigger()


def plotted(opened: Opened) -> list[int]:
    run = opened.window.metrics._run
    return [int(c) for c in run.cycles] if run else []


def test_state_is_shown_and_actions_follow_it(opened: Opened) -> None:
    window = opened.window
    about_a_run = ("show_live", "resume_run", "fork_run", "go_back", "export_policy", "apply")
    ready(opened)
    for state in State:
        opened.controller.handle([ev.StateChanged(state, f"because of {state.value}")])
        assert window.chip.text() == state.value
        assert window.note.text() == f"because of {state.value}"
        for spec in SPECS:
            if spec.states is not None and spec.id not in about_a_run:
                assert window.actions_[spec.id].isEnabled() is (state in spec.states), (
                    state, spec.id)
        assert window.actions_["pause"].text() == ("Resume" if state == State.PAUSED else "Pause")


def test_start_sends_settings_and_enabled_prompts(opened: Opened) -> None:
    ready(opened)
    opened.window.hyperparameters.form.set_values({"num_cycles": 3}, "test")
    click(opened, "start")
    start = opened.sent[-1]
    assert isinstance(start, do.Start)
    assert start.hyperparameters == Hyperparameters(num_cycles=3)
    wanted = [p for p in opened.window.prompts.prompts() if p.enabled]
    assert [p.text for p in start.prompts] == [p.text for p in wanted]
    assert not start.step


def test_start_refuses_in_plain_words(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = opened.window
    ready(opened)
    window.hyperparameters.form.set_values({"num_mini_batches": 3}, "test")
    click(opened, "start")
    assert "must divide" in window.toast.text
    window.hyperparameters.form.set_values({"num_mini_batches": 1}, "test")
    monkeypatch.setattr(window.prompts, "prompts", lambda: (Prompt("Off", enabled=False),))
    click(opened, "start")
    assert window.toast.text == "No prompt is switched on: add one, or tick one in Prompts."
    assert opened.sent == []


def test_run_buttons_send_commands(opened: Opened) -> None:
    handle = opened.controller.handle
    ready(opened)
    click(opened, "step")
    assert isinstance(opened.sent[-1], do.Start)
    assert opened.sent[-1].step
    handle([ev.StateChanged(State.RUNNING)])
    click(opened, "pause")
    assert opened.sent[-1] == do.Pause()
    handle([ev.StateChanged(State.RUNNING, "Pausing after cycle 2")])
    assert not opened.window.actions_["pause"].isEnabled()
    handle([ev.StateChanged(State.PAUSED)])
    click(opened, "step")
    assert opened.sent[-1] == do.StepCycle()
    handle([ev.StateChanged(State.PAUSED)])
    click(opened, "pause")
    assert opened.sent[-1] == do.Resume()
    handle([ev.StateChanged(State.RUNNING)])
    click(opened, "stop")
    assert opened.sent[-1] == do.Stop()


def test_stop_is_acknowledged_at_once(opened: Opened) -> None:
    opened.controller.handle([ev.StateChanged(State.RUNNING)])
    click(opened, "stop")
    assert opened.window.chip.text() == "Stopping"
    assert opened.window.note.text() == "Stopping at the next step"


def test_a_second_stop_is_sent_but_no_double_click(opened: Opened) -> None:
    opened.controller.handle([ev.StateChanged(State.RUNNING)])
    click(opened, "stop")
    click(opened, "stop")
    assert opened.sent == [do.Stop()]
    opened.controller.run_control._stopped_at -= 60  # a minute later
    click(opened, "stop")
    assert opened.sent == [do.Stop(), do.Stop()]


def test_a_cycle_that_takes_much_longer_than_others_tells_no_time_left(
    opened: Opened, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reward that hangs, say."""
    now = time.monotonic()
    monkeypatch.setattr("workbench.gui.status_bar.time.monotonic", lambda: now)
    run_id = begin(opened, store)
    finish_cycle(opened, store, run_id, 1)  # of 2 seconds
    left = opened.window.status.left
    said = []
    for now in (now + 1, now + 5.9, now + 6.1):  # noqa: B007, B020
        opened.controller.handle([ev.Progress(run_id, 2, 20, ev.Phase.SCORING, 0, 4)])
        opened.window.status._tick()
        said.append(left.text())
    assert said == ["0:37 left", "0:36 left", "overdue"]


def test_a_run_fills_every_view(qtbot: QtBot, opened: Opened, store: Store) -> None:
    window = opened.window
    run_id = begin(opened, store)
    opened.controller.handle([ev.Progress(run_id, 0, 20, ev.Phase.COMPARING, 3, 4)])
    assert window.status.phase.text() == (
        "Before: the start policy answers the compared prompts")
    opened.controller.handle([ev.Progress(run_id, 1, 20, ev.Phase.COMPARING, 3, 4)])
    assert window.status.phase.text() == "Comparing before and after"
    opened.controller.handle([ev.Progress(run_id, 1, 20, ev.Phase.SAMPLING, 3, 4)])
    assert window.status.phase.text() == "Phase 1: writing completions"
    assert window.status.cycle.text() == "Cycle 1 of 20"
    assert window.status.bar.value() == 750
    for cycle in (1, 2, 3):
        finish_cycle(opened, store, run_id, cycle)
    assert plotted(opened) == [1, 2, 3]
    assert window.status.speed.text() == "812 tokens/s"
    assert window.status.left.text() == "0:34 left"  # 17 cycles of 2 seconds
    assert window.runs.newest.cycles == 3  # type: ignore[union-attr]
    assert window.windowTitle() == "Run 1 – PPO Workbench"
    store.set_status(run_id, "finished").result()
    opened.controller.handle([
        ev.RunFinished(run_id, "finished", 3), ev.StateChanged(State.FINISHED)])
    assert window.toast.text == "Run 1 finished after 3 cycles."
    window.docks["completions"].raise_()  # behind another view it reads nothing
    qtbot.waitUntil(lambda: window.completions.shown.cycles == (0, 3))
    assert window.runs.newest.status == "finished"  # type: ignore[union-attr]
    opened.controller.handle([ev.Progress(run_id, 4, 20, ev.Phase.SAMPLING, 3, 4)])
    assert window.status.cycle.text() == "Cycle 4 of 20"
    opened.controller.handle([ev.StateChanged(State.PAUSED)])
    assert window.status.cycle.text() == "Cycle 3 of 20"


def test_changes_are_applied_recorded_and_marked(opened: Opened, store: Store) -> None:
    window = opened.window
    run_id = begin(opened, store)
    finish_cycle(opened, store, run_id, 1)
    window.hyperparameters.form.set_values({"kl_coef": 0.1}, "test")
    click(opened, "apply")
    assert opened.sent == [do.SetHyperparameters({"kl_coef": 0.1})]
    opened.controller.handle([ev.HyperparametersStaged({"kl_coef": 0.1}, 3)])
    change = ev.Change("kl_coef", 0.05, 0.1)
    opened.controller.handle([ev.HyperparametersApplied(
        run_id, 3, (change,), Hyperparameters(kl_coef=0.1).model_dump())])
    assert [cycle for cycle, _ in window.metrics._run.marks] == [3]  # type: ignore[union-attr]
    assert window.hyperparameters.history.tree.topLevelItemCount() == 1


def test_what_a_change_does_that_nobody_may_expect_is_said(opened: Opened, store: Store) -> None:
    begin(opened, store)
    opened.controller.handle([ev.HyperparametersStaged({"kl_coef": 0.1}, 3)])
    assert not opened.window.toast.isVisible()
    opened.controller.handle([ev.HyperparametersStaged({"gamma": 0.9}, 3, "Values mislead.")])
    assert opened.window.toast.isVisible()
    assert opened.window.toast.notices[-1].level == "warning"
    assert opened.window.toast.text == "Values mislead."


def test_refused_values_are_shown_where_they_were_typed(opened: Opened, store: Store) -> None:
    begin(opened, store)
    opened.controller.handle([ev.CommandRefused(
        "SetHyperparameters", "Too long.", {"response_length": "Too long."})])
    row = opened.window.hyperparameters.form.rows["response_length"]
    assert row.problem.text() == "Too long."
    assert opened.window.toast.text == "Too long."


def test_another_run_can_be_shown_while_one_is_live(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    window = opened.window
    old = fill(store, 3)
    live = begin(opened, store)
    finish_cycle(opened, store, live, 1)
    assert not window.actions_["show_live"].isEnabled()
    window.runs.refresh()
    opened.controller.show_run(old)
    qtbot.waitUntil(lambda: plotted(opened) == [1, 2, 3])
    assert window.hyperparameters.history.tree.topLevelItemCount() == 1
    assert window.runs.live_button.isVisibleTo(window.runs)
    finish_cycle(opened, store, live, 2)
    assert plotted(opened) == [1, 2, 3]
    click(opened, "show_live")
    finish_cycle(opened, store, live, 3)  # arrives while the run is being read
    qtbot.waitUntil(lambda: window.metrics._run.run_id == live)  # type: ignore[union-attr]
    assert plotted(opened) == [1, 2, 3]
    assert not window.runs.live_button.isVisibleTo(window.runs)


def test_deleting_the_shown_run_shows_the_newest(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    first, second = fill(store), fill(store, 2)
    opened.window.runs.refresh()
    opened.controller.show_run(second)
    opened.window.runs._delete(second)
    qtbot.waitUntil(lambda: opened.controller.shown == first)


def test_failed_run_says_what_to_do(opened: Opened, store: Store) -> None:
    run_id = begin(opened, store)
    opened.controller.handle([
        ev.RunFailed(run_id, "Memory ran out: lower Tokens at once.", "Trace"),
        ev.StateChanged(State.FAILED)])
    dialog = opened.window.findChild(ErrorDialog)
    assert dialog.findChild(QLabel, "error_sentence").text().startswith("Memory ran out")
    dialog.copy()
    assert QApplication.clipboard().text().endswith("Trace")
    dialog.close()


def test_a_run_held_by_a_full_disk_says_so_and_goes_on(opened: Opened, store: Store) -> None:
    run_id = begin(opened, store)
    window, handle = opened.window, opened.controller.handle
    sentence = "The disk is full, so the run is paused after cycle 1. Free some space, then resume."
    handle([ev.StateChanged(State.PAUSED, sentence, held=True)])
    assert (window.chip.text(), window.note.text()) == ("Paused", sentence)
    assert window.toast.text == opened.controller.held == sentence
    assert window.toast.action_button.text() == "Resume"
    window.toast.action_button.click()
    assert opened.sent == [do.Resume()]
    handle([ev.StateChanged(State.RUNNING)])
    assert opened.controller.held == ""
    handle([ev.RunFinished(run_id, "stopped", 1, "There was no room for cycle 2 on the disk."),
            ev.StateChanged(State.FINISHED)])
    assert window.toast.text == (
        "Run 1 stopped after 1 cycle. There was no room for cycle 2 on the disk. "
        "No checkpoint was written: Resume begins it from the start.")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a link to itself")
def test_a_run_whose_checkpoints_cannot_be_read_is_not_said_to_have_none(
    opened: Opened, store: Store
) -> None:
    run_id = begin(opened, store)
    folder = store.home / "checkpoints"
    folder.symlink_to(folder)
    opened.controller.handle([
        ev.RunFinished(run_id, "stopped", 1), ev.StateChanged(State.FINISHED)])
    assert opened.window.toast.text == "Run 1 stopped after 1 cycle."


@pytest.mark.parametrize(("state", "action", "command"), [
    (State.READY, "start", do.Start), (State.READY, "step", do.Start),
    (State.PAUSED, "pause", do.Resume), (State.PAUSED, "step", do.StepCycle)])
def test_a_double_click_asks_once(
    opened: Opened, state: State, action: str, command: type[do.Command]
) -> None:
    ready(opened)
    opened.controller.handle([ev.StateChanged(state)])
    opened.sent.clear()
    click(opened, action)
    click(opened, action)
    assert [type(sent) for sent in opened.sent] == [command]
    opened.controller.handle([ev.CommandRefused(command.__name__, "It cannot be done.")])
    click(opened, action)
    assert [type(sent) for sent in opened.sent] == [command, command]


def test_models_can_be_loaded_while_a_run_is_watched(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    window, handle = opened.window, opened.controller.handle
    run_id = fill(store, 2, status="running")
    store.run_locks.release(run_id)  # another process has it
    handle([ev.RunFollowed(run_id, "Run 1", 2, "ppo", DEFAULTS, "process 7 on there"),
            ev.StateChanged(State.RUNNING)])
    assert window.chip.text() == "Running"
    for name in ("load_models", "stop", "pause"):
        assert window.actions_[name].isEnabled(), name
    opened.sent.clear()
    window.models.load_button.click()
    assert opened.sent[0] == do.Unwatch()
    assert isinstance(opened.sent[1], do.LoadModels)
    assert opened.controller.watched is None
    assert window.toast.text == (
        "Run 1 goes on and is not watched any more; double-click it in Runs to watch it again.")
    handle([ev.StateChanged(State.IDLE), ev.StateChanged(State.LOADING)])
    assert not window.actions_["load_models"].isEnabled()
    assert not window.models.load_button.isEnabled()
    handle([ev.StateChanged(State.RUNNING)])  # a run of its own
    assert not window.actions_["load_models"].isEnabled()


def test_models_events_reach_the_models_dock(opened: Opened) -> None:
    window = opened.window
    opened.controller.handle([ev.StateChanged(State.LOADING), ev.LoadingProgress("Policy", 0.5)])
    click(opened, "cancel_loading")
    assert opened.sent == [do.CancelLoading()]
    opened.controller.handle([
        ev.LoadingFailed("There is no such folder.", "policy"), ev.StateChanged(State.IDLE)])
    assert window.models.failure.sentence.text() == "There is no such folder."
    wanted = window.models.wanted()
    opened.controller.handle([
        ev.ModelsLoaded(facts("policy", source=wanted.policy),
                        facts("reward", source=wanted.parts[0].source), 1.0, wanted),
        ev.StateChanged(State.READY)])
    assert window.models.policy.facts.isVisibleTo(window.models)


def test_the_status_bar_tells_of_the_run_it_names(opened: Opened, store: Store) -> None:
    window, status = opened.window, opened.window.status
    counted = (status.cycle, status.speed, status.elapsed)
    old, live = fill(store, 3), begin(opened, store)
    finish_cycle(opened, store, live, 1)
    assert status.cycle.text() == "Cycle 1 of 20"
    assert status.elapsed.text().endswith(" elapsed")
    opened.controller.show_run(old)
    assert status.cycle.text() == "Run 2: Cycle 1 of 20"
    opened.controller.handle([ev.Progress(live, 2, 20, ev.Phase.SAMPLING, 3, 4)])
    assert status.cycle.text() == "Run 2: Cycle 2 of 20"
    opened.controller.handle([
        ev.RunFinished(live, "stopped", 1), ev.StateChanged(State.FINISHED)])
    assert not any(widget.isVisible() for widget in counted)
    opened.controller.show_run(live)
    assert all(widget.isVisible() for widget in counted)
    assert status.cycle.text() == "Cycle 1 of 20"
    opened.controller.handle([
        ev.RunResumed(live, "Run 2", 1, "ppo", DEFAULTS), ev.StateChanged(State.RUNNING)])
    assert status.elapsed.text().endswith(" since Resume")
    assert window.windowTitle() == "Run 2 – PPO Workbench"


def test_apply_in_the_menu_is_as_its_button(opened: Opened, store: Store) -> None:
    begin(opened, store)
    window, action = opened.window, opened.window.actions_["apply"]
    assert not action.isEnabled()
    assert "Nothing is edited." in as_plain(action.toolTip())
    window.hyperparameters.form.set_values({"kl_coef": 0.5}, "test")
    assert action.isEnabled()
    assert window.hyperparameters.apply_button.isEnabled()


def test_the_status_bar_names_the_cycle_that_is_asked_for(opened: Opened, store: Store) -> None:
    run_id = begin(opened, store)
    finish_cycle(opened, store, run_id, 1)
    opened.controller.handle([ev.StateChanged(State.PAUSED)])
    assert opened.window.status.cycle.text() == "Cycle 1 of 20"
    click(opened, "step")
    opened.controller.handle([ev.StateChanged(State.RUNNING)])
    assert opened.window.status.cycle.text() == "Cycle 2 of 20"


def test_a_view_made_while_models_are_loaded_says_so(qtbot: QtBot, store: Store) -> None:
    window = Opened(store, at_first=State.LOADING)
    assert window.window.trying.line.text() == "The models are being loaded."
    window.close()


def test_each_notification_is_called_what_it_is(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, handle = opened.window, opened.controller.handle
    told = window.toast.notices
    ready(opened)
    window.reveal("trying")
    window.trying.try_or_stop()
    window.trying.prompt.setPlainText("tea")
    window.trying.controls.choose(start=False, current=False)
    window.trying.try_or_stop()
    monkeypatch.setattr(window.prompts, "prompts", lambda: (Prompt("Off", enabled=False),))
    click(opened, "start")
    handle([
        ev.CommandRefused("Checkpoint", "Pause the run to write a checkpoint."),
        ev.CommandRefused("SetHyperparameters", "Gamma must be at most 1.", {"gamma": "Too much."}),
        ev.CommandRefused("ExportRun", "The folder cannot be written."),
        ev.CommandRefused("Session", "The training thread ended.", {"details": "Traceback"}),
        ev.LoadingFailed("Say which output is the score.", "reward", labels=("a", "b")),
        ev.LoadingFailed("There is no folder.", "policy")])
    assert [(notice.level, notice.sentence) for notice in told] == [
        ("info", "Type a prompt to try, or pick one."),
        ("info", "Choose who completes it: Start policy, Current or a checkpoint."),
        ("info", "No prompt is switched on: add one, or tick one in Prompts."),
        ("info", "Pause the run to write a checkpoint."),
        ("warning", "Gamma must be at most 1."),
        ("error", "The folder cannot be written."),
        ("error", "The training thread ended."),
        ("info", "Say which output is the score."),
        ("error", "There is no folder.")]


@pytest.mark.parametrize("answer", [
    ev.CommandRefused("Start", "Load first."), ev.StateChanged(State.RUNNING)])
def test_a_start_is_said_at_once(opened: Opened, answer: ev.Event) -> None:
    ready(opened)
    click(opened, "start")
    assert opened.window.chip.text() == "Starting…"
    opened.controller.handle([answer])
    assert opened.window.chip.text() == (
        "Running" if isinstance(answer, ev.StateChanged) else "Ready")


@pytest.mark.parametrize("button", ["pause", "step"])
def test_going_on_with_a_paused_run_is_said_at_once(opened: Opened, button: str) -> None:
    ready(opened)
    opened.controller.handle([ev.StateChanged(State.PAUSED)])
    click(opened, button)
    opened.window.hyperparameters.form.set_values({"temperature": 0.5}, "typed in the meantime")
    assert opened.window.chip.text() == "Starting…"
    opened.controller.handle([ev.StateChanged(State.RUNNING)])
    assert opened.window.chip.text() == "Running"


def test_a_failed_run_with_a_checkpoint_is_resumed_from_the_tool_bar(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    window, run_id = opened.window, fill(store, 2, status="failed")
    store.record_changes(run_id, 2, [("num_cycles", 2, 9, "person")]).result()
    opened.controller.handle([ev.StateChanged(State.FAILED)])
    opened.controller.show_run(run_id)
    assert window.chip.text() == "Failed"
    store.checkpoints.write(run_id, 2, {}, {})
    opened.controller.readiness.update()
    assert window.chip.text().startswith("Failed after 2 of ")
    assert window.actions_["pause"].text() == "Resume"
    assert window.actions_["pause"].isEnabled()
