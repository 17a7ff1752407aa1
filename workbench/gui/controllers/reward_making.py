"""From judgements to a policy that follows them: a reward model made of what was said in Judge, and
the run that goes on with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from workbench.algorithms import algorithm_of_run, default_algorithm
from workbench.formatting import counted, percent
from workbench.gui.widgets.dialog import ask
from workbench.records import PairData
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State
from workbench.training.names import source_name
from workbench.training.pair_data import DataError, pairs_of_judgements
from workbench.training.reward_making import (
    about,
    going_on,
    making,
    next_name,
    seconds_for,
    settings_for,
    too_few,
)
from workbench.training.reward_parts import RewardPart
from workbench.training.states import ALIVE

if TYPE_CHECKING:
    from workbench.gui.background import Background
    from workbench.gui.controllers.experiments import Experiments
    from workbench.gui.controllers.exporting import Exporting
    from workbench.gui.controllers.resuming import Resuming
    from workbench.gui.controllers.run_control import RunControl
    from workbench.gui.main_window import MainWindow
    from workbench.store.records import RunRecord
    from workbench.store.store import Store

_NAMES = ("go_on_with_reward", "start_with_reward")
_NONE = "Make a reward from your judgements first."


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be made: the start of its run, and the run that may go on with it."""

    start: do.Start
    policy_run: int | None
    run: int | None = None
    """Its own run, once that is on."""


class RewardMaking(QObject):
    """Asks, trains the reward model as a run that all views follow, and offers what comes next. The
    paused run that it was asked beside is ended first, and can go on."""

    def __init__(self, window: MainWindow, store: Store, background: Background,
                 resuming: Resuming, run_control: RunControl, exporting: Exporting,
                 experiments: Experiments, send: Callable[[do.Command], None]) -> None:
        super().__init__(window)
        self._window, self._store, self._background = window, store, background
        self._experiments = experiments
        self._resuming, self._run_control = resuming, run_control
        self._exporting, self._send = exporting, send
        self._wanted: _Wanted | None = None
        self._waits = self._reads = False
        """Whether the run that is paused is to end first; whether what was said is read."""
        self._folder = ""
        self._policy_run: int | None = None
        actions = window.actions_
        actions.on("make_reward", self.ask)
        actions.on("go_on_with_reward", self.go_on)
        actions.on("start_with_reward", self.start)
        window.judge.making.wanted.connect(self.ask)
        window.judge.making.possible.connect(
            lambda why: actions.allow("make_reward", not why, why))
        window.judge.making.go_on_wanted.connect(self.go_on)
        window.judge.making.start_wanted.connect(self.start)
        why = window.judge.making.why_not()
        actions.allow("make_reward", not why, why)
        self._say_what_can_be()

    @property
    def has_made(self) -> bool:
        """Whether a reward was made that a run can begin with."""
        return bool(self._folder)

    # -- making it

    def ask(self) -> None:
        """Say what will be done, and how long it takes, and do it if the person wants it."""
        if self._reads or self._wanted is not None:
            return
        self._window.judge.settle()
        name = self._window.judge.set_name

        def read_some(judges: bool) -> PairData | DataError:
            try:
                return pairs_of_judgements(self._store, name, judges=judges)
            except DataError as error:
                return error
        self._reads = True
        self._background.run(
            lambda: (name, read_some(True), read_some(False)), lambda found: self._ask(*found))

    def _ask(self, name: str, data: PairData | DataError, own: PairData | DataError) -> None:
        self._reads = False
        window, store = self._window, self._store
        why = str(data) if isinstance(data, DataError) else too_few(len(data.pairs))
        if why or isinstance(data, DataError):
            window.reveal("judge")
            window.toast.show_message("info", why)
            return
        prompts = self._run_control.prompts_on_screen()
        if not prompts:
            return
        live = store.run(self._resuming.live) if self._resuming.live is not None else None
        run = live or store.run(window.runs.model.shown or 0)
        of_policy = run is not None and algorithm_of_run(run).makes == "policy"
        facts, policy = window.models.policy_facts, window.models.wanted().policy
        parameters = facts.parameters if facts is not None else 0
        like = run.hyperparameters if run is not None and of_policy else (
            window.hyperparameters.form.values())
        settings = settings_for(len(data.pairs), parameters or 1_600_000, like)
        seconds = seconds_for(
            store, settings, policy=policy, parameters=parameters,
            gpu=facts is not None and facts.device.startswith("cuda"))
        long = f"That takes {about(seconds)}" if parameters else "How long that takes shows soon"
        wanted = _Wanted(do.Start(settings, prompts, next_name(store, name), data=data),
                         run.id if run is not None and of_policy else None)
        choices = [("Make the reward", "make_reward_accept", "Train the reward model now",
                    lambda: self._begin(wanted))]
        whose = ""
        if isinstance(own, DataError) or len(own.pairs) < len(data.pairs):
            whose = f" Of these are {data.summary.rstrip('.').partition(': ')[2]}."
        if whose and isinstance(own, PairData) and not too_few(len(own.pairs)):
            alone = replace(wanted, start=replace(
                wanted.start, data=own, hyperparameters=settings_for(
                    len(own.pairs), parameters or 1_600_000, like)))
            choices.append((
                f"Of {len(own.pairs):,} without judges", "make_reward_own",
                "Train the reward model on what people said alone", lambda: self._begin(alone)))
        ends = "" if live is None else (
            f" {live.name} is paused and ends first; it can go on from where it stands.")
        ask(window, "make_reward", "Make a reward",
            f"Make a reward from “{name}”?",
            f"A reward model is trained on {counted(len(data.pairs), 'pair')} of which one side is "
            f"better, as a copy of {source_name(policy)}.{whose} {long}, and all views follow it."
            f"{ends}", tuple(choices), enters=True)

    def _begin(self, wanted: _Wanted) -> None:
        if self._window.state is State.RUNNING:
            self._window.toast.show_message("info", "A run is on: pause it first.")
            return
        self._wanted = wanted
        self._window.judge.making.begin(wanted.start.name)
        if self._resuming.live is not None:
            self._waits = True
            self._send(do.Stop())
        else:
            self._run_control.start(command=wanted.start)

    # -- what the session says

    def has(self, run_id: int) -> bool:
        """Return whether a run makes the reward that was asked for."""
        wanted, run = self._wanted, self._store.run(run_id)
        if wanted is not None and wanted.run is None and not self._waits and (
                run is not None and run.name == wanted.start.name):
            self._wanted = wanted = replace(wanted, run=run_id)
        return wanted is not None and wanted.run == run_id

    def state_changed(self, state: State) -> None:
        """Begin once the run that was paused has ended."""
        if self._waits and state not in ALIVE and self._wanted is not None:
            self._waits = False
            self._run_control.start(command=self._wanted.start)
        self._window.judge.making.set_state(state)

    def cycle_finished(self, event: ev.CycleFinished) -> None:
        """Say how far the reward is."""
        if self._wanted is not None and self._wanted.run == event.run_id:
            self._window.judge.making.progress(
                event.cycle, self._wanted.start.hyperparameters.num_cycles,
                event.metrics.get(making().headline))

    def run_ended(self, event: ev.RunFinished) -> bool:
        """Offer what can be done with a reward that has been made; return whether it is what this
        was about."""
        wanted, made = self._wanted, self._exporting.last_made
        if wanted is None or wanted.run != event.run_id:
            return False
        self.give_up()
        if event.outcome != "finished" or made is None or not made.folder:
            return False
        self._exporting.forget_made()
        self._folder, self._policy_run = made.folder, wanted.policy_run
        self._say_what_can_be()
        run, right_is = self._store.run(event.run_id), making().headline
        right = self._store.metrics(event.run_id, (right_is,)).get(right_is)
        name = run.name if run is not None else wanted.start.name
        said = f"{name} is made" + (
            f": right on {percent(right.values[-1])} of the pairs it has not seen"
            if right is not None and right.values else "")
        goes_on = self._why_not_go_on()
        self._window.judge.making.made(said, goes_on)
        first = ("Start a run with it", "Begin a new run that learns by this reward", self.start) \
            if goes_on else ("Go on with the new reward", "Let the policy go on learning by it, "
                             "as a fork of its run", self.go_on)
        self._window.toast.show_offer(f"{said}.", *first, level="info")
        return True

    def give_up(self) -> None:
        """Nothing is being made any more."""
        self._wanted, self._waits = None, False
        self._window.judge.making.end()

    def refused(self) -> None:
        """What was asked for was not begun."""
        if self._wanted is not None and self._wanted.run is None:
            self.give_up()

    # -- what comes next

    def go_on(self) -> None:
        """Let the policy's run go on with the reward, as a fork from its last checkpoint."""
        run = self._store.run(self._policy_run or 0)
        command = None if run is None else going_on(self._store, run, self._parts())
        if run is None or command is None:
            self._window.toast.show_message("info", self._why_not_go_on() or _NONE)
            return
        self._window.models.reward.set_parts(self._parts())
        self._window.judge.making.done()
        if command.changes:  # only so that there are cycles to go on for
            self._experiments.lend(run.name)
        self._resuming.go_on(run.name, command)

    def start(self, *, lowers: bool = False) -> None:
        """Begin a new run with the reward, by what stands in Hyperparameters where that learns from
        a reward; ``lowers``: settings that are too high for a reward made just now are lowered."""
        if not self._folder:
            self._window.toast.show_message("info", _NONE)
            return
        window = self._window
        if window.state in ALIVE:
            window.toast.show_message("info", "A run is on: stop it first.")
            return
        window.models.reward.set_parts(self._parts())
        settings = window.hyperparameters
        if settings.algorithm.learns_from or settings.algorithm.makes != "policy":
            settings.choose_algorithm(default_algorithm())
        if lowers:
            now = settings.form.values()
            settings.form.set_values(
                {name: most for name, most in settings.algorithm.most_at_first.items()
                 if float(now[name]) > most}, "what suits a reward made just now")
        window.judge.making.done()
        self._run_control.start()

    def _parts(self) -> tuple[RewardPart, ...]:
        """The new reward, beside what is only watched."""
        return (RewardPart(self._folder), *(
            part for part in self._window.models.wanted().parts if not part.weight))

    def _why_not_go_on(self) -> str:
        if not self._folder:
            return _NONE
        run: RunRecord | None = self._store.run(self._policy_run or 0)
        if run is None:
            return "There was no run of a policy on display that could go on."
        if going_on(self._store, run, self._parts()) is None:
            return f"{run.name} has no checkpoint to go on from; start a run with the reward."
        return ""

    def _say_what_can_be(self) -> None:
        actions = self._window.actions_
        for name, why in zip(
                _NAMES, (self._why_not_go_on(), "" if self._folder else _NONE), strict=True):
            actions.allow(name, not why, why)
