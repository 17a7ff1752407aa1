"""Health at a glance: a dial for each rule, in a row below the plots."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QFont, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout

from workbench.algorithms import find_metric, find_rule
from workbench.gui.background import Background
from workbench.gui.health.scales import in_words, value_of
from workbench.gui.run_view import PictureView
from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.theme import mix, themes
from workbench.health import Reading
from workbench.store.store import Store
from workbench.training.health import read_run

_FROM, _SWEEP = 210, 240  # degrees: where a dial begins, and how far it goes clockwise
_SIZE, _LINE = 22, 4  # pixels
_LEAST = 0.04  # of the way, which is seen
_SMALL = 0.8  # of the font, for the names
_BAR = 4  # pixels: how high a compact one is


class Dial(QAbstractButton):
    """From well, on the left, to the limit, on the right. Grey while all is well, empty while
    nothing is known. A compact one is a bar without a name."""

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule = rule
        self.reading: Reading | None = None
        self.setObjectName(f"dial_{rule}")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the row takes the keyboard
        self.current = False
        """Whether the keyboard is here."""
        self._compact = False

    def set_compact(self, compact: bool) -> None:
        """Take little room, or show the name."""
        self._compact = compact
        self.updateGeometry()
        self.update()

    def show_reading(self, reading: Reading) -> None:
        """Show where the rule stands."""
        self.reading = reading
        rule = find_rule(self.rule)
        if rule is None:
            return
        about = find_metric(rule.metric)
        answer = "" if not reading.known else "Yes: " if reading.severity else "No: "
        value = f"{answer}{value_of(reading)}; limit {reading.limit}"
        named(self, self.objectName(), f"{rule.title}: {in_words(reading)}",
              f"{rule.title}? {value[:1].upper()}{value[1:]}\n{about.label}: {about.help}\n"
              "A click shows the whole report")
        self.setText(rule.short or rule.title)
        self.update()

    def sizeHint(self) -> QSize:
        """Room for the dial and its name."""
        if self._compact:
            return QSize(_SIZE, _BAR + 2)
        metrics = self.fontMetrics()
        return QSize(max(_SIZE + 8, round(metrics.horizontalAdvance(self.text()) * _SMALL) + 6),
                     _SIZE + round(metrics.height() * _SMALL) + 2)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the arc, how far of it is gone, and the name."""
        theme, reading = themes().theme, self.reading
        severity = reading.severity if reading else None
        colour = {None: theme.text, "warning": theme.warning, "serious": theme.bad}[severity]
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.underMouse() or self.current:
            painter.setPen(QPen(QColor(theme.accent if self.current else theme.border)))
            painter.setBrush(QColor(theme.alternate))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        share = min(1.0, reading.share) if reading is not None and reading.known else 0.0
        if self._compact:
            self._paint_bar(painter, share, QColor(colour))
            return
        box = QRectF((self.width() - _SIZE) / 2, 3, _SIZE, _SIZE).adjusted(2, 2, -2, -2)
        track = QColor(mix(theme.muted, theme.base, 0.3))
        pen = QPen(track, _LINE, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap)
        painter.setPen(pen)
        painter.drawArc(box, _FROM * 16, -_SWEEP * 16)
        if share > 0:
            pen.setColor(QColor(colour))
            painter.setPen(pen)
            painter.drawArc(box, _FROM * 16, -round(_SWEEP * 16 * max(_LEAST, share)))
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() * _SMALL)
        font.setBold(severity is not None)
        painter.setFont(font)
        painter.setPen(QColor(colour if severity else theme.muted))
        painter.drawText(self.rect().adjusted(0, _SIZE - 2, 0, 0), Qt.AlignmentFlag.AlignCenter,
                         self.text())


    def _paint_bar(self, painter: QPainter, share: float, colour: QColor) -> None:
        bar = QRectF(3, (self.height() - _BAR) / 2, self.width() - 6, _BAR)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(mix(themes().theme.muted, themes().theme.base, 0.3)))
        painter.drawRoundedRect(bar, _BAR / 2, _BAR / 2)
        if share > 0:
            bar.setWidth(max(_BAR, share * bar.width()))
            painter.setBrush(colour)
            painter.drawRoundedRect(bar, _BAR / 2, _BAR / 2)


class Dials(PictureView[Mapping[str, Reading]]):
    """Where every rule stands after the latest cycle of the run on display. ``asked`` carries the
    dial that was clicked. Left and Right go from dial to dial, Enter is a click."""

    asked = Signal(object)

    def __init__(self, store: Store, background: Background) -> None:
        super().__init__("health_dials", store, background)
        self.dials: list[Dial] = []
        self._at = 0
        self.setAccessibleName("Health of the run, rule by rule")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setMinimumHeight(_BAR + 2)  # of none at all nothing would be read
        self._compact = self._bare = False
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 12, 0)  # as the plots above leave for their scroll bar
        self._row.setSpacing(0)
        self.said = label("", "muted", name="health_said")
        small = self.said.font()
        small.setPointSizeF(_SMALL * small.pointSizeF())
        self.said.setFont(small)
        self.said.setMaximumHeight(self.said.fontMetrics().tightBoundingRect("Hkp").height() + 1)
        self.said.hide()
        self._row.addWidget(self.said)
        themes().changed.connect(self.update)

    def show_run(self, run_id: int | None) -> None:
        """Show a run's dials, or none."""
        self.setVisible(run_id is not None)
        super().show_run(run_id)

    def set_compact(self, compact: bool, *, bare: bool = False) -> None:
        """Take little room, and where ``bare`` still less, or show the names of the rules."""
        self._bare = bare
        if compact != self._compact:
            self._compact = compact
            for dial in self.dials:
                dial.set_compact(compact)
        self._show_said()

    def _show_said(self) -> None:
        """Bars alone would not say what they are."""
        self.said.setVisible(self._compact and not self._bare and bool(self.dials))

    def read(self, run_id: int, wanted: int | None) -> Mapping[str, Reading] | None:
        """Read where the rules stand after the latest cycle."""
        run = self.store.run(run_id)
        return None if run is None else read_run(self.store, run)

    def shown_cycle(self) -> int | None:
        """It is always the latest."""
        return None

    def show_cycle(self, cycle: int) -> None:
        """Another cycle changes nothing: the latest tells how the run is now."""

    def draw(self) -> None:
        """Show the dials of the run's rules; none before its first cycle."""
        readings = {name: reading for name, reading in (self.picture or {}).items()
                    if find_rule(name)}
        if [dial.rule for dial in self.dials] != list(readings):
            for dial in self.dials:
                dial.hide()
                dial.deleteLater()
            self.dials = [Dial(name) for name in readings]
            for place, dial in enumerate(self.dials):
                dial.set_compact(self._compact)
                dial.clicked.connect(partial(self._click, place))
                self._row.addWidget(dial)
            self._at = 0
        for dial in self.dials:
            dial.show_reading(readings[dial.rule])
        wrong = sum(reading.severity is not None for reading in readings.values())
        self.said.setText(f"Health: {f'{wrong} to look at' if wrong else 'well'} ")
        self._show_said()
        self._mark()

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show which dial the keyboard is at."""
        super().focusInEvent(event)
        self._mark()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Take that away again."""
        super().focusOutEvent(event)
        self._mark()

    def _click(self, place: int) -> None:
        self._at = place
        self.asked.emit(self.dials[place])

    def _mark(self) -> None:
        for place, dial in enumerate(self.dials):
            dial.current = self.hasFocus() and place == self._at
            dial.update()
        if self.dials:
            self.setAccessibleDescription(self.dials[self._at].accessibleName())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go from dial to dial, or ask for the report."""
        by = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if by is not None and self.dials:
            self._at = (self._at + by) % len(self.dials)
            self._mark()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and self.dials:
            self.asked.emit(self.dials[self._at])
        else:
            super().keyPressEvent(event)
