"""The prompts of a run: edited, opened, saved."""
