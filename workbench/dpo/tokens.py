"""A completion of a pair as DPO saw it. No torch."""

from __future__ import annotations

from workbench.algorithm import Sides
from workbench.learning.implicit_reward import token_view

TOKENS = token_view(
    "what it gives to the implicit reward of its completion, chosen beside rejected",
    Sides(("chosen", "rejected"), "implicit reward", "pairs"))
