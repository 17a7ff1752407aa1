"""The steps of a completion as a table, and as text whose tokens are coloured."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from heapq import nlargest
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QSignalBlocker,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTextCharFormat,
    QTextCursor,
)
from PySide6.QtWidgets import QHeaderView, QStyle, QTableView, QTextEdit, QWidget

from workbench.algorithm import TokenColumn
from workbench.formatting import visible
from workbench.gui.tokens.steps import strengths
from workbench.gui.widgets.controls import RIGHT, as_list, named
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.quick_text import QuickText
from workbench.gui.widgets.theme import DARK, LIGHT, Theme, mix, themes

Index = QModelIndex | QPersistentModelIndex
_TEXT_LINES, _FEW_LINES = 6, 3
_LEAST_ROWS = 2
# Qt asks each cell for a dozen things.
_ROLES = frozenset({Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.BackgroundRole,
                    Qt.ItemDataRole.TextAlignmentRole})
_MEASURED = 100, 20  # rows that decide how wide the column of tokens is, and one of numbers
_LARGEST = 12  # numbers that do so as well
_PROMPT = 2_000  # characters of a prompt that are shown
_ROOMY = 560
_SMALL = 0.92
_LONGEST = 76  # pixels of a token where there is little room


class StepsModel(QAbstractTableModel):
    """A row a token, a column a number; each number is coloured within its column."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.steps: Sequence[Any] = ()
        self.columns: tuple[TokenColumn, ...] = ()
        self._strengths: list[list[float]] = []

    def set_columns(self, columns: tuple[TokenColumn, ...]) -> None:
        """Have these columns, beside the token itself."""
        if columns != self.columns:
            self.beginResetModel()
            self.columns, self.steps = columns, ()
            self._strengths = [[] for _ in columns]
            self.endResetModel()

    def show_steps(self, steps: Sequence[Any]) -> None:
        """Show the steps of one completion."""
        known, new = len(self.steps), len(steps)
        if new < known:
            self.beginRemoveRows(QModelIndex(), new, known - 1)
        elif new > known:
            self.beginInsertRows(QModelIndex(), known, new - 1)
        self.steps = steps
        self._strengths = [strengths(steps, column) for column in self.columns]
        if new < known:
            self.endRemoveRows()
        elif new > known:
            self.endInsertRows()
        if new:
            self.dataChanged.emit(self.index(0, 0), self.index(new - 1, len(self.columns)))

    def rowCount(self, parent: Index | None = None) -> int:
        """Return the number of tokens."""
        return 0 if parent and parent.isValid() else len(self.steps)

    def columnCount(self, parent: Index | None = None) -> int:
        """Return the number of columns: the token, then its numbers."""
        return 0 if parent and parent.isValid() else 1 + len(self.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Return a cell's text and colour."""
        if role not in _ROLES or not index.isValid():
            return None
        row, column = index.row(), index.column() - 1
        if role == Qt.ItemDataRole.DisplayRole:
            return self.text(row, column)
        if role == Qt.ItemDataRole.BackgroundRole and column >= 0:
            return self.ground(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole and column >= 0:
            return RIGHT
        return None

    def text(self, row: int, column: int) -> str:
        """Return a number as it is written; column -1 is the token."""
        step = self.steps[row]
        return visible(step.piece) if column < 0 else self.columns[column].text(step)

    def largest(self, column: int) -> list[int]:
        """Return the rows that have the largest numbers of a column."""
        strength = self._strengths[column]
        return nlargest(_LARGEST, range(len(strength)), key=lambda row: abs(strength[row]))

    def ground(self, row: int, column: int) -> QColor:
        """Return the colour behind a number."""
        return tint(self.columns[column], self._strengths[column][row])

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole,
    ) -> object:
        """Return a column's title, and what it means as its tooltip."""
        if orientation == Qt.Orientation.Vertical:
            return section + 1 if role == Qt.ItemDataRole.DisplayRole else None
        if role == Qt.ItemDataRole.DisplayRole:
            return self.columns[section - 1].title if section else "Token"
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(self.columns[section - 1].help if section else
                             "The policy's own piece of text")
        if role == Qt.ItemDataRole.TextAlignmentRole and section:
            return RIGHT
        return None


class StepsTable(QTableView):
    """Shows the model; ``chosen`` names the row that the keyboard is on."""

    chosen = Signal(int)
    hovered = Signal(int)  # the row under the pointer; -1: none

    def __init__(self, model: StepsModel) -> None:
        super().__init__()
        named(self, "tokens_table", "Tokens of the completion", "")
        self.setModel(model)
        as_list(self)
        self.setAlternatingRowColors(False)
        self.setHorizontalScrollMode(QTableView.ScrollMode.ScrollPerPixel)
        font = self.font()  # seven columns beside a list
        font.setPointSizeF(font.pointSizeF() * _SMALL)
        self.setFont(font)
        self._quick = QuickText(font)
        self._titles: list[int] = []  # how wide they are
        model.modelReset.connect(lambda: self._titles.clear())
        self._hover = -1
        self.viewport().setMouseTracking(True)
        font.setWeight(QFont.Weight.DemiBold)
        self.horizontalHeader().setFont(font)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 6)
        self.selectionModel().currentRowChanged.connect(lambda now, _: self.chosen.emit(now.row()))

    def hover(self, row: int) -> None:
        """Frame the row of the token that the pointer is on, here or elsewhere."""
        if row != self._hover:
            self._hover = row
            self.viewport().update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell which row the pointer is on."""
        super().mouseMoveEvent(event)
        self.hovered.emit(self.rowAt(event.position().toPoint().y()))

    def viewportEvent(self, event: QEvent) -> bool:
        """Take note that the pointer leaves."""
        if event.type() == QEvent.Type.Leave:
            self.hovered.emit(-1)
        return super().viewportEvent(event)

    def minimumSizeHint(self) -> QSize:
        """High enough for a few rows, whatever stands above it."""
        rows = _LEAST_ROWS * self.verticalHeader().defaultSectionSize()
        around = self.horizontalHeader().sizeHint() + self.horizontalScrollBar().sizeHint()
        return QSize(super().minimumSizeHint().width(),
                     rows + around.height() + 2 * self.frameWidth())

    def fit(self) -> None:
        """Share the width out: each column what it needs, and as much again as the others; where
        there is too little for all, they can be scrolled to."""
        if not self._titles:
            self._titles = [self.horizontalHeader().sectionSizeHint(i)
                            for i in range(self.model().columnCount())]
        needed = [max(self._widest(i), title) for i, title in enumerate(self._titles)]
        needed[0] = min(needed[0], _LONGEST)
        room = self.viewport().width()
        spare = max(0, room - sum(needed)) // len(needed)
        for i, width in enumerate(needed):
            self.setColumnWidth(i, width + spare)

    def _widest(self, column: int) -> int:
        """Return what a column needs: the texts of the first rows, or a few numbers and the largest
        ones. Asking Qt for the hint of each takes long."""
        model = self.model()
        assert isinstance(model, StepsModel)
        margin = 2 * (self.style().pixelMetric(QStyle.PixelMetric.PM_FocusFrameHMargin) + 1)
        rows = {*range(min(len(model.steps), _MEASURED[column > 0]))}
        if column:
            rows.update(model.largest(column - 1))
        metrics = QFontMetricsF(self._quick.font)
        texts = {model.text(row, column - 1) for row in rows}
        return math.ceil(max(map(metrics.horizontalAdvance, texts), default=0)) + margin + 1

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the rows in sight. By way of a delegate, which asks a dozen things for each cell,
        it would take most of what a finished cycle may cost."""
        model, palette = self.model(), self.palette()
        assert isinstance(model, StepsModel)
        painter = QPainter(self.viewport())
        columns = [(i - 1, self.columnViewportPosition(i), self.columnWidth(i))
                   for i in range(model.columnCount()) if not self.isColumnHidden(i)]
        area, chosen = event.rect(), self.currentIndex().row()
        first, last = self.rowAt(area.top()), self.rowAt(area.bottom())
        painter.setPen(palette.text().color())
        for row in range(max(first, 0), (last if last >= 0 else len(model.steps) - 1) + 1):
            top, high = self.rowViewportPosition(row), self.rowHeight(row)
            if row == chosen:
                painter.fillRect(0, top, self.viewport().width(), high, palette.highlight())
            for column, left, wide in columns:
                cell = QRect(left, top, wide, high)
                if column >= 0 and row != chosen:
                    painter.fillRect(cell, model.ground(row, column))
                self._quick.draw_cell(painter, cell, model.text(row, column), column >= 0)
            if row == self._hover:
                painter.setPen(palette.accent().color())
                painter.drawRect(0, top, self.viewport().width() - 1, high - 1)
                painter.setPen(palette.text().color())
        painter.end()

    def changeEvent(self, event: QEvent) -> None:
        """Take note of another font, or of the style that brings it."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange) and hasattr(
                self, "_titles"):
            self._titles.clear()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Share the width out anew, and keep the chosen token in sight."""
        super().resizeEvent(event)
        self.fit()
        self.scrollTo(self.currentIndex())


class ColouredText(QTextEdit):
    """The prompt, then the completion with a colour behind every token. A click chooses one."""

    chosen = Signal(int)
    hovered = Signal(int)  # the token under the pointer; -1: none

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        named(self, "tokens_text", "Completion, coloured by token",
              "Click a token to see its numbers. A dotted line under a token says that its "
              "number is below 0")
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self._starts: list[int] = []
        self._row = self._hover = -1
        self.viewport().setMouseTracking(True)
        self.cursorPositionChanged.connect(self._choose)

    def show_steps(self, prompt: str, steps: Sequence[Any], column: TokenColumn | None) -> None:
        """Show a completion, coloured by one of its numbers."""
        theme = themes().theme
        with QSignalBlocker(self):
            self.clear()
            self._row = self._hover = -1
            self.setExtraSelections([])
            plain = QTextCharFormat()
            plain.setForeground(QColor(theme.muted))
            cursor = QTextCursor(self.document())
            cursor.beginEditBlock()
            # Its end is what the completion goes on from.
            cursor.insertText(prompt if len(prompt) <= _PROMPT else f"…{prompt[-_PROMPT:]}", plain)
            self._starts = []
            styles: dict[tuple[float, bool], QTextCharFormat] = {}
            at = cursor.position()
            for step, strength in zip(steps, _strengths(steps, column), strict=True):
                key = round(strength, 2), strength < 0
                if key not in styles:
                    styles[key] = _style(theme, column, strength)
                self._starts.append(at)
                cursor.insertText(step.piece, styles[key])
                at = cursor.position()
            cursor.endEditBlock()
            self.moveCursor(QTextCursor.MoveOperation.Start)
        self._fit()

    def mark(self, row: int) -> None:
        """Show which token is chosen."""
        self._row = row if 0 <= row < len(self._starts) else -1
        self._draw_marks()
        if self._row >= 0:
            with QSignalBlocker(self):
                cursor = QTextCursor(self.document())
                cursor.setPosition(self._starts[row])
                self.setTextCursor(cursor)
                self.ensureCursorVisible()

    def hover(self, row: int) -> None:
        """Show which token the pointer is on, here or elsewhere."""
        if row != self._hover:
            self._hover = row if row < len(self._starts) else -1
            self._draw_marks()

    def row_at(self, position: int) -> int:
        """Return the token that the letter at ``position`` is of; -1: it is the prompt's."""
        return bisect_right(self._starts, position) - 1

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell which token the pointer is on."""
        super().mouseMoveEvent(event)
        where = event.position() + QPointF(
            self.horizontalScrollBar().value(), self.verticalScrollBar().value())
        letter = self.document().documentLayout().hitTest(where, Qt.HitTestAccuracy.ExactHit)
        self.hovered.emit(self.row_at(letter) if letter >= 0 else -1)

    def viewportEvent(self, event: QEvent) -> bool:
        """Take note that the pointer leaves."""
        if event.type() == QEvent.Type.Leave:
            self.hovered.emit(-1)
        return super().viewportEvent(event)

    def _draw_marks(self) -> None:
        theme, marks = themes().theme, []
        if self._hover >= 0 and self._hover != self._row:
            marks.append(self._mark(self._hover, mix(theme.accent, theme.base, 0.3), theme.text))
        if self._row >= 0:
            marks.append(self._mark(self._row, theme.accent, theme.on_accent))
        self.setExtraSelections(marks)

    def _mark(self, row: int, ground: str, text: str) -> QTextEdit.ExtraSelection:
        mark = QTextEdit.ExtraSelection()
        cursor = QTextCursor(self.document())
        cursor.setPosition(self._starts[row])
        end = (self._starts[row + 1] if row + 1 < len(self._starts)
               else self.document().characterCount() - 1)
        cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
        mark.cursor = cursor
        mark.format.setBackground(QColor(ground))
        mark.format.setForeground(QColor(text))
        return mark

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Wrap anew, then be as high as that needs, within reason."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        # On a small screen the table needs what there is.
        room = self.window().height() if self.window() else 0
        lines = _TEXT_LINES if room >= _ROOMY else _FEW_LINES
        line = self.fontMetrics().lineSpacing()
        needed = self.document().size().height()
        most = line * lines + 2 * self.document().documentMargin()
        # Its lines may be a fraction of a pixel higher: no bar that scrolls nothing.
        longer = needed > most + line / 2
        self.setVerticalScrollBarPolicy(
            Qt.ScrollBarPolicy.ScrollBarAsNeeded if longer
            else Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        if longer:
            needed = most
        # Whole lines, whatever the style adds. Before it is laid out the viewport is the larger.
        around = max(0, self.height() - self.viewport().height())
        self.setFixedHeight(math.ceil(needed) + around)

    def _choose(self) -> None:
        row = self.row_at(self.textCursor().position())
        if row >= 0 and not self.textCursor().hasSelection():
            self.chosen.emit(row)


def _style(theme: Theme, column: TokenColumn | None, strength: float) -> QTextCharFormat:
    style = QTextCharFormat()
    style.setForeground(QColor(theme.text))
    if column is not None:
        style.setBackground(tint(column, strength))
        if column.signed and strength < 0:  # colour is never the only cue
            style.setUnderlineStyle(QTextCharFormat.UnderlineStyle.DotLine)
    return style


def _strengths(steps: Sequence[Any], column: TokenColumn | None) -> list[float]:
    return strengths(steps, column) if column is not None else [0.0] * len(steps)


def grounds(steps: Sequence[Any], column: TokenColumn | None) -> list[QColor]:
    """Return the colours behind the tokens."""
    plain = QColor(themes().theme.base)
    return [tint(column, strength) if column is not None else plain
            for strength in _strengths(steps, column)]


def tint(column: TokenColumn, strength: float) -> QColor:
    """Return the ground of a number. Text is readable on it in both themes."""
    return _tint(themes().theme.name, column.signed, round(strength, 2))


@lru_cache(1024)
def _tint(name: str, signed: bool, strength: float) -> QColor:
    theme = DARK if name == DARK.name else LIGHT
    if not signed:
        return QColor(mix(theme.accent, theme.base, 0.32 * abs(strength)))
    return QColor(mix(theme.better if strength > 0 else theme.worse, theme.base, abs(strength)))
