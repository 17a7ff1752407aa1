"""Where every rule of the health check stands, on a scale to its limit, also while all is well."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QWidget

from workbench.algorithms import find_metric, find_rule
from workbench.gui.widgets.controls import label
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import themes
from workbench.health import Reading

_WIDTH, _HEIGHT = 96, 6
_ROLES = {None: "muted", "warning": "warning", "serious": "error"}


class Scale(QWidget):
    """A bar from well, on the left, to the limit, on the right."""

    def __init__(self, reading: Reading) -> None:
        super().__init__()
        self.share, self.severity = reading.share, reading.severity
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)

    def sizeHint(self) -> QSize:
        """As high as a line of text."""
        return QSize(_WIDTH, self.fontMetrics().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the track, and on it how far the rule has come."""
        theme = themes().theme
        colour = {None: theme.muted, "warning": theme.warning, "serious": theme.bad}[self.severity]
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        track = QRectF(0, (self.height() - _HEIGHT) / 2, self.width(), _HEIGHT)
        painter.setBrush(QColor(theme.border))
        painter.drawRoundedRect(track, _HEIGHT / 2, _HEIGHT / 2)
        if self.share > 0:  # nor where it is not known
            track.setWidth(max(_HEIGHT, min(1.0, self.share) * track.width()))
            painter.setBrush(QColor(colour))
            painter.drawRoundedRect(track, _HEIGHT / 2, _HEIGHT / 2)


def value_of(reading: Reading) -> str:
    """Return the value of a rule, with what it was taken over."""
    if not reading.known:
        return "not known yet"
    return f"{reading.value}, {reading.over}" if reading.over else reading.value


def in_words(reading: Reading) -> str:
    """Return where a rule stands, with its limit."""
    state = "" if not reading.known else ", well" if not reading.severity else ", too far"
    return f"{value_of(reading)}, limit {reading.limit}{state}"


def scales(readings: Mapping[str, Reading]) -> QWidget:
    """Return a row for every rule: its title, scale and limit, and below its value."""
    made = QWidget()
    grid = QGridLayout(made)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(10)
    grid.setVerticalSpacing(3)
    grid.setColumnStretch(0, 1)
    for row, (name, reading) in enumerate(readings.items()):
        rule, role = find_rule(name), _ROLES[reading.severity]
        if rule is None:
            continue
        scale = Scale(reading)
        scale.setObjectName(f"scale_{name}")
        scale.setAccessibleName(f"{rule.title}: {in_words(reading)}")
        about = find_metric(rule.metric)
        tip = plain_tip(f"{about.label}: {about.help}")
        cells = (label(rule.title, role), scale, label(reading.limit, "muted"))
        for column, cell in enumerate(cells):
            cell.setToolTip(tip)
            grid.addWidget(cell, 2 * row, column)
        # A line of its own: beside title and limit long values would not fit.
        number = label(value_of(reading), role, wrap=True)
        number.setToolTip(tip)
        number.setContentsMargins(12, 0, 0, 4)
        grid.addWidget(number, 2 * row + 1, 0, 1, len(cells))
    return made
