"""The line at the bottom: phase, cycle, speed, time gone by and time left."""

from __future__ import annotations

import time
from collections import deque

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QProgressBar, QStatusBar, QWidget

from workbench.algorithms import find_algorithm
from workbench.formatting import file_size, format_duration, format_speed
from workbench.gui.widgets.controls import RIGHT, label, named
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import number_font
from workbench.learning.metrics import SECONDS, SPEED
from workbench.models.phases import Phase
from workbench.training.events import (
    CheckpointWritten,
    CycleFinished,
    Progress,
    RunFollowed,
    RunResumed,
    RunStarted,
    State,
)
from workbench.training.states import ALIVE

_RECENT = 5  # cycles whose mean time tells how long the rest will take
_LATE, _LATE_S = 3, 5.0  # a cycle is, after so many times that mean and at least so many seconds
_BEFORE = "Before: the start policy answers the compared prompts"
_CYCLE_TIP = "The cycle that is running, of how many"


class StatusBar(QStatusBar):
    """Told what happens; counts the seconds itself."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("status_bar")
        self.setAccessibleName("Status")
        self._state = State.IDLE
        self._run: int | None = None
        self._name = ""
        self._makes = "policy"
        self._shown: int | None = None
        self._since = "elapsed"
        self._began: float | None = None
        self._held, self._held_since = 0.0, 0.0
        self._done, self._num_cycles = 0, 0
        self._cycle = 0
        self._cycle_began = 0.0
        self._seconds: deque[float] = deque(maxlen=_RECENT)
        self.phase = named(label(), "phase", "Phase", "What the running cycle is doing")
        self.phase.setMinimumWidth(1)  # gives way first where there is little room
        self.bar = named(QProgressBar(maximum=1000, textVisible=False), "phase_bar",
                         "Progress of the phase", "How far this phase of the cycle is")
        self.bar.setFixedWidth(self.fontMetrics().horizontalAdvance("0") * 14)
        self.cycle = named(label(), "cycle", "Cycle", _CYCLE_TIP)
        self.speed = named(label(), "speed", "Speed",
                           "Completion tokens sampled and learned from per second, last cycle")
        self.elapsed = named(label(), "elapsed", "Elapsed",
                             "Time since Start or Resume, or since the run is watched; "
                             "pauses left out")
        self.left = named(label(), "time_left", "Time left",
                          f"Estimated from the mean of the last {_RECENT} cycles; overdue: this "
                          f"one takes more than {_LATE} times as long")
        self.setContentsMargins(8, 0, 0, 0)
        keeps = self.bar.sizePolicy()
        keeps.setRetainSizeWhenHidden(True)
        self.bar.setSizePolicy(keeps)
        for widget in (self.bar, self.phase):  # the bar first, where no text moves it
            self.addWidget(widget)
        for widget in (self.cycle, self.speed, self.elapsed, self.left):
            widget.setFont(number_font())
            widget.setContentsMargins(8, 0, 8, 0)
            widget.setAlignment(RIGHT)
            self.addPermanentWidget(widget)
        self._timer = QTimer(self, interval=500)
        self._timer.timeout.connect(self._tick)
        self.bar.hide()

    def set_state(self, state: State, within: str = "") -> None:
        """Count time only while the run runs; ``within``: it is paused in the cycle in hand."""
        was, self._state = self._state, state
        now = time.monotonic()
        if state == State.PAUSED and was != State.PAUSED:
            self._held_since = now
        elif was == State.PAUSED and state != State.PAUSED:
            self._held += now - self._held_since
        running = state in (State.RUNNING, State.STOPPING)
        if running:
            self._timer.start()
        else:
            self._timer.stop()
            self.bar.hide()
            self.phase.setText("")
            self.left.setText("")
            if self._num_cycles and not within:  # a cycle that was not finished does not count
                self._say_cycle(self._done)
        self._tell_apart()

    def show_run(self, run_id: int | None) -> None:
        """Another run is on display: its numbers are not those of the run that is counted here,
        which is named while it is alive and not told of when it has ended."""
        self._shown = run_id
        self._tell_apart()

    def _tell_apart(self) -> None:
        for widget in (self.cycle, self.speed, self.elapsed, self.left):
            widget.setVisible(self._run == self._shown or self._state in ALIVE)
        if self._num_cycles:
            self._say_cycle(self._cycle)

    def _say_cycle(self, cycle: int) -> None:
        self._cycle = cycle
        text = f"Cycle {cycle} of {self._num_cycles}" if cycle else "Before cycle 1"
        self.cycle.setText(text if self._run == self._shown else f"{self._name}: {text}")

    def run_started(self, event: RunStarted | RunResumed | RunFollowed) -> None:
        """A run began or goes on."""
        self._run, self._name = event.run_id, event.name
        self._makes = find_algorithm(event.algorithm).makes
        # Not the run's whole time beside the number of all its cycles.
        self._since = ("since Resume" if isinstance(event, RunResumed) and not event.parent
                       else "since watched" if isinstance(event, RunFollowed) and not event.asked
                       else "elapsed")
        self._began, self._held = time.monotonic(), 0.0
        self._seconds.clear()
        self._cycle_began = self._began
        self._done = event.cycle if isinstance(event, RunResumed | RunFollowed) else 0
        self._num_cycles = int(event.hyperparameters["num_cycles"])
        self._say_cycle(self._done)
        self.cycle.setToolTip(plain_tip(_CYCLE_TIP))
        self.speed.setText("")
        self._tick()

    def checkpoint_written(self, event: CheckpointWritten) -> None:
        """The run can be resumed from here."""
        self.cycle.setToolTip(plain_tip(
            f"{_CYCLE_TIP}. Last checkpoint: after cycle {event.cycle}, {file_size(event.bytes)}"))

    def progress(self, event: Progress) -> None:
        """A cycle got further."""
        self._num_cycles = event.num_cycles
        # Before the first cycle there is nothing to compare with yet.
        first = event.phase is Phase.COMPARING and event.cycle == 0
        text = _BEFORE if first else event.phase.value
        if event.phase is Phase.UPDATING and self._makes != "policy":
            text = f"Phase 2: training the {self._makes}"
        self.phase.setText(text)
        self.phase.setToolTip(plain_tip(text))
        self.bar.setVisible(event.total > 0)
        self.bar.setValue(round(1000 * event.done / max(1, event.total)))
        self._say_cycle(event.cycle)

    def cycle_begins(self) -> None:
        """The next cycle is asked for; its first step may take a while to tell of itself."""
        if self._num_cycles:
            self._say_cycle(min(self._done + 1, self._num_cycles))

    def cycle_finished(self, event: CycleFinished) -> None:
        """A cycle is complete."""
        self._seconds.append(event.metrics.get(SECONDS, 0.0))
        self._done, self._num_cycles = event.cycle, event.num_cycles
        self._cycle_began = time.monotonic() - self._held
        self._say_cycle(event.cycle)
        speed = event.metrics.get(SPEED)
        if speed is not None:
            self.speed.setText(format_speed(speed))
        self._tick()

    def _tick(self) -> None:
        if self._began is None:
            return
        now = time.monotonic()
        self.elapsed.setText(f"{format_duration(now - self._began - self._held)} {self._since}")
        if self._seconds and self._state == State.RUNNING:
            mean = sum(self._seconds) / len(self._seconds)
            in_this = now - self._held - self._cycle_began
            rest = mean * (self._num_cycles - self._done) - min(in_this, mean)
            # A reward that hangs, say: no time that is told then would be true.
            late = in_this > max(_LATE * mean, _LATE_S)
            self.left.setText("overdue" if late else f"{format_duration(rest)} left")
