"""The health check of a run, cycle by cycle: from metrics to an event and to rows of the store."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.health import NOT_FINITE, Finding
from workbench.models.control import NotFiniteError
from workbench.store.records import HealthRecord
from workbench.store.store import Store
from workbench.training.events import HealthChecked
from workbench.training.run import Run


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
