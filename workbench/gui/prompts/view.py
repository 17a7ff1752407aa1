"""Where prompts are edited, opened and saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import (
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication
from PySide6.QtWidgets import QLineEdit, QStackedWidget, QWidget

from workbench.formatting import counted
from workbench.gui.prompts.bar import Bar
from workbench.gui.prompts.library import Library
from workbench.gui.prompts.model import Column, PromptsFilter, PromptsModel
from workbench.gui.prompts.table import PromptsTable, dropped_files
from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.layouts import vbox
from workbench.store.records import Prompt
from workbench.store.store import Store

_FILTER_MS = 150
_LEAST_TABLE = 48  # pixels: a row, so that the window fits a small screen


class PromptsView(QWidget):
    """The working set of prompts. It is saved to the store a moment after each edit."""

    changed = Signal()
    message = Signal(str, str)
    saved = Signal(object, str)
    undoable = Signal(str, str, object)  # level, sentence, what undoes it

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("prompts_view")
        self._model = PromptsModel(self)
        self.undo_stack = self._model.undo_stack
        self.library = Library(store, self._model, self)
        self.library.message.connect(self.message)
        self.library.saved.connect(self.saved)
        self.library.undoable.connect(self.undoable)
        self._proxy = PromptsFilter(self._model, self)
        self._build()
        self.library.load()
        self._show_page()
        self._filter_timer = QTimer(self, singleShot=True, interval=_FILTER_MS)
        self._filter_timer.timeout.connect(self._filter)
        self.filter.textChanged.connect(lambda: self._filter_timer.start())
        self._model.about_to_apply.connect(self.table.give_up_edit)
        self._model.applied.connect(self._edited)

    # -- what the window asks

    def prompts(self) -> tuple[Prompt, ...]:
        """Return every prompt, in order; one that is still being written is none yet."""
        return self._model.prompts()

    def rows(self) -> tuple[Prompt, ...]:
        """Return every row of the list, as :meth:`selected` counts them."""
        return self._model.rows

    def open_file(self, path: Path) -> None:
        """Replace the list by a file's prompts (undo brings it back); bad lines are reported."""
        self.library.open_files([path])

    def save(self) -> None:
        """Save the list to the store now, without waiting for it."""
        self.library.save()

    def save_state(self) -> dict[str, object]:
        """Return what the person chose; the prompts themselves are in the store."""
        return {"filter": self.filter.text()}

    def restore_state(self, state: dict[str, object]) -> None:
        """Choose as :meth:`save_state` told."""
        text = state.get("filter")
        self.filter.setText(text if isinstance(text, str) else "")

    # -- what the person does to the selected rows

    def add(self) -> None:
        """Add a prompt below the current one and edit it; it is gone again if it stays empty."""
        self.filter.clear()
        self._filter()
        row = self._current_row() + 1 if self._model.rows else 0
        self._model.add_blank(row)
        index = self._proxy.mapFromSource(self._model.index(row, Column.TEXT))
        self.table.setCurrentIndex(index)
        self.table.edit(index)

    def delete(self) -> None:
        """Delete the selected prompts."""
        rows = self.selected()
        if rows:
            self._model.remove(rows)
            self._select([min(rows[0], len(self._model.rows) - 1)])

    def duplicate(self) -> None:
        """Put a copy of the selected prompts below the last of them."""
        rows = self.selected()
        if rows:
            # Copies of their own, so that views can tell them from the originals.
            copies = [replace(self._model.rows[i]) for i in rows]
            self._model.insert("duplicate", rows[-1] + 1, copies)

    def move_selected(self, by: int) -> None:
        """Move the selected prompts one up (-1) or down (+1)."""
        rows = self.selected()
        if rows and not self.filter.text():
            target = rows[0] - 1 if by < 0 else rows[-1] + 2
            if 0 <= target <= len(self._model.rows):
                self._move_to(rows, target)

    def toggle_enabled(self) -> None:
        """Switch the selected prompts on, or off when all of them are on."""
        rows = self.selected()
        on = not all(self._model.rows[i].enabled for i in rows)
        self._model.change(f"switch {'on' if on else 'off'}", rows,
                           lambda p: p if p.enabled == on else replace(p, enabled=on))

    def toggle_pinned(self) -> None:
        """Pin the selected prompts, or unpin them when all are."""
        rows = self.selected()
        pin = not all(self._model.rows[i].pinned for i in rows)
        self._model.change("pin" if pin else "unpin", rows,
                           lambda p: p if p.pinned == pin else replace(p, pinned=pin))

    def pin(self, text: str, pinned: bool) -> None:
        """Pin the prompts with this text, or unpin them."""
        rows = [i for i, p in enumerate(self._model.rows) if p.text == text]
        self._model.change("pin" if pinned else "unpin", rows,
                           lambda p: replace(p, pinned=pinned))
        self.message.emit("info", "Pinned in Prompts: the next run compares it first." if pinned
                          else "Unpinned in Prompts.")

    def copy(self) -> None:
        """Copy the texts of the selected prompts."""
        QGuiApplication.clipboard().setText(
            "\n".join(self._model.rows[i].text for i in self.selected()))

    def paste(self) -> None:
        """Add a prompt for each line of the clipboard that is not blank."""
        lines = QGuiApplication.clipboard().text().splitlines()
        prompts = [Prompt(line) for line in lines if line.strip()]
        if prompts:
            rows, place = self._model.rows, self._current_row() + 1
            self.library.replace(
                f"paste {len(prompts):,}", [*rows[:place], *prompts, *rows[place:]], "info",
                f"{counted(len(prompts), 'prompt')} added.", {p.text for p in prompts})

    def selected(self) -> list[int]:
        """Return the selected rows of the whole list, ascending."""
        return sorted(self._proxy.mapToSource(self._proxy.index(row, 0)).row()
                      for row in self.table.selected_rows())

    def go_to(self, row: int) -> None:
        """Select a row of the whole list, also one that the filter hides."""
        if self.filter.text():
            self.filter.clear()
            self._filter()
        self._select([row])
        self.table.setFocus()

    # -- keeping up

    def _edited(self, first: int, count: int) -> None:
        # Undo and redo lead to what they changed; what is selected already stays so.
        whole = count == len(self._model.rows)
        if count and not whole and not {first, first + count - 1} <= set(self.selected()):
            self._select(range(first, first + count))
        self._show_page()
        self.library.edited()
        self.changed.emit()

    def _show_page(self) -> None:
        rows = self._model.rows
        on = sum(p.enabled for p in rows)
        self.count.setText(f"{counted(len(rows), 'prompt')}, {on:,} on" + (
            f", {self._proxy.rowCount():,} shown" if self.filter.text() else ""))
        nothing_fits = bool(rows) and not self._proxy.rowCount()
        self.empty.setText(
            "No prompt contains this text." if nothing_fits else
            "No prompts yet. Open a file (or drop one here), choose a built-in set, paste lines, "
            "or press Add.")
        self._pages.setCurrentWidget(self.table if self._proxy.rowCount() else self.empty)
        self.table.fit_rows()

    def _filter(self) -> None:
        self._filter_timer.stop()
        self.table.give_up_edit()
        self.table.clearSelection()  # filtering would cut a long one into thousands of ranges
        self._proxy.set_text(self.filter.text())
        self.bar.allow_moving(not self.filter.text())
        self._show_page()

    def _select(self, rows: Sequence[int]) -> None:
        """Select rows of the whole list and bring the first into view."""
        if rows[0] < 0:
            return
        # The proxy keeps the order, so that what is in view of a range is a range.
        found = (self._proxy.mapFromSource(self._model.index(row, Column.TEXT)) for row in rows)
        top = next((index for index in found if index.isValid()), None)
        if top is None:
            return
        bottom = next(index for row in reversed(rows) if (
            index := self._proxy.mapFromSource(self._model.index(row, Column.TEXT))).isValid())
        chosen = self.table.selectionModel()
        chosen.setCurrentIndex(top, QItemSelectionModel.SelectionFlag.NoUpdate)
        chosen.select(QItemSelection(top.siblingAtColumn(0), bottom),
                      QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self.table.scrollTo(top)

    def _current_row(self) -> int:
        index = self._proxy.mapToSource(self.table.currentIndex())
        return index.row() if index.isValid() else len(self._model.rows) - 1

    def _drop_rows(self, row: int) -> None:
        if not self.filter.text():
            self._move_to(self.selected(), row)

    def _move_to(self, rows: list[int], position: int) -> None:
        first = self._model.move(rows, position)
        self._select(range(first, first + len(rows)))

    def _click(self, index: QModelIndex) -> None:
        if index.column() == Column.PINNED:
            row = self._proxy.mapToSource(index).row()
            pin = not self._model.rows[row].pinned
            self._model.change("pin" if pin else "unpin", [row], lambda p: replace(p, pinned=pin))

    # -- making it

    def _build(self) -> None:
        layout = vbox(self, margins=8, spacing=8)
        self.table = PromptsTable()
        self.table.setMinimumHeight(_LEAST_TABLE)
        self.table.setModel(self._proxy)
        self.table.clicked.connect(self._click)
        self.table.files_dropped.connect(self.library.open_files)
        self.table.rows_dropped.connect(self._drop_rows)
        self.table.edit_ended.connect(lambda: QTimer.singleShot(0, self, self._model.drop_blank))
        self.bar = Bar(self, self)
        self.filter = named(QLineEdit(), "prompts_filter", "Filter prompts",
                            "Show only prompts that contain this text")
        self.filter.setPlaceholderText("Filter")
        self.filter.setClearButtonEnabled(True)
        self.count = label(role="muted", name="prompts_count", title="Number of prompts")
        self.empty = label(name="prompts_empty")
        self.empty.setProperty("role", "muted")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setWordWrap(True)
        self._pages = QStackedWidget()
        self._pages.addWidget(self.empty)
        self._pages.addWidget(self.table)
        layout.addWidget(self.bar)
        layout.addWidget(self.filter)
        layout.addWidget(self._pages, 1)
        layout.addWidget(self.count)
        self.setAcceptDrops(True)
        self.setFocusProxy(self.table)

    def sizeHint(self) -> QSize:
        """Be content with a narrow dock."""
        return QSize(300, 360)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Welcome files of prompts."""
        if dropped_files(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open the files."""
        event.acceptProposedAction()
        self.library.open_files(dropped_files(event))
