"""The changes of settings made during the run on display, as a section of the dock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem

from workbench.algorithms import find_spec
from workbench.formatting import format_value
from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.section import Section
from workbench.settings import Spec, Value
from workbench.store.records import ChangeRecord
from workbench.training.events import Change

_PENDING = Qt.ItemDataRole.UserRole


class History(Section):
    """Lists the changes with the first cycle that used each, and last those that wait for one."""

    def __init__(self) -> None:
        super().__init__("History", margin=8)
        self.tree = named(
            QTreeWidget(), "history", "History of changes",
            "Changes made during the run on display, and the first cycle that used each")
        self.tree.setRootIsDecorated(False)
        self.tree.setAlternatingRowColors(True)
        self.tree.setHeaderLabels(["Cycle", "Setting", "Change", "By"])
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.tree.setMaximumHeight(self.fontMetrics().height() * 9)
        self._empty = label(
            "No changes. Edit a setting during a run and press Apply.", "muted", wrap=True)
        self.body.addWidget(self._empty)
        self.body.addWidget(self.tree)

    def clear(self) -> None:
        """Forget the changes."""
        self.tree.clear()

    def add(self, cycle: int, changes: Iterable[Change | ChangeRecord]) -> None:
        """Add changes that ``cycle`` was the first to use."""
        for change in changes:
            at = change.at if isinstance(change, ChangeRecord) else datetime.now(UTC).isoformat()
            said = f"{change.name}, changed by {change.by}"
            if at:
                said += f" on {datetime.fromisoformat(at).astimezone():%Y-%m-%d at %H:%M:%S}"
            self._add(str(cycle), change.name, find_spec(change.name), change.old, change.new,
                      change.by, f"{said}; cycle {cycle} was the first to use it")

    def show_pending(
        self, staged: Mapping[str, Value], in_force: Mapping[str, Value],
        specs: Mapping[str, Spec], cycle: int,
    ) -> None:
        """Show what takes effect at ``cycle`` after what did, and count all of it."""
        for row in reversed(range(self.tree.topLevelItemCount())):
            item = self.tree.topLevelItem(row)
            if item is not None and item.data(0, _PENDING):
                self.tree.takeTopLevelItem(row)
        for name, value in staged.items():
            self._add(
                f"from {cycle}", name, specs[name], in_force[name], value, "pending",
                f"{name}: applied, and cycle {cycle} will be the first to use it",
            ).setData(0, _PENDING, True)
        count = self.tree.topLevelItemCount()
        self.tree.setVisible(count > 0)
        self._empty.setVisible(count == 0)
        self.header.setText(f"History ({count})" if count else "History")

    def _add(
        self, when: str, name: str, spec: Spec | None, old: Value, new: Value, by: str, tip: str
    ) -> QTreeWidgetItem:
        item = QTreeWidgetItem([
            when, spec.label if spec else name,
            f"{format_value(spec, old)} → {format_value(spec, new)}", by])
        for column in range(item.columnCount()):
            item.setToolTip(column, plain_tip(tip))
        self.tree.addTopLevelItem(item)
        self.tree.scrollToItem(item)
        return item
