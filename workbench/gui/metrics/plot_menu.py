"""What can be done with one plot: its two buttons and its menu."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QToolButton, QWidget

from workbench.algorithm import Metric
from workbench.gui.actions import enable_action, set_tip
from workbench.gui.what_is import TIP, WHAT_IS
from workbench.gui.widgets.controls import tool_button
from workbench.gui.widgets.icons import icon
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import themes

Wish = Literal["enlarge", "log", "raw", "all", "copy", "export", "what"]
"""What a person may want of a plot."""
_ENTRIES: tuple[tuple[Wish, str, str], ...] = (
    ("enlarge", "Enlarge", "Show this plot alone, in the room of all"),
    ("log", "Logarithmic y axis", "Values below zero keep their sign; below a thousandth of the "
     "largest number the scale is linear"),
    ("raw", "Only as measured", "Leave the smoothed curve out of this plot"),
    ("all", "Show all cycles", "Show the whole run again in every plot (double click)"),
    ("copy", "Copy figure", "Put a picture with title, axes and legend on the clipboard"),
    ("export", "Export figure…", "Save this plot as PNG, SVG, PDF or CSV"),
    ("what", WHAT_IS, TIP),
)
_TICKED = ("log", "raw")
_SHRINK = ("All plots", "Show the other plots again (Escape)")


class PlotMenu(QMenu):
    """The menu of a plot, with the ``buttons`` that open it and enlarge the plot."""

    def __init__(self, about: Metric, wish: Callable[[Wish, bool], object],
                 parent: QWidget) -> None:
        super().__init__(parent)
        self.setToolTipsVisible(True)
        self._entries: dict[Wish, QAction] = {}
        self._enlarged = False
        for name, text, tip in _ENTRIES:
            if name in ("log", "copy", "what"):
                self.addSeparator()
            action = self.addAction(text)
            action.setToolTip(plain_tip(tip))
            action.setCheckable(name in _TICKED)
            action.triggered.connect(lambda on, name=name: wish(name, on))
            self._entries[name] = action
        id_ = about.name.strip("/").replace("/", "_")
        self._enlarge = tool_button("", f"enlarge_{id_}", "", "", "mini")
        self._enlarge.clicked.connect(lambda: wish("enlarge", False))
        self._more = tool_button("", f"menu_{id_}", f"Menu of {about.label}",
                                 "Enlarge, scale, copy, export, what it is", "mini")
        self._more.setMenu(self)
        self._more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.buttons = (self._enlarge, self._more)
        for button in self.buttons:
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setIconSize(QSize(12, 12))
            button.setFixedSize(18, 18)
        self._title = about.label
        self.show_state(enlarged=False, log=False, raw=False, smoothing=False)

    def show_state(self, *, enlarged: bool, log: bool, raw: bool, smoothing: bool) -> None:
        """Tick what is so, and offer what can be done."""
        self._enlarged = enlarged
        text, tip = _SHRINK if enlarged else _ENTRIES[0][1:]
        self._entries["enlarge"].setText(text)
        self._entries["enlarge"].setToolTip(plain_tip(tip))
        self._enlarge.setAccessibleName(
            "Show all plots" if enlarged else f"Enlarge {self._title}")
        self._enlarge.setToolTip(plain_tip(tip))
        self._entries["log"].setChecked(log)
        self._entries["raw"].setChecked(raw or not smoothing)
        set_tip(self._entries["raw"], _ENTRIES[2][2])
        enable_action(self._entries["raw"], smoothing,
                      "Smooth is off: every curve is as measured.")
        self.draw_icons()

    def draw_icons(self) -> None:
        """Draw the icons in the theme's colours."""
        muted = themes().theme.muted
        self._enlarge.setIcon(icon("shrink" if self._enlarged else "enlarge", muted))
        self._more.setIcon(icon("more", muted))
