"""What a finished cycle and a scrubbing step cost the window's thread where the store is large:
``python tests/benchmarks/large_store.py [HOME]``.

On 300 runs and one of 5,000 cycles (``tests/tools/large_store.py``; HOME is filled with them when
it has no database). The real window, offscreen, with the long run on display is told of further
cycles as the bridge tells it, and draws until nothing is left to do; then both compared cycles are
moved back one at a time. Processor time of the window's thread, so that a busy machine does not
count. Then its memory while cycles go on, and a working set with a prompt of a megabyte.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.window import Opened
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication
from tools.large_store import make

from workbench.gui.widgets.theme import themes
from workbench.store.records import Prompt, PromptSet
from workbench.store.schema import FILE_NAME
from workbench.store.store import Store
from workbench.training import events as ev

_REST_MS = 120  # longer than any view waits before it reads
_KEPT = 10


def rest() -> None:
    """Let the window work until its timers have fired."""
    loop = QEventLoop()
    QTimer.singleShot(_REST_MS, loop.quit)
    loop.exec()


def processor_time(work: Callable[[], object]) -> float:
    """Return the milliseconds of this thread that ``work`` and what it leads to take."""
    began = time.thread_time()
    work()
    rest()
    return 1e3 * (time.thread_time() - began)


def idle() -> float:
    """Return what resting takes by itself."""
    return statistics.median(processor_time(lambda: None) for _ in range(10))


def cycles(store: Store, window: Opened, run_id: int, count: int) -> list[float]:
    """Let ``count`` more cycles end, each like the last, and return what each cost."""
    run = store.run(run_id)
    assert run is not None
    last = run.cycles
    metrics = store.cycle_metrics(run_id, last - 1)[last]
    rollout, comparison = (store.completions(run_id, last, "rollout"),
                           store.completions(run_id, last))
    traces, taken = store.traces(run_id, last), []
    for cycle in range(last + 1, last + 1 + count):
        store.record_cycle(run_id, cycle, metrics=metrics, rollout=rollout, comparison=comparison,
                           traces=traces, keep_traces=_KEPT).result()
        events = [ev.ComparisonReady(run_id, cycle),
                  ev.CycleFinished(run_id, cycle, cycle + 100, metrics)]
        taken.append(processor_time(lambda events=events: window.controller.handle(events)))
    return taken


def memory() -> float:
    """Return this process's megabytes (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def tell(what: str, taken: list[float], base: float) -> None:
    """Print a line of the result."""
    taken = sorted(t - base for t in taken)
    print(f"{what}: median {statistics.median(taken):.1f} ms, p95 "
          f"{taken[int(0.95 * len(taken))]:.1f} ms, longest {taken[-1]:.1f} ms", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path, nargs="?")
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--long", type=int, default=0, help="cycles over which memory is watched")
    parser.add_argument("--profile", action="store_true", help="say where the time went")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder)
        if not (home / FILE_NAME).exists():
            make(home)
        measure(home, options)


def measure(home: Path, options: argparse.Namespace) -> None:
    """Open the window on ``home`` and go through everything."""
    app = QApplication.instance() or QApplication([])
    themes().install()
    store = Store(home)
    run_id = store.runs()[0].id
    window = Opened(store)
    window.window.resize(1600, 1000)
    window.window.show()
    window.controller.show_run(run_id)
    for _ in range(30):
        rest()
    window.window.dock_layout.reset()  # for this size, not for the screen's
    view = window.window.completions
    view.follow("latest")  # as while it runs
    window.window.reveal("completions")
    profile = cProfile.Profile()
    if options.profile:
        profile.enable()
    base = idle()
    tell("a finished cycle, Completions in front",
         cycles(store, window, run_id, options.cycles), base)
    window.window.reveal("tokens")
    rest()
    tell("a finished cycle, Tokens in front",
         cycles(store, window, run_id, options.cycles), base)
    window.window.reveal("trying")
    window.window.reveal("runs")
    rest()
    tell("a finished cycle, Try and Runs in front",
         cycles(store, window, run_id, options.cycles), base)
    window.window.reveal("completions")
    rest()
    tell("a scrubbing step", [processor_time(lambda: view.step(-1))
                              for _ in range(options.steps)], base)
    if options.profile:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    if options.long:
        view.follow("latest")
        cycles(store, window, run_id, 50)
        before = memory()
        cycles(store, window, run_id, options.long)
        print(f"memory over {options.long} cycles: {before:.0f} -> {memory():.0f} MB")
    window.close()
    megabyte(store)
    store.close()
    app.processEvents()


def megabyte(store: Store) -> None:
    """Open the prompts with one of a megabyte among them, and ask for its tooltip."""
    from PySide6.QtCore import Qt

    from workbench.gui.prompts.library import WORKING_SET
    from workbench.gui.prompts.view import PromptsView

    kept = store.prompt_set(WORKING_SET)
    long = Prompt("so much to read " * 62_500)
    others = (Prompt(f"prompt {i}") for i in range(50))
    store.save_prompt_set(PromptSet(WORKING_SET, (long, *others))).result()
    views: list[PromptsView] = []

    def show() -> None:
        views.append(PromptsView(store))
        views[0].resize(320, 400)
        views[0].show()

    opened = processor_time(show)
    table = views[0].table
    index = table.model().index(0, 2)
    tip = processor_time(lambda: index.data(Qt.ItemDataRole.ToolTipRole))
    drawn = processor_time(table.viewport().repaint)
    print(f"a prompt of {len(long.text):,} characters: opened in {opened:.1f} ms, drawn in "
          f"{drawn:.1f} ms, tooltip in {tip:.1f} ms")
    views[0].close()
    store.save_prompt_set(kept or PromptSet(WORKING_SET, ())).result()


if __name__ == "__main__":
    main()
