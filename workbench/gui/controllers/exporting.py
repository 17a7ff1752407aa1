"""Exporting a run's policy: as it stood when, to which folder, and where it lies then."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QStandardPaths
from PySide6.QtWidgets import QComboBox, QGridLayout, QLineEdit, QWidget

from workbench.algorithms import algorithm_of_run
from workbench.gui.widgets.controls import label, named, push_button
from workbench.gui.widgets.dialog import Dialog, choose_file
from workbench.gui.widgets.file_manager import show_folder
from workbench.store.folders import why_not_writable
from workbench.store.reward_models import called, made_rewards, titles
from workbench.training.commands import Command, ExportRun
from workbench.training.events import Exported, RewardModelMade

if TYPE_CHECKING:
    from workbench.gui.main_window import MainWindow
    from workbench.store.store import Store


_CLASSIFIER = "AutoModelForSequenceClassification"
_STANDARDISED = (" Its scores have mean 0 and deviation 1 on what the policy writes, as far as its "
                 "architecture has a place for the mean.")


class Exporting(QObject):
    """Sends ExportRun after the question for checkpoint and folder, and tells how it went."""

    def __init__(self, window: MainWindow, store: Store,
                 send: Callable[[Command], None]) -> None:
        super().__init__(window)
        self._window, self._store, self._send = window, store, send
        self._last: Path | None = None
        self._made: RewardModelMade | None = None
        window.runs.refreshed.connect(self.refresh)

    def ask(self, run_id: int) -> None:
        """Ask what to export of a run, and where to."""
        run = self._store.run(run_id)
        if run is None:
            return
        cycles = [c.cycle for c in reversed(self._store.checkpoints.all(run_id))]
        base = self._last or Path(QStandardPaths.writableLocation(
            QStandardPaths.StandardLocation.DocumentsLocation))
        dialog = ExportDialog(
            run.name, cycles, base, self._window, algorithm_of_run(run).makes)
        dialog.accepted.connect(lambda: self._export(run_id, dialog))
        dialog.open()

    def done(self, event: Exported) -> None:
        """Tell where a policy has been written."""
        run = self._store.run(event.run_id)
        name = run.name if run else f"run {event.run_id}"
        self._window.toast.show_offer(
            f"The {event.what} of {name} {_when(event.cycle)} was exported to {event.folder}"
            f"{'. ' + event.note if event.note else ', read back and found the same.'}",
            "Show in folder", "Show the exported files",
            lambda: show_folder(Path(event.folder)), level="info")

    def made(self, event: RewardModelMade) -> None:
        """Take note of the reward model that a run has made; the run ends next."""
        self._made = event
        self.refresh()

    @property
    def last_made(self) -> RewardModelMade | None:
        """The reward model of the run that ends, before it is offered."""
        return self._made

    def forget_made(self) -> None:
        """Offer nothing of it."""
        self._made = None

    def run_ended(self) -> None:
        """Offer the reward model that the run has made, or say why there is none."""
        made, self._made = self._made, None
        if made is None:
            return
        if not made.folder:
            self._window.toast.show_message("warning", made.note)
            return
        self._window.toast.show_offer(
            f"The {called(made.run_id)} is among the rewards in Models now"
            f"{'. ' + made.note if made.note else '.'}",
            "Load it", "Let it be the reward, for the next run to learn from",
            lambda: self._load(made.folder), level="info")

    def refresh(self) -> None:
        """Offer the reward models that runs have made, by the names that the runs have now."""
        made = made_rewards(self._store.home)
        names = {run.id: run.name for run in self._store.runs()} if made else {}
        self._window.models.reward.set_made(titles(made, names))

    def _load(self, folder: str) -> None:
        self._window.models.reward.set_source(folder)
        self._window.reveal("models")
        self._window.models.load()

    def _export(self, run_id: int, dialog: ExportDialog) -> None:
        self._last = dialog.folder().parent
        self._send(ExportRun(run_id, str(dialog.folder()), dialog.cycle()))


class ExportDialog(Dialog):
    """Asks after which cycle and to which folder. Closes only with a folder that can be used."""

    def __init__(
        self, name: str, cycles: list[int], base: Path, parent: QWidget, what: str = "policy"
    ) -> None:
        """``cycles`` are those with checkpoints, latest first; ``base`` is the folder to offer a
        new one in, ``what`` is exported."""
        super().__init__(parent, "export_policy_dialog", f"Export {what}")
        self.setMinimumWidth(480)
        self._name, self._base, self._offered = name, base, ""
        self._cycles = named(QComboBox(), "export_cycle", "As it stood",
                             f"The {what} is exported as it stood at one of the run's "
                             "checkpoints, or at its start")
        for place, cycle in enumerate(cycles):
            last = ", the last checkpoint" if place == 0 else ""
            self._cycles.addItem(f"After cycle {cycle}{last}", cycle)
        self._cycles.addItem("At the start, before training", 0)
        self._cycles.currentIndexChanged.connect(self._offer)
        self._folder = named(QLineEdit(), "export_folder", "Folder",
                             "A folder that does not exist yet, or an empty one")
        browse = push_button("Browse…", "browse_export_folder", "Choose an empty folder",
                             self._browse)
        self._problem = named(label(role="error", wrap=True), "export_problem",
                              "Why the folder cannot be used", "Why the folder cannot be used")
        self._problem.hide()
        self._folder.textChanged.connect(self._problem.hide)
        self.body.addWidget(label(
            f"Saves the {what} of {name} with its tokenizer as a folder that transformers "
            f"({'AutoModelForCausalLM' if what == 'policy' else _CLASSIFIER}) and this workbench "
            "load. LoRA adapters are merged into its weights."
            f"{'' if what == 'policy' else _STANDARDISED}", wrap=True))
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(12)
        for row, (title, field) in enumerate(
            (("As it stood", self._cycles), ("Folder", self._folder)), start=1
        ):
            heading = label(title, "heading")
            heading.setBuddy(field)
            grid.addWidget(heading, row, 0)
            grid.addWidget(field, row, 1, 1, 2 if field is self._cycles else 1)
        grid.addWidget(browse, 2, 2)
        grid.addWidget(self._problem, 3, 1, 1, 2)
        grid.setColumnStretch(1, 1)
        self.body.addLayout(grid)
        self.add_accept("Export", "export_now", f"Write the {what} to this folder")
        self.finish("Cancel", "Export nothing")
        self._offer()
        self._folder.setFocus()

    def cycle(self) -> int:
        """Return the cycle after which; 0 is the start."""
        return int(self._cycles.currentData())

    def folder(self) -> Path:
        """Return where to."""
        return Path(self._folder.text().strip()).expanduser()

    def accept(self) -> None:
        """Close if the folder can be used, else say why not."""
        problem = "Name a folder to export to."
        if self._folder.text().strip():
            problem = (why_not_writable(self.folder()) if self.folder().is_absolute()
                       else "Give the folder's whole path, or choose it with Browse.")
        if problem:
            self._problem.setText(problem)
            self._problem.show()
            self._folder.setFocus()
            self.fit()
        else:
            super().accept()

    def _offer(self) -> None:
        """Offer a new folder's name, unless the person has written another."""
        if self._folder.text() != self._offered:
            return
        stem = re.sub(r"\W+", "-", self._name.lower()).strip("-") or "policy"
        stem += f"-cycle-{self.cycle()}" if self.cycle() else "-start"
        folder, more = self._base / stem, 2
        while why_not_writable(folder) and folder.exists():
            folder, more = self._base / f"{stem}-{more}", more + 1
        self._offered = str(folder)
        self._folder.setText(self._offered)

    def _browse(self) -> None:
        choose_file(self, "export_folder_dialog", "Folder to export to",
                    lambda paths: self._folder.setText(str(paths[0])), folder=True,
                    at=str(self._base))


def _when(cycle: int) -> str:
    return f"after cycle {cycle}" if cycle else "at its start"
