"""The text of a completion, and beside it the one that it was learned from together with."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from workbench.gui.tokens.table import ColouredText
from workbench.gui.widgets.controls import label, named


class TextPair(QWidget):
    """Shows ``text``, and ``beside`` where there is one. Which is on the left is fixed by the pair:
    when the other one is chosen the two widgets change places, and the texts stay."""

    def __init__(self, text: ColouredText) -> None:
        super().__init__()
        self.text, self.beside = text, ColouredText()
        named(self.beside, "tokens_beside", "The completion beside it, coloured by token",
              "Click a token to go to this completion")
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(8)
        self._titles = label("", "muted"), label("", "muted")
        self._sides = tuple(map(_column, self._titles, (self.text, self.beside)))
        for name, title, side in zip(
                ("tokens_title", "tokens_beside_title"), self._titles, self._sides, strict=True):
            title.setObjectName(name)
            self._row.addWidget(side, 1)
        self.show_beside(False)

    def show_titles(self, own: str, other: str, *, first: bool) -> None:
        """Say what either is; the ``first`` of a pair is on the left."""
        for title, said in zip(self._titles, (own, other), strict=True):
            title.setText(said)
        self._row.insertWidget(0 if first else 1, self._sides[0], 1)

    def show_beside(self, there: bool) -> None:
        """Show the other text, or let the first have all the room."""
        self._titles[0].setVisible(there)
        self._sides[1].setVisible(there)


def _column(title: QWidget, text: QWidget) -> QWidget:
    side = QWidget()
    column = QVBoxLayout(side)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(2)
    column.addWidget(title)
    column.addWidget(text)
    column.addStretch()
    return side
