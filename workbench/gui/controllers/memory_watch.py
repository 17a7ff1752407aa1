"""When the memory estimate is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from workbench.settings import HyperparameterError
from workbench.training.commands import Command, EstimateMemory, PromptItem
from workbench.training.names import reward_name, source_name
from workbench.training.states import WHEN

if TYPE_CHECKING:
    from workbench.gui.main_window import MainWindow

_ASK_MS = 300  # after the last edit


class MemoryWatch(QObject):
    """Asks for an estimate a moment after settings, prompts or pairs have changed."""

    def __init__(self, window: MainWindow, send: Callable[[Command], None]) -> None:
        super().__init__(window)
        self._window, self._send = window, send
        self._loaded = False
        self._timer = QTimer(self, singleShot=True, interval=_ASK_MS)
        self._timer.timeout.connect(self._ask)
        window.hyperparameters.form.changed.connect(self._changed)
        window.prompts.changed.connect(self._changed)
        window.hyperparameters.data_line.changed.connect(self._changed)
        window.models.changed.connect(self._name_models)
        window.hyperparameters.memory.wanted.connect(
            lambda values: window.hyperparameters.form.set_values(values, "settings that fit"))

    def models_loaded(self) -> None:
        """There is something to estimate."""
        self._loaded = True
        self._changed()

    def _name_models(self) -> None:
        models = self._window.models
        loaded = models.loaded_command
        self._window.hyperparameters.memory.set_models(
            "" if loaded is None or models.is_loaded() or not (
                loaded.policy and loaded.parts) else
            f"{source_name(loaded.policy)} and {reward_name(loaded.parts)}")

    def _changed(self) -> None:
        if self._loaded:
            self._timer.start()

    def _ask(self) -> None:
        try:
            settings = self._window.hyperparameters.hyperparameters()
        except HyperparameterError:
            return
        prompts = tuple(PromptItem.of(p) for p in self._window.prompts.prompts()
                        if p.enabled and p.text.strip())
        if prompts and self._window.state in WHEN[EstimateMemory][0]:
            self._send(EstimateMemory(
                settings, prompts, self._window.hyperparameters.data_line.data))
