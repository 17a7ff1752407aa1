"""Where the docks stand at first: columns beside each other, or tabs where there is little room."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from PySide6.QtCore import QByteArray, QDataStream, QObject, QRect, QSize, Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QDockWidget, QMainWindow

_ROOMY = QSize(1100, 640)  # from here on three columns of docks fit without squeezing
TWO_COLUMNS = 800
"""Pixels from which on two columns fit."""
FOUR_COLUMNS = 1500
"""Pixels from which on the guide has a column of its own without squeezing the others; in less
room it is a tab in front of Hyperparameters."""
_GUIDE = 264  # pixels
_MODELS = 340  # pixels: both models with their facts
_APART = 24  # pixels between a floating dock and the edges of its screen
_GEOMETRY = 0x01D9D0CB  # how QWidget.saveGeometry begins
_BELOW = (
    "completions", "tokens", "objective", "paths", "chances", "distributions", "frontier",
    "trying", "judge")
"""Tabs below the plots, from left to right; beside them where there is little room."""
_ACROSS, _DOWN = Qt.Orientation.Horizontal, Qt.Orientation.Vertical


class DockLayout(QObject):
    """Lays out the docks of ``window``."""

    def __init__(self, window: QMainWindow, docks: Mapping[str, QDockWidget]) -> None:
        super().__init__(window)
        self._window, self._docks = window, docks
        self._sizing = QTimer(self, singleShot=True, interval=0)
        self._sizing.timeout.connect(self._size)
        self._begun = self._guide_first = False
        self._laying = False
        self.form = ""
        """How the docks were laid out; "" where the person has moved one since."""
        self._fitting = QTimer(self, singleShot=True, interval=0)
        self._fitting.timeout.connect(self._fit)
        for dock in docks.values():
            dock.dockLocationChanged.connect(lambda _: self._moved())
            dock.topLevelChanged.connect(lambda _: self._moved())

    def reset(self) -> None:
        """Put every dock where it was at first."""
        with self.by_itself():
            self._lay_out()
        self.form = self._fitting_form()

    @contextmanager
    def by_itself(self) -> Iterator[None]:
        """What is moved here, no person moves."""
        self._laying = True
        try:
            yield
        finally:
            self._laying = False

    def fit_soon(self) -> None:
        """Lay the docks out as fits the window's size now, unless the person has moved one."""
        if self.form not in ("", self._fitting_form()):
            self._fitting.start()

    def _fit(self) -> None:
        if self.form in ("", self._fitting_form()):
            return
        hidden = [dock for dock in self._docks.values() if dock.isHidden()]
        front = [dock for dock in self._docks.values() if not dock.visibleRegion().isEmpty()]
        focus = QApplication.focusWidget()
        self.reset()
        for dock in hidden:
            dock.hide()
        # Of those that share a place from now on, the one with the keyboard is in front, or else
        # what was there at first.
        first = self._docks["metrics"], self._docks["prompts"]
        for dock in sorted(front, key=lambda d: (bool(focus and d.isAncestorOf(focus)),
                                                 d in first)):
            dock.raise_()

    def _moved(self) -> None:
        if not self._laying:
            self.form = ""

    def _fitting_form(self) -> str:
        """Return what becomes of the docks at the window's size."""
        width = self._window.width()
        if self._is_roomy():
            return "four columns" if width >= FOUR_COLUMNS else "three columns"
        return "two columns" if width >= TWO_COLUMNS else "tabs"

    def _lay_out(self) -> None:
        docks, wants_guide = self._docks, self._wants_guide()
        for dock in docks.values():
            dock.setFloating(False)
            self._window.removeDockWidget(dock)
        if self._is_roomy():
            self._lay_out_columns()
        else:
            self._lay_out_tabs()
        for dock in docks.values():
            if dock is not docks["guide"]:
                dock.show()
        # Closed once, it stays closed.
        docks["guide"].setVisible(wants_guide)
        self._guide_first = wants_guide and not self._begun
        self._begun = True
        docks["completions"].raise_()
        docks["metrics"].raise_()
        if not self._window.tabifiedDockWidgets(docks["metrics"]).count(docks["prompts"]):
            docks["prompts"].raise_()
        if self._window.isVisible():
            self.bring_forward()
        self._size()
        # Sizes asked for before the docks have been laid out once are forgotten.
        self._sizing.start()

    def forget_sizes(self) -> None:
        """Leave the sizes to what is restored, which those of :meth:`reset` would come after."""
        self._sizing.stop()
        self._guide_first = False

    def bring_forward(self) -> None:
        """At the first start put the guide before the dock that it shares its place with. Of a
        window that is not on the screen yet Qt does not take note of it."""
        if self._guide_first:
            self._guide_first = False
            self._docks["guide"].raise_()

    def fit_floating(self, screen_before: int | None) -> None:
        """Let floating docks that were restored lie on a screen and leave some of it free.

        Args:
            screen_before: width of the window's screen in pixels when they were saved; on one
                that has fewer, at a larger scale, they are as much smaller.
        """
        screen = self._window.screen().availableGeometry()
        now = self._window.screen().geometry().width()
        share = min(1.0, now / screen_before) if screen_before else 1.0
        for dock in self._docks.values():
            if not dock.isFloating():
                continue
            there = QGuiApplication.screenAt(dock.geometry().center() * share)
            free = (there.availableGeometry() if there else screen).adjusted(
                _APART, _APART, -_APART, -_APART)
            size = (dock.size() * share).boundedTo(free.size()).expandedTo(dock.minimumSizeHint())
            at = dock.pos() * share
            dock.setGeometry(
                max(free.left(), min(at.x(), free.right() + 1 - size.width())),
                max(free.top(), min(at.y(), free.bottom() + 1 - size.height())),
                size.width(), size.height())

    def _wants_guide(self) -> bool:
        """Whether the guide shows: at the first start where there is room, then where it did."""
        return not self._docks["guide"].isHidden() if self._begun else self._is_roomy()

    def _is_roomy(self) -> bool:
        size = self._window.size()
        return size.width() >= _ROOMY.width() and size.height() >= _ROOMY.height()

    def _lay_out_columns(self) -> None:
        window, docks = self._window, self._docks
        window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, docks["models"])
        window.splitDockWidget(docks["models"], docks["metrics"], _ACROSS)
        window.splitDockWidget(docks["metrics"], docks["hyperparameters"], _ACROSS)
        if window.width() >= FOUR_COLUMNS:
            window.splitDockWidget(docks["hyperparameters"], docks["guide"], _ACROSS)
        else:
            window.tabifyDockWidget(docks["hyperparameters"], docks["guide"])
        window.splitDockWidget(docks["models"], docks["prompts"], _DOWN)
        window.splitDockWidget(docks["metrics"], docks["completions"], _DOWN)
        window.tabifyDockWidget(docks["prompts"], docks["runs"])
        for name in _BELOW[1:]:
            window.tabifyDockWidget(docks[_BELOW[0]], docks[name])

    def _lay_out_tabs(self) -> None:
        """Columns of tabs for a small screen or a large scale: two, or one where even two would
        not fit."""
        window, docks = self._window, self._docks
        window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, docks["models"])
        # Split first: a dock in tabs cannot be split.
        if window.width() < TWO_COLUMNS:
            window.tabifyDockWidget(docks["models"], docks["metrics"])
        else:
            window.splitDockWidget(docks["models"], docks["metrics"], _ACROSS)
        for name in _BELOW:
            window.tabifyDockWidget(docks["metrics"], docks[name])
        for name in ("prompts", "hyperparameters", "runs", "guide"):
            window.tabifyDockWidget(docks["models"], docks[name])

    def _size(self) -> None:
        window, docks = self._window, self._docks
        width, height = window.width(), window.height()
        if not self._is_roomy():
            window.resizeDocks([docks["models"], docks["metrics"]],
                               [width * 7 // 20, width * 13 // 20], _ACROSS)
            return
        side = max(296, min(400, width // 5))
        columns = {"models": side, "metrics": width - 2 * side - 16, "hyperparameters": side + 16}
        if width >= FOUR_COLUMNS and not docks["guide"].isHidden():
            columns["metrics"] -= _GUIDE
            columns["guide"] = _GUIDE
        window.resizeDocks([docks[name] for name in columns], list(columns.values()), _ACROSS)
        # Models is as high as what it says; more would be empty.
        models = min(height * 9 // 20, _MODELS)
        window.resizeDocks([docks["models"], docks["prompts"]], [models, height - models], _DOWN)
        window.resizeDocks([docks["metrics"], docks["completions"]],
                           [height * 9 // 20, height * 11 // 20], _DOWN)


def screen_width(geometry: QByteArray) -> int | None:
    """Return how wide the screen was in pixels when :meth:`QWidget.saveGeometry` wrote this; None:
    it does not say."""
    stream = QDataStream(geometry)
    stream.setVersion(QDataStream.Version.Qt_4_0)
    magic, major = stream.readUInt32(), stream.readUInt16()
    stream.readUInt16()
    if magic != _GEOMETRY or major < 2:  # the width came with version 2
        return None
    for _ in range(2):  # with its frame, and without
        stream >> QRect()
    stream.readInt32()  # the screen's number
    stream.readUInt8()  # whether maximised,
    stream.readUInt8()  # or full screen
    width = stream.readInt32()
    return width if width > 0 and stream.status() is QDataStream.Status.Ok else None
