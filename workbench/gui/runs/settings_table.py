"""A window with a table of what differs between the settings of several runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont, QGuiApplication, QIcon, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from workbench.gui.runs.comparison import as_markdown, as_tsv, compare
from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.dialog import Dialog
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.run_colours import swatch
from workbench.gui.widgets.theme import themes
from workbench.store.records import RunRecord
from workbench.store.store import Store


class SettingsTable(Dialog):
    """A column a run, a row a setting that differs, the results below. Stays open beside the
    window."""

    copied = Signal()

    def __init__(self, window: QWidget, store: Store, runs: Sequence[RunRecord]) -> None:
        super().__init__(window, "settings_table_dialog", "Compare settings")
        self._runs = runs
        self.rows = compare(store, runs)
        same = not any(not row.result for row in self.rows)
        said = label(
            "These runs have the same models, prompts and settings." if same else
            "Only what differs is shown. An arrow is a change made during the run, or at a fork.",
            "muted", wrap=True)
        self.table = named(QTableWidget(len(self.rows), len(runs)), "settings_table",
                           "Settings that differ", "")
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setTabKeyNavigation(False)
        self.table.setShowGrid(False)
        self.table.setAlternatingRowColors(True)
        self._fill()
        for text, name, tip, write in (
            ("Copy as text", "copy_settings_tsv", "Copy the table for a spreadsheet", as_tsv),
            ("Copy as Markdown", "copy_settings_markdown", "Copy the table as Markdown",
             as_markdown),
        ):
            self.add_action(text, name, tip, self._copier(write))
        self.body.addWidget(said)
        self.body.addWidget(self.table, 1)
        self.finish("Close", "Close the table", *self._size())

    def _draw_heads(self) -> None:
        for column, run in enumerate(self._runs):
            item = QTableWidgetItem(run.name)
            item.setIcon(QIcon(QPixmap.fromImage(swatch(run.id, themes().theme, True))))
            self.table.setHorizontalHeaderItem(column, item)

    def _fill(self) -> None:
        self._draw_heads()
        themes().changed.connect(self._draw_heads)
        strong = QFont(self.font())
        strong.setWeight(QFont.Weight.DemiBold)
        for number, row in enumerate(self.rows):
            self.table.setVerticalHeaderItem(number, QTableWidgetItem(row.title))
            for column, text in enumerate(row.cells):
                item = QTableWidgetItem(text)
                item.setToolTip(plain_tip(text))
                if row.result:
                    item.setFont(strong)
                self.table.setItem(number, column, item)

    def _size(self) -> tuple[int, int]:
        """As large as the table."""
        across, down = self.table.horizontalHeader(), self.table.verticalHeader()
        across.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        across.setHighlightSections(False)
        down.setHighlightSections(False)
        across.setMaximumSectionSize(320)
        self.table.resizeColumnsToContents()
        across.setStretchLastSection(True)
        across.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        return (max(480, across.length() + down.sizeHint().width() + 64),
                max(240, down.length() + across.sizeHint().height() + 124))

    def _copier(self, write: Callable[..., str]) -> Callable[[], None]:
        def copy() -> None:
            QGuiApplication.clipboard().setText(write(self._runs, self.rows))
            self.copied.emit()
        return copy
