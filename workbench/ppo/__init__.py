"""PPO on language models: formulas, cycle, settings and metrics. torch; no Qt, no database."""
