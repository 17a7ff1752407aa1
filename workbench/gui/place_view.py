"""What views of one token of a completion have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from workbench.gui.run_view import StoreView
from workbench.training.events import State

if TYPE_CHECKING:
    from workbench.store.store import Store

Place = tuple[int, int, int, int]
"""Run, cycle, row in its batch, and place in the completion."""


class PlaceView(StoreView):
    """Shows what there is at the token that is chosen in Tokens; :attr:`wanted` carries commands.
    A subclass shows :attr:`_place` in :meth:`load`, and that there is none in :meth:`leave`."""

    wanted = Signal(object)
    message = Signal(str, str)
    """Level and sentence of a message for the person."""

    def __init__(self, name: str, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(name, store, parent)
        self._place: Place | None = None
        self._state = State.IDLE
        self._stale = False

    def leave(self) -> None:
        """Show nothing: there is no place any more."""
        raise NotImplementedError

    def show_place(self, run_id: int, cycle: int, position: int, at: int) -> None:
        """Show a place of a completion; more of it may be known than before."""
        self._place = run_id, cycle, position, at
        if self.is_seen():
            self.load_now()
        else:
            self.load_soon()

    def show_run(self, run_id: int | None) -> None:
        """Let go of a place of another run than the one on display."""
        if self._place is not None and self._place[0] != run_id:
            self._place, self._stale = None, False
            self.leave()
