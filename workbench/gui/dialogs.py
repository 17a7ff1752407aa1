"""The window's questions and sheets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QGridLayout, QMessageBox, QScrollArea, QSpinBox, QWidget

from workbench import __version__
from workbench.gui.actions import tip_of
from workbench.gui.command_palette import plain, shortcut_text
from workbench.gui.controls import label
from workbench.gui.dialog import Dialog, ask, ask_for
from workbench.gui.errors import ErrorDialog
from workbench.gui.theme import number_font
from workbench.ppo.hyperparameters import specs

_MORE_CYCLES = 20


def ask_about_closing(parent: QWidget, *, stop: Callable[[], None],
                      keep: Callable[[], None], tray: bool, held: str = "") -> QMessageBox:
    """Ask what to do with a run that is alive when the window is closed.

    ``tray``: it can go on in the system's tray. ``held``: why it is waiting for room on the disk.
    """
    how, where = (
        ("&Keep running in the tray", "hidden; the icon in the tray says how it gets on and opens "
         "it again") if tray else
        ("&Minimise and keep running", "minimised; it opens again from the task bar"))
    return ask(
        parent, "close_question", "Close PPO Workbench",
        "A run is still alive. Stop it and close?",
        f"{held} What is not written when the window closes has to be made again." if held else
        "Complete cycles are kept and the run can be resumed; the cycle in hand is dropped. A run "
        "that goes on needs its window: it is only put away.",
        (("&Stop and close", "stop_and_close", "End the run, save everything and close", stop),
         (how, "keep_running", f"Let the run go on with the window {where}", keep)))


def ask_for_cycles(parent: QWidget, name: str, done: int,
                   then: Callable[[int], None]) -> Dialog:
    """Ask how many cycles a run that has done all of its own shall have."""
    most = round(specs()["num_cycles"].maximum or 0) or 2**31 - 1
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


def show_shortcuts(parent: QWidget, actions: Iterable[QAction]) -> None:
    """Show every shortcut and what it does."""
    dialog = Dialog(parent, "shortcut_sheet", "Keyboard shortcuts")
    sheet = QWidget()
    grid = QGridLayout(sheet)
    grid.setHorizontalSpacing(24)
    grid.setVerticalSpacing(8)
    rows = [(shortcut_text(a), plain(a), tip_of(a)) for a in actions if shortcut_text(a)]
    rows += [("Tab, Shift+Tab", "Next or previous control", ""),
             ("Ctrl+Z, Ctrl+Shift+Z", "Undo or redo", "In Prompts and in Hyperparameters"),
             ("Left, Right, Escape", "Move the crosshair, or end it", "In Metrics"),
             ("Shift+Left, Shift+Right", "Select cycles",
              "In Metrics; Shift+drag over a plot does the same. Every plot then shows mean, "
              "min, max and change"),
             ("F2, Enter, Delete", "Rename, show or delete a run", "In the list of runs")]
    for row, (keys, name, tip) in enumerate(rows):
        key_label = label(keys)
        key_label.setFont(number_font())
        grid.addWidget(key_label, row, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(label(name, "heading", wrap=True), row, 1, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(label(tip, "muted", wrap=True), row, 2, Qt.AlignmentFlag.AlignTop)
    grid.setColumnStretch(1, 2)
    grid.setColumnStretch(2, 3)
    grid.setRowStretch(len(rows), 1)
    scroll = QScrollArea(widgetResizable=True)
    scroll.setWidget(sheet)
    dialog.body.addWidget(scroll)
    dialog.finish("Close", "Close the sheet", 720, 560)
    dialog.open()
