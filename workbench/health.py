"""Is a run well? Rules are asked after every cycle, and what they find is told in plain words.

Every rule is a pure function of the metrics so far. One cycle is noisy, so most rules look at the
median of the last three; what ruins a run within a cycle is told of at once. The rules themselves
belong to the algorithms. No torch, no Qt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any, Literal

from workbench.settings import Settings, Value

Severity = Literal["warning", "serious"]
History = Mapping[str, Sequence[float]]
"""Values by metric, one a cycle, the last one last. NaN where a number was not finite."""

NOT_FINITE = "not_finite"
"""The rule of every algorithm by which a cycle that could not be finished is recorded."""
RECENT = 3
OVER_RECENT = f"median of the last {RECENT} cycles"
SINCE_FIRST = f"{OVER_RECENT} against the mean of the first {RECENT}"


@dataclass(frozen=True, slots=True)
class Reading:
    """Where a rule stands after the last cycle.

    ``value`` and ``limit`` say it in figures, the limit also where there is no value yet;
    ``share`` is how much of the way from well (0) to the limit it has gone: past 1 the rule
    speaks, and then there is a ``sentence``. ``share`` is NaN where there is nothing to go by,
    which early in a run is so of most.
    """

    value: str
    limit: str
    share: float
    severity: Severity | None = None
    sentence: str = ""
    over: str = OVER_RECENT
    """What ``value`` was taken over; empty for the last cycle's own number."""

    @property
    def known(self) -> bool:
        """Whether there is anything to go by."""
        return not math.isnan(self.share)


def spoken(value: str, limit: str, share: float, severity: Severity, sentence: str,
           over: str = OVER_RECENT) -> Reading:
    """Return a reading that has its ``severity`` and ``sentence`` only past the limit."""
    if share > 1:
        return Reading(value, limit, share, severity, sentence, over)
    return Reading(value, limit, share, over=over)


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can go wrong.

    ``title`` fits a chip, ``metric`` is the plot it shows on, ``advice`` says what to try, and
    ``setting`` is the one that the advice begins with, where there is one.
    """

    name: str
    title: str
    metric: str
    read: Callable[[History, Any], Reading]
    advice: str
    setting: str = ""
    better: Callable[[Any], Value] | None = None
    short: str = ""
    """What it is called where there is little room; its title, where there is nothing."""
    alone: bool = False
    """Where it speaks, what the others look at means nothing."""

    def suggestion(self, settings: Settings) -> dict[str, Value]:
        """Return the change to try from ``settings`` on; empty where there is nothing left to
        change."""
        if self.better is None:
            return {}
        spec, wanted = settings.specs()[self.setting], self.better(settings)
        if not isinstance(wanted, str):
            low, high = spec.minimum, spec.maximum
            wanted = min(max(wanted, low if low is not None else wanted),
                         high if high is not None else wanted)
        return {} if wanted == getattr(settings, self.setting) else {self.setting: wanted}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule said after a cycle."""

    rule: str
    severity: Severity
    sentence: str


def read(rules: Sequence[Rule], history: History, settings: Settings) -> dict[str, Reading]:
    """Return where every rule stands after the last cycle of ``history``, well or not."""
    return {rule.name: rule.read(history, settings) for rule in rules}


def all_finite(history: History, names: Sequence[str], labels: Mapping[str, str]) -> Reading:
    """Return what is to be said of numbers that must be finite, as far as they are known.

    Args:
        names: of their metrics, and ``labels`` what these are called.
    """
    watched = [name for name in names if history.get(name)]
    lost = [labels[name] for name in watched if not math.isfinite(last(history, name))]
    limit = "any that is not finite"
    if lost:
        return Reading(f"{lost[0]} is not finite", limit, math.inf, "serious",
                       f"{lost[0]} is not a finite number.", over="")
    return Reading("all numbers are finite", limit, 0.0 if watched else math.nan, over="")


def judge(rules: Sequence[Rule], history: History, settings: Settings) -> list[Finding]:
    """Return what is wrong after the last cycle of ``history``; serious ones first.

    Where a rule speaks that stands alone, others would only give advice on settings, which cannot
    help.
    """
    found = [Finding(name, reading.severity, reading.sentence)
             for name, reading in read(rules, history, settings).items() if reading.severity]
    alone = {rule.name for rule in rules if rule.alone}
    if any(finding.rule in alone for finding in found):
        found = [finding for finding in found if finding.rule in (*alone, NOT_FINITE)]
    return sorted(found, key=lambda finding: finding.severity != "serious")


@dataclass(slots=True)
class Watch:
    """Judges a run cycle by cycle, and says when one of the chosen rules should pause it."""

    rules: Sequence[Rule]
    watched: Sequence[str]
    """The metrics that they look at."""
    history: dict[str, list[float]] = field(default_factory=dict)
    before: frozenset[str] = frozenset()
    """The rules that spoke after the last cycle."""
    paused_for: str = ""
    """The title of the rule that the last cycle pauses for, or nothing."""

    def check(self, metrics: Mapping[str, float], settings: Settings) -> list[Finding]:
        """Take in the metrics of the next cycle and return what is wrong after it."""
        for name in self.watched:
            self.history.setdefault(name, []).append(metrics.get(name, math.nan))
        return judge(self.rules, self.history, settings)

    def know(self, name: str, values: Sequence[float]) -> None:
        """Take in a metric of the cycles before the next."""
        if name in self.watched:
            self.history[name] = list(values)

    def pause_for(self, found: Sequence[Finding], settings: Settings) -> str:
        """Return ``paused_for`` after a cycle that found ``found``.

        A rule pauses when it begins to speak, not again in every cycle that follows.
        """
        names = frozenset(finding.rule for finding in found)
        new = names - self.before
        self.before = names
        titles = {rule.name: rule.title for rule in self.rules}
        self.paused_for = next((titles[f.rule] for f in found if f.rule in new
                                and getattr(settings, f"pause_on_{f.rule}", False)), "")
        return self.paused_for


# -- what the rules look at


def recent(history: History, name: str, count: int = RECENT) -> float:
    """Return the median of the last ``count`` cycles; NaN, which is never beyond a limit, before
    there are as many and where one is not finite."""
    values = history.get(name, ())[-count:]
    known = len(values) == count and all(map(math.isfinite, values))
    return median(values) if known else math.nan


def so_far(history: History, name: str, count: int = RECENT) -> float:
    """Return the median of the last ``count`` numbers that a metric had, of as many as there are
    yet: of what a single cycle measures well. NaN where there is none."""
    known = [value for value in history.get(name, ()) if math.isfinite(value)][-count:]
    return median(known) if known else math.nan


def over_so_far(history: History, name: str) -> str:
    """Return what :func:`so_far` was taken over, in words."""
    number = len(history.get(name, ()))
    return OVER_RECENT if number >= RECENT else "" if number < 2 else (
        f"median of the first {number} cycles")


def first(history: History, name: str) -> float:
    """Return the mean of the first cycles, which later ones are compared with. NaN while the last
    ones are still among them."""
    values = history.get(name, ())
    return fmean(values[:RECENT]) if len(values) >= 2 * RECENT else math.nan


def at_start(history: History, name: str) -> float:
    """Return the value of the first cycle, whose completions are the start policy's."""
    return next(iter(history.get(name, ())), math.nan)


def last(history: History, name: str) -> float:
    """Return the value of the last cycle."""
    values = history.get(name, ())
    return values[-1] if values else math.nan


def highest(history: History, name: str) -> float:
    """Return the highest that the median of as many cycles as are recent has been."""
    values = history.get(name, ())
    windows = zip(*(values[i:] for i in range(RECENT)), strict=False)
    return max((median(w) for w in windows if all(map(math.isfinite, w))), default=math.nan)


def ratio(value: float, limit: float) -> float:
    """Return ``value / limit``, also where the limit is 0."""
    if limit == 0:
        return math.inf if value > 0 else 0.0
    return value / limit


def both(*shares: float) -> float:
    """Return the share of a rule that speaks when all of its limits are passed."""
    return math.nan if any(map(math.isnan, shares)) else max(0.0, min(shares))


def either(*shares: float) -> float:
    """Return the share of a rule that speaks when one of its limits is passed."""
    return max((max(0.0, share) for share in shares if not math.isnan(share)), default=math.nan)
