"""The signals by which a person or a machine asks a program to end."""

from __future__ import annotations

import signal

HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)
"""The terminal is gone. A shell passes it on, so that it may come twice."""


def ending_signals() -> tuple[signal.Signals, ...]:
    """Return Ctrl+C, SIGTERM, and SIGHUP unless it is ignored, as nohup would have it."""
    heeded = HANGUP is not None and signal.getsignal(HANGUP) is not signal.SIG_IGN
    return (signal.SIGINT, signal.SIGTERM, *([HANGUP] if HANGUP and heeded else []))
