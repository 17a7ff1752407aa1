"""The algorithms there are: the one list that a new one is added to. No torch, no Qt.

What looks for something goes through :data:`ALGORITHMS` when it is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from workbench.algorithm import Algorithm, Distribution, Metric, Part, PlotSet, Preset
from workbench.dpo.declaration import DPO
from workbench.guide import BEFORE, LOADING, Guide
from workbench.health import Rule
from workbench.ilql.declaration import ILQL
from workbench.kto.declaration import KTO
from workbench.learning.distributions import DISTRIBUTIONS
from workbench.learning.guide import GUIDE
from workbench.learning.metrics import (
    ALL_PARTS,
    COMMON,
    COMPARED,
    GROUPS,
    HELD_OUT,
    KL,
    LENGTH,
    PARTS,
    SCORES,
    VARIETY,
    about_part,
)
from workbench.learning.parts import PARTS as CYCLE_PARTS
from workbench.ppo.declaration import PPO
from workbench.reward_training.declaration import REWARD
from workbench.settings import Settings, Spec, Value

if TYPE_CHECKING:
    from workbench.store.records import RunRecord

ALGORITHMS: tuple[Algorithm, ...] = (PPO, DPO, KTO, ILQL, REWARD)


def variety_of(algorithm: Algorithm) -> tuple[Metric, ...]:
    """Return the metrics that tell whether the policy still tries different things."""
    known = {metric.name: metric for metric in algorithm.metrics}
    return tuple(known[name] for name in algorithm.variety or VARIETY if name in known)


def companions_of(algorithm: Algorithm) -> tuple[str, ...]:
    """Return the metrics that are drawn in the plot of an algorithm's headline metric."""
    return tuple(dict.fromkeys((*algorithm.companions, HELD_OUT)))


def parts_of(algorithm: Algorithm) -> tuple[Part, ...]:
    """Return the parts of an algorithm's cycle."""
    return algorithm.parts or CYCLE_PARTS


def distributions_of(algorithm: Algorithm) -> tuple[Distribution, ...]:
    """Return the numbers of an algorithm whose spread is drawn."""
    return algorithm.distributions or DISTRIBUTIONS


def guide_of(algorithm: Algorithm) -> Guide:
    """Return what the guide tells of an algorithm: where it has none of its own, what all do
    alike in the parts that its cycle has."""
    if algorithm.guide is not None:
        return algorithm.guide
    there = {BEFORE, LOADING, *(part.name for part in parts_of(algorithm))}
    return replace(GUIDE, cards=tuple(card for card in GUIDE.cards if card.part in there))


def default_algorithm() -> Algorithm:
    """Return the one to begin with."""
    return ALGORITHMS[0]


def find_algorithm(name: str) -> Algorithm:
    """Return the algorithm that runs keep under this name.

    Raises:
        KeyError: there is none.
    """
    return _index(ALGORITHMS).algorithms[name]


def algorithm_named(name: str, settings: Mapping[str, Any]) -> Algorithm:
    """Return the algorithm of this name as ``settings`` have it, to show a run of it: where another
    version had it, one that has what all of them have."""
    known = _index(ALGORITHMS).algorithms.get(name)
    return known.variant(settings) if known else _unknown(name)


def ways_of(algorithm: Algorithm) -> tuple[Preset, ...]:
    """Return the ways to learn that an algorithm is offered as; none: as itself alone."""
    return tuple(p for p in algorithm.presets if p.is_way) if algorithm.variants else ()


def offers_of(algorithm: Algorithm) -> tuple[Preset, ...]:
    """Return what a person can choose of an algorithm: each of its ways, or itself alone."""
    return ways_of(algorithm) or (Preset(algorithm.title, algorithm.help, {}),)


def way_title(algorithm: Algorithm, settings: Mapping[str, Any]) -> str:
    """Return what the way to learn of these settings is called: as the preset all of whose values
    they have, else as what a run is shown as."""
    specs = algorithm.settings.specs()
    return next((way.name for way in ways_of(algorithm) if all(
        settings.get(name, specs[name].default) == value for name, value in way.values.items())),
        algorithm.variant(settings).title)


def way_of_run(run: RunRecord) -> str:
    """Return what the way to learn of a run is called; of a fork of what it goes on with."""
    settings = {**run.hyperparameters, **run.forked_with}
    known = _index(ALGORITHMS).algorithms.get(run.algorithm)
    return way_title(known, settings) if known else algorithm_of_run(run).title


def algorithm_of_run(run: RunRecord) -> Algorithm:
    """Return what a run is shown as; a fork as what it goes on with."""
    return algorithm_named(run.algorithm, {**run.hyperparameters, **run.forked_with})


def algorithm_of_cycle(run: RunRecord, cycle: int, settings: Mapping[str, Any]) -> Algorithm:
    """Return what a cycle of a run is shown as that used these ``settings``: before a run was
    forked, it may have learned in another way. What shows a whole run goes by
    :func:`algorithm_of_run`."""
    name = next((past.algorithm for past in run.past if cycle <= past.until), run.algorithm)
    return algorithm_named(name, settings)


def are_several(*shown: Algorithm) -> bool:
    """Return whether it is worth saying which algorithm is meant: whether there are several, or
    what is ``shown`` is another than the one there is."""
    return len({*(a.title for a in ALGORITHMS), *(a.title for a in shown)}) > 1


def algorithm_of(settings: Settings) -> Algorithm:
    """Return the algorithm that these are the settings of."""
    return next(a for a in ALGORITHMS if a.settings is type(settings))


def shown_as(settings: Settings) -> Algorithm:
    """Return what a run with these settings is shown as."""
    return algorithm_of(settings).variant(settings.model_dump())


def read_settings(algorithm: str, values: Mapping[str, Value]) -> Settings:
    """Return the settings that a run of ``algorithm`` keeps, also of an earlier version.

    Raises:
        HyperparameterError: they are none.
        KeyError: there is no such algorithm.
    """
    settings = find_algorithm(algorithm).settings
    return settings.parse(settings.renamed(values))


def carried_over(
    algorithm: Algorithm, before: Algorithm, values: Mapping[str, Value]
) -> dict[str, Value]:
    """Return those ``values`` of settings of one algorithm that mean the same with another."""
    theirs = before.settings.specs()
    return {name: values[name] for name, spec in algorithm.settings.specs().items()
            if name in values and name in theirs and all(
                getattr(spec, what) == getattr(theirs[name], what)
                for what in ("kind", "unit", "choices", "minimum", "maximum"))}


def find_metric(name: str) -> Metric:
    """Return what a logged number means, which is the same with every algorithm; also of a part,
    or of all of them, of a weighted sum."""
    known = _index(ALGORITHMS).metrics.get(name)
    if known is not None:
        return known
    if name == PARTS:
        return ALL_PARTS
    if name.startswith(PARTS):
        return about_part(name)
    return Metric(name, name, "", "", "A number of another version.")


def find_spec(name: str) -> Spec | None:
    """Return the declaration of a setting, which is the same with every algorithm; None where
    another version had it."""
    return _index(ALGORITHMS).specs.get(name)


def find_rule(name: str) -> Rule | None:
    """Return a rule of the health check; algorithms whose rules differ name them differently. None
    where another version had it."""
    return _index(ALGORITHMS).rules.get(name)


def headlines(runs: Iterable[RunRecord] = ()) -> Mapping[str, str]:
    """Return the metric by which ``runs`` are compared, by algorithm: its own; but where those that
    train a policy go by several, for all of these the compared reward, which each of them has."""
    own = {algorithm.name: algorithm.headline for algorithm in ALGORITHMS}
    policies = {algorithm.name for algorithm in ALGORITHMS if algorithm.makes == "policy"}
    several = len({own[run.algorithm] for run in runs if run.algorithm in policies}) > 1
    return {name: COMPARED if several and name in policies else headline
            for name, headline in own.items()}


def headline_of(runs: Iterable[RunRecord]) -> str | None:
    """Return the metric that all these runs that train a policy are compared by, or where there are
    none the others, of no run the default's; None where they go by several."""
    runs = list(runs)
    policies = [run for run in runs if algorithm_of_run(run).makes == "policy"]
    by = headlines_by_run(runs)
    names = {by[run.id] for run in policies or runs} or {default_algorithm().headline}
    return names.pop() if len(names) == 1 else None


def headlines_by_run(runs: Sequence[RunRecord]) -> dict[int, str]:
    """Return the metric by which each run is compared among all of them."""
    by = headlines(runs)
    return {run.id: by.get(run.algorithm, algorithm_of_run(run).headline) for run in runs}


def headline_title(runs: Iterable[RunRecord]) -> str:
    """Return what the number that these runs are compared by is called."""
    name = headline_of(runs)
    return "Reward" if name is None else find_metric(name).label


def grouped(algorithm: Algorithm) -> dict[str, list[Metric]]:
    """Return the metrics of an algorithm by the title of the group they stand in."""
    groups = {**(algorithm.groups or GROUPS), "Other": ("",)}
    found: dict[str, list[Metric]] = {title: [] for title in groups}
    for metric in algorithm.metrics:
        title = next(t for t, prefixes in groups.items() if metric.name.startswith(prefixes))
        found[title].append(metric)
    return {title: metrics for title, metrics in found.items() if metrics}


@dataclass(frozen=True, slots=True)
class _Index:
    """What the algorithms declare, by name. Where several do, the first says what it is."""

    algorithms: Mapping[str, Algorithm]
    metrics: Mapping[str, Metric]
    specs: Mapping[str, Spec]
    rules: Mapping[str, Rule]


@cache
def _index(algorithms: tuple[Algorithm, ...]) -> _Index:
    last_first = tuple(reversed([
        each for a in algorithms for each in (a, *a.variants.values())]))
    return _Index(
        {a.name: a for a in algorithms},
        {metric.name: metric for a in last_first for metric in (*a.start_metrics, *a.metrics)},
        {name: spec for a in last_first for name, spec in a.settings.specs().items()},
        {rule.name: rule for a in last_first for rule in a.rules})


@cache
def _unknown(name: str) -> Algorithm:
    def missing() -> Any:
        raise KeyError(name)

    return Algorithm(
        name=name, title=name, help="An algorithm of another version.", settings=Settings,
        trainer=missing, metrics=tuple(COMMON.values()), headline=SCORES,
        plot_sets=(PlotSet("Overview", (SCORES, KL, LENGTH), "Reward, KL and length"),))
