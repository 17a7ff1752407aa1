"""The memory line, its parts, and trying again with less."""

import pytest
from helpers.window import facts, ready
from PySide6.QtWidgets import QLabel

from workbench.gui.errors import ErrorDialog
from workbench.gui.hyperparameters.memory import MemoryDialog
from workbench.models.phases import Phase
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

GIB = 2**30
PHASES = {
    Phase.SAMPLING: {"Policy": GIB, "Reference": 0, "KV cache": GIB // 2},
    Phase.UPDATING: {"Policy": GIB, "Reference": 0, "Activations": 2 * GIB},
}
FITS = ev.MemoryEstimated(PHASES, 8 * GIB, "cpu")
SHORT = ev.MemoryEstimated(
    PHASES, 2 * GIB, "cpu",
    "The run may not fit: it needs about 3.0 GiB and there is 2.0 GiB. Lower Tokens at once from "
    "1024 to 256.", {"micro_batch_tokens": 256})


@pytest.fixture
def line(opened):
    return opened.window.hyperparameters.memory


def test_estimate_is_shown_in_a_line(opened, line):
    assert line.isHidden()
    opened.controller.handle([FITS])
    assert not line.isHidden()
    assert line.text() == "Memory: about 3.0 GiB of 8.0 GiB free"
    opened.controller.handle([SHORT])
    assert line.text() == "Memory: may not fit"
    assert "Lower Tokens at once" in line.toolTip()
    assert "Lower Tokens at once" in line.accessibleDescription()
    assert opened.window.actions_["start"].isEnabled()  # all the same


def test_the_line_says_of_which_models_it_speaks(opened, line):
    ready(opened)
    opened.controller.handle([FITS])
    opened.window.models.policy.combo.setEditText("org/larger")
    assert line.text() == "Loaded: about 3.0 GiB of 8.0 GiB free"
    assert line.accessibleDescription().startswith(
        "This is for bundled policy and bundled reward, which are loaded; what Models names is "
        "not loaded yet. A run with these settings")
    opened.window.models._policy_memory.button.click()
    assert line.text() == "Memory: about 3.0 GiB of 8.0 GiB free"


def test_parts_are_a_click_away_and_what_fits_can_be_used(opened, line):
    opened.controller.handle([SHORT])
    line.click()
    dialog = opened.window.findChild(MemoryDialog)
    texts = [w.text() for w in dialog.findChildren(QLabel)]
    assert {"Policy", "KV cache", "Activations", "2.0 GiB", "512 MiB", "3.0 GiB"} <= set(texts)
    assert "Reference" not in texts  # there is none
    button = next(b for b in dialog.findChildren(object) if b.objectName() == "use_what_fits")
    button.click()
    assert opened.window.hyperparameters.form.values()["micro_batch_tokens"] == 256
    opened.window.hyperparameters.undo_stack.undo()
    assert opened.window.hyperparameters.form.values()["micro_batch_tokens"] == 0


def test_estimate_is_asked_for_when_something_changes(opened, qtbot):
    window = opened.window

    def asked():
        return [c for c in opened.sent if isinstance(c, do.EstimateMemory)]

    window.hyperparameters.form.set_values({"batch_size": 32}, "test")
    opened.controller.handle([
        ev.ModelsLoaded(facts("policy"), facts("reward"), 1.0), ev.StateChanged(State.READY)])
    qtbot.waitUntil(lambda: len(asked()) == 1)
    assert asked()[0].hyperparameters.batch_size == 32
    assert asked()[0].prompts
    window.hyperparameters.form.set_values({"batch_size": 128}, "test")
    window.hyperparameters.form.set_values({"response_length": 64}, "test")
    qtbot.waitUntil(lambda: len(asked()) == 2)
    settings = asked()[1].hyperparameters
    assert (settings.batch_size, settings.response_length) == (128, 64)


@pytest.mark.parametrize(("changes", "text"), [
    ({"batch_size": 32}, "Try again with half the batch"),
    ({"micro_batch_tokens": 512}, "Try again with half the tokens at once"),
])
def test_out_of_memory_offers_to_go_on_with_less(opened, changes, text):
    opened.controller.handle([ev.RunFailed(7, "Memory ran out.", "details", changes)])
    dialog = opened.window.findChild(ErrorDialog)
    button = next(b for b in dialog.findChildren(object) if b.objectName() == "error_offer")
    assert button.text() == text
    button.click()
    assert opened.sent == [do.ResumeRun(7, None, changes)]


def test_other_failures_offer_nothing(opened):
    opened.controller.handle([ev.RunFailed(7, "A score is not a number.", "details")])
    dialog = opened.window.findChild(ErrorDialog)
    assert not [b for b in dialog.findChildren(object) if b.objectName() == "error_offer"]
    dialog.reject()


def test_where_there_is_little_room_the_numbers_are_told(opened, line):
    ready(opened)
    opened.controller.handle([FITS])
    opened.window.models.policy.combo.setEditText("org/larger")
    whole = line.fontMetrics().horizontalAdvance(line.text())
    assert line.fitting(whole) == "Loaded: about 3.0 GiB of 8.0 GiB free"
    assert line.fitting(whole - 1) == "about 3.0 GiB of 8.0 GiB free"
    assert line.fitting(whole // 2).endswith("…")
