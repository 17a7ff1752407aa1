"""The tree of paths, drawn: height is the reward, colour the advantage, the path taken is thick."""

from __future__ import annotations

import math

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, QSizeF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from workbench.formatting import number, percent, visible
from workbench.gui.paths.layout import Node, grow, spread
from workbench.gui.what_is import Explanation, explain_by
from workbench.gui.widgets.controls import named
from workbench.gui.widgets.theme import Theme, themes
from workbench.records import Crossroads

_LEFT, _RIGHT, _ABOVE = 46, 56, 14  # pixels for the scale, for rewards, and above and below
_EVEN = 0.02  # of the range: an advantage that is less has no colour
_BESIDE = 8  # pixels from a leaf to its reward
_NEAR = 24  # pixels within which a leaf is pointed at
_TICKS = 4
_DOT = 4  # pixels: a branch there is no room to name
_EDGE = 10  # pixels from the middle of the first and last name to the edges

_WHAT = Explanation(
    "Paths not taken", "The likeliest tokens at one place, each written on from several times with "
    "the same random numbers. A path's height is the mean reward of what came of it, its colour "
    "whether that is more or less than where it comes from; the one that was taken is thick. How "
    "much better it is than the others is what the advantage estimates from a single text.",
    formula="advantage = worth of this path - mean worth of the others")


class PathTree(QWidget):
    """Emits the leaf that is pointed at or chosen with the arrow keys; None: none is. A branch
    stands where its name has room, as near to its worth as can be."""

    pointed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        named(self, "path_tree", "Paths not taken", "")
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        explain_by(self, lambda: _WHAT)
        self._found: Crossroads | None = None
        self.root: Node | None = None
        self._leaf: Node | None = None
        self._rows: dict[int, float] = {}  # y of each branch, by its node's id
        self._named: list[Node] = []
        themes().changed.connect(self.update)

    def show_crossroads(self, found: Crossroads | None) -> None:
        """Draw another tree, or none."""
        self._found = found
        self.root = None if found is None else grow(found)
        self._make_room()
        self._point_at(None)
        self.update()

    def sizeHint(self) -> QSize:
        """Room for some twenty paths."""
        return QSize(560, 320)

    def minimumSizeHint(self) -> QSize:
        """Room for a few."""
        return QSize(240, 120)

    # -- where things are

    def place(self, node: Node) -> QPointF:
        """Return where a node is drawn."""
        x = _LEFT + node.x * (self.width() - _LEFT - _RIGHT)
        return QPointF(x, self._rows[id(node)] if id(node) in self._rows else self._height(node))

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
            place = self.place(node)
            text = metrics.elidedText(
                f"{visible(node.branch.piece)}  {percent(node.branch.chance)}",
                Qt.TextElideMode.ElideMiddle, max(40.0, place.x() - _LEFT - 12))
            wide, high = metrics.horizontalAdvance(text) + 10, metrics.height() + 1
            found.append((node, QRectF(place.x() - wide / 2, place.y() - high / 2, wide, high),
                          text))
        return found

    def ticks(self) -> list[float]:
        """Return the numbers of the scale, evenly spaced and clear of one another."""
        low, high = self._range()
        room = (self.height() - 2 * _ABOVE) / QFontMetricsF(self.font()).height()
        count = max(1, min(_TICKS, int(room)))
        return [low + (high - low) * i / count for i in range(count + 1)]

    def _height(self, node: Node) -> float:
        low, high = self._range()
        return _ABOVE + (high - node.worth) / (high - low) * (self.height() - 2 * _ABOVE)

    def _make_room(self) -> None:
        """Let the branches stand clear of one another."""
        nodes = self.root.children if self.root else []
        low, high = _EDGE, max(_EDGE, self.height() - _EDGE)
        tall = QFontMetricsF(self.font()).height() + 2
        # Without the last one or ones, where they would not be clear of the others.
        named = sorted(nodes, key=lambda n: (not n.taken, -(n.branch.chance if n.branch else 0)))
        while len(named) > 1 and (
                len(named) * tall + (len(nodes) - len(named)) * _DOT - (
                    tall if len(named) == len(nodes) else _DOT) > high - low):
            named.pop()
        self._named = named
        rows = spread([self._height(node) for node in nodes],
                      [tall if node in named else _DOT for node in nodes], low, high)
        self._rows = {id(node): y for node, y in zip(nodes, rows, strict=True)}

    def labels(self) -> list[tuple[Node, QRectF]]:
        """Return the leaves whose rewards are written, and where: beside their dots, as many as
        are clear of one another and of other dots; that of the leaf pointed at always is."""
        leaves = self.root.leaves() if self.root else []
        metrics = QFontMetricsF(self.font())
        dots = {id(leaf): QRectF(self.place(leaf) - QPointF(3, 3), QSizeF(6, 6))
                for leaf in leaves}
        found: list[tuple[Node, QRectF]] = []
        # First the one pointed at, then those of the path taken, the best first.
        for leaf in sorted(leaves, key=lambda n: (n is not self._leaf, not n.taken, -n.worth)):
            at, high = self.place(leaf), metrics.height()
            box = QRectF(at.x() + _BESIDE, at.y() - high / 2,
                         metrics.horizontalAdvance(number(leaf.worth)) + 1, high)
            clear = not any(box.intersects(other) for _, other in found) and not any(
                box.intersects(dot) for name, dot in dots.items() if name != id(leaf))
            if clear or leaf is self._leaf:
                found.append((leaf, box))
        return found

    def _range(self) -> tuple[float, float]:
        """The least and the largest number drawn, a little apart."""
        assert self.root is not None
        assert self._found is not None
        found = [n.worth for n in self.root.walk() if math.isfinite(n.worth)]
        found += [self._found.value] if math.isfinite(self._found.value) else []
        low, high = min(found, default=0.0), max(found, default=1.0)
        return (low, high) if high - low > 1e-6 else (low - 0.5, high + 0.5)

    # -- pointing

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Point at the nearest leaf."""
        leaves = self.root.leaves() if self.root else []
        at = event.position()
        nearest = min(leaves, default=None, key=lambda n: self._far(n, at))
        self._point_at(nearest if nearest and self._far(nearest, at) <= _NEAR else None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go from leaf to leaf, best first."""
        leaves = sorted(self.root.leaves() if self.root else [], key=lambda n: -n.worth)
        step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()))
        if step is None or not leaves:
            super().keyPressEvent(event)
            return
        at = leaves.index(self._leaf) + step if self._leaf in leaves else 0
        self._point_at(leaves[max(0, min(at, len(leaves) - 1))])

    def _far(self, node: Node, at: QPointF) -> float:
        place = self.place(node)
        # To the right of a leaf stands its reward.
        across = max(0.0, place.x() - at.x(), at.x() - place.x() - _RIGHT)
        return math.hypot(across, place.y() - at.y())

    def _point_at(self, leaf: Node | None) -> None:
        if leaf is not self._leaf:
            self._leaf = leaf
            self.pointed.emit(leaf)
            self.update()

    # -- drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it."""
        if self.root is None or self._found is None or not self.root.children:
            return
        theme = themes().theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_scale(painter, theme)
        nodes = [n for n in self.root.walk() if n.parent is not None]
        for node in sorted(nodes, key=lambda n: n.taken):  # the path taken lies above
            self._draw_edge(painter, node, theme)
        self._draw_leaves(painter, theme)
        self._draw_branches(painter, theme)
        self._draw_value(painter, theme)

    def _draw_scale(self, painter: QPainter, theme: Theme) -> None:
        for value in self.ticks():
            y = self._height(Node(0, value))
            painter.setPen(QPen(QColor(theme.border), 1))
            painter.drawLine(QPointF(_LEFT, y), QPointF(self.width() - _RIGHT, y))
            painter.setPen(QColor(theme.muted))
            painter.drawText(QRectF(0, y - 8, _LEFT - 6, 16), Qt.AlignmentFlag.AlignRight
                             | Qt.AlignmentFlag.AlignVCenter, number(value, 1))

    def _draw_edge(self, painter: QPainter, node: Node, theme: Theme) -> None:
        assert node.parent is not None
        low, high = self._range()
        start, end = self.place(node.parent), self.place(node)
        even = abs(node.advantage) < _EVEN * (high - low)
        colour = QColor(theme.muted if even else theme.good if node.advantage > 0 else theme.bad)
        path = QPainterPath(start)
        bend = (end.x() - start.x()) / 2
        path.cubicTo(start + QPointF(bend, 0), end - QPointF(bend, 0), end)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        pointed = self._leaf is not None and node in _way(self._leaf)
        painter.setPen(QPen(colour, (4 if node.taken else 1.4) + (1.2 if pointed else 0)))
        painter.drawPath(path)

    def _draw_leaves(self, painter: QPainter, theme: Theme) -> None:
        assert self.root is not None
        for leaf in self.root.leaves():
            pointed = leaf is self._leaf
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.accent if pointed else theme.text))
            painter.drawEllipse(self.place(leaf), *(2 * [4.5 if pointed else 2.5]))
        for leaf, box in self.labels():
            if leaf is self._leaf:  # over all that it crosses
                painter.fillRect(box, QColor(theme.window))
            painter.setPen(QColor(theme.accent if leaf is self._leaf else theme.text))
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, number(leaf.worth))

    def _draw_branches(self, painter: QPainter, theme: Theme) -> None:
        """Name the tokens, each with how likely it was."""
        assert self.root is not None
        for node in self.root.children:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.muted))
            painter.drawEllipse(self.place(node), _DOT / 2, _DOT / 2)
        for node, box, text in self.names():
            painter.setPen(QPen(QColor(theme.accent if node.taken else theme.border),
                                2 if node.taken else 1))
            painter.setBrush(QColor(theme.base))
            painter.drawRoundedRect(box, 4, 4)
            painter.setPen(QColor(theme.text))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _draw_value(self, painter: QPainter, theme: Theme) -> None:
        """Mark what the value head foresaw, beside what the tree is worth."""
        assert self._found is not None
        assert self.root is not None
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.text))
        painter.drawEllipse(self.place(self.root), 4, 4)
        if math.isfinite(self._found.value):
            at = self.place(Node(0, self._found.value))
            painter.setPen(QPen(QColor(theme.accent), 2))
            painter.setBrush(QColor(theme.base))
            painter.drawPolygon([at + QPointF(*p) for p in ((0, -6), (6, 0), (0, 6), (-6, 0))])


def _way(leaf: Node) -> list[Node]:
    """Return a leaf and all that lead to it."""
    way = [leaf]
    while way[-1].parent is not None:
        way.append(way[-1].parent)
    return way
