"""What can be done with a row of the table, by its menu, by keys and from the palette."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from workbench.gui.actions import enable_action, set_tip
from workbench.gui.completions.model import SORTS
from workbench.gui.completions.table import CompletionsTable

NO_ROW = "Choose a row first."
START = "The start policy has learned from no completion yet: choose the text of a later cycle."
NOT_KEPT = ("No tokens are kept of what this cycle learned from this prompt: it was not drawn, or "
            "more cycles have passed than Token details kept.")
NOT_IN_PROMPTS = "Prompts does not have this prompt: open the set that it comes from there."


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the actions are about: the cycle of the chosen text, whether tokens of what it learned
    from the prompt are kept, and whether Prompts has the prompt pinned (None: it is not there)."""

    cycle: int
    traced: bool
    pinned: bool | None


class RowActions(QWidget):
    """Makes the actions and enables them; ``triggered`` carries the name of one, less its prefix
    ``completions_``."""

    triggered = Signal(str)
    sort_chosen = Signal(int)

    def __init__(self, table: CompletionsTable) -> None:
        super().__init__(table)
        self.hide()
        self._table = table
        self._actions: dict[str, QAction] = {}
        self._groups: list[list[QAction]] = []
        self._group(
            ("open", "Show in full", "", "Show every word of this prompt's completions (Enter)"),
            ("story", "Play its story", "S", "Show what became of this prompt cycle by cycle, with "
             "a slider"))
        self._group(
            ("copy_prompt", "Copy prompt", "", "Copy the text of the prompt"),
            ("copy_completion", "Copy completion", "", "Copy the chosen text, or that of the last "
             "cycle"),
            ("copy_row", "Copy row as Markdown", QKeySequence.StandardKey.Copy, "Copy the prompt "
             "with its completions and their numbers"))
        self._group(
            ("pin", "Pin prompt", "P", "Pin this prompt in Prompts, or unpin it: pinned ones are "
             "compared first in the next run"),
            ("try", "Try this prompt", "T", "Put this prompt into Try"),
            ("tokens", "Show its tokens", "Alt+Right", "What the cycle of the chosen text learned "
             "from this prompt, token by token"),
            ("paths", "Show its paths", "", "The paths not taken where the most telling token of "
             "this prompt was written"))
        self._group(
            ("thumb_up", "Thumbs up", "U", "Keep for what learns from single marks that the chosen "
             "text is good; once more takes it back"),
            ("thumb_down", "Thumbs down", "D", "Keep for what learns from single marks that the "
             "chosen text is bad; once more takes it back"))
        self._group(
            ("best", "Best completion", "B", "Go to the row with the highest reward"),
            ("worst", "Worst completion", "W", "Go to the row with the lowest reward"),
            ("changed", "Most changed completion", "M", "Go to the row whose reward has changed "
             "most, up or down"))
        self._sorts = QMenu("Sort by", table)
        self._sorts.setToolTipsVisible(True)
        for name, column in SORTS.items():
            action = self._make(f"sort_{name.lower()}", f"Sort completions by {name}", "",
                                f"Sort the rows by {name}; once more turns the order round")
            action.setProperty("whole_text", action.text())
            action.setText(name)
            action.triggered.connect(partial(self._sort, int(column)))
            self._sorts.addAction(action)
        table.customContextMenuRequested.connect(self._show_menu)
        self.allow(None)

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    def allow(self, chosen: Chosen | None) -> None:
        """Enable what makes sense for the row that is chosen, if any."""
        for name, action in self._actions.items():
            if name.startswith("sort_"):
                continue
            why = (NO_ROW if chosen is None else
                   START if name in ("tokens", "paths") and not chosen.cycle else
                   NOT_KEPT if name in ("tokens", "paths") and not chosen.traced else
                   NOT_IN_PROMPTS if name == "pin" and chosen.pinned is None else "")
            enable_action(action, not why, why)
        pinned = chosen is not None and chosen.pinned
        self["pin"].setText("Unpin prompt" if pinned else "Pin prompt")

    def make_menu(self) -> QMenu:
        """Return a menu of all of them, for the chosen row."""
        menu = QMenu(self._table)
        menu.setObjectName("completions_menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        for group in self._groups:
            menu.addActions(group)
            menu.addSeparator()
        menu.addMenu(self._sorts)
        return menu

    def _show_menu(self, at: QPoint) -> None:
        if self._table.indexAt(at).isValid():
            self.make_menu().popup(self._table.viewport().mapToGlobal(at))

    def _group(
        self, *specs: tuple[str, str, str | QKeySequence.StandardKey, str],
    ) -> None:
        self._groups.append([])
        for name, text, shortcut, tip in specs:
            action = self._make(name, text, shortcut, tip)
            action.triggered.connect(partial(self._tell, name))
            self._groups[-1].append(action)

    def _make(self, name: str, text: str, shortcut: str | QKeySequence.StandardKey,
              tip: str) -> QAction:
        action = QAction(text, self._table)
        action.setObjectName(f"completions_{name}")
        if shortcut:
            action.setShortcut(QKeySequence(shortcut))
        # Only while the table itself has the keyboard: letters belong to text fields, too.
        action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        set_tip(action, tip)
        self._table.addAction(action)
        self._actions[name] = action
        return action

    def _tell(self, name: str, _checked: bool = False) -> None:
        self.triggered.emit(name)

    def _sort(self, column: int, _checked: bool = False) -> None:
        self.sort_chosen.emit(column)


