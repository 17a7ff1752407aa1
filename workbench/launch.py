"""Several processes for one run, started by torchrun's elastic launcher.

This process starts them, hands the signals that it gets on to the first of them, which decides when
all end, and ends with its exit status. They meet in a folder, and their connections are on the
loopback address alone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from workbench import processes
from workbench.ending_signals import ending_signals
from workbench.exit_status import FAILED
from workbench.formatting import count_cycles
from workbench.store.home import StoreError
from workbench.terminal import say, tell

_FIRST = "first"
"""The file, in the folder where they meet, with the number of the first process in the system."""
_STATUS = "status"
"""The file there in which the first process leaves its exit status."""
_GRACE = 25
"""Seconds that the others have to end once one has failed."""


def launch(words: Sequence[str], number: int) -> int:
    """Run ``ppo-workbench`` with these ``words`` in ``number`` processes, and return the exit
    status."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    status, failed = [FAILED], dict[int, int]()
    with tempfile.TemporaryDirectory(
            prefix="ppo-workbench-", dir=_in_memory()) as folder, _environment(folder, number):
        logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)
        config = LaunchConfig(
            1, 1, number, run_id=uuid4().hex, rdzv_backend="c10d",
            rdzv_endpoint=str(Path(folder) / "rendezvous"),
            rdzv_configs={"store_type": "file"}, max_restarts=0, monitor_interval=0.1,
            local_addr="127.0.0.1", shutdown_timeout=_GRACE)

        def run() -> None:
            try:
                elastic_launch(config, sys.executable)("-m", "workbench", *words)
            except ChildFailedError as error:
                failed.update({rank: each.exitcode for rank, each in error.failures.items()})
                status[0] = max(FAILED, failed.get(0, FAILED))
            except Exception as error:
                tell(f"the processes could not be started ({error}).")
            else:
                status[0] = 0

        # On another thread than the first it leaves signals alone.
        thread = threading.Thread(target=run, name="launcher")
        with _handed_on(Path(folder) / _FIRST) as hand_on_late:
            thread.start()
            while thread.is_alive():
                thread.join(0.2)
                hand_on_late()
        told = Path(folder) / _STATUS
        if told.exists():
            status[0] = int(told.read_text())
        elif failed:
            _say_lost(Path(folder), failed, number)
    return status[0]


def _in_memory() -> str | None:
    """Return a folder in memory, if the system has one: a full disk does not part those who meet
    there."""
    shared = "/dev/shm"
    return shared if os.path.isdir(shared) and os.access(shared, os.W_OK | os.X_OK) else None


def _say_lost(folder: Path, failed: Mapping[int, int], number: int) -> None:
    """Say what the first process of ``number`` cannot say any more, and mark its run. ``failed``
    has the exit status of each that failed before all were ended."""
    why, run = folder / processes.WHY, folder / processes.RUN
    killed = [rank for rank, status in failed.items() if status == -signal.SIGKILL]
    if why.exists():
        sentence = why.read_text()
    elif killed:
        sentence = processes.killed(min(killed), number)
    else:
        sentence = f"Process {min(failed) + 1} of {number} failed; what it said is above."
    tell(sentence)
    if not run.exists():
        return
    from workbench.store.store import Store

    known, _, home = run.read_text().partition(" ")
    with contextlib.suppress(StoreError):
        store = Store(Path(home))  # which marks what nobody trains any more
        try:
            found = store.run(int(known))
            if found is not None and found.status == "interrupted":
                store.set_status(found.id, "interrupted", sentence).result()
                say(f"Interrupted after {count_cycles(found.cycles)}.")
                say(f"Go on with: ppo-workbench resume {found.id}")
        finally:
            store.close()


def note_status(status: int) -> int:
    """Leave the exit status of the first process for who started it, and return it."""
    if processes.own_number() == 0:
        processes.leave_note(_STATUS, str(status))
    return status


def note_first() -> None:
    """Say which process is the first, so that signals are handed on to it."""
    if processes.own_number() == 0:
        processes.leave_note(_FIRST, str(os.getpid()))


def note_run(home: Path, run: int) -> None:
    """Say which run it is, so that it can be marked where the first process is lost."""
    processes.leave_note(processes.RUN, f"{run} {home}")


@contextlib.contextmanager
def _environment(folder: str, number: int) -> Iterator[None]:
    """What the processes find in their environment."""
    threads = max(1, (os.cpu_count() or 1) // number)
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    ours = {processes.MEETING: folder, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
            "GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
    if "OMP_NUM_THREADS" not in os.environ:
        ours["OMP_NUM_THREADS"] = str(threads)
    before = {name: os.environ.get(name) for name in ours}
    os.environ |= ours
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _handed_on(first: Path) -> Iterator[Callable[[], None]]:
    """Hand signals on to the first process. Those that come before there is one are kept; yields
    what hands them on once there is."""
    waiting: list[int] = []

    def hand_on(number: int, _: object = None) -> None:
        # By SIGTERM the launcher tells it that another has failed.
        number = signal.SIGINT if number == signal.SIGTERM else number
        try:
            os.kill(int(first.read_text()), number)
        except FileNotFoundError:
            waiting.append(number)
        except OSError:  # it has just ended
            pass

    def hand_on_late() -> None:
        if waiting and first.exists():
            hand_on(waiting.pop(0))

    before = {number: signal.signal(number, hand_on) for number in ending_signals()}
    try:
        yield hand_on_late
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
