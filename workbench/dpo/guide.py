"""What the guide tells of DPO. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workbench.dpo.metrics import ACCURACY, CHOSEN, LOSS, MARGIN, REJECTED
from workbench.dpo.parts import say_drawn
from workbench.formatting import number, signed
from workbench.guide import BEFORE, Card, Experiment, Guide
from workbench.learning import guide
from workbench.learning.counts import say_share
from workbench.learning.metrics import EVAL

Numbers = Mapping[str, float]
_HELD = f"{EVAL}{ACCURACY}"


def _say_rewards(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    known = [metrics.get(f"rewards/{side}") for side in ("chosen", "rejected")]
    return "" if known[0] is None or known[1] is None else (
        f"Implicit reward {signed(known[0])} of the chosen, {signed(known[1])} of the rejected, on "
        "average")


def _say_loss(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    if LOSS not in metrics or MARGIN not in metrics:
        return ""
    told = f", {say_share(metrics, ACCURACY)} the right way round" if ACCURACY in metrics else ""
    return f"Loss {number(metrics[LOSS], 3)}, margin {signed(metrics[MARGIN])}{told}"


def _say_likely(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    if CHOSEN not in metrics or REJECTED not in metrics:
        return ""
    return (f"log π {number(metrics[CHOSEN], 1)} of the chosen, {number(metrics[REJECTED], 1)} of "
            "the rejected")


def _say_held_out(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    if _HELD not in metrics:
        return ""
    own = f", of those learned from {say_share(metrics, ACCURACY)}" if ACCURACY in metrics else ""
    return f"{say_share(metrics, _HELD)} the right way round{own}"


_cost = guide.say_kl_at("beta", "β")

MODELS = replace(
    guide.MODELS,
    text="The policy is the language model that is to learn. A copy of it as it is now, the start "
         "policy, is kept: how much likelier an answer has become than it is for the copy is all "
         "that DPO goes by. The reward model only scores the compared prompts, so that one sees "
         "whether learning helped.")
START = Card(
    BEFORE, "Learning from pairs",
    "Of two answers to the same prompt somebody, or an earlier run, found one the better. DPO "
    "makes it likelier against the worse one; nothing is written and scored for that. Press Start; "
    "this page follows the run, and Step into (Ctrl+I) stops after each part of a cycle.", "scores",
    formula="L_DPO = -log s(β·d)")
DRAW = Card(
    "draw", "Pairs are drawn",
    "Each step of the cycle learns from some pairs, and all pairs come once before any comes "
    "again. Green is the chosen answer, red the rejected one; the number beside it is its implicit "
    "reward, 0 while the policy is the start policy.", "scores", view="tokens",
    say=lambda metrics, settings: say_drawn(metrics))
REWARD = Card(
    "update", "The policy is its own reward model",
    "How much likelier the policy has become to write an answer than the start policy, times β, "
    "stands for a reward: the one by which this policy would be the best. The line adds it up word "
    "by word; it rises at words that the policy now prefers.", "estimates", view="tokens",
    formula="r = β·(log π - log π_start)", say=_say_rewards)
LOSS_CARD = Card(
    "update", "Only the difference counts",
    "The loss falls as the margin grows, by which the chosen answer's implicit reward is above the "
    "rejected one's. A pair that is the wrong way round teaches most, one that is told apart "
    "clearly hardly anything.", "course", view="metrics", metric=MARGIN,
    formula="L_DPO = -log s(r_chosen - r_rejected)", say=_say_loss)
FALLING = Card(
    "update", "Why the chosen may become less likely, too",
    "The loss sees the difference alone. What both answers of a pair have in common falls with the "
    "rejected one, so log π of the chosen usually falls a little, and that of the rejected more. "
    "Where it falls without end, the policy forgets how to write: an SFT coefficient or a higher β "
    "holds it.", "course", view="metrics", metric=CHOSEN, say=_say_likely)
LEASH = Card(
    "update", "β: the price of moving away",
    "β says how dear it is to leave the start policy, as the price of KL does in PPO. Lower, and "
    "the same preferences carry the policy further; higher, and it stays nearer to how it wrote.",
    "leash", view="metrics", formula="π* ∝ π_start·exp(r÷β)", say=_cost)
HELD_OUT = Card(
    "evaluate", "Does it hold for others?",
    "Pairs of some prompts are never learned from; the policy only reads them. While it gets more "
    "of them the right way round, it learns what is better; where only the pairs that it learns "
    "from go on improving, it learns them by heart.", "course", view="metrics", metric=_HELD,
    say=_say_held_out)
AGAIN = Card(
    "compare", "The next steps begin",
    "The next pairs are drawn, and the policy goes on from where it is. Look for a compared reward "
    "and a held-out accuracy that still rise; where they stand still while the margin grows, it is "
    "time to stop, or to bring more pairs.", "rewards", view="metrics")

GUIDE = Guide(
    (MODELS, START, DRAW, REWARD, LOSS_CARD, FALLING, LEASH, HELD_OUT, guide.COMPARE, AGAIN),
    (Experiment("What if leaving cost five times as much?", "beta",
                lambda settings: min(100.0, 5 * float(settings["beta"])),
                "Watch KL and the compared reward: nearer to the start policy, and does it learn "
                "as much?"),
     Experiment("What if the chosen had to stay likely?", "sft_coef",
                lambda settings: max(0.2, 2 * float(settings["sft_coef"])),
                "Watch log π of the chosen: does it rise now, and is the accuracy still as high?"),
     guide.SEED),
    _cost)
