"""What the guide tells of ILQL. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workbench.formatting import number, signed
from workbench.guide import BEFORE, Card, Experiment, Guide
from workbench.ilql.metrics import ADVANTAGE, CQL, Q_MEAN, V_MEAN, Q, V
from workbench.learning import guide

Numbers = Mapping[str, float]


def _say_losses(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    return (f"Q loss {number(metrics[Q], 3)}, V loss {number(metrics[V], 3)}"
            if Q in metrics and V in metrics else "")


def _say_worth(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    if Q_MEAN not in metrics or V_MEAN not in metrics:
        return ""
    return f"Q {number(metrics[Q_MEAN])}, V {number(metrics[V_MEAN])} deviations on average"


def _say_better(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    return f"Q - V {signed(metrics[ADVANTAGE])} on average" if ADVANTAGE in metrics else ""


_cost = guide.say_kl_at("beta", "steering β")

MODELS = replace(
    guide.MODELS,
    text="The policy is the language model that is to learn. A copy of it as it is now, the start "
         "policy, is kept, so that one can tell how far learning has moved it. The reward model "
         "only scores the compared prompts, so that one sees whether learning helped.")
START = Card(
    BEFORE, "Learning from what was written before",
    "Earlier runs have left completions with their scores. Q-learning finds out of these which "
    "token was worth what, without writing anything. Press Start; this page follows the run, and "
    "Step into (Ctrl+I) stops after each part of a cycle.", "scores")
VALUES = Card(
    "update", "What a token is worth",
    "Q says what a token is worth, V what the text so far is. Only the last token brings a reward, "
    "the score; every other is worth what the text after it is, so that the score comes back "
    "through the words from step to step.", "estimates", view="tokens",
    formula="L_Q = Σ_i (Q_i(s, a) - [r + γ·V(s')])²", say=_say_losses)
BEST = Card(
    "update", "The better of what was done",
    "V is pulled to the better of what was written from a place, not to its mean: with τ of 0.7, "
    "what was better than V counts more than twice as much as what was worse. So it foresees what "
    "good writing would bring.", "course", view="metrics", metric=V_MEAN,
    formula="L_V = |τ - 1[Q < V]|·(Q - V)²", say=_say_worth)
DOUBT = Card(
    "update", "Doubt about what nobody wrote",
    "Of tokens that were never written nobody knows the worth. A loss of its own keeps Q from "
    "finding them better than those that were; without it, values feed on one another and grow.",
    "course", view="metrics", metric=CQL, formula="L_CQL = Σ_i -log softmax(Q_i)(a)")
STEER = Card(
    "compare", "Writing by values",
    "When it writes, the policy makes each token likelier by β times what it is better than its "
    "state. With β of 0 it writes by itself; with more it follows the values, further from the "
    "start policy.", "leash", view="tokens", formula="log π + β·(Q - V)", say=_say_better)
COMPARE = replace(
    guide.COMPARE,
    text="The policy completes a few prompts by its values, each time with the same random "
         "numbers; nothing is learned from these completions. What differs from one cycle to the "
         "next was therefore learned.")
AGAIN = Card(
    "compare", "The next steps begin",
    "The next completions are drawn, and policy and values go on from where they are. Look for a "
    "compared reward that still rises; read the texts as well, since a reward can rise while they "
    "become worse.", "rewards", view="metrics")

GUIDE = Guide(
    (MODELS, START, VALUES, BEST, DOUBT, STEER, COMPARE, AGAIN),
    (Experiment("What if values counted four times as much?", "beta",
                lambda settings: max(4.0, 4 * float(settings["beta"])),
                "Watch the compared reward and KL: more of the one costs more of the other."),
     guide.SEED),
    _cost)
