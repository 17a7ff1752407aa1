"""The completions of a cycle as a list of lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSignalBlocker,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import QListView, QStyleOptionViewItem

from workbench.gui.tokens.steps import summary
from workbench.gui.widgets.controls import named
from workbench.gui.widgets.quick_text import QuickDelegate
from workbench.gui.widgets.theme import themes
from workbench.store.records import CompletionRecord

_LEAST, _LEAST_GAINED = 18, 30  # letters: a number and words, and with an advantage
Index = QModelIndex | QPersistentModelIndex
Gained = Callable[[CompletionRecord], float]


class _Completions(QAbstractListModel):
    """A row a completion, written when it comes into view."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.records: Sequence[CompletionRecord] = ()
        self.firsts: Container[int] | None = None
        self._gained: Gained | None = None

    def show(self, records: Sequence[CompletionRecord], firsts: Container[int] | None,
             gained: Gained | None) -> None:
        """Show other completions."""
        self.firsts, self._gained = firsts, gained
        if len(records) == len(self.records):
            self.records = records
            if records:
                self.dataChanged.emit(self.index(0), self.index(len(records) - 1))
        else:
            self.beginResetModel()
            self.records = records
            self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:
        """Return the number of completions."""
        return 0 if parent and parent.isValid() else len(self.records)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Return the line of a completion."""
        if role != Qt.ItemDataRole.DisplayRole or not index.isValid():
            return None
        record = self.records[index.row()]
        return summary(record, self._gained(record) if self._gained else math.nan,
                       first=self.firsts is None or index.row() in self.firsts)


class _Lines(QuickDelegate):
    """Parts groups from one another."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint a line, the first of a group with a rule above it."""
        super().paint(painter, option, index)
        model = index.model()
        if isinstance(model, _Completions) and model.firsts is not None and (
                index.row() > 0 and index.row() in model.firsts):
            painter.setPen(QColor(themes().theme.muted))
            painter.drawLine(option.rect.topLeft(), option.rect.topRight())


class CompletionsList(QListView):
    """``chosen`` tells that the person has gone to another completion."""

    chosen = Signal()

    def __init__(self) -> None:
        super().__init__()
        named(self, "tokens_completions", "Completions of the cycle", "")
        self._model = _Completions(self)
        self.setModel(self._model)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        font = self.font()
        font.setFeature(QFont.Tag("tnum"), 1)
        self.setFont(font)
        self.setSpacing(1)
        self.setUniformItemSizes(True)
        self.setItemDelegate(_Lines(self))
        self.selectionModel().currentChanged.connect(lambda: self.chosen.emit())

    def show_records(
        self, records: Sequence[CompletionRecord], row: int,
        firsts: Container[int] | None = None, gained: Gained | None = None,
    ) -> None:
        """Show other completions, of which the one in ``row`` is chosen, and tell nobody.

        Args:
            firsts: the rows of those that are the first of their group; None: there are no groups.
            gained: returns the advantage of one, asked when it comes into view.
        """
        self.setMinimumWidth(self.fontMetrics().averageCharWidth() * (
            _LEAST_GAINED if gained or any(r.title for r in records) else _LEAST))
        with QSignalBlocker(self):
            self._model.show(records, firsts, gained)
            self.setCurrentRow(row)
        self.executeDelayedItemsLayout()

    def record(self) -> CompletionRecord | None:
        """Return the completion that is chosen."""
        row = self.currentRow()
        return self._model.records[row] if 0 <= row < len(self._model.records) else None

    def count(self) -> int:
        """Return the number of completions."""
        return self._model.rowCount()

    def currentRow(self) -> int:
        """Return the row that is chosen, -1 where there is none."""
        return self.currentIndex().row()

    def setCurrentRow(self, row: int) -> None:
        """Choose a row."""
        self.setCurrentIndex(self._model.index(row))
