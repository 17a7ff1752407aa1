"""Several ways to learn, one after the other, on the same models, prompts and budget. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from workbench import algorithms
from workbench.algorithm import Algorithm
from workbench.algorithms import algorithm_of, algorithm_of_run
from workbench.formatting import counted
from workbench.learning.metrics import SECONDS
from workbench.records import DataByKind, RunData, ScoredData
from workbench.settings import Settings, Value
from workbench.training import commands as do
from workbench.training.scored_data import models_of, runs_of

if TYPE_CHECKING:
    from workbench.store.records import RunRecord
    from workbench.store.store import Store

Unit = Literal["samples", "seconds"]
_NO_END = 100_000  # cycles of a run that seconds end
_OF_STEPS = "Phase 2: update"
OwnSettings = Mapping[str, Mapping[str, Value]]
"""What is set for algorithms, by their names."""


class CompareError(ValueError):
    """Nothing can be compared. A plain sentence."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to learn that can be compared with others: settings of an algorithm under a name."""

    name: str
    help: str
    algorithm: Algorithm
    values: Mapping[str, Value]

    def settings(self, like: Settings, own: OwnSettings | None = None) -> Settings:
        """Return its settings: as in ``like``, if those are of the same algorithm; of those of
        another what is written and compared is the same, and how large a batch and a step are is
        each algorithm's ``own``, or its default.

        Raises:
            HyperparameterError: they do not go together.
        """
        kept = like.model_dump()
        if algorithm_of(like) is not self.algorithm:
            kept = {**(own or {}).get(self.algorithm.name, {}), **{
                name: kept[name] for name, spec in Settings.specs().items()
                if spec.group != _OF_STEPS and name != "batch_size"}}
        return self.algorithm.settings.parse({**kept, **self.values})


def ways() -> list[Way]:
    """Return all ways in which a policy learns."""
    return [way for algorithm in algorithms.ALGORITHMS if algorithm.makes == "policy" for way in (
        [Way(preset.name, preset.help, algorithm, preset.values)
         for preset in algorithm.presets if preset.is_way]
        or [Way(algorithm.title, algorithm.help, algorithm, {})])]


def find_ways(names: Sequence[str]) -> list[Way]:
    """Return the ways of these names, in any case.

    Raises:
        CompareError: there is none of a name.
    """
    known = {way.name.casefold(): way for way in ways()}
    for name in names:
        if name.strip().casefold() not in known:
            raise CompareError(f"There is no way to learn called {name.strip()!r}; there are: "
                               f"{', '.join(way.name for way in known.values())}.")
    return [known[name.strip().casefold()] for name in dict.fromkeys(names)]


@dataclass(frozen=True, slots=True)
class Planned:
    """A run of a comparison, begun or not."""

    name: str
    way: str
    seed: int
    algorithm: str
    hyperparameters: Mapping[str, Value]

    @property
    def settings(self) -> Settings:
        """Its settings."""
        return algorithms.read_settings(self.algorithm, self.hyperparameters)

    @property
    def learns_from(self) -> str:
        """What it learns from; nothing: what it writes."""
        return algorithms.find_algorithm(self.algorithm).learns_from

    def amount(self, unit: Unit) -> str:
        """Return in words how much it has, where the budget is one of ``unit``."""
        settings = self.settings
        spec, batch = settings.specs()["batch_size"], settings.batch_size
        steps = int(getattr(settings, "steps_per_cycle", 1))
        each = f"{batch:,} {spec.unit}" + (f", {steps:,} times" if steps > 1 else "")
        if unit == "seconds":
            return f"cycles of {each}"
        cycles = settings.num_cycles
        drawn = f"{cycles * batch * steps:,} {'drawn' if self.learns_from else 'written'}"
        return f"{counted(cycles, 'cycle')} of {each}: {drawn}"

    def start(
        self, sweep: int, place: int, prompts: tuple[do.PromptItem, ...], data: DataByKind
    ) -> do.Start:
        """Return the command that begins it as the run ``place`` of a comparison."""
        return do.Start(self.settings, prompts, self.name, sweep=(sweep, place),
                        data=data.get(self.learns_from))


@dataclass(frozen=True, slots=True)
class Plan:
    """The runs of a comparison in the order in which they are trained."""

    runs: tuple[Planned, ...]
    budget: float
    unit: Unit

    def summary(self, told: Callable[[str], str]) -> list[str]:
        """Return in sentences what is trained, with how much and from what; ``told`` says what
        data of a kind is."""
        amounts: dict[str, list[str]] = {}
        for run in {run.way: run for run in self.runs}.values():
            source = f" from {told(run.learns_from)}" if run.learns_from else ""
            amounts.setdefault(run.amount(self.unit) + source, []).append(run.way)
        until = f" until {counted(int(self.budget), 'second')} are over" if (
            self.unit == "seconds") else ""
        return [f"{counted(len(self.runs), 'run')}{until}:", *(
            f"{', '.join(names)}: {amount}." for amount, names in amounts.items())]

    def check_data(self, there: Callable[[str], bool]) -> None:
        """Check that each run will find something to learn from: data that is ``there``, by its
        kind, or what the runs before it wrote.

        Raises:
            CompareError: one will not.
        """
        lacking: dict[str, None] = {}
        for run in self.runs:
            if not run.learns_from:
                break
            if run.learns_from == ScoredData.kind and not there(ScoredData.kind):
                lacking[run.way] = None
        if lacking:
            names = list(lacking)
            raise CompareError(
                f"{_and(names)} {'learns' if len(names) == 1 else 'learn'} from what finished runs "
                "of the same models wrote, and there are none: compare a way that writes, such as "
                f"PPO, before {'it' if len(names) == 1 else 'them'}, or train such a run first.")

    @property
    def processes(self) -> int:
        """How many processes compute each run."""
        return max(run.settings.processes for run in self.runs)

    @property
    def name(self) -> str:
        """The ways it compares, in a few words."""
        return ", ".join(dict.fromkeys(run.way for run in self.runs))

    def as_json(self) -> dict[str, Any]:
        """Return it as the store keeps it."""
        return asdict(self)

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Plan:
        """Return the plan that the store has kept."""
        return cls(tuple(Planned(**run) for run in kept["runs"]), kept["budget"], kept["unit"])


def make_plan(
    chosen: Sequence[Way], seeds: Sequence[int], like: Settings, budget: float, unit: Unit,
    own: OwnSettings | None = None,
) -> Plan:
    """Plan a run of each way and seed; each seed of all ways comes before the next.

    Args:
        like: what the ways have in common.
        budget: of each run: completions to write, in whole cycles, the last of which may go
            beyond it, or seconds of its cycles. A way that writes none has as many cycles as
            ``like``.
        own: what is set for algorithms that ``like`` is not of.

    Raises:
        CompareError: there is nothing to compare, or the budget is less than one cycle.
        HyperparameterError: settings do not go together.
    """
    if not chosen or not seeds:
        raise CompareError("Choose at least one way to learn and one seed.")
    if not budget > 0:
        raise CompareError(f"The budget must be above 0 {unit}.")
    runs = []
    for seed in dict.fromkeys(seeds):
        for way in chosen:
            settings = way.settings(like, own)
            if unit == "samples" and not way.algorithm.learns_from and (
                    budget < settings.batch_size):
                raise CompareError(
                    f"{way.name} writes {settings.batch_size:,} completions in each cycle: let "
                    f"each run have at least {settings.batch_size:,}, or make its batch size "
                    "smaller.")
            cycles = _NO_END if unit == "seconds" else (
                like.num_cycles if way.algorithm.learns_from
                else math.ceil(budget / settings.batch_size))
            settings = settings.with_changes({"seed": seed, "num_cycles": cycles})
            runs.append(Planned(f"{way.name}, seed {seed}", way.name, seed, way.algorithm.name,
                                settings.model_dump()))
    return Plan(tuple(runs), budget, unit)


def usual_budget(chosen: Sequence[Way], like: Settings, own: OwnSettings | None = None) -> int:
    """Return how many completions the cycles of ``like`` are for the ways that write some."""
    sizes = [way.settings(like, own).batch_size for way in chosen if not way.algorithm.learns_from]
    return like.num_cycles * max(sizes, default=like.batch_size)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run of a comparison stands; ``run`` is None while it has not begun."""

    planned: Planned
    run: RunRecord | None
    done: bool


def progress(store: Store, sweep: int) -> list[Progress]:
    """Return where the runs of a comparison stand, in its order.

    Raises:
        CompareError: there is no such comparison.
    """
    kept = store.sweep(sweep)
    if kept is None:
        raise CompareError(f"There is no comparison {sweep}.")
    plan = Plan.of_json(kept.plan)
    begun = {run.place: run for run in reversed(store.runs_of_sweep(sweep))}
    return [Progress(planned, run := begun.get(place), run is not None and (
        run.status == "finished"
        or (plan.unit == "seconds" and used(store, run.id) >= plan.budget)))
            for place, planned in enumerate(plan.runs)]


def begun_with(
    store: Store, sweep: int
) -> tuple[do.LoadModels, tuple[do.PromptItem, ...], DataByKind] | None:
    """Return models, prompts and data that a comparison was begun with; None: no run of it has
    begun.

    Raises:
        CompareError: there is no such comparison.
    """
    runs = [at.run for at in progress(store, sweep) if at.run is not None]
    if not runs:
        return None
    first = runs[0]
    prompts = tuple(do.PromptItem.of(prompt) for prompt in store.run_prompts(first.id))
    return (do.LoadModels.recorded(first.policy, first.models), prompts,
            {**store.sweep_data(sweep), **data_of(store, sweep)})


def data_of(store: Store, sweep: int) -> dict[str, RunData]:
    """Return what runs of a comparison learn from, by its kind. What the first of them found there
    is what all of them have: in the meantime others have written more."""
    return {found.kind: found for run in store.runs_of_sweep(sweep)  # the first comes last
            if (found := store.run_data(run.id))}


def data_for_next(store: Store, sweep: int, chosen: DataByKind) -> DataByKind:
    """Return what the next run of a comparison learns from, where something was ``chosen`` or
    found before. A run that has had its seconds was stopped, and counts as a finished one here.

    Raises:
        CompareError: there is no such comparison.
    """
    had = [at.run for at in progress(store, sweep)
           if at.done and at.run and at.run.status != "finished" and not at.planned.learns_from]
    models = models_of(had[0]) if had else None
    wrote = {ScoredData.kind: (*(run.id for run in had), *(
        run.id for run in runs_of(store, models)))} if models else {}
    return {**wrote, **chosen, **data_of(store, sweep)}


def used(store: Store, run_id: int) -> float:
    """Return how many seconds the cycles of a run have taken."""
    series = store.metrics(run_id, [SECONDS]).get(SECONDS)
    return math.fsum(x for x in series.values if math.isfinite(x)) if series else 0.0


def results(
    store: Store, sweep: int
) -> Iterator[tuple[Planned, RunRecord, dict[str, float]]]:
    """Yield the runs that have begun, with the metrics of their last cycle, the algorithm's
    headline metric in the first one as ``first`` and in the last as ``reward``, and the ``seconds``
    and ``samples`` of all cycles."""
    for at in progress(store, sweep):
        if at.run is None:
            continue
        shown = algorithm_of_run(at.run)
        metrics = store.metrics(at.run.id)
        last = {name: series.values[-1] for name, series in metrics.items() if series.values}
        first = metrics.get(shown.headline)
        batch = 0 if shown.learns_from else at.run.hyperparameters.get("batch_size", 0)
        assert isinstance(batch, int)
        yield at.planned, at.run, last | {
            "first": first.values[0] if first else math.nan,
            "reward": last.get(shown.headline, math.nan), "seconds": used(store, at.run.id),
            "samples": float(batch * at.run.cycles)}


def default_like() -> Settings:
    """Return what the ways have in common where nothing was chosen."""
    return algorithms.default_algorithm().settings()


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
