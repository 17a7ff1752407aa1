"""Where Python's stacks go when Qt, torch or a driver ends the process."""

from __future__ import annotations

import contextlib
import faulthandler
import sys
from collections.abc import Iterator
from pathlib import Path

_LARGEST = 1_000_000  # bytes; older crashes are dropped


def crash_file(home: Path) -> Path:
    """Return the file of a home folder."""
    return home / "logs" / "crash.log"


@contextlib.contextmanager
def keep_crashes(home: Path) -> Iterator[None]:
    """Within, a fatal signal leaves the stack of every thread in the home's logs."""
    file = None
    with contextlib.suppress(OSError):
        path = crash_file(home)
        path.parent.mkdir(parents=True, exist_ok=True)
        too_large = path.exists() and path.stat().st_size > _LARGEST
        file = path.open("w" if too_large else "a", encoding="utf-8")
    if file is None:  # a full disk: there is worse to tell
        yield
        return
    before = faulthandler.is_enabled()
    faulthandler.enable(file)
    try:
        yield
    finally:
        if before and sys.__stderr__ is not None:
            faulthandler.enable(sys.__stderr__)
        else:
            faulthandler.disable()
        file.close()
