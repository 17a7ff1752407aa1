"""What the headless commands say of a run, line by line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

from workbench.algorithm import Figure
from workbench.algorithms import find_metric, find_rule
from workbench.formatting import format_speed
from workbench.health import NOT_FINITE
from workbench.learning.metrics import KL, SCORES, SECONDS, SPEED
from workbench.records import BestOf
from workbench.store.store import Store
from workbench.terminal import tell
from workbench.training import events as ev


def best_of_lines(found: BestOf, as_json: bool) -> Iterator[str]:
    """Yield a line for the best of each number of samples."""
    reward, kl = find_metric(SCORES), find_metric(KL)
    for n, (worth, far) in enumerate(zip(found.rewards, found.kl, strict=True), start=1):
        yield json.dumps({"n": n, "reward": worth, "kl": far}) if as_json else (
            f"n {n:>2}  reward {reward.text(worth)}  KL {kl.in_full(far)}".replace("−", "-"))


def way_on(store: Store, run_id: int, settings: str) -> str:
    """Say how a run that did not come to its end goes on."""
    command = f"ppo-workbench resume {run_id}{settings}"
    if not store.is_there():
        return (f"The run cannot be resumed while its database is not at {store.path}; if you have "
                f"moved it, put it back there, then go on with: {command}")
    kept = store.checkpoints
    start = "" if kept.all(run_id) or kept.why_unreadable(run_id) else (
        " (no checkpoint was written: it begins from the start)")
    return f"Go on with: {command}{start}"


def begun_in_words(event: ev.RunResumed) -> str:
    """Say where a run that goes on does so."""
    where = f"after cycle {event.cycle}" if event.cycle else "from its beginning"
    if event.parent:
        number = f" (run {event.run_id})" if event.name != f"Run {event.run_id}" else ""
        return f"{event.name}{number} is a fork of {event.parent} {where}. {event.note}".rstrip()
    kept = "" if event.abandoned is None else (
        f" What it did later is kept as run {event.abandoned}.")
    return f"{event.name} goes on {where}.{kept} {event.note}".rstrip()


def tell_health(checked: ev.HealthChecked, said: frozenset[str]) -> frozenset[str]:
    """Print what has gone wrong since the last cycle; return all that is wrong."""
    for finding in checked.findings:
        if finding.rule not in said and finding.rule != NOT_FINITE:  # the run's failure says that
            rule = find_rule(finding.rule)
            title, advice = (rule.title, rule.advice) if rule else (finding.rule, "")
            tell(f"cycle {checked.cycle}: {title}. {finding.sentence} {advice}".rstrip())
    if checked.pauses_for:
        tell(f"Stopping, as told for: {checked.pauses_for}.")
    return frozenset(finding.rule for finding in checked.findings)


def cycle_line(event: ev.CycleFinished, figures: Sequence[Figure]) -> str:
    """Return what a cycle came to, in a line."""
    m = event.metrics
    shown = [f"{f.label} {find_metric(f.metric).in_full(m[f.metric])}".replace("−", "-")
             for f in figures if f.metric in m]
    return "  ".join([
        f"cycle {event.cycle:>{len(str(event.num_cycles))}}/{event.num_cycles}", *shown,
        format_speed(m[SPEED]), f"{m[SECONDS]:.2f} s"])


def json_line(event: ev.CycleFinished) -> str:
    """Return all numbers of a cycle, as JSON."""
    numbers = {k: v if math.isfinite(v) else None for k, v in event.metrics.items()}
    return json.dumps({"cycle": event.cycle, **numbers})
