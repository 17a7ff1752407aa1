"""The run that is on: its cycles, its checkpoints and its end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from workbench import processes
from workbench.algorithms import parts_of, shown_as
from workbench.feedback.reward_text import RewardError
from workbench.learning.trainer import AnyTrainer
from workbench.memory_allocator import return_freed_memory
from workbench.models.control import Interrupted, NotFiniteError
from workbench.models.device import caution, find_placement
from workbench.models.out_of_memory import is_out_of_memory
from workbench.models.phases import Phase
from workbench.models.policy_tokenizer import PromptError
from workbench.models.ranks import RankError, RankMemoryError
from workbench.models.sources import LoadError
from workbench.records import Draft
from workbench.settings import HyperparameterError
from workbench.store.disk_errors import NotWrittenError
from workbench.store.records import Status
from workbench.store.reward_models import folder_of
from workbench.store.store import Store
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.branching import models_alone
from workbench.training.estimates import let_go
from workbench.training.events import State
from workbench.training.exporting import ExportError, export
from workbench.training.failures import explain, is_expected
from workbench.training.health import not_finite
from workbench.training.models import Models
from workbench.training.preparing import prepare
from workbench.training.run import ResumeError, Run, Unwritten, records
from workbench.training.saving import (
    changes_record,
    cycle_record,
    start_record,
    write_checkpoint,
)
from workbench.training.session_state import SessionState
from workbench.training.staging import apply_staged, stage

PATIENCE = 10.0
"""Seconds without progress for which a stop waits for the comparison: a reward may never return."""

GATHERED_ONCE = "To write, each process gathers all weights once."
GATHERED_BY_LAYER = ("To write, the processes gather the weights of one layer after another: there "
                     "is no memory for all at once.")


class Runner:
    """Runs cycles, and looks for commands in every step of them. Lives on the training thread."""

    def __init__(
        self, store: Store, models: Models, session: SessionState, attend: Callable[[], None],
        wait: Callable[[], None],
    ) -> None:
        """Be without a run.

        Args:
            attend: serves the commands that wait.
            wait: serves one, once there is one.
        """
        self._store, self._models, self._session = store, models, session
        self._emit, self._attend, self._wait = session.emit, attend, wait
        self.run: Run | None = None
        self._hurried = False
        self._saving = False
        self._gathers: bool | None = None
        self._phase = Phase.SAMPLING
        self._place = (Phase.SAMPLING, 0, 0)
        self._moved_at = 0.0

    # -- what is asked of it

    def begin(self, run: Run) -> None:
        """Be with a run, whose next cycle is next."""
        self.run, self._gathers = run, None
        self._models.trained = run
        self._session.enter(State.RUNNING, caution(find_placement(run.hp.precision)))

    def pause(self) -> None:
        """Hold the run when the cycle in hand is complete."""
        if self.run is not None:
            self.run.pause_after_cycle = True
            self._session.enter(State.RUNNING, f"Pausing after cycle {self.run.cycle + 1}")

    def go_on(self, *, step: bool) -> None:
        """Go on with a paused run, for one cycle or for all."""
        if self.run is not None:
            self.run.pause_after_cycle, self.run.step_into = step, False
            self._store.set_status(self.run.id, "running").exception()
            self._session.enter(State.RUNNING, f"One cycle: {self.run.cycle + 1}" if step else "")

    def go_into(self) -> None:
        """Hold the run when the next part of a cycle is done."""
        run = self.run
        if run is not None:
            run.step_into = run.pause_after_cycle = True
            if self._session.state is State.PAUSED:
                self._store.set_status(run.id, "running").exception()
            self._session.enter(State.RUNNING, f"Into cycle {run.cycle + 1}")

    def settle(self) -> str:
        """Write what waits in memory; return a sentence if the disk does not take it."""
        run = self.run
        if run is None or run.unwritten is None:
            return ""
        try:
            self._write(run, run.unwritten)
        except NotWrittenError as error:
            return self._held(run, error)
        return ""

    def stop(self) -> None:
        """End the run at the next step, or once a cycle whose update is made is complete; asked
        again, at once and without a checkpoint."""
        self._hurried = self._session.state is State.STOPPING
        self._moved_at = time.monotonic()
        self._session.enter(
            State.STOPPING, "Ending without a checkpoint" if self._hurried
            else "Stopping after the comparison; Stop again drops the cycle" if self._completes()
            else "Stopping at the next step")

    def _completes(self) -> bool:
        """Whether a stop waits for the end of the cycle: the update is made, so that the weights
        of the cycle before are gone, and only the comparison is missing, which gets on."""
        return (self.run is not None and self.run.in_cycle and not self._hurried
                and self._phase in (Phase.READING, Phase.COMPARING)
                and time.monotonic() - self._moved_at <= PATIENCE)

    def stage(self, command: do.SetHyperparameters) -> None:
        """Keep changes for the next cycle to begin."""
        if self.run is None:
            return
        try:
            self._emit(stage(self.run, self._models.trainer, command))
        except HyperparameterError as error:
            self._session.refuse(command, str(error), error.problems)
        except PromptError as error:
            self._session.refuse(command, str(error), {"response_length": str(error)})

    # -- cycles

    def step(self, phase: Phase, done: int, total: int) -> None:
        """Serve as the :class:`~workbench.models.control.Control` of a cycle."""
        if (phase, done, total) != self._place:
            self._place, self._moved_at = (phase, done, total), time.monotonic()
        self._phase = phase
        self._attend()
        self._go_on_or_end()
        if (run := self.run) is not None:
            # After the last cycle what it has made is written: no further cycle begins.
            further = run.compared_start and run.cycle < run.hp.num_cycles
            self._emit(ev.Progress(
                run.id, run.cycle + further, run.hp.num_cycles, phase, done, total))

    def tell(self, part: str, numbers: Mapping[str, float]) -> None:
        """Serve as the :class:`~workbench.models.control.CycleControl` of a cycle."""
        if self.run is not None:
            known = {name: n for name, n in numbers.items() if math.isfinite(n)}
            self._emit(ev.PartReported(self.run.id, self.run.cycle + 1, part, known))

    def part_done(self, part: str, draft: Callable[[], Draft]) -> None:
        """Serve as the :class:`~workbench.models.control.CycleControl` of a cycle."""
        run = self.run
        if run is None:
            return
        self._emit(ev.PartReported(run.id, run.cycle + 1, part, {}, done=True))
        self._attend()
        if not run.step_into or self._session.state is not State.RUNNING:
            return
        run.step_into, run.within = False, part
        made = draft()
        written = self._store.record_draft(
            run.id, run.cycle + 1, records(made.rollout, run), made.traces).exception()
        run.drafted = run.drafted or written is None
        self._store.set_status(run.id, "paused").exception()
        title = next(p.title for p in parts_of(shown_as(run.hp)) if p.name == part)
        self._session.enter(
            State.PAUSED, f"In cycle {run.cycle + 1}, after {title}"
            f"{f'; it cannot be shown: {written}' if written else ''}", within=part)
        while self._paused() and not self._session.closing:
            self._wait()
        run.within = ""
        self._moved_at = time.monotonic()
        self._go_on_or_end()

    def _paused(self) -> bool:
        return self._session.state is State.PAUSED

    def _go_on_or_end(self) -> None:
        if self._session.closing or (
                self._session.state is State.STOPPING and not self._completes()):
            raise Interrupted

    def one_cycle(self, run: Run) -> None:
        """Run the next cycle, or whatever comes before and after it."""
        trainer = self._models.trainer
        if trainer is None:
            raise RuntimeError("a run is on without models")
        cycle, out_of_memory, details, process = run.cycle, False, "", processes.name_of_own()
        try:
            self._advance(run, trainer)
        except Interrupted:
            if not self._session.closing:
                self.finish("stopped")
        except NotWrittenError as error:
            if self._session.state is State.STOPPING:
                self.finish("stopped")
                return
            run.pause_after_cycle = False
            self._store.set_status(run.id, "paused").exception()
            self._session.enter(State.PAUSED, self._held(run, error), held=True)
        except Exception as error:
            if isinstance(error, RewardError | RankError) and (
                    trainer.between_cycles and run.cycle):
                self.checkpoint()  # so that the run goes on from here once that is mended
            sentence, details = explain(error, run.hp)
            if isinstance(error, NotFiniteError):
                if error.intact:
                    self.checkpoint()
                self._emit(not_finite(self._store, run, error))
            if isinstance(error, RankMemoryError):
                process = error.process
            if not (out_of_memory := is_out_of_memory(error)):
                self._emit(ev.RunFailed(
                    run.id, sentence, details, unexpected=not is_expected(error),
                    resumable=isinstance(error, RankError)))
                # One whose process is gone has not failed by itself: it can go on as it is.
                self.finish("interrupted" if isinstance(error, RankError) else "failed", sentence)
        if out_of_memory:  # only now is what the error held on to free
            self._out_of_memory(
                run, trainer, details, process,
                intact=run.cycle == cycle and trainer.between_cycles)

    def _advance(self, run: Run, trainer: AnyTrainer) -> None:
        """Write what waits, then run the next cycle.

        Raises:
            NotWrittenError: the disk does not take what was to be written.
        """
        if run.unwritten is not None:
            self._write(run, run.unwritten)
        if not run.compared_start:
            start = trainer.compare(run.compared, run.hp, self)
            self._write(run, start_record(self._store, run, start, self._emit))
            self._tell_gathering(run, trainer)
        if trainer.episodes(run.hp) and not run.cycle and not run.prepared:
            self._write(run, prepare(self._store, self._models, run, self, self._emit))
        if run.attended and not run.in_cycle:
            applied = apply_staged(run, trainer)
            run.in_cycle = run.cycle < run.hp.num_cycles
            if applied is not None:
                self._write(run, changes_record(self._store, applied, self._emit))
        if run.attended and run.in_cycle:
            result = trainer.run_cycle(run.cycle + 1, run.hp, run.compared, self)
            self._write(run, cycle_record(self._store, run, result, trainer.numbers, self._emit))
            self._tell_gathering(run, trainer)
        self._after_cycle(run)
        run.attended = True

    def _tell_gathering(self, run: Run, trainer: AnyTrainer) -> None:
        """Say how what the processes share out is gathered to write with, where that is new."""
        gathers = trainer.policy.gathers
        if gathers in (None, self._gathers) or run.pause_after_cycle or (
                self._session.state is not State.RUNNING):
            return
        self._gathers = gathers
        self._session.enter(State.RUNNING, GATHERED_ONCE if gathers else GATHERED_BY_LAYER)

    def _write(self, run: Run, what: Unwritten) -> None:
        run.unwritten = None
        try:
            what.write()
        except NotWrittenError:
            run.unwritten = what
            raise

    def _held(self, run: Run, error: NotWrittenError) -> str:
        """Say why the run is paused, what waits and what to do."""
        waits = f" and {run.unwritten.what} waits in memory" if run.unwritten else ""
        return (f"{error.reason}, so the run is paused after cycle {run.cycle}{waits}. "
                f"{error.remedy}, then resume.")

    def _out_of_memory(
        self, run: Run, trainer: AnyTrainer, details: str, process: str, *, intact: bool
    ) -> None:
        """End a run for which memory ran out, so that it can go on with less."""
        let_go(trainer)
        if intact and run.cycle:
            self.checkpoint()
        sentence, retry = self._models.ran_out(run, self._phase, process)
        self._emit(ev.RunFailed(run.id, sentence, details, retry))
        self.finish("failed", sentence)

    def _after_cycle(self, run: Run) -> None:
        done = run.cycle >= run.hp.num_cycles
        every = run.hp.checkpoint_every
        if done or run.pause_after_cycle or (every and run.cycle and run.cycle % every == 0):
            self._write_checkpoint()
        if done:
            self._leave_reward_model(run)
            self.finish("finished")
        elif self._session.state is State.STOPPING:
            self.finish("stopped")
        elif run.pause_after_cycle:
            self._store.set_status(run.id, "paused").result()
            run.pause_after_cycle = False
            why = f": {run.health.paused_for}" if run.health.paused_for else ""
            self._session.enter(State.PAUSED, f"After cycle {run.cycle}{why}")

    def _leave_reward_model(self, run: Run) -> None:
        """Put the reward model that a run has trained, if it trains one, among those to choose."""
        trainer = self._models.trainer
        if trainer is None or trainer.MAKES != "reward model":
            return
        record = self._store.run(run.id)
        name = record.name if record else f"Run {run.id}"
        folder = str(folder_of(self._store.home, run.id, run.cycle))
        own = None
        try:
            if trainer.shares_out:  # no process has all of it
                own = models_alone(self._store, run)
                assert own.trainer is not None
                trainer = own.trainer
            note = export(trainer, folder, lambda *_: self.step(Phase.COMPARING, 0, 0),
                          replace=True)
        except (ExportError, ResumeError, LoadError, HyperparameterError) as error:
            folder, note = "", f"{error} The run's checkpoint has it: Export writes it anew."
        self._emit(ev.RewardModelMade(run.id, name, folder, note))

    def checkpoint(self) -> None:
        """Write a checkpoint of the last finished cycle, if the weights are still its, or say why
        that cannot be."""
        if self.run is None:
            return
        sentence = self.settle()
        try:
            self._write_checkpoint()
        except (NotWrittenError, RankError) as error:
            sentence = str(error)
        if sentence:
            self._emit(ev.CheckpointFailed(self.run.id, sentence))

    def _write_checkpoint(self) -> None:
        """Do so.

        Raises:
            NotWrittenError: the disk is full.
        """
        run, trainer = self.run, self._models.trainer
        if run is not None and trainer is not None and not self._saving:
            self._saving = True
            try:
                write_checkpoint(self._store, run, trainer, self._emit, self._may_write)
            finally:
                self._saving = False

    def _may_write(self) -> bool:
        """Serve commands between the files of a checkpoint; a second Stop gives it up."""
        self._attend()
        return not self._hurried

    def finish(self, outcome: Status, note: str = "") -> None:
        """End the run, if there is one; a stopped one with a checkpoint.

        Raises:
            NotWrittenError: a run that has finished cannot be recorded as such, and still is.
        """
        run = self.run
        if run is None:
            return
        lost = self._lost(run)
        if run.drafted:
            self._store.drop_draft(run.id).exception()
        if outcome == "stopped" and not lost and not self._hurried:
            if self._session.state is State.STOPPING:
                self._session.enter(
                    State.STOPPING, "Writing a checkpoint; Stop again ends without it")
            self.checkpoint()
        recorded = self._store.set_status(run.id, outcome, note)
        if outcome == "finished":
            recorded.result()
        elif recorded.exception() is not None:
            self._store.run_locks.release(run.id)  # so that it is known to be interrupted
        self.run, self._hurried = None, False
        return_freed_memory()
        self._emit(ev.RunFinished(run.id, outcome, run.cycle, lost))
        self._session.enter(State.FAILED if outcome == "failed" else State.FINISHED, note or lost)

    def _lost(self, run: Run) -> str:
        """Write what waits a last time; return a sentence on what the disk does not take."""
        what = run.unwritten
        if what is None:
            return ""
        try:
            self._write(run, what)
        except NotWrittenError as error:
            return f"{error.reason}, so {what.what} is not kept; {what.again}."
        return ""
