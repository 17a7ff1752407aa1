"""In which ways a model's numbers are those of each row alone: not all bear padding or a cache.

Decided when a model is loaded, by trying (:mod:`workbench.models.model_check`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Batching(IntEnum):
    """Which rows may go through a model side by side; the first that is exact is used."""

    PADDED = 0
    """Any, with padding."""
    EQUAL = 1
    """Those of one length: padding would get into a recurrent state, say."""
    SINGLE = 2
    """None."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What is exact with a model; the defaults are those of most."""

    trunk: str | None = None
    """Where in the model the transformer is that reads text; None for its base model."""
    own_head: bool = False
    """Logits are made from states in a way that only the model's own code knows."""
    reading: Batching = Batching.PADDED
    """Of whole texts, padded on the right."""
    branches: bool = True
    """Several completions of one prompt can be read in one row after it, each blind for the others
    (:mod:`workbench.models.branches`)."""
    writing: Batching = Batching.PADDED
    """Of prompts that tokens are written to, padded on the left."""
    cached: bool = True
    """Tokens can be written over a cache of what was read; otherwise all is read again."""
    own_cache: bool = False
    """Only with the layers that transformers makes for the model's cache, which forget and copy."""
    steps_alike: bool = True
    """Steps over a cache that never moves are exact
    (:class:`workbench.models.decoders.FixedDecoder`).
    """

    @property
    def note(self) -> str:
        """What to expect of the model, as a sentence; empty where there is nothing to say."""
        if not self.cached:
            return ("No cache is exact with this architecture: every token reads the text again, "
                    "so long completions take long.")
        if self.writing:
            return ("Padding is not exact with this architecture: only prompts of equal length are "
                    "completed together, so prompts of many lengths take longer.")
        return ""
