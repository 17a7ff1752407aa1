"""What other processes do to the store: the list of runs follows it, and their policies are tried
by their checkpoints."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from workbench.gui.background import Background
from workbench.store.home import StoreError
from workbench.training.commands import Try, TrySource

if TYPE_CHECKING:
    from workbench.gui.main_window import MainWindow
    from workbench.gui.runs.dock import Glimpse
    from workbench.store.store import Store

GLANCE_MS = 1000


def from_checkpoints(command: Try, store: Store, run_id: int) -> Try:
    """Return ``command`` with the last checkpoint in place of the current policy of a run that
    another process trains: that policy is not here, and pausing has written a checkpoint of it."""
    last = [TrySource("checkpoint", run_id, c.cycle) for c in store.checkpoints.all(run_id)[-1:]]
    return replace(command, sources=tuple(dict.fromkeys(
        found for source in command.sources
        for found in (last if source.kind == "current" else [source]))))


class OtherProcesses(QObject):
    """Looks about once a second, on the background's thread, whether a run began, ended or got on
    in another process, or lost the process that trained it."""

    def __init__(self, window: MainWindow, store: Store, background: Background) -> None:
        super().__init__(window)
        self._window, self._store, self._background = window, store, background
        self._version: int | None = None
        self._has_others = True
        self._timer = QTimer(self, interval=GLANCE_MS)
        self._timer.timeout.connect(lambda: background.run(self._look, self._show))
        self._timer.start()

    def stop(self) -> None:
        """Look no more: the window is closing."""
        self._timer.stop()

    def _look(self) -> list[Glimpse] | None:
        """Return what the list shows of each run, or None when nothing can have changed."""
        store = self._store
        version = store.steering.version()
        if version == self._version and not self._has_others:
            return None
        self._version = version
        runs = store.runs()
        others = [run.id for run in runs if store.is_elsewhere(run)]
        self._has_others = bool(others)
        if not all(store.run_locks.is_alive(run_id) for run_id in others):
            with contextlib.suppress(StoreError):  # a full disk; at another poll, then
                store.mark_interrupted().result()
            runs = store.runs()
        return [(run.id, run.name, run.status, run.cycles) for run in runs]

    def _show(self, found: list[Glimpse] | None) -> None:
        if found is not None:
            self._window.runs.catch_up(found)
