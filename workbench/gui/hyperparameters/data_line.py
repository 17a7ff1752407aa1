"""The line that says which pairs an algorithm learns from, and lets the person choose others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu

from workbench.gui.widgets.button_line import ButtonLine
from workbench.gui.widgets.controls import enable
from workbench.gui.widgets.dialog import choose_file
from workbench.records import PairData
from workbench.store.records import RunRecord
from workbench.training.pair_data import (
    PairDataError,
    bundled_pairs,
    pairs_from_run,
    pairs_of_file,
)

if TYPE_CHECKING:
    from workbench.store.store import Store

_RUNS = 12
"""So many of the last runs are offered."""
_FILTERS = "Pairs (*.jsonl *.json *.csv *.tsv *.parquet *.gz);;All files (*)"
_FILE, _OF_RUN = "file:", "run:"
_TIP = "Choose what is learned from: the bundled pairs, a file of pairs, or those that a run makes"


class DataLine(ButtonLine):
    """Hidden where an algorithm needs no pairs. What is chosen is read in the background."""

    message = Signal(str, str)

    def __init__(self) -> None:
        self._menu = QMenu()
        super().__init__("learns_from", "Learns from", "muted", "choose_pairs", "Choose…", _TIP,
                         self._choose)
        self.setContentsMargins(8, 0, 8, 0)
        self._store: Store | None = None
        self._run: Callable[[Callable[[], Any], Callable[[Any], None]], None] | None = None
        self.data: PairData | None = None
        """What the person chose; None: the bundled pairs."""
        self.reading = False
        """Whether what was chosen is still being read."""
        self.source = ""
        """What was chosen, to be remembered; nothing: the bundled pairs."""
        self._of_run: RunRecord | None = None
        self._wanted = False

    def attach(self, store: Store,
               run: Callable[[Callable[[], Any], Callable[[Any], None]], None]) -> None:
        """Read runs from ``store``, and files, by ``run``, which works in the background."""
        self._store, self._run = store, run
        self.restore(self.source)

    def show_for(self, learns_from: str, alive: bool) -> None:
        """Show where an algorithm learns from pairs; while a run is ``alive`` nothing can be
        chosen."""
        self._wanted = learns_from == "pairs"
        if not alive:
            self._of_run = None
        enable(self.button, not alive, "A run is on; other pairs can be chosen when it has ended.")
        self._say()

    def show_run(self, run: RunRecord | None) -> None:
        """Say what the run that is on learns from."""
        self._of_run = run if run is not None and run.data else None
        self._say()

    def open_file(self, path: Path) -> None:
        """Learn from the pairs of a file."""
        def read() -> tuple[PairData, tuple[str, ...]]:
            data, found = pairs_of_file(path)
            return data, found.problems
        self._read(f"{_FILE}{path}", read)

    def take_run(self, run_id: int) -> None:
        """Learn from the pairs that a run makes."""
        store = self._store
        if store is not None:
            self._read(f"{_OF_RUN}{run_id}", lambda: (pairs_from_run(store, run_id), ()))

    def take_bundled(self) -> None:
        """Learn from the bundled pairs."""
        self.data, self.source = None, ""
        self._say()

    def restore(self, source: str) -> None:
        """Choose again what :attr:`source` told."""
        self.source = source
        if self._run is None or not source:
            return
        if source.startswith(_FILE):
            self.open_file(Path(source.removeprefix(_FILE)))
        elif source.startswith(_OF_RUN) and (number := source.removeprefix(_OF_RUN)).isdecimal():
            self.take_run(int(number))

    def _read(self, source: str, work: Callable[[], tuple[PairData, tuple[str, ...]]]) -> None:
        if self._run is None:
            return

        def attempt() -> tuple[PairData, tuple[str, ...]] | PairDataError:
            try:
                return work()
            except PairDataError as error:
                return error
        self.reading = True
        self._run(attempt, lambda found: self._done(source, found))

    def _done(
        self, source: str, found: tuple[PairData, tuple[str, ...]] | PairDataError
    ) -> None:
        self.reading, again = False, source == self.source
        if isinstance(found, PairDataError):
            if again and self.data is None:  # what was chosen before the window was closed
                self.source = ""
            self.message.emit("warning", str(found))
            return
        (self.data, problems), self.source = found, source
        more = f" The first: {problems[0]}" if problems else ""
        if not again:
            self.message.emit("info", f"{self.data.what}: {self.data.summary}{more}")
        self._say()

    def _choose(self) -> None:
        menu = self._menu
        menu.clear()
        menu.setToolTipsVisible(True)
        menu.addAction("Bundled pairs").triggered.connect(self.take_bundled)
        menu.addAction("Pairs of a file…").triggered.connect(self._ask_file)
        menu.addSeparator()
        runs = [run for run in (self._store.runs() if self._store else ())
                if run.cycles][:_RUNS]
        for run in runs:
            menu.addAction(f"Pairs of {run.name}".replace("&", "&&")).triggered.connect(
                lambda _=False, number=run.id: self.take_run(number))
        if not runs:
            menu.addAction("Pairs of a run: there is none with a cycle yet").setEnabled(False)
        menu.popup(self.button.mapToGlobal(self.button.rect().bottomLeft()))

    def _ask_file(self) -> None:
        choose_file(self, "pairs_file", "Pairs to learn from",
                    lambda paths: self.open_file(paths[0]), filters=_FILTERS)

    def _say(self) -> None:
        if not self._wanted:
            self.say("", "")
            return
        if self._of_run is not None:
            what, number = str(self._of_run.data["what"]), int(self._of_run.data["pairs"])
            summary = str(self._of_run.data["summary"])
        else:
            data = self.data or bundled_pairs()
            what, number, summary = data.what, len(data.pairs), data.summary
        self.say(f"{what} ({number:,})",
                 f"Learns from {what}: {summary}")
