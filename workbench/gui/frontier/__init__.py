"""Reward against what it cost: KL to the start policy, samples, steps or seconds."""
