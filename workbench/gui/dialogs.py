"""The window's questions and sheets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QDockWidget,
    QGridLayout,
    QLineEdit,
    QMessageBox,
    QScrollArea,
    QSpinBox,
    QWidget,
)

from workbench import __version__
from workbench.gui.actions import SPECS, tip_of
from workbench.gui.command_palette import plain, shortcut_text
from workbench.gui.errors import ErrorDialog
from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.dialog import Dialog, ask, ask_for
from workbench.gui.widgets.theme import number_font
from workbench.settings import Settings

_MORE_CYCLES = 20


def ask_about_closing(parent: QWidget, *, stop: Callable[[], None],
                      keep: Callable[[], None], tray: bool, held: str = "",
                      kept: str = "") -> QMessageBox:
    """Ask what to do with a run that is alive when the window is closed.

    ``tray``: it can go on in the system's tray. ``held``: why it is waiting for room on the disk.
    ``kept``: a sentence on a run that is paused with all of it written, so that nothing is lost.
    """
    if kept and not held:
        return ask(
            parent, "close_question", "Close PPO Workbench", f"{kept} Close?",
            "Resume goes on from there.",
            (("&Close", "stop_and_close", "Close the window; Resume goes on with the run", stop),))
    how, where = (
        ("&Keep running in the tray", "hidden; the icon in the tray says how it gets on and opens "
         "it again") if tray else
        ("&Minimise and keep running", "minimised; it opens again from the task bar"))
    return ask(
        parent, "close_question", "Close PPO Workbench",
        "A run is still alive. Stop it and close?",
        f"{held} What is not written when the window closes has to be made again." if held else
        "The run can be resumed after its last checkpoint; the cycle in hand is dropped, and with "
        "it what is not in a checkpoint. A run that goes on needs its window: it is only put "
        "away.",
        (("&Stop and close", "stop_and_close", "End the run, save everything and close", stop),
         (how, "keep_running", f"Let the run go on with the window {where}", keep)))


def ask_about_leaving(parent: QWidget, *, starting: bool, leave: Callable[[], None],
                      stop: Callable[[], None]) -> QMessageBox:
    """Ask what to do with a run in processes of its own, which goes on without the window, when the
    window is closed. ``starting``: they are being started, and there is no run yet."""
    return ask(
        parent, "leave_question", "Close PPO Workbench",
        "The processes of a run are still being started. Close?" if starting else
        "A run goes on in processes of its own. Close?",
        f"{'They' if starting else 'These'} need no window: "
        f"{'the run begins, and' if starting else 'it goes on, and'} PPO Workbench watches and "
        "steers it when it is opened again.",
        (("&Close", "leave_and_close", "Close the window; the run goes on without it", leave),
         ("&Give it up and close" if starting else "&Stop and close", "stop_and_close",
          "Begin no run, and close" if starting else
          "End the run with a checkpoint, and close", stop)))


def ask_for_cycles(parent: QWidget, name: str, done: int,
                   then: Callable[[int], None]) -> Dialog:
    """Ask how many cycles a run that has done all of its own shall have."""
    most = round(Settings.specs()["num_cycles"].maximum or 0) or 2**31 - 1
    field = QSpinBox()
    field.setRange(min(done + 1, most), most)
    field.setValue(done + _MORE_CYCLES)
    field.selectAll()
    cycles = "its cycle" if done == 1 else f"all its {done} cycles"
    return ask_for(
        parent, "more_cycles", "Resume run",
        f"{name} has done {cycles}. How many cycles in all?", field, "Resume",
        "Go on with the run for so many cycles in all", lambda: then(field.value()))


def offer_resume(parent: QWidget, sentence: str, details: str, cycle: int, change: str,
                 then: Callable[[], None]) -> ErrorDialog:
    """Say why a run failed and offer to go on from its last good checkpoint with a ``change``."""
    where = f"the last good checkpoint (cycle {cycle})" if cycle else "its start"
    more = f"The run can go on from {where}, with {change}." if change else (
        f"The run can go on from {where}.")
    dialog = ErrorDialog(f"{sentence}\n\n{more}", details, parent)
    dialog.setObjectName("failed_run")
    dialog.offer(f"Resume from cycle {cycle}" if cycle else "Begin it again",
                 f"Go on from {where}; what was recorded of later cycles is dropped", then,
                 "resume_good")
    dialog.open()
    return dialog


def show_about(parent: QWidget, home: Path) -> None:
    """Say what this is and where everything is kept."""
    ask(parent, "about", "About PPO Workbench", f"PPO Workbench {__version__}",
        "Reinforcement learning from feedback on language models, on one machine: watch it, "
        f"compare completions, steer it.\n\nYour runs are kept in {home}.\nApache License 2.0.",
        icon=QMessageBox.Icon.NoIcon, leave="Close")


def _general(action: QAction) -> str:
    """Return what an action is called whichever run is selected."""
    text = str(action.property("general_text") or "")
    return text.rstrip("…") if text else plain(action)


def show_shortcuts(parent: QWidget, actions: Iterable[QAction]) -> None:
    """Show every shortcut and what it does, group by group, and find some by typing."""
    dialog = Dialog(parent, "shortcut_sheet", "Keyboard shortcuts")
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for action in actions:
        if shortcut_text(action):
            groups.setdefault(_group(action), []).append(
                (shortcut_text(action), _general(action), tip_of(action)))
    for title, rows in _FIXED.items():
        groups.setdefault(title, []).extend(rows)
    sheet = QWidget()
    grid = QGridLayout(sheet)
    grid.setHorizontalSpacing(24)
    grid.setVerticalSpacing(8)
    lines: list[tuple[str, str, list[QWidget]]] = []
    heads: dict[str, QWidget] = {}
    for title, rows in groups.items():
        heads[title] = label(title, "heading")
        grid.addWidget(heads[title], grid.rowCount(), 0, 1, 3)
        for keys, name, tip in rows:
            row = grid.rowCount()
            widgets: list[QWidget] = [label(keys), label(name, wrap=True),
                                      label(tip, "muted", wrap=True)]
            widgets[0].setFont(number_font())
            for place, widget in enumerate(widgets):
                grid.addWidget(widget, row, place, Qt.AlignmentFlag.AlignTop)
            lines.append((title, f"{title} {keys} {name} {tip}".lower(), widgets))
    grid.setColumnStretch(1, 2)
    grid.setColumnStretch(2, 3)
    grid.setRowStretch(grid.rowCount(), 1)

    def narrow(text: str) -> None:
        words, left = text.lower().split(), set()
        for title, said, widgets in lines:
            found = all(word in said for word in words)
            if found:
                left.add(title)
            for widget in widgets:
                widget.setVisible(found)
        for title, head in heads.items():
            head.setVisible(title in left)

    find = named(QLineEdit(placeholderText="Find a shortcut", clearButtonEnabled=True),
                 "shortcut_find", "Find a shortcut", "Type a key or a part of what it does")
    find.textChanged.connect(narrow)
    scroll = QScrollArea(widgetResizable=True)
    scroll.setWidget(sheet)
    dialog.body.addWidget(find)
    dialog.body.addWidget(scroll)
    dialog.finish("Close", "Close the sheet", 720, 560)
    dialog.open()
    find.setFocus()


_FIXED = {
    "Everywhere": [("Tab, Shift+Tab", "Next or previous control", ""),
                   ("Ctrl+Z, Ctrl+Shift+Z", "Undo or redo", "In Prompts and in Hyperparameters")],
    "Metrics": [("Left, Right, Escape", "Move the crosshair, or end it", ""),
                ("Shift+Left, Shift+Right", "Select cycles",
                 "Shift+drag over a plot does the same. Every plot then shows mean, min, max and "
                 "change")],
    "Completions": [("Enter, Escape", "Show a prompt in full, or all again", ""),
                    ("Alt+Up, Alt+Down", "Previous or next prompt", "Where one is shown in full, "
                     "and in its story"),
                    ("Space", "Play or stop a story", "Left and right go cycle by cycle")],
    "Runs": [("F2, Enter, Delete", "Rename, show or delete a run", "In the list of runs")],
}


def _group(action: QAction) -> str:
    """Return the menu that an action stands in; of one of a dock, the dock."""
    menu = next((spec.menu for spec in SPECS if spec.id == action.objectName()), None)
    if menu:
        return "View" if menu == "Theme" else menu
    widget = action.parent()
    while widget is not None and not isinstance(widget, QDockWidget):
        widget = widget.parent()
    return widget.windowTitle() if isinstance(widget, QDockWidget) else (
        "View" if action.objectName().startswith("go_to_") else "Edit")
