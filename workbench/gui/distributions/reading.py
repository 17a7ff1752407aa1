"""What the view draws, read from the store. No Qt."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from workbench.algorithm import Algorithm, Calibration, Distribution
from workbench.algorithms import (
    algorithm_named,
    algorithm_of_cycle,
    algorithm_of_run,
    distributions_of,
)
from workbench.store.quantiles import COUNT, quantiles
from workbench.store.store import Store

Array = NDArray[np.float64]
_CELLS = 48
_FIELDS = ("score", "kl", "length")


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """How a number is spread in each of ``cycles``: ``quantiles``, (cycles, COUNT). ``values`` are
    those of the cycle looked at; None where its tokens are not kept."""

    distribution: Distribution
    cycles: Sequence[int]
    quantiles: Array
    values: Array | None


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What was foreseen of the tokens of a cycle, and what came.

    ``foreseen`` and ``came`` are the means of equal shares of the tokens, by what was foreseen.
    ``cells`` says how many tokens lie in each place of a square grid over ``left`` to ``right`` of
    what was foreseen (first axis) and ``low`` to ``high`` of what came; what lies beyond counts at
    the edge. All are empty where the tokens are not kept. ``explained`` is the share of the
    latter's variance that was foreseen (NaN: not known).
    """

    calibration: Calibration
    explained: float
    foreseen: Array = field(default_factory=lambda: np.empty(0))
    came: Array = field(default_factory=lambda: np.empty(0))
    cells: Array = field(default_factory=lambda: np.empty((0, 0)))
    left: float = 0.0
    right: float = 1.0
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A run's distributions, of which ``cycle`` is looked at; 0: there are none. ``complete`` is
    how many cycles the run has, whether or not their numbers are kept."""

    run_id: int
    algorithm: Algorithm
    cycles: Sequence[int] = ()
    cycle: int = 0
    spreads: Sequence[Spread] = ()
    predictions: Predictions | None = None
    complete: int = 0


@dataclass(slots=True)
class Known:
    """What has been read of a run already: cycles that have ended do not change."""

    last: int = 0
    completions: dict[str, dict[int, Array]] = field(
        default_factory=lambda: {name: {} for name in _FIELDS})
    tokens: dict[str, dict[int, Array]] = field(default_factory=dict)


def read_picture(store: Store, run_id: int, wanted: int | None, known: Known) -> Picture | None:
    """Return what there is of a run, looked at in cycle ``wanted``, or the nearest before it; None:
    the latest. None where there is no such run. What is read goes into ``known``."""
    run = store.run(run_id)
    if run is None:
        return None
    algorithm = algorithm_of_run(run) if wanted is None else (
        algorithm_of_cycle(run, wanted, store.settings_after(run_id, wanted)))
    wished = distributions_of(algorithm)
    ways = [algorithm_named(name, {}) for name in (
        run.algorithm, *(past.algorithm for past in run.past))]
    _read_on(store, run_id, run.cycles, list(dict.fromkeys(
        d.column for way in ways for a in (way, *way.variants.values())
        for d in distributions_of(a) if d.column)), known)
    # What learns from data that is there records no completions of its cycles.
    there_are = sorted({*known.completions["score"], *(
        cycle for found in known.tokens.values() for cycle in found)})
    cycles = [cycle for cycle in there_are if cycle <= run.cycles]
    if not cycles:
        return Picture(run_id, algorithm, complete=run.recorded)
    cycle = cycles[max(0, bisect_right(cycles, wanted) - 1)] if wanted is not None else cycles[-1]
    columns = _read_tokens(store, run_id, cycle)
    rows = [row[1:] for row in store.rollout_numbers(run_id, cycle - 1, cycle)]
    written = zip(_FIELDS, zip(*rows, strict=True), strict=True) if rows else ()
    values = {**columns, **{name: np.array(numbers, float) for name, numbers in written}}
    spreads = []
    for distribution in wished:
        name = distribution.column or distribution.completions
        found = (known.tokens if distribution.column else known.completions).get(name, {})
        there = [c for c in found if c <= run.cycles]
        spreads.append(Spread(
            distribution, there, np.array([found[c] for c in there]).reshape(-1, COUNT),
            values.get(name)))
    return Picture(run_id, algorithm, cycles, cycle, spreads,
                   _read_predictions(store, run_id, cycle, algorithm, columns))


def _read_on(
    store: Store, run_id: int, last: int, columns: Sequence[str], known: Known
) -> None:
    after, known.last = known.last, last
    for cycle, group in groupby(
            store.rollout_numbers(run_id, after, last), key=lambda row: row[0]):
        for name, numbers in zip(_FIELDS, zip(*(row[1:] for row in group), strict=True),
                                 strict=True):
            known.completions[name][cycle] = quantiles(numbers)
    for name, by_cycle in store.token_quantiles(run_id, columns, after).items():
        known.tokens.setdefault(name, {}).update(by_cycle)


def _read_tokens(store: Store, run_id: int, cycle: int) -> Mapping[str, Array]:
    parts: dict[str, list[Array]] = {}
    for trace in store.traces(run_id, cycle):
        for name, numbers in trace.numbers.items():
            parts.setdefault(name, []).append(np.asarray(numbers, float))
    return {name: np.concatenate(found) for name, found in parts.items()}


def _read_predictions(
    store: Store, run_id: int, cycle: int, algorithm: Algorithm, columns: Mapping[str, Array]
) -> Predictions | None:
    calibration = algorithm.calibration
    if calibration is None:
        return None
    series = store.metrics(run_id, [calibration.metric]).get(calibration.metric)
    explained = dict(zip(series.cycles, series.values, strict=True)) if series else {}
    nothing = np.empty(0)
    there = {calibration.predicted, calibration.actual} <= columns.keys()
    return predictions(calibration, explained.get(cycle, float("nan")), *(
        columns[name] if there else nothing
        for name in (calibration.predicted, calibration.actual)))


def predictions(
    calibration: Calibration, explained: float, predicted: Array, actual: Array
) -> Predictions:
    """Return what is drawn of what was ``predicted`` of each token and what came, (n,) each."""
    there = np.isfinite(predicted) & np.isfinite(actual)
    x, y = predicted[there], actual[there]
    if not len(x):
        return Predictions(calibration, explained)
    (left, right), (low, high) = _range(x), _range(y)
    cells = np.histogram2d(
        x.clip(left, right), y.clip(low, high), _CELLS, ((left, right), (low, high)))[0]
    return Predictions(calibration, explained, *means(x, y), cells, left, right, low, high)


def _range(values: Array) -> tuple[float, float]:
    """Return where almost all of ``values`` lie, and some room."""
    low, high = (float(edge) for edge in np.quantile(values, (0.005, 0.995)))
    room = 0.08 * (high - low) or 0.5
    return low - room, high + room


def means(predicted: Array, actual: Array, parts: int = 10) -> tuple[Array, Array]:
    """Return the mean of ``predicted`` and of ``actual`` in each of at most ``parts`` equal shares
    of the tokens, from the least predicted to the greatest, (parts,) each."""
    order = np.argsort(predicted, kind="stable")
    shares = [share for share in np.array_split(order, parts) if len(share)]
    return (np.array([predicted[share].mean() for share in shares]),
            np.array([actual[share].mean() for share in shares]))
