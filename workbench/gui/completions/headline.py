"""The line above the table: how good the completions of all prompts are, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workbench.algorithms import find_metric
from workbench.gui.completions.completion_texts import change, coloured_change
from workbench.gui.completions.rows import Row, Shown
from workbench.gui.widgets.theme import themes
from workbench.learning.metrics import COMPARED
from workbench.store.records import ChangeRecord

_SAMPLING = {"temperature": "temperature", "response_length": "response length"}


def headline(shown: Shown, rows: Sequence[Row], changes: Sequence[ChangeRecord]) -> str:
    """Return it as HTML, for those ``rows`` of what is ``shown`` that fit the filter. ``changes``
    are those of the run's settings."""
    *before, last = replace(shown, rows=tuple(rows)).means
    compared, many = find_metric(COMPARED), f"{len(shown.rows):,}"
    if len(rows) < len(shown.rows):
        many = f"{len(rows):,} of {many}"
    title = f"{compared.label} of {many} prompt{'s' if len(shown.rows) != 1 else ''}"
    if not before:
        return f"{title} <b>{compared.text(last)}</b>"
    ends = [*map(compared.text, before), compared.text(last)]
    return (f"{title} {' → '.join(ends[:-1])} → <b>{ends[-1]}</b> "
            f"{coloured_change(change(ends[0], ends[-1]))} · "
            f"<span style='color:{themes().theme.muted}'>"
            f"{_shared(shown.cycles, changes)}</span>")


def _shared(cycles: Sequence[int], changes: Sequence[ChangeRecord]) -> str:
    """Say what all completions share; a live change of sampling between them counts."""
    first, last = min(cycles), max(cycles)
    changed = [_SAMPLING[c.name] for c in changes
               if c.name in _SAMPLING and first < c.cycle <= last and c.old != c.new]
    if changed:
        return f"same random numbers, but another {' and '.join(dict.fromkeys(changed))}"
    return "same random numbers and sampling"
