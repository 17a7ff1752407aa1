"""Commands and events as JSON, for processes that share a store."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import TypeAdapter

from workbench.training import commands, events

STEERING = (commands.Pause, commands.Resume, commands.StepCycle, commands.StepInto,
            commands.Stop, commands.Checkpoint, commands.SetHyperparameters)
"""What another process may ask of a run."""
TOLD = (events.StateChanged, events.PartReported, events.Prepared, events.HyperparametersStaged,
        events.HyperparametersApplied, events.CheckpointWritten, events.CheckpointFailed,
        events.HealthChecked, events.RewardModelMade, events.RunFailed, events.RunFinished)
"""What a watcher is told. Cycles are not among it: the store has them."""
_KINDS = {kind.__name__: kind for kind in (*STEERING, *TOLD, events.Progress,
                                           events.ComparisonReady)}


def dump(message: Any) -> tuple[str, str]:
    """Return a message's name and its fields as JSON."""
    name = type(message).__name__
    return name, _adapter(name).dump_json(message).decode()


def load(name: str, fields: str) -> Any:
    """Return the message that :func:`dump` wrote.

    Raises:
        ValueError: it is none of ours.
    """
    if name not in _KINDS:
        raise ValueError(f"there is no message named {name!r}")
    return _adapter(name).validate_json(fields)


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(_KINDS[name])
