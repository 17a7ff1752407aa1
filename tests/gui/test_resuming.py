"""A run of the store goes on: asked for in Runs, by the offer at the start, after the models."""

import pytest
from helpers.window import DEFAULTS, Opened, as_plain, fill, ready, unexplained
from PySide6.QtWidgets import QLabel, QSpinBox
from pytestqt.qtbot import QtBot

from workbench.formatting import file_size
from workbench.gui.widgets.dialog import Dialog
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.store.records import Prompt
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State


def select(opened: Opened, run_id: int) -> None:
    opened.window.runs.refresh()
    opened.window.runs._select(run_id)


def stopped(store: Store, cycles: int = 3, planned: int = 20, checkpoint: int = 0) -> int:
    """Record a run that was stopped early."""
    run_id = fill(store, cycles, status="stopped")
    store.record_changes(run_id, 1, [("num_cycles", 3, planned, "person")]).result()
    if checkpoint:
        store.checkpoints.write(run_id, checkpoint, {}, {})
    return run_id


def plotted(opened: Opened) -> list[int]:
    run = opened.window.metrics._run
    return [int(c) for c in run.cycles] if run else []


def resume(opened: Opened, store: Store, run_id: int, cycle: int) -> None:
    """Let a run go on as the session would."""
    store.rewind(run_id, cycle).result()
    opened.controller.handle([
        ev.RunResumed(run_id, f"Run {run_id}", cycle,
                      "ppo", Hyperparameters(num_cycles=20, learning_rate=1e-4).model_dump()),
        ev.StateChanged(State.RUNNING)])


@pytest.mark.parametrize("by", ["button", "action"])
def test_the_selected_run_goes_on(opened: Opened, store: Store, by: str) -> None:
    window = opened.window
    run_id = stopped(store)
    opened.controller.handle([ev.StateChanged(State.READY)])
    assert not window.actions_["resume_run"].isEnabled()
    select(opened, run_id)
    assert window.actions_["resume_run"].isEnabled()
    if by == "button":
        window.runs.resume_button.click()
    else:
        window.actions_["resume_run"].trigger()
    assert opened.sent == [do.ResumeRun(run_id)]


def test_a_run_goes_on_only_when_none_is_alive(opened: Opened, store: Store) -> None:
    select(opened, stopped(store))
    for state in State:
        opened.controller.handle([ev.StateChanged(state)])
        free = state not in (State.RUNNING, State.PAUSED, State.STOPPING)
        assert opened.window.runs.resume_button.isEnabled() is free, state
        assert opened.window.actions_["resume_run"].isEnabled() is free, state


def test_a_run_of_another_process_is_left_alone(opened: Opened, store: Store) -> None:
    opened.controller.handle([ev.StateChanged(State.READY)])
    select(opened, fill(store, status="running"))
    assert not opened.window.runs.resume_button.isEnabled()
    assert not opened.window.actions_["resume_run"].isEnabled()


def test_the_button_says_from_where(opened: Opened, store: Store) -> None:
    opened.controller.handle([ev.StateChanged(State.READY)])
    select(opened, stopped(store, cycles=4, checkpoint=2))
    assert as_plain(opened.window.runs.resume_button.toolTip()) == (
        "Go on with this run after cycle 2, its last checkpoint; cycles 3 to 4 are run again "
        "(Ctrl+Shift+R)")


@pytest.mark.parametrize(("state", "why"), [
    (State.PAUSED, "This run is paused: press Resume in the tool bar."),
    (State.RUNNING, "This run is on."),
])
def test_of_the_run_that_is_on_the_button_says_where_it_goes_on(
    opened: Opened, store: Store, state: State, why: str
) -> None:
    other, run_id = fill(store), fill(store, status=state.value.lower())
    opened.controller.handle([
        ev.RunStarted(run_id, f"Run {run_id}", "ppo", DEFAULTS), ev.StateChanged(state)])
    select(opened, run_id)
    assert as_plain(opened.window.runs.resume_button.toolTip()).endswith(why)
    select(opened, other)
    assert as_plain(opened.window.runs.resume_button.toolTip()).endswith(
        "A run is on; stop it to go on with another.")


def test_a_complete_run_asks_for_more_cycles(opened: Opened, store: Store) -> None:
    run_id = stopped(store, cycles=3, planned=3, checkpoint=3)
    opened.controller.handle([ev.StateChanged(State.READY)])
    select(opened, run_id)
    opened.window.actions_["resume_run"].trigger()
    dialog = opened.window.findChild(Dialog, "more_cycles")
    assert "Run 1 has done all its 3 cycles. How many cycles in all?" in [
        label.text() for label in dialog.findChildren(QLabel)]
    field = dialog.findChild(QSpinBox)
    assert (field.minimum(), field.value()) == (4, 23)
    assert opened.sent == []
    field.setValue(8)
    dialog.accept()
    assert opened.sent == [do.ResumeRun(run_id, None, {"num_cycles": 8})]


def test_the_question_for_more_cycles_can_be_left(opened: Opened, store: Store) -> None:
    opened.controller.resuming.resume(stopped(store, cycles=3, planned=3, checkpoint=3))
    opened.window.findChild(Dialog, "more_cycles").reject()
    assert opened.sent == []


def test_a_resumed_run_shows_what_was_kept(qtbot: QtBot, opened: Opened, store: Store) -> None:
    window = opened.window
    other = fill(store)
    run_id = stopped(store, cycles=4)
    opened.controller.show_run(other)
    resume(opened, store, run_id, 2)
    qtbot.waitUntil(lambda: plotted(opened) == [1, 2])
    assert window.completions._cycles == [0, 1, 2]
    assert window.hyperparameters.hyperparameters().learning_rate == 1e-4
    assert window.status.cycle.text() == "Cycle 2 of 20"
    assert window.toast.text == "Run 2 goes on after cycle 2."
    assert window.windowTitle() == "Run 2 – PPO Workbench"
    assert not window.runs.live_button.isVisibleTo(window.runs)
    assert window.hyperparameters._line.text() == "The run uses these settings."


def test_time_left_counts_on_from_the_resumed_cycle(
    qtbot: QtBot, opened: Opened, store: Store
) -> None:
    run_id = stopped(store, cycles=4)
    resume(opened, store, run_id, 2)
    opened.controller.handle([ev.CycleFinished(run_id, 3, 20, {"seconds": 2.0})])
    assert opened.window.status.left.text() == "0:34 left"  # 17 cycles of 2 seconds
    qtbot.waitUntil(lambda: plotted(opened) == [1, 2, 3])


def test_more_cycles_show_in_the_form_once_used(opened: Opened, store: Store) -> None:
    run_id = stopped(store)
    resume(opened, store, run_id, 2)
    dock = opened.window.hyperparameters
    dock.form.set_values({"kl_coef": 0.2}, "test")
    used = Hyperparameters(num_cycles=40, learning_rate=1e-4, kl_coef=0.1)
    opened.controller.handle([ev.HyperparametersApplied(
        run_id, 3, (ev.Change("num_cycles", 20, 40), ev.Change("kl_coef", 0.05, 0.1)), used)])
    assert dock.hyperparameters().num_cycles == 40
    assert dock.hyperparameters().kl_coef == 0.2  # was being edited
    assert dock._line.text() == "KL coefficient (β) edited, not applied."


def test_a_checkpoint_is_asked_for_when_paused(opened: Opened, store: Store) -> None:
    run_id = fill(store, 3, status="paused")
    actions, toast = opened.window.actions_, opened.window.toast
    opened.controller.handle([
        ev.RunStarted(run_id, "Run 1", "ppo", DEFAULTS), ev.StateChanged(State.RUNNING)])
    assert not actions["checkpoint"].isEnabled()
    opened.controller.handle([ev.StateChanged(State.PAUSED)])
    actions["checkpoint"].trigger()
    assert opened.sent == [do.Checkpoint()]
    opened.controller.handle([ev.CheckpointWritten(run_id, 3, 6_400_000)])
    assert toast.text == "Checkpoint after cycle 3 written (6.4 MB)."
    store.checkpoints.write(run_id, 3, {}, {})
    actions["checkpoint"].trigger()
    assert len(opened.sent) == 1
    assert toast.text.startswith("The checkpoint after cycle 3 is there already")


def test_checkpoints_are_told_of_when_it_matters(opened: Opened, store: Store) -> None:
    run_id = fill(store, 3, status="running")
    handle, window = opened.controller.handle, opened.window
    written = ev.CheckpointWritten(run_id, 3, 6_400_000)
    handle([ev.RunStarted(run_id, "Run 1", "ppo", DEFAULTS), ev.StateChanged(State.RUNNING)])
    handle([written, ev.Progress(run_id, 4, 20, ev.Phase.SAMPLING, 0, 4),
            ev.StateChanged(State.PAUSED)])
    assert window.toast.text == ""  # a periodic one
    assert as_plain(window.status.cycle.toolTip()).endswith("after cycle 3, 6.4 MB")
    handle([ev.StateChanged(State.RUNNING), written, ev.StateChanged(State.PAUSED)])
    assert window.toast.text == "Checkpoint after cycle 3 written (6.4 MB)."
    store.checkpoints.write(run_id, 3, {}, {})
    handle([ev.StateChanged(State.STOPPING), written, ev.RunFinished(run_id, "stopped", 3)])
    assert window.toast.text == (
        "Run 1 stopped after 3 cycles. Checkpoint after cycle 3 written (6.4 MB).")
    handle([ev.CheckpointFailed(run_id, "The disk is full.")])
    assert window.toast.text == "The disk is full."


def test_a_stop_without_a_checkpoint_says_where_a_resume_begins(
    opened: Opened, store: Store
) -> None:
    run_id = fill(store, 0, status="running")
    opened.controller.handle([
        ev.RunStarted(run_id, "Run 1", "ppo", DEFAULTS), ev.StateChanged(State.RUNNING)])
    opened.window.metrics.repaint_now()
    said = "No cycle of this run is complete. Resume begins it from the start."
    assert "under way" in empty_page(opened, "metrics")
    store.set_status(run_id, "stopped").result()
    opened.controller.handle([
        ev.RunFinished(run_id, "stopped", 0), ev.StateChanged(State.FINISHED)])
    assert opened.window.toast.text == (
        "Run 1 stopped after 0 cycles. No checkpoint was written: Resume begins it from the start.")
    opened.window.metrics.repaint_now()
    opened.window.tokens.load_now()
    assert empty_page(opened, "metrics") == said
    assert empty_page(opened, "tokens") == said


def test_completions_of_a_run_that_wrote_none_say_so(
    opened: Opened, store: Store, qtbot: QtBot
) -> None:
    run_id = store.create_run(
        name="", policy="/p", reward="/r", models={}, prompts=[Prompt("Hello")],
        hyperparameters=DEFAULTS).result()
    opened.controller.handle([
        ev.RunStarted(run_id, "Run 1", "ppo", DEFAULTS), ev.StateChanged(State.RUNNING)])
    assert empty_page(opened, "completions").startswith("The start policy is writing")
    store.set_status(run_id, "stopped").result()
    opened.controller.handle([
        ev.RunFinished(run_id, "stopped", 0), ev.StateChanged(State.FINISHED)])
    qtbot.waitUntil(lambda: empty_page(opened, "completions") == (
        "No completions of this run were compared. Resume begins it from the start."))


def test_a_fork_cut_short_in_its_first_cycle_says_everywhere_from_where_resume_goes_on(
    opened: Opened, store: Store, qtbot: QtBot
) -> None:
    parent = fill(store)
    store.checkpoints.write(parent, 2, {}, {})
    another = {"reward": [{"source": "/other", "weight": 1.0, "label": None}]}
    fork = store.fork_run(parent, 2, name="", hyperparameters=DEFAULTS, changes=[],
                          reward="/other", models=another).result()
    store.set_status(fork, "failed").result()
    opened.controller.handle([ev.StateChanged(State.FAILED)])
    opened.controller.show_run(fork)
    goes_on = "Resume goes on after cycle 2, its last checkpoint."
    assert store.checkpoints.all(fork)[-1].cycle == 2
    for view in ("metrics", "tokens", "distributions", "objective", "frontier"):
        opened.window.reveal(view)
        qtbot.waitUntil(lambda view=view: empty_page(opened, view) == (
            f"No cycle of this run is complete. {goes_on}"))
    qtbot.waitUntil(lambda: empty_page(opened, "completions") == (
        f"No completions of this run were compared. {goes_on}"))


def empty_page(opened: Opened, view: str) -> str:
    """What a view says in place of what it has not."""
    return opened.window.findChild(QLabel, f"{view}_empty").text()


def test_a_run_cut_short_is_offered_again(opened: Opened, store: Store) -> None:
    toast = opened.window.toast
    run_id = stopped(store)
    opened.controller.handle([ev.StateChanged(State.READY)])
    opened.controller.resuming.offer(store.run(run_id))
    assert toast.text == ("Run 1 was stopped after cycle 3 of 20. It has no checkpoint: Resume "
                          "begins it from the start.")
    assert toast.action_button.toolTip() == "Begin this run again from the start"
    store.checkpoints.write(run_id, 2, {}, {})
    opened.controller.resuming.offer(store.run(run_id))
    assert toast.text == ("Run 1 was stopped after cycle 3 of 20. Resume goes on after cycle 2, "
                          "its last checkpoint, and runs cycle 3 again.")
    assert toast.action_button.isVisible()
    toast.action_button.click()
    assert not toast.isVisible()
    assert opened.sent == [do.ResumeRun(run_id)]
    toast.show_message("info", "Something else.")
    assert not toast.action_button.isVisible()


def test_a_complete_run_is_not_offered(opened: Opened, store: Store) -> None:
    opened.controller.resuming.offer(store.run(fill(store)))
    opened.controller.resuming.offer(store.run(stopped(store, planned=3)))
    opened.controller.resuming.offer(None)
    assert not opened.window.toast.isVisible()


def test_a_damaged_checkpoint_offers_the_one_before(opened: Opened) -> None:
    toast, instead = opened.window.toast, do.ResumeRun(1, 2, {"num_cycles": 9})
    opened.controller.handle([ev.CommandRefused("ResumeRun", "It is damaged.", instead=instead)])
    assert toast.text == "It is damaged."
    assert toast.action_button.text() == "Resume from cycle 2"
    toast.action_button.click()
    assert opened.sent == [instead]


def test_the_offer_goes_when_another_run_starts(opened: Opened, store: Store) -> None:
    opened.controller.resuming.offer(store.run(stopped(store)))
    opened.controller.handle([ev.StateChanged(State.RUNNING)])
    assert not opened.window.toast.isVisible()


@pytest.mark.parametrize("loaded", [State.READY, State.IDLE])
def test_an_accepted_offer_waits_for_the_models(
    opened: Opened, store: Store, loaded: State
) -> None:
    run_id = stopped(store)
    opened.window.models.load()  # asked for; the session has not said so yet
    opened.controller.resuming.offer(store.run(run_id))
    opened.window.toast.action_button.click()
    assert opened.window.toast.text == "Run 1 goes on when the models are loaded."
    opened.controller.handle([ev.StateChanged(State.LOADING)])
    assert len(opened.sent) == 1
    opened.controller.handle([ev.StateChanged(loaded)])
    assert opened.sent[1:] == [do.ResumeRun(run_id)]


def test_completions_speak_through_the_toast(opened: Opened) -> None:
    opened.window.completions.message.emit("info", "Copied.")
    assert opened.window.toast.text == "Copied."


@pytest.mark.parametrize(("count", "text"), [
    (812_400, "812 kB"), (6_400_000, "6.4 MB"), (1_230_000_000, "1.2 GB")])
def test_sizes_are_written_short(count: int, text: str) -> None:
    assert file_size(count) == text


@pytest.mark.parametrize("by", ["pause", "step"])
def test_an_edit_made_while_stopped_is_still_there_after_the_run_goes_on(
    opened: Opened, store: Store, by: str
) -> None:
    window, dock = opened.window, opened.window.hyperparameters
    run_id = stopped(store)
    used = Hyperparameters(num_cycles=20, learning_rate=1e-4)
    dock.form.set_values(used.model_dump(), "test")
    opened.controller.handle([
        ev.RunStarted(run_id, "Run 1", "ppo", used.model_dump()), ev.StateChanged(State.RUNNING),
        ev.RunFinished(run_id, "stopped", 3), ev.StateChanged(State.FINISHED)])
    dock.form.set_values({"batch_size": 16}, "test")
    row = dock.form.rows["batch_size"]
    assert row.note.text() == "completions, was 64"
    assert not dock.apply_button.isEnabled()
    window.actions_[by].trigger()
    assert opened.sent[-1] == do.ResumeRun(run_id, step=by == "step")
    resume(opened, store, run_id, 2)
    assert (row.field.value(), row.note.text()) == (16, "completions, was 64")
    assert dock._line.text() == "Batch size edited, not applied."
    dock.apply_button.click()
    assert opened.sent[-1] == do.SetHyperparameters({"batch_size": 16})


def test_an_edit_made_before_a_run_of_an_earlier_window_goes_on_is_kept(
    opened: Opened, store: Store
) -> None:
    dock = opened.window.hyperparameters
    run_id = stopped(store)
    dock.form.set_values({"batch_size": 16}, "test")
    resume(opened, store, run_id, 2)
    assert dock.form.rows["batch_size"].note.text() == "completions, was 64"
    assert dock.hyperparameters().learning_rate == 1e-4  # not edited: the run's
    assert dock.apply_button.isEnabled()


def test_resume_stays_the_main_button_while_a_run_that_was_cut_short_is_on_display(
    opened: Opened, store: Store
) -> None:
    window, actions = opened.window, opened.window.actions_
    complete, run_id = fill(store, 3), stopped(store)
    window.runs.refresh()
    opened.controller.show_run(run_id)  # as a window does that is opened again
    opened.controller.handle([ev.StateChanged(State.LOADING)])
    assert window.chip.text() == "Loading"

    def offered() -> None:
        assert (actions["pause"].text(), actions["pause"].isEnabled()) == ("Resume", True)
        assert actions.primary == "pause"
        assert window.chip.text() == "Stopped after 3 of 20"

    for state in (State.READY, State.FINISHED, State.IDLE):
        opened.controller.handle([ev.StateChanged(state)])
        offered()
    # Models that cannot be loaded, and a file that is not to be run, leave it as it is.
    window.models.policy.combo.setEditText("no/such/folder")
    actions["start"].trigger()
    command = opened.sent[-1]
    assert isinstance(command, do.LoadModels)
    opened.controller.handle([
        ev.StateChanged(State.LOADING),
        ev.LoadingFailed("There is no folder no/such/folder.", "policy", command=command),
        ev.StateChanged(State.IDLE)])
    offered()
    file = ev.UntrustedFile("/rewards/mine.py", "0" * 64, "", True)
    actions["pause"].trigger()
    opened.controller.handle([
        ev.StateChanged(State.LOADING),
        ev.LoadingFailed("It is not to be run.", "reward", untrusted=file,
                         again=do.ResumeRun(run_id)),
        ev.StateChanged(State.IDLE)])
    window.findChild(Dialog, "run_file_question").reject()
    offered()
    opened.sent.clear()
    actions["step"].trigger()
    assert opened.sent == [do.ResumeRun(run_id, step=True)]
    opened.controller.handle([ev.CommandRefused("ResumeRun", "It cannot be done.")])
    opened.controller.show_run(complete)
    assert (actions["pause"].text(), actions.primary) == ("Pause", "start")
    store.set_status(run_id, "interrupted").result()
    opened.controller.show_run(run_id)
    assert window.chip.text() == "Interrupted after 3 of 20"
    assert actions.primary == "pause"


@pytest.mark.parametrize(("checkpoint", "said"), [
    (2, "Resume goes on after cycle 2, its last checkpoint, and runs cycles 3 to 4 again."),
    (3, "Resume goes on after cycle 3, its last checkpoint, and runs cycle 4 again."),
    (4, "")])
def test_a_stop_says_which_cycles_are_run_again(
    opened: Opened, store: Store, checkpoint: int, said: str
) -> None:
    run_id = stopped(store, cycles=4, checkpoint=checkpoint)
    opened.controller.show_run(run_id)
    opened.controller.handle([ev.RunFinished(run_id, "stopped", 4),
                              ev.StateChanged(State.FINISHED)])
    assert opened.window.toast.text == f"Run 1 stopped after 4 cycles. {said}".rstrip()
    assert said in as_plain(opened.window.actions_["pause"].toolTip())


def buttons(opened: Opened) -> dict[str, bool]:
    """Return whether what begins or goes on with a run can be pressed."""
    window = opened.window
    there = {name: window.actions_[name] for name in (
        "start", "pause", "step", "resume_run", "fork_run", "go_back")}
    there |= {"Resume in Runs": window.runs.resume_button, "Fork in Runs": window.runs.fork_button}
    return {name: control.isEnabled() for name, control in there.items()}


@pytest.mark.parametrize("way", ["fork", "resume"])
@pytest.mark.parametrize("answer", [
    ev.CommandRefused("Fork", "The checkpoint is gone."),
    ev.LoadingFailed("There is no folder.", "policy"),
    ev.StateChanged(State.FAILED, "The training thread ended.")])
def test_nothing_else_begins_while_a_run_of_the_store_is_started(
    opened: Opened, store: Store, way: str, answer: ev.Event
) -> None:
    run_id = stopped(store)
    ready(opened)
    opened.controller.show_run(run_id)
    select(opened, run_id)
    assert opened.window.actions_["pause"].text() == "Resume"
    assert all(buttons(opened).values()), buttons(opened)
    go_on = opened.controller.resuming.go_on
    command = do.Fork(run_id) if way == "fork" else do.ResumeRun(run_id)
    sent = len(opened.sent)
    go_on("Run 1", command)
    # Its models may have to be loaded, and its checkpoint be read.
    for state in (State.READY, State.LOADING, State.READY):
        assert opened.window.chip.text() == (
            "Loading" if opened.window.state is State.LOADING else "Starting…")
        assert not any(buttons(opened).values()), buttons(opened)
        assert unexplained(opened.window.runs) == []
        assert "A run is being started" in opened.window.actions_["start"].toolTip()
        opened.window.runs.resume_selected()
        opened.window.actions_["pause"].trigger()
        opened.controller.handle([ev.StateChanged(state)])
    assert opened.sent[sent:] == [command]
    opened.controller.handle([answer])
    assert all(buttons(opened).values()), buttons(opened)
    go_on("Run 1", command)
    opened.controller.handle([
        ev.RunResumed(run_id, "Run 1", 0, "ppo", DEFAULTS), ev.StateChanged(State.RUNNING)])
    assert opened.window.chip.text() == "Running"
    assert opened.window.actions_["pause"].isEnabled()


def test_a_fork_that_waited_for_the_cycle_in_hand_is_started_alone(
    opened: Opened, store: Store
) -> None:
    run_id = stopped(store)
    ready(opened)
    opened.controller.handle([
        ev.RunResumed(run_id, "Run 1", 0, "ppo", DEFAULTS), ev.StateChanged(State.RUNNING)])
    opened.controller.resuming.go_on("Run 1", do.Fork(run_id))
    opened.controller.handle([ev.StateChanged(State.PAUSED)])
    assert opened.sent[-1] == do.Fork(run_id)
    opened.controller.handle([ev.StateChanged(State.FINISHED)])  # it makes room
    assert opened.window.chip.text() == "Starting…"
    assert not any(buttons(opened).values()), buttons(opened)
