"""Every action of the window in one list that is filtered by typing."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QEvent, QObject, QPoint, QSortFilterProxyModel, Qt
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHeaderView,
    QLineEdit,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from workbench.gui.controls import RIGHT, named

_ACTION = Qt.ItemDataRole.UserRole
_WORDS = Qt.ItemDataRole.UserRole + 1


def plain(action: QAction) -> str:
    """Return an action's text without mnemonics and dots; outside its menu "Careful" is
    "Preset: Careful" (the property ``whole_text``)."""
    return str(action.property("whole_text") or action.text()).replace("&", "").rstrip("…")


def shortcut_text(action: QAction) -> str:
    """Return an action's shortcuts as the platform writes them."""
    return " or ".join(key.toString(QKeySequence.SequenceFormat.NativeText)
                       for key in action.shortcuts())


class _Filter(QSortFilterProxyModel):
    """Keeps rows that contain every typed word."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._words: list[str] = []

    def set_text(self, text: str) -> None:
        """Filter by the words of ``text``."""
        self._words = text.lower().split()
        self.invalidate()

    def filterAcceptsRow(self, row: int, parent: object) -> bool:
        """Return whether the row contains every word."""
        words = self.sourceModel().index(row, 0).data(_WORDS)
        return all(word in words for word in self._words)


class CommandPalette(QDialog):
    """Type to filter, Enter to do it, Escape to leave. What makes no sense now is greyed."""

    def __init__(self, actions: Iterable[QAction], parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setObjectName("command_palette")
        self.setWindowTitle("Command palette")
        self.setAccessibleName("Command palette")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._field = named(QLineEdit(placeholderText="Type a part of an action's name"),
                            "palette_field", "Find an action",
                            "Type to filter, arrows to choose, Enter to do it")
        self._field.installEventFilter(self)
        self._model = QStandardItemModel(self)
        for action in actions:
            self._add(action)
        self._filter = _Filter(self)
        self._filter.setSourceModel(self._model)
        self._list = named(QTableView(), "palette_list", "Actions", "Enter does the chosen one")
        self._list.setModel(self._filter)
        self._list.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._list.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._list.setShowGrid(False)
        self._list.horizontalHeader().hide()
        self._list.verticalHeader().hide()
        self._list.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self._list.horizontalHeader().setSectionResizeMode(
            1, QHeaderView.ResizeMode.ResizeToContents)
        self._list.clicked.connect(lambda _: self.accept())
        self._field.textChanged.connect(self._narrow)
        self._field.returnPressed.connect(self.accept)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(self._field)
        layout.addWidget(self._list)
        self.resize(min(560, parent.width() - 32), min(420, parent.height() - 32))
        # Below the tool bar, in the middle, as a list that drops down.
        self.move(parent.mapToGlobal(QPoint(
            (parent.width() - self.width()) // 2, min(64, (parent.height() - self.height()) // 2))))
        self._narrow("")
        self._field.setFocus()

    def accept(self) -> None:
        """Close, then do what is chosen."""
        action = self._chosen()
        if action is None or not action.isEnabled():
            return
        super().accept()
        action.trigger()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the arrows move the choice while the field has the keyboard."""
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 8,
                    Qt.Key.Key_PageUp: -8}.get(Qt.Key(event.key()))
            if step:
                row = self._list.currentIndex().row() + step
                self._list.selectRow(max(0, min(row, self._filter.rowCount() - 1)))
                return True
        return super().eventFilter(watched, event)

    def _add(self, action: QAction) -> None:
        text = QStandardItem(plain(action))
        keys = QStandardItem(shortcut_text(action))
        keys.setTextAlignment(RIGHT)
        text.setData(action, _ACTION)
        text.setData(plain(action).lower(), _WORDS)
        text.setToolTip(action.toolTip())
        for item in (text, keys):
            item.setEnabled(action.isEnabled())
        self._model.appendRow([text, keys])

    def _narrow(self, text: str) -> None:
        self._filter.set_text(text)
        first = next((row for row in range(self._filter.rowCount())
                      if self._filter.index(row, 0).flags() & Qt.ItemFlag.ItemIsEnabled), 0)
        self._list.selectRow(first)

    def _chosen(self) -> QAction | None:
        row = self._list.currentIndex().row()
        return self._filter.index(row, 0).data(_ACTION) if row >= 0 else None
