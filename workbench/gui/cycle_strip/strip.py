"""The strip under the tool bar: the two phases of a cycle, and which of their parts is on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QAction, QColor, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from workbench.algorithm import Algorithm, Part
from workbench.algorithms import default_algorithm, parts_of
from workbench.gui.cycle_strip.part_button import PartButton
from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.layouts import hbox, vbox
from workbench.gui.widgets.theme import themes
from workbench.learning.parts import EVALUATE, HOLDING_OUT, WRITE
from workbench.models.phases import Phase
from workbench.training.events import CycleFinished, PartReported, Progress, State
from workbench.training.states import ALIVE

HEIGHT, COMPACT = 52, 32  # pixels, with and without the phases' names
_TITLES = {1: "Phase 1: create completions", 2: "Phase 2: update the model",
           0: "Before and after"}
_NOTHING_WRITTEN = "Phase 1: draw from the data"

_OF_NO_PART = (Phase.PRETRAINING, Phase.REFERENCE, Phase.READING)
"""What is done before the first cycle, or between parts: no part gets further by it."""


class CycleStrip(QWidget):
    """Shows the last cycle of the run on display, or the one in hand.

    ``part_chosen`` carries the name of the chosen part, ``opened`` that of the dock that shows what
    it made; ``turned`` that of the part that is on now, "" where none is, and whether the run is
    held there.
    """

    part_chosen = Signal(str)
    opened = Signal(str)
    turned = Signal(str, bool)

    def __init__(self, step_into: QAction) -> None:
        super().__init__()
        named(self, "cycle_strip", "The cycle, part by part", "")
        self.setMaximumHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.buttons: list[PartButton] = []
        self._titles: list[QLabel] = []
        # Not the strip's own layout: a part's new words would lay the whole window out anew.
        self._inside = QWidget(self)
        self._row = QHBoxLayout(self._inside)
        self._row.setSizeConstraint(QHBoxLayout.SizeConstraint.SetNoConstraint)
        self._row.setContentsMargins(8, 2, 8, 4)
        self._row.setSpacing(6)
        self._loop = _Loop()
        self._into = named(QToolButton(), "strip_step_into", "Step into", "")
        self._into.setDefaultAction(step_into)
        self._into.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
        self._into.setProperty("role", "flat")
        self._into.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._run: int | None = None
        self._algorithm: Algorithm | None = None
        self._settings: dict[str, Any] = {}
        self._metrics: dict[str, dict[str, float]] = {}
        self._done: set[str] = set()
        self._steps = 0, 0
        self._cycle = self._num_cycles = 0
        self._state, self._compact = State.IDLE, False
        self._within = ""
        self._told = "", False
        self._next = default_algorithm()
        self._use(self._next)
        self._draw()
        themes().changed.connect(self.update)

    # -- what the window tells

    def show_run(
        self, run_id: int | None, algorithm: Algorithm | None = None,
        settings: Mapping[str, Any] | None = None, cycle: int = 0,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Show a run as it stands after ``cycle``, whose ``metrics`` are given; or none."""
        self._use(algorithm or self._next)
        self._run, self._cycle, self._settings = run_id, cycle, dict(settings or {})
        self._num_cycles = int(self._settings.get("num_cycles", 0))
        self._finish(metrics or {})

    def expect(self, algorithm: Algorithm) -> None:
        """Show the parts of what the next run would learn by, while there is none on display."""
        self._next = algorithm
        if self._run is None:
            self._use(algorithm)
            self._draw()

    def take_settings(self, settings: Mapping[str, Any]) -> None:
        """Take note of the settings in use."""
        self._settings = dict(settings)
        self._num_cycles = int(self._settings.get("num_cycles", self._num_cycles))

    def progress(self, event: Progress) -> None:
        """The part in hand got further."""
        if event.run_id != self._run or not event.cycle:
            return
        self._turn_to(event.cycle)
        self._num_cycles = event.num_cycles
        self._steps = (0, 0) if event.phase in _OF_NO_PART else (event.done, event.total)
        self._draw()

    def report(self, event: PartReported) -> None:
        """Something is known of a part."""
        if event.run_id != self._run:
            return
        self._turn_to(event.cycle)
        # What is known of earlier parts is known of later ones.
        known = {name: n for part in self._metrics.values() for name, n in part.items()}
        self._metrics[event.part] = known | self._metrics.get(event.part, {}) | dict(event.metrics)
        if event.done:
            self._done.add(event.part)
            self._steps = 0, 0
        self._draw()

    def cycle_finished(self, event: CycleFinished) -> None:
        """A cycle is whole."""
        if event.run_id == self._run:
            self._cycle, self._num_cycles = event.cycle, event.num_cycles
            self._finish(event.metrics)

    @property
    def held(self) -> bool:
        """Whether the run is held within a cycle."""
        return bool(self._within)

    def set_state(self, state: State, within: str = "") -> None:
        """Show where the session stands; ``within``: it is paused after this part."""
        self._state, self._within = state, within
        self._draw()

    def set_compact(self, compact: bool) -> None:
        """Leave out the names of the phases, with which the tooltips of their parts begin."""
        if compact != self._compact:
            self._compact = compact
            self._fit()

    # -- showing

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(600, COMPACT if self._compact else HEIGHT)

    def _fit(self) -> None:
        self.setMaximumHeight(COMPACT if self._compact else HEIGHT)
        for title in self._titles:
            title.setHidden(self._compact)
        self._loop.set_compact(self._compact)
        self._row.setContentsMargins(8, 0 if self._compact else 2, 8, 2 if self._compact else 4)
        self.updateGeometry()

    def minimumSizeHint(self) -> QSize:
        """Give way to the window, which hides it where it is low."""
        return QSize(1, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give the parts the room there is."""
        self._inside.setGeometry(self.rect())

    def _turn_to(self, cycle: int) -> None:
        """Begin another cycle, of which nothing is known yet."""
        if cycle != self._cycle or (not self._metrics and not self._done):
            self._cycle = cycle
            self._metrics, self._done, self._steps = {}, set(), (0, 0)

    def _finish(self, metrics: Mapping[str, float]) -> None:
        parts = [button.part.name for button in self.buttons]
        self._metrics = {name: dict(metrics) for name in parts} if metrics else {}
        self._done = set(parts) if metrics else set()
        self._steps = 0, 0
        self._draw()

    def _live(self) -> str:
        """Return the part that is on, or after which the run is held."""
        if self._within:
            return self._within
        left = [b.part.name for b in self.buttons
                if b.part.name not in self._done and not self._left_out(b.part)]
        began = bool(self._done or self._steps[1] or self._metrics)
        return left[0] if left and began and self._state in ALIVE else ""

    def _left_out(self, part: Part) -> bool:
        """Return whether the run's cycles have no such part: it holds no data out."""
        return part.name == EVALUATE.name and bool(self._settings) and not any(
            self._settings.get(name) for name in HOLDING_OUT)

    def _draw(self) -> None:
        live = self._live()
        for button in self.buttons:
            name = button.part.name
            button.setHidden(self._left_out(button.part))
            button.show_part(
                live=name == live, done=name in self._done, steps=self._steps,
                metrics=self._metrics.get(name, {}), settings=self._settings)
        self._loop.say(self._cycle, self._num_cycles)
        if (now := (live, bool(self._within))) != self._told:
            self._told = now
            self.turned.emit(*now)

    def _use(self, algorithm: Algorithm) -> None:
        """Have the parts of this algorithm's cycle."""
        if algorithm is self._algorithm:
            return
        self._algorithm = algorithm
        while (item := self._row.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None and widget not in (self._loop, self._into):
                widget.hide()  # until it is gone it would cover what takes its place
                widget.deleteLater()
        self.buttons, self._titles = [], []
        parts = parts_of(algorithm)
        for phase in (1, 2, 0):
            found = [part for part in parts if part.phase == phase]
            if found:
                self._row.addWidget(self._half(phase, found), len(found) if phase != 2 else 2)
            if phase == 1:
                self._row.addWidget(self._loop)
        self._row.addWidget(self._into, 0, Qt.AlignmentFlag.AlignBottom)
        self._fit()

    def _choose(self, part: Part) -> None:
        self.part_chosen.emit(part.name)
        self.opened.emit(part.view)

    def _half(self, phase: int, parts: Sequence[Part]) -> QWidget:
        half = QWidget()
        column = vbox(half, spacing=1)
        writes = any(part.name == WRITE.name for part in parts)
        text = _TITLES[phase] if phase != 1 or writes else _NOTHING_WRITTEN
        title = label(text, "muted")
        font = title.font()
        font.setPointSizeF(0.82 * font.pointSizeF())
        title.setFont(font)
        title.setMinimumWidth(1)
        self._titles.append(title)
        column.addWidget(title)
        row = hbox(None, spacing=4)
        for part in parts:
            button = PartButton(part, text)
            button.clicked.connect(lambda _=False, part=part: self._choose(part))
            self.buttons.append(button)
            row.addWidget(button, 1)
        column.addLayout(row, 1)
        return half


class _Loop(QWidget):
    """An arrow that goes round, and the number of the cycle."""

    def __init__(self) -> None:
        super().__init__()
        named(self, "cycle_loop", "Cycle", "After Phase 2 the next cycle begins, with the updated "
                                           "model")
        self._text, self._compact = "", False
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self._label = label("", "muted")
        self._label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._column = vbox(self, self._label, margins=None)
        self.set_compact(False)

    def set_compact(self, compact: bool) -> None:
        """Put the arrow before the words rather than above them."""
        self._compact = compact
        self._column.setContentsMargins(24 if compact else 6, 0 if compact else 16, 6, 0)
        self.update()

    def say(self, cycle: int, num_cycles: int) -> None:
        """Say which cycle of how many it is."""
        text = (f"cycle {cycle:,} of {num_cycles:,}" if cycle and num_cycles else
                "then again")
        if text != self._text:
            self._text = text
            self._label.setText(text)
            self._label.setMinimumWidth(self._label.sizeHint().width())
            self.setAccessibleDescription(text)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the arrow over the words."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colour = QColor(themes().theme.muted)
        painter.setPen(QPen(colour, 1.6))
        radius = 6.5
        left = 6 if self._compact else self.width() / 2 - radius
        circle = QRectF(left, self.height() / 2 - radius if self._compact else 4,
                        2 * radius, 2 * radius)
        painter.drawArc(circle, 60 * 16, 290 * 16)
        painter.setBrush(colour)
        painter.setPen(Qt.PenStyle.NoPen)
        tip = circle.center().x() + radius * 0.5, circle.top() + radius * 0.13
        painter.drawPolygon([QPointF(tip[0] + x, tip[1] + y)
                             for x, y in ((4.5, 1), (-1.5, -3.5), (-1.5, 4))])
