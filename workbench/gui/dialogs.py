"""The window's questions and sheets. All are opened, never executed: the window goes on living."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QInputDialog,
    QMessageBox,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from workbench import __version__
from workbench.gui.command_palette import plain, shortcut_text
from workbench.gui.controls import label
from workbench.gui.theme import number_font
from workbench.ppo.hyperparameters import specs

_MORE_CYCLES = 20


def ask_about_closing(parent: QWidget, *, stop: Callable[[], None],
                      keep: Callable[[], None], tray: bool, held: str = "") -> QMessageBox:
    """Ask what to do with a run that is alive when the window is closed.

    ``tray``: it can go on in the system's tray. ``held``: why it is waiting for room on the disk.
    """
    box = QMessageBox(
        QMessageBox.Icon.Question, "Close PPO Workbench",
        "A run is still alive. Stop it and close?", QMessageBox.StandardButton.Cancel, parent)
    box.setInformativeText(
        f"{held} What is not written when the window closes has to be made again." if held else
        "Complete cycles are kept and the run can be resumed; the cycle in hand is dropped. A run "
        "that goes on needs its window: it is only put away.")
    box.setObjectName("close_question")
    stop_button = box.addButton("&Stop and close", QMessageBox.ButtonRole.AcceptRole)
    keep_button = box.addButton(
        "&Keep running in the tray" if tray else "&Minimise and keep running",
        QMessageBox.ButtonRole.ActionRole)
    stop_button.setObjectName("stop_and_close")
    stop_button.setToolTip("End the run, save everything and close")
    keep_button.setObjectName("keep_running")
    keep_button.setToolTip(
        "Let the run go on with the window hidden; the icon in the tray says how it gets on and "
        "opens it again" if tray else
        "Let the run go on with the window minimised; it opens again from the task bar")
    for button in box.buttons():
        button.setAccessibleName(button.text().replace("&", ""))
    stop_button.clicked.connect(lambda: stop())
    keep_button.clicked.connect(lambda: keep())
    box.setDefaultButton(QMessageBox.StandardButton.Cancel)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    QDialog.open(box)
    return box


def ask_for_cycles(parent: QWidget, name: str, done: int,
                   then: Callable[[int], None]) -> QInputDialog:
    """Ask how many cycles a run that has done all of its own shall have."""
    most = round(specs()["num_cycles"].maximum or 0) or 2**31 - 1
    dialog = QInputDialog(parent)
    dialog.setObjectName("more_cycles")
    dialog.setWindowTitle("Resume run")
    dialog.setInputMode(QInputDialog.InputMode.IntInput)
    cycles = "its cycle" if done == 1 else f"all its {done} cycles"
    dialog.setLabelText(f"{name} has done {cycles}. How many cycles in all?")
    dialog.setIntRange(min(done + 1, most), most)
    dialog.setIntValue(done + _MORE_CYCLES)
    dialog.setOkButtonText("Resume")
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.intValueSelected.connect(then)
    dialog.open()
    return dialog


def offer_resume(parent: QWidget, sentence: str, details: str, cycle: int, change: str,
                 then: Callable[[], None]) -> QMessageBox:
    """Say why a run failed and offer to go on from its last good checkpoint with a ``change``."""
    box = QMessageBox(QMessageBox.Icon.Warning, "PPO Workbench", sentence,
                      QMessageBox.StandardButton.Close, parent)
    box.setObjectName("failed_run")
    where = f"the last good checkpoint (cycle {cycle})" if cycle else "its start"
    box.setInformativeText(f"The run can go on from {where}, with {change}." if change else
                           f"The run can go on from {where}.")
    box.setDetailedText(details)
    resume = box.addButton(f"Resume from cycle {cycle}" if cycle else "Begin it again",
                           QMessageBox.ButtonRole.AcceptRole)
    resume.setObjectName("resume_good")
    resume.setToolTip(f"Go on from {where}; what was recorded of later cycles is dropped")
    for button in box.buttons():
        button.setAccessibleName(button.text().replace("&", ""))
    resume.clicked.connect(lambda: then())
    box.setDefaultButton(resume)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    QDialog.open(box)
    return box


def show_about(parent: QWidget, home: Path) -> None:
    """Say what this is and where everything is kept."""
    box = QMessageBox(
        QMessageBox.Icon.NoIcon, "About PPO Workbench", f"PPO Workbench {__version__}",
        QMessageBox.StandardButton.Close, parent)
    box.setObjectName("about")
    box.setInformativeText(
        "Reinforcement learning from feedback on language models, on one machine: watch it, "
        f"compare completions, steer it.\n\nYour runs are kept in {home}.\nApache License 2.0.")
    box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    QDialog.open(box)


def show_shortcuts(parent: QWidget, actions: Iterable[QAction]) -> None:
    """Show every shortcut and what it does."""
    dialog = QDialog(parent)
    dialog.setObjectName("shortcut_sheet")
    dialog.setWindowTitle("Keyboard shortcuts")
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    sheet = QWidget()
    grid = QGridLayout(sheet)
    grid.setHorizontalSpacing(24)
    grid.setVerticalSpacing(8)
    rows = [(shortcut_text(a), plain(a), a.statusTip()) for a in actions if shortcut_text(a)]
    rows += [("Tab, Shift+Tab", "Next or previous control", ""),
             ("Ctrl+Z, Ctrl+Shift+Z", "Undo or redo", "In Prompts and in Hyperparameters"),
             ("F2, Enter, Delete", "Rename, show or delete a run", "In the list of runs")]
    for row, (keys, name, tip) in enumerate(rows):
        key_label = label(keys)
        key_label.setFont(number_font())
        grid.addWidget(key_label, row, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(label(name, "heading"), row, 1, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(label(tip, "muted", wrap=True), row, 2, Qt.AlignmentFlag.AlignTop)
    grid.setColumnStretch(2, 1)
    grid.setRowStretch(len(rows), 1)
    scroll = QScrollArea(widgetResizable=True)
    scroll.setWidget(sheet)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.reject)
    layout = QVBoxLayout(dialog)
    layout.setContentsMargins(16, 16, 16, 16)
    layout.addWidget(scroll)
    layout.addWidget(buttons)
    dialog.resize(min(720, parent.width() - 32), min(560, parent.height() - 32))
    dialog.open()
