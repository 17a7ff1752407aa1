"""A completion as KTO saw it, and what it was marked. No torch."""

from __future__ import annotations

from workbench.algorithm import Sides
from workbench.learning.implicit_reward import token_view

MARK = "mark"
"""The column of a trace that says what its completion was marked: 0 bad, 1 good."""
TOKENS = token_view(
    "what it gives to the implicit reward of its completion, which was marked good or bad",
    Sides(("",), "implicit reward", "completions", mark=MARK, marks=("bad", "good")))
