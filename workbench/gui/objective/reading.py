"""What the view draws, read from the store. No Qt."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from workbench.algorithm import Algorithm, Items, Objective, Share, TrustRegion
from workbench.algorithms import algorithm_of_cycle, algorithm_of_run
from workbench.store.store import Store

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """The tokens of a cycle's update, (n,) each: the ratio after it, and the advantage.
    ``places`` has the row in the batch of each, and which token of its completion it is."""

    ratio: Array
    advantage: Array
    places: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A run's loss over its cycles, of which ``cycle`` is looked at. ``shares`` has those of each
    of ``cycles`` and ``total`` its loss. ``tokens``, of a trust region, and ``items``, of a loss
    that is a curve, are None where none of ``cycle`` are kept."""

    run_id: int
    algorithm: Algorithm
    cycles: Sequence[int] = ()
    shares: Sequence[Sequence[Share]] = ()
    total: Sequence[float] = ()
    cycle: int = 0
    settings: Mapping[str, object] | None = None
    epochs: Sequence[Array] = ()
    """The quantiles of the ratios that each epoch of ``cycle`` found, (COUNT,) each."""
    tokens: Tokens | None = None
    items: Items | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Those of ``cycle`` that the objective names."""

    @property
    def row(self) -> int:
        """Where ``cycle`` stands in ``cycles``."""
        return self.cycles.index(self.cycle)


def read_picture(store: Store, run_id: int, wanted: int | None) -> Picture | None:
    """Return what there is of a run, looked at in cycle ``wanted``, or the nearest before it; None:
    the latest. None where there is no such run."""
    run = store.run(run_id)
    if run is None:
        return None
    algorithm = algorithm_of_run(run) if wanted is None else (
        algorithm_of_cycle(run, wanted, store.settings_after(run_id, wanted)))
    objective = algorithm.objective
    if objective is None:
        return Picture(run_id, algorithm)
    cycles, shares, total, numbers = _read_shares(store, run_id, run.cycles, objective)
    if not cycles:
        return Picture(run_id, algorithm)
    cycle = cycles[max(0, bisect_right(cycles, wanted) - 1)] if wanted is not None else cycles[-1]
    settings = store.settings_after(run_id, cycle)
    return Picture(
        run_id, algorithm, cycles, shares, total, cycle, settings,
        _read_epochs(store, run_id, cycle, objective, settings),
        _read_tokens(store, run_id, cycle, objective),
        _read_items(store, run_id, cycle, objective, settings), numbers[cycles.index(cycle)])


def _read_shares(
    store: Store, run_id: int, last: int, objective: Objective
) -> tuple[list[int], list[Sequence[Share]], list[float], list[Mapping[str, float]]]:
    numbers: dict[int, dict[str, float]] = {}
    for name, series in store.metrics(
            run_id, [*objective.metrics, *objective.more]).items():
        for cycle, value in zip(series.cycles, series.values, strict=True):
            numbers.setdefault(cycle, {})[name] = value
    cycles = [cycle for cycle in sorted(numbers)
              if cycle <= last and numbers[cycle].keys() >= set(objective.metrics)]
    settings: dict[str, object] = dict(store.settings_after(run_id, 0))
    changes = sorted(store.changes(run_id), key=lambda change: change.cycle)
    shares, at = [], 0
    for cycle in cycles:
        while at < len(changes) and changes[at].cycle <= cycle:
            settings[changes[at].name] = changes[at].new
            at += 1
        shares.append(objective.shares(numbers[cycle], settings, cycle))
    total = [numbers[cycle][objective.total] if objective.total else
             sum(share.amount for share in row) for cycle, row in zip(cycles, shares, strict=True)]
    return cycles, shares, total, [numbers[cycle] for cycle in cycles]


def _read_epochs(
    store: Store, run_id: int, cycle: int, objective: Objective, settings: Mapping[str, object]
) -> list[Array]:
    region = objective.region
    names = [] if region is None else region.epochs(settings)
    if not names:
        return []
    found = store.token_quantiles(run_id, names, cycle - 1, cycle)
    return [found[name][cycle] for name in names if cycle in found[name]]


def _read_tokens(store: Store, run_id: int, cycle: int, objective: Objective) -> Tokens | None:
    region = objective.region
    traces = [] if region is None else [
        trace for trace in store.traces(run_id, cycle)
        if region.ratio in trace.numbers and region.advantage in trace.numbers]
    if region is None or not traces:
        return None
    ratio, advantage = (np.concatenate([np.asarray(trace.numbers[name], float) for trace in traces])
                        for name in (region.ratio, region.advantage))
    return Tokens(ratio, advantage, [
        (trace.position, at) for trace in traces for at in range(len(trace.numbers[region.ratio]))])


def _read_items(
    store: Store, run_id: int, cycle: int, objective: Objective, settings: Mapping[str, object]
) -> Items | None:
    curve = objective.curve
    found = None if curve is None else curve.items(store.traces(run_id, cycle), settings)
    return found if found is not None and len(found.x) else None


def count_tokens(
    region: TrustRegion, settings: Mapping[str, object], tokens: Tokens
) -> tuple[int, int]:
    """Return how many tokens are outside the band, and how many of these the clip holds."""
    low, high = region.band(settings)
    outside = (tokens.ratio < low) | (tokens.ratio > high)
    held = outside & region.held(tokens.ratio, tokens.advantage, settings)
    return int(outside.sum()), int(held.sum())
