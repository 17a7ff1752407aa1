"""The line above a curve: what it is, in which unit, and the value."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget
from superqt import QElidingLabel

from workbench.gui.controls import RIGHT, label
from workbench.gui.metrics.data import format_number
from workbench.gui.metrics.wording import describe, in_sentence
from workbench.gui.plain_text import plain_tip
from workbench.ppo.metrics import METRICS, Metric, find_metric

_UNIT_LETTERS = 8


class Header(QWidget):
    """Title, unit and the current value of a metric, with that of its companion where there is
    room for it."""

    def __init__(self, about: Metric, names: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        self._about = about
        self.title = label(about.label)
        font = self.title.font()
        font.setWeight(QFont.Weight.DemiBold)  # not left to the style: the width is asked for
        self.title.setFont(font)
        self._unit = QElidingLabel(about.unit)
        self._unit.setTextFormat(Qt.TextFormat.PlainText)
        self._unit.setProperty("role", "muted")
        for widget in (self.title, self._unit):
            widget.setToolTip(describe(about))
        row.addWidget(self.title)
        row.addWidget(self._unit, 1)
        row.addStretch(0)
        self._values: list[QLabel] = []
        self._key: QLabel | None = None
        for name in reversed(names):
            if name != names[0]:
                self._key = label(rich=True)
                self._key.setToolTip(describe(METRICS[name]))
                row.addWidget(self._key)
            self._values.insert(0, _value(METRICS[name], name == names[0]))
            row.addWidget(self._values[0])

    def show_values(self, values: Sequence[float], unit: str) -> None:
        """Show a value for each of the names, and ``unit`` or what stands in its place."""
        for shown, value in zip(self._values, values, strict=True):
            shown.setText(format_number(value))
        self._unit.setText(unit)
        self.fit()

    def show_key(self, metric: Metric, colour: str) -> None:
        """Say how the companion is drawn."""
        if self._key is not None:
            self._key.setText(f"<span style='color:{colour}'>╌╌</span> "
                              f"{html.escape(in_sentence(metric))}")

    def fit(self) -> None:
        """Leave the companion and then the unit out where there is no room for them."""
        metrics = self.title.fontMetrics()
        title = metrics.horizontalAdvance(self._about.label)
        unit = self._unit.fontMetrics().horizontalAdvance(self._unit.text())
        value = sum(w.sizeHint().width() + 6 for w in self._values[:1])
        needed = title + value
        # Less than a word of the unit says nothing.
        least = min(unit, self._unit.fontMetrics().averageCharWidth() * _UNIT_LETTERS)
        self._unit.setVisible(needed + 12 + least <= self.width())
        self.title.setText(metrics.elidedText(
            self._about.label, Qt.TextElideMode.ElideRight, max(24, self.width() - value)))
        if self._key is not None:
            extra = (self._key, self._values[1])
            more = sum(w.sizeHint().width() + 6 for w in extra)
            fits = needed + unit + 12 + more <= self.width()
            for widget in extra:
                widget.setVisible(fits)


class Keys(QLabel):
    """Which of several lines is which, and their values."""

    _STROKES = ("──", "╌╌", "┈┈", "─·")  # as the plot draws them

    def __init__(self, about: Metric, names: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names = names
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setAccessibleName(f"{about.label}, current values")
        self.setToolTip(describe(about))

    def show_values(self, values: Sequence[float], colours: Sequence[str]) -> None:
        """Show a value for each of the names."""
        metrics, entries = self.fontMetrics(), []
        for i, (name, value) in enumerate(zip(self._names, values, strict=True)):
            # A name too long for the line gives way to its value, which is bold.
            around = 1.2 * metrics.horizontalAdvance(f"──  {format_number(value)}  ")
            title = html.escape(metrics.elidedText(
                find_metric(name).label, Qt.TextElideMode.ElideRight,
                max(48, round(self.width() - around))))
            entries.append("<span style='white-space: nowrap'>"
                           f"<span style='color:{colours[i % len(colours)]}'>"
                           f"{self._STROKES[i % len(self._STROKES)]}</span> {title} "
                           f"<b>{format_number(value)}</b></span>")
        self.setText(" &nbsp; ".join(entries))


class GapWarning(QElidingLabel):
    """Names the cycles whose number was not finite."""

    def __init__(self, about: Metric, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._about = about
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", "warning")
        self.setAccessibleName(f"Warning about {about.label}")
        self.hide()

    def show_gaps(self, gaps: Sequence[int]) -> None:
        """Show itself where there are any."""
        self.setVisible(bool(gaps))
        if gaps:
            more = f" and {len(gaps) - 1:,} other cycles" if len(gaps) > 1 else ""
            self.setText(f"⚠ {in_sentence(self._about)} was not a number in cycle "
                         f"{gaps[-1]:,}{more}")
            shown = ", ".join(f"{c:,}" for c in gaps[-20:])
            self.setToolTip(plain_tip(
                f"Not a number (NaN or infinite) in cycle {shown}. The curve has a gap there."))


def _value(metric: Metric, first: bool) -> QLabel:
    shown = label(format_number(math.nan))
    font = shown.font()
    font.setFeature(QFont.Tag("tnum"), 1)
    if first:
        font.setPointSizeF(font.pointSizeF() * 1.25)
        font.setWeight(QFont.Weight.DemiBold)
    shown.setFont(font)
    shown.setAccessibleName(f"{metric.label}, current value")
    shown.setToolTip(describe(metric))
    shown.setAlignment(RIGHT)
    return shown
