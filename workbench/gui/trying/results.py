"""The completions of a try: a row a prompt, a column a policy, filled while they are written."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QSize, QSizeF, Qt, Signal
from PySide6.QtGui import QResizeEvent, QTextCursor, QTextOption
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QTextEdit,
    QWidget,
)

from workbench.formatting import number
from workbench.gui.completions import completion_texts
from workbench.gui.completions.diff import marked_difference
from workbench.gui.completions.marks import fill
from workbench.gui.trying.record import Attempt, Column
from workbench.gui.widgets.controls import label, named, tool_button
from workbench.gui.widgets.icons import icon
from workbench.gui.widgets.layouts import STRETCH, hbox, vbox
from workbench.gui.widgets.plain_text import plain_tip, shortened
from workbench.gui.widgets.theme import themes

_NARROWEST = 120


class _Text(QTextEdit):
    """Text that can be selected, as high as it needs."""

    def __init__(self) -> None:
        super().__init__(readOnly=True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setTabChangesFocus(True)
        self.setMinimumWidth(_NARROWEST)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self._fit(self.document().size())

    def grow(self, text: str) -> None:
        """Show ``text``, of which the beginning usually stands here already."""
        shown = self.toPlainText()
        if text.startswith(shown):
            cursor = QTextCursor(self.document())
            cursor.movePosition(QTextCursor.MoveOperation.End)
            cursor.insertText(text[len(shown):])
        else:
            self.setPlainText(text)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Wrap anew, then be as high as that needs."""
        super().resizeEvent(event)
        self._fit(self.document().size())

    def _fit(self, size: QSizeF) -> None:
        around = self.contentsMargins()
        self.setFixedHeight(math.ceil(size.height()) + around.top() + around.bottom() + 10)


class _Cell(QWidget):
    """One completion and its numbers."""

    thumbed = Signal(bool)

    def __init__(self, name: str, title: str) -> None:
        super().__init__()
        self.text = named(_Text(), name, title,
                          "Words that differ from the first column are marked")
        self.facts = label("waits", "muted", wrap=True, rich=True, name=f"{name}_facts")
        self.facts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.facts.setToolTip(plain_tip(
            "Reward of the whole completion, and KL: how many nats likelier this policy finds "
            "it than the start policy does"))
        self.thumbs = {up: tool_button(
            "", f"{name}_{'up' if up else 'down'}", f"Thumbs {word} for {title}",
            f"Keep for what learns from single marks that this completion is {what}; once more "
            "takes it back", "mini", checkable=True)
            for up, word, what in ((True, "up", "good"), (False, "down", "bad"))}
        for up, button in self.thumbs.items():
            button.clicked.connect(lambda _=False, up=up: self.thumbed.emit(up))
            button.hide()
        vbox(self, self.text, hbox(None, (self.facts, 1), *self.thumbs.values(), spacing=2),
             STRETCH, spacing=2)

    def show_thumb(self, given: bool | None) -> None:
        """Offer thumbs, and show which is given; None: neither."""
        theme = themes().theme
        for up, button in self.thumbs.items():
            colour = (theme.good if up else theme.bad) if given is up else theme.muted
            button.setIcon(icon("thumb_up" if up else "thumb_down", colour))
            button.setChecked(given is up)
            button.show()


class Results(QScrollArea):
    """Shows one :class:`Attempt`; :meth:`refresh` follows its growth. ``thumbed`` carries a column,
    a row, and whether the thumb is up; ``thumb_of`` tells the person's on a completion of a
    prompt."""

    thumbed = Signal(int, int, bool)

    def __init__(self, thumb_of: Callable[[str, str], bool | None],
                 parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._thumb_of = thumb_of
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._attempt: Attempt | None = None
        self._titles: list[QLabel] = []
        self._problems: list[QLabel] = []
        self._cells: list[list[_Cell]] = []
        themes().changed.connect(self._redraw)
        self.show_attempt(None)

    def sizeHint(self) -> QSize:
        """High enough for a title, a prompt and two lines of what became of it."""
        return QSize(super().sizeHint().width(), self.fontMetrics().lineSpacing() * 6)

    def minimumSizeHint(self) -> QSize:
        """No lower than that: what is around it is scrolled instead."""
        return QSize(super().minimumSizeHint().width(), self.sizeHint().height())

    def show_attempt(self, attempt: Attempt | None) -> None:
        """Show a try from its beginning, or none."""
        self._attempt = attempt
        page = QWidget()
        grid = QGridLayout(page)
        grid.setContentsMargins(0, 0, 8, 0)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(2)
        self._titles, self._problems, self._cells = [], [], []
        if attempt is None:
            grid.addWidget(label("What each policy writes comes here.", "muted", wrap=True), 0, 0)
        else:
            self._build(grid, attempt)
        grid.setRowStretch(grid.rowCount(), 1)
        self.setWidget(page)  # the old one is deleted by Qt
        if attempt is not None:
            for index in range(len(attempt.columns)):
                self.refresh(index)

    def refresh(self, index: int) -> None:
        """Show what column ``index`` has by now."""
        attempt = self._attempt
        if attempt is None:
            return
        column = attempt.columns[index]
        mean = column.mean if len(attempt.command.prompts) > 1 else None
        self._titles[index].setText(
            column.label if mean is None else
            f"{column.label} · {number(mean)}")
        self._problems[index].setText(column.problem)
        self._problems[index].setVisible(bool(column.problem))
        for row, cell in enumerate(self._cells[index]):
            if column.completions:
                self._finish(cell, column, index, row)
            else:
                cell.text.grow(column.texts[row].lstrip(" "))
                cell.facts.setText(self._unfinished(column, row, attempt.over))
        if index == 0 and column.completions:
            for other in range(1, len(attempt.columns)):
                if attempt.columns[other].completions:
                    self.refresh(other)

    def end(self) -> None:
        """Say of what was not finished that it will not be."""
        if self._attempt is not None:
            for index in range(len(self._attempt.columns)):
                self.refresh(index)

    # -- inside

    def _build(self, grid: QGridLayout, attempt: Attempt) -> None:
        for index, column in enumerate(attempt.columns):
            title = label(column.label, "heading", wrap=True)
            problem = label("", "error", wrap=True)
            title.setToolTip(plain_tip(
                "Who completed the prompts; the mean reward where there are several"))
            for widget, name in ((title, "title"), (problem, "problem")):
                widget.setObjectName(f"try_{name}_{index}")
                widget.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
                widget.setMinimumWidth(_NARROWEST)
            grid.addWidget(title, 0, index)
            grid.addWidget(problem, 1, index, Qt.AlignmentFlag.AlignTop)
            grid.setColumnStretch(index, 1)
            self._titles.append(title)
            self._problems.append(problem)
            self._cells.append([])
        for row, prompt in enumerate(attempt.command.prompts):
            heading = label(
                shortened(prompt), "muted", wrap=True, name=f"try_prompt_{row}", title="Prompt")
            grid.addWidget(heading, 2 + 2 * row, 0, 1, max(1, len(attempt.columns)))
            for index, column in enumerate(attempt.columns):
                cell = _Cell(f"try_text_{index}_{row}",
                             f"{column.label}, completion of {shortened(prompt, 200)}")
                cell.thumbed.connect(partial(self.thumbed.emit, index, row))
                grid.addWidget(cell, 3 + 2 * row, index)
                self._cells[index].append(cell)
        settings = label(attempt.settings, "muted", wrap=True, name="try_settings")
        settings.setToolTip(plain_tip("How this try was sampled"))
        grid.addWidget(settings, grid.rowCount(), 0, 1, max(1, len(attempt.columns)))

    def _unfinished(self, column: Column, row: int, over: bool) -> str:
        if column.problem:
            return ""
        count = column.tokens[row]
        tokens = "1 token" if count == 1 else f"{count:,} tokens"
        if over:
            return f"{tokens}, stopped" if count else "stopped"
        return f"{tokens}…" if count else "waits"

    def _finish(self, cell: _Cell, column: Column, index: int, row: int) -> None:
        """Show a whole completion with what differs from the first column's."""
        assert self._attempt is not None
        columns = self._attempt.columns
        mine, first = column.completions[row], columns[0].completions
        text, facts = mine.text.lstrip(" "), html.escape(completion_texts.facts(mine))
        spans: tuple[tuple[int, int], ...] = ()
        if index and first:
            spans = marked_difference(first[row].text.lstrip(" "), text).inserted
            change = completion_texts.change(number(first[row].score), number(mine.score))
            facts = f"{completion_texts.coloured_change(change)} {facts}"
        elif not index and len(columns) == 2 and columns[1].completions:
            other = columns[1].completions[row].text.lstrip(" ")
            spans = marked_difference(text, other).deleted
        fill(cell.text, text, spans)
        cell.facts.setText(facts)
        cell.show_thumb(self._thumb_of(self._attempt.command.prompts[row], mine.text))
        if index == 1 and len(columns) == 2 and first:
            self._finish(self._cells[0][row], columns[0], 0, row)

    def _redraw(self) -> None:
        self.end()
