"""How much memory the parts of a run take: what is estimated, and for what. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.models.phases import Phase
from workbench.records import Pair, ScoredText

Phases = dict[Phase, dict[str, int]]
"""Bytes of each part that a phase holds at its worst moment."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What the prompts ask for: numbers of tokens and of completions."""

    prompt: int
    """Tokens of the longest prompt."""
    scored: int
    """Tokens of the longest prompt and response as the reward model reads them."""
    compared: int
    """Prompts completed after every cycle."""
    data: Sequence[Pair] | Sequence[ScoredText] = ()
    """What is learned from beside the prompts, as far as it is known."""


def needed(phases: Mapping[Phase, Mapping[str, int]]) -> int:
    """Return the bytes of the phase that needs most."""
    return max(sum(parts.values()) for parts in phases.values())
