"""A disk that is full, and is tidied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.store.schema import FILE_NAME


@contextmanager
def full(home: Path, room: int = 0) -> Iterator[None]:
    """Let no file grow beyond the database's log as it is now, with ``room`` bytes more. To a
    program that is what a full disk is: an error of write(2). Unix only."""
    import resource

    log = (home / f"{FILE_NAME}-wal").stat().st_size
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log + room, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
