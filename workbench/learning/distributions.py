"""The distributions that all algorithms have: those of their completions. No torch."""

from __future__ import annotations

from workbench.algorithm import Distribution
from workbench.formatting import number

REWARD = Distribution(
    "Reward", "What the reward model gave the completions that a cycle learned from",
    number, completions="score")
KL_OF_COMPLETIONS = Distribution(
    "KL", "How far each completion is from what the start policy would write: its tokens' "
    "log π − log π_start, summed, in nats. Of one completion it may be below 0; only the mean over "
    "many is a distance", number, completions="kl")
LENGTHS = Distribution(
    "Length", "How many tokens the completions have that a cycle learned from",
    lambda tokens: number(tokens, 0), completions="length")
DISTRIBUTIONS = (REWARD, LENGTHS, KL_OF_COMPLETIONS)
