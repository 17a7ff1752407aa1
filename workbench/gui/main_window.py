"""The main window: docks around the story of a run, one tool bar, one status bar."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QPoint, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAction,
    QCloseEvent,
    QKeyEvent,
    QKeySequence,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
    QUndoGroup,
)
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QMainWindow,
    QToolBar,
    QWidget,
)

from workbench.gui.actions import Actions, explain, set_tip
from workbench.gui.cycle_strip.strip import CycleStrip
from workbench.gui.dock_layout import DockLayout, screen_width
from workbench.gui.enlarging import Enlarging
from workbench.gui.hyperparameters.dock import HyperparametersDock
from workbench.gui.models.dock import ModelsDock
from workbench.gui.run_bar import RunBar
from workbench.gui.run_view import RunView
from workbench.gui.settings import section
from workbench.gui.status_bar import StatusBar
from workbench.gui.views import DOCKS, Remembering, Stateful, make_views
from workbench.gui.widgets.controls import goes_away, named
from workbench.gui.widgets.theme import themes
from workbench.gui.widgets.toast import Toast
from workbench.training.events import State

if TYPE_CHECKING:
    from workbench.gui.background import Background
    from workbench.gui.chances.view import ChancesView
    from workbench.gui.completions.view import CompletionsView
    from workbench.gui.frontier.view import FrontierView
    from workbench.gui.guide.view import GuideView
    from workbench.gui.judge.view import JudgeView
    from workbench.gui.metrics.view import MetricsView
    from workbench.gui.objective.view import ObjectiveView
    from workbench.gui.paths.view import PathsView
    from workbench.gui.prompts.run_prompts import PromptsOfRun
    from workbench.gui.prompts.view import PromptsView
    from workbench.gui.runs.dock import RunsDock
    from workbench.gui.tokens.view import TokensView
    from workbench.gui.trying.view import TryView
    from workbench.health import Finding
    from workbench.store.store import Store

_CHIPS = {
    State.IDLE: "neutral", State.LOADING: "neutral", State.READY: "good",
    State.RUNNING: "accent", State.PAUSED: "warning", State.STOPPING: "warning",
    State.FINISHED: "good", State.FAILED: "bad",
}
_LAYOUT_VERSION = 3
# However a view is arranged at the moment, it must not push the window over the screen's edge.
_SMALLEST = QSize(200, 150)
_APART = 24  # pixels
_STRIP_FROM = 500  # pixels of height from which on the strip leaves enough for the docks
_WHOLE_STRIP_FROM = 800
_SHARE = 0.85  # of the screen that the window takes at first

_STARTING = "Starting…"
_BEFORE_A_RUN = (State.IDLE, State.LOADING, State.READY, State.FINISHED)


class MainWindow(QMainWindow):
    """Builds and lays out; what happens between its parts is the controller's.

    ``first_paint`` comes once, after the window with its docks is on the screen;
    ``close_wanted`` each time the person asks to close it.
    """

    first_paint = Signal()
    close_wanted = Signal()
    state_shown = Signal()
    metrics: MetricsView
    completions: CompletionsView
    prompts: PromptsView
    prompts_of_run: PromptsOfRun
    runs: RunsDock
    trying: TryView
    tokens: TokensView
    objective: ObjectiveView
    paths: PathsView
    chances: ChancesView
    frontier: FrontierView
    judge: JudgeView
    guide: GuideView

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("main_window")
        self.setWindowTitle("PPO Workbench")
        self.setDockNestingEnabled(True)
        self._painted = False
        self._show_later: list[QDockWidget] = []
        self.state = State.IDLE
        self._starting = ""
        self._restored: set[str] = set()
        self.actions_ = Actions(self)
        self.undo_group = QUndoGroup(self)
        self.docks = {name: self._make_dock(name, title) for name, title in DOCKS.items()}
        self.models = ModelsDock(self.docks["models"])
        self.hyperparameters = HyperparametersDock(self.docks["hyperparameters"])
        self.hyperparameters.appliable.connect(
            lambda can, why: self.actions_.allow("apply", can, why))
        self.views: dict[str, QWidget] = {}
        """What is in each dock; of the large views, once they are there."""
        self._add_view("models", self.models)
        self._add_view("hyperparameters", self.hyperparameters)
        self.status = StatusBar(self)
        self.setStatusBar(self.status)
        self._make_toolbar()
        self._make_strip()
        self._make_menus()
        self.toast = Toast(self)
        self.resize(first_size(self.screen().availableSize()))
        self.dock_layout = DockLayout(self, self.docks)
        self.dock_layout.reset()
        self.enlarging = Enlarging(self, self.docks, self.dock_layout, _LAYOUT_VERSION)
        self.enlarging.changed.connect(self._show_enlarged)
        self.enlarging.tab_clicked.connect(self._tab_clicked)
        self._focused = self.docks["metrics"]
        self.show_state(State.IDLE)
        self.setFocus()  # not the first field: nothing should change by typing at once
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.focusChanged.connect(self._follow_focus)

    def add_views(self, store: Store, background: Background) -> None:
        """Create what needs the store. Called after the first paint."""
        from workbench.gui.prompts.run_prompts import PromptsOfRun

        background.failed.connect(self.toast.show_message)
        for name, view in make_views(store, background, self.docks).items():
            if name != "runs":  # whose columns say what it needs
                view.setMinimumSize(_SMALLEST)
            setattr(self, name, view)
            self._add_view(name, view)
        self.prompts_of_run = PromptsOfRun(self.prompts, self.docks["prompts"])
        self.prompts_of_run.titled.connect(self.docks["prompts"].setWindowTitle)
        self.docks["prompts"].setWidget(self.prompts_of_run)
        self.guide.set_state(self.state)
        for stack in (self.prompts.undo_stack, self.hyperparameters.undo_stack):
            self.undo_group.addStack(stack)

    @cached_property
    def run_views(self) -> Sequence[RunView]:
        """The views that follow the run on display cycle by cycle, once all are made."""
        return [each for view in self.views.values() for each in (view, *view.findChildren(RunView))
                if isinstance(each, RunView)]

    # -- what shows

    def show_state(self, state: State, note: str = "", within: str = "") -> None:
        """Show where the session stands, everywhere; ``within``: it is paused within a cycle,
        after the part of this name."""
        self.state = state
        self.strip.set_state(state, within)
        if self._starting != "a run" or state not in _BEFORE_A_RUN:
            self._set_starting("")
        self.run_bar.show_note(note)
        self.actions_.set_state(state)
        self.show_state_chip()
        self.status.set_state(state, within)
        for view in self.views.values():
            if isinstance(view, Stateful):
                view.set_state(state)
        self.state_shown.emit()

    def show_starting(self, starting: bool, *, of_store: bool = False) -> None:
        """Say at once that a run is asked for; its first step may be seconds away. One of the
        store (``of_store``) may first load its models and end the run that is paused."""
        self._set_starting("" if not starting else "a run" if of_store else "an answer")
        self.show_state_chip()

    def _set_starting(self, until: str) -> None:
        """Let nothing else begin until there is an answer, or a run."""
        self._starting = until
        self.actions_.set_starting(bool(until))
        if "runs" in self.views:
            self.runs.set_starting(bool(until))

    def show_state_chip(self) -> None:
        """Let the chip say what the session says."""
        self.show_chip(self.state.value, _CHIPS[self.state])

    def show_chip(self, text: str, look: str) -> None:
        """Say where the run stands, and which button is the next to press."""
        if self._starting and self.state is not State.LOADING:
            text, look = _STARTING, "accent"
        self.run_bar.show_chip(text, look)

    def show_name(self, name: str) -> None:
        """Say in the tool bar which run is on display."""
        self.run_bar.show_name(name)

    def show_health(self, found: Sequence[Finding]) -> None:
        """Show what is wrong with the run on display, if anything."""
        self.run_bar.show_findings(found)

    def reveal(self, name: str) -> None:
        """Bring a dock to the front and give it the keyboard."""
        dock = self.docks[name]
        self.enlarging.make_way(dock)
        dock.show()
        dock.raise_()
        self._focused = dock
        if dock.widget():
            dock.widget().setFocus(Qt.FocusReason.ShortcutFocusReason)
            if not dock.widget().hasFocus():
                dock.widget().focusNextChild()

    def enlarge_view(self) -> None:
        """Give the view that was last clicked in or brought forward the window's room, or show all
        again."""
        self.enlarging.toggle(self._focused)

    def _tab_clicked(self, name: str) -> None:
        if name:
            self.reveal(name)  # with the keyboard, which else the dock next to it would get

    def reset_layout(self) -> None:
        """Put every dock back where it was at first."""
        self.enlarging.forget()
        self.dock_layout.reset()

    def _show_enlarged(self, on: bool) -> None:
        self.actions_["enlarge_view"].setChecked(on)
        self._want_strip(self._strip_wanted)  # which the docks' state tells as well
        self._fit_docks()

    def _fit_docks(self) -> None:
        if self.isVisible() and not self.enlarging.is_on:
            self.dock_layout.fit_soon()

    # -- what is remembered

    def save_state(self) -> dict[str, object]:
        """Return everything the window should remember."""
        return {
            "geometry": _text(self.saveGeometry()), "docks": _text(self.enlarging.state()),
            "layout": self.dock_layout.form, "theme": themes().mode,
            "strip": self._strip_wanted,
            "views": {name: view.save_state() for name, view in self.views.items()
                      if isinstance(view, Remembering)},
        }

    def restore_frame(self, saved: dict[str, object]) -> None:
        """Put window and docks where they were."""
        geometry, docks = saved.get("geometry"), saved.get("docks")
        if isinstance(geometry, str):
            self.restoreGeometry(_bytes(geometry))
        if isinstance(docks, str):
            self.dock_layout.forget_sizes()
            self.restoreState(_bytes(docks), _LAYOUT_VERSION)
            self.dock_layout.form = str(saved.get("layout", ""))
            if "guide" not in section(saved, "views"):
                self.docks["guide"].hide()  # it was not there: this is no first start
            self.dock_layout.fit_floating(
                screen_width(_bytes(geometry)) if isinstance(geometry, str) else None)
            self._show_later = [dock for dock in self.docks.values()
                                if dock.isFloating() and not dock.isHidden()
                                and not self.isVisible()]
            for dock in self._show_later:
                dock.hide()
        self._want_strip(saved.get("strip") is not False)

    def restore_views(self, saved: dict[str, object]) -> None:
        """Give the views that are there and have not been given it what they remembered."""
        views = section(saved, "views")
        for name, view in self.views.items():
            if isinstance(view, Remembering) and name not in self._restored:
                self._restored.add(name)
                view.restore_state(section(views, name))

    # -- events

    def showEvent(self, event: QShowEvent) -> None:
        """Show floating docks after the window: what is mapped before it, a window manager leaves
        behind it."""
        super().showEvent(event)
        self._fit_docks()
        later, self._show_later = self._show_later, []
        for dock in later:
            QTimer.singleShot(0, dock, dock.show)
        QTimer.singleShot(0, self.dock_layout.bring_forward)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Tell of the first paint, once the screen has it."""
        super().paintEvent(event)
        if not self._painted:
            self._painted = True
            QTimer.singleShot(0, self.first_paint.emit)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Let Escape, where nothing else wants it, show all docks again. Say why a shortcut does
        nothing: Qt passes over that of a disabled action."""
        if event.key() == Qt.Key.Key_Escape and self.enlarging.is_on:
            self.enlarging.leave()
            return
        pressed = QKeySequence(event.keyCombination())
        found = next((action for action in self.actions_
                      if not action.isEnabled() and pressed in action.shortcuts()), None)
        if found is None:
            super().keyPressEvent(event)
        else:
            why = str(found.property("why"))
            self.toast.show_message("info", f"{found.text().rstrip('…')}: "
                                            f"{why[:1].lower()}{why[1:]}")

    def focusNextPrevChild(self, next: bool) -> bool:
        """Pass over docks that are behind others: Qt only moves them off the screen. A control
        that goes away leaves the keyboard to its dock: what is next may do harm."""
        if goes_away(leaving := self.focusWidget()):
            self._around(leaving).setFocus()
            return True
        first = None
        while super().focusNextPrevChild(next):
            now = self.focusWidget()
            if now is None or now is first or not self._behind(now):
                return True
            first = first or now
        return False

    def _around(self, widget: QWidget | None) -> QWidget:
        """Return the view a control belongs to; the window where there is none to be seen."""
        views = [view for dock in self.docks.values() if (view := dock.widget())
                 and widget and view.isAncestorOf(widget) and not goes_away(view)]
        return views[0] if views else self

    def _behind(self, widget: QWidget) -> bool:
        return any(dock.isAncestorOf(widget) and dock.visibleRegion().isEmpty()
                   for dock in self.docks.values())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Let all that depends on the size of the window follow it."""
        super().resizeEvent(event)
        self.run_bar.fit(self.width())
        self._want_strip(self._strip_wanted)
        self._fit_docks()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Closing is asked for, not done: the run has to end first."""
        event.ignore()
        self.close_wanted.emit()

    def sizeHint(self) -> QSize:
        """Fit a small laptop's screen."""
        return QSize(1280, 720)

    def all_actions(self) -> list[QAction]:
        """Return every action, for the palette and the shortcut sheet."""
        views = [a for dock in self.docks.values() for a in dock.findChildren(QAction)
                 if a.text() and a.objectName() and not a.isSeparator() and a.menu() is None]
        return [*self.actions_, *self.undo_actions, *self.dock_actions, *views]

    # -- making it

    def _make_dock(self, name: str, title: str) -> QDockWidget:
        dock = named(QDockWidget(title, self), f"dock_{name}", title, "")
        dock.topLevelChanged.connect(partial(self._set_apart, dock))
        return dock

    def _add_view(self, name: str, view: QWidget) -> None:
        self.views[name] = view
        if view.focusPolicy() is Qt.FocusPolicy.NoFocus:
            # A click on anything in it that takes no keys makes it the view that has the keyboard.
            # What it hands the keyboard on to would take this policy over, and be left out by Tab.
            takes_keys = view.focusProxy()
            view.setFocusProxy(None)  # type: ignore[arg-type]
            view.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
            if takes_keys is not None:
                view.setFocusProxy(takes_keys)
        if name != "prompts":  # which has those of the run beside it
            self.docks[name].setWidget(view)

    def _set_apart(self, dock: QDockWidget, floats: bool) -> None:
        """Let a dock that begins to float lie beside where it was, so that one sees that it
        does."""
        if not floats or QApplication.mouseButtons() != Qt.MouseButton.NoButton:
            return  # it follows the pointer
        inside = self.frameGeometry().contains(dock.pos())  # not so what was behind a tab
        dock.move((dock.pos() if inside else self.pos()) + QPoint(_APART, _APART))

    def _make_toolbar(self) -> None:
        bar = self.run_bar = RunBar(self.actions_)
        self.chip, self.note, self.trains = bar.chip, bar.note, bar.trains
        self.health, self.shown = bar.health, bar.shown
        self.addToolBar(bar)

    def _make_strip(self) -> None:
        """The cycle, part by part, in a row of its own below the tool bar."""
        self.strip = CycleStrip(self.actions_["step_into"])
        self.strip.opened.connect(self.reveal)
        self.addToolBarBreak()
        bar = named(QToolBar("Cycle strip"), "strip_toolbar", "Cycle strip", "")
        bar.setMovable(False)
        bar.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        bar.addWidget(self.strip)
        if layout := bar.layout():
            layout.setContentsMargins(0, 0, 0, 0)
        bar.setMinimumHeight(1)  # a low window hides it, and must be able to become low
        self.addToolBar(bar)
        self.strip_bar, self._strip_wanted = bar, True
        bar.toggleViewAction().triggered.connect(self._want_strip)

    def _want_strip(self, wanted: bool) -> None:
        """Show the strip where it is wanted and leaves enough for the docks."""
        self._strip_wanted = wanted
        self.strip.set_compact(self.height() < _WHOLE_STRIP_FROM)
        self.strip_bar.setVisible(wanted and self.height() >= _STRIP_FROM)

    def _make_menus(self) -> None:
        actions = self.actions_
        numbered = [name for name in self.docks if name != "guide"]  # which has its own action
        self.dock_actions = [self._dock_action(i, name, self.docks[name])
                             for i, name in enumerate(numbered, start=1)]
        undo = self.undo_group.createUndoAction(self, "Undo")
        redo = self.undo_group.createRedoAction(self, "Redo")
        undo.setShortcut(QKeySequence.StandardKey.Undo)
        redo.setShortcut(QKeySequence.StandardKey.Redo)
        undo.setObjectName("undo")
        redo.setObjectName("redo")
        self.undo_actions = [undo, redo]
        for action, what in ((undo, "undo"), (redo, "redo")):
            explain(action, f"{what.capitalize()} the last edit in Prompts or in Hyperparameters",
                    f"There is nothing to {what} there.")
        bar = self.menuBar()
        for title, entries in (
            ("&File", actions.in_menu("File")), ("&Edit", self.undo_actions),
            ("&Run", actions.in_menu("Run")), ("&View", actions.in_menu("View")),
            ("&Help", actions.in_menu("Help")),
        ):
            menu = bar.addMenu(title)
            menu.setToolTipsVisible(True)
            for action in entries:
                if actions.begins_group(action):
                    menu.addSeparator()
                menu.addAction(action)
            if title == "&View":
                theme = menu.addMenu("Theme")
                theme.addActions(actions.in_menu("Theme"))
                menu.addSeparator()
                menu.addActions(self.dock_actions)
                menu.addSeparator()
                shown = menu.addMenu("Show or hide")
                shown.addActions([dock.toggleViewAction() for dock in self.docks.values()])
                shown.addAction(self.strip_bar.toggleViewAction())

    def _dock_action(self, number: int, name: str, dock: QDockWidget) -> QAction:
        action = QAction(f"Go to {dock.windowTitle()}", self)
        action.setObjectName(f"go_to_{name}")
        action.setShortcut(QKeySequence(
            f"Ctrl+{number % 10}" if number <= 10 else f"Ctrl+Shift+{number - 10}"))
        set_tip(action, f"Bring {dock.windowTitle()} to the front and give it the keyboard")
        action.triggered.connect(lambda: self.reveal(name))
        return action

    def _follow_focus(self, _old: QWidget | None, now: QWidget | None) -> None:
        """Undo what was last edited where the keyboard is."""
        if now is None:
            return
        self._focused = next((d for d in self.docks.values() if d.isAncestorOf(now)),
                             self._focused)
        if self.docks["hyperparameters"].isAncestorOf(now):
            self.undo_group.setActiveStack(self.hyperparameters.undo_stack)
        elif self.docks["prompts"].isAncestorOf(now) and "prompts" in self.views:
            self.undo_group.setActiveStack(self.prompts.undo_stack)


def first_size(screen: QSize) -> QSize:
    """Return the size to open with: most of a large screen; of a small one what leaves room for
    the frame and a task bar, so that the status bar is on the screen."""
    wide, high = screen.width(), screen.height()
    return QSize(min(max(1280, round(_SHARE * wide)), wide - 16),
                 min(max(720, round(_SHARE * high)), high - 48))


def _text(data: QByteArray) -> str:
    return bytes(data.toBase64().data()).decode("ascii")


def _bytes(text: str) -> QByteArray:
    return QByteArray.fromBase64(text.encode("ascii", "ignore"))
