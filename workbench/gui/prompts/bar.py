"""The buttons above the prompts, and every action on them with its shortcut."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence, QUndoStack
from PySide6.QtWidgets import QComboBox, QMenu, QToolButton, QWidget
from superqt import QFlowLayout

from workbench.assets import SAMPLE_PROMPTS
from workbench.gui.actions import enable_action, explain
from workbench.gui.prompts.library import Library
from workbench.gui.prompts.table import PromptsTable
from workbench.gui.widgets.controls import tool_button
from workbench.gui.widgets.dialog import ask, ask_for, choose_file, choose_new_file
from workbench.gui.widgets.plain_text import plain_tip, without_mnemonic
from workbench.store.prompt_files import ENDINGS

_FILES = f"Prompts ({' '.join(f'*{ending}' for ending in ENDINGS)})"


class _View(Protocol):
    """What the bar works on: the list of prompts as a whole."""

    table: PromptsTable
    undo_stack: QUndoStack
    library: Library

    def add(self) -> object: ...
    def duplicate(self) -> object: ...
    def delete(self) -> object: ...
    def move_selected(self, by: int) -> object: ...
    def toggle_enabled(self) -> object: ...
    def toggle_pinned(self) -> object: ...
    def copy(self) -> object: ...
    def paste(self) -> object: ...
    def open_file(self, path: Path) -> object: ...


class Bar(QWidget):
    """Open, Save, Add and Edit. The actions work on the table while it has the keyboard, and are
    in its context menu."""

    def __init__(self, view: _View, parent: QWidget) -> None:
        super().__init__(parent)
        self._view = view
        layout = QFlowLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(4)
        layout.setVerticalSpacing(4)
        self._make_actions()
        add = tool_button("Add", "prompts_add_button", "Add a prompt", "Add a prompt (Insert)")
        add.clicked.connect(lambda: view.add())
        for button in (self._open(), self._save(), add, self._edit()):
            layout.addWidget(button)

    def allow_moving(self, allowed: bool) -> None:
        """Rows of a filtered list have no place of their own to move to."""
        for action in self._moves:
            enable_action(action, allowed, "Rows of a filtered list have no place of their own; "
                          "clear the filter first.")

    def _make_actions(self) -> None:
        view, key = self._view, Qt.Key
        self._action("prompts_add", "Add a prompt", "Insert", view.add)
        self._action("prompts_duplicate", "Duplicate prompts", "Ctrl+D", view.duplicate)
        self._action("prompts_delete", "Delete prompts", QKeySequence.StandardKey.Delete,
                     view.delete)
        self._separator()
        self._moves = [
            self._action("prompts_up", "Move prompts up", "Alt+Up",
                         partial(view.move_selected, -1)),
            self._action("prompts_down", "Move prompts down", "Alt+Down",
                         partial(view.move_selected, 1)),
        ]
        self._separator()
        self._action("prompts_enable", "Switch prompts on or off", key.Key_Space,
                     view.toggle_enabled)
        self._action("prompts_pin", "Pin or unpin prompts", key.Key_P, view.toggle_pinned)
        self._separator()
        self._action("prompts_copy", "Copy prompts", QKeySequence.StandardKey.Copy, view.copy)
        self._action("prompts_paste", "Paste lines as prompts", QKeySequence.StandardKey.Paste,
                     view.paste)
        self._separator()
        # The window gives these their shortcut, wherever the keyboard is.
        stack = view.undo_stack
        for what, action in (("undo", stack.createUndoAction(view.table, "Undo")),
                             ("redo", stack.createRedoAction(view.table, "Redo"))):
            explain(action, f"{what.capitalize()} the last edit of the prompts",
                    f"There is nothing to {what}.")
            view.table.addAction(action)

    def _action(
        self, name: str, text: str, shortcut: str | Qt.Key | QKeySequence.StandardKey,
        call: Callable[[], object],
    ) -> QAction:
        action = QAction(text, self._view.table)
        action.setObjectName(name)
        action.setShortcut(QKeySequence(shortcut))
        # Only while the table itself has the keyboard: P and Space belong to text fields too.
        action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        action.triggered.connect(lambda: call())
        self._view.table.addAction(action)
        return action

    def _separator(self) -> None:
        separator = QAction(self._view.table)
        separator.setSeparator(True)
        self._view.table.addAction(separator)

    def _open(self) -> QToolButton:
        button, menu = self._menu_button("Open", "prompts_open", "Open prompts from a file, a "
                                         "built-in set or a saved set")
        menu.addAction("Open file…").triggered.connect(lambda: self.ask_open())
        built_in = menu.addMenu("Built-in sets")
        for path in sorted(p for p in SAMPLE_PROMPTS.glob("*") if p.suffix in ENDINGS):
            built_in.addAction(path.stem.replace("_", " ").capitalize()).triggered.connect(
                lambda _=False, path=path: self._view.open_file(path))
        self._list_sets(menu, "Saved sets", self._view.library.load_set)
        return button

    def _list_sets(self, menu: QMenu, title: str, call: Callable[[str], object]) -> None:
        """Add a menu of the saved sets, as they are when it opens."""
        saved = menu.addMenu(title)

        def list_sets() -> None:
            saved.clear()
            for name in self._view.library.saved_sets():
                action = saved.addAction(without_mnemonic(name))
                action.setToolTip(plain_tip(name))
                action.triggered.connect(lambda _=False, name=name: call(name))
            enable_action(saved.menuAction(), not saved.isEmpty(), "No set has been saved yet.")

        menu.aboutToShow.connect(list_sets)

    def _save(self) -> QToolButton:
        button, menu = self._menu_button("Save", "prompts_save", "Save the prompts to a file, or "
                                         "under a name. The list itself is kept by itself")
        for name, text, call in (("prompts_to_file", "Save prompts to file…", self._ask_save),
                                 ("prompts_to_set", "Save prompts as a named set…",
                                  self._ask_name)):
            action = menu.addAction(text)
            action.setObjectName(name)
            action.triggered.connect(lambda _=False, call=call: call())
        self._list_sets(menu, "Delete a saved set", self._ask_delete)
        return button

    def _edit(self) -> QToolButton:
        button, menu = self._menu_button("Edit", "prompts_edit", "Everything that can be done with "
                                         "the selected prompts")
        menu.addActions(self._view.table.actions())
        return button

    def _menu_button(self, text: str, name: str, tip: str) -> tuple[QToolButton, QMenu]:
        button = tool_button(text, name, f"{text} prompts", tip)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        button.setMenu(menu)
        return button, menu

    def ask_open(self) -> None:
        """Ask for files of prompts and open them."""
        choose_file(self, "prompts_open_dialog", "Open prompts",
                    self._view.library.open_files, filters=_FILES, several=True)

    def _ask_save(self) -> None:
        choose_new_file(self, "prompts_save_dialog", "Save prompts", "prompts.jsonl",
                        "JSON Lines (*.jsonl);;CSV table (*.csv);;Plain text (*.txt)",
                        self._view.library.save_file)

    def _ask_delete(self, name: str) -> None:
        ask(self, "prompts_delete_question", "Delete prompts",
            f"Delete the saved set “{name}”?",
            "The list on screen and the runs that used it keep their prompts.",
            (("&Delete", "delete_set", "Remove the set; this cannot be undone",
              lambda: self._view.library.delete_set(name)),), destroys=True)

    def _ask_name(self) -> None:
        field = QComboBox(editable=True)
        field.addItems(self._view.library.saved_sets())
        field.setCurrentText("")
        ask_for(self, "prompts_name_dialog", "Save prompts",
                "Name of the set (a set of that name is replaced):", field, "Save",
                "Save the list under this name",
                lambda: self._view.library.save_set(field.currentText()))
