"""Carries events from the training thread to the window: a queue, a tick, one signal a tick."""

from __future__ import annotations

from queue import Empty, SimpleQueue

from PySide6.QtCore import QObject, QTimer, Signal

from workbench.training.events import Event, Progress

TICK_MS = 33


class Bridge(QObject):
    """The training thread calls :meth:`put` and touches nothing else of Qt.

    ``events`` carries a list of events in order, about 30 times a second while there are any.
    """

    events = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._queue: SimpleQueue[Event] = SimpleQueue()
        self.put = self._queue.put
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self.drain)
        self._timer.start()

    def drain(self) -> None:
        """Hand over everything that waits."""
        waiting: list[Event] = []
        try:
            while True:
                waiting.append(self._queue.get_nowait())
        except Empty:
            pass
        if waiting:
            self.events.emit(collapse(waiting))

    def close(self) -> None:
        """Hand over what waits and stop ticking."""
        self._timer.stop()
        self.drain()


def collapse(events: list[Event]) -> list[Event]:
    """Keep only the last of consecutive Progress events: only the latest can be seen."""
    return [
        event for event, following in zip(events, [*events[1:], None], strict=True)
        if not (isinstance(event, Progress) and isinstance(following, Progress))
    ]
