"""Rotary positions that are not the same in short texts and in long ones."""

from __future__ import annotations

from typing import Any


def longest_alike(config: Any) -> int | None:
    """Return up to how many tokens a text's positions do not depend on its length; None: they
    never do.

    Under LongRoPE (Ding et al. 2024, arXiv:2402.13753) transformers turns all positions of a batch
    by other factors once one of its texts is longer than this.
    """
    found = getattr(config, "rope_parameters", None) or {}
    parts = [found, *(part for part in found.values() if isinstance(part, dict))]
    limits = [part.get("original_max_position_embeddings") for part in parts
              if part.get("rope_type") == "longrope"]
    return min((n for n in limits if isinstance(n, int) and n > 0), default=None)
