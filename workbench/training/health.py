"""Is a run well? Its rules are asked after every cycle, and what they find is told in plain words.

No torch, no Qt.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.ppo.hyperparameters import Hyperparameters, parse
from workbench.settings import HyperparameterError
from workbench.training.rules import (
    NOT_FINITE,
    NOT_ONE,
    RULES,
    WATCHED,
    History,
    Reading,
    Severity,
)

if TYPE_CHECKING:
    from workbench.store.store import Store


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule said after a cycle."""

    rule: str
    severity: Severity
    sentence: str


def read(history: History, hp: Hyperparameters) -> dict[str, Reading]:
    """Return where every rule stands after the last cycle of ``history``, well or not."""
    return {rule.name: rule.read(history, hp) for rule in RULES.values()}


def read_run(store: Store, run_id: int) -> dict[str, Reading]:
    """Return where every rule stands after the last cycle of a run of the store."""
    series = store.metrics(run_id, WATCHED)
    return read({name: found.values for name, found in series.items()},
                last_settings(store, run_id))


def last_settings(store: Store, run_id: int) -> Hyperparameters:
    """Return what the last cycle of a run used; the defaults where another version wrote it."""
    try:
        return parse(store.settings_after(run_id, sys.maxsize))
    except HyperparameterError:
        return Hyperparameters()


def judge(history: History, hp: Hyperparameters) -> list[Finding]:
    """Return what is wrong after the last cycle of ``history``; serious ones first.

    A ratio that does not begin at 1 is a fault of the model's or ours: other rules would only give
    advice on settings then, which cannot help.
    """
    found = [Finding(name, reading.severity, reading.sentence)
             for name, reading in read(history, hp).items() if reading.severity]
    if NOT_ONE in {finding.rule for finding in found}:
        found = [finding for finding in found if finding.rule in (NOT_ONE, NOT_FINITE)]
    return sorted(found, key=lambda finding: finding.severity != "serious")


@dataclass(slots=True)
class Watch:
    """Judges a run cycle by cycle, and says when one of the chosen rules should pause it."""

    history: dict[str, list[float]] = field(default_factory=dict)
    before: frozenset[str] = frozenset()
    """The rules that spoke after the last cycle."""
    paused_for: str = ""
    """The title of the rule that the last cycle pauses for, or nothing."""

    def check(self, metrics: Mapping[str, float], hp: Hyperparameters) -> list[Finding]:
        """Take in the metrics of the next cycle and return what is wrong after it."""
        for name in WATCHED:
            self.history.setdefault(name, []).append(metrics.get(name, math.nan))
        return judge(self.history, hp)

    def know(self, name: str, values: Sequence[float]) -> None:
        """Take in a metric of the cycles before the next."""
        if name in WATCHED:
            self.history[name] = list(values)

    def pause_for(self, found: Sequence[Finding], hp: Hyperparameters) -> str:
        """Return ``paused_for`` after a cycle that found ``found``.

        A rule pauses when it begins to speak, not again in every cycle that follows.
        """
        names = frozenset(finding.rule for finding in found)
        new = names - self.before
        self.before = names
        self.paused_for = next((RULES[f.rule].title for f in found if f.rule in new
                                and getattr(hp, f"pause_on_{f.rule}", False)), "")
        return self.paused_for
