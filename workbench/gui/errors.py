"""What happens to an error nobody expected: the log, and one dialog with a plain sentence."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.dialog import Dialog
from workbench.gui.widgets.theme import number_font
from workbench.store.disk_errors import sentence_on_store
from workbench.store.home import StoreError

_LINES = 9  # of details, once they are shown

log = logging.getLogger(__name__)

UNEXPECTED = (
    "Something went wrong that the workbench did not expect. You can go on; what was recorded of "
    "your runs is kept, and the details help to mend it."
)


def _said_of(error: BaseException) -> tuple[str, str]:
    """Return what to say of an error, and the details: the store's own words, which say all, where
    it is one of the store's."""
    sentence = sentence_on_store(error) or UNEXPECTED
    return sentence, "" if isinstance(error, StoreError) else (
        "".join(traceback.format_exception(error)))


class ErrorDialog(Dialog):
    """One plain sentence; the details are a click away and can be copied."""

    def __init__(self, sentence: str, details: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent, "error_dialog", "PPO Workbench")
        self.setMinimumWidth(440)
        self._details = f"{sentence}\n\n{details}".strip()
        message = label(sentence, wrap=True)
        message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        message.setObjectName("error_sentence")
        self.body.addWidget(message)
        if details:
            text = named(QPlainTextEdit(details, readOnly=True), "error_details",
                         "Details of the error", "What to send along with a bug report")
            text.setFont(number_font())
            text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
            text.setMinimumHeight(text.fontMetrics().lineSpacing() * _LINES)
            text.hide()
            self.body.addWidget(text)
            show = self.add_action("Show details", "show_details",
                                   "Show what exactly went wrong", lambda: None)
            show.setCheckable(True)
            show.toggled.connect(text.setVisible)
            show.toggled.connect(self.fit)
            self.add_action("Copy details", "copy_details", "Copy it for a bug report", self.copy)
        self.finish("Close", "Close this message")

    def offer(self, text: str, tip: str, call: Callable[[], object],
              name: str = "error_offer") -> None:
        """Add a button that closes the dialog and calls ``call``."""
        self.add_accept(text, name, tip)
        self.accepted.connect(lambda: call())
        self.fit()

    def copy(self) -> None:
        """Put the sentence and the details on the clipboard."""
        QGuiApplication.clipboard().setText(self._details)


class ErrorReporter(QObject):
    """Catches what nothing else did, on any thread, and shows it once at a time."""

    _caught = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.window: QWidget | None = None
        self._dialog: ErrorDialog | None = None
        self._old: tuple[Any, Any] | None = None
        # Queued, since an error may come from any thread.
        self._caught.connect(self._show, Qt.ConnectionType.QueuedConnection)

    def install(self) -> None:
        """Take over both of Python's hooks."""
        self._old = (sys.excepthook, threading.excepthook)
        sys.excepthook = self._main_hook
        threading.excepthook = self._thread_hook

    def uninstall(self) -> None:
        """Give Python's hooks back."""
        if self._old:
            sys.excepthook, threading.excepthook = self._old
            self._old = None

    def loop_handler(self, _loop: object, context: dict[str, Any]) -> None:
        """Handle an error of the asyncio loop."""
        error = context.get("exception")
        self.report(*(_said_of(error) if error else (UNEXPECTED, str(context))))

    def report(self, sentence: str, details: str = "") -> None:
        """Log and show an error. Safe on any thread."""
        log.error(f"{sentence}\n{details}".strip())
        self._caught.emit((sentence, details))

    def _main_hook(self, kind: type[BaseException], error: BaseException,
                   trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        self.report(*_said_of(error))

    def _thread_hook(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not SystemExit:
            self.report(*_said_of(args.exc_value or args.exc_type()))

    @Slot(object)
    def _show(self, caught: tuple[str, str]) -> None:
        if self._dialog:  # the first error is the one that matters; the log has them all
            return
        self._dialog = ErrorDialog(*caught, parent=self.window)
        self._dialog.finished.connect(self._closed)
        self._dialog.open()

    @Slot(int)
    def _closed(self, _result: int) -> None:
        self._dialog = None
