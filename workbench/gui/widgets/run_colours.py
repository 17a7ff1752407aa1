"""The colour and line of a run: by its number, so that they are the same wherever it is shown."""

from __future__ import annotations

from functools import cache

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen

from workbench.gui.widgets.theme import Theme

# A dashed line is a second curve of one run.
_LINES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashDotLine, Qt.PenStyle.DotLine,
          Qt.PenStyle.DashDotDotLine)
# Those of the theme's colours that are told apart best, also by the colour-blind.
_CYCLE = (0, 1, 2, 3, 4, 6)
_SIZE = (22, 12)  # as long as it takes to see how the line is made


def run_colour(run_id: int, theme: Theme) -> str:
    """Return the colour of a run; six different ones follow each other."""
    return theme.series[_CYCLE[(run_id - 1) % len(_CYCLE)]]


def run_line(run_id: int) -> Qt.PenStyle:
    """Return how a run's line is drawn, which tells runs of one colour apart."""
    return _LINES[(run_id - 1) // len(_CYCLE) % len(_LINES)]


@cache
def swatch(run_id: int, theme: Theme, drawn: bool) -> QImage:
    """Return a short piece of a run's line; pale when the run is not ``drawn``."""
    picture = QImage(_SIZE[0] * 2, _SIZE[1] * 2, QImage.Format.Format_ARGB32_Premultiplied)
    picture.setDevicePixelRatio(2)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setOpacity(1.0 if drawn else 0.35)
    pen = QPen(QColor(run_colour(run_id, theme)), 2, run_line(run_id), Qt.PenCapStyle.FlatCap)
    if pen.style() != Qt.PenStyle.SolidLine:
        pen.setDashOffset(2)  # within the first dash, so that all of the pattern can be seen
    painter.setPen(pen)
    middle = _SIZE[1] / 2
    painter.drawLine(QPointF(1, middle), QPointF(_SIZE[0] - 1, middle))
    painter.end()
    return picture
