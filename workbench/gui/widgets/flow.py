"""What a flow layout needs to be one line."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget
from superqt import QFlowLayout


def line_width(row: QWidget, without: QWidget | None = None) -> int:
    """Return how many pixels all that ``row`` shows takes beside each other; ``without``: but for
    this one, whose gap is counted."""
    layout = row.layout()
    assert isinstance(layout, QFlowLayout)
    found = [item for i in range(layout.count()) if (item := layout.itemAt(i)) is not None]
    shown = [item.sizeHint().width() for item in found
             if not item.isEmpty() and item.widget() is not without]
    # What is hidden keeps its gap there, and a line ends a pixel before the edge.
    gaps = len(found) - 1
    return sum(shown) + gaps * layout.horizontalSpacing() + 1
