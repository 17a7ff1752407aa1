"""The list of prompts as a table, every change to it undoable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import IntEnum

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QUndoCommand, QUndoStack

from workbench.formatting import counted
from workbench.gui.widgets.plain_text import plain_tip, shortened
from workbench.gui.widgets.theme import themes
from workbench.store.records import Prompt

Index = QModelIndex | QPersistentModelIndex
Rows = tuple[Prompt, ...]


class Column(IntEnum):
    """The columns of the table."""

    ENABLED = 0
    PINNED = 1
    TEXT = 2


_ROW = (Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsDragEnabled
        | Qt.ItemFlag.ItemIsDropEnabled | Qt.ItemFlag.ItemNeverHasChildren)
# Made once: Qt asks for flags thousands of times, and joining Python flags is slow.
_FLAGS = (_ROW | Qt.ItemFlag.ItemIsUserCheckable, _ROW, _ROW | Qt.ItemFlag.ItemIsEditable)
_ADDING = 1
_SHOWN, _EDITED = 2_000, 100_000  # characters: laying out more takes long
_TITLES = ("On", "Pin", "Prompt")
_TIPS = (
    "Only prompts that are on take part in a run (Space)",
    "A pinned prompt (★) is always among those that are compared after each cycle, before the "
    "others, and its tokens are kept of every cycle. Click the star, or press P",
    "What the policy completes. Double click or F2 edits; Shift+Enter begins a new line",
)


class PromptsModel(QAbstractTableModel):
    """Holds the prompts. Every change goes through :meth:`edit`, which can be undone."""

    about_to_apply = Signal()
    applied = Signal(int, int)  # first row and number of rows that an edit (or its undo) wrote

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: Rows = ()
        self.undo_stack = QUndoStack(self)
        self.undo_stack.setUndoLimit(200)

    @property
    def rows(self) -> Rows:
        """Every prompt, in order."""
        return self._rows

    def prompts(self) -> Rows:
        """Return every prompt, in order; one that is still being written is none yet."""
        rows = self._rows
        return rows if all(p.text for p in rows) else tuple(p for p in rows if p.text)

    def load(self, rows: Iterable[Prompt]) -> None:
        """Begin with ``rows``; there is nothing to undo."""
        self.apply(tuple(rows))
        self.undo_stack.clear()

    # -- edits

    def edit(self, text: str, rows: Iterable[Prompt], merge: int = -1) -> None:
        """Make ``rows`` the list, as one step of the undo history called ``text``. Steps that
        follow each other with the same ``merge`` become one."""
        new = tuple(rows)
        if new != self._rows:
            self.undo_stack.push(_Edit(self, text, self._rows, new, merge))

    def add_blank(self, position: int) -> None:
        """Insert a prompt to be filled in. Its first text belongs to the same undo step."""
        self.edit("add a prompt", [*self._rows[:position], Prompt(""), *self._rows[position:]],
                  _ADDING)

    def drop_blank(self) -> None:
        """Take back prompts that were never filled in."""
        blank = [i for i, p in enumerate(self._rows) if not p.text.strip()]
        last = self.undo_stack.command(self.undo_stack.index() - 1)
        if blank and isinstance(last, _Edit) and last.id() == _ADDING:
            last.forgotten = True
            self.undo_stack.undo()
        elif blank:
            self.remove(blank)

    def insert(self, text: str, position: int, prompts: Sequence[Prompt]) -> None:
        """Put ``prompts`` before ``position``."""
        self.edit(text, [*self._rows[:position], *prompts, *self._rows[position:]])

    def remove(self, rows: Iterable[int]) -> None:
        """Delete rows."""
        gone = set(rows)
        self.edit(f"delete {counted(len(gone), 'prompt')}",
                  (p for i, p in enumerate(self._rows) if i not in gone))

    def change(self, text: str, rows: Iterable[int], how: Callable[[Prompt], Prompt]) -> None:
        """Replace each of ``rows`` by what ``how`` makes of it."""
        chosen = set(rows)
        self.edit(text, (how(p) if i in chosen else p for i, p in enumerate(self._rows)))

    def move(self, rows: Iterable[int], position: int) -> int:
        """Move rows before ``position``, keeping their order; return where the first is now."""
        chosen = sorted(set(rows))
        moved = [self._rows[i] for i in chosen]
        before = [p for i, p in enumerate(self._rows[:position]) if i not in chosen]
        after = [p for i, p in enumerate(self._rows[position:], position) if i not in chosen]
        self.edit(f"move {counted(len(moved), 'prompt')}", [*before, *moved, *after])
        return len(before)

    def apply(self, rows: Rows) -> None:
        """Make ``rows`` the list and tell views only of what differs. Edits call this."""
        self.about_to_apply.emit()
        old = self._rows
        head = next((i for i, (a, b) in enumerate(zip(old, rows, strict=False)) if a is not b),
                    min(len(old), len(rows)))
        tail = next((i for i, (a, b) in enumerate(zip(old[head:][::-1], rows[head:][::-1],
                                                      strict=False)) if a is not b),
                    min(len(old), len(rows)) - head)
        gone, new = len(old) - head - tail, len(rows) - head - tail
        none = QModelIndex()
        if gone == new:
            self._rows = rows
            if new:
                self.dataChanged.emit(self.index(head, 0), self.index(head + new - 1, Column.TEXT))
        else:
            if gone:
                self.beginRemoveRows(none, head, head + gone - 1)
                self._rows = old[:head] + old[head + gone :]
                self.endRemoveRows()
            if new:
                self.beginInsertRows(none, head, head + new - 1)
                self._rows = rows
                self.endInsertRows()
        self.applied.emit(head, new)

    # -- what Qt asks

    def rowCount(self, parent: Index | None = None) -> int:
        """Return the number of prompts."""
        return 0 if parent and parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent and parent.isValid() else len(_TITLES)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        """Return a column's title and what it means."""
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return _TITLES[section]
            if role == Qt.ItemDataRole.ToolTipRole:
                return plain_tip(_TIPS[section])
            if role == Qt.ItemDataRole.TextAlignmentRole and section == Column.TEXT:
                return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Return a cell's text, check mark, star, colour, or what a screen reader says."""
        if not index.isValid():
            return None
        prompt, column = self._rows[index.row()], index.column()
        if column == Column.TEXT and role == Qt.ItemDataRole.EditRole:
            return prompt.text
        if column == Column.TEXT and role == Qt.ItemDataRole.DisplayRole:
            if prompt.messages:  # its blank lines would leave no room for what is said
                return " ".join(prompt.text[:_SHOWN].split())
            long = len(prompt.text) > _SHOWN
            return shortened(prompt.text, _SHOWN) if long else prompt.text
        theme = themes().theme
        if role == Qt.ItemDataRole.ForegroundRole:
            if column == Column.PINNED and prompt.pinned:
                return QColor(theme.accent)
            return None if prompt.enabled and column == Column.TEXT else QColor(theme.muted)
        if column == Column.ENABLED:
            if role == Qt.ItemDataRole.CheckStateRole:
                return Qt.CheckState.Checked if prompt.enabled else Qt.CheckState.Unchecked
            if role == Qt.ItemDataRole.AccessibleTextRole:
                return "on" if prompt.enabled else "off"
        elif column == Column.PINNED:
            if role == Qt.ItemDataRole.DisplayRole:
                return "★" if prompt.pinned else "☆"
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return Qt.AlignmentFlag.AlignCenter
            if role == Qt.ItemDataRole.AccessibleTextRole:
                return "pinned" if prompt.pinned else "not pinned"
            if role == Qt.ItemDataRole.ToolTipRole:
                return plain_tip(_TIPS[Column.PINNED])
        elif role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(prompt)
        return None

    def setData(self, index: Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Change a cell; an empty text is refused."""
        if not index.isValid():
            return False
        row, column = index.row(), index.column()
        if column == Column.ENABLED and role == Qt.ItemDataRole.CheckStateRole:
            on = Qt.CheckState(value) == Qt.CheckState.Checked
            self.change(f"switch prompt {'on' if on else 'off'}", [row],
                        lambda p: replace(p, enabled=on))
            return True
        if column == Column.TEXT and role == Qt.ItemDataRole.EditRole:
            text = str(value)
            if not text.strip():
                return False
            merge = -1 if self._rows[row].text.strip() else _ADDING
            self.edit("edit prompt", [*self._rows[:row], replace(self._rows[row], text=text),
                                      *self._rows[row + 1 :]], merge)
            return True
        return False

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Say what can be done with a cell."""
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled
        column = index.column()
        prompt = self._rows[index.row()]
        if column == Column.TEXT and (prompt.messages or len(prompt.text) > _EDITED):
            return _ROW
        return _FLAGS[column]

    def _tip(self, prompt: Prompt) -> str | None:
        text = prompt.text
        if len(text) > _EDITED:
            return plain_tip(f"{len(text):,} characters, too long to edit here: change them in a "
                             f"file and open that.\n\n{shortened(text, _SHOWN // 2)}")
        if prompt.messages:
            return plain_tip(f"A conversation of {len(prompt.messages):,} "
                             f"{'turn' if len(prompt.messages) == 1 else 'turns'}: change it in a "
                             f"file and open that.\n\n{shortened(text, _SHOWN // 2)}")
        return plain_tip(text) if "\n" in text or len(text) > 40 else None

    def supportedDropActions(self) -> Qt.DropAction:
        """Rows can be moved; files can be copied in."""
        return Qt.DropAction.MoveAction | Qt.DropAction.CopyAction


class PromptsFilter(QSortFilterProxyModel):
    """Shows the prompts that contain a text, upper and lower case alike."""

    def __init__(self, model: PromptsModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._prompts, self._text = model, ""
        self.setSourceModel(model)

    def set_text(self, text: str) -> None:
        """Show only prompts that contain ``text``."""
        self._text = text.casefold()
        self.setFilterFixedString(text)  # makes Qt ask again, in every version alike

    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:
        """Say whether a row is shown. Far quicker than having Qt ask the model for the text."""
        return self._text in self._prompts.rows[source_row].text.casefold()


class _Edit(QUndoCommand):
    """The list before and after. Both share their prompts, so that a step costs a pointer a row."""

    def __init__(
        self, model: PromptsModel, text: str, before: Rows, after: Rows, merge: int
    ) -> None:
        super().__init__(text)
        self._model, self._before, self._after, self._merge = model, before, after, merge
        self.forgotten = False  # leaves the history when it is undone

    def redo(self) -> None:
        """Show the list after."""
        self._model.apply(self._after)

    def undo(self) -> None:
        """Show the list before."""
        self._model.apply(self._before)
        self.setObsolete(self.forgotten)

    def id(self) -> int:
        """Say which steps this one merges with; -1 is none."""
        return self._merge

    def mergeWith(self, other: QUndoCommand) -> bool:
        """Take the following step into this one."""
        assert isinstance(other, _Edit)
        self._after = other._after
        return True
