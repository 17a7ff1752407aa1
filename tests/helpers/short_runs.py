"""Runs of a few small cycles, for what is served between their parts."""

from __future__ import annotations

from typing import Any

from workbench.ppo.hyperparameters import parse
from workbench.training import commands as do

PROMPTS = (do.PromptItem("one"), do.PromptItem("two"), do.PromptItem("three"))


def start(*, step: bool = False, into: bool = False, **settings: Any) -> do.Start:
    """Return what starts a run of three cycles, each with a checkpoint."""
    return do.Start(parse({
        "num_cycles": 3, "batch_size": 4, "response_length": 6, "learning_rate": 1e-2,
        "kl_coef": 0.05, "comparison_prompts": 2, "checkpoint_every": 1, "keep_checkpoints": 9,
        "temperature": 0.8, **settings}), PROMPTS, step=step, into=into)
