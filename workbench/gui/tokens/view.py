"""What a cycle learned from, token by token: value, advantage, clip, KL and entropy at work."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QSignalBlocker, QSize, Qt, QTimer
from PySide6.QtGui import QFont, QPaintEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)
from superqt import QFlowLayout

from workbench.gui.controls import label, named, tool_button
from workbench.gui.theme import themes
from workbench.gui.tokens.steps import COLUMNS, Column, most_telling, read_steps, say, summary
from workbench.gui.tokens.table import ColouredText, StepsModel, StepsTable
from workbench.store.records import CompletionRecord
from workbench.store.store import Store

_RELOAD_MS = 60
_NO_RUN = ("Press Start: here every token that a cycle learned from shows the value head's "
           "estimate, its advantage and what the update made of it.")
_NO_CYCLE = "The tokens of the first cycle appear here when it has ended."
_NOT_KEPT = ("No tokens of this run were kept. Set Cycles kept by token, under Run in "
             "Hyperparameters, above 0 before the next.")


class TokensView(QWidget):
    """The completions of one cycle, best first; of the chosen one, every token.

    Reads the store only while it is on screen.
    """

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("tokens_view")
        self._store = store
        self._run_id: int | None = None
        self._cycles: list[int] = []
        self._cycle: int | None = None  # None: the latest
        self._wanted_prompt: int | None = None
        self._settings: Mapping[str, object] = {}
        self._record: CompletionRecord | None = None
        self._shown_cycle: int | None = None
        self._stale = True
        self._build()
        # Several cycles may end within a moment; only the last is worth reading.
        self._reload = QTimer(self, singleShot=True, interval=_RELOAD_MS)
        self._reload.timeout.connect(self._load)
        themes().changed.connect(self._draw)
        self._load()

    # -- what the window tells

    def show_run(self, run_id: int | None) -> None:
        """Show a run's tokens, or none; follows its latest cycle."""
        self._run_id, self._cycle, self._wanted_prompt = run_id, None, None
        self._record = None
        self._load_soon()

    def cycle_available(self, run_id: int) -> None:
        """Take note that a cycle has ended; ignored for another run."""
        if run_id == self._run_id:
            self._load_soon()

    def show_prompt(self, cycle: int, prompt: int) -> None:
        """Show what ``cycle`` learned from a prompt, where it drew it; else its best completion."""
        self._cycle, self._wanted_prompt = cycle, prompt
        self._load()

    def save_state(self) -> dict[str, object]:
        """Return what the person chose."""
        return {"colour_by": self.colour_by.currentText()}

    def restore_state(self, state: dict[str, object]) -> None:
        """Choose as :meth:`save_state` told; what is unknown is left out."""
        if state.get("colour_by") in [column.title for column in COLUMNS]:
            self.colour_by.setCurrentText(str(state["colour_by"]))

    # -- what the person does

    def choose_cycle(self, cycle: int) -> None:
        """Show a cycle; the latest one is followed."""
        self._cycle = None if self._cycles and cycle == self._cycles[-1] else cycle
        self._load()

    def step(self, by: int) -> None:
        """Show the next cycle (+1) or the previous one (-1)."""
        row = self.cycle.currentIndex() + by
        if 0 <= row < len(self._cycles):
            self.choose_cycle(self._cycles[row])

    # -- showing

    def paintEvent(self, event: QPaintEvent) -> None:
        """Read what has come while the view was behind others."""
        super().paintEvent(event)
        if self._stale:
            self._reload.start()

    def sizeHint(self) -> QSize:
        """Wide enough for a list and a table."""
        return QSize(720, 320)

    def _load_soon(self) -> None:
        self._stale = True
        if not self.visibleRegion().isEmpty():
            self._reload.start()

    def _load(self) -> None:
        self._reload.stop()
        self._stale = False
        run = None if self._run_id is None else self._store.run(self._run_id)
        self._cycles = [] if run is None else self._store.traced_cycles(run.id)
        if run is None or not self._cycles:
            self._empty.setText(_NO_RUN if run is None else _NO_CYCLE if not run.cycles
                                else _NOT_KEPT)
            self._pages.setCurrentWidget(self._empty)
            self._controls.setVisible(False)
            return
        cycle = self._cycle if self._cycle in self._cycles else self._cycles[-1]
        self._controls.setVisible(True)
        self._show_cycles(cycle)
        self._settings = self._store.settings_after(run.id, cycle)
        self._show_completions(run.id, cycle)
        self._pages.setCurrentWidget(self._both)

    def _show_cycles(self, cycle: int) -> None:
        with QSignalBlocker(self.cycle):
            if [self.cycle.itemData(i) for i in range(self.cycle.count())] != self._cycles:
                self.cycle.clear()
                for number in self._cycles:
                    self.cycle.addItem(f"cycle {number:,}", number)
            self.cycle.setCurrentIndex(self._cycles.index(cycle))
        self.previous.setEnabled(self.cycle.currentIndex() > 0)
        self.next.setEnabled(self.cycle.currentIndex() < len(self._cycles) - 1)

    def _show_completions(self, run_id: int, cycle: int) -> None:
        kept = set(self._store.traced_positions(run_id, cycle))
        records = sorted((r for r in self._store.completions(run_id, cycle, "rollout")
                          if r.position in kept), key=lambda r: -r.score)
        chosen = next((i for i, r in enumerate(records) if self._is_wanted(r, cycle)), 0)
        self._wanted_prompt, self._shown_cycle = None, cycle
        self._count.setText(f"{len(records):,} completions, best first")
        with QSignalBlocker(self.list):
            self.list.clear()
            for record in records:
                item = QListWidgetItem(summary(record))
                item.setData(Qt.ItemDataRole.UserRole, record)
                self.list.addItem(item)
            self.list.setCurrentRow(chosen)
        self._show_completion()

    def _is_wanted(self, record: CompletionRecord, cycle: int) -> bool:
        """Whether a completion is of the prompt asked for, or the one that is being read."""
        if self._wanted_prompt is not None:
            return record.prompt == self._wanted_prompt
        return (self._record is not None and cycle == self._shown_cycle
                and record.position == self._record.position)

    def _show_completion(self) -> None:
        item, run_id = self.list.currentItem(), self._run_id
        record = self._record = item.data(Qt.ItemDataRole.UserRole) if item else None
        trace = None
        if record is not None and run_id is not None:
            trace = self._store.trace(run_id, self.cycle.currentData(), record.position)
        clip = self._settings.get("cliprange", 0.2)
        assert isinstance(clip, float)
        self.model.show_steps(() if trace is None or record is None else
                              read_steps(trace, record.score, clip))
        self._draw()
        steps = self.model.steps
        best = most_telling(steps)
        self._show_step(best)
        self.table.fit()
        self.table.setCurrentIndex(self.model.index(best, 0))

    def _show_step(self, row: int) -> None:
        there = 0 <= row < len(self.model.steps)
        self._said.setText(say(self.model.steps[row], self._settings) if there else "")
        self.text.mark(row)

    def _choose_step(self, row: int) -> None:
        self.table.setCurrentIndex(self.model.index(row, 0))

    def _draw(self) -> None:
        """Colour the text anew."""
        prompt = self._record.prompt_text if self._record else ""
        self.text.show_steps(prompt, self.model.steps, self._column())
        self.text.mark(self.table.currentIndex().row())
        theme = themes().theme
        self._legend.setText(
            f"<span style='background: {theme.insert}'>&nbsp;above 0&nbsp;</span> "
            f"<span style='background: {theme.delete}'>&nbsp;below 0&nbsp;</span>")
        self._legend.setVisible(self._column().signed)

    def _column(self) -> Column:
        return COLUMNS[max(0, self.colour_by.currentIndex())]

    # -- making it

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        self._controls = self._make_controls()
        layout.addWidget(self._controls)
        self.list = named(QListWidget(), "tokens_completions", "Completions of the cycle", "")
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        font = self.list.font()
        font.setFeature(QFont.Tag("tnum"), 1)
        self.list.setFont(font)
        self.list.setMinimumWidth(90)
        self.list.setSpacing(1)
        self.list.currentRowChanged.connect(lambda _: self._show_completion())
        self.text = ColouredText()
        self.text.chosen.connect(self._choose_step)
        self._said = label("", wrap=True)
        self._said.setObjectName("tokens_said")
        self._said.setAccessibleName("The chosen token in words")
        self._said.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.model = StepsModel(self)
        self.table = StepsTable(self.model)
        self.table.chosen.connect(self._show_step)
        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.text)
        column.addWidget(self._said)
        column.addWidget(self.table, 1)
        self._both = QSplitter(Qt.Orientation.Horizontal)
        self._both.setChildrenCollapsible(False)
        self._both.setHandleWidth(8)
        self._both.addWidget(self.list)
        self._both.addWidget(side)
        self._both.setStretchFactor(0, 1)
        self._both.setStretchFactor(1, 3)
        self._both.setSizes([180, 540])
        self._empty = label("", "muted", wrap=True)
        self._empty.setObjectName("tokens_empty")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._pages = QStackedWidget()
        for page in (self._empty, self._both):
            self._pages.addWidget(page)
        layout.addWidget(self._pages, 1)

    def _make_controls(self) -> QWidget:
        box = QWidget()
        flow = QFlowLayout(box)
        flow.setContentsMargins(0, 0, 0, 0)
        flow.setHorizontalSpacing(12)
        flow.setVerticalSpacing(4)
        self.previous = tool_button("‹", "tokens_previous", "Previous cycle",
                                    "The cycle before", role="compact")
        self.next = tool_button("›", "tokens_next", "Next cycle", "The cycle after",
                                role="compact")
        self.previous.clicked.connect(lambda: self.step(-1))
        self.next.clicked.connect(lambda: self.step(1))
        self.cycle = named(QComboBox(), "tokens_cycle", "Cycle",
                           "The cycle that learned from these completions")
        self.colour_by = named(QComboBox(), "tokens_colour", "Colour by",
                               "Which number colours the text")
        for i, column in enumerate(COLUMNS):
            self.colour_by.addItem(column.title)
            self.colour_by.setItemData(i, column.tip, Qt.ItemDataRole.ToolTipRole)
        for combo in (self.cycle, self.colour_by):
            combo.setProperty("role", "compact")
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.cycle.currentIndexChanged.connect(
            lambda _: self.choose_cycle(self.cycle.currentData()))
        self.colour_by.currentIndexChanged.connect(lambda _: self._draw())
        title = label("Colour by")
        title.setBuddy(self.colour_by)
        self._legend = label()
        self._legend.setToolTip("A stronger colour: further from 0. Below 0 is dotted too")
        self._count = label("", "muted")
        self._count.setToolTip("What the cycle learned from. The completions compared in "
                               "Completions are written apart, and learned from by none")
        height = max(w.sizeHint().height() for w in (self.previous, self.cycle))
        for widgets in ((self.previous, self.cycle, self.next),
                        (title, self.colour_by, self._legend), (self._count,)):
            group = QWidget()
            row = QHBoxLayout(group)
            row.setContentsMargins(0, 0, 0, 0)
            row.setSpacing(4)
            for widget in widgets:
                row.addWidget(widget)
            group.setMinimumHeight(height)
            flow.addWidget(group)
        return box
