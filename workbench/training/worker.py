"""What the training thread does: it serves commands, and lets the runner run when a run is on."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Sequence
from dataclasses import replace

from transformers.utils import logging as transformers_logging

from workbench.algorithms import algorithm_of
from workbench.models.control import Interrupted
from workbench.records import PairData, RunData, ScoredData
from workbench.settings import HyperparameterError, Settings
from workbench.store.records import Prompt
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.best_of_command import SamplingBestOf
from workbench.training.branching import plan, put_back
from workbench.training.events import State
from workbench.training.exporting import ExportError, check_folder, export
from workbench.training.failures import explain, loading_failed
from workbench.training.judge_command import JudgingPairs
from workbench.training.models import Models
from workbench.training.pair_data import bundled_pairs
from workbench.training.publisher import RemoteCommand
from workbench.training.reading_commands import ReadingDistribution, ReadingValues
from workbench.training.run import (
    DamagedError,
    Resumed,
    ResumeError,
    Run,
    read_checkpoint,
)
from workbench.training.runner import Runner
from workbench.training.score_pairs_command import ScoringPairs
from workbench.training.scored_data import data_for
from workbench.training.session_state import SessionState
from workbench.training.side_request import SideRequest
from workbench.training.states import BETWEEN_CYCLES, CLOSED, NOT_WITHIN, WHEN
from workbench.training.threads import Threads
from workbench.training.try_command import Trying
from workbench.training.write_on_command import WritingOn

log = logging.getLogger(__name__)

_CANCELLED = ev.LoadingFailed("Loading was cancelled; nothing changed.", cancelled=True)


class Worker:
    """Owns the models and what runs them. Lives on the training thread alone."""

    def __init__(
        self, store: Store, inbox: queue.SimpleQueue[do.Command | do.Close | RemoteCommand],
        emit: Callable[[ev.Event], None], threads: Threads, models: Models,
    ) -> None:
        transformers_logging.disable_progress_bar()
        # What it recommends to users of its own, such as masks, is settled here.
        transformers_logging.set_verbosity_error()
        self._store = store
        self._threads = threads
        self._inbox = inbox
        self._emit = emit
        self._session = SessionState(emit)
        self._models = models
        self._runner = Runner(
            store, self._models, self._session, self._attend,
            lambda: self._handle(inbox.get()))
        self._beside: dict[type, SideRequest] = {
            asked: kind(inbox, store, emit) for asked, kind in (
                (do.Try, Trying), (do.WriteOn, WritingOn), (do.ReadValues, ReadingValues),
                (do.ReadDistribution, ReadingDistribution), (do.SampleBestOf, SamplingBestOf),
                (do.ScorePairs, ScoringPairs), (do.JudgePairs, JudgingPairs))}
        self._cancelled = False
        self._load_next: do.LoadModels | None = None

    # -- the loop

    def serve(self, first: Sequence[do.Command | do.Close | RemoteCommand] = ()) -> None:
        """Serve commands until told to close, those of ``first`` before what is in the inbox."""
        runner, session = self._runner, self._session
        for command in first:
            self._handle(command)
        while not session.closing:
            if session.state is State.RUNNING and runner.run is not None:
                self._attend()
                if session.state is State.RUNNING:
                    runner.one_cycle(runner.run)
            elif session.state is State.STOPPING:  # asked for between two cycles
                runner.finish("stopped")
            elif self._load_next is not None:
                self._load(self._load_next, self._load_next)
            else:
                self._handle(self._inbox.get())
        runner.finish("stopped", CLOSED)

    def _attend(self) -> None:
        while not self._inbox.empty():
            self._handle(self._inbox.get())

    def _handle(self, command: do.Command | do.Close | RemoteCommand) -> None:
        if isinstance(command, RemoteCommand):
            run = self._runner.run
            with command:
                if run is not None and run.id == command.run_id:
                    self._handle(command.command)
                else:  # it came as that run ended
                    self._session.refuse(command.command, "The run has ended.")
            return
        if isinstance(command, do.Close):
            self._session.closing = True
            return
        states, sentence = WHEN[type(command)]
        log.info("%s while %s", type(command).__name__, self._session.state)
        if self._session.state not in states:
            self._session.refuse(command, sentence)
            return
        run = self._runner.run
        if run is not None and run.within and isinstance(command, BETWEEN_CYCLES):
            self._session.refuse(command, NOT_WITHIN.format(run.cycle + 1))
            return
        match command:
            case do.LoadModels():
                self._load_next = command
                self._session.enter(State.LOADING)
            case do.CancelLoading():
                self._cancelled = True
            case do.EstimateMemory(hyperparameters=hp, prompts=prompts, data=data):
                self._models.estimate(hp, prompts, _known(hp, data), self._emit)
            case do.Start():
                self._start(command)
            case do.ResumeRun() | do.GoBack() | do.Fork():
                self._go_on_from(command)
            case do.Checkpoint():
                self._runner.checkpoint()
            case do.ExportRun():
                self._export(command)
            case do.Pause():
                self._runner.pause()
            case do.Resume():
                self._runner.go_on(step=False)
            case do.StepCycle():
                self._runner.go_on(step=True)
            case do.StepInto():
                self._runner.go_into()
            case do.Stop():
                self._runner.stop()
            case do.SetHyperparameters():
                self._runner.stage(command)
            case (do.Try() | do.WriteOn() | do.ReadDistribution() | do.ReadValues()
                  | do.ScorePairs() | do.JudgePairs()):
                self._serve_beside(command)
            case do.SampleBestOf():
                self._sample_best_of(command)

    def _sample_best_of(self, command: do.SampleBestOf) -> None:
        """Sample the best of n, with the models of its run, which are loaded where no run is on."""
        if self._runner.run is None:
            try:
                found = read_checkpoint(self._store, command.run_id, command.cycle)
            except (ResumeError, HyperparameterError) as error:
                self._refuse_reading(command, error)
                return
            trained, rank = self._models.trained, found.run.hp.lora_rank
            # Adapters of a checkpoint need a policy that has such.
            fits = self._models.command == found.models and (
                not rank or (trained is not None and trained.hp.lora_rank == rank))
            if not fits and not self._put_back(command, found):
                return
        self._serve_beside(command)

    def _serve_beside(self, command: do.Command) -> None:
        for waiting in self._beside[type(command)].run(command, self._models):
            self._handle(waiting)

    def _refuse_reading(
        self,
        command: do.ResumeRun | do.GoBack | do.Fork | do.ExportRun | do.SampleBestOf,
        error: ResumeError | HyperparameterError,
    ) -> None:
        instead = replace(command, cycle=error.before) if isinstance(error, DamagedError) and (
            not isinstance(command, do.SampleBestOf)) else None
        self._emit(ev.CommandRefused(type(command).__name__, str(error), instead=instead))

    # -- models

    def _load(self, command: do.LoadModels, asked: do.Command) -> bool:
        """Load models for what was ``asked`` and say how it went; return whether they are there."""
        self._load_next, self._cancelled = None, False
        which, failed = ["policy"], False

        def tell(error: Exception) -> None:
            nonlocal failed
            failed = True
            said = _CANCELLED if isinstance(error, Interrupted) or self._cancelled else (
                loading_failed(error, which[-1], asked))
            self._emit(replace(said, command=command))

        try:
            loaded = self._models.load(
                command, self._report, begin=which.append, trusted=self._store.is_trusted,
                failed=tell)
        except Exception as error:
            self._attend()  # it may have been cancelled since the last step
            tell(error)
        else:
            if loaded is not None:
                self._emit(loaded)
        self._session.enter(State.READY if self._models.trainer is not None else State.IDLE)
        return not failed

    def _report(self, text: str, share: float) -> None:
        """Serve commands and tell how far loading or an export has come.

        Raises:
            Interrupted: it is to be given up.
        """
        self._attend()
        if self._cancelled or self._session.closing:
            raise Interrupted
        self._emit(ev.LoadingProgress(text, share))

    # -- the run

    def _start(self, command: do.Start) -> None:
        hp = command.hyperparameters
        algorithm = algorithm_of(hp)
        models = self._models
        if models.command is None or models.facts is None:
            self._session.refuse(command, "Load a policy and a reward first.")
            return
        if not command.prompts:
            self._session.refuse(
                command, "There is no prompt to complete; add one or switch one on.")
            return
        if changed := models.changed_files():
            self._session.refuse(
                command, f"{changed[0]} has changed since it was loaded; load again to use it as "
                         "it is now.")
            return
        if models.are_shared_out and not self._load(models.command, command):
            return
        prompts = tuple(Prompt(p.text, pinned=p.pinned, messages=p.messages, columns=p.columns)
                        for p in command.prompts)
        self._threads.begin()
        models.estimate(hp, prompts, _known(hp, command.data), self._emit)
        models.trained = None
        try:
            trainer = models.learn_by(algorithm)
            data = data_for(algorithm, command.data, self._store, models.command)
            if data is not None:
                trainer.learn_from(data.items)
            trainer.begin(prompts, hp)
            run_id = self._store.create_run(
                name=command.name, policy=models.command.policy,
                reward=models.facts.reward.source, models=models.record(),
                hyperparameters=hp.model_dump(), prompts=prompts,
                prompt_ids=trainer.prompt_ids, algorithm=algorithm.name,
                sweep=command.sweep, data=data).result()
        except Exception as error:
            self._session.refuse(command, explain(error, hp)[0])
            return
        notes = [f"{data.what}: {data.summary}" if isinstance(data, ScoredData) and (
            data is not command.data) else "", trainer.policy_tokenizer.remark(
            trainer.prompts, trainer.prompt_ids, control_tokens=hp.control_tokens == "tokens"),
            trainer.remark(), *algorithm.remarks(hp, trainer.brings_values)]
        note = " ".join(filter(None, notes))
        self._emit(ev.RunStarted(
            run_id, command.name or f"Run {run_id}", algorithm.name, hp.model_dump(), note))
        self._runner.begin(Run(
            run_id, hp, prompts, pause_after_cycle=command.step or command.into,
            step_into=command.into))

    def _go_on_from(self, command: do.ResumeRun | do.GoBack | do.Fork) -> None:
        """Go on from a checkpoint, with the settings and changes the journal has."""
        try:
            planned = plan(self._store, command)
        except (ResumeError, HyperparameterError) as error:
            self._refuse_reading(command, error)
            return
        if sentence := self._runner.settle():
            self._session.refuse(command, sentence)
            return
        self._runner.finish("stopped")  # a paused run makes room
        run = planned.resumed.run
        if not self._put_back(command, planned.resumed, planned.first):
            return
        changed = self._models.changed_since(planned.resumed.models.parts)
        try:
            now = self._models.record()
            facts = self._models.facts
            reward = facts.reward if facts is not None else None
            name, abandoned = planned.record(
                self._store, reward.source if reward else "", now)
            if self._models.trainer is not None:
                self._store.record_prompt_ids(run.id, self._models.trainer.prompt_ids)
            if not planned.other_reward and (
                    changed or now["threads"] != planned.resumed.record.get("threads")):
                self._store.record_models(run.id, run.cycle, now).result()
        except Exception as error:
            self._store.run_locks.release(run.id)
            self._session.refuse(command, explain(error, run.hp)[0])
            return
        if isinstance(command, do.ResumeRun):
            run.step_into = command.into
            run.pause_after_cycle = command.step or command.into
        parent = planned.resumed.name if isinstance(command, do.Fork) else ""
        notes = [f"{changed[0]} has changed since the run began."] if changed else []
        if planned.same_scores and reward is not None:
            notes.append(f"From here on the reward is {reward.name}: what is learned from is the "
                         "same, so that its earlier scores stay.")
        elif planned.other_reward and reward is not None:
            notes.append(f"From here on {reward.name} is the reward, so that nothing that another "
                         "one has judged is shown with it.")
        if isinstance(command, do.Fork) and command.changes and not run.cycle and (
                self._models.trainer is not None):
            notes += algorithm_of(run.hp).remarks(run.hp, self._models.trainer.brings_values)
        elif command.changes:
            notes += algorithm_of(run.hp).remarks_on_change(run.hp, planned.first)
        self._emit(ev.RunResumed(
            run.id, name, run.cycle, algorithm_of(run.hp).name, run.hp.model_dump(), parent,
            abandoned, " ".join(notes)))
        self._runner.begin(run)

    def _export(self, command: do.ExportRun) -> None:
        """Write what a run trains as a plain folder of transformers."""
        try:
            check_folder(command.folder)
            found = read_checkpoint(self._store, command.run_id, command.cycle)
        except ExportError as error:
            self._session.refuse(command, str(error))
            return
        except (ResumeError, HyperparameterError) as error:
            self._refuse_reading(command, error)
            return
        if not self._put_back(command, found) or self._models.trainer is None:
            return
        before = self._session.state
        what = self._models.trainer.MAKES
        self._session.enter(State.LOADING, f"Exporting the {what} of {found.name}")
        self._cancelled = False
        try:
            note = export(self._models.trainer, command.folder, self._report)
        except ExportError as error:
            self._session.enter(before)
            self._session.refuse(command, str(error))
        else:
            self._session.enter(before)
            self._emit(ev.Exported(
                found.run.id, found.run.cycle, command.folder, note, what))

    def _put_back(
        self, command: do.Command, found: Resumed, first: Settings | None = None
    ) -> bool:
        """Bring the models to where a run stood, make sure that they can go on with ``first``, and
        return whether that went well."""
        models = self._models
        if models.command != found.models or models.changed_files() or models.are_shared_out:
            before = self._session.state
            self._session.enter(State.LOADING)
            if not self._load(found.models, command):
                return False
            self._session.enter(before if before is not State.IDLE else State.READY)
        self._threads.go_on(found.record)
        if first is not None:  # with all weights here yet, where processes share them out
            models.estimate(first, found.run.prompts, _known(first, found.data), self._emit)
        try:
            put_back(models, found, first, export=isinstance(command, do.ExportRun))
        except ResumeError as error:
            self._session.refuse(command, str(error))
            return False
        return True


def _known(hp: Settings, chosen: object) -> RunData | None:
    """Return what a run with these settings learns from beside its prompts, as far as that is known
    without looking through other runs; None where it needs nothing."""
    kind = algorithm_of(hp).learns_from
    if isinstance(chosen, RunData) and chosen.kind == kind:
        return chosen
    return bundled_pairs() if kind == PairData.kind else None
