"""The table of compared completions: rows of one height, and it stays where it is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QKeyEvent, QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from workbench.gui.completions.delegate import LEAST_LINES, MOST_LINES, PAD, CompletionsDelegate
from workbench.gui.completions.model import (
    COUNT,
    Column,
    CompletionsModel,
    CompletionsProxy,
)
from workbench.gui.widgets.controls import as_list, named

_LEAST_TEXT = 16  # letters in a line
_AROUND_TITLE = 22  # pixels: padding and arrow
_SEEN_ROWS, _SEEN_LINES = 2.5, 6  # of a high table so many rows, of a low one so many lines
_WIDEST: dict[int, str] = {Column.PROMPT: "00", Column.REWARD: "−00.00", Column.CHANGE: "▲ +0.00",
           Column.KL: "−00.0", Column.LENGTH: "0,000"}
# What is left out first where there is little room; the page of a prompt has it, too.
_GIVE_WAY: tuple[int, ...] = (Column.LENGTH, Column.KL)


class CompletionsTable(QTableView):
    """Enter, a double click, or a click on how much more there is of a text opens a row."""

    opened = Signal(QModelIndex)

    def __init__(self, model: CompletionsModel, proxy: CompletionsProxy,
                 parent: QWidget | None = None) -> None:
        super().__init__(parent)
        named(self, "completions_table", "Completions of the compared prompts",
              "Double click or Enter shows a row in full; a right click offers what can be done")
        self._model, self._proxy = model, proxy
        self._lines = LEAST_LINES
        as_list(self)
        self.setAlternatingRowColors(False)
        self.setModel(proxy)
        self.delegate = CompletionsDelegate(self, proxy)
        self.setItemDelegate(self.delegate)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        # Always there: a bar that comes and goes changes the width of the texts.
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionsClickable(True)
        header.setSortIndicatorShown(True)
        header.setSortIndicator(Column.PROMPT, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)
        header.sortIndicatorChanged.connect(lambda: self.scrollToTop())
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setMinimumSectionSize(1)
        self.doubleClicked.connect(self.opened)
        self._numbers: dict[int, int] = {}
        self.restyle()
        self.fit(anew=True)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Open the texts by a click on how much more there is of one."""
        super().mouseReleaseEvent(event)
        index = self.indexAt(event.position().toPoint())
        row = self._proxy.row(index)
        if (event.button() == Qt.MouseButton.LeftButton and row is not None
                and self.delegate.badge_rect(
                    self.visualRect(index), row, index.column()).contains(event.position())):
            self.opened.emit(index)

    def sorting(self) -> tuple[int, bool]:
        """Return the column that sorts, and whether it descends."""
        header = self.horizontalHeader()
        return (header.sortIndicatorSection(),
                header.sortIndicatorOrder() is Qt.SortOrder.DescendingOrder)

    def sort_by(self, column: int, descending: bool) -> None:
        """Sort by a column, as a click on its header does."""
        self.sortByColumn(column, Qt.SortOrder.DescendingOrder if descending
                          else Qt.SortOrder.AscendingOrder)

    def fit(self, *, anew: bool = False) -> None:
        """Give the texts the room there is, and every row the lines that the longest takes. Rows
        become higher as texts grow, and lower only ``anew``, with another run or another width."""
        texts = self._model.texts()
        wide = dict(self._numbers)
        narrow = texts * self.fontMetrics().averageCharWidth() * _LEAST_TEXT
        for column in _GIVE_WAY:
            if self.viewport().width() - sum(wide.values()) < narrow:
                del wide[column]
        room = max(narrow, self.viewport().width() - sum(wide.values()))
        for place in range(texts):
            # No strip is left beside the numbers.
            wide[Column.TEXT + place] = room // texts + (room % texts if place == texts - 1 else 0)
        for each in range(COUNT):
            if self.isColumnHidden(each) != (each not in wide):
                self.setColumnHidden(each, each not in wide)
            if each in wide and self.columnWidth(each) != wide[each]:
                self.setColumnWidth(each, wide[each])
                anew = True
        longest = max((len(r.text) for row in self._model.shown.rows for r in row.written),
                      default=0)
        width = room // texts
        line, high = self.delegate.line, self.viewport().height()
        most = min(max(_SEEN_LINES, int((high / _SEEN_ROWS - 2 * PAD) / line) - 1), MOST_LINES)
        # Numbers stand in a line a cycle.
        lines = min(max(LEAST_LINES, texts, self.delegate.lines_of(longest, width)), most)
        self._lines = lines if anew else min(max(lines, self._lines), most)
        self.delegate.set_room(width, self._lines)
        if self.verticalHeader().defaultSectionSize() != self.delegate.height():
            self.verticalHeader().setDefaultSectionSize(self.delegate.height())
            self.verticalScrollBar().setSingleStep(self.delegate.line)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Keep what is read where it is while rows change: the chosen row if it is in view, or
        else the first."""
        chosen, seen = self.currentIndex(), range(-1, self.viewport().height())
        if not (chosen.isValid() and self.rowViewportPosition(chosen.row()) in seen):
            chosen = self.indexAt(self.viewport().rect().topLeft())
        kept, y = QPersistentModelIndex(chosen), self.rowViewportPosition(chosen.row())
        yield
        # Now, and not after the next painting, which titles that change would otherwise have twice.
        self.doItemsLayout()
        if kept.isValid():
            bar = self.verticalScrollBar()
            bar.setValue(bar.value() + self.rowViewportPosition(kept.row()) - y)

    def restyle(self) -> None:
        """Draw everything anew: the font or the colours have changed."""
        self.delegate.forget()
        self._numbers = {column: max(self.delegate.number_width(widest), self._title_width(column))
                         for column, widest in _WIDEST.items()}
        self.viewport().update()

    def go_to(self, row: int) -> None:
        """Choose a row and bring it into view; the column that was chosen stays."""
        column = max(self.currentIndex().column(), 0)
        self.setCurrentIndex(self.model().index(row, column))
        self.scrollTo(self.currentIndex())

    def place(self) -> int:
        """Return the place of the chosen text among the cycles; -1 where a number is chosen."""
        place = self.currentIndex().column() - Column.TEXT
        return place if 0 <= place < len(self._model.shown.cycles) else -1

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Open with Enter."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.opened.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)

    def viewportEvent(self, event: QEvent) -> bool:
        """Let no tooltip of the whole table cover the texts."""
        return True if event.type() == QEvent.Type.ToolTip else super().viewportEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        """Take note of another font, or of the style that brings it."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange) and hasattr(
                self, "_numbers"):
            self.restyle()
            self.fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give the texts the room there is now."""
        super().resizeEvent(event)
        with self.in_place():
            self.fit()

    def _title_width(self, column: int) -> int:
        """Return the room that a title takes, with the arrow: Qt's hint has much more."""
        header = self.horizontalHeader()
        font = header.font()
        font.setWeight(QFont.Weight.DemiBold)
        title = str(self._model.headerData(column, Qt.Orientation.Horizontal))
        return QFontMetrics(font).horizontalAdvance(title) + _AROUND_TITLE
