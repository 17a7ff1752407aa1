"""The health of runs of the store."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from workbench.algorithms import find_algorithm, read_settings
from workbench.health import Reading, read
from workbench.settings import HyperparameterError, Settings

if TYPE_CHECKING:
    from workbench.store.records import RunRecord
    from workbench.store.store import Store


def read_run(store: Store, run: RunRecord) -> dict[str, Reading]:
    """Return where every rule stands after the last cycle of a run of the store."""
    algorithm = find_algorithm(run.algorithm)
    series = store.metrics(run.id, algorithm.watched)
    return read(algorithm.rules, {name: found.values for name, found in series.items()},
                last_settings(store, run))


def last_settings(store: Store, run: RunRecord) -> Settings:
    """Return what the last cycle of a run used; the defaults where another version wrote it."""
    try:
        return read_settings(run.algorithm, store.settings_after(run.id, sys.maxsize))
    except HyperparameterError:
        return find_algorithm(run.algorithm).settings()
