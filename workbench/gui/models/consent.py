"""The question before a Python file is run for the first time."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.dialog import Dialog
from workbench.gui.widgets.theme import number_font
from workbench.training.events import UntrustedFile


def ask_to_run(parent: QWidget, file: UntrustedFile, then: Callable[[], object],
               declined: Callable[[], object]) -> Dialog:
    """Show a Python file and call ``then`` if the person lets it run, else ``declined``."""
    dialog = Dialog(parent, "run_file_question", "Run this Python file?")
    layout = dialog.body
    layout.setSpacing(8)
    changed = "This file has changed since the run began. " if file.changed else ""
    path = label(file.path, "heading", wrap=True)
    path.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    layout.addWidget(path)
    layout.addWidget(label(
        f"{changed}A reward file is a program: once run, it can do whatever you can do on this "
        "computer. Read it and run it only if you trust it. You are not asked again until it "
        "changes.", wrap=True))
    text = named(QPlainTextEdit(file.text), "file_text", "The file",
                 "The file as it will run")
    text.setReadOnly(True)
    text.setFont(number_font())
    text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
    text.setTabChangesFocus(True)
    layout.addWidget(text, 1)
    digest = label(f"sha256 {file.sha256}", "muted", wrap=True)
    digest.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    layout.addWidget(digest)
    dialog.add_accept("&Run this file", "run_file",
                      "Run it now and whenever it is the reward, until it changes",
                      primary=False)  # Enter must not run what nobody has read
    cancel = dialog.finish("Cancel", "Do not run it; nothing is loaded", 760, 560)
    dialog.accepted.connect(lambda: then())
    dialog.rejected.connect(lambda: declined())
    dialog.open()
    cancel.setFocus()
    return dialog
