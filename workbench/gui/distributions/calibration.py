"""What was predicted of each token against what came."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QWheelEvent
from PySide6.QtWidgets import QFrame, QWidget
from superqt import QElidingLabel

from workbench.algorithm import Calibration
from workbench.formatting import number, percent
from workbench.gui.distributions.reading import Predictions
from workbench.gui.metrics.axes import ValueAxis
from workbench.gui.what_is import explain_by, of_picture
from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.layouts import vbox
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import Theme, themes

_LEAST_HEIGHT = 150  # pixels
_NOT_KEPT = "The tokens of this cycle are not kept"


class CalibrationPlot(QWidget):
    """The darker a place, the more tokens are there."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("calibration")
        self._shown: Calibration | None = None
        self._theme: Theme | None = None
        explain_by(self, lambda: of_picture(self._shown) if self._shown else None)
        self.title = label(role="heading")
        self.said = QElidingLabel(textFormat=Qt.TextFormat.PlainText)
        self.said.setProperty("role", "muted")
        self.said.setMinimumWidth(1)
        self.plot = _Plot(enableMenu=False, axisItems={
            "left": ValueAxis(), "bottom": ValueAxis("bottom")})
        self.plot.setFrameShape(QFrame.Shape.NoFrame)
        self.plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.plot.setMinimumSize(120, _LEAST_HEIGHT)
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.hideButtons()
        self.plot.getAxis("left").setWidth(54)
        self.cells = pg.ImageItem()
        self.diagonal = pg.PlotDataItem()
        self.means = pg.PlotDataItem(antialias=True, symbol="o", symbolSize=6)
        for item in (self.cells, self.diagonal, self.means):
            self.plot.addItem(item)
        vbox(self, self.title, self.said, (self.plot, 1), spacing=2)

    def show_predictions(self, found: Predictions) -> None:
        """Draw the tokens of a cycle."""
        theme, calibration = themes().theme, found.calibration
        self._shown = calibration
        self.title.setText(calibration.title)
        self.title.setToolTip(plain_tip(calibration.help))
        self.said.setText(say(found))
        self.said.setToolTip(plain_tip(
            f"{say(found)}: the tenth of the tokens where least was foreseen, and that where most "
            "was" if len(found.foreseen) else say(found)))
        named(self.plot, "calibration_plot", calibration.title, calibration.help)
        self.plot.setAccessibleDescription(self.said.text())
        if self._theme is not theme:
            self._theme = theme
            self._dress(theme)
        there = len(found.foreseen) > 0
        for item in (self.cells, self.diagonal, self.means):
            item.setVisible(there)
        if not there:
            return
        colour = QColor(theme.accent)
        table = np.array([[colour.red(), colour.green(), colour.blue(), alpha]
                          for alpha in np.linspace(0, 230, 256)], dtype=np.ubyte)
        # By the square root, so that a place with few tokens is seen beside those with many.
        self.cells.setImage(np.sqrt(found.cells), lut=table,
                            levels=(0.0, max(1.0, float(found.cells.max()) ** 0.5)))
        self.cells.setRect(QRectF(
            found.left, found.low, found.right - found.left, found.high - found.low))
        least, most = max(found.left, found.low), min(found.right, found.high)
        same = [least, most] if least < most else []
        self.diagonal.setData(same, same, pen=pg.mkPen(theme.muted, style=Qt.PenStyle.DashLine))
        self.means.setData(found.foreseen, found.came, pen=pg.mkPen(theme.warning, width=2),
                           symbolPen=pg.mkPen(None), symbolBrush=pg.mkBrush(theme.warning))
        self.plot.setXRange(found.left, found.right, padding=0)
        self.plot.setYRange(found.low, found.high, padding=0)

    def _dress(self, theme: Theme) -> None:
        """Take the colours of a theme, which axes and texts are drawn anew for."""
        self.plot.setBackground(theme.base)
        for side, title in (("left", "what came"), ("bottom", "what was foreseen")):
            axis = self.plot.getAxis(side)
            axis.setPen(theme.border)
            axis.setTextPen(theme.muted)
            axis.setLabel(title, color=theme.muted)


class _Plot(pg.PlotWidget):
    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave it to what scrolls the plots."""
        event.ignore()


def say(found: Predictions) -> str:
    """Return how good the predictions of a cycle were, in a sentence."""
    if not len(found.foreseen):
        return _NOT_KEPT
    foreseen, came = found.foreseen, found.came
    said = (f"{number(float(foreseen[0]))} foreseen, {number(float(came[0]))} came; "
            f"{number(float(foreseen[-1]))} foreseen, {number(float(came[-1]))} came")
    if np.isnan(found.explained):
        return said
    if found.explained <= 0:
        return f"Foresees no better than one number for all would. {said}"
    return f"Foresees {percent(found.explained)} of the differences. {said}"
