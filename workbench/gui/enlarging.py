"""One view alone in the window, with the tabs beside it, and everything back again."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QByteArray, QChildEvent, QEvent, QObject, Signal
from PySide6.QtWidgets import QDockWidget, QMainWindow, QTabBar

from workbench.gui.dock_layout import DockLayout


class Enlarging(QObject):
    """Gives the window's room to the docks of one place. ``changed`` tells whether it does,
    ``tab_clicked`` which dock a click on its tab asks for, by name."""

    changed = Signal(bool)
    tab_clicked = Signal(str)

    def __init__(
        self, window: QMainWindow, docks: Mapping[str, QDockWidget], layout: DockLayout,
        version: int,
    ) -> None:
        super().__init__(window)
        self._layout = layout
        self._window, self._docks, self._version = window, docks, version
        self._before: QByteArray | None = None
        self._alone: list[QDockWidget] = []
        window.installEventFilter(self)

    @property
    def is_on(self) -> bool:
        """Whether a view is enlarged."""
        return self._before is not None

    def state(self) -> QByteArray:
        """Return how the docks stand when nothing is enlarged, as :meth:`QMainWindow.saveState`
        tells it."""
        return self._window.saveState(self._version) if self._before is None else self._before

    def toggle(self, dock: QDockWidget) -> None:
        """Enlarge the view in ``dock``, or show all docks again."""
        if self.is_on:
            self.leave()
        else:
            self.enlarge(dock)

    def enlarge(self, dock: QDockWidget) -> None:
        """Show a dock and those in tabs with it, and no other; one that floats is left as it is."""
        self.leave()
        if dock.isFloating():
            self.changed.emit(False)
            return
        dock.show()
        dock.raise_()
        self._before = self._window.saveState(self._version)
        self._alone = [dock, *self._window.tabifiedDockWidgets(dock)]
        for other in self._docks.values():
            if other not in self._alone and not other.isFloating():
                other.hide()
        self.changed.emit(True)

    def make_way(self, dock: QDockWidget) -> None:
        """Show all docks again where ``dock`` is to be seen and has no place."""
        if self.is_on and dock not in self._alone and not dock.isFloating():
            self.leave()

    def leave(self) -> None:
        """Show every dock again as it stood; what was opened or closed meanwhile stays so."""
        if self._before is None:
            return
        docks = self._docks.values()
        front = next((d for d in self._alone if not d.visibleRegion().isEmpty()), None)
        apart = {d: d.geometry() for d in docks if d.isFloating()}
        opened = [d for d in docks if d not in self._alone and not d.isHidden()]
        closed = [d for d in self._alone if d.isHidden()]
        before, self._before = self._before, None
        with self._layout.by_itself():
            self._window.restoreState(before, self._version)
            for dock, place in apart.items():
                dock.setFloating(True)
                dock.setGeometry(place)
        for dock in opened:
            dock.show()
        for dock in closed:
            dock.hide()
        if front is not None:
            front.raise_()
        self.forget()

    def forget(self) -> None:
        """Take note that the docks have been laid out anew."""
        self._before, self._alone = None, []
        self.changed.emit(False)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow clicks on the tabs, a double one of which enlarges the view; the window makes its
        tab bars as they are needed."""
        if event.type() == QEvent.Type.ChildPolished and isinstance(event, QChildEvent):
            bar = event.child()
            if isinstance(bar, QTabBar):
                bar.tabBarClicked.connect(
                    lambda tab, bar=bar: self.tab_clicked.emit(self._name(bar, tab)))
                bar.tabBarDoubleClicked.connect(
                    lambda tab, bar=bar: self._double_clicked(self._name(bar, tab)))
        return False

    def _name(self, bar: QTabBar, tab: int) -> str:
        title = bar.tabText(tab)
        return next((n for n, dock in self._docks.items() if dock.windowTitle() == title), "")

    def _double_clicked(self, name: str) -> None:
        if name:
            self.toggle(self._docks[name])
