"""What a run tells its clients. Immutable values of plain Python: no tensor, no traceback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from workbench.ppo.hyperparameters import Hyperparameters, Value
from workbench.ppo.phases import Phase
from workbench.training.commands import Command


class State(StrEnum):
    """Where a session stands. Shown as it is written here."""

    IDLE = "Idle"
    LOADING = "Loading"
    READY = "Ready"
    RUNNING = "Running"
    PAUSED = "Paused"
    STOPPING = "Stopping"
    FINISHED = "Finished"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The session is now in ``state``; ``note`` says why or what it waits for."""

    state: State
    note: str = ""


@dataclass(frozen=True, slots=True)
class LoadingProgress:
    """``fraction`` runs from 0 to 1 over both models."""

    text: str
    fraction: float


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the Models dock shows of a loaded model."""

    source: str
    name: str
    architecture: str
    parameters: int
    vocabulary: int
    dtype: str
    device: str
    tokenizer: str
    has_chat_template: bool = False
    labels: tuple[str, ...] = ()
    label: int | None = None


@dataclass(frozen=True, slots=True)
class ModelsLoaded:
    """Both models are ready on ``policy.device``."""

    policy: ModelFacts
    reward: ModelFacts
    seconds: float


@dataclass(frozen=True, slots=True)
class LoadingFailed:
    """Nothing changed. ``which`` is 'policy' or 'reward'; ``labels`` is set when the person must
    say which of several outputs is the score; ``cancelled`` when they gave up themselves."""

    sentence: str
    which: str = ""
    details: str = ""
    labels: tuple[str, ...] = ()
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """A command that makes no sense in the present state, or bad values, with the reason.
    ``instead`` is a command that could be sent in its place."""

    command: str
    sentence: str
    problems: Mapping[str, str] = field(default_factory=dict)
    instead: Command | None = None


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run exists in the store; its start completions (cycle 0) follow."""

    run_id: int
    name: str
    hyperparameters: Hyperparameters


@dataclass(frozen=True, slots=True)
class RunResumed:
    """A run of the store goes on after ``cycle``; what was recorded of later cycles is gone."""

    run_id: int
    name: str
    cycle: int
    hyperparameters: Hyperparameters


@dataclass(frozen=True, slots=True)
class RunFollowed:
    """A run that ``owner``, another process, trains is watched from here; it stands after
    ``cycle``."""

    run_id: int
    name: str
    cycle: int
    hyperparameters: Hyperparameters
    owner: str


@dataclass(frozen=True, slots=True)
class CheckpointWritten:
    """The run can be resumed from ``cycle`` on."""

    run_id: int
    cycle: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Exported:
    """The policy of a run after ``cycle`` lies in ``folder``."""

    run_id: int
    cycle: int
    folder: str


@dataclass(frozen=True, slots=True)
class CheckpointFailed:
    """A checkpoint could not be written; the run goes on."""

    run_id: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a cycle is: ``done`` of ``total`` steps of ``phase``."""

    run_id: int
    cycle: int
    num_cycles: int
    phase: Phase
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class ComparisonReady:
    """The compared prompts' completions after ``cycle`` are in the store (0: start policy)."""

    run_id: int
    cycle: int


@dataclass(frozen=True, slots=True)
class CycleFinished:
    """A cycle is complete and in the store with its metrics and completions."""

    run_id: int
    cycle: int
    num_cycles: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class HyperparametersStaged:
    """Accepted; used from ``takes_effect_at`` on."""

    changes: Mapping[str, Value]
    takes_effect_at: int


@dataclass(frozen=True, slots=True)
class Change:
    """One hyperparameter's change."""

    name: str
    old: Value
    new: Value
    by: str = "person"


@dataclass(frozen=True, slots=True)
class HyperparametersApplied:
    """The changes that ``cycle`` was the first to use; already in the store."""

    run_id: int
    cycle: int
    changes: tuple[Change, ...]
    hyperparameters: Hyperparameters


@dataclass(frozen=True, slots=True)
class RunFinished:
    """``outcome`` is the run's status in the store: finished, stopped or failed; of a watched run
    whose process is gone, interrupted."""

    run_id: int
    outcome: str
    cycles: int


@dataclass(frozen=True, slots=True)
class RunFailed:
    """A run could not go on. ``sentence`` says what to do, ``details`` is for a bug report."""

    run_id: int
    sentence: str
    details: str = ""


Event = (
    StateChanged | LoadingProgress | ModelsLoaded | LoadingFailed | CommandRefused
    | RunStarted | RunResumed | RunFollowed | Progress | ComparisonReady | CycleFinished
    | HyperparametersStaged | HyperparametersApplied | CheckpointWritten | CheckpointFailed
    | Exported
    | RunFinished | RunFailed
)
