"""A completion as PPO saw it: a step a token, and how each number is written. No torch."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from workbench.algorithm import Siblings, TokenColumn, TokenView, ValueLine
from workbench.formatting import difference, number, percent, signed, visible
from workbench.papers import SCHULMAN_2016
from workbench.ppo.picture import band, held

_EVEN = 0.05  # advantages nearer to 0 than this say nothing about a token
_NO_CHOICE = 0.05  # nats
_BREAK = "\n"
_LEAST = 0.005  # what is less is written as 0
_APART = 0.1  # a score and what was trained on that differ by less say the same


@dataclass(frozen=True, slots=True)
class Step:
    """One token.

    ``value`` is the value head's estimate before the token and ``value_after`` the one after it,
    or after the last token the reward model's score. ``chance`` and ``start_chance`` are the
    probabilities of the policy that wrote it and of the start policy, at the sampling
    temperature; ``ratio`` is what the cycle's update made of the former. ``held``: the ratio is
    outside the clip range on the side the advantage pushes to, so that this token pushes it no
    further. Other tokens, which share the policy's weights, may. ``counted`` is the reward of the
    last token as it was trained on: the score normalised, clipped and penalised, as is set, less
    the token's KL price. ``returned`` is the return, which ``value`` was trained towards.
    ``followed`` is what came after the token beyond what was foreseen there, as GAE counts it:
    ``gamma * lam * A_{t+1}``, before whitening.
    """

    piece: str
    value: float
    value_after: float
    advantage: float
    chance: float
    start_chance: float
    ratio: float
    kl: float
    entropy: float
    held: bool
    last: bool
    counted: float = math.nan
    returned: float = math.nan
    followed: float = math.nan

    @property
    def came_to(self) -> float:
        """What stands after the token on the scale of the values: at the end ``counted``, where
        that is another number than the score."""
        apart = self.last and abs(self.counted - self.value_after) > _APART
        return self.counted if apart else self.value_after

    @property
    def own(self) -> float:
        """What the token itself changed of the estimate."""
        return self.came_to - self.value

    @property
    def together(self) -> float:
        """Its advantage before whitening."""
        return self.returned - self.value


COLUMNS = (
    TokenColumn("Advantage",
           "How much better (above 0) or worse the text went on than the value head had expected: "
           "by this token and, the later the less (λ), by all that followed. So it may be below 0 "
           "where the value rises. Whitened: compared with the cycle's average token, in standard "
           "deviations. The update makes tokens above 0 likelier. GAE, as it enters the policy "
           "loss",
           lambda s: signed(s.advantage), lambda s: s.advantage),
    TokenColumn("Value",
           "The value head's estimate of the reward still to come, before → after the token. "
           "After the last token: the reward model's score, as it was trained on",
           lambda s: "–" if math.isnan(s.value) else f"{number(s.value)} → {number(s.came_to)}",
           lambda s: s.came_to),
    TokenColumn("Chance",
           "How likely the policy found the token when it wrote it, at the sampling temperature",
           lambda s: percent(s.chance), lambda s: s.chance, False),
    TokenColumn("Update",
           "How many times as likely the cycle's update made the token: the ratio ρ. Held: "
           "outside the band 1 ± ε on the side its advantage pushes to, where the token itself "
           "pushes no further; what other tokens push can still carry it on",
           lambda s: times(s.ratio) + (" held" if s.held else ""),
           lambda s: math.log(s.ratio) if s.ratio > 0 else 0.0),
    TokenColumn("KL",
           "How much likelier the policy finds the token than the start policy does, in nats: "
           "log π − log π_start. Its sum is the completion's KL by the estimator k1. Of a single "
           "token or completion it may be below 0; only the mean over many is a distance",
           lambda s: signed(s.kl), lambda s: s.kl, False),
    TokenColumn("Entropy",
           "How open the choice of this token was, in nats. 0: no alternative; this is what the "
           "entropy term keeps up",
           lambda s: number(s.entropy), lambda s: s.entropy, False),
)


def read_steps(
    pieces: Sequence[str], numbers: Mapping[str, Sequence[float]], score: float,
    settings: Mapping[str, object],
) -> tuple[Step, ...]:
    """Return the steps of a completion that the reward model gave ``score``. What is not known
    yet, within a cycle, is NaN."""
    import numpy as np  # which a window is open before

    count = len(pieces)
    n = {name: [float(x) for x in numbers.get(name, [math.nan] * count)] for name in (
        "value", "advantage", "logprob", "ref_logprob", "ratio", "entropy", "reward",
        "return")}
    after = [*n["value"][1:], score]
    stopped = held(np.array(n["ratio"]), np.array(n["advantage"]), _with_clip(settings))
    weight = _number(settings, "gamma", 1.0) * _number(settings, "lam", 0.95)
    beyond = [weight * (r - v) for r, v in zip(n["return"], n["value"], strict=True)]
    followed = [*beyond[1:], 0.0]
    return tuple(
        Step(piece, n["value"][i], after[i], n["advantage"][i], math.exp(n["logprob"][i]),
             math.exp(n["ref_logprob"][i]), n["ratio"][i], n["logprob"][i] - n["ref_logprob"][i],
             n["entropy"][i], bool(stopped[i]), i == count - 1,
             n["reward"][i] if i == count - 1 else math.nan, n["return"][i], followed[i])
        for i, piece in enumerate(pieces))


def say(step: Step, settings: Mapping[str, object]) -> str:
    """Say in words, as rich text, what PPO made of a token."""
    then = (f"{number(step.value_after)} after it{_say_own(step)}" if not step.last else
            "not scored yet" if math.isnan(step.value_after) else
            f"the reward model then gave {number(step.value_after)}")
    if step.came_to != step.value_after:
        then += f", which was trained on as {number(step.came_to)}"
    # Whitened advantages have the batch's mean taken away: their sign compares with the others.
    whitened = bool(settings.get("whiten_advantages"))
    unit = " deviations" if whitened else ""
    against = "the cycle's average token" if whitened else "the value head expected"
    turned = (f"about as good as {against}" if abs(step.advantage) < _EVEN else
              f"better than {against}" if step.advantage > 0 else f"worse than {against}")
    if step.entropy < _NO_CHOICE:
        turned += ("; there was no choice here, so it shows the reward model's score" if step.last
                   else "; there was no choice here, so it shows what came later")
    judged = ("Advantage: told by Estimate" if math.isnan(step.advantage) else
              f"{_say_together(step, whitened)}Advantage {signed(step.advantage)}{unit}: {turned}")
    updated = ("the update is still to come" if math.isnan(step.ratio) else
               f"the update made it {times(step.ratio)}{say_band(step, settings)}")
    estimated = ("Value head: told by Estimate" if math.isnan(step.value) else
                 f"Value head: {number(step.value)} before it, {then}")
    return (
        f"<b>{html.escape(visible(step.piece))}</b> &nbsp;{estimated}. {judged}. "
        f"Chance {html.escape(percent(step.chance))} "
        f"(start policy {html.escape(percent(step.start_chance))}); "
        f"{updated}.")


def _say_own(step: Step) -> str:
    """Say what the token itself changed of the estimate."""
    own = difference(number(step.value), number(step.came_to))
    return "" if not own else (f": it {'rose' if own[0] == '+' else 'fell'} by {own[1:]}"
                               if own[0] in "+−" else ": it stayed")


def _say_followed(step: Step) -> str:
    """Say how what came after the token compares with what was foreseen there."""
    if step.last or math.isnan(step.followed):
        return ""
    # The least certain summand takes up what rounding makes of the others: they add up.
    followed = round(step.together, 2) - _round_own(step) - _rest(step)
    said = signed(followed)
    if said[0] not in "+−":
        return "what followed was as foreseen"
    return (f"what followed was {'better' if said[0] == '+' else 'worse'} than foreseen "
            f"({said} as GAE counts it)")


def _round_own(step: Step) -> float:
    return round(step.came_to, 2) - round(step.value, 2)


def _rest(step: Step) -> float:
    """Return what KL price and discount make of the advantage, as it is written."""
    rest = step.together - step.own - step.followed
    return round(rest, 2) if abs(rest) >= _LEAST else 0.0


def _say_together(step: Step, whitened: bool) -> str:
    """Say what an advantage is made of, so that it does not seem to belie the value."""
    followed = _say_followed(step)
    if not followed:
        return ""
    rest = _rest(step)
    price = (f", KL price and discount {signed(rest)}{' (a gain here)' if rest > 0 else ''}"
             if rest else "")
    total = f"; together {signed(step.together)}" if whitened else ""
    return f"{followed[0].upper()}{followed[1:]}{price}{total}. "


def say_band(step: Step, settings: Mapping[str, object]) -> str:
    """Say of a token whose ratio has left the band what holds it, or what carries it."""
    low, high = band(_with_clip(settings))
    if step.held:
        return (f", held by the clip (the band is {number(low)} to {number(high)}): it no longer "
                "pushes itself; the step that left the band, or other tokens, moved it further")
    if low <= step.ratio <= high:
        against = (abs(step.advantage) >= _EVEN and abs(step.ratio - 1) >= _LEAST
                   and (step.ratio > 1) != (step.advantage > 0))
        return ", carried by other tokens, against its own advantage" if against else ""
    return (f", outside the band {number(low)} to {number(high)} but not held: carried by other "
            "tokens, against its own advantage")


def _number(settings: Mapping[str, object], name: str, default: float) -> float:
    value = settings.get(name, default)
    assert isinstance(value, int | float)
    return value


def _with_clip(settings: Mapping[str, object]) -> Mapping[str, object]:
    return {"cliprange": 0.2, **settings}


def _flag(end: Step) -> str:
    if math.isnan(end.came_to):
        return "not scored yet"
    reward = f"reward {number(end.value_after)}"
    return reward if end.came_to == end.value_after else (
        f"{reward}{_BREAK}trained on as {number(end.came_to)}")


def _gap(end: Step) -> str:
    gap = difference(number(end.value), number(end.came_to))
    return gap and (f"{'foreseen too much' if gap[0] == '−' else 'not yet foreseen'}: "
                    f"{gap.lstrip('+−')}")


def _say_value(step: Step) -> str:
    """Say in a sentence what the value line shows of a token."""
    if math.isnan(step.value):
        return f"{visible(step.piece)}: the value head's estimate is not told yet."
    said = f"{visible(step.piece)}: the value head's estimate "
    said += (f"is {number(step.value)} before it, then {_flag(step).replace(_BREAK, ', ')}"
             if step.last else
             f"goes from {number(step.value)} to {number(step.value_after)}")
    if step.last and (gap := _gap(step)):
        said += f", {gap}"
    if followed := _say_followed(step):
        said += f"; {followed}"
    return said + (f"; advantage {signed(step.advantage)}."
                   if math.isfinite(step.advantage) else "; the advantage is not known yet.")


def times(ratio: float) -> str:
    """Return how many times as likely an update made a token."""
    return f"×{ratio:.2f}" if math.isfinite(ratio) else "–"


VALUE_LINE = ValueLine(
    "Value line",
    "The line is the value head's estimate of the reward still to come: at the prompt's end, then "
    "after every token. The flag is the reward; hatched is what the last estimate missed of it. "
    "The dashed line is the return, which the estimates are trained towards: the shaded area "
    "between the two is the value loss (there squared). Under each word its advantage, "
    "which counts the token and all that followed: up, better than expected; down, worse. Left "
    "and Right go through the tokens.",
    estimate=lambda s: s.value, target=lambda s: s.returned, bar=lambda s: s.advantage,
    end=lambda s: s.came_to, flag=_flag, gap=_gap, say=_say_value,
    unit=lambda settings: "deviations" if settings.get("whiten_advantages") else "",
    formula="A_t = δ_t + γλ·A_{t+1}\nδ_t = r_t + γ·V_{t+1} - V_t", source=SCHULMAN_2016)

SIBLINGS = Siblings(
    "Siblings",
    "The completions of one prompt that a cycle wrote. A path's height is its reward, its colour "
    "the mean advantage of its tokens; the dashed line is what the value head foresaw of all of "
    "them, when none of their words was written",
    count="completions_per_prompt", line="value head at the prompt",
    gained="mean advantage of its tokens",
    worth=lambda steps: steps[-1].came_to, against=lambda steps: steps[0].value,
    advantage=lambda steps: fmean(step.advantage for step in steps),
    formula="A_t = δ_t + γλ·A_{t+1}\nδ_t = r_t + γ·V_{t+1} - V_t", source=SCHULMAN_2016)

TOKENS = TokenView(
    "the value head's estimate, its advantage and what the update made of it",
    COLUMNS, read_steps, say,
    # A large advantage where there was a choice.
    weight=lambda step: abs(step.advantage) * min(1.0, step.entropy),
    line=VALUE_LINE, siblings=SIBLINGS)
