"""A bar a cycle, stacked of what each term gave to its loss."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QFrame

from workbench.formatting import short_number
from workbench.gui.metrics.axes import CycleAxis, ValueAxis
from workbench.gui.objective.chips import term_colour
from workbench.gui.objective.reading import Array, Picture
from workbench.gui.what_is import Explanation, explain_by, of_objective
from workbench.gui.widgets.controls import named
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import Theme, mix, themes

_TIP = ("What each term gave to the loss of each cycle, in the colours of the formula; what lowers "
        "it stands below 0. The mark is the loss itself. A click goes to a cycle")


def stacked(amounts: Array) -> tuple[Array, Array]:
    """Return where the parts of each bar begin and end, (cycles, terms) each: those above 0 upon
    one another, those below it under one another. What is not a number has no height."""
    amounts = np.nan_to_num(amounts, nan=0.0, posinf=0.0, neginf=0.0)
    up, down = (np.cumsum(part, axis=1) for part in (amounts.clip(min=0), amounts.clip(max=0)))
    ends = np.where(amounts < 0, down, up)
    return ends - amounts, ends


class Bars(pg.PlotWidget):
    """``chosen`` carries a cycle that was clicked."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__(enableMenu=False,
                         axisItems={"left": ValueAxis(), "bottom": CycleAxis()})
        named(self, "objective_bars", "Terms of the loss by cycle", _TIP)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the cycle is chosen above, by the keyboard
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        self.setMinimumSize(120, 80)
        self.getAxis("left").setWidth(44)
        # For the upper half of a number at the very top.
        self.plotItem.layout.setContentsMargins(0, 8, 0, 0)
        self._chosen = pg.LinearRegionItem(movable=False)
        self._chosen.setZValue(-10)
        self.addItem(self._chosen)
        self._zero = pg.InfiniteLine(0, angle=0)
        self.addItem(self._zero)
        self.parts: list[pg.BarGraphItem] = []
        self._total = pg.PlotDataItem(connect="pairs")
        self.addItem(self._total)
        self._picture: Picture | None = None
        self._theme: Theme | None = None
        explain_by(self, self._explain)

    def _explain(self) -> Explanation | None:
        objective = self._picture.algorithm.objective if self._picture else None
        return of_objective(objective) if objective else None

    def show_picture(self, picture: Picture) -> None:
        """Draw the bars of a run that has cycles; they stay when another one is looked at."""
        theme, before = themes().theme, self._picture
        same = before is not None and self._theme is theme and (
            before.run_id, before.cycles, before.shares, before.total) == (
            picture.run_id, picture.cycles, picture.shares, picture.total)
        self._picture, self._theme = picture, theme
        self._chosen.setRegion((picture.cycle - 0.5, picture.cycle + 0.5))
        if not same:
            self._draw(picture, theme)

    def _draw(self, picture: Picture, theme: Theme) -> None:
        cycles = np.array(picture.cycles, float)
        amounts = np.array([[share.amount for share in row] for row in picture.shares])
        starts, ends = stacked(amounts)
        for part in self.parts:
            self.removeItem(part)
        self.parts = []
        objective = picture.algorithm.objective
        assert objective is not None
        for row, term in enumerate(objective.terms):
            if np.any(amounts[:, row]):
                colour = term_colour(theme, row, term.tone)
                part = pg.BarGraphItem(
                    x0=cycles - 0.4, x1=cycles + 0.4, y0=starts[:, row], y1=ends[:, row],
                    pen=pg.mkPen(None), brush=pg.mkBrush(colour), name=str(row))
                self.addItem(part)
                self.parts.append(part)
        self._total.setData(
            np.column_stack([cycles - 0.4, cycles + 0.4]).ravel(), np.repeat(picture.total, 2),
            pen=pg.mkPen(theme.text, width=2))
        self._total.setZValue(5)
        self._chosen.setBrush(pg.mkBrush(theme.changed))
        for line in self._chosen.lines:
            line.setPen(pg.mkPen(mix(theme.accent, theme.base, 0.6)))
        self._zero.setPen(pg.mkPen(theme.muted))
        self.setBackground(theme.base)
        for side in ("left", "bottom"):
            self.getAxis(side).setPen(theme.border)
            self.getAxis(side).setTextPen(theme.muted)
        low, high = min(0.0, float(starts.min()), float(ends.min())), max(
            0.0, float(starts.max()), float(ends.max()))
        room = 0.12 * (high - low) or 1.0
        # Below what is never negative there is only room for the line.
        self.setYRange(low - (room if low < 0 else 0.1 * room), high + room, padding=0)
        self.setXRange(picture.cycles[0] - 0.7, max(picture.cycles[-1], 4) + 0.7, padding=0)
        self.getAxis("bottom").setLabel("cycle", color=theme.muted)
        self.setAccessibleDescription(
            f"{objective.title} was {short_number(picture.total[0])} in cycle "
            f"{picture.cycles[0]:,} and {short_number(picture.total[-1])} in cycle "
            f"{picture.cycles[-1]:,}")

    def cycle_at(self, x: float) -> int | None:
        """Return the cycle whose bar is there, where it has one."""
        cycle = round(x)
        return cycle if self._picture and cycle in self._picture.cycles else None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to the cycle that is pressed."""
        cycle = self.cycle_at(self._place(event).x())
        if event.button() == Qt.MouseButton.LeftButton and cycle is not None:
            self.chosen.emit(cycle)
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Nothing is dragged here."""
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Say in the tooltip what the terms gave to the cycle under the pointer."""
        cycle = self.cycle_at(self._place(event).x())
        picture = self._picture
        if picture is None or cycle is None or picture.algorithm.objective is None:
            self.setToolTip(plain_tip(_TIP))
            return
        row = picture.cycles.index(cycle)
        lines = [f"{term.title}: {share.said}" for term, share in zip(
            picture.algorithm.objective.terms, picture.shares[row], strict=True)
            if not (term.optional and share.off)]
        self.setToolTip(plain_tip("\n".join(
            [f"Cycle {cycle:,}: {picture.algorithm.objective.title} = "
             f"{short_number(picture.total[row])}", *lines])))

    def _place(self, event: QMouseEvent) -> QPointF:
        scene = self.mapToScene(event.position().toPoint())
        return QPointF(self.getViewBox().mapSceneToView(scene))
