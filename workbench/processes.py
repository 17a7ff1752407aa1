"""Which of the processes of one run this is, as torchrun tells it. Imports no torch."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

MEETING = "PPO_WORKBENCH_MEETING"
"""The folder in which the processes of a run on one machine meet; without it they meet where
torchrun says."""
RUN, WHY = "run", "why"
"""The notes there on the home and the number of the run, and on why the first process was ended."""


def started() -> int:
    """Return how many processes were started for this run, this one included."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def own_number() -> int:
    """Return this process's number among them, from 0."""
    return int(os.environ.get("RANK", "0")) if started() > 1 else 0


def name_of(number: int) -> str:
    """Return what a person calls one of the processes."""
    return f"process {number + 1} of {started()}"


def killed(number: int, count: int) -> str:
    """Say that one of ``count`` processes was killed."""
    return (f"Process {number + 1} of {count} is gone: it was killed, by a person or for want of "
            "memory.")


def name_of_own() -> str:
    """Return what a person calls this process; "" where it is alone."""
    return name_of(own_number()) if started() > 1 else ""


def on_this_machine() -> int:
    """Return how many of them compute on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if started() > 1 else 1


def leave_note(name: str, text: str) -> None:
    """Leave a note for who started the processes, where they meet in a folder."""
    if folder := os.environ.get(MEETING):
        place = Path(folder) / name
        with contextlib.suppress(OSError):
            place.with_suffix(".new").write_text(text)
            place.with_suffix(".new").replace(place)
