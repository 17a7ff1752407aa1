"""The plots of a run, all moving together along x."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAction,
    QContextMenuEvent,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QApplication, QStackedWidget, QVBoxLayout, QWidget

from workbench.algorithm import Algorithm
from workbench.algorithms import default_algorithm
from workbench.gui.actions import enable_action, set_tip
from workbench.gui.health.dials import Dials
from workbench.gui.metrics.controls import MOST_PLOTS, NO_CURVE, NO_RANGE, Controls
from workbench.gui.metrics.data import HealthMark, RunData, XAxis, extent, steady
from workbench.gui.metrics.export import picture
from workbench.gui.metrics.figure_dialog import Choice, FigureDialog
from workbench.gui.metrics.figures import choices
from workbench.gui.metrics.grid import PlotGrid
from workbench.gui.metrics.legend import in_words, legend, name_runs
from workbench.gui.metrics.metric_texts import change_text, in_sentence
from workbench.gui.metrics.plot import MetricPlot
from workbench.gui.metrics.plot_options import PlotOptions
from workbench.gui.metrics.pointing import Pointing
from workbench.gui.settings import section
from workbench.gui.what_is import of_metric, show_explanation
from workbench.gui.widgets.controls import label
from workbench.gui.widgets.form_scroll import FormScroll
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import Theme, themes
from workbench.learning.metrics import learned_first
from workbench.store.records import ChangeRecord, RunRecord, Series
from workbench.training.events import Change

_TICK_MS = 40
_TICK = "The run on display and those drawn over it; tick runs in Runs."
_SETTLED_MS = 200
_PLOTS_BESIDE_WORDS = 4  # more of them need the pixels that the word Health takes
_WHOLE_DIALS_FROM = 280  # pixels of height


class MetricsView(QWidget):
    """Shows one run. New numbers, a moving pointer and a dragged slider are only noted; a tick
    draws them, so that no event ever costs a repaint."""

    message = Signal(str, str)
    saved = Signal(object, str)
    cycle_chosen = Signal(int)  # the person wants to see this cycle in the other views

    def __init__(self, dials: Dials | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("metrics_view")
        self.dials = dials
        """How well the run is, below the plots."""
        self._run: RunData | None = None
        self._alive, self._ended = True, ""
        self._others: list[RunData] = []
        self._records: Mapping[int, RunRecord] = {}
        self._options = PlotOptions()
        self._following = True
        self._whole: tuple[float, float] | None = None  # what of x there is to see
        self._parts: tuple[str, ...] = ()
        self._parts_wanted = True
        self.algorithm = default_algorithm()
        """That of the run on display."""
        self._plots_of: dict[str, list[str]] = {}
        """What was plotted last with the other algorithms."""
        self._stale = False
        self._build()
        self._tick = QTimer(self)
        self._tick.setSingleShot(True)
        self._tick.setInterval(_TICK_MS)
        self._tick.timeout.connect(self._on_tick)
        # A line that moves has all curves drawn: not at every step of a person who goes on.
        self._settled = QTimer(self, singleShot=True, interval=_SETTLED_MS)
        self._settled.timeout.connect(self._wake)
        themes().changed.connect(self._apply_theme)
        self.choose_plots(self.algorithm.default_plots)

    # -- what the window tells

    def show_run(
        self, run_id: int | None, series: Mapping[str, Series], changes: Sequence[ChangeRecord],
        algorithm: Algorithm | None = None,
    ) -> None:
        """Show a run from the store (a run just started has no series yet), or none. The chosen
        cycle stays when the same run goes on, as long as it has it. ``algorithm`` is the run's;
        None: the one before."""
        self._use(algorithm or self.algorithm)
        before, chosen = self._run, self._pointing.choice.cycle
        self._run = None if run_id is None else RunData(run_id, series, self._options.weight)
        if self._run:
            self._run.marks = [(c.cycle, change_text(c)) for c in changes]
        self._pointing.run = self._run
        self._pointing.clear()
        if (self._run and before and before.run_id == run_id and chosen is not None
                and chosen in self._run.cycles):
            self._pointing.choice.cycle = chosen
        self._name_runs()
        self._find_parts()
        self.follow()

    def expect(self, algorithm: Algorithm) -> None:
        """Offer the plots of what the next run would learn by, while there is none on display."""
        if self._run is None:
            self._use(algorithm)

    def set_alive(self, alive: bool, ended: str = "") -> None:
        """Say whether the run on display is alive, so that its first cycle is on its way; where it
        is not, ``ended`` says why it has none."""
        if (alive, ended) != (self._alive, self._ended):
            self._alive, self._ended = alive, ended
            self._tick.start()

    def append(self, run_id: int, cycle: int, metrics: Mapping[str, float]) -> None:
        """Add a cycle of the live run, where it is shown or drawn over the one that is."""
        for run in (self._run, *self._others):
            if run and run.run_id == run_id:
                run.append(cycle, metrics)
                self._schedule()
        self._find_parts()

    def overlay(self, runs: Mapping[int, Mapping[str, Series]]) -> None:
        """Draw these runs, by number, behind the one shown, and no others. One that is drawn
        already stays as it is: it may have grown since its series was read."""
        known = {run.run_id: run for run in self._others}
        self._others = [known.get(i) or RunData(i, series, self._options.weight)
                        for i, series in sorted(runs.items())]
        self._whole = None
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
        self._make_plots()
        if self._grid.plot_of(name) is None:
            self.choose_plots([*self.plots()[: MOST_PLOTS - 1], name])
        plot = self._grid.plot_of(name)
        assert plot is not None
        if self._grid.enlarged not in (None, plot):
            self.enlarge(None)
        self._pointing.crosshair.point_at(plot, cycle)
        self._wake()

    def show_chosen(self, cycle: int) -> None:
        """Put the line at the cycle that the person went to in another view."""
        self._pointing.choice.cycle = cycle
        self._settled.start()

    def leave_chosen(self, cycle: int) -> None:
        """Take the line at the chosen cycle away where another view has gone on to ``cycle``."""
        if self._pointing.choice.leave(cycle):
            self._wake()

    def save_state(self) -> dict[str, object]:
        """Return what the person chose."""
        plots = {**self._plots_of, self._key(): self.plots()}
        first = plots.pop(default_algorithm().name, [])
        others = {"plots_of": plots} if plots else {}
        return {"plots": first, **others, "parts": self._parts_wanted, **self._options.save()}

    def restore_state(self, state: dict[str, object]) -> None:
        """Choose as :meth:`save_state` told; what is unknown is left out."""
        self._parts_wanted = state.get("parts") is not False
        self._plots_of = {
            name: [str(metric) for metric in plots]
            for name, plots in (*section(state, "plots_of").items(),
                                (default_algorithm().name, state.get("plots")))
            if isinstance(plots, list)}
        self.choose_plots(self._remembered())
        options = PlotOptions()
        options.restore(state)
        self.controls.show_settings(options.weight, options.log, options.x_axis)
        self._options = options
        self._show_options()

    # -- what the person does

    def plots(self) -> list[str]:
        """Return the names of the metrics plotted. The parts of the reward are not among them."""
        return self._grid.names()

    def choose_plots(self, names: Sequence[str]) -> None:
        """Plot these metrics, in this order; plots that stay are kept."""
        self._grid.choose(names, self._parts if self._parts_wanted else (), self.algorithm)
        self.controls.show_plots(names)
        self.controls.show_parts(bool(self._parts), self._parts_wanted)
        self._show_options()
        self._fit_dials()

    def follow(self) -> None:
        """Show the whole run and follow its latest cycle."""
        self._following = True
        self._whole = None
        self._grid.follow()
        self._show_following()
        self._schedule()

    def enlarge(self, plot: MetricPlot | None) -> None:
        """Show one plot alone, or all again."""
        self._grid.enlarge(plot)
        self.setFocus()  # Escape leaves it
        self._show_options()

    def copy_figure(self, plot: MetricPlot | None = None) -> None:
        """Put a picture of one plot, or of all on screen, on the clipboard."""
        found = self._choices(plot)
        if found:
            QGuiApplication.clipboard().setImage(picture(found[0].figure, found[0].width))
            self.message.emit("info", "Copied the figure.")

    def ask_export(self, plot: MetricPlot | None = None) -> FigureDialog | None:
        """Ask how the plots on screen, or one of them, are exported."""
        found = self._choices()
        if not found or not self._run:
            return None
        names = [choice.name for choice in found]
        dialog = FigureDialog(self, found, names.index(plot.about.label) if plot else 0,
                              [self._run, *self._overlays()], self.message.emit,
                              self.saved.emit)
        dialog.open()
        return dialog

    def zoom(self) -> None:
        """Show only the selected range."""
        places = self._run and self._pointing.selection.places(self._run, self._options.x_axis)
        if places and places[0] < places[1]:
            margin = 0.02 * (places[1] - places[0])
            self._zoom_to(places[0] - margin, places[1] + margin)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Point by keyboard; Escape goes back by one."""
        if event.key() == Qt.Key.Key_Escape and self._escape():
            return
        if not self._pointing.press(event):
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Open the menu of the plot the keyboard is at."""
        if event.reason() == QContextMenuEvent.Reason.Keyboard and self._has_numbers():
            self._current().open_menu()
        else:
            event.ignore()

    # -- drawing

    def repaint_now(self) -> None:
        """Draw what has changed. The tick calls this."""
        self._tick.stop()
        run, x_axis = self._run, self._options.x_axis
        empty = run is None or not len(run.cycles)
        if not empty:
            self._make_plots()
        self._pages.setCurrentWidget(self._empty if empty else self._scroll)
        self.controls.show_run(not empty)
        for action in self._figure_actions:
            enable_action(action, not empty, NO_CURVE)
        if run is None or empty:
            self._empty.setText(
                f"Press Start: {in_sentence(self.algorithm.plot_sets[0].help)} appear here."
                if run is None else
                "The first cycle is under way: its numbers appear here when it is complete."
                if self._alive else self._ended)
            return
        if self._stale:
            self._stale = False
            others = self._overlays()
            self._whole = low, high = steady(self._whole, extent(run, others, x_axis))
            for plot in self._grid:
                plot.set_limits(low, high, (high - low) / max(1, len(run.cycles)))
                plot.draw(run, x_axis, (low, high) if self._following else None, others,
                          log=self._options.is_log(plot.about.name),
                          raw=plot.about.name in self._options.raw)
            self._show_legend(run)
        self._pointing.draw()

    def _make_plots(self) -> None:
        """Have the plots there from now on."""
        if self._grid.make_plots():
            self._show_options()
            self._fit_dials()

    def _on_tick(self) -> None:
        if not self.visibleRegion().isEmpty():  # behind another tab nothing is drawn
            self.repaint_now()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave the plots their room where there is little height."""
        super().resizeEvent(event)
        self._fit_dials()

    def _fit_dials(self) -> None:
        if self.dials is not None:
            self.dials.set_compact(self.height() < _WHOLE_DIALS_FROM,
                                   bare=len(list(self._grid)) > _PLOTS_BESIDE_WORDS)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw what has come while the view was behind others."""
        super().paintEvent(event)
        if self._stale:
            self._wake()

    def _schedule(self) -> None:
        self._stale = True
        self._wake()

    def _wake(self) -> None:
        if not self._tick.isActive():
            self._tick.start()

    def _has_numbers(self) -> bool:
        return self._run is not None and len(self._run.cycles) > 0

    # -- on the plots

    def _panned(self, source: MetricPlot, low: float, high: float) -> None:
        self._leave_latest()
        self._grid.set_x_range(low, high, source)

    def _zoom_to(self, low: float, high: float) -> None:
        self._leave_latest()
        self._grid.set_x_range(low, high)

    def _leave_latest(self) -> None:
        self._following = False
        self._show_following()

    def _show_following(self) -> None:
        whole = self._following and not any(plot.manual_y for plot in self._grid)
        self.controls.show_following(whole)
        enable_action(self._follow_action, not whole,
                      "The plots follow the latest cycle already.")

    def _double_click(self) -> None:
        self._pointing.choice.take_back()
        self.follow()

    def _escape(self) -> bool:
        """Show all plots again, else take crosshair, range and chosen cycle away; return whether
        there was anything."""
        if self._grid.enlarged:
            self.enlarge(None)
            return True
        return self._pointing.clear()

    def _selected(self) -> None:
        chosen = self._pointing.selection.cycles is not None
        if chosen != self._zoom_action.isEnabled():
            self.controls.show_range(chosen)
            enable_action(self._zoom_action, chosen, NO_RANGE)
        self._wake()

    def _wish(self, plot: MetricPlot, wish: str, on: bool) -> None:
        name = plot.about.name
        if wish == "enlarge":
            self.enlarge(None if self._grid.enlarged else plot)
        elif wish == "log":
            self._options.set_log(name, on)
            plot.follow()
            self._show_options()
        elif wish == "raw":
            self._options.set_raw(name, on)
            self._show_options()
        elif wish == "all":
            self.follow()
        elif wish == "copy":
            self.copy_figure(plot)
        elif wish == "export":
            self.ask_export(plot)
        elif wish == "what":
            show_explanation(self, of_metric(plot.about))

    def _choices(self, plot: MetricPlot | None = None) -> list[Choice]:
        self.repaint_now()  # so that the figure has what came last
        if self._run is None or not self._has_numbers():
            return []
        return choices([plot] if plot else list(self._grid), self._run, self._overlays(),
                       self._options.x_axis)

    def _current(self) -> MetricPlot:
        """Return the plot the person is at: by keyboard, by pointer, or the first."""
        self._make_plots()
        shown, focus = list(self._grid), QApplication.focusWidget()
        at = [plot for plot in shown if focus and plot.isAncestorOf(focus)]
        return next(iter([*at, *filter(None, [self._pointing.crosshair.plot]), *shown]))

    # -- settings

    def _use(self, algorithm: Algorithm) -> None:
        """Offer the plots of an algorithm, and show those that were chosen last with it."""
        if algorithm is not self.algorithm:
            self._plots_of[self._key()] = self.plots()
            self.algorithm = algorithm
            self.controls.show_algorithm(algorithm)
            self.choose_plots(self._remembered())

    def _key(self) -> str:
        return self.algorithm.key or self.algorithm.name

    def _remembered(self) -> Sequence[str]:
        """Return what was plotted last with the algorithm, as far as it has it."""
        known = {metric.name for metric in self.algorithm.metrics}
        names = [name for name in self._plots_of.get(self._key(), []) if name in known]
        return names[:MOST_PLOTS] or self.algorithm.default_plots

    def _find_parts(self) -> None:
        """Plot the parts of the reward for as long as a run is shown that has them."""
        curves = self._run.curves if self._run else {}
        parts = tuple(learned_first(curves))
        if parts != self._parts:
            self._parts = parts
            self.choose_plots(self.plots())

    def _want_parts(self, wanted: bool) -> None:
        self._parts_wanted = wanted
        self.choose_plots(self.plots())

    def _set_weight(self, weight: float) -> None:
        self._options.weight = weight
        for run in (self._run, *self._others):
            if run:
                run.set_weight(weight)
        self._show_options()

    def _set_log(self, log: bool) -> None:
        self._options.set_all_log(log)
        self._grid.follow()
        self._show_options()

    def _choose_x_axis(self, x_axis: XAxis) -> None:
        self._options.x_axis = self._pointing.x_axis = x_axis
        self._grid.set_x_axis(x_axis)
        self.follow()

    def _show_options(self) -> None:
        """Tick in the menus what is so, and draw anew."""
        options = self._options
        for plot in self._grid:
            name = plot.about.name
            plot.menu.show_state(
                enlarged=plot is self._grid.enlarged, log=options.is_log(name),
                raw=name in options.raw, smoothing=options.weight > 0)
        self.controls.show_log(options.all_log(
            [plot.about.name for plot in self._grid] or self.plots()))
        self._show_following()
        self._schedule()

    # -- making it

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 2, 8)  # on the right the room of the scroll bar is kept
        layout.setSpacing(8)
        self.controls = Controls()
        self.controls.plots_chosen.connect(self._choose)
        self.controls.set_chosen.connect(self.choose_plots)
        self.controls.parts_wanted.connect(self._want_parts)
        self.controls.smoothing_changed.connect(self._set_weight)
        self.controls.log_toggled.connect(self._set_log)
        self.controls.x_axis_chosen.connect(self._choose_x_axis)
        self.controls.follow_clicked.connect(self.follow)
        self.controls.zoom_clicked.connect(self.zoom)
        self.controls.copy_clicked.connect(lambda: self.copy_figure())
        self.controls.export_clicked.connect(lambda: self.ask_export())
        layout.addWidget(self.controls)
        self._empty = label(role="muted", wrap=True, name="metrics_empty")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._grid = PlotGrid()
        self._grid.panned.connect(self._panned)
        self._grid.zoomed.connect(self._zoom_to)
        self._grid.stretched.connect(self._show_following)
        self._grid.reset.connect(self._double_click)
        self._grid.wished.connect(self._wish)
        self._pointing = Pointing(self._grid, self)
        self._pointing.changed.connect(self._selected)
        self._pointing.chosen.connect(self.cycle_chosen)
        self._follow_action = self._action(
            "follow_latest", "Show all, and follow the latest cycle", Qt.Key.Key_F, self.follow,
            "Show the whole run in the plots again")
        self._zoom_action = self._action(
            "zoom_to_range", "Zoom to the selected cycles", Qt.Key.Key_Z, self.zoom,
            "Show only the selected cycles in the plots")
        self._figure_actions = [self._action(
            "enlarge_plot", "Enlarge a plot, or show all again", Qt.Key.Key_E,
            lambda: self._wish(self._current(), "enlarge", False),
            "Show the plot that the keyboard or the pointer is at alone, or all plots again")]
        self._pages = QStackedWidget()
        self._pages.addWidget(self._empty)
        self._scroll = FormScroll(self._grid)
        self._pages.addWidget(self._scroll)
        plots = QVBoxLayout()
        plots.setSpacing(3)  # the dials belong to them
        plots.addWidget(self._pages, 1)
        if self.dials is not None:
            plots.addWidget(self.dials)
        layout.addLayout(plots, 1)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def _action(self, name: str, text: str, key: Qt.Key, call: Callable[[], None],
                tip: str) -> QAction:
        action = QAction(text, self)
        action.setObjectName(name)
        action.setShortcut(QKeySequence(key))
        action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        action.triggered.connect(lambda: call())
        set_tip(action, tip)
        enable_action(action, False, NO_RANGE if name == "zoom_to_range" else NO_CURVE)
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
        self._pointing.others = self._overlays()
        name_runs([run for run in (self._run, *self._others) if run], self._records)

    def _show_legend(self, run: RunData) -> None:
        others, names = self._overlays(), self._grid.names()
        if others:
            whole, brief = (legend(run, others, themes().theme, names, brief=brief)
                            for brief in (False, True))
            self._grid.show_legend(whole, brief, plain_tip(
                "\n".join([*in_words(run, others, names), _TICK])))
        else:
            self._grid.show_legend("", "", "")

    def _apply_theme(self, theme: Theme) -> None:
        self._grid.apply_theme(theme)
        if self._run:
            self._show_legend(self._run)
