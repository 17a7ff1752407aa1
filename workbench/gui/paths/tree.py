"""The tree of paths, drawn: height is the reward, colour the advantage, the path taken is thick."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from workbench.formatting import number, percent, visible
from workbench.gui.paths.labels import Boxes
from workbench.gui.paths.layout import Node, grow, spread
from workbench.gui.what_is import Explanation, explain_by
from workbench.gui.widgets.controls import named
from workbench.gui.widgets.theme import Theme, themes
from workbench.records import Crossroads

_LEFT, _RIGHT, _ABOVE = 46, 56, 14  # pixels for the scale, for rewards, and above and below
_IN = 12  # pixels from the scale to the first place, whose mark stands clear of it
_EVEN = 0.02  # of the range: an advantage that is less has no colour
_BESIDE = 8  # pixels from a leaf to its reward
_NEAR = 24  # pixels within which a leaf is pointed at
_TICKS = 4
_DOT = 4  # pixels: a branch there is no room to name
_MARK = 6  # pixels from the middle of a place's mark to its edge
_LEAST_NAME = 40  # pixels of a token's name
_EDGE = 10  # pixels from the middle of the first and last name to the edges
_ELSEWHERE = 0.3  # of the colour that paths of places have that are not chosen

_WHAT = Explanation(
    "Paths not taken", "The likeliest tokens at one place, each written on from several times with "
    "the same random numbers. A path's height is the mean reward of what came of it, its colour "
    "whether that is more or less than where it comes from; the one that was taken is thick, and "
    "leads to the next place that was written on from. How much better it is than the others is "
    "what the advantage estimates from a single text.",
    formula="advantage = worth of this path - mean worth of the others")


class PathTree(QWidget):
    """The places of one completion that were written on from, of which one is chosen.

    ``pointed`` carries the leaf that is pointed at or chosen with Up and Down, or the branch whose
    name is, None: none is;
    ``place_chosen`` the place (how many tokens are before it) that was clicked or gone to with Left
    and Right. A branch of the chosen place stands where its name has room, as near to its worth as
    can be.
    """

    pointed = Signal(object)
    place_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        named(self, "path_tree", "Paths not taken", "")
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        explain_by(self, lambda: _WHAT)
        self._found: Sequence[Crossroads] = ()
        self.root: Node | None = None
        self.places: list[Node] = []
        """The places that were written on from, in their order."""
        self.chosen: Node | None = None
        """The one that is looked at."""
        self._spoken: Node | None = None  # the one whose branches are named
        self._nodes: list[Node] = []
        self._leaves: list[Node] = []
        self._leaf: Node | None = None
        self._at: dict[int, QPointF] = {}  # where each node is, by its id
        self._range = 0.0, 1.0
        self._named: list[Node] = []
        self._picture: QPixmap | None = None  # of what stays as the pointer moves
        themes().changed.connect(self._redraw)

    def show_places(self, found: Sequence[Crossroads], at: int) -> None:
        """Draw the tree of places of one completion, and look at the one before token ``at``, if
        it is there."""
        if found is not self._found:
            self._found, self.root = found, grow(found)
            self._nodes = list(self.root.walk()) if self.root else []
            self.places = [node for node in self._nodes if node.is_place]
            self._leaves = [node for node in self._nodes if node.continuation is not None]
            self._range = self._find_range()
            self._point_at(None)
        self.chosen = next((n for n in self.places if n.crossroads.at == at), None)
        self._spoken = self.chosen or next(
            (n for n in reversed(self.places) if n.crossroads.at < at), self.root)
        if self._leaf is not None and not self._is_chosen(self._leaf):
            self._point_at(None)
        self._make_room()

    def sizeHint(self) -> QSize:
        """Room for some twenty paths."""
        return QSize(560, 320)

    def minimumSizeHint(self) -> QSize:
        """Room for a few."""
        return QSize(240, 120)

    # -- where things are

    def place(self, node: Node) -> QPointF:
        """Return where a node is drawn."""
        return self._at[id(node)]

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Find out anew which names there is room for."""
        super().resizeEvent(event)
        self._make_room()

    def changeEvent(self, event: QEvent) -> None:
        """A larger font needs more room."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._make_room()

    def names(self) -> list[tuple[Node, QRectF, str]]:
        """Return the branches that are named, where and with what: the one taken, then the
        likeliest, as many as there is room for."""
        metrics, found = QFontMetricsF(self.font()), []
        for node in self._named:
            assert node.branch is not None
            assert node.parent is not None
            place, before = self.place(node), self.place(node.parent)
            chance = f"  {percent(node.branch.chance)}"
            room = 2 * (place.x() - before.x() - _MARK) - metrics.horizontalAdvance(chance) - 10
            text = metrics.elidedText(
                visible(node.branch.piece), Qt.TextElideMode.ElideMiddle,
                max(_LEAST_NAME, min(room, place.x() - before.x()))) + chance
            wide, high = metrics.horizontalAdvance(text) + 10, metrics.height() + 1
            left = max(place.x() - wide / 2, before.x() + _MARK + 3)  # clear of the place's marks
            found.append((node, QRectF(left, place.y() - high / 2, wide, high), text))
        return found

    def ticks(self) -> list[float]:
        """Return the round numbers of the scale, evenly spaced and clear of one another."""
        low, high = self._range
        room = (self.height() - 2 * _ABOVE) / QFontMetricsF(self.font()).height()
        step = _round_up((high - low) / max(1, min(_TICKS, int(room))))
        return [i * step for i in range(math.ceil(low / step - 1e-9),
                                        math.floor(high / step + 1e-9) + 1)]

    def value_at(self, place: Node) -> QPointF:
        """Return where the value head's estimate at a place is drawn, beside its mean."""
        return QPointF(self.place(place).x(), self._height(place.crossroads.value))

    def estimates(self) -> list[tuple[Node, QRectF, str]]:
        """Return the numbers that stand at places, and where: the mean of what was written on, and
        what the value head foresaw; first those of the chosen one, and of the others what is clear
        of them and of the names."""
        metrics, taken = QFontMetricsF(self.font()), Boxes()
        for _, box, _ in self.names():
            taken.add(box)
        found: list[tuple[Node, QRectF, str]] = []
        high = metrics.height()
        for place in sorted(self.places, key=lambda n: n is not self.chosen):
            known = math.isfinite(place.crossroads.value)
            above = not known or place.worth >= place.crossroads.value
            marks = [(self.place(place), f"● {number(place.worth)}", above)]
            if known:
                marks.append((self.value_at(place), f"◇ {number(place.crossroads.value)}",
                              not above))
            for at, text, over in marks:
                wide = metrics.horizontalAdvance(text) + 2
                top = at.y() - _MARK - high if over else at.y() + _MARK
                left = _LEFT if at.x() < _LEFT + 2 * _IN else 0.0  # clear of the scale
                box = QRectF(max(left, at.x() - wide / 2), top, wide, high)
                if box.top() < 0 or box.bottom() > self.height():
                    box.moveTo(at.x() + _MARK + 2, at.y() - high / 2)
                if taken.is_clear(box):
                    taken.add(box)
                    found.append((place, box, text))
        return found

    def _height(self, worth: float) -> float:
        low, high = self._range
        return _ABOVE + (high - worth) / (high - low) * (self.height() - 2 * _ABOVE)

    def _find_range(self) -> tuple[float, float]:
        """Return the least and the largest number drawn, a little apart."""
        found = [n.worth for n in self._nodes] + [c.value for c in self._found]
        known = [worth for worth in found if math.isfinite(worth)]
        low, high = min(known, default=0.0), max(known, default=1.0)
        return (low, high) if high - low > 1e-6 else (low - 0.5, high + 0.5)

    def _make_room(self) -> None:
        """Find where nodes are; branches of the chosen place stand clear of one another."""
        self._at = {id(node): QPointF(
            _LEFT + _IN + node.x * (self.width() - _LEFT - _IN - _RIGHT),
            self._height(node.worth))
            for node in self._nodes}
        nodes = self._spoken.branches() if self._spoken else []
        low, high = _EDGE, max(_EDGE, self.height() - _EDGE)
        tall = QFontMetricsF(self.font()).height() + 2
        # Without the last one or ones, where they would not be clear of the others.
        wanted = sorted(nodes, key=lambda n: (not n.taken, -(n.branch.chance if n.branch else 0)))
        while len(wanted) > 1 and (
                len(wanted) * tall + (len(nodes) - len(wanted)) * _DOT - (
                    tall if len(wanted) == len(nodes) else _DOT) > high - low):
            wanted.pop()
        self._named = wanted
        rows = spread([self.place(node).y() for node in nodes],
                      [tall if node in wanted else _DOT for node in nodes], low, high)
        for node, y in zip(nodes, rows, strict=True):
            self._at[id(node)].setY(y)
        self._redraw()

    def labels(self) -> list[tuple[Node, QRectF]]:
        """Return the leaves whose rewards are written, and where: beside their dots, as many of the
        chosen place as are clear of one another and of other dots; that of the leaf pointed at
        always is."""
        metrics = QFontMetricsF(self.font())
        high, dots, boxes = metrics.height(), Boxes(), Boxes()
        for leaf in self._leaves:
            at = self.place(leaf)
            dots.add(QRectF(at.x() - 3, at.y() - 3, 6, 6))
        named = {id(node): box for node, box, _ in self.names()}
        for box in named.values():
            boxes.add(box)
        found: list[tuple[Node, QRectF]] = []
        written = [n for n in self._leaves
                   if self.chosen is None or self._is_chosen(n) or n is self._leaf]
        # First the one pointed at, then those of the path taken, the best first. A leaf's own dot
        # is left of its reward.
        for leaf in sorted(written, key=lambda n: (n is not self._leaf, not n.taken, -n.worth)):
            at = self.place(leaf)
            begins = at.x() + _BESIDE
            if (name := named.get(id(leaf.parent))) and name.contains(at):  # it ends right there
                begins, at = name.right() + 4, QPointF(at.x(), name.center().y())
            box = QRectF(begins, at.y() - high / 2,
                         metrics.horizontalAdvance(number(leaf.worth)) + 1, high)
            if leaf is self._leaf or (boxes.is_clear(box) and dots.is_clear(box)):
                boxes.add(box)
                found.append((leaf, box))
        return found

    def _is_chosen(self, node: Node) -> bool:
        """Whether a node belongs to the chosen place."""
        return self.chosen is not None and node.crossroads is self.chosen.crossroads

    # -- pointing

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Point at the branch whose name it is, or at the nearest leaf."""
        at = event.position()
        if (branch := self._name_at(at)) is not None:
            self._point_at(branch)
            return
        nearest = min(self._leaves, default=None, key=lambda n: self._far(n, at))
        self._point_at(nearest if nearest and self._far(nearest, at) <= _NEAR else None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the place of what is clicked."""
        at = event.position()
        if event.button() == Qt.MouseButton.LeftButton and (branch := self._name_at(at)):
            self._point_at(branch)
            self._choose(branch.crossroads.at)
            return
        nearest = min(self._nodes, default=None, key=lambda n: self._far(n, at))
        if (event.button() == Qt.MouseButton.LeftButton and nearest
                and self._far(nearest, at) <= _NEAR):
            self._choose(nearest.crossroads.at)
        super().mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go from place to place, and from leaf to leaf of the chosen one, best first."""
        key = Qt.Key(event.key())
        across = {Qt.Key.Key_Right: 1, Qt.Key.Key_Left: -1}.get(key)
        step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(key)
        if across is not None and self.places:
            row = self.places.index(self.chosen) + across if self.chosen else 0
            self._choose(self.places[max(0, min(row, len(self.places) - 1))].crossroads.at)
            return
        leaves = sorted((n for n in self._leaves if self._is_chosen(n) or not self.chosen),
                        key=lambda n: -n.worth)
        if step is None or not leaves:
            super().keyPressEvent(event)
            return
        at = leaves.index(self._leaf) + step if self._leaf in leaves else 0
        self._point_at(leaves[max(0, min(at, len(leaves) - 1))])

    def _name_at(self, at: QPointF) -> Node | None:
        """Return the branch whose name stands there."""
        return next((node for node, box, _ in self.names() if box.contains(at)), None)

    def _choose(self, at: int) -> None:
        if self.chosen is None or self.chosen.crossroads.at != at:
            self.place_chosen.emit(at)

    def _far(self, node: Node, at: QPointF) -> float:
        place = self.place(node)
        # To the right of a leaf stands its reward.
        right = _RIGHT if node.continuation is not None else 0
        across = max(0.0, place.x() - at.x(), at.x() - place.x() - right)
        return math.hypot(across, place.y() - at.y())

    def _point_at(self, leaf: Node | None) -> None:
        if leaf is not self._leaf:
            self._leaf = leaf
            self.pointed.emit(leaf)
            self.update()

    # -- drawing

    def _redraw(self) -> None:
        self._picture = None
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it: over what stays the way to the leaf pointed at, and texts."""
        if self.root is None:
            return
        theme = themes().theme
        if self._picture is None or self._picture.devicePixelRatio() != self.devicePixelRatioF():
            self._picture = self._draw_picture(theme)
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for node in [] if self._leaf is None else _lit(self._leaf):
            if node.parent is not None:
                self._draw_edge(painter, node, theme, wider=1.2)
        self._draw_labels(painter, theme)
        self._draw_places(painter, theme)
        self._draw_names(painter, theme)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(theme.accent), 1))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)

    def _draw_picture(self, theme: Theme) -> QPixmap:
        """Draw the scale, the paths and their ends."""
        ratio = self.devicePixelRatioF()
        picture = QPixmap(self.size() * ratio)
        picture.setDevicePixelRatio(ratio)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        painter.setFont(self.font())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_scale(painter, theme)
        edges = [node for node in self._nodes if node.parent is not None]
        # Those of the chosen place lie above the others, and the path taken above both.
        for node in sorted(edges, key=lambda n: (n.is_place, self._is_chosen(n), n.taken)):
            self._draw_edge(painter, node, theme)
        painter.setPen(Qt.PenStyle.NoPen)
        for node in self._nodes:
            if node.continuation is not None or (node.parent and node.parent.is_place):
                leaf = node.continuation is not None
                painter.setOpacity(self._opacity(node))
                painter.setBrush(QColor(theme.text if leaf else theme.muted))
                painter.drawEllipse(self.place(node), *(2 * [2.5 if leaf else _DOT / 2]))
        painter.end()
        return picture

    def _opacity(self, node: Node) -> float:
        there = self.chosen is None or self._is_chosen(node) or node.on_path
        return 1.0 if there else _ELSEWHERE

    def _draw_scale(self, painter: QPainter, theme: Theme) -> None:
        for value in self.ticks():
            y = self._height(value)
            painter.setPen(QPen(QColor(theme.border), 1))
            painter.drawLine(QPointF(_LEFT, y), QPointF(self.width() - _RIGHT, y))
            painter.setPen(QColor(theme.muted))
            painter.drawText(QRectF(0, y - 8, _LEFT - 6, 16), Qt.AlignmentFlag.AlignRight
                             | Qt.AlignmentFlag.AlignVCenter, _tick_text(value, self.ticks()))

    def _draw_edge(
        self, painter: QPainter, node: Node, theme: Theme, wider: float = 0.0
    ) -> None:
        assert node.parent is not None
        low, high = self._range
        start, end = self.place(node.parent), self.place(node)
        even = abs(node.advantage) < _EVEN * (high - low)
        colour = QColor(theme.muted if even else theme.good if node.advantage > 0 else theme.bad)
        path = QPainterPath(start)
        bend = (end.x() - start.x()) / 2
        path.cubicTo(QPointF(start.x() + bend, start.y()), QPointF(end.x() - bend, end.y()), end)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setOpacity(1.0 if wider else self._opacity(node))
        thick = node.on_path or (node.taken and (wider > 0 or self._opacity(node) == 1))
        painter.setPen(QPen(colour, (4 if thick else 1.4) + wider))
        painter.drawPath(path)
        painter.setOpacity(1.0)

    def _draw_labels(self, painter: QPainter, theme: Theme) -> None:
        """Write the rewards at the ends, and mark the one pointed at."""
        if self._leaf is not None:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.accent))
            painter.drawEllipse(self.place(self._leaf), 4.5, 4.5)
        text, accent = QColor(theme.text), QColor(theme.accent)
        for leaf, box in self.labels():
            pointed = leaf is self._leaf
            painter.fillRect(box, QColor(theme.window))  # over all that it crosses
            painter.setPen(accent if pointed else text)
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, number(leaf.worth))

    def _draw_names(self, painter: QPainter, theme: Theme) -> None:
        """Name the tokens, each with how likely it was."""
        for node, box, text in self.names():
            painter.setPen(QPen(QColor(theme.accent if node.taken else theme.border),
                                2 if node.taken else 1))
            painter.setBrush(QColor(theme.base))
            painter.drawRoundedRect(box, 4, 4)
            painter.setPen(QColor(theme.text))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _draw_places(self, painter: QPainter, theme: Theme) -> None:
        """Mark what was written on from each place is worth, and what the value head foresaw
        there."""
        for place in self.places:
            chosen, at = place is self.chosen, self.place(place)
            known = math.isfinite(place.crossroads.value)
            accent = QColor(theme.accent)
            if known:
                painter.setPen(QPen(accent, 1, Qt.PenStyle.DotLine))
                painter.drawLine(at, self.value_at(place))
            painter.setPen(QPen(accent, 2) if chosen else Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.text))
            painter.drawEllipse(at, *(2 * [_MARK - 1 if chosen else _MARK - 2]))
            if known:
                painter.setPen(QPen(accent, 2))
                painter.setBrush(QColor(theme.base))
                painter.drawPolygon(QPolygonF([self.value_at(place) + QPointF(x, y) for x, y in (
                    (0, -_MARK), (_MARK, 0), (0, _MARK), (-_MARK, 0))]))
        for place, box, text in self.estimates():
            painter.fillRect(box, QColor(theme.window))
            painter.setPen(QColor(theme.text if place is self.chosen else theme.muted))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)


def _round_up(step: float) -> float:
    """Return the least of 1, 2, 5 times a power of ten that is no less than ``step``."""
    unit = 10.0 ** math.floor(math.log10(step))
    return next(unit * n for n in (1, 2, 5, 10) if unit * n >= step * (1 - 1e-9))


def _tick_text(value: float, ticks: Sequence[float]) -> str:
    """Return a tick with as many places as all of them need."""
    places = next((n for n in (1, 2) if all(abs(round(t, n) - t) < 1e-9 for t in ticks)), 3)
    return number(value, places)


def _lit(node: Node) -> list[Node]:
    """Return what leads to a leaf or a branch, and of a branch all that came of it."""
    return [*_way(node), *(n for n in list(node.walk())[1:] if n.crossroads is node.crossroads)]


def _way(leaf: Node) -> list[Node]:
    """Return a leaf and all that lead to it, the first one first."""
    way = [leaf]
    while way[-1].parent is not None:
        way.append(way[-1].parent)
    return way[::-1]
