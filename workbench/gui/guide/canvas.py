"""Where a card is drawn."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from workbench.gui.guide.drawings import DRAW, is_known
from workbench.gui.guide.pencil import RIGHT, Pencil
from workbench.gui.guide.scene import EXAMPLE, Scene
from workbench.gui.widgets.controls import named
from workbench.gui.widgets.theme import themes
from workbench.guide import Card

_LINES = 11  # of text that the height is
_MARGIN = 8
_WIDEST = 380  # pixels: what is wider is no better


class Canvas(QWidget):
    """Draws a card in the numbers of a run, or of an example where the run has none yet."""

    def __init__(self) -> None:
        super().__init__()
        named(self, "guide_drawing", "Drawing", "")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMaximumWidth(_WIDEST)
        self._card: Card | None = None
        self._scene = EXAMPLE
        self._foot = ""
        themes().changed.connect(self.update)

    @property
    def example(self) -> bool:
        """Whether what is drawn is no run's."""
        return self._scene.made_up

    def show_card(self, card: Card, scene: Scene, said: str) -> None:
        """Draw ``card``; ``said`` is what the drawing shows, in words."""
        self._card = card
        known = is_known(scene, card)
        self._scene = scene if known else EXAMPLE
        self._foot = f"cycle {scene.cycle_of(card):,}" if known and not scene.made_up else (
            "an example" if not scene.cycle else
            f"an example: not yet known in cycle {scene.cycle:,}")
        self.setAccessibleDescription(said)
        self.update()

    def sizeHint(self) -> QSize:
        """As high as some lines of text."""
        return QSize(236, round(_LINES * self.fontMetrics().height()))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it."""
        painter = QPainter(self)
        pencil = Pencil(painter, self.font())
        whole = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        pencil.box(whole, pencil.theme.base, pencil.theme.border)
        if self._card is None:
            return
        box = whole.adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        if self._card.drawing in _OF_A_RUN:
            foot = QRectF(box.left(), box.bottom() - pencil.line + 3, box.width(), pencil.line)
            box.setBottom(foot.top() - 3)
            pencil.write(foot, self._foot, pencil.theme.muted, RIGHT)
        DRAW[self._card.drawing](pencil, box, self._scene, self._card)


_OF_A_RUN = frozenset(DRAW) - {"models", "cycle"}
