"""Every action of the window and every place in it, in one list that is filtered by typing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHeaderView,
    QLineEdit,
    QTableView,
    QWidget,
)

from workbench.gui.widgets.controls import RIGHT, label, named
from workbench.gui.widgets.layouts import vbox

_MOST = 100  # rows that are shown; who wants another types on


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: what it is called, what stands beside it, and what choosing it does.

    ``also`` are more words it is found by, ``place`` that it is shown only when looked for.
    """

    text: str
    beside: str
    tip: str
    call: Callable[[], object]
    enabled: bool = True
    also: str = ""
    place: bool = False

    def rank(self, typed: str) -> int | None:
        """Return how well it fits what is typed, in lower case: 0 is best, None not at all."""
        text = self.text.lower()
        if text.startswith(typed):
            return 0 if text == typed else 1
        words = typed.split()
        if all(word in text for word in words):
            return 2
        known = f"{text} {self.beside} {self.also}".lower()
        return 3 if all(word in known for word in words) else None


def plain(action: QAction) -> str:
    """Return an action's text without mnemonics and dots; outside its menu "Careful" is
    "Preset: Careful" (the property ``whole_text``)."""
    text = str(action.property("whole_text") or action.text())
    return re.sub("&(.?)", r"\1", text).rstrip("…")


def shortcut_text(action: QAction) -> str:
    """Return an action's shortcuts as the platform writes them."""
    return " or ".join(key.toString(QKeySequence.SequenceFormat.NativeText)
                       for key in action.shortcuts())


class CommandPalette(QDialog):
    """Type to filter, Enter to do it, Escape to leave. What makes no sense now is greyed."""

    def __init__(self, actions: Iterable[QAction], parent: QWidget,
                 places: Iterable[Entry] = (),
                 missing: Callable[[str], str] = lambda _typed: "") -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setObjectName("command_palette")
        self.setWindowTitle("Command palette")
        self.setAccessibleName("Command palette")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._entries = [*(Entry(plain(a), shortcut_text(a), a.toolTip(), a.trigger, a.isEnabled())
                           for a in actions), *places]
        self._found: list[Entry] = []
        self._missing = missing  # says of what is named exactly why it is not there
        self._field = named(
            QLineEdit(placeholderText="Find an action, setting, plot, run, prompt or cycle"),
            "palette_field", "Find an action or a place",
            "Type to filter, arrows to choose, Enter to do it or to go there")
        self._field.installEventFilter(self)
        self._model = QStandardItemModel(self)
        self._list = named(QTableView(), "palette_list", "What was found",
                           "Enter does the chosen one")
        self._list.setModel(self._model)
        self._list.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._list.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._list.setShowGrid(False)
        self._list.setWordWrap(False)
        self._list.horizontalHeader().hide()
        self._list.verticalHeader().hide()
        self._list.clicked.connect(lambda _: self.accept())
        self._nothing = label("", "muted", wrap=True, name="palette_nothing")
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._field.textChanged.connect(self._narrow)
        self._field.returnPressed.connect(self.accept)
        vbox(self, self._field, (self._list, 1), (self._nothing, 1), margins=8, spacing=8)
        self.resize(min(560, parent.width() - 32), min(420, parent.height() - 32))
        # Below the tool bar, in the middle, as a list that drops down.
        self.move(parent.mapToGlobal(QPoint(
            (parent.width() - self.width()) // 2, min(64, (parent.height() - self.height()) // 2))))
        self._narrow("")
        self._field.setFocus()

    def accept(self) -> None:
        """Close, then do what is chosen."""
        row = self._list.currentIndex().row()
        entry = self._found[row] if 0 <= row < len(self._found) else None
        if entry is None or not entry.enabled:
            return
        super().accept()
        entry.call()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the arrows move the choice while the field has the keyboard."""
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 8,
                    Qt.Key.Key_PageUp: -8}.get(Qt.Key(event.key()))
            if step:
                row = self._list.currentIndex().row() + step
                self._list.selectRow(max(0, min(row, len(self._found) - 1)))
                return True
        return super().eventFilter(watched, event)

    def _narrow(self, text: str) -> None:
        typed, why = text.lower().strip(), ""
        if typed:
            ranked = [(rank, entry) for entry in self._entries
                      if (rank := entry.rank(typed)) is not None]
            self._found = [e for _, e in sorted(ranked, key=lambda pair: pair[0])][:_MOST]
            exact = any(rank == 0 for rank, _ in ranked)
            if why := "" if exact else self._missing(typed):
                self._found = []
        else:
            self._found = [entry for entry in self._entries if not entry.place]
        self._model.clear()
        for entry in self._found:
            self._model.appendRow(_items(entry))
        header = self._list.horizontalHeader()
        if self._found:
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
            header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self._list.setVisible(bool(self._found))
        self._nothing.setVisible(not self._found)
        self._nothing.setText(
            why or f"No match for “{text.strip()}”. Try a part of a name, such as "
            "“learning rate”, “entropy”, “export”, “run 1” or “cycle 7”.")
        self._list.selectRow(next((i for i, e in enumerate(self._found) if e.enabled), 0))


def _items(entry: Entry) -> list[QStandardItem]:
    items = [QStandardItem(entry.text), QStandardItem(entry.beside)]
    items[1].setTextAlignment(RIGHT)
    items[0].setToolTip(entry.tip)
    for item in items:
        item.setEnabled(entry.enabled)
    return items
