"""Every view and dialog of the window, opened over runs that were really trained.

A scene opens something; :meth:`Stage.clear` closes it again. States that a run would have to be
caught in, such as running out of memory, are told to the window as the session would tell them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from make_screenshots import until
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractSpinBox, QApplication, QWidget

from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD, EXAMPLE_REWARDS
from workbench.gui.metrics.controls import DEFAULT_PLOTS, SETS
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

Scene = Callable[["Stage"], Awaitable[None]]
SCENES: dict[str, Scene] = {}
PHASE = "Phase 1: writing completions"


class Stage:
    """The window, its runs, and what scenes have in common."""

    def __init__(self, workbench) -> None:  # type: ignore[no-untyped-def]
        self.workbench, self.window = workbench, workbench.window
        self.actions = workbench.window.actions_

    async def prepare(self) -> None:
        """Wait for the models, and find the runs."""
        await until(lambda: self.window.state is State.READY)
        self.runs = sorted(run.id for run in self.window.runs.model.runs)
        self.names = {run.id: run.name for run in self.window.runs.model.runs}
        await self.clear()

    def show(self, run: int, dock: str = "") -> None:
        """Put a run on display and select it; bring a dock to the front."""
        self.workbench.controller.show_run(run)
        if dock:
            self.window.reveal(dock)
        self.window.runs._select(run)

    def tell(self, *events: ev.Event) -> None:
        """Let the window know, as the session would."""
        self.workbench.controller.handle(list(events))

    async def clear(self) -> None:
        """Close what is open and go back to a finished run."""
        for widget in QApplication.topLevelWidgets():
            if widget is not self.window and widget.isVisible():
                widget.close()
        self.window.toast.hide()
        self.tell(ev.StateChanged(State.READY))
        self.window.hyperparameters.form.set_values(Hyperparameters().model_dump(), "scene")
        self.window.hyperparameters.form.undo_stack.clear()
        self.window.runs.model.set_ticked(())
        self.window.models._failure_box.hide()
        self.window.hyperparameters.findChild(object, "section_History").setChecked(False)
        self.window.metrics._clear()
        self.window.metrics.choose_plots(DEFAULT_PLOTS)
        self.window.metrics.controls.along["cycles"].setChecked(True)
        self.window.prompts.filter.clear()
        self.window.models.policy.set_source(str(BUNDLED_POLICY))
        self.window.models.reward.set_source(str(BUNDLED_REWARD))
        self.window.models._suggest_chat()
        self.window.dock_layout.reset()
        self.show(self.runs[0])
        await asyncio.sleep(0.3)


def press(widget: QWidget, key: Qt.Key, text: str = "") -> None:
    """Press a key."""
    none = Qt.KeyboardModifier.NoModifier
    for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
        QApplication.sendEvent(widget, QKeyEvent(kind, key, none, text))


def scene(play: Scene) -> Scene:
    """Add a scene under the name of its function."""
    SCENES[play.__name__.replace("_", "-")] = play
    return play


# -- the window

@scene
async def window_empty(stage: Stage) -> None:
    stage.workbench.controller.show_run(None)


@scene
async def window_finished(stage: Stage) -> None:
    stage.tell(ev.StateChanged(State.FINISHED))


@scene
async def window_loading(stage: Stage) -> None:
    stage.tell(ev.StateChanged(State.LOADING, "Loading the reward model"),
               ev.LoadingProgress("Reading the weights of the reward model…", 0.7))
    stage.window.reveal("models")


@scene
async def window_running(stage: Stage) -> None:
    stage.tell(ev.StateChanged(State.RUNNING))
    stage.window.status.phase.setText(PHASE)
    stage.window.status.bar.setValue(600)
    stage.window.status.bar.show()


@scene
async def window_paused_edited(stage: Stage) -> None:
    stage.window.hyperparameters.run_started(Hyperparameters())
    stage.tell(ev.StateChanged(State.PAUSED, "After cycle 6"))
    stage.window.hyperparameters.form.set_values({"kl_coef": 0.1, "temperature": 0.8}, "scene")
    stage.window.reveal("hyperparameters")


@scene
async def window_stopping(stage: Stage) -> None:
    stage.tell(ev.StateChanged(
        State.STOPPING, "Waiting for the checkpoint of cycle 6 to be written"))


@scene
async def runs_tree(stage: Stage) -> None:
    stage.show(stage.runs[1], "runs")
    stage.window.runs.model.set_ticked([stage.runs[0], stage.runs[3]])


@scene
async def range_of_cycles(stage: Stage) -> None:
    stage.window.runs.model.set_ticked([stage.runs[1]])
    await asyncio.sleep(0.3)
    stage.window.metrics._selection.set(2, 5)
    stage.window.metrics._selected()


@scene
async def six_plots(stage: Stage) -> None:
    stage.window.metrics.choose_plots([
        "objective/scores", "policy/clipfrac_avg", "val/explained_variance",
        "val/advantage_std", "policy/entropy_avg", "objective/kl"])


@scene
async def trust_region(stage: Stage) -> None:
    stage.window.metrics.choose_plots(SETS["Trust region"][0])
    stage.window.metrics.controls.along["steps"].setChecked(True)


@scene
async def value_and_advantages(stage: Stage) -> None:
    stage.window.metrics.choose_plots(SETS["Value head and advantages"][0])
    stage.window.metrics.controls.along["time"].setChecked(True)


@scene
async def creativity_crosshair(stage: Stage) -> None:
    stage.window.metrics.choose_plots(SETS["Creativity"][0])
    stage.window.metrics.setFocus()
    press(stage.window.metrics, Qt.Key.Key_Left)
    press(stage.window.metrics, Qt.Key.Key_Left)


@scene
async def reward_parts(stage: Stage) -> None:
    from workbench.training.reward_parts import RewardPart

    stage.show(stage.runs[2])
    stage.window.models.reward.set_parts((
        RewardPart(str(EXAMPLE_REWARDS["length_and_repetition"]), 0.5),
        RewardPart("org/toxicity-model", -2.0)))
    stage.window.reveal("models")


@scene
async def models_smollm2(stage: Stage) -> None:
    policy = stage.window.models.policy
    stage.window.reveal("models")
    policy.combo.setCurrentIndex(1)
    policy.chosen.emit()
    policy.combo.showPopup()


@scene
async def models_failed(stage: Stage) -> None:
    stage.tell(ev.LoadingFailed(
        "org/some-model could not be loaded: it is not on this machine and the hub could not be "
        "reached. Check the name and the connection.", "policy", "details"))
    stage.window.reveal("models")


@scene
async def try_policies(stage: Stage) -> None:
    trying = stage.window.trying
    stage.actions["try"].trigger()
    trying.prompt.setPlainText("The hotel was\n---\nThe soup was")
    if not trying._attempts:
        await until(lambda: trying.button.isEnabled())
        trying.try_or_stop()
        await until(lambda: not trying.busy)


@scene
async def completions_detail(stage: Stage) -> None:
    stage.window.reveal("completions")
    stage.window.completions._show_detail(stage.window.completions.list.currentIndex())


@scene
async def tokens(stage: Stage) -> None:
    stage.window.reveal("tokens")


@scene
async def prompts(stage: Stage) -> None:
    stage.window.reveal("prompts")


@scene
async def hyperparameters_history(stage: Stage) -> None:
    stage.show(stage.runs[1], "hyperparameters")
    stage.window.hyperparameters.findChild(object, "section_History").setChecked(True)


@scene
async def hyperparameters_invalid(stage: Stage) -> None:
    stage.window.reveal("hyperparameters")
    field = stage.window.hyperparameters.findChild(QAbstractSpinBox, "kl_coef")
    field.setFocus()
    field.selectAll()
    press(field, Qt.Key.Key_X, "x")


@scene
async def no_prompts(stage: Stage) -> None:
    stage.window.reveal("prompts")
    stage.window.prompts.filter.setText("nothing has these words")


# -- dialogs

@scene
async def command_palette(stage: Stage) -> None:
    stage.actions["palette"].trigger()


@scene
async def shortcuts(stage: Stage) -> None:
    stage.actions["shortcuts"].trigger()


@scene
async def about(stage: Stage) -> None:
    stage.actions["about"].trigger()


@scene
async def checkpoints(stage: Stage) -> None:
    stage.actions["checkpoints"].trigger()


@scene
async def fork(stage: Stage) -> None:
    stage.actions["fork_run"].trigger()


@scene
async def go_back(stage: Stage) -> None:
    stage.actions["go_back"].trigger()


@scene
async def compare_settings(stage: Stage) -> None:
    stage.window.runs.model.set_ticked(stage.runs[1:])
    stage.actions["compare_settings"].trigger()


@scene
async def delete_run(stage: Stage) -> None:
    stage.window.reveal("runs")
    stage.window.runs.delete_selected()


@scene
async def more_cycles(stage: Stage) -> None:
    stage.workbench.controller.resuming.resume(stage.runs[0])


@scene
async def export_policy(stage: Stage) -> None:
    stage.actions["export_policy"].trigger()
    dialog = stage.window.findChild(object, "export_policy_dialog")
    dialog._folder.setText("hotel-reviews")
    dialog.accept()


@scene
async def health(stage: Stage) -> None:
    stage.show(stage.runs[3])
    await asyncio.sleep(0.5)
    stage.actions["health"].trigger()


@scene
async def memory(stage: Stage) -> None:
    await until(lambda: stage.window.hyperparameters.memory.isVisible())
    stage.window.hyperparameters.memory.click()


@scene
async def memory_short(stage: Stage) -> None:
    line = stage.window.hyperparameters.memory
    await until(lambda: line._event is not None)
    phases = line._event.phases
    stage.tell(ev.MemoryEstimated(
        phases, 80 * 2**20, "cpu", "The run may not fit: it needs about 137 MiB and there is "
        "80 MiB. Lower Tokens at once from 1024 to 256.", {"micro_batch_tokens": 256}))
    line.click()


@scene
async def consent(stage: Stage) -> None:
    file = EXAMPLE_REWARDS["vader"]
    stage.tell(ev.LoadingFailed(
        "vader.py is a Python file that has not been run before.", "reward",
        untrusted=ev.UntrustedFile(str(file), "3f" * 32, file.read_text(), True),
        again=do.CancelLoading()))


@scene
async def out_of_memory(stage: Stage) -> None:
    stage.tell(ev.RunFailed(
        stage.runs[0], "Memory ran out in Phase 2, updating the model. The run is kept up to cycle "
        "6. Lower Tokens at once from 1024 to 512, or the batch.", "Traceback…",
        {"micro_batch_tokens": 512}))


@scene
async def failed_run(stage: Stage) -> None:
    from workbench.gui.dialogs import offer_resume

    offer_resume(stage.window, "The gradient of cycle 7 is not a finite number; it was not "
                 "applied. Lower the learning rate or clip scores.", "details", 5,
                 "Learning rate set to 1e-4", lambda: None)


@scene
async def error(stage: Stage) -> None:
    from workbench.gui.errors import UNEXPECTED, ErrorDialog

    dialog = ErrorDialog(UNEXPECTED, "Traceback (most recent call last):\n" + "\n".join(
        f'  File "workbench/gui/part_{i}.py", line {i}, in call' for i in range(12)),
        stage.window)
    dialog.open()
    dialog.findChild(object, "show_details").setChecked(True)


@scene
async def close_question(stage: Stage) -> None:
    stage.tell(ev.StateChanged(State.RUNNING))
    stage.workbench._close_wanted()


@scene
async def toast(stage: Stage) -> None:
    stage.window.toast.show_message(
        "warning", "prompts.jsonl: 61 prompts read; lines 4, 9 and 17 have no text under "
        "“prompt” and were left out.")


@scene
async def toast_offer(stage: Stage) -> None:
    stage.window.toast.show_offer(
        "Run 1 was interrupted after cycle 6 of 16: the process that trained it is gone.",
        "Resume", "Go on with this run", lambda: None)


@scene
async def plots_menu(stage: Stage) -> None:
    button = stage.window.metrics.controls.plots
    menu = button.menu()
    menu.popup(button.mapToGlobal(button.rect().bottomLeft()))
    menu.setActiveAction(menu.actions()[0])


@scene
async def run_menu(stage: Stage) -> None:
    runs = stage.window.runs
    stage.window.reveal("runs")
    runs.make_menu().popup(runs.table.mapToGlobal(runs.table.rect().center()))


@scene
async def tray_menu(stage: Stage) -> None:
    stage.workbench.tray.menu.popup(stage.window.mapToGlobal(stage.window.rect().center()))


@scene
async def name_prompts(stage: Stage) -> None:
    stage.window.reveal("prompts")
    stage.window.prompts.bar._ask_name()
