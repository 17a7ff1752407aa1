import gc
import threading
import weakref

from PySide6.QtCore import QObject

from workbench.gui.garbage import GarbageCollector


class Cycle:
    def __init__(self) -> None:
        self.me = self


def churn() -> None:
    """Allocate as the training thread does: enough for Python to collect on this thread."""
    kept = [Cycle() for _ in range(20_000)]
    del kept


def test_garbage_is_collected_here_and_on_no_other_thread(qapp: object) -> None:
    gc.enable()
    parent = QObject()
    collector = GarbageCollector(parent)
    try:
        left = weakref.ref(Cycle())
        thread = threading.Thread(target=churn)
        thread.start()
        thread.join()
        assert left() is not None
        collector.collect()
        assert left() is None
        collector.close()
        assert gc.isenabled()
    finally:
        gc.disable()
        del collector, parent
