"""PPO Workbench: reinforcement learning from feedback on language models, on one machine."""

__version__ = "0.2.0.dev0"
