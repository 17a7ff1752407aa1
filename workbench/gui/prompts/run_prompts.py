"""The prompts a run trains beside those of the next run, where the two are not the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QListWidget,
    QStackedWidget,
    QWidget,
)

from workbench.gui.prompts.view import PromptsView
from workbench.gui.widgets.controls import named, tool_button
from workbench.gui.widgets.layouts import hbox, vbox
from workbench.gui.widgets.plain_text import without_mnemonic
from workbench.store.records import Prompt

_LONGEST_NAME = 12
_LONGEST = 200  # characters of a prompt that a row of the list shows


class PromptsOfRun(QWidget):
    """Holds the working set. Where a run's prompts are others, a switch shows either; only the
    working set can be edited. ``titled`` carries what the dock is to be called."""

    titled = Signal(str)

    def __init__(self, view: PromptsView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = view
        self._run: tuple[int, str, tuple[str, ...]] | None = None
        self.run_button = tool_button("", "prompts_of_run", "Prompts of the run",
                                      "The prompts of the run on display; a run keeps its own")
        self.next_button = tool_button("", "prompts_of_next", "Prompts of the next run",
                                       "The prompts that Start would train on, to be edited")
        self._switch = QWidget()
        row = hbox(self._switch, margins=(8, 8, 8, 0), spacing=4)
        group = QButtonGroup(self)
        for button in (self.run_button, self.next_button):
            button.setCheckable(True)
            group.addButton(button)
            row.addWidget(button)
        row.addStretch(1)
        group.buttonToggled.connect(lambda *_: self._show())
        self.list = named(QListWidget(), "run_prompts", "Prompts of the run", "")
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setUniformItemSizes(True)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = vbox(self, self._switch, spacing=0)
        self._pages = QStackedWidget(self)
        layout.addWidget(self._pages, 1)
        framed = QWidget(self._pages)
        vbox(framed, self.list, margins=8)
        self._pages.addWidget(view)
        self._pages.addWidget(framed)
        self.setFocusProxy(view)
        self.next_button.setChecked(True)
        view.changed.connect(self._edited)
        self._show()

    def show_run(self, run_id: int | None, name: str, read: Callable[[int], Sequence[Prompt]],
                 training: bool) -> None:
        """Let the prompts of a run be seen, which ``read`` gives; of one that is training, at
        once."""
        if run_id is None:
            self._run = None
        elif self._run is not None and self._run[0] == run_id:
            self._run = run_id, name, self._run[2]
        else:
            texts = tuple(p.text for p in read(run_id))
            self._run = run_id, name, texts
            self.list.clear()
            self.list.addItems([" ".join(text[:_LONGEST].split()) for text in texts])
            (self.run_button if training else self.next_button).setChecked(True)
        self._show()

    def sizeHint(self) -> QSize:
        """Be as large as the working set likes."""
        return self.view.sizeHint()

    def _edited(self) -> None:
        if self._switch.isHidden():  # what is being edited stays in view
            self.next_button.setChecked(True)
        self._show()

    def _show(self) -> None:
        following = tuple(p.text for p in self.view.prompts() if p.enabled and p.text.strip())
        other = self._run is not None and self._run[2] != following
        shows_run = other and self.run_button.isChecked()
        self._switch.setVisible(other)
        self._pages.setCurrentIndex(1 if shows_run else 0)
        if self._run is not None and other:
            name, texts = without_mnemonic(self._run[1]), self._run[2]
            self.run_button.setText(f"{name} ({len(texts):,})")
            self.next_button.setText(f"Next run ({len(following):,})")
            # A long title would push its neighbours off the tab bar.
            short = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
            self.titled.emit(f"Prompts of {short}" if shows_run else "Prompts (next run)")
        else:
            self.titled.emit("Prompts")
