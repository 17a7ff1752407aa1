"""Below the controls: the table, one prompt in full, its story, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QStackedWidget

from workbench.gui.completions.detail import Detail
from workbench.gui.completions.rows import Row
from workbench.gui.completions.story import Story
from workbench.gui.completions.table import CompletionsTable
from workbench.gui.widgets.controls import label
from workbench.store.store import Store


class Pages(QStackedWidget):
    """Shows one of them; Escape leads back to the table."""

    moved = Signal(int)  # to the next row (+1) or the previous (-1)
    tokens_wanted = Signal(int, int)  # cycle, prompt
    story_wanted = Signal()

    def __init__(self, store: Store, table: CompletionsTable) -> None:
        super().__init__()
        self.table = table
        self.detail, self.story = Detail(), Story(store)
        for page in (self.detail, self.story):
            page.closed.connect(self.leave)
            page.moved.connect(self.moved)
            page.tokens_wanted.connect(self.tokens_wanted)
        self.detail.story_wanted.connect(self.story_wanted)
        self._empty = label("", "muted", wrap=True)
        self._empty.setObjectName("completions_empty")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        for widget in (self._empty, table, self.detail, self.story):
            self.addWidget(widget)

    def say(self, why: str) -> None:
        """Say why there are no rows."""
        self._empty.setText(why)
        self.setCurrentWidget(self._empty)

    def show_rows(
        self, chosen: Row | None, shown: tuple[int, ...], run_id: int | None, cycles: Sequence[int]
    ) -> None:
        """Show rows again: the chosen one where it is read, else all of them."""
        page = self.currentWidget()
        if page is self.detail and chosen is not None:
            self.detail.show_row(chosen, shown)
        elif page is self.story and chosen is not None and run_id is not None:
            self.story.show_prompt(run_id, cycles, chosen)
        else:
            self.setCurrentWidget(self.table)

    def open_detail(self, row: Row, shown: tuple[int, ...]) -> None:
        """Show a row in full."""
        self.detail.show_row(row, shown)
        self.setCurrentWidget(self.detail)
        self.detail.take_focus()

    def open_story(self, row: Row, run_id: int, cycles: Sequence[int], cycle: int) -> None:
        """Show what became of a prompt, from ``cycle``."""
        self.story.show_prompt(run_id, cycles, row, cycle)
        self.setCurrentWidget(self.story)
        self.story.take_focus()

    def leave(self) -> None:
        """Go back to the table."""
        if self.currentWidget() in (self.detail, self.story):
            self.setCurrentWidget(self.table)
            self.table.setFocus()
