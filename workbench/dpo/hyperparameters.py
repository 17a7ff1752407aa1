"""What a person can set of DPO. No torch."""

from __future__ import annotations

from typing import Literal

from workbench.learning.referenced_settings import DATA, UPDATE, ReferencedSettings
from workbench.papers import (
    AZAR_2023,
    CHOWDHURY_2024,
    LOSHCHILOV_2019,
    PANG_2024,
    RAFAILOV_2023,
    ZHAO_2023,
)
from workbench.settings import declare, declare_pause


class DPOSettings(ReferencedSettings):
    """The settings of a DPO run."""

    # -- pairs
    batch_size: int = declare(
        32, "Batch size", DATA,
        "Pairs learned from in each optimiser step. More make the step less noisy and slower.",
        ge=1, le=65_536, unit="pairs",
    )
    eval_pairs: int = declare(
        128, "Held-out pairs read", DATA,
        "How many of the held-out pairs are read after every cycle, always the same ones: a "
        "sample by the seed where there are more.",
        ge=1, le=100_000, unit="pairs", advanced=True,
    )

    # -- the update
    loss_type: Literal["sigmoid", "hinge", "ipo", "robust"] = declare(
        "sigmoid", "Loss", UPDATE,
        "Of d, by how much more the log-ratio of the chosen completion is than the rejected one's. "
        "sigmoid is DPO's own; hinge stops at a margin of 1÷β; ipo pulls d to 1÷(2β), so that it "
        "cannot run away; robust expects a share of wrong labels.",
        formula="sigmoid: -log s(β·d); hinge: max(0, 1 - β·d); ipo: (d - 1÷(2·β))²",
        source=f"{RAFAILOV_2023}; {ZHAO_2023}; {AZAR_2023}; {CHOWDHURY_2024}",
    )
    label_smoothing: float = declare(
        0.0, "Label smoothing (ε)", UPDATE,
        "The share of labels that is taken to be wrong. With sigmoid it makes the loss "
        "conservative: margins stop growing; with robust it is right on average over such labels.",
        ge=0.0, le=0.49, zero_text="off", advanced=True,
        only_with=("loss_type", ("sigmoid", "robust")),
        formula="-(1 - ε)·log s(β·d) - ε·log s(-β·d)", source=CHOWDHURY_2024,
    )
    average_log_prob: bool = declare(
        False, "Mean over tokens", UPDATE,
        "Take the mean log-probability of a completion's tokens in place of the sum, as IPO's "
        "authors advise for long completions and TRL does. Off follows IPO's paper; on, β has to "
        "be far larger for the same strength, since 1÷(2β) is then a difference a token.",
        advanced=True, only_with=("loss_type", "ipo"), source=AZAR_2023,
    )
    sft_coef: float = declare(
        0.0, "SFT coefficient", UPDATE,
        "Weight of -log π of the chosen completion's tokens, on average, beside the preference: "
        "keeps the chosen ones likely while both log-probabilities would fall (RPO).",
        ge=0.0, le=100.0, zero_text="off", advanced=True,
        formula="loss + c·mean of {-log π(chosen)}÷{tokens}", source=PANG_2024,
    )
    learning_rate: float = declare(
        2.5e-4, "Learning rate", UPDATE,
        "Step size of AdamW (ε 1e-5, no weight decay). All weights of a model with a billion "
        "parameters bear about 1e-6, adapters (LoRA) ten times as much, the small bundled policy "
        "far more.",
        ge=0.0, le=1.0, scientific=True,
        source=LOSHCHILOV_2019,
    )

    # -- the rules of workbench.dpo.rules; one that finds what is not a number always stops
    pause_on_dpo_runaway: bool = declare_pause("margin runs away")
    pause_on_dpo_by_heart: bool = declare_pause("pairs known by heart")
    pause_on_dpo_kl: bool = declare_pause("language is lost")
    pause_on_dpo_unlikely: bool = declare_pause("unlikely words")

    def conflicts(self) -> dict[str, str]:
        """Return what is wrong between values that are right by themselves, by name."""
        found = super().conflicts()
        if self.loss_type == "robust" and not self.label_smoothing:
            found["label_smoothing"] = (
                "Label smoothing (label_smoothing) says to the robust loss which share of the "
                "labels is wrong: set it above 0, or Loss (loss_type) to sigmoid.")
        return found
