"""Collecting cyclic garbage on the window's thread alone."""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

_EVERY_MS = 500


class GarbageCollector(QObject):
    """Collects when Python would, but here, for as long as its parent lives.

    Python collects on whichever thread happens to allocate. On the training thread that may be the
    end of a menu or a dialog, and Qt deletes those for good only on the window's thread: the two
    then wait for each other for ever.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._was_enabled = gc.isenabled()
        gc.disable()
        self._timer = QTimer(self, interval=_EVERY_MS)
        self._timer.timeout.connect(self.collect)
        self._timer.start()

    def collect(self) -> None:
        """Collect the generations whose time has come."""
        for generation, (count, limit) in enumerate(
            zip(gc.get_count(), gc.get_threshold(), strict=True)
        ):
            if count <= limit:
                break
            gc.collect(generation)

    def settle(self) -> None:
        """Leave what is there now alone from here on, such as the modules of torch: to look
        through all of it takes a tenth of a second."""
        gc.collect()
        gc.freeze()

    def close(self) -> None:
        """Leave collecting to Python again, once no thread but this one is left."""
        self._timer.stop()
        gc.collect()
        if self._was_enabled:
            gc.enable()
