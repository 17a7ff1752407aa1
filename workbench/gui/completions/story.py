"""One prompt's story: its completion at each cycle, moved through with a slider."""

from __future__ import annotations

import html
import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import groupby

from PySide6.QtCore import QPointF, QSignalBlocker, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QHideEvent,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QHBoxLayout, QSlider, QTextEdit, QVBoxLayout, QWidget

from workbench.formatting import number
from workbench.gui.completions import completion_texts
from workbench.gui.completions.diff import marked_difference
from workbench.gui.completions.heading import Heading
from workbench.gui.completions.marks import fill
from workbench.gui.completions.rows import Row, cycle_name
from workbench.gui.widgets.controls import enable, label, named, tool_button
from workbench.gui.widgets.icons import icon
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.still_label import StillLabel
from workbench.gui.widgets.theme import themes
from workbench.store.store import Store

_WHOLE_MS = 30_000  # how long all cycles take to play
_SLOWEST_MS, _FASTEST_MS = 600, 50
_HANDLE = 6  # pixels from the slider's end to the middle of its handle there
_HIGH = 36


class Story(QWidget):
    """Reads the store a completion at a time, as the slider moves."""

    closed = Signal()
    moved = Signal(int)  # to the next row (+1) or the previous (-1)
    tokens_wanted = Signal(int, int)  # cycle, prompt

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._run_id = 0
        self._row: Row | None = None
        self._cycles: Sequence[int] = ()
        self._scores: dict[int, float] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        self._heading = Heading("story")
        self._heading.closed.connect(self.closed)
        self._heading.moved.connect(self.moved)
        self._heading.tokens_wanted.connect(self._want_tokens)
        layout.addWidget(self._heading)
        self._facts = label(role="muted", wrap=True, rich=True)
        self._facts.setObjectName("story_facts")
        self._facts.setAccessibleName("Cycle and numbers")
        layout.addWidget(StillLabel(self._facts))
        self.text = named(QTextEdit(), "story_text", "Completion after this cycle", "")
        self.text.setToolTip(plain_tip("Marked is what changed since the cycle before"))
        self.text.setReadOnly(True)
        layout.addWidget(self.text, 1)
        self.slider = named(_Slider(Qt.Orientation.Horizontal), "story_slider", "Cycle",
                            "Move through the cycles; left and right go one back or on")
        self.slider.setPageStep(10)
        self.slider.valueChanged.connect(lambda _: self._show())
        self.line = RewardLine()
        self.play = tool_button("Play", "story_play", "Play", "")
        self.play.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.play.clicked.connect(lambda: self.play_or_stop())
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._next)
        below, track = QHBoxLayout(), QVBoxLayout()
        track.setSpacing(0)
        track.addWidget(self.line)
        track.addWidget(self.slider)
        below.addWidget(self.play)
        below.addLayout(track, 1)
        layout.addLayout(below)
        themes().changed.connect(self._restyle)
        self._show_play()
        self.play.setMinimumWidth(self.play.sizeHint().width())

    @property
    def cycle(self) -> int:
        """The cycle that is shown."""
        return self._cycles[self.slider.value()] if self._cycles else 0

    def show_prompt(
        self, run_id: int, cycles: Sequence[int], row: Row, cycle: int | None = None
    ) -> None:
        """Show a prompt of a run over ``cycles``, at ``cycle`` or, where none is given, at the one
        that is shown already."""
        at = self.cycle if cycle is None else cycle
        self._run_id, self._row, self._cycles = run_id, row, tuple(cycles)
        self._scores = self._store.compared_rewards(run_id, row.first.position, self._cycles)
        self._heading.show_row(row)
        self.line.show_values([self._scores.get(c, math.nan) for c in self._cycles])
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, max(0, len(cycles) - 1))
            self.slider.setValue(max(0, bisect_right(self._cycles, at) - 1))
        self._timer.setInterval(
            min(_SLOWEST_MS, max(_FASTEST_MS, _WHOLE_MS // max(1, len(cycles)))))
        self._show()
        self._show_play()

    def play_or_stop(self) -> None:
        """Play from here, or from the start where this is the end; or stop."""
        if self._timer.isActive():
            self._timer.stop()
        elif len(self._cycles) > 1:
            if self.slider.value() == self.slider.maximum():
                self.slider.setValue(0)
            self._timer.start()
        self._show_play()

    def take_focus(self) -> None:
        """Let the keyboard move the slider."""
        self.slider.setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space plays or stops, Escape goes back."""
        if event.key() == Qt.Key.Key_Space:
            self.play_or_stop()
        elif not self._heading.take_key(event):
            super().keyPressEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        """Take the colours that have changed meanwhile."""
        super().showEvent(event)
        self._show()

    def hideEvent(self, event: QHideEvent) -> None:
        """Stop playing where nobody sees it."""
        super().hideEvent(event)
        self._timer.stop()
        self._show_play()

    def _next(self) -> None:
        self.slider.setValue(self.slider.value() + 1)
        if self.slider.value() == self.slider.maximum():
            self._timer.stop()
            self._show_play()

    def _show(self) -> None:
        """Show the completion at the slider's cycle, and what changed since the one before."""
        row, at = self._row, self.slider.value()
        if row is None or not self._cycles:
            return
        now, *before = (
            self._store.compared_completion(self._run_id, cycle, row.first.position)
            for cycle in self._cycles[at::-1][:2])
        if now is None:
            self.text.clear()
            self._facts.setText(f"{cycle_name(self.cycle).capitalize()}: nothing.")
        else:
            written, old = now.text.lstrip(" "), before[0] if before else None
            changed = marked_difference(old.text.lstrip(" "), written).inserted if old else ()
            change = completion_texts.coloured_change(completion_texts.change(
                number(old.score), number(now.score))) if old else ""
            bar = self.text.verticalScrollBar()
            place = bar.value()
            fill(self.text, written, changed)
            bar.setValue(place)
            if old and not changed and old.text != now.text:
                change += " · most of it is new"  # then no words are marked
            of = f" of {self._cycles[-1]:,}" if self.cycle else ""
            self._facts.setText(f"{cycle_name(self.cycle).capitalize()}{of} · "
                                f"{html.escape(completion_texts.facts(now))} {change}")
        self._heading.set_cycle(self.cycle)
        self.line.mark(at)

    def _show_play(self) -> None:
        playing = self._timer.isActive()
        self.play.setText("Stop" if playing else "Play")
        self.play.setAccessibleName(self.play.text())
        self.play.setIcon(icon("stop" if playing else "start"))
        self.play.setToolTip(plain_tip("Stop here (Space)" if playing else
                                       "Play it cycle by cycle (Space)"))
        enable(self.play, len(self._cycles) > 1, "There is only one comparison so far.")

    def _want_tokens(self) -> None:
        if self._row and self.cycle:
            self.tokens_wanted.emit(self.cycle, self._row.first.prompt)

    def _restyle(self) -> None:
        self.line.forget()
        self._show_play()
        if self.isVisible():
            self._show()


class _Slider(QSlider):
    """Leaves arrows with Alt to the page."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move, unless the key is one of the page."""
        if event.modifiers() & Qt.KeyboardModifier.AltModifier:
            event.ignore()
        else:
            super().keyPressEvent(event)


class RewardLine(QWidget):
    """A prompt's reward over the cycles, over the slider that goes through them."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("story_line")
        self.setAccessibleName("Reward over the cycles")
        self.setToolTip(plain_tip("The reward of this prompt's completion over the cycles; dotted "
                                  "is 0"))
        self.setFixedHeight(_HIGH)
        self._values: Sequence[float] = ()
        self._low, self._high = 0.0, 1.0
        self._at = 0
        self._picture: QPixmap | None = None

    def show_values(self, values: Sequence[float]) -> None:
        """Draw other rewards; NaN leaves a gap."""
        known = [0.0, *(v for v in values if math.isfinite(v))]
        self._values, self._low, self._high = tuple(values), min(known), max(known)
        self.forget()

    def mark(self, at: int) -> None:
        """Mark a place."""
        self._at = at
        self.update()

    def point(self, at: int, value: float) -> QPointF:
        """Return where a reward is drawn."""
        x = _HANDLE + at / max(1, len(self._values) - 1) * (self.width() - 2 * _HANDLE)
        share = (value - self._low) / ((self._high - self._low) or 1)
        return QPointF(x, 4 + (1 - share) * (self.height() - 8))

    def forget(self) -> None:
        """Draw the line anew: it has other colours, or another size."""
        self._picture = None
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Draw the line for this width."""
        super().resizeEvent(event)
        self.forget()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the line, and the mark on it."""
        if self._picture is None or self._picture.devicePixelRatio() != self.devicePixelRatioF():
            self._picture = self._draw()
        painter, values = QPainter(self), self._values
        painter.drawPixmap(0, 0, self._picture)
        if self._at < len(values) and math.isfinite(values[self._at]):
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(themes().theme.accent))
            painter.drawEllipse(self.point(self._at, values[self._at]), 4, 4)

    def _draw(self) -> QPixmap:
        """Return the line over 0, which takes too long to be drawn at every step."""
        ratio = self.devicePixelRatioF()
        picture = QPixmap(self.size() * ratio)
        picture.setDevicePixelRatio(ratio)
        picture.fill(Qt.GlobalColor.transparent)
        theme, painter, values = themes().theme, QPainter(picture), self._values
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(theme.border), 1, Qt.PenStyle.DotLine))
        painter.drawLine(self.point(0, 0), self.point(max(1, len(values) - 1), 0))
        painter.setPen(QPen(QColor(theme.accent), 1.5))
        for known, part in groupby(enumerate(values), lambda pair: math.isfinite(pair[1])):
            if known:
                painter.drawPolyline(QPolygonF([self.point(i, value) for i, value in part]))
        painter.end()
        return picture

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(200, _HIGH)
