"""The Judge dock: a person says which of two completions is better, pair after pair."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QApplication, QSplitter, QWidget

from workbench.formatting import counted
from workbench.gui.judge import saying
from workbench.gui.judge.adding import Adding, TryEvent
from workbench.gui.judge.asking import Asking
from workbench.gui.judge.bar import PERSON, Bar, without_newlines
from workbench.gui.judge.guidelines import Guidelines
from workbench.gui.judge.kept_line import KeptLine
from workbench.gui.judge.making import TEXT, TIP, Making
from workbench.gui.judge.menus import Menus
from workbench.gui.judge.pages import CurrentPage, Offer, OfferPage
from workbench.gui.judge.queue import ALL, MARKED, OTHERWISE, SHOWN, Queue, other_marks
from workbench.gui.judge.sets import Sets
from workbench.gui.judge.stage import Said, Stage
from workbench.gui.run_view import RunView
from workbench.gui.thumbs import Thumbs
from workbench.gui.widgets.controls import enable
from workbench.gui.widgets.form_scroll import FormScroll
from workbench.gui.widgets.layouts import hbox, vbox
from workbench.gui.widgets.theme import themes
from workbench.store.home import StoreError
from workbench.store.judged import (
    Choice,
    JudgedPair,
    shown_left,
)
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.reward_making import too_few

if TYPE_CHECKING:
    from workbench.gui.background import Background
    from workbench.store.records import Prompt
    from workbench.store.store import Store



class JudgeView(RunView):
    """``command`` carries what to send, ``message`` what to tell; ``saved`` a file that was
    written; ``learn_wanted`` the name of a set that is to be learned from."""

    command = Signal(object)
    message = Signal(str, str)
    saved = Signal(object, str)
    learn_wanted = Signal(str)
    marked = Signal()
    """A pair was marked, or others are shown."""
    _kept = Signal(object)

    def __init__(self, store: Store, background: Background,
                 prompts: Callable[[], Sequence[Prompt]],
                 decoding: Callable[[], Mapping[str, float | int]],
                 parent: QWidget | None = None) -> None:
        """``prompts`` gives what the table of prompts holds, ``decoding`` how Try samples."""
        super().__init__("judge_view", store, parent)
        self._background = background
        self.person = saying.user()
        self.sets = Sets(self, store, background, self.settle)
        self.sets.turned.connect(self._turned)
        self.sets.message.connect(self.message)
        self.sets.saved.connect(self.saved)
        self.queue = Queue()
        self._pair: JudgedPair | None = None
        self._left: Choice = "first"
        self._began = 0.0
        self._last = ""
        self._asked: Future[int] | None = None
        """The last mark that was to be kept."""
        self._others: Mapping[int, Choice] | None = None
        """What another person said of the pairs, where that is held against this one's marks."""
        self._people: dict[str, int] = {}
        """Others who have marked pairs of the set."""
        self.thumbs = Thumbs(self, store, lambda: self.set_name, lambda: self.person)
        self.thumbs.message.connect(self.message)
        self.adding = Adding(self, store, background, prompts, decoding, lambda: self.set_name)
        self.adding.command.connect(self.command)
        self.adding.message.connect(self.message)
        self.adding.added.connect(self._added)
        self.adding.changed.connect(self._tell_adding)
        self.asking = Asking(store, lambda: self.set_name, lambda: self.person)
        self.asking.command.connect(self.command)
        self.asking.message.connect(self.message)
        self.asking.judged.connect(self._added)
        self.making = Making(self._why_too_few)
        self._kept.connect(self._tell_kept, Qt.ConnectionType.QueuedConnection)
        self._build()
        self._show()

    @property
    def set_name(self) -> str:
        """The set that is judged, and that thumbs are put into."""
        return self.sets.name

    # -- what the window tells

    def show_run(self, run_id: int | None) -> None:
        """Offer the cycles of this run."""
        self.run_id = run_id
        self.adding.show_run(run_id)
        self._offer()

    def cycle_available(self, run_id: int) -> None:
        """Take note that a cycle has ended."""
        if run_id == self.run_id and self._pair is None:
            self._offer()

    def set_alive(self, alive: bool) -> None:
        """Nothing here depends on it."""

    def show_cycle(self, cycle: int) -> None:
        """Nothing here is of one cycle."""

    def set_state(self, state: State) -> None:
        """Take note of what can be asked for."""
        self.adding.set_state(state)
        self.asking.set_state(state)
        self.making.set_state(state)
        self._offer()

    def handle(self, event: TryEvent | ev.PairsScored | ev.ScoringPairsFailed) -> None:
        """Take what the policy wrote for a pair, or what the reward gave pairs."""
        if isinstance(event, ev.PairsScored | ev.ScoringPairsFailed):
            self.adding.scored(event)
        else:
            self.adding.handle(event)

    def save_state(self) -> dict[str, object]:
        """Return what is to be remembered."""
        self.guidelines.save()
        return {"person": self.person, "set": self.set_name, "shown": self.bar.wanted,
                "nearest": self.bar.nearest,
                "differences": self.bar.differences.isChecked(),
                "guidelines": self.guidelines_shown, "asking": self.asking.save_state()}

    def restore_state(self, state: dict[str, Any]) -> None:
        """Choose as :meth:`save_state` told."""
        person, name = state.get("person"), state.get("set")
        self.person = person if isinstance(person, str) and person else self.person
        self.sets.wanted = name if isinstance(name, str) else ""
        bar = self.bar
        bar.nearest = state.get("nearest") is True
        self.asking.restore_state(state.get("asking"))
        bar.differences.setChecked(state.get("differences") is True)
        self.guidelines.setVisible(state.get("guidelines") is True)
        if state.get("shown") in SHOWN:
            bar.want(str(state["shown"]))
        self.sets.current = None
        self.thumbs.forget()
        self.load_soon()

    # -- reading

    def load(self) -> None:
        """Read the sets, and the pairs of the one that is judged."""
        judgements = self.store.judgements
        self.settle()
        self.adding.forget()
        sets = judgements.sets()
        wanted = self.sets.current.name if self.sets.current else self.sets.wanted
        found = next((each for each in sets if each.name == wanted), sets[0] if sets else None)
        another = found is None or self.sets.current is None or found.id != self.sets.current.id
        self.sets.current = found
        self.bar.show_sets(sets, found.id if found else None)
        keep = None if another or self._pair is None else self._pair.id
        if found is None:
            self.queue, people = Queue(), {}
        else:
            self.queue = Queue(judgements.entries(found.id, self.person), found.seed)
            people = judgements.people(found.id)
            self.bar.show_prompts(judgements.prompts(found.id))
        self._people = {name: marks for name, marks in people.items() if name != self.person}
        if another:
            self._last = ""
            self.guidelines.show_text(found.guidelines if found else "")
            self.thumbs.forget()
        self._choose(keep)

    def _choose(self, keep: int | None = None) -> None:
        """Show the pairs that are wanted now."""
        wanted = self.bar.wanted
        others: Mapping[int, Choice] | None = None
        if wanted.startswith(PERSON) and self.sets.current is not None:
            others = other_marks(self.store.judgements.marks(self.sets.current.id),
                                 wanted.removeprefix(PERSON))
        self.queue.choose(ALL if others is not None else wanted, prompt=self.bar.prompt,
                          nearest=self.bar.nearest, others=others, keep=keep)
        self._others = others
        self._show()

    # -- what the person does

    def answer(self, said: Said, strength: int = 0) -> None:
        """Keep what was said of the pair that is shown, and go on to the next."""
        pair, entry = self._pair, self.queue.current
        if pair is None or entry is None or self.sets.current is None:
            return
        queue = self.queue
        if said == "skip" and not queue.repeating and entry.choice not in (None, "skip"):
            self.step(1)  # it stays marked
            return
        other: Choice = "second" if self._left == "first" else "first"
        choice = self._left if said == "left" else other if said == "right" else said
        self.guidelines.save()
        try:
            kept = self.store.judgements.mark(
                pair.id, self.person, choice, strength=strength, left=self._left,
                seconds=round(time.monotonic() - self._began, 3),
                guidelines=self.guidelines.text, repeat=queue.repeating)
        except StoreError as error:
            self.message.emit("error", str(error))
            return
        self._asked = kept
        kept.add_done_callback(self._hand_over)
        self._last = saying.last(said, strength, queue.repeating)
        queue.marked(choice, strength)
        self._show()

    def undo(self) -> None:
        """Take the last mark back, and go to its pair."""
        if self.sets.current is None:
            return
        judgements = self.store.judgements
        try:
            mark = judgements.undo(self.sets.current.id, self.person).result()
        except StoreError as error:
            self.message.emit("error", str(error))
            return
        if mark is None:
            self.message.emit("info", "There is no mark of yours here to take back.")
            return
        [entry] = judgements.entries(self.sets.current.id, self.person, mark.pair)
        self._last = "the last mark was taken back"
        self.queue.taken_back(mark, entry)
        self._show()

    def step(self, by: int) -> None:
        """Go on or back by so many pairs."""
        if self.queue.step(by):
            self._show()

    @property
    def guidelines_shown(self) -> bool:
        """Whether the guidelines stand beside the pair."""
        return not self.guidelines.isHidden()

    def toggle_guidelines(self) -> None:
        """Show the guidelines beside the pair, or no longer."""
        self.guidelines.setVisible(not self.guidelines_shown)
        if self.guidelines_shown:
            self.guidelines.field.setFocus()

    def rename_person(self, name: str) -> None:
        """Judge under another name."""
        if name := without_newlines(name):
            self.person, self._last = name, ""
            self.thumbs.forget()
            self.load_now()

    def score(self) -> None:
        """Have the reward in memory score the pairs of this set."""
        if self.sets.current is not None:
            self.adding.score(self.sets.current.id)

    def learn(self) -> None:
        """Ask for this set to be learned from."""
        self.learn_wanted.emit(self.set_name)

    # -- showing

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep room below the pair where nothing has to be scrolled for it."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        least = self._form.heightForWidth(self._scroll.viewport().width())
        self.kept_line.set_spare(self.height() >= least + self.kept_line.line_height)

    def sizeHint(self) -> QSize:
        """Wide enough for two texts beside each other."""
        return QSize(720, 360)

    def _show(self) -> None:
        """Show the current pair, or what stands in its place."""
        entry = self.queue.current
        self._pair = None if entry is None else self.store.judgements.pair(entry.id)
        there = bool(self.queue.entries)
        self.bar.show_pairs(there)
        if self._pair is None or entry is None or self.sets.current is None:
            self._offer()
            self._turn_to(self.done_page if there else self.empty_page)
        else:
            self._left = shown_left(self.sets.current.seed, entry.id, int(self.queue.repeating))
            looks_back = self.bar.wanted in (MARKED, OTHERWISE) or self._others is not None
            self.stage.show_pair(saying.on_stage(
                self._pair.pair, self._left, None if self.queue.repeating else entry, looks_back))
            self._turn_to(self.pair_page)
            QTimer.singleShot(0, self, self._bring_into_view)
            self._began = time.monotonic()
        self._show_progress()

    def _bring_into_view(self) -> None:
        if self.pages.currentWidget() is self.pair_page:
            self._scroll.ensureWidgetVisible(self.stage, 0, 8)
        else:
            self._scroll.verticalScrollBar().setValue(0)

    def _turn_to(self, page: QWidget) -> None:
        """Show a page, with the keyboard where the one before had it."""
        if page is self.pages.currentWidget():
            return
        focus = QApplication.focusWidget()
        had = focus is not None and self.isAncestorOf(focus)
        takes = self.stage if page is self.pair_page else page
        self.pages.setCurrentWidget(page)
        self._fit()
        QTimer.singleShot(0, self, self._bring_into_view)
        self.setFocusProxy(takes)
        if had or focus is self:
            takes.setFocus()

    def _show_progress(self) -> None:
        self.making.tell()
        self.marked.emit()
        if not self.queue.entries:
            return
        self.bar.show_counts({name: self.queue.count(name) for name in SHOWN}, self._people)
        other = self.bar.wanted.removeprefix(PERSON)
        said = saying.against(self.queue, other, self._others) if self._others is not None else (
            saying.progress(self.queue))
        about, beyond = saying.reward(self.queue)
        self.bar.show_progress(
            self.queue.done, len(self.queue.entries),
            " · ".join(filter(None, (said, self.adding.busy or self._last))), about, beyond)

    def _offer(self) -> None:
        """Say on the pages without a pair what can be done."""
        busy, sources = self.adding.busy, [s for s in self.menus.sources() if s.text]
        start, _, _, fresh, file = (Offer(s.text, s.tip, s.call, s.why_not) for s in sources)
        self.empty_page.show_offers("Which of two completions is better?", busy or saying.BEGIN,
                                    [fresh] if self.adding.writing else [start, fresh, file])
        done = self.queue.done
        self.done_page.show_offers(
            saying.over(self.queue), busy or f"{counted(done, 'mark')} of yours are kept. Add more "
            "pairs, look at others, make a reward of them, or let DPO learn from them.", [
                Offer(TEXT, TIP, self.making.wanted.emit, self.making.why_not()),
                Offer("Learn from them", "Choose DPO in Hyperparameters, with these judgements as "
                      "what it learns from", self.learn,
                      "" if self.sets.current and done else "Mark a pair first."),
                start, Offer("Show all", "Show every pair of the set",
                             lambda: self.bar.want(ALL))])

    # -- inside

    def _turned(self) -> None:
        self._pair = None
        self.load_now()

    def _added(self, set_id: int) -> None:
        if self.sets.current is None or self.sets.current.id == set_id:
            self.load_now()

    def _tell_adding(self) -> None:
        self._offer()
        self._show_progress()

    def _why_too_few(self) -> str:
        """Return why what was said of the set makes no reward; "" where it does. What others said
        is counted whole: what it makes is read when it is asked for."""
        return too_few(self.queue.preferred + sum(self._people.values()))

    def settle(self) -> None:
        """Wait until what is read has the marks that were made."""
        if self._asked is not None:
            wait([self._asked])

    def _hand_over(self, future: Future[int]) -> None:
        """Called on the store's thread; the window may be gone by then."""
        with suppress(RuntimeError):
            self._kept.emit(future)

    def _tell_kept(self, future: Future[int]) -> None:
        if error := future.exception():
            self.message.emit("error", f"The mark was not kept: {error}")
            self.load_now()

    def _build(self) -> None:
        self.bar, self.menus = Bar(), Menus(self, self)
        self.stage = Stage()
        self.guidelines = Guidelines()
        self.sets.left.connect(self.guidelines.save)
        self.empty_page, self.done_page = OfferPage("judge_empty", 3), OfferPage("judge_done", 4)
        self.pair_page = named_splitter(self.stage, self.guidelines)
        self.pages = CurrentPage((self.empty_page, self.pair_page, self.done_page))
        form = self._form = QWidget()
        # Below the pair, in a place that is kept, so that no text moves as lines come and go.
        self.asking.shown.connect(self.making.give_way)
        self.kept_line = KeptLine((self.asking, self.making),
                                  (self.asking.stop_button, self.making.go_on))
        themes().changed.connect(self.kept_line.fit)
        vbox(form, self.bar, (self.pages, 1), margins=(8, 8, 0, 6), spacing=6)
        # Where there is little height what is above the pair is scrolled away.
        self._scroll = FormScroll(form)
        vbox(self, (self._scroll, 1), hbox(None, self.kept_line, margins=(8, 0, 8, 0)), spacing=0)
        self.kept_line.fitted.connect(
            lambda: QTimer.singleShot(0, self, self._bring_into_view))
        bar, stage = self.bar, self.stage
        bar.changed.connect(self._choose)
        bar.make.clicked.connect(lambda: self.making.wanted.emit())
        self.making.possible.connect(lambda why: enable(bar.make, not why, why))
        self.making.possible.connect(lambda _: self._offer())
        bar.set_chosen.connect(lambda _: self.sets.choose(self._set_at(bar.sets.currentData())))
        bar.otherwise_wanted.connect(lambda: bar.want(OTHERWISE))
        bar.differences_toggled.connect(stage.show_differences)
        bar.add_menu.aboutToShow.connect(lambda: bar.offer(bar.add_menu, self.menus.sources()))
        bar.more_menu.aboutToShow.connect(lambda: bar.offer(bar.more_menu, self.menus.more()))
        stage.answered.connect(self.answer)
        stage.undo_wanted.connect(self.undo)
        stage.stepped.connect(self.step)
        self.guidelines.written.connect(self._keep_guidelines)
        self.done_page.addAction(stage.undo_action)
        self.done_page.stepped.connect(self.step)
        self.done_page.undo_wanted.connect(self.undo)
        self.setFocusProxy(self.empty_page)

    def _set_at(self, set_id: object) -> str:
        return next((each.name for each in self.store.judgements.sets() if each.id == set_id), "")

    def _keep_guidelines(self, text: str) -> None:
        if self.sets.current is not None:
            self.store.judgements.write_guidelines(self.sets.current.id, text)


def named_splitter(stage: QWidget, beside: QWidget) -> QSplitter:
    """Return what shares its room between the pair and the guidelines."""
    splitter = QSplitter(Qt.Orientation.Horizontal)
    splitter.setChildrenCollapsible(False)
    for place, widget in enumerate((stage, beside)):
        splitter.addWidget(widget)
        splitter.setStretchFactor(place, 1 - place)
    return splitter
