"""The quiet line beside Start: what it would train, or what is being trained."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy

from workbench.gui.widgets.controls import named
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import themes

_LEAST = len("Start trains a")  # letters that say something
Piece = tuple[str, str]
"""Some words, and what they are: "" (in between), "name", or "warning" for what is not loaded."""


class TrainsLine(QLabel):
    """Says as much as there is room for; the tooltip says all."""

    def __init__(self) -> None:
        super().__init__()
        named(self, "what_trains", "What trains", "")
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setMinimumWidth(1)
        self.setContentsMargins(4, 0, 4, 0)
        self._wordings: list[Sequence[Piece]] = []
        themes().changed.connect(self._draw)

    @property
    def sentence(self) -> str:
        """All that it says, whether or not there is room for it."""
        return _plain(self._wordings[0]) if self._wordings else ""

    @property
    def warned(self) -> list[str]:
        """The words that are marked: what is not loaded, or missing."""
        return [text for text, look in (self._wordings or [[]])[0] if look == "warning"]

    def say(self, wordings: Sequence[Sequence[Piece]], details: str) -> None:
        """Say the first of these wordings for which there is room, or as much of the last as
        there is room for; ``details`` is the tooltip."""
        self._wordings = list(wordings)
        self.setAccessibleDescription(self.sentence)
        self.setToolTip(plain_tip(details))
        self.updateGeometry()
        self._draw()

    def sizeHint(self) -> QSize:
        """Ask for nothing, and take what all others leave."""
        return self.minimumSizeHint()

    def minimumSizeHint(self) -> QSize:
        """Give way to everything else."""
        return QSize(1, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Say what there is room for."""
        super().resizeEvent(event)
        self._draw()

    def _draw(self) -> None:
        room = self.contentsRect().width()
        pieces = next((p for p in self._wordings if self._width(p) <= room), None)
        if pieces is None:
            pieces = self._cut(self._wordings[-1], room) if self._wordings else []
        theme = themes().theme
        colours = {"": theme.muted, "name": theme.text, "warning": theme.warning}
        self.setText("".join(
            f'<span style="color:{colours[look]}; white-space:pre">{escape(text)}</span>'
            for text, look in pieces))

    def _cut(self, pieces: Sequence[Piece], room: int) -> list[Piece]:
        """Return as much as there is room for, each word still in its look; nothing where that
        would say nothing."""
        left = len(self.fontMetrics().elidedText(
            _plain(pieces), Qt.TextElideMode.ElideRight, room).removesuffix("…"))
        if left < _LEAST:
            return []
        cut: list[Piece] = []
        for text, look in pieces:
            if left > 0:
                cut.append((text[:left], look))
            left -= len(text)
        return [*cut, ("…", "")]

    def _width(self, pieces: Sequence[Piece]) -> int:
        return self.fontMetrics().horizontalAdvance(_plain(pieces)) + 2


def _plain(pieces: Sequence[Piece]) -> str:
    return "".join(text for text, _ in pieces)
