"""A drop-down of cycles that takes thousands of them without a pause."""

from __future__ import annotations

import re
from collections.abc import Sequence

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSignalBlocker,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtWidgets import QComboBox, QListView, QStyle, QStyleOptionComboBox

from workbench.gui.widgets.controls import named
from workbench.gui.widgets.plain_text import plain_tip

Index = QModelIndex | QPersistentModelIndex
_LEAST = "cycle 000"  # has its room from the start, so that nothing moves as a run goes on
_FORKED = "Here the run was forked: up to this cycle it is the run it came from"


class CyclePicker(QComboBox):
    """Offers cycles, named as they are drawn: a list of texts would be made anew at every cycle.
    ``picked`` carries a cycle that the person chose."""

    picked = Signal(int)

    def __init__(self, name: str, title: str, tip: str) -> None:
        super().__init__()
        named(self, name, title, tip)
        self.setProperty("role", "compact")  # several of them share a line
        self._cycles = _Cycles(self)
        self._longest = _LEAST
        self.setModel(self._cycles)
        view = self.view()
        assert isinstance(view, QListView)
        view.setUniformItemSizes(True)
        self.currentIndexChanged.connect(self._pick)

    def show_cycles(
        self, cycles: Sequence[int], current: int | None, forked_after: int | None = None
    ) -> None:
        """Offer ``cycles``, ascending, and show ``current``. The last cycle that a fork has in
        common with the run it came from is marked."""
        with QSignalBlocker(self):
            self._cycles.show(cycles, forked_after)
            self.setCurrentIndex(
                -1 if current is None or not cycles else cycles.index(current))
        ends = [*cycles[:1], *cycles[-1:]]
        if forked_after is not None and forked_after in cycles:
            ends.append(forked_after)
        # Every digit is as wide as a 0: another cycle must not lay the window out anew.
        longest = max((_LEAST, *(re.sub(r"\d", "0", self._cycles.text(cycle)) for cycle in ends)),
                      key=len)
        if longest != self._longest:
            self._longest = longest
            self.updateGeometry()

    def sizeHint(self) -> QSize:
        """As wide as the longest cycle: Qt would look at every one of them."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        metrics = self.fontMetrics()
        text = QSize(metrics.horizontalAdvance(self._longest),
                     max(metrics.height(), 14) + 2)
        return self.style().sizeFromContents(
            QStyle.ContentsType.CT_ComboBox, option, text, self)

    def minimumSizeHint(self) -> QSize:
        """As wide as its text."""
        return self.sizeHint()

    def _pick(self) -> None:
        cycle = self.currentData()
        if cycle is not None:
            self.picked.emit(cycle)


class _Cycles(QAbstractListModel):
    """Names of cycles."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._cycles: list[int] = []
        self._forked_after: int | None = None

    def show(self, cycles: Sequence[int], forked_after: int | None) -> None:
        """Offer ``cycles``; one more at the end is added to what is there."""
        known, new = self._cycles, list(cycles)
        if known == new and forked_after == self._forked_after:
            return
        if known and forked_after == self._forked_after and new[: len(known)] == known:
            self.beginInsertRows(QModelIndex(), len(known), len(new) - 1)
            self._cycles = new
            self.endInsertRows()
        else:
            self.beginResetModel()
            self._cycles, self._forked_after = new, forked_after
            self.endResetModel()

    def text(self, cycle: int) -> str:
        """Name a cycle in a few letters."""
        # There is no room for "start policy".
        name = f"cycle {cycle:,}" if cycle else "start"
        return f"{name.removeprefix('cycle ')} (fork)" if cycle == self._forked_after else name

    def rowCount(self, parent: Index | None = None) -> int:
        """Return the number of cycles."""
        return 0 if parent and parent.isValid() else len(self._cycles)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Return a cycle's name, or itself."""
        if not index.isValid():
            return None
        cycle = self._cycles[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.EditRole:
                return self.text(cycle)
            case Qt.ItemDataRole.UserRole:
                return cycle
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(_FORKED) if cycle == self._forked_after else None
        return None
