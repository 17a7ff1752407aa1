"""The composition root: puts store, window, bridge, session and controller together, and takes
them apart again."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QLoggingCategory, QTimer
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from workbench import __version__, logs
from workbench.ending_signals import ending_signals
from workbench.gui.background import Background
from workbench.gui.bridge import Bridge
from workbench.gui.controllers.controller import Controller
from workbench.gui.controllers.other_processes import OtherProcesses
from workbench.gui.controllers.tray import Tray
from workbench.gui.dialogs import ask_about_closing, ask_about_leaving
from workbench.gui.errors import ErrorDialog, ErrorReporter
from workbench.gui.garbage import GarbageCollector
from workbench.gui.main_window import MainWindow
from workbench.gui.settings import Settings
from workbench.gui.widgets.controls import enable
from workbench.gui.widgets.theme import themes
from workbench.store.home import StoreError
from workbench.training.commands import CancelLoading, Stop
from workbench.training.events import Event, ModelsLoaded, State
from workbench.training.states import ALIVE

if TYPE_CHECKING:
    from workbench.store.store import Store
    from workbench.training.session_router import SessionRouter

AUTOSAVE_MS = 30_000

log = logging.getLogger(__name__)


def run(home: Path, policy: str | None = None, reward: str | None = None) -> int:
    """Open the window on ``home`` and return the exit code when it has closed.

    ``policy`` and ``reward`` name the models to load; None takes those used last, at first the
    bundled ones.
    """
    app = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(app, QApplication)
    app.setApplicationName("PPO Workbench")
    app.setApplicationVersion(__version__)
    app.setDesktopFileName("ppo-workbench")
    # One way to close: the main coroutine below. The last window going away is not it.
    app.setQuitOnLastWindowClosed(False)
    # Said of every font that lacks a script, hundreds of lines for one odd completion.
    QLoggingCategory.setFilterRules("qt.text.font.db.warning=false")
    themes().install()
    errors = ErrorReporter()
    errors.install()
    loop = QEventLoop(app)
    loop.set_exception_handler(errors.loop_handler)
    try:
        with loop:
            return loop.run_until_complete(_main(home, errors, policy, reward))
    finally:
        errors.uninstall()


async def _main(
    home: Path, errors: ErrorReporter, policy: str | None, reward: str | None
) -> int:
    workbench = Workbench(home)
    errors.window = workbench.window
    # The bridge's tick lets Python see a signal within a moment.
    before = {number: signal.signal(number, lambda *_: workbench.exit())
              for number in ending_signals()}
    try:
        await workbench.serve(policy, reward)
    except StoreError as error:
        await workbench.tell(str(error))
        return 1
    finally:
        errors.window = None
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _open_store(home: Path) -> Store:
    # Both take a while to import; numpy is what the plots will want.
    import numpy  # noqa: F401

    from workbench.store.store import Store

    store = Store(home)
    # Two windows would overwrite each other's prompts and layout. Headless runs may write beside
    # a window: each run has its own owner.
    if not store.run_locks.take_window():
        store.close()
        raise StoreError(f"PPO Workbench is already open on {home}; use that window, or choose "
                         "another home folder with --home.")
    return store


class Workbench:
    """The open window with everything behind it."""

    store: Store
    session: SessionRouter
    bridge: Bridge
    background: Background
    controller: Controller
    tray: Tray

    def __init__(self, home: Path) -> None:
        self.home = home
        self.settings = Settings(home)
        self._saved = self.settings.load()
        self._exit = asyncio.Event()
        self._painted = asyncio.Event()
        mode = self._saved.get("theme")
        if mode in ("light", "dark"):
            themes().set_mode(mode)
        self.window = MainWindow()
        self.garbage = GarbageCollector(self.window)
        self.window.first_paint.connect(self._painted.set)
        self.window.close_wanted.connect(self._close_wanted)
        self.window.restore_frame(self._saved)
        self.window.restore_views(self._saved)
        self.window.show_state(State.LOADING)
        enable(self.window.models.cancel_button, False, "Loading has not begun yet.")
        self._early = ""
        for name in ("start", "step"):
            self.window.actions_[name].triggered.connect(partial(self._take_early, name))

    async def serve(self, policy: str | None = None, reward: str | None = None) -> None:
        """Show the window, keep it going until it is closed, and close what is behind it.

        Raises:
            StoreError: when there is no store to work with.
        """
        self.window.show()
        await self._painted.wait()
        self.store = await asyncio.to_thread(_open_store, self.home)
        log_file = logs.start_file(self.home)
        try:
            self._compose()
            self._first_steps(policy, reward)
            autosave = QTimer(self.window, interval=AUTOSAVE_MS)
            autosave.timeout.connect(self.save)
            autosave.start()
            log.info("The window is open on %s", self.home)
            await self._exit.wait()
            autosave.stop()
            await self._shut()
        finally:
            await asyncio.to_thread(self.store.close)
            logs.stop(log_file)

    async def tell(self, sentence: str) -> None:
        """Say why there is nothing to work with, until the person has read it or wants to leave."""
        dialog = ErrorDialog(sentence, parent=self.window)
        dialog.finished.connect(self.exit)
        tick = QTimer(dialog, interval=100)  # lets Python see a signal
        tick.timeout.connect(int)
        tick.start()
        dialog.open()
        await self._exit.wait()
        for left in self.window.findChildren(ErrorDialog):  # none, once it was read
            left.close()

    def exit(self) -> None:
        """Close the window; a run that is alive is stopped."""
        self._exit.set()

    def save(self) -> None:
        """Keep layout, choices and prompts."""
        self.settings.save(self.window.save_state())

    def _compose(self) -> None:
        from workbench.training.session_router import SessionRouter

        # The views first: the session's thread imports torch at once, which slows all else.
        self.background = Background()
        self.window.add_views(self.store, self.background)
        self.window.restore_views(self._saved)
        self.bridge = Bridge(self.window)
        # torch leaves a core to the window: with all of them it slows both.
        self.session = SessionRouter(self.store, self.bridge.put, spare_threads=1)
        self.controller = Controller(
            self.window, self.store, self.background, self.session.send)
        self.bridge.events.connect(self.controller.handle)
        self.bridge.events.connect(self._after_loading)
        self.tray = Tray(self.window, self.exit)
        self.bridge.events.connect(self.tray.handle)
        self.other_processes = OtherProcesses(self.window, self.store, self.background)

    def _after_loading(self, events: list[Event]) -> None:
        if any(isinstance(event, ModelsLoaded) for event in events):
            self.garbage.settle()

    def _first_steps(self, policy: str | None, reward: str | None) -> None:
        """Bring the run back that was on display and load the models."""
        run = self.window.runs.at_first
        self.controller.show_run(run.id if run else None)
        self.controller.resuming.offer(run)
        models = self.window.models
        if policy:
            models.policy.set_source(policy)
        if reward:
            models.reward.set_source(reward)
        models.load()
        if self._early:
            self.window.actions_[self._early].trigger()

    def _take_early(self, name: str, *_: object) -> None:
        """Keep a click that comes before there is a session to send it to."""
        if not hasattr(self, "controller"):
            self._early = name

    def _close_wanted(self) -> None:
        over = self.session.hands_over if hasattr(self, "session") else None
        if over is not None:
            ask_about_leaving(self.window, starting=over == "starting", leave=self.exit,
                              stop=self._end_handed_over)
        elif self.window.state in ALIVE and self.controller.watched is None:
            ask_about_closing(
                self.window, stop=self.exit, keep=self.tray.put_away, tray=self.tray.is_there(),
                held=self.controller.held, kept=self.controller.run_control.kept())
        else:
            self.exit()

    def _end_handed_over(self) -> None:
        """Give up processes that are being started, or stop the run that they have begun, and
        close."""
        if (over := self.session.hands_over) is not None:
            self.session.send(CancelLoading() if over == "starting" else Stop())
        self.exit()

    async def _shut(self) -> None:
        """End the run and every thread while the window still paints."""
        window = self.window
        window.note.setText("Closing…")
        window.menuBar().setEnabled(False)
        for dock in window.docks.values():
            dock.setEnabled(False)
        self.other_processes.stop()
        for failure in window.models.failures:
            failure.installer.stop()
        self.tray.icon.hide()
        window.prompts.save()
        self.save()
        await asyncio.to_thread(self.session.close)
        self.bridge.close()
        await asyncio.to_thread(self.background.close)
        self.garbage.close()
        # Gone before the store is: a view's timer may still want to read.
        gone = asyncio.Event()
        window.destroyed.connect(gone.set)
        window.deleteLater()
        await gone.wait()
        log.info("The window is closed")
