"""The checkpoints of a run: what is kept, why, how much disk it takes, and whether it is whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QTableWidget, QTableWidgetItem, QWidget

from workbench.algorithms import find_metric
from workbench.formatting import file_size
from workbench.gui.background import Background
from workbench.gui.widgets.controls import RIGHT, as_list, enable, label, named
from workbench.gui.widgets.dialog import Dialog, ask
from workbench.gui.widgets.plain_text import plain_tip
from workbench.learning.metrics import COMPARED
from workbench.store.checkpoints import Checkpoint, CheckpointError, best_of
from workbench.store.records import RunRecord

if TYPE_CHECKING:
    from workbench.store.store import Store

_COLUMNS = (("After cycle", "The last cycle the checkpoint knows"),
            (find_metric(COMPARED).label,
             "Mean reward on the compared prompts: of what the policy wrote after that cycle"),
            ("Size", "What it takes on disk"),
            ("Kept as", "Why it stays: one of the last, the best so far, pinned by you"),
            ("State", "Whether every byte is as it was written"))
_NUMBERS = (1, 2)


class CheckpointsView(Dialog):
    """Lists the checkpoints of one run; they can be pinned and deleted."""

    def __init__(self, run: RunRecord, store: Store, background: Background,
                 tell: Callable[[str, str], None], parent: QWidget) -> None:
        super().__init__(parent, "checkpoints", f"Checkpoints of {run.name}")
        self._run, self._store, self._background, self._tell = run, store, background, tell
        self._there: list[Checkpoint] = []
        self._whole: dict[int, bool] = {}
        self._closed = False
        self.finished.connect(self._close)
        self.table = named(QTableWidget(0, len(_COLUMNS)), "checkpoints_table",
                           f"Checkpoints of {run.name}", "One checkpoint a line")
        as_list(self.table)
        header = self.table.horizontalHeader()
        header.setMinimumSectionSize(header.fontMetrics().averageCharWidth() * 14)
        header.setStretchLastSection(True)
        for column, (title, tip) in enumerate(_COLUMNS):
            item = QTableWidgetItem(title)
            item.setToolTip(plain_tip(tip))
            if column in _NUMBERS:
                item.setTextAlignment(RIGHT)
            self.table.setHorizontalHeaderItem(column, item)
        self.table.itemSelectionChanged.connect(self._enable)
        self.summary = label(role="muted", wrap=True)
        self.pin_button = self.add_action(
            "Pin", "pin_checkpoint", "Keep this checkpoint until you unpin or delete it", self.pin)
        self.delete_button = self.add_action(
            "Delete…", "delete_checkpoint", "Remove this checkpoint from disk for good",
            self.delete)
        self.body.addWidget(self.table, 1)
        self.body.addWidget(self.summary)
        self.finish("Close", "Close the list", 560, 320)
        self.refresh()
        for checkpoint in self._there:
            self._background.run(
                partial(store.checkpoints.is_whole, run.id, checkpoint.cycle),
                partial(self._verified, checkpoint.cycle))

    def refresh(self) -> None:
        """Read the checkpoints again; the selected line stays selected."""
        selected = self.selected()
        self._there = self._store.checkpoints.all(self._run.id)[::-1]
        best, compared = best_of(self._there), find_metric(COMPARED)
        keep = self._keep()
        self.table.setRowCount(len(self._there))
        for row, checkpoint in enumerate(self._there):
            score = "–" if checkpoint.score is None else compared.text(checkpoint.score)
            why = [word for word, true in (
                ("last", row < keep), ("best", best is not None and checkpoint.cycle == best.cycle),
                ("pinned", checkpoint.pinned)) if true]
            whole = self._whole.get(checkpoint.cycle)
            state = "checking…" if whole is None else "whole" if whole else "damaged"
            texts = (str(checkpoint.cycle), score, file_size(checkpoint.bytes),
                     ", ".join(why) or "–", state)
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                if column in _NUMBERS:
                    item.setTextAlignment(RIGHT)
                self.table.setItem(row, column, item)
        rows = [c.cycle for c in self._there]
        if rows:
            at = rows.index(selected.cycle) if selected and selected.cycle in rows else 0
            self.table.selectRow(at)
        self._summarise(keep)
        self._enable()

    def selected(self) -> Checkpoint | None:
        """Return the checkpoint of the selected line."""
        row = self.table.currentRow()
        return self._there[row] if 0 <= row < len(self._there) else None

    def pin(self) -> None:
        """Pin the selected checkpoint, or unpin it."""
        checkpoint = self.selected()
        if checkpoint:
            try:
                self._store.checkpoints.pin(
                    self._run.id, checkpoint.cycle, not checkpoint.pinned)
            except CheckpointError as error:
                self._tell("error", str(error))
            self.refresh()

    def delete(self) -> None:
        """Ask, then delete the selected checkpoint."""
        checkpoint = self.selected()
        if checkpoint:
            ask(self, "delete_checkpoint_question", "Delete checkpoint",
                f"Delete the {'pinned ' * checkpoint.pinned}checkpoint after cycle "
                f"{checkpoint.cycle:,}?",
                f"{self._run.name} can then no more go on, be forked, tried or exported as it "
                "stood there. Its curves and completions stay.",
                (("&Delete", "confirm_delete_checkpoint", "Remove it; this cannot be undone",
                  lambda: self._delete(checkpoint.cycle)),), destroys=True)

    def _delete(self, cycle: int) -> None:
        try:
            self._store.checkpoints.remove(self._run.id, cycle)
        except OSError as error:
            self._tell("error", f"The checkpoint could not be deleted ({error.strerror}).")
        self.refresh()

    def _keep(self) -> int:
        return int(self._store.settings_planned(self._run.id).get("keep_checkpoints", 1))

    def _summarise(self, keep: int) -> None:
        if not self._there:
            self.summary.setText("There is no checkpoint: a resume begins this run again.")
            return
        count = len(self._there)
        total = file_size(sum(c.bytes for c in self._there))
        last = "the last one" if keep == 1 else f"the last {keep}"
        self.summary.setText(
            f"{count} checkpoint{'' if count == 1 else 's'}, {total} in all. While the run goes "
            f"on, {last}, the best and the pinned ones are kept.")

    def _enable(self) -> None:
        checkpoint = self.selected()
        self.pin_button.setText("Unpin" if checkpoint and checkpoint.pinned else "Pin")
        self.pin_button.setAccessibleName(self.pin_button.text())
        for button in (self.pin_button, self.delete_button):
            enable(button, checkpoint is not None, "Select a checkpoint first.")

    def _verified(self, cycle: int, whole: bool) -> None:
        if not self._closed:
            self._whole[cycle] = whole
            self.refresh()

    def _close(self) -> None:
        self._closed = True
