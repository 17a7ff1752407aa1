"""What every number that KTO logs means. No torch."""

from __future__ import annotations

from dataclasses import replace

from workbench.algorithm import NOT_NEGATIVE, NOT_POSITIVE, Metric
from workbench.learning.metrics import COMMON, DATA, DRAWN, EVAL, HELD, OF_WRITTEN
from workbench.papers import ETHAYARAJH_2024

LOSS, KL = "loss/kto", "loss/reference_point"
OF_GOOD, OF_BAD = "loss/kto_good", "loss/kto_bad"
REWARD_GOOD, REWARD_BAD, MARGIN = "rewards/good", "rewards/bad", "rewards/good_less_bad"
TOLD_APART = "rewards/told_apart"
GOOD, BAD = "logps/good", "logps/bad"
SHARE, PASSES = "marks/good", "marks/passes"
PAIRS, PAIR = "marks/pairs", "good-bad pair"
START_TOLD_APART = "marks/start_told_apart"

_NO_GOOD, _NO_BAD = (f"None of the completions drawn is {kind}." for kind in ("good", "bad"))
_ONE_KIND = "All completions drawn are of one kind."
_OF_MARKS = (
    Metric(LOSS, "KTO loss", "", "mean of λ·[1 - s(±β·(h - z))]",
           "What the optimiser minimises, before each step. It begins at half the mean weight, 0.5 "
           "where both are 1: the policy is the start policy, and s(0) is a half.",
           source=ETHAYARAJH_2024,
           within=NOT_NEGATIVE),
    Metric(OF_GOOD, "KTO loss of the good", "", "{sum over the good}÷{completions}",
           "What good completions give to the loss, which is the sum of this and what bad ones "
           "give.", source=ETHAYARAJH_2024,
           within=NOT_NEGATIVE),
    Metric(OF_BAD, "KTO loss of the bad", "", "{sum over the bad}÷{completions}",
           "What bad completions give to the loss.", source=ETHAYARAJH_2024,
           within=NOT_NEGATIVE),
    Metric(KL, "Reference point (z)", "nats / completion",
           "max(0, mean of log π(y'|x) - log π_start(y'|x))",
           "How far the policy has moved from the start policy, estimated of completions behind "
           "prompts that they do not belong to. A completion teaches most where its log-ratio is "
           "near z: a good one has to rise more than everything does. It is in nats, "
           "not times β; TRL calls it kl.",
           source=ETHAYARAJH_2024, exact=True,
           within=NOT_NEGATIVE),
    Metric(REWARD_GOOD, "Implicit reward of the good", "",
           "mean of β·(log π - log π_start) of good completions",
           "The reward that the policy stands for by what it has become likelier to write. It "
           "should rise. TRL calls it rewards/chosen.", source=ETHAYARAJH_2024, absent=_NO_GOOD),
    Metric(REWARD_BAD, "Implicit reward of the bad", "",
           "mean of β·(log π - log π_start) of bad completions",
           "The same of the bad completions. It should fall. TRL calls it rewards/rejected.",
           source=ETHAYARAJH_2024, absent=_NO_BAD),
    Metric(MARGIN, "Good less bad", "", "reward of the good - reward of the bad",
           "By how much the implicit reward of the good ones is the higher. Where it grows without "
           "end while log π of the good falls, the policy forgets how to write. TRL calls it "
           "rewards/margins.", source=ETHAYARAJH_2024, absent=_ONE_KIND),
    Metric(TOLD_APART, "Told apart", "share",
           "share of pairs of a good and a bad one whose good one has the higher log-ratio",
           "How often a good completion has become likelier than a bad one has, of all that were "
           "drawn (the area under the ROC curve). 50% is chance; a tie counts half, and so does "
           "what float32 can round away: 50% before the first step.",
           absent=_ONE_KIND, of=PAIRS, of_noun=PAIR),
    Metric(GOOD, "log π of the good", "nats / completion", "mean of Σₜ log π(token)",
           "How likely the policy finds the good completions. It should rise, or fall little.",
           absent=_NO_GOOD,
           within=NOT_POSITIVE),
    Metric(BAD, "log π of the bad", "nats / completion", "mean of Σₜ log π(token)",
           "How likely the policy finds the bad completions. It should fall.", absent=_NO_BAD,
           within=NOT_POSITIVE),
    Metric(SHARE, "Good ones", "share", "{good completions}÷{completions}",
           "How many of the completions are good. Where one kind is scarce, its weight brings it "
           "back.", exact=True),
    Metric(PAIRS, "Good-bad pairs", "", "good completions·bad completions",
           "How many pairs of a good and a bad completion there are: what Told apart is a share "
           "of.", exact=True),
)


def _held_out(metric: Metric) -> Metric:
    return replace(
        metric, name=f"{EVAL}{metric.name}", label=f"{metric.label}, held out",
        of=f"{EVAL}{metric.of}" if metric.of else "",
        help=f"{metric.help} Of completions that are never learned from, after the update.",
        absent=f"No completions are held out{', or all are of one kind' * bool(metric.absent)}.")


METRICS = (
    COMMON["objective/scores_compared"],
    COMMON["eval/scores"],
    *_OF_MARKS,
    *map(_held_out, _OF_MARKS),
    *(replace(COMMON[name], help=f"{COMMON[name].help} Here of the compared prompts' completions, "
              "after the update.") for name in OF_WRITTEN),
    Metric(PASSES, "Passes over the data", "passes",
           "{completions learned from}÷{completions to learn from}",
           "How often each completion has been learned from so far. Beyond a few passes a policy "
           "learns them by heart.", exact=True),
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
    Metric(START_TOLD_APART, "Told apart by the start policy", "share",
           "share of pairs of a good and a bad one whose good one has the higher log π_start",
           "How often the start policy finds a good completion likelier than a bad one. 50% is "
           "chance."),
)
