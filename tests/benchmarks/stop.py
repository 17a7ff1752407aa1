"""How soon Stop is acknowledged and how soon it is done: ``python tests/benchmarks/stop.py``.

The real window (no display is needed) trains the bundled policy. At moments of every phase the
Stop button is clicked as a person's mouse does, from a timer, so that the click waits its turn as
any event does. Written down are the milliseconds from the click to the repainted state label that
says Stopping, to the run's end without its checkpoint being waited for (``ended``: the engine takes
no further step), and to Finished with the checkpoint on the disk; and, for comparison, how long one
decode step and one micro-batch take. While models are loaded, Cancel loading is what stops.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.play import play, until
from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from workbench.gui.app import Workbench
from workbench.models.phases import Phase
from workbench.training.events import Progress, State, StateChanged

Times = dict[str, list[tuple[float, float, float]]]


class Repainted(QObject):
    """Notes when the state label, saying a certain word, has been painted."""

    def __init__(self, chip: QObject, word: str) -> None:
        super().__init__()
        self._chip, self._word = chip, word
        self.at: float | None = None
        chip.installEventFilter(self)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Look only."""
        if event.type() == QEvent.Type.Paint and self.at is None and (
                self._chip.text() == self._word):
            self.at = time.perf_counter()
        return False


class Moments:
    """When the engine told its events, on its own thread: the window's tick would blur them."""

    def __init__(self, workbench: Workbench) -> None:
        self.states: list[tuple[float, State, str]] = []
        self.progress: list[tuple[float, Progress]] = []
        put = workbench.session._listener

        def listen(event: object) -> None:
            if isinstance(event, Progress):
                self.progress.append((time.perf_counter(), event))
            elif isinstance(event, StateChanged):
                self.states.append((time.perf_counter(), event.state, event.note))
            put(event)

        workbench.session._listener = listen

    def steps(self, phase: Phase) -> list[float]:
        """Return the seconds between a cycle's consecutive steps of a phase."""
        return [b[0] - a[0] for a, b in zip(self.progress, self.progress[1:], strict=False)
                if a[1].phase is b[1].phase is phase and a[1].cycle == b[1].cycle]


async def stopped(workbench: Workbench, moments: Moments, where: str, share: float,
                  settings: dict[str, object]) -> tuple[float, float, float]:
    """Train, click Stop when a phase is ``share`` done, and return the three times in ms."""
    window = workbench.window
    window.hyperparameters.form.set_values(settings, "benchmark")
    moments.progress.clear()
    window.actions_["start"].trigger()
    await until(lambda: window.state is State.RUNNING)
    chip, clicked = Repainted(window.chip, "Stopping"), []

    def click() -> None:
        clicked.append(time.perf_counter())
        moments.states.clear()
        QTest.mouseClick(
            window.findChild(QObject, "stop_button"), Qt.MouseButton.LeftButton)

    def due() -> bool:
        if where == "a checkpoint":
            folder = workbench.store.home / "checkpoints"
            return bool(list(folder.glob("*/*.partial")))
        last = moments.progress[-1][1] if moments.progress else None
        return (last is not None and last.cycle >= 2 and last.phase.name == where
                and last.done >= share * last.total)

    async with asyncio.timeout(300):
        while not due():
            await asyncio.sleep(0 if where == "a checkpoint" else 0.001)
    QTimer.singleShot(0, click)
    await until(lambda: window.state is State.FINISHED, 300)
    began = clicked[0]
    ended = next((t for t, state, note in moments.states
                  if state is State.FINISHED or note.startswith("Writing")), began)
    finished = next(t for t, state, _ in moments.states if state is State.FINISHED)
    assert chip.at is not None
    window.chip.removeEventFilter(chip)
    return tuple(1000 * (t - began) for t in (chip.at, ended, finished))


async def cancelled(workbench: Workbench, wait: float) -> tuple[float, float, float]:
    """Load the models, click Cancel after ``wait`` seconds, and return the times in ms."""
    window = workbench.window
    moments: list[tuple[float, State]] = []
    put = workbench.session._listener
    workbench.session._listener = lambda event: (
        moments.append((time.perf_counter(), event.state))
        if isinstance(event, StateChanged) else None, put(event))[1]
    window.models.load()
    await until(lambda: window.state is State.LOADING)
    await asyncio.sleep(wait)
    moments.clear()
    began = time.perf_counter()
    QTest.mouseClick(window.models.cancel_button, Qt.MouseButton.LeftButton)
    shown = time.perf_counter()
    await until(lambda: window.state is not State.LOADING)
    workbench.session._listener = put
    done = moments[0][0] if moments else began
    return 1000 * (shown - began), 1000 * (done - began), 1000 * (done - began)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    settings = {"num_cycles": 1000, "batch_size": options.batch, "checkpoint_every": 0}
    times: Times = defaultdict(list)
    steps: dict[str, list[float]] = defaultdict(list)

    async def scenario(workbench: Workbench) -> None:
        window = workbench.window
        window.resize(1600, 1000)
        await until(lambda: window.state is State.READY, 300)
        moments = Moments(workbench)
        for turn in range(options.rounds):
            share = (turn + 0.5) / options.rounds
            for phase in Phase:
                times[phase.value].append(
                    await stopped(workbench, moments, phase.name, share, settings))
                for known in Phase:
                    steps[known.value] += moments.steps(known)
            times["a checkpoint is written"].append(await stopped(
                workbench, moments, "a checkpoint", 0, settings | {"checkpoint_every": 1}))
            times["models are loaded"].append(await cancelled(workbench, 0.02 * turn))
            await until(lambda: window.state is not State.LOADING)

    with tempfile.TemporaryDirectory() as home:
        play(QApplication.instance() or QApplication([]), Path(home), scenario)
    print(f"{'Stop while':44} {'Stopping shown':>20} {'ended':>16} {'Finished':>16}   ms, "
          "median (longest)")
    for where, found in times.items():
        columns = [f"{statistics.median(c):.1f} ({max(c):.1f})" for c in zip(*found, strict=True)]
        print(f"{where:44} {columns[0]:>20} {columns[1]:>16} {columns[2]:>16}")
    for phase, found in steps.items():
        if found:
            print(f"one step of: {phase:40} {1000 * statistics.median(found):7.1f} ms, "
                  f"longest {1000 * max(found):.1f}")


if __name__ == "__main__":
    main()
