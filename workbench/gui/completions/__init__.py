"""Completions of the compared prompts, before and after, side by side."""
