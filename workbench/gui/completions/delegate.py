"""Paints a comparison: the prompt, the two texts side by side, the numbers at the right."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QPainter,
    QPen,
    QTextLayout,
    QTextOption,
)
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from workbench.formatting import number
from workbench.gui.completions import completion_texts
from workbench.gui.completions.diff import marked_difference
from workbench.gui.completions.marks import ranges
from workbench.gui.completions.model import Comparison, Role
from workbench.gui.widgets.quick_text import QuickText
from workbench.gui.widgets.theme import Theme, themes
from workbench.store.records import CompletionRecord

_PAD = 8
_GAP = 16
_LINES = 12
_CHARACTERS = 1200
_KEPT_ROWS, _KEPT_HEIGHTS = 64, 1024
_NOT_YET = "When the cycle is complete."
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Side:
    """One text, laid out, with what changed in it marked. ``badge`` stands behind its last word or
    on a line of its own."""

    layout: QTextLayout
    shown: str
    height: float
    badge: str
    badge_at: QPointF


@dataclass(frozen=True, slots=True)
class _Content:
    """What a row's layout depends on: the texts, each with whether it ended."""

    prompt: str
    before: tuple[str, bool]
    after: tuple[str, bool] | None


@dataclass(slots=True)
class _Row:
    """A row, laid out for one width; ``marked`` once its differences have been looked for."""

    prompt: str
    sides: tuple[_Side, _Side]
    height: int
    marked: bool


class _Recent(Generic[T]):
    """What was made last of each content; the oldest goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: OrderedDict[_Content, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._made)

    def get(self, content: _Content, make: Callable[[_Content], T]) -> T:
        """Return what is known of ``content``, or make it."""
        if content in self._made:
            self._made.move_to_end(content)
        else:
            self._made[content] = make(content)
            if len(self._made) > self._most:
                self._made.popitem(last=False)
        return self._made[content]

    def clear(self) -> None:
        """Forget everything."""
        self._made.clear()


class ComparisonDelegate(QStyledItemDelegate):
    """Lays a row out when its size is asked for and finds its differences when it is painted.

    A long text shows its first lines, with a badge that says how much more there is. Marks are
    part of the layout: as selections they would have every text drawn twice.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._view = parent
        # A layout of a long row takes 100 kB: only those in view are kept, and heights of more.
        self._rows: _Recent[_Row] = _Recent(_KEPT_ROWS)
        self._heights: _Recent[int] = _Recent(_KEPT_HEIGHTS)
        self._width = 0
        self._fonts()

    def forget(self) -> None:
        """Lay everything out anew: the font or the colours have changed."""
        self._forget_rows()
        self._fonts()

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        """Return the room that both texts need."""
        width = self._view.viewport().width()  # type: ignore[attr-defined]
        self._set_width(width)
        return QSize(0, self._heights.get(
            _content(index.data(Role.COMPARISON)),
            lambda content: self._rows.get(content, self._lay_out).height))

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Paint one row."""
        theme, comparison = themes().theme, index.data(Role.COMPARISON)
        rect: QRect = option.rect
        state = option.state
        row = self._row(comparison, rect.width())
        if not row.marked:
            self._mark(row)
        painter.save()
        painter.setClipRect(rect)
        self._background(painter, rect, state, theme)
        left, column, numbers = self._columns(rect.width())
        top = rect.top() + _PAD
        painter.setPen(QColor(theme.text))
        self._bold_text.draw(painter, rect.left() + left, top, row.prompt)
        for i, side in enumerate(row.sides):
            muted = i == 1 and comparison.after is None
            painter.setPen(QColor(theme.muted if muted else theme.text))
            origin = QPointF(rect.left() + left + i * (column + _GAP), top + self._line + 2)
            side.layout.draw(painter, origin)
            if side.badge:
                colour = theme.warning if "cut off" in side.badge else theme.muted
                self._badge(painter, origin + side.badge_at, side.badge, colour)
        self._numbers(painter, QRectF(rect.right() - numbers - _PAD, top, numbers, rect.height()),
                      comparison, theme)
        painter.restore()

    # -- laying out

    def _fonts(self) -> None:
        self._font = QFont(self._view.font())
        self._bold = QFont(self._font)
        self._bold.setWeight(QFont.Weight.DemiBold)
        self._small = QFont(self._font)
        self._small.setPointSizeF(self._font.pointSizeF() * 0.85)
        digits = QFont(self._font)
        digits.setFeature(QFont.Tag("tnum"), 1)
        self._bold_text, self._digits_text = QuickText(self._bold), QuickText(digits)
        self._metrics = QFontMetrics(self._font)
        self._line = self._metrics.lineSpacing()
        # In the digits they are drawn in, which may be wider than those of the text.
        self._numbers_width = math.ceil(self._digits_text.width("reward  −00.00 → −00.00"))

    def _columns(self, width: int) -> tuple[int, int, int]:
        """Return the left edge, the width of a text and the width of the numbers."""
        left = _PAD + 4
        column = (width - left - 2 * _GAP - self._numbers_width - _PAD) // 2
        return left, max(column, 80), self._numbers_width

    def _row(self, comparison: Comparison, width: int) -> _Row:
        self._set_width(width)
        return self._rows.get(_content(comparison), self._lay_out)

    def _set_width(self, width: int) -> None:
        if width != self._width:
            self._forget_rows()
            self._width = width

    def _forget_rows(self) -> None:
        self._rows.clear()
        self._heights.clear()

    def _lay_out(self, content: _Content) -> _Row:
        _, column, _ = self._columns(self._width)
        prompt = QFontMetrics(self._bold).elidedText(
            content.prompt, Qt.TextElideMode.ElideMiddle, 2 * column + _GAP)
        sides = (self._side(content.before, column), self._side(content.after, column))
        text = self._line + 2 + max(side.height for side in sides)
        return _Row(prompt, sides, math.ceil(max(text, 4 * self._line)) + 2 * _PAD,
                    content.after is None)

    def _mark(self, row: _Row) -> None:
        """Mark what has changed."""
        row.marked = True
        _, column, _ = self._columns(self._width)
        found = marked_difference(*(side.shown for side in row.sides))
        for side, changed in zip(row.sides, (found.deleted, found.inserted), strict=True):
            if changed:
                side.layout.setFormats(ranges(side.shown, changed))
                _break_lines(side.layout, column)

    def _side(self, written: tuple[str, bool] | None, width: int) -> _Side:
        text, ended = written or (_NOT_YET, True)
        shown = text[:_CHARACTERS].replace("\n", "\u2028")
        layout = QTextLayout(shown, self._font)
        option = QTextOption()
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        layout.setTextOption(option)
        height, end, last = _break_lines(layout, width)
        shown = shown.encode("utf-16-le")[: 2 * end].decode("utf-16-le", "ignore")
        badges = []
        if len(shown) < len(text):
            badges.append(f"{len(text[len(shown):].split()):,} more words")
        if not ended:
            badges.append("cut off")
        badge = " · ".join(badges)
        at = QPointF(last + 6, height - self._line)
        if badge and at.x() + self._badge_width(badge) > width:
            at, height = QPointF(0, height + 1), height + self._line + 1
        return _Side(layout, shown, height, badge, at)

    def _badge_width(self, text: str) -> int:
        return QFontMetrics(self._small).horizontalAdvance(text) + 10

    # -- painting

    def _background(
        self, painter: QPainter, rect: QRect, state: QStyle.StateFlag, theme: Theme
    ) -> None:
        if state & QStyle.StateFlag.State_Selected:
            soft = QColor(theme.accent)
            soft.setAlphaF(0.10)
            painter.fillRect(rect, soft)
            painter.fillRect(QRect(rect.left(), rect.top(), 3, rect.height()),
                             QColor(theme.accent))
        painter.setPen(QPen(QColor(theme.border), 1))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())

    def _badge(self, painter: QPainter, at: QPointF, text: str, colour: str) -> None:
        painter.setFont(self._small)
        painter.setPen(QColor(colour))
        frame = QRectF(at.x(), at.y() + 1.5, self._badge_width(text), self._line - 3)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.drawRoundedRect(frame.adjusted(0.5, 0, -0.5, 0), 3, 3)
        painter.drawText(frame, Qt.AlignmentFlag.AlignCenter, text)

    def _numbers(
        self, painter: QPainter, area: QRectF, comparison: Comparison, theme: Theme
    ) -> None:
        before, after = comparison.before, comparison.after
        lines = [("reward", number(before.score), after and number(after.score)),
                 ("KL", number(before.kl, 1), after and number(after.kl, 1)),
                 ("tokens", f"{before.length:,}", after and f"{after.length:,}")]
        colour = theme.good if comparison.change > 0.005 else (
            theme.bad if comparison.change < -0.005 else theme.muted)
        painter.setPen(QColor(colour))
        right, top = area.right(), area.top()
        self._bold_text.draw_right(painter, right, top, completion_texts.change(comparison.change))
        text_colour, muted = QColor(theme.text), QColor(theme.muted)
        for row, (name, old, new) in enumerate(lines, 1):
            text = f"{old} → {new}" if new else old
            width = self._digits_text.width(text)
            painter.setPen(text_colour)
            self._digits_text.draw(painter, right - width, top + row * self._line, text)
            if self._digits_text.width(name + "  ") + width <= area.width():
                painter.setPen(muted)
                self._digits_text.draw(painter, area.left(), top + row * self._line, name)


def _break_lines(layout: QTextLayout, width: int) -> tuple[float, int, float]:
    """Lay the first lines out; return how high they are, where in the text they end and how wide
    the last one is."""
    height, end, last = 0.0, 0, 0.0
    layout.beginLayout()
    for _ in range(_LINES):
        line = layout.createLine()
        if not line.isValid():
            break
        line.setLineWidth(width)
        line.setPosition(QPointF(0, height))
        height += line.height()
        end, last = line.textStart() + line.textLength(), line.naturalTextWidth()
    layout.endLayout()
    return height, end, last


def _content(comparison: Comparison) -> _Content:
    prompt, half = comparison.prompt, _CHARACTERS // 2
    # There is room for its beginning and its end.
    prompt = " ".join((prompt if len(prompt) <= _CHARACTERS else
                       f"{prompt[:half]} {prompt[-half:]}").split())
    return _Content(f"★ {prompt}" if comparison.pinned else prompt, _written(comparison.before),
                    _written(comparison.after) if comparison.after else None)


def _written(record: CompletionRecord) -> tuple[str, bool]:
    return record.text.lstrip(" "), record.ended
