"""The card of the feedback tour: where one stands in it, what to do, and the button for it."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from workbench.gui.widgets.controls import describe, enable, label, named
from workbench.gui.widgets.dialog import Dialog
from workbench.gui.widgets.layouts import hbox
from workbench.gui.widgets.plain_text import without_mnemonic

_WIDTH, _GAP, _BELOW = 288, 4, 40  # pixels: of itself, beside it, and below it
_INSIDE = 12, 6  # pixels: its margins, and between its lines
_TWO_LINES = "0 of 10 marked. No pair is left: have the policy write more."
"""Room for so much of what is said is kept, so that no step moves the card's upper edge."""


@dataclass(frozen=True, slots=True)
class Step:
    """A card: what it says, and what its button does; no ``button``: it goes on by itself.
    ``later``: the button is there only once it is offered."""

    title: str
    text: str
    button: str = ""
    tip: str = ""
    later: bool = False


STEPS = (
    Step("Teach the policy your taste",
         "You say of ten pairs of texts which one is better. A small model learns your taste from "
         "that, and the policy learns to write what you like. It takes about five minutes, with "
         "the models and prompts that are loaded.",
         "Write the pairs", "Have the policy complete prompts twice each"),
    Step("Say which one is better",
         "Choose a taste and stay with it: the shorter text, say, or the friendlier one. Press 1 "
         "for the left text, 2 for the right one, Z to take the last one back. Ties and Both bad "
         "do not count towards the ten: they do not say which one is better.",
         "Write more pairs", "Have the policy complete more prompts twice each", later=True),
    Step("Make a reward of it",
         "Your ten choices become a reward: a model that scores any text as you would. It is "
         "trained in less than a minute with the bundled policy.",
         "Make the reward", "Train a reward model on what you said"),
    Step("Your taste is being learned",
         "Metrics shows how often the model agrees with your choices. It takes each pair several "
         "times; ten are few, so that it may take you for somebody else."),
    Step("Let the policy learn by it",
         "PPO has the policy write, scores that by your reward, and makes the better texts "
         "likelier. The more the reward rises, the more the policy writes what you like, or what "
         "the reward takes for it.",
         "Learn by it", "Begin a run with the new reward"),
    Step("The policy learns",
         "Watch the reward rise in Metrics, and the texts in Completions. Stop whenever you have "
         "seen enough."),
    Step("Before and after",
         "Completions shows what the start policy wrote beside what the policy writes now. Where "
         "you do not like what you see, say so in Judge: with more marks the reward knows you "
         "better.",
         "End the tour", "Close this card; the run and your marks stay"),
)
"""The tour, card by card."""


class TourDialog(Dialog):
    """Stands beside the window's work and never before it. ``wanted``: the step's button was
    pressed."""

    wanted = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, "feedback_tour", "Feedback tour")
        self.setModal(False)
        self._over = parent.window()
        self.setMinimumWidth(_WIDTH)
        self.step = self._least = 0
        self.count = label(role="muted", name="tour_count", title="Step of the tour")
        self.heading = label(role="heading", wrap=True, name="tour_heading")
        self.sentence = label(wrap=True, name="tour_text")
        self.said = label(role="muted", wrap=True, name="tour_said")
        self.progress = named(QProgressBar(textVisible=False), "tour_progress",
                              "Pairs that you have marked", "")
        for widget in (self.heading, self.sentence, self.said, self.progress):
            self.body.addWidget(widget)
        self.body.addStretch(1)
        self.body.setSpacing(_INSIDE[1])
        self.ok = self.add_action("Go on", "tour_go_on", "", self.wanted.emit)
        self.ok.setProperty("role", "primary")
        self.finish("Close", "Leave the tour; what was made stays")
        layout = self.layout()
        assert isinstance(layout, QVBoxLayout)
        layout.removeWidget(self.buttons)
        layout.addLayout(hbox(None, self.count, (self.buttons, 1)))
        layout.setContentsMargins(*[_INSIDE[0]] * 4)
        layout.setSpacing(_INSIDE[1])
        self._least = max(self._height_of(step) for step in range(len(STEPS)))
        self.show_step(0)

    def show_step(self, step: int, said: str = "") -> None:
        """Show a step, with what is to be said beside it."""
        self.step, card = step, STEPS[step]
        self.count.setText(f"Step {step + 1} of {len(STEPS)}")
        self.heading.setText(card.title)
        self.sentence.setText(card.text)
        self.say(said)
        self.progress.hide()
        self.ok.setText(without_mnemonic(card.button or "Go on"))
        self.ok.setAccessibleName(card.button or "Go on")
        describe(self.ok, card.tip)
        self.offer(bool(card.button) and not card.later)
        self.allow("")
        self.fit()

    def fit(self) -> None:
        """Be as narrow as its buttons let it, and as high as its text needs then."""
        layout = self.layout()
        assert layout is not None
        self.buttons.updateGeometry()
        layout.activate()
        width = max(_WIDTH, layout.totalMinimumSize().width())
        self.resize(width, max(self._least, layout.totalHeightForWidth(width)))

    def _height_of(self, step: int) -> int:
        """Return how high a step is with two lines of what is said."""
        self.show_step(step, _TWO_LINES)
        self.offer(True)
        self.progress.setVisible(step == 1)
        self.fit()
        return self.height()

    def offer(self, offered: bool) -> None:
        """Show the button of the step, or hide it."""
        self.ok.setVisible(offered)

    def say(self, said: str) -> None:
        """Say how things stand."""
        self.said.setText(said)
        self.said.setVisible(bool(said))
        self.fit()

    def allow(self, why_not: str) -> None:
        """Let the button be pressed, or say why it cannot be now."""
        enable(self.ok, not why_not, why_not)

    def show_progress(self, done: int, of: int) -> None:
        """Show how many pairs are marked."""
        self.progress.setRange(0, of)
        self.progress.setValue(min(done, of))
        self.progress.show()

    def stand(self, *below: QWidget) -> None:
        """Show it at the lower left of the window, over the list of the ``below``, docks that stand
        there and of which it does not speak: their tabs, models, pairs, plots, texts and the
        buttons of the run stay in sight."""
        self.setWindowFlag(Qt.WindowType.Tool, True)
        self.show()
        around = self._over.frameGeometry()
        bottom = around.bottom() - _BELOW
        for dock in below:
            if not dock.visibleRegion().isEmpty():
                bottom = dock.mapToGlobal(dock.rect().bottomLeft()).y()
        self.move(around.left() + _GAP, bottom - self.frameGeometry().height() - _GAP)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Grow upwards, as a longer text needs more room."""
        super().resizeEvent(event)
        if self.isVisible():
            self.move(self.x(), self.y() + event.oldSize().height() - event.size().height())
