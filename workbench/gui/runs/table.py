"""The list of runs: rename and tick in place, and only the columns there is room for."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QAction, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemDelegate,
    QAbstractItemView,
    QHeaderView,
    QTableView,
)

from workbench.gui.runs.delegate import TreeDelegate, indent
from workbench.gui.runs.model import COLUMNS, RunsModel
from workbench.gui.widgets.controls import as_list, named

# What is left out first where the dock is narrow; the tip of the name has it too.
_GIVE_WAY = ("Started", "Cycles", "Status")
_STATUS = COLUMNS.index("Status")
_LONGEST_NAME = 24  # letters
_BESIDE_NAME = 56  # pixels of a row's box and line
_READABLE = 90  # pixels of every name, for which the reward is shortened
_SHORTEST_NAME = 84  # pixels, with box and line


class RunsTable(QTableView):
    """A row a run."""

    def __init__(self, model: RunsModel) -> None:
        super().__init__()
        named(self, "runs_table", "Runs", "Every run; double-click or press Enter to show one")
        self.setModel(model)
        self._runs = model
        self.setItemDelegateForColumn(0, TreeDelegate(self))
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        as_list(self)
        header = self.horizontalHeader()
        # Qt would measure every cell of every row whenever one changes.
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setStretchLastSection(True)
        header.setMaximumSectionSize(self.fontMetrics().averageCharWidth() * _LONGEST_NAME + 64)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def on_key(self, key: Qt.Key, call: Callable[[], object]) -> None:
        """Call ``call`` when the key is pressed while the table has the keyboard."""
        action = QAction(self)
        action.setShortcut(QKeySequence(key))
        action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        action.triggered.connect(call)
        self.addAction(action)

    def fit(self) -> None:
        """Make columns as wide as their longest text, and show those there is room for. The reward
        stays: of it the last number alone is shown before names cannot be told apart."""
        for brief in (False, True):
            self._runs.set_brief(brief)
            if self._fit():
                return

    def _fit(self) -> bool:
        """Fit the columns to the texts they have now. Return whether names can be read; if not,
        there may be a shorter text."""
        header = self.horizontalHeader()
        for title in _GIVE_WAY:
            self.setColumnHidden(COLUMNS.index(title), False)  # a hidden one has no size
        wide = [min(max(self._widest(i), header.sectionSizeHint(i)), header.maximumSectionSize())
                for i in range(len(COLUMNS))]
        shown = set(range(len(COLUMNS)))
        room, model = self.viewport().width(), self.model()
        deepest = max((indent(model.index(row, 0)) for row in range(model.rowCount())), default=0)
        for title in _GIVE_WAY:
            # Where a run stands is never cut for its name.
            name = min(wide[0], _SHORTEST_NAME + deepest) if title == "Status" else wide[0]
            if name + sum(wide[i] for i in shown if i) > room:
                shown.discard(COLUMNS.index(title))
        # Then a long name gives way to what stands beside it.
        readable = min(wide[0], _BESIDE_NAME + deepest + _READABLE)
        over = sum(wide[i] for i in shown) - room
        wide[0] = min(wide[0], max(_SHORTEST_NAME, wide[0] - over))
        for i, width in enumerate(wide):
            self.setColumnHidden(i, i not in shown)
            if i in shown:
                self.setColumnWidth(i, width)
        return wide[0] >= readable and _STATUS in shown

    def clear_choice(self) -> None:
        """Let no run be selected."""
        self.selectionModel().clear()

    def edit_name(self, row: int) -> None:
        """Edit a run's name in place, if it is not being edited already."""
        if row >= 0 and self.state() != QAbstractItemView.State.EditingState:
            self.edit(self.model().index(row, 0))

    def rowsAboutToBeRemoved(
        self, parent: QModelIndex | QPersistentModelIndex, start: int, end: int
    ) -> None:
        """Let go of a name that is being edited: Qt would take its editor away too late."""
        editor = self.indexWidget(self.currentIndex())
        if editor is not None:
            self.closeEditor(editor, QAbstractItemDelegate.EndEditHint.NoHint)
        super().rowsAboutToBeRemoved(parent, start, end)

    def _widest(self, column: int) -> int:
        """Return the width of the widest cell. Asking for the hint of each takes long."""
        model, metrics = self.model(), self.fontMetrics()
        indexes = [model.index(row, column) for row in range(model.rowCount())]
        widest = max(indexes, default=None, key=lambda index: (
            metrics.horizontalAdvance(index.data()) + (indent(index) if column == 0 else 0)))
        return 0 if widest is None else self.sizeHintForIndex(widest).width() + 1

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Find out anew what there is room for."""
        super().resizeEvent(event)
        self.fit()
