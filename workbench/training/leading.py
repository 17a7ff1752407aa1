"""A session whose run several processes compute: what the first of them tells the others to do.

The first process has the store, takes the commands and tells the events, as a session of one does.
Whatever changes the models it has the others do, too (:mod:`workbench.training.following`):
load the same, and call the same method of their trainer, within which all do their share
(:mod:`workbench.models.ranks`).
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch

from workbench import processes
from workbench.algorithm import Algorithm
from workbench.feedback.reward_text import RewardError
from workbench.learning.trainer import AnyTrainer
from workbench.models import ranks
from workbench.models.control import Interrupted, SharedControl
from workbench.models.sources import LoadError, Report
from workbench.training.commands import LoadModels
from workbench.training.consent import Trusted
from workbench.training.events import HalfLoaded, ModelsLoaded
from workbench.training.heartbeat import Heartbeat, meeting_place
from workbench.training.models import Models
from workbench.training.shared_arrays import SharedArrays

ALIKE = (ArithmeticError, Interrupted, LoadError, RewardError, ValueError, ranks.RankError)
"""What all processes raise at the same place, since they hold the same numbers; the first one says
it."""

TOGETHER = frozenset((
    "learn_from", "begin", "apply", "prepare", "restore_prepared", "run_cycle", "compare",
    "restore", "restore_numbers", "score_held_out", "worth"))
"""The methods of their trainers that all processes call."""
GATHERED = frozenset(("snapshot", "write_snapshot", "prepared"))
"""Those that all call where they share out weights, which none can read alone; the first one keeps
what comes of it."""
ALONE = frozenset((
    "made_for", "steering", "measure", "needs", "has_values", "note", "remark", "episodes",
    "say_prepared", "controlled", "token_kl", "reference", "dismantle", "export",
    "check_exported"))
"""Those that the first process calls for itself."""


@dataclass(frozen=True, slots=True)
class Load:
    """Load models. ``trusted`` are the hashes of the Python files that may be run."""

    command: LoadModels
    trusted: frozenset[str]


@dataclass(frozen=True, slots=True)
class LearnBy:
    """Make the trainer of an algorithm."""

    algorithm: str


@dataclass(frozen=True, slots=True)
class Call:
    """Call a method of the trainer; ``control`` is the place of its control among the
    arguments."""

    method: str
    arguments: tuple[Any, ...]
    control: int | None
    threads: int


class Leader:
    """Tells the other processes, and says which of them failed where one has."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat
        self._over = self._doing = False

    def tell(self, message: object) -> None:
        """Have the others do something; they do it while this one does."""
        ranks.broadcast(message)

    def do(self, message: object, work: Callable[[], Any]) -> Any:
        """Tell the others, and do ``work`` with them.

        Raises:
            RankError: one of them failed.
        """
        if self._over:
            raise ranks.RankError("The other processes have ended; start the run again.")
        if self._doing:
            raise ranks.RankError("The processes are within a cycle; ask again after it.")
        self._doing = True
        try:
            with ranks.together():
                self.tell(message)
                return work()
        except ALIKE:
            raise
        except Exception as error:
            self._over = True  # the others wait where this one never comes
            if is_broken(error):
                raise self._heartbeat.why() from error
            raise
        finally:
            self._doing = False

    def close(self) -> None:
        """Let the others end."""
        if not self._over:
            self._over = True
            try:
                with ranks.together():
                    self.tell(None)
            except Exception as error:
                if not is_broken(error):
                    raise


def is_broken(error: Exception) -> bool:
    """Whether a collective failed: a process it was made with is gone. nccl and the store raise
    errors of their own; gloo has none but RuntimeError, and says where in its code that was."""
    return isinstance(error, torch.distributed.DistError) or (
        type(error) is RuntimeError and "gloo" in str(error))


class LeadingModels(Models):
    """Models that every process has."""

    def __init__(self, leader: Leader) -> None:
        super().__init__()
        self._leader = leader
        self._agreed: set[str] = set()

    def load(
        self, command: LoadModels, report: Report, *, begin: Callable[[str], None],
        trusted: Trusted, failed: Callable[[Exception], None],
    ) -> ModelsLoaded | HalfLoaded | None:
        """Load here, then everywhere.

        Raises:
            LoadError: another process cannot load it.
        """
        def noted(digest: str) -> bool:
            if agreed := trusted(digest):
                self._agreed.add(digest)
            return agreed

        found = super().load(command, report, begin=begin, trusted=noted, failed=failed)
        if found is not None and self.command is not None:
            failures = self._leader.do(
                Load(self.command, frozenset(self._agreed)), lambda: ranks.exchange(""))
            for number, sentence in enumerate(failures, start=1):
                if sentence:
                    raise LoadError(f"Process {number} cannot load the models: {sentence}")
        return found

    def learn_by(self, algorithm: Algorithm) -> AnyTrainer:
        """Return a trainer whose work all processes do together."""
        trainer = self._leader.do(LearnBy(algorithm.name), lambda: super(
            LeadingModels, self).learn_by(algorithm))
        if not isinstance(trainer, LeadingTrainer):
            self.trainer = cast(AnyTrainer, LeadingTrainer(trainer, self._leader))
        assert self.trainer is not None
        return self.trainer


class LeadingTrainer:
    """A trainer of the first process: what is to be done together, all do."""

    def __init__(self, trainer: AnyTrainer, leader: Leader) -> None:
        self._trainer, self._leader = trainer, leader

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._trainer, name)
        if not inspect.isroutine(getattr(type(self._trainer), name, None)) or name in ALONE:
            return found
        if name in GATHERED and not self._trainer.shares_out:
            return found
        if name not in TOGETHER | GATHERED:
            raise AttributeError(f"nobody has said whether all processes call {name}")

        def call(*arguments: Any) -> Any:
            place = next((i for i, a in enumerate(arguments) if _is_control(a)), None)
            own = [SharedArrays(a) if _are_arrays(a) else a for a in arguments]
            told = [None if callable(a) else a for a in own]  # which the first one calls
            if place is not None:
                told[place], own[place] = None, SharedControl(arguments[place])
            return self._leader.do(
                Call(name, tuple(told), place, torch.get_num_threads()), lambda: found(*own))
        return call


@contextlib.contextmanager
def models_of_all() -> Iterator[Models]:
    """Give the models of a session for as long as the context lasts: where there are several
    processes, those of all of them, which have met then."""
    if processes.started() == 1:
        yield Models()
        return
    ranks.join(meeting_place("group"))
    heartbeat = Heartbeat()
    leader = Leader(heartbeat)
    try:
        yield LeadingModels(leader)
    finally:
        leader.close()
        heartbeat.close()
        ranks.leave()


def _are_arrays(argument: object) -> bool:
    return isinstance(argument, Mapping) and any(
        isinstance(value, np.ndarray) for value in argument.values())


def _is_control(argument: object) -> bool:
    return callable(getattr(argument, "step", None))
