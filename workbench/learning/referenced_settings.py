"""Settings of algorithms that learn from completions which are there already; most by how much
likelier the policy finds them than the start policy does. No torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from workbench.papers import RAFAILOV_2023
from workbench.settings import PAUSE, Settings, declare

DATA, UPDATE, WRITTEN = "Data", "Phase 2: update", "Compared completions"


class WrittenSettings(Settings):
    """How compared prompts are completed, by algorithms that write for nothing else."""

    response_length: int = declare(
        48, "Response length", WRITTEN,
        "The longest completion of a compared prompt. The data is learned from whole, however long "
        "it is.",
        ge=1, le=32_768, unit="tokens",
    )
    control_tokens: Literal["text", "tokens"] = declare(
        "text", "Control tokens in prompts", WRITTEN,
        "What a prompt is that spells a control token of the policy, the end of a turn say: text "
        "like any other, or that token. Set it to tokens for prompts that write the turns of a "
        "chat themselves, with the chat template switched off.",
        live=False, advanced=True,
    )
    stop_strings: str = declare(
        "", "Stop strings", WRITTEN,
        "Text that ends a completion of a compared prompt as its end-of-sequence token does, for "
        "base models that never write one: \\n for a line break, several between |.",
        empty_text="none",
    )


class ReferencedSettings(WrittenSettings):
    """What they have in common."""

    GROUPS: ClassVar[tuple[str, ...]] = ("Run", "Models", DATA, UPDATE, WRITTEN, PAUSE)

    steps_per_cycle: int = declare(
        4, "Steps per cycle", DATA,
        "Optimiser steps between two comparisons, each on a batch of its own. All of the data "
        "comes once before any comes again.",
        ge=1, le=10_000, unit="steps",
    )
    held_out_share: float = declare(
        0.1, "Held-out share", DATA,
        "Share of the prompts whose completions are never learned from: after every cycle they "
        "tell whether what was learned holds for others. All completions of one prompt are on the "
        "same side.",
        ge=0.0, le=0.5, live=False, zero_text="none",
    )
    beta: float = declare(
        0.1, "Beta (β)", UPDATE,
        "The price of leaving the start policy, as that of KL in PPO. Lower lets the policy go "
        "further for the same data.",
        ge=0.001, le=100.0, scientific=True,
        formula="π* ∝ π_start·exp(r÷β)", source=RAFAILOV_2023,
    )
    temperature: float = declare(
        1.0, "Temperature", WRITTEN,
        "The T at which the compared prompts are completed and at which log-probabilities of the "
        "data are read, the start policy's too. Leave it at 1 unless completions are chaotic.",
        ge=0.05, le=5.0, live=False,
        formula="π(v) = {exp(z_v ÷ T)}÷{Σ_u exp(z_u ÷ T)}",
    )
