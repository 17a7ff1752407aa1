"""The quiet line beside Start: what it would train, or what is being trained."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy

from workbench.gui.controls import named
from workbench.gui.plain_text import plain_tip
from workbench.gui.theme import themes

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
        """Say the first of these wordings for which there is room; ``details`` is the tooltip."""
        self._wordings = list(wordings)
        self.setAccessibleDescription(self.sentence)
        self.setToolTip(plain_tip(details))
        self.updateGeometry()
        self._draw()

    def sizeHint(self) -> QSize:
        """Return the size of the whole sentence."""
        return QSize(self._width(self._wordings[0]) + 10 if self._wordings else 0,
                     super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """Give way to everything else."""
        return QSize(1, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Say what there is room for."""
        super().resizeEvent(event)
        self._draw()

    def _draw(self) -> None:
        theme, room = themes().theme, self.contentsRect().width()
        colours = {"": theme.muted, "name": theme.text, "warning": theme.warning}
        for pieces in self._wordings:
            if self._width(pieces) <= room:
                self.setText("".join(
                    f'<span style="color:{colours[look]}; white-space:pre">{escape(text)}</span>'
                    for text, look in pieces))
                return
        shortest = _plain(self._wordings[-1]) if self._wordings else ""
        self.setText(f'<span style="color:{theme.muted}">' + escape(self.fontMetrics().elidedText(
            shortest, Qt.TextElideMode.ElideRight, room)) + "</span>")

    def _width(self, pieces: Sequence[Piece]) -> int:
        return self.fontMetrics().horizontalAdvance(_plain(pieces)) + 2


def _plain(pieces: Sequence[Piece]) -> str:
    return "".join(text for text, _ in pieces)
