"""Which runs are in the plots: what they are called, and what two of them have in common."""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from workbench.algorithms import algorithm_of_run
from workbench.gui.metrics.data import RunData
from workbench.gui.widgets.run_colours import stroke
from workbench.gui.widgets.theme import Theme
from workbench.store.records import RunRecord
from workbench.training.names import reward_of

_SHORT = 20  # letters of a name, where there is little room


def legend(run: RunData, others: Sequence[RunData], theme: Theme,
           names: Sequence[str] = (), *, brief: bool = False) -> str:
    """Return the names behind their strokes, as rich text; the run on display first and bold. A
    fork says where it came from and a run what else scores it, unless it is to be ``brief``, and a
    run whose curves of ``names``
    lie behind another's that it is the same."""
    def entry(r: RunData) -> str:
        short = r.name if len(r.name) <= _SHORT or not brief else f"{r.name[:_SHORT - 1]}…"
        name = html.escape(short).replace(" ", "&nbsp;")
        more = html.escape((_other(r) if brief else _origin(r)) + _same(r, [run, *others], names))
        return (f"{stroke(r.run_id, theme)}&nbsp;"
                + (f"<b>{name}</b>" if r is run else name) + more)
    return " &nbsp; ".join(entry(r) for r in (run, *others))


def in_words(run: RunData, others: Sequence[RunData], names: Sequence[str]) -> list[str]:
    """Return the same as a line for each run."""
    return [r.full_name + _same(r, [run, *others], names) for r in (run, *others)]


def _origin(run: RunData) -> str:
    return run.full_name[len(run.name):]


def _other(run: RunData) -> str:
    return " (another reward)" if run.reward else ""


def _same(run: RunData, runs: Sequence[RunData], names: Sequence[str]) -> str:
    over = hidden_by(run, runs, names)
    return f" (same as {over.name})" if over else ""


def hidden_by(run: RunData, runs: Sequence[RunData], names: Sequence[str]) -> RunData | None:
    """Return the run whose curves cover those of ``run`` everywhere, or None. The first of
    ``runs`` is drawn over all others, and each of those over the ones before it."""
    place = runs.index(run)
    covering = [*runs[:1], *runs[place + 1:]] if place else []
    return next((other for other in covering if names and _covers(other, run, names)), None)


def _covers(other: RunData, run: RunData, names: Sequence[str]) -> bool:
    for name in names:
        if name not in run.curves:
            continue
        under, over = run.curves[name], other.curves.get(name)
        drawn = slice(int(np.searchsorted(under.cycles, run.first)), len(under))
        if over is None or len(over) < len(under) or not (
                np.array_equal(under.cycles[drawn], over.cycles[drawn])
                and np.array_equal(under.values[drawn], over.values[drawn], equal_nan=True)):
            return False
    return any(name in run.curves for name in names)


def name_runs(runs: Sequence[RunData], records: Mapping[int, RunRecord]) -> None:
    """Give the runs their names, and let what two have in common be drawn once."""
    shown = {run.run_id for run in runs}
    first = records.get(runs[0].run_id) if runs else None
    for run in runs:
        record = records.get(run.run_id)
        if record is None:
            continue
        run.name = record.name
        parent = records.get(record.parent or 0)
        another = " with another reward" if record.reward_since else ""
        run.origin = (record.parent_cycle, f"Forked from {parent.name} after cycle "
                      f"{record.parent_cycle}{another}") if parent else None
        other = first is not None and _scores_differ(first, record)
        run.reward = reward_of(record) if other else ""
        run.first = shared_until(record, records, shown)


def _scores_differ(a: RunRecord, b: RunRecord) -> bool:
    return a.scored_by != b.scored_by and all(
        algorithm_of_run(run).makes == "policy" for run in (a, b))


def shared_until(
    run: RunRecord, records: Mapping[int, RunRecord], shown: Collection[int]
) -> int:
    """Return the last cycle that ``run`` has in common with one of those ``shown``, going back
    from fork to fork; 0 where there is none."""
    cycle, parent = run.parent_cycle, run.parent
    while parent is not None and parent in records:
        if parent in shown:
            return cycle
        cycle, parent = min(cycle, records[parent].parent_cycle), records[parent].parent
    return 0
