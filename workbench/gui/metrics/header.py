"""The line above a curve: what it is, in which unit, and the value."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFont, QResizeEvent
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from superqt import QElidingLabel

from workbench.algorithm import Metric
from workbench.algorithms import find_metric
from workbench.formatting import short_number
from workbench.gui.metrics.metric_texts import describe, headline, in_sentence
from workbench.gui.widgets.controls import RIGHT, label
from workbench.gui.widgets.plain_text import plain_tip

_GAP = 6
_NUMBER = "−0.0000"  # as long as most
_LARGE = 1.25  # how much larger the value is than other text
_ELLIPSIS = 12  # pixels that an eliding label keeps free
_UNIT_LETTERS = 8
_HIGH = 150  # pixels of a plot that has a row for each companion
_LEAST_CURVE = 36  # pixels that rows below the title leave to the curve and its axis
_ABOVE = 4  # pixels that the plot leaves free above the title


class Header(QWidget):
    """Title, unit and the last number of a metric, with what else there is room for: the smoothed
    one in grey. ``tools`` stand at the right; where the title would be cut for them they come only
    with the pointer or the keyboard. What its companions are is always to be read, if need be in
    rows of their own.

    Everything is placed by :meth:`fit`, at once: a layout would place a wider number only after
    the next paint, cut to its last digits.
    """

    def __init__(self, about: Metric, names: Sequence[str], tools: Sequence[QWidget] = (),
                 parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._about, self._tools = about, tools
        self._shown: object = None
        self._drawn: Sequence[bool] = ()
        self._line = 0  # where the value's line begins
        self.title = label(about.label)
        self.title.setParent(self)
        font = self.title.font()
        font.setWeight(QFont.Weight.DemiBold)  # not left to the style: the width is asked for
        self.title.setFont(font)
        self._unit = QElidingLabel(about.unit, self)
        self._unit.setTextFormat(Qt.TextFormat.PlainText)
        self._unit.setProperty("role", "muted")
        beside = "".join(
            f"<br>{stroke}: {html.escape(find_metric(name).label)}"
            for stroke, name in zip(("Dashed", "Dotted"), names[1:], strict=False))
        for part in (self.title, self._unit):
            part.setToolTip(describe(about) + beside)
        self._values = [_value(find_metric(name), name == names[0], self) for name in names]
        self._smooth = label(role="muted")
        self._smooth.setParent(self)
        self._smooth.setAccessibleName(f"{about.label}, smoothed value")
        self._smooth.setToolTip(plain_tip(
            "The smoothed number. The large one is the last as it was measured"))
        self._keys: dict[str, QLabel] = {}
        for name in names[1:]:
            self._keys[name] = label(rich=True)
            self._keys[name].setParent(self)
            self._keys[name].setToolTip(describe(find_metric(name)))
        for tool in tools:
            tool.setParent(self)
        self._row = max(_size(part).height() for part in (self.title, *self._values, *tools))
        self.setFixedHeight(self._row)

    def show_values(self, values: Sequence[float], unit: str,
                    smoothed: float = math.nan, drawn: Sequence[bool] = ()) -> None:
        """Show a value for each of the names, ``unit`` or what stands in its place, and where
        the curve is ``smoothed`` its value there. ``drawn`` tells which of the names have a
        curve."""
        shown = (tuple(map(repr, values)), unit, repr(smoothed), tuple(drawn))
        if shown == self._shown:
            return
        self._shown, self._drawn = shown, tuple(drawn[1:])
        for part, name, value in zip(self._values, self._names(), values, strict=True):
            metric = find_metric(name)
            text, why = headline(metric, value)
            if text != part.text():
                part.setText(text)
                part.setToolTip(describe(metric) + (f"<br><br>{html.escape(why)}" if why else ""))
        self._smooth.setText("" if math.isnan(smoothed) else f"≈ {short_number(smoothed)}")
        self._unit.setText(unit)
        self.fit()

    def show_key(self, name: str, colour: str, stroke: str) -> None:
        """Say how a companion is drawn."""
        self._keys[name].setText(
            f"<span style='color:{colour}'>{stroke}</span> "
            f"{html.escape(find_metric(name).short or in_sentence(find_metric(name).label))}")
        self.fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Place everything anew."""
        super().resizeEvent(event)
        self.fit()

    def fit(self) -> None:
        """Place what there is room for: value and title first, if need be below each other, then
        the smoothed number, the companions and the unit."""
        metrics = self.title.fontMetrics()
        room = self.width() - metrics.horizontalAdvance(self._about.label)
        needed = self._size_value(room)
        below = 0 < needed > room and self._room_below() - self._row >= _LEAST_CURVE + _ABOVE
        self._line = self._row if below else 0
        tools = sum(_size(tool).width() + _GAP // 2 for tool in self._tools)
        at_hand = tools <= room - (0 if below else needed) or self._is_near()
        right = self.width()
        for tool in reversed(self._tools):
            tool.setVisible(at_hand)
            if at_hand:
                right = self._place(tool, right, 0) + _GAP // 2
        if self._values and not below:
            right = self._place(self._values[0], right)
        self.title.setText(metrics.elidedText(
            self._about.label, Qt.TextElideMode.ElideRight, max(0, right)))
        left = self.title.sizeHint().width()
        self.title.setGeometry(0, 0, left, self._row)
        left += _GAP
        if below:
            left, right = 0, self._place(self._values[0], self.width())
        smooth = self._smooth.sizeHint().width() + _GAP if self._smooth.text() else 0
        self._smooth.setVisible(0 < smooth <= right - left)
        if self._smooth.isVisibleTo(self):
            right = self._place(self._smooth, right)
        right = self._place_companions(left, right)
        # Less than a word of the unit says nothing.
        known = self._unit.fontMetrics()
        unit = known.horizontalAdvance(self._unit.text()) + _ELLIPSIS
        least = min(unit, known.averageCharWidth() * _UNIT_LETTERS)
        fits = bool(self._unit.text()) and left + least <= right
        self._unit.setVisible(fits)
        if fits:
            self._unit.setGeometry(left, self._line, min(unit, right - left), self._row)

    def _size_value(self, room: int) -> int:
        """Write the value large where there is ``room`` for it, and return what it needs: as
        much as most numbers, so that another one does not move everything."""
        if not self._values:
            return 0
        value = self._values[0]
        for scale in (_LARGE, 1.0):
            _emphasise(value, scale)
            needed = max(value.sizeHint().width(),
                         value.fontMetrics().horizontalAdvance(_NUMBER)) + _GAP
            if needed <= room:
                break
        return needed

    def _room_below(self) -> int:
        """Return how much of the plot's height is below the title."""
        plot = self.parentWidget()
        return (plot.height() if plot else 0) - self._row

    def _place_companions(self, left: int, right: int) -> int:
        """Put the companions that have a curve beside the value, or else in rows below; return
        where the unit ends."""
        entries = list(zip(self._values[1:], self._keys.values(), strict=True))
        shown = [e for i, e in enumerate(entries) if i >= len(self._drawn) or self._drawn[i]]
        for entry in entries:
            for part in entry:
                part.setVisible(entry in shown)
        wanted = sum(part.sizeHint().width() + _GAP for entry in shown for part in entry)
        if not shown or left + wanted <= right:
            self.setFixedHeight(self._line + self._row)
            for entry in shown:
                for part in entry:
                    right = self._place(part, right)
            return right
        # One row with the values, else in a high plot a row for each with its value, else one
        # without, else a row for each. In a plot of few pixels the title's tooltip has them.
        height = self._row + self._room_below()
        values = wanted + _GAP * (len(shown) - 1) <= self.width() or (height >= _HIGH and all(
            sum(part.sizeHint().width() + _GAP for part in entry) <= self.width()
            for entry in shown))
        x, y = 0, self._line + self._row
        high = max(part.sizeHint().height() for e in shown for part in e)
        for value, key in shown:
            wide, room = key.sizeHint().width(), value.sizeHint().width() + _GAP if values else 0
            if x and x + wide + room > self.width():
                x, y = 0, y + high
            key.setGeometry(x, y, wide, high)
            value.setGeometry(x + wide + _GAP, y, room, high)
            value.setVisible(values)
            x += wide + room + 2 * _GAP
        rows = 1 + (y - self._line - self._row) // high
        if height - y - high < rows * _LEAST_CURVE:  # the more rows, the more the curve wants
            for part in (part for entry in shown for part in entry):
                part.hide()
            y, high = self._line, self._row
        self.setFixedHeight(y + high)
        return right

    def _is_near(self) -> bool:
        """Whether the pointer or the keyboard is at the plot."""
        plot, focus = self.parentWidget(), QApplication.focusWidget()
        return bool(plot and (plot.underMouse() or (focus and plot.isAncestorOf(focus))))

    def _place(self, part: QWidget, right: int, line: int | None = None) -> int:
        """Put a part left of ``right`` on the value's line, or one that begins elsewhere; return
        where the next one ends."""
        size = _size(part)
        top = self._line if line is None else line
        part.setGeometry(right - size.width(), top + (self._row - size.height()) // 2,
                         size.width(), size.height())
        return right - size.width() - _GAP

    def _names(self) -> list[str]:
        return [self._about.name, *self._keys] if self._values else []


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
            around = 1.2 * metrics.horizontalAdvance(f"──  {short_number(value)}  ")
            title = html.escape(metrics.elidedText(
                find_metric(name).label, Qt.TextElideMode.ElideRight,
                max(48, round(self.width() - around))))
            entries.append("<span style='white-space: nowrap'>"
                           f"<span style='color:{colours[i % len(colours)]}'>"
                           f"{self._STROKES[i % len(self._STROKES)]}</span> {title} "
                           f"<b>{headline(find_metric(name), value)[0]}</b></span>")
        self.setText(" &nbsp; ".join(entries))


class GapWarning(QElidingLabel):
    """Names the cycles whose number was not finite: a warning, but where a metric may have none."""

    def __init__(self, about: Metric, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._about = about
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", "muted" if about.absent else "warning")
        self.setAccessibleName(f"{'Note on' if about.absent else 'Warning about'} {about.label}")
        self.hide()

    def show_gaps(self, gaps: Sequence[int], *, none: bool = False) -> None:
        """Show itself where there are any, or where there is no number at all (``none``) and that
        has a reason."""
        self.setVisible(bool(gaps) or (none and bool(self._about.absent)))
        if none and not gaps:
            self.setText(self._about.absent)
            self.setToolTip(plain_tip(self._about.absent))
        if gaps:
            others = len(gaps) - 1
            more = f" and {others:,} other cycle{'s' if others > 1 else ''}" if others else ""
            shown = ", ".join(f"{c:,}" for c in gaps[-20:])
            if self._about.absent:
                self.setText(f"No {in_sentence(self._about.label)} in cycle {gaps[-1]:,}{more}")
                self.setToolTip(plain_tip(f"Cycle {shown}: {self._about.absent}"))
                return
            self.setText(f"⚠ {in_sentence(self._about.label)} was not a number in cycle "
                         f"{gaps[-1]:,}{more}")
            self.setToolTip(plain_tip(
                f"Not a number (NaN or infinite) in cycle {shown}. The curve has a gap there."))


def _size(part: QWidget) -> QSize:
    return part.sizeHint().boundedTo(part.maximumSize())


def _emphasise(value: QLabel, scale: float) -> None:
    """Write a value so much larger than other text."""
    font, size = value.font(), QApplication.font().pointSizeF() * scale
    if font.pointSizeF() != size:
        font.setPointSizeF(size)
        value.setFont(font)


def _value(metric: Metric, first: bool, parent: QWidget) -> QLabel:
    shown = label(short_number(math.nan))
    shown.setParent(parent)
    font = shown.font()
    font.setFeature(QFont.Tag("tnum"), 1)
    if first:
        font.setWeight(QFont.Weight.DemiBold)
    shown.setFont(font)
    if first:
        _emphasise(shown, _LARGE)
    shown.setAccessibleName(f"{metric.label}, current value")
    shown.setToolTip(describe(metric))
    shown.setAlignment(RIGHT)
    return shown
