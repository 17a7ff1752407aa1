"""``ppo-workbench runs`` and ``show``: what the store knows, on a terminal."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from workbench.algorithms import (
    algorithm_of_run,
    are_several,
    find_metric,
    headline_title,
    headlines,
    headlines_by_run,
    way_of_run,
)
from workbench.exit_status import UNUSABLE
from workbench.formatting import count_cycles, format_value
from workbench.learning.metrics import COMPARED, learned_first
from workbench.store.home import StoreError, find_home
from workbench.store.records import RunRecord, Series
from workbench.store.store import Store
from workbench.training.health import read_run
from workbench.training.reward_parts import READS, Reads

_COMPLETIONS = 3
_UNWRAPPED = 1_000_000  # characters


def list_runs(options: argparse.Namespace) -> int:
    """Print a line for every run of the store, forks below the run they came from."""
    store = _open(options)
    if store is None:
        return UNUSABLE
    table = Table(box=None, pad_edge=False)
    console = console_of_lines()
    runs, lengths = store.runs(), store.lengths()
    rewards = store.metric_spans(headlines(runs), compared=COMPARED)
    headline = headlines_by_run(runs)
    several = len({way_of_run(run) for run in runs}) > 1
    for heading in ("run", "name", *(["algorithm"] if several else []), "from", "begun (UTC)",
                    "status", "cycles", headline_title(runs).lower(), "saved"):
        table.add_column(heading, justify="right" if heading in ("run", "cycles") else "left",
                         no_wrap=heading not in ("name", "saved"), overflow="fold")
    for run, depth in _in_tree_order(runs):
        table.add_row(
            str(run.id), "  " * (depth - 1) + "└ " * (depth > 0) + run.name,
            *([way_of_run(run)] if several else []),
            f"{run.parent} at {run.parent_cycle}" if run.parent else "",
            _minute(run.created_at)[5:], run.status,
            f"{run.cycles}/{lengths.get(run.id) or run.hyperparameters.get('num_cycles', '?')}",
            " to ".join(find_metric(headline[run.id]).text(value).replace("−", "-")
                        for value in rewards.get(run.id, ())),
            ", ".join(map(str, store.checkpoints.cycles(run.id))))
    store.close()
    console.print(table)
    return 0


def show_run(options: argparse.Namespace) -> int:
    """Print what decided a run, where it comes from and how it went."""
    store = _open(options)
    if store is None:
        return UNUSABLE
    run = store.run(options.run)
    if run is None:
        print(f"ppo-workbench: There is no run {options.run}; `ppo-workbench runs` lists them.",
              file=sys.stderr)
        store.close()
        return UNUSABLE
    console = console_of_lines()
    by = [f"({algorithm_of_run(run).title})"] if are_several(algorithm_of_run(run)) else []
    console.print(Text(run.name, "bold"), *by, f"{run.status} after {count_cycles(run.cycles)},",
                  f"begun {_minute(run.created_at)} UTC")
    if run.note:
        console.print(run.note)
    for title, body in (
        ("Tree", _tree(store.runs(), run)), ("Models", _models(run)),
        ("Settings that are not the default", _settings(run)),
        ("Changes", _changes(store, run)), ("Checkpoints", _checkpoints(store, run)),
        *_metrics(store, run),
        ("Health", _health(store, run)),
        ("Completions", _completions(store, run)),
    ):
        console.print(Text(f"\n{title}", "bold"))
        console.print(body)
    store.close()
    return 0


def _open(options: argparse.Namespace) -> Store | None:
    try:
        return Store(find_home(options.home))
    except StoreError as error:
        print(f"ppo-workbench: {error}", file=sys.stderr)
        return None


def console_of_lines() -> Console:
    """Return where to print lines. What no terminal shows, a file or another program, is not
    wrapped."""
    wide = not (sys.stdout.isatty() or os.environ.get("COLUMNS"))
    return Console(highlight=False, markup=False, width=_UNWRAPPED if wide else None)


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")


def _in_tree_order(
    runs: Sequence[RunRecord], parent: int | None = None, depth: int = 0
) -> Iterator[tuple[RunRecord, int]]:
    known = {run.id for run in runs}
    for run in runs:
        if (run.parent if run.parent in known else None) == parent:
            yield run, depth
            yield from _in_tree_order(runs, run.id, depth + 1)


def _tree(runs: Sequence[RunRecord], run: RunRecord) -> Tree:
    """Return the tree that ``run`` is a part of."""
    by_id = {r.id: r for r in runs}
    root = run
    while root.parent in by_id:
        root = by_id[root.parent]

    def grow(tree: Tree, parent: RunRecord) -> Tree:
        for child in sorted((r for r in runs if r.parent == parent.id), key=lambda r: r.id):
            grow(tree.add(entry(child)), child)
        return tree

    def entry(r: RunRecord) -> Text:
        where = f", from cycle {r.parent_cycle}" if r.parent in by_id else ""
        return Text(f"{r.id}  {r.name}: {r.status} after {count_cycles(r.cycles)}{where}",
                    "bold" if r is by_id[run.id] else "")
    return grow(Tree(entry(root)), root)


def _models(run: RunRecord) -> Table:
    models: dict[str, Any] = dict(run.models)
    rows = []
    for kind, source, facts, more in (
        ("policy", run.policy, models.get("policy", {}), ""),
        *((f"reward × {p['weight']:g}", p["source"], p["facts"], _reading(p))
          for p in models.get("reward", ())),
    ):
        size = facts.get("parameters")
        rows.append((kind, source, str(facts.get("architecture", "")),
                     f"{size / 1e6:.1f} M" if size else "",
                     " on ".join(str(facts[k]) for k in ("dtype", "device") if facts.get(k)),
                     more))
    if run.data:
        rows.append(("learns from", str(run.data["what"]), str(run.data["summary"]), "", "", ""))
    return _rows(rows)


def _reading(part: Mapping[str, Any]) -> str:
    """Return how a part of the reward reads, where that was chosen."""
    reads: Reads = part.get("reads", "auto")
    said = [f"reads {READS[reads]}"] if reads != "auto" else []
    return ", ".join([*said, *(["end token"] if part.get("end_token") else [])])


def _settings(run: RunRecord) -> Table | str:
    rows = [(name, spec.label, format_value(spec, run.hyperparameters[name]),
             f"default {format_value(spec, spec.default)}")
            for name, spec in algorithm_of_run(run).settings.specs().items()
            if run.hyperparameters.get(name, spec.default) != spec.default]
    return _rows(rows) if rows else "none"


def _changes(store: Store, run: RunRecord) -> Table | str:
    specs = algorithm_of_run(run).settings.specs()
    rows = [(f"cycle {c.cycle}", c.name,
             f"{format_value(specs.get(c.name), c.old)} → "
             f"{format_value(specs.get(c.name), c.new)}", f"by {c.by}")
            for c in store.changes(run.id)]
    return _rows(rows) if rows else "none"


def _checkpoints(store: Store, run: RunRecord) -> Table | str:
    rows = [(f"cycle {c.cycle}", f"{c.bytes / 1e6:,.1f} MB", str(c.path))
            for c in store.checkpoints.all(run.id)]
    return _rows(rows) if rows else store.checkpoints.why_unreadable(run.id) or (
        "none; it can be forked or resumed from its start")


def _metrics(store: Store, run: RunRecord) -> Iterator[tuple[str, Table | str]]:
    """Yield title and numbers: of before the first cycle, where there are any, and of the last."""
    found: Mapping[str, Series] = store.metrics(run.id)
    parts = learned_first(found)

    def numbers(names: Sequence[str], cycle: int) -> list[tuple[str, str, str]]:
        last = {name: found[name].values[-1] for name in names
                if name in found and found[name].cycles[-1] == cycle}
        return [(name, find_metric(name).label, f"{value:.4g}")
                for name, value in last.items() if math.isfinite(value)]

    algorithm = algorithm_of_run(run)
    if before := numbers([metric.name for metric in algorithm.start_metrics], 0):
        yield "Before the first cycle", _rows(before)
    of_last = numbers([*(metric.name for metric in algorithm.metrics), *parts], run.cycles)
    yield f"Metrics of cycle {run.cycles}", _rows(of_last) if of_last else "none yet"


def _health(store: Store, run: RunRecord) -> Table | str:
    rows = []
    titles = {rule.name: rule.title for rule in algorithm_of_run(run).rules}
    for name, reading in read_run(store, run).items():
        state = "not known yet" if not reading.known else reading.severity or "well"
        value = reading.value if reading.known else ""
        shown = (value, f"limit {reading.limit}", reading.over if reading.known else "")
        rows.append((titles[name], state, *shown))
    if not titles:
        return "its algorithm has no health rules"
    return _rows(rows) if run.cycles else "not known yet"


def _completions(store: Store, run: RunRecord) -> Text | str:
    cycles = store.compared_cycles(run.id)
    if not cycles:
        return "none yet"
    text = Text(f"after cycle {cycles[-1]}, scores first\n")
    for completion in store.completions(run.id, cycles[-1])[:_COMPLETIONS]:
        text.append(f"{completion.score:+.2f}  ")
        text.append(completion.prompt_text, "bold")
        text.append(f"{completion.text}\n")
    return text


def _rows(rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in rows[0] if rows else ():
        table.add_column(overflow="fold")  # two paths may differ at their ends alone
    for row in rows:
        table.add_row(*map(Text, row))
    return table
