"""What the frontier is drawn of: points of runs, a cycle each, and the best of n. No Qt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.algorithms import (
    algorithm_named,
    algorithm_of_run,
    find_metric,
    headlines,
    way_of_run,
)
from workbench.formatting import format_duration
from workbench.gui.metrics.reading import read_series
from workbench.learning.metrics import COMPARED, HELD_OUT, KL, SECONDS, STEPS
from workbench.records import BestOf, PromptsOf
from workbench.store.records import Past, RunRecord, Series
from workbench.training.names import reward_of

if TYPE_CHECKING:
    from workbench.store.store import Store

Array = NDArray[np.float64]
Y = Literal["trained", "compared", "held out"]
X = Literal["kl", "root", "samples", "steps", "seconds"]
REWARDS: Mapping[Y, str] = {
    "trained": "Reward", "compared": "Compared reward", "held out": "Held-out reward"}
COSTS: Mapping[X, str] = {
    "kl": "KL to start policy", "root": "√KL to start policy", "samples": "Samples drawn",
    "steps": "Optimiser steps", "seconds": "Time"}
UNITS: Mapping[X, str] = {
    "kl": "KL to start policy (nats / completion)", "root": "√KL to start policy",
    "samples": "samples drawn", "steps": "optimiser steps", "seconds": "time"}


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """A run: its reward, which is ``metric``, at each of ``cycles``, and what of each kind it
    ``costs`` by then, (n,) all. Runs of one ``setting`` differ in their seeds alone."""

    run_id: int
    name: str
    metric: str
    setting: str
    cycles: Array
    reward: Array
    costs: Mapping[X, Array]

    def index(self, cycle: int) -> int:
        """Return which point is that of the last of its cycles up to ``cycle``; -1: none."""
        return int(np.searchsorted(self.cycles, cycle, side="right")) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Runs of one setting: their mean cost and reward cycle by cycle, and the least and the most
    reward, (n,) all, over the cycles that each of them has."""

    runs: tuple[int, ...]
    name: str
    costs: Array
    mean: Array
    least: Array
    most: Array


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What is drawn: the run on display first, if it has a point."""

    tracks: tuple[Track, ...]
    best: tuple[BestOf, ...]
    """Of the run on display, or else of another one of the same policy and reward."""
    trains_policy: bool = True
    """Whether the run on display does."""
    complete: int = 0
    """How many cycles it has recorded."""
    of: PromptsOf = "trained"
    """The prompts that its reward is of."""
    left_out: tuple[str, ...] = ()
    """Names of runs that another reward scores, which no axis could hold beside it."""


def read_picture(store: Store, run_id: int, others: Sequence[int], y: Y) -> Picture:
    """Read a run and ``others`` that are drawn over it."""
    found = [run for i in dict.fromkeys((run_id, *others)) if (run := store.run(i)) is not None]
    own = next((run for run in found if run.id == run_id), None)
    trains = own is None or algorithm_of_run(own).makes == "policy"
    left_out = [run for run in found if own is not None and trains and (
        run.scored_by != own.scored_by and algorithm_of_run(run).makes == "policy")]
    found = [run for run in found if run not in left_out]
    by = headlines(found)
    ways = {run.id: way_of_run(run) for run in found}
    several = len(set(ways.values())) > 1
    tracks = tuple(track for run in found if len((track := _track(
        store, run, y, by, ways[run.id] if several else "")).cycles))
    best = next((known for run in found
                 if own and (run.policy, run.reward) == (own.policy, own.reward)
                 and (known := store.best_of(run.id))), [])
    return Picture(
        tracks, tuple(best), trains,
        own.recorded if own else 0, _prompts_of(_metric(own, y, by)) if own else "trained",
        tuple(f"{run.name} ({reward_of(run)})" for run in left_out))


def bands(tracks: Sequence[Track], x: X) -> list[Band]:
    """Return a band for every setting that several of the runs have."""
    by_setting: dict[str, list[Track]] = {}
    for track in tracks:
        by_setting.setdefault(track.setting, []).append(track)
    found = []
    for same in by_setting.values():
        cycles = same[0].cycles
        for track in same[1:]:
            cycles = np.intersect1d(cycles, track.cycles)
        if len(same) < 2 or not len(cycles):
            continue
        places = [np.searchsorted(track.cycles, cycles) for track in same]
        rewards = np.array([t.reward[i] for t, i in zip(same, places, strict=True)])
        costs = np.array([t.costs[x][i] for t, i in zip(same, places, strict=True)])
        found.append(Band(
            tuple(t.run_id for t in same), f"{same[0].name} and {len(same) - 1} more seeds"
            if len(same) > 2 else f"{same[0].name} and another seed",
            costs.mean(axis=0), rewards.mean(axis=0), rewards.min(axis=0), rewards.max(axis=0)))
    return found


def cost_text(x: X, cost: float) -> str:
    """Return a cost as it is written."""
    match x:
        case "seconds":
            return format_duration(cost)
        case "samples":
            return f"{cost:,.0f} samples"
        case "steps":
            return f"{cost:,.0f} steps"
        case _:
            said = f"√KL {cost:.2f}" if x == "root" else f"KL {cost:.3g}"
            return said.replace("-", "−")


def _metric(run: RunRecord, y: Y, by: Mapping[str, str]) -> str:
    """Return what is drawn of a run."""
    return {"trained": by.get(run.algorithm, algorithm_of_run(run).headline),
            "compared": COMPARED, "held out": HELD_OUT}[y]


def _prompts_of(metric: str) -> PromptsOf:
    return "compared" if metric == COMPARED else "held out" if metric == HELD_OUT else "trained"


def _track(store: Store, run: RunRecord, y: Y, by: Mapping[str, str], way: str) -> Track:
    name = _metric(run, y, by)
    series = read_series(store, run.id, (name, KL, STEPS, SECONDS))
    # What is written before the update has its distance in the cycle; what is written after it,
    # that of the completions which are compared after it, whichever algorithm made the cycle.
    after = name in (COMPARED, HELD_OUT)
    kl = store.compared_kl(run.id) if after else series.get(KL, Series())
    reward = series.get(name, Series())
    known = dict(zip(kl.cycles, kl.values, strict=True))
    points = np.array([(c, r, known[c]) for c, r in zip(reward.cycles, reward.values, strict=True)
                       if c in known], float).reshape(-1, 3)
    # The start policy is at no distance from itself. Where its score is not known, as by a reward
    # that a fork has taken later, it is left out below.
    if name == COMPARED and len(points):
        points = np.vstack([[0.0, store.compared_start(run.id), 0.0], points])
    points = points[np.isfinite(points).all(axis=1)]
    cycles = points[:, 0]
    # An estimate may be below 0, though no distance is: it is drawn as it was measured, and only
    # its root, and what is nothing but rounding, at 0.
    rounded = np.abs(points[:, 2]) < find_metric(KL).rounding
    far = np.where(rounded, 0.0, points[:, 2])
    called = f"{run.name} · {way}" if way and way not in run.name else run.name
    return Track(run.id, called, name, _setting(run), cycles, points[:, 1], {
        "kl": far, "root": np.sqrt(np.maximum(far, 0.0)), "samples": _samples(store, run, cycles),
        "steps": _summed(series.get(STEPS), cycles),
        "seconds": _summed(series.get(SECONDS), cycles)})


def _samples(store: Store, run: RunRecord, cycles: Array) -> Array:
    """Return how many completions were drawn by the end of each of ``cycles``: none in those that
    learn from data, as a fork may have begun to or have left off."""
    drawn = np.zeros(int(cycles[-1]) + 1 if len(cycles) else 1)
    changes = [c for c in store.changes(run.id) if c.name == "batch_size"]
    begun = 0
    for until, name, settings in (*run.past, Past(len(drawn), run.algorithm, run.hyperparameters)):
        if not algorithm_named(name, settings).learns_from:
            drawn[begun + 1:] = float(settings.get("batch_size", 0))
            for change in changes:
                if begun < change.cycle <= until:
                    drawn[change.cycle:] = float(change.new)
        else:
            drawn[begun + 1:] = 0
        begun = until
    return np.asarray(np.cumsum(drawn)[cycles.astype(int)])


def _summed(series: Series | None, cycles: Array) -> Array:
    if series is None or not series.cycles:
        return cycles
    return np.interp(cycles, [0, *series.cycles], [0.0, *np.cumsum(np.nan_to_num(series.values))])


def _setting(run: RunRecord) -> str:
    decided = {k: v for k, v in run.hyperparameters.items() if k != "seed"}
    return json.dumps([run.algorithm, run.policy, run.reward, decided], sort_keys=True)
