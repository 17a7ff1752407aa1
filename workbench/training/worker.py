"""What the training thread does: it serves commands, and runs cycles when a run is on."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import replace

import torch
from transformers.utils import logging as transformers_logging

from workbench.memory_allocator import return_freed_memory
from workbench.ppo.control import Interrupted, NotFiniteError
from workbench.ppo.cycle import PPO, CycleResult
from workbench.ppo.hyperparameters import HyperparameterError, Hyperparameters, specs
from workbench.ppo.phases import Phase
from workbench.ppo.policy import UnsupportedModelError
from workbench.ppo.python_reward import RewardError
from workbench.ppo.scribe import PromptError
from workbench.ppo.sources import LoadError
from workbench.store.checkpoints import CheckpointError
from workbench.store.home import StoreError
from workbench.store.records import Prompt, Status
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.branching import plan
from workbench.training.checkup import not_finite
from workbench.training.estimates import let_go
from workbench.training.events import State
from workbench.training.exporting import ExportError, check_folder, export
from workbench.training.failures import explain, is_out_of_memory, loading_failed
from workbench.training.mailbox import Letter
from workbench.training.models import Models
from workbench.training.run import (
    DamagedError,
    Resumed,
    ResumeError,
    Run,
    hold_kl_coef,
    read_checkpoint,
    records,
)
from workbench.training.saving import record_cycle, write_checkpoint
from workbench.training.session import Close
from workbench.training.states import WHEN
from workbench.training.trying import Trying


class Worker:
    """Owns the models and the run. Lives on the training thread alone."""

    def __init__(
        self, store: Store, inbox: queue.SimpleQueue[do.Command | Close | Letter],
        emit: Callable[[ev.Event], None], threads: int | None,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        transformers_logging.disable_progress_bar()
        # What it recommends to users of its own, such as masks, is settled here.
        transformers_logging.set_verbosity_error()
        self._store = store
        self._inbox = inbox
        self._emit = emit
        self._state = State.IDLE
        self._models = Models()
        self._trying = Trying(inbox, store, emit)
        self._run: Run | None = None
        self._closing = False
        self._cancelled = False
        self._hurried = False
        self._saving = False
        self._load_next: do.LoadModels | None = None
        self._phase = Phase.SAMPLING

    # -- the loop

    def serve(self) -> None:
        """Serve commands until told to close."""
        while not self._closing:
            if self._state is State.RUNNING and self._run is not None:
                self._attend()
                if self._state is State.RUNNING:
                    self._one_cycle(self._run)
            elif self._state is State.STOPPING:  # asked for between two cycles
                self._finish("stopped")
            elif self._load_next is not None:
                self._load(self._load_next, self._load_next)
            else:
                self._handle(self._inbox.get())
        if self._run is not None:
            self._finish("stopped", "The workbench was closed.")

    def step(self, phase: Phase, done: int, total: int) -> None:
        """Serve as the :class:`~workbench.ppo.control.Control` of a cycle."""
        self._attend()
        if self._closing or self._state is State.STOPPING:
            raise Interrupted
        self._phase = phase
        if self._run is not None:
            self._emit(ev.Progress(
                self._run.id, self._run.cycle + 1 if self._run.compared_start else 0,
                self._run.hp.num_cycles, phase, done, total))

    def _attend(self) -> None:
        while not self._inbox.empty():
            self._handle(self._inbox.get())

    def _handle(self, command: do.Command | Close | Letter) -> None:
        if isinstance(command, Letter):
            with command:
                self._handle(command.command)
            return
        if isinstance(command, Close):
            self._closing = True
            return
        states, sentence = WHEN[type(command)]
        if self._state not in states:
            self._refuse(command, sentence)
            return
        match command:
            case do.LoadModels():
                self._load_next = command
                self._enter(State.LOADING)
            case do.CancelLoading():
                self._cancelled = True
            case do.EstimateMemory(hyperparameters=hp, prompts=prompts):
                self._models.estimate(hp, prompts, self._emit)
            case do.Start():
                self._start(command)
            case do.ResumeRun() | do.GoBack() | do.Fork():
                self._go_on_from(command)
            case do.Checkpoint():
                self._checkpoint()
            case do.ExportRun():
                self._export(command)
            case do.Pause():
                if self._run is not None:
                    self._run.pause_after_cycle = True
                    self._enter(State.RUNNING, f"Pausing after cycle {self._run.cycle + 1}")
            case do.Resume():
                self._go_on(step=False)
            case do.StepCycle():
                self._go_on(step=True)
            case do.Stop():
                self._stop()
            case do.SetHyperparameters():
                self._stage(command)
            case do.Try():
                for waiting in self._trying.run(command, self._models):
                    self._handle(waiting)

    def _stop(self) -> None:
        self._hurried = self._state is State.STOPPING
        self._enter(State.STOPPING, "Ending without a checkpoint" if self._hurried
                    else "Stopping at the next step")

    def _enter(self, state: State, note: str = "") -> None:
        self._state = state
        self._emit(ev.StateChanged(state, note))

    def _refuse(
        self, command: do.Command, sentence: str, problems: dict[str, str] | None = None
    ) -> None:
        self._emit(ev.CommandRefused(type(command).__name__, sentence, problems or {}))

    def _refuse_reading(
        self, command: do.ResumeRun | do.GoBack | do.Fork | do.ExportRun,
        error: ResumeError | HyperparameterError,
    ) -> None:
        instead = replace(command, cycle=error.before) if isinstance(error, DamagedError) else None
        self._emit(ev.CommandRefused(type(command).__name__, str(error), instead=instead))

    # -- models

    def _load(self, command: do.LoadModels, asked: do.Command) -> bool:
        """Load models for what was ``asked`` and say how it went; return whether they are there."""
        self._load_next, self._cancelled = None, False
        which = ["policy"]

        def report(text: str, share: float) -> None:
            self._attend()
            if self._cancelled or self._closing:
                raise Interrupted
            self._emit(ev.LoadingProgress(text, share))

        failed: ev.LoadingFailed
        try:
            self._models.load(
                command, report, begin=which.append, trusted=self._store.is_trusted)
        except Interrupted:
            failed = ev.LoadingFailed("Loading was cancelled; nothing changed.", cancelled=True)
        except LoadError as error:
            failed = loading_failed(error, which[-1], asked)
        except Exception as error:
            sentence, details = explain(error)
            failed = ev.LoadingFailed(
                sentence.replace("The cycle failed", f"The {which[-1]} could not be loaded"),
                which[-1], details)
        else:
            if self._models.facts is not None:
                self._emit(self._models.facts)
            self._enter(State.READY)
            return True
        self._emit(failed)
        self._enter(State.READY if self._models.ppo is not None else State.IDLE)
        return False

    # -- the run

    def _start(self, command: do.Start) -> None:
        ppo, hp = self._models.ppo, command.hyperparameters
        if ppo is None or self._models.command is None or self._models.facts is None:
            self._refuse(command, "Load a policy and a reward first.")
            return
        if not command.prompts:
            self._refuse(command, "There is no prompt to complete; add one or switch one on.")
            return
        if changed := self._models.changed_files():
            self._refuse(command, f"{changed[0]} has changed since it was loaded; load again to "
                                  "use it as it is now.")
            return
        prompts = tuple(Prompt(p.text, pinned=p.pinned) for p in command.prompts)
        self._models.estimate(hp, prompts, self._emit)
        try:
            ppo.begin([p.text for p in prompts], hp)
            run_id = self._store.create_run(
                name=command.name, policy=self._models.command.policy,
                reward=self._models.facts.reward.source, models=self._models.record(),
                hyperparameters=hp.model_dump(), prompts=prompts).result()
        except Exception as error:
            self._refuse(command, explain(error, hp)[0])
            return
        self._run = Run(run_id, hp, prompts, pause_after_cycle=command.step)
        self._emit(ev.RunStarted(run_id, command.name or f"Run {run_id}", hp))
        self._enter(State.RUNNING)

    def _go_on_from(self, command: do.ResumeRun | do.GoBack | do.Fork) -> None:
        """Go on from a checkpoint, with the settings and changes the journal has."""
        try:
            planned = plan(self._store, command)
        except (ResumeError, HyperparameterError) as error:
            self._refuse_reading(command, error)
            return
        self._finish("stopped")  # a paused run makes room
        run = planned.resumed.run
        if not self._put_back(command, planned.resumed, planned.first):
            return
        changed = self._models.changed_since(planned.resumed.models.parts)
        self._models.estimate(run.hp, run.prompts, self._emit)
        try:
            name, abandoned = planned.record(self._store)
            if changed:
                self._store.record_models(run.id, run.cycle, self._models.record()).result()
        except (StoreError, CheckpointError) as error:
            self._refuse(command, str(error))
            return
        self._run = run
        parent = planned.resumed.name if isinstance(command, do.Fork) else ""
        note = f"{changed[0]} has changed since the run began." if changed else ""
        self._emit(ev.RunResumed(run.id, name, run.cycle, run.hp, parent, abandoned, note))
        self._enter(State.RUNNING)

    def _export(self, command: do.ExportRun) -> None:
        """Write a run's policy as a plain folder of transformers."""
        try:
            check_folder(command.folder)
            found = read_checkpoint(self._store, command.run_id, command.cycle)
        except ExportError as error:
            self._refuse(command, str(error))
            return
        except ResumeError as error:
            self._refuse_reading(command, error)
            return
        if not self._put_back(command, found) or self._models.ppo is None:
            return
        before = self._state
        self._enter(State.LOADING, f"Exporting the policy of {found.name}")
        self._emit(ev.LoadingProgress(f"Writing the policy to {command.folder}", 0.9))
        try:
            export(self._models.ppo, command.folder)
        except ExportError as error:
            self._enter(before)
            self._refuse(command, str(error))
        else:
            self._enter(before)
            self._emit(ev.Exported(found.run.id, found.run.cycle, command.folder))

    def _put_back(
        self, command: do.Command, found: Resumed, first: Hyperparameters | None = None
    ) -> bool:
        """Bring the models to where a run stood, make sure that they can go on with ``first``, and
        return whether that went well."""
        if self._models.command != found.models or self._models.changed_files():
            before = self._state
            self._enter(State.LOADING)
            if not self._load(found.models, command):
                return False
            self._enter(before if before is not State.IDLE else State.READY)
        ppo, run = self._models.ppo, found.run
        if ppo is None:
            return False
        if not isinstance(command, do.ExportRun) and (
            sentence := self._models.changed_weights(found.record)
        ):
            self._refuse(command, sentence)
            return False
        try:
            ppo.begin([p.text for p in run.prompts], run.hp)
            if found.snapshot is not None:
                ppo.restore(*found.snapshot)
            if first is not None:
                ppo.apply(run.hp, first)
        except ValueError as error:
            known = isinstance(error, PromptError | UnsupportedModelError)
            self._refuse(command, str(error) if known else (
                "The checkpoint belongs to another model: the policy's files have changed since; "
                "load the one the run began with."))
            return False
        except Exception as error:
            self._refuse(command, explain(error, run.hp)[0])
            return False
        return True

    def _go_on(self, *, step: bool) -> None:
        if self._run is not None:
            self._run.pause_after_cycle = step
            self._store.set_status(self._run.id, "running").result()
            self._enter(State.RUNNING, f"One cycle: {self._run.cycle + 1}" if step else "")

    def _one_cycle(self, run: Run) -> None:
        """Run the next cycle, or whatever comes before and after it."""
        ppo = self._models.ppo
        if ppo is None:
            raise RuntimeError("a run is on without models")
        result: CycleResult | None = None
        out_of_memory = False
        details = ""
        try:
            if not run.compared_start:
                before = ppo.compare(run.compared, run.hp, self)
                self._store.record_comparison(run.id, 0, records(before, run)).result()
                run.compared_start = True
                self._emit(ev.ComparisonReady(run.id, 0))
            self._apply_staged(run, ppo)
            if run.cycle < run.hp.num_cycles:
                run.in_cycle = True
                result = ppo.run_cycle(run.cycle + 1, run.hp, run.compared, self)
                record_cycle(self._store, run, result, ppo.numbers, self._emit)
        except Interrupted:
            if not self._closing:
                self._finish("stopped")
        except Exception as error:
            if isinstance(error, RewardError) and ppo.between_cycles and run.cycle:
                self._checkpoint()  # so that the run goes on from here once the file is mended
            sentence, details = explain(error, run.hp)
            if isinstance(error, NotFiniteError):
                if error.intact:
                    self._checkpoint()
                self._emit(not_finite(self._store, run, error))
            if not (out_of_memory := is_out_of_memory(error)):
                self._emit(ev.RunFailed(run.id, sentence, details))
                self._finish("failed", sentence)
        else:
            self._after_cycle(run)
        if out_of_memory:  # only now is what the error held on to free
            self._out_of_memory(run, ppo, details, intact=result is None and ppo.between_cycles)

    def _out_of_memory(self, run: Run, ppo: PPO, details: str, *, intact: bool) -> None:
        """End a run for which memory ran out, so that it can go on with less."""
        let_go(ppo)
        if intact and run.cycle:
            self._checkpoint()
        sentence, retry = self._models.ran_out(run, self._phase)
        self._emit(ev.RunFailed(run.id, sentence, details, retry))
        self._finish("failed", sentence)

    def _after_cycle(self, run: Run) -> None:
        done = run.cycle >= run.hp.num_cycles
        every = run.hp.checkpoint_every
        if done or run.pause_after_cycle or self._state is State.STOPPING or (
            every and run.cycle and run.cycle % every == 0
        ):
            self._checkpoint()
        if done:
            self._finish("finished")
        elif self._state is State.STOPPING:
            self._finish("stopped")
        elif run.pause_after_cycle:
            run.pause_after_cycle = False
            self._store.set_status(run.id, "paused").result()
            why = f": {run.health.paused_for}" if run.health.paused_for else ""
            self._enter(State.PAUSED, f"After cycle {run.cycle}{why}")

    def _checkpoint(self) -> None:
        """Write a checkpoint of the last finished cycle, if the weights are still its."""
        run, ppo = self._run, self._models.ppo
        if run is not None and ppo is not None and not self._saving:
            self._saving = True
            write_checkpoint(self._store, run, ppo, self._emit, self._may_write)
            self._saving = False

    def _may_write(self) -> bool:
        """Serve commands between the files of a checkpoint; a second Stop gives it up."""
        self._attend()
        return not self._hurried

    def _stage(self, command: do.SetHyperparameters) -> None:
        run = self._run
        if run is None:
            return
        fixed = {name: f"{specs()[name].label} cannot change during a run; fork it to change this."
                 for name in command.changes if name in specs() and not specs()[name].live}
        values = {name: value for name, (value, _) in run.staged.items()}
        try:
            if fixed:
                raise HyperparameterError(fixed)
            new = run.hp.with_changes(values | dict(command.changes))
            self._check_fits(new)
        except HyperparameterError as error:
            self._refuse(command, str(error), error.problems)
            return
        except PromptError as error:
            self._refuse(command, str(error), {"response_length": str(error)})
            return
        parsed = new.model_dump()
        for name in command.changes:
            run.staged[name] = (parsed[name], command.by)
        self._emit(ev.HyperparametersStaged(
            {name: parsed[name] for name in command.changes},
            run.cycle + (2 if run.in_cycle else 1)))

    def _check_fits(self, hp: Hyperparameters) -> None:
        ppo = self._models.ppo
        if ppo is not None:
            ppo.scribe.encode(ppo.prompts, hp.response_length)

    def _apply_staged(self, run: Run, ppo: PPO) -> None:
        """Let staged changes take effect at this cycle: record them, then say so."""
        run.staged = run.journaled.pop(run.cycle + 1, {}) | run.staged
        if not run.staged:
            return
        new = run.hp.with_changes({name: value for name, (value, _) in run.staged.items()})
        if hold_kl_coef(run, new, ppo.kl_coef):
            new = new.with_changes({"kl_coef": run.staged["kl_coef"][0]})
        changes = tuple(
            ev.Change(name, old, now, run.staged[name][1])
            for name, (old, now) in run.hp.differences(new).items())
        run.staged.clear()
        ppo.apply(run.hp, new)
        run.hp = new
        self._store.record_changes(
            run.id, run.cycle + 1, [(c.name, c.old, c.new, c.by) for c in changes]).result()
        if changes:
            self._emit(ev.HyperparametersApplied(run.id, run.cycle + 1, changes, new))

    def _finish(self, outcome: Status, note: str = "") -> None:
        if outcome == "stopped" and not self._hurried:
            if self._state is State.STOPPING:
                self._enter(State.STOPPING, "Writing a checkpoint; Stop again ends without it")
            self._checkpoint()
        run, self._run, self._hurried = self._run, None, False
        if run is None:
            return
        self._store.set_status(run.id, outcome, note).exception()
        return_freed_memory()
        self._emit(ev.RunFinished(run.id, outcome, run.cycle))
        self._enter(State.FAILED if outcome == "failed" else State.FINISHED, note)
