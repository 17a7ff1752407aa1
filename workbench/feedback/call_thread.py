"""Calling a person's program on a thread of its own, so that what never returns can be left."""

from __future__ import annotations

import ctypes
import queue
import threading
from collections.abc import Callable

INTERVAL = 0.1
"""Seconds between two looks at whether to go on waiting."""


class CallThread:
    """One thread for all the calls, as long as they return: what a program keeps for the thread
    that it was loaded on stays there."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Call | None] | None = None
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[[], object], step: Callable[[], object]) -> Call:
        """Return what became of a call of ``function``.

        Args:
            step: called again and again meanwhile; where it raises, ``function`` is left behind,
                and ended if it is Python that computes.
        """
        if self._calls is None:
            self._calls = queue.SimpleQueue()
            self._thread = threading.Thread(
                target=_serve, args=(self._calls,), name="aside", daemon=True)
            self._thread.start()
        call = Call(function)
        self._calls.put(call)
        try:
            while not call.done.wait(INTERVAL):
                step()
        except BaseException:
            self._leave()
            raise
        return call

    def __del__(self) -> None:
        if self._calls is not None:
            self._calls.put(None)

    def _leave(self) -> None:
        if self._calls is not None:
            self._calls.put(None)  # if it returns after all
        if self._thread is not None and self._thread.ident is not None:
            # Or a loop without end would take time from all else for as long as the process lives.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread.ident), ctypes.py_object(SystemExit))
        self._calls = self._thread = None


class Call:
    """What becomes of the call of a function."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function
        self.done = threading.Event()
        self.result: object = None
        self.error: BaseException | None = None

    def outcome(self) -> object:
        """Return what the function returned.

        Raises:
            BaseException: what it raised.
        """
        if self.error is not None:
            raise self.error
        return self.result


def _serve(calls: queue.SimpleQueue[Call | None]) -> None:
    while (call := calls.get()) is not None:
        try:
            call.result = call.function()
        except BaseException as error:  # it is for who called
            call.error = error
        call.done.set()
        del call  # with all that it holds, until the next one comes
