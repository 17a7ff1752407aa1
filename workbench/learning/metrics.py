"""The metrics of what all algorithms do alike. No torch."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.algorithm import NOT_NEGATIVE, Metric
from workbench.papers import (
    GAO_2022,
    HUANG_2024,
    LI_2016,
    PASCANU_2013,
    SCHULMAN_2020,
    WELLECK_2020,
)

SCORES, COMPARED = "objective/scores", "objective/scores_compared"
EVAL = "eval/"
"""What the name begins with of what is measured of held-out prompts, or of data of such."""
HELD_OUT = f"{EVAL}scores"
KL, LENGTH = "objective/kl", "objective/length"
SECONDS, SPEED = "seconds", "tokens_per_second"
STEPS = "policy/steps"
DRAWN, DATA, HELD = "data/drawn", "data/size", f"{EVAL}size"
DISTINCT_2, REPETITION = "objective/distinct_2", "objective/repetition"

_OWN_WRITING = "The policy learns from what it writes itself."
_ALL = (
    Metric(SCORES, "Training reward", "score",
           "mean of the reward model's score r(x, y) over the batch",
           "What the reward model gives the completions this cycle learned from, which were "
           "written before its update: on average, before normalising, clipping and penalties. "
           "TRL's metric of this name is less the missing-EOS penalty."),
    Metric(COMPARED, "Compared reward", "score",
           "mean of r(x, y) over the compared prompts, after the update",
           "What the reward model gives the completions of the compared prompts. Prompts and "
           "random numbers are the same in every cycle, so what differs was learned.",
           short="compared"),
    Metric(HELD_OUT, "Reward on held-out prompts", "score",
           "mean of r(x, y) over the held-out prompts, after the update",
           "What the reward model gives the completions of prompts that are never trained on, with "
           "the same random numbers each time. Where it stays behind the training reward, what was "
           "learned holds for the trained prompts alone.",
           absent="No prompts are held out, or it was not their turn in this cycle.",
           short="held out"),
    Metric("objective/scores_std", "Reward spread", "score", "deviation of r(x, y)",
           "How much scores differ within a cycle. Near 0 there is nothing to learn from.",
           within=NOT_NEGATIVE),
    Metric(KL, "KL to start policy", "nats / completion",
           "mean over completions of Σₜ KL estimate(log π - log π_start)",
           "How far completions have moved from the start policy, by the estimator that is set.",
           distance=True, source=SCHULMAN_2020),
    Metric("objective/entropy", "Surprise of completions", "nats / completion",
           "mean over completions of -Σₜ log π(token)",
           "A one-sample estimate of the entropy of whole completions, as TRL logs it.",
           source=HUANG_2024,
           within=NOT_NEGATIVE),
    Metric("objective/unlikely", "Unlikely tokens", "share",
           "share of tokens with π_start(token) < 0.1 %",
           "How many of the sampled tokens the start policy would almost never write. A rise means "
           "that its language is being left."),
    Metric(LENGTH, "Completion length", "tokens", "mean tokens, end token included",
           "Average length of a completion."),
    Metric("objective/distinct", "Distinct completions", "share",
           "{different completions}÷{completions}",
           "1 when no two completions of the cycle are the same. A fall means collapse."),
    Metric(DISTINCT_2, "Distinct pairs of tokens", "share",
           "distinct-2 of the cycle: {different pairs of tokens}÷{pairs}",
           "How many ways of going on from one token to the next the cycle's completions have "
           "(Li et al. 2016). It is lower in a larger batch; a fall means that completions become "
           "alike.",
           source=LI_2016),
    Metric(REPETITION, "Repetition", "share",
           "seq-rep-4: mean over completions of 1 - {different runs of four tokens}÷{runs}",
           "How much of a completion says again what it has said before (Welleck et al. 2020). 0: "
           "no four tokens in a row come twice.",
           source=WELLECK_2020),
    Metric("objective/cut", "Cut before scoring", "tokens",
           "mean tokens of prompt and completion that the reward model did not read",
           "How many tokens at the beginning of a text were left out because it was too long for "
           "the reward model, which reads the end. 0 where it reads everything."),
    Metric(DRAWN, "Data drawn", "", "steps·batch size",
           "How many pairs or completions the steps of the cycle learned from. Where there are "
           "fewer to learn from, some come more than once.",
           absent=_OWN_WRITING, exact=True),
    Metric(DATA, "Data to learn from", "", "number of pairs or completions not held out",
           "How many pairs or completions there are to learn from, without those that are held "
           "out.",
           absent=_OWN_WRITING, exact=True),
    Metric(HELD, "Data held out", "", "number of held-out pairs or completions read",
           "How many pairs or completions are read after a cycle that are never learned from. A "
           "share of few says little.",
           absent="No data is held out, or it was not its turn in this cycle.", exact=True),
    Metric("policy/grad_norm", "Gradient norm", "", "mean of ‖∇L‖₂ before clipping",
           "Length of the gradient; spikes warn of instability.",
           source=PASCANU_2013,
           within=NOT_NEGATIVE),
    Metric("policy/epochs", "Epochs run", "epochs", "epochs of which a gradient was applied",
           "Fewer than asked for when the limit on approx-KL ended the cycle early."),
    Metric(STEPS, "Optimiser steps", "steps", "gradients applied in the cycle",
           "Epochs times mini-batches, less where the limit on approx-KL ended the cycle early."),
    Metric("val/num_eos_tokens", "Completions that ended", "completions",
           "completions with an end-of-sequence token",
           "The rest ran into the length limit."),
    Metric("lr", "Learning rate", "", "learning rate × schedule",
           "The step size this cycle used.", exact=True,
           within=NOT_NEGATIVE),
    Metric(SPEED, "Speed", "tokens / s", "{sampled tokens}÷{seconds of the cycle}",
           "Completion tokens sampled, scored and learned from per second."),
    Metric(SECONDS, "Cycle time", "s", "wall time of the cycle", "How long the cycle took."),
    Metric("seconds/sampling", "Sampling time", "s", "wall time of sampling",
           "Phase 1: writing the completions."),
    Metric("seconds/scoring", "Scoring time", "s", "wall time of reward and reference",
           "Phase 1: reward model and start policy reading the completions."),
    Metric("seconds/update", "Update time", "s", "wall time of the epochs",
           "Phase 2: the gradient steps."),
    Metric("seconds/evaluation", "Held-out time", "s", "wall time of reading the held-out data",
           "How long the data took that is not learned from.",
           absent="No data is held out."),
    Metric("seconds/comparison", "Comparison time", "s",
           "wall time of reading again and of the after-completions",
           "The updated policy reading the batch again and completing the compared prompts."),
)
OF_WRITTEN = (KL, "objective/entropy", "objective/unlikely", LENGTH, "objective/distinct",
              DISTINCT_2, REPETITION, "objective/cut", "val/num_eos_tokens")
"""What is measured of completions; where a cycle writes none to learn from, of the compared ones,
after the update."""
VARIETY = ("objective/entropy", DISTINCT_2, REPETITION)
"""Whether the policy still tries different things, as any algorithm knows it."""
COMMON: dict[str, Metric] = {metric.name: metric for metric in _ALL}
GROUPS = {
    "Reward and KL": ("objective/", "eval/"),
    "Update": ("policy/", "loss/", "lr"),
    "Time": (SECONDS, SPEED),
}
"""Where metrics stand in a menu: what their names begin with, by title."""

PARTS = "objective/scores/"
"""What the name of a part's metric begins with, where a reward is a weighted sum."""
GOLD = "gold "
"""What the name of a part begins with that is scored on the side, and that nothing is learned
from."""
ALL_PARTS = Metric(
    PARTS, "Parts of the reward", "score", "mean of each part's score rᵢ(x, y), before its weight",
    "What each part of the reward gives the completions of this cycle, on average. Their weighted "
    "sum is the reward; a gold one is only watched: nothing is learned from it. Where the reward "
    "rises and the gold one falls, the policy learns to please the reward, and no longer what the "
    "reward stands for.", source=GAO_2022)


def part_metric(part: str) -> str:
    """Return the name of the metric that is one part's mean score."""
    return PARTS + part


def learned_first(names: Iterable[str]) -> list[str]:
    """Return the metrics of parts among ``names`` in the order they are shown in: those learned
    from as they come, then those that are only watched."""
    return sorted((name for name in names if name.startswith(PARTS)),
                  key=lambda name: name.startswith(PARTS + GOLD))


def about_part(name: str) -> Metric:
    """Return what the metric of one part means."""
    part = name.removeprefix(PARTS)
    if part.startswith(GOLD):
        return Metric(
            name, part, "score", f"mean of the score of {part.removeprefix(GOLD)}, of weight 0",
            "What the gold reward gives the completions of this cycle. It is only watched: nothing "
            "is learned from it. Where the reward rises and this one falls, the reward is "
            "over-optimised.", source=GAO_2022)
    return Metric(name, part, "score", f"mean of the score of {part}, before its weight",
                  f"What {part}, a part of the reward, gives the completions of this cycle.")
