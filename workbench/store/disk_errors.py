"""A disk or a database that takes no more: how it is known, and what is said of it."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from workbench.store.home import StoreError

# No space left; over the person's quota; larger than a file may be.
_FULL = tuple(number for name in ("ENOSPC", "EDQUOT", "EFBIG")
              if (number := getattr(errno, name, None)) is not None)
_WINDOWS_DISK_FULL = "os error 112"
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_FORBIDDEN = (sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH)
# Extended codes of SQLITE_IOERR: memory, or the address space that the shared index is mapped to.
_OUT_OF_MEMORY = (sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR_NOMEM, sqlite3.SQLITE_IOERR_SHMMAP)
_OTHER_HOME = "choose another home folder with --home"


class NotWrittenError(StoreError):
    """What was to be written is not, but can be once the disk takes it; nothing else has changed.

    ``reason`` is the first clause of the sentence, to be told with what was lost or kept by it;
    ``remedy`` is what to do before it is tried again, a sentence without its stop.
    """

    def __init__(self, reason: str, rest: str, remedy: str) -> None:
        super().__init__(f"{reason}: {rest}")
        self.reason, self.remedy = reason, remedy


def is_full(error: BaseException) -> bool:
    """Whether ``error`` says that the disk, or a person's share of it, is full."""
    if isinstance(error, sqlite3.Error):
        return _code(error) == sqlite3.SQLITE_FULL
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


def not_written(path: Path, error: sqlite3.Error) -> NotWrittenError:
    """Say why the database at ``path`` did not take something."""
    rest = f"the experiment database {path} could not be written"
    code = _code(error)
    if code in _BUSY:
        return NotWrittenError("The database is in use by another program",
                               f"{rest}; try again when that is done.", "Wait until that is done")
    if code in (*_FORBIDDEN, sqlite3.SQLITE_CANTOPEN) and (forbidden := _forbidden(path)):
        return NotWrittenError(
            f"The database may not be written ({error})",
            f"{rest}; allow yourself to write {forbidden}.",
            f"Allow yourself to write {forbidden}")
    if code in _DAMAGED:
        return NotWrittenError(
            f"The database is damaged ({error})",
            f"{rest}; restore it from a copy when nothing runs. Checkpoints are in "
            f"{path.parent / 'checkpoints'}.", "Stop it, restore the database from a copy")
    return NotWrittenError(why_not(error), f"{rest}; free some space there, or {_OTHER_HOME}.",
                           f"Free some space at {path.parent}")


def not_opened(path: Path, error: sqlite3.Error | MemoryError) -> StoreError:
    """Say why the database at ``path`` cannot be opened, and what to do."""
    if isinstance(error, MemoryError):
        return StoreError(f"There is too little memory to open the experiment database {path}; "
                          "close other programs, or raise the limit on memory.")
    code, extended = _code(error), getattr(error, "sqlite_errorcode", None)
    the_database = f"The experiment database {path}"
    if code in _BUSY:
        return StoreError(f"{the_database} is in use by another program; try again when that is "
                          "done.")
    if extended in _OUT_OF_MEMORY or code in _OUT_OF_MEMORY:
        return StoreError(f"There is too little memory to open the experiment database {path} "
                          f"({error}); close other programs, or raise the limit on memory.")
    if is_full(error) or code == sqlite3.SQLITE_IOERR:
        return StoreError(f"{why_not(error)}: the experiment database {path} cannot be opened; "
                          f"free some space there, or {_OTHER_HOME}.")
    if code in (*_FORBIDDEN, sqlite3.SQLITE_CANTOPEN) and (forbidden := _forbidden(path)):
        return StoreError(f"{the_database} cannot be opened ({error}); allow yourself to read and "
                          f"write {forbidden}, or {_OTHER_HOME}.")
    if code in _DAMAGED:
        return StoreError(
            f"{the_database} is damaged ({error}). Move {' and '.join(_with_log(path))} away, to "
            "put an earlier copy there or to start afresh: the checkpoints in "
            f"{path.parent / 'checkpoints'} stay, new "
            "runs get numbers of their own, and the old database finds its own again once it is "
            "mended.")
    return StoreError(f"{the_database} cannot be used ({error}); try again, or {_OTHER_HOME}. "
                      f"Checkpoints are in {path.parent / 'checkpoints'}.")


def sentence_on_store(error: BaseException) -> str | None:
    """Return one plain sentence when ``error`` says that the store cannot be read or written; None
    when it says something else."""
    if isinstance(error, StoreError):
        return str(error)
    if not isinstance(error, sqlite3.Error) or _code(error) is None:
        return None  # without a code it is a misuse, no word of the database
    if _code(error) in _DAMAGED:
        return (f"The experiment database is damaged ({error}). Close PPO Workbench, make a copy "
                "of the home folder, and restore the database from an earlier one; the checkpoints "
                "beside it are not touched.")
    return f"The experiment database could not be read or written ({error}); try again."


def log_of(path: Path) -> Path:
    """Return where SQLite keeps the last changes of a database that are not in its file yet."""
    return path.with_name(f"{path.name}-wal")


def has_something(path: Path) -> bool:
    """Whether there is a file that is not empty."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _with_log(path: Path) -> list[str]:
    log = log_of(path)
    return [path.name, log.name] if has_something(log) else [path.name]


def _code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _forbidden(path: Path) -> str:
    """Name the files of the database that this person may not read or write."""
    files = (path.with_name(path.name + end) for end in ("", "-wal", "-shm"))
    names = [str(f) for f in files if f.exists() and not os.access(f, os.R_OK | os.W_OK)]
    return " and ".join(names)
