"""How a fork came out beside the run it came from, read from the store. No Qt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workbench.formatting import count_cycles, number
from workbench.learning.metrics import SCORES
from workbench.settings import Value
from workbench.store.records import LIVE, RunRecord
from workbench.store.store import Store


@dataclass(frozen=True, slots=True)
class Beside:
    """A run and its parent after ``cycle``, the last that both have compared: mean reward and mean
    KL in nats of the same answers. ``by_seed`` is by how much the reward of another run differs
    from the parent's that has another seed and nothing else; NaN: there is none."""

    parent: str
    cycle: int
    reward: float
    kl: float
    parent_reward: float
    parent_kl: float
    ended_early: str = ""
    """A sentence, where the parent did not run all its cycles."""
    only_seed: bool = False
    by_seed: float = math.nan
    learned: float = math.nan
    """Mean score of what the cycle learned from; ``parent_learned`` is the parent's."""
    parent_learned: float = math.nan

    def say(self) -> str:
        """Return both in a few sentences, and what they are worth."""
        without = "" if self.only_seed else ", without the change"
        said = (f"{self.parent}{without}: reward {number(self.parent_reward)}, KL "
                f"{number(self.parent_kl, 1)} nats; here {number(self.reward)}, KL "
                f"{number(self.kl, 1)}. Both are of the compared prompts, after "
                f"{count_cycles(self.cycle)}.")
        return " ".join(filter(None, (said, self._say_learned(), self.ended_early,
                                      self._worth())))

    def _say_learned(self) -> str:
        """Say the rewards that Metrics draws first, which are of other texts."""
        if math.isnan(self.learned + self.parent_learned):
            return ""
        return (f"What cycle {self.cycle:,} itself learned from, of other prompts drawn by chance, "
                f"had {number(self.parent_learned)}; here {number(self.learned)}.")

    def _worth(self) -> str:
        if self.only_seed:
            return "So much differs by chance alone."
        if math.isnan(self.by_seed):
            return "One run of each tells little: another seed alone may make such a difference."
        much = f"Another seed alone made a difference of {number(self.by_seed)} in the reward"
        if abs(self.reward - self.parent_reward) <= self.by_seed:
            return f"{much}, so this may be chance."
        return f"{much}, which is less."


def read_beside(store: Store, run: RunRecord) -> Beside | None:
    """Return how a fork came out beside its parent; None: it is no fork, or no cycle of both was
    compared since."""
    parent = store.run(run.parent) if run.parent is not None else None
    if parent is None:
        return None
    both = set(store.compared_cycles(run.id)) & set(store.compared_cycles(parent.id))
    cycle = max(both, default=0)
    if cycle <= run.parent_cycle:
        return None
    (reward, kl), (parent_reward, parent_kl) = (_means(store, r, cycle) for r in (run, parent))
    planned = int(store.settings_planned(parent.id).get("num_cycles", 0))
    early = (f"{parent.name} was {parent.status} after cycle {parent.cycles} of {planned}."
             if parent.cycles < planned and parent.status not in LIVE else "")
    only_seed = _changed(run, parent) == {"seed"}
    others = [] if only_seed else [
        other for other in store.runs() if other.parent == parent.id and not other.parent_cycle
        and _changed(other, parent) == {"seed"} and cycle in store.compared_cycles(other.id)]
    differ = [abs(_means(store, other, cycle)[0] - parent_reward) for other in others]
    learned, parent_learned = (
        store.cycle_metrics(r.id, cycle - 1).get(cycle, {}).get(SCORES, math.nan)
        for r in (run, parent))
    return Beside(parent.name, cycle, reward, kl, parent_reward, parent_kl, early, only_seed,
                  max(differ, default=math.nan), learned, parent_learned)


def _changed(one: RunRecord, other: RunRecord) -> set[str]:
    a: Mapping[str, Value] = one.hyperparameters
    b: Mapping[str, Value] = other.hyperparameters
    return {name for name in {*a, *b} - {"num_cycles"} if a.get(name) != b.get(name)}


def _means(store: Store, run: RunRecord, cycle: int) -> tuple[float, float]:
    there = store.completions(run.id, cycle)
    return mean(c.score for c in there), mean(c.kl for c in there)


def mean(numbers: Iterable[float]) -> float:
    """Return the mean of those that are known; NaN where none is."""
    known = [n for n in numbers if math.isfinite(n)]
    return sum(known) / len(known) if known else math.nan
