"""Metrics in words: tooltips, and labels within a sentence."""

from __future__ import annotations

import html
from collections.abc import Iterable

from workbench.algorithm import Metric
from workbench.algorithms import find_spec
from workbench.formatting import format_value
from workbench.gui.widgets.formula import formula_html
from workbench.store.records import ChangeRecord
from workbench.training.events import Change

_CYCLES = 4  # whose changes are told; the rest is in Compare settings


def describe(metric: Metric) -> str:
    """Return the tooltip of a metric: label, name, formula, help."""
    return (f"<b>{html.escape(metric.label)}</b> · <code>{html.escape(metric.name)}</code><br>"
            f"{formula_html(metric.formula)}<br>{html.escape(metric.help)}")


def headline(metric: Metric, value: float) -> tuple[str, str]:
    """Return how a number is shown, and what is to be said of it ("" where that is nothing)."""
    aside = metric.aside(value)
    return metric.text(value), aside and (
        f"It is {aside}: it is estimated from the completions drawn, and such an average can fall "
        "below 0; the distance itself cannot.")


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
