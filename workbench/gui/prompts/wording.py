"""Prompts in words."""

from __future__ import annotations


def count(number: int) -> str:
    """Return "1 prompt" or "1,200 prompts"."""
    return f"{number:,} {'prompt' if number == 1 else 'prompts'}"
