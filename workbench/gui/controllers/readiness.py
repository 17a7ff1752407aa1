"""What Start would do, said before it is pressed: the line beside it, its name, and the chip."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

from workbench.algorithm import Algorithm
from workbench.algorithms import algorithm_of_run, are_several
from workbench.formatting import counted
from workbench.gui.controllers.resuming import Resuming, lost_cycles, planned_cycles
from workbench.gui.trains_line import Piece
from workbench.training.events import State
from workbench.training.names import reward_name, reward_of, source_name
from workbench.training.states import ALIVE

if TYPE_CHECKING:
    from workbench.gui.main_window import MainWindow
    from workbench.store.records import RunRecord
    from workbench.store.store import Store


Wordings = list[list[Piece]]
"""The same in ever fewer words."""


class Readiness(QObject):
    """Keeps the tool bar true to what is named, loaded, training or stopped."""

    def __init__(self, window: MainWindow, store: Store, resuming: Resuming) -> None:
        super().__init__(window)
        self._window, self._store, self._resuming = window, store, resuming
        self._seed: object = 0
        self._live: tuple[int, str, Wordings] | None = None
        self.waiting = False
        """Whether Start was pressed and waits for the models."""
        window.models.changed.connect(self.update)
        window.prompts.changed.connect(self.update)
        window.hyperparameters.form.changed.connect(self.update)
        window.hyperparameters.data_line.changed.connect(self.update)
        window.models.rate.wanted.connect(
            lambda rate: window.hyperparameters.form.set_values(
                {"learning_rate": rate}, "learning rate for the model"))
        window.runs.renamed.connect(self._renamed)
        window.runs.deleted.connect(self._renamed)

    @property
    def stopped(self) -> RunRecord | None:
        """The run on display, where it was cut short and going on with it is the next thing to
        do."""
        shown = self._window.runs.model.shown
        if shown is None or self._window.state in ALIVE:
            return None
        run = self._store.run(shown)
        if run is None or run.cycles >= planned_cycles(self._store, run):
            return None
        # One that failed goes on once what it failed at is mended.
        there = run.status in ("stopped", "interrupted") or (
            run.status == "failed" and bool(self._store.checkpoints.all(run.id)))
        return run if there else None

    def run_ended(self) -> None:
        """A run came to its end, or was stopped before it."""
        self._live = None

    def update(self) -> None:
        """Say how things stand now."""
        window, state = self._window, self._window.state
        loaded = window.models.is_loaded()
        stopped = self.stopped
        resume = stopped.name if stopped is not None else ""
        again = lost_cycles(self._store, stopped) if stopped is not None else ""
        goes_on = (f"Go on with {resume} and the settings it has; edits can be applied once it is "
                   f"on. {again}").rstrip()
        window.actions_.set_resumes(goes_on if resume else "")
        window.hyperparameters.set_resumes(resume)
        tip = "Begin a new run from the start policy with these settings"
        if state == State.LOADING:
            tip += "; it starts as soon as the models are loaded"
        elif not loaded:
            tip = ("Load the models that Models names, then begin a new run with them; if they "
                   "cannot be loaded, nothing starts")
        self._say(state, loaded, resume)
        if state not in ALIVE:
            tip += f"\n{window.trains.sentence}."  # for which a small window has no room
        begins = "" if state in ALIVE or resume else "Begin a new run: "
        more = f" more cycle of {resume}" if resume else " cycle"
        window.actions_.set_start(
            "Start" if loaded or state == State.LOADING or state in ALIVE else "Load and start",
            tip, _capital(f"{begins}run one{more}, then pause"), _capital(
                f"{begins}run one part of {'one' if resume else 'a'}{more}, then pause, so that "
                "one looks at scores and estimates before the update"))
        if stopped is not None and state != State.LOADING:
            done = (f"{stopped.status.capitalize()} after {stopped.cycles} of "
                    f"{planned_cycles(self._store, stopped)}")
            window.show_chip(done, "bad" if stopped.status == "failed" else "warning")
        elif state in (State.IDLE, State.READY, State.FINISHED) and not loaded:
            window.show_chip("Not loaded", "warning")
        else:
            window.show_state_chip()
        models = window.models
        models.rate.compare(models.policy_facts if models.policy_is_loaded() else None,
                            window.hyperparameters.algorithm, window.hyperparameters.form.values())

    # -- inside

    def _renamed(self, *_: object) -> None:
        self._live = None
        self.update()

    def _say(self, state: State, loaded: bool, resume: str) -> None:
        window = self._window
        live = self._resuming.live
        if state in ALIVE:
            if live is None:
                window.trains.say([], "")
                return
            name, what = self._of_run(live)
            window.trains.say(
                [[(f"{name} trains ", ""), *said] for said in what],
                "What the run that is on trains")
            return
        what = self._of_start()
        verb = "trains " if loaded else "loads and trains "
        after: list[Piece] = []
        if state == State.LOADING:
            verb, after = "trains ", [(", once they are loaded", "")]
        short = f"Start {verb}"
        begins = f"Resume goes on with {resume}; Start {verb}" if resume else short
        if state == State.LOADING and self.waiting:
            begins = short = "Starts once loaded: "
            after = []
        window.trains.say(
            [[(begins, ""), *what[0], *after], [(begins, ""), *what[0]],
             *([(short, ""), *said] for said in what)],
            f"{begins}{''.join(text for text, _ in what[0])}{after[0][0] if after else ''}.\n"
            f"Policy: {window.models.wanted().policy}\nReward: "
            + ", ".join(part.source for part in window.models.wanted().parts)
            + ("" if loaded or state == State.LOADING else
               "\nWhat is marked is not loaded yet"))

    def _of_start(self) -> Wordings:
        """What Start would train, in ever fewer words; marked is what is not loaded."""
        window, models = self._window, self._window.models
        wanted, pending = models.wanted(), window.state == State.LOADING
        prompts = sum(p.enabled and bool(p.text.strip()) for p in window.prompts.prompts())
        self._seed = window.hyperparameters.form.values().get("seed", self._seed)
        return _what(
            source_name(wanted.policy), pending or models.policy_is_loaded(),
            reward_name(wanted.parts), pending or models.reward_is_loaded(), prompts, self._seed,
            window.hyperparameters.algorithm.variant(window.hyperparameters.form.values()),
            _inside(window.hyperparameters.data_line.text.text()),
            _by_how_many(window.hyperparameters.form.values(), gpu=models.policy_facts is not None
                         and models.policy_facts.device.startswith("cuda")))

    def _of_run(self, run_id: int) -> tuple[str, Wordings]:
        """What a run of the store trains. It does not change while the run is on."""
        if self._live is None or self._live[0] != run_id:
            run = self._store.run(run_id)
            if run is None:
                return "", [[]]
            self._live = run_id, run.name, _what(
                source_name(run.policy), True, reward_of(run), True,
                len(self._store.run_prompts(run_id)), run.hyperparameters.get("seed", 0),
                algorithm_of_run(run), _inside(str(run.data.get("what", ""))),
                _by_how_many(self._store.settings_planned(run.id)))
        return self._live[1:]


def _by_how_many(values: Mapping[str, Any], *, gpu: bool = False) -> list[Piece]:
    number, cores = values.get("processes", 1), os.cpu_count() or 1
    if number == 1:
        return []
    return [(f", in {number} processes", "")] + (
        [(f" on {counted(cores, 'core')}", "")] if not gpu and int(number) > cores else [])


def _what(policy: str, policy_there: bool, reward: str, reward_there: bool, prompts: int,
          seed: object, algorithm: Algorithm, data: str, last: list[Piece]) -> Wordings:
    """Say what is trained, ``last`` at the end, and then again with ever less of its end; what
    learns from ``data`` that is there has its prompts only compared, and judged by the reward."""
    trained = (policy or "no policy", "name" if policy and policy_there else "warning")
    by: list[Piece] = (
        [(" by ", ""), (algorithm.title, "name")] if are_several(algorithm) else [])
    judge = (reward or "no reward", "name" if reward and reward_there else "warning")
    on: list[Piece] = [
        (" on ", ""),
        (counted(prompts, "prompt") if prompts else "no prompt", "name" if prompts else "warning")]
    known = (data or "no data", "name" if data else "warning")
    end: list[Piece] = [(f", seed {seed}", ""), *last]
    if algorithm.makes != "policy":
        whole: Wordings = [[("a ", ""), (algorithm.makes, "name"), (" from ", ""), known], end]
    elif algorithm.learns_from:
        whole = [[trained, *by, (" from ", ""), known], [(", compared by ", ""), judge], on, end]
    else:
        whole = [[trained, (" with ", ""), judge], on, by, end]
    return [[piece for part in whole[:parts] for piece in part]
            for parts in range(len(whole), 0, -1)]


def _inside(title: str) -> str:
    """Return what a title names, as it stands within a sentence: bundled pairs."""
    first, *more = title.split(" ", 1)
    if first == "No":  # there is none
        return ""
    own = first in ("Bundled", "Completions", "Pairs", "All", "Your")
    return " ".join([first.lower() if own else first, *more])


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
