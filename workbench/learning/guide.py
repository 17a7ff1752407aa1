"""What the guide tells of what all algorithms do alike. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workbench.formatting import format_number, number
from workbench.guide import BEFORE, LOADING, Card, Experiment, Guide
from workbench.learning.metrics import COMMON, COMPARED, KL, LENGTH, SCORES


def _say_length(metrics: Mapping[str, float], settings: Mapping[str, Any]) -> str:
    if LENGTH not in metrics or "batch_size" not in settings:
        return ""
    return (f"{settings['batch_size']} completions of {number(metrics[LENGTH], 0)} tokens on "
            "average")


def _say_scores(metrics: Mapping[str, float], settings: Mapping[str, Any]) -> str:
    return f"Mean score of all: {number(metrics[SCORES])}" if SCORES in metrics else ""


def _say_compared(metrics: Mapping[str, float], settings: Mapping[str, Any]) -> str:
    return f"Mean score of the compared prompts: {number(metrics[COMPARED])}" if (
        COMPARED in metrics) else ""


def say_kl(metrics: Mapping[str, float], settings: Mapping[str, Any]) -> str:
    """Say how far completions have moved."""
    if KL not in metrics:
        return ""
    far, metric, unit = metrics[KL], COMMON[KL], "nats a completion"
    return f"KL {metric.in_full(far, unit) if metric.aside(far) else f'{number(far, 1)} {unit}'}"


def say_kl_at(price: str, symbol: str) -> Callable[[Mapping[str, float], Mapping[str, Any]], str]:
    """Return what says the same, with what the setting ``price`` is."""
    def say(metrics: Mapping[str, float], settings: Mapping[str, Any]) -> str:
        at, said = settings.get(price), say_kl(metrics, settings)
        return f"{said}, at {symbol} {format_number(at)}" if said and at is not None else said
    return say


MODELS = Card(
    LOADING, "The models are read",
    "The policy is the language model that is to learn; the reward model reads a finished text and "
    "gives it one number. A copy of the policy as it is now, the start policy, is kept, so that "
    "one can tell how far learning has moved it.", "models")
START = Card(
    BEFORE, "Learning from its own attempts",
    "The policy writes answers, each is given a score, and what scored well is made likelier: that "
    "is a cycle, and a run has many. Press Start; this page follows the run, and Step into "
    "(Ctrl+I) stops after each part.", "cycle")
WRITE = Card(
    "write", "The policy writes",
    "It completes each prompt a token (a word or a piece of one) at a time, by chance: a token of "
    "30\N{NO-BREAK SPACE}% comes three times in ten. The temperature T makes these draws more "
    "daring or less; all that the run learns from is read at the same T, so T itself teaches "
    "nothing.", "chances", view="tokens", say=_say_length)
SCORE = Card(
    "score", "The reward model scores",
    "It reads each finished text and gives it one number, its reward: high is good. It does not "
    "say which words made it so; to find that out is what the rest of the cycle is for.", "scores",
    view="tokens", say=_say_scores)
UPDATE = Card(
    "update", "The update",
    "Gradient steps turn the weights of the policy a little, so that what turned out better "
    "becomes likelier and what turned out worse less likely. They are small, since the policy has "
    "to go on writing sensible text.", "leash", view="metrics", say=say_kl)
COMPARE = Card(
    "compare", "Before and after",
    "The updated policy completes a few prompts once more, each time with the same random "
    "numbers; nothing is learned from these completions. What differs from one cycle to the next "
    "was therefore learned.", "rewards",
    view="completions", say=_say_compared)
AGAIN = Card(
    "compare", "A new cycle begins",
    "The updated policy takes the old one's place and writes anew, so that it always learns from "
    "the mistakes of today. Over the cycles the reward shall rise; read the texts as well, since a "
    "reward can rise while they become worse.", "cycle", view="metrics")

SEED = Experiment(
    "Another seed?", "seed", lambda settings: int(settings["seed"]) + 1,
    "Other random numbers: what comes out alike was no accident.")
GUIDE = Guide((MODELS, START, WRITE, SCORE, UPDATE, COMPARE, AGAIN), (SEED,), say_kl)
