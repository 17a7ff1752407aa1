"""What a person can set of KTO. No torch."""

from __future__ import annotations

from typing import Literal

from workbench.learning.referenced_settings import DATA, UPDATE, ReferencedSettings
from workbench.papers import ETHAYARAJH_2024, LOSHCHILOV_2019
from workbench.settings import declare, declare_pause

_WEIGHT = "λ_D·good completions : λ_U·bad completions, between 1 : 1 and 4 : 3"


class KTOSettings(ReferencedSettings):
    """The settings of a KTO run."""

    # -- data
    batch_size: int = declare(
        32, "Batch size", DATA,
        "Completions learned from in each optimiser step. The reference point z is estimated of as "
        "many, so that a few are too few.",
        ge=1, le=65_536, unit="completions",
    )
    good_at: Literal["mean", "threshold"] = declare(
        "mean", "Good from", DATA,
        "Which completions are good: those whose score is at least the mean of the data's, which "
        "for thumbs or labels of 0 and 1 are those up or 1; or at least a threshold of your own. "
        "All others are bad.",
    )
    good_threshold: float = declare(
        0.0, "Threshold", DATA,
        "The lowest score of a good completion.",
        ge=-1e9, le=1e9, only_with=("good_at", "threshold"),
    )
    eval_completions: int = declare(
        128, "Held-out completions read", DATA,
        "How many of the held-out completions are read after every cycle, always the same ones: a "
        "sample by the seed where there are more.",
        ge=1, le=100_000, unit="completions", advanced=True,
    )

    # -- the update
    desirable_weight: float = declare(
        1.0, "Weight of good ones (λ_D)", UPDATE,
        "What the loss of a good completion is multiplied by. Raise it where good ones are scarce: "
        "weighed, neither kind should count much more than the other.",
        ge=0.0, le=1000.0, formula=_WEIGHT, source=ETHAYARAJH_2024,
    )
    undesirable_weight: float = declare(
        1.0, "Weight of bad ones (λ_U)", UPDATE,
        "What the loss of a bad completion is multiplied by. Raise it where bad ones are scarce.",
        ge=0.0, le=1000.0, formula=_WEIGHT, source=ETHAYARAJH_2024,
    )
    learning_rate: float = declare(
        2.5e-4, "Learning rate", UPDATE,
        "Step size of AdamW (ε 1e-5, no weight decay). All weights of a model with a billion "
        "parameters bear about 1e-6, adapters (LoRA) ten times as much, the small bundled policy "
        "far more.",
        ge=0.0, le=1.0, scientific=True, source=LOSHCHILOV_2019,
    )

    # -- the rules of workbench.kto.rules; one that finds what is not a number always stops
    pause_on_kto_runaway: bool = declare_pause("margin runs away")
    pause_on_kto_few_good: bool = declare_pause("good ones scarce")
    pause_on_kto_few_bad: bool = declare_pause("bad ones scarce")
    pause_on_kto_by_heart: bool = declare_pause("known by heart")
    pause_on_kto_kl: bool = declare_pause("language is lost")
    pause_on_kto_unlikely: bool = declare_pause("unlikely words")

    def conflicts(self) -> dict[str, str]:
        """Return what is wrong between values that are right by themselves, by name."""
        found = super().conflicts()
        if not self.desirable_weight and not self.undesirable_weight:
            found["desirable_weight"] = (
                "With both weights (desirable_weight, undesirable_weight) at 0 nothing is learned; "
                "raise one of them.")
        return found
