"""The row of controls above the plots."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal, SignalInstance
from PySide6.QtGui import QAction, QActionGroup, QMouseEvent, QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QMenu,
    QSlider,
    QToolButton,
    QWidget,
)
from superqt import QFlowLayout

from workbench.algorithm import Algorithm
from workbench.algorithms import default_algorithm, find_metric, grouped
from workbench.gui.actions import enable_action, set_tip
from workbench.gui.metrics.data import XAxis
from workbench.gui.widgets.controls import describe, enable, label, named, tool_button
from workbench.gui.widgets.flow import line_width
from workbench.gui.widgets.layouts import hbox
from workbench.gui.widgets.plain_text import plain_tip
from workbench.learning.metrics import PARTS

MOST_PLOTS = 6
_GAP = 6  # pixels between the slider, its name and its value
NO_CURVE, NO_RANGE = "There is no curve yet.", "No cycles are selected."
_ZOOM = "Show only the selected cycles (Z)"
_SELECT = ("To select some, with mean, min, max and change in every plot: Shift+drag over a plot, "
           "or Shift+Left and Shift+Right. Escape or a click ends it. A drag without Shift zooms")
_FOLLOW = "Show the whole run again and follow its latest cycle (F, or double click a plot)"
_FOLLOWS = ("The plots show the whole run and follow its latest cycle. Dragging over a plot zooms "
            "and pauses this")


class _StayingMenu(QMenu):
    """A menu that stays open while entries are ticked, of which several can be."""

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Tick without closing."""
        action = self.activeAction()
        if (action and action.isCheckable() and action.isEnabled()
                and action.actionGroup() is None):
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
    x_axis_chosen = Signal(str)  # an XAxis
    follow_clicked = Signal()
    zoom_clicked = Signal()
    copy_clicked = Signal()
    export_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._offered: list[QAction] = []
        self._choices: dict[str, QAction] = {}
        self._sets: dict[tuple[str, ...], QAction] = {}
        layout = QFlowLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(6)
        layout.setVerticalSpacing(4)
        for widget in (self._plots(), self._smoothing(), self._log(), self._x_axis(),
                       self._view()):
            layout.addWidget(widget)
        # The flow layout aligns at the top; equal heights line the row up.
        height = max(w.sizeHint().height() for w in (self.plots, self.follow))
        for widget in self.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly):
            widget.setMinimumHeight(height)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave the slider's name out where that saves a line."""
        super().resizeEvent(event)
        word = self._smooth.sizeHint().width() + _GAP
        bare = line_width(self) - (0 if self._smooth.isHidden() else word)
        self._smooth.setHidden(bare <= self.width() < bare + word)

    def show_algorithm(self, algorithm: Algorithm) -> None:
        """Offer the plots of an algorithm."""
        menu = self._menu
        for old in self._offered:
            menu.removeAction(old)
            (old.menu() or old).deleteLater()
        self._offered, self._choices, self._sets = [], {}, {}
        sets = QActionGroup(menu)
        sets.setExclusionPolicy(QActionGroup.ExclusionPolicy.ExclusiveOptional)
        for plots in algorithm.plot_sets:
            action = self._sets[plots.metrics] = QAction(plots.title, menu)
            action.setCheckable(True)
            sets.addAction(action)
            action.setProperty("whole_text", f"Plots: {plots.title}")
            action.setObjectName(f"plots_{plots.title.partition(' ')[0].lower()}")
            set_tip(action, plots.help)
            action.triggered.connect(
                lambda _=False, names=plots.metrics: self.set_chosen.emit(names))
            menu.insertAction(self._below_sets, action)
            self._offered.append(action)
        for title, metrics in grouped(algorithm).items():
            group = _StayingMenu(title, menu)
            group.setToolTipsVisible(True)
            self._offered.append(menu.insertMenu(self._parts, group))
            for metric in metrics:
                choice = self._choices[metric.name] = group.addAction(metric.label)
                choice.setCheckable(True)
                choice.triggered.connect(self._choose)

    def show_plots(self, names: Sequence[str]) -> None:
        """Tick the plots on screen, and the set that they are, in whichever order; one plot stays,
        and six are the most."""
        for metrics, action in self._sets.items():
            action.setChecked(set(metrics) == set(names))
        for name, action in self._choices.items():
            action.setChecked(name in names)
            shown = name in names
            enabled = len(names) > 1 if shown else len(names) < MOST_PLOTS
            set_tip(action, f"{name}: {find_metric(name).help}")
            enable_action(action, enabled, "The last plot stays; tick another first." if shown else
                          f"{MOST_PLOTS} plots are the most; untick one first.")

    def show_parts(self, there: bool, wanted: bool) -> None:
        """Offer the plot of the reward's parts where a run has some."""
        about = find_metric(PARTS)
        self._parts.setChecked(there and wanted)
        set_tip(self._parts, about.help)
        enable_action(self._parts, there, "The run on display has only one reward.")

    def show_settings(self, smoothing: float, log: bool, x_axis: XAxis) -> None:
        """Show settings that were restored."""
        self.slider.setValue(round(smoothing * 100))
        self.log.setChecked(log)
        self.x_axis[x_axis].setChecked(True)

    def show_log(self, log: bool) -> None:
        """Show whether every plot is logarithmic, without making it so."""
        with QSignalBlocker(self.log):
            self.log.setChecked(log)

    def show_following(self, following: bool) -> None:
        """Offer Follow only while the plots do not follow."""
        describe(self.follow, _FOLLOW)
        enable(self.follow, not following, _FOLLOWS)

    def show_range(self, exists: bool) -> None:
        """Offer to zoom only to what is selected."""
        describe(self.zoom, _ZOOM)
        enable(self.zoom, exists, f"{NO_RANGE} {_SELECT}")

    def show_run(self, exists: bool) -> None:
        """Offer to export only what exists."""
        for action, tip in self._figures.items():
            set_tip(action, tip)
            enable_action(action, exists, NO_CURVE)

    def _plots(self) -> QWidget:
        self.plots = _menu_button("plots", "Plots", "Choose which metrics to plot, "
                                  "one to six; copy or export the figure")
        menu = self._menu = _StayingMenu(self.plots)
        menu.setToolTipsVisible(True)
        self._below_sets = menu.addSeparator()
        self._parts = menu.addAction(find_metric(PARTS).label)
        self._parts.setCheckable(True)
        self._parts.triggered.connect(self.parts_wanted)
        self.show_algorithm(default_algorithm())
        menu.addSeparator()
        self._figures = {
            self._figure(menu, "copy_figures", "Copy figure", self.copy_clicked):
                "Put a picture of the plots on the clipboard, with title, axes and legend",
            self._figure(menu, "export_figures", "Export figure…", self.export_clicked):
                "Save the plots as PNG, SVG, PDF or CSV",
        }
        self.show_run(False)
        self.plots.setMenu(menu)
        return self.plots

    def _choose(self) -> None:
        self.plots_chosen.emit([n for n, action in self._choices.items() if action.isChecked()])

    def _smoothing(self) -> QWidget:
        box = QWidget()
        row = hbox(box, spacing=_GAP)
        tip = ("Smooth the curves: how much of the past a point keeps (debiased exponential "
               "moving average). The raw curve stays faint behind.")
        self.slider = named(QSlider(Qt.Orientation.Horizontal), "smoothing", "Smoothing", tip)
        self.slider.setRange(0, 99)
        self.slider.setFixedWidth(52)
        title, value = label("Smooth"), label("off", "muted")
        self._smooth = title
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
        self.log = _button("log_scale", "Log", "Logarithmic y axis in every plot; each plot's menu "
                           "has it for that plot. Values below zero keep their sign, and below a "
                           "thousandth of the largest the scale is linear")
        self.log.setAccessibleName("Logarithmic y axis")
        self.log.setCheckable(True)
        self.log.toggled.connect(self.log_toggled)
        return self.log

    def _x_axis(self) -> QWidget:
        box = QWidget()
        row = hbox(box, spacing=0)
        self.x_axis: dict[XAxis, QToolButton] = {
            "cycles": _button("x_cycle", "Cycles", "Plot against cycles"),
            "steps": _button("x_steps", "Steps", "Plot against optimiser steps, the gradients "
                             "applied"),
            "time": _button("x_time", "Time", "Plot against time spent in cycles"),
        }
        group = QButtonGroup(box)
        for x_axis, button in self.x_axis.items():
            button.setCheckable(True)
            button.setProperty("role", "compact")
            button.toggled.connect(
                lambda on, x_axis=x_axis: self.x_axis_chosen.emit(x_axis) if on else None)
            group.addButton(button)
            row.addWidget(button)
        self.x_axis["cycles"].setChecked(True)
        return box

    def _view(self) -> QWidget:
        """Zoom and Show all, which go to another line together."""
        box = QWidget()
        hbox(box, self._zoom(), self._follow(), spacing=6)
        return box

    def _zoom(self) -> QWidget:
        self.zoom = _button("zoom", "Zoom", _ZOOM)
        self.show_range(False)
        self.zoom.clicked.connect(self.zoom_clicked)
        return self.zoom

    def _follow(self) -> QWidget:
        self.follow = _button("follow", "Show all", _FOLLOW)
        self.show_following(True)
        self.follow.clicked.connect(self.follow_clicked)
        return self.follow

    def _figure(self, menu: QMenu, name: str, text: str, signal: SignalInstance) -> QAction:
        action = menu.addAction(text)
        action.setProperty("whole_text", f"Plots: {text}")
        action.setObjectName(name)
        action.triggered.connect(lambda: signal.emit())
        return action


def _button(name: str, text: str, tip: str) -> QToolButton:
    return tool_button(text, name, text, tip)


def _menu_button(name: str, text: str, tip: str) -> QToolButton:
    button = _button(name, text, tip)
    button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    return button
