"""The tool bar: what is done with a run, where it stands, and which one is on display."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFontMetricsF
from PySide6.QtWidgets import QSizePolicy, QToolBar, QToolButton, QWidget
from superqt import QElidingLabel

from workbench.gui.actions import Actions, tip_of
from workbench.gui.dock_layout import TWO_COLUMNS
from workbench.gui.health.panel import HealthChip
from workbench.gui.trains_line import TrainsLine
from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import set_look
from workbench.health import Finding
from workbench.training.events import State

# Characters that are seen where the tool bar is full, of these and of longer ones.
_LEAST_NOTE = len("Pausing after cycle 1234") + 2
_LEAST_NAME = len("Showing Run 1234") + 4  # and margins
_MOST_NAME = 32
_BUTTON_NAMES = 900  # pixels from which on the tool bar has room for those of all its buttons


class RunBar(QToolBar):
    """Says as much as there is room for: :meth:`fit` is told how wide the window is."""

    def __init__(self, actions: Actions) -> None:
        super().__init__("Run")
        self._actions = actions
        self._wide = True
        named(self, "run_toolbar", "Run", "")
        self.setMovable(False)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        size = round(self.fontMetrics().height() * 1.1)
        self.setIconSize(QSize(size, size))
        self.buttons: dict[str, QToolButton] = {}
        for action in actions.in_toolbar():
            self.addAction(action)
            button = self.widgetForAction(action)
            assert isinstance(button, QToolButton)
            button.setObjectName(f"{action.objectName()}_button")
            button.setAccessibleName(action.text())
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            self.buttons[action.objectName()] = button
        # Room for the longer of its names and for bold letters, so that nothing moves under the
        # pointer.
        start, pause = self.buttons["start"], self.buttons["pause"]
        for button in (start, pause):
            set_look(button, role="primary")
        self._least_start = start.sizeHint().width()
        actions["pause"].setText("Resume")
        pause.setMinimumWidth(pause.sizeHint().width())
        actions["pause"].setText("Pause")
        self.chip = named(label(), "state_chip", "State", "Where the run stands")
        self.note = named(_Shown(textFormat=Qt.TextFormat.PlainText), "state_note", "Note",
                          "Why, or what it waits for")
        widest = max(self.fontMetrics().horizontalAdvance(state.value) for state in State)
        self._least_chip = round(1.2 * widest) + 24
        self.chip.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.chip.setAlignment(Qt.AlignmentFlag.AlignCenter)
        # A long note gives way, so that no button is pushed off the self.
        self.note.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.note.setMinimumWidth(1)
        self.note.setProperty("role", "muted")
        for widget in (self.chip, self.note):
            gap = QWidget()  # not a margin, which an eliding label would write over
            gap.setFixedWidth(8 if widget is self.chip else 4)
            self.addWidget(gap)
            self.addWidget(widget)
        self.trains = TrainsLine()
        self.addWidget(self.trains)
        self.health = HealthChip()
        self._health_action = self.addWidget(self.health)
        self.shown = named(_Shown(textFormat=Qt.TextFormat.PlainText), "shown_run",
                           "Run on display", "The run whose curves and completions are shown")
        self.shown.setContentsMargins(8, 0, 8, 0)
        self.shown.setEllipsesWidth(18)  # which are not counted else
        self.shown.setProperty("role", "muted")
        self.shown.setMinimumWidth(1)
        self._shown_action = self.addWidget(self.shown)
        for name in ("notifications", "palette"):
            action = actions[name]
            self.addAction(action)
            button = self.widgetForAction(action)
            assert isinstance(button, QToolButton)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
            button.setProperty("role", "flat")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            named(button, f"{name}_button", action.text().rstrip("…"), tip_of(action))
            button.setToolTip(action.toolTip())
        self.show_findings([])

    def show_chip(self, text: str, look: str) -> None:
        """Say where the run stands, and which button is the next to press."""
        self.chip.setText(text)
        set_look(self.chip, chip=look)
        self.chip.setMinimumWidth(0)  # else the hint is no less than a longer text's
        self.chip.setMinimumWidth(max(self._least_chip, self.chip.sizeHint().width()))
        for name, button in self.buttons.items():
            set_look(button, role="primary" if name == self._actions.primary else "")
            button.setAccessibleName(self._actions[name].text())
        start = self.buttons["start"]
        start.setMinimumWidth(max(self._least_start, start.sizeHint().width()))

    def show_note(self, note: str) -> None:
        """Say why the run stands there."""
        self.chip.setAccessibleDescription(note)
        self.note.setText(note)
        self.note.setToolTip(plain_tip(note or "Why, or what it waits for"))
        self._keep_note()

    def show_name(self, name: str) -> None:
        """Say which run is on display."""
        self.shown.setText(f"Showing {name}" if name else "")
        least = self.fontMetrics().averageCharWidth() * _LEAST_NAME
        self.shown.setMinimumWidth(max(1, min(self.shown.sizeHint().width(), least)))
        # A long name leaves room for what Start trains; the window's title has all of it.
        self.shown.setMaximumWidth(self.fontMetrics().averageCharWidth() * _MOST_NAME)
        self.shown.updateGeometry()

    def show_findings(self, found: Sequence[Finding]) -> None:
        """Show what is wrong with the run on display, if anything."""
        self._health_action.setVisible(bool(found))
        if found:
            self.health.show_findings(found)

    def fit(self, width: int) -> None:
        """Where the window has little room, leave the run's name to its title, and the names of the
        buttons that are never the main one to their tooltips."""
        self._wide = width >= TWO_COLUMNS
        self._shown_action.setVisible(self._wide)
        for name, button in self.buttons.items():
            if name not in ("start", "pause"):
                button.setToolButtonStyle(
                    Qt.ToolButtonStyle.ToolButtonTextBesideIcon if width >= _BUTTON_NAMES
                    else Qt.ToolButtonStyle.ToolButtonIconOnly)
        self._keep_note()

    def _keep_note(self) -> None:
        """Let the line beside it give way first, and the note only where the window is narrow."""
        least = self.fontMetrics().averageCharWidth() * _LEAST_NOTE
        self.note.setMinimumWidth(
            max(1, min(self.note.sizeHint().width(), least)) if self._wide else 1)


class _Shown(QElidingLabel):
    """A label that wants room for all of its text, also where it has none at the moment."""

    def sizeHint(self) -> QSize:
        """Return the size of the whole text. Its width is no whole number, and what lacks a part
        of a pixel is shortened."""
        around = self.contentsMargins()
        text = math.ceil(QFontMetricsF(self.font()).horizontalAdvance(self.text()))
        return QSize(text + 3 + around.left() + around.right(), super().sizeHint().height())
