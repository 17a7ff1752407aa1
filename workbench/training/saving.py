"""What the run that is on leaves in the store: finished cycles and checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from workbench.ppo.cycle import PPO, CycleResult
from workbench.store.checkpoints import CheckpointError
from workbench.store.store import Store
from workbench.store.traces import TraceRecord
from workbench.training import events as ev
from workbench.training.checkup import check, health_records
from workbench.training.run import Run, records

Emit = Callable[[ev.Event], None]


def record_cycle(
    store: Store, run: Run, result: CycleResult, numbers: Mapping[str, float], emit: Emit
) -> None:
    """Record a finished cycle whole, then say that it is there.

    Raises:
        StoreError: it cannot be written; the run still stands before the cycle.
    """
    cycle = run.cycle + 1
    checked = check(run, cycle, result.metrics)
    store.record_cycle(
        run.id, cycle, metrics=result.metrics, rollout=records(result.rollout, run),
        comparison=records(result.comparison, run),
        traces=[TraceRecord(t.row, t.prompt, t.tokens, t.pieces, t.numbers)
                for t in result.traces],
        keep_traces=run.hp.keep_tokens, health=health_records(checked)).result()
    run.cycle, run.in_cycle = cycle, False
    run.score, run.settled = _worth(result), (run.hp, numbers)
    emit(ev.ComparisonReady(run.id, cycle))
    emit(ev.CycleFinished(run.id, cycle, run.hp.num_cycles, dict(result.metrics)))
    emit(checked)
    run.pause_after_cycle = run.pause_after_cycle or bool(checked.pauses_for)


def _worth(result: CycleResult) -> float | None:
    """Return the mean score of what the updated policy wrote: the compared prompts, or, when none
    are compared, of what the cycle before its update did."""
    scores = [w.score for w in result.comparison or result.rollout if math.isfinite(w.score)]
    return sum(scores) / len(scores) if scores else None


def write_checkpoint(
    store: Store, run: Run, ppo: PPO, emit: Emit,
    proceed: Callable[[], bool],
) -> None:
    """Write a checkpoint of the last finished cycle, unless it is there or the weights have moved
    on; then let go of those that nobody keeps. A full disk does not end the run.

    Args:
        proceed: False gives the checkpoint up.
    """
    if run.settled is None or run.checkpointed == run.cycle or not ppo.between_cycles:
        return
    hp, numbers = run.settled
    try:
        written = store.checkpoints.write(
            run.id, run.cycle, ppo.snapshot()[0],
            {"numbers": numbers, "hyperparameters": hp.model_dump()},
            score=run.score, proceed=proceed)
    except CheckpointError as error:
        emit(ev.CheckpointFailed(run.id, str(error)))
        return
    run.checkpointed = run.cycle
    store.checkpoints.prune(run.id, run.hp.keep_checkpoints)
    emit(ev.CheckpointWritten(run.id, run.cycle, written.bytes))
