"""The window put away while its run goes on, in the system's tray or minimised, and what is told
while nobody looks at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QApplication, QMenu, QSystemTrayIcon

from workbench.gui.actions import enable_action
from workbench.gui.widgets.icons import icon
from workbench.gui.widgets.plain_text import without_markup
from workbench.gui.widgets.theme import themes
from workbench.training.events import Event, HealthChecked, RunFailed, RunFinished, StateChanged
from workbench.training.states import ALIVE

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
        self._known: set[str] = set()
        app = QGuiApplication.instance()
        assert isinstance(app, QGuiApplication)
        app.applicationStateChanged.connect(self._came_back)

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
        """Follow the run; where nobody looks at the window, notify of what matters. The window has
        been told before."""
        if self.icon.isVisible():
            self._say()
        for event in events:
            match event:
                case HealthChecked():
                    self._health(event)
                case RunFailed(sentence=sentence) | StateChanged(note=sentence, held=True):
                    self._notify(sentence, bad=True)
                case RunFinished(outcome=outcome) if outcome != "failed":
                    self._notify(self._window.toast.text)

    def _health(self, event: HealthChecked) -> None:
        """Notify of a pause, and of what is found for the first time."""
        found = {f.rule: f.sentence for f in event.findings}
        new = [sentence for rule, sentence in found.items() if rule not in self._known]
        self._known = set(found)
        if event.pauses_for:
            self._notify(f"The run pauses after cycle {event.cycle}: {event.pauses_for}. "
                         f"{' '.join(new)}".rstrip(), bad=True)
        elif new:
            self._notify(f"After cycle {event.cycle}: {' '.join(new)}", bad=True)

    def _notify(self, sentence: str, *, bad: bool = False) -> None:
        active = QApplication.activeWindow()
        if active is not None and active.isVisible():  # a hidden one may go on being the active
            return
        QApplication.alert(self._window)
        if self.is_there():
            self._say()
            self.icon.show()  # without it no message is shown; it goes when the window is back
            kinds = QSystemTrayIcon.MessageIcon
            self.icon.showMessage("PPO Workbench", without_markup(sentence),
                                  kinds.Warning if bad else kinds.Information)

    def _came_back(self, state: Qt.ApplicationState) -> None:
        if state == Qt.ApplicationState.ApplicationActive and self._window.isVisible():
            self.icon.hide()

    def _say(self) -> None:
        window = self._window
        alive = window.state in ALIVE
        cycle = window.status.cycle.text() if alive else ""
        self.icon.setToolTip(without_markup(
            f"{window.windowTitle()}\n{window.state.value}"
            + (f", {cycle[0].lower()}{cycle[1:]}" if cycle else "")))
        enable_action(self._stop, alive, "No run is alive.")

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason != QSystemTrayIcon.ActivationReason.Context:
            self.show_window()

    def _action(self, name: str, text: str, call: Callable[[], object]) -> QAction:
        action = QAction(text, self)
        action.setObjectName(name)
        action.triggered.connect(lambda _checked=False: call())
        return action
