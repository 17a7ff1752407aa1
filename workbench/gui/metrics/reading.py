"""What the store knows of a run's numbers. No Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from workbench.learning.metrics import COMPARED
from workbench.store.records import Series

if TYPE_CHECKING:
    from workbench.store.store import Store


def read_series(store: Store, run_id: int, names: Sequence[str] = ()) -> Mapping[str, Series]:
    """Return the metrics of a run: those of ``names``, or every one. Cycles of a version that did
    not record the reward on the compared prompts have it from their completions."""
    found = store.metrics(run_id, names)
    recorded = found.get(COMPARED, Series())
    if len(recorded.cycles) < max((len(s.cycles) for s in found.values()), default=0):
        known = store.compared_scores(run_id)
        values = dict(zip(known.cycles, known.values, strict=True)) | dict(
            zip(recorded.cycles, recorded.values, strict=True))
        if values:
            cycles = sorted(values)
            found[COMPARED] = Series(cycles, [values[c] for c in cycles])
    return found
