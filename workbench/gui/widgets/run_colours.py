"""The colour and line of a run, the same wherever it is shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen

from workbench.gui.widgets.theme import LIGHT, Theme

# A dashed line is a second curve of one run.
_LINES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashDotLine, Qt.PenStyle.DotLine,
          Qt.PenStyle.DashDotDotLine)
_STROKES = dict(zip(_LINES, ("━━", "━╸·", "┅┅", "━··"), strict=True))
_COLOURS = len(LIGHT.series)
_SIZE = (22, 12)  # as long as it takes to see how the line is made
_Look = tuple[int, int]  # which colour, which line

_drawn: dict[int, _Look] = {}


def draw_together(runs: Iterable[int]) -> None:
    """Say which runs are in the plots. Those that were there keep their colours; each of the
    others gets one that is not in use, or, where all are, one in another kind of line."""
    wanted = sorted(set(runs))
    for gone in _drawn.keys() - wanted:
        del _drawn[gone]
    for run_id in wanted:
        _drawn[run_id] = _look(run_id)


def run_colour(run_id: int, theme: Theme) -> str:
    """Return the colour of a run; of one that is not drawn, the colour it would get."""
    return theme.series[_look(run_id)[0]]


def run_line(run_id: int) -> Qt.PenStyle:
    """Return how a run's line is drawn, which tells runs of one colour apart."""
    return _LINES[_look(run_id)[1]]


def stroke(run_id: int, theme: Theme) -> str:
    """Return a piece of a run's line as rich text, for a legend."""
    return f"<span style='color:{run_colour(run_id, theme)}'>{_STROKES[run_line(run_id)]}</span>"


def swatch(run_id: int, theme: Theme, drawn: bool) -> QImage:
    """Return a short piece of a run's line; pale when the run is not ``drawn``."""
    return _swatch(run_colour(run_id, theme), run_line(run_id), drawn)


def _look(run_id: int) -> _Look:
    return _drawn.get(run_id) or _free(run_id, _drawn.values())


def _free(run_id: int, used: Collection[_Look]) -> _Look:
    """Return the first look that is not in use, beginning with the run's own colour."""
    own = (run_id - 1) % _COLOURS
    looks = [((own + i) % _COLOURS, line) for line in range(len(_LINES)) for i in range(_COLOURS)]
    return next((look for look in looks if look not in used), looks[0])


@cache
def _swatch(colour: str, line: Qt.PenStyle, drawn: bool) -> QImage:
    picture = QImage(_SIZE[0] * 2, _SIZE[1] * 2, QImage.Format.Format_ARGB32_Premultiplied)
    picture.setDevicePixelRatio(2)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setOpacity(1.0 if drawn else 0.35)
    pen = QPen(QColor(colour), 2, line, Qt.PenCapStyle.FlatCap)
    if pen.style() != Qt.PenStyle.SolidLine:
        pen.setDashOffset(2)  # within the first dash, so that all of the pattern can be seen
    painter.setPen(pen)
    middle = _SIZE[1] / 2
    painter.drawLine(QPointF(1, middle), QPointF(_SIZE[0] - 1, middle))
    painter.end()
    return picture
