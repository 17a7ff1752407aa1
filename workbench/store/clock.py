"""The wall clock, for a person to read: it may be set back or leap ahead at any moment.

What comes first is said by numbers and cycles, and how long something took by clocks that only go
forward (``time.monotonic``, ``time.perf_counter``).
"""

from __future__ import annotations

from datetime import UTC, datetime


def now(precision: str = "seconds") -> str:
    """Return the present moment as the store writes it (UTC, ISO 8601)."""
    return datetime.now(UTC).isoformat(timespec=precision)
