"""What of a model is not used, and text settings, as the window shows them."""

import pytest
from helpers.window import facts
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from workbench.gui.hyperparameters.dock import HyperparametersDock
from workbench.gui.models.dock import ModelsDock
from workbench.training.commands import LoadModels
from workbench.training.events import ModelsLoaded
from workbench.training.reward_parts import RewardPart

NOTES = ("64 of the 84 token ids that the policy can write have no text in its tokenizer; they are "
         "shown by their number.", "The policy's folder also holds <b>weights</b> that are not "
         "used (v_head.summary.bias and 1 more).")


def test_what_is_not_used_stands_under_the_model(qtbot: QtBot) -> None:
    dock = ModelsDock()
    qtbot.addWidget(dock)
    dock.resize(300, 500)
    dock.show()
    dock.policy.set_source("/models/policy")
    loaded = LoadModels("/models/policy", (RewardPart("/models/reward"),))
    dock.loaded(ModelsLoaded(facts("policy", notes=NOTES), facts("reward"), 1.0, loaded))
    assert dock.policy.notes.isVisible()
    assert dock.policy.notes.text() == "\n".join(NOTES)
    assert dock.policy.notes.textFormat() is Qt.TextFormat.PlainText
    assert not dock.reward.fields[0].notes.isVisible()
    dock.policy.set_source("/models/another")
    assert not dock.policy.notes.isVisible()


@pytest.fixture
def form(qtbot: QtBot) -> HyperparametersDock:
    dock = HyperparametersDock()
    qtbot.addWidget(dock)
    dock.resize(320, 600)
    dock.show()
    return dock


def test_stop_strings_are_typed_checked_and_reset(form: HyperparametersDock, qtbot: QtBot) -> None:
    row = form.form.rows["stop_strings"]
    assert row.field.placeholderText() == "none"
    row.field.setFocus()
    qtbot.keyClicks(row.field, "\\nQ:|\\d")
    assert "\\d is not known" in row.problem.text()
    for _ in range(3):
        qtbot.keyClick(row.field, Qt.Key.Key_Backspace)
    assert not row.problem.text()
    assert form.form.values()["stop_strings"] == "\\nQ:"
    row.reset.click()
    assert form.form.values()["stop_strings"] == ""
