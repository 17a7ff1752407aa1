"""The run that is on, and how one comes back from the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from workbench.algorithms import algorithm_of, find_algorithm, read_settings, shown_as
from workbench.health import Watch
from workbench.records import Completion, RunData
from workbench.settings import Settings
from workbench.store.checkpoints import CheckpointError, ForeignError
from workbench.store.records import CompletionRecord, Prompt
from workbench.store.store import Store
from workbench.training.commands import LoadModels

if TYPE_CHECKING:
    import numpy as np

Changes = dict[str, tuple[object, str]]
"""New value and who wanted it, by hyperparameter."""


class ResumeError(ValueError):
    """A run cannot be resumed. The message is a plain sentence."""


class DamagedError(ResumeError):
    """The checkpoint is damaged; the one after ``before`` (0: the beginning) is whole."""

    def __init__(self, sentence: str, before: int) -> None:
        super().__init__(sentence)
        self.before = before


@dataclass(frozen=True, slots=True)
class Unwritten:
    """What the disk has not taken yet: kept in memory, to be tried again. ``again`` says what is to
    be done when it is lost after all."""

    what: str
    again: str
    write: Callable[[], None]


@dataclass(slots=True)
class Run:
    """Where a run stands between and within its cycles."""

    id: int
    hp: Settings
    prompts: tuple[Prompt, ...]
    cycle: int = 0
    """The last finished cycle."""
    staged: Changes = field(default_factory=dict)
    """Changes for the next cycle to begin."""
    journaled: dict[int, Changes] = field(default_factory=dict)
    """Changes that were made to cycles which a resume runs again."""
    pause_after_cycle: bool = False
    step_into: bool = False
    """Whether to hold after the next part of a cycle."""
    within: str = ""
    """The part of the cycle in hand that is done while the run is held within it."""
    drafted: bool = False
    """Whether the store has something of the cycle in hand."""
    compared_start: bool = False
    prepared: bool = False
    """Whether what comes before the first cycle is done."""
    in_cycle: bool = False
    """Whether the next cycle has begun, so that a change comes too late for it."""
    attended: bool = True
    """Whether what comes after the last finished cycle has been done: its checkpoint, a pause."""
    unwritten: Unwritten | None = None
    """Nothing more is done for the run before this is written."""
    checkpointed: int = 0
    """The cycle of the last checkpoint; the beginning needs none."""
    score: float | None = None
    """The mean score of what the policy writes after ``cycle``."""
    settled: tuple[Settings, Mapping[str, float]] | None = None
    """Settings and numbers of the trainer as the last finished cycle left them. A change for the
    next cycle may already be in use when a run stops, but belongs to that cycle."""
    health: Watch = field(init=False)

    def __post_init__(self) -> None:
        shown = shown_as(self.hp)
        self.health = Watch(shown.rules, shown.watched)

    def use(self, hp: Settings) -> None:
        """Take over settings from the next cycle on, and what they have the run judged by."""
        self.hp, shown = hp, shown_as(hp)
        self.health.rules, self.health.watched = shown.rules, shown.watched

    def stands_at(self, run_id: int, cycle: int) -> bool:
        """Whether it is this run, and has finished this cycle but not begun the next one."""
        return self.id == run_id and self.cycle == cycle and not self.in_cycle

    @property
    def compared(self) -> list[int]:
        """The prompts compared after every cycle: pinned ones first."""
        order = sorted(range(len(self.prompts)), key=lambda i: not self.prompts[i].pinned)
        return order[: self.hp.comparison_prompts]


@dataclass(frozen=True, slots=True)
class Resumed:
    """A run read back, with all that its next cycle needs."""

    run: Run
    name: str
    models: LoadModels
    record: Mapping[str, Any]
    """What the store has of the models: :meth:`workbench.training.models.Models.record`."""
    snapshot: tuple[Mapping[str, np.ndarray], Mapping[str, float]] | None
    """For :meth:`workbench.learning.trainer.Trainer.restore`; None: from the very beginning."""
    prompt_ids: Sequence[Sequence[int]] | None = None
    """The prompts as the run has read them; None: not kept."""
    data: RunData | None = None
    """What it learns from beside its prompts."""


def read_checkpoint(store: Store, run_id: int, cycle: int | None) -> Resumed:
    """Read a run as it stood after ``cycle`` (None: at its last checkpoint; 0: its start).

    Raises:
        ResumeError: there is no such run or checkpoint.
        DamagedError: the checkpoint is damaged.
        HyperparameterError: another version wrote its settings.
    """
    record = store.run(run_id)
    if record is None:
        raise ResumeError(f"There is no run {run_id}; `ppo-workbench runs` lists them.")
    if unreadable := store.checkpoints.why_unreadable(record.id):
        raise ResumeError(unreadable)
    before_it = next(
        (past for past in record.past if cycle is not None and cycle < past.until), None)
    if before_it is not None:
        raise ResumeError(
            f"Up to cycle {before_it.until} {record.name} is the past of another run, which "
            "learned otherwise; go back in that one.")
    try:
        find_algorithm(record.algorithm)
    except KeyError:
        raise ResumeError(
            f"{record.name} learns by {record.algorithm!r}, which this version of PPO Workbench "
            "does not know; go on with it in the one that trained it.") from None
    # The beginning needs no checkpoint: all that is random follows from the seed.
    there = [c.cycle for c in store.checkpoints.all(record.id) if c.cycle <= record.cycles]
    if not record.past:
        there.insert(0, 0)
    if not there:
        raise ResumeError(
            f"{record.name} goes on from another algorithm's checkpoint, which is not there any "
            "more, and it has none of its own; fork the run that it came from again.")
    if cycle is None:
        cycle = there[-1]
    if cycle not in there:
        raise ResumeError(
            f"{record.name} has no checkpoint after cycle {cycle}; there are those after "
            f"{', '.join(map(str, there))}.")
    snapshot, score, settings = None, None, dict(record.hyperparameters)
    if cycle:
        try:
            arrays, state = store.checkpoints.read(record.id, cycle)
        except ForeignError as error:
            raise ResumeError(str(error)) from error
        except CheckpointError as error:
            before = max((c for c in there if c < cycle and (
                c == 0 or store.checkpoints.is_whole(record.id, c))), default=None)
            if before is None:  # what was before is another run's
                raise ResumeError(
                    f"The checkpoint of {record.name} after cycle {cycle} is damaged, "
                    "and there is no earlier one.") from error
            where = f"the one after cycle {before} is whole" if before else (
                "no earlier one is whole, so only the beginning is left")
            raise DamagedError(f"The checkpoint of {record.name} after cycle {cycle} is damaged; "
                               f"{where}.", before) from error
        snapshot = arrays, state["numbers"]
        if not any(cycle == past.until for past in record.past):  # that is another algorithm's
            settings = state["hyperparameters"]
        score = state["score"]
    # Until this was a setting, control tokens in a prompt were what they spelled.
    settings.setdefault("control_tokens", "tokens")
    run = Run(
        record.id, read_settings(record.algorithm, settings),
        tuple(store.run_prompts(record.id)), cycle=cycle,
        compared_start=cycle > 0 and (
            cycle > record.reward_since or bool(store.completions(record.id, cycle))),
        checkpointed=cycle, score=score)
    watched = run.health.watched
    for name, series in (store.metrics(record.id, watched) if watched else {}).items():
        run.health.know(name, [value for at, value in zip(series.cycles, series.values, strict=True)
                               if at <= cycle])
    run.health.before = frozenset(h.rule for h in store.health(record.id) if h.cycle == cycle)
    models = LoadModels.recorded(record.policy, record.models)
    found = Resumed(
        run, record.name, models, record.models, snapshot, store.run_prompt_ids(record.id),
        store.run_data(record.id))
    of_another = 0 < cycle == record.reward_since
    return replace(found, snapshot=without_reward(found)) if of_another else found


def without_reward(
    found: Resumed,
) -> tuple[Mapping[str, np.ndarray], Mapping[str, float]] | None:
    """Return the snapshot of a run without what it knows of its reward."""
    if found.snapshot is None:
        return None
    arrays, numbers = found.snapshot
    known = algorithm_of(found.run.hp).trainer().OF_REWARD
    return arrays, {name: n for name, n in numbers.items() if name not in known}


def records(written: Sequence[Completion], run: Run) -> list[CompletionRecord]:
    """Return completions as the store keeps them."""
    return [
        CompletionRecord(
            position=i, prompt=w.prompt, prompt_text=run.prompts[w.prompt].text, text=w.text,
            score=w.score, kl=w.kl, length=w.length, ended=w.ended, parts=w.parts, cut=w.cut)
        for i, w in enumerate(written)
    ]
