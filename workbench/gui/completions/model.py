"""The compared completions as a list model, one row a prompt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from workbench.formatting import number
from workbench.store.records import CompletionRecord

Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True, slots=True)
class Comparison:
    """One prompt's completion before and after. ``after`` is None until there is one."""

    before: CompletionRecord
    after: CompletionRecord | None
    pinned: bool = False

    @property
    def prompt(self) -> str:
        """The prompt's text."""
        return self.before.prompt_text

    @property
    def latest(self) -> CompletionRecord:
        """The completion after, or before where there is no other yet."""
        return self.after or self.before

    @property
    def change(self) -> float:
        """The change in reward; NaN where it is not known."""
        return self.after.score - self.before.score if self.after else math.nan


@dataclass(frozen=True, slots=True)
class Pair:
    """Two cycles' completions of the same prompts. ``after`` is None until there is one."""

    before: int
    after: int | None
    rows: tuple[Comparison, ...] = field(default=())

    @property
    def means(self) -> tuple[float, float]:
        """The mean reward before and after, over prompts scored both times."""
        rows = [r for r in self.rows if r.after is None or math.isfinite(r.change)]
        before = [r.before.score for r in rows if math.isfinite(r.before.score)]
        after = [r.after.score for r in rows if r.after]
        return _mean(before), _mean(after)


def pair_up(
    before: Sequence[CompletionRecord], after: Sequence[CompletionRecord], pinned: frozenset[int],
) -> tuple[Comparison, ...]:
    """Bring the completions of the same prompt together."""
    found = {record.position: record for record in after}
    return tuple(Comparison(b, found.get(b.position), b.prompt in pinned) for b in before)


class Role(IntEnum):
    """What the model tells of a row beyond its text."""

    COMPARISON = Qt.ItemDataRole.UserRole
    PROMPT_ORDER = Qt.ItemDataRole.UserRole + 1
    REWARD = Qt.ItemDataRole.UserRole + 2
    CHANGE = Qt.ItemDataRole.UserRole + 3
    KL = Qt.ItemDataRole.UserRole + 4
    LENGTH = Qt.ItemDataRole.UserRole + 5


SORTS: Mapping[str, tuple[Role, Mapping[bool, str]]] = {
    "Prompt": (Role.PROMPT_ORDER, {False: "in order"}),
    "Reward": (Role.REWARD, {True: "highest", False: "lowest"}),
    "Change": (Role.CHANGE, {True: "largest", False: "smallest"}),
    "KL": (Role.KL, {True: "highest", False: "lowest"}),
    "Length": (Role.LENGTH, {True: "longest", False: "shortest"}),
}
"""By what rows are sorted, and what descending (True) and ascending are called."""


class CompletionsModel(QAbstractListModel):
    """Rows of :class:`Comparison`. New completions of the same prompts change rows in place, so
    that a view keeps its selection and its scroll position."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[Comparison, ...] = ()

    def rowCount(self, parent: Index | None = None) -> int:
        """Return the number of prompts compared."""
        return 0 if parent and parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Return a row's prompt, spoken text, sort keys or the comparison itself."""
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return row.prompt
            case Qt.ItemDataRole.AccessibleTextRole:
                return spoken(row)
            case Role.COMPARISON:
                return row
            case Role.PROMPT_ORDER:
                return row.before.position
            case Role.REWARD:
                return _sortable(row.latest.score)
            case Role.CHANGE:
                return _sortable(row.change)
            case Role.KL:
                return _sortable(row.latest.kl)
            case Role.LENGTH:
                return row.latest.length
        return None

    def set_rows(self, rows: Sequence[Comparison]) -> None:
        """Show ``rows``."""
        same = [r.prompt for r in rows] == [r.prompt for r in self._rows]
        if same and rows:
            self._rows = tuple(rows)
            self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))
        elif rows or self._rows:
            self.beginResetModel()
            self._rows = tuple(rows)
            self.endResetModel()


def spoken(row: Comparison) -> str:
    """Say a whole row, for a screen reader."""
    text = f"Prompt: {row.prompt}. Before, reward {number(row.before.score)}: {row.before.text}."
    if row.after:
        text += f" After, reward {number(row.after.score)}: {row.after.text}."
    return text


def _sortable(value: float) -> float:
    return value if math.isfinite(value) else -math.inf


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
