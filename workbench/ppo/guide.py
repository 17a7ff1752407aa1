"""What the guide tells of PPO. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import exp
from typing import Any

from workbench.formatting import format_number, number, percent, signed
from workbench.guide import Card, Experiment, Guide
from workbench.learning import guide
from workbench.learning.metrics import KL
from workbench.ppo.others_tokens import Words

Numbers = Mapping[str, float]


def _cost(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    """KL and its price; with the coefficient that the cycle used, which a controller may move."""
    if KL not in metrics:
        return ""
    said = f"KL {number(metrics[KL], 1)} nats a completion"
    price = metrics.get("kl_coef", settings.get("kl_coef", 0.0))
    if price and _in_loss(settings):
        return f"{said}; its price is a term of the loss, at β {format_number(price)}"
    return (f"{said} × β {format_number(price)} = {number(price * max(0.0, metrics[KL]))} off the "
            "reward" if price else f"{said}, at no price")


def _in_loss(settings: Mapping[str, Any]) -> bool:
    """Return whether KL has its price in the loss instead of in the reward."""
    return settings.get("kl_in", "reward") == "loss"


def _say_value(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    known = metrics.get("val/explained_variance")
    return "" if known is None or known != known else (
        f"It foresees {percent(max(0.0, known))} of what differs between texts")


def _say_advantage(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    if "val/advantage_std" not in metrics:
        return ""
    spread = number(metrics["val/advantage_std"])
    if settings.get("whiten_advantages"):
        return f"A is in units of this cycle's spread: 1 is {spread} of reward"
    return f"A is in units of reward; its spread is {spread}"


def _say_loss(loss: str) -> Callable[[Numbers, Mapping[str, Any]], str]:
    return lambda metrics, settings: (
        f"{loss} {signed(metrics['loss/total_avg'])}" if "loss/total_avg" in metrics else "")


def _with_kl(formula: str, many: str, text: str) -> Callable[
        [Mapping[str, Any]], Mapping[str, str]]:
    """Return how the card on a loss reads where KL is one more of its terms, ``many`` in all."""
    words = {
        "title": f"One loss of {many} terms", "formula": f"{formula} + KL price",
        "text": f"{text} The KL price, β·KL, holds the policy near the start policy."}
    return lambda settings: words if _in_loss(settings) else {}


def _summed(formula: str) -> Callable[[Mapping[str, Any]], Mapping[str, str]]:
    return lambda settings: {"formula": formula} if _in_loss(settings) else {}


def _price_in_loss(settings: Mapping[str, Any]) -> Mapping[str, str]:
    return {
        "formula": "L = … + β·KL",
        "text": "KL measures how far the policy's choice of words has moved from the start "
                "policy, and β is what a nat of it costs: here it is a term of the loss, and the "
                "reward stays as it is. Without that price the policy would soon write whatever "
                "nonsense the reward model happens to like; too high a price, and it stays as it "
                "was."} if _in_loss(settings) else {}


def _say_clip(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    clip = settings.get("cliprange")
    if clip is None or "policy/clipfrac" not in metrics:
        return ""
    return (f"ε {clip:g}: the band is {number(1 - clip)} to {number(1 + clip)}, and "
            f"{percent(metrics['policy/clipfrac'])} of the tokens ended outside")


def _say_entropy(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    if "policy/entropy_avg" not in metrics:
        return ""
    entropy = metrics["policy/entropy_avg"]
    price = settings.get("entropy_coef", 0.0)
    return (f"Entropy {number(entropy)} nats: as open as {number(exp(entropy), 1)} equally likely "
            f"tokens. c₂ {format_number(price)}" + ("" if price else ": the term is off"))


_FORMULA = "L_PPO = L_POLICY + c₁·L_VF + c₂·L_ENT"
_PHASES = "write, score, estimate", "policy, value head"
START = replace(
    guide.START, title="PPO in one sentence", phases=_PHASES,
    text="The policy writes answers, a reward model scores them, and what turned out better than "
         "expected is made a little likelier, again and again. Press Start; this page follows the "
         "run, and Step into (Ctrl+I) stops after each part of a cycle.",
    formula=_FORMULA, by_settings=_summed(f"{_FORMULA} + KL price"))
WRITE = replace(guide.WRITE, metric="logprob")
PRICE = Card(
    "score", "KL: the price of moving away",
    "KL measures how far the policy's choice of words has moved from the start policy, and β is "
    "what a nat of it costs, taken off the reward at each token for that token's own part. Without "
    "that price the policy would soon write whatever nonsense the reward model happens to like; "
    "too high a price, and it stays as it was.", "leash", view="metrics",
    formula="r = score - β·KL", say=_cost, by_settings=_price_in_loss)
VALUE = Card(
    "estimate", "The value head foresees",
    "The value head, a small addition to the policy, estimates at every token what reward the "
    "whole text will get; the estimate rises and falls as the text gets better or worse. It is "
    "the yardstick: only against what was foreseen can a token turn out better or worse.",
    "estimates", view="tokens", formula="V(s) ≈ Σ_t r_t", say=_say_value)
ADVANTAGE = Card(
    "estimate", "The advantage: better than foreseen?",
    "A token's advantage says how much better the text went on than the value head had foreseen, "
    "and counts all that came later, not only the step of the estimate at this token. Then "
    "whitening rescales it, so that the cycle's average token is at 0 and 1 is the usual "
    "distance: below 0, it is made less likely, even where the estimate rose at it.",
    "paths", view="tokens",
    formula="A_t = Σ_k (γλ)^k·δ_{t+k},  δ_t = r_t + γ·V_{t+1} - V_t", say=_say_advantage)
_TERMS = (
    "Gradient steps turn the weights so that L_PPO falls: L_POLICY makes tokens with a positive "
    "advantage likelier, L_VF teaches the value head to foresee better, L_ENT keeps choices open. "
    "The coefficients c₁ and c₂ say how much the second and the third have a say in the weights "
    "that all share.")
LOSS = Card(
    "update", "One loss of three terms", _TERMS, "terms", view="objective", formula=_FORMULA,
    say=_say_loss("L_PPO"), by_settings=_with_kl(_FORMULA, "four", _TERMS))
CLIP = Card(
    "update", "The clip: a guard rail",
    "The ratio ρ says how many times as likely the update has made a token. Once its own advantage "
    "has pushed it beyond 1 ± ε, a token earns nothing more and stops pushing, so that no lucky "
    "text throws the policy far off in one update; other tokens may still carry it on. The band is "
    "the trust region.", "band", view="objective",
    formula="L_POLICY = mean of max(-A·ρ, -A·clip(ρ, 1-ε, 1+ε))", say=_say_clip)
ENTROPY = Card(
    "update", "Entropy keeps choices open",
    "Entropy says how open the choice of the next token is: 0 where only one is possible. Slow "
    "change, more often down than up, is what learning looks like; a fall to almost 0 means that "
    "it writes one answer and tries nothing else, and a rise while the reward does not rise that "
    "it forgets how to write. "
    "The entropy term rewards openness; the temperature T teaches nothing by itself.", "openness",
    view="metrics", formula="L_ENT = Σ_v π(v)·log π(v)", metric="policy/entropy_avg",
    say=_say_entropy)
AGAIN = replace(
    guide.AGAIN, phases=_PHASES,
    text="The updated policy takes the old one's place and writes anew, so that it always learns "
         "from the mistakes of today. Look for a reward that goes on rising while KL levels off; "
         "where KL climbs and the reward stands still, or the texts become worse, it has gone too "
         "far.")


def without_values(guide: Guide, words: Words, loss: str) -> Guide:
    """Return the guide of an algorithm that holds completions against others; its loss is called
    ``loss``."""
    phases = "write, score, advantages", "policy"
    formula = f"{loss} = L_POLICY + c₂·L_ENT"
    terms = (
        f"Gradient steps turn the weights so that {loss} falls: L_POLICY makes the words of "
        "better completions likelier and those of worse ones less likely, L_ENT keeps choices "
        "open. The coefficient c₂ says how much the second counts.")
    start = replace(
        START, title="In one sentence", phases=phases, formula=formula,
        by_settings=_summed(f"{formula} + KL price"),
        text="The policy writes several answers, a reward model scores them, and those that turned "
             f"out better than {words.mean} are made a little likelier, again and again. Press "
             "Start; this page follows the run, and Step into (Ctrl+I) stops after each part of a "
             "cycle.")
    held_against = Card(
        "estimate", "Better than the others?",
        f"There is no value head: each completion is held against {words.mean}. What was worth "
        "more has an advantage above 0, what was worth less one below, and all words of a "
        "completion share it; which of them made the difference comes out over many completions.",
        "siblings", view="paths", formula=words.formula)
    of_terms = replace(
        LOSS, title="One loss of two terms", formula=formula, text=terms, say=_say_loss(loss),
        by_settings=_with_kl(formula, "three", terms))
    again = replace(AGAIN, phases=phases)
    cards = {START: start, VALUE: held_against, LOSS: of_terms, AGAIN: again}
    return replace(guide, cards=tuple(
        cards.get(card, card) for card in guide.cards if card is not ADVANTAGE))


GUIDE = Guide(
    (guide.MODELS, START, WRITE, guide.SCORE, PRICE, VALUE, ADVANTAGE, LOSS, CLIP, ENTROPY,
     guide.COMPARE, AGAIN),
    (Experiment("What if KL cost nothing?", "kl_coef", lambda settings: 0.0,
                "Watch KL and read the texts: does the reward rise further, and are they still "
                "sensible?"),
     Experiment("What if the clip were 0.05?", "cliprange", lambda settings: 0.05,
                "Watch the reward and the share outside the trust region: smaller steps, slower "
                "learning?"),
     guide.SEED),
    _cost)
