"""A disk that takes no more: how it is known, and what is said of it."""

from __future__ import annotations

import errno
import os
import sqlite3

from workbench.store.home import StoreError

# No space left; over the person's quota; larger than a file may be.
_FULL = tuple(number for name in ("ENOSPC", "EDQUOT", "EFBIG")
              if (number := getattr(errno, name, None)) is not None)
_WINDOWS_DISK_FULL = "os error 112"


class NotWrittenError(StoreError):
    """What was to be written is not, but can be once the disk takes it; nothing else has changed.

    ``reason`` is the first clause of the sentence, to be told with what was lost or kept by it.
    """

    def __init__(self, reason: str, rest: str) -> None:
        super().__init__(f"{reason}: {rest}")
        self.reason = reason


def is_full(error: BaseException) -> bool:
    """Whether ``error`` says that the disk, or a person's share of it, is full."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    if isinstance(error, OSError):
        return error.errno in _FULL
    # safetensors tells of it in words alone.
    return any(os.strerror(number) in str(error) for number in _FULL) or (
        _WINDOWS_DISK_FULL in str(error))


def why_not(error: BaseException) -> str:
    """Return the reason of a :class:`NotWrittenError`."""
    if is_full(error):
        return "The disk is full"
    return f"The disk cannot be written ({getattr(error, 'strerror', None) or error})"
