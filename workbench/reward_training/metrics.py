"""What every number means that is logged while a reward model is trained. No torch."""

from __future__ import annotations

from dataclasses import replace

from workbench.algorithm import NOT_NEGATIVE, Metric
from workbench.learning.metrics import COMMON, DATA, DRAWN, HELD
from workbench.papers import (
    BRADLEY_1952,
    BRIER_1950,
    OUYANG_2022,
    SINGHAL_2023,
)

PREFIX, EVAL = "reward_model/", "eval/reward_model/"
LOSS, ACCURACY, MARGIN = (f"{PREFIX}{name}" for name in ("loss", "accuracy", "margin"))
CHOSEN, REJECTED = f"{PREFIX}chosen", f"{PREFIX}rejected"
FORESEEN, LENGTH = f"{PREFIX}foreseen", f"{PREFIX}length_correlation"
HELD_LOSS, HELD_ACCURACY, HELD_FORESEEN, HELD_LENGTH = (
    f"{EVAL}{name}" for name in ("loss", "accuracy", "foreseen", "length_correlation"))
SAMPLES, SPREAD = f"{PREFIX}samples", f"{PREFIX}samples_std"
PASSES = "pairs/passes"
NOT_READ = "No pairs are held out, or it was not their turn in this cycle."

_OF_PAIRS = (
    Metric(LOSS, "Loss of pairs", "", "mean over pairs of -log s(r_chosen - r_rejected)",
           "What the optimiser minimises, before each step, with margins and centring where they "
           "are on. ln 2 = 0.693 is a model that prefers neither completion.",
           source=f"{BRADLEY_1952}; {OUYANG_2022}",
           within=NOT_NEGATIVE),
    Metric(ACCURACY, "Right choices", "share", "share of pairs with r_chosen > r_rejected",
           "How often the chosen completion has the higher score. A tie is no win; guessing is "
           "right half of the time.", source=OUYANG_2022, of=DRAWN, short="right"),
    Metric(MARGIN, "Score margin", "", "mean of r_chosen - r_rejected",
           "By how much the chosen completion's score is the higher, in the model's own units: 1 "
           "is odds of e to 1, 3 of 20 to 1.", source=BRADLEY_1952),
    Metric(CHOSEN, "Score of the chosen", "", "mean of r_chosen",
           "Only the difference from the rejected one counts for the loss; both may drift together "
           "unless centring is on."),
    Metric(REJECTED, "Score of the rejected", "", "mean of r_rejected",
           "The same of the rejected completions."),
    Metric(FORESEEN, "Choices foreseen", "share", "1 - 4·mean (1 - s(r_chosen - r_rejected))²",
           "Which share of the choices' variance the chances foresee: 0 for a coin, 1 for one that "
           "is always right and sure, below 0 for one that is surer than it should be.",
           source=BRIER_1950,
           within=(-3.0, 1.0)),
    Metric(LENGTH, "Correlation with length", "", "Pearson's r of score and tokens",
           "How far the score goes with how long the text is. Near 1 it is little more than "
           "length, and what learns from it will write more and more.",
           absent="All texts are of one length, or have one score.", source=SINGHAL_2023,
           within=(-1.0, 1.0)),
)


def _held_out(metric: Metric) -> Metric:
    return replace(
        metric, name=f"eval/{metric.name}", label=f"{metric.label}, held out",
        of=HELD if metric.of else "",
        help=f"{metric.help} Of pairs that are never learned from, after the update.",
        absent=f"{metric.absent} {NOT_READ}".strip())


METRICS = (
    *_OF_PAIRS,
    *map(_held_out, _OF_PAIRS),
    Metric(SAMPLES, "Score of the policy's samples", "",
           "mean of r(x, y) over the compared prompts' completions",
           "What the reward model gives the completions of the compared prompts. The policy wrote "
           "them once, so what differs from cycle to cycle is the judge alone."),
    Metric(SPREAD, "Spread of the policy's samples", "", "deviation of r(x, y) over the same",
           "How far the scores of the policy's own completions lie apart. Near 0 the model tells "
           "pairs apart, but not what the policy writes.",
           within=NOT_NEGATIVE),
    Metric(PASSES, "Passes over the pairs", "passes", "{pairs learned from}÷{pairs to learn from}",
           "How often each pair has been learned from so far. Beyond two or three passes pairs are "
           "learned by heart."),
    COMMON[DRAWN],
    COMMON[DATA],
    COMMON[HELD],
    COMMON["policy/grad_norm"],
    COMMON["policy/steps"],
    COMMON["lr"],
    COMMON["tokens_per_second"],
    COMMON["seconds"],
    COMMON["seconds/update"],
    Metric("seconds/evaluation", "Held-out time", "s", "wall time of reading the held-out pairs",
           "How long the pairs took that are not learned from.", absent=NOT_READ),
    COMMON["seconds/comparison"],
)
