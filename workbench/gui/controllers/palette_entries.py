"""Where one can go in the window: settings, plots, runs, prompts and cycles, for the palette."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from workbench import algorithms
from workbench.gui.command_palette import Entry
from workbench.gui.widgets.plain_text import plain_tip

if TYPE_CHECKING:
    from workbench.gui.main_window import MainWindow
    from workbench.store.store import Store

_LONGEST = 200  # characters of a prompt that are searched and shown


def palette_entries(
    window: MainWindow, store: Store, shown: int | None,
    show_run: Callable[[int | None], None],
) -> Iterator[Entry]:
    """Yield every place. ``shown`` is the run on display, ``show_run`` puts one there."""
    settings = window.hyperparameters
    if algorithms.are_several():
        yield Entry("Algorithm", "Setting", plain_tip(settings.algorithm.help),
                    partial(_algorithm, window),
                    also=" ".join(f"{a.title} {a.help}" for a in algorithms.ALGORITHMS), place=True)
    for name, spec in settings.algorithm.settings.specs().items():
        yield Entry(spec.label, "Setting", plain_tip(spec.help), partial(_setting, window, name),
                    also=f"{name} {spec.group} {spec.help}", place=True)
    for metric in window.metrics.algorithm.metrics:
        yield Entry(metric.label, "Plot", plain_tip(metric.help),
                    partial(_plot, window, metric.name),
                    also=f"{metric.name} {metric.help}", place=True)
    for run in window.runs.model.runs:
        yield Entry(run.name, "Run", "Show this run", partial(_run, window, show_run, run.id),
                    place=True)
    for row, prompt in enumerate(window.prompts.rows()):
        text = prompt.text[:_LONGEST].replace("\n", " ").strip()
        if text:
            yield Entry(text, "Prompt", "Go to this prompt", partial(_prompt, window, row),
                        place=True)
    cycles = [] if shown is None else store.compared_cycles(shown)
    for before, cycle in pairwise(cycles):
        yield Entry(f"Cycle {cycle}", "Completions", "Compare the completions after this cycle "
                    "with those before it", partial(_cycle, window, before, cycle), place=True)


def missing_cycle(store: Store, shown: int | None, typed: str) -> str:
    """Return why a cycle that is named, as in "cycle 5", is no place; "" for anything else."""
    named = re.fullmatch(r"cycle\s+([\d,]+)", typed)
    if not named:
        return ""
    run = None if shown is None else store.run(shown)
    if run is None:
        return "There is no run on display, so there is no cycle to go to."
    cycle = int(named[1].replace(",", "") or 0)
    if 0 < cycle <= run.cycles:
        return f"{run.name} has no compared completions after cycle {cycle:,}."
    return f"{run.name} has {run.cycles:,} cycle{'' if run.cycles == 1 else 's'}."


def _algorithm(window: MainWindow) -> None:
    window.reveal("hyperparameters")
    window.hyperparameters.algorithm_field.setFocus()


def _setting(window: MainWindow, name: str) -> None:
    window.reveal("hyperparameters")
    window.hyperparameters.go_to(name)


def _plot(window: MainWindow, name: str) -> None:
    # It brings numpy, which the first paint does not wait for.
    from workbench.gui.metrics.controls import MOST_PLOTS

    shown = window.metrics.plots()
    if name not in shown:
        window.metrics.choose_plots([*shown[: MOST_PLOTS - 1], name])
    window.reveal("metrics")


def _run(window: MainWindow, show_run: Callable[[int | None], None], run_id: int) -> None:
    show_run(run_id)
    window.reveal("runs")


def _prompt(window: MainWindow, row: int) -> None:
    window.reveal("prompts")
    window.prompts.go_to(row)


def _cycle(window: MainWindow, before: int, cycle: int) -> None:
    window.reveal("completions")
    window.completions.choose(before, cycle)
