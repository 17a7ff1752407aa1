"""What a person can set of the training of a reward model. No torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from workbench.papers import (
    EISENSTEIN_2023,
    LOSHCHILOV_2019,
    OUYANG_2022,
    TOUVRON_2023,
    ZIEGLER_2019,
)
from workbench.settings import PAUSE, Settings, declare, declare_pause

_UPDATE = "Phase 2: update"
_WRITTEN = "Compared completions"


class RewardSettings(Settings):
    """The settings of a run that trains a reward model."""

    GROUPS: ClassVar[tuple[str, ...]] = ("Run", "Models", "Pairs", _UPDATE, _WRITTEN, PAUSE)

    num_cycles: int = declare(
        8, "Cycles", "Run",
        "How many cycles to run; the learning rate decays over them. One or two passes over the "
        "pairs are usual: beyond, they are learned by heart.",
        ge=1, le=100_000,
    )

    # -- the model
    begins_as: Literal["policy", "reward"] = declare(
        "policy", "Begins as", "Models",
        "What the reward model begins as. policy: a copy of the policy, whose last state a new "
        "head makes a score of; the policy itself stays as it is. reward: the reward model that is "
        "loaded, a single sequence classifier with one output, which goes on learning.",
        live=False, structural=True, source=OUYANG_2022,
    )
    end_with_eos: bool = declare(
        True, "End token", "Models",
        "End every text with the tokenizer's end-of-sequence token, where the score is read, as "
        "TRL's RewardTrainer does. What is exported says so, and is read alike as a reward. A "
        "reward model that goes on reads as it is loaded.",
        live=False, advanced=True, only_with=("begins_as", "policy"),
    )

    # -- pairs
    batch_size: int = declare(
        32, "Batch size", "Pairs",
        "Pairs learned from in each optimiser step. More make the step less noisy and slower.",
        ge=1, le=65_536, unit="pairs",
    )
    steps_per_cycle: int = declare(
        8, "Steps per cycle", "Pairs",
        "Optimiser steps before the held-out pairs are read, each on a batch of pairs of its own. "
        "All pairs come once before any comes again.",
        ge=1, le=10_000, unit="steps",
    )
    held_out_share: float = declare(
        0.1, "Held-out pairs", "Pairs",
        "Share of the prompts whose pairs are never learned from: after every cycle they tell "
        "whether what was learned holds for others. All pairs of one prompt are on the same side.",
        ge=0.0, le=0.5, live=False, zero_text="none",
    )
    eval_pairs: int = declare(
        256, "Held-out pairs read", "Pairs",
        "How many of the held-out pairs are read, always the same ones: a "
        "sample by the seed where there are more.",
        ge=1, le=100_000, unit="pairs", advanced=True,
    )
    held_out_every: int = declare(
        1, "Held-out pairs every", "Pairs",
        "After how many cycles the held-out pairs are read.",
        ge=1, le=100_000, unit="cycles", advanced=True, only_with=("held_out_share", True),
    )
    held_out_prompts: float = declare(
        0.0, "Held-out prompts", "Pairs",
        "How many of the run's prompts are held out, below 1 which share of them: pairs of theirs "
        "are held out beside the share above.",
        ge=0, le=1_000_000, live=False, zero_text="none", advanced=True,
    )
    use_margins: bool = declare(
        False, "Margins of pairs", "Pairs",
        "Ask of the scores of a pair that they differ by the margin that the pair brings, where it "
        "brings one: how much better the chosen one was found, on the scale of the scores.",
        advanced=True, formula="-log s(r_chosen - r_rejected - m)", source=TOUVRON_2023,
    )

    # -- the update
    centering: float = declare(
        0.0, "Centring coefficient", _UPDATE,
        "Pulls the scores of both completions to 0: the loss sees only their difference, so that "
        "their sum may drift. 0.01 is usual.",
        ge=0.0, le=100.0, zero_text="off", advanced=True,
        formula="loss + c·(r_chosen + r_rejected)²", source=EISENSTEIN_2023,
    )
    learning_rate: float = declare(
        2.5e-4, "Learning rate", _UPDATE,
        "Step size of AdamW (ε 1e-5, no weight decay). All weights of a model with a billion "
        "parameters bear about 1e-5, adapters (LoRA) ten times as much, the small bundled policy "
        "far more.",
        ge=0.0, le=1.0, scientific=True,
        source=LOSHCHILOV_2019,
    )

    # -- what is written to score
    standardise_on: int = declare(
        128, "Standardised on", _WRITTEN,
        "How many completions of the policy an exported reward model is standardised on, so that "
        "their scores have mean 0 and deviation 1. What is learned does not depend on it.",
        ge=0, le=100_000, unit="completions", zero_text="off", advanced=True, source=ZIEGLER_2019,
        formula="{r - mean}÷{deviation}",
    )
    response_length: int = declare(
        48, "Response length", _WRITTEN,
        "The longest completion that the policy writes to be scored. The pairs are learned from "
        "whole, however long they are.",
        ge=1, le=32_768, unit="tokens",
    )
    temperature: float = declare(
        1.0, "Temperature", _WRITTEN,
        "The T at which the policy writes the completions that are scored.",
        ge=0.05, le=5.0, live=False,
        formula="π(v) = {exp(z_v ÷ T)}÷{Σ_u exp(z_u ÷ T)}",
    )
    control_tokens: Literal["text", "tokens"] = declare(
        "text", "Control tokens in prompts", _WRITTEN,
        "What a prompt is that spells a control token of the policy, the end of a turn say: text "
        "like any other, or that token. Set it to tokens for prompts that write the turns of a "
        "chat themselves, with the chat template switched off.",
        live=False, advanced=True,
    )
    stop_strings: str = declare(
        "", "Stop strings", _WRITTEN,
        "Text that ends a completion of a compared prompt as its end-of-sequence token does, for "
        "base models that never write one: \\n for a line break, several between |.",
        empty_text="none",
    )

    # -- the rules of workbench.reward_training.rules; one that finds what is not a number always
    # stops
    pause_on_reward_by_heart: bool = declare_pause("pairs known by heart")
    pause_on_reward_overfitted: bool = declare_pause("held-out loss rises")
    pause_on_reward_length: bool = declare_pause("the score is length")
