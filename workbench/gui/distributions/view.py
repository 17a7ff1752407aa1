"""Distributions: rewards, advantages, lengths and KL over cycles, and how well was foreseen."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from workbench.gui.background import Background
from workbench.gui.distributions.calibration import CalibrationPlot
from workbench.gui.distributions.fan import Fan
from workbench.gui.distributions.reading import Known, Picture, read_picture
from workbench.gui.run_view import PictureView
from workbench.gui.widgets.controls import label
from workbench.gui.widgets.cycle_controls import CycleControls
from workbench.gui.widgets.form_scroll import FormScroll
from workbench.gui.widgets.layouts import vbox
from workbench.gui.widgets.picture_pages import PicturePages
from workbench.gui.widgets.theme import themes
from workbench.store.store import Store

_LEAST_WIDTH = 260  # pixels of a plot
_NO_RUN = ("Press Start: here every cycle shows how its rewards, advantages, lengths and KL are "
           "spread, and how well the value head foresaw what came.")
_NO_CYCLE = ("The numbers of the first cycle appear here when the cycle has ended, after Compare; "
             "a run that is held goes on with Step into or Resume.")
_UNFORESEEN = ("{} foresees nothing token by token, so that there is no picture of what was "
               "foreseen against what came.")
_NOT_KEPT = ("The cycles of this run kept none of the numbers that are shown here; a run with "
             "Token details kept above 0 keeps them.")


class DistributionsView(PictureView[Picture]):
    """A fan for each distribution of the run's algorithm, and its predictions."""

    def __init__(self, store: Store, background: Background, parent: QWidget | None = None) -> None:
        super().__init__("distributions_view", store, background, parent)
        self._known = Known()
        self.fans: list[Fan] = []
        self._columns = 0
        self._waiting: list[int] = []  # plots that are to be drawn; len(fans): the predictions
        # All at once would take longer than a frame of the screen.
        self._next = QTimer(self, interval=0)
        self._next.timeout.connect(self._draw_next)
        self._pages = PicturePages("distributions", self._make_plots)
        vbox(self, self._pages)
        themes().changed.connect(self._redraw)
        self.draw()

    def show_run(self, run_id: int | None) -> None:
        """Show a run, or none. It may have been taken back: all of it is read anew."""
        self._known = Known()
        super().show_run(run_id)

    def read(self, run_id: int, wanted: int | None) -> Picture | None:
        """Read the cycles that have ended since, and the one looked at."""
        return read_picture(self.store, run_id, wanted, self._known)

    def draw(self) -> None:
        """Draw what was read, or say why there is nothing."""
        picture = self.picture
        self._next.stop()
        if picture is None or not picture.cycles:
            self._waiting = []
            self._pages.say(
                _NO_RUN if self.run_id is None else _NOT_KEPT if picture and picture.complete
                else _NO_CYCLE if self.alive else self.why_no_cycle() if picture else "")
            return
        self._pages.make()
        self.cycles.show_cycles(picture.cycles, picture.cycle, self.wanted is None)
        self._make_fans(len(picture.spreads))
        plots = range(len(self.fans) + (picture.predictions is not None))
        # Those that still show an earlier cycle come first.
        first = [plot for plot in self._waiting if plot in plots]
        self._waiting = first + [plot for plot in plots if plot not in first]
        self.calibration.setVisible(picture.predictions is not None)
        self._unforeseen.setText(_UNFORESEEN.format(picture.algorithm.title))
        self._unforeseen.setVisible(picture.algorithm.calibration is None)
        if self._pages.is_whole() and self.is_seen():
            self._next.start()
        else:
            self._draw_all()
        self._pages.show_whole()
        self._arrange()

    def _redraw(self) -> None:
        self.draw()
        self._draw_all()

    def _draw_all(self) -> None:
        while self._waiting:
            self._draw_next()

    def _draw_next(self) -> None:
        picture = self.picture
        if picture is None or not self._waiting:
            self._next.stop()
            return
        plot = self._waiting.pop(0)
        if plot < len(self.fans):
            self.fans[plot].show_spread(picture.spreads[plot], picture.cycle)
        elif picture.predictions is not None:
            self.calibration.show_predictions(picture.predictions)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put as many plots beside one another as there is room for."""
        super().resizeEvent(event)
        self._arrange()

    def sizeHint(self) -> QSize:
        """Wide enough for two plots."""
        return QSize(720, 320)

    def _make_fans(self, count: int) -> None:
        while len(self.fans) > count:
            self.fans.pop().deleteLater()
            self._columns = 0
        while len(self.fans) < count:
            fan = Fan(str(len(self.fans) + 1))
            fan.chosen.connect(self.choose_cycle)
            self.fans.append(fan)
            self._columns = 0

    def _arrange(self) -> None:
        columns = max(1, min(3, self.width() // _LEAST_WIDTH))
        if columns == self._columns or not self.fans:
            return
        self._columns = columns
        for place, plot in enumerate(self.fans):
            self._grid.addWidget(plot, place // columns, place % columns)
        row, column = divmod(len(self.fans), columns)
        for widget in (self.calibration, self._unforeseen):  # of which one shows
            self._grid.addWidget(widget, row, column, 1, columns - column)
        for column in range(3):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)

    def _make_plots(self) -> QWidget:
        self.cycles = CycleControls("distributions", "The cycle whose numbers are shown")
        self.cycles.picked.connect(self.choose_cycle)
        self.cycles.following.connect(self.follow)
        self.calibration = CalibrationPlot()
        self._unforeseen = label("", "muted", wrap=True, name="distributions_unforeseen")
        self._unforeseen.setAlignment(Qt.AlignmentFlag.AlignCenter)
        inside = QWidget()
        self._unforeseen.setParent(inside)  # before it is shown, or it would be a window
        self._unforeseen.hide()
        self._grid = QGridLayout(inside)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(12)
        whole = QWidget()
        vbox(
            whole, (self.cycles, 0, Qt.AlignmentFlag.AlignLeft), (FormScroll(inside), 1), margins=8,
            spacing=6)
        return whole
