"""Help, Feedback tour: ten pairs, a reward made of them, a run with it, before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from workbench.formatting import percent
from workbench.gui.judge.queue import UNMARKED
from workbench.gui.tour_dialog import STEPS, TourDialog
from workbench.store.records import LIVE
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.reward_making import agreement, making
from workbench.training.states import ALIVE, NO_RUN

if TYPE_CHECKING:
    from workbench.gui.controllers.reward_making import RewardMaking
    from workbench.gui.main_window import MainWindow
    from workbench.store.judged import JudgedSet
    from workbench.store.store import Store

PAIRS = 10
"""So many are marked."""
_UNLIKELY = ("Health spoke of Unlikely words: the policy came to use many words that the start "
             "policy would hardly ever write, so read whether its texts still make sense.")
_SET = "Feedback tour"
_BEGIN, _MARK, _MAKE, _MADE, _LEARN, _WATCH, _COMPARE = range(len(STEPS))
_WAIT = "Wait a moment: what was asked for is being loaded or started."
_BUSY = ("A run is on: press Stop in the tool bar first. It can go on later, by Resume in Runs.")


class FeedbackTour(QObject):
    """Turns the cards as the person gets on: by what is marked, made and learned, whoever asked
    for it."""

    def __init__(self, window: MainWindow, store: Store, reward_making: RewardMaking) -> None:
        super().__init__(window)
        self._window, self._store, self._reward_making = window, store, reward_making
        self._dialog: TourDialog | None = None
        self._run: int | None = None
        self._said = ""
        """What came of the step before."""
        self._left_at = _BEGIN
        """The step that was on when the card was closed."""
        self._has_pairs = False
        window.actions_.on("feedback_tour", self.begin)
        window.judge.marked.connect(self._marked)
        window.judge.adding.changed.connect(self._marked)

    @property
    def dialog(self) -> TourDialog | None:
        """The card, while the tour is on."""
        return self._dialog

    def begin(self) -> None:
        """Show the first card; of a tour that is on, the card where it stands."""
        if self._dialog is not None:
            self._dialog.raise_()
            return
        dialog = self._dialog = TourDialog(self._window)
        dialog.wanted.connect(self._go_on)
        dialog.finished.connect(self._left)
        docks = self._window.docks
        self._go_on_where_it_stood(dialog)
        dialog.stand(docks["prompts"], docks["runs"])
        self.state_changed(self._window.state)

    def _left(self) -> None:
        if self._dialog is not None:
            self._left_at = self._dialog.step if self._dialog.step != _COMPARE else _BEGIN
        self._dialog = None

    def _go_on_where_it_stood(self, dialog: TourDialog) -> None:
        """Show the card at which the tour was left, also before the window was closed."""
        made = self._reward_making.has_made
        if self._left_at == _WATCH and self._run is not None:
            run = self._store.run(self._run)
            if run is not None:
                dialog.show_step(_WATCH if run.status in LIVE else _COMPARE)
                return
        if self._left_at == _LEARN or (self._left_at == _MADE and made):
            dialog.show_step(_LEARN if made else _BEGIN)
            return
        if self._left_at == _MADE and self._window.state in ALIVE:
            dialog.show_step(_MADE)
            return
        if (begun := self._begun_set()) is not None:
            dialog.show_step(_MARK, f"It goes on with “{begun.name}”.")
            self._to_pairs(begun.name)

    def _begun_set(self) -> JudgedSet | None:
        """Return the last set of a tour, where something is said of its pairs of which no reward
        has been made."""
        of_tour = [each for each in self._store.judgements.sets()
                   if each.name == _SET or each.name.startswith(f"{_SET} ")]
        last = of_tour[-1] if of_tour else None
        if last is None or not last.marks:
            return None
        learned = {str(run.data.get("what", "")) for run in self._store.runs()
                   if run.algorithm == making().name and run.status == "finished"}
        return None if learned & {last.name, f"{last.name}, without judges"} else last

    def _to_pairs(self, name: str = "") -> None:
        """Give the keyboard to the pairs, of the set of this name where one is named."""
        if name:
            self._has_pairs = False
            self._window.judge.sets.choose(name)
        self._window.activateWindow()
        self._window.reveal("judge")
        self._marked()

    def _go_on(self) -> None:
        """Do what the card's button says."""
        dialog, window = self._dialog, self._window
        if dialog is None:
            return
        if dialog.step == _BEGIN:
            window.judge.sets.choose(self._free_name())
            window.judge.adding.add_fresh()
            self._has_pairs = False
            self._turn(_MARK)
            self._to_pairs()
        elif dialog.step == _MARK:
            window.judge.adding.add_fresh()
            self._has_pairs = False
            self._to_pairs()
        elif dialog.step == _MAKE:
            self._reward_making.ask()
        elif dialog.step == _LEARN:
            self._reward_making.start(lowers=True)
        elif dialog.step == _COMPARE:
            dialog.close()

    def _free_name(self) -> str:
        """Return what the set of this tour is called."""
        # No number: the rewards of a set have one behind its name.
        letters = iter("BCDEFGHIJKLMNOPQRSTUVWXYZ")
        name = _SET
        while (found := self._store.judgements.set(name)) is not None and found.marks:
            letter = next(letters, "")
            name = f"{_SET} {letter}" if letter else f"{name} more"
        return name

    def _turn(self, step: int, said: str = "") -> None:
        if self._dialog is not None and step > self._dialog.step:
            self._said = said
            self._dialog.show_step(step, said)
            self.state_changed(self._window.state)

    # -- how the person gets on

    def _marked(self) -> None:
        dialog = self._dialog
        if dialog is None or dialog.step not in (_MARK, _MAKE):
            return
        queue, writes = self._window.judge.queue, bool(self._window.judge.adding.busy)
        if queue.entries and not self._has_pairs:
            self._has_pairs = True
            if dialog.isActiveWindow():  # the keys are for the pairs, which have come
                self._window.activateWindow()
                self._window.reveal("judge")
        if (done := queue.preferred) >= PAIRS:
            self._turn(_MAKE)
        elif dialog.step == _MARK:
            none_left = not queue.count(UNMARKED)
            said = [f"{done} of {PAIRS} marked."] if queue.entries else []
            if none_left:
                said.append("The policy writes the pairs …" if writes else
                            "No pair is left: have the policy write more.")
            dialog.show_progress(done, PAIRS)
            dialog.offer(none_left and not writes)
            dialog.say(" ".join(said))
            self.state_changed(self._window.state)

    def state_changed(self, state: State) -> None:
        """Take note of what can be asked for."""
        if self._dialog is None:
            return
        needs_models = self._dialog.step in (_BEGIN, _MAKE, _LEARN)
        why = "" if not needs_models or state in NO_RUN else (
            _WAIT if state in (State.IDLE, State.LOADING) else _BUSY)
        if state is State.IDLE and needs_models:
            why = "Load the models first: press Load in Models."
        if self._dialog.step == _MARK:
            why = self._window.judge.adding.why_not_fresh()
        self._dialog.allow(why)
        if needs_models and self._dialog.step != _MARK:
            self._dialog.say(" ".join(filter(None, (self._said, why))))

    def run_started(self, event: ev.RunStarted | ev.RunFollowed) -> None:
        """A reward is being made, or the policy learns by it."""
        if self._dialog is None:
            return
        if event.algorithm == making().name:
            if self._dialog.step == _MAKE:
                self._turn(_MADE)
        elif self._dialog.step == _LEARN:
            self._run = event.run_id
            self._window.reveal("completions")
            self._window.reveal("metrics")
            self._turn(_WATCH)

    def run_ended(self, event: ev.RunFinished) -> None:
        """The reward is made, or the policy has learned."""
        if self._dialog is None:
            return
        if self._dialog.step == _MADE:
            if event.outcome != "finished":
                self._said = "It was stopped before its end; make it again."
                self._dialog.show_step(_MAKE, self._said)
                return
            self._turn(_LEARN, f"It agrees with {percent(agreement(self._store, event.run_id))} of "
                       "your choices.")
        elif self._dialog.step == _WATCH and event.run_id == self._run and event.cycles:
            spoke = any(found.rule == "unlikely" for found in self._store.health(event.run_id))
            self._turn(_COMPARE, _UNLIKELY if spoke else "")
            self._window.reveal("completions")
            self._window.completions.choose(0, event.cycles)
