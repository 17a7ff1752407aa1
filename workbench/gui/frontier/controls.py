"""What is drawn in the frontier, and the best of n to beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtGui import QValidator
from PySide6.QtWidgets import QCheckBox, QComboBox, QPushButton, QSpinBox, QWidget
from superqt import QFlowLayout

from workbench.gui.frontier.reading import COSTS, REWARDS, X, Y
from workbench.gui.widgets.controls import enable, label, named
from workbench.gui.widgets.layouts import hbox
from workbench.learning.best_of_n import MOST
from workbench.records import PromptsOf
from workbench.training.commands import SampleBestOf
from workbench.training.events import State
from workbench.training.states import WHEN, allowed

_SOURCES = {"Start policy": 0, "Last checkpoint": None}
_BUSY = "The best of n are being sampled."


class _Count(QSpinBox):
    """Lets more be typed than can be, which is then as many as can be, and told: ``cut``."""

    cut = Signal(int)

    def validate(self, text: str, place: int) -> tuple[QValidator.State, str, int]:
        """Let a number that is too large be typed."""
        if text.isdecimal() and int(text) > self.maximum():
            return QValidator.State.Intermediate, text, place
        return super().validate(text, place)

    def fixup(self, text: str) -> str:
        """Put the largest in the place of what is larger."""
        if text.isdecimal() and int(text) > self.maximum():
            self.cut.emit(self.maximum())
            return str(self.maximum())
        return super().fixup(text)


class Controls(QWidget):
    """``changed``: another picture is wanted; ``reread``: of other numbers. ``asked``: the best of
    n are wanted, or that they be given up."""

    changed = Signal()
    reread = Signal()
    asked = Signal()
    cut = Signal(int)
    """A larger n was typed than the most there is, which is taken in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.rewards = named(QComboBox(), "frontier_y", "Reward",
                             "Which reward is drawn: that by which an algorithm's runs are "
                             "compared, that of the compared prompts, or of the held-out ones")
        self.rewards.addItems(list(REWARDS.values()))
        self.costs = named(QComboBox(), "frontier_x", "Against", "What the reward is drawn against")
        self.costs.addItems(list(COSTS.values()))
        self.band = named(QCheckBox("Seeds as a band"), "frontier_band", "Seeds as a band",
                          "Draw runs that differ in their seeds alone as one: their mean, and the "
                          "least and the most reward")
        self.source = named(QComboBox(), "frontier_source", "Best of n by",
                            "Which policy writes the completions of which the best is kept")
        self.source.addItems(list(_SOURCES))
        self.n = named(_Count(), "frontier_n", "n",
                       f"How many completions of each prompt are written, at most {MOST}; the best "
                       "of fewer come from the same ones")
        self.n.cut.connect(self.cut)
        self.n.setRange(2, MOST)
        self.n.setValue(16)
        self.n.setFixedWidth(self.n.fontMetrics().averageCharWidth() * 10)
        self.button = named(QPushButton("Best of n"), "frontier_best", "Best of n",
                            "Write n completions of each of the prompts that the drawn reward is "
                            "of, at most 64 of those that are trained on, and draw what the best "
                            "of them are worth: the line that training has to beat. It is kept "
                            "with the run")
        flow = QFlowLayout(self)
        flow.setContentsMargins(0, 0, 0, 0)
        flow.setSpacing(6)
        for widgets in ((self.rewards, label("against", "muted"), self.costs), (self.band,),
                        (self.button, label("by", "muted"), self.source, label("n", "muted"),
                         self.n)):
            group = QWidget()
            hbox(group, *widgets, spacing=4)
            # Or what is low would stand at the top of the line.
            group.setMinimumHeight(self.n.sizeHint().height())
            flow.addWidget(group)
        self.rewards.currentIndexChanged.connect(lambda _: self.reread.emit())
        self.costs.currentIndexChanged.connect(lambda _: self.changed.emit())
        self.band.toggled.connect(lambda _: self.changed.emit())
        self.button.clicked.connect(lambda _=False: self.asked.emit())

    @property
    def reward(self) -> Y:
        """The reward that is drawn."""
        return list(REWARDS)[self.rewards.currentIndex()]

    @property
    def cost(self) -> X:
        """What it is drawn against."""
        return list(COSTS)[self.costs.currentIndex()]

    def command(self, number: int, run_id: int, of: PromptsOf) -> SampleBestOf:
        """Return what samples the best of n of a run as is chosen here."""
        return SampleBestOf(
            number, run_id, _SOURCES[self.source.currentText()], self.n.value(), of=of)

    def allow(self, state: State, run_id: int | None, busy: bool) -> None:
        """Say what can be asked for."""
        self.button.setText("Stop" if busy else "Best of n")
        self.button.setAccessibleName(self.button.text())
        why = "Start a run, or choose one in Runs, first." if run_id is None else (
            WHEN[SampleBestOf][1])
        enable(self.button, busy or (run_id is not None and state in allowed(SampleBestOf)), why)
        for widget in (self.source, self.n):
            enable(widget, not busy, _BUSY)

    def save_state(self) -> dict[str, object]:
        """Return what is to be remembered."""
        return {"y": self.reward, "x": self.cost, "band": self.band.isChecked(),
                "n": self.n.value()}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """Choose as :meth:`save_state` told."""
        with QSignalBlocker(self.rewards), QSignalBlocker(self.costs), QSignalBlocker(self.band):
            if state.get("y") in list(REWARDS):
                self.rewards.setCurrentIndex(list(REWARDS).index(cast(Y, state["y"])))
            if state.get("x") in list(COSTS):
                self.costs.setCurrentIndex(list(COSTS).index(cast(X, state["x"])))
            self.band.setChecked(state.get("band") is True)
        if isinstance(n := state.get("n"), int):
            self.n.setValue(n)
        self.reread.emit()
