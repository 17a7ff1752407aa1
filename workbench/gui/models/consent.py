"""The question before a Python file is run, or a server asked, for the first time."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPlainTextEdit, QPushButton, QWidget

from workbench.feedback.reward_server import AT_ONCE, KEY
from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.dialog import Dialog
from workbench.gui.widgets.theme import number_font
from workbench.judging.server import KEY as JUDGE_KEY
from workbench.judging.server import sent_to
from workbench.training.events import Untrusted, UntrustedFile, UntrustedJudge, UntrustedServer


def ask_to_trust(parent: QWidget, untrusted: Untrusted | UntrustedJudge,
                 then: Callable[[], object], declined: Callable[[], object]) -> Dialog:
    """Show what a reward or a judge does, and call ``then`` if the person agrees to it, else
    ``declined``."""
    if isinstance(untrusted, UntrustedServer):
        dialog, cancel = _about_server(parent, untrusted)
    elif isinstance(untrusted, UntrustedJudge):
        dialog, cancel = _about_judge(parent, untrusted)
    else:
        dialog, cancel = _about_file(parent, untrusted)
    dialog.accepted.connect(lambda: then())
    dialog.rejected.connect(lambda: declined())
    dialog.open()
    cancel.setFocus()
    return dialog


def _about_server(parent: QWidget, server: UntrustedServer) -> tuple[Dialog, QPushButton]:
    dialog = _sending(
        parent, "ask_server_question", "Send completions to this server?", server.path,
        "As the reward it is sent every prompt with what the policy writes, and the columns of the "
        "prompt file: in each cycle all completions of the batch, then those that are compared, "
        f"up to {AT_ONCE} in a request.", KEY)
    dialog.add_accept("&Send to this server", "ask_server",
                      "Ask it now and whenever it is the reward", primary=False)
    return dialog, dialog.finish("Cancel", "Send nothing; nothing is loaded")


def _about_judge(parent: QWidget, judge: UntrustedJudge) -> tuple[Dialog, QPushButton]:
    dialog = _sending(parent, "ask_judge_question", "Send pairs to this server?", judge.path,
                      sent_to("It", judge.questions), JUDGE_KEY)
    dialog.add_accept("&Send to this server", "ask_judge_server",
                      "Ask it now and whenever it is the judge", primary=False)
    return dialog, dialog.finish("Cancel", "Send nothing")


def _sending(parent: QWidget, name: str, title: str, address: str, what: str, key: str) -> Dialog:
    """Return a dialog that says what is sent to an address."""
    dialog = Dialog(parent, name, title)
    layout = dialog.body
    layout.setSpacing(8)
    heading = label(address, "heading", wrap=True)
    heading.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    layout.addWidget(heading)
    layout.addWidget(label(f"{what} Who runs it can read and keep them. You are not asked again "
                           "for this address.", wrap=True))
    layout.addWidget(label(
        f"A key, if it asks for one, is taken from the environment variable {key} and kept "
        "nowhere.", "muted", wrap=True))
    dialog.setMinimumWidth(520)
    return dialog


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
