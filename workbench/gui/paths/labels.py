"""Boxes that are to stand clear of one another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from PySide6.QtCore import QRectF

_ROW = 16.0  # pixels: a box is looked for only in the rows that it reaches into


class Boxes:
    """Boxes that have been placed."""

    def __init__(self) -> None:
        self._rows: dict[int, list[QRectF]] = defaultdict(list)

    def add(self, box: QRectF) -> None:
        """Take note of one."""
        for row in _reach(box):
            self._rows[row].append(box)

    def is_clear(self, box: QRectF) -> bool:
        """Return whether a box meets none of those."""
        return not any(other.intersects(box) for row in _reach(box) for other in self._rows[row])


def _reach(box: QRectF) -> Iterator[int]:
    return iter(range(int(box.top() // _ROW), int(box.bottom() // _ROW) + 1))
