"""What a run tells its clients. Immutable values of plain Python: no tensor, no traceback."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from workbench.health import Finding
from workbench.judging.server import consent_of
from workbench.models.phases import Phase
from workbench.records import BestOf, Completion, Crossroads, Distribution
from workbench.settings import Value
from workbench.training.commands import Command, ExportRun, Fork, GoBack, LoadModels, ResumeRun


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
    """The session is now in ``state``; ``note`` says why or what it waits for.

    ``held``: the run is paused because the disk does not take what it wrote; to resume it is to
    try again. ``within``: it is paused within a cycle, after the part of this name.
    """

    state: State
    note: str = ""
    held: bool = False
    within: str = ""


@dataclass(frozen=True, slots=True)
class LoadingProgress:
    """``fraction`` runs from 0 to 1 over both models."""

    text: str
    fraction: float


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the Models dock shows of a loaded model, or of a reward of another kind.

    A Python file has ``sha256`` and ``summary``; a weighted sum has ``parts``.
    """

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
    sha256: str = ""
    summary: str = ""
    parts: tuple[ModelFacts, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences on what of it is not used, or may surprise."""
    reads: str = ""
    """How a classifier reads: text, segments or chat."""
    end_token: bool = False
    limit: int | None = None
    """How many tokens a classifier reads at most; None: any number."""


@dataclass(frozen=True, slots=True)
class ModelsLoaded:
    """Policy and reward are ready on ``policy.device``; ``command`` asked for them."""

    policy: ModelFacts
    reward: ModelFacts
    seconds: float
    command: LoadModels | None = None


@dataclass(frozen=True, slots=True)
class HalfLoaded:
    """The ``"policy"`` or the ``"reward"`` is in memory, as ``which`` says, and the other is not:
    of ``command`` that half alone is named."""

    which: str
    facts: ModelFacts
    command: LoadModels


@dataclass(frozen=True, slots=True)
class UntrustedFile:
    """A Python file that runs only when the person agrees to what it holds; ``changed``: since
    the run began that is to go on."""

    path: str
    sha256: str
    text: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class UntrustedServer:
    """A server that is asked for scores only when the person agrees."""

    path: str
    """Its address."""

    @property
    def sha256(self) -> str:
        """By what an agreement is kept."""
        return hashlib.sha256(self.path.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class UntrustedJudge:
    """A server that is sent pairs to judge only when the person agrees; ``questions`` are so many
    at first."""

    path: str
    """Its address."""
    questions: int

    @property
    def sha256(self) -> str:
        """By what an agreement is kept."""
        return consent_of(self.path)


Untrusted = UntrustedFile | UntrustedServer
"""What a reward does only when the person agrees to it."""


@dataclass(frozen=True, slots=True)
class LoadingFailed:
    """Nothing changed. ``which`` is 'policy' or 'reward', ``part`` the number of the reward's
    part; ``labels`` is set when the person must say which of several outputs is the score,
    ``untrusted`` when they must agree to something first (then send ``again``); ``cancelled`` when
    they gave up themselves; ``package`` names one that carries the model and can be installed;
    ``command`` is what was to be loaded; ``unexpected`` is what nobody foresaw, so that a log
    should keep ``details``."""

    sentence: str
    which: str = ""
    details: str = ""
    labels: tuple[str, ...] = ()
    cancelled: bool = False
    part: int = 0
    untrusted: Untrusted | None = None
    again: Command | None = None
    package: str = ""
    command: LoadModels | None = None
    unexpected: bool = False


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """A command that makes no sense in the present state, or bad values, with the reason.
    ``instead`` is a command that could be sent in its place; ``id`` is that of the command, where
    it has one."""

    command: str
    sentence: str
    problems: Mapping[str, str] = field(default_factory=dict)
    instead: ResumeRun | GoBack | Fork | ExportRun | None = None
    id: int = 0


@dataclass(frozen=True, slots=True)
class MemoryEstimated:
    """What a run with the settings asked about will take, and what there is, in bytes.

    ``phases`` gives each phase's parts; the most is held in one phase, not in all together.
    ``advice`` is a sentence when it does not fit, ``changes`` the settings with which it would.
    ``algorithm`` is that of the settings; of several ``processes`` it is for each.
    """

    phases: Mapping[Phase, Mapping[str, int]]
    available: int
    device: str
    advice: str = ""
    changes: Mapping[str, Value] = field(default_factory=dict)
    algorithm: str = ""
    processes: int = 1

    @property
    def needed(self) -> int:
        """The bytes of the phase that needs most."""
        return max(sum(parts.values()) for parts in self.phases.values())


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run exists in the store; its start completions (cycle 0) follow. ``note`` says how some
    prompts are read, where that may surprise."""

    run_id: int
    name: str
    algorithm: str
    hyperparameters: Mapping[str, Value]
    note: str = ""


@dataclass(frozen=True, slots=True)
class RunResumed:
    """A run goes on after ``cycle``: one of the store, which has no later cycles any more, or one
    just forked from the run named ``parent``. ``abandoned`` is the number of the run that keeps
    the later cycles, where they were not simply to be run again. ``note`` says what is not as it
    was."""

    run_id: int
    name: str
    cycle: int
    algorithm: str
    hyperparameters: Mapping[str, Value]
    parent: str = ""
    abandoned: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class RunFollowed:
    """A run that ``owner``, another process, trains is watched from here; it stands after
    ``cycle``. ``asked``: the command of this window that it came of, where it was handed over."""

    run_id: int
    name: str
    cycle: int
    algorithm: str
    hyperparameters: Mapping[str, Value]
    owner: str
    asked: str = ""


@dataclass(frozen=True, slots=True)
class CheckpointWritten:
    """The run can be resumed from ``cycle`` on."""

    run_id: int
    cycle: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Exported:
    """What a run trains, as it stood after ``cycle``, lies in ``folder``. ``note`` says why it was
    not read back and compared, where it was not."""

    run_id: int
    cycle: int
    folder: str
    note: str = ""
    what: str = "policy"


@dataclass(frozen=True, slots=True)
class RewardModelMade:
    """The reward model of a run that has come to its end lies in ``folder`` of the home, to be
    chosen as a reward; ``note`` is worth knowing of it. Without a folder, it says why there is
    none."""

    run_id: int
    name: str
    folder: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class CheckpointFailed:
    """A checkpoint could not be written; earlier ones are kept."""

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
class PartReported:
    """What is known by now of a part of the cycle in hand; ``done``: nothing more will be."""

    run_id: int
    cycle: int
    part: str
    metrics: Mapping[str, float]
    done: bool = False


@dataclass(frozen=True, slots=True)
class ComparisonReady:
    """The compared prompts' completions after ``cycle`` are in the store (0: start policy)."""

    run_id: int
    cycle: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """What comes before the first cycle is done: ``metrics`` were measured, ``sentence`` says what
    they mean. ``kept``: an earlier run with the same models, prompts and settings had done it."""

    run_id: int
    metrics: Mapping[str, float]
    sentence: str
    kept: bool


@dataclass(frozen=True, slots=True)
class CycleFinished:
    """A cycle is complete and in the store with its metrics and completions."""

    run_id: int
    cycle: int
    num_cycles: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class HealthChecked:
    """What the health check found after ``cycle``, serious findings first; already in the store.

    Comes after every cycle, and before :class:`RunFailed` when numbers were not finite.
    ``pauses_for`` is the title of a rule for which the run now pauses, or empty.
    """

    run_id: int
    cycle: int
    findings: tuple[Finding, ...]
    pauses_for: str = ""


@dataclass(frozen=True, slots=True)
class HyperparametersStaged:
    """Accepted; used from ``takes_effect_at`` on. ``note`` says what they do that nobody may
    expect."""

    changes: Mapping[str, Value]
    takes_effect_at: int
    note: str = ""


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
    hyperparameters: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class RunFinished:
    """``outcome`` is the run's status in the store: finished, stopped or failed; of a watched run
    whose process is gone, interrupted. ``lost`` says what could not be written, if anything."""

    run_id: int
    outcome: str
    cycles: int
    lost: str = ""


@dataclass(frozen=True, slots=True)
class RunFailed:
    """A run could not go on. ``sentence`` says what to do, ``details`` is for a bug report;
    ``retry`` holds the changes to resume it with when memory ran out; ``unexpected`` is as in
    :class:`LoadingFailed`; ``resumable``: it can go on just as it is."""

    run_id: int
    sentence: str
    details: str = ""
    retry: Mapping[str, Value] = field(default_factory=dict)
    unexpected: bool = False
    resumable: bool = False


@dataclass(frozen=True, slots=True)
class TryStarted:
    """A try began; ``labels`` name its sources in order. ``id`` is the command's."""

    id: int
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TryProgress:
    """What ``source`` has written so far: text and number of tokens for each prompt. At most
    about 30 a second."""

    id: int
    source: int
    texts: tuple[str, ...]
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TryScored:
    """``source`` is done: its completion of each prompt; their KL is the sum of
    log pi - log pi_start over the tokens."""

    id: int
    source: int
    completions: tuple[Completion, ...]


@dataclass(frozen=True, slots=True)
class TryFailed:
    """``source`` could not be tried; the others go on."""

    id: int
    source: int
    sentence: str


@dataclass(frozen=True, slots=True)
class TryFinished:
    """Nothing more comes of a try. ``stopped``: it ended early, by StopTrying or another
    command."""

    id: int
    stopped: bool


@dataclass(frozen=True, slots=True)
class WritingOn:
    """So many of all tokens have been written at most. ``id`` is the command's."""

    id: int
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class WroteOn:
    """What came of writing on; already in the store."""

    id: int
    found: Crossroads


@dataclass(frozen=True, slots=True)
class WritingOnFailed:
    """Nothing came of writing on: it was ended, with an empty ``sentence``, or could not be
    done."""

    id: int
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class DistributionRead:
    """How likely every token is at a place. ``id`` is the command's."""

    id: int
    found: Distribution


@dataclass(frozen=True, slots=True)
class ReadingDistributionFailed:
    """How likely tokens are could not be told; ``sentence`` is empty where it was ended."""

    id: int
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class PairsScored:
    """How many pairs of a set of judgements the reward in memory has scored. ``id`` is the
    command's."""

    id: int
    count: int


@dataclass(frozen=True, slots=True)
class ScoringPairsFailed:
    """Pairs could not be scored; those that were keep that. ``sentence`` is empty where it was
    ended."""

    id: int
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class ValuesRead:
    """What a value head foresees before each token of a completion. ``id`` is the command's."""

    id: int
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ReadingValuesFailed:
    """That could not be told; ``sentence`` is empty where it was ended."""

    id: int
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class SamplingBestOf:
    """So many of all completions have been written and scored; of none (``total`` 0), while the
    processes are being started that do so. ``id`` is the command's."""

    id: int
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class BestOfSampled:
    """What the best of n are worth; already in the store."""

    id: int
    found: BestOf


@dataclass(frozen=True, slots=True)
class SamplingBestOfFailed:
    """That could not be told; ``sentence`` is empty where it was ended."""

    id: int
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Judging:
    """So many of all questions have been put to a judge, of which ``failed`` were not answered;
    ``text`` is what it does first. ``id`` is the command's."""

    id: int
    done: int
    total: int
    text: str = ""
    failed: int = 0


@dataclass(frozen=True, slots=True)
class PairsJudged:
    """All that was to be asked is answered; ``by`` is what the marks are by."""

    id: int
    by: str


@dataclass(frozen=True, slots=True)
class JudgingFailed:
    """No more could be asked, what was is kept; ``sentence`` is empty where it was ended."""

    id: int
    sentence: str = ""


Event = (
    StateChanged | LoadingProgress | ModelsLoaded | HalfLoaded | LoadingFailed | CommandRefused
    | MemoryEstimated | RunStarted | RunResumed | RunFollowed | Progress | PartReported
    | ComparisonReady | Prepared | CycleFinished | HealthChecked
    | HyperparametersStaged | HyperparametersApplied | CheckpointWritten | CheckpointFailed
    | WritingOn | WroteOn | WritingOnFailed | DistributionRead | ReadingDistributionFailed
    | PairsScored | ScoringPairsFailed
    | ValuesRead | ReadingValuesFailed | SamplingBestOf | BestOfSampled | SamplingBestOfFailed
    | Judging | PairsJudged | JudgingFailed
    | Exported | RewardModelMade | TryStarted | TryProgress | TryScored | TryFailed | TryFinished
    | RunFinished | RunFailed
)
