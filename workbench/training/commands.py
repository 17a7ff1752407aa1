"""What a client can ask of a run. Each command is a small immutable value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.ppo.hyperparameters import Hyperparameters, Value


@dataclass(frozen=True, slots=True)
class LoadModels:
    """Load a policy and a reward model: local folders or hub names."""

    policy: str
    reward: str
    reward_label: int | None = None
    """Which output is the score, for a reward model that has several."""
    use_chat_template: bool = False


@dataclass(frozen=True, slots=True)
class CancelLoading:
    """Give up loading; the models loaded before stay."""


@dataclass(frozen=True, slots=True)
class PromptItem:
    """One enabled prompt of a run. Pinned prompts come first in the comparison."""

    text: str
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """Begin a new run from the start policy. ``step`` pauses it after its first cycle."""

    hyperparameters: Hyperparameters
    prompts: tuple[PromptItem, ...]
    name: str = ""
    step: bool = False


@dataclass(frozen=True, slots=True)
class ResumeRun:
    """Go on with a run of the store from its checkpoint after ``cycle`` (None: the last one).

    Its models are loaded if they are not; on a CPU what follows is what would have followed.
    ``changes`` are settings for the cycles to come, such as more cycles.
    """

    run_id: int
    cycle: int | None = None
    changes: Mapping[str, Value] = field(default_factory=dict)


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
class Watch:
    """Follow a run that another process trains; what steers a run then goes there."""

    run_id: int


@dataclass(frozen=True, slots=True)
class Unwatch:
    """Follow no longer; the run goes on."""


Command = (
    LoadModels | CancelLoading | Start | ResumeRun | ExportRun | Checkpoint | Pause | Resume
    | StepCycle | Stop | SetHyperparameters | Watch | Unwatch
)
