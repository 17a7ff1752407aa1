"""What the guide tells of the training of a reward model. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workbench.formatting import number, signed
from workbench.guide import BEFORE, Card, Experiment, Guide
from workbench.learning import guide
from workbench.learning.counts import say_share
from workbench.reward_training.metrics import (
    ACCURACY,
    HELD_ACCURACY,
    HELD_LENGTH,
    LOSS,
    MARGIN,
    SAMPLES,
    SPREAD,
)
from workbench.reward_training.parts import say_drawn

Numbers = Mapping[str, float]


def _say_loss(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    if LOSS not in metrics or MARGIN not in metrics:
        return ""
    told = f", {say_share(metrics, ACCURACY)} the right way round" if ACCURACY in metrics else ""
    return f"Loss {number(metrics[LOSS], 3)}, margin {signed(metrics[MARGIN])}{told}"


def _say_held_out(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    if HELD_ACCURACY not in metrics:
        return ""
    own = f", of those learned from {say_share(metrics, ACCURACY)}" if ACCURACY in metrics else ""
    return f"{say_share(metrics, HELD_ACCURACY)} the right way round{own}"


def _say_length(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    if HELD_LENGTH not in metrics:
        return ""
    return f"Correlation of score and length: {number(metrics[HELD_LENGTH])}"


def _say_samples(metrics: Numbers, settings: Mapping[str, Any]) -> str:
    if SAMPLES not in metrics or SPREAD not in metrics:
        return ""
    return (f"Score of the policy's completions {signed(metrics[SAMPLES])} on average, deviation "
            f"{number(metrics[SPREAD])}")


MODELS = replace(
    guide.MODELS,
    text="What learns here is no policy but a judge: a copy of the policy's inside, with a new "
         "head that makes one number of a text. The policy itself stays as it is; it only writes a "
         "few completions, for the judge to score.")
START = Card(
    BEFORE, "A judge from choices",
    "Of two answers to the same prompt somebody found one the better. A reward model learns to "
    "give that one the higher score, and then scores answers that nobody has seen. Press Start; "
    "this page follows the run, and Step into (Ctrl+I) stops after each part of a cycle.", "scores",
    formula="L = -log s(r_chosen - r_rejected)")
DRAW = Card(
    "draw", "Pairs are drawn",
    "Each step of the cycle learns from some pairs, and all pairs come once before any comes "
    "again. Green is the chosen answer, red the rejected one; the number beside it is the score "
    "that it has by now.", "scores", view="tokens",
    say=lambda metrics, settings: say_drawn(metrics))
LOSS_CARD = Card(
    "update", "A difference of scores is a chance",
    "The model says how likely the chosen answer wins: the logistic function of the difference of "
    "the two scores. The loss falls as that chance grows. A pair that is the wrong way round "
    "teaches most, one that is told apart clearly hardly anything.", "course", view="metrics",
    metric=MARGIN, formula="P = s(r_chosen - r_rejected)", say=_say_loss)
WORDS = Card(
    "update", "One number for a whole text",
    "The line is the score that the model would give if the text ended at each word. Only the last "
    "one counts: a judge says how good an answer is, not which words made it so.", "estimates",
    view="tokens", formula="r(x, y)")
HELD_OUT = Card(
    "evaluate", "Does it hold for others?",
    "Pairs of some prompts are never learned from; the model only reads them. While it gets more "
    "of them the right way round, it learns what is better; where only the pairs that it learns "
    "from go on improving, it learns them by heart.", "course", view="metrics",
    metric=HELD_ACCURACY, say=_say_held_out)
LENGTH_CARD = Card(
    "evaluate", "What it may have learned instead",
    "Whatever goes with being chosen, the model may take for the reason: length above all. A "
    "policy that learns from such a judge writes longer and longer. A correlation near 0 says that "
    "length alone earns nothing.", "course", view="distributions", metric=HELD_LENGTH,
    say=_say_length)
SCORE = Card(
    "compare", "The policy's own answers",
    "The policy wrote these once; the judge scores them anew after each cycle. At the end the "
    "scores are set to mean 0 and deviation 1 on such answers, and the reward model stands in "
    "Models, to be learned from by PPO or any other way.", "course", view="completions",
    metric=SAMPLES, say=_say_samples)

GUIDE = Guide(
    (MODELS, START, DRAW, LOSS_CARD, WORDS, HELD_OUT, LENGTH_CARD, SCORE),
    (Experiment("What if scores had to stay near 0?", "centering",
                lambda settings: max(0.01, 2 * float(settings["centering"])),
                "Watch the scores of chosen and rejected: is the held-out accuracy still as high?"),
     Experiment("What if it learned half as fast?", "learning_rate",
                lambda settings: float(settings["learning_rate"]) / 2,
                "Watch the held-out loss: does it rise later, and is its lowest point lower?"),
     guide.SEED))
