"""Where a session stands, and how its parts say so."""

from __future__ import annotations

import logging
from collections.abc import Callable

from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

log = logging.getLogger(__name__)


class SessionState:
    """The state of a session, and the events that every part of it tells."""

    def __init__(self, emit: Callable[[ev.Event], None]) -> None:
        self.emit = emit
        self.state = State.IDLE
        self.closing = False
        """Whether the session is to end."""

    def enter(
        self, state: State, note: str = "", *, held: bool = False, within: str = ""
    ) -> None:
        """Be in ``state`` from now on; the rest is as in :class:`StateChanged`."""
        self.state = state
        log.info("%s%s", state, f": {note}" if note else "")
        self.emit(ev.StateChanged(state, note, held, within))

    def refuse(
        self, command: do.Command, sentence: str, problems: dict[str, str] | None = None
    ) -> None:
        """Say why a command is not carried out."""
        log.info("%s refused: %s", type(command).__name__, sentence)
        self.emit(ev.CommandRefused(
            type(command).__name__, sentence, problems or {}, id=getattr(command, "id", 0)))
