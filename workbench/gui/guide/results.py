"""What came of a run, read from the store. No Qt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workbench.algorithm import Algorithm
from workbench.algorithms import algorithm_of_run, find_metric, guide_of
from workbench.formatting import format_value
from workbench.gui.guide.beside import Beside, mean, read_beside
from workbench.guide import Experiment
from workbench.learning.metrics import KL
from workbench.settings import HyperparameterError, Value
from workbench.store.records import CompletionRecord, RunRecord
from workbench.store.store import Store

_CHANGED = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """A compared prompt's completion by the start policy and by that of the last cycle."""

    before: CompletionRecord
    after: CompletionRecord

    @property
    def gain(self) -> float:
        """By how much its reward rose."""
        return self.after.score - self.before.score


@dataclass(frozen=True, slots=True)
class Trial:
    """An experiment with a run: what changes, and where it cannot be done, why."""

    experiment: Experiment
    value: Value
    change: str
    """The setting with both values."""
    short: str
    """The setting with its new value, for the run's name."""
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """What a run gained on its compared prompts between ``cycles``, what that cost, and what can
    be tried next. ``before`` and ``after`` are mean scores, NaN where nothing was compared."""

    run_id: int
    name: str
    cycles: tuple[int, int]
    prompts: int = 0
    before: float = math.nan
    after: float = math.nan
    kl: float = math.nan
    """Of the last answers, on average, in nats."""
    cost: str = ""
    changed: Sequence[Answer] = ()
    """The answers that changed most by their reward, the most changed first."""
    trials: Sequence[Trial] = field(default=())
    made: str = ""
    """How well what the run made does, where that is no policy."""
    beside: Beside | None = None
    """How it came out beside the run it was forked from."""

    @property
    def gain(self) -> float:
        """By how much the mean score rose."""
        return self.after - self.before


def read_results(store: Store, run_id: int) -> Results | None:
    """Return what came of a run; None where there is none of this number."""
    run = store.run(run_id)
    if run is None:
        return None
    algorithm = algorithm_of_run(run)
    compared = store.compared_cycles(run_id)
    cycles = (compared[0], compared[-1]) if compared else (0, 0)
    start = dict(store.settings_after(run_id, 0))
    trials = trials_of(algorithm, start)
    if cycles[0] == cycles[1]:
        return Results(run_id, run.name, cycles, trials=trials)
    old = {c.position: c for c in store.completions(run_id, cycles[0])}
    answers = [Answer(old[c.position], c) for c in store.completions(run_id, cycles[1])
               if c.position in old]
    known = [a for a in answers if math.isfinite(a.gain)]
    metrics = store.cycle_metrics(run_id, run.cycles - 1).get(run.cycles, {})
    kl = mean(a.after.kl for a in answers)
    cost = guide_of(algorithm).cost(
        metrics | {KL: kl} if math.isfinite(kl) else {},
        store.settings_after(run_id, run.cycles))
    return Results(
        run_id, run.name, cycles, len(known), mean(a.before.score for a in known),
        mean(a.after.score for a in known), kl, cost,
        sorted(known, key=lambda a: -abs(a.gain))[:_CHANGED], trials,
        _made(store, run, algorithm), read_beside(store, run))


def _made(store: Store, run: RunRecord, algorithm: Algorithm) -> str:
    """Say how the number by which its runs are compared went, of what trains no policy."""
    metric = find_metric(algorithm.headline)
    span = store.metric_spans({run.algorithm: metric.name}, run.id).get(run.id)
    if algorithm.makes == "policy" or span is None:
        return ""
    counted = store.metrics(run.id, [metric.of]).get(metric.of) if metric.of else None
    many = f" of {counted.values[-1]:,.0f}" if counted and counted.values else ""
    return f"{metric.label}: {' → '.join(metric.text(value) for value in span)}{many}"


def trials_of(algorithm: Algorithm, settings: Mapping[str, Value]) -> list[Trial]:
    """Return the experiments with a run that began with ``settings``."""
    specs = algorithm.settings.specs()
    found = []
    for experiment in guide_of(algorithm).experiments:
        spec, now = specs[experiment.setting], settings.get(experiment.setting)
        value = experiment.value(settings)
        change = f"{spec.label} {format_value(spec, now)} → {format_value(spec, value)}"
        why_not = f"{spec.label} was {format_value(spec, value)} in this run." if (
            value == now) else ""
        try:
            algorithm.settings.parse(
                {**algorithm.settings.known(settings), experiment.setting: value})
        except HyperparameterError as error:
            why_not = str(error)
        short = f"{spec.label.partition(' (')[0]} {format_value(spec, value)}"
        found.append(Trial(experiment, value, change, short, why_not))
    return found
