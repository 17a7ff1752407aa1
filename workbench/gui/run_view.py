"""What views of the run on display have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QWidget

if TYPE_CHECKING:
    from workbench.gui.background import Background
    from workbench.store.store import Store

Picture = TypeVar("Picture")
_RELOAD_MS = 60


def why_no_cycle(
    store: Store, run_id: int, what: str = "No cycle of this run is complete."
) -> str:
    """Say ``what`` is missing of a run that came to its end, and from where Resume goes on: a fork
    has the checkpoint that it began from."""
    there = store.checkpoints.all(run_id)
    return f"{what} Resume goes on after cycle {there[-1].cycle}, its last checkpoint." if (
        there) else f"{what} Resume begins it from the start."


class StoreView(QWidget):
    """Reads the store only while it is on the screen. A subclass reads and shows in
    :meth:`load`."""

    def __init__(self, name: str, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.store = store
        self._stale = True
        # Several cycles may end within a moment; only the last is worth reading.
        self._reload = QTimer(self, singleShot=True, interval=_RELOAD_MS)
        self._reload.timeout.connect(self.load_now)

    def load(self) -> None:
        """Read what is to be shown, and show it."""
        raise NotImplementedError

    def show_run(self, run_id: int | None) -> None:
        """Show a run, or none."""
        raise NotImplementedError

    def is_seen(self) -> bool:
        """Whether any of it is on the screen."""
        return not self.visibleRegion().isEmpty()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Read what has come while the view was behind others."""
        super().paintEvent(event)
        if self._stale:
            self._read_soon()

    def load_soon(self) -> None:
        """Read anew, once the view is on the screen."""
        self._stale = True
        if self.is_seen():
            self._read_soon()

    def _read_soon(self) -> None:
        # Begun anew at each cycle, it would never come to an end where cycles are short.
        if not self._reload.isActive():
            self._reload.start()

    def load_now(self) -> None:
        """Read anew, at once."""
        self._reload.stop()
        self._stale = False
        self.load()


class RunView(StoreView):
    """Follows the run on display until the person chooses a cycle."""

    cycle_chosen = Signal(int)
    """The person has gone to this cycle here."""

    def __init__(self, name: str, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(name, store, parent)
        self.run_id: int | None = None
        self.wanted: int | None = None
        """The cycle that was chosen; None: the latest."""
        self.alive = True
        """Whether the run is alive, so that its cycles are on their way."""

    # -- what the window tells

    def set_alive(self, alive: bool) -> None:
        """Say whether the run on display is alive."""
        if alive != self.alive:
            self.alive = alive
            self.load_soon()

    def show_run(self, run_id: int | None) -> None:
        """Show a run, or none; another one from its latest cycle on."""
        if run_id != self.run_id:
            self.run_id, self.wanted = run_id, None
        self.load_soon()

    def cycle_available(self, run_id: int) -> None:
        """Take note that a cycle has ended; ignored for another run."""
        if run_id == self.run_id:
            self.load_soon()

    def show_cycle(self, cycle: int) -> None:
        """Show ``cycle`` of the run on display, or the nearest that there is."""
        self.wanted = cycle
        self.load_soon()

    def why_no_cycle(self) -> str:
        """Say why a run that is no longer alive has nothing to show here; nothing of no run."""
        return "" if self.run_id is None else why_no_cycle(self.store, self.run_id)

    # -- what the person does

    def choose_cycle(self, cycle: int) -> None:
        """Show a cycle and stay with it."""
        self.wanted = cycle
        self.cycle_chosen.emit(cycle)
        self.load_now()


class PictureView(RunView, Generic[Picture]):
    """Reads what it draws in the background: a subclass has :meth:`read` and :meth:`draw`."""

    def __init__(self, name: str, store: Store, background: Background,
                 parent: QWidget | None = None) -> None:
        super().__init__(name, store, parent)
        self._background = background
        self._asked = 0
        self.picture: Picture | None = None

    def read(self, run_id: int, wanted: int | None) -> Picture | None:
        """Return what is drawn of a run, at cycle ``wanted`` or the nearest before it; None: the
        latest. Called on the background's thread; touches no widget."""
        raise NotImplementedError

    def draw(self) -> None:
        """Show :attr:`picture`; None: nothing has been read of the run, or there is none."""
        raise NotImplementedError

    def show_run(self, run_id: int | None) -> None:
        """Show a run, or none; another one from its latest cycle on."""
        if run_id != self.run_id:
            self.picture = None
            super().show_run(run_id)
            self.draw()
        else:
            super().show_run(run_id)

    def follow(self, following: bool) -> None:
        """Show the latest cycle from now on, or stay with the one on display."""
        self.wanted = None if following else self.shown_cycle()
        self.load_now()

    def shown_cycle(self) -> int | None:
        """Return the cycle on display, if there is one."""
        found: Any = self.picture
        return found.cycle if found and found.cycles else None

    def load(self) -> None:
        """Read in the background, then draw."""
        self._asked += 1
        asked, run_id, wanted = self._asked, self.run_id, self.wanted
        if run_id is None:
            self._show(asked, None)
        else:
            self._background.run(lambda: self.read(run_id, wanted),
                                 lambda picture: self._show(asked, picture))

    def _show(self, asked: int, picture: Picture | None) -> None:
        if asked == self._asked:  # else another answer is on its way
            self.picture = picture
            self.draw()
