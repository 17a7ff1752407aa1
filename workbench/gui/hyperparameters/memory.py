"""The memory a run will take: a line beside the hyperparameters, and what it is made of."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QGridLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStyleOptionButton,
    QWidget,
)

from workbench.formatting import size
from workbench.gui.widgets.controls import label, named
from workbench.gui.widgets.dialog import Dialog
from workbench.gui.widgets.plain_text import plain_tip
from workbench.gui.widgets.theme import number_font, set_look
from workbench.training.events import MemoryEstimated

_AROUND = 4  # pixels beside the line
_LEAST = 2**19  # bytes worth a line
_PARTS = {
    "Policy": "Its weights, in float32; with LoRA the adapters as well",
    "Reference": "The start policy's second copy, which KL is measured against; LoRA needs none",
    "Value model": "A separate one; a value head on the policy's trunk takes next to nothing",
    "Reward model": "Its weights",
    "Optimiser": "Adam's two running means of every trained weight",
    "Completions": "The tokens of a batch and what is known of each",
    "KV cache": "Keys and values of every token written so far; grows with batch and length",
    "Packed weights": "A copy laid out for the CPU's kernels, while tokens are written",
    "Sampling": "Choosing the next token from the whole vocabulary, and reading the prompts",
    "Reading": "Scoring, and reading the completions again with the reference",
    "Gradients": "One number for every trained weight",
    "Activations": "What the backward pass needs of each token; grows with Tokens at once",
    "Logits and backward pass": "Working space of the gradient",
    "Allocator": "What the system's memory manager holds on to between uses",
}


def line(event: MemoryEstimated) -> str:
    """Return the estimate in a few words."""
    times = f"{event.processes} × " if event.processes > 1 else ""
    return f"{times}about {size(event.needed)} of {size(event.available)} free"


def says(event: MemoryEstimated, instead: str) -> str:
    """Return the estimate in a sentence; of the models called ``instead``, where others are named
    than are loaded."""
    of = (f"This is for {instead}, which are loaded; what Models names is not loaded yet. "
          if instead else "")
    return of + (event.advice
                 or f"A run with these settings takes {line(event)} on {event.device}.")


class MemoryLine(QPushButton):
    """The estimate in one line; a click shows its parts. ``wanted`` carries settings that fit."""

    wanted = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        named(self, "memory_line", "Memory of a run",
              "How much memory a run with these settings takes; click for its parts")
        keeps = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        keeps.setRetainSizeWhenHidden(True)  # no field moves when the estimate comes
        self.setSizePolicy(keeps)
        self._event: MemoryEstimated | None = None
        self._instead = self._short = ""
        self.clicked.connect(self._open)
        self.hide()

    def show_estimate(self, event: MemoryEstimated) -> None:
        """Show what a run would take."""
        self._event = event
        self._say()

    def forget(self) -> None:
        """Show nothing until the next estimate."""
        self._event = None
        self.hide()

    def set_models(self, instead: str) -> None:
        """Say which models the estimate is for where they are not those named in Models."""
        self._instead = instead
        self._say()

    def _say(self) -> None:
        event = self._event
        if event is None:
            return
        of = "Loaded" if self._instead else "Memory"
        self._short = "may not fit" if event.advice else line(event)
        self.setText(f"{of}: {self._short}")
        said = says(event, self._instead)
        self.setToolTip(plain_tip(f"{said}\nClick for its parts."))
        self.setAccessibleDescription(said)
        set_look(self, role="bad" if event.advice else "quiet")
        self.show()

    def initStyleOption(self, option: QStyleOptionButton) -> None:
        """Leave out what there is no room for; the tooltip has it."""
        super().initStyleOption(option)
        option.text = self.fitting(self.width() - _AROUND)

    def fitting(self, room: int) -> str:
        """Return the line as far as it fits into ``room`` pixels: the numbers first."""
        metrics = self.fontMetrics()
        if metrics.horizontalAdvance(self.text()) <= room:
            return self.text()
        return metrics.elidedText(self._short, Qt.TextElideMode.ElideRight, room)

    def _open(self) -> None:
        if self._event is not None:
            MemoryDialog(self._event, self.wanted.emit, self.window(), self._instead).open()


class MemoryDialog(Dialog):
    """The parts of an estimate, phase by phase."""

    def __init__(self, event: MemoryEstimated, use: Callable[[object], object],
                 parent: QWidget, instead: str = "") -> None:
        super().__init__(parent, "memory_dialog", "Memory of a run")
        said = label(says(event, instead), "error" if event.advice else "", wrap=True)
        self.body.addWidget(said)
        scroll = QScrollArea(widgetResizable=True)
        scroll.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # for the arrow keys, where it is long
        named(scroll, "memory_table", "Memory by phase and part", "")
        page = self._table(event)
        scroll.setWidget(page)
        self.body.addWidget(scroll, 1)
        self.body.addWidget(label(
            "What decides is the phase that needs most. Measured on the loaded models, for "
            "completions of full length.", "muted", wrap=True))
        if event.changes:
            self.add_accept("Use what fits", "use_what_fits",
                            "Put the settings that fit into the form")
            self.accepted.connect(lambda: use(event.changes))
        table = page.sizeHint()
        width = table.width() + 56
        more = said.heightForWidth(width - 32) - said.fontMetrics().lineSpacing()
        self.finish("Close", "Close the table", width, table.height() + 144 + more)

    def _table(self, event: MemoryEstimated) -> QWidget:
        page = QWidget()
        grid = QGridLayout(page)
        grid.setContentsMargins(0, 0, 12, 0)
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(0, 1)
        there = [name for parts in event.phases.values() for name in parts]
        names = [name for name in dict.fromkeys([*_PARTS, *there]) if any(
            parts.get(name, 0) >= _LEAST for parts in event.phases.values())]
        for column, (phase, parts) in enumerate(event.phases.items(), start=1):
            grid.addWidget(label(_heading(phase.value), "heading"), 0, column,
                           Qt.AlignmentFlag.AlignRight)
            total = sum(parts.values())
            for row, name in enumerate(names, start=1):
                self._put(grid, row, column, parts.get(name, 0))
            self._put(grid, len(names) + 1, column, total,
                      "heading" if total == event.needed else "")
        for row, name in enumerate(names, start=1):
            part = label(name)
            part.setToolTip(plain_tip(_PARTS.get(name, name)))
            grid.addWidget(part, row, 0)
        grid.addWidget(label("Together", "heading"), len(names) + 1, 0)
        grid.setRowStretch(len(names) + 2, 1)
        return page

    def _put(self, grid: QGridLayout, row: int, column: int, count: int, role: str = "") -> None:
        cell = label(size(count) if count >= _LEAST else "", role)
        if role != "heading":
            cell.setFont(number_font())
        grid.addWidget(cell, row, column, Qt.AlignmentFlag.AlignRight)


def _heading(phase: str) -> str:
    what = phase.partition(": ")[2] or phase
    return what[0].upper() + what[1:]
