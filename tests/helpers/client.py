"""A client of a session for tests: sends commands, waits for events."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import TypeVar

from helpers.patience import SECONDS

from workbench.store.store import Store
from workbench.training.commands import Command
from workbench.training.events import Event, State, StateChanged
from workbench.training.session import Session

E = TypeVar("E")


class Client:
    """Keeps every event in ``seen``; ``wait`` returns the next of a kind that fits."""

    def __init__(self, store: Store, **threads: int | None) -> None:
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.seen: list[Event] = []
        self._listeners: list[Callable[[Event], None]] = [self._events.put]
        self.session = Session(store, self._tell, **(threads or {"threads": 1}))

    def _tell(self, event: Event) -> None:
        for listener in reversed(self._listeners):
            listener(event)

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Let ``listener`` hear every event first, on the training thread."""
        self._listeners.append(listener)

    def send(self, command: Command) -> None:
        self.session.send(command)

    def wait(self, kind: type[E], fits: Callable[[E], bool] = lambda _: True) -> E:
        while True:
            event = self._events.get(timeout=SECONDS)
            self.seen.append(event)
            if isinstance(event, kind) and fits(event):
                return event

    def wait_for(self, state: State) -> StateChanged:
        return self.wait(StateChanged, lambda e: e.state is state)

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of a kind seen so far."""
        return [e for e in self.seen if isinstance(e, kind)]

    def close(self) -> None:
        self.session.close()
        while not self._events.empty():
            self.seen.append(self._events.get())
