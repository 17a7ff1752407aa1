"""Loading is asked for, watched, cancelled; a failure is said in place."""

from pathlib import Path

import pytest
from helpers.window import facts
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QFileDialog, QToolButton
from pytestqt.qtbot import QtBot
from superqt import QElidingLabel

from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD
from workbench.gui.models.dock import ModelsDock
from workbench.gui.models.source_field import BUNDLED, count
from workbench.known_models import SMOLLM2
from workbench.ppo.declaration import PPO
from workbench.training.commands import CancelLoading, Command, LoadModels
from workbench.training.events import LoadingFailed, LoadingProgress, ModelsLoaded, State
from workbench.training.reward_parts import RewardPart


@pytest.fixture
def sent() -> list[Command]:
    return []


@pytest.fixture
def dock(qtbot: QtBot, sent: list[Command]) -> ModelsDock:
    dock = ModelsDock()
    qtbot.addWidget(dock)
    dock.command.connect(sent.append)
    dock.resize(300, 500)
    dock.show()
    return dock


@pytest.mark.parametrize(("number", "text"), [
    (999, "999"), (1_412_096, "1.41 M"), (82_000, "82 k"), (7_241_732_096, "7.24 B")])
def test_large_numbers_as_people_say_them(number: int, text: str) -> None:
    assert count(number) == text


def test_bundled_models_are_the_first_choice(dock: ModelsDock, sent: list[Command]) -> None:
    dock.load_button.click()
    assert sent == [LoadModels(str(BUNDLED_POLICY), str(BUNDLED_REWARD))]
    assert dock.policy.combo.currentText() == BUNDLED


def test_loading_can_be_watched_and_cancelled(dock: ModelsDock, sent: list[Command]) -> None:
    dock.set_state(State.LOADING)
    dock.progress(LoadingProgress("Reading the policy", 0.4))
    assert dock._bar.isVisible()
    assert dock._bar.value() == 400
    assert dock._progress_text.text() == "Reading the policy"
    assert not dock.load_button.isEnabled()
    dock.cancel_button.click()
    assert sent == [CancelLoading()]
    assert (dock._progress_text.text(), dock.cancel_button.isEnabled()) == ("Cancelling…", False)
    dock.progress(LoadingProgress("Reading the reward", 0.6))
    assert dock._progress_text.text() == "Cancelling…"
    dock.set_state(State.READY)
    dock.set_state(State.LOADING)
    assert dock._progress_text.text().startswith("Getting ready to load models.")
    assert dock.cancel_button.isEnabled()


def test_facts_and_recent_models(dock: ModelsDock, qtbot: QtBot) -> None:
    dock.policy.set_source("/models/policy")
    dock.loaded(ModelsLoaded(facts("policy"), facts("reward"), 1.2))
    assert dock.policy.facts.text() == "1.41 M parameters, float32 on CPU"
    assert dock.policy.facts.toolTip() == (
        "1.41 M parameters, float32 on CPU\n"
        "GPT2LMHeadModel, 2,048 tokens (PreTrainedTokenizerFast)\nLoaded from /models/policy")
    assert dock.policy.recent() == ["/models/policy"]
    assert dock.policy.source() == "/models/policy"
    other = ModelsDock()
    qtbot.addWidget(other)
    other.restore_state(dock.save_state())
    assert other.save_state() == dock.save_state()


def test_recent_models_are_few_and_latest_first(dock: ModelsDock) -> None:
    for i in range(20):
        dock.reward.remember(f"/models/{i}")
    dock.reward.remember("/models/15")
    assert dock.reward.recent()[:2] == ["/models/15", "/models/19"]
    assert len(dock.reward.recent()) == 8


def test_chat_template_only_where_there_is_one(dock: ModelsDock, sent: list[Command]) -> None:
    assert not dock.chat.isVisible()
    dock.loaded(ModelsLoaded(facts("policy", has_chat_template=True), facts("reward"), 1.0))
    dock.chat.click()
    dock.load()
    assert sent[-1].use_chat_template is True  # type: ignore[union-attr]
    dock.loaded(ModelsLoaded(facts("policy"), facts("reward"), 1.0))
    dock.load()
    assert sent[-1].use_chat_template is False  # type: ignore[union-attr]


def test_failure_is_said_in_place_and_can_be_copied(dock: ModelsDock) -> None:
    dock.failed(LoadingFailed("There is no folder /nowhere.", "policy", "Traceback"))
    assert dock.failure.isVisible()
    dock.failure.copy_button.click()
    assert QGuiApplication.clipboard().text() == "There is no folder /nowhere.\n\nTraceback"
    dock.set_state(State.LOADING)  # an export loads too
    dock.set_state(State.READY)
    assert dock.failure.isVisible()
    dock.load()
    assert not dock.failure.isVisible()


def test_which_output_is_the_score(dock: ModelsDock, sent: list[Command]) -> None:
    dock.failed(LoadingFailed("It has two outputs.", "reward", labels=("bad", "good")))
    assert dock.failure.chooser.isVisible()
    dock.failure.labels.setCurrentIndex(1)
    dock.failure.findChild(object, "use_label").click()
    assert sent == [LoadModels(
        str(BUNDLED_POLICY), (RewardPart(str(BUNDLED_REWARD), label=1),))]


def load(dock: ModelsDock, **policy: object) -> None:
    """Let what is named be loaded."""
    wanted = dock.wanted()
    dock.set_state(State.LOADING)
    dock.loaded(ModelsLoaded(
        facts("policy", source=wanted.policy, **policy),
        facts("reward", source=wanted.parts[0].source), 1.0, wanted))
    dock.set_state(State.READY)


@pytest.mark.parametrize("width", [256, 296, 400])
def test_nothing_moves_and_nothing_is_cut_as_models_come_and_go(
    dock: ModelsDock, qtbot: QtBot, width: int
) -> None:
    def place() -> int:
        QApplication.processEvents()
        return dock.reward.mapTo(dock, QPoint()).y()

    def whole() -> None:
        """Every line that shows has room for its words."""
        QApplication.processEvents()
        for line in dock.findChildren(QElidingLabel):
            if line.isVisible():
                assert line.width() >= line.fontMetrics().horizontalAdvance(line.text())

    dock.resize(width, 330)
    dock.set_state(State.LOADING)
    before = place()
    load(dock)
    assert dock.policy.facts.isVisible()
    assert place() == before
    choose(dock, SMOLLM2.title)
    assert dock._policy_memory.text.text() == "In memory: bundled policy"
    assert dock.policy._unloaded.isVisible()
    assert place() == before
    whole()
    load(dock, has_chat_template=True, parameters=135_000_000)
    dock.rate.compare(dock.policy_facts, PPO, {"learning_rate": 2.5e-4, "lora_rank": 0})
    assert dock.rate.isVisible()
    assert not dock.policy._unloaded.isVisible()
    assert place() == before
    whole()
    dock.reward.set_source("org/other")
    assert dock.reward._unloaded.isVisible()
    assert place() == before
    whole()


def test_a_missing_package_shows_its_cure_first(dock: ModelsDock) -> None:
    load(dock)
    choose(dock, SMOLLM2.title)
    said = "There is no folder org/name, and the hub cannot be reached."
    dock.failed(LoadingFailed(said, "policy", "details", package=SMOLLM2.package,
                              command=dock.wanted()))
    QApplication.processEvents()
    failure = dock.failure
    assert failure.sentence.text() == "It is not on this machine yet."
    assert said in failure.sentence.toolTip()
    assert failure.install_button.geometry().bottom() < failure.sentence.geometry().top()
    assert failure.height() <= 3 * failure.install_button.height()
    assert not failure.copy_button.isVisible()


def test_cancelling_is_no_failure(dock: ModelsDock) -> None:
    dock.failed(LoadingFailed("Cancelled.", cancelled=True))
    assert not dock.failure.isVisible()


def test_nothing_is_loaded_while_a_run_is_alive(dock: ModelsDock) -> None:
    for state in State:
        dock.set_state(state)
        free = state in (State.IDLE, State.READY, State.FINISHED, State.FAILED)
        assert dock.load_button.isEnabled() is free, state


def test_a_folder_that_was_typed_is_loaded(
    dock: ModelsDock, sent: list[Command], tmp_path: Path
) -> None:
    dock.policy.combo.setEditText(f" {tmp_path} ")
    dock.load()
    assert sent[0].policy == str(tmp_path)  # type: ignore[union-attr]


def choose(dock: ModelsDock, title: str) -> None:
    """Choose from the policy's list as a click does."""
    dock.policy.combo.setCurrentIndex(dock.policy.combo.findText(title))


def test_a_known_policy_is_one_choice_with_its_chat_template(
    dock: ModelsDock, sent: list[Command], qtbot: QtBot
) -> None:
    choose(dock, SMOLLM2.title)
    assert dock.chat.isVisible()
    dock.load()
    assert sent[-1] == LoadModels(SMOLLM2.source(), str(BUNDLED_REWARD), use_chat_template=True)
    dock.loaded(ModelsLoaded(
        facts("policy", source=SMOLLM2.source(), has_chat_template=True), facts("reward"), 1.0))
    assert dock.policy.recent() == []
    assert dock.policy.combo.currentText() == SMOLLM2.title
    tip = dock.policy.combo.itemData(1, Qt.ItemDataRole.ToolTipRole)
    assert "135 million parameters" in tip
    # At the next start it is loaded at once, as it was.
    other = ModelsDock()
    qtbot.addWidget(other)
    other.command.connect(sent.append)
    other.restore_state(dock.save_state())
    other.load()
    assert sent[-1] == sent[-2]
    dock.load_bundled()
    assert sent[-1] == LoadModels(str(BUNDLED_POLICY), str(BUNDLED_REWARD))
    choose(dock, SMOLLM2.title)
    choose(dock, BUNDLED)
    assert not dock.chat.isVisible()


def test_a_policy_is_browsed_for_as_folder_or_file(dock: ModelsDock, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    button = dock.findChild(QToolButton, "browse_policy")
    folder, one_file = button.menu().actions()
    one_file.trigger()
    dialog = dock.findChild(QFileDialog)
    assert dialog.nameFilters()[0] == "GGUF file (*.gguf)"
    dialog.filesSelected.emit([str(file)])
    assert dock.policy.source() == str(file)
    dialog.close()
    folder.trigger()
    assert dock.findChildren(QFileDialog)[-1].fileMode() is QFileDialog.FileMode.Directory


def test_the_bar_moves_until_there_is_progress_to_tell(dock: ModelsDock) -> None:
    dock.set_state(State.LOADING)
    assert (dock._bar.minimum(), dock._bar.maximum()) == (0, 0)
    assert "may take a minute" in dock._progress_text.text()
    dock.progress(LoadingProgress("Reading the policy", 0.4))
    assert dock._bar.value() / dock._bar.maximum() == 0.4
    dock.set_state(State.LOADING)
    assert dock._bar.maximum() == 1000
    dock.set_state(State.READY)
    dock.set_state(State.LOADING)
    assert dock._bar.maximum() == 0


def test_bundled_models_are_offered_only_where_they_are_not_loaded(dock: ModelsDock) -> None:
    assert dock.bundled_button.isEnabled()
    command = dock.wanted()
    dock.set_state(State.LOADING)
    dock.loaded(ModelsLoaded(facts("policy", source=str(BUNDLED_POLICY)),
                             facts("reward", source=str(BUNDLED_REWARD)), 1.0, command))
    dock.set_state(State.READY)
    assert not dock.bundled_button.isEnabled()
    assert "are loaded" in dock.bundled_button.toolTip()
    dock.policy.set_source("/another/policy")
    assert dock.bundled_button.isEnabled()


def test_the_notes_on_a_model_are_in_its_tooltip_in_full(dock: ModelsDock) -> None:
    note = "What the policy's generation_config.json says of top_k is not used."
    load(dock, notes=(note,))
    assert dock.policy.notes.isVisible()
    assert note in dock.policy.notes.toolTip()
    QApplication.processEvents()
    notes = dock.policy.notes
    assert notes.height() >= notes.heightForWidth(notes.width())
