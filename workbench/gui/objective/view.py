"""The objective, drawn: the formula with a cycle's numbers, bars over cycles, and the trust region
or the loss of each item by what decides it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSplitter, QWidget

from workbench.gui.background import Background
from workbench.gui.objective.bars import Bars
from workbench.gui.objective.chips import Formula
from workbench.gui.objective.curve import CurvePlot
from workbench.gui.objective.edge import Edge
from workbench.gui.objective.reading import Picture, read_picture
from workbench.gui.objective.region import RegionPlot
from workbench.gui.run_view import PictureView
from workbench.gui.widgets.controls import label
from workbench.gui.widgets.cycle_controls import CycleControls
from workbench.gui.widgets.layouts import hbox, vbox
from workbench.gui.widgets.picture_pages import PicturePages
from workbench.gui.widgets.still_label import StillLabel
from workbench.gui.widgets.theme import themes
from workbench.store.store import Store

_LOW = 340  # pixels
_EQUAL = 10_000  # more pixels than there are, which are then shared
_NO_RUN = ("Press Start: here the loss of every cycle is drawn as the sum of its terms, and what "
           "it learned from where the loss is steep or flat.")
_NO_CYCLE = ("The loss of the first cycle is drawn here when the cycle has ended, after Compare; "
             "a run that is held goes on with Step into or Resume.")
_NO_OBJECTIVE = ("{} has no loss that is the sum of several terms; its loss by cycle is drawn in "
                 "Metrics.")


class ObjectiveView(PictureView[Picture]):
    """The loss of the run on display, and one cycle's trust region, or what it learned from on the
    curve of the loss."""

    setting_wanted = Signal(str, object)
    token_wanted = Signal(int, int, int)  # cycle, row in its batch, token

    def __init__(self, store: Store, background: Background, parent: QWidget | None = None) -> None:
        super().__init__("objective_view", store, background, parent)
        self._pages = PicturePages("objective", self._make_plots)
        vbox(self, self._pages)
        themes().changed.connect(self.draw)
        self.draw()

    def read(self, run_id: int, wanted: int | None) -> Picture | None:
        """Read the run's loss, and the tokens of a cycle's update."""
        return read_picture(self.store, run_id, wanted)

    # -- showing

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the two plots beside each other, or above where the view is narrow; a low one has
        the formula in fewer words."""
        super().resizeEvent(event)
        if self._pages.is_made:
            self._arrange()

    def _arrange(self) -> None:
        self.formula.set_low(self.height() < _LOW)
        beside = self.width() >= 0.9 * self.height()
        self._plots.setOrientation(
            Qt.Orientation.Horizontal if beside else Qt.Orientation.Vertical)

    def sizeHint(self) -> QSize:
        """Wide enough for two plots."""
        return QSize(720, 320)

    def draw(self) -> None:
        """Draw what was read, or say why there is nothing."""
        picture = self.picture
        objective = None if picture is None else picture.algorithm.objective
        if picture is None or objective is None or not picture.cycles:
            self._pages.say(
                _NO_OBJECTIVE.format(picture.algorithm.title) if picture and objective is None
                else _NO_RUN if self.run_id is None
                else _NO_CYCLE if self.alive else self.why_no_cycle() if picture else "")
            return
        self._pages.make()
        self.cycles.show_cycles(picture.cycles, picture.cycle, self.wanted is None)
        self.formula.show_picture(picture, self.alive)
        self.bars.show_picture(picture)
        parts: dict[QWidget, bool] = dict.fromkeys(
            (self.region, self.edge), objective.region is not None)
        parts |= dict.fromkeys((self.curve, self.said), objective.curve is not None)
        others = any(part.isHidden() == shown for part, shown in parts.items())
        for part, shown in parts.items():
            part.setVisible(shown)
        if others:  # one that was hidden would have what little room it had then
            self._plots.setSizes([_EQUAL] * self._plots.count())
        if objective.curve is not None:
            self.curve.show_curve(picture)
            self.said_label.setText(self.curve.accessibleDescription())
        if objective.region is not None:
            self.edge.show_picture(picture)
            self._draw_region()
        self._pages.show_whole()

    def _draw_region(self) -> None:
        picture = self.picture
        if picture is not None and picture.algorithm.objective is not None:
            region = picture.algorithm.objective.region
            if region is not None:
                self.region.show_region(
                    region, self.edge.settings(), picture.tokens, picture.epochs)
                self.region.setAccessibleDescription(self.edge.said.text())

    def _want_token(self, index: int) -> None:
        picture = self.picture
        found = None if picture is None else picture.tokens or picture.items
        if picture is not None and found is not None:
            self.token_wanted.emit(picture.cycle, *found.places[index])

    # -- making it

    def _make_plots(self) -> QWidget:
        self.cycles = CycleControls(
            "objective", "The cycle whose loss is shown")
        self.bars, self.region, self.edge = Bars(), RegionPlot(), Edge()
        self.curve = CurvePlot()
        self.said_label = label(
            wrap=True, name="objective_curve_said", title="What was learned from, in words")
        self.said = StillLabel(self.said_label)
        self.formula = Formula(self.cycles)
        self.cycles.picked.connect(self.choose_cycle)
        self.cycles.following.connect(self.follow)
        self.bars.chosen.connect(self.choose_cycle)
        self.region.edge_dragged.connect(self.edge.drag_to)
        self.region.token_chosen.connect(self._want_token)
        self.curve.token_chosen.connect(self._want_token)
        self.edge.moved.connect(self._draw_region)
        self.edge.wanted.connect(self.setting_wanted)
        self.formula.setting_wanted.connect(self.setting_wanted)
        self._plots = QSplitter(Qt.Orientation.Horizontal)
        self._plots.setChildrenCollapsible(False)
        self._plots.setHandleWidth(8)
        plots: tuple[QWidget, ...] = (self.bars, self.region, self.curve)
        for place, plot in enumerate(plots):
            self._plots.addWidget(plot)
            self._plots.setStretchFactor(place, 1)
        self._arrange()
        whole = QWidget()
        top = hbox(
            None, (self.formula, 1), (self.formula.measure, 0, Qt.AlignmentFlag.AlignTop),
            spacing=6)
        vbox(whole, top, (self._plots, 1), self.edge, self.said, margins=8, spacing=6)
        return whole
