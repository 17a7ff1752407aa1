"""What every number that DPO logs means. No torch."""

from __future__ import annotations

from dataclasses import replace

from workbench.algorithm import NOT_NEGATIVE, NOT_POSITIVE, Metric
from workbench.learning.metrics import COMMON, DATA, DRAWN, EVAL, HELD, OF_WRITTEN
from workbench.papers import PANG_2024, RAFAILOV_2023

LOSS, SFT = "loss/preference", "loss/sft"
ACCURACY, MARGIN = "rewards/accuracies", "rewards/margins"
CHOSEN, REJECTED = "logps/chosen", "logps/rejected"
PASSES = "pairs/passes"
START_ACCURACY = "pairs/start_accuracy"

_OF_PAIRS = (
    Metric(LOSS, "Preference loss", "", "mean over pairs of L(β·d)",
           "What the optimiser minimises, before each step. It begins at ln 2 = 0.693 (sigmoid), "
           "where the policy is the start policy and prefers neither completion.",
           source=RAFAILOV_2023),
    Metric("rewards/chosen", "Implicit reward of the chosen", "",
           "mean of β·(log π - log π_start) of the chosen completion",
           "The reward that the policy stands for by what it has become likelier to write. It may "
           "fall: only the difference from the rejected one counts.",
           source=RAFAILOV_2023),
    Metric("rewards/rejected", "Implicit reward of the rejected", "",
           "mean of β·(log π - log π_start) of the rejected completion",
           "The same of the rejected completions. Usually it falls faster than that of the chosen "
           "ones.",
           source=RAFAILOV_2023),
    Metric(ACCURACY, "Accuracy", "share", "share of pairs whose chosen reward is the higher",
           "How often the policy stands for the chosen completion. A tie is no win, and so is "
           "what float32 can round away: 0% before the first step, where policy and start policy "
           "are one. (In bfloat16 the first cycle's is noise.)",
           source=RAFAILOV_2023, of=DRAWN),
    Metric(MARGIN, "Reward margin", "", "mean of β·d",
           "By how much the implicit reward of the chosen completion is the higher. Where it grows "
           "without end while log π of the chosen falls, the policy forgets how to write.",
           source=RAFAILOV_2023),
    Metric(CHOSEN, "log π of the chosen", "nats / completion", "mean of Σₜ log π(token)",
           "How likely the policy finds the chosen completions. It usually falls although they are "
           "the better ones: the loss sees the difference alone, and what chosen and rejected "
           "have in common falls with the rejected. A little is normal; an SFT coefficient or a "
           "higher β holds it.",
           source=RAFAILOV_2023,
           within=NOT_POSITIVE),
    Metric(REJECTED, "log π of the rejected", "nats / completion", "mean of Σₜ log π(token)",
           "How likely the policy finds the rejected completions. It should fall faster than that "
           "of the chosen.",
           source=RAFAILOV_2023,
           within=NOT_POSITIVE),
)
_SFT = Metric(
    SFT, "SFT loss", "nats / token", "mean of {-log π(chosen)}÷{tokens}",
    "How surprised the policy is by the chosen completions, a token; weighed by the SFT "
    "coefficient where that is on.",
    absent="The SFT coefficient is 0, or no pairs are held out.", source=PANG_2024,
           within=NOT_NEGATIVE)


def _held_out(metric: Metric) -> Metric:
    return replace(
        metric, name=f"{EVAL}{metric.name}", label=f"{metric.label}, held out",
        of=HELD if metric.of else "",
        help=f"{metric.help} Of pairs that are never learned from, after the update.",
        absent=metric.absent or "No pairs are held out.")


METRICS = (
    COMMON["objective/scores_compared"],
    COMMON["eval/scores"],
    *_OF_PAIRS,
    _SFT,
    *(map(_held_out, (*_OF_PAIRS, _SFT))),
    *(replace(COMMON[name], help=f"{COMMON[name].help} Here of the compared prompts' completions, "
              "after the update.") for name in OF_WRITTEN),
    Metric(PASSES, "Passes over the pairs", "passes", "{pairs learned from}÷{pairs to learn from}",
           "How often each pair has been learned from so far. Beyond two or three passes a policy "
           "learns the pairs by heart."),
    COMMON[DRAWN],
    COMMON[DATA],
    COMMON[HELD],
    COMMON["policy/grad_norm"],
    COMMON["policy/steps"],
    COMMON["lr"],
    COMMON["tokens_per_second"],
    COMMON["seconds"],
    COMMON["seconds/update"],
    COMMON["seconds/evaluation"],
    COMMON["seconds/comparison"],
)
START_METRICS = (
    Metric(START_ACCURACY, "Accuracy of the start policy", "share",
           "share of pairs with log π_start(chosen) > log π_start(rejected)",
           "How often the start policy finds the chosen completion the likelier of the two."),
)
