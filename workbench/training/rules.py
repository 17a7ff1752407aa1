"""The rules of the health check: what each looks at, where its limit is, what to try.

Every rule is a pure function of the metrics so far. One cycle is noisy, so most rules look at the
median of the last three; what ruins a run within a cycle is told of at once. No torch, no Qt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal

from workbench.ppo.hyperparameters import Hyperparameters, specs
from workbench.ppo.metrics import METRICS
from workbench.settings import Value

Severity = Literal["warning", "serious"]
History = Mapping[str, Sequence[float]]
"""Values by metric, one a cycle, the last one last. NaN where a number was not finite."""

NOT_FINITE = "not_finite"
NOT_ONE = "ratio"
"""Where this rule speaks, what the others look at means nothing."""
_RECENT = 3
_FEW = 8
"""With fewer completions a cycle, their diversity says nothing, nor what values explain of them."""
_OVER_RECENT = f"median of the last {_RECENT} cycles"
_SINCE_FIRST = f"{_OVER_RECENT} against the mean of the first {_RECENT}"
_VALUES_RECENT, _VALUES_LEARN = 8, 2
"""Over how many cycles values are judged, after the first ones, in which they learn."""


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
    over: str = _OVER_RECENT
    """What ``value`` was taken over; empty for the last cycle's own number."""

    @property
    def known(self) -> bool:
        """Whether there is anything to go by."""
        return not math.isnan(self.share)


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can go wrong.

    ``title`` fits a chip, ``metric`` is the plot it shows on, ``advice`` says what to try, and
    ``setting`` is the hyperparameter that the advice begins with, where there is one.
    """

    name: str
    title: str
    metric: str
    read: Callable[[History, Hyperparameters], Reading]
    advice: str
    setting: str = ""
    better: Callable[[Hyperparameters], Value] | None = None

    def suggestion(self, hp: Hyperparameters) -> dict[str, Value]:
        """Return the change to try from ``hp`` on; empty where there is nothing left to change."""
        if self.better is None:
            return {}
        spec, wanted = specs()[self.setting], self.better(hp)
        if not isinstance(wanted, str):
            low, high = spec.minimum, spec.maximum
            wanted = min(max(wanted, low if low is not None else wanted),
                         high if high is not None else wanted)
        return {} if wanted == getattr(hp, self.setting) else {self.setting: wanted}


# -- what the rules look at


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


def _start(history: History, name: str) -> float:
    """Return the value of the first cycle, whose completions are the start policy's."""
    return next(iter(history.get(name, ())), math.nan)


def _last(history: History, name: str) -> float:
    values = history.get(name, ())
    return values[-1] if values else math.nan


def _highest(history: History, name: str) -> float:
    """Return the highest that the median of as many cycles as are recent has been."""
    values = history.get(name, ())
    windows = zip(*(values[i:] for i in range(_RECENT)), strict=False)
    return max((median(w) for w in windows if all(map(math.isfinite, w))), default=math.nan)


def _ratio(value: float, limit: float) -> float:
    """Return ``value / limit``, also where the limit is 0."""
    if limit == 0:
        return math.inf if value > 0 else 0.0
    return value / limit


def _both(*shares: float) -> float:
    """Return the share of a rule that speaks when all of its limits are passed."""
    return math.nan if any(map(math.isnan, shares)) else max(0.0, min(shares))


def _either(*shares: float) -> float:
    """Return the share of a rule that speaks when one of its limits is passed."""
    return max((max(0.0, share) for share in shares if not math.isnan(share)), default=math.nan)


# -- the rules


def _not_finite(history: History, hp: Hyperparameters) -> Reading:
    watched = [name for name in (
        "objective/scores", "objective/kl", "policy/entropy_avg", "loss/policy_avg",
        "loss/value_avg", "policy/grad_norm") if history.get(name)]
    lost = [METRICS[name].label for name in watched if not math.isfinite(_last(history, name))]
    limit = "any that is not finite"
    if lost:
        return Reading(f"{lost[0]} is not finite", limit, math.inf, "serious",
                       f"{lost[0]} is not a finite number.", over="")
    return Reading("all numbers are finite", limit, 0.0 if watched else math.nan, over="")


def _not_one(history: History, hp: Hyperparameters) -> Reading:
    """The limit in half precision is four times what rounding makes of it."""
    off, most = _last(history, "val/ratio_start"), 0.01 if hp.precision == "float32" else 0.2
    share, value, limit = _both(off / most), f"{off:.2g} nats a token", f"above {most:g}"
    if not share > 1:
        return Reading(value, limit, share, over="")
    return Reading(value, limit, share, "serious", (
        f"With the weights that wrote them, tokens are read {math.exp(min(off, 99)):,.2f} times "
        "more or less probable than they were written; the ratio must begin at 1."), over="")


def _kl(history: History, hp: Hyperparameters) -> Reading:
    """A token e times likelier than at the start, on average (1 nat), is far for a fine-tuned
    model; at 3 nats the start policy's language is gone. The adaptive controller has a target."""
    far = 2 * hp.kl_target
    last, kl = _last(history, "objective/kl"), _recent(history, "objective/kl")
    last_token = last / max(1.0, _last(history, "objective/length"))
    token = kl / max(1.0, _recent(history, "objective/length"))
    lost = _both(last_token / 3, last / far)
    adaptive = hp.kl_controller == "adaptive"
    share = _either(_both(kl / far) if adaptive else _both(token, kl / far), lost)
    own = lost > 1 or math.isnan(kl)
    over = "" if own else _OVER_RECENT
    shown, shown_token = (last, last_token) if own else (kl, token)
    if adaptive:
        value, limit = f"{shown:.1f} nats a completion", f"above {far:g}"
    else:
        value, limit = f"{shown_token:.2f} nats a token", "above 1"
    if not share > 1:
        return Reading(value, limit, share, over=over)
    if lost > 1:
        return Reading(value, limit, share, "serious", (
            f"Completions are {last:.0f} nats from the start policy, {last_token:.1f} a token: its "
            "language is being lost."), over=over)
    return Reading(value, limit, share, "warning", (
        f"KL is {kl:.0f} nats a completion, more than twice its target of {hp.kl_target:g}."
        if adaptive else f"Completions are {kl:.0f} nats from the start policy, {token:.1f} a "
        "token: the reward may be gamed."))


def _unlikely(history: History, hp: Hyperparameters) -> Reading:
    """With the default settings the bundled policy comes to 1 to 3 %, from 0.5 %."""
    now, start = _recent(history, "objective/unlikely"), _start(history, "objective/unlikely")
    share, most = _both((now - start) / 0.1), start + 0.1
    value, limit = f"{now:.1%} of the tokens", (
        "above the first + 10%" if math.isnan(most) else f"above {most:.1%}")
    if not share > 1:
        return Reading(value, limit, share)
    return Reading(value, limit, share, "serious" if share > 3 else "warning", (
        f"{now:.0%} of the tokens are ones that the start policy would write less than once in a "
        f"thousand times; {start:.1%} were in the first cycle."))


def _negative_kl(history: History, hp: Hyperparameters) -> Reading:
    """TRL's PPOTrainer warned below -1 in any cycle (0.11, ``record_step_stats``); the median
    of three passes over the noise of a small batch."""
    kl = _recent(history, "objective/kl")
    share, value, limit = _both(-kl), f"{kl:.1f} nats a completion", "below -1"
    if not share > 1:
        return Reading(value, limit, share)
    return Reading(value, limit, share, "warning", (
        f"The estimate of KL is {kl:.1f} nats, and a KL cannot be negative: the penalty rewards "
        "drifting away."))


def _steps(history: History, hp: Hyperparameters) -> Reading:
    """Both are measured after the last step of a cycle. With the default settings the first cycle
    moves a fifth of the tokens out of the trust region and the policy by 0.02 to 0.03 nats a token
    (with a batch of 16 a third, and 0.15), the third less than a tenth and 0.01. 1 nat changes a
    token's probability fourfold within a cycle."""
    last, moved, outside = (_last(history, "policy/approxkl"), _recent(history, "policy/approxkl"),
                            _recent(history, "policy/clipfrac"))
    share = _either(last, moved / 0.3, outside / 0.5)
    if share > 1 and last > 1:
        return Reading(f"{last:,.1f} nats a token", "above 1", share, "serious", (
            f"One cycle moved the policy by {last:,.1f} nats a token; less than 0.1 is usual."),
            over="")
    if math.isnan(moved) or math.isnan(outside):
        return Reading(f"{last:.2f} nats a token", "above 1", share, over="")
    if moved / 0.3 > outside / 0.5:
        value, limit = f"{moved:.2f} nats a token", "above 0.3"
        said = f"A cycle moves the policy by {moved:.2f} nats a token; less than 0.1 is usual."
    else:
        value, limit = f"{outside:.0%} outside 1 ± ε", "above 50%"
        said = f"A cycle moves {outside:.0%} of the tokens out of the trust region."
    return Reading(value, limit, share, "warning", said) if share > 1 else (
        Reading(value, limit, share))


def _entropy(history: History, hp: Hyperparameters) -> Reading:
    """With the default settings the bundled policy loses up to a tenth; half is on its way to
    none."""
    entropy, first = (_recent(history, "policy/entropy_avg"), _first(history, "policy/entropy_avg"))
    left = _ratio(entropy, first)
    share, value, limit = (
        _both((1 - left) / 0.5), f"{max(left, 0.0):.0%} as open as at first", "below 50%")
    if not share > 1:
        return Reading(value, limit, share, over=_SINCE_FIRST)
    return Reading(value, limit, share, "serious" if left < 0.2 else "warning", (
        f"The next token is {max(left, 0.0):.0%} as open as in the first cycles "
        f"({max(entropy, 0.0):.2f} "
        f"nats, from {first:.2f})."), over=_SINCE_FIRST)


def _alike(history: History, hp: Hyperparameters) -> Reading:
    distinct, first = (_recent(history, "objective/distinct"),
                       _first(history, "objective/distinct"))
    share = _both((1 - _ratio(distinct, first)) / 0.4) if hp.batch_size >= _FEW else math.nan
    value, limit = f"{distinct:.0%} are different", (
        "below 60% of the first" if math.isnan(first) else f"below {0.6 * first:.0%}")
    if not share > 1:
        return Reading(value, limit, share)
    return Reading(value, limit, share, "serious" if distinct < 0.3 * first else "warning", (
        f"Only {distinct:.0%} of a cycle's completions are different, from {first:.0%} in the "
        "first cycles."))


def _unended(history: History, hp: Hyperparameters) -> Reading:
    """Where none ends, the penalty for it is the same for all and teaches nothing. Without a
    penalty nothing is expected to end."""
    ended = _recent(history, "val/num_eos_tokens")
    watched = hp.batch_size >= _FEW and hp.missing_eos_penalty > 0
    share = _both((1 - ended / hp.batch_size) / 0.95) if watched else math.nan
    value, limit = f"{ended:.0f} of {hp.batch_size} ended", "below 1 in 20"
    if not share > 1:
        return Reading(value, limit, share)
    return Reading(value, limit, share, "warning", (
        f"{ended:.0f} of {hp.batch_size} completions ended; the others ran into the response "
        f"length of {hp.response_length} tokens and lost the penalty for it."))


def _falling_reward(history: History, hp: Hyperparameters) -> Reading:
    """Compared with the best cycles so far. Means of few completions waver: a fall counts from half
    of what scores spread, and from four times the error of a mean."""
    reward, best = _recent(history, "objective/scores"), _highest(history, "objective/scores")
    spread = _highest(history, "objective/scores_std")
    most = max(0.5, 4 / math.sqrt(hp.batch_size)) * spread
    share = _both(_ratio(best - reward, most))
    value, limit = f"{best - reward:.2f} below its best", (
        "above half the spread" if math.isnan(most) else f"above {most:.2f}")
    over = f"{_OVER_RECENT} against the highest such median"
    if not share > 1:
        return Reading(value, limit, share, over=over)
    return Reading(value, limit, share, "warning", (
        f"Reward fell from {best:.2f} to {reward:.2f}: what was learned is being lost."),
        over=over)


def _hacking(history: History, hp: Hyperparameters) -> Reading:
    """Reward up by more than the scores first spread, bought with openness: one phrase the reward
    model likes. With the default settings reward rises as much, and openness falls by a tenth at
    most."""
    reward, reward_first = (_recent(history, "objective/scores"),
                            _first(history, "objective/scores"))
    gain, spread = reward - reward_first, max(_first(history, "objective/scores_std"), 1e-6)
    left, what, word = min(
        (_ratio(_recent(history, name), _first(history, name)), what, word)
        for name, what, word in (
            ("objective/distinct", "share of different completions", "different"),
            ("policy/entropy_avg", "openness of the next token", "open")))
    share = _both(gain / spread, (1 - left) / 0.35) if hp.batch_size >= _FEW else math.nan
    value = f"reward {gain:+.2f}, {left:.0%} as {word}"
    limit = ("above the spread" if math.isnan(spread) else f"above {spread:+.2f}") + (
        ", below 65%")
    if not share > 1:
        return Reading(value, limit, share, over=_SINCE_FIRST)
    return Reading(value, limit, share, "warning", (
        f"Reward rose from {reward_first:.2f} to {reward:.2f} while the {what} fell by "
        f"{1 - left:.0%}: the reward may be gamed. Read a few completions."), over=_SINCE_FIRST)


def _value_loss(history: History, hp: Hyperparameters) -> Reading:
    """Five times what a head that knows nothing had at first, and worse than a constant does on
    the scores as they now spread (which it may, while the reward climbs fast). An error of a
    hundredth of the score is none, where all score the same."""
    loss, spread = _recent(history, "loss/value_avg"), _recent(history, "objective/scores_std")
    first = _start(history, "loss/value_avg")
    slight = max(1e-3, abs(_recent(history, "objective/scores")) / 100)
    limits = (5 * first, spread * spread, slight * slight)
    share, value, limit = (
        _both(*(_ratio(loss, most) for most in limits)), f"{loss:.3g}",
        "above 5 × the first" if any(map(math.isnan, limits)) else
        f"above {max(limits):.3g}")
    if not share > 1:
        return Reading(value, limit, share)
    return Reading(value, limit, share, "serious" if loss > 50 * first else "warning", (
        f"The value loss is {loss:.3g}, {_ratio(loss, first):.0f} times that of the first cycle."))


def _explained_variance(history: History, hp: Hyperparameters) -> Reading:
    """Values that know nothing are a late mean of the reward. A separate model needs some cycles to
    know anything; cycles in which there was nothing to explain have no number. Of 4 completions a
    cycle a head that explains half comes out between -1 and 0.7."""
    later = {"val/explained_variance": history.get("val/explained_variance", ())[_VALUES_LEARN:]}
    known = _recent(later, "val/explained_variance", _VALUES_RECENT)
    recent = _recent(history, "val/explained_variance", 5)
    share = _either((1 - known) / 0.95, (1 - recent) / 1.5) if hp.batch_size >= _FEW else math.nan
    value, limit = f"{recent if math.isnan(known) else known:.2f} explained", "below 0.05"
    over = f"median of the last {5 if math.isnan(known) else _VALUES_RECENT} cycles"
    if not share > 1:
        return Reading(value, limit, share, over=over)
    if recent < -0.5:
        return Reading(f"{recent:.2f} explained", limit, share, "warning", (
            f"Explained variance is {recent:.2f}: the value head foresees the reward worse than a "
            "constant would."), over="median of the last 5 cycles")
    learn_nothing = not (hp.vf_coef or hp.num_value_epochs)
    return Reading(value, limit, share, "warning", (
        f"Explained variance is {known:.2f} over the last {_VALUES_RECENT} cycles: values do not "
        "foresee which completions will turn out well"
        f"{', and with a value coefficient of 0 they learn nothing' if learn_nothing else ''}."),
        over=over)


def _cut(history: History, hp: Hyperparameters) -> Reading:
    tokens = _last(history, "objective/cut")
    value, limit = f"{tokens:,.0f} tokens", "above 0 tokens"
    if not tokens > 0:
        return Reading(value, limit, tokens, over="")  # NaN where a version before did not count
    return Reading(value, limit, math.inf, "warning", (
        "Texts are longer than the reward model reads: of each it did not read the first "
        f"{tokens:,.3g} tokens, on average."), over="")


def _raised(name: str, least: float) -> Callable[[Hyperparameters], Value]:
    return lambda hp: float(f"{max(least, 2 * getattr(hp, name)):.3g}")


def _lower_rate(share: float) -> Callable[[Hyperparameters], Value]:
    return lambda hp: float(f"{share * hp.learning_rate:.3g}")


_ALL = (
    Rule(NOT_FINITE, "Not a number", "policy/grad_norm", _not_finite,
         "Resume from the last good checkpoint with a lower learning rate, and check that the "
         "reward is finite.", "learning_rate", _lower_rate(0.1)),
    Rule(NOT_ONE, "Ratio does not begin at 1", "val/ratio_start", _not_one,
         "No setting mends this, and what such a run learns means nothing: it is a fault of the "
         "model's code or of PPO Workbench. Stop the run, choose another policy, and report the "
         "architecture."),
    Rule("kl", "KL runs away", "objective/kl", _kl,
         "Raise the KL coefficient or lower the learning rate. What has been forgotten comes back "
         "only from an earlier checkpoint.", "kl_coef", _raised("kl_coef", 0.04)),
    Rule("unlikely", "Unlikely words", "objective/unlikely", _unlikely,
         "Read a few completions. If their language is odd, raise the KL coefficient or lower the "
         "learning rate.", "kl_coef", _raised("kl_coef", 0.04)),
    Rule("steps", "Steps are too large", "policy/clipfrac", _steps,
         "Lower the learning rate or the PPO epochs.", "learning_rate", _lower_rate(0.5)),
    Rule("entropy", "Entropy collapses", "policy/entropy_avg", _entropy,
         "Raise the entropy coefficient or the KL coefficient, or lower the learning rate.",
         "entropy_coef", _raised("entropy_coef", 0.01)),
    Rule("alike", "Completions are alike", "objective/distinct", _alike,
         "Raise the entropy coefficient or the KL coefficient.",
         "entropy_coef", _raised("entropy_coef", 0.01)),
    Rule("unended", "Completions do not end", "val/num_eos_tokens", _unended,
         "Raise the response length; give Stop strings (stop_strings) where something else ends a "
         "text; where texts need no end, set the missing-EOS penalty to 0.",
         "response_length", lambda hp: 2 * hp.response_length),
    Rule("cut", "Reward model cuts texts", "objective/cut", _cut,
         "It reads the end of each. Use shorter prompts, lower the response length, or choose a "
         "reward model that reads more; Completions says of each how much was cut.",
         "response_length", lambda hp: hp.response_length // 2),
    Rule("falling_reward", "Reward is falling", "objective/scores", _falling_reward,
         "Go back to the checkpoint that scored best, which is kept, and go on from there with a "
         "lower learning rate.", "learning_rate", _lower_rate(0.5)),
    Rule("hacking", "Reward is being gamed", "objective/scores", _hacking,
         "Raise the KL coefficient, or mend the reward where it likes what you do not.",
         "kl_coef", _raised("kl_coef", 0.04)),
    Rule("negative_kl", "KL is negative", "objective/kl", _negative_kl,
         "Use a larger batch, whose estimate is less noisy, or lower the learning rate. The "
         "estimator k3 is never negative, but in the reward it would only hide this.",
         "batch_size", lambda hp: 2 * hp.batch_size),
    Rule("value_loss", "Value loss diverges", "loss/value_avg", _value_loss,
         "Lower the learning rate; where the reward is on a large scale, normalise scores.",
         "learning_rate", _lower_rate(0.5)),
    Rule("explained_variance", "Values explain nothing", "val/explained_variance",
         _explained_variance,
         "In a new run, give values a model of their own (Value model: policy), which learns what "
         "a head on the policy's trunk may not find, and let it learn before the first cycle "
         "(Value pretraining: some thousand completions). A higher value coefficient moves the "
         "policy, not the values.", "value_model",
         lambda hp: "policy" if hp.value_model == "shared" else hp.value_model),
)
RULES: dict[str, Rule] = {rule.name: rule for rule in _ALL}
WATCHED = ("objective/scores", "objective/scores_std", "objective/kl", "objective/length",
           "objective/distinct", "objective/unlikely", "objective/cut", "policy/entropy_avg",
           "policy/approxkl", "policy/clipfrac", "policy/grad_norm", "loss/policy_avg",
           "loss/value_avg", "val/explained_variance", "val/num_eos_tokens", "val/ratio_start")
"""The metrics that rules look at."""
