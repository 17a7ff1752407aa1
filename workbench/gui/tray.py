"""The window put away while its run goes on: in the system's tray, or minimised where there is
none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from workbench.gui.actions import ALIVE
from workbench.gui.icons import icon
from workbench.gui.plain_text import without_markup
from workbench.gui.theme import themes
from workbench.training.events import Event, RunFailed, RunFinished, StateChanged

if TYPE_CHECKING:
    from workbench.gui.main_window import MainWindow


class Tray(QObject):
    """An icon that stands for the hidden window: says how the run gets on, and brings it back."""

    def __init__(self, window: MainWindow, leave: Callable[[], None]) -> None:
        """Stay out of sight until the window is put away.

        Args:
            leave: closes the workbench; a run that is alive is stopped.
        """
        super().__init__(window)
        self._window = window
        self.menu = QMenu(window)
        self.menu.setObjectName("tray_menu")
        show = self._action("tray_show", "Show", self.show_window)
        self._stop = self._action("tray_stop", "Stop and save", window.actions_["stop"].trigger)
        self.menu.addActions([show, window.actions_["pause"], self._stop])
        self.menu.addSeparator()
        self.menu.addAction(self._action("tray_quit", "Quit", leave))
        self.icon = QSystemTrayIcon(icon("start", themes().theme.accent), self)
        self.icon.setContextMenu(self.menu)
        self.icon.activated.connect(self._activated)
        self.icon.messageClicked.connect(self.show_window)

    @staticmethod
    def is_there() -> bool:
        """Whether the desktop has a tray."""
        return QSystemTrayIcon.isSystemTrayAvailable()

    def put_away(self) -> None:
        """Hide the window into the tray, or minimise it where there is none."""
        if self.is_there():
            self._say()
            self.icon.show()
            self._window.hide()
        else:
            self._window.showMinimized()

    def show_window(self) -> None:
        """Bring the window back."""
        self.icon.hide()
        self._window.setVisible(True)
        self._window.raise_()
        self._window.activateWindow()

    def handle(self, events: Sequence[Event]) -> None:
        """Follow the run while the window is away. The window has been told before."""
        if not self.icon.isVisible():
            return
        self._say()
        for event in events:
            match event:
                case RunFailed(sentence=sentence) | StateChanged(note=sentence, held=True):
                    self._notify(sentence, QSystemTrayIcon.MessageIcon.Warning)
                case RunFinished(outcome=outcome) if outcome != "failed":
                    self._notify(self._window.toast.text,
                                 QSystemTrayIcon.MessageIcon.Information)

    def _notify(self, sentence: str, kind: QSystemTrayIcon.MessageIcon) -> None:
        self.icon.showMessage("PPO Workbench", without_markup(sentence), kind)

    def _say(self) -> None:
        window = self._window
        alive = window.state in ALIVE
        cycle = window.status.cycle.text() if alive else ""
        self.icon.setToolTip(without_markup(
            f"{window.windowTitle()}\n{window.state.value}"
            + (f", {cycle[0].lower()}{cycle[1:]}" if cycle else "")))
        self._stop.setEnabled(alive)

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason != QSystemTrayIcon.ActivationReason.Context:
            self.show_window()

    def _action(self, name: str, text: str, call: Callable[[], object]) -> QAction:
        action = QAction(text, self)
        action.setObjectName(name)
        action.triggered.connect(lambda _checked=False: call())
        return action
