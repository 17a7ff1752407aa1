"""Loading the models, and asking before a Python file is run that scores completions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from workbench.gui.controllers.comparing import Comparing
from workbench.gui.controllers.readiness import Readiness
from workbench.gui.controllers.resuming import Resuming
from workbench.gui.controllers.reward_making import RewardMaking
from workbench.gui.controllers.run_control import RunControl
from workbench.gui.controllers.run_display import RunDisplay
from workbench.gui.models.consent import ask_to_trust
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

if TYPE_CHECKING:
    from workbench.gui.main_window import MainWindow
    from workbench.store.store import Store

log = logging.getLogger(__name__)


class Loading(QObject):
    """Sends what Models asks for, once what it would run is agreed to."""

    def __init__(self, window: MainWindow, store: Store, display: RunDisplay, resuming: Resuming,
                 run_control: RunControl, comparing: Comparing, reward_making: RewardMaking,
                 readiness: Readiness,
                 send: Callable[[do.Command], None]) -> None:
        super().__init__(window)
        self._window, self._store, self._display, self._send = window, store, display, send
        self._resuming, self._run_control = resuming, run_control
        self._comparing, self._reward_making = comparing, reward_making
        self._readiness = readiness
        self.told = State.IDLE
        """Where the session stood when it last told."""
        window.models.command.connect(self._models_command)
        window.models.reward.chosen.connect(self._reward_chosen)

    def _models_command(self, command: do.Command) -> None:
        if isinstance(command, do.LoadModels) and self._ask_first(
            command, then=lambda: self._models_command(command), declined=self._not_loaded
        ):
            return
        if isinstance(command, do.LoadModels) and self._display.watched is not None:
            run = self._store.run(self._display.watched)
            self._display.leave()
            self._window.toast.show_message(
                "info", f"{run.name if run else 'The run'} goes on and is not watched any more; "
                "double-click it in Runs to watch it again.")
        self._resuming.sent(command)
        self._send(command)

    def failed(self, event: ev.LoadingFailed) -> None:
        """Say why models were not loaded, or ask what is a question of it."""
        window = self._window
        window.show_starting(False)
        self._run_control.give_up_waiting()
        self._comparing.loading_failed()
        self._reward_making.refused()
        if event.untrusted:
            ask_to_trust(window, event.untrusted, partial(self._run_file, event), partial(
                self.failed, replace(event, untrusted=None, details="")))
        elif not event.cancelled:
            window.models.failed(event)
            if event.unexpected:
                log.error(in_full(event))
            # Which output is the score is a question.
            window.toast.keep("info" if event.labels else "error", event.sentence)
            window.reveal("models")

    def _reward_chosen(self) -> None:
        """Ask about a Python file as soon as it is chosen, with time to read it."""
        self._ask_first(self._window.models.wanted(), then=lambda: None, declined=lambda: None)

    def _ask_first(self, command: do.LoadModels, *, then: Callable[[], object],
                   declined: Callable[[], object]) -> bool:
        """Ask before a Python file is run, or a server asked, that the person has not agreed to;
        return whether."""
        if not any(part.is_file or part.is_url for part in command.parts):
            return False
        from workbench.models.sources import LoadError
        from workbench.training.consent import find_untrusted

        try:
            file = find_untrusted(command.parts, self._store.is_trusted)
        except LoadError:
            return False  # said when it is loaded
        if file is None:
            return False

        def agreed() -> None:
            self._store.trust(file.sha256, file.path).result()
            then()

        def refused() -> None:
            said = (f"{file.path} was not asked." if isinstance(file, ev.UntrustedServer)
                    else f"{Path(file.path).name} was not run.")
            self._window.toast.keep("warning", said)
            declined()
        ask_to_trust(self._window, file, agreed, refused)
        return True

    def _not_loaded(self) -> None:
        """Go back to where things stood before loading was asked for."""
        self._run_control.give_up_waiting()
        self._window.show_state(self.told)
        self._readiness.update()

    def _run_file(self, event: ev.LoadingFailed) -> None:
        """Remember that a Python file may be run, and do again what needed it."""
        if event.untrusted and event.again:
            self._store.trust(event.untrusted.sha256, event.untrusted.path).result()
            self._models_command(event.again)


def in_full(failed: ev.LoadingFailed | ev.RunFailed) -> str:
    """Return what the log keeps: the traceback of what nobody foresaw, else the sentence alone."""
    return f"{failed.sentence}\n{failed.details}" if failed.unexpected else failed.sentence
