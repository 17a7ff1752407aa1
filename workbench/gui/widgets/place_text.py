"""A place in a completion, in words."""

from __future__ import annotations

from workbench.formatting import visible
from workbench.records import TokenTrace

_BEFORE = 80  # characters


def place_text(trace: TokenTrace | None, cycle: int, at: int) -> str:
    """Return where token number ``at`` of a completion of ``cycle`` stands."""
    if trace is None or at >= len(trace.pieces):
        return f"Cycle {cycle:,}"
    before = "".join(trace.pieces[:at])
    stands = f"after …{before[-_BEFORE:]}" if at else "right after the prompt"
    return f"Cycle {cycle:,}, in place of “{visible(trace.pieces[at])}” {stands}"
