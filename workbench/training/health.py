"""Is a run well? Rules over its metrics that say in plain words what goes wrong and what to try.

Every rule is a pure function of the metrics so far. One cycle is noisy, so most rules look at the
median of the last three; what ruins a run within a cycle is told of at once. No torch, no Qt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Literal

from workbench.ppo.hyperparameters import Hyperparameters, Value, specs
from workbench.ppo.metrics import METRICS

Severity = Literal["warning", "serious"]
History = Mapping[str, Sequence[float]]
"""Values by metric, one a cycle, the last one last. NaN where a number was not finite."""
Told = tuple[Severity, str] | None
"""How bad it is, and one sentence with the numbers."""

NOT_FINITE = "not_finite"
_RECENT = 3
_FEW = 8
"""With fewer completions a cycle, their diversity says nothing."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can go wrong.

    ``title`` fits a chip, ``metric`` is the plot it shows on, ``advice`` says what to try, and
    ``setting`` is the hyperparameter that the advice begins with.
    """

    name: str
    title: str
    metric: str
    judge: Callable[[History, Hyperparameters], Told]
    advice: str
    setting: str
    better: Callable[[Hyperparameters], Value]

    def suggestion(self, hp: Hyperparameters) -> dict[str, Value]:
        """Return the change to try from ``hp`` on; empty where there is nothing left to change."""
        spec, wanted = specs()[self.setting], self.better(hp)
        if not isinstance(wanted, str):
            low, high = spec.minimum, spec.maximum
            wanted = min(max(wanted, low if low is not None else wanted),
                         high if high is not None else wanted)
        return {} if wanted == getattr(hp, self.setting) else {self.setting: wanted}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule said after a cycle."""

    rule: str
    severity: Severity
    sentence: str


def judge(history: History, hp: Hyperparameters) -> list[Finding]:
    """Return what is wrong after the last cycle of ``history``; serious ones first."""
    found = []
    for rule in RULES.values():
        told = rule.judge(history, hp)
        if told:
            found.append(Finding(rule.name, *told))
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


def _recent(history: History, name: str, count: int = _RECENT) -> float:
    """Return the median of the last ``count`` cycles; NaN, which is never beyond a limit, before
    there are as many and where one is not finite."""
    values = history.get(name, ())[-count:]
    known = len(values) == count and all(map(math.isfinite, values))
    return median(values) if known else math.nan


def _first(history: History, name: str) -> float:
    """Return the mean of the first cycles, which later ones are compared with. NaN while the last
    ones are still among them."""
    values = history.get(name, ())
    return fmean(values[:_RECENT]) if len(values) >= 2 * _RECENT else math.nan


def _last(history: History, name: str) -> float:
    values = history.get(name, ())
    return values[-1] if values else math.nan


def _not_finite(history: History, hp: Hyperparameters) -> Told:
    for name in ("objective/scores", "objective/kl", "policy/entropy_avg", "loss/policy_avg",
                 "loss/value_avg", "policy/grad_norm"):
        if name in history and not math.isfinite(_last(history, name)):
            return "serious", f"{METRICS[name].label} is not a finite number."
    return None


def _kl(history: History, hp: Hyperparameters) -> Told:
    """A token e times likelier than at the start, on average (1 nat), is far for a fine-tuned
    model; at 3 nats the start policy's language is gone. The adaptive controller has a target."""
    last = _last(history, "objective/kl")
    per_token = last / max(1.0, _last(history, "objective/length"))
    if per_token > 3 and last > 2 * hp.kl_target:
        return "serious", (f"Completions are {last:.0f} nats from the start policy, "
                           f"{per_token:.1f} a token: its language is being lost.")
    kl = _recent(history, "objective/kl")
    per_token = kl / max(1.0, _recent(history, "objective/length"))
    if hp.kl_controller == "adaptive":
        return ("warning", f"KL is {kl:.0f} nats a completion, more than twice its target of "
                f"{hp.kl_target:g}.") if kl > 2 * hp.kl_target else None
    if per_token > 1 and kl > 2 * hp.kl_target:
        return "warning", (f"Completions are {kl:.0f} nats from the start policy, "
                           f"{per_token:.1f} a token: the reward may be gamed.")
    return None


def _negative_kl(history: History, hp: Hyperparameters) -> Told:
    """TRL's PPOTrainer warned below -1 in any cycle (0.11, ``record_step_stats``); the median
    of three passes over the noise of a small batch."""
    kl = _recent(history, "objective/kl")
    if kl < -1:
        return "warning", (f"The estimate of KL is {kl:.1f} nats, and a KL cannot be negative: the "
                           "penalty rewards drifting away.")
    return None


def _entropy(history: History, hp: Hyperparameters) -> Told:
    """With the default settings the bundled policy loses a sixth; half is on its way to none."""
    entropy, first = (_recent(history, "policy/entropy_avg"), _first(history, "policy/entropy_avg"))
    if entropy < 0.5 * first:
        return ("serious" if entropy < 0.2 * first else "warning",
                f"The next token is {max(0.0, entropy / first):.0%} as open as in the first cycles "
                f"({max(0.0, entropy):.2f} nats, from {first:.2f}).")
    return None


def _alike(history: History, hp: Hyperparameters) -> Told:
    distinct, first = (_recent(history, "objective/distinct"),
                       _first(history, "objective/distinct"))
    if hp.batch_size >= _FEW and distinct < 0.6 * first:
        return ("serious" if distinct < 0.3 * first else "warning",
                f"Only {distinct:.0%} of a cycle's completions are different, from {first:.0%} in "
                "the first cycles.")
    return None


def _hacking(history: History, hp: Hyperparameters) -> Told:
    """Reward up by more than the scores first spread, bought with openness: one phrase the reward
    model likes. With the default settings reward rises as much, and openness falls by a sixth."""
    reward, reward_first = (_recent(history, "objective/scores"),
                            _first(history, "objective/scores"))
    gain, spread = reward - reward_first, _first(history, "objective/scores_std")
    if hp.batch_size < _FEW or not gain > max(spread, 1e-6):
        return None
    for name, what in (("objective/distinct", "share of different completions"),
                       ("policy/entropy_avg", "openness of the next token")):
        left = _recent(history, name) / max(_first(history, name), 1e-9)
        if left < 0.65:
            return "warning", (f"Reward rose from {reward_first:.2f} to {reward:.2f} while the "
                               f"{what} fell by {1 - left:.0%}: the reward may be gamed. Read a "
                               "few completions.")
    return None


def _steps(history: History, hp: Hyperparameters) -> Told:
    """Both are measured after the last step of a cycle. With the default settings the first cycle
    moves a third of the tokens out of the trust region and the policy by 0.1 to 0.2 nats a token,
    the third a fifth and 0.05; 1 nat changes a token's probability fourfold within a cycle."""
    moved = _last(history, "policy/approxkl")
    if moved > 1:
        return "serious", (f"One cycle moved the policy by {moved:,.1f} nats a token; 0.01 to 0.1 "
                           "is usual.")
    moved, outside = (_recent(history, "policy/approxkl"), _recent(history, "policy/clipfrac"))
    if outside > 0.5:
        return "warning", f"A cycle moves {outside:.0%} of the tokens out of the trust region."
    if moved > 0.3:
        return "warning", (f"A cycle moves the policy by {moved:.2f} nats a token; 0.01 to 0.1 is "
                           "usual.")
    return None


def _value_loss(history: History, hp: Hyperparameters) -> Told:
    """Five times what a head that knows nothing had at first, and worse than a constant does on
    the scores as they now spread (which it may, while the reward climbs fast)."""
    loss, spread = _recent(history, "loss/value_avg"), _recent(history, "objective/scores_std")
    first = next(iter(history.get("loss/value_avg", ())), math.nan)
    if loss > 5 * first and loss > spread * spread:
        return ("serious" if loss > 50 * first else "warning",
                f"The value loss is {loss:.3g}, {loss / first:.0f} times that of the first cycle.")
    return None


def _explained_variance(history: History, hp: Hyperparameters) -> Told:
    """A healthy run without much left to explain wavers between 0 and -0.2."""
    explained = _recent(history, "val/explained_variance", 5)
    if explained < -0.5:
        return "warning", (f"Explained variance is {explained:.2f}: the value head foresees the "
                           "reward worse than a constant would.")
    return None


def _raised(name: str, least: float) -> Callable[[Hyperparameters], Value]:
    return lambda hp: float(f"{max(least, 2 * getattr(hp, name)):.3g}")


def _lower_rate(share: float) -> Callable[[Hyperparameters], Value]:
    return lambda hp: float(f"{share * hp.learning_rate:.3g}")


_ALL = (
    Rule(NOT_FINITE, "Not a number", "policy/grad_norm", _not_finite,
         "Resume from the last good checkpoint with a lower learning rate, and check that the "
         "reward is finite.", "learning_rate", _lower_rate(0.1)),
    Rule("kl", "KL runs away", "objective/kl", _kl,
         "Raise the KL coefficient or lower the learning rate. What has been forgotten comes back "
         "only from an earlier checkpoint.", "kl_coef", _raised("kl_coef", 0.04)),
    Rule("steps", "Steps are too large", "policy/clipfrac", _steps,
         "Lower the learning rate or the PPO epochs.",
         "learning_rate", _lower_rate(0.5)),
    Rule("entropy", "Entropy collapses", "policy/entropy_avg", _entropy,
         "Raise the entropy coefficient or the KL coefficient, or lower the learning rate.",
         "entropy_coef", _raised("entropy_coef", 0.01)),
    Rule("alike", "Completions are alike", "objective/distinct", _alike,
         "Raise the entropy coefficient or the KL coefficient.",
         "entropy_coef", _raised("entropy_coef", 0.01)),
    Rule("hacking", "Reward is being gamed", "objective/scores", _hacking,
         "Raise the KL coefficient, or mend the reward where it likes what you do not.",
         "kl_coef", _raised("kl_coef", 0.04)),
    Rule("negative_kl", "KL is negative", "objective/kl", _negative_kl,
         "Choose the estimator k3, which is never negative, or a larger batch.",
         "kl_estimator", lambda hp: "k3"),
    Rule("value_loss", "Value loss diverges", "loss/value_avg", _value_loss,
         "Lower the learning rate; where the reward is on a large scale, normalise scores.",
         "learning_rate", _lower_rate(0.5)),
    Rule("explained_variance", "Values are off", "val/explained_variance", _explained_variance,
         "Raise the value coefficient. Late in a run, when all completions score alike, it is "
         "harmless.", "vf_coef", _raised("vf_coef", 0.1)),
)
RULES: dict[str, Rule] = {rule.name: rule for rule in _ALL}
WATCHED = ("objective/scores", "objective/scores_std", "objective/kl", "objective/length",
           "objective/distinct", "policy/entropy_avg", "policy/approxkl",
           "policy/clipfrac", "policy/grad_norm", "loss/policy_avg", "loss/value_avg",
           "val/explained_variance")
