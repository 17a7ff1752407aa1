"""The objective, drawn: the formula with a cycle's numbers, bars over cycles, the trust region."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSplitter, QStackedWidget, QVBoxLayout, QWidget

from workbench.gui.background import Background
from workbench.gui.objective.bars import Bars
from workbench.gui.objective.chips import Formula
from workbench.gui.objective.cycles import Cycles
from workbench.gui.objective.edge import Edge
from workbench.gui.objective.reading import Picture, read_picture
from workbench.gui.objective.region import RegionPlot
from workbench.gui.widgets.controls import label
from workbench.gui.widgets.theme import themes
from workbench.store.store import Store

_RELOAD_MS = 60
_LOW = 340  # pixels
_NO_RUN = ("Press Start: here the loss of every cycle is drawn as the sum of its terms, and the "
           "tokens that it learned from in the trust region.")
_NO_CYCLE = "The loss of the first cycle is drawn here when it has ended."
_ENDED = "No cycle of this run is complete. Resume begins it from the start."
_NO_OBJECTIVE = "{} does not tell what its loss is the sum of; what it measures is in Metrics."


class ObjectiveView(QWidget):
    """Follows the run until the person chooses a cycle. Reads the store in the background, and
    only while it is on screen."""

    cycle_chosen = Signal(int)  # the person has gone to this cycle here
    setting_wanted = Signal(str, float)

    def __init__(self, store: Store, background: Background, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("objective_view")
        self._store, self._background = store, background
        self._run_id: int | None = None
        self._wanted: int | None = None  # a cycle; None: the latest
        self._alive = True
        self._asked = 0
        self._stale = True
        self.picture: Picture | None = None
        self._build()
        # Several cycles may end within a moment; only the last is worth reading.
        self._reload = QTimer(self, singleShot=True, interval=_RELOAD_MS)
        self._reload.timeout.connect(self._load)
        themes().changed.connect(self._draw)
        self._draw()

    # -- what the window tells

    def set_alive(self, alive: bool) -> None:
        """Say whether the run on display is alive, so that its cycles are on their way."""
        if alive != self._alive:
            self._alive = alive
            self._load_soon()

    def show_run(self, run_id: int | None) -> None:
        """Show a run, or none; another one from its latest cycle on."""
        if run_id != self._run_id:
            self._run_id, self._wanted, self.picture = run_id, None, None
            self._draw()
        self._load_soon()

    def cycle_available(self, run_id: int) -> None:
        """Take note that a cycle has ended; ignored for another run."""
        if run_id == self._run_id:
            self._load_soon()

    def show_cycle(self, cycle: int) -> None:
        """Show ``cycle`` of the run on display, or the nearest before it."""
        self._wanted = cycle
        self._load_soon()

    # -- what the person does

    def choose_cycle(self, cycle: int | None) -> None:
        """Show a cycle and stay with it, or follow the latest (None)."""
        self._wanted = cycle
        if cycle is not None:
            self.cycle_chosen.emit(cycle)
        self._load()

    # -- showing

    def paintEvent(self, event: QPaintEvent) -> None:
        """Read what has come while the view was behind others."""
        super().paintEvent(event)
        if self._stale:
            self._reload.start()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the two plots beside each other, or above where the view is narrow; a low one has
        the formula in fewer words."""
        super().resizeEvent(event)
        self.formula.set_low(self.height() < _LOW)
        beside = self.width() >= 0.9 * self.height()
        self._plots.setOrientation(
            Qt.Orientation.Horizontal if beside else Qt.Orientation.Vertical)

    def sizeHint(self) -> QSize:
        """Wide enough for two plots."""
        return QSize(720, 320)

    def _load_soon(self) -> None:
        self._stale = True
        if not self.visibleRegion().isEmpty():
            self._reload.start()

    def _load(self) -> None:
        self._reload.stop()
        self._stale = False
        self._asked += 1
        asked, run_id, wanted = self._asked, self._run_id, self._wanted
        if run_id is None:
            self._show(asked, None)
        else:
            self._background.run(lambda: read_picture(self._store, run_id, wanted),
                                 lambda picture: self._show(asked, picture))

    def _show(self, asked: int, picture: Picture | None) -> None:
        if asked == self._asked:  # else another answer is on its way
            self.picture = picture
            self._draw()

    def _draw(self) -> None:
        picture = self.picture
        objective = None if picture is None else picture.algorithm.objective
        if picture is None or objective is None or not picture.cycles:
            self._empty.setText(
                _NO_OBJECTIVE.format(picture.algorithm.title) if picture and objective is None
                else _NO_RUN if self._run_id is None
                else _NO_CYCLE if self._alive else _ENDED if picture else "")
            self._pages.setCurrentWidget(self._empty)
            return
        self.cycles.show_cycles(picture.cycles, picture.cycle, self._wanted is None)
        self.formula.show_picture(picture)
        self.bars.show_picture(picture)
        for part in (self.region, self.edge):
            part.setVisible(objective.region is not None)
        if objective.region is not None:
            self.edge.show_picture(picture)
            self._draw_region()
        self._pages.setCurrentWidget(self._whole)

    def _draw_region(self) -> None:
        picture = self.picture
        if picture is not None and picture.algorithm.objective is not None:
            region = picture.algorithm.objective.region
            if region is not None:
                self.region.show_region(region, self.edge.settings(), picture.tokens)
                self.region.setAccessibleDescription(self.edge.said.text())

    # -- making it

    def _build(self) -> None:
        self._empty = label("", "muted", wrap=True)
        self._empty.setObjectName("objective_empty")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setMargin(24)
        self.cycles, self.bars, self.region, self.edge = Cycles(), Bars(), RegionPlot(), Edge()
        self.formula = Formula(self.cycles)
        self.cycles.picked.connect(self.choose_cycle)
        self.bars.chosen.connect(self.choose_cycle)
        self.region.edge_dragged.connect(self.edge.drag_to)
        self.edge.moved.connect(self._draw_region)
        self.edge.wanted.connect(self.setting_wanted)
        self._plots = QSplitter(Qt.Orientation.Horizontal)
        self._plots.setChildrenCollapsible(False)
        self._plots.setHandleWidth(8)
        self._plots.addWidget(self.bars)
        self._plots.addWidget(self.region)
        self._plots.setStretchFactor(0, 1)
        self._plots.setStretchFactor(1, 1)
        self._whole = QWidget()
        column = QVBoxLayout(self._whole)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(6)
        column.addWidget(self.formula)
        column.addWidget(self._plots, 1)
        column.addWidget(self.edge)
        self._pages = QStackedWidget()
        self._pages.addWidget(self._empty)
        self._pages.addWidget(self._whole)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._pages)
