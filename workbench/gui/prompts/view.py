"""Where prompts are edited, opened and saved."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
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
from PySide6.QtWidgets import QLabel, QLineEdit, QStackedWidget, QVBoxLayout, QWidget

from workbench.assets import DEFAULT_PROMPTS
from workbench.gui.background import Background
from workbench.gui.controls import label, named
from workbench.gui.prompts.bar import Bar
from workbench.gui.prompts.model import Column, PromptsFilter, PromptsModel
from workbench.gui.prompts.table import PromptsTable, dropped_files
from workbench.store.home import StoreError
from workbench.store.prompt_files import PromptFile, PromptFileError, read_prompts, write_prompts
from workbench.store.records import Prompt, PromptSet
from workbench.store.store import Store

WORKING_SET = "working set"
_SAVE_MS = 600
_FILTER_MS = 150


class PromptsView(QWidget):
    """The working set of prompts. It is saved to the store a moment after each edit."""

    changed = Signal()
    message = Signal(str, str)
    _saved = Signal(object)

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("prompts_view")
        self._store = store
        self._source = ""
        self._dirty = False
        self._model = PromptsModel(self)
        self.undo_stack = self._model.undo_stack
        self._proxy = PromptsFilter(self._model, self)
        self._build()
        self._load_working_set()
        self._save_timer = self._timer(_SAVE_MS, self.save)
        self._filter_timer = self._timer(_FILTER_MS, self._filter)
        self.filter.textChanged.connect(lambda: self._filter_timer.start())
        self._model.about_to_apply.connect(self.table.give_up_edit)
        self._model.applied.connect(self._edited)
        self._saved.connect(self._tell_saved, Qt.ConnectionType.QueuedConnection)

    # -- what the window asks

    def prompts(self) -> tuple[Prompt, ...]:
        """Return every prompt, in order; one that is still being written is none yet."""
        rows = self._model.rows
        return rows if all(p.text for p in rows) else tuple(p for p in rows if p.text)

    def rows(self) -> tuple[Prompt, ...]:
        """Return every row of the list, as :meth:`selected` counts them."""
        return self._model.rows

    def open_file(self, path: Path) -> None:
        """Replace the list by a file's prompts (undo brings it back); bad lines are reported."""
        self.open_files([path])

    def open_files(self, paths: Sequence[Path]) -> None:
        """Replace the list by the prompts of several files."""
        reader = Background(self)

        def take(results: list[PromptFile | PromptFileError]) -> None:
            reader.close()
            reader.deleteLater()
            self._take(paths, results)

        reader.run(lambda: [_read(path) for path in paths], take)

    def save_file(self, path: Path) -> None:
        """Write every prompt to a file, in the format of its ending."""
        prompts = self.prompts()
        try:
            write_prompts(path, prompts)
        except PromptFileError as error:
            self.message.emit("error", str(error))
            return
        lost = path.suffix.lower() == ".txt" and any(
            p.pinned or not p.enabled for p in prompts)
        self.message.emit("info", f"Saved {path.name}." + (
            " Plain text does not keep what is off or pinned." if lost else ""))

    def save(self) -> None:
        """Save the working set to the store now, without waiting for it."""
        self._save_timer.stop()
        if self._dirty:
            self._dirty = False
            self._store_set(WORKING_SET)

    def save_set(self, name: str) -> None:
        """Save the list in the store under a name, replacing what had it."""
        name = name.strip()
        if name and name != WORKING_SET:
            self._store_set(name)
            self.message.emit("info", f"Saved as “{name}”.")

    def load_set(self, name: str) -> None:
        """Replace the list by a set saved in the store (undo brings it back)."""
        found = self._store.prompt_set(name)
        if found is None:
            self.message.emit("error", f"There is no prompt set “{name}” any more.")
            return
        self._source = found.source
        self._model.edit(f"load “{name}”", found.prompts)

    def delete_set(self, name: str) -> None:
        """Remove a set from the store; the list on screen stays."""
        try:
            self._store.delete_prompt_set(name).result()
        except StoreError as error:
            self.message.emit("error", str(error))
        else:
            self.message.emit("info", f"Deleted the saved set “{name}”.")

    def saved_sets(self) -> list[str]:
        """Return the names of the sets saved in the store."""
        return [name for name in self._store.prompt_set_names() if name != WORKING_SET]

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

    def copy(self) -> None:
        """Copy the texts of the selected prompts."""
        QGuiApplication.clipboard().setText(
            "\n".join(self._model.rows[i].text for i in self.selected()))

    def paste(self) -> None:
        """Add a prompt for each line of the clipboard that is not blank."""
        lines = QGuiApplication.clipboard().text().splitlines()
        prompts = [Prompt(line) for line in lines if line.strip()]
        if prompts:
            self._model.insert(f"paste {len(prompts):,}", self._current_row() + 1, prompts)
            self.message.emit("info", f"{_count(len(prompts))} added.")

    def selected(self) -> list[int]:
        """Return the selected rows of the whole list, ascending."""
        return sorted(self._proxy.mapToSource(self._proxy.index(row, 0)).row()
                      for row in self.table.selected_rows())

    # -- keeping up

    def _edited(self, first: int, count: int) -> None:
        # Undo and redo lead to what they changed; what is selected already stays so.
        whole = count == len(self._model.rows)
        if count and not whole and not {first, first + count - 1} <= set(self.selected()):
            self._select(range(first, first + count))
        self._show_page()
        self._dirty = True
        self._save_timer.start()
        self.changed.emit()

    def _show_page(self) -> None:
        rows = self._model.rows
        on = sum(p.enabled for p in rows)
        self.count.setText(f"{_count(len(rows))}, {on:,} on" + (
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

    # -- files and the store

    def _take(
        self, paths: Sequence[Path], results: list[PromptFile | PromptFileError]
    ) -> None:
        files = [r for r in results if isinstance(r, PromptFile)]
        for error in results:
            if isinstance(error, PromptFileError):
                self.message.emit("error", str(error))
        if files:
            names = ", ".join(path.name for path in paths)
            self._source = str(paths[0])
            self._model.edit(f"open {names}", [p for file in files for p in file.prompts])
            for file in files:
                self.message.emit("warning" if file.problems else "info", file.summary)

    def _load_working_set(self) -> None:
        kept = self._store.prompt_set(WORKING_SET)
        if kept:
            self._source = kept.source
            self._model.load(kept.prompts)
        else:
            first = _read(DEFAULT_PROMPTS)
            self._model.load(first.prompts if isinstance(first, PromptFile) else ())
        self._show_page()

    def _store_set(self, name: str) -> None:
        try:
            future = self._store.save_prompt_set(PromptSet(name, self.prompts(), self._source))
        except StoreError as error:
            self.message.emit("error", str(error))
        else:
            future.add_done_callback(self._hand_over)

    def _hand_over(self, future: Future[None]) -> None:
        """Called on the store's thread; the view may be gone by then."""
        with suppress(RuntimeError):
            self._saved.emit(future)

    def _tell_saved(self, future: Future[None]) -> None:
        error = future.exception()
        if error:
            self.message.emit("error", f"The prompts could not be saved: {error}")

    # -- making it

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        self.table = PromptsTable()
        self.table.setModel(self._proxy)
        self.table.clicked.connect(self._click)
        self.table.files_dropped.connect(self.open_files)
        self.table.rows_dropped.connect(self._drop_rows)
        self.table.edit_ended.connect(lambda: QTimer.singleShot(0, self, self._model.drop_blank))
        self.bar = Bar(self)
        self.filter = named(QLineEdit(), "prompts_filter", "Filter prompts",
                            "Show only prompts that contain this text")
        self.filter.setPlaceholderText("Filter")
        self.filter.setClearButtonEnabled(True)
        self.count = label(role="muted")
        self.count.setObjectName("prompts_count")
        self.count.setAccessibleName("Number of prompts")
        self.empty = QLabel()
        self.empty.setObjectName("prompts_empty")
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

    def _timer(self, milliseconds: int, call: object) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.timeout.connect(call)
        return timer

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
        self.open_files(dropped_files(event))


def _read(path: Path) -> PromptFile | PromptFileError:
    try:
        return read_prompts(path)
    except PromptFileError as error:
        return error


def _count(number: int) -> str:
    return f"{number:,} {'prompt' if number == 1 else 'prompts'}"
