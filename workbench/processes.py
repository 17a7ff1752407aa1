"""Which of the processes of one run this is, as torchrun tells it. Imports no torch."""

from __future__ import annotations

import os

MEETING = "PPO_WORKBENCH_MEETING"
"""The folder in which the processes of a run on one machine meet; without it they meet where
torchrun says."""


def started() -> int:
    """Return how many processes were started for this run, this one included."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def own_number() -> int:
    """Return this process's number among them, from 0."""
    return int(os.environ.get("RANK", "0")) if started() > 1 else 0


def on_this_machine() -> int:
    """Return how many of them compute on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if started() > 1 else 1
