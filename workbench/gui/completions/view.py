"""Compares the compared prompts' completions of two to four cycles."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from workbench.gui.completions import completion_texts
from workbench.gui.completions.controls import Controls
from workbench.gui.completions.cycles import ComparedCycles, Mode
from workbench.gui.completions.headline import headline
from workbench.gui.completions.model import SORTS, CompletionsModel, CompletionsProxy
from workbench.gui.completions.pages import Pages
from workbench.gui.completions.row_actions import Chosen, RowActions
from workbench.gui.completions.rows import Row, Shown, line_up
from workbench.gui.completions.table import CompletionsTable
from workbench.gui.run_view import why_no_cycle
from workbench.gui.settings import integers
from workbench.gui.thumbs import Thumbs
from workbench.gui.widgets.controls import label
from workbench.gui.widgets.dialog import choose_new_file
from workbench.gui.widgets.still_label import StillLabel
from workbench.gui.widgets.theme import themes
from workbench.store.judged import Thumb
from workbench.store.pairs_to_judge import side_of
from workbench.store.records import LIVE, CompletionRecord, Prompt
from workbench.store.store import Store

_RELOAD_MS = 60
_NO_RUN = ("Press Start: the completions of your prompts appear here, before and after each "
           "cycle.")
_NO_CYCLE = "The start policy is writing its completions: they appear here first."
_ENDED = "No completions of this run were compared."
_NONE_FITS = "No prompt fits the filter. Clear it (Escape in its field) to see all {:,}."


class CompletionsView(QWidget):
    """The compared prompts as a table: a completion a cycle beside each other, with what changed.

    Which cycles is :class:`ComparedCycles`. While a run goes on its latest cycles are followed
    unless the person says otherwise; of one that has ended the start and the end tell most. What
    is read stays in place as cycles come. What comes while the view is behind others is read when
    it is on screen again.
    """

    message = Signal(str, str)
    saved = Signal(object, str)
    tokens_wanted = Signal(int, int)  # cycle, prompt
    paths_wanted = Signal(int, int)  # cycle, prompt
    try_wanted = Signal(str)
    pin_wanted = Signal(str, bool)
    cycle_chosen = Signal(int)  # the person has gone to this cycle here

    def __init__(self, store: Store, prompts: Callable[[], Sequence[Prompt]] = tuple,
                 parent: QWidget | None = None, thumbs: Thumbs | None = None) -> None:
        """``prompts`` gives what the table of prompts holds, which says what is pinned; ``thumbs``
        are those of the person."""
        super().__init__(parent)
        self.setObjectName("completions_view")
        self._store, self._prompts, self._thumbs = store, prompts, thumbs
        self._run_id: int | None = None
        self._cycles: list[int] = []
        self._alive = True
        self._pinned: dict[str, bool] = {}  # when the run began
        self._pins = {prompt.text: prompt.pinned for prompt in prompts()}  # as Prompts has them
        self._forked_after: int | None = None
        self.compared = ComparedCycles()
        self._live = True
        self._stale = False
        self._build()
        # Several cycles may end within a moment; only the last is worth reading.
        self._reload = QTimer(self, singleShot=True, interval=_RELOAD_MS)
        self._reload.timeout.connect(self._load)
        self._load()

    # -- what the window tells

    def show_run(self, run_id: int | None) -> None:
        """Show a run's completions, or none: its latest cycles, or its start and its end. Those
        that were chosen stay when the same run goes on, as long as it has them."""
        another = run_id != self._run_id
        self._run_id = run_id
        self._cycles = [] if run_id is None else self._store.compared_cycles(run_id)
        self._pinned = {} if run_id is None else {
            p.text: p.pinned for p in self._store.run_prompts(run_id)}
        run = None if run_id is None else self._store.run(run_id)
        self._forked_after = run.parent_cycle if run and run.parent else None
        self._live = run is None or run.status in LIVE
        compared = self.compared
        if another or compared.mode != "chosen" or not compared.all_there(self._cycles):
            compared.mode = compared.followed if self._live else "start"
        if another:
            self.pages.leave()
        self._load(anew=another)

    def cycle_available(self, run_id: int, cycle: int) -> None:
        """Take note that a comparison is in the store; ignored for another run."""
        if run_id != self._run_id:
            return
        # A run that was rolled back writes a cycle anew; what followed is gone.
        del self._cycles[bisect_left(self._cycles, cycle):]
        self._cycles.append(cycle)
        self._load_soon()

    def set_alive(self, alive: bool) -> None:
        """Say whether the run on display is alive, so that completions are on their way."""
        if alive != self._alive:
            self._alive = alive
            if not self.shown.rows:
                self._read_soon()

    def run_ended(self, run_id: int) -> None:
        """Show start against end, if the latest cycles of this run were followed until now."""
        if run_id == self._run_id and self.compared.mode == "latest":
            self.compared.mode = "start"
            self._load_soon()

    def show_cycle(self, cycle: int) -> None:
        """Compare ``cycle`` of the run on display, or the nearest compared one before it, with
        the one before that, or with the start policy where that is compared."""
        place = bisect_right(self._cycles, cycle) - 1
        if place < 0 or len(self._cycles) < 2:
            return
        place = max(1, place)
        before = 0 if self.compared.mode == "start" else place - 1
        self.compared.choose((self._cycles[before], self._cycles[place]))
        if self.visibleRegion().isEmpty():
            self._stale = True
        else:
            self._load()

    def show_pins(self) -> None:
        """Take note of which prompts are pinned in Prompts."""
        pins = {prompt.text: prompt.pinned for prompt in self._prompts()}
        if pins != self._pins:
            self._pins = pins
            self._load_soon()

    def save_state(self) -> dict[str, object]:
        """Return what the person chose."""
        column, descending = self.table.sorting()
        name = next((name for name, c in SORTS.items() if c == column), "Prompt")
        return {"mode": self.compared.followed, "held": list(self.compared.held), "sort": name,
                "descending": descending}

    def restore_state(self, state: dict[str, object]) -> None:
        """Choose as :meth:`save_state` told; what is unknown is left out."""
        if state.get("sort") in SORTS:
            self.table.sort_by(SORTS[str(state["sort"])], state.get("descending") is True)
        self.compared.held = tuple(sorted(set(integers(state, "held"))))
        if state.get("mode") in ("latest", "start"):
            self.compared.followed = "start" if state["mode"] == "start" else "latest"
            self.compared.mode = self.compared.followed if self._live else "start"
        self._load()

    # -- what the person does

    @property
    def shown(self) -> Shown:
        """What is on display."""
        return self._model.shown

    def follow(self, mode: Mode) -> None:
        """Compare the "latest" cycle with the one before it or with the "start" from now on."""
        self.compared.follow(mode)
        self._load()

    def choose(self, *cycles: int) -> None:
        """Compare these cycles until told otherwise."""
        self.compared.choose(cycles)
        self._load()

    def select_prompt(self, prompt: int) -> None:
        """Go to the row of a prompt, by its number among those of the run."""
        if self.controls.filter.filter:
            self.controls.filter.show_text("")  # it may hide it
        place = next((i for i, row in enumerate(self.rows()) if row.first.prompt == prompt), None)
        if place is not None:
            self.pages.leave()
            self.table.go_to(place)

    def step(self, by: int) -> None:
        """Move all cycles on or back by one comparison."""
        places = [self._cycles.index(c) + by for c in self.shown.cycles if c in self._cycles]
        if len(places) > 1 and all(0 <= p < len(self._cycles) for p in places):
            self.choose(*(self._cycles[place] for place in places))
            self.cycle_chosen.emit(self.shown.cycles[-1])

    def pick(self, column: int, cycle: int) -> None:
        """Show ``cycle`` in a column."""
        self.compared.replace(self._cycles, column, cycle)
        self._load()
        self.cycle_chosen.emit(self.shown.cycles[-1])

    def add_cycle(self) -> None:
        """Show another cycle beside these."""
        self.compared.add(self._cycles)
        self._load()

    def remove_cycle(self, column: int) -> None:
        """Show a column no longer."""
        self.compared.remove(self._cycles, column)
        self._load()

    def rows(self) -> list[Row]:
        """Return the rows in the order shown."""
        return self._proxy.rows()

    def go_to_most(self, what: str) -> None:
        """Go to the "best", "worst" or most "changed" of the rows shown."""
        rows = self.rows()
        key: Callable[[Row], float] = {
            "best": lambda row: row.last.score, "worst": lambda row: -row.last.score,
            "changed": lambda row: abs(row.change)}[what]
        places = [i for i, row in enumerate(rows) if math.isfinite(key(row))]
        if places:
            self.table.go_to(max(places, key=lambda i: key(rows[i])))
        elif rows:
            self.message.emit("info", "No reward here has a number to go by.")

    def copy(self, what: str) -> None:
        """Copy ``row`` or ``all`` as Markdown, or all as ``csv``."""
        row = self._chosen()
        shown = replace(self.shown, rows=tuple(
            self.rows() if what != "row" else [row] if row else []))
        self._copy(completion_texts.as_csv(shown) if what == "csv" else
                   completion_texts.as_markdown(shown))

    def export(self, path: Path) -> None:
        """Write the comparison as CSV."""
        text = completion_texts.as_csv(replace(self.shown, rows=tuple(self.rows())))
        try:
            path.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            self.message.emit("error", f"{path} could not be written ({error.strerror}).")
        else:
            self.saved.emit(path, "")

    def do(self, name: str) -> None:
        """Do what an action of the chosen row is for."""
        row = self._chosen()
        if row is None:
            return
        record, cycle = self._chosen_text(row)
        match name:
            case "open":
                self._open()
            case "story":
                self._play()
            case "copy_prompt":
                self._copy(row.prompt)
            case "copy_completion":
                self._copy(record.text)
            case "copy_row":
                self.copy("row")
            case "pin":
                self.pin_wanted.emit(row.prompt, not self._pins.get(row.prompt))
            case "try":
                self.try_wanted.emit(row.prompt)
            case "tokens":
                self.tokens_wanted.emit(cycle, row.first.prompt)
            case "thumb_up" | "thumb_down":
                self._give_thumb(record, cycle, name == "thumb_up")
            case "paths":
                self.paths_wanted.emit(cycle, row.first.prompt)
            case _:
                self.go_to_most(name)

    # -- showing

    def paintEvent(self, event: QPaintEvent) -> None:
        """Read what has come while the view was behind others."""
        super().paintEvent(event)
        if self._stale:
            self._read_soon()

    def _load_soon(self) -> None:
        self._stale = True
        if not self.visibleRegion().isEmpty():
            self._read_soon()

    def _read_soon(self) -> None:
        # Begun anew at each cycle, it would never come to an end where cycles are short.
        if not self._reload.isActive():
            self._reload.start()

    def _load(self, *, anew: bool = False) -> None:
        self._reload.stop()
        self._stale = False
        cycles = self.compared.of(self._cycles)
        columns = [] if self._run_id is None else [
            self._store.completions(self._run_id, cycle) for cycle in cycles]
        with self.table.in_place():
            self._model.show(Shown(cycles, line_up(columns, self._pinned | self._pins)))
            self.table.fit(anew=anew)
        self.controls.show_cycles(self._cycles, cycles, self.compared, self._forked_after)
        self._show_page()
        self._summarise()

    def _show_page(self) -> None:
        """Show the rows, the one that is read in full, or why there are none."""
        rows = self.shown.rows
        if self._proxy.rowCount() and not self.table.currentIndex().isValid():
            last = max(1, len(self.shown.cycles))  # columns of texts begin at 1
            self.table.setCurrentIndex(self._proxy.index(0, last))
        if self._proxy.rowCount():
            self.pages.show_rows(self._chosen(), self.shown.cycles, self._run_id, self._cycles)
        else:
            self.pages.say(
                _NONE_FITS.format(len(rows)) if rows else _NO_RUN if self._run_id is None else
                _NO_CYCLE if self._alive else why_no_cycle(self._store, self._run_id, _ENDED))
        self._allow()

    def _filter(self) -> None:
        with self.table.in_place():
            self._proxy.set_filter(self.controls.filter.filter)
        self._show_page()
        self._summarise()

    def _chosen(self) -> Row | None:
        return self._proxy.row(self.table.currentIndex())

    def _chosen_text(self, row: Row) -> tuple[CompletionRecord, int]:
        """Return the completion that is chosen in a row, or the last, and its cycle."""
        place = self.table.place()
        found = row.records[place] if place >= 0 else None
        if found is None:
            place = max(i for i, record in enumerate(row.records) if record is not None)
        return found or row.last, self.shown.cycles[place]

    def _allow(self) -> None:
        """Offer what makes sense for the chosen row."""
        row = self._chosen()
        if row is None or self._run_id is None:
            self.row_actions.allow(None)
            return
        cycle = self._chosen_text(row)[1]
        self.row_actions.allow(Chosen(
            cycle, self._store.is_traced(self._run_id, cycle, row.first.prompt),
            self._pins.get(row.prompt)))

    def _copy(self, text: str) -> None:
        if text:
            QGuiApplication.clipboard().setText(text)
            self.message.emit("info", "Copied.")

    def _summarise(self) -> None:
        shown, rows = self.shown, self.rows()
        self._headline.setVisible(bool(rows))
        if not rows:
            return
        changes = [] if self._run_id is None else self._store.changes(self._run_id)
        self._summary.setText(headline(shown, rows, changes))

    def _open(self) -> None:
        if row := self._chosen():
            self.pages.open_detail(row, self.shown.cycles)

    def _play(self) -> None:
        """Show the story of the chosen prompt, from the chosen text's cycle."""
        row = self._chosen()
        if row is not None and self._run_id is not None:
            self.pages.open_story(row, self._run_id, self._cycles, self._chosen_text(row)[1])

    def _move(self, by: int) -> None:
        row = self.table.currentIndex().row() + by
        if 0 <= row < self._proxy.rowCount():
            self.table.go_to(row)
            self._show_page()

    def _restyle(self) -> None:
        self.table.restyle()
        if self.isVisible():
            self._summarise()
        else:
            self._stale = True

    def _give_thumb(self, record: CompletionRecord, cycle: int, up: bool) -> None:
        if self._thumbs is None or self._run_id is None:
            return
        prompt = self._store.run_prompts(self._run_id)[record.prompt]
        side = side_of(self._store.identity(self._run_id), cycle, "comparison", record)
        self._thumbs.give(Thumb(prompt.text, side, self._thumbs.person, up, prompt.messages,
                                bool(prompt.messages)))

    # -- making it

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        head = QWidget()  # below which a mistyped filter is explained, over the table
        above = QVBoxLayout(head)
        above.setContentsMargins(0, 0, 0, 0)
        above.setSpacing(8)
        self.controls = Controls(self, head)
        self.controls.picked.connect(self.pick)
        self.controls.added.connect(self.add_cycle)
        self.controls.removed.connect(self.remove_cycle)
        self.controls.mode_chosen.connect(
            lambda mode: self.follow(mode or self.compared.followed))
        self.controls.stepped.connect(self.step)
        self.controls.filter.filtered.connect(self._filter)
        self.controls.copy_chosen.connect(self.copy)
        self.controls.export_clicked.connect(self._ask_export)
        above.addWidget(self.controls)
        self._summary = label(wrap=True, rich=True)
        self._summary.setObjectName("completions_summary")
        self._summary.setAccessibleName("Compared reward of the cycles")
        below = QHBoxLayout()
        below.setSpacing(8)
        self._headline = StillLabel(self._summary)
        below.addWidget(self._headline, 1)
        below.addWidget(self.controls.menu, 0, Qt.AlignmentFlag.AlignRight)
        above.addLayout(below)
        layout.addWidget(head)

        self._model = CompletionsModel(self)
        if self._thumbs is not None:
            self._model.thumb_of = self._thumbs.of
        self._proxy = CompletionsProxy(self._model, self)
        self.table = CompletionsTable(self._model, self._proxy)
        self.table.opened.connect(self._open)
        if self._thumbs is not None:
            self._thumbs.changed.connect(self.table.viewport().update)
        self.row_actions = RowActions(self.table)
        self.row_actions.triggered.connect(self.do)
        self.row_actions.sort_chosen.connect(self._sort)
        self.table.selectionModel().currentChanged.connect(lambda: self._allow())
        self.controls.offer(self.row_actions["copy_row"])
        self.pages = Pages(self._store, self.table)
        self.pages.moved.connect(self._move)
        self.pages.tokens_wanted.connect(self.tokens_wanted)
        self.pages.story_wanted.connect(self._play)
        layout.addWidget(self.pages, 1)
        themes().changed.connect(self._restyle)

    def _sort(self, column: int) -> None:
        """Sort by a column, or turn its order round."""
        now, descending = self.table.sorting()
        self.table.sort_by(column, not descending if now == column else False)

    def _ask_export(self) -> None:
        name = "-".join(map(str, self.shown.cycles))
        choose_new_file(self, "export_dialog", "Export completions",
                        f"completions-{name}.csv", "CSV table (*.csv)", self.export)

    def sizeHint(self) -> QSize:
        """Wide enough for two texts beside each other."""
        return QSize(720, 320)
