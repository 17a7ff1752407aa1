"""The rules of PPO's health check: what each looks at, where its limit is, what to try."""

from __future__ import annotations

import math
from collections.abc import Callable

from workbench import health
from workbench.formatting import difference, number, percent
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.metrics import METRICS, NO_SPREAD
from workbench.settings import Value

NOT_ONE = "ratio"
"""Where this rule speaks, what the others look at means nothing."""
_LABELS = {metric.name: metric.label for metric in METRICS}
_FEW = 8
"""With fewer completions a cycle, their diversity says nothing, nor what values explain of them."""
_VALUES_RECENT, _VALUES_LEARN = 8, 2
"""Over how many cycles values are judged, after the first ones, in which they learn."""


def _not_finite(history: health.History, hp: Hyperparameters) -> health.Reading:
    return health.all_finite(history, (
        "objective/scores", "objective/kl", "policy/entropy_avg", "loss/policy_avg",
        "loss/value_avg", "policy/grad_norm"), _LABELS)


def _not_one(history: health.History, hp: Hyperparameters) -> health.Reading:
    """The limit in half precision is four times what rounding makes of it."""
    off, most = health.last(history, "val/ratio_start"), 0.01 if hp.precision == "float32" else 0.2
    share, value, limit = health.both(off / most), f"{off:.2g} nats a token", f"above {most:g}"
    return health.spoken(value, limit, share, "serious", (
        f"With the weights that wrote them, tokens are read {math.exp(min(off, 99)):,.2f} times "
        "more or less probable than they were written; the ratio must begin at 1."), over="")


def _kl(history: health.History, hp: Hyperparameters) -> health.Reading:
    """A token e times likelier than at the start, on average (1 nat), is far for a fine-tuned
    model; at 3 nats the start policy's language is gone. The adaptive controller has a target."""
    far = 2 * hp.kl_target
    last, kl = health.last(history, "objective/kl"), health.recent(history, "objective/kl")
    last_token = last / max(1.0, health.last(history, "objective/length"))
    token = kl / max(1.0, health.recent(history, "objective/length"))
    lost = health.both(last_token / 3, last / far)
    adaptive = hp.kl_controller == "adaptive"
    share = health.either(health.both(kl / far) if adaptive else health.both(token, kl / far), lost)
    own = lost > 1 or math.isnan(kl)
    over = "" if own else health.OVER_RECENT
    shown, shown_token = (last, last_token) if own else (kl, token)
    if adaptive:
        value, limit = f"{shown:.1f} nats a completion", f"above {far:g}"
    else:
        value, limit = f"{shown_token:.2f} nats a token", "above 1"
    if not share > 1:
        return health.Reading(value, limit, share, over=over)
    if lost > 1:
        return health.Reading(value, limit, share, "serious", (
            f"Completions are {last:.0f} nats from the start policy, {last_token:.1f} a token: its "
            "language is being lost."), over=over)
    return health.Reading(value, limit, share, "warning", (
        f"KL is {kl:.0f} nats a completion, more than twice its target of {hp.kl_target:g}."
        if adaptive else f"Completions are {kl:.0f} nats from the start policy, {token:.1f} a "
        "token: the reward may be gamed."))


def _unlikely(history: health.History, hp: Hyperparameters) -> health.Reading:
    """With the default settings the bundled policy comes to 1 to 3 %, from 0.5 %."""
    now = health.recent(history, "objective/unlikely")
    start = health.at_start(history, "objective/unlikely")
    share, most = health.both((now - start) / 0.1), start + 0.1
    value, limit = f"{percent(now)} of the tokens", (
        f"above the first + {percent(0.1)}" if math.isnan(most) else f"above {percent(most)}")
    return health.spoken(value, limit, share, "serious" if share > 3 else "warning", (
        f"{percent(now)} of the tokens are ones that the start policy would write less than once "
        f"in a thousand times; {percent(start)} were in the first cycle."))


def _negative_kl(history: health.History, hp: Hyperparameters) -> health.Reading:
    """TRL's PPOTrainer warned below -1 in any cycle (0.11, ``record_step_stats``); the median
    of three passes over the noise of a small batch."""
    kl = health.recent(history, "objective/kl")
    share, value, limit = health.both(-kl), f"{kl:.1f} nats a completion", "below -1"
    return health.spoken(value, limit, share, "warning", (
        f"The estimate of KL is {kl:.1f} nats, and a KL cannot be negative: the penalty rewards "
        "drifting away."))


def _steps(history: health.History, hp: Hyperparameters) -> health.Reading:
    """Both are measured after the last step of a cycle. With the default settings the first cycle
    moves a fifth of the tokens out of the trust region and the policy by 0.02 to 0.03 nats a token
    (with a batch of 16 a third, and 0.15), the third less than a tenth and 0.01. 1 nat changes a
    token's probability fourfold within a cycle."""
    last, moved = (health.last(history, "policy/approxkl"),
                   health.recent(history, "policy/approxkl"))
    outside = health.recent(history, "policy/clipfrac")
    share = health.either(last, moved / 0.3, outside / 0.5)
    if share > 1 and last > 1:
        return health.Reading(f"{last:,.1f} nats a token", "above 1", share, "serious", (
            f"One cycle moved the policy by {last:,.1f} nats a token; less than 0.1 is usual."),
            over="")
    if math.isnan(moved) or math.isnan(outside):
        return health.Reading(f"{last:.2f} nats a token", "above 1", share, over="")
    if moved / 0.3 > outside / 0.5:
        value, limit = f"{moved:.2f} nats a token", "above 0.3"
        said = f"A cycle moves the policy by {moved:.2f} nats a token; less than 0.1 is usual."
    else:
        value, limit = f"{percent(outside)} outside 1 ± ε", f"above {percent(0.5)}"
        said = f"A cycle moves {percent(outside)} of the tokens out of the trust region."
    return health.Reading(value, limit, share, "warning", said) if share > 1 else (
        health.Reading(value, limit, share))


def _entropy(history: health.History, hp: Hyperparameters) -> health.Reading:
    """With the default settings the bundled policy loses up to a tenth; half is on its way to
    none."""
    entropy, first = (health.recent(history, "policy/entropy_avg"),
                      health.first(history, "policy/entropy_avg"))
    left = health.ratio(entropy, first)
    share, value, limit = (
        health.both((1 - left) / 0.5), f"{percent(max(left, 0.0))} as open as at first",
        f"below {percent(0.5)}")
    return health.spoken(value, limit, share, "serious" if left < 0.2 else "warning", (
        f"The next token is {percent(max(left, 0.0))} as open as in the first cycles "
        f"({max(entropy, 0.0):.2f} "
        f"nats, from {first:.2f})."), over=health.SINCE_FIRST)


def _alike(history: health.History, hp: Hyperparameters) -> health.Reading:
    distinct, first = (health.recent(history, "objective/distinct"),
                       health.first(history, "objective/distinct"))
    share = health.both((1 - health.ratio(distinct, first)) / 0.4) if (
        hp.batch_size >= _FEW) else math.nan
    value, limit = f"{percent(distinct)} are different", (
        f"below {percent(0.6)} of the first" if math.isnan(first) else
        f"below {percent(0.6 * first)}")
    return health.spoken(value, limit, share, "serious" if distinct < 0.3 * first else "warning", (
        f"Only {percent(distinct)} of a cycle's completions are different, from {percent(first)} "
        "in the first cycles."))


def _unended(history: health.History, hp: Hyperparameters) -> health.Reading:
    """Where none ends, the penalty for it is the same for all and teaches nothing. Without a
    penalty nothing is expected to end."""
    ended = health.recent(history, "val/num_eos_tokens")
    watched = hp.batch_size >= _FEW and hp.missing_eos_penalty > 0
    share = health.both((1 - ended / hp.batch_size) / 0.95) if watched else math.nan
    value, limit = f"{ended:.0f} of {hp.batch_size} ended", "below 1 in 20"
    return health.spoken(value, limit, share, "warning", (
        f"{ended:.0f} of {hp.batch_size} completions ended; the others ran into the response "
        f"length of {hp.response_length} tokens and lost the penalty for it."))


def _falling_reward(history: health.History, hp: Hyperparameters) -> health.Reading:
    """Compared with the best cycles so far. Means of few completions waver: a fall counts from half
    of what scores spread, and from four times the error of a mean."""
    reward, best = (health.recent(history, "objective/scores"),
                    health.highest(history, "objective/scores"))
    spread = health.highest(history, "objective/scores_std")
    most = max(0.5, 4 / math.sqrt(hp.batch_size)) * spread
    share = health.both(health.ratio(best - reward, most))
    ends = number(best), number(reward)
    value, limit = f"{difference(*ends[::-1]).lstrip('+')} below its best", (
        "above half the spread" if math.isnan(most) else f"above {most:.2f}")
    over = f"{health.OVER_RECENT} against the highest such median"
    return health.spoken(value, limit, share, "warning", (
        f"Reward fell from {ends[0]} to {ends[1]}: what was learned is being lost."),
        over=over)


def _hacking(history: health.History, hp: Hyperparameters) -> health.Reading:
    """Reward up by more than the scores first spread, bought with openness: one phrase the reward
    model likes. With the default settings reward rises as much, and openness falls by a tenth at
    most."""
    reward, reward_first = (health.recent(history, "objective/scores"),
                            health.first(history, "objective/scores"))
    gain, spread = reward - reward_first, max(health.first(history, "objective/scores_std"), 1e-6)
    left, what, word = min(
        (health.ratio(health.recent(history, name), health.first(history, name)), what, word)
        for name, what, word in (
            ("objective/distinct", "share of different completions", "different"),
            ("policy/entropy_avg", "openness of the next token", "open")))
    share = health.both(gain / spread, (1 - left) / 0.35) if hp.batch_size >= _FEW else math.nan
    ends = number(reward_first), number(reward)
    value = f"reward {difference(*ends)}, {percent(left)} as {word}"
    limit = ("above the spread" if math.isnan(spread) else f"above {spread:+.2f}") + (
        f", below {percent(0.65)}")
    return health.spoken(value, limit, share, "warning", (
        f"Reward rose from {ends[0]} to {ends[1]} while the {what} fell by "
        f"{percent(1 - left)}: the reward may be gamed. Read a few completions."),
        over=health.SINCE_FIRST)


def _value_loss(history: health.History, hp: Hyperparameters) -> health.Reading:
    """Five times what a head that knows nothing had at first, and worse than a constant does on
    the scores as they now spread (which it may, while the reward climbs fast). An error of a
    hundredth of the score is none, where all score the same."""
    loss, spread = (health.recent(history, "loss/value_avg"),
                    health.recent(history, "objective/scores_std"))
    first = health.at_start(history, "loss/value_avg")
    slight = max(1e-3, abs(health.recent(history, "objective/scores")) / 100)
    limits = (5 * first, spread * spread, slight * slight)
    share, value, limit = (
        health.both(*(health.ratio(loss, most) for most in limits)), f"{loss:.3g}",
        "above 5 × the first" if any(map(math.isnan, limits)) else
        f"above {max(limits):.3g}")
    return health.spoken(value, limit, share, "serious" if loss > 50 * first else "warning", (
        f"The value loss is {loss:.3g}, {health.ratio(loss, first):.0f} times that of the first "
        "cycle."))


def _explained_variance(history: health.History, hp: Hyperparameters) -> health.Reading:
    """Values that know nothing are a late mean of the reward. A separate model needs some cycles to
    know anything; cycles in which there was nothing to explain have no number. Of 4 completions a
    cycle a head that explains half comes out between -1 and 0.7."""
    later = {"val/explained_variance": history.get("val/explained_variance", ())[_VALUES_LEARN:]}
    known = health.recent(later, "val/explained_variance", _VALUES_RECENT)
    recent = health.recent(history, "val/explained_variance", 5)
    share = health.either((1 - known) / 0.95, (1 - recent) / 1.5) if (
        hp.batch_size >= _FEW) else math.nan
    value, limit = f"{recent if math.isnan(known) else known:.2f} explained", "below 0.05"
    over = f"median of the last {5 if math.isnan(known) else _VALUES_RECENT} cycles"
    if not share > 1:
        return health.Reading(value, limit, share, over=over)
    if recent < -0.5:
        return health.Reading(f"{recent:.2f} explained", limit, share, "warning", (
            f"Explained variance is {recent:.2f}: the value head foresees the reward worse than a "
            "constant would."), over="median of the last 5 cycles")
    learn_nothing = not (hp.vf_coef or hp.num_value_epochs)
    return health.Reading(value, limit, share, "warning", (
        f"Explained variance is {known:.2f} over the last {_VALUES_RECENT} cycles: values do not "
        "foresee which completions will turn out well"
        f"{', and with a value coefficient of 0 they learn nothing' if learn_nothing else ''}."),
        over=over)


def _no_spread(history: health.History, hp: Hyperparameters) -> health.Reading:
    """The bundled reward gives hardly two texts the same score; one that says right or wrong gives
    none but such groups once the prompts are learned."""
    alike = health.recent(history, NO_SPREAD)
    share, value, limit = (
        health.both(alike / 0.7), f"{percent(alike)} of the prompts", f"above {percent(0.7)}")
    return health.spoken(value, limit, share, "warning", (
        f"Of {percent(alike)} of the prompts all completions were worth the same, so nothing is "
        "learned from them."))


def _cut(history: health.History, hp: Hyperparameters) -> health.Reading:
    tokens = health.last(history, "objective/cut")
    value, limit = f"{tokens:,.0f} tokens", "above 0 tokens"
    if not tokens > 0:
        # NaN where a version before did not count.
        return health.Reading(value, limit, tokens, over="")
    return health.Reading(value, limit, math.inf, "warning", (
        "Texts are longer than the reward model reads: of each it did not read the first "
        f"{tokens:,.3g} tokens, on average."), over="")


def _raised(name: str, least: float) -> Callable[[Hyperparameters], Value]:
    return lambda hp: float(f"{max(least, 2 * getattr(hp, name)):.3g}")


def _lower_rate(share: float) -> Callable[[Hyperparameters], Value]:
    return lambda hp: float(f"{share * hp.learning_rate:.3g}")


RULES = (
    health.Rule(health.NOT_FINITE, "Not a number", "policy/grad_norm", _not_finite,
         "Resume from the last good checkpoint with a lower learning rate, and check that the "
         "reward is finite.", "learning_rate", _lower_rate(0.1),
         short="Finite"),
    health.Rule(NOT_ONE, "Ratio does not begin at 1", "val/ratio_start", _not_one,
         "No setting mends this, and what such a run learns means nothing: it is a fault of the "
         "model's code or of PPO Workbench. Stop the run, choose another policy, and report the "
         "architecture.", alone=True,
         short="Ratio"),
    health.Rule("kl", "KL runs away", "objective/kl", _kl,
         "Raise the KL coefficient or lower the learning rate. What has been forgotten comes back "
         "only from an earlier checkpoint.", "kl_coef", _raised("kl_coef", 0.04),
         short="KL"),
    health.Rule("unlikely", "Unlikely words", "objective/unlikely", _unlikely,
         "Read a few completions. If their language is odd, raise the KL coefficient or lower the "
         "learning rate.", "kl_coef", _raised("kl_coef", 0.04),
         short="Words"),
    health.Rule("steps", "Steps are too large", "policy/clipfrac", _steps,
         "Lower the learning rate or the PPO epochs.", "learning_rate", _lower_rate(0.5),
         short="Steps"),
    health.Rule("entropy", "Entropy collapses", "policy/entropy_avg", _entropy,
         "Raise the entropy coefficient or the KL coefficient, or lower the learning rate.",
         "entropy_coef", _raised("entropy_coef", 0.01),
         short="Entropy"),
    health.Rule("alike", "Completions are alike", "objective/distinct", _alike,
         "Raise the entropy coefficient or the KL coefficient.",
         "entropy_coef", _raised("entropy_coef", 0.01),
         short="Variety"),
    health.Rule("unended", "Completions do not end", "val/num_eos_tokens", _unended,
         "Raise the response length; give Stop strings (stop_strings) where something else ends a "
         "text; where texts need no end, set the missing-EOS penalty to 0.",
         "response_length", lambda hp: 2 * hp.response_length,
         short="Ends"),
    health.Rule("cut", "Reward model cuts texts", "objective/cut", _cut,
         "It reads the end of each. Use shorter prompts, lower the response length, or choose a "
         "reward model that reads more; Completions says of each how much was cut.",
         "response_length", lambda hp: hp.response_length // 2,
         short="Cut"),
    health.Rule("falling_reward", "Reward is falling", "objective/scores", _falling_reward,
         "Go back to the checkpoint that scored best, which is kept, and go on from there with a "
         "lower learning rate.", "learning_rate", _lower_rate(0.5),
         short="Reward"),
    health.Rule("hacking", "Reward is being gamed", "objective/scores", _hacking,
         "Raise the KL coefficient, or mend the reward where it likes what you do not.",
         "kl_coef", _raised("kl_coef", 0.04),
         short="Gaming"),
    health.Rule("negative_kl", "KL is negative", "objective/kl", _negative_kl,
         "Use a larger batch, whose estimate is less noisy, or lower the learning rate. The "
         "estimator k3 is never negative, but in the reward it would only hide this.",
         "batch_size", lambda hp: 2 * hp.batch_size,
         short="KL > 0"),
    health.Rule("value_loss", "Value loss diverges", "loss/value_avg", _value_loss,
         "Lower the learning rate; where the reward is on a large scale, normalise scores.",
         "learning_rate", _lower_rate(0.5),
         short="Value loss"),
    health.Rule("explained_variance", "Values explain nothing", "val/explained_variance",
         _explained_variance,
         "In a new run, give values a model of their own (Value model: policy), which learns what "
         "a head on the policy's trunk may not find, and let it learn before the first cycle "
         "(Value pretraining: some thousand completions). A higher value coefficient moves the "
         "policy, not the values.", "value_model",
         lambda hp: "policy" if hp.value_model == "shared" else hp.value_model,
         short="Values"),
)

OF_VALUES_RULES = ("value_loss", "explained_variance")
"""The rules that look at a value head."""
NO_SPREAD_RULE = health.Rule(
    "no_spread", "Groups without spread", NO_SPREAD, _no_spread,
    "Raise the completions per prompt or the temperature, choose prompts that are neither solved "
    "nor out of reach, or a reward that tells more apart.", "completions_per_prompt",
    lambda hp: next((n for n in range(2 * hp.completions_per_prompt, hp.batch_size)
                     if hp.batch_size % n == 0), hp.completions_per_prompt),
    short="Spread")

WATCHED = ("objective/scores", "objective/scores_std", "objective/kl", "objective/length",
           "objective/distinct", "objective/unlikely", "objective/cut", "policy/entropy_avg",
           "policy/approxkl", "policy/clipfrac", "policy/grad_norm", "loss/policy_avg",
           "loss/value_avg", "val/explained_variance", "val/num_eos_tokens", "val/ratio_start")
