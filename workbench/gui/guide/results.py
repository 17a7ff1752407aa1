"""What came of a run, read from the store. No Qt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from workbench.algorithm import Algorithm
from workbench.algorithms import algorithm_named, algorithm_of_run, find_metric, guide_of
from workbench.formatting import format_value
from workbench.gui.guide.beside import Beside, mean, read_beside
from workbench.guide import Experiment
from workbench.learning.counts import of_many
from workbench.learning.metrics import KL
from workbench.records import ScoredData
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
    cycle: int = 0
    """After which cycle of the run it begins."""
    kept: Mapping[str, Value] = field(default_factory=dict)
    """What the run itself changed there, which stays changed."""

    @property
    def changes(self) -> dict[str, Value]:
        """What it changes where it begins."""
        return {**self.kept, self.experiment.setting: self.value}


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
    makes: str = "policy"
    """What the run makes. Scores of a reward model before and after have no common scale."""
    made: str = ""
    """How well what the run made does, where that is no policy."""
    reserve: str = ""
    """A sentence on why the gain says less than it seems; "" where it does not."""
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
    trials = read_trials(store, run)
    if cycles[0] == cycles[1]:
        return Results(run_id, run.name, cycles, trials=trials, makes=algorithm.makes,
                       made=_made(store, run, algorithm))
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
        sorted(known, key=lambda a: -abs(a.gain))[:_CHANGED], trials, algorithm.makes,
        _made(store, run, algorithm), _reserve(store, run, algorithm), read_beside(store, run))


def _made(store: Store, run: RunRecord, algorithm: Algorithm) -> str:
    """Say how the number by which its runs are compared went, of what trains no policy."""
    metric = find_metric(algorithm.headline)
    span = store.metric_spans({run.algorithm: metric.name}, run.id).get(run.id)
    if algorithm.makes == "policy" or span is None:
        return ""
    counted = store.metrics(run.id, [metric.of]).get(metric.of) if metric.of else None
    many = of_many(counted.values[-1], metric.of_noun) if counted and counted.values else ""
    return f"{metric.label}: {' → '.join(metric.text(value) for value in span)}{many}"


def read_trials(store: Store, run: RunRecord) -> list[Trial]:
    """Return the experiments with a run. They begin at its start, but where it was forked to learn
    in another way they begin there, as it did."""
    algorithm, start = algorithm_of_run(run), store.settings_after(run.id, 0)
    if not run.past and algorithm_named(run.algorithm, start).title == algorithm.title:
        return trials_of(algorithm, start)
    at = run.parent_cycle
    kept = {c.name: c.new for c in store.changes(run.id) if c.cycle == at + 1 and c.by == "person"}
    found = [replace(trial, cycle=at, kept=kept)
             for trial in trials_of(algorithm, store.settings_after(run.id, at + 1))]
    if at in store.checkpoints.cycles(run.id):
        return found
    why_not = (f"The checkpoint after cycle {at:,}, where {run.name} began, is not kept any more; "
               "fork from a later one in Runs.")
    return [replace(trial, why_not=trial.why_not or why_not) for trial in found]


def _reserve(store: Store, run: RunRecord, algorithm: Algorithm) -> str:
    """Say what a gain is to be read with: scores that taught nothing, what is serious about the
    last cycle, and what was learned in another way before."""
    rules = {found.rule: algorithm.rule(found.rule) for found in store.health(run.id)
             if found.cycle == run.cycles and found.severity == "serious"}
    serious = [f"{rule.title}." for rule in rules.values() if rule is not None]
    before = [f"Up to cycle {past.until:,} it learned by "
              f"{algorithm_named(past.algorithm, past.hyperparameters).title}."
              for past in run.past[-1:]]
    warned = [f"Health warns of the last cycle: {' '.join(serious)}"] if serious else []
    return " ".join(filter(None, [_equal_scores(store, run, algorithm), *warned, *before]))


def _equal_scores(store: Store, run: RunRecord, algorithm: Algorithm) -> str:
    """Say where the scores learned from are all the same, and so taught nothing."""
    data = store.run_data(run.id) if algorithm.learns_from == "completions" else None
    if not isinstance(data, ScoredData) or len({text.score for text in data.texts}) != 1:
        return ""
    return ("All completions that it learned from have the same score, so no token was worth more "
            f"than another: what {algorithm.title} changed came of writing like them, not of their "
            "scores. To learn from scores, choose completions whose scores differ.")


def trials_of(algorithm: Algorithm, settings: Mapping[str, Value]) -> list[Trial]:
    """Return the experiments with a run that began with ``settings``."""
    kind = algorithm.settings
    specs = kind.specs()
    # An earlier version may not have had a setting yet.
    settings = kind().model_dump() | kind.known(kind.renamed(settings))
    found = []
    for experiment in guide_of(algorithm).experiments:
        spec, now = specs[experiment.setting], settings.get(experiment.setting)
        value = experiment.value(settings)
        change = f"{spec.label} {format_value(spec, now)} → {format_value(spec, value)}"
        why_not = f"{spec.label} was {format_value(spec, value)} in this run." if (
            value == now) else ""
        try:
            kind.parse({**settings, experiment.setting: value})
        except HyperparameterError as error:
            why_not = str(error)
        short = f"{spec.label.partition(' (')[0]} {format_value(spec, value)}"
        found.append(Trial(experiment, value, change, short, why_not))
    return found
