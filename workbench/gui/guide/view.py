"""The guide: a card follows the run and says in two sentences what happens and what it is for."""

from __future__ import annotations

from time import monotonic

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QScrollArea,
    QStackedWidget,
    QWidget,
)

from workbench.algorithm import Algorithm
from workbench.algorithms import algorithm_of_run, default_algorithm, guide_of, parts_of
from workbench.gui.background import Background
from workbench.gui.guide.canvas import Canvas
from workbench.gui.guide.drawings import is_known
from workbench.gui.guide.following import READING, Following
from workbench.gui.guide.results import Results, read_results
from workbench.gui.guide.scene import EXAMPLE, InHand, Scene, read_scene
from workbench.gui.guide.summary import Summary
from workbench.gui.run_view import RunView
from workbench.gui.widgets.controls import enable, label, named, push_button, tool_button
from workbench.gui.widgets.formula import formula_html, terms_html
from workbench.gui.widgets.layouts import STRETCH, hbox, vbox
from workbench.gui.widgets.theme import set_look
from workbench.guide import BEFORE, LOADING, Card
from workbench.store.records import LIVE
from workbench.store.store import Store
from workbench.training.events import PartReported, State
from workbench.training.states import ALIVE

_MS_A_WORD, _LEAST_MS = 250, round(1000 * READING)  # of reading
_SETTLE_MS = 600  # after which a part that has begun is not over at once
_WIDE = 260  # pixels
_BUSY = "A run is on; stop it, or wait for its end, to begin another."
_PHASES = {1: "Phase 1 · ", 2: "Phase 2 · ", 0: ""}


class GuideView(RunView):
    """Its card is that of the part of the cycle that is on, in the numbers of the run on display.
    Reads the store in the background, and only while it is on screen.

    ``opened`` carries the name of the dock that shows more.
    """

    opened = Signal(str)

    def __init__(self, store: Store, background: Background, parent: QWidget | None = None) -> None:
        super().__init__("guide_view", store, parent)
        self._background = background
        self._state = State.IDLE
        self._part, self._held = "", False
        self._over = False  # whether the run on display has ended
        self._algorithm: Algorithm | None = None
        self._asked = 0
        self._in_hand = InHand()
        self.scene = EXAMPLE
        self._read = False  # whether the card has been shown as long as reading it takes
        self._reading = QTimer(self, singleShot=True)
        self._reading.timeout.connect(self._has_read)
        self._settling = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._settling.timeout.connect(self._has_lasted)
        self._by_hand = False  # whether the person turned a page, by which following ended
        self._build()
        self._next = default_algorithm()
        self._use(self._next)

    # -- what the window tells

    def show_run(self, run_id: int | None) -> None:
        """Show a run, or none; of one that has ended what came of it."""
        if run_id != self.run_id:
            self.run_id, self.scene, self._in_hand = run_id, EXAMPLE, InHand()
            run = None if run_id is None else self.store.run(run_id)
            self.summary.show_results(None)
            self._use(algorithm_of_run(run) if run else self._next)
            if run is None:
                self.set_state(self._state)
            self._over = run is not None and run.status not in LIVE
            if self._over:
                self.following.end()
            elif run_id is not None:
                self.following.begin()
            elif self.following.row == self.following.summary:
                self.following.go_to(self.following.first(BEFORE))
            self._draw()
        self.load_soon()

    def expect(self, algorithm: Algorithm) -> None:
        """Tell of what the next run would learn by, while there is none on display."""
        self._next = algorithm
        if self.run_id is None:
            self._use(algorithm)
            self.set_state(self._state)

    def run_ended(self, run_id: int) -> None:
        """A run is over: say what came of it, if it is on display."""
        if run_id == self.run_id:
            self._part, self._over, self._in_hand = "", True, InHand()
            self.following.end()
            self._draw()
            self.load_soon()

    def show_summary(self) -> None:
        """Show what came of the run on display."""
        self.following.go_to(self.following.summary)
        self._draw()

    def set_state(self, state: State) -> None:
        """Say where the session stands: before a run there are cards of their own."""
        self._state = state
        self.summary.set_busy(_BUSY if state in ALIVE else "")
        if self.run_id is None:
            self.following.stand(LOADING if state in (State.IDLE, State.LOADING) else BEFORE)
            self._draw()
        elif self.alive and not self._part and state is State.PAUSED:
            self.following.end_cycle()
            self._draw()

    def set_alive(self, alive: bool) -> None:
        """Say whether the run on display is alive: it may have been so behind another."""
        came = alive and not self.alive
        super().set_alive(alive)
        if came and self._part:
            self.turn_to(self._part, self._held)

    def turn_to(self, part: str, held: bool) -> None:
        """The run that is alive is at this part of a cycle; ``held``: and stays there. Whoever
        looks at another run stays with that."""
        self._part, self._held = part, held
        if not self.alive:
            return
        if not part:
            self._settling.stop()
            if self._state is State.PAUSED:
                self.following.end_cycle()
            else:
                self.following.rest()
            self._draw()
            return
        self._over = False
        if held:
            self._settling.stop()
            self.following.stand(part)
            self.load_soon()
        else:
            self.following.turn(part, monotonic())
            self._settling.start()
            if self._read and self.following.fast:
                self.following.leaf()
        self._draw()

    def report(self, event: PartReported) -> None:
        """Something is known of a part of the cycle in hand."""
        if event.run_id == self.run_id:
            known = self._in_hand.metrics if event.cycle == self._in_hand.cycle else {}
            self._in_hand = InHand(event.cycle, {**known, **event.metrics})
            if event.done:
                self.load_soon()

    def save_state(self) -> dict[str, object]:
        """Return what the person chose."""
        return {"follow": self.follow_box.isChecked()}

    def restore_state(self, state: dict[str, object]) -> None:
        """Follow or not, as :meth:`save_state` told."""
        self.follow_box.setChecked(state.get("follow") is not False)

    # -- what the person does

    def go_back(self) -> None:
        """Show the card before; following waits."""
        self.go_to(self.following.row - 1)

    def go_on(self) -> None:
        """Show the next card; following waits."""
        self.go_to(self.following.row + 1)

    def go_to(self, row: int) -> None:
        """Show a card; following waits."""
        self._unfollow()
        self.following.go_to(row)
        self._draw()

    def show_part(self, part: str) -> None:
        """Show the first card of a part. Following waits if the run is at another one."""
        if self._part and self.alive and part != self._part:
            self._unfollow()
        if self.card_part() != part:
            self.following.go_to(self.following.first(part))
        self._draw()

    def _unfollow(self) -> None:
        self._by_hand = self._by_hand or self.follow_box.isChecked()
        self.follow_box.setChecked(False)

    def _follow(self, on: bool) -> None:
        following = self.following
        following.on = on
        self._by_hand = self._by_hand and not on
        if on and self._part and self.alive:
            here = self.card_part() == self._part
            following.go_to(following.row if here else following.first(self._part))
        elif on and self.run_id is None:
            self.set_state(self._state)
        elif on and self._over:
            following.end()
        self._draw()

    # -- showing

    @property
    def card(self) -> Card:
        """The card that shows."""
        return self.following.cards[self.following.row]

    def card_part(self) -> str:
        """Return the part whose card shows; "" for the summary and the cards before a run."""
        following = self.following
        return self.card.part if following.row < following.summary else ""

    def sizeHint(self) -> QSize:
        """A narrow column."""
        return QSize(_WIDE, 480)

    def _use(self, algorithm: Algorithm) -> None:
        if algorithm is self._algorithm:
            return
        self._algorithm = algorithm
        self._parts = {part.name: part for part in parts_of(algorithm)}
        self.following = Following(guide_of(algorithm).cards, list(self._parts))
        self.following.on = self.follow_box.isChecked()
        self._shown = -1
        self._draw()

    def load(self) -> None:
        """Read what the cards show of the run."""
        self._asked += 1
        asked, run_id, cards = self._asked, self.run_id, self.following.cards
        if run_id is None:
            self._show(asked, EXAMPLE)
        else:
            over, in_hand = self._over, self._in_hand
            self._background.run(
                lambda: (read_scene(self.store, run_id, cards, in_hand),
                         read_results(self.store, run_id) if over else None),
                lambda found: self._show(asked, *found))

    def _show(self, asked: int, scene: Scene, results: Results | None = None) -> None:
        if asked == self._asked:  # else another answer is on its way
            self.scene = scene
            self.summary.show_results(results)
            self._draw()

    def _has_read(self) -> None:
        self._read = True
        if self.following.leaf():
            self._draw()

    def _has_lasted(self) -> None:
        if self.following.lasted(self._read):
            self._draw()

    def _say_where(self) -> str:
        """Return where the run is, where that is no part of the card, and whether pages turn."""
        following, said = self.following, []
        if following.at and not following.live:
            title = self._parts[following.at].title
            said.append(f"The run is {'held ' if following.is_held else ''}at {title}.")
            if following.on and following.fast:
                said.append("Its cycles are faster than one reads; the cards come one by one.")
        elif self.alive and not following.at and self._state is State.PAUSED:
            said.append("The run is paused: this cycle is done.")
        if self._by_hand:
            said.append("You turned the page, so it no longer turns with the run; tick below to "
                        "have it do so.")
        return " ".join(said)

    def _draw(self) -> None:
        following = self.following
        now = self._say_where()
        self._now.setText(now)
        self._now.setVisible(bool(now))
        last = following.row == following.summary
        self._count.setText(f"{following.row + 1} of {following.summary + 1}")
        enable(self.back_button, following.row > 0, "This is the first card.")
        enable(self.next_button, not last, "This is the last page.")
        self._pages.setCurrentIndex(int(last))
        if following.row != self._shown:
            self._shown, self._read = following.row, False
            for area in (self._scroll, self._summary_scroll):
                area.verticalScrollBar().setValue(0)
            words = 0 if last else len(self.card.text.split())
            self._reading.start(max(_LEAST_MS, _MS_A_WORD * words))
        if last:
            self._where.setText("After a run")
            set_look(self._where, role="muted")
        else:
            self._draw_card(self.card)

    def _draw_card(self, card: Card) -> None:
        following, part = self.following, self._parts.get(card.part)
        where = f"{_PHASES[part.phase]}{part.title}" if part else (
            "Loading" if card.part == LOADING else "Before a run")
        if held := following.held:
            where += " · held here" + (f", {held[0]} of {held[1]}" if held[1] > 1 else "")
        elif following.live:
            where += " · on now"
        self._where.setText(where)
        set_look(self._where, role="accent" if following.live else "muted")
        card = card.read_with(self.scene.settings_of(card))
        self._title.setText(card.title)
        # Under an example no number of the run.
        said = self.scene.say(card) if is_known(self.scene, card) else ""
        self._said.setText(said)
        self._said.setVisible(bool(said))
        self.canvas.show_card(card, self.scene, said or card.text)
        self._text.setText(terms_html(card.text))
        self._formula.setText(formula_html(card.formula))
        self._formula.setVisible(bool(card.formula))
        self.more_button.setVisible(bool(card.view))
        self.more_button.setText(f"More in {card.view.capitalize()}")

    # -- making it

    def _build(self) -> None:
        self._where, self._count = label(role="muted", wrap=True), label(role="muted")
        self._count.setObjectName("guide_page")
        self._where.setMinimumWidth(1)
        self._title = label(role="heading", wrap=True, name="guide_title")
        self.canvas = Canvas()
        self._said = label(role="muted", wrap=True, name="guide_numbers")
        self._text = label(wrap=True, rich=True, name="guide_text")
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._formula = label(wrap=True, rich=True, name="guide_formula")
        self.more_button = push_button(
            "More", "guide_more", "Open the view that shows this in full",
            lambda: self.opened.emit(self.card.view))
        set_look(self.more_button, role="quiet")
        self._now = label(role="muted", wrap=True, name="guide_now")
        self._now.setContentsMargins(10, 2, 10, 0)
        head = hbox(None, (self._where, 1), self._count, margins=(10, 8, 10, 0), spacing=8)
        page = QWidget()
        vbox(
            page, self._title, self.canvas, self._said, self._text, self._formula,
            (self.more_button, 0, Qt.AlignmentFlag.AlignLeft), STRETCH, margins=(10, 4, 10, 8),
            spacing=6)
        self.summary = Summary()
        self._pages = QStackedWidget()
        self._scroll, self._summary_scroll = _scrolled(page), _scrolled(self.summary)
        self._pages.addWidget(self._scroll)
        self._pages.addWidget(self._summary_scroll)
        self.follow_box = named(
            QCheckBox("Turn with the run"), "guide_follow", "Turn pages with the run",
            "Show the card of the part of the cycle that the run is at; where cycles are faster "
            "than one reads, their cards one after the other. Back and Next switch it off")
        self.follow_box.setChecked(True)
        self.follow_box.toggled.connect(self._follow)
        self.back_button = tool_button(
            "‹", "guide_back", "Back", "The card before this one", "compact")
        self.next_button = tool_button(
            "›", "guide_next", "Next", "The card after this one", "compact")
        self.back_button.clicked.connect(lambda _=False: self.go_back())
        self.next_button.clicked.connect(lambda _=False: self.go_on())
        foot = hbox(None, (self.follow_box, 1), margins=(10, 4, 10, 8), spacing=6)
        for button in (self.back_button, self.next_button):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            foot.addWidget(button)
        vbox(self, head, (self._pages, 1), self._now, foot, spacing=0)


def _scrolled(page: QWidget) -> QScrollArea:
    area = QScrollArea(widgetResizable=True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # by which arrows scroll it
    area.setWidget(page)
    return area
