"""What the store gives back: plain immutable rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from workbench.records import TokenTrace

Status = Literal[
    "running", "paused", "finished", "stopped", "failed", "interrupted", "abandoned"]
LIVE: frozenset[Status] = frozenset({"running", "paused"})
"""Statuses of a run that some process trains."""
Value = bool | int | float | str
Kind = Literal["comparison", "rollout"]


class Message(NamedTuple):
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """One row of a prompt set. Disabled prompts take no part in a run; pinned ones are compared
    first.

    ``messages`` are the turns of a conversation where there is more to it than one turn of the
    user; ``text`` is then what a person reads of it. ``columns`` is what else a file says of the
    prompt (JSON values), for a Python reward that asks for it.
    """

    text: str
    enabled: bool = True
    pinned: bool = False
    messages: tuple[Message, ...] = ()
    columns: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class PromptSet:
    """A named list of prompts as the person left it. ``source`` is the file it came from."""

    name: str
    prompts: tuple[Prompt, ...]
    source: str = ""


class Past(NamedTuple):
    """Up to which cycle a fork's past was learned by another algorithm, and with which settings
    that began."""

    until: int
    algorithm: str
    hyperparameters: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run: what decided it at the start, and where it stands.

    ``parent`` is the run it was forked from; they have the cycles up to ``parent_cycle`` in common.
    """

    id: int
    name: str
    created_at: str
    status: Status
    policy: str
    reward: str
    models: Mapping[str, Mapping[str, object]]
    hyperparameters: Mapping[str, Value]
    cycles: int
    note: str = ""
    parent: int | None = None
    parent_cycle: int = 0
    owner: str = ""
    """The process that trains it, or was the last to."""
    algorithm: str = "ppo"
    """:attr:`workbench.algorithm.Algorithm.name`."""
    sweep: int | None = None
    """The sweep that it is the run of ``place`` of; None: it is of none."""
    place: int | None = None
    forked_with: Mapping[str, Value] = field(default_factory=dict)
    """Of a fork: what had been changed when its own first cycle began."""
    past: tuple[Past, ...] = ()
    """Of a fork of a run of another algorithm: what was before, the earliest first. Its own
    ``hyperparameters`` are then those that its first own cycle used."""
    data: Mapping[str, Value] = field(default_factory=dict)
    """What it learns from beside its prompts: ``what`` that is, how many ``pairs`` or
    ``completions``, a ``summary`` of what was read and left out, and the ``digest`` of all; nothing
    where there is none."""

    @property
    def reward_since(self) -> int:
        """The last cycle before its present reward; 0: it has had no other. Of a fork with another
        reward nothing is kept from before, for scores of two rewards are not to be compared; one
        that is only watched scores nothing that is learned from."""
        now = _sources(self.models)
        history: Any = self.models.get("before", ())
        for before in reversed(history):
            if _sources(before) != now and not before.get("same_scores"):
                return int(before["until_cycle"])
        return 0

    @property
    def scored_by(self) -> tuple[tuple[Any, ...], ...]:
        """What tells its reward from another's: scores of two rewards are not to be compared. What
        is only watched is not part of it."""
        parts = _sources(self.models)
        return tuple(part for part in parts if part[1]) or tuple(parts) or ((self.reward,),)

    @property
    def recorded(self) -> int:
        """How many of its cycles can be recorded: those by its present reward."""
        return self.cycles - self.reward_since


def _sources(models: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return what tells a reward from another, of what is kept of models."""
    return [(part["source"], part["weight"], part["label"], part.get("reads", "auto"),
             part.get("end_token", False)) for part in models.get("reward", ())]


@dataclass(frozen=True, slots=True)
class SweepRecord:
    """Runs that were planned together; ``plan`` is that of
    :meth:`workbench.training.comparing.Plan.of_json`."""

    id: int
    name: str
    created_at: str
    plan: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Series:
    """One metric over cycles; ``values`` holds NaN where the number was not finite."""

    cycles: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CompletionRecord:
    """One completion. ``prompt`` is its position among the run's prompts; ``parts`` has what
    each part of a weighted reward gave; ``cut`` tokens at the beginning of its text were too many
    for the reward model."""

    position: int
    prompt: int
    prompt_text: str
    text: str
    score: float
    kl: float
    length: int
    ended: bool
    parts: Mapping[str, float] = field(default_factory=dict)
    cut: int = 0
    title: str = ""
    """What it is called, of those that a cycle learned from without writing them."""


def completion_of(trace: TokenTrace, title: str) -> CompletionRecord:
    """Return a completion that a cycle learned from without writing it, of its tokens."""
    return CompletionRecord(
        trace.position, trace.prompt, trace.prompt_text, "".join(trace.pieces), trace.worth,
        math.nan, len(trace.pieces), ended=True, title=title)


@dataclass(frozen=True, slots=True)
class HealthRecord:
    """What a rule of the health check said after ``cycle``."""

    cycle: int
    rule: str
    severity: str
    sentence: str


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """A hyperparameter changed; ``cycle`` is the first that used the new value."""

    cycle: int
    at: str
    name: str
    old: Value
    new: Value
    by: str
