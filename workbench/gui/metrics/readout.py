"""The values of all runs in a plot, at the cycle of the crosshair."""

from __future__ import annotations

import html
from collections.abc import Sequence

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLabel, QWidget

_LONGEST = 32  # letters of a run's name
_GAP = 4


class Readout(QLabel):
    """A small table over the plots, beside the one that is pointed at where there is room."""

    def __init__(self, grid: QWidget) -> None:
        super().__init__(grid)
        self._grid = grid
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setObjectName("crosshair_values")
        self.setAccessibleName("Values of the runs at the crosshair")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def show_values(self, plot: QWidget, x: int, values: Sequence[tuple[str, str, str]],
                    near: str) -> None:
        """Show name, colour and value of each run of ``plot``, whose crosshair is ``x`` from its
        left edge; the one that is ``near`` is bold. No values take it away."""
        self.setVisible(bool(values))
        if not values:
            return
        self.setText("<table cellspacing='0'>" + "".join(
            _row(*value, bold=value[0] == near) for value in values) + "</table>")
        self.resize(self.sizeHint())
        self.move(_beside(QRect(plot.pos(), plot.size()), plot.x() + x, self.size(),
                          self._grid.visibleRegion().boundingRect()))
        self.raise_()


def _row(name: str, colour: str, value: str, bold: bool) -> str:
    name = name if len(name) <= _LONGEST else f"{name[:_LONGEST - 1]}…"
    open_, close = ("<b>", "</b>") if bold else ("", "")
    return (f"<tr><td style='color: {colour}; white-space: pre; padding-right: 12px'>{open_}"
            f"{html.escape(name)}{close}</td><td align='right'>{open_}{value}{close}</td></tr>")


def _beside(plot: QRect, x: int, size: QSize, room: QRect) -> QPoint:
    """Return where to stand: below the plot, above it, or within it on the side where the
    crosshair, at ``x``, is not."""
    left = max(room.left(), min(x + _GAP, room.right() - size.width()))
    if plot.bottom() + _GAP + size.height() <= room.bottom():
        return QPoint(left, plot.bottom() + _GAP)
    if plot.top() - _GAP - size.height() >= room.top():
        return QPoint(left, plot.top() - _GAP - size.height())
    far = plot.left() if x > plot.center().x() else plot.right() - size.width()
    return QPoint(max(far, room.left()), max(room.top(), plot.bottom() - size.height() - _GAP))
