"""Standard output and error as a command writes to them: what they do not take ends no run."""

from __future__ import annotations

import contextlib
import os
import sys

_told = False


def prepare() -> None:
    """Let a closed output be one that nobody reads, and what a console cannot show be shown as far
    as it can."""
    # Where a descriptor is missing, the next file to be opened would take its place.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if sys.stdin is None:
        sys.stdin = open(os.open(os.devnull, os.O_RDONLY),  # noqa: SIM115
                         encoding="utf-8", closefd=False)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Python never closes its standard streams, and so does not own their descriptors.
            setattr(sys, name, open(os.open(os.devnull, os.O_WRONLY), "w",  # noqa: SIM115
                                    encoding="utf-8", closefd=False))
        elif hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="replace")


def say(text: str) -> None:
    """Print a line. An output that takes no more is told of once; the store has what was said.

    Raises:
        BrokenPipeError: nobody reads on.
    """
    global _told
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        if not _told:
            _told = True
            tell(f"{cannot_write(error)} What goes on is in the store.")


def tell(text: str) -> None:
    """Print a line to standard error, if that takes it."""
    # RuntimeError: a signal came while another line was being printed.
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        print(f"ppo-workbench: {text}", file=sys.stderr, flush=True)


def cannot_write(error: Exception) -> str:
    """Say that standard output takes no more."""
    return (f"Standard output cannot be written ({getattr(error, 'strerror', None) or error}); "
            "make room, or send it elsewhere.")


def discard_output() -> None:
    """Let what standard output has not taken go, so that Python does not try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
