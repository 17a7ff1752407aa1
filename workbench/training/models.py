"""The models of a session: loading them, and what the store keeps of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from workbench import algorithms
from workbench.algorithm import Algorithm
from workbench.assets import RESOURCES
from workbench.learning.trainer import AnyTrainer
from workbench.models.control import Interrupted
from workbench.models.device import find_placement
from workbench.models.fingerprints import fingerprint, revision
from workbench.models.loading import LoadedPolicy, load_policy
from workbench.models.phases import Phase
from workbench.models.sources import LoadError, Report, check_on_disk
from workbench.records import RunData
from workbench.settings import Settings, Value
from workbench.store.folders import why_not_kept
from workbench.store.records import Prompt
from workbench.training.commands import LoadModels, PromptItem
from workbench.training.consent import Trusted
from workbench.training.estimates import Estimator, resident
from workbench.training.events import HalfLoaded, MemoryEstimated, ModelFacts, ModelsLoaded
from workbench.training.failures import ran_out
from workbench.training.model_facts import facts_of
from workbench.training.reward_loading import (
    LoadedRewards,
    UntrustedError,
    changed_files,
    check_part,
    load_rewards,
)
from workbench.training.reward_parts import RewardPart

if TYPE_CHECKING:
    from workbench.training.run import Run

T = TypeVar("T")


class Models:
    """A policy and a reward, and what trains the one by the other."""

    def __init__(self) -> None:
        self.trainer: AnyTrainer | None = None
        self.algorithm = algorithms.default_algorithm()
        """What the trainer learns by."""
        self.facts: ModelsLoaded | None = None
        self.command: LoadModels | None = None
        self.trained: Run | None = None
        """The run whose weights the policy has, alive or over; its cycle goes along."""
        self._policy: LoadedPolicy | None = None
        self._policy_named: tuple[str, bool] = ("", False)
        """How it was asked for, and whether with its chat template."""
        self._reward: LoadedRewards | None = None
        self._parts_named: tuple[RewardPart, ...] = ()
        self._fingerprints: dict[str, str] = {}
        self._memory: dict[str, Estimator] = {}
        self._before = resident()

    def load(
        self, command: LoadModels, report: Report, *, begin: Callable[[str], None],
        trusted: Trusted, failed: Callable[[Exception], None],
    ) -> ModelsLoaded | HalfLoaded | None:
        """Load policy and reward. Of the two, what is there already stays if the other is what
        has changed; asked for both again, both are read again. Return what is new, if anything.
        All that cannot be loaded is told, and the models there were stay in its place.

        Args:
            report: told the share of both; may raise to give up.
            begin: told ``"policy"`` or ``"reward"`` before that one is loaded.
            trusted: told a content hash; whether that Python file may be run.
            failed: told each error, of which there may be one for the policy and one for each
                part of the reward.

        Raises:
            LoadError: what was loaded cannot be used together.
            UntrustedError: a Python file was not run.
            Interrupted: ``report`` gave up.
        """
        left = {"policy", "reward"}
        if command.halves in left:
            left = {command.halves}
        lost: set[str] = set()

        def tell(which: str, error: Exception) -> None:
            lost.add(which)
            failed(error)

        def attempt(which: str, call: Callable[[], T]) -> T | None:
            begin(which)
            try:
                return call()
            except (Interrupted, UntrustedError):
                raise
            except Exception as error:
                tell(which, error)
                return None
        began = time.perf_counter()
        placement = find_placement()
        if "policy" in left:
            attempt("policy", lambda: _check_policy(command.policy))
        for number in range(len(command.parts)) if "reward" in left else ():
            attempt("reward", partial(check_part, command.parts, number, trusted))
        left -= lost
        if lost and command.halves == "both":
            return None
        kept = {name for name, there in (("policy", self._has_policy(command)),
                                         ("reward", self._has_reward(command)))
                if there and name in left}
        if kept != {"policy", "reward"}:
            left -= kept
        policy = attempt("policy", lambda: load_policy(
            command.policy, placement, lambda text, share: report(text, 0.5 * share),
            use_chat_template=command.use_chat_template)) if "policy" in left else None
        reward = attempt("reward", lambda: load_rewards(
            command.parts, placement, lambda text, share: report(text, 0.5 + 0.5 * share),
            trusted, partial(tell, "reward"))) if "reward" in left else None
        if (policy is None and reward is None) or (lost and command.halves == "both"):
            return None
        begin("policy")
        return self._take(command, policy, reward, began)

    def _take(self, command: LoadModels, policy: LoadedPolicy | None,
              reward: LoadedRewards | None, began: float) -> ModelsLoaded | HalfLoaded:
        """Put what was loaded in the place of what was there, and a trainer over both halves."""
        whole_policy, whole_reward = policy or self._policy, reward or self._reward
        made = None
        if whole_policy is not None and whole_reward is not None:
            made = self.algorithm.trainer().made_for(whole_policy, whole_reward.reward)
        if self.trainer is not None and policy is None and whole_policy is not None:
            self.trainer.dismantle()  # it may have been trained, in another precision
            whole_policy.policy.placement = find_placement()
        if policy is not None:
            self._policy, self._policy_named = policy, (command.policy, command.use_chat_template)
        if reward is not None:
            self._reward, self._parts_named = reward, command.parts
        self._fingerprints = {}
        if whole_policy is not None:
            source = self._policy_named[0]
            self._fingerprints[f"policy {source}"] = fingerprint(
                source, revision(whole_policy.policy.model))
        if whole_reward is not None:
            self._fingerprints |= {f"reward model {source}": fingerprint(source, commit)
                                   for source, commit in whole_reward.revisions.items()}
        named = LoadModels(self._policy_named[0], self._parts_named, self._policy_named[1])
        if whole_policy is None:
            assert whole_reward is not None
            return HalfLoaded("reward", whole_reward.facts, named)
        if whole_reward is None or made is None:
            return HalfLoaded("policy", _policy_facts(whole_policy, ""), named)
        self.trainer, self.command = made, named
        self._measure(whole_policy, whole_reward)
        self.facts = ModelsLoaded(
            _policy_facts(whole_policy, made.note()), whole_reward.facts,
            time.perf_counter() - began, named)
        return self.facts

    @property
    def are_shared_out(self) -> bool:
        """Whether processes have shared out their weights for a run: for another one they are
        loaded again."""
        return self.trainer is not None and self.trainer.shares_out

    def learn_by(self, algorithm: Algorithm) -> AnyTrainer:
        """Return a trainer of ``algorithm`` for the models that are loaded.

        Raises:
            LoadError: a file beside the policy is damaged.
        """
        if self.trainer is None or self._policy is None or self._reward is None:
            raise RuntimeError("no models are loaded")
        if algorithm is not self.algorithm:
            made = algorithm.trainer().made_for(self._policy, self._reward.reward)
            self.trainer.dismantle()
            self.algorithm, self.trainer, self.trained = algorithm, made, None
        return self.trainer

    def _measure(self, policy: LoadedPolicy, reward: LoadedRewards) -> None:
        """Measure the models, which are not in training yet, for every algorithm."""
        self._memory = {
            algorithm.name: Estimator(
                self.trainer if self.trainer is not None and algorithm is self.algorithm
                else algorithm.trainer().made_for(policy, reward.reward), self._before)
            for algorithm in algorithms.ALGORITHMS}

    def _has_policy(self, command: LoadModels) -> bool:
        """Whether the policy to load is the one that is there, its files unchanged."""
        name = f"policy {command.policy}"
        return (self._policy is not None
                and self._policy_named == (command.policy, command.use_chat_template)
                and self._fingerprints.get(name, "") == fingerprint(
                    command.policy, revision(self._policy.policy.model)) != "")

    def _has_reward(self, command: LoadModels) -> bool:
        """Whether the reward to load is the one that is there, its files unchanged."""
        if self._reward is None:
            return False
        return (self._parts_named == command.parts and not self.changed_files() and all(
            self._fingerprints.get(f"reward model {source}", "") == fingerprint(source, commit)
            for source, commit in self._reward.revisions.items()))

    def changed_files(self) -> list[str]:
        """Return the Python files that have changed on disk since they were loaded."""
        return changed_files(self._reward.digests) if self._reward is not None else []

    def changed_since(self, parts: tuple[RewardPart, ...]) -> list[str]:
        """Return the Python files of a run's reward that are loaded with another content."""
        return [Path(part.source).name for part, loaded in zip(
            parts, self._parts(), strict=True) if part.sha256 not in ("", loaded.sha256)]

    def estimate(
        self, hp: Settings, prompts: Sequence[PromptItem | Prompt], data: RunData | None,
        emit: Callable[[MemoryEstimated], None],
    ) -> None:
        """Say what a run will take that learns from ``data``, if it needs some. It is said or not:
        no run fails for want of an estimate."""
        if self._memory:
            with contextlib.suppress(Exception):
                algorithm = algorithms.algorithm_of(hp)
                found = self._memory[algorithm.name].estimate(
                    hp, prompts, data.items if data is not None else ())
                if found is not None:
                    emit(replace(found, algorithm=algorithm.name))

    def ran_out(
        self, run: Run, phase: Phase, process: str
    ) -> tuple[str, Mapping[str, Value]]:
        """Return a sentence on memory that ran out, in which ``process`` if there are several, and
        the changes to resume the run with."""
        if not self._memory:
            return ran_out(phase, run.checkpointed or 0, "", process), {}
        memory = self._memory[algorithms.algorithm_of(run.hp).name]
        advice, changes = memory.after_failure(run.hp, run.prompts, phase)
        return ran_out(phase, run.checkpointed or 0, advice, process), changes

    def record(self) -> dict[str, Any]:
        """Return what the store keeps of the models: facts, and how they were loaded."""
        if self.facts is None or self.command is None:
            raise RuntimeError("no models are loaded")
        facts = self.facts.reward.parts or (self.facts.reward,)
        return {"policy": asdict(self.facts.policy),
                "reward": [asdict(part) | {"facts": asdict(about)}
                           for part, about in zip(self._parts(), facts, strict=True)],
                "fingerprints": self._fingerprints,
                "threads": torch.get_num_threads(),
                "use_chat_template": self.command.use_chat_template}

    def _parts(self) -> list[RewardPart]:
        """The parts of the reward as they are loaded, with the hash of each Python file."""
        if self.facts is None or self.command is None:
            return []
        facts = self.facts.reward.parts or (self.facts.reward,)
        return [replace(part, sha256=about.sha256)
                for part, about in zip(self.command.parts, facts, strict=True)]

    def changed_weights(self, record: Mapping[str, Any], *, policy_alone: bool = False) -> str:
        """Return a sentence if the models loaded are not those of :meth:`record`, else nothing."""
        known = record.get("fingerprints", {})
        changed = [name for name, now in self._fingerprints.items()
                   if known.get(name) and now and known[name] != now
                   and (name.startswith("policy ") or not policy_alone)]
        if not changed:
            return ""
        if all(str(RESOURCES) in name for name in changed):
            return ("The run began with the bundled models of another version of PPO Workbench, "
                    "and cannot go on with those of this one. Its curves and completions stay; "
                    "start a new run, or go on with that version.")
        return (f"The files of the {' and of the '.join(changed)} have changed since the run "
                "began; put them back to go on with it, or start a new run.")


def _check_policy(source: str) -> None:
    if problem := why_not_kept(source):
        raise LoadError(problem)
    check_on_disk(source, policy=True)


def _policy_facts(loaded: LoadedPolicy, note: str) -> ModelFacts:
    policy = loaded.policy
    notes = (*loaded.notes, note) if note else loaded.notes
    return ModelFacts(**facts_of(
        loaded.source, policy.model, loaded.policy_tokenizer.tokenizer, policy.placement.dtype_name,
        policy.device), notes=notes)
