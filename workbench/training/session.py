"""A session: one background thread that loads models and trains, driven by commands."""

from __future__ import annotations

import os
import queue
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace

from workbench.store.store import Store
from workbench.training.commands import Close, Command, LoadModels
from workbench.training.events import CommandRefused, Event, State, StateChanged
from workbench.training.preflight import missing_sources
from workbench.training.publisher import RemoteCommand, RunPublisher

Listener = Callable[[Event], None]
_FIRST_S = 5.0  # that the first command is waited for before torch is imported for it


class Session:
    """The engine as its clients see it: :meth:`send` commands, be told events.

    The window, the headless command and the tests are clients alike. torch is imported by the
    thread, not by the caller.
    """

    def __init__(self, store: Store, listener: Listener, *, threads: int | None = None,
                 spare_threads: int = 0) -> None:
        """Start the thread.

        Args:
            listener: called on the training thread with every event; must return at once.
            threads: for torch; None leaves a new run torch's own choice, and gives one that goes
                on as many as it began with.
            spare_threads: left free of torch's own choice, for a window.
        """
        self._listener = listener
        self._inbox: queue.SimpleQueue[Command | Close | RemoteCommand] = queue.SimpleQueue()
        self._publisher = RunPublisher(store, self._inbox.put)
        self._state = State.IDLE
        self._thread = threading.Thread(
            target=self._run, args=(store, threads, spare_threads), name="training", daemon=True)
        self._thread.start()

    @property
    def state(self) -> State:
        """The state last announced."""
        return self._state

    def send(self, command: Command) -> None:
        """Ask for something; the answer comes as events. Returns at once."""
        self._inbox.put(command)

    def close(self) -> None:
        """End a run within a decode step or micro-batch, and the thread with it; waits."""
        self._inbox.put(Close())
        self._thread.join()

    def _run(self, store: Store, threads: int | None, spare_threads: int) -> None:
        # Threads of torch that wait for one another spin; when another program holds a core, a
        # cycle then takes eight times longer. Giving up soon costs nothing when cores are free.
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
        first = self._first_command()
        # Imported here: torch and transformers take seconds, and the caller has a window to show.
        try:
            from workbench.training.leading import models_of_all
            from workbench.training.threads import Threads
            from workbench.training.worker import Worker

            with models_of_all() as models:
                Worker(store, self._inbox, self._emit, Threads(threads, spare_threads),
                       models).serve(first)
        except Exception as error:
            sentence = (
                f"The training thread ended unexpectedly ({error}); what was recorded is kept. "
                "Start PPO Workbench again.")
            details = traceback.format_exc()
            self._emit(CommandRefused("Session", sentence, {"details": details}))
            self._emit(StateChanged(State.FAILED, sentence))
        finally:
            self._publisher.close()

    def _first_command(self) -> list[Command | Close | RemoteCommand]:
        """Return what is asked for first. Of models that are plainly not there that is told at
        once, and not after the imports; what is left to load is the other half, if there is one
        and that will do."""
        try:
            first = self._inbox.get(timeout=_FIRST_S)
        except queue.Empty:
            return []
        if isinstance(first, LoadModels) and (failed := missing_sources(first)):
            self._emit(StateChanged(State.LOADING))
            for failure in failed:
                self._emit(failure)
            gone = {failure.which for failure in failed}
            if first.halves == "each" and len(gone) == 1:
                return [replace(first, halves="policy" if "reward" in gone else "reward")]
            self._emit(StateChanged(State.IDLE))
            return []
        return [first]

    def _emit(self, event: Event) -> None:
        if isinstance(event, StateChanged):
            self._state = event.state
        if self._publisher.publish(event):
            self._listener(event)
