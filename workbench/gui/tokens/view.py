"""What a cycle learned from, token by token, as the run's algorithm has it shown."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QEvent, QObject, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtWidgets import QSplitter, QStackedWidget, QVBoxLayout, QWidget

from workbench.algorithm import Algorithm, Sides
from workbench.algorithms import algorithm_of_cycle, algorithm_of_run, default_algorithm
from workbench.formatting import counted, signed
from workbench.gui.completions.filter_field import FilterField
from workbench.gui.run_view import RunView, StoreView
from workbench.gui.tokens.controls import HIDDEN, WHOLE, WORDS, Controls
from workbench.gui.tokens.list import CompletionsList
from workbench.gui.tokens.steps import by_groups, most_telling
from workbench.gui.tokens.table import ColouredText, StepsModel, StepsTable, grounds
from workbench.gui.tokens.text_pair import TextPair
from workbench.gui.tokens.value_line import ValueLineChart
from workbench.gui.widgets.controls import label
from workbench.gui.widgets.form_scroll import FormScroll
from workbench.gui.widgets.still_label import StillLabel
from workbench.gui.widgets.theme import themes
from workbench.records import TokenTrace
from workbench.store.records import CompletionRecord, RunRecord, completion_of
from workbench.store.store import Store
from workbench.training.events import State

_KEPT_BY_DEFAULT = 10
_LOW = 22  # lines of text that line, text, what is said and a few rows of the table take
_NO_RUN = "Press Start: here every token that a cycle learned from shows {}."
_NO_CYCLE = "The tokens of the first cycle appear here when it has ended."
_NOT_KEPT = ("No tokens of this run were kept. Set Token details kept, under Run in "
             "Hyperparameters, above 0 before the next.")
_NO_VIEW = "{} tells nothing of single tokens; what it writes is in Completions."


class TokensView(RunView):
    """The completions of one cycle, best first; of the chosen one, every token.

    It follows the run until the person chooses a cycle, a completion or a token; what is being
    read then stays, also when the store keeps its cycle no longer. Reads the store only while it
    is on screen.
    """

    cycle_shown = Signal(int)
    place_shown = Signal(int, int, int, int)  # run, cycle, row in its batch, token

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__("tokens_view", store, parent)
        self.followed_by: list[StoreView] = []
        """Views of its token, for which it reads on while it is behind others itself."""
        self._kept: list[int] = []  # cycles whose tokens the store has
        self._shown_cycle: int | None = None
        self._traces: Mapping[int, TokenTrace] = {}  # of the cycle that is held
        self._in_hand = False  # whether that cycle is not complete
        self._wanted_prompt: int | None = None
        self._wanted_token: tuple[int, int] | None = None  # row in the batch, place in its text
        self._settings: Mapping[str, object] = {}
        self._algorithm = default_algorithm()
        self._records: Sequence[CompletionRecord] = ()  # of the cycle, best first
        self._groups: Mapping[int, int] = {}  # which each is of, by its row in the batch
        self._gained: dict[int, float] = {}  # the advantages that were asked for, likewise
        self._record: CompletionRecord | None = None
        self._partner: CompletionRecord | None = None  # which stands beside it
        self._partner_steps: Sequence[Any] = ()
        self._reads: tuple[int | None, int | None, int] | None = None
        self._build()
        self.earlier = self.controls.earlier
        self.earlier.read.connect(self.line.show_other)
        self._use(self._algorithm)
        themes().changed.connect(self._draw)
        self.load_now()

    # -- what the window tells

    def show_run(self, run_id: int | None) -> None:
        """Show a run's tokens, or none; follows its latest cycle. One that was chosen stays when
        the same run goes on, unless the run is back before it."""
        run = None if run_id is None else self.store.run(run_id)
        if run is None or run_id != self.run_id or (
                self.wanted is None or self.wanted > run.cycles):
            self.wanted = self._wanted_prompt = self._record = self._shown_cycle = None
            self._traces, self._wanted_token = {}, None
        self.run_id, self._kept = run_id, []
        if run is not None:
            self._use(algorithm_of_run(run))
        self.load_soon()

    def set_state(self, state: State) -> None:
        """Take note of what can be asked for."""
        self.earlier.set_state(state)

    def show_prompt(self, cycle: int, prompt: int) -> None:
        """Show what ``cycle`` learned from a prompt, where it drew it; else its best completion."""
        self.wanted, self._wanted_prompt = cycle, prompt
        self.load_now()

    def show_token(self, cycle: int, position: int, at: int) -> None:
        """Show a token of the completion in a row of the batch of ``cycle``."""
        self.wanted, self._wanted_token = cycle, (position, at)
        self.load_now()

    def save_state(self) -> dict[str, object]:
        """Return what the person chose."""
        return {"colour_by": self.controls.colour_by.currentText(),
                "line": self.controls.line.currentText()}

    def restore_state(self, state: dict[str, object]) -> None:
        """Choose as :meth:`save_state` told; what is unknown is left out."""
        for name, field in (("colour_by", self.controls.colour_by), ("line", self.controls.line)):
            if field.findText(str(state.get(name))) >= 0:
                field.setCurrentText(str(state[name]))

    # -- what the person does

    def is_seen(self) -> bool:
        """Whether it is on the screen, or a view that shows its token."""
        return super().is_seen() or any(view.is_seen() for view in self.followed_by)

    def catch_up(self) -> None:
        """Read what has come since it was read last."""
        if self._stale:
            self._read_soon()

    def follow(self, following: bool) -> None:
        """Show the latest cycle from now on, or stay with the one on display."""
        if following:
            self.wanted, self._traces = None, {}
            self.load_now()
        else:
            self._hold()

    # -- showing

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take note of how much room there is beside the list."""
        if event.type() == QEvent.Type.Resize:
            self._fit_line()
        return super().eventFilter(watched, event)

    def sizeHint(self) -> QSize:
        """Wide enough for a list and a table."""
        return QSize(720, 320)

    def load(self) -> None:
        """Read the tokens of the cycle wanted, unless one is being read, and show them."""
        run = None if self.run_id is None else self.store.run(self.run_id)
        view = self._algorithm.tokens
        kept = self._kept = [] if run is None or view is None else self._find_kept(run)
        if run is None or not (kept or self._traces):
            self._empty.setText(
                _NO_VIEW.format(self._algorithm.title) if view is None
                else _NO_RUN.format(view.help) if run is None else _NOT_KEPT if run.recorded
                else _NO_CYCLE if self.alive else self.why_no_cycle())
            self._pages.setCurrentWidget(self._empty)
            self.controls.setVisible(False)
            return
        # Of a cycle in hand more becomes known while it is read.
        reading = bool(self._traces) and self.wanted == self._shown_cycle and not self._in_hand
        wanted = self.wanted
        if wanted is not None and not reading and wanted not in kept:
            self.wanted = min(kept, key=lambda cycle: abs(cycle - wanted))
        cycle = kept[-1] if self.wanted is None else self.wanted
        cycles = kept if not reading or cycle in kept else sorted([*kept, cycle])
        self.controls.setVisible(True)
        self.controls.show_cycles(
            cycles, cycle, cycles[-1], self.wanted is None,
            wanted if wanted != self.wanted else None)
        anew = not reading or self._is_asked()
        if anew:
            self._settings = self.store.settings_after(run.id, cycle)
            algorithm = algorithm_of_cycle(run, cycle, self._settings)
            if algorithm is not self._algorithm:
                self._use(algorithm)
        view = self._algorithm.tokens
        if view is not None and view.line is not None and view.line.of_value_head:
            self.earlier.show_checkpoints([c.cycle for c in self.store.checkpoints.all(run.id)])
        if anew:
            if not reading:
                self._traces = {} if self.wanted is None else self._read_traces(run.id, cycle)
            self._show_completions(run.id, cycle)
        self._in_hand = cycle > run.cycles
        self._pages.setCurrentWidget(self._both)
        self.cycle_shown.emit(cycle)

    def _find_kept(self, run: RunRecord) -> list[int]:
        """Return the cycles whose tokens are kept. Of those that were found before, the store may
        since have dropped the last, as many as the run was ever to keep."""
        known = self._kept
        if not known or run.cycles < known[-1]:  # it was rolled back
            return self.store.traced_cycles(run.id)
        most = max(_whole(value) for value in (
            run.hyperparameters.get("keep_tokens"),
            *(c.new for c in self.store.changes(run.id) if c.name == "keep_tokens")))
        after = max(0, known[-1] - most)
        return known[: bisect_right(known, after)] + self.store.traced_cycles(run.id, after)

    def _use(self, algorithm: Algorithm) -> None:
        """Show tokens as the algorithm has them shown."""
        self._algorithm = algorithm
        columns = algorithm.tokens.columns if algorithm.tokens is not None else ()
        self.model.set_columns(columns)
        self.controls.set_columns(columns)
        line = algorithm.tokens.line if algorithm.tokens is not None else None
        self.controls.set_line(line)
        self.line.use(line)
        self._fit_line()

    def _fit_line(self) -> None:
        """Show as much of the value line as was chosen. Where there is little room it stands in
        place of the text, whose words it has."""
        chosen, view = self.controls.line.currentText(), self._algorithm.tokens
        shown = chosen != HIDDEN and view is not None and view.line is not None
        low = self._side.height() < _LOW * self.fontMetrics().lineSpacing()
        self.line.set_compact(low, self._side.height())
        self.line.set_whole(chosen == WHOLE)
        # Two texts side by side are what there is to see; the line is of one of them.
        beside = view is not None and view.sides is not None and len(view.sides.titles) > 1
        self.line.setVisible(shown and not (low and beside))
        for shown_text in (self.text, self.pair):
            shown_text.setVisible(beside or not (shown and low and chosen == WORDS))

    def _hold(self) -> None:
        """Stay with what is on display: somebody reads it."""
        if self.wanted is None and self._shown_cycle is not None and self.run_id is not None:
            self.wanted = self._shown_cycle
            self._traces = self._read_traces(self.run_id, self.wanted)
            self.controls.cycles.latest.setChecked(False)

    def _read_traces(self, run_id: int, cycle: int) -> dict[int, TokenTrace]:
        return {trace.position: trace for trace in self.store.traces(run_id, cycle)}

    def _read_records(self, run_id: int, cycle: int) -> list[CompletionRecord]:
        """Return what a cycle learned from whose tokens are kept."""
        sides = self._sides
        if sides is not None:
            traces = self._traces.values() or self.store.traces(run_id, cycle)
            return [completion_of(t, sides.title(t.position, t.numbers)) for t in traces]
        kept = set(self._traces or self.store.traced_positions(run_id, cycle))
        return [r for r in self.store.completions(run_id, cycle, "rollout") if r.position in kept]

    @property
    def _sides(self) -> Sides | None:
        return self._algorithm.tokens.sides if self._algorithm.tokens is not None else None

    def _show_completions(self, run_id: int, cycle: int) -> None:
        groups = by_groups(
            self._read_records(run_id, cycle), self._algorithm.tokens, self._settings)
        records = [record for members in groups for record in members]
        self._groups, self._gained = {
            r.position: group for group, members in enumerate(groups) for r in members}, {}
        wanted = next((r for r in records if self._is_wanted(r, cycle)), None)
        if self._is_asked() and wanted and not self.filter.filter.fits([wanted]):
            with QSignalBlocker(self.filter):
                self.filter.show_text("")  # it hides what was asked for
        token, self._wanted_token, self._wanted_prompt = self._wanted_token, None, None
        self._shown_cycle, self._records = cycle, records
        self._show_list(wanted)
        self._show_completion(self.list.record() or wanted)
        if token is not None and wanted is not None and token[1] < len(self.model.steps):
            self._choose_step(token[1])

    def _is_asked(self) -> bool:
        """Whether a prompt or a token is asked for."""
        return self._wanted_prompt is not None or self._wanted_token is not None

    def _filter(self) -> None:
        """List what fits; what is being read stays."""
        self._show_list(self._record)
        if self._record is None:
            self._show_completion(self.list.record())

    def _show_list(self, wanted: CompletionRecord | None) -> None:
        """List what fits the filter, and choose what is wanted if it is there, or else the best
        where nothing is wanted."""
        found = [r for r in self._records if self.filter.filter.fits([r])]
        places = {r.position: i for i, r in enumerate(found)}
        numbers = [self._groups[r.position] for r in found]
        together = len(set(self._groups.values())) < len(self._groups)
        firsts = {row for row, group in enumerate(numbers) if group not in numbers[:row][-1:]}
        sides = self._sides
        self.list.show_records(
            found, 0 if wanted is None else places.get(wanted.position, -1),
            firsts if together else None,
            self._find_gained if together and sides is None else None)
        if sides is not None:
            self._say_sides(sides, len(set(numbers)))
            self._none.setVisible(not found and bool(self._records))
            return
        many = "1 completion" if len(self._records) == 1 else f"{len(self._records):,} completions"
        scored = any(math.isfinite(r.score) for r in self._records)
        order = "best first" if scored else "in the order written"
        if together:
            order = f"siblings together, {order}"
        self.controls.count.setText(
            f"{len(found):,} of {many}" if self.filter.filter else f"{many}, {order}")
        self._none.setVisible(not found and bool(self._records))

    def _say_sides(self, sides: Sides, shown: int) -> None:
        many = len(set(self._groups.values()))
        there = f"{counted(many, sides.many.removesuffix('s'))}, {sides.order}"
        self.controls.count.setText(f"{shown:,} of {there}" if self.filter.filter else there)

    def _find_gained(self, record: CompletionRecord) -> float:
        """Return the advantage of one that has siblings."""
        if record.position not in self._gained:
            siblings = self._algorithm.tokens.siblings if self._algorithm.tokens else None
            steps = self._read_steps(record)
            self._gained[record.position] = (
                siblings.advantage(steps) if siblings is not None and steps else math.nan)
        return self._gained[record.position]

    def _read_steps(self, record: CompletionRecord) -> Sequence[Any]:
        """Return the steps of a completion of the cycle on display; none where they are not
        kept."""
        view = self._algorithm.tokens
        if view is None or self.run_id is None or self._shown_cycle is None:
            return ()
        trace = self._traces.get(record.position) or self.store.trace(
            self.run_id, self._shown_cycle, record.position)
        if trace is None:
            return ()
        numbers = {name: [float(x) for x in column] for name, column in trace.numbers.items()}
        steps = view.read(trace.pieces, numbers, record.score, self._settings)
        if view.others is not None and trace.likeliest is not None:
            steps = view.others(steps, trace.likeliest)
        return steps

    def _is_wanted(self, record: CompletionRecord, cycle: int) -> bool:
        """Whether a completion is of the prompt asked for, or the one that is being read."""
        if self._wanted_token is not None:
            return record.position == self._wanted_token[0]
        if self._wanted_prompt is not None:
            return record.prompt == self._wanted_prompt
        return (self._record is not None and cycle == self._shown_cycle
                and record.position == self._record.position)

    def _choose_completion(self) -> None:
        self._hold()
        self._show_completion(self.list.record())

    def _show_completion(self, record: CompletionRecord | None) -> None:
        run_id = self.run_id
        self._record = record
        view = self._algorithm.tokens
        row = self.table.currentIndex().row()
        steps: Sequence[Any] = () if record is None else self._read_steps(record)
        with QSignalBlocker(self.table):  # a shorter one takes the row away that was chosen
            self.model.show_steps(steps)
        self._show_beside(record)
        self._colour()
        self.earlier.show_completion(
            None if record is None or run_id is None or self._shown_cycle is None or not steps
            else (run_id, self._shown_cycle, record.position))
        best = most_telling(steps, view) if view is not None else -1
        reads = None if record is None else (run_id, self._shown_cycle, record.position)
        if reads == self._reads and 0 <= row < len(steps):
            best = row  # the token that is chosen stays when more of it becomes known
        if reads != self._reads:
            self._side.verticalScrollBar().setValue(0)  # its line comes first
        self._reads = reads
        self._show_step(best)
        self.table.fit()
        with QSignalBlocker(self.table):
            self.table.setCurrentIndex(self.model.index(best, 0))

    def _show_beside(self, record: CompletionRecord | None) -> None:
        """Show the completion that stands beside another, where there is one: in the order of the
        pair, so that the two change places rather than what is on the left and on the right."""
        sides = self._sides
        self._partner, self._partner_steps = None, ()
        if sides is not None and record is not None:
            place, many = record.position % len(sides.titles), len(sides.titles)
            self._partner = next((r for r in self._records if r.position != record.position
                                  and r.position // many == record.position // many), None)
            self.pair.show_titles(
                self._say_side(sides, record), "" if self._partner is None
                else self._say_side(sides, self._partner), first=place == 0)
        if self._partner is not None:
            self._partner_steps = self._read_steps(self._partner)
        self.pair.show_beside(self._partner is not None)

    def _say_side(self, sides: Sides, record: CompletionRecord) -> str:
        title = record.title.capitalize()
        return (f"{title}: {sides.worth} {signed(record.score)}"
                if math.isfinite(record.score) else title)

    def _choose_beside(self, row: int) -> None:
        """Go to a token of the completion that stands beside the one on display."""
        self._hold()
        partner = self._partner
        if partner is not None:
            self._show_list(partner)
            self._show_completion(partner)
            self._choose_step(row)

    def _show_step(self, row: int) -> None:
        if row >= 0 and self._record and self.run_id and self._shown_cycle:
            self.place_shown.emit(self.run_id, self._shown_cycle, self._record.position, row)
        there, view = 0 <= row < len(self.model.steps), self._algorithm.tokens
        self._said.setText(view.say(self.model.steps[row], self._settings)
                           if there and view is not None else "")
        self.text.mark(row)
        self.line.mark(row)

    def _hover_step(self, row: int) -> None:
        for shown in (self.line, self.text, self.table):
            shown.hover(row)

    def _choose_step(self, row: int) -> None:
        self._hold()
        self._show_step(row)
        with QSignalBlocker(self.table):
            self.table.setCurrentIndex(self.model.index(row, 0))

    def _draw(self) -> None:
        """Colour the text anew; the chosen token stays."""
        self._colour()
        for shown in (self.text, self.line):
            shown.mark(self.table.currentIndex().row())

    def _colour(self) -> None:
        prompt = self._record.prompt_text if self._record else ""
        steps, column = self.model.steps, self.controls.column()
        self.text.show_steps(prompt, steps, column)
        if self._partner is not None:
            self.pair.beside.show_steps(prompt, self._partner_steps, column)
        self.line.show_steps(prompt, steps, grounds(steps, column))
        self.controls.draw_legend()

    # -- making it

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        self.controls = Controls()
        self.controls.cycles.picked.connect(self.choose_cycle)
        self.controls.cycles.following.connect(self.follow)
        self.controls.recoloured.connect(self._draw)
        self.controls.line_changed.connect(self._fit_line)
        layout.addWidget(self.controls)
        self.list = CompletionsList()
        self.list.chosen.connect(self._choose_completion)
        self.list.clicked.connect(lambda _: self._hold())
        self.filter = FilterField("tokens_filter", self)
        self.filter.filtered.connect(self._filter)
        self._none = label("No completion of this cycle fits the filter.", "muted", wrap=True)
        self._none.setObjectName("tokens_none")
        self._none.hide()
        left = QWidget()
        listed = QVBoxLayout(left)
        listed.setContentsMargins(0, 0, 0, 0)
        listed.setSpacing(4)
        for widget in (self.filter, self._none, self.list):
            listed.addWidget(widget)
        self.line = ValueLineChart()
        self.text = ColouredText()
        self.pair = TextPair(self.text)
        self.pair.beside.chosen.connect(self._choose_beside)
        self._said = label(wrap=True, rich=True)
        self._said.setObjectName("tokens_said")
        self._said.setAccessibleName("The chosen token in words")
        self._said.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.model = StepsModel(self)
        self.table = StepsTable(self.model)
        for shown in (self.line, self.text, self.table):
            shown.chosen.connect(self._choose_step)
            shown.hovered.connect(self._hover_step)
        self.table.clicked.connect(lambda _: self._hold())
        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.line)
        column.addWidget(self.pair)
        column.addWidget(StillLabel(self._said))
        column.addWidget(self.table, 1)
        self._both = QSplitter(Qt.Orientation.Horizontal)
        self._both.setChildrenCollapsible(False)
        self._both.setHandleWidth(8)
        self._both.addWidget(left)
        # On a small screen what is said of a token is scrolled, rather than cut by the table.
        self._side = FormScroll(side)
        self._side.installEventFilter(self)
        self._both.addWidget(self._side)
        self._both.setStretchFactor(0, 1)
        self._both.setStretchFactor(1, 3)
        self._both.setSizes([135, 585])
        self._empty = label("", "muted", wrap=True)
        self._empty.setObjectName("tokens_empty")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._pages = QStackedWidget()
        for page in (self._empty, self._both):
            self._pages.addWidget(page)
        layout.addWidget(self._pages, 1)


def _whole(value: object) -> int:
    return value if isinstance(value, int) else _KEPT_BY_DEFAULT
