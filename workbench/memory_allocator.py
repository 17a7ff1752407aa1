"""How the C library keeps memory: settings for tensors that come and go at every step."""

from __future__ import annotations

import ctypes
import platform
from functools import cache

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
LARGE = 16 << 20
"""Bytes from which on a tensor has pages of its own, the most that glibc takes: logits of a large
vocabulary, say, of which each comes in another size. In the heap they would leave holes into which
small ones settle, so that the next ones go elsewhere."""


def keep_freed_memory() -> None:
    """Let freed memory stay with the process until :func:`return_freed_memory`, but for that of the
    largest tensors.

    By default glibc gives a large tensor's memory back when the tensor dies, and takes it again
    for the next: 100,000 page faults and more a PPO cycle, about a twentieth of its time on a CPU.
    One arena instead of one a thread, because only the main one can grow to any size. Call it
    before threads are started. Does nothing where there is no glibc.
    """
    libc = _glibc()
    if libc is None:
        return
    libc.mallopt(_M_ARENA_MAX, 1)
    libc.mallopt(_M_MMAP_THRESHOLD, LARGE)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def keep_small_memory_alone() -> None:
    """Give freed memory of a MiB or more back at once from now on, where memory counts more than
    time: weights that come and go whole would leave holes of their own sizes."""
    libc = _glibc()
    if libc is not None:
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 20)


def return_freed_memory() -> None:
    """Give memory that is no longer used back to the system, as after a run."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
