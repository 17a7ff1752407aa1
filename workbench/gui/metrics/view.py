"""The plots of a run, all moving together along x."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence, QShowEvent
from PySide6.QtWidgets import (
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from workbench.gui.actions import set_tip
from workbench.gui.controls import label
from workbench.gui.dialog import choose_new_file
from workbench.gui.metrics.controls import DEFAULT_PLOTS, MOST_PLOTS, Controls
from workbench.gui.metrics.crosshair import Crosshair
from workbench.gui.metrics.data import Along, RunData, extent, known_along
from workbench.gui.metrics.export import FILTERS, export
from workbench.gui.metrics.grid import PlotGrid
from workbench.gui.metrics.health_marks import HealthMark
from workbench.gui.metrics.legend import legend, name_runs
from workbench.gui.metrics.plot import MetricPlot
from workbench.gui.metrics.selection import Selection
from workbench.gui.metrics.wording import change_text
from workbench.gui.theme import Theme, themes
from workbench.ppo.metrics import METRICS, PARTS
from workbench.store.records import ChangeRecord, RunRecord, Series
from workbench.training.events import Change

_TICK_MS = 40


class MetricsView(QWidget):
    """Shows one run. New numbers, a moving pointer and a dragged slider are only noted; a tick
    draws them, so that no event ever costs a repaint."""

    message = Signal(str, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("metrics_view")
        self._run: RunData | None = None
        self._others: list[RunData] = []
        self._records: Mapping[int, RunRecord] = {}
        self._weight, self._log = 0.0, False
        self._along: Along = "cycles"
        self._following = True
        self._parts: tuple[str, ...] = ()
        self._parts_wanted = True
        self._stale = False
        self._build()
        self._tick = QTimer(self)
        self._tick.setSingleShot(True)
        self._tick.setInterval(_TICK_MS)
        self._tick.timeout.connect(self._on_tick)
        themes().changed.connect(self._apply_theme)
        self.choose_plots(DEFAULT_PLOTS)

    # -- what the window tells

    def show_run(
        self, run_id: int | None, series: Mapping[str, Series], changes: Sequence[ChangeRecord]
    ) -> None:
        """Show a run from the store (a run just started has no series yet), or none."""
        self._run = None if run_id is None else RunData(run_id, series, self._weight)
        if self._run:
            self._run.marks = [(c.cycle, change_text(c)) for c in changes]
        self._name_runs()
        self._following = True
        self._clear()
        self._find_parts()
        for plot in self._grid:
            plot.follow()
        self._show_following()
        self._schedule()

    def append(self, run_id: int, cycle: int, metrics: Mapping[str, float]) -> None:
        """Add a cycle of the live run; ignored while another run is shown."""
        for run in (self._run, *self._others):
            if run and run.run_id == run_id:
                run.append(cycle, metrics)
                self._schedule()
        self._find_parts()

    def overlay(self, runs: Mapping[int, Mapping[str, Series]]) -> None:
        """Draw these runs, by number, behind the one shown, and no others."""
        self._others = [RunData(i, series, self._weight) for i, series in sorted(runs.items())]
        self._name_runs()
        self._schedule()

    def set_records(self, records: Iterable[RunRecord]) -> None:
        """Take note of what the runs are called and where they were forked."""
        self._records = {record.id: record for record in records}
        self._name_runs()
        self._schedule()

    def mark_changes(self, run_id: int, cycle: int, changes: Sequence[Change]) -> None:
        """Draw a vertical mark where ``cycle`` was the first to use changed hyperparameters."""
        if self._run and self._run.run_id == run_id:
            self._run.marks += [(cycle, change_text(c)) for c in changes]
            self._schedule()

    def mark_health(self, marks: Sequence[HealthMark]) -> None:
        """Mark what the health check found in the run on display."""
        if self._run and self._run.health != marks:
            self._run.health = list(marks)
            self._schedule()

    def point_at(self, name: str, cycle: int) -> None:
        """Put the crosshair at ``cycle`` and say what is marked there in the plot of ``name``,
        which is added where it is missing."""
        if self._grid.plot_of(name) is None:
            self.choose_plots([*self.plots()[: MOST_PLOTS - 1], name])
        plot = self._grid.plot_of(name)
        assert plot is not None
        self._crosshair.point_at(plot, cycle)
        self._wake()

    def save_state(self) -> dict[str, object]:
        """Return what the person chose."""
        return {"plots": self.plots(), "smoothing": self._weight, "log": self._log,
                "along": self._along, "parts": self._parts_wanted}

    def restore_state(self, state: dict[str, object]) -> None:
        """Choose as :meth:`save_state` told; what is unknown is left out."""
        names = state.get("plots")
        self._parts_wanted = state.get("parts") is not False
        known = [n for n in names if n in METRICS] if isinstance(names, list) else []
        self.choose_plots(known[:MOST_PLOTS] or DEFAULT_PLOTS)
        smoothing = state.get("smoothing")
        self.controls.show_settings(
            smoothing if isinstance(smoothing, float) and 0 <= smoothing < 1 else 0.0,
            state.get("log") is True, known_along(state.get("along")))

    # -- what the person does

    def plots(self) -> list[str]:
        """Return the names of the metrics plotted. The parts of the reward are not among them."""
        return self._grid.names()

    def choose_plots(self, names: Sequence[str]) -> None:
        """Plot these metrics, in this order; plots that stay are kept."""
        self._grid.choose(names, self._parts if self._parts_wanted else ())
        self.controls.show_plots(names)
        self.controls.show_parts(bool(self._parts), self._parts_wanted)
        self._schedule()

    def follow(self) -> None:
        """Show the whole run and follow its latest cycle."""
        self._following = True
        for plot in self._grid:
            plot.follow()
        self._show_following()
        self._schedule()

    def export(self, path: Path) -> None:
        """Write the plots (.png, .svg) or the numbers (.csv), by the file's ending."""
        if not self._run:
            return
        try:
            export(path, self._grid, self._run)
        except OSError as error:
            self.message.emit("error", f"{path} could not be written "
                                       f"({error.strerror or 'unknown reason'}).")
        else:
            self.message.emit("info", f"Saved {path.name}.")

    def zoom(self) -> None:
        """Show only the selected range."""
        places = self._run and self._selection.places(self._run, self._along)
        if places and places[0] < places[1]:
            margin = 0.02 * (places[1] - places[0])
            self._leave_latest()
            self._grid.set_x_range(places[0] - margin, places[1] + margin)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and right move the crosshair, with Shift they select; Escape takes both away."""
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if event.key() == Qt.Key.Key_Escape and self._clear():
            return
        if step and self._run and len(self._run.cycles):
            before = self._crosshair.cycle
            self._crosshair.step(step, self._run)
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                here = self._crosshair.cycle
                assert here is not None
                self._selection.extend(here if before is None else before, here)
            self._selected()
        else:
            super().keyPressEvent(event)

    # -- drawing

    def repaint_now(self) -> None:
        """Draw what has changed. The tick calls this."""
        self._tick.stop()
        run = self._run
        empty = run is None or not len(run.cycles)
        self._pages.setCurrentWidget(self._empty if empty else self._grid)
        self.controls.show_run(not empty)
        if run is None or empty:
            self._empty.setText(
                "Press Start: reward, value loss, entropy and KL appear here." if run is None else
                "The first cycle is under way: its numbers appear here when it is complete.")
            return
        if self._stale:
            self._stale = False
            x_range = extent(run, self._overlays(), self._along) if self._following else None
            for plot in self._grid:
                plot.draw(run, self._along, self._log, x_range, self._overlays())
            self._show_legend(run)
        self._selection.draw(run, self._along)
        self._crosshair.draw(run, self._along)

    def _on_tick(self) -> None:
        if self.isVisible():  # behind another tab nothing is drawn; being shown catches up
            self.repaint_now()

    def _schedule(self) -> None:
        self._stale = True
        self._wake()

    def _wake(self) -> None:
        if not self._tick.isActive():
            self._tick.start()

    def _hover(self, plot: MetricPlot, point: tuple[float, float] | None) -> None:
        self._crosshair.hover(plot, point, self._run, self._along)
        self._wake()

    def _panned(self, source: MetricPlot, low: float, high: float) -> None:
        self._leave_latest()
        self._grid.set_x_range(low, high, source)

    def _leave_latest(self) -> None:
        self._following = False
        self._show_following()

    def _show_following(self) -> None:
        self.controls.show_following(self._following)
        self._follow_action.setEnabled(not self._following)

    def _select(self, start: float, end: float) -> None:
        if self._run:
            cycles = [self._run.cycle_at(x, self._along) for x in (start, end)]
            if cycles[0] is not None and cycles[1] is not None:
                self._selection.set(cycles[0], cycles[1])
                self._selected()

    def _clear(self) -> bool:
        """Take range and crosshair away; return whether there was one."""
        if self._selection.cycles is None and self._crosshair.cycle is None:
            return False
        self._selection.clear()
        self._crosshair.cycle = None
        self._selected()
        return True

    def _selected(self) -> None:
        chosen = self._selection.cycles is not None
        self.controls.show_range(chosen)
        self._zoom_action.setEnabled(chosen)
        self._wake()

    # -- settings

    def _find_parts(self) -> None:
        """Plot the parts of the reward for as long as a run is shown that has them."""
        traces = self._run.traces if self._run else {}
        parts = tuple(name for name in traces if name.startswith(PARTS))
        if parts != self._parts:
            self._parts = parts
            self.choose_plots(self.plots())

    def _want_parts(self, wanted: bool) -> None:
        self._parts_wanted = wanted
        self.choose_plots(self.plots())

    def _set_weight(self, weight: float) -> None:
        self._weight = weight
        for run in (self._run, *self._others):
            if run:
                run.set_weight(weight)
        self._schedule()

    def _set_log(self, log: bool) -> None:
        self._log = log
        for plot in self._grid:
            plot.follow()
        self._schedule()

    def _set_along(self, along: Along) -> None:
        self._along = along
        self._grid.set_along(along)
        self.follow()

    def _ask_export(self, key: str) -> None:
        choose_new_file(self, "export_dialog", "Export plots", f"metrics.{key}", FILTERS[key],
                        self.export)

    # -- making it

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        self.controls = Controls()
        self.controls.plots_chosen.connect(self._choose)
        self.controls.set_chosen.connect(self.choose_plots)
        self.controls.parts_wanted.connect(self._want_parts)
        self.controls.smoothing_changed.connect(self._set_weight)
        self.controls.log_toggled.connect(self._set_log)
        self.controls.along_chosen.connect(self._set_along)
        self.controls.follow_clicked.connect(self.follow)
        self.controls.zoom_clicked.connect(self.zoom)
        self.controls.export_clicked.connect(self._ask_export)
        layout.addWidget(self.controls)
        self._empty = label(role="muted", wrap=True)
        self._empty.setObjectName("metrics_empty")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._grid = PlotGrid()
        self._grid.hovered.connect(self._hover)
        self._grid.panned.connect(self._panned)
        self._grid.reset.connect(self.follow)
        self._grid.selected.connect(self._select)
        self._grid.clicked.connect(self._clear)
        self._crosshair = Crosshair(self._grid)
        self._selection = Selection(self._grid)
        self._follow_action = self._action(
            "follow_latest", "Follow the latest cycle", Qt.Key.Key_F, self.follow,
            "Show the whole run in the plots again")
        self._zoom_action = self._action(
            "zoom_to_range", "Zoom to the selected cycles", Qt.Key.Key_Z, self.zoom,
            "Show only the selected cycles in the plots")
        self._pages = QStackedWidget()
        self._pages.addWidget(self._empty)
        self._pages.addWidget(self._grid)
        layout.addWidget(self._pages, 1)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def _action(self, name: str, text: str, key: Qt.Key, call: Callable[[], None],
                tip: str) -> QAction:
        action = QAction(text, self)
        action.setObjectName(name)
        action.setShortcut(QKeySequence(key))
        action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        action.setEnabled(False)
        action.triggered.connect(lambda: call())
        set_tip(action, tip)
        self.addAction(action)
        return action

    def sizeHint(self) -> QSize:
        """Wide enough for two plots beside each other."""
        return QSize(720, 420)

    def showEvent(self, event: QShowEvent) -> None:
        """Draw what came while the view was hidden."""
        super().showEvent(event)
        self._schedule()

    def _choose(self, names: list[str]) -> None:
        # What was plotted keeps its place; what is new comes last.
        self.choose_plots([n for n in self.plots() if n in names]
                          + [n for n in names if n not in self.plots()])

    def _overlays(self) -> list[RunData]:
        shown = self._run.run_id if self._run else None
        return [run for run in self._others if run.run_id != shown]

    def _name_runs(self) -> None:
        name_runs([run for run in (self._run, *self._others) if run], self._records)

    def _show_legend(self, run: RunData) -> None:
        others = self._overlays()
        self._grid.legend.setVisible(bool(others))
        self._grid.legend.setText(legend(run, others, themes().theme))

    def _apply_theme(self, theme: Theme) -> None:
        self._grid.apply_theme(theme)
        if self._run:
            self._show_legend(self._run)
