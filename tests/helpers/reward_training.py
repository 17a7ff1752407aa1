"""Reward models in training, of tiny random policies, and pairs for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from helpers.folders import save_llama, save_policy, save_reward, words
from helpers.models import CPU

from workbench.feedback.loading import load_reward
from workbench.models.loading import load_policy
from workbench.models.sources import silent
from workbench.records import Pair
from workbench.reward_training.cycle import RewardTrainer
from workbench.reward_training.hyperparameters import RewardSettings

SMALL: dict[str, Any] = {
    "num_cycles": 4, "batch_size": 4, "steps_per_cycle": 2, "response_length": 4,
    "comparison_prompts": 2, "standardise_on": 8}
NOUNS = ("tea", "cat", "dog", "rain", "mat", "hat", "sun", "cup")


def parse(**settings: object) -> RewardSettings:
    """Return settings of a small run."""
    return RewardSettings.parse({**SMALL, **settings})


def make_trainer(
    pairs: Sequence[Pair], folder: Path, *, architecture: str = "gpt2"
) -> RewardTrainer:
    """Return what trains a reward model, with a tiny policy and a tiny BERT as the reward."""
    policy = folder / architecture
    if not policy.exists():
        if architecture == "llama":
            save_llama(policy, words(pad_token="<pad>"))
        else:
            save_policy(policy)
        save_reward(folder / "reward")
    trainer = RewardTrainer.made_for(
        load_policy(str(policy), CPU, silent),
        load_reward(str(folder / "reward"), CPU, silent).reward)
    trainer.learn_from(pairs)
    return trainer


def ragged(number: int = 12) -> list[Pair]:
    """Return pairs of unlike lengths, of half as many prompts."""
    return [Pair(f"The {NOUNS[i // 2 % len(NOUNS)]}", f" was {'very ' * (i % 4)}good{'!' * i}",
                 f" is {'so ' * (i % 3)}bad") for i in range(number)]


def bradley_terry(number: int, rewards: dict[str, float], seed: int = 0) -> list[Pair]:
    """Return pairs of answers to one prompt, each preferred with the chance that the logistic
    function gives the difference of their ``rewards``."""
    random, answers = np.random.default_rng(seed), list(rewards)
    pairs = []
    while len(pairs) < number:
        a, b = random.choice(len(answers), 2, replace=False)
        chance = 1 / (1 + np.exp(rewards[answers[b]] - rewards[answers[a]]))
        better, worse = (a, b) if random.random() < chance else (b, a)
        pairs.append(Pair("A", answers[better], answers[worse]))
    return pairs
