"""The mathematics of PPO on language models, and the models. torch; no Qt, no database."""
