"""A metric over cycles in a few pixels, with the cycle on display marked."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from workbench.algorithm import Metric
from workbench.gui.what_is import explain_by, of_metric
from workbench.gui.widgets.controls import named
from workbench.gui.widgets.theme import themes

_EDGE = 4.0  # pixels around the line


class MetricLine(QWidget):
    """A small plot of one metric of a run."""

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        named(self, f"chances_{metric.name}", f"{metric.label} over cycles", metric.help)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.of_metric = metric
        explain_by(self, lambda: of_metric(metric))
        self._cycles: Sequence[int] = ()
        self._values: Sequence[float] = ()
        self._cycle = 0
        themes().changed.connect(self.update)

    def show_values(self, cycles: Sequence[int], values: Sequence[float], cycle: int) -> None:
        """Draw the values of ``cycles``, of which ``cycle`` is on display."""
        self._cycles, self._values, self._cycle = cycles, values, cycle
        self.setAccessibleDescription(f"{self.said()} in cycle {cycle:,}")
        self.update()

    def said(self) -> str:
        """Return the value of the cycle on display as text."""
        at = bisect_left(self._cycles, self._cycle)
        there = at < len(self._cycles) and self._cycles[at] == self._cycle
        return self.of_metric.text(self._values[at]) if there and math.isfinite(
            self._values[at]) else "–"

    def _range(self) -> str:
        known = [v for v in self._values if math.isfinite(v)]
        return (f" ({self.of_metric.text(min(known))} to {self.of_metric.text(max(known))})"
                if known else "")

    def sizeHint(self) -> QSize:
        """Wide enough for a line and its title."""
        return QSize(200, 60)

    def minimumSizeHint(self) -> QSize:
        """Room for a title and a little of a line."""
        return QSize(120, round(self.fontMetrics().height() * 2.6))

    def points(self) -> list[QPointF]:
        """Return where the values are drawn, those that are known."""
        known = [(c, v) for c, v in zip(self._cycles, self._values, strict=True)
                 if math.isfinite(v)]
        if not known:
            return []
        low, high = min(v for _, v in known), max(v for _, v in known)
        box, span = self._box(), high - low
        middle, bottom, tall, left = box.center().y(), box.bottom(), box.height(), self._across(0)
        wide = self._across(1) - left
        return [QPointF(left + c * wide, middle if span == 0 else
                        bottom - (v - low) / span * tall) for c, v in known]

    def _box(self) -> QRectF:
        above = self.fontMetrics().height() + _EDGE
        return QRectF(_EDGE, above, self.width() - 2 * _EDGE, self.height() - above - _EDGE)

    def _across(self, cycle: int) -> float:
        first, last = self._cycles[0], max(self._cycles[-1], self._cycle)
        box = self._box()
        return box.left() + (cycle - first) / (last - first or 1) * box.width()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw title, value, line and mark."""
        theme = themes().theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        high = self.fontMetrics().height()
        said = self.said()
        room = self.width() - self.fontMetrics().horizontalAdvance(said) - 3 * _EDGE
        painter.setPen(QColor(theme.muted))
        title = self.of_metric.label + self._range()
        if self.fontMetrics().horizontalAdvance(title) > room:
            title = self.of_metric.label
        painter.drawText(QRectF(_EDGE, 0, room, high), Qt.AlignmentFlag.AlignVCenter,
                         self.fontMetrics().elidedText(
                             title, Qt.TextElideMode.ElideRight, round(room)))
        painter.setPen(QColor(theme.text))
        painter.drawText(QRectF(0, 0, self.width() - _EDGE, high),
                         Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, said)
        box = self._box()
        painter.fillRect(box.adjusted(-_EDGE, -1, _EDGE, _EDGE - 1), QColor(theme.base))
        if self._cycles and self._cycle >= self._cycles[0]:
            painter.setPen(QPen(QColor(theme.border), 1))
            x = self._across(self._cycle)
            painter.drawLine(QPointF(x, box.top()), QPointF(x, box.bottom()))
        points = self.points()
        painter.setPen(QPen(QColor(theme.accent), 1.6))
        painter.drawPolyline(QPolygonF(points))
        x = self._across(self._cycle) if points else 0.0
        at = next((p for p in points if abs(p.x() - x) < 1e-6), None)
        if at is not None:
            painter.setBrush(QColor(theme.accent))
            painter.drawEllipse(at, 3, 3)
