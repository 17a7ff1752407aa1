"""The question before a Python file is run, or a server asked, for the first time."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPlainTextEdit, QPushButton, QWidget

from workbench.feedback.reward_server import AT_ONCE, KEY
from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.dialog import Dialog
from workbench.gui.widgets.theme import number_font
from workbench.training.events import Untrusted, UntrustedFile, UntrustedServer


def ask_to_trust(parent: QWidget, untrusted: Untrusted, then: Callable[[], object],
                 declined: Callable[[], object]) -> Dialog:
    """Show what a reward does, and call ``then`` if the person agrees to it, else ``declined``."""
    if isinstance(untrusted, UntrustedServer):
        dialog, cancel = _about_server(parent, untrusted)
    else:
        dialog, cancel = _about_file(parent, untrusted)
    dialog.accepted.connect(lambda: then())
    dialog.rejected.connect(lambda: declined())
    dialog.open()
    cancel.setFocus()
    return dialog


def _about_server(parent: QWidget, server: UntrustedServer) -> tuple[Dialog, QPushButton]:
    dialog = Dialog(parent, "ask_server_question", "Send completions to this server?")
    layout = dialog.body
    layout.setSpacing(8)
    address = label(server.path, "heading", wrap=True)
    address.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    layout.addWidget(address)
    layout.addWidget(label(
        "As the reward it is sent every prompt with what the policy writes, and the columns of the "
        "prompt file: in each cycle all completions of the batch, then those that are compared, "
        f"up to {AT_ONCE} in a request. Who runs it can read and keep them. You are not asked "
        "again for this address.", wrap=True))
    layout.addWidget(label(
        f"A key, if it asks for one, is taken from the environment variable {KEY} and kept "
        "nowhere.", "muted", wrap=True))
    dialog.add_accept("&Send to this server", "ask_server",
                      "Ask it now and whenever it is the reward", primary=False)
    dialog.setMinimumWidth(520)
    return dialog, dialog.finish("Cancel", "Send nothing; nothing is loaded")


def _about_file(parent: QWidget, file: UntrustedFile) -> tuple[Dialog, QPushButton]:
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
    return dialog, dialog.finish("Cancel", "Do not run it; nothing is loaded", 760, 560)
