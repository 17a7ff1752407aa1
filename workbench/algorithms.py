"""The algorithms there are: the one list that a new one is added to. No torch, no Qt."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.algorithm import Algorithm, Metric
from workbench.health import Rule
from workbench.learning.metrics import ALL_PARTS, PARTS, about_part
from workbench.ppo.declaration import PPO
from workbench.settings import Settings, Spec, Value

ALGORITHMS: tuple[Algorithm, ...] = (PPO,)

METRICS: dict[str, Metric] = {
    metric.name: metric for algorithm in reversed(ALGORITHMS) for metric in algorithm.metrics}
"""What a number means, by its name, which means the same with every algorithm."""
SPECS: dict[str, Spec] = {
    name: spec for algorithm in reversed(ALGORITHMS)
    for name, spec in algorithm.settings.specs().items()}
"""Every setting there is, by its name, which means the same with every algorithm."""
RULES: dict[str, Rule] = {
    rule.name: rule for algorithm in reversed(ALGORITHMS) for rule in algorithm.rules}
"""The rules of the health check. Algorithms whose rules differ name them differently."""
HEADLINES = {algorithm.name: algorithm.headline for algorithm in ALGORITHMS}
"""The metric by which runs are compared, by algorithm."""


def find_algorithm(name: str) -> Algorithm:
    """Return the algorithm that runs keep under this name.

    Raises:
        KeyError: there is none.
    """
    return {algorithm.name: algorithm for algorithm in ALGORITHMS}[name]


def algorithm_of(settings: Settings) -> Algorithm:
    """Return the algorithm that these are the settings of."""
    return next(a for a in ALGORITHMS if a.settings is type(settings))


def read_settings(algorithm: str, values: Mapping[str, Value]) -> Settings:
    """Return the settings that a run of ``algorithm`` keeps, also of an earlier version.

    Raises:
        HyperparameterError: they are none.
        KeyError: there is no such algorithm.
    """
    settings = find_algorithm(algorithm).settings
    return settings.parse(settings.renamed(values))


def find_metric(name: str) -> Metric:
    """Return what a logged number means; also of a part, or of all of them, of a weighted sum."""
    if name in METRICS:
        return METRICS[name]
    if name == PARTS:
        return ALL_PARTS
    if name.startswith(PARTS):
        return about_part(name)
    started = (metric for a in ALGORITHMS for metric in a.start_metrics if metric.name == name)
    return next(started, Metric(name, name, "", "", "A number of another version."))
