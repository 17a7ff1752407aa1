"""The list of runs: rename and tick in place, and only the columns there is room for."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QTableView

from workbench.gui.controls import as_list, named
from workbench.gui.runs.delegate import TreeDelegate
from workbench.gui.runs.model import COLUMNS, RunsModel

# What is left out first where the dock is narrow; the line below the table has it too.
_GIVE_WAY = ("Started", "Cycles")
_STATUS = COLUMNS.index("Status")
_LONGEST_NAME = 24  # letters


class RunsTable(QTableView):
    """A row a run."""

    def __init__(self, model: RunsModel) -> None:
        super().__init__()
        named(self, "runs_table", "Runs", "Every run; double-click or press Enter to show one")
        self.setModel(model)
        self.setItemDelegateForColumn(0, TreeDelegate(self))
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        as_list(self)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        header = self.horizontalHeader()
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
        """Show the columns there is room for."""
        wide = [max(self.sizeHintForColumn(i), self.horizontalHeader().sectionSizeHint(i))
                for i in range(len(COLUMNS))]
        shown = set(range(len(COLUMNS)))
        for title in _GIVE_WAY:
            if sum(wide[i] for i in shown) > self.viewport().width():
                shown.discard(COLUMNS.index(title))
        for i in range(len(COLUMNS)):
            self.setColumnHidden(i, i not in shown)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Find out anew what there is room for."""
        super().resizeEvent(event)
        self.fit()
