"""What each view costs the window's thread: ``python tests/benchmarks/views.py [HOME] [NAME ...]``.

On a run of 500 cycles with 64 completions of 256 tokens and 64 compared prompts
(``tests/tools/large_store.py``; HOME is filled with it when it has no database). The real window,
offscreen: every view of the run is stepped through cycles while it is in front, and painted; then
what is moved by hand within a view. Processor time of the window's thread in milliseconds, so that
a busy machine does not count: of a whole step with all it leads to, of the longest turn of the
event loop in it (what a frame waits for), and of painting the view once.
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
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from helpers import pointer
from helpers.window import Opened, ready
from PySide6.QtCore import QEventLoop, QPointF
from PySide6.QtWidgets import QApplication, QWidget
from tools.large_store import make

from workbench.algorithms import default_algorithm
from workbench.gui.chances.reading import Whole
from workbench.gui.main_window import MainWindow
from workbench.gui.widgets.theme import themes
from workbench.records import Branch, Continuation, Crossroads, Distribution
from workbench.store.schema import FILE_NAME
from workbench.store.store import Store

CYCLES, PROMPTS, TOKENS = 500, 64, 256
VOCABULARY = 150_000
_REST_S = 0.15  # longer than any view waits before it reads
STEPPED = ("metrics", "completions", "tokens", "objective", "distributions", "chances", "paths",
           "guide", "runs")


def rest() -> float:
    """Let the window work until its timers have fired; return its longest turn, in ms."""
    end, longest = time.monotonic() + _REST_S, 0.0
    while time.monotonic() < end:
        began = time.thread_time()
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents)
        longest = max(longest, time.thread_time() - began)
        time.sleep(0.001)
    return 1e3 * longest


def median(numbers: list[float]) -> str:
    """Return the median and, in brackets, the number that one in twenty exceeds."""
    ordered = sorted(numbers)
    return f"{statistics.median(ordered):5.1f} ({ordered[int(0.95 * (len(ordered) - 1))]:5.1f})"


def measure(name: str, steps: Iterator[Callable[[], object]], view: QWidget) -> None:
    """Take ``steps``, and print what they cost."""
    taken, turns, painted = [], [], []
    idle = statistics.median(_cost(lambda: None)[0] for _ in range(5))
    for step in steps:
        cost, turn = _cost(step)
        taken.append(cost - idle)
        turns.append(turn)
        began = time.thread_time()
        view.repaint()
        painted.append(1e3 * (time.thread_time() - began))
    print(f"{name:<34} step {median(taken)}   longest turn {median(turns)}   "
          f"paint {median(painted)}", flush=True)


def open_view(window: MainWindow, name: str) -> QWidget:
    """Bring a view to the front and wait until it has read."""
    window.reveal(name)
    for _ in range(5):
        rest()
    return window.docks[name].widget()


def _cost(work: Callable[[], object]) -> tuple[float, float]:
    began = time.thread_time()
    work()
    worked = 1e3 * (time.thread_time() - began)
    longest = rest()
    return 1e3 * (time.thread_time() - began), max(worked, longest)


def tree(nodes: int, run_id: int, cycle: int, at: int = 3) -> Crossroads:
    """Return a crossroads whose tree has about ``nodes`` nodes."""
    numbers = np.random.default_rng(0)
    branches = []
    for token in range(12):
        found = []
        for _ in range(nodes // 18):
            made = tuple(int(i) for i in numbers.integers(2, size=12))
            found.append(Continuation(
                made, tuple(f" {i}" for i in made), float(numbers.standard_normal()), True))
        branches.append(Branch(token, f" token{token}", 0.08, 0.05, 0.4, tuple(found)))
    return Crossroads(run_id, cycle, 0, at, "Policy", 0, 0.3, 2, tuple(branches))


def drive(home: Path, wanted: list[str], steps: int) -> None:
    """Open the window on ``home`` and go through everything."""
    app = QApplication.instance() or QApplication([])
    themes().install()
    store = Store(home)
    run_id = store.runs()[0].id
    opened = Opened(store)
    ready(opened)
    window = opened.window
    window.resize(1600, 1000)
    window.show()
    opened.controller.show_run(run_id)
    window.dock_layout.reset()
    for _ in range(10):
        rest()
    for name in STEPPED:
        if wanted and name not in wanted:
            continue
        view = open_view(window, name)
        if name == "completions":
            measure("completions: a step of the table",
                    ((lambda: window.completions.step(-1)) for _ in range(steps)), view)
        # As the cycle chosen in Metrics, which all views follow.
        measure(f"{name}: another cycle",
                (lambda cycle=c: window.metrics.cycle_chosen.emit(cycle)
                 for c in range(CYCLES - 1, CYCLES - 1 - steps, -1)), view)
    within(opened, store, run_id, wanted, steps)
    opened.close()
    store.close()
    app.processEvents()


def within(
    opened: Opened, store: Store, run_id: int, wanted: list[str], steps: int
) -> None:
    """Move by hand what can be moved within a view."""
    window = opened.window
    window.metrics.cycle_chosen.emit(CYCLES)
    if not wanted or "tokens" in wanted:
        open_view(window, "tokens")
        tokens = window.tokens
        measure("tokens: another token", (lambda i=i: tokens._choose_step(i)
                                          for i in range(10, 10 + steps)), tokens)
        rows = len(tokens.list.findChildren(QWidget)) and tokens.list.model().rowCount()
        measure("tokens: another completion", (
            lambda i=i: tokens.list.setCurrentIndex(tokens.list.model().index(i % rows, 0))
            for i in range(1, 1 + steps)), tokens)
        line = tokens.line
        measure("tokens: the pointer on the line", (
            lambda i=i: pointer.move(line, QPointF(60 + 9 * i, line.height() / 2))
            for i in range(steps)), line)
    if not wanted or "objective" in wanted:
        open_view(window, "objective")
        picture = window.objective.picture
        count = 0 if picture is None or picture.tokens is None else len(picture.tokens.ratio)
        measure(f"objective: the edge, {count:,} tokens",
                (lambda i=i: window.objective.edge.drag_to(1.1 + 0.01 * i)
                 for i in range(steps)), window.objective)
    if not wanted or "chances" in wanted:
        open_view(window, "chances")
        _chances(window, run_id, steps)
    if not wanted or "paths" in wanted:
        for at in (3, 9, 14):
            store.record_crossroads(tree(100, run_id, CYCLES, at)).result()
        open_view(window, "paths")
        window.paths.show_place(run_id, CYCLES, 0, 9)
        rest()
        drawn = window.paths.tree
        nodes = sum(1 for _ in drawn.root.walk()) if drawn.root else 0
        leaves = drawn.root.leaves() if drawn.root else []
        measure(f"paths: the pointer, {nodes} nodes", (
            lambda i=i: pointer.move(drawn, drawn.place(leaves[i % len(leaves)]))
            for i in range(steps)), drawn)


def _chances(window: MainWindow, run_id: int, steps: int) -> None:
    view = window.chances
    numbers = np.random.default_rng(0)
    logits = [numbers.standard_normal(VOCABULARY).astype("f4") * 3 for _ in range(2)]
    logprobs = [z - np.log(np.exp(z, dtype=float).sum()).astype("f4") for z in logits]
    pieces = {int(i): f" t{i}" for i in np.argsort(-logprobs[0])[:20]} | {7: " seven"}
    view._found = Whole(Distribution(run_id, CYCLES, 0, 3, "Policy", 7, *logprobs, pieces),
                        default_algorithm().entropy, view._settings, CYCLES)
    view._show()
    rest()
    measure(f"chances: temperature, {VOCABULARY:,} tokens",
            (lambda i=i: view.slider.setValue(60 + 3 * i) for i in range(steps)), view)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path, nargs="?")
    parser.add_argument("names", nargs="*", help="views; all of them without")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--profile", action="store_true", help="say where the time went")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder)
        if not (home / FILE_NAME).exists():
            home.mkdir(parents=True, exist_ok=True)
            make(home, runs=5, long=CYCLES, compared=PROMPTS, tokens=TOKENS)
        profile = cProfile.Profile()
        if options.profile:
            profile.enable()
        drive(home, options.names, options.steps)
        if options.profile:
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
