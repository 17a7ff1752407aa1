"""What every logged number means: plain label, unit, formula, in one place. No torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that every cycle reports. ``name`` is TRL's where TRL has one."""

    name: str
    label: str
    unit: str
    formula: str
    help: str
    absent: str = ""
    """Why a healthy cycle may have no number of it; empty where each has one."""


_ALL = (
    Metric("objective/scores", "Reward (training batch)", "score",
           "mean of the reward model's score r(x, y) over the batch",
           "What the reward model gives the completions this cycle learned from, which were "
           "written before its update: on average, before normalising, clipping and penalties. "
           "TRL's metric of this name is less the missing-EOS penalty."),
    Metric("objective/scores_compared", "Reward on the compared prompts", "score",
           "mean of r(x, y) over the compared prompts, after the update",
           "What the reward model gives the completions of the compared prompts. Prompts and "
           "random numbers are the same in every cycle, so what differs was learned."),
    Metric("objective/scores_std", "Reward spread", "score", "deviation of r(x, y)",
           "How much scores differ within a cycle. Near 0 there is nothing to learn from."),
    Metric("objective/rlhf_reward", "Reward after penalties", "score",
           "mean of r'(x, y) - β·KL; r' is r normalised and clipped, if so set, less the "
           "missing-EOS penalty of a completion that did not end",
           "What PPO maximises: the score as it is trained on, less the price of leaving the start "
           "policy. With neither normalising nor clipping it is TRL's metric of this name."),
    Metric("objective/non_score_reward", "KL price", "score", "mean of -β·KL",
           "How much reward a completion loses to the KL penalty."),
    Metric("objective/kl", "KL to start policy", "nats / completion",
           "mean over completions of Σₜ KL estimate(log π - log π_start)",
           "How far completions have moved from the start policy, by the estimator that is set."),
    Metric("objective/entropy", "Surprise of completions", "nats / completion",
           "mean over completions of -Σₜ log π(token)",
           "A one-sample estimate of the entropy of whole completions, as TRL logs it."),
    Metric("objective/unlikely", "Unlikely tokens", "share",
           "share of tokens with π_start(token) < 0.1 %",
           "How many of the sampled tokens the start policy would almost never write. A rise means "
           "that its language is being left."),
    Metric("objective/length", "Completion length", "tokens", "mean tokens, end token included",
           "Average length of a completion."),
    Metric("objective/distinct", "Distinct completions", "share",
           "different completions ÷ completions",
           "1 when no two completions of the cycle are the same. A fall means collapse."),
    Metric("objective/cut", "Cut before scoring", "tokens",
           "mean tokens of prompt and completion that the reward model did not read",
           "How many tokens at the beginning of a text were left out because it was too long for "
           "the reward model, which reads the end. 0 where it reads everything."),
    Metric("policy/entropy_avg", "Entropy", "nats / token", "mean of -Σ_v π(v)·log π(v)",
           "How open the next token is. A fast fall means the policy is losing its creativity."),
    Metric("policy/approxkl", "Step size (approx-KL)", "nats / token",
           "mean of ½·(log π_after - log π_sampling)², once the cycle's last step is done",
           "How far the whole update of a cycle moved the policy from the one that sampled."),
    Metric("policy/clipfrac", "Outside the trust region", "share",
           "share of tokens whose ratio π_after ÷ π_sampling is outside 1 ± ε, after the last step",
           "How many of the sampled tokens the update moved further than the clip range. The clip "
           "takes away the reason to go on, but does not hold back a step that is too large."),
    Metric("policy/approxkl_avg", "Approx-KL before each step", "nats / token",
           "mean of ½·(log π_new - log π_old)², before every step of the cycle",
           "TRL's measure. The cycle's first step is always 0 here, and its last one never "
           "counts: see Step size for what the update did."),
    Metric("policy/clipfrac_avg", "Clip fraction before each step", "share",
           "share of tokens where the clipped loss is the larger one, before every step",
           "TRL's measure of how often the trust region held a step back. The cycle's last step "
           "never counts: see Outside the trust region for what the update did."),
    Metric("policy/grad_norm", "Gradient norm", "", "mean of ‖∇L‖₂ before clipping",
           "Length of the gradient; spikes warn of instability."),
    Metric("policy/epochs", "Epochs run", "epochs", "epochs of which a gradient was applied",
           "Fewer than asked for when the limit on approx-KL ended the cycle early."),
    Metric("policy/steps", "Optimiser steps", "steps", "gradients applied in the cycle",
           "Epochs times mini-batches, less where the limit on approx-KL ended the cycle early."),
    Metric("loss/policy_avg", "Policy loss", "",
           "mean of max(-A·ρ, -A·clip(ρ, 1-ε, 1+ε))",
           "The clipped surrogate. Its level says little; sudden jumps say something."),
    Metric("loss/value_avg", "Value loss", "score²", "mean of ½·(V - R)², clipped",
           "How wrong the value head is about the reward still to come."),
    Metric("loss/total_avg", "Total loss", "", "L_POLICY + c₁·L_VF + c₂·L_ENT",
           "What the optimiser minimises; with KL in the loss, β·KL is added, scaled as whitening "
           "scales the rewards."),
    Metric("val/ratio", "Probability ratio", "", "mean of ρ = exp(log π_new - log π_old)",
           "1 before a cycle's first step. Over all tokens that could be sampled its mean is 1 "
           "whatever an update does; above 1 it favours those that were."),
    Metric("val/ratio_start", "Ratio before the first step", "nats / token",
           "√ mean of (log π_read - log π_written)², before the cycle's first step",
           "How far what the update reads is from what was kept while writing, with the weights "
           "that wrote: 0 but for rounding (in bfloat16 up to about 0.05). Anything else is a "
           "fault of the model or of PPO Workbench."),
    Metric("val/ratio_var", "Ratio variance", "", "variance of ρ over tokens, at the last epoch",
           "How unevenly the update moved tokens."),
    Metric("val/explained_variance", "Explained variance", "share",
           "1 - Var(R - V) ÷ Var(R), at least -1",
           "1 when the value head foresees the returns, 0 when it knows nothing, below 0 worse. "
           "There is no number where completions are worth almost the same (a fifth of the spread "
           "that scores had in the first cycle): then there is nothing to explain. R is what GAE "
           "makes of rewards and values: the lower λ, the more it is the next value, which is easy "
           "to foresee.",
           absent="Completions were worth almost the same there, so there was nothing to explain."),
    Metric("val/num_eos_tokens", "Completions that ended", "completions",
           "completions with an end-of-sequence token",
           "The rest ran into the length limit."),
    Metric("val/value", "Value estimate", "score", "mean of V over tokens",
           "The reward the value head expects, on average. It should follow the reward."),
    Metric("val/advantage_std", "Advantage spread", "score", "deviation of A before whitening",
           "How much better or worse tokens are judged than expected."),
    Metric("lr", "Learning rate", "", "learning_rate × schedule",
           "The step size this cycle used."),
    Metric("kl_coef", "KL coefficient", "", "β", "The price of KL this cycle used."),
    Metric("tokens_per_second", "Speed", "tokens / s", "sampled tokens ÷ seconds of the cycle",
           "Completion tokens sampled, scored and learned from per second."),
    Metric("seconds", "Cycle time", "s", "wall time of the cycle", "How long the cycle took."),
    Metric("seconds/sampling", "Sampling time", "s", "wall time of sampling",
           "Phase 1: writing the completions."),
    Metric("seconds/scoring", "Scoring time", "s", "wall time of reward and reference",
           "Phase 1: reward model and start policy reading the completions."),
    Metric("seconds/update", "Update time", "s", "wall time of the epochs",
           "Phase 2: the gradient steps."),
    Metric("seconds/comparison", "Comparison time", "s",
           "wall time of reading again and of the after-completions",
           "The updated policy reading the batch again and completing the compared prompts."),
)

METRICS: dict[str, Metric] = {m.name: m for m in _ALL}

PRETRAINED = "val/pretrained_explained_variance"
"""Measured once, before the first cycle."""
_PRETRAINED = Metric(
    PRETRAINED, "Explained variance before the run", "share", "1 - Var(R - V) ÷ Var(R)",
    "How well pretrained values foresee completions of the start policy that were held out.")

PARTS = "objective/scores/"
"""What the name of a part's metric begins with, where a reward is a weighted sum."""
_ALL_PARTS = Metric(
    PARTS, "Parts of the reward", "score", "mean of each part's score rᵢ(x, y), before its weight",
    "What each part of the reward gives the completions of this cycle, on average. Their weighted "
    "sum is the reward.")


def part_metric(part: str) -> str:
    """Return the name of the metric that is one part's mean score."""
    return PARTS + part


def find_metric(name: str) -> Metric:
    """Return what a logged number means; also of a part, or of all of them, of a weighted sum."""
    if name in METRICS:
        return METRICS[name]
    if name in (PARTS, PRETRAINED):
        return _ALL_PARTS if name == PARTS else _PRETRAINED
    part = name.removeprefix(PARTS)
    return Metric(name, part, "score", f"mean of the score of {part}, before its weight",
                  f"What {part}, a part of the reward, gives the completions of this cycle.")
