"""What the guide tells of KTO. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workbench.formatting import number, percent, signed
from workbench.guide import BEFORE, Card, Experiment, Guide
from workbench.kto.metrics import (
    BAD,
    GOOD,
    LOSS,
    REWARD_BAD,
    REWARD_GOOD,
    SHARE,
    TOLD_APART,
)
from workbench.kto.metrics import KL as Z
from workbench.kto.parts import say_drawn, say_told_apart
from workbench.learning import guide
from workbench.learning.metrics import EVAL

Numbers = Mapping[str, float]
_HELD = f"{EVAL}{TOLD_APART}"


def _say_drawn(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    good = f", {percent(metrics[SHARE])} of them good" if SHARE in metrics else ""
    return f"{say_drawn(metrics)}{good}" if say_drawn(metrics) else ""


def _say_rewards(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    known = [metrics.get(name) for name in (REWARD_GOOD, REWARD_BAD)]
    return "" if known[0] is None or known[1] is None else (
        f"Implicit reward {signed(known[0])} of the good, {signed(known[1])} of the bad, on "
        "average")


def _say_point(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    return f"z {number(metrics[Z])} nats, loss {number(metrics[LOSS], 3)}" if Z in metrics else ""


def _say_likely(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    if GOOD not in metrics or BAD not in metrics:
        return ""
    return f"log π {number(metrics[GOOD], 1)} of the good, {number(metrics[BAD], 1)} of the bad"


def _say_held_out(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    held, own = say_told_apart(metrics, EVAL), say_told_apart(metrics)
    return f"{held} told apart{own and f', of those learned from {own}'}" if held else ""


_cost = guide.say_kl_at("beta", "β")

MODELS = replace(
    guide.MODELS,
    text="The policy is the language model that is to learn. A copy of it as it is now, the start "
         "policy, is kept: how much likelier an answer has become than it is for the copy is all "
         "that KTO goes by. The reward model only scores the compared prompts, so that one sees "
         "whether learning helped.")
START = Card(
    BEFORE, "Learning from thumbs",
    "Of single answers somebody said whether they are good, or an earlier run gave them a score: "
    "thumbs up or down, without a second answer to hold them against. KTO makes the good ones "
    "likelier and the bad ones less. Press Start; this page follows the run, and Step into "
    "(Ctrl+I) stops after each part of a cycle.", "scores")
DRAW = Card(
    "draw", "Completions are drawn",
    "Each step of the cycle learns from some completions, and all come once before any comes "
    "again. Green is a good answer, red a bad one; the number beside it is its implicit reward, 0 "
    "while the policy is the start policy.", "scores", view="tokens", say=_say_drawn)
REWARD = Card(
    "update", "The policy is its own reward model",
    "How much likelier the policy has become to write an answer than the start policy, times β, "
    "stands for a reward. The line adds it up word by word; it rises at words that the policy now "
    "prefers.", "estimates", view="tokens", formula="r = β·(log π - log π_start)",
    say=_say_rewards)
POINT = Card(
    "update", "Gains and losses, from where one stands",
    "People weigh a gain or a loss from a reference point, not from nothing. Here it is z, how far "
    "the policy has moved as a whole, read off answers behind prompts that are not theirs. A good "
    "answer has to rise more than that; one that is far beyond teaches hardly anything.",
    "course", view="metrics", metric=Z,
    formula="L_good = 1 - s(β·(h - z)), L_bad = 1 - s(β·(z - h))", say=_say_point)
RISING = Card(
    "update", "Do the good ones rise?",
    "The reward of the good ones should rise and that of the bad fall. Where both fall without "
    "end, the policy forgets how to write: a higher β or a lower learning rate holds it. Where one "
    "kind is scarce, its weight brings it back.", "course", view="metrics", metric=REWARD_GOOD,
    say=_say_likely)
LEASH = Card(
    "update", "β: the price of moving away",
    "β says how dear it is to leave the start policy, as the price of KL does in PPO. With a lower "
    "one answers teach for longer before they are far enough beyond z.",
    "leash", view="metrics", say=_cost)
HELD_OUT = Card(
    "evaluate", "Does it hold for others?",
    "Answers to some prompts are never learned from; the policy only reads them. While it tells "
    "more of the good ones from the bad, it learns what is better; where only those that it learns "
    "from are told apart ever better, it learns them by heart.", "course", view="metrics",
    metric=_HELD, say=_say_held_out)
AGAIN = Card(
    "compare", "The next steps begin",
    "The next completions are drawn, and the policy goes on from where it is. Look for a compared "
    "reward that still rises; where it stands still while good and bad part ever further, it is "
    "time to stop, or to bring more completions.", "rewards", view="metrics")

GUIDE = Guide(
    (MODELS, START, DRAW, REWARD, POINT, RISING, LEASH, HELD_OUT, guide.COMPARE, AGAIN),
    (Experiment("What if leaving cost five times as much?", "beta",
                lambda settings: min(100.0, 5 * float(settings["beta"])),
                "Watch KL and the compared reward: nearer to the start policy, and does it learn "
                "as much?"),
     Experiment("What if good ones counted twice as much?", "desirable_weight",
                lambda settings: min(1000.0, max(1.0, 2 * float(settings["desirable_weight"]))),
                "Watch log π of the good: does it rise more, and that of the bad fall less?"),
     guide.SEED),
    _cost)
