"""How a classifier reads prompt and completion: a small button that says it, with a menu."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QToolButton

from workbench.gui.widgets.controls import describe, named
from workbench.gui.widgets.plain_text import plain_tip
from workbench.training.events import ModelFacts
from workbench.training.reward_parts import Reads

_TIP = ("How the classifier reads prompt and completion. A score means something only for texts "
        "like those it was trained on")
_CHOICES: dict[Reads, tuple[str, str]] = {
    "auto": ("Automatic", "Chat turns where its tokenizer has a chat template, else one text"),
    "text": ("One text", "The prompt, and the completion after it"),
    "segments": ("Two segments", "Prompt and completion as a pair, as encoders that compare "
                                 "two texts are trained (OpenAssistant's DeBERTa, say)"),
    "chat": ("Chat turns", "The prompt as the user's turn and the completion as the answer, in "
                           "its tokenizer's chat template"),
}
_END = "End of text token"


class ReadingButton(QToolButton):
    """``changed`` tells that something else was chosen."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "reading")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        group = QActionGroup(self)
        self._ways: dict[Reads, QAction] = {}
        for way, (title, tip) in _CHOICES.items():
            action = self._ways[way] = menu.addAction(title)
            action.setToolTip(plain_tip(tip))
            action.setCheckable(True)
            group.addAction(action)
            action.triggered.connect(partial(self._chose, way))
        menu.addSeparator()
        self._end = menu.addAction(_END)
        self._end.setCheckable(True)
        self._end.setToolTip(plain_tip(
            "End every text with the tokenizer's end-of-sequence token (EOS), as TRL's "
            "RewardTrainer does in training"))
        self._end.triggered.connect(self._chose_end)
        self.setMenu(menu)
        self.reads: Reads = "auto"
        self.end_token = False
        self._facts: ModelFacts | None = None
        self._draw()

    def set_place(self, name: str, title: str) -> None:
        """Take the names of the part of the reward that this is about."""
        named(self, f"{name}_reads", f"How {title.lower()} reads", _TIP)
        self._draw()

    def show_choice(self, reads: Reads, end_token: bool) -> None:
        """Show what is chosen."""
        self.reads, self.end_token = reads, end_token
        self._draw()

    def show_facts(self, facts: ModelFacts | None) -> None:
        """Show what is loaded; None where that is another."""
        self._facts = facts
        self._draw()

    def _chose(self, way: Reads, _: bool = True) -> None:
        self.show_choice(way, self.end_token)
        self.changed.emit()

    def _chose_end(self, on: bool) -> None:
        self.show_choice(self.reads, on)
        self.changed.emit()

    def _draw(self) -> None:
        self._ways[self.reads].setChecked(True)
        self._end.setChecked(self.end_token)
        facts, way = self._facts, self.reads
        here = facts is not None and way in ("auto", facts.reads)
        if facts is not None and here and facts.reads in _CHOICES:
            way = facts.reads
        said = _CHOICES[way][0].lower() + (", end token" if self.end_token else "")
        self.setText(f"Reads: {said}")
        about = f"{_TIP}\nNow: {said}"
        if facts is not None and here:
            most = f"{facts.limit:,} tokens of a text" if facts.limit else "texts of any length"
            about += f"; it reads {most}" + (", of longer ones the end" if facts.limit else "")
        describe(self, about)
