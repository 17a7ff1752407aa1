"""An answer before and after a run, to click."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QSizePolicy

from workbench.formatting import difference, number
from workbench.gui.guide.pencil import LEFT, RIGHT, Pencil
from workbench.gui.guide.results import Answer
from workbench.gui.widgets.controls import named

_LINES = 2
_PAD, _GAP = 8, 3


class AnswerButton(QAbstractButton):
    """The prompt, below it both completions as far as there is room, with their rewards."""

    def __init__(self, row: int, answer: Answer) -> None:
        super().__init__()
        self.answer = answer
        before, after = answer.before, answer.after
        named(self, f"guide_answer_{row}", f"Answer to {before.prompt_text}",
              f"{before.prompt_text}\n\nBefore ({number(before.score)}): {before.text}\n\n"
              f"After ({number(after.score)}): {after.text}\n\nShow both in Completions")
        self.setAccessibleDescription(
            f"reward {number(before.score)} before, {number(after.score)} after")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """As high as prompt and both completions."""
        high = QFontMetricsF(self.font()).height()
        return QSize(236, round(high * (1 + 2 * _LINES * 0.9) + 2 * _PAD + 3 * _GAP))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it."""
        painter = QPainter(self)
        pencil = Pencil(painter, self.font())
        theme, answer = pencil.theme, self.answer
        box = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        lit = self.hasFocus() or (self.underMouse() and self.isEnabled())
        pencil.box(box, theme.base, theme.accent if lit else theme.border,
                   2 if self.hasFocus() else 1)
        inside = box.adjusted(_PAD, _PAD - 2, -_PAD, -_PAD + 2)
        high = QFontMetricsF(self.font()).height()
        gain = difference(number(answer.before.score), number(answer.after.score))
        room = pencil.wide(gain, pencil.bold) + 6
        top = QRectF(inside.left(), inside.top(), inside.width(), high)
        pencil.write(top.adjusted(0, 0, -room, 0), answer.before.prompt_text, theme.text, LEFT,
                     pencil.bold)
        pencil.write(top, gain, theme.good if answer.gain >= 0 else theme.bad, RIGHT, pencil.bold)
        each = (inside.bottom() - top.bottom() - 2 * _GAP) / 2
        for row, (of, ground) in enumerate(((answer.before, theme.base),
                                            (answer.after, theme.changed))):
            at = QRectF(inside.left(), top.bottom() + _GAP + row * (each + _GAP), inside.width(),
                        each)
            pencil.box(at, ground)
            score = number(of.score)
            wide = pencil.wide("−0.00") + 6
            pencil.write_lines(at.adjusted(2, 0, -wide, 0), of.text,
                               theme.text if row else theme.muted, _LINES)
            pencil.write(QRectF(at.right() - wide, at.top(), wide - 2, pencil.line), score,
                         theme.text if row else theme.muted, RIGHT)
