"""What the open window costs a cycle, and how late it answers:
``python tests/benchmarks/window.py``.

Headless, window, headless, window, ... in turn, each a run of its own with as many threads of
torch as the window leaves it. In the window the plots and completions are drawn, and a timer that
should beat every 20 ms writes down how late it does. No display is needed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))
BEAT = 0.02


def headless(home: Path, policy: str, settings: dict[str, int]) -> list[float]:
    """Return the seconds of every cycle, with a core left free as in the window."""
    from queue import SimpleQueue

    from workbench.assets import BUNDLED_REWARD, DEFAULT_PROMPTS
    from workbench.ppo.hyperparameters import parse
    from workbench.store.prompt_files import read_prompts
    from workbench.store.store import Store
    from workbench.training import commands as do
    from workbench.training import events as ev
    from workbench.training.session import Session

    store, events = Store(home), SimpleQueue()
    session = Session(store, events.put, spare_threads=1)
    session.send(do.LoadModels(policy, str(BUNDLED_REWARD)))
    prompts = tuple(do.PromptItem(p.text) for p in read_prompts(DEFAULT_PROMPTS).prompts)
    seconds: list[float] = []
    while True:
        match events.get():
            case ev.ModelsLoaded():
                session.send(do.Start(parse(settings), prompts))
            case ev.CycleFinished(metrics=metrics):
                seconds.append(metrics["seconds"])
            case ev.RunFinished():
                break
    session.close()
    store.close()
    return seconds


def in_the_window(
    home: Path, policy: str, settings: dict[str, int]
) -> tuple[list[float], list[float]]:
    """Return the seconds of every cycle, and how late each beat came, in seconds."""
    from helpers.play import play, until
    from PySide6.QtCore import Qt, QTimer
    from PySide6.QtWidgets import QApplication

    from workbench.assets import BUNDLED_POLICY
    from workbench.training.events import State

    late: list[float] = []
    seconds: list[float] = []

    async def scenario(workbench: object) -> None:
        window = workbench.window
        window.resize(1600, 1000)
        await until(lambda: window.state is State.READY, 120)
        if policy != str(BUNDLED_POLICY):
            window.models.policy.set_source(policy)
            window.models.load()
            await until(lambda: window.state is not State.READY, 10)
            await until(lambda: window.state is State.READY, 120)
        await asyncio.sleep(1)
        window.hyperparameters.form.set_values(settings, "benchmark")
        window.actions_["start"].trigger()
        await until(lambda: window.state is State.RUNNING, 60)
        due = [time.perf_counter() + BEAT]

        def beat() -> None:
            now = time.perf_counter()
            late.append(max(0.0, now - due[0]))
            due[0] = now + BEAT

        timer = QTimer(window, interval=int(1000 * BEAT))
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(beat)
        timer.start()
        await until(lambda: window.state is State.FINISHED, 3600)
        timer.stop()
        run = window.runs.newest
        seconds.extend(workbench.store.metrics(run.id)["seconds"].values)

    play(QApplication.instance() or QApplication([]), home, scenario)
    return seconds, late


def main() -> None:
    """Measure and print."""
    from workbench.assets import BUNDLED_POLICY
    from workbench.memory_allocator import keep_freed_memory

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", default=str(BUNDLED_POLICY), help="a model's folder")
    parser.add_argument("--cycles", type=int, default=12)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    keep_freed_memory()
    settings = {"num_cycles": options.cycles, "batch_size": options.batch}
    ratios, late = [], []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as home:
            alone = headless(Path(home), options.policy, settings)
        with tempfile.TemporaryDirectory() as home:
            watched, beats = in_the_window(Path(home), options.policy, settings)
        # The first cycle warms up.
        ratios.append(statistics.median(watched[1:]) / statistics.median(alone[1:]))
        late += beats
        print(f"cycle headless {statistics.median(alone[1:]):.3f} s, "
              f"in the window {statistics.median(watched[1:]):.3f} s", flush=True)
    late.sort()
    print(f"{options.rounds} rounds of {options.cycles} cycles, one of torch's threads spared: the "
          f"window's cycle takes {statistics.median(ratios):.3f} of the headless one "
          f"({min(ratios):.3f} to {max(ratios):.3f}); lateness of {len(late):,} beats: median "
          f"{1e3 * late[len(late) // 2]:.1f} ms, p95 {1e3 * late[int(0.95 * len(late))]:.1f} ms, "
          f"longest {1e3 * late[-1]:.0f} ms.")


if __name__ == "__main__":
    main()
