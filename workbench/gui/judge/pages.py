"""What stands in place of a pair: how to begin, or that all are marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QPushButton, QSizePolicy, QStackedWidget, QWidget

from workbench.gui.judge.stage import is_undo
from workbench.gui.widgets.controls import describe, enable, label, push_button
from workbench.gui.widgets.layouts import STRETCH, hbox, vbox
from workbench.gui.widgets.plain_text import without_mnemonic
from workbench.gui.widgets.theme import set_look

_ROW = 3  # buttons beside one another


@dataclass(frozen=True, slots=True)
class Offer:
    """What a button of a page does; ``why_not`` is why it cannot now."""

    text: str
    tip: str
    call: Callable[[], object]
    why_not: str = ""


class CurrentPage(QStackedWidget):
    """Pages of which the one that is shown alone decides how high they are."""

    def __init__(self, pages: Sequence[QWidget]) -> None:
        super().__init__()
        self._pages = pages
        for page in pages:
            self.addWidget(page)
        self._fit()
        self.currentChanged.connect(self._fit)

    def _fit(self, _: int = 0) -> None:
        for page in self._pages:
            policy = page.sizePolicy()
            policy.setVerticalPolicy(
                QSizePolicy.Policy.Preferred if page is self.currentWidget()
                else QSizePolicy.Policy.Ignored)
            page.setSizePolicy(policy)


class OfferPage(QWidget):
    """A heading, a sentence, and what can be done about it, the first of which is the main one. Its
    keys are those of the stage that mean something without a pair."""

    stepped = Signal(int)
    undo_wanted = Signal()

    def __init__(self, name: str, buttons: int) -> None:
        super().__init__()
        self.heading = label("", "heading", wrap=True, name=f"{name}_heading")
        self.sentence = label("", "muted", wrap=True, name=f"{name}_sentence")
        for text in (self.heading, self.sentence):
            text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._calls: list[Callable[[], object]] = [lambda: None] * buttons
        self.buttons: list[QPushButton] = []
        for place in range(buttons):
            self.buttons.append(push_button(
                "", f"{name}_{place + 1}", "", partial(self._call, place)))
        # Four in a row would be wider than a small window has room for.
        split = len(self.buttons) if len(self.buttons) <= _ROW else len(self.buttons) // 2
        rows = [hbox(None, STRETCH, *row, STRETCH, spacing=8)
                for row in (self.buttons[:split], self.buttons[split:]) if row]
        vbox(self, STRETCH, self.heading, self.sentence, *rows, STRETCH, margins=16, spacing=8)

    def event(self, event: QEvent) -> bool:
        """Keep Ctrl+Z here for the last mark."""
        if event.type() == QEvent.Type.ShortcutOverride and is_undo(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The left arrow goes back to the last pair, Ctrl+Z takes the last mark back."""
        if event.key() == Qt.Key.Key_Left:
            self.stepped.emit(-1)
        elif is_undo(event):
            self.undo_wanted.emit()
        else:
            super().keyPressEvent(event)

    def show_offers(self, heading: str, sentence: str, offers: Sequence[Offer]) -> None:
        """Say what stands here now; an offer without a text is left out."""
        self.heading.setText(heading)
        self.sentence.setText(sentence)
        main = next((place for place, offer in enumerate(offers)
                     if offer.text and not offer.why_not), -1)
        for place, button in enumerate(self.buttons):
            offer = offers[place] if place < len(offers) else Offer("", "", lambda: None)
            self._calls[place] = offer.call
            button.setText(without_mnemonic(offer.text))
            button.setAccessibleName(offer.text)
            describe(button, offer.tip)
            enable(button, not offer.why_not, offer.why_not)
            button.setVisible(bool(offer.text))
            set_look(button, role="primary" if place == main else "")

    def _call(self, place: int) -> None:
        self._calls[place]()
