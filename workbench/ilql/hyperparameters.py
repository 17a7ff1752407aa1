"""The settings of ILQL, beside those that all algorithms have. Nothing here imports torch."""

from __future__ import annotations

from typing import ClassVar

from workbench.learning.referenced_settings import DATA, UPDATE, WRITTEN, WrittenSettings
from workbench.papers import KOSTRIKOV_2021, KUMAR_2020, LOSHCHILOV_2019, SNELL_2022
from workbench.settings import PAUSE, declare, declare_pause


class ILQLSettings(WrittenSettings):
    """The settings of an ILQL run."""

    GROUPS: ClassVar = ("Run", "Models", DATA, "Q-learning", UPDATE, WRITTEN, PAUSE)

    batch_size: int = declare(
        64, "Batch size", DATA,
        "Completions learned from in each optimiser step. More make the step less noisy and "
        "slower.",
        ge=1, le=65_536, unit="completions",
    )
    temperature: float = declare(
        1.0, "Temperature", WRITTEN,
        "The T at which the compared prompts are completed and at which log-probabilities of the "
        "data are read. Leave it at 1 unless completions are chaotic.",
        ge=0.05, le=5.0,
        formula="π(v) = {exp(z_v ÷ T)}÷{Σ_u exp(z_u ÷ T)}",
    )

    steps_per_cycle: int = declare(
        20, "Steps per cycle", "Q-learning",
        "Optimiser steps of a cycle, after which the prompts are compared.", ge=1, le=100_000)
    beta: float = declare(
        1.0, "Steering (β)", "Q-learning",
        "How much values count when the policy writes: each token's log-probability is raised by "
        "β times what Q finds it better than the state. 0 is the policy alone; more follows the "
        "values further from it.",
        ge=0.0, le=1000.0,
        formula="log π(v) + β·(Q(s, v) - V(s))", source=SNELL_2022)
    steer_top_k: int = declare(
        0, "Steered tokens", "Q-learning",
        "Only so many tokens, the best after steering, can be written: what Q says of tokens that "
        "nobody wrote means little.",
        ge=0, le=1_000_000, zero_text="all", advanced=True, source=SNELL_2022)
    gamma: float = declare(
        0.99, "Discount (γ)", "Q-learning", "Worth of a reward one token later.",
        ge=0.0, le=1.0, advanced=True,
        formula="L_Q = Σ_i (Q_i(s, a) - [r + γ·V(s')])²", source=SNELL_2022)
    tau: float = declare(
        0.7, "Expectile (τ)", "Q-learning",
        "0.5: a state is worth the mean of what was done in it; nearer to 1: the best of it.",
        ge=0.5, le=0.999,
        formula="L_V = |τ - 1[Q < V]|·(Q - V)²", source=f"{SNELL_2022}; {KOSTRIKOV_2021}")
    cql_coef: float = declare(
        0.1, "Conservative coefficient", "Q-learning",
        "Keeps what nobody wrote from being valued higher than what somebody did. Raise it when Q "
        "runs away.",
        ge=0.0, le=100.0, source=KUMAR_2020,
        formula="L_CQL = Σ_i -log softmax(Q_i)(a)")
    awac_coef: float = declare(
        1.0, "Imitation coefficient", "Q-learning",
        "How much the policy itself goes on learning to write what was written.",
        ge=0.0, le=100.0, advanced=True, formula="-log π(a)")
    polyak: float = declare(
        0.1, "Target rate", "Q-learning",
        "By which share the slow copies of Q follow it at each step. What the last token brings "
        "comes to the first ones through them: lower is steadier, and needs many more steps (the "
        "paper has 0.005).",
        ge=0.0, le=1.0, advanced=True, scientific=True, formula="Q' ← Q' + rate·(Q - Q')",
        source=SNELL_2022)
    learning_rate: float = declare(
        2e-5, "Learning rate", UPDATE,
        "Step size of AdamW (ε 1e-5, no weight decay) for the policy, which goes on learning to "
        "write like the data, and whose trunk the values read. Lower it when KL with β of 0 grows.",
        ge=0.0, le=1.0, scientific=True, source=LOSHCHILOV_2019,
    )
    q_learning_rate: float = declare(
        1e-3, "Learning rate of the heads", UPDATE,
        "Step size of AdamW for V and Q, which begin from nothing; it follows the same schedule.",
        ge=0.0, le=1.0, scientific=True, zero_text="policy's", advanced=True)

    # -- the rules of workbench.ilql.rules; one that finds what is not a number always stops
    pause_on_ilql_diverging: bool = declare_pause("Q diverges")
    pause_on_ilql_kl: bool = declare_pause("language is lost")
    pause_on_ilql_unlikely: bool = declare_pause("unlikely words")
