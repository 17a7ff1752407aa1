"""Runs of a few small cycles, for what is served between their parts."""

from __future__ import annotations

from typing import Any

from workbench.algorithms import find_algorithm
from workbench.ppo.hyperparameters import parse
from workbench.records import Pair, PairData, RunData, ScoredData, ScoredText, TextPrompt
from workbench.training import commands as do

PROMPTS = (do.PromptItem("one"), do.PromptItem("two"), do.PromptItem("three"))


def start(*, step: bool = False, into: bool = False, **settings: Any) -> do.Start:
    """Return what starts a run of three cycles, each with a checkpoint."""
    return do.Start(parse({
        "num_cycles": 3, "batch_size": 4, "response_length": 6, "learning_rate": 1e-2,
        "kl_coef": 0.05, "comparison_prompts": 2, "checkpoint_every": 1, "keep_checkpoints": 9,
        "temperature": 0.8, **settings}), PROMPTS, step=step, into=into)


PAIRS = PairData("Mine", tuple(
    Pair(noun, f" good{'!' * i}", f" bad{'.' * (i % 3)}", margin=1.0)
    for i, noun in enumerate(("tea", "cat", "dog", "rain", "mat", "hat"))))
TEXTS = ScoredData("Mine", tuple(
    ScoredText(TextPrompt(noun), f" {'good' if i % 2 else 'bad'}{'!' * i}", float(i % 2))
    for i, noun in enumerate(("tea", "cat", "dog", "rain", "mat", "hat"))))
DATA: dict[str, RunData | None] = {"": None, PAIRS.kind: PAIRS, TEXTS.kind: TEXTS}
"""What is learned from beside prompts, by what the algorithm needs."""
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "PPO": ("ppo", {"batch_size": 4, "kl_coef": 0.05}),
    "GRPO": ("ppo", {"batch_size": 4, "kl_coef": 0.05, "advantage_estimator": "group",
                     "completions_per_prompt": 2}),
    "DPO": ("dpo", {"batch_size": 2, "steps_per_cycle": 2, "eval_pairs": 2}),
    "KTO": ("kto", {"batch_size": 2, "steps_per_cycle": 2, "eval_completions": 2}),
    "ILQL": ("ilql", {"batch_size": 2, "steps_per_cycle": 2}),
    "Reward model": ("reward", {"batch_size": 2, "steps_per_cycle": 2, "eval_pairs": 2}),
}
"""Every way to learn, by its title, with its smallest settings."""


def start_of(title: str, *, step: bool = False, into: bool = False, **settings: Any) -> do.Start:
    """Return what starts a run of three small cycles, each with a checkpoint, that learns so."""
    name, own = WAYS[title]
    algorithm = find_algorithm(name)
    return do.Start(algorithm.settings.parse({
        "num_cycles": 3, "response_length": 6, "learning_rate": 1e-2, "comparison_prompts": 2,
        "checkpoint_every": 1, "keep_checkpoints": 9, "temperature": 0.8, **own, **settings}),
        PROMPTS, step=step, into=into, data=DATA[algorithm.learns_from])
