"""Start, Pause, Step, Stop and Checkpoint: what the person asks of the run in hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication

from workbench.formatting import file_size
from workbench.gui.controllers.readiness import Readiness
from workbench.gui.controllers.resuming import Resuming
from workbench.settings import HyperparameterError
from workbench.training import commands as do
from workbench.training.events import State
from workbench.training.states import NO_RUN

if TYPE_CHECKING:
    from workbench.gui.main_window import MainWindow
    from workbench.store.store import Store


class RunControl(QObject):
    """Sends commands for the buttons of the run, each once until it is answered."""

    def __init__(self, window: MainWindow, store: Store, resuming: Resuming,
                 readiness: Readiness, send: Callable[[do.Command], None]) -> None:
        super().__init__(window)
        self._window, self._store, self._resuming, self._send = window, store, resuming, send
        self._readiness = readiness
        self._waiting: Callable[[], None] | None = None
        """The start that waits for models; None: none waits."""
        self._pausing, self._within = False, ""
        self._stopped_at = 0.0
        on = window.actions_.on
        on("start", self.start)
        on("pause", self.pause_or_resume)
        on("step", self.step)
        on("step_into", self.step_into)
        on("stop", self.stop)
        on("checkpoint", self.checkpoint)
        on("apply", self.apply)

    def on_screen(self) -> do.Start | None:
        """Return the start of a run with the settings, the prompts and the data on screen; where
        they are none to start with, say why and return None."""
        window = self._window
        window.hyperparameters.form.commit()
        try:
            settings = window.hyperparameters.hyperparameters()
        except HyperparameterError as error:
            window.reveal("hyperparameters")
            window.toast.show_message("warning", str(error))
            return None
        prompts = self.prompts_on_screen()
        if not prompts:
            return None
        line = window.hyperparameters.data_line
        if line.reading:
            window.toast.show_message(
                "info", "What is learned from is still being read; try again in a moment.")
            return None
        learns_from = window.hyperparameters.algorithm.learns_from
        return do.Start(settings, prompts, data=line.choices.get(learns_from))

    def prompts_on_screen(self) -> tuple[do.PromptItem, ...]:
        """Return the prompts that are switched on; where none is, say so."""
        window = self._window
        prompts = tuple(do.PromptItem.of(p) for p in window.prompts.prompts()
                        if p.enabled and p.text.strip())
        if not prompts:
            window.reveal("prompts")
            window.toast.show_message(
                "info", "No prompt is switched on: add one, or tick one in Prompts.")
        return prompts

    def start(self, *, step: bool = False, into: bool = False,
              command: do.Start | None = None) -> None:
        """Begin a new run with the models, the settings and the prompts on screen, or that of
        ``command``. Models that are not loaded are loaded first, as is a reward file that has
        changed since, and those that are being loaded are waited for."""
        asked, command = command, command or self.on_screen()
        if command is None:
            return
        window = self._window
        self._withhold("start", "step", "step_into")
        models = window.models
        if window.state == State.LOADING or not models.is_loaded() or (
                models.reward.files_changed()):
            self._wait(partial(self.start, step=step, into=into, command=asked))
            if window.state != State.LOADING:
                models.load()
        else:
            window.show_starting(True)
            self._send(replace(command, step=step, into=into))

    def give_up_waiting(self) -> None:
        """The models will not come, or others will: nothing starts."""
        self._wait(None)
        self._grant_again()

    def pause_or_resume(self) -> None:
        """Hold the run after this cycle, or go on."""
        self._withhold("pause")
        if self._window.state == State.PAUSED:
            self._window.show_starting(True)
            self._send(do.Resume())
            self._window.status.cycle_begins()
        elif (stopped := self._readiness.stopped) is not None:
            self._withhold("start", "step", "step_into")
            self._resuming.resume(stopped.id)
        else:
            self._pausing = True
            self._send(do.Pause())

    def step(self) -> None:
        """Run one cycle."""
        if self._window.state == State.PAUSED:
            self._window.show_starting(True)
            self._send(do.StepCycle())
            self._withhold("step")
            self._window.status.cycle_begins()
        elif (stopped := self._readiness.stopped) is not None:
            self._withhold("start", "pause", "step", "step_into")
            self._resuming.resume(stopped.id, step=True)
        else:
            self.start(step=True)

    def step_into(self) -> None:
        """Run the next part of a cycle."""
        if self._window.state in (State.PAUSED, State.RUNNING):
            self._withhold("step_into")
            self._send(do.StepInto())
        elif (stopped := self._readiness.stopped) is not None:
            self._withhold("start", "pause", "step", "step_into")
            self._resuming.resume(stopped.id, into=True)
        else:
            self.start(into=True)

    def stop(self) -> None:
        """End the run; asked again, end it without its checkpoint. Shown at once: the run itself
        needs up to a step to notice."""
        if self._window.state != State.STOPPING:
            self._stopped_at = time.monotonic()
            self._window.show_state(State.STOPPING, "Stopping at the next step")
        elif 1000 * (time.monotonic() - self._stopped_at) < QApplication.doubleClickInterval():
            return  # the second half of a double click
        self._send(do.Stop())

    def checkpoint(self) -> None:
        """Write a checkpoint of the paused run. Pausing has usually done so."""
        live = self._resuming.live
        run = self._store.run(live) if live is not None else None
        there = {c.cycle: c for c in self._store.checkpoints.all(run.id)} if run else {}
        if run and run.cycles in there:
            self._window.toast.show_message(
                "info", f"The checkpoint after cycle {run.cycles} is there already "
                f"({file_size(there[run.cycles].bytes)}).")
        else:
            self._send(do.Checkpoint())

    def apply(self) -> None:
        """Apply the edited settings, the one being typed too."""
        self._window.hyperparameters.apply_changes()

    def kept(self) -> str:
        """Return a sentence on a run that is paused after a whole cycle whose checkpoint is
        written, so that closing loses nothing of it; "" where it would."""
        live = self._resuming.live
        whole = self._window.state == State.PAUSED and not self._within
        run = self._store.run(live) if whole and live is not None else None
        if run is None or run.cycles not in {
                c.cycle for c in self._store.checkpoints.all(run.id)}:
            return ""
        return f"{run.name} is paused after cycle {run.cycles:,}, whose checkpoint is written."

    def state_changed(self, state: State, within: str = "") -> None:
        """The run answered; ``within``: it is paused in a cycle, after this part."""
        self._within = within
        self._pausing = self._pausing and state == State.RUNNING
        waiting = self._waiting
        if state != State.LOADING:
            self._wait(None)
        self._grant_again()
        if waiting is not None:
            if state == State.LOADING:
                self._withhold("start", "step", "step_into")
            elif state in NO_RUN and self._window.models.is_loaded():
                waiting()

    def refused(self, command: str) -> None:
        """The run did not take a command."""
        if command == "Pause":
            self._pausing = False
        if command == "LoadModels":
            self._wait(None)
        self._window.show_starting(False)
        self._readiness.update()
        self._grant_again()

    def _wait(self, asked: Callable[[], None] | None) -> None:
        self._waiting = asked
        self._readiness.waiting = asked is not None
        self._readiness.update()

    def _withhold(self, *names: str) -> None:
        """Take no second half of a double click for another wish, until there is an answer."""
        for name in names:
            self._window.actions_.allow(name, False, "Waiting for the answer.")

    def _grant_again(self) -> None:
        for name in ("start", "step", "step_into", "pause"):
            self._window.actions_.allow(name, not (name == "pause" and self._pausing))
