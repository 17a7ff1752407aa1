"""Making controls that all have an object name, an accessible name and a tooltip."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableView,
    QToolButton,
    QWidget,
)

from workbench.gui.widgets.plain_text import plain_tip

W = TypeVar("W", bound=QWidget)
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
"""How numbers stand."""


def named(widget: W, name: str, title: str, tip: str) -> W:
    """Give ``widget`` its object name, accessible name and tooltip, and return it."""
    widget.setObjectName(name)
    widget.setAccessibleName(title)
    describe(widget, tip)
    return widget


def describe(widget: QWidget, tip: str) -> None:
    """Give ``widget`` another tooltip; below it stays why it is disabled, while it is."""
    if widget.property("tip") == tip:
        return
    widget.setProperty("tip", tip)
    _say(widget)


def _say(widget: QWidget) -> None:
    tip = str(widget.property("tip") or "")
    why = str(widget.property("why") or "")
    widget.setToolTip(plain_tip(f"{tip}\n{why}" if why else tip))


def explain(widget: QWidget, why: str) -> None:
    """Let the tooltip of ``widget`` say why something around it is disabled; "" takes it away."""
    if widget.property("why") != why:
        widget.setProperty("why", why)
        _say(widget)


def enable(widget: QWidget, on: bool, why: str) -> None:
    """Enable ``widget``, or disable it and let its tooltip say ``why``, in a sentence that names
    what it takes ("Select a run first.")."""
    said = "" if on else why
    off = widget.testAttribute(Qt.WidgetAttribute.WA_ForceDisabled)  # itself, not what it is in
    if off != on and widget.property("why") == said:
        return
    widget.setEnabled(on)
    explain(widget, said)


def push_button(text: str, name: str, tip: str, call: Callable[[], object]) -> QPushButton:
    """Return a button that calls ``call``."""
    button = named(QPushButton(text), name, text, tip)
    button.clicked.connect(lambda _checked=False: call())
    return button


def tool_button(text: str, name: str, title: str, tip: str, role: str = "",
                checkable: bool = False) -> QToolButton:
    """Return a small button."""
    button = named(QToolButton(), name, title, tip)
    button.setText(text)
    button.setCheckable(checkable)
    if role:
        button.setProperty("role", role)
    return button


def label(text: str = "", role: str = "", wrap: bool = False, rich: bool = False, name: str = "",
          title: str = "") -> QLabel:
    """Return a label with a part to play ("heading", "muted", "error", ...), and with a name and a
    title for a screen reader where it has any. It shows its text as it stands. A ``rich`` one takes
    HTML, in which what comes from outside is escaped."""
    made = QLabel(text, wordWrap=wrap,
                  textFormat=Qt.TextFormat.RichText if rich else Qt.TextFormat.PlainText)
    made.setObjectName(name)
    made.setAccessibleName(title)
    if role:
        made.setProperty("role", role)
    return made


def goes_away(widget: QWidget | None) -> bool:
    """Return whether a widget is disabled or hidden, so that it cannot keep the keyboard."""
    return widget is not None and not (widget.isEnabled() and widget.isVisible())


def as_list(table: QTableView) -> None:
    """Let a table be a plain list of rows, of which one is selected."""
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setShowGrid(False)
    table.setAlternatingRowColors(True)
    table.setTabKeyNavigation(False)
    table.setWordWrap(False)
    table.verticalHeader().hide()
    header = table.horizontalHeader()
    header.setHighlightSections(False)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
