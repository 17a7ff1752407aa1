"""What views of one token of a completion have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QWidget

from workbench.formatting import count_cycles
from workbench.gui.run_view import StoreView
from workbench.gui.widgets.controls import label, push_button
from workbench.gui.widgets.layouts import hbox
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
    latest_wanted = Signal()
    """The person wants to see a token of the latest cycle, and that from now on."""

    painted = Signal()
    """It is on the screen, so that Tokens, whose token it shows, is to follow the run."""

    def __init__(self, name: str, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(name, store, parent)
        self._place: Place | None = None
        self._state = State.IDLE
        self._stale = False
        self._last = 0
        self.behind = self._make_behind()
        """Says that the run has gone on, and offers the latest cycle."""

    def _make_behind(self) -> QWidget:
        line = QWidget()
        line.setObjectName(f"{self.objectName()}_behind")
        self._gone_on = label("", "muted", wrap=True)
        hbox(line, (self._gone_on, 1), push_button(
            "Show the latest", f"{self.objectName()}_latest",
            "Have Tokens follow the run again, and show a token of its latest cycle",
            self.latest_wanted.emit), spacing=6)
        line.hide()
        return line

    def cycle_finished(self, run_id: int, cycle: int) -> None:
        """Take note how far a run has come."""
        if self._place is not None and run_id == self._place[0]:
            self._last = cycle
            self._say_behind()

    def _say_behind(self) -> None:
        behind = self._place is not None and self._last > self._place[1]
        if behind and self._place is not None:
            self._gone_on.setText(f"This is cycle {self._place[1]:,}; the run has gone on and has "
                                  f"{count_cycles(self._last)}.")
        self.behind.setVisible(behind)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Have Tokens read what came while both were behind other views."""
        super().paintEvent(event)
        self.painted.emit()

    def leave(self) -> None:
        """Show nothing: there is no place any more."""
        raise NotImplementedError

    def show_place(self, run_id: int, cycle: int, position: int, at: int) -> None:
        """Show a place of a completion; more of it may be known than before."""
        self._place = run_id, cycle, position, at
        run = self.store.run(run_id)
        self._last = 0 if run is None else run.cycles
        self._say_behind()
        if self.is_seen():
            self.load_now()
        else:
            self.load_soon()

    def show_run(self, run_id: int | None) -> None:
        """Let go of a place of another run than the one on display."""
        if self._place is not None and self._place[0] != run_id:
            self._place, self._stale = None, False
            self._say_behind()
            self.leave()
