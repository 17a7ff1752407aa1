"""The health of the run that is on, and of runs of the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from workbench.algorithms import algorithm_of_run
from workbench.health import NOT_FINITE, Finding, Reading, read
from workbench.settings import HyperparameterError, Settings
from workbench.store.records import HealthRecord
from workbench.training.events import HealthChecked

if TYPE_CHECKING:
    from workbench.models.control import NotFiniteError
    from workbench.store.records import RunRecord
    from workbench.store.store import Store
    from workbench.training.run import Run


def read_run(store: Store, run: RunRecord) -> dict[str, Reading]:
    """Return where every rule stands after the last cycle of a run of the store."""
    algorithm = algorithm_of_run(run)
    series = store.metrics(run.id, algorithm.watched)
    return read(algorithm.rules, {name: found.values for name, found in series.items()},
                last_settings(store, run))


def last_settings(store: Store, run: RunRecord) -> Settings:
    """Return what the last cycle of a run used; the defaults where another version wrote it."""
    settings, used = algorithm_of_run(run).settings, store.settings_after(
        run.id, run.cycles)
    try:
        return settings.parse(settings.renamed(used))
    except HyperparameterError:
        return settings()


def check(run: Run, cycle: int, metrics: Mapping[str, float]) -> HealthChecked:
    """Judge a run after its next cycle, which had ``metrics``."""
    found = run.health.check(metrics, run.hp)
    return HealthChecked(run.id, cycle, tuple(found), run.health.pause_for(found, run.hp))


def not_finite(store: Store, run: Run, error: NotFiniteError) -> HealthChecked:
    """Record, as far as the disk takes it, and return what is to be told of a cycle that could not
    be finished."""
    finding = Finding(NOT_FINITE, "serious", str(error))
    checked = HealthChecked(run.id, run.cycle + 1, (finding,))
    store.record_health(run.id, health_records(checked)).exception()
    return checked


def health_records(checked: HealthChecked) -> list[HealthRecord]:
    """Return the rows that keep what was found."""
    return [HealthRecord(checked.cycle, f.rule, f.severity, f.sentence) for f in checked.findings]
