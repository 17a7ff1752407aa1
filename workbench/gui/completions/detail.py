"""One prompt's completions in full: the texts beside each other, scrolling together."""

from __future__ import annotations

import html

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QLabel, QSplitter, QTextEdit, QVBoxLayout, QWidget

from workbench.gui.completions import completion_texts
from workbench.gui.completions.cycles import LEAST, MOST
from workbench.gui.completions.diff import marked_difference
from workbench.gui.completions.heading import Heading
from workbench.gui.completions.marks import fill
from workbench.gui.completions.rows import Row, cycle_name
from workbench.gui.widgets.controls import label
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import themes


class Detail(QWidget):
    """Shows one row; the texts may be as long as they like."""

    closed = Signal()
    moved = Signal(int)  # to the next row (+1) or the previous (-1)
    tokens_wanted = Signal(int, int)  # cycle, prompt
    story_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: tuple[Row, tuple[int, ...]] | None = None
        self._scrolling = False
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        self._heading = Heading("detail")
        self._heading.closed.connect(self.closed)
        self._heading.moved.connect(self.moved)
        self._heading.tokens_wanted.connect(self._want_tokens)
        self._heading.add("story", "Story", "Play what became of this prompt, cycle by cycle"
                          ).clicked.connect(lambda: self.story_wanted.emit())
        layout.addWidget(self._heading)
        self._panes: list[tuple[QWidget, QLabel, QTextEdit]] = []
        panes = QSplitter(Qt.Orientation.Horizontal)
        panes.setChildrenCollapsible(False)
        for i in range(MOST):
            pane = QWidget()
            column = QVBoxLayout(pane)
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(4)
            title, text = label(role="muted", wrap=True, rich=True), QTextEdit()
            text.setReadOnly(True)
            text.setObjectName(f"detail_text_{i + 1}")
            text.setAccessibleName(f"Completion {i + 1}")
            text.setToolTip(plain_tip("All texts scroll together. Changed words are marked."))
            text.verticalScrollBar().valueChanged.connect(
                lambda _, text=text: self._scroll_alike(text))
            column.addWidget(title)
            column.addWidget(text, 1)
            panes.addWidget(pane)
            pane.installEventFilter(self)
            self._panes.append((pane, title, text))
        layout.addWidget(panes, 1)
        themes().changed.connect(self._repaint)

    def show_row(self, row: Row, cycles: tuple[int, ...]) -> None:
        """Show ``row``, whose completions are of ``cycles``."""
        same_prompt = self._shown is not None and self._shown[0].prompt == row.prompt
        places = [text.verticalScrollBar().value() for _, _, text in self._panes]
        self._shown = row, cycles
        self._heading.show_row(row)
        self._heading.set_cycle(self._cycle())
        # Without the space that joins it to the prompt, as in the table.
        written = [record.text.lstrip(" ") if record else "" for record in row.records]
        for i, (pane, title, text) in enumerate(self._panes):
            pane.setVisible(i < max(LEAST, len(cycles)))
            record = row.records[i] if i < len(row.records) else None
            if record is None:
                title.setText(cycle_name(cycles[i]).capitalize() if i < len(cycles)
                              else "The next cycle")
                text.clear()
                continue
            change = completion_texts.change_of(row) if i == len(cycles) - 1 else ""
            title.setText(
                f"{cycle_name(cycles[i]).capitalize()} · "
                f"{html.escape(completion_texts.facts(record))}"
                f"{f' {completion_texts.coloured_change(change)}' if change else ''}")
            beside = i - 1 if i else 1
            found = None if beside >= len(row.records) or row.records[beside] is None else (
                marked_difference(*(written[j] for j in sorted((i, beside)))))
            fill(text, written[i],
                 () if found is None else found.inserted if i else found.deleted)
        if same_prompt:  # a new cycle of what is being read: stay in place
            for (_, _, text), place in zip(self._panes, places, strict=True):
                text.verticalScrollBar().setValue(place)
        self._align()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the texts begin beside each other, also where a title takes two lines."""
        if event.type() == QEvent.Type.Resize:
            self._align()
        return False

    def _align(self) -> None:
        shown = [(pane, title) for pane, title, _ in self._panes if not pane.isHidden()]
        for _, title in shown:
            title.setMinimumHeight(0)  # else its hint is no less than what it was given before
        high = max((0, *(title.heightForWidth(pane.width()) for pane, title in shown)))
        for _, title in shown:
            title.setMinimumHeight(high)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape goes back; Alt with up and down goes through the rows, with right to the
        tokens."""
        if not self._heading.take_key(event):
            super().keyPressEvent(event)

    def take_focus(self) -> None:
        """Let the keyboard scroll the last text."""
        shown = [text for pane, _, text in self._panes if not pane.isHidden()]
        shown[-1].setFocus()

    def _scroll_alike(self, one: QTextEdit) -> None:
        """Scroll the others to the same share of their length."""
        if self._scrolling:
            return
        self._scrolling = True
        source = one.verticalScrollBar()
        share = source.value() / source.maximum() if source.maximum() else 0.0
        for _, _, other in self._panes:
            if other is not one:
                bar = other.verticalScrollBar()
                bar.setValue(round(share * bar.maximum()))
        self._scrolling = False

    def _cycle(self) -> int:
        """Return the last cycle that is shown of the prompt; 0 where that is the start policy."""
        if self._shown is None:
            return 0
        row, cycles = self._shown
        return max((c for c, r in zip(cycles, row.records, strict=True) if r), default=0)

    def _want_tokens(self) -> None:
        if self._shown and (cycle := self._cycle()):
            self.tokens_wanted.emit(cycle, self._shown[0].first.prompt)

    def _repaint(self) -> None:
        if self._shown:
            self.show_row(*self._shown)


