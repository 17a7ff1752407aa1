"""What the run that is on leaves in the store: finished cycles and checkpoints."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence

from workbench.algorithms import shown_as
from workbench.learning.trainer import AnyTrainer, Arrays
from workbench.records import Completion, CycleResult
from workbench.store.checkpoints import Checkpoint, CheckpointError
from workbench.store.disk_errors import NotWrittenError
from workbench.store.store import Store
from workbench.training import events as ev
from workbench.training.health import check, health_records
from workbench.training.run import Run, Unwritten, records

log = logging.getLogger(__name__)

Emit = Callable[[ev.Event], None]
_AGAIN = "it is made again when the run is resumed"


def start_record(store: Store, run: Run, written: Sequence[Completion], emit: Emit) -> Unwritten:
    """Return what records the completions of the policy that the run began with, then says that
    they are there."""
    completions = records(written, run)

    def write() -> None:
        store.record_comparison(run.id, run.cycle, completions).result()
        run.compared_start = True
        emit(ev.ComparisonReady(run.id, run.cycle))
    return Unwritten("the start policy's completions", _AGAIN, write)


def changes_record(store: Store, applied: ev.HyperparametersApplied, emit: Emit) -> Unwritten:
    """Return what journals the changes that a cycle uses first, then says that they are in use."""
    changes = [(c.name, c.old, c.new, c.by) for c in applied.changes]

    def write() -> None:
        store.record_changes(applied.run_id, applied.cycle, changes).result()
        if changes:
            emit(applied)
    return Unwritten(f"the changed settings of cycle {applied.cycle}",
                     "change them again when the run is resumed", write)


def cycle_record(
    store: Store, run: Run, result: CycleResult, numbers: Mapping[str, float], emit: Emit
) -> Unwritten:
    """Return what records a finished cycle whole, then says that it is there; until it is, the run
    still stands before the cycle."""
    cycle = run.cycle + 1
    checked = check(run, cycle, result.metrics)
    rollout, comparison = records(result.rollout, run), records(result.comparison, run)

    def write() -> None:
        store.record_cycle(
            run.id, cycle, metrics=result.metrics, rollout=rollout, comparison=comparison,
            traces=result.traces, spreads=result.spreads, keep_traces=run.hp.keep_tokens,
            health=health_records(checked)).result()
        run.cycle, run.in_cycle, run.attended, run.drafted = cycle, False, False, False
        run.score, run.settled = _worth(result, run), (run.hp, numbers)
        log.info("Run %d: cycle %d in %.2f s", run.id, cycle, result.metrics["seconds"])
        emit(ev.ComparisonReady(run.id, cycle))
        emit(ev.CycleFinished(run.id, cycle, run.hp.num_cycles, dict(result.metrics)))
        emit(checked)
        run.pause_after_cycle = run.pause_after_cycle or bool(checked.pauses_for)
    return Unwritten(f"cycle {cycle}", _AGAIN, write)


def _worth(result: CycleResult, run: Run) -> float | None:
    """Return what checkpoints are held against each other by: the mean score of what the updated
    policy wrote, the compared prompts, or, when none are compared, of what the cycle before its
    update did; of a judge, what its runs are compared by."""
    algorithm = shown_as(run.hp)
    if algorithm.makes != "policy":
        return result.metrics.get(algorithm.headline)
    scores = [w.score for w in result.comparison or result.rollout if math.isfinite(w.score)]
    return sum(scores) / len(scores) if scores else None


def write_checkpoint(
    store: Store, run: Run, trainer: AnyTrainer, emit: Emit,
    proceed: Callable[[], bool],
) -> None:
    """Write a checkpoint of the last finished cycle, unless it is there or the weights have moved
    on; then let go of those that nobody keeps.

    Args:
        proceed: False gives the checkpoint up.

    Raises:
        NotWrittenError: the disk is full.
    """
    if run.settled is None or run.checkpointed == run.cycle or not trainer.between_cycles or (
        run.unwritten is not None  # the weights are those of a cycle that is not there yet
    ):
        return
    hp, numbers = run.settled

    def write(arrays: Arrays) -> Checkpoint | CheckpointError | NotWrittenError:
        try:
            return store.checkpoints.write(
                run.id, run.cycle, arrays, {"numbers": numbers, "hyperparameters": hp.model_dump()},
                score=run.score, proceed=proceed)
        except (CheckpointError, NotWrittenError) as error:
            return error  # it concerns nobody but who writes

    written = trainer.write_snapshot(write)
    if isinstance(written, NotWrittenError):
        raise written
    if isinstance(written, CheckpointError):
        emit(ev.CheckpointFailed(run.id, str(written)))
        return
    assert written is not None
    run.checkpointed = run.cycle
    record = store.run(run.id)
    # A fork begins anew, for another try, nowhere but there.
    store.checkpoints.prune(run.id, run.hp.keep_checkpoints,
                            record.parent_cycle if record is not None else None)
    emit(ev.CheckpointWritten(run.id, run.cycle, written.bytes))
