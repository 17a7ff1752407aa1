"""The compared completions as a table model: a row a prompt, a column a cycle, and numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import IntEnum

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
)

from workbench.formatting import difference, number
from workbench.gui.completions.cycles import LEAST, MOST
from workbench.gui.completions.filters import Filter
from workbench.gui.completions.rows import Row, Shown, cycle_name
from workbench.gui.widgets.plain_text import plain_tip

Index = QModelIndex | QPersistentModelIndex
NOT_YET = "When the cycle is complete."


class Column(IntEnum):
    """The columns. Those of texts that are not needed are hidden."""

    PROMPT = 0
    TEXT = 1
    REWARD = 1 + MOST
    CHANGE = 2 + MOST
    KL = 3 + MOST
    LENGTH = 4 + MOST


COUNT = 1 + Column.LENGTH
TITLES: Mapping[Column, tuple[str, str]] = {
    Column.PROMPT: ("#", "The prompt's place among those that are compared; ★ pinned in Prompts"),
    Column.REWARD: ("Reward", "What the reward gives. The last cycle's stands in bold at the foot, "
                    "those of the others above it, in the order of the columns"),
    Column.CHANGE: ("Change", "The change in reward from the first column to the last"),
    Column.KL: ("KL", "How far it is from what the start policy would write, in nats; the last "
                "cycle's at the foot. Of one completion it may be below 0; only the mean over "
                "many is a distance"),
    Column.LENGTH: ("Length", "Tokens; the last cycle's at the foot"),
}
SORTS: Mapping[str, Column] = {
    "Prompt": Column.PROMPT, "Reward": Column.REWARD, "Change": Column.CHANGE, "KL": Column.KL,
    "Length": Column.LENGTH}
"""By what rows are sorted, as saved states name it."""


SORT_ROLE = Qt.ItemDataRole.UserRole
"""By which the model tells what a cell is sorted by."""


class CompletionsModel(QAbstractTableModel):
    """New completions of the same prompts change rows in place, so that a view keeps its selection
    and its scroll position."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.shown = Shown()
        self.thumb_of: Callable[[str, str], bool | None] = lambda prompt, text: None
        """Whether the person's thumb on a completion of a prompt is up; None: there is none."""

    def rowCount(self, parent: Index | None = None) -> int:
        """Return the number of prompts compared."""
        return 0 if parent and parent.isValid() else len(self.shown.rows)

    def columnCount(self, parent: Index | None = None) -> int:
        """Return the number of columns, with those that are not needed."""
        return 0 if parent and parent.isValid() else COUNT

    def texts(self) -> int:
        """Return how many columns of texts are needed: a second waits for the first cycle."""
        return max(LEAST, len(self.shown.cycles))

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Return a cell's text, what is said of it, or what it is sorted by."""
        if not index.isValid():
            return None
        row, column = self.shown.rows[index.row()], index.column()
        if role == SORT_ROLE:  # asked for most often
            return _sort_key(row, column)
        if role == Qt.ItemDataRole.DisplayRole:
            return _text(row, column)
        return self._spoken(row, column) if role == Qt.ItemDataRole.AccessibleTextRole else None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        """Return a column's name, and what it shows."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        place = section - Column.TEXT
        if 0 <= place < MOST:
            title = (cycle_name(self.shown.cycles[place]).capitalize()
                     if place < len(self.shown.cycles) else "Next cycle")
            tip = ("What the policy wrote after this cycle; marked is what differs from the column "
                   "before. A click sorts by its reward")
        else:
            title, tip = TITLES[Column(section)]
            tip += ". A click sorts by it"
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return title
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(tip)
            case Qt.ItemDataRole.TextAlignmentRole if section > Column.TEXT + MOST - 1:
                return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def show(self, shown: Shown) -> None:
        """Show other completions."""
        same = [r.prompt for r in shown.rows] == [r.prompt for r in self.shown.rows]
        names = self.shown.cycles != shown.cycles
        if same and shown.rows:
            self.shown = shown
            self.dataChanged.emit(self.index(0, 0), self.index(len(shown.rows) - 1, COUNT - 1))
        elif shown.rows or self.shown.rows:
            self.beginResetModel()
            self.shown = shown
            self.endResetModel()
        else:
            self.shown = shown
        if names:
            self.headerDataChanged.emit(
                Qt.Orientation.Horizontal, Column.TEXT, Column.TEXT + MOST - 1)

    def _spoken(self, row: Row, column: int) -> str:
        """Say a cell, for a screen reader."""
        place = column - Column.TEXT
        if 0 <= place < len(self.shown.cycles):
            record = row.records[place]
            name = cycle_name(self.shown.cycles[place]).capitalize()
            if record is None:
                return f"{name}: nothing."
            up = self.thumb_of(row.prompt, record.text)
            thumb = "" if up is None else ", thumbs up" if up else ", thumbs down"
            return f"{name}, reward {number(record.score)}{thumb}: {record.text}"
        if column == Column.PROMPT:
            return f"Prompt{', pinned' if row.pinned else ''}: {row.prompt}"
        return f"{TITLES[Column(column)][0]} {_text(row, column)}" if place >= MOST else NOT_YET


class CompletionsProxy(QSortFilterProxyModel):
    """The rows that fit a filter, sorted by a column."""

    def __init__(self, model: CompletionsModel, parent: QObject) -> None:
        super().__init__(parent)
        self._filter = Filter()
        self._rows = model
        self.setSortRole(SORT_ROLE)
        self.setSourceModel(model)

    def set_filter(self, wanted: Filter) -> None:
        """Show only what fits."""
        self._filter = wanted
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:
        """Return whether a row fits."""
        return not self._filter or self._filter.fits(self._rows.shown.rows[source_row].written)

    def row(self, index: Index) -> Row | None:
        """Return the row of a cell; None where the index is of none. Every cell is painted from
        its row, and by way of :meth:`data` that would take longer than the painting."""
        return self._rows.shown.rows[self.mapToSource(index).row()] if index.isValid() else None

    def thumb(self, row: Row, place: int) -> bool | None:
        """Return whether the thumb on a row's text is up; None: there is none."""
        record = row.records[place] if 0 <= place < len(row.records) else None
        return None if record is None else self._rows.thumb_of(row.prompt, record.text)

    def rows(self) -> list[Row]:
        """Return the rows in the order shown."""
        return [self._rows.shown.rows[self.mapToSource(self.index(i, 0)).row()]
                for i in range(self.rowCount())]


def _text(row: Row, column: int) -> str:
    place = column - Column.TEXT
    if 0 <= place < MOST:
        record = row.records[place] if place < len(row.records) else None
        return record.text if record else ""
    match column:
        case Column.PROMPT:
            return f"{row.first.position + 1:,}"
        case Column.REWARD:
            return number(row.last.score)
        case Column.CHANGE:
            return difference(*row.ends)
        case Column.KL:
            return number(row.last.kl, 1)
    return f"{row.last.length:,}"


def _sort_key(row: Row, column: int) -> float:
    place = column - Column.TEXT
    if 0 <= place < MOST:
        record = row.records[place] if place < len(row.records) else None
        key = record.score if record else math.nan
    elif column == Column.PROMPT:
        key = row.first.position
    elif column == Column.REWARD:
        key = row.last.score
    elif column == Column.CHANGE:
        key = row.change
    else:
        key = row.last.kl if column == Column.KL else row.last.length
    return key if math.isfinite(key) else -math.inf
