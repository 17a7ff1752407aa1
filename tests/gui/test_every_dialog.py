"""Every dialog there is: what it is called, that its controls can be read out, that it fits."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
from helpers.window import Opened, bare_controls, facts, fill, unexplained
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from workbench.assets import EXAMPLE_REWARDS
from workbench.gui.dialogs import (
    ask_about_closing,
    ask_about_leaving,
    ask_for_cycles,
    offer_resume,
)
from workbench.gui.errors import ErrorDialog
from workbench.gui.models.consent import ask_to_trust
from workbench.gui.runs.branch_dialog import BranchDialog
from workbench.gui.runs.checkpoints import CheckpointsView
from workbench.gui.widgets.number_field import NumberField
from workbench.health import Finding
from workbench.models.phases import Phase
from workbench.records import Pair, PairData
from workbench.store.home import ENVIRONMENT_VARIABLE
from workbench.store.records import Series
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

pytestmark = pytest.mark.slow
MIB = 2**20


def prepare(opened: Opened, store: Store) -> None:
    """Show a finished run, of which another was forked, at the smallest size."""
    first, second = fill(store), fill(store, name="Another")
    store.checkpoints.write(first, 1, [("weights", np.ones(9))], {})
    opened.window.runs.refresh()
    opened.controller.handle([
        ev.ModelsLoaded(facts("policy"), facts("reward"), 1.0), ev.StateChanged(State.READY)])
    opened.controller.show_run(first)
    opened.window.runs.model.set_ticked([second])
    opened.window.resize(640, 360)
    opened.window.show()
    QApplication.processEvents()


def close_dialogs() -> None:
    for widget in QApplication.topLevelWidgets():
        if isinstance(widget, QDialog):
            widget.close()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def window(opened: Opened, store: Store) -> Iterator[Opened]:
    """A window of the test's own, for what a dialog does."""
    prepare(opened, store)
    yield opened
    close_dialogs()


@pytest.fixture(scope="module")
def shared_window(qapp: QApplication, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENVIRONMENT_VARIABLE, str(home))
        store = Store(home)
        opened = Opened(store)
        prepare(opened, store)
        yield opened
        opened.close()
        store.close()


@pytest.fixture
def shared(shared_window: Opened) -> Iterator[Opened]:
    """The same window for every test that opens a dialog and leaves it."""
    shared_window.sent.clear()
    yield shared_window
    close_dialogs()


def action(name: str) -> Callable[[Opened], object]:
    return lambda opened: opened.window.actions_[name].trigger()


def tell(*events: ev.Event) -> Callable[[Opened], object]:
    return lambda opened: opened.controller.handle(list(events))


def memory(opened: Opened) -> None:
    parts = {"Policy": 5 * MIB, "KV cache": 9 * MIB, "Activations": 20 * MIB}
    opened.controller.handle([ev.MemoryEstimated(
        dict.fromkeys(Phase, parts), 8 * MIB, "cpu", "It may not fit.",
        {"micro_batch_tokens": 256})])
    opened.window.hyperparameters.memory.click()


def unhealthy(opened: Opened) -> None:
    opened.controller.handle([ev.HealthChecked(
        opened.controller.shown or 0, 3, (Finding("kl", "serious", "KL is 90 nats."),))])
    opened.window.actions_["health"].trigger()


def compare_algorithms(opened: Opened) -> None:
    opened.window.models.is_loaded = lambda: True
    opened.window.actions_["compare_algorithms"].trigger()


def delete_checkpoint(opened: Opened) -> None:
    opened.window.actions_["checkpoints"].trigger()
    listed = opened.window.findChild(CheckpointsView, "checkpoints")
    listed.table.selectRow(0)
    listed.delete_button.click()


def export_figure(opened: Opened) -> None:
    opened.window.metrics.show_run(1, {"objective/kl": Series([1, 2], [0.1, 0.2])}, [])
    opened.window.metrics.ask_export()


def judge_delete(opened: Opened) -> None:
    opened.window.judge.sets.choose("Mine")
    opened.window.judge.menus._ask_delete()


def judge_ask(opened: Opened) -> None:
    opened.window.judge.sets.choose("Mine")
    opened.window.judge.asking.choose()


def make_reward(opened: Opened) -> None:
    data = PairData("Mine", tuple(Pair(f"Prompt {i}", " good", " bad") for i in range(9)))
    opened.controller.reward_making._ask("Mine", data, data)


FILE = ev.UntrustedFile(str(EXAMPLE_REWARDS["vader"]), "0f" * 32, "def reward(p, c): ...")


def what_is(opened: Opened) -> None:
    """Ask what the first plot of a run is."""
    metrics = opened.window.metrics
    metrics.show_run(1, {name: Series([1], [0.5]) for name in metrics.plots()}, [])
    metrics.repaint_now()
    next(iter(metrics._grid)).menu.actions()[-1].trigger()


DIALOGS: dict[str, Callable[[Opened], object]] = {
    "command_palette": action("palette"),
    "shortcut_sheet": action("shortcuts"),
    "about": action("about"),
    "compare_algorithms": compare_algorithms,
    "what_is": what_is,
    "notifications": action("notifications"),
    "checkpoints": action("checkpoints"),
    "delete_checkpoint_question": delete_checkpoint,
    "fork_dialog": action("fork_run"),
    "go_back_dialog": action("go_back"),
    "settings_table_dialog": action("compare_settings"),
    "export_policy_dialog": action("export_policy"),
    "figure_dialog": export_figure,
    "health_panel": unhealthy,
    "memory_dialog": memory,
    "delete_run": lambda opened: opened.window.runs.delete_selected(),
    "prompts_delete_question": lambda opened: opened.window.prompts.bar._ask_delete("mine"),
    "prompts_name_dialog": lambda opened: opened.window.prompts.bar._ask_name(),
    "run_file_question": tell(ev.LoadingFailed(
        "It has not been run.", "reward", untrusted=FILE, again=do.CancelLoading())),
    "ask_server_question": tell(ev.LoadingFailed(
        "It has not been asked.", "reward", untrusted=ev.UntrustedServer("http://judge/score"),
        again=do.CancelLoading())),
    "error_dialog": tell(ev.RunFailed(1, "Memory ran out.", "details", {"batch_size": 32})),
    "failed_run": lambda opened: offer_resume(
        opened.window, "A gradient was not a number.", "details", 2, "", lambda: None),
    "close_question": lambda opened: ask_about_closing(
        opened.window, stop=lambda: None, keep=lambda: None, tray=True),
    "leave_question": lambda opened: ask_about_leaving(
        opened.window, starting=True, leave=lambda: None, stop=lambda: None),
    "ask_judge_question": lambda opened: ask_to_trust(
        opened.window, ev.UntrustedJudge("http://localhost:1234", 240), lambda: None,
        lambda: None),
    "judge_ask": judge_ask,
    "make_reward": make_reward,
    "feedback_tour": lambda opened: opened.controller.tour.begin(),
    "judge_cycles": lambda opened: opened.window.judge.menus._ask_cycles(),
    "judge_delete": judge_delete,
    "judge_new_set": lambda opened: opened.window.judge.menus._ask_new(),
    "more_cycles": lambda opened: ask_for_cycles(opened.window, "Run 1", 3, lambda _: None),
}


@pytest.mark.parametrize("name", DIALOGS)
def test_dialog(shared: Opened, name: str) -> None:
    DIALOGS[name](shared)
    dialog = shared.window.findChild(QWidget, name)
    assert isinstance(dialog, QDialog)
    assert dialog.isVisible()
    assert dialog.windowTitle()
    assert dialog.accessibleName()
    assert not (bare := bare_controls(dialog)), "\n".join(bare)
    assert not (silent := unexplained(dialog)), "\n".join(silent)
    QApplication.processEvents()
    if not isinstance(dialog, QMessageBox):
        assert dialog.width() <= 640
        assert dialog.height() <= 360
        assert dialog.minimumSizeHint().height() <= 360
    if not isinstance(dialog, ErrorDialog):
        shared.window.grab()


# What Enter presses; where something may be lost it leaves.
ENTER = {
    "shortcut_sheet": "shortcut_sheet_close",
    "about": "about_close",
    "what_is": "what_is_close",
    "checkpoints": "checkpoints_close",
    "delete_checkpoint_question": "delete_checkpoint_question_cancel",
    "fork_dialog": "confirm_branch",
    "go_back_dialog": "confirm_branch",
    "settings_table_dialog": "settings_table_dialog_close",
    "export_policy_dialog": "export_now",
    "memory_dialog": "use_what_fits",
    "delete_run": "delete_run_cancel",
    "prompts_delete_question": "prompts_delete_question_cancel",
    "prompts_name_dialog": "prompts_name_dialog_accept",
    "run_file_question": "run_file_question_cancel",
    "ask_server_question": "ask_server_question_cancel",
    "error_dialog": "error_offer",
    "failed_run": "resume_good",
    "close_question": "close_question_cancel",
    "more_cycles": "more_cycles_accept",
    "ask_judge_question": "ask_judge_question_cancel",
    "judge_cycles": "judge_cycles_add",
    "make_reward": "make_reward_accept",
    "feedback_tour": "feedback_tour_close",
    "judge_delete": "judge_delete_cancel",
    "judge_new_set": "judge_new_set_accept",
    "notifications": "notifications_close",
}


def opened_dialog(window: Opened, name: str) -> QDialog:
    DIALOGS[name](window)
    dialog = window.window.findChild(QDialog, name)
    assert dialog.isVisible()
    return dialog


def asked_of(window: Opened) -> list[do.Command]:
    """Return what was sent, but for the estimate that is asked for by itself."""
    return [c for c in window.sent if not isinstance(c, do.EstimateMemory)]


def pressed_by_enter(qtbot: QtBot, dialog: QDialog) -> list[str]:
    pressed: list[str] = []
    for button in dialog.findChildren(QPushButton):
        button.clicked.connect(partial(lambda name, _=False: pressed.append(name),
                                       button.objectName()))
    qtbot.keyClick(dialog.focusWidget() or dialog, Qt.Key.Key_Return)
    return pressed


@pytest.mark.parametrize("name", ENTER)
def test_enter_presses_what_the_dialog_is_for(
    qtbot: QtBot, window: Opened, name: str
) -> None:
    dialog = opened_dialog(window, name)
    edits = [w.objectName() for w in dialog.findChildren(QLineEdit)
             if w.isVisible() and not w.objectName().startswith("qt_")]
    for place in ("", *edits):
        if place:
            dialog.close()
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            window.window.show_starting(False)  # what the last one asked for was answered
            dialog = opened_dialog(window, name)
            dialog.findChild(QLineEdit, place).setFocus()
        assert pressed_by_enter(qtbot, dialog) == [ENTER[name]], place
        assert not [d for d in QApplication.topLevelWidgets()
                    if isinstance(d, QFileDialog) and d.isVisible()]


@pytest.mark.parametrize("name", DIALOGS)
def test_escape_leaves_every_dialog(qtbot: QtBot, shared: Opened, name: str) -> None:
    dialog = opened_dialog(shared, name)
    shared.sent.clear()
    finished: list[int] = []
    dialog.finished.connect(finished.append)
    qtbot.keyClick(dialog.focusWidget() or dialog, Qt.Key.Key_Escape)
    assert finished
    assert not dialog.isVisible()
    assert not asked_of(shared)


def test_enter_presses_the_button_that_has_the_keyboard(qtbot: QtBot, window: Opened) -> None:
    dialog = opened_dialog(window, "export_policy_dialog")
    cancel = dialog.findChild(QPushButton, "export_policy_dialog_cancel")
    cancel.setFocus()
    qtbot.keyClick(cancel, Qt.Key.Key_Return)
    assert not dialog.isVisible()
    assert not asked_of(window)


def test_enter_in_a_number_ends_the_edit_before_it_forks(qtbot: QtBot, window: Opened) -> None:
    dialog = opened_dialog(window, "fork_dialog")
    assert isinstance(dialog, BranchDialog)
    field = dialog.form.rows["kl_coef"].field
    assert isinstance(field, NumberField)
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, "0.07")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert dialog.isVisible()
    assert dialog.changes()["kl_coef"] == 0.07
    qtbot.keyClicks(field, "9x")
    qtbot.keyClick(field, Qt.Key.Key_Escape)  # takes the edit back; a second one leaves
    assert field.text() == "0.07"
    assert dialog.isVisible()
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert not dialog.isVisible()


def test_no_dialog_is_missing_here() -> None:
    """Every subclass of Dialog, and every message that is asked, stands in the list above."""
    import re
    from pathlib import Path

    import workbench.gui

    text = "\n".join(p.read_text() for p in Path(workbench.gui.__file__).parent.rglob("*.py"))
    # The first argument after the parent names it; the base itself and its parameters do not.
    asked = re.findall(
        r'(?:\bask|\bask_for|\bDialog|super\(\).__init__)\(\s*\w[\w.]*,\s+"(\w+)"', text)
    assert {"checkpoints", "about", "shortcut_sheet"} <= set(asked)
    assert set(asked) <= set(DIALOGS)


def test_a_button_added_to_a_finished_dialog_shows_all_of_its_text(
    qtbot: QtBot, window: Opened
) -> None:
    dialog = ErrorDialog("Memory ran out.", "Traceback", window.window)
    dialog.offer("Try again with half the tokens at once", "Go on", lambda: None)
    dialog.open()
    QApplication.processEvents()
    for button in dialog.buttons.buttons():
        assert button.width() >= button.sizeHint().width(), button.text()


class Shown(QObject):
    """Collects the windows without a parent that were shown, if only for a moment."""

    def __init__(self) -> None:
        super().__init__()
        self.strays: list[str] = []

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if (event.type() == QEvent.Type.Show and isinstance(watched, QWidget)
                and watched.isWindow() and watched.parentWidget() is None):
            self.strays.append(f"{type(watched).__name__} {watched.objectName()}")
        return False


@pytest.mark.parametrize("name", DIALOGS)
def test_a_dialog_shows_no_other_window(qapp: QApplication, shared: Opened, name: str) -> None:
    shown = Shown()
    qapp.installEventFilter(shown)
    try:
        DIALOGS[name](shared)
        QApplication.processEvents()
    finally:
        qapp.removeEventFilter(shown)
    assert not shown.strays
