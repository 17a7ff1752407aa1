"""Compares the compared prompts' completions of any two cycles."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QModelIndex, QSize, QSortFilterProxyModel, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from workbench.algorithms import find_metric
from workbench.gui.completions import completion_texts
from workbench.gui.completions.controls import Controls
from workbench.gui.completions.delegate import ComparisonDelegate
from workbench.gui.completions.detail import Detail
from workbench.gui.completions.list import ComparisonList
from workbench.gui.completions.model import (
    SORTS,
    Comparison,
    CompletionsModel,
    Pair,
    Role,
    pair_up,
)
from workbench.gui.widgets.controls import label
from workbench.gui.widgets.dialog import choose_new_file
from workbench.gui.widgets.still_label import StillLabel
from workbench.gui.widgets.theme import themes
from workbench.learning.metrics import COMPARED
from workbench.store.records import LIVE
from workbench.store.store import Store

Mode = Literal["latest", "start", "chosen"]
_RELOAD_MS = 60
_SAMPLING = {"temperature": "temperature", "response_length": "response length"}


class CompletionsView(QWidget):
    """Two completions of each compared prompt side by side, with what changed.

    ``mode`` says which cycles: the latest and the one before it, the start policy and the
    latest, or the two that the person chose. While a run goes on its latest cycles are followed
    unless the person says otherwise; of one that has ended the start and the end tell most. What
    comes while the view is behind others is read when it is on screen again.
    """

    message = Signal(str, str)
    saved = Signal(object, str)
    tokens_wanted = Signal(int, int)  # cycle, prompt
    cycle_chosen = Signal(int)  # the person has gone to this cycle here

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("completions_view")
        self._store = store
        self._run_id: int | None = None
        self._cycles: list[int] = []
        self._alive = True
        self._pinned: frozenset[int] = frozenset()
        self._forked_after: int | None = None
        self._mode: Mode = "latest"
        self._followed: Mode = "latest"  # what the person last chose to follow
        self._live = True
        self._chosen = (0, 0)
        self._pair = Pair(0, None)
        self._stale = False
        self._build()
        # Several cycles may end within a moment; only the last is worth reading.
        self._reload = QTimer(self)
        self._reload.setSingleShot(True)
        self._reload.setInterval(_RELOAD_MS)
        self._reload.timeout.connect(self._load)
        self._load()

    # -- what the window tells

    def show_run(self, run_id: int | None) -> None:
        """Show a run's completions, or none: its latest cycles, or its start and its end. Two that
        were chosen stay when the same run goes on, as long as it has them."""
        another = run_id != self._run_id
        self._run_id = run_id
        self._cycles = [] if run_id is None else self._store.compared_cycles(run_id)
        self._pinned = frozenset() if run_id is None else frozenset(
            i for i, p in enumerate(self._store.run_prompts(run_id)) if p.pinned)
        run = None if run_id is None else self._store.run(run_id)
        self._forked_after = run.parent_cycle if run and run.parent else None
        self._live = run is None or run.status in LIVE
        if another or self._mode != "chosen" or not set(self._chosen) <= set(self._cycles):
            self._mode = self._followed if self._live else "start"
        if another:
            self._leave_detail()
        self._load()

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
            if not self._pair.rows:
                self._reload.start()

    def run_ended(self, run_id: int) -> None:
        """Show start against end, if the latest cycles of this run were followed until now."""
        if run_id == self._run_id and self._mode == "latest":
            self._mode = "start"
            self._load_soon()

    def show_cycle(self, cycle: int) -> None:
        """Compare ``cycle`` of the run on display, or the nearest compared one before it, with
        the one before that, or with the start policy where that is compared."""
        place = bisect_right(self._cycles, cycle) - 1
        if place < 0 or len(self._cycles) < 2:
            return
        place = max(1, place)
        before = 0 if self._mode == "start" else place - 1
        self.choose(self._cycles[before], self._cycles[place])

    def save_state(self) -> dict[str, object]:
        """Return what the person chose."""
        name, descending = self.controls.sorting()
        return {"mode": self._followed, "sort": name, "descending": descending}

    def restore_state(self, state: dict[str, object]) -> None:
        """Choose as :meth:`save_state` told; what is unknown is left out."""
        if state.get("sort") in SORTS:
            self.controls.show_sorting(str(state["sort"]), state.get("descending") is True)
        if state.get("mode") in ("latest", "start"):
            self._followed = "start" if state["mode"] == "start" else "latest"
            self._mode = self._followed if self._live else "start"
            self._load()

    # -- what the person does

    def follow(self, mode: Mode) -> None:
        """Compare the "latest" cycle with the one before it or with the "start" from now on."""
        self._mode = self._followed = mode
        self._load()

    def choose(self, before: int, after: int) -> None:
        """Compare these two cycles until told otherwise."""
        self._chosen, self._mode = (before, after), "chosen"
        self._load()

    def select_prompt(self, prompt: int) -> None:
        """Go to the row of a prompt, by its number among those of the run."""
        place = next((i for i, row in enumerate(self.rows()) if row.before.prompt == prompt), None)
        if place is not None:
            self._leave_detail()
            index = self._proxy.index(place, 0)
            self.list.setCurrentIndex(index)
            self.list.scrollTo(index)

    def step(self, by: int) -> None:
        """Move both cycles on or back by one comparison."""
        pair = [self._pair.before, self._pair.after]
        places = [self._cycles.index(c) + by for c in pair if c in self._cycles]
        if len(places) == 2 and all(0 <= p < len(self._cycles) for p in places):
            self._go_to(self._cycles[places[0]], self._cycles[places[1]])

    def _go_to(self, before: int, after: int) -> None:
        self.choose(before, after)
        self.cycle_chosen.emit(after)

    def sort(self, name: str, descending: bool) -> None:
        """Sort the rows by one of ``SORTS``."""
        self._proxy.setSortRole(SORTS[name][0])
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self._proxy.sort(0, order)

    def rows(self) -> list[Comparison]:
        """Return the rows in the order shown."""
        return [self._proxy.index(i, 0).data(Role.COMPARISON)
                for i in range(self._proxy.rowCount())]

    def copy(self, what: str) -> None:
        """Copy ``row`` or ``all`` as Markdown, or all as ``csv``."""
        if what == "csv":
            text = completion_texts.as_csv(self._in_order())
        else:
            current = self.list.currentIndex().data(Role.COMPARISON)
            rows = self.rows() if what == "all" else [current] if current else []
            text = completion_texts.as_markdown(rows, self._pair.before, self._pair.after)
        if text:
            QGuiApplication.clipboard().setText(text)
            self.message.emit("info", "Copied.")

    def export(self, path: Path) -> None:
        """Write the comparison as CSV."""
        try:
            path.write_text(completion_texts.as_csv(self._in_order()), encoding="utf-8", newline="")
        except OSError as error:
            self.message.emit("error", f"{path} could not be written ({error.strerror}).")
        else:
            self.saved.emit(path, "")

    # -- showing

    def paintEvent(self, event: QPaintEvent) -> None:
        """Read what has come while the view was behind others."""
        super().paintEvent(event)
        if self._stale:
            self._reload.start()

    def _load_soon(self) -> None:
        self._stale = True
        if not self.visibleRegion().isEmpty():
            self._reload.start()

    def _load(self) -> None:
        self._reload.stop()
        self._stale = False
        before, after = self._wanted()
        rows: tuple[Comparison, ...] = ()
        if self._run_id is not None and self._cycles:
            old = self._store.completions(self._run_id, before)
            new = [] if after is None else self._store.completions(self._run_id, after)
            rows = pair_up(old, new, self._pinned)
        self._pair = Pair(before, after, rows)
        self._model.set_rows(rows)
        self.list.lay_out()
        self.controls.show_cycles(
            self._cycles, before, after, self._mode, self._forked_after)
        self._summarise()
        if self._pages.currentWidget() is self._detail and rows:
            self._show_detail(self.list.currentIndex())
        elif not rows:
            self._empty.setText(
                "Press Start: the completions of your prompts appear here, before and after each "
                "cycle." if self._run_id is None else
                "The start policy is writing its completions: they appear here first."
                if self._alive else
                "No completions of this run were compared. Resume begins it from the start.")
            self._pages.setCurrentWidget(self._empty)
        elif self._pages.currentWidget() is self._empty:
            self._pages.setCurrentWidget(self.list)
        if rows and not self.list.currentIndex().isValid():
            self.list.setCurrentIndex(self._proxy.index(0, 0))

    def _wanted(self) -> tuple[int, int | None]:
        cycles = self._cycles
        if len(cycles) < 2:
            return (cycles[0] if cycles else 0), None
        if self._mode == "chosen" and set(self._chosen) <= set(cycles):
            return self._chosen
        return cycles[0 if self._mode == "start" else -2], cycles[-1]

    def _summarise(self) -> None:
        pair = self._pair
        self._headline.setVisible(bool(pair.rows))
        if not pair.rows:
            return
        before, after = pair.means
        compared = find_metric(COMPARED)
        many = len(pair.rows) != 1
        title = f"{compared.label} of {len(pair.rows):,} prompt{'s' if many else ''}"
        if pair.after is None:
            self._summary.setText(f"{title} <b>{compared.text(before)}</b>")
            return
        gain, theme = after - before, themes().theme
        colour = theme.good if gain > 0.005 else theme.bad if gain < -0.005 else theme.muted
        self._summary.setText(
            f"{title} {compared.text(before)} → <b>{compared.text(after)}</b> "
            f"<b style='color:{colour}'>{completion_texts.change(gain)}</b> · "
            f"<span style='color:{theme.muted}'>{self._sameness(pair.before, pair.after)}</span>")

    def _sameness(self, before: int, after: int) -> str:
        """Say what both completions share; a live change of sampling between them counts."""
        first, last = sorted((before, after))
        changed = [] if self._run_id is None else [
            _SAMPLING[c.name] for c in self._store.changes(self._run_id)
            if c.name in _SAMPLING and first < c.cycle <= last and c.old != c.new]
        if changed:
            return (f"same prompts, same random numbers, but another "
                    f"{' and '.join(dict.fromkeys(changed))}")
        return "same prompts, same random numbers, same sampling"

    def _in_order(self) -> Pair:
        return Pair(self._pair.before, self._pair.after, tuple(self.rows()))

    def _show_detail(self, index: QModelIndex) -> None:
        row = index.data(Role.COMPARISON)
        if row is None:
            return
        self._detail.show_comparison(row, self._pair.before, self._pair.after)
        if self._pages.currentWidget() is not self._detail:
            self._pages.setCurrentWidget(self._detail)
            self._detail.take_focus()

    def _leave_detail(self) -> None:
        if self._pages.currentWidget() is self._detail:
            self._pages.setCurrentWidget(self.list)
            self.list.setFocus()

    def _move_detail(self, by: int) -> None:
        row = self.list.currentIndex().row() + by
        if 0 <= row < self._proxy.rowCount():
            self.list.setCurrentIndex(self._proxy.index(row, 0))
            self._show_detail(self.list.currentIndex())

    def _restyle(self) -> None:
        self.delegate.forget()
        self._summarise()
        self.list.viewport().update()

    # -- making it

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        self.controls = Controls()
        self.controls.chosen.connect(self._go_to)
        self.controls.mode_chosen.connect(self.follow)
        self.controls.stepped.connect(self.step)
        self.controls.sort_chosen.connect(self.sort)
        self.controls.copy_chosen.connect(self.copy)
        self.controls.export_clicked.connect(self._ask_export)
        layout.addWidget(self.controls)
        self._summary = label(wrap=True, rich=True)
        self._summary.setObjectName("completions_summary")
        self._summary.setAccessibleName("Compared reward before and after")
        below = QHBoxLayout()
        below.setSpacing(8)
        self._headline = StillLabel(self._summary)
        below.addWidget(self._headline, 1)
        below.addWidget(self.controls.menu, 0, Qt.AlignmentFlag.AlignRight)
        layout.addLayout(below)

        self._model = CompletionsModel(self)
        self._proxy = QSortFilterProxyModel(self)
        self._proxy.setSourceModel(self._model)
        self.list = ComparisonList()
        self.list.setModel(self._proxy)
        self.delegate = ComparisonDelegate(self.list)
        self.list.setItemDelegate(self.delegate)
        self.list.opened.connect(self._show_detail)
        self.list.copied.connect(lambda: self.copy("row"))
        self._detail = Detail()
        self._detail.closed.connect(self._leave_detail)
        self._detail.moved.connect(self._move_detail)
        self._detail.tokens_wanted.connect(self.tokens_wanted)
        self._empty = label()
        self._empty.setObjectName("completions_empty")
        self._empty.setProperty("role", "muted")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        self._pages = QStackedWidget()
        for page in (self._empty, self.list, self._detail):
            self._pages.addWidget(page)
        layout.addWidget(self._pages, 1)
        self.sort(*self.controls.sorting())
        themes().changed.connect(self._restyle)

    def _ask_export(self) -> None:
        before, after = self._pair.before, self._pair.after
        choose_new_file(self, "export_dialog", "Export completions",
                        f"completions-{before}-{after}.csv", "CSV table (*.csv)", self.export)

    def sizeHint(self) -> QSize:
        """Wide enough for two texts beside each other."""
        return QSize(720, 320)
