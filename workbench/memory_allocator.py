"""How the C library keeps memory: settings for tensors that come and go at every step."""

from __future__ import annotations

import ctypes
import platform
from functools import cache

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> None:
    """Let freed memory stay with the process until :func:`return_freed_memory`.

    By default glibc gives a large tensor's memory back when the tensor dies, and takes it again
    for the next: 100,000 page faults and more a PPO cycle, about a twentieth of its time on a CPU.
    One arena instead of one a thread, because only the main one can grow to any size. Call it
    before threads are started. Does nothing where there is no glibc.
    """
    libc = _glibc()
    if libc is None:
        return
    libc.mallopt(_M_ARENA_MAX, 1)
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def return_freed_memory() -> None:
    """Give memory that is no longer used back to the system, as after a run."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
