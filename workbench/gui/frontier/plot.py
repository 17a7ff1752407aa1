"""The picture of the frontier: a line for each run, the best of n dashed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QFrame, QGraphicsPathItem

from workbench.gui.frontier.reading import UNITS, Array, Band, Picture, Track, X, bands
from workbench.gui.metrics.axes import CycleAxis, ValueAxis
from workbench.gui.metrics.curves import set_points
from workbench.gui.metrics.data import robust_range
from workbench.gui.metrics.overlays import make_curve
from workbench.gui.widgets.run_colours import run_colour, run_line
from workbench.gui.widgets.theme import Theme, themes
from workbench.records import BestOf

_NEAR = 16  # pixels
_TALL = 220  # pixels of a plot that has room for the title of x
_ABOVE = 8  # pixels, for the upper half of a number at the very top
_WIDTH = 2.0  # of the run on display
_THIN = 1.25
_FEW = 120  # cycles up to which each has a dot of its own
_KEYS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
_ENDS = {Qt.Key.Key_Home: 0, Qt.Key.Key_End: -1}


@dataclass(frozen=True, slots=True)
class Point:
    """A point pointed at: the cycle of a run, or of ``best`` the best of ``n``."""

    track: Track | None
    index: int
    best: BestOf | None = None

    @property
    def n(self) -> int:
        """How many completions the best is of."""
        return self.index + 1


class FrontierPlot(pg.PlotWidget):
    """Tells what is pointed at and which point is clicked. Left and Right step through the cycles
    of the run on display."""

    pointed = Signal(object)  # a Point, or None
    chosen = Signal(int, int)  # run, cycle

    def __init__(self) -> None:
        super().__init__(enableMenu=False, axisItems={"left": ValueAxis(),
                                                      "bottom": ValueAxis("bottom")})
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(120, 90)
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        self.plotItem.setContentsMargins(0, _ABOVE, _ABOVE, 0)
        self._lines: list[pg.PlotDataItem] = []
        self._dots = pg.ScatterPlotItem(pen=None)
        self._dots.setZValue(3)
        self.addItem(self._dots, ignoreBounds=True)
        self._best: list[pg.PlotDataItem] = []
        self._areas: list[QGraphicsPathItem] = []
        self._here, self._pointer = pg.ScatterPlotItem(), pg.ScatterPlotItem()
        for mark in (self._here, self._pointer):
            mark.setZValue(5)
            self.addItem(mark, ignoreBounds=True)
        self.tracks: Sequence[Track] = ()
        self.bands: list[Band] = []
        self.best: Sequence[BestOf] = ()
        self.cycle: int | None = None
        self._x: X = "kl"
        self._shown: list[Track] = []
        self._run_id = 0
        self._dressed: tuple[Theme, X] | None = None
        self._owners: list[Track | BestOf] = []
        self._begins: list[int] = []
        self._xy = np.empty((0, 2))  # of all that can be pointed at, one owner after another

    # -- drawing

    def show_picture(self, picture: Picture, x: X, run_id: int, cycle: int | None,
                     banded: bool) -> None:
        """Draw ``picture`` over ``x``, with a ring at a cycle of the run on display."""
        theme = themes().theme
        if self._dressed != (theme, x):
            self._dressed = theme, x
            self._dress(theme, x)
        self.tracks, self.best, self._x = picture.tracks, picture.best, x
        self.bands = bands(picture.tracks, x) if banded else []
        within = {i for band in self.bands for i in band.runs}
        # Of the runs in a band the one on display keeps its line.
        self._shown = [t for t in self.tracks if t.run_id == run_id or t.run_id not in within]
        self._draw_lines(theme, run_id, within)
        self._draw_bands(theme)
        self._draw_best(theme)
        self.show_cycle(run_id, cycle)
        self._fit()
        self._pointer.setData([], [])

    def show_cycle(self, run_id: int, cycle: int | None) -> None:
        """Put the ring at a cycle of the run on display; None: its latest."""
        self.cycle, self._run_id = None, run_id
        x, y = np.empty(0), np.empty(0)
        for track in self.tracks:
            if track.run_id == run_id:
                index = len(track.cycles) - 1 if cycle is None else max(track.index(cycle), 0)
                self.cycle = int(track.cycles[index])
                x, y = track.costs[self._x][[index]], track.reward[[index]]
        set_points(self._here, x, y)

    def _draw_lines(self, theme: Theme, run_id: int, within: set[int]) -> None:
        count = len(self.tracks) + len(self.bands)
        while len(self._lines) < count:
            line = make_curve()
            self.addItem(line, ignoreBounds=True)
            self._lines.append(line)
        for unused in self._lines[count:]:
            unused.hide()
        spots: list[tuple[Array, Array, str, float]] = []
        for track, line in zip(self.tracks, self._lines, strict=False):
            own, few = track.run_id == run_id, len(track.cycles) <= _FEW
            line.setVisible(track in self._shown)
            if track not in self._shown:
                continue
            colour = run_colour(track.run_id, theme)
            x, y = track.costs[self._x], track.reward
            wide = _WIDTH if own and not within else _THIN
            line.setPen(_pen(QColor(colour), wide if few else 1, run_line(track.run_id)))
            line.setData(x, y, antialias=few)
            line.setZValue(2 if own else 1)
            # Of many cycles the last alone: where it came to.
            at = slice(None) if few else slice(-1, None)
            spots.append((x[at], y[at], colour, 6.0 if own else 5.0))
        for band, line in zip(self.bands, self._lines[len(self.tracks):], strict=False):
            colour = run_colour(band.runs[0], theme)
            line.setPen(_pen(QColor(colour), _WIDTH, Qt.PenStyle.SolidLine))
            line.setData(band.costs, band.mean, antialias=len(band.mean) <= _FEW)
            line.show()
            spots.append((band.costs[-1:], band.mean[-1:], colour, 6.0))
        # One item for all: each costs as much as its spots.
        brushes = {colour: pg.mkBrush(colour) for _, _, colour, _ in spots}
        self._dots.setData(
            x=np.concatenate([np.empty(0), *(x for x, *_ in spots)]),
            y=np.concatenate([np.empty(0), *(y for _, y, *_ in spots)]),
            brush=[brushes[colour] for x, _, colour, _ in spots for _ in x],
            size=[size for x, _, _, size in spots for _ in x])

    def _draw_bands(self, theme: Theme) -> None:
        while len(self._areas) < len(self.bands):
            area = QGraphicsPathItem()
            area.setPen(pg.mkPen(None))
            self.addItem(area, ignoreBounds=True)
            self._areas.append(area)
        for unused in self._areas[len(self.bands):]:
            unused.hide()
        for band, area in zip(self.bands, self._areas, strict=False):
            path = pg.arrayToQPath(np.concatenate([band.costs, band.costs[::-1]]),
                                   np.concatenate([band.least, band.most[::-1]]))
            path.setFillRule(Qt.FillRule.WindingFill)  # a run may come back towards the start
            colour = QColor(run_colour(band.runs[0], theme))
            colour.setAlphaF(0.18)
            area.setBrush(pg.mkBrush(colour))
            area.setPath(path)
            area.show()

    def _draw_best(self, theme: Theme) -> None:
        while len(self._best) < len(self.best):
            line = make_curve()
            line.setZValue(4)
            self.addItem(line, ignoreBounds=True)
            self._best.append(line)
        for unused in self._best[len(self.best):]:
            unused.hide()
        for found, line in zip(self.best, self._best, strict=False):
            x, y = self.best_line(found)
            line.setPen(_pen(QColor(theme.text), 1.5, Qt.PenStyle.DashLine))
            few = self._x in ("kl", "root")
            line.setData(x, y, antialias=True, symbol="o" if few else None, symbolSize=4,
                         symbolPen=None, symbolBrush=theme.text)
            line.show()

    def best_line(self, found: BestOf) -> tuple[Array, Array]:
        """Return where the best of n is drawn: against what the reward costs in KL, or else as high
        as the best of the most goes."""
        rewards = np.array(found.rewards)
        if self._x in ("kl", "root"):
            far = np.maximum(np.array(found.kl), 0.0)
            return np.sqrt(far) if self._x == "root" else far, rewards
        most = max((float(t.costs[self._x][-1]) for t in self.tracks), default=1.0)
        return np.array([0.0, most]), np.repeat(rewards[-1:], 2)

    def _fit(self) -> None:
        found = [(t.costs[self._x], t.reward) for t in self._shown]
        found += [(b.costs, y) for b in self.bands for y in (b.least, b.most)]
        found += [self.best_line(best) for best in self.best]
        high = max((float(x.max()) for x, _ in found if len(x)), default=1.0)
        span = robust_range([y for _, y in found])
        self.setXRange(0.0, 1.03 * high or 1.0, padding=0.02)
        if span is not None:
            self.setYRange(*span, padding=0.02)
        self._owners = [*self._shown]
        if self._x in ("kl", "root"):
            self._owners += self.best
        places = [np.column_stack(
            self.best_line(o) if isinstance(o, BestOf) else (o.costs[self._x], o.reward))
            for o in self._owners]
        self._xy = np.concatenate([np.empty((0, 2)), *places])
        self._begins = [0, *np.cumsum([len(p) for p in places]).tolist()]

    def _dress(self, theme: Theme, x: X) -> None:
        counts = x in ("samples", "steps", "seconds")
        bottom = self.getAxis("bottom")
        if counts is not isinstance(bottom, CycleAxis):
            bottom = CycleAxis() if counts else ValueAxis("bottom")
            self.setAxisItems({"bottom": bottom})
        if isinstance(bottom, CycleAxis):
            bottom.set_x_axis("time" if x == "seconds" else "steps")
        self.setBackground(theme.base)
        bottom.setLabel(UNITS[x], color=theme.muted)
        bottom.showLabel(self.height() >= _TALL)
        for side in ("left", "bottom"):
            axis = self.getAxis(side)
            axis.setPen(theme.border)
            axis.setTextPen(theme.muted)
        ring = pg.mkPen(theme.text, width=2)
        self._here.setSize(12)
        self._here.setPen(ring)
        self._here.setBrush(pg.mkBrush(None))
        self._pointer.setSize(10)
        self._pointer.setPen(pg.mkPen(theme.accent, width=2))
        self._pointer.setBrush(pg.mkBrush(theme.base))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Say what x is where there is room."""
        super().resizeEvent(event)
        if event is not None:  # else pyqtgraph's own call, while there is no plot yet
            self.getAxis("bottom").showLabel(self.height() >= _TALL)

    # -- pointing

    def nearest(self, at: QPointF) -> int | None:
        """Return which point is near this place of the widget, if one is."""
        box = self.getViewBox()
        place = self.mapToScene(at.toPoint())
        if not len(self._xy) or not box.sceneBoundingRect().contains(place):
            return None
        here, pixel = box.mapSceneToView(place), box.viewPixelSize()
        away = np.hypot((self._xy[:, 0] - here.x()) / pixel[0],
                        (self._xy[:, 1] - here.y()) / pixel[1])
        best = int(away.argmin())
        return best if away[best] <= _NEAR else None

    def point(self, number: int) -> Point:
        """Return the point of this number."""
        place = int(np.searchsorted(self._begins, number, side="right")) - 1
        owner, index = self._owners[place], number - self._begins[place]
        return Point(None, index, owner) if isinstance(owner, BestOf) else Point(owner, index)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell of the point under the pointer."""
        super().mouseMoveEvent(event)
        self._point_at(self.nearest(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        """Point at nothing."""
        super().leaveEvent(event)
        self._point_at(None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to the cycle that is pressed."""
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        number = self.nearest(event.position())
        point = None if number is None else self.point(number)
        if event.button() == Qt.MouseButton.LeftButton and point and point.track:
            self.chosen.emit(point.track.run_id, int(point.track.cycles[point.index]))
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Nothing is dragged here."""
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Step through the cycles of the run on display."""
        key = Qt.Key(event.key())
        own = next((t for t in self.tracks if t.run_id == self._run_id), None)
        if own is None or self.cycle is None or key not in (*_KEYS, *_ENDS):
            super().keyPressEvent(event)
            return
        index = _ENDS[key] if key in _ENDS else min(
            max(own.index(self.cycle) + _KEYS[key], 0), len(own.cycles) - 1)
        self.chosen.emit(own.run_id, int(own.cycles[index]))
        self.pointed.emit(Point(own, index % len(own.cycles)))

    def _point_at(self, number: int | None) -> None:
        at = [] if number is None else [self._xy[number]]
        self._pointer.setData([x for x, _ in at], [y for _, y in at])
        self.pointed.emit(None if number is None else self.point(number))


def _pen(colour: QColor, width: float, style: Qt.PenStyle) -> QPen:
    pen = QPen(colour, width)
    pen.setCosmetic(True)
    pen.setStyle(style)
    return pen
