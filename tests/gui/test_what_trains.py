"""What the window shows is what trains, and what is not loaded is said."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from helpers.play import SMALL, play, until
from helpers.window import DEFAULTS, PROMPTS, Opened, as_plain, facts, fill, ready
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QTextDocument
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD, EXAMPLE_REWARDS
from workbench.dpo.declaration import DPO
from workbench.gui.actions import SPECS
from workbench.gui.app import Workbench
from workbench.gui.models.loading_failure import LoadingFailure
from workbench.gui.widgets.theme import themes
from workbench.ilql.declaration import ILQL
from workbench.known_models import SMOLLM2
from workbench.models.fitting_rate import fitting_learning_rate
from workbench.reward_training import declaration as reward_training
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.reward_parts import RewardPart

REWARD = "def reward(prompts, completions):\n    return [0.0 for _ in completions]\n"


def on(opened: Opened) -> int:
    """Return how many prompts are switched on."""
    return sum(p.enabled for p in opened.window.prompts.prompts())


def fail(opened: Opened, sentence: str, which: str = "policy", part: int = 0) -> None:
    """Let the loading that was asked for last fail, as the session would."""
    command = next(c for c in reversed(opened.sent) if isinstance(c, do.LoadModels))
    opened.controller.handle([
        ev.StateChanged(State.LOADING),
        ev.LoadingFailed(sentence, which, "Traceback", part=part, command=command),
        ev.StateChanged(State.READY if opened.window.models.loaded_command else State.IDLE)])


def begin(opened: Opened, store: Store, run_id: int, *events: ev.Event) -> None:
    """Let a run of the store be on."""
    opened.controller.handle([
        *events, ev.RunStarted(run_id, f"Run {run_id}", "ppo", DEFAULTS),
        ev.StateChanged(State.RUNNING)])


def stop(opened: Opened, store: Store, cycles: int, planned: int) -> int:
    """Let a run be stopped after some of its cycles."""
    run_id = fill(store, cycles, status="running")
    store.record_changes(run_id, 1, [("num_cycles", cycles, planned, "person")]).result()
    begin(opened, store, run_id)
    store.set_status(run_id, "stopped").result()
    opened.controller.handle([
        ev.RunFinished(run_id, "stopped", cycles), ev.StateChanged(State.FINISHED)])
    return run_id


# -- the line beside Start


def test_the_line_says_what_start_would_train(opened: Opened) -> None:
    ready(opened)
    window = opened.window
    assert window.trains.sentence == (
        "Start trains bundled policy with bundled reward on "
        f"{on(opened)} prompts by PPO, seed 0")
    assert window.trains.warned == []
    assert (window.chip.text(), window.actions_["start"].text()) == ("Ready", "Start")
    window.hyperparameters.form.set_values({"seed": 7}, "test")
    window.models.reward.set_parts(
        (RewardPart(str(BUNDLED_REWARD)), RewardPart(str(EXAMPLE_REWARDS["vader"]), -0.5)))
    assert window.trains.sentence == (
        "Start loads and trains bundled policy with bundled reward − 0.5 × vader on "
        f"{on(opened)} prompts by PPO, seed 7")
    assert window.trains.warned == ["bundled reward − 0.5 × vader"]
    window.models.reward.fields[1].parent().weight.setText("0.")  # being typed
    assert window.models.reward.fields[1].parent().weight.text() == "0."
    assert (window.chip.text(), window.chip.property("chip")) == ("Not loaded", "warning")
    window.prompts._model.remove(range(len(window.prompts.rows())))
    assert window.trains.warned == ["bundled reward, beside gold vader", "no prompt"]


def test_the_line_says_what_is_learned_from(opened: Opened) -> None:
    """Of what learns from data that is there the reward and the prompts only compare."""
    ready(opened)
    window = opened.window
    compared = f"compared by bundled reward on {on(opened)} prompts, seed 0"
    window.hyperparameters.choose_algorithm(DPO)
    assert window.trains.sentence == (
        f"Start trains bundled policy by DPO from bundled pairs (1,921 pairs), {compared}")
    window.hyperparameters.choose_algorithm(ILQL)
    assert window.trains.sentence == (
        f"Start trains bundled policy by ILQL from no data, {compared}")
    assert window.trains.warned == ["no data"]
    window.hyperparameters.choose_algorithm(reward_training.REWARD)
    assert window.trains.sentence == (
        "Start trains a reward model from bundled pairs (1,921 pairs), seed 0")


def test_the_line_is_seen_on_a_small_screen(opened: Opened) -> None:
    ready(opened)
    window = opened.window
    window.resize(1280, 720)
    QApplication.processEvents()
    assert window.trains.isVisible()
    assert "bundled policy" in window.trains.text()
    assert "bundled reward" in window.trains.text()
    assert window.trains.width() >= window.trains.fontMetrics().horizontalAdvance(
        f"bundled policy with bundled reward on {on(opened)} prompts by PPO, seed 0")


def test_a_choice_that_is_not_loaded_is_marked_and_the_way_back_offered(opened: Opened) -> None:
    ready(opened)
    window, models = opened.window, opened.window.models
    models.policy.combo.setEditText("no/such/folder")
    assert window.trains.sentence.startswith("Start loads and trains folder with bundled reward")
    assert window.trains.warned == ["folder"]
    assert window.actions_["start"].text() == "Load and start"
    assert (window.chip.text(), window.chip.property("chip")) == ("Not loaded", "warning")
    memory = models._policy_memory
    assert memory.text.text() == "In memory: bundled policy"
    assert not models._reward_memory.isVisibleTo(models)
    models.load_button.click()
    fail(opened, "There is no folder no/such/folder; check its name.")
    assert models.failure.sentence.text() == "There is no folder no/such/folder; check its name."
    assert models.policy.isAncestorOf(models.failure)
    assert models.policy.combo.property("state") == "invalid"
    assert window.chip.text() == "Not loaded"
    assert memory.isVisibleTo(models)
    memory.button.click()
    assert models.policy.source() == str(BUNDLED_POLICY)
    assert not models.failure.isVisibleTo(models)
    assert models.policy.combo.property("state") == ""
    assert (window.chip.text(), window.actions_["start"].text()) == ("Ready", "Start")
    assert not memory.isVisibleTo(models)


def test_an_error_stands_at_its_part_and_goes_when_that_is_edited(opened: Opened) -> None:
    ready(opened)
    models = opened.window.models
    models.reward.set_parts((RewardPart(str(BUNDLED_REWARD)), RewardPart("org/none")))
    models.load_button.click()
    fail(opened, "There is no folder org/none.", "reward", part=1)
    first, second = models.reward.fields
    assert second.isAncestorOf(models.failure)
    assert [f.combo.property("state") for f in (first, second)] == ["", "invalid"]
    assert models._reward_memory.text.text() == "In memory: bundled reward"
    second.combo.setEditText("org/nones")
    assert not models.failure.isVisibleTo(models)
    assert second.combo.property("state") == ""
    models._reward_memory.button.click()
    assert models.reward.parts() == (RewardPart(str(BUNDLED_REWARD)),)
    assert models.is_loaded()


def test_all_that_is_not_there_is_said_each_at_its_field(opened: Opened) -> None:
    ready(opened)
    models = opened.window.models
    models.policy.combo.setEditText("no/policy")
    models.reward.set_parts(tuple(RewardPart(s) for s in (
        "no/reward", str(BUNDLED_REWARD), "no/more")))
    QApplication.processEvents()  # which show the rows that were added
    models.load_button.click()
    for which, part in (("policy", 0), ("reward", 0), ("reward", 2)):
        fail(opened, f"There is no {which} {part}.", which, part)
    first, whole, last = models.reward.fields

    def said(field: QWidget) -> list[str]:
        return [f.sentence.text() for f in field.findChildren(LoadingFailure)
                if f.isVisibleTo(models)]
    assert said(models.policy) == ["There is no policy 0."]
    assert [said(field) for field in (first, whole, last)] == [
        ["There is no reward 0."], [], ["There is no reward 2."]]
    models.policy.combo.setEditText("no/other")
    assert [said(field) for field in (models.policy, first, last)] == [
        [], ["There is no reward 0."], ["There is no reward 2."]]
    last.combo.setEditText(str(BUNDLED_REWARD))
    assert [said(field) for field in (first, last)] == [["There is no reward 0."], []]
    assert [f.combo.property("state") for f in (models.policy, first, whole, last)] == [
        "", "invalid", "", ""]
    models.reward.set_source("no/single")
    assert said(models) == []
    models.load_button.click()
    fail(opened, "There is no single.", "reward")
    assert said(models) == ["There is no single."]


# -- load and start


def test_one_click_loads_and_starts(opened: Opened) -> None:
    window = opened.window
    opened.controller.handle([ev.StateChanged(State.IDLE)])
    window.models.policy.combo.setEditText("/models/policy")
    assert window.actions_["start"].text() == "Load and start"
    window.actions_["start"].trigger()
    window.actions_["start"].trigger()  # the second half of a double click
    assert opened.sent == [do.LoadModels("/models/policy", str(BUNDLED_REWARD))]
    ready(opened)
    assert isinstance(opened.sent[-1], do.Start)
    assert len(opened.sent) == 2
    assert not opened.sent[-1].step


def test_a_failed_load_starts_nothing(opened: Opened) -> None:
    ready(opened)
    window = opened.window
    window.models.policy.combo.setEditText("/models/none")
    window.actions_["step"].trigger()
    fail(opened, "There is no folder /models/none.")
    assert [type(c) for c in opened.sent] == [do.LoadModels]
    assert window.actions_["start"].isEnabled()
    window.models._policy_memory.button.click()
    assert [type(c) for c in opened.sent] == [do.LoadModels]
    window.actions_["start"].trigger()
    assert isinstance(opened.sent[-1], do.Start)
    assert not opened.sent[-1].step


def test_start_takes_the_click_while_models_are_loaded(opened: Opened) -> None:
    window = opened.window
    window.models.load()
    opened.controller.handle([ev.StateChanged(State.LOADING)])
    assert window.actions_["step"].isEnabled()
    assert window.trains.sentence.endswith(", once they are loaded")
    window.actions_["step"].trigger()
    assert window.trains.sentence.startswith("Starts once loaded: bundled policy")
    assert not window.actions_["start"].isEnabled()
    assert [type(c) for c in opened.sent] == [do.LoadModels]
    ready(opened)
    assert isinstance(opened.sent[-1], do.Start)
    assert opened.sent[-1].step


def test_enter_in_a_field_loads(opened: Opened, qtbot: QtBot) -> None:
    line = opened.window.models.policy.combo.lineEdit()
    line.setText("/models/policy")
    line.returnPressed.emit()
    assert opened.sent == [do.LoadModels("/models/policy", str(BUNDLED_REWARD))]


def test_a_name_that_was_wrong_is_typed_anew_at_once(opened: Opened, qtbot: QtBot) -> None:
    ready(opened)
    line = opened.window.models.policy.combo.lineEdit()
    line.setFocus()
    line.setText("/models/none")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    fail(opened, "There is no folder /models/none.")
    assert line.hasFocus()
    qtbot.keyClicks(QApplication.focusWidget(), "/2")
    assert line.text() == "/models/none/2"


def test_who_has_gone_elsewhere_while_models_are_loaded_stays_there(
    opened: Opened, qtbot: QtBot
) -> None:
    ready(opened)
    window = opened.window
    line = window.models.policy.combo.lineEdit()
    line.setFocus()
    opened.controller.handle([ev.StateChanged(State.LOADING)])
    assert not line.hasFocus()
    window.reveal("prompts")
    there = QApplication.focusWidget()
    ready(opened)
    assert QApplication.focusWidget() is there
    assert not line.hasFocus()


# -- runs


def test_where_the_line_has_no_room_start_says_what_it_trains(opened: Opened) -> None:
    ready(opened)
    window = opened.window
    window.resize(640, 360)
    QApplication.processEvents()
    shown = QTextDocument()
    shown.setHtml(window.trains.text())
    assert shown.toPlainText().startswith("Start trains bundled")
    window.trains.resize(40, window.trains.height())
    assert window.trains.text() == ""  # three dots alone say nothing
    assert window.trains.sentence in as_plain(window.actions_["start"].toolTip())
    assert "bundled policy with bundled reward" in window.trains.sentence


def test_the_line_gives_up_its_end_step_by_step_and_what_is_learned_from_last(
    opened: Opened
) -> None:
    ready(opened)
    opened.window.hyperparameters.choose_algorithm(DPO)
    trains = opened.window.trains
    learns = "Start trains bundled policy by DPO from bundled pairs (1,921 pairs)"
    judged = f"{learns}, compared by bundled reward"
    for said in (trains.sentence, f"{judged} on {on(opened)} prompts", judged, learns):
        trains.resize(trains.fontMetrics().horizontalAdvance(said) + 12, trains.height())
        shown = QTextDocument()
        shown.setHtml(trains.text())
        assert shown.toPlainText() == said
    trains.resize(trains.fontMetrics().horizontalAdvance(learns) - 8, trains.height())
    shown.setHtml(trains.text())
    assert shown.toPlainText().startswith("Start trains bundled policy by DPO from bundled pairs")
    assert shown.toPlainText().endswith("…")


@pytest.mark.parametrize("room", [150, 250, 400, 900])
def test_the_line_keeps_its_verb_and_its_marks_where_there_is_little_room(
    opened: Opened, room: int
) -> None:
    ready(opened)
    trains = opened.window.trains
    opened.window.models.policy.combo.setEditText("/home/me/models/a-policy-with-a-long-name")
    trains.resize(room, trains.height())
    shown = QTextDocument()
    shown.setHtml(trains.text())
    text = shown.toPlainText()
    assert text.startswith("Start loads and trai")
    assert text.endswith("…") == (room < 900)
    assert trains.fontMetrics().horizontalAdvance(text) <= room
    assert (themes().theme.warning in trains.text()) == (room > 200)


def test_the_line_tells_what_a_run_trains(opened: Opened, store: Store) -> None:
    ready(opened)
    window = opened.window
    window.models.policy.combo.setEditText("no/such/folder")
    run_id = fill(store, 1, status="running")
    begin(opened, store, run_id)
    assert window.trains.sentence == "Run 1 trains policy with reward on 3 prompts by PPO, seed 0"
    assert window.trains.warned == []
    assert window.chip.text() == "Running"


def test_a_watched_run_is_told_of_likewise(opened: Opened, store: Store) -> None:
    ready(opened)
    run_id = fill(store, 2, status="running")
    store.run_locks.release(run_id)
    opened.controller.handle([
        ev.RunFollowed(run_id, "Run 1", 2, "ppo", DEFAULTS, "process 7 on there"),
        ev.StateChanged(State.RUNNING)])
    assert opened.window.trains.sentence == (
        "Run 1 trains policy with reward on 3 prompts by PPO, seed 0")


@pytest.mark.parametrize("by", ["pause", "step"])
def test_a_stopped_run_is_the_next_thing_to_go_on_with(
    opened: Opened, store: Store, by: str
) -> None:
    ready(opened)
    window, actions = opened.window, opened.window.actions_
    run_id = stop(opened, store, 1, 6)
    assert (window.chip.text(), window.chip.property("chip")) == (
        "Stopped after 1 of 6", "warning")
    assert (actions["pause"].text(), actions["pause"].isEnabled()) == ("Resume", True)
    QApplication.processEvents()
    assert window.chip.width() >= window.chip.sizeHint().width()
    roles = {name: button.property("role") for name, button in window.run_bar.buttons.items()}
    assert [name for name, role in roles.items() if role == "primary"] == ["pause"]
    assert as_plain(actions["pause"].toolTip()).startswith(
        "Go on with Run 1 and the settings it has; edits can be applied once it is on.")
    assert actions["step"].toolTip().startswith("Run one more cycle of Run 1")
    assert window.trains.sentence.startswith("Resume goes on with Run 1; Start trains bundled")
    line = window.hyperparameters._line
    assert line.text() == "Start uses these settings; Resume goes on with those of Run 1."
    assert line.property("role") == "muted"
    window.hyperparameters.form.set_values({"temperature": 0.9}, "typed")
    assert line.property("role") == "warning"
    opened.sent.clear()
    actions[by].trigger()
    assert opened.sent == [do.ResumeRun(run_id, step=by == "step")]
    assert window.chip.text() == "Starting…"
    opened.controller.handle([
        ev.RunResumed(run_id, "Run 1", 1, "ppo", DEFAULTS), ev.StateChanged(State.RUNNING)])
    assert (window.chip.text(), actions["pause"].text()) == ("Running", "Pause")


@pytest.mark.parametrize("by", ["pause", "step"])
def test_while_models_are_loaded_the_buttons_go_on_with_the_run_that_was_stopped(
    opened: Opened, store: Store, by: str
) -> None:
    ready(opened)
    window, actions = opened.window, opened.window.actions_
    run_id = stop(opened, store, 1, 6)
    opened.controller.handle([ev.StateChanged(State.LOADING)])
    assert (window.chip.text(), actions["pause"].text()) == ("Loading", "Resume")
    assert actions["pause"].isEnabled()
    assert actions.primary == "pause"
    assert actions["step"].toolTip().startswith("Run one more cycle of Run 1")
    assert window.trains.sentence.startswith("Resume goes on with Run 1; Start trains bundled")
    assert window.trains.sentence.endswith(", once they are loaded")
    opened.sent.clear()
    actions[by].trigger()
    assert opened.sent == []  # not before the models are there
    assert window.toast.text == "Run 1 goes on when the models are loaded."
    opened.controller.handle([ev.StateChanged(State.READY)])
    assert opened.sent == [do.ResumeRun(run_id, step=by == "step")]


def test_a_run_that_came_to_its_end_is_finished(opened: Opened, store: Store) -> None:
    ready(opened)
    stop(opened, store, 3, 3)
    assert (opened.window.chip.text(), opened.window.chip.property("chip")) == ("Finished", "good")
    assert opened.window.actions_.primary == "start"
    run_id = stop(opened, store, 1, 6)
    store.delete_run(run_id).result()
    opened.window.runs.deleted.emit(run_id)
    assert opened.window.chip.text() == "Finished"


def test_a_paused_run_has_resume_as_its_main_button(opened: Opened, store: Store) -> None:
    ready(opened)
    begin(opened, store, fill(store, 1, status="running"))
    window = opened.window
    assert window.run_bar.buttons["start"].property("role") == "primary"
    width = window.run_bar.buttons["pause"].width()
    opened.controller.handle([ev.StateChanged(State.PAUSED)])
    QApplication.processEvents()
    assert window.run_bar.buttons["pause"].property("role") == "primary"
    assert window.run_bar.buttons["start"].property("role") == ""
    assert window.run_bar.buttons["pause"].width() == width  # nothing moves under the pointer


def test_another_runs_prompts_do_not_look_as_if_they_train(opened: Opened, store: Store) -> None:
    ready(opened)
    window, both = opened.window, opened.window.prompts_of_run
    title = window.docks["prompts"].windowTitle
    assert title() == "Prompts"
    assert not both.run_button.isVisibleTo(both)
    run_id, following = fill(store, 1, status="running"), on(opened)
    begin(opened, store, run_id)
    assert title() == "Prompts of Run 1"
    assert both.next_button.text() == f"Next run ({following})"
    assert [both.list.item(i).text() for i in range(both.list.count())] == list(PROMPTS)
    assert both.list.isVisibleTo(both)
    both.next_button.click()
    assert title() == "Prompts (next run)"
    assert window.prompts.isVisibleTo(both)
    assert both.run_button.text() == "Run 1 (3)"
    window.prompts._model.remove(range(len(window.prompts.rows())))
    QApplication.clipboard().setText("\n".join(PROMPTS))
    window.prompts.paste()
    assert title() == "Prompts"  # they are the same now
    assert not both.run_button.isVisibleTo(both)


def test_a_prompt_that_is_added_stays_in_view(opened: Opened, store: Store) -> None:
    ready(opened)
    window, both = opened.window, opened.window.prompts_of_run
    window.prompts._model.remove(range(len(window.prompts.rows())))
    QApplication.clipboard().setText("\n".join(PROMPTS))
    window.prompts.paste()
    begin(opened, store, fill(store, 1, status="running"))
    assert window.docks["prompts"].windowTitle() == "Prompts"  # the run's and the next one's
    QApplication.clipboard().setText("One more")
    window.prompts.paste()
    assert window.prompts.isVisibleTo(both)
    assert window.docks["prompts"].windowTitle() == "Prompts (next run)"
    assert both.run_button.text() == "Run 1 (3)"


# -- rewards that are files


def test_consent_is_asked_when_a_file_is_chosen(
    opened: Opened, store: Store, tmp_path: Path
) -> None:
    ready(opened)
    file = tmp_path / "mine.py"
    file.write_text(REWARD)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    models = opened.window.models
    models.reward._pick(models.reward.fields[0].set_source, str(file))
    question = opened.window.findChild(object, "run_file_question")
    assert question.isVisible()
    assert opened.sent == []
    question.findChild(object, "run_file_question_cancel").click()
    assert not store.is_trusted(digest)
    # Asked again when it is to be loaded, and nothing is loaded before there is an answer.
    question.setObjectName("")
    opened.window.actions_["start"].trigger()
    question = opened.window.findChild(object, "run_file_question")
    assert opened.sent == []
    question.findChild(object, "run_file").click()
    assert store.is_trusted(digest)
    assert opened.sent == [do.LoadModels(str(BUNDLED_POLICY), str(file))]
    ready(opened)
    assert isinstance(opened.sent[-1], do.Start)


def test_a_file_that_is_declined_starts_nothing(opened: Opened, tmp_path: Path) -> None:
    ready(opened)
    file = tmp_path / "mine.py"
    file.write_text(REWARD)
    opened.window.models.reward.set_source(str(file))
    opened.window.actions_["start"].trigger()
    opened.window.findChild(object, "run_file_question_cancel").click()
    assert opened.sent == []
    assert (opened.window.state, opened.window.chip.text()) == (State.READY, "Not loaded")
    assert opened.window.actions_["start"].isEnabled()


def test_start_asks_about_a_file_that_has_changed_since_it_was_loaded(
    opened: Opened, store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(REWARD)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    store.trust(digest, str(file)).result()
    models, window = opened.window.models, opened.window
    models.reward.set_source(str(file))
    command = models.wanted()

    def loaded() -> None:
        opened.controller.handle([
            ev.StateChanged(State.LOADING),
            ev.ModelsLoaded(
                facts("policy", source=command.policy),
                facts("reward", source=str(file), sha256=hashlib.sha256(
                    file.read_bytes()).hexdigest()), 1.0, command),
            ev.StateChanged(State.READY)])

    loaded()
    file.write_text(REWARD.replace("0.0", "1.0"))
    window.actions_["start"].trigger()
    question = window.findChild(object, "run_file_question")
    assert opened.sent == []
    question.findChild(object, "run_file_question_cancel").click()
    assert opened.sent == []
    assert window.actions_["start"].isEnabled()
    question.setObjectName("")
    window.actions_["start"].trigger()
    window.findChild(object, "run_file_question").findChild(object, "run_file").click()
    assert opened.sent == [command]
    loaded()
    assert isinstance(opened.sent[-1], do.Start)
    assert len(opened.sent) == 2


# -- the learning rate that fits


@pytest.mark.parametrize(("parameters", "rate"), [
    (1_600_000, 2.5e-4), (135_000_000, 2e-5), (1_000_000_000, 6.4e-6)])
def test_the_rule_passes_through_what_was_measured(parameters: int, rate: float) -> None:
    assert fitting_learning_rate(parameters) == pytest.approx(rate)


def test_a_large_model_proposes_a_lower_learning_rate(opened: Opened) -> None:
    ready(opened)
    models, form = opened.window.models, opened.window.hyperparameters.form
    assert not models.rate.isVisibleTo(models)
    form.set_values({"learning_rate": 5e-4}, "test")
    models.policy.set_source(SMOLLM2.hub)
    command = models.wanted()
    opened.controller.handle([ev.ModelsLoaded(
        facts("policy", source=command.policy, parameters=134_515_008, has_chat_template=True),
        facts("reward", source=str(BUNDLED_REWARD)), 1.0, command)])
    assert models.rate.text.text() == "Fitting learning rate: 2e-5"
    assert "it is 5e-4 now" in models.rate.text.toolTip()
    models.rate.button.click()
    assert opened.window.hyperparameters.hyperparameters().learning_rate == 2e-5
    assert not models.rate.isVisibleTo(models)
    form.set_values({"learning_rate": 5e-4, "lora_rank": 8}, "test")
    assert not models.rate.isVisibleTo(models)  # adapters stand more
    form.set_values({"lora_rank": 0}, "test")
    assert models.rate.isVisibleTo(models)
    # DPO begins with the rate of PPO, and is warned as well; that of ILQL is another.
    for other, proposed in ((DPO, True), (ILQL, False)):
        opened.window.hyperparameters.choose_algorithm(other)
        form.set_values({"learning_rate": 5e-4}, "test")
        assert models.rate.isVisibleTo(models) is proposed


# -- reasons, and room


def test_what_cannot_be_pressed_says_why(opened: Opened) -> None:
    ready(opened)
    window = opened.window
    models, runs = window.models, window.runs
    for state in State:
        opened.controller.handle([ev.StateChanged(state)])
        for spec in SPECS:
            action = window.actions_[spec.id]
            if not action.isEnabled():
                assert str(action.property("why")).endswith("."), (state, spec.id)
                assert action.property("why") in action.toolTip(), (state, spec.id)
        for control in (models.load_button, models.bundled_button, models.policy.combo,
                        models.policy.button, models.reward.fields[0].combo, runs.resume_button,
                        runs.fork_button, runs.delete_button):
            why = str(control.property("why") or "")
            assert bool(why) is not control.isEnabled(), (state, control.objectName())
            assert why in control.toolTip(), state


def test_load_stays_in_sight_on_a_small_screen(opened: Opened) -> None:
    ready(opened)
    window, models = opened.window, opened.window.models
    window.resize(1280, 720)
    models.reward.set_parts(tuple(RewardPart(f"org/reward-{i}") for i in range(5)))
    models.policy.combo.setEditText("HuggingFaceTB/SmolLM2-135M-Instruct")
    models.load_button.click()
    fail(opened, "It cannot be loaded, and the reason takes a long sentence to say. " * 5)
    QApplication.processEvents()
    dock = window.docks["models"]
    for button in (models.load_button, models.bundled_button):
        assert not button.visibleRegion().isEmpty()
        assert button.visibleRegion().boundingRect() == button.rect()
        corner = button.mapTo(dock, QPoint(button.width(), button.height()))
        assert dock.rect().contains(corner)


# -- the real thing


@pytest.mark.slow
def test_start_never_trains_another_model_than_the_one_shown(
    qapp: QApplication, home: Path
) -> None:
    async def scenario(workbench: Workbench) -> None:
        window, models = workbench.window, workbench.window.models
        assert window.chip.text() == "Loading"
        await until(lambda: window.state is State.READY)
        assert window.trains.sentence.startswith(
            "Start trains bundled policy with bundled reward on ")
        models.policy.combo.setEditText("no/such/folder")
        window.actions_["start"].trigger()
        await until(lambda: models.failure.isVisible())
        await until(lambda: window.state is State.READY)
        assert window.chip.text() == "Not loaded"
        assert workbench.store.runs() == []
        models._policy_memory.button.click()
        window.hyperparameters.form.set_values(SMALL | {"num_cycles": 3}, "test")
        models.reward.set_source(str(EXAMPLE_REWARDS["vader"]))
        window.actions_["step"].trigger()
        await until(lambda: window.state is State.PAUSED)
        run = workbench.store.run(1)
        assert (run.policy, run.reward) == (str(BUNDLED_POLICY), str(EXAMPLE_REWARDS["vader"]))
        window.actions_["stop"].trigger()
        await until(lambda: window.state is State.FINISHED)
        assert window.chip.text() == "Stopped after 1 of 3"
        window.actions_["step"].trigger()
        await until(lambda: window.state is State.PAUSED)
        assert [(r.id, r.cycles) for r in workbench.store.runs()] == [(1, 2)]

    play(qapp, home, scenario)


@pytest.mark.slow
def test_a_mistyped_name_is_told_at_its_field_and_in_one_line_of_the_log(
    qapp: QApplication, home: Path
) -> None:
    gone = str(home / "policy"), str(home / "reward")

    async def scenario(workbench: Workbench) -> None:
        models, notices = workbench.window.models, workbench.window.toast.notices
        for times in (1, 2):  # before torch is imported, and after
            await until(lambda times=times: workbench.window.state is State.IDLE and
                        sum(notice.level == "error" for notice in notices) == 2 * times)
            assert [f.sentence.text() for f in models.findChildren(LoadingFailure)
                    if f.isVisible()] == [f"There is no folder {name}; check its name."
                                          for name in gone]
            assert models.policy.isAncestorOf(models.failures[0])
            assert models.reward.fields[0].isAncestorOf(models.failures[1])
            assert not models.failure.copy_button.isVisible()  # there is nothing more to it
            if times == 1:
                models.load_button.click()

    play(qapp, home, scenario, models=gone)
    log = (home / "logs" / "workbench.log").read_text(encoding="utf-8")
    assert "Traceback" not in log
    for name in gone:
        assert sum(name in line for line in log.splitlines()) == 2  # once for each loading


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["policy", "reward"])
def test_what_is_there_is_loaded_at_the_start_though_the_other_half_is_gone(
    qapp: QApplication, home: Path, missing: str
) -> None:
    none = str(home / "moved away")
    bundled = {"policy": str(BUNDLED_POLICY), "reward": str(BUNDLED_REWARD)}

    async def scenario(workbench: Workbench) -> None:
        window, models = workbench.window, workbench.window.models
        await until(lambda: window.state is State.IDLE)
        assert models.failure.isVisible()
        assert models.failure.sentence.text() == f"There is no folder {none}; check its name."
        there = {"policy": models.policy_is_loaded(), "reward": models.reward_is_loaded()}
        assert there == {"policy": missing != "policy", "reward": missing != "reward"}
        fields = {"policy": models.policy, "reward": models.reward.fields[0]}
        assert fields[missing].combo.property("state") == "invalid"
        for name, field in fields.items():
            assert field.facts.isVisible() is (name != missing)
        assert (window.chip.text(), window.actions_["start"].text()) == (
            "Not loaded", "Load and start")
        assert not models._policy_memory.isVisible()
        assert not models._reward_memory.isVisible()
        fields[missing].set_source(bundled[missing])
        models.load_button.click()
        await until(lambda: window.state is State.READY)
        assert models.is_loaded()
        assert not models.failure.isVisible()

    play(qapp, home, scenario, models=tuple((bundled | {missing: none}).values()))


@pytest.mark.slow
def test_a_click_on_start_before_anything_is_loaded_starts_when_ready(
    qapp: QApplication, home: Path
) -> None:
    async def scenario(workbench: Workbench) -> None:
        window = workbench.window
        window.hyperparameters.form.set_values(SMALL | {"num_cycles": 1}, "test")
        assert window.state is State.LOADING
        assert window.actions_["start"].isEnabled()
        window.actions_["start"].trigger()
        await until(lambda: window.state is State.FINISHED)
        assert workbench.store.run(1).cycles == 1

    play(qapp, home, scenario)


def test_more_processes_than_cores_are_told_with_the_cores(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    ready(opened)
    form = opened.window.hyperparameters.form
    form.set_values({"processes": 64}, "test")
    assert opened.window.trains.sentence.endswith(", in 64 processes on 2 cores")
    form.set_values({"processes": 2}, "test")
    assert opened.window.trains.sentence.endswith(", in 2 processes")
