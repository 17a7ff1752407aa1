"""The completions of a cycle as a list of lines."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSignalBlocker,
    Qt,
    Signal,
)
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QListView

from workbench.gui.tokens.steps import summary
from workbench.gui.widgets.controls import named
from workbench.gui.widgets.quick_text import QuickDelegate
from workbench.store.records import CompletionRecord

_LEAST = 18  # letters
Index = QModelIndex | QPersistentModelIndex


class _Completions(QAbstractListModel):
    """A row a completion, written when it comes into view."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.records: Sequence[CompletionRecord] = ()

    def show(self, records: Sequence[CompletionRecord]) -> None:
        """Show other completions."""
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
        return summary(self.records[index.row()])


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
        self.setMinimumWidth(self.fontMetrics().averageCharWidth() * _LEAST)  # number and words
        self.setSpacing(1)
        self.setUniformItemSizes(True)
        self.setItemDelegate(QuickDelegate(self))
        self.selectionModel().currentChanged.connect(lambda: self.chosen.emit())

    def show_records(self, records: Sequence[CompletionRecord], row: int) -> None:
        """Show other completions, of which the one in ``row`` is chosen, and tell nobody."""
        with QSignalBlocker(self):
            self._model.show(records)
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
