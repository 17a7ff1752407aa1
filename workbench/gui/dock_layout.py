"""Where the docks stand at first: columns beside each other, or tabs where there is little room."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QObject, QSize, Qt, QTimer
from PySide6.QtWidgets import QDockWidget, QMainWindow

_ROOMY = QSize(1100, 640)  # from here on three columns of docks fit without squeezing
TWO_COLUMNS = 800
"""Pixels from which on two columns fit."""
_MODELS = 340  # pixels: both models with their facts
_ACROSS, _DOWN = Qt.Orientation.Horizontal, Qt.Orientation.Vertical


class DockLayout(QObject):
    """Lays out the docks of ``window``."""

    def __init__(self, window: QMainWindow, docks: Mapping[str, QDockWidget]) -> None:
        super().__init__(window)
        self._window, self._docks = window, docks
        self._sizing = QTimer(self, singleShot=True, interval=0)
        self._sizing.timeout.connect(self._size)

    def reset(self) -> None:
        """Put every dock where it was at first."""
        docks = self._docks
        for dock in docks.values():
            dock.setFloating(False)
            self._window.removeDockWidget(dock)
        if self._is_roomy():
            self._lay_out_columns()
        else:
            self._lay_out_tabs()
        for dock in docks.values():
            dock.show()
        docks["completions"].raise_()
        docks["metrics"].raise_()
        if not self._window.tabifiedDockWidgets(docks["metrics"]).count(docks["prompts"]):
            docks["prompts"].raise_()
        self._size()
        # Sizes asked for before the docks have been laid out once are forgotten.
        self._sizing.start()

    def forget_sizes(self) -> None:
        """Leave the sizes to what is restored, which those of :meth:`reset` would come after."""
        self._sizing.stop()

    def _is_roomy(self) -> bool:
        size = self._window.size()
        return size.width() >= _ROOMY.width() and size.height() >= _ROOMY.height()

    def _lay_out_columns(self) -> None:
        window, docks = self._window, self._docks
        window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, docks["models"])
        window.splitDockWidget(docks["models"], docks["metrics"], _ACROSS)
        window.splitDockWidget(docks["metrics"], docks["hyperparameters"], _ACROSS)
        window.splitDockWidget(docks["models"], docks["prompts"], _DOWN)
        window.splitDockWidget(docks["metrics"], docks["completions"], _DOWN)
        window.tabifyDockWidget(docks["prompts"], docks["runs"])
        window.tabifyDockWidget(docks["completions"], docks["tokens"])
        window.tabifyDockWidget(docks["completions"], docks["trying"])

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
        for name in ("completions", "tokens", "trying"):
            window.tabifyDockWidget(docks["metrics"], docks[name])
        for name in ("prompts", "hyperparameters", "runs"):
            window.tabifyDockWidget(docks["models"], docks[name])

    def _size(self) -> None:
        window, docks = self._window, self._docks
        width, height = window.width(), window.height()
        if not self._is_roomy():
            window.resizeDocks([docks["models"], docks["metrics"]],
                               [width * 2 // 5, width * 3 // 5], _ACROSS)
            return
        side = max(296, min(400, width // 5))
        window.resizeDocks([docks["models"], docks["metrics"], docks["hyperparameters"]],
                           [side, width - 2 * side - 16, side + 16], _ACROSS)
        # Models is as high as what it says; more would be empty.
        models = min(height * 9 // 20, _MODELS)
        window.resizeDocks([docks["models"], docks["prompts"]], [models, height - models], _DOWN)
        window.resizeDocks([docks["metrics"], docks["completions"]],
                           [height * 9 // 20, height * 11 // 20], _DOWN)
