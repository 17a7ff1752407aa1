"""Every view and dialog of the window, opened over runs that were really trained.

A scene opens something; :meth:`Stage.clear` closes it again. States that a run would have to be
caught in, such as running out of memory, are told to the window as the session would tell them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QWidget
from waiting import until

from workbench.assets import BUNDLED_POLICY, BUNDLED_REWARD
from workbench.ppo.declaration import PPO
from workbench.ppo.hyperparameters import Hyperparameters
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
        self.window.hyperparameters.findChild(object, "section_History").setChecked(False)
        self.window.metrics._pointing.clear()
        self.window.metrics.choose_plots(PPO.default_plots)
        self.window.metrics.controls.x_axis["cycles"].setChecked(True)
        self.window.prompts.filter.clear()
        self.window.models.policy.set_source(str(BUNDLED_POLICY))
        self.window.models.reward.set_source(str(BUNDLED_REWARD))
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
