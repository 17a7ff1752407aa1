"""What every number that PPO logs means: plain label, unit, formula, in one place. No torch."""

from __future__ import annotations

import math

from workbench.algorithm import NOT_NEGATIVE, Metric
from workbench.learning.metrics import COMMON
from workbench.papers import (
    SCHULMAN_2016,
    SCHULMAN_2017,
    SCHULMAN_2020,
    SHAO_2024,
    YU_2025,
    ZIEGLER_2019,
)

GRADIENT_OF = {name: f"policy/grad_norm_{name}" for name in ("policy", "value", "entropy", "kl")}
"""The metric that has the length of each term's gradient."""

ENTROPY_LOSS = "loss/entropy_avg"
NO_SPREAD = "objective/frac_reward_zero_std"
"""The metric of groups of which nothing is learned, by TRL's name."""
OF_VALUES = frozenset({
    "loss/value_avg", "val/explained_variance", "val/value", GRADIENT_OF["value"]})
"""The metrics that only a value head has."""
METRICS = (
    COMMON["objective/scores"],
    COMMON["objective/scores_compared"],
    COMMON["objective/scores_std"],
    Metric("objective/rlhf_reward", "Penalised reward", "score",
           "mean of r'(x, y) - β·KL; r' is r normalised and clipped, if so set, less the "
           "missing-EOS penalty of a completion that did not end",
           "What PPO maximises: the score as it is trained on, less the price of leaving the start "
           "policy. With neither normalising nor clipping it is TRL's metric of this name.",
           short="penalised", source=ZIEGLER_2019),
    Metric("objective/non_score_reward", "KL price", "score", "mean of -β·KL",
           "How much reward a completion loses to the KL penalty.",
           source=ZIEGLER_2019),
    COMMON["objective/kl"],
    COMMON["objective/entropy"],
    COMMON["objective/unlikely"],
    COMMON["objective/length"],
    COMMON["objective/distinct"],
    COMMON["objective/distinct_2"],
    COMMON["objective/repetition"],
    COMMON["objective/cut"],
    Metric("policy/entropy_avg", "Entropy", "nats / token", "mean of -Σ_v π(v)·log π(v)",
           "How open the next token is. A fast fall means the policy is losing its creativity.",
           source=SCHULMAN_2017,
           within=NOT_NEGATIVE),
    Metric("policy/approxkl", "Step size (approx-KL)", "nats / token",
           "mean of ½·(log π_after - log π_sampling)², once the cycle's last step is done",
           "How far the whole update of a cycle moved the policy from the one that sampled.",
           source=SCHULMAN_2020,
           within=NOT_NEGATIVE),
    Metric("policy/clipfrac", "Outside the trust region", "share",
           "share of tokens whose ratio π_after ÷ π_sampling is outside 1 ± ε, after the last step",
           "How many of the sampled tokens the update moved further than the clip range, to either "
           "side. The clip takes away the reason to go on, but does not stop a step that is too "
           "large. (Clip fraction before steps counts other tokens: those that the clip held.)",
           source=SCHULMAN_2017),
    Metric("policy/approxkl_avg", "Approx-KL before steps", "nats / token",
           "mean of ½·(log π_new - log π_old)², before every step of the cycle",
           "TRL's measure. The cycle's first step is always 0 here, and its last one never "
           "counts: see Step size for what the update did.",
           source=SCHULMAN_2020,
           within=NOT_NEGATIVE),
    Metric("policy/clipfrac_avg", "Clip fraction before steps", "share",
           "share of tokens where the clipped loss is the larger one, before every step",
           "TRL's measure of how many tokens the clip held: of those outside the trust region only "
           "the ones that their advantage pushes further out. The cycle's last step never counts: "
           "see Outside the trust region for what the update did."),
    COMMON["policy/grad_norm"],
    COMMON["policy/epochs"],
    COMMON["policy/steps"],
    *(Metric(name, f"Gradient: {of}", "", f"‖∇{term}‖₂ before the cycle's first step",
             f"How strongly the {of} term alone would move the weights. All are as long as the "
             "whole only where they point the same way.",
             absent="It is measured where Gradient of each term is on, in Hyperparameters.",
             short=of,
             within=NOT_NEGATIVE)
      for name, of, term in (
          (GRADIENT_OF["policy"], "policy", "L_POLICY"),
          (GRADIENT_OF["value"], "value", "(c₁·L_VF)"),
          (GRADIENT_OF["entropy"], "entropy", "(c₂·L_ENT)"),
          (GRADIENT_OF["kl"], "KL", "(β·KL)"))),
    Metric("loss/policy_avg", "Policy loss", "",
           "mean of max(-A·ρ, -A·clip(ρ, 1-ε, 1+ε))",
           "The clipped surrogate, over tokens as Loss is the mean over says: what the optimiser "
           "minimises. Its level says little; sudden jumps say something.",
           source=SCHULMAN_2017),
    Metric("loss/value_avg", "Value loss", "score²", "mean of ½·(V - R)², clipped",
           "How wrong the value head is: V is what it foresaw at a token, R what came of it. Lower "
           "is better; it rises for a while where rewards begin to differ from what was foreseen.",
           source=SCHULMAN_2017),
    Metric(ENTROPY_LOSS, "Entropy loss", "nats", "mean of Σ_v π(v)·log π(v)",
           "Minus the entropy of the next token, over tokens as Loss is the mean over says: what "
           "the entropy coefficient multiplies.", source=SCHULMAN_2017),
    Metric("loss/total_avg", "Total loss", "", "L_POLICY + c₁·L_VF + c₂·L_ENT",
           "What the optimiser minimises; with KL in the loss, β·KL is added, scaled as whitening "
           "scales the rewards.",
           source=SCHULMAN_2017),
    Metric("val/ratio", "Probability ratio", "", "mean of ρ = exp(log π_new - log π_old)",
           "1 before a cycle's first step. Over all tokens that could be sampled its mean is 1 "
           "whatever an update does; above 1 it favours those that were.",
           source=SCHULMAN_2017,
           within=NOT_NEGATIVE),
    Metric("val/ratio_start", "Ratio before the first step", "nats / token",
           "√ mean of (log π_read - log π_written)², before the cycle's first step",
           "How far what the update reads is from what was kept while writing, with the weights "
           "that wrote: 0 but for rounding (in bfloat16 up to about 0.05). Anything else is a "
           "fault of the model or of PPO Workbench.",
           within=NOT_NEGATIVE),
    Metric("val/ratio_var", "Ratio variance", "", "variance of ρ over tokens, at the last epoch",
           "How unevenly the update moved tokens.",
           within=NOT_NEGATIVE),
    Metric("val/explained_variance", "Explained variance", "share",
           "1 - {Var(R - V)}÷{Var(R)}, at least -1",
           "1 when the value head foresees the returns, 0 when it knows nothing, below 0 worse. "
           "There is no number where completions are worth almost the same (a fifth of the spread "
           "that scores had in the first cycle): then there is nothing to explain. R is what GAE "
           "makes of rewards and values: the lower λ, the more it is the next value, which is easy "
           "to foresee.",
           absent="Completions were worth almost the same there, so there was nothing to explain.",
           within=(-1.0, 1.0)),
    COMMON["val/num_eos_tokens"],
    Metric("val/value", "Value estimate", "score", "mean of V over tokens",
           "The reward the value head expects, on average. It should follow the reward.",
           source=SCHULMAN_2017),
    Metric(NO_SPREAD, "Groups without spread", "share",
           "share of prompts whose completions were all worth the same",
           "How many prompts taught nothing, as none of their completions was better than another. "
           "High at the start, the prompts are too hard or the reward too coarse; high at the end, "
           "they are learned.",
           source=f"{SHAO_2024}; {YU_2025}"),
    Metric("val/advantage_std", "Advantage spread", "score", "deviation of A before whitening",
           "How much better or worse tokens are judged than expected.",
           source=SCHULMAN_2016,
           within=NOT_NEGATIVE),
    COMMON["lr"],
    Metric("kl_coef", "KL coefficient", "", "β", "The price of KL this cycle used.",
           source=ZIEGLER_2019,
           within=NOT_NEGATIVE),
    COMMON["tokens_per_second"],
    COMMON["seconds"],
    COMMON["seconds/sampling"],
    COMMON["seconds/scoring"],
    COMMON["seconds/update"],
    COMMON["seconds/comparison"],
)

PRETRAINED = "val/pretrained_explained_variance"
START_METRICS = (
    Metric(PRETRAINED, "Explained variance before the run", "share", "1 - {Var(R - V)}÷{Var(R)}",
           "How well pretrained values foresee completions of the start policy that were held "
           "out.",
           within=(-math.inf, 1.0)),
)
