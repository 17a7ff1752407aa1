"""PPO as the rest of the workbench knows it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workbench.algorithm import Algorithm, Figure, PlotSet, Preset
from workbench.learning.metrics import COMMON, DISTINCT_2, REPETITION
from workbench.ppo.distributions import CALIBRATION, DISTRIBUTIONS
from workbench.ppo.entropy import ENTROPY
from workbench.ppo.guide import GUIDE
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.metrics import METRICS, NO_SPREAD, START_METRICS
from workbench.ppo.parts import PARTS
from workbench.ppo.picture import OBJECTIVE
from workbench.ppo.remarks import remarks, remarks_on_change
from workbench.ppo.rules import RULES, WATCHED
from workbench.ppo.tokens import TOKENS
from workbench.ppo.without_values import without_a_value_head
from workbench.settings import Value


def _trainer() -> Any:
    from workbench.ppo.cycle import PPOTrainer

    return PPOTrainer


_PLAIN: dict[str, Value] = {
    "normalize_group_std": True, "loss_aggregation": "token", "cliprange_high": 0.0,
    "leave_out_cut": False, "ratio_level": "token"}
_KL_IN_REWARD: dict[str, Value] = {
    "kl_coef": Hyperparameters().kl_coef, "kl_in": "reward", "kl_estimator": "k1"}


_WITH_VALUES = Algorithm(
    name="ppo",
    title="PPO",
    help="Proximal policy optimisation (Schulman et al. 2017): completions are scored, a value "
         "head says which tokens were better than expected, and a clipped step makes those "
         "likelier.",
    settings=Hyperparameters,
    trainer=_trainer,
    metrics=tuple(metric for metric in METRICS if metric.name != NO_SPREAD),
    start_metrics=START_METRICS,
    headline="objective/scores",
    parts=PARTS,
    companions=("objective/scores_compared", "objective/rlhf_reward"),
    plot_sets=(
        PlotSet("Overview",
                ("objective/scores", "loss/value_avg", "policy/entropy_avg", "objective/kl"),
                "Reward, value loss, entropy and KL"),
        PlotSet("Trust region",
                ("policy/clipfrac", "policy/approxkl", "val/ratio_var", "objective/kl"),
                "How far each update moves the policy, and how often the clip holds it back"),
        PlotSet("Value head and advantages",
                ("loss/value_avg", "val/explained_variance", "val/value", "val/advantage_std"),
                "How well the reward still to come is foreseen, and how much better or worse "
                "tokens turn out than that"),
        PlotSet("Creativity",
                ("policy/entropy_avg", "objective/entropy", "objective/distinct",
                 "objective/length"),
                "Whether the policy still tries different things"),
    ),
    groups={
        "Reward and KL": ("objective/", "eval/", "kl_coef"),
        "Policy": ("policy/", "val/ratio", "loss/policy", "loss/total", "lr"),
        "Value": ("loss/value", "val/"),
        "Time": ("seconds", "tokens_per_second"),
        "Other": ("",),
    },
    tokens=TOKENS,
    objective=OBJECTIVE,
    entropy=ENTROPY,
    variety=("policy/entropy_avg", DISTINCT_2, REPETITION),
    distributions=DISTRIBUTIONS,
    calibration=CALIBRATION,
    rules=RULES,
    watched=WATCHED,
    presets=(
        Preset("PPO", "A value head says token by token what was to be expected (Schulman et al. "
               "2017).",
               {"advantage_estimator": "gae", "completions_per_prompt": 1, **_KL_IN_REWARD,
                **_PLAIN}, is_way=True),
        Preset("GRPO", "Eight completions of each prompt are held against one another, in "
               "deviations of theirs; KL in the loss (Shao et al. 2024).",
               {"advantage_estimator": "group", "completions_per_prompt": 8, **_KL_IN_REWARD,
                **_PLAIN, "kl_in": "loss", "kl_estimator": "k3",
                "loss_aggregation": "sequence"}, is_way=True),
        Preset("Dr. GRPO", "GRPO without dividing by the group's deviation and the completion's "
               "length, which favour easy prompts and long wrong answers (Liu et al. 2025); no "
               "KL price.",
               {"advantage_estimator": "group", "completions_per_prompt": 8, "kl_coef": 0.0,
                **_PLAIN, "normalize_group_std": False, "loss_aggregation": "constant"},
               is_way=True),
        Preset("DAPO", "GRPO with a wider clip above than below, a mean over tokens, cut "
               "completions left out and no KL price (Yu et al. 2025), but without its dynamic "
               "sampling and its soft punishment of overlong completions; Missing-EOS penalty "
               "stays as it is set, and counts in the group's mean.",
               {"advantage_estimator": "group", "completions_per_prompt": 8, "kl_coef": 0.0,
                **_PLAIN, "cliprange_high": 0.28, "leave_out_cut": True}, is_way=True),
        Preset("RLOO", "Four completions of each prompt, each held against the mean of the others; "
               "KL in the reward (Ahmadian et al. 2024).",
               {"advantage_estimator": "leave_one_out", "completions_per_prompt": 4,
                **_KL_IN_REWARD, **_PLAIN}, is_way=True),
        Preset("REINFORCE++", "One completion of each prompt, held against the whole batch; KL in "
               "the reward (Hu 2025).",
               {"advantage_estimator": "batch", "completions_per_prompt": 1, **_KL_IN_REWARD,
                **_PLAIN}, is_way=True),
        Preset("Careful", "Small steps that stay close to the start policy.",
               {"learning_rate": 1e-4, "kl_coef": 0.1, "num_ppo_epochs": 2, "cliprange": 0.1}),
        Preset("Bold", "Large steps on a loose leash; reward climbs fast and may be gamed.",
               {"learning_rate": 1e-3, "kl_coef": 0.02, "num_ppo_epochs": 4, "cliprange": 0.2}),
        Preset("Quick look", "Three small cycles, to see whether everything works.",
               {"num_cycles": 3, "batch_size": 16, "num_mini_batches": 1, "response_length": 24}),
    ),
    progress=(
        Figure(COMMON["objective/scores"].label.lower(), "objective/scores"),
        Figure("KL", "objective/kl"),
        Figure("value loss", "loss/value_avg"),
        Figure("entropy", "policy/entropy_avg"),
        Figure("ended", "val/num_eos_tokens"),
        Figure("outside band", "policy/clipfrac"),
        Figure("distinct", "objective/distinct"),
    ),
    guide=GUIDE,
    most_at_first={"vf_coef": 0.1},
    rate_by_size=True,
    remarks=lambda settings, own_head: remarks(settings, own_head=own_head),
    remarks_on_change=remarks_on_change,
)
PPO = replace(
    _WITH_VALUES, choice="advantage_estimator", variants=without_a_value_head(_WITH_VALUES))
