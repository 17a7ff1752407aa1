"""Metrics in words: tooltips, and labels within a sentence."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from workbench.algorithm import Metric
from workbench.algorithms import find_spec
from workbench.formatting import format_value, short_number
from workbench.store.records import ChangeRecord
from workbench.training.events import Change

_CYCLES = 4  # whose changes are told; the rest is in Compare settings
_ROUNDING = 1e-4  # of sums over a completion; a distance below it is that of a policy to itself


def describe(metric: Metric) -> str:
    """Return the tooltip of a metric: label, name, formula, help."""
    return (f"<b>{html.escape(metric.label)}</b> · <code>{html.escape(metric.name)}</code><br>"
            f"{html.escape(metric.formula)}<br>{html.escape(metric.help)}")


def headline(metric: Metric, value: float) -> tuple[str, str]:
    """Return how a number is shown where it stands alone, and why not as it is ("" where it is).

    A distance estimated from few completions may come out below zero, which a distance never is.
    """
    if abs(value) < rounding(metric):
        return "0", ""
    if metric.distance and value < 0:
        return "about 0", (
            f"Measured: {short_number(value)} {metric.unit}. It is estimated from the completions "
            "drawn, and by chance such an average can fall below 0; the distance itself cannot.")
    return short_number(value), ""


def readout(metric: Metric, values: Sequence[tuple[str, str, float]], near: str) -> str:
    """Return the value of each run, of which ``values`` has name, colour and value, as rich text;
    the one that is ``near`` is bold."""
    def entry(name: str, colour: str, value: float) -> str:
        text = f"{name} {headline(metric, value)[0]}".replace(" ", "\N{NO-BREAK SPACE}")
        shown = f"<span style='color:{colour}'>{html.escape(text)}</span>"
        return f"<b>{shown}</b>" if name == near else shown
    return " &nbsp; ".join(entry(*value) for value in values)


def rounding(metric: Metric) -> float:
    """Return below which size a metric's numbers are all rounding; 0 where none are."""
    return _ROUNDING if metric.distance else 0.0


def in_sentence(label: str) -> str:
    """Return a label as it stands within a sentence."""
    return label if label[1:2].isupper() else label[0].lower() + label[1:]


def change_text(change: Change | ChangeRecord) -> str:
    """Return a changed setting as "Learning rate 3e-4 → 1e-4"."""
    spec = find_spec(change.name)
    old, new = format_value(spec, change.old), format_value(spec, change.new)
    return f"{spec.label if spec else change.name} {old} → {new}"


def changes_by_cycle(changes: Iterable[ChangeRecord]) -> list[str]:
    """Return changed settings as "cycle 3: Learning rate 3e-4 → 1e-4", a text for each cycle."""
    made: dict[int, list[str]] = {}
    for change in changes:
        made.setdefault(change.cycle, []).append(change_text(change))
    told = [f"cycle {cycle:,}: {', '.join(made[cycle])}" for cycle in sorted(made)[:_CYCLES]]
    if (left_out := len(made) - _CYCLES) > 0:
        told.append(f"and changes at {left_out:,} more {'cycle' if left_out == 1 else 'cycles'}")
    return told
