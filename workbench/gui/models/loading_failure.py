"""Why loading failed, said beside the field that is to blame, and what can be done about it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QComboBox, QProgressBar, QWidget

from workbench.gui.models.installing import Installer
from workbench.gui.widgets.controls import describe, enable, label, named, push_button
from workbench.gui.widgets.layouts import STRETCH, hbox, vbox
from workbench.known_models import KNOWN_POLICIES, KnownPolicy, install_command
from workbench.training.events import LoadingFailed


class LoadingFailure(QWidget):
    """``label_chosen`` carries the number of the output that is the score, ``installed`` tells
    that the missing package is there now."""

    label_chosen = Signal(object)
    installed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.details = ""
        self.failed = LoadingFailed("")
        """What is shown."""
        self._known: KnownPolicy | None = None
        self.installer = Installer(self)
        self.installer.said.connect(self._say)
        self.installer.finished.connect(self._end)
        self.sentence = named(label(role="error", wrap=True), "loading_failure",
                              "Why loading failed", "Why loading failed, and what to do")
        self.sentence.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard)
        self.install_button = push_button("Install it", "install_package", "", self._install)
        self.command_button = push_button(
            "Copy command", "copy_command", "", self._copy_command)
        self.copy_button = push_button(
            "Copy details", "copy_loading_details",
            "Copy what exactly went wrong, for a bug report", self._copy_details)
        self._busy = named(QProgressBar(maximum=0, textVisible=False), "installing",
                           "Installing", "pip is at work")
        cure = hbox(None, self.install_button, self.command_button, STRETCH, spacing=8)
        vbox(
            self, cure, self.sentence, self._busy,
            (self.copy_button, 0, Qt.AlignmentFlag.AlignLeft), self._make_chooser(), spacing=4)
        self.hide()

    def show_failure(self, event: LoadingFailed) -> None:
        """Say what went wrong."""
        self.failed = event
        known = self._known = next((k for k in KNOWN_POLICIES if k.package == event.package), None)
        self._show_sentence("It is not on this machine yet." if known
                            else event.sentence, event.sentence)
        self.details = event.details
        self._busy.hide()
        self._offer_install()
        self.copy_button.setVisible(bool(event.details) and not (
            event.labels or event.untrusted or event.package))
        self.chooser.setVisible(bool(event.labels))
        self.labels.clear()
        self.labels.addItems([f"{i}: {name}" for i, name in enumerate(event.labels)])
        self.show()

    def _show_sentence(self, sentence: str, in_full: str) -> None:
        self.sentence.setText(sentence)
        self.sentence.setAccessibleDescription(in_full)
        describe(self.sentence, in_full)

    # -- a package that is missing

    def _offer_install(self) -> None:
        known = self._known
        for button in (self.install_button, self.command_button):
            button.setVisible(known is not None)
            enable(button, True, "")
        if known is not None:
            command = install_command(known.package)
            self.install_button.setText(f"Install it ({known.package_mb} MB)")
            self.install_button.setAccessibleName(self.install_button.text())
            describe(self.install_button, f"Run {command} for the workbench's Python, then load")
            describe(self.command_button, f"Copy {command}")

    def _install(self) -> None:
        if self._known is None:
            return
        enable(self.install_button, False, "It is being installed.")
        self.copy_button.hide()
        self._busy.show()
        self._say("")
        self.installer.install(self._known)

    def _say(self, line: str) -> None:
        if self._known is not None:
            self._show_sentence(f"Installing {self._known.package}…",
                                line or f"Installing {self._known.package}…")

    def _end(self, problem: str) -> None:
        self._busy.hide()
        self._offer_install()
        self._show_sentence(problem, problem)
        self.details = self.installer.output
        self.copy_button.setVisible(bool(problem))
        if not problem:
            self.hide()
            self.installed.emit()

    def _copy_command(self) -> None:
        if self._known is not None:
            QGuiApplication.clipboard().setText(install_command(self._known.package))

    def _copy_details(self) -> None:
        QGuiApplication.clipboard().setText(f"{self.sentence.text()}\n\n{self.details}")

    # -- several outputs

    def _make_chooser(self) -> QWidget:
        self.chooser = QWidget()
        self.labels = named(QComboBox(), "reward_label", "Which output is the score?",
                            "The output of the reward model that is the score of a completion")
        question = label("Which output is the score?", "heading")
        question.setBuddy(self.labels)
        use = push_button("Use this output", "use_label", "Load with this output as the score",
                          lambda: self.label_chosen.emit(self.labels.currentIndex()))
        vbox(self.chooser, question, self.labels, (use, 0, Qt.AlignmentFlag.AlignLeft), spacing=4)
        return self.chooser
