"""What a client can ask of a run. Each command is a small immutable value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.records import PromptsOf, RunData
from workbench.settings import Settings, Value
from workbench.store.records import Message, Prompt
from workbench.training.reward_parts import RewardPart


@dataclass(frozen=True, slots=True)
class LoadModels:
    """Load a policy (a local folder or hub name) and a reward.

    ``reward`` has the parts of a weighted sum; a plain name is a single one of weight 1.
    ``halves`` says what to do where one of the two cannot be loaded: ``"both"`` then changes
    nothing, ``"each"`` loads the other all the same. ``"policy"`` and ``"reward"`` load that one
    alone.
    """

    policy: str
    reward: str | tuple[RewardPart, ...]
    use_chat_template: bool = False
    halves: Literal["both", "each", "policy", "reward"] = field(default="both", compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.reward, str):
            object.__setattr__(self, "reward", (RewardPart(self.reward),))

    @classmethod
    def recorded(cls, policy: str, record: Mapping[str, Any]) -> LoadModels:
        """Return the command that loads what :meth:`workbench.training.models.Models.record`
        describes."""
        parts = tuple(
            RewardPart(p["source"], p["weight"], p["label"], p.get("reads", "auto"),
                       p.get("end_token", False), p["sha256"]) for p in record["reward"])
        return cls(policy, parts, record["use_chat_template"])

    @property
    def parts(self) -> tuple[RewardPart, ...]:
        """The parts of the reward."""
        assert not isinstance(self.reward, str)
        return self.reward


@dataclass(frozen=True, slots=True)
class CancelLoading:
    """Give up loading; the models loaded before stay."""


@dataclass(frozen=True, slots=True)
class PromptItem:
    """One enabled prompt of a run. Pinned prompts come first in the comparison; ``messages`` and
    ``columns`` are those of :class:`workbench.store.records.Prompt`."""

    text: str
    pinned: bool = False
    messages: tuple[Message, ...] = ()
    columns: Mapping[str, object] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, prompt: Prompt) -> PromptItem:
        """Return what a run needs of a prompt."""
        return cls(prompt.text, prompt.pinned, prompt.messages, prompt.columns)


@dataclass(frozen=True, slots=True)
class Start:
    """Begin a new run from the start policy. ``step`` pauses it after its first cycle, ``into``
    after the first part of that. ``sweep`` is that it belongs to, and its place there.
    ``data`` is what an algorithm learns from that needs some, or the numbers of the runs whose
    completions that is; None: the bundled pairs, or all finished runs of the same models."""

    hyperparameters: Settings
    prompts: tuple[PromptItem, ...]
    name: str = ""
    step: bool = False
    into: bool = False
    sweep: tuple[int, int] | None = None
    data: RunData | tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class EstimateMemory:
    """Ask how much memory a run with these settings, prompts and data would take."""

    hyperparameters: Settings
    prompts: tuple[PromptItem, ...]
    data: RunData | tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class ResumeRun:
    """Go on with a run of the store from its checkpoint after ``cycle`` (None: the last one).

    Its models are loaded if they are not; on a CPU what follows is what would have followed.
    ``changes`` are settings for the cycles to come, such as more cycles. ``step`` pauses it after
    its next cycle, ``into`` after the first part of that.
    """

    run_id: int
    cycle: int | None = None
    changes: Mapping[str, Value] = field(default_factory=dict)
    step: bool = False
    into: bool = False


@dataclass(frozen=True, slots=True)
class GoBack:
    """Let a run of the store stand again where it stood after ``cycle``, and go on from there with
    ``changes``; what it did later is kept as an abandoned branch. A paused run is ended first."""

    run_id: int
    cycle: int
    changes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fork:
    """Begin a new run where another stood after ``cycle`` (None: its last checkpoint; 0: its
    start), with ``changes``, also to what is fixed during a run. A paused run is ended first.
    ``about`` follows the number in the name of a run that is given no ``name``."""

    run_id: int
    cycle: int | None = None
    changes: Mapping[str, Value] = field(default_factory=dict)
    name: str = ""
    about: str = ""
    algorithm: str = ""
    """Learn by another one from there on; ``changes`` are settings of it, and ``data`` is what it
    learns from, as that of :class:`Start`."""
    data: RunData | tuple[int, ...] | None = None
    reward: tuple[RewardPart, ...] | None = None
    """Go on with this reward; None: with that of the run. Where it is another one, the fork keeps
    nothing of what the other has judged."""


@dataclass(frozen=True, slots=True)
class ExportRun:
    """Write a run's policy after ``cycle`` (None: its last checkpoint) to ``folder``, as
    ``AutoModelForCausalLM`` loads it; adapters are merged."""

    run_id: int
    folder: str
    cycle: int | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Write a checkpoint of a paused run now."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Hold the run when the cycle in hand is complete."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with a paused run."""


@dataclass(frozen=True, slots=True)
class StepCycle:
    """Run one cycle of a paused run, then pause again."""


@dataclass(frozen=True, slots=True)
class StepInto:
    """Hold the run after the next part of a cycle, with what the cycle has so far in the store.
    What it computes is not changed by that."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the run within one decode step or one micro-batch.

    The unfinished cycle is dropped. As long as its update had not begun, a checkpoint of the last
    finished cycle is written; after that the weights are between two cycles, and a resume runs the
    cycles since the last checkpoint again, on a CPU to the same numbers. Sent again, it gives up
    the checkpoint being written: the run ends at once.
    """


@dataclass(frozen=True, slots=True)
class SetHyperparameters:
    """Change live hyperparameters from the next cycle on."""

    changes: Mapping[str, Value]
    by: str = "person"


@dataclass(frozen=True, slots=True)
class TrySource:
    """Whose completions: the current policy's, the start policy's, or a checkpoint's."""

    kind: Literal["current", "start", "checkpoint"]
    run_id: int = 0
    cycle: int = 0


@dataclass(frozen=True, slots=True)
class Try:
    """Complete these prompts now, with each of the policies, and score the completions.

    Between cycles only, and without a trace in the run. ``temperature``, ``top_p``, ``seed`` and
    ``length`` are those of :class:`workbench.models.decoding.Decoding`; ``id`` comes back in the
    events. Of ``known`` those whose text is one of the prompts bring their turns and columns. A
    prompt that is there several times is completed by other random numbers each time.
    """

    id: int
    prompts: tuple[str, ...]
    sources: tuple[TrySource, ...]
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    length: int = 48
    known: tuple[PromptItem, ...] = ()


@dataclass(frozen=True, slots=True)
class WriteOn:
    """Write on from one place of a completion that a cycle learned from, with each of the likeliest
    tokens there, and score what comes of it.

    ``position`` is the completion's row in the batch of ``cycle``, whose tokens are kept; ``at`` is
    the place, 0 for the first token. Each of ``branches`` tokens is continued ``times`` times, the
    n-th time with the same random numbers for all. Between cycles or within one, as Try, and kept
    with the run; ``id`` comes back in the events.
    """

    id: int
    run_id: int
    cycle: int
    position: int
    at: int
    source: TrySource = field(default_factory=lambda: TrySource("current"))
    branches: int = 5
    times: int = 4
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ReadDistribution:
    """Tell how likely every token is at one place of a completion that a cycle learned from, by
    the policy as it is now and by the start policy; the place as in :class:`WriteOn`.

    Between the parts of a run, without a trace in it; ``id`` comes back in the events.
    """

    id: int
    run_id: int
    cycle: int
    position: int
    at: int


@dataclass(frozen=True, slots=True)
class ReadValues:
    """Tell what the value head foresaw after cycle ``checkpoint`` of a run, of which there is a
    checkpoint, at every token of the completion in row ``position`` of what ``cycle`` learned from.

    Between the parts of a run, without a trace in it; ``id`` comes back in the events.
    """

    id: int
    run_id: int
    cycle: int
    position: int
    checkpoint: int


@dataclass(frozen=True, slots=True)
class SampleBestOf:
    """Write ``n`` completions of each prompt with a run's policy after ``cycle`` (0: the start
    policy; None: its last checkpoint), and keep with the run what the best of them are worth.

    Without ``prompts`` they are those ``of`` the run: at most ``most`` of those that it trains on,
    in the order in which it draws them, or of the held-out ones, or all compared ones.
    Between the parts of a run, without a trace in it; where no run is on, its models are loaded if
    they are not. ``id`` comes back in the events.
    """

    id: int
    run_id: int
    cycle: int | None = None
    n: int = 16
    prompts: tuple[PromptItem, ...] = ()
    most: int = 64
    seed: int = 0
    of: PromptsOf = "trained"


@dataclass(frozen=True, slots=True)
class ScorePairs:
    """Have the reward in memory score the pairs of a set of judgements that another reward scored,
    or none, and keep that with them.

    Between the parts of a run, without a trace in it; ``id`` comes back in the events.
    """

    id: int
    set_id: int


@dataclass(frozen=True, slots=True)
class JudgePairs:
    """Have a judge say of the pairs of a set which completion is better, in both orders, and mark
    those where both agree. What it has said by this rubric is not asked again; of the others at
    most ``most`` pairs are.

    ``judge`` is what :meth:`workbench.judging.choice.Chosen.of` takes, ``model`` which one at a
    server. Between the parts of a run, without a trace in it; ``id`` comes back in the events.
    """

    id: int
    set_id: int
    judge: str
    rubric: str
    most: int | None = None
    model: str = ""


@dataclass(frozen=True, slots=True)
class StopTrying:
    """End a try, or writing on, within a token. What was written so far has been told. With the
    ``id`` of a try that waits for another to end, that one is given up."""

    id: int = 0


@dataclass(frozen=True, slots=True)
class Watch:
    """Follow a run that another process trains; what steers a run then goes there."""

    run_id: int


@dataclass(frozen=True, slots=True)
class Unwatch:
    """Follow no longer; the run goes on."""


class Close:
    """Put into a session's inbox to end its thread; no client sends it."""


Command = (
    LoadModels | CancelLoading | EstimateMemory | Start | ResumeRun | GoBack | Fork | ExportRun
    | Checkpoint | Pause | Resume | StepCycle | StepInto | Stop | SetHyperparameters
    | Try | WriteOn | ReadDistribution | ReadValues | SampleBestOf | ScorePairs
    | JudgePairs | StopTrying | Watch | Unwatch
)
