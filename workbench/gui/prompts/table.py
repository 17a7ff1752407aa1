"""The table of prompts: its editor, dragging rows about, dropping files on it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QDragEnterEvent,
    QDragMoveEvent,
    QDropEvent,
    QKeyEvent,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemDelegate,
    QAbstractItemView,
    QHeaderView,
    QPlainTextEdit,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from workbench.gui.prompts.model import Column
from workbench.gui.widgets.plain_text import plain_tip
from workbench.store.prompt_files import is_prompt_file

_EDITOR_LINES = 5
_SAMPLE = 300


class PromptEditor(QStyledItemDelegate):
    """Edits a prompt in a small text field: Enter takes it, Shift+Enter is a new line."""

    editor: QPlainTextEdit | None = None
    """The open editor."""
    taking = False
    """Whether an edit comes from it."""

    def createEditor(
        self, parent: QWidget, option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> QWidget:
        """Return the text field."""
        editor = QPlainTextEdit(parent)
        editor.setObjectName("prompt_editor")
        editor.setAccessibleName("Prompt text")
        editor.setToolTip(plain_tip(
            "Enter takes the text, Shift+Enter begins a new line, Escape gives up"))
        editor.setTabChangesFocus(True)
        self.editor = editor
        return editor

    def destroyEditor(
        self, editor: QWidget, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Know it no longer; Qt deletes it a moment later."""
        if editor is self.editor:
            self.editor = None
        super().destroyEditor(editor, index)

    def setEditorData(self, editor: QWidget, index: QModelIndex | QPersistentModelIndex) -> None:
        """Show the prompt, all of it selected."""
        assert isinstance(editor, QPlainTextEdit)
        editor.setPlainText(index.data(Qt.ItemDataRole.EditRole))
        editor.selectAll()

    def setModelData(
        self, editor: QWidget, model: QAbstractItemModel,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Take the text."""
        assert isinstance(editor, QPlainTextEdit)
        self.taking = True
        model.setData(index, editor.toPlainText(), Qt.ItemDataRole.EditRole)
        self.taking = False

    def updateEditorGeometry(
        self, editor: QWidget, option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Give the field some lines, over the rows below."""
        rect = option.rect
        viewport = editor.parentWidget()
        assert viewport is not None
        area = viewport.rect()
        height = min(_EDITOR_LINES * editor.fontMetrics().lineSpacing() + 16, area.height())
        rect.setHeight(max(height, rect.height()))
        rect.moveBottom(min(rect.bottom(), max(area.bottom(), rect.height() - 1)))
        editor.setGeometry(rect)

    def eventFilter(self, editor: QObject, event: QEvent) -> bool:
        """Take the text on Enter."""
        if (isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress
                and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
                and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier):
            self.commitData.emit(editor)
            self.closeEditor.emit(editor, QAbstractItemDelegate.EndEditHint.NoHint)
            return True
        return super().eventFilter(editor, event)


class PromptsTable(QTableView):
    """Every row is equally high: one line where that is enough for most, else two. What does not
    fit is in the tooltip and in the editor."""

    files_dropped = Signal(object)  # list of paths
    edit_ended = Signal()
    rows_dropped = Signal(int)  # the row before which the selected rows are to go

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("prompts_table")
        self.setAccessibleName("Prompts")
        self._delegate = PromptEditor(self)
        self.setItemDelegateForColumn(Column.TEXT, self._delegate)
        self._delegate.closeEditor.connect(lambda: self.edit_ended.emit())
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked
                             | QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setTabKeyNavigation(False)
        self.setDragEnabled(True)
        self.setAcceptDrops(True)
        self.setDropIndicatorShown(True)
        self.setDragDropOverwriteMode(False)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragDrop)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setMinimumSectionSize(24)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """F2 edits the row's text, in whichever column the row was clicked."""
        index = self.currentIndex()
        if event.key() == Qt.Key.Key_F2 and index.isValid():
            self.setCurrentIndex(index.siblingAtColumn(Column.TEXT))
        super().keyPressEvent(event)

    def setModel(self, model: QAbstractItemModel | None) -> None:
        """Show ``model`` and size its columns."""
        super().setModel(model)
        header = self.horizontalHeader()
        header.setResizeContentsPrecision(0)  # what is in view; else a thousand rows are measured
        for column in (Column.ENABLED, Column.PINNED):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(Column.TEXT, QHeaderView.ResizeMode.Stretch)

    def fit_rows(self) -> None:
        """Choose the height of all rows from the first texts; where they are not seen, once they
        are."""
        if not self.isVisible():
            return
        model = self.model()
        metrics, room = self.fontMetrics(), self.columnWidth(Column.TEXT) - 8
        texts = [model.index(i, Column.TEXT).data() for i in range(min(model.rowCount(), _SAMPLE))]
        long = sum("\n" in text or metrics.horizontalAdvance(text) > room for text in texts)
        lines = 2 if 3 * long > len(texts) else 1
        if self.wordWrap() != (lines > 1):  # lays out the table, also where nothing changes
            self.setWordWrap(lines > 1)
        self.verticalHeader().setDefaultSectionSize(lines * metrics.lineSpacing() + 8)

    def selected_rows(self) -> list[int]:
        """Return the selected rows, ascending."""
        # By ranges: asking for selectedRows() takes seconds for thousands of them.
        parts = list(self.selectionModel().selection())  # type: ignore[call-overload]
        return sorted({row for p in parts for row in range(p.top(), p.bottom() + 1)})

    def give_up_edit(self) -> None:
        """Close the open editor, unless it is what changes the list just now."""
        editor = self._delegate.editor
        if editor is not None and not self._delegate.taking:
            self._delegate.closeEditor.emit(editor, QAbstractItemDelegate.EndEditHint.NoHint)

    def keyboardSearch(self, search: str) -> None:
        """Typing does not jump about: single letters are commands here."""

    def sizeHint(self) -> QSize:
        """Be content with a narrow dock."""
        return QSize(280, 240)

    def showEvent(self, event: QShowEvent) -> None:
        """Choose the rows' height for what came while they were not seen."""
        super().showEvent(event)
        if self.model():
            self.fit_rows()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Choose the rows' height anew. The current row stays in sight, as when a line comes
        above the table."""
        current = self.visualRect(self.currentIndex())
        seen = 0 <= current.top() < event.oldSize().height()
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width() and self.model():
            self.fit_rows()
        if seen and self.currentIndex().isValid():
            self.scrollTo(self.currentIndex())

    # -- dragging

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Welcome rows of this table and files of prompts."""
        if dropped_files(event):
            event.acceptProposedAction()
        elif event.source() is self:
            super().dragEnterEvent(event)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        """Show where rows would go."""
        if dropped_files(event):
            event.acceptProposedAction()
        else:
            super().dragMoveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        """Move rows, or hand files on."""
        files = dropped_files(event)
        if files:
            event.acceptProposedAction()
            self.files_dropped.emit(files)
            return
        index = self.indexAt(event.position().toPoint())
        below = self.dropIndicatorPosition() != QAbstractItemView.DropIndicatorPosition.AboveItem
        row = index.row() + below if index.isValid() else self.model().rowCount()
        # A copy, as far as the drag knows: else it would delete the rows it came from.
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        self.rows_dropped.emit(row)


def dropped_files(event: QDropEvent) -> list[Path]:
    """Return the prompt files that are dragged along."""
    paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
    return [path for path in paths if is_prompt_file(path)]
