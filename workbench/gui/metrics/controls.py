"""The row of controls above the plots."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QMouseEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QMenu,
    QSlider,
    QToolButton,
    QWidget,
)
from superqt import QFlowLayout

from workbench.gui.actions import set_tip
from workbench.gui.controls import label, named, tool_button
from workbench.gui.metrics.data import Along
from workbench.gui.metrics.export import FILTERS
from workbench.gui.plain_text import plain_tip
from workbench.ppo.metrics import METRICS, PARTS, find_metric

MOST_PLOTS = 6
DEFAULT_PLOTS = ("objective/scores", "loss/value_avg", "policy/entropy_avg", "objective/kl")
SETS = {
    "Overview": (DEFAULT_PLOTS, "Reward, value loss, entropy and KL"),
    "Trust region": (
        ("policy/clipfrac", "policy/approxkl", "val/ratio_var", "objective/kl"),
        "How far each update moves the policy, and how often the clip holds it back"),
    "Value head and advantages": (
        ("loss/value_avg", "val/explained_variance", "val/value", "val/advantage_std"),
        "How well the reward still to come is foreseen, and how much better or worse tokens turn "
        "out than that"),
    "Creativity": (
        ("policy/entropy_avg", "objective/entropy", "objective/distinct", "objective/length"),
        "Whether the policy still tries different things"),
}
"""Plots that answer a question together, by title, with what they show."""
_GROUPS = {
    "Reward and KL": ("objective/", "kl_coef"),
    "Policy": ("policy/", "val/ratio", "loss/policy", "loss/total", "lr"),
    "Value": ("loss/value", "val/"),
    "Time": ("seconds", "tokens_per_second"),
}


class _StayingMenu(QMenu):
    """A menu that stays open while entries are ticked."""

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Tick without closing."""
        action = self.activeAction()
        if action and action.isCheckable() and action.isEnabled():
            action.trigger()
        else:
            super().mouseReleaseEvent(event)


class Controls(QWidget):
    """Which plots, smoothing, scale, x axis, follow, export."""

    plots_chosen = Signal(object)  # list of metric names
    set_chosen = Signal(object)  # metric names in their order
    parts_wanted = Signal(bool)
    smoothing_changed = Signal(float)
    log_toggled = Signal(bool)
    along_chosen = Signal(str)  # an Along
    follow_clicked = Signal()
    zoom_clicked = Signal()
    export_clicked = Signal(str)  # a key of FILTERS

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QFlowLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(6)
        layout.setVerticalSpacing(4)
        for widget in (self._plots(), self._smoothing(), self._log(), self._x_axis(),
                       self._zoom(), self._follow()):
            layout.addWidget(widget)
        # The flow layout aligns at the top; equal heights line the row up.
        height = max(w.sizeHint().height() for w in (self.plots, self.follow))
        for widget in self.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly):
            widget.setMinimumHeight(height)

    def show_plots(self, names: Sequence[str]) -> None:
        """Tick the plots on screen; one stays, and six are the most."""
        for name, action in self._choices.items():
            action.setChecked(name in names)
            shown = name in names
            action.setEnabled(len(names) > 1 if shown else len(names) < MOST_PLOTS)

    def show_parts(self, there: bool, wanted: bool) -> None:
        """Offer the plot of the reward's parts where a run has some."""
        self._parts.setEnabled(there)
        self._parts.setChecked(there and wanted)

    def show_settings(self, smoothing: float, log: bool, along: Along) -> None:
        """Show settings that were restored."""
        self.slider.setValue(round(smoothing * 100))
        self.log.setChecked(log)
        self.along[along].setChecked(True)

    def show_following(self, following: bool) -> None:
        """Offer Follow only while the plots do not follow."""
        self.follow.setEnabled(not following)

    def show_range(self, exists: bool) -> None:
        """Offer to zoom only to what is selected."""
        self.zoom.setEnabled(exists)

    def show_run(self, exists: bool) -> None:
        """Offer to export only what exists."""
        for action in self._exports:
            action.setEnabled(exists)

    def _plots(self) -> QWidget:
        self.plots = _menu_button("plots", "Plots", "Choose which metrics to plot, "
                                  "one to six; save the plots")
        menu = _StayingMenu(self.plots)
        menu.setToolTipsVisible(True)
        for title, (names, tip) in SETS.items():
            action = QAction(title, menu)
            action.setProperty("whole_text", f"Plots: {title}")
            action.setObjectName(f"plots_{title.partition(' ')[0].lower()}")
            set_tip(action, tip)
            action.triggered.connect(lambda _=False, names=names: self.set_chosen.emit(names))
            menu.addAction(action)
        menu.addSeparator()
        self._choices = {}
        left = dict(METRICS)
        for title, prefixes in _GROUPS.items():
            group = _StayingMenu(title, menu)
            group.setToolTipsVisible(True)
            menu.addMenu(group)
            for name in [n for n in left if n.startswith(prefixes)]:
                metric = left.pop(name)
                action = group.addAction(metric.label)
                action.setCheckable(True)
                action.setToolTip(plain_tip(f"{metric.name}: {metric.help}"))
                action.triggered.connect(self._choose)
                self._choices[name] = action
        assert not left, left
        about = find_metric(PARTS)
        self._parts = menu.addAction(about.label)
        self._parts.setCheckable(True)
        self._parts.setToolTip(plain_tip(f"{about.help} For runs with more than one reward."))
        self._parts.triggered.connect(self.parts_wanted)
        menu.addSeparator()
        self._exports = [self._export(menu, key, text) for key, text in FILTERS.items()]
        self.plots.setMenu(menu)
        return self.plots

    def _choose(self) -> None:
        self.plots_chosen.emit([n for n, action in self._choices.items() if action.isChecked()])

    def _smoothing(self) -> QWidget:
        box = QWidget()
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        tip = ("Smooth the curves: how much of the past a point keeps (debiased exponential "
               "moving average). The raw curve stays faint behind.")
        self.slider = named(QSlider(Qt.Orientation.Horizontal), "smoothing", "Smoothing", tip)
        self.slider.setRange(0, 99)
        self.slider.setFixedWidth(62)
        title, value = label("Smooth"), label("off", "muted")
        value.setMinimumWidth(value.fontMetrics().horizontalAdvance("0.00 "))
        title.setBuddy(self.slider)
        for widget in (title, self.slider, value):
            widget.setToolTip(plain_tip(tip))
            row.addWidget(widget)
        self.slider.valueChanged.connect(
            lambda v: value.setText(f"{v / 100:.2f}" if v else "off"))
        self.slider.valueChanged.connect(lambda v: self.smoothing_changed.emit(v / 100))
        return box

    def _log(self) -> QWidget:
        self.log = _button("log_scale", "Log", "Logarithmic y axis. Values below zero keep their "
                           "sign, and near zero the scale is linear")
        self.log.setAccessibleName("Logarithmic y axis")
        self.log.setCheckable(True)
        self.log.toggled.connect(self.log_toggled)
        return self.log

    def _x_axis(self) -> QWidget:
        box = QWidget()
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        self.along: dict[Along, QToolButton] = {
            "cycles": _button("x_cycle", "Cycles", "Plot against PPO cycles"),
            "steps": _button("x_steps", "Steps", "Plot against optimiser steps, the gradients "
                             "applied"),
            "time": _button("x_time", "Time", "Plot against time spent in cycles"),
        }
        group = QButtonGroup(box)
        for along, button in self.along.items():
            button.setCheckable(True)
            button.setProperty("role", "compact")
            button.toggled.connect(
                lambda on, along=along: self.along_chosen.emit(along) if on else None)
            group.addButton(button)
            row.addWidget(button)
        self.along["cycles"].setChecked(True)
        return box

    def _zoom(self) -> QWidget:
        self.zoom = _button("zoom", "Zoom", "Show only the selected cycles (Z). To select some, "
                            "with mean, min, max and change in every plot: Shift+drag over a plot, "
                            "or Shift+Left and Shift+Right. Escape or a click ends it")
        self.zoom.setEnabled(False)
        self.zoom.clicked.connect(self.zoom_clicked)
        return self.zoom

    def _follow(self) -> QWidget:
        self.follow = _button("follow", "Follow", "Show the whole run again and follow its latest "
                              "cycle. Dragging or zooming a plot pauses this (F)")
        self.follow.setEnabled(False)
        self.follow.clicked.connect(self.follow_clicked)
        return self.follow

    def _export(self, menu: QMenu, key: str, text: str) -> QAction:
        action = menu.addAction(f"Save plots as {text.partition(' (')[0]}…")
        action.setObjectName(f"export_plots_{key}")
        action.setEnabled(False)
        action.triggered.connect(lambda: self.export_clicked.emit(key))
        return action


def _button(name: str, text: str, tip: str) -> QToolButton:
    return tool_button(text, name, text, tip)


def _menu_button(name: str, text: str, tip: str) -> QToolButton:
    button = _button(name, text, tip)
    button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    return button
