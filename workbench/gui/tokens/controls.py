"""The row of controls above the tokens: which cycle, and which number colours the text."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QWidget
from superqt import QFlowLayout

from workbench.algorithm import TokenColumn, ValueLine
from workbench.gui.tokens.earlier_head import EarlierHead
from workbench.gui.widgets.controls import label, named, tool_button
from workbench.gui.widgets.cycle_controls import CycleControls
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import themes

WORDS, WHOLE, HIDDEN = "With words", "Whole", "Hidden"
_LINE = ((WORDS, "Every word stands under the line; a long one is scrolled"),
         (WHOLE, "The whole line at once; the word under the pointer stands below it"),
         (HIDDEN, "No line: more room for the table"))


class Controls(QWidget):
    """Emits what the person chooses; :meth:`show_cycles` keeps it in step."""

    recoloured = Signal()
    line_changed = Signal()  # how much of the value line is shown

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._columns: tuple[TokenColumn, ...] = ()
        self._flow = QFlowLayout(self)
        self._flow.setContentsMargins(0, 0, 0, 0)
        self._flow.setHorizontalSpacing(12)
        self._flow.setVerticalSpacing(4)
        self.cycles = CycleControls(
            "tokens", "The cycle that learned from these completions",
            "Choosing a completion, a token or a cycle lets go of it",
            "No earlier cycle's tokens are kept.")
        self._make_colours()
        self._make_line()
        self.earlier = EarlierHead()
        self._earlier_title = label("beside it")
        self._earlier_title.setBuddy(self.earlier)
        self.count = label("", "muted")
        self.count.setToolTip(plain_tip("What the cycle learned from. The completions compared in "
                              "Completions are written apart, and learned from by none"))
        self.notice = label("", "muted")
        self.notice.setObjectName("tokens_notice")
        self.news = tool_button("", "tokens_news", "Show the latest cycle",
                                "Show the latest cycle, and follow the run again", role="flat")
        self.news.clicked.connect(lambda: self.cycles.following.emit(True))
        height = self.cycles.sizeHint().height()
        for widgets in ((self.cycles, self.news),
                        (self._title, self.colour_by, self._legend),
                        (self._line_title, self.line, self._earlier_title, self.earlier),
                        (self.count, self.notice)):
            group = QWidget()
            row = QHBoxLayout(group)
            row.setContentsMargins(0, 0, 0, 0)
            row.setSpacing(4)
            for widget in widgets:
                row.addWidget(widget)
            group.setMinimumHeight(height)
            self._flow.addWidget(group)
        self.news.hide()
        self.draw_legend()

    def show_cycles(
        self, cycles: Sequence[int], shown: int, latest: int, following: bool,
        not_kept: int | None = None,
    ) -> None:
        """Offer ``cycles``, of which ``shown`` is on display; ``latest`` is the run's last one
        and ``not_kept`` one that was asked for in vain."""
        self.cycles.show_cycles(cycles, shown, following)
        self.news.setText(f"cycle {latest:,} is there")
        self.news.setVisible(not following and latest > shown)
        self.notice.setText("" if not_kept is None else
                            f"Tokens of cycle {not_kept:,} were not kept")
        self.notice.setVisible(not_kept is not None)

    def set_columns(self, columns: Sequence[TokenColumn]) -> None:
        """Offer these numbers as colours; the one that was chosen stays where it is among them."""
        if tuple(columns) == self._columns:
            return
        self._columns = tuple(columns)
        chosen = self.colour_by.currentText()
        with QSignalBlocker(self.colour_by):
            self.colour_by.clear()
            for i, column in enumerate(columns):
                self.colour_by.addItem(column.title)
                self.colour_by.setItemData(i, plain_tip(column.help), Qt.ItemDataRole.ToolTipRole)
            self.colour_by.setCurrentIndex(max(0, self.colour_by.findText(chosen)))
        self.draw_legend()

    def set_line(self, line: ValueLine | None) -> None:
        """Offer this line, or none."""
        self._line_title.setText(line.title if line else "")
        self.line.setAccessibleName(line.title if line else "")
        for widget in (self._line_title, self.line):
            widget.setVisible(line is not None)
        for widget in (self._earlier_title, self.earlier):
            widget.setVisible(line is not None and line.of_value_head)
        if line is None or not line.of_value_head:
            self.earlier.setCurrentIndex(0)
            self.earlier.show_checkpoints([])

    def column(self) -> TokenColumn | None:
        """Return the number that colours the text; None where there is none."""
        return self._columns[max(0, self.colour_by.currentIndex())] if self._columns else None

    def draw_legend(self) -> None:
        """Say what the colours mean."""
        theme = themes().theme
        self._legend.setText(
            f"<span style='background: {theme.better}'>&nbsp;&gt;&nbsp;0&nbsp;</span> "
            f"<span style='background: {theme.worse}'>&nbsp;&lt;&nbsp;0&nbsp;</span>")
        column = self.column()
        self._legend.setVisible(column is not None and column.signed)

    def _make_line(self) -> None:
        self.line = named(QComboBox(), "tokens_line_shown", "Value line",
                          "How much of the line is shown")
        self.line.setProperty("role", "compact")
        for i, (choice, tip) in enumerate(_LINE):
            self.line.addItem(choice)
            self.line.setItemData(i, plain_tip(tip), Qt.ItemDataRole.ToolTipRole)
        self.line.currentIndexChanged.connect(lambda _: self.line_changed.emit())
        self._line_title = label("Value line")
        self._line_title.setBuddy(self.line)

    def _make_colours(self) -> None:
        self.colour_by = named(QComboBox(), "tokens_colour", "Colour by",
                               "Which number colours the text")
        self.colour_by.setProperty("role", "compact")
        self.colour_by.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.colour_by.currentIndexChanged.connect(lambda _: self.recoloured.emit())
        self._title = label("Colour by")
        self._title.setBuddy(self.colour_by)
        self._legend = label(rich=True)
        self._legend.setToolTip(plain_tip(
            "The stronger the colour, the further the number is from 0. A dotted line under a "
            "token says that its number is below 0"))
