"""One session for the window: its own, and that of a run it watches in other processes, which it
may have started."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from workbench.store.store import Store
from workbench.training.commands import (
    CancelLoading,
    Command,
    Fork,
    GoBack,
    LoadModels,
    ResumeRun,
    SampleBestOf,
    Start,
    StopTrying,
    Unwatch,
    Watch,
)
from workbench.training.events import (
    BestOfSampled,
    CommandRefused,
    Event,
    ModelsLoaded,
    RunFinished,
    RunFollowed,
    RunResumed,
    RunStarted,
    SamplingBestOf,
    SamplingBestOfFailed,
    State,
    StateChanged,
)
from workbench.training.handing_over import HandedOver
from workbench.training.remote import RemoteSession
from workbench.training.session import Listener, Session
from workbench.training.states import NO_RUN
from workbench.training.wire import STEERING

_BUSY = (State.RUNNING, State.PAUSED, State.STOPPING)
HandsOver = Literal["starting", "training"]


class SessionRouter:
    """Has the interface of a :class:`Session`. While a run is watched, what steers a run goes to
    the process that trains it, and the states told are that run's; all else is the own session's,
    whose state is told again when the watching ends."""

    def __init__(self, store: Store, listener: Listener, *, threads: int | None = None,
                 spare_threads: int = 0) -> None:
        """Start the own session; the arguments are those of :class:`Session`."""
        self._store, self._listener = store, listener
        self._guard = threading.RLock()
        self._own = StateChanged(State.IDLE)
        self._models: LoadModels | None = None
        self._starting: HandedOver | None = None
        self._handed: set[int] = set()
        """Runs that processes train which were started here."""
        self._asked: dict[int, str] = {}
        """What was asked for of them, until it is told that they are watched."""
        self._watched = 0
        self._sampling: HandedOver | None = None
        self._remote: RemoteSession | None = None
        self._left: list[RemoteSession] = []
        self._session = Session(store, self._hear_own, threads=threads,
                                spare_threads=spare_threads)

    @property
    def state(self) -> State:
        """The own session's state."""
        return self._session.state

    @property
    def hands_over(self) -> HandsOver | None:
        """What processes that were started here do, and would go on doing without this one: they
        are being started, or they train the run that is watched."""
        with self._guard:
            if self._starting is not None:
                return "starting"
            return "training" if self._remote and self._watched in self._handed else None

    def send(self, command: Command) -> None:
        """Ask for something; the answer comes as events. Returns at once."""
        with self._guard:
            remote = self._remote
        if isinstance(command, Watch):
            self._watch(command)
        elif isinstance(command, Unwatch):
            self._unwatch(remote)
        elif remote is not None and isinstance(command, STEERING):
            remote.send(command)
        elif isinstance(command, CancelLoading) and self._starting is not None:
            self._starting.cancel()
        elif isinstance(command, SampleBestOf) and (number := self._processes_of(command)) > 1:
            self._hand_over_sampling(command, number)
        elif isinstance(command, Start | ResumeRun | GoBack | Fork) and (
                (number := self._processes_of(command)) > 1):
            self._hand_over(command, number)
        else:
            if isinstance(command, StopTrying) and self._sampling is not None:
                self._sampling.cancel()
            self._session.send(command)

    def close(self) -> None:
        """End the own run and every thread; a watched run goes on, and processes that are being
        started begin theirs."""
        with self._guard:
            self._drop()
            starting, self._starting = self._starting, None
            sampling, self._sampling = self._sampling, None
        if starting is not None:
            starting.leave()
        if sampling is not None:
            sampling.leave()
            sampling.cancel()
        for left in self._left:
            left.close()
        self._session.close()

    def _watch(self, command: Watch) -> None:
        with self._guard:
            if self._own.state in _BUSY:
                self._listener(CommandRefused(
                    "Watch", "That run is trained by another process; it can be watched and "
                             "steered from here when this window's own run has ended."))
                return
            self._drop()
            made: list[RemoteSession] = []
            self._watched = command.run_id
            self._remote = RemoteSession(
                self._store, command.run_id, lambda event: self._hear_remote(made, event))
            made.append(self._remote)

    def _processes_of(self, command: Start | ResumeRun | GoBack | Fork | SampleBestOf) -> int:
        """Return by how many processes what is asked for is to be computed."""
        if isinstance(command, Start):
            # What nothing can be started with the own session says best.
            there = self._models is not None and command.prompts
            return command.hyperparameters.processes if there else 1
        changes = {} if isinstance(command, SampleBestOf) else command.changes
        planned = self._store.settings_planned(command.run_id)
        return int(changes.get("processes", planned.get("processes", 1)))

    def _hand_over(self, command: Start | ResumeRun | GoBack | Fork, number: int) -> None:
        """Have other processes compute a run, and watch it."""
        name = type(command).__name__
        with self._guard:
            if self._own.state in _BUSY or self._starting is not None:
                self._listener(CommandRefused(
                    name, "A run is on in this window; stop it, then start the one that several "
                          "processes compute."))
                return
            self._listener(StateChanged(State.LOADING, f"Starting {number} processes"))
            self._starting = HandedOver(
                self._store.home, self._models if isinstance(command, Start) else None, command,
                number, lambda said: self._begun(name, said),
                lambda sentence: self._not_begun(name, sentence))

    def _begun(self, name: str, said: Mapping[str, Any]) -> bool:
        if "run" not in said:
            return False
        with self._guard:
            if self._starting is None:
                return True  # it was left
            self._starting = None
            self._watch(Watch(said["run"]))
            self._handed.add(said["run"])
            self._asked[said["run"]] = name
        return True

    def _not_begun(self, name: str, sentence: str) -> None:
        with self._guard:
            if self._starting is None:
                return
            self._starting = None
            self._listener(CommandRefused(
                name, sentence or "Starting the processes was cancelled."))
            self._listener(self._own)

    def _hand_over_sampling(self, command: SampleBestOf, number: int) -> None:
        """Have as many processes sample the best of n as compute the run."""
        with self._guard:
            if self._sampling is not None:
                self._listener(SamplingBestOfFailed(
                    command.id, "The best of n are being sampled; stop that first."))
                return
            self._listener(SamplingBestOf(command.id, 0, 0))
            self._sampling = HandedOver(
                self._store.home, None, command, number,
                lambda said: self._hear_sampling(command, said),
                lambda sentence: self._sampled(SamplingBestOfFailed(command.id, sentence)))

    def _hear_sampling(self, command: SampleBestOf, said: Mapping[str, Any]) -> bool:
        if "total" in said:
            self._listener(SamplingBestOf(command.id, said["done"], said["total"]))
        if "sampled" not in said:
            return False
        self._sampled(BestOfSampled(command.id, next(
            found for found in self._store.best_of(command.run_id)
            if found.cycle == said["sampled"])))
        return True

    def _sampled(self, answer: BestOfSampled | SamplingBestOfFailed) -> None:
        with self._guard:
            if self._sampling is None:
                return
            self._sampling = None
            self._listener(answer)

    def _unwatch(self, remote: RemoteSession | None) -> None:
        with self._guard:
            if remote is not None and remote is self._remote:
                self._drop()
                self._listener(self._own)

    def _drop(self) -> None:
        if self._remote is not None:
            self._remote.leave()
            self._left.append(self._remote)
            self._remote = None

    def _hear_own(self, event: Event) -> None:
        with self._guard:
            if isinstance(event, RunStarted | RunResumed):
                self._drop()
            if isinstance(event, ModelsLoaded):
                self._models = event.command
            if isinstance(event, StateChanged):
                self._own = event
                if self._remote is not None:
                    return
            self._listener(event)

    def _hear_remote(self, made: list[RemoteSession], event: Event) -> None:
        with self._guard:
            if self._remote is None or made != [self._remote]:
                return  # it was left a moment ago
            if isinstance(event, RunFollowed):
                event = replace(event, asked=self._asked.pop(event.run_id, ""))
            self._listener(event)
            if isinstance(event, RunFinished):
                if self._own.state in NO_RUN and event.run_id in self._handed:
                    run = self._store.run(event.run_id)
                    self._own = StateChanged(
                        State.FAILED if event.outcome == "failed" else State.FINISHED,
                        (run.note if run is not None else "") or event.lost)
                self._unwatch(self._remote)
