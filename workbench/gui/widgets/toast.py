"""Short notices at the top of the window. They go by themselves, are kept as notifications and
are in the log as well.

Beside the menus, where nothing is that could be read or pressed.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QMenuBar, QWidget

from workbench.formatting import both_ends
from workbench.gui.widgets.controls import label, push_button, tool_button
from workbench.gui.widgets.file_manager import show_folder
from workbench.gui.widgets.icons import icon
from workbench.gui.widgets.layouts import hbox
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import set_look, themes

LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
# Long enough to read: a second to notice, then about 15 characters a second.
_NOTICE_MS, _MS_PER_CHARACTER = 2500, 60
_OFFER_MS = 30_000  # to decide, not only to read
_KEPT = 500
_GAP, _LEAST, _BETWEEN = 8, 48, 8  # pixels beside it, of its text, and between its parts
_FOLDER = 40  # characters of a folder's name

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Notice:
    """What was told, and when. ``level`` is one of :data:`LEVELS`."""

    at: datetime
    level: str
    sentence: str


class Toast(QFrame):
    """One notice at a time over ``parent``; it goes by itself, or at a click. It may offer to do
    something.

    ``notices`` keeps the last ones, oldest first; ``told`` says that there is one more.
    """

    told = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._over = parent
        self.notices: deque[Notice] = deque(maxlen=_KEPT)
        self.setObjectName("toast")
        self._label = label(wrap=True, name="toast_text")
        layout = hbox(self, self._label, margins=(12, 3, 6, 3), spacing=_BETWEEN)
        self.action_button = push_button("Do it", "toast_action", "Do what the notice offers",
                                         self._accept)
        self.action_button.hide()
        layout.addWidget(self.action_button)
        self.close_button = tool_button(
            "", "toast_close", "Close the notice",
            "Close this notice; Notifications keeps it", "mini")
        self.close_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.close_button.clicked.connect(self.hide)
        layout.addWidget(self.close_button)
        self._draw()
        themes().changed.connect(self._draw)
        self._offered: Callable[[], object] | None = None
        self.setAccessibleName("Notice")
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self.hide)
        parent.installEventFilter(self)
        self.hide()

    @property
    def text(self) -> str:
        """The notice that is or was last shown."""
        return self._label.text()

    def show_message(self, level: str, sentence: str) -> None:
        """Show ``sentence``. ``level`` is "info", "warning" or "error"."""
        self._show(level, sentence, "", None)

    def show_offer(self, sentence: str, text: str, tip: str, call: Callable[[], object],
                   level: str = "warning") -> None:
        """Show ``sentence`` with a button that says ``text`` and calls ``call``."""
        self.action_button.setToolTip(plain_tip(tip))
        self._show(level, sentence, text, call)

    def show_saved(self, path: Path, more: str = "") -> None:
        """Say that a file was written and where it is, with ``more`` to be known of it."""
        folder = path.absolute().parent
        whole, short = (f"Saved {path.name} in {name}. {more}".rstrip()
                        for name in (folder, both_ends(str(folder), _FOLDER)))
        self.action_button.setToolTip(plain_tip(f"Show {folder}"))
        self._show("info", short, "Show in folder", lambda: show_folder(folder), whole)

    def keep(self, level: str, sentence: str) -> None:
        """Keep what was said in another place among the notifications."""
        log.log(LEVELS[level], sentence)
        self.notices.append(Notice(datetime.now(), level, sentence))
        self.told.emit()

    def take_back(self, sentence: str) -> None:
        """Hide a message that has done its work, if it still shows."""
        if self.text == sentence:
            self.hide()

    def withdraw_offer(self) -> None:
        """Take an offer away that no longer makes sense."""
        if self._offered is not None:
            self.hide()

    def _show(self, level: str, sentence: str, text: str,
              offered: Callable[[], object] | None, whole: str = "") -> None:
        self.keep(level, whole or sentence)
        self._label.setText(sentence)
        self.setToolTip(plain_tip(f"{whole}\nClick to close" if whole else "Click to close"))
        set_look(self, level=level)
        self._offered = offered
        self.action_button.setText(text)
        self.action_button.setAccessibleName(text or "Do it")
        self.action_button.setVisible(offered is not None)
        self.setAccessibleDescription(sentence)
        self._place()
        self.show()
        self.raise_()
        stay = _NOTICE_MS + _MS_PER_CHARACTER * len(sentence)
        if offered is not None:
            self._timer.start(_OFFER_MS)
        else:
            self._timer.start(stay if level == "info" else 2 * stay)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay in place when the window changes its size."""
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return False

    def mousePressEvent(self, _event: object) -> None:
        """Go away when clicked."""
        self.hide()

    def _draw(self) -> None:
        self.close_button.setIcon(icon("close"))

    def _accept(self) -> None:
        call = self._offered
        self.hide()
        if call is not None:
            call()

    def _place(self) -> None:
        over = self._over
        bar = over.findChild(QMenuBar)
        last = bar.actionGeometry(bar.actions()[-1]).right() if bar and bar.actions() else 0
        layout = self.layout()
        assert layout is not None
        for button in (self.action_button, self.close_button):
            button.ensurePolished()  # the style makes it wider
        around = layout.contentsMargins().left() + layout.contentsMargins().right() + 2
        for button in (self.action_button, self.close_button):
            if not button.isHidden():
                around += button.sizeHint().width() + layout.spacing()
        wanted = self._label.fontMetrics().horizontalAdvance(self._label.text()) + 8
        room = over.width() - last - around - 2 * _GAP
        self._label.setFixedWidth(min(wanted, max(_LEAST, room)))
        self.adjustSize()
        self.move(over.width() - self.width() - _GAP, 2)
