"""Has a process of a run come to harm in a phase, for tests of what the others make of it.

It is on the path of the processes of a test (:func:`helpers.launched.started`), and Python imports
it before anything else. Which of them comes to what is in the environment: ``HARM`` is "RANK KIND
PHASE NUMBER", NUMBER being the how-manieth time that the phase is entered.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any


def come_to(kind: str, process: int) -> None:
    """Let a process be killed or hang, or this one find no memory."""
    if kind == "memory":
        import torch

        torch.empty(1 << 46, dtype=torch.uint8)
    os.kill(process, {"kill": signal.SIGKILL, "hang": signal.SIGSTOP}[kind])


def in_phase(phase: str, number: int, harm: Callable[[], None]) -> None:
    """Do harm where this process comes into a phase for the ``number``th time."""
    from workbench.models.control import SharedControl
    from workbench.models.phases import Phase

    step, entered, within = SharedControl.step, 0, None

    def watched(self: Any, now: Phase, done: int, total: int) -> None:
        nonlocal entered, within
        if now is not within:
            within = now
            entered += now is Phase[phase]
            if now is Phase[phase] and entered == number:
                harm()
        step(self, now, done, total)
    SharedControl.step = watched


def in_checkpoint(number: int, harm: Callable[[], None]) -> None:
    """Do harm where this process has written the weights of the ``number``th checkpoint, which is
    not there yet."""
    import safetensors.numpy

    save, written = safetensors.numpy.save_file, 0

    def watched(*arguments: Any) -> None:
        nonlocal written
        save(*arguments)
        written += 1
        if written == number:
            harm()
    safetensors.numpy.save_file = watched


def process_of(rank: str) -> int:
    """Return the number in the system of another process of the run."""
    import psutil

    return next(p.pid for p in psutil.Process(os.getppid()).children()
                if p.environ().get("RANK") == rank)


if "HARM" in os.environ and "RANK" in os.environ:
    rank, kind, phase, number = os.environ["HARM"].split()
    own = os.environ["RANK"]
    def harm() -> None:
        process = process_of(rank)
        come_to(kind, process)
        if rank != own and kind == "kill":  # the launcher knows before the checkpoint is there
            import psutil

            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(process).wait()

    if phase == "CHECKPOINT" and own == "0":  # which writes them
        in_checkpoint(int(number), harm)
    elif phase != "CHECKPOINT" and own == rank:
        in_phase(phase, int(number), lambda: come_to(kind, os.getpid()))
