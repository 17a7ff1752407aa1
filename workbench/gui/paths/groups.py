"""The completions of a cycle by their prompts, read from the store. No Qt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from workbench.algorithm import Algorithm, Siblings
from workbench.algorithms import algorithm_of_cycle, algorithm_of_run
from workbench.store.records import CompletionRecord
from workbench.store.store import Store


@dataclass(frozen=True, slots=True)
class Sibling:
    """A completion, what it was worth, what that was held against, and the advantage that came of
    it; NaN where not known."""

    record: CompletionRecord
    worth: float
    against: float = math.nan
    advantage: float = math.nan

    @property
    def priced(self) -> bool:
        """Whether it was worth another number than its score, as both are written."""
        return abs(self.worth - self.record.score) >= 0.005


@dataclass(frozen=True, slots=True)
class Group:
    """The completions of one prompt, best first."""

    prompt: int
    text: str
    members: tuple[Sibling, ...]

    @property
    def mean(self) -> float:
        """The mean of what they were held against; of what they are worth where that is not
        known."""
        against = [m.against for m in self.members if math.isfinite(m.against)]
        worth = [m.worth for m in self.members if math.isfinite(m.worth)]
        return fmean(against or worth or [math.nan])

    @property
    def alike(self) -> bool:
        """Whether all are worth the same, so that none is better."""
        worth = {m.worth for m in self.members}
        return len(worth) == 1 and all(map(math.isfinite, worth))


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """The groups of a cycle, in the order of its batch. ``told``: what they were held against is
    known, as their tokens are kept."""

    run_id: int
    algorithm: Algorithm
    cycles: Sequence[int] = ()
    cycle: int = 0
    groups: Sequence[Group] = ()
    told: bool = False

    @property
    def siblings(self) -> Siblings | None:
        """What the run's algorithm declares of them."""
        return self.algorithm.tokens.siblings if self.algorithm.tokens else None

    def group_of(self, position: int) -> int:
        """Return which group has the completion in this row of the batch; -1: none."""
        return next((place for place, group in enumerate(self.groups)
                     if any(m.record.position == position for m in group.members)), -1)


def has_siblings(store: Store, run_id: int) -> bool:
    """Return whether a run writes several completions of each prompt that are held against one
    another."""
    run = store.run(run_id)
    view = algorithm_of_run(run).tokens if run else None
    if run is None or view is None or view.siblings is None:
        return False
    count = store.settings_planned(run_id).get(view.siblings.count)
    return isinstance(count, int) and count > 1


def read_groups(store: Store, run_id: int, wanted: int | None) -> Picture | None:
    """Return the groups of cycle ``wanted``, or the nearest before it; None: of the latest. None
    where there is no such run."""
    run = store.run(run_id)
    if run is None:
        return None
    last = run.cycles + bool(store.completions(run_id, run.cycles + 1, "rollout"))
    cycle = last if wanted is None else max(1, min(wanted, last))  # one in hand, or the last
    settings = store.settings_after(run_id, cycle)
    algorithm = algorithm_of_cycle(run, cycle, settings) if last else algorithm_of_run(run)
    view = algorithm.tokens
    if view is None or view.siblings is None or not last:
        return Picture(run_id, algorithm)
    count = settings.get(view.siblings.count)
    records = store.completions(run_id, cycle, "rollout")
    cycles = range(1, last + 1)
    if not isinstance(count, int) or count < 2 or not records:
        return Picture(run_id, algorithm, cycles, cycle)
    traces = {trace.position: trace for trace in store.traces(run_id, cycle)}

    def read(record: CompletionRecord) -> Sibling:
        trace, siblings = traces.get(record.position), view.siblings
        if trace is None or siblings is None or not trace.pieces:
            return Sibling(record, record.score)
        numbers = {name: [float(x) for x in column] for name, column in trace.numbers.items()}
        steps = view.read(trace.pieces, numbers, record.score, settings)
        return Sibling(
            record, siblings.worth(steps), siblings.against(steps), siblings.advantage(steps))

    groups = [_group([read(record) for record in members])
              for _, members in groupby(records, lambda record: record.position // count)]
    return Picture(run_id, algorithm, cycles, cycle, groups, bool(traces))


def _group(members: Sequence[Sibling]) -> Group:
    first = members[0].record
    order = sorted(members, key=lambda m: (math.isnan(m.worth), -m.worth, m.record.position))
    return Group(first.prompt, first.prompt_text, tuple(order))
