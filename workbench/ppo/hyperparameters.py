"""The settings of PPO and of its kin without a value head (GRPO, RLOO, REINFORCE++), beside those
that all algorithms have. Nothing here imports torch."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from workbench.papers import (
    AHMADIAN_2024,
    HU_2025,
    HUANG_2024,
    LIU_2025,
    SCHULMAN_2016,
    SCHULMAN_2017,
    SCHULMAN_2020,
    SHAO_2024,
    YE_2020,
    YU_2025,
    YUAN_2025,
    ZHENG_2025,
    ZIEGLER_2019,
)
from workbench.settings import PAUSE, Settings, Value, declare, declare_pause


class Hyperparameters(Settings):
    """The settings of a PPO run. Immutable: a change makes a new object (:meth:`with_changes`)."""

    GROUPS: ClassVar = ("Run", "Models", "Value pretraining", "Phase 1: completions",
                        "Reward and KL", "Advantages", "Phase 2: update", PAUSE)
    CLOSED: ClassVar = ("Advantages",)

    # -- the models
    value_model: Literal["shared", "policy", "reward"] = declare(
        "shared", "Value model", "Models",
        "Where values come from: a head on the policy's own trunk, or a separate model that "
        "starts as a copy of the policy or of the reward model. Separate costs time and memory; "
        "try it when the value loss disturbs the policy.",
        live=False, advanced=True, structural=True,
        only_with=("advantage_estimator", "gae"),
    )

    # -- before the first cycle
    value_pretraining_episodes: int = declare(
        0, "Value pretraining", "Value pretraining",
        "Completions of the start policy that are written and scored before the first cycle, for "
        "values to learn from (Yuan et al. 2025), so that they mean something from the first "
        "cycle on. On the policy's trunk only the value head learns; a separate value model "
        "learns as a whole and profits from thousands. Kept for the same models, prompts and "
        "settings.",
        ge=0, le=1_000_000, unit="completions", live=False, zero_text="off", advanced=True,
        source=YUAN_2025,
        only_with=("advantage_estimator", "gae"),
    )
    value_pretraining_epochs: int = declare(
        3, "Value pretraining epochs", "Value pretraining",
        "How often a separate value model goes through them; the best pass, by completions held "
        "out, is kept. A head alone is fitted exactly and needs no passes.",
        ge=1, le=100, live=False, advanced=True,
        source=YUAN_2025,
        only_with=("advantage_estimator", "gae"),
    )
    value_pretraining_learning_rate: float = declare(
        1e-3, "Value pretraining learning rate", "Value pretraining",
        "Step size of AdamW for a separate value model while it is pretrained. Lower it for "
        "larger models.",
        ge=0.0, le=1.0, scientific=True, live=False, advanced=True,
        source=YUAN_2025,
        only_with=("advantage_estimator", "gae"),
    )

    # -- phase 1: create completions
    completions_per_prompt: int = declare(
        1, "Completions per prompt", "Phase 1: completions",
        "How many completions of each prompt a cycle writes; must divide the batch size. Group and "
        "leave-one-out advantages hold them against one another, and need 2 at least: 8 is usual, "
        "more make the mean they are held against less noisy and the prompts of a batch fewer.",
        ge=1, le=65_536,
        source=SHAO_2024,
    )
    missing_eos_penalty: float = declare(
        1.0, "Missing-EOS penalty", "Phase 1: completions",
        "Subtracted from the score of a completion that never ended. Raise it when completions "
        "run to the length limit.",
        ge=0.0, le=100.0, zero_text="off",
        formula="r = score - penalty, where no end token came",
        source=HUANG_2024,
    )

    # -- reward
    kl_coef: float = declare(
        0.04, "KL coefficient (β)", "Reward and KL",
        "Price, per nat, of moving away from the start policy. Raise it when completions become "
        "odd while the reward climbs; lower it when the reward does not move.",
        ge=0.0, le=10.0, scientific=True, controller="kl_controller",
        formula="r = score - β·KL",
        source=ZIEGLER_2019,
    )
    kl_estimator: Literal["k1", "k2", "k3"] = declare(
        "k1", "KL estimator", "Reward and KL",
        "How KL is estimated from one sampled token: k1 is unbiased, k2 has less variance and a "
        "small bias, k3 is never negative. As a price leave it at k1: k2 and k3 in the reward "
        "charge a token whichever way it has moved, and hold the policy back little or not at all; "
        "k3 in the loss leads to another policy than the KL itself.",
        formula="k1 = d, k2 = ½·d², k3 = exp(-d) - 1 + d\nd = log π - log π_start",
        source=SCHULMAN_2020,
    )
    kl_in: Literal["reward", "loss"] = declare(
        "reward", "KL enters", "Reward and KL",
        "Whether KL is subtracted from each token's reward (as in Ziegler et al. 2019) or added "
        "to the loss (as in Shao et al. 2024). In the loss k1 acts as k2, which has the gradient "
        "of the true KL; k1's own is 0 on average. Whitening scales the price along with the "
        "rewards, so the coefficient has the same unit in both places. In the reward a token also "
        "pays for the KL of what follows it, in the loss for its own alone.",
        advanced=True,
        formula="reward: r = score - β·KL\nloss: L = L_PPO + β·KL",
        source=f"{ZIEGLER_2019}; {SHAO_2024}",
    )
    kl_controller: Literal["fixed", "adaptive"] = declare(
        "fixed", "KL controller", "Reward and KL",
        "Adaptive steers the coefficient so that KL approaches the target (Ziegler et al. 2019).",
        advanced=True,
        formula="β ← β·(1 + e·min(1, {n}÷{horizon}))\ne = clip({KL}÷{target} - 1, -0.2, 0.2)",
        source=ZIEGLER_2019,
    )
    kl_target: float = declare(
        6.0, "KL target", "Reward and KL",
        "Where the adaptive controller steers KL to, in nats a completion.",
        ge=0.01, le=1000.0, unit="nats", only_with=("kl_controller", "adaptive"), advanced=True,
        formula="e = clip({KL}÷{target} - 1, -0.2, 0.2)",
        source=ZIEGLER_2019,
    )
    kl_horizon: int = declare(
        10_000, "KL horizon", "Reward and KL",
        "Over so many completions the adaptive controller changes the coefficient by a fifth at "
        "most; smaller reacts faster. A run of 20 cycles of 64 completions needs some hundreds.",
        ge=1, le=10_000_000, unit="completions", only_with=("kl_controller", "adaptive"),
        advanced=True,
        formula="β ← β·(1 + e·min(1, {n}÷{horizon}))",
        source=ZIEGLER_2019,
    )
    normalize_scores: bool = declare(
        False, "Normalise scores", "Reward and KL",
        "Shift and scale scores to mean 0 and deviation 1 on the start policy's own samples, "
        "measured once. Switch on for a reward model on an unusual scale, from the start: during a "
        "run values would be left on the scale before.",
        advanced=True,
        formula="r' = {r - μ}÷{σ}",
        source=ZIEGLER_2019,
    )
    score_clip: float = declare(
        0.0, "Score clip", "Reward and KL",
        "Limit scores, once normalised if they are, to plus or minus this value, so that one freak "
        "score cannot rule a cycle. Set it from the start: during a run values would be left on "
        "the scale before.",
        ge=0.0, le=1000.0, zero_text="off", advanced=True,
        formula="r' = clip(r, -c, c)",
    )
    whiten_rewards: bool = declare(
        False, "Whiten rewards", "Reward and KL",
        "Scale the token rewards of a batch to deviation 1, keeping their mean. Choose it from the "
        "start: during a run values would be left on the scale before.",
        advanced=True,
        formula="r' = {r - μ}÷{σ} + μ",
        source=HUANG_2024,
        only_with=("advantage_estimator", ("gae", "batch")),
    )

    # -- advantages
    advantage_estimator: Literal["gae", "group", "leave_one_out", "batch"] = declare(
        "gae", "Advantage estimator", "Advantages",
        "What a completion is held against. gae: what a value head expected, token by token (PPO). "
        "The others need no value head: group: the mean of the completions of its prompt, in "
        "deviations of theirs (GRPO); leave_one_out: the mean of the others of its prompt (RLOO); "
        "batch: the mean of the whole batch, in deviations of it (REINFORCE++).",
        live=False,
        formula="gae: A_t = δ_t + γλ·A_{t+1}\ngroup: A = {r - mean}÷{std}",
        source=f"{SCHULMAN_2016}; {SHAO_2024}; {AHMADIAN_2024}; {HU_2025}",
    )
    normalize_group_std: bool = declare(
        True, "Divide by the group's deviation", "Advantages",
        "Measure advantages in deviations of their group (GRPO). Off, a group of little spread "
        "weighs little, as its differences are small (Dr. GRPO).",
        only_with=("advantage_estimator", "group"),
        formula="on: A = {r - mean}÷{std + 0.0001}\noff: A = r - mean",
        source=f"{SHAO_2024}; {LIU_2025}",
    )
    gamma: float = declare(
        1.0, "Discount (γ)", "Advantages",
        "Worth of a reward one token later. 1 is usual: a completion is short and its score comes "
        "at the end.",
        ge=0.0, le=1.0, advanced=True,
        formula="δ_t = r_t + γ·V_{t+1} - V_t",
        source=SCHULMAN_2016,
        only_with=("advantage_estimator", ("gae", "batch")),
    )
    lam: float = declare(
        0.95, "GAE λ", "Advantages",
        "Between trusting the value head (0) and trusting the outcome (1) when judging a token. "
        "With a head that foresees much, such as the bundled policy's, 0.9 learns faster.",
        ge=0.0, le=1.0,
        formula="A_t = δ_t + γλ·A_{t+1}",
        source=SCHULMAN_2016,
        only_with=("advantage_estimator", "gae"),
    )
    whiten_advantages: bool = declare(
        True, "Whiten advantages", "Advantages",
        "Shift and scale the advantages of a batch to mean 0 and deviation 1, so that the "
        "learning rate means the same on every reward scale. Once all completions score alike, it "
        "scales up what the value head gets wrong: keep a KL coefficient above 0.",
        advanced=True,
        formula="A' = {A - μ}÷{σ}",
        source=HUANG_2024,
        only_with=("advantage_estimator", "gae"),
    )

    # -- phase 2: update
    num_ppo_epochs: int = declare(
        4, "PPO epochs", "Phase 2: update",
        "How often each batch of completions is used. More learns faster from the same samples "
        "until the clip holds the rest back.",
        ge=1, le=100,
        source=SCHULMAN_2017,
    )
    num_mini_batches: int = declare(
        1, "Mini-batches", "Phase 2: update",
        "Optimiser steps per epoch; must divide the batch size.",
        ge=1, le=4096,
        source=SCHULMAN_2017,
    )
    cliprange: float = declare(
        0.2, "Clip range (ε)", "Phase 2: update",
        "The trust region: once a token's own advantage has pushed its probability ratio beyond "
        "1 ± ε within an update, it earns nothing more and stops pushing. What the other tokens "
        "teach may still carry it on.",
        ge=0.001, le=10.0,
        formula="L_POLICY = mean of max(-A·ρ, -A·clip(ρ, 1-ε, 1+ε))",
        source=SCHULMAN_2017,
    )
    cliprange_high: float = declare(
        0.0, "Upper clip range", "Phase 2: update",
        "How far above 1 a ratio still earns, where that is another distance than below it: DAPO "
        "takes 0.28 beside 0.2, so that rare tokens can become likelier.",
        ge=0.0, le=10.0, zero_text="as the clip range", advanced=True,
        formula="clip(ρ, 1-ε, 1+ε_high)",
        source=YU_2025,
    )
    ratio_level: Literal["token", "sequence"] = declare(
        "token", "Ratio", "Phase 2: update",
        "Whether the clip looks at each token's probability ratio, or at that of the whole "
        "completion, the geometric mean of its tokens' (GSPO). Of a completion it is much closer "
        "to 1: its clip range is of the order of 0.0003 for long answers.",
        advanced=True,
        formula="token: ρ = {π}÷{π_old}\nsequence: ρ = exp(mean of log {π}÷{π_old})",
        source=ZHENG_2025,
    )
    loss_aggregation: Literal["token", "sequence", "constant"] = declare(
        "token", "Loss is the mean over", "Phase 2: update",
        "token: all tokens of a step, so long completions weigh more (PPO, DAPO). sequence: first "
        "the tokens of each completion, then the completions (GRPO as it was published). constant: "
        "the sum divided by completions times Response length, so a token weighs the same in "
        "every completion (Dr. GRPO).",
        advanced=True,
        formula="token: {Σ_i Σ_t L_it}÷{Σ_i T_i}\nsequence: {1}÷{B}·Σ_i {Σ_t L_it}÷{T_i}\n"
                "constant: {Σ_i Σ_t L_it}÷{B·response length}",
        source=f"{YU_2025}; {SHAO_2024}; {LIU_2025}",
    )
    leave_out_cut: bool = declare(
        False, "Leave out cut completions", "Phase 2: update",
        "Learn nothing from completions that never ended: their text stops in the middle, and so "
        "does what it is worth (DAPO). Their scores count for the others of their group all the "
        "same.",
        advanced=True,
        source=YU_2025,
    )
    dual_clip: float = declare(
        0.0, "Dual clip", "Phase 2: update",
        "Bounds the loss of a token with negative advantage at this multiple of it (Ye et al. "
        "2020), usually 3; for very off-policy updates.",
        ge=0.0, le=100.0, zero_text="off", advanced=True,
        formula="A < 0: min(max(-A·ρ, -A·(1-ε)), -c·A)",
        source=YE_2020,
    )
    vf_coef: float = declare(
        4.0, "Value coefficient (c₁)", "Phase 2: update",
        "Weight of the value loss. It decides how much the value loss moves what policy and value "
        "head share, not how fast the head learns. 4 keeps a value head right that means "
        "something from the start: one the policy brings along, or a pretrained one. With a head "
        "that begins at zero 0.1 is better: more disturbs the policy.",
        ge=0.0, le=10.0,
        formula="L_PPO = L_POLICY + c₁·L_VF + c₂·L_ENT",
        source=SCHULMAN_2017,
        only_with=("advantage_estimator", "gae"),
    )
    cliprange_value: float = declare(
        0.2, "Value clip range", "Phase 2: update",
        "How far a value may move from its old estimate within an update.",
        ge=0.0, le=100.0, zero_text="off", advanced=True,
        formula="L_VF = ½·max((V - R)², (clip(V, V_old - c, V_old + c) - R)²)",
        source=ZIEGLER_2019,
        only_with=("advantage_estimator", "gae"),
    )
    value_learning_rate: float = declare(
        0.0, "Value learning rate", "Phase 2: update",
        "Step size of AdamW for the value head, and for a separate value model; it follows the "
        "same schedule. Raise it to several times the policy's when values follow the reward late.",
        ge=0.0, le=1.0, scientific=True, zero_text="policy's", advanced=True,
        only_with=("advantage_estimator", "gae"),
    )
    num_value_epochs: int = declare(
        0, "Value epochs", "Phase 2: update",
        "How often each batch is used once more for values alone, after the PPO epochs. On the "
        "policy's trunk only the head learns then, which takes next to no time; a separate value "
        "model learns as a whole.",
        ge=0, le=1000, zero_text="off", advanced=True,
        only_with=("advantage_estimator", "gae"),
    )
    entropy_coef: float = declare(
        0.02, "Entropy coefficient (c₂)", "Phase 2: update",
        "Reward for keeping options open while training. Raise it slightly when completions "
        "become alike; lower it when they wander, or to 0 to leave the term out.",
        ge=0.0, le=1.0, scientific=True,
        formula="L_PPO = L_POLICY + c₁·L_VF + c₂·L_ENT\nL_ENT = Σ_v π(v)·log π(v)",
        source=SCHULMAN_2017,
    )
    measure_gradients: bool = declare(
        False, "Gradient of each term", "Phase 2: update",
        "Measures before the first step of each cycle how long the gradient of each term of the "
        "loss alone is, and Objective shows its share. Takes about as long as four steps more; "
        "what is learned stays the same.",
        advanced=True,
    )
    target_kl: float = declare(
        0.0, "Stop at approx-KL", "Phase 2: update",
        "Ends the epochs of a cycle once the update has moved this far from the sampling policy, "
        "in nats a token. It is looked at before each optimiser step, so it can leave out the "
        "steps to come but not take back one: a single step (one epoch of one mini-batch) is "
        "always made, and a first one that is too large needs a lower learning rate.",
        ge=0.0, le=10.0, zero_text="off", scientific=True, advanced=True,
        formula="mean of ½·(log π - log π_old)² > limit",
        source=SCHULMAN_2020,
    )
    critic_warmup_cycles: int = declare(
        0, "Critic warm-up", "Phase 2: update",
        "In these first cycles only the value head, or the separate value model, learns, so that "
        "advantages are meaningful before the policy moves.",
        ge=0, le=1000, unit="cycles", advanced=True,
        only_with=("advantage_estimator", "gae"),
    )

    # -- the rules of workbench.ppo.rules; one that finds what is not a number always stops
    pause_on_ratio: bool = declare_pause("ratio not 1 at first")
    pause_on_kl: bool = declare_pause("KL runs away")
    pause_on_unlikely: bool = declare_pause("unlikely words")
    pause_on_steps: bool = declare_pause("steps too large")
    pause_on_entropy: bool = declare_pause("entropy collapses")
    pause_on_alike: bool = declare_pause("completions alike")
    pause_on_unended: bool = declare_pause("completions do not end")
    pause_on_cut: bool = declare_pause("texts cut")
    pause_on_falling_reward: bool = declare_pause("reward falls")
    pause_on_hacking: bool = declare_pause("reward gamed")
    pause_on_negative_kl: bool = declare_pause("negative KL")
    pause_on_no_spread: bool = declare_pause("groups without spread")
    pause_on_value_loss: bool = declare_pause("value loss diverges")
    pause_on_explained_variance: bool = declare_pause("values explain nothing")

    def conflicts(self) -> dict[str, str]:
        """Return what is wrong between values that are right by themselves, by name."""
        problems = super().conflicts()
        batch, parts = self.batch_size, self.num_mini_batches
        if batch % parts:
            problems |= dict.fromkeys(
                ("num_mini_batches", "batch_size"),
                f"Mini-batches ({parts}) must divide the batch size ({batch}) without remainder; "
                f"{_near(batch, parts)}.")
        each = self.completions_per_prompt
        if self.advantage_estimator in GROUPED and each < 2:
            problems |= dict.fromkeys(
                ("completions_per_prompt", "advantage_estimator"),
                f"The advantage estimator {self.advantage_estimator} holds the completions of a "
                "prompt against one another: set Completions per prompt (completions_per_prompt) "
                "to 2 or more; 8 is usual.")
        elif batch % each:
            problems |= dict.fromkeys(
                ("completions_per_prompt", "batch_size"),
                f"Completions per prompt ({each}) must divide the batch size ({batch}) without "
                f"remainder; {_near(batch, each)}.")
        if 0 < self.value_pretraining_episodes < 10:
            problems["value_pretraining_episodes"] = (
                f"Value pretraining ({self.value_pretraining_episodes}) must be 0 (off) or at "
                "least 10 completions: a fifth of them is held out to measure by.")
        if self.kl_controller == "adaptive" and self.kl_coef == 0:
            problems |= dict.fromkeys(
                ("kl_coef", "kl_controller"),
                "The adaptive KL controller multiplies the KL coefficient, so it never leaves 0; "
                "begin with a small one such as 0.01.")
        if 0 < self.dual_clip < 1 + self.cliprange:
            problems |= dict.fromkeys(
                ("dual_clip", "cliprange"),
                f"Dual clip ({self.dual_clip:g}) must be 0 (off) or at least 1 + the clip range "
                f"({1 + self.cliprange:g}): below, it would cut into the trust region.")
        return problems

    @property
    def has_values(self) -> bool:
        """Whether a value head says what a completion is held against."""
        return self.advantage_estimator == "gae"

    def in_effect(self) -> Self:
        """Return a copy in which nothing is on that has no effect without a value head."""
        if self.has_values:
            return self
        changes = dict(_WITHOUT_VALUES)
        if self.advantage_estimator != "batch":
            changes |= {"whiten_rewards": False}
        return self.model_copy(update=changes)


GROUPED = ("group", "leave_one_out")
"""The estimators that hold the completions of a prompt against one another."""
_WITHOUT_VALUES: dict[str, Value] = {
    "value_model": "shared", "value_pretraining_episodes": 0, "vf_coef": 0.0,
    "num_value_epochs": 0, "critic_warmup_cycles": 0}


def _near(batch: int, parts: int) -> str:
    """Return which whole numbers beside ``parts`` divide ``batch``."""
    below = max(n for n in range(1, parts) if batch % n == 0)
    above = next((n for n in range(parts, batch + 1) if batch % n == 0), None)
    return f"{below} or {above} would" if above else f"{below} would"


specs = Hyperparameters.specs
parse = Hyperparameters.parse
