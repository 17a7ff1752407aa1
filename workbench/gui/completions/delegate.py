"""Paints the table's cells: the prompt over all of the texts, marked words, stacked numbers."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QTextLayout, QTextOption
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QTableView

from workbench.formatting import number
from workbench.gui.completions import completion_texts
from workbench.gui.completions.diff import Span, marked_difference
from workbench.gui.completions.marks import ranges
from workbench.gui.completions.model import NOT_YET, Column, CompletionsProxy
from workbench.gui.completions.rows import Row
from workbench.gui.widgets.icons import icon
from workbench.gui.widgets.quick_text import QuickText
from workbench.gui.widgets.theme import SOFT, mix, themes
from workbench.store.records import CompletionRecord

PAD = 6
LEAST_LINES, MOST_LINES = 3, 9
_CHARACTERS = 1200
_LEFT_OUT, _SHARED_WORDS = "… ", 3
_KEPT = 256  # laid out texts take up to 100 kB each


@dataclass(frozen=True, slots=True)
class _Content:
    """What a text's layout depends on, beside the room there is. ``beside`` is what it is compared
    with, and ``first`` whether that comes after it."""

    text: str
    ended: bool
    beside: str | None
    first: bool


@dataclass(frozen=True, slots=True)
class Laid:
    """A text, laid out, with what changed in it marked. ``badge`` stands behind its last word or
    on a line of its own."""

    layout: QTextLayout
    shown: str
    badge: str
    badge_at: QPointF


class CompletionsDelegate(QStyledItemDelegate):
    """Lays texts out as they come into view, in the room there is: all rows are equally high, so
    that nothing moves when another cycle's texts are longer. A text with more words than that says
    how many. Marks are part of the layout: as selections they would have every text drawn twice.
    """

    def __init__(self, parent: QTableView, rows: CompletionsProxy) -> None:
        super().__init__(parent)
        self._table, self._rows = parent, rows
        self._made: OrderedDict[_Content, Laid] = OrderedDict()
        self._width, self._lines = 0, LEAST_LINES
        self._fonts()

    def forget(self) -> None:
        """Lay everything out anew: the font or the colours have changed."""
        self._made.clear()
        self._fonts()

    def set_room(self, width: int, lines: int) -> None:
        """Say how wide a column of texts is, and how many lines of it are shown."""
        if (width, lines) != (self._width, self._lines):
            self._width, self._lines = width, lines
            self._made.clear()

    def height(self) -> int:
        """Return how high a row is: the prompt, the lines, room around them."""
        return (1 + self._lines) * self.line + 2 + 2 * PAD

    def lines_of(self, letters: int, width: int) -> int:
        """Return about how many lines a text of so many letters takes."""
        wide = max(1, width - 2 * PAD)
        return math.ceil(letters * self._metrics.averageCharWidth() * 1.1 / wide)

    def number_width(self, text: str) -> int:
        """Return how wide a column is that shows ``text`` as a number."""
        return math.ceil(self._bold_digits.width(text)) + 2 * PAD

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Paint one cell."""
        row, column = self._rows.row(index), index.column()
        if row is None:
            return
        rect: QRect = option.rect
        painter.save()
        painter.setClipRect(rect)
        self._background(painter, rect, option.state, column)
        top = rect.top() + PAD
        if column == Column.PROMPT:
            self._place(painter, rect, top, row)
        elif column < Column.REWARD:
            self._prompt(painter, top, row)
            self._text(painter, QPointF(rect.left() + PAD, top + self.line + 2), row,
                       column - Column.TEXT)
            chosen = bool(option.state & QStyle.StateFlag.State_Selected)
            self._thumb(painter, rect, row, column - Column.TEXT, chosen)
        else:
            self._numbers(painter, rect.right() - PAD, top + self.line + 2, row, Column(column))
        painter.restore()

    def laid(self, row: Row, place: int) -> Laid:
        """Return the text in a column as it is laid out."""
        records = row.records
        record = records[place] if place < len(records) else None
        beside = records[place - 1 if place else 1] if len(records) > max(1, place) else None
        content = _Content(
            _written(record) if record else NOT_YET, record is None or record.ended,
            _written(beside) if record and beside else None, not place)
        if content in self._made:
            self._made.move_to_end(content)
        else:
            self._made[content] = self._lay_out(content)
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return self._made[content]

    # -- laying out

    def _fonts(self) -> None:
        self._font = QFont(self._table.font())
        self._bold = QFont(self._font)
        self._bold.setWeight(QFont.Weight.DemiBold)
        self._small = QFont(self._font)
        self._small.setPointSizeF(self._font.pointSizeF() * 0.85)
        self._metrics = QFontMetrics(self._font)
        self.line = self._metrics.lineSpacing()
        digits = []
        for font in (self._font, self._bold):
            font = QFont(font)
            font.setFeature(QFont.Tag("tnum"), 1)
            digits.append(QuickText(font))
        self._digits, self._bold_digits = digits
        self._bold_text = QuickText(self._bold)

    def _lay_out(self, content: _Content) -> Laid:
        width = self._width - 2 * PAD
        shown = content.text[:_CHARACTERS].replace("\n", "\u2028")
        changed: tuple[Span, ...] = ()
        if content.beside is not None:
            found = marked_difference(*((shown, content.beside[:_CHARACTERS]) if content.first
                                        else (content.beside[:_CHARACTERS], shown)))
            changed = found.deleted if content.first else found.inserted
        layout = self._make_layout(shown, changed)
        seen, bottom, last = _break_lines(layout, width, self._lines)
        if changed and changed[0][0] >= len(_first(shown, seen)):
            # All that is seen is as in the other text: begin a few words before what is not.
            skipped = _words_before(shown, changed[0][0])
            shown = _LEFT_OUT + shown[skipped:]
            changed = tuple((start - skipped + len(_LEFT_OUT), many) for start, many in changed)
            content = replace(content, text=_LEFT_OUT + content.text[skipped:])
            layout = self._make_layout(shown, changed)
            seen, bottom, last = _break_lines(layout, width, self._lines)
        badge = self._badge(content, seen)
        at = QPointF(last + 6, bottom - self.line)
        if badge and at.x() + self._badge_width(badge) > width:
            if bottom + self.line > self._lines * self.line:  # it takes the place of a line
                seen, bottom, _ = _break_lines(layout, width, self._lines - 1)
                badge = self._badge(content, seen)
            at = QPointF(0, bottom)
        return Laid(layout, _first(shown, seen), badge, at)

    def _make_layout(self, text: str, changed: tuple[Span, ...]) -> QTextLayout:
        layout = QTextLayout(text, self._font)
        option = QTextOption()
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        layout.setTextOption(option)
        if changed:
            layout.setFormats(ranges(text, changed))
        return layout

    def badge_rect(self, cell: QRect, row: Row, column: int) -> QRectF:
        """Return where a text's badge is drawn in its cell; nothing where it has none."""
        if not Column.TEXT <= column < Column.REWARD:
            return QRectF()
        laid = self.laid(row, column - Column.TEXT)
        at = QPointF(cell.left() + PAD, cell.top() + PAD + self.line + 2) + laid.badge_at
        return QRectF(at.x(), at.y(), self._badge_width(laid.badge), self.line) if (
            laid.badge) else QRectF()

    def _badge(self, content: _Content, seen: int) -> str:
        shown = _first(content.text[:_CHARACTERS].replace("\n", "\u2028"), seen)
        more = len(content.text[len(shown):].split())
        return " · ".join([*([f"{more:,} more word{'s' * (more != 1)}"] if more else []),
                           *([] if content.ended else ["cut off"])])

    def _badge_width(self, text: str) -> int:
        return QFontMetrics(self._small).horizontalAdvance(text) + 10

    # -- painting

    def _background(
        self, painter: QPainter, rect: QRect, state: QStyle.StateFlag, column: int
    ) -> None:
        theme = themes().theme
        if state & QStyle.StateFlag.State_Selected:
            if column == Column.PROMPT:
                painter.fillRect(QRect(rect.left(), rect.top(), 3, rect.height()),
                                 QColor(theme.accent))
            if state & QStyle.StateFlag.State_HasFocus and Column.TEXT <= column < Column.REWARD:
                line = QRect(rect.left() + PAD, rect.bottom() - 2, rect.width() - 2 * PAD, 2)
                painter.fillRect(line, QColor(theme.accent))
        painter.fillRect(rect.left(), rect.bottom(), rect.width(), 1, QColor(theme.border))

    def _place(self, painter: QPainter, rect: QRect, top: int, row: Row) -> None:
        theme = themes().theme
        painter.setPen(QColor(theme.muted))
        self._digits.draw_right(painter, rect.right() - PAD // 2, top, f"{row.first.position + 1}")
        if row.pinned:
            painter.setPen(QColor(theme.text))
            self._digits.draw_right(painter, rect.right() - PAD // 2, top + self.line + 2, "★")

    def _prompt(self, painter: QPainter, top: int, row: Row) -> None:
        """Write the prompt over all of the texts: each cell has its part of the line."""
        table = self._table
        columns = [c for c in range(Column.TEXT, Column.REWARD) if not table.isColumnHidden(c)]
        wide = sum(table.columnWidth(c) for c in columns) - 2 * PAD
        cell = QRect(table.columnViewportPosition(Column.TEXT) + PAD - 3, top, wide + 6, self.line)
        painter.setPen(QColor(themes().theme.text))
        text = " ".join(row.prompt[: _CHARACTERS // 2].split())
        self._bold_text.draw_cell(painter, cell, text, False)

    def _text(self, painter: QPainter, at: QPointF, row: Row, place: int) -> None:
        theme = themes().theme
        laid = self.laid(row, place)
        there = place < len(row.records) and row.records[place] is not None
        painter.setPen(QColor(theme.text if there else theme.muted))
        laid.layout.draw(painter, at)
        if laid.badge:
            at += laid.badge_at
            painter.setFont(self._small)
            painter.setPen(QColor(theme.warning if "cut off" in laid.badge else theme.muted))
            frame = QRectF(at.x(), at.y() + 1.5, self._badge_width(laid.badge), self.line - 3)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.drawRoundedRect(frame.adjusted(0.5, 0, -0.5, 0), 3, 3)
            painter.drawText(frame, Qt.AlignmentFlag.AlignCenter, laid.badge)

    def _thumb(
        self, painter: QPainter, rect: QRect, row: Row, place: int, chosen: bool
    ) -> None:
        """Draw the person's thumb in the corner."""
        up = self._rows.thumb(row, place)
        if up is None:
            return
        theme, size = themes().theme, self.line
        corner = QRect(rect.right() - size - 3, rect.bottom() - size - 3, size, size)
        behind = mix(theme.accent, theme.base, SOFT) if chosen else theme.base
        painter.fillRect(corner.adjusted(-3, -2, 3, 2), QColor(behind))
        drawn = icon("thumb_up" if up else "thumb_down", theme.good if up else theme.bad)
        drawn.paint(painter, corner)

    def _numbers(
        self, painter: QPainter, right: int, top: int, row: Row, column: Column
    ) -> None:
        theme = themes().theme
        if column is Column.CHANGE:
            change = completion_texts.change_of(row)
            painter.setPen(QColor(completion_texts.change_colour(change)))
            self._bold_digits.draw_right(painter, right, top + (len(row.records) - 1) * self.line,
                                         change)
            return
        texts = _stack(row.records, column)
        for i, text in enumerate(texts):
            last = i == len(texts) - 1
            painter.setPen(QColor(theme.text if last else theme.muted))
            (self._bold_digits if last else self._digits).draw_right(
                painter, right, top + i * self.line, text)


def _stack(records: Sequence[CompletionRecord | None], column: Column) -> list[str]:
    """Write a number of every cycle."""
    return ["–" if r is None else number(r.score) if column is Column.REWARD
            else number(r.kl, 1) if column is Column.KL else f"{r.length:,}" for r in records]


def _break_lines(layout: QTextLayout, width: int, lines: int) -> tuple[int, float, float]:
    """Lay the first lines out; return where in the text they end, how high they are, and how wide
    the last one is."""
    height, end, last = 0.0, 0, 0.0
    layout.beginLayout()
    for _ in range(lines):
        line = layout.createLine()
        if not line.isValid():
            break
        line.setLineWidth(width)
        line.setPosition(QPointF(0, height))
        height += line.height()
        end, last = line.textStart() + line.textLength(), line.naturalTextWidth()
    layout.endLayout()
    return end, height, last


def _first(text: str, end: int) -> str:
    """Return the beginning of a text, up to a place that Qt counts in UTF-16."""
    return text.encode("utf-16-le")[: 2 * end].decode("utf-16-le", "ignore")


def _words_before(text: str, place: int) -> int:
    """Return where the third word before a place begins."""
    for _ in range(_SHARED_WORDS):
        place = max(0, text.rfind(" ", 0, max(0, place - 1)) + 1)
    return place


def _written(record: CompletionRecord) -> str:
    return record.text.lstrip(" ")
