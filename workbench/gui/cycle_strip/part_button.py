"""One part of a cycle: its name, its result, and where it opens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QCursor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QToolTip

from workbench.algorithm import Part
from workbench.gui.widgets.controls import describe, named
from workbench.gui.widgets.theme import Theme, themes

_MARGIN, _GAP = 8, 6
_BAND, _LEAST_BAND = 64, 24  # pixels of the drawing of a range
_WORD = re.compile(r"^\S+\s+([^\w\s+−]+\s+)*")
"""The first word, and a sign that cannot stand alone."""
_COUNTED = re.compile(r"^[+−]?\d[\w.,\N{NO-BREAK SPACE}]*(?<!,)\s+(?=[^\W\d])")
"""A number, and the word after it that says of what: the one means nothing without the other."""
_ROOM = 1.6  # how far a range's drawing reaches, in widths of the range


class PartButton(QAbstractButton):
    """Draws a part as waiting, live or done. A click is to open what it made."""

    def __init__(self, part: Part, phase: str) -> None:
        super().__init__()
        self.part = part
        self._help = f"{phase}. {part.help}"
        named(self, f"part_{part.name}", part.title, self._help)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.live = self.done = False
        self.result = ""
        self.band: tuple[float, float, float, float] | None = None
        self._share = 0.0

    def show_part(
        self, *, live: bool, done: bool, steps: tuple[int, int], metrics: Mapping[str, float],
        settings: Mapping[str, Any],
    ) -> None:
        """Show how the part stands; ``steps`` are those done, and how many there are."""
        result = self.part.say(metrics) if metrics else ""
        count, total = steps
        if live and not done and total > 1 and not result:
            result = f"{count:,}/{total:,}"
        band = self.part.band(settings, metrics) if metrics else None
        share = count / total if live and not done and total else 0.0
        now = (live, done, result, band, share)
        if now == (self.live, self.done, self.result, self.band, self._share):
            return
        grown = result != self.result or band != self.band
        self.live, self.done, self.result, self.band, self._share = now
        if grown:
            state = "under way" if live else "done" if done else "not begun"
            self.setAccessibleDescription(", ".join(filter(None, (result, state))))
            describe(self, f"{result}\n{self._help}" if result else self._help)
            if QToolTip.isVisible() and self.underMouse():
                QToolTip.showText(QCursor.pos(), self.toolTip(), self)
            self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Wide enough for name and result."""
        words = QFontMetricsF(self.font()).horizontalAdvance(self.result)
        wide = self._title_width() + words + 2 * _MARGIN + (_GAP if self.result else 0)
        return QSize(round(wide + (_BAND + _GAP if self.band else 0)) + 2, 30)

    def minimumSizeHint(self) -> QSize:
        """Wide enough for the name."""
        return QSize(round(self._title_width()) + 2 * _MARGIN + 2, 20)

    def words_room(self) -> float:
        """Return how many pixels there are for the result, if it has them all."""
        return self.width() - 2 * _MARGIN - self._title_width() - _GAP

    def words(self, room: float) -> str:
        """Return the result as far as it fits ``room`` pixels: words go first, numbers last, and a
        count never before what it counts."""
        metrics = QFontMetricsF(self.font())
        said = self.result
        while metrics.horizontalAdvance(said) > room and (first := _WORD.match(said)):
            if _COUNTED.match(said):  # it stays, and what is said after it goes
                kept, more, _ = said.rpartition(", ")
                if not more:
                    break
                said = kept
            else:
                said = said[first.end():]
        return said

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it."""
        theme = themes().theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(1.5, 1.5, -1.5, -1.5)
        hovered = self.underMouse() and self.isEnabled()
        edge = QColor(theme.accent if self.live or self.hasFocus() else
                      theme.muted if hovered else theme.border)
        painter.setPen(QPen(edge, 2 if self.live or self.hasFocus() else 1))
        painter.setBrush(QColor(theme.changed if self.live else theme.base))
        painter.drawRoundedRect(box, 5, 5)
        if self._share:
            self._draw_progress(painter, box, theme)
        text = QRectF(self.rect()).adjusted(_MARGIN, 0, -_MARGIN, 0)
        middle = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.setFont(self._bold())
        painter.setPen(QColor(theme.text if self.live or self.done else theme.muted))
        painter.drawText(text, middle, self.part.title)
        painter.setFont(self.font())
        text.setLeft(text.left() + self._title_width() + _GAP)
        metrics = QFontMetricsF(self.font())
        # The words come first: the drawing gets what they leave.
        room = min(_BAND, self.words_room() - metrics.horizontalAdvance(self.result) - _GAP - 1)
        if self.band is not None and room >= _LEAST_BAND:
            self._draw_band(painter, QRectF(text.right() - room, 0, room, self.height()), theme)
            text.setRight(text.right() - room - _GAP)
        painter.setPen(QColor(theme.text if self.done or self.live else theme.muted))
        painter.drawText(text, middle, metrics.elidedText(
            self.words(text.width()), Qt.TextElideMode.ElideRight, text.width()))

    def _draw_progress(self, painter: QPainter, box: QRectF, theme: Theme) -> None:
        painter.setPen(QPen(QColor(theme.accent), 2))
        y = box.bottom() - 2
        left, right = box.left() + 4, box.right() - 4
        painter.drawLine(QPointF(left, y), QPointF(left + self._share * (right - left), y))

    def _draw_band(self, painter: QPainter, at: QRectF, theme: Theme) -> None:
        """Draw a range and, in it, where the part's numbers lie."""
        assert self.band is not None
        low, high, least, most = self.band
        middle, half = (low + high) / 2, max(1e-9, _ROOM * (high - low) / 2)

        def x(value: float) -> float:
            share = (value - middle + half) / (2 * half)
            return at.left() + min(1.0, max(0.0, share)) * at.width()

        y = at.center().y()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.better))
        painter.drawRect(QRectF(x(low), y - 7, x(high) - x(low), 14))
        painter.setPen(QPen(QColor(theme.muted), 1))
        painter.drawLine(QPointF(at.left(), y), QPointF(at.right(), y))
        painter.setPen(QPen(QColor(theme.accent), 3))
        painter.drawLine(QPointF(x(least), y), QPointF(x(most), y))

    def _bold(self) -> QFont:
        font = QFont(self.font())
        font.setBold(True)
        return font

    def _title_width(self) -> float:
        return QFontMetricsF(self._bold()).horizontalAdvance(self.part.title)
