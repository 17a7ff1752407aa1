"""The models of a session: loading them, and what is said of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch

from workbench.ppo.cycle import PPO
from workbench.ppo.device import find_placement
from workbench.ppo.hyperparameters import Hyperparameters, Value
from workbench.ppo.loading import LoadedPolicy, LoadedReward, load_policy, load_reward
from workbench.ppo.phases import Phase
from workbench.store.records import Prompt
from workbench.training.commands import LoadModels, PromptItem
from workbench.training.estimates import Estimator, resident
from workbench.training.events import MemoryEstimated, ModelFacts, ModelsLoaded
from workbench.training.failures import ran_out

if TYPE_CHECKING:
    from workbench.training.run import Run

Report = Callable[[str, float], None]


class Models:
    """A policy and a reward model, and PPO over both. Loading again replaces all or nothing."""

    def __init__(self) -> None:
        self.ppo: PPO | None = None
        self.facts: ModelsLoaded | None = None
        self.command: LoadModels | None = None
        self._memory: Estimator | None = None
        self._before = resident()

    def load(self, command: LoadModels, report: Report, *, begin: Callable[[str], None]) -> None:
        """Load both models.

        Args:
            report: told the share of both; may raise to give up.
            begin: told ``"policy"`` or ``"reward"`` before that one is loaded.

        Raises:
            LoadError: with one plain sentence; the models there were stay.
        """
        began = time.perf_counter()
        placement = find_placement()
        begin("policy")
        policy = load_policy(
            command.policy, placement, lambda text, share: report(text, 0.5 * share),
            use_chat_template=command.use_chat_template)
        begin("reward")
        reward = load_reward(
            command.reward, placement, lambda text, share: report(text, 0.5 + 0.5 * share),
            label=command.reward_label)
        self.ppo = PPO(policy.policy, reward.reward, policy.scribe)
        self.command = command
        self._memory = Estimator(self.ppo, self._before)
        self.facts = ModelsLoaded(
            _policy_facts(policy), _reward_facts(reward), time.perf_counter() - began)

    def estimate(
        self, hp: Hyperparameters, prompts: Sequence[PromptItem | Prompt],
        emit: Callable[[MemoryEstimated], None],
    ) -> None:
        """Say what a run will take. It is said or not: no run fails for want of an estimate."""
        if self._memory is not None:
            with contextlib.suppress(Exception):
                emit(self._memory.estimate(hp, [p.text for p in prompts]))

    def ran_out(self, run: Run, phase: Phase) -> tuple[str, Mapping[str, Value]]:
        """Return a sentence on memory that ran out, and the changes to resume the run with."""
        if self._memory is None:
            return ran_out(phase, run.checkpointed or 0, ""), {}
        advice, changes = self._memory.after_failure(
            run.hp, [p.text for p in run.prompts], phase)
        return ran_out(phase, run.checkpointed or 0, advice), changes

    def record(self) -> dict[str, Any]:
        """Return what the store keeps of the models: facts, and how they were loaded."""
        if self.facts is None or self.command is None:
            raise RuntimeError("no models are loaded")
        return {"policy": asdict(self.facts.policy), "reward": asdict(self.facts.reward),
                "reward_label": self.command.reward_label,
                "use_chat_template": self.command.use_chat_template}


def command_of(policy: str, reward: str, record: dict[str, Any]) -> LoadModels:
    """Return the command that loads what :meth:`Models.record` describes."""
    return LoadModels(
        policy, reward, record.get("reward_label"), bool(record.get("use_chat_template", False)))


def _facts(
    source: str, model: torch.nn.Module, tokenizer: Any, dtype: str, device: torch.device
) -> dict[str, Any]:
    return {
        "source": source,
        "name": source.rstrip("/").rsplit("/", 1)[-1],
        "architecture": type(model).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocabulary": len(tokenizer),
        "dtype": dtype,
        "device": str(device),
        "tokenizer": type(tokenizer).__name__,
        "has_chat_template": bool(getattr(tokenizer, "chat_template", None)),
    }


def _policy_facts(loaded: LoadedPolicy) -> ModelFacts:
    policy = loaded.policy
    return ModelFacts(**_facts(
        loaded.source, policy.model, loaded.scribe.tokenizer, policy.placement.dtype_name,
        policy.device))


def _reward_facts(loaded: LoadedReward) -> ModelFacts:
    reward = loaded.reward
    return ModelFacts(labels=loaded.labels, label=reward.label, **_facts(
        loaded.source, reward.model, reward.tokenizer, reward.placement.dtype_name,
        reward.placement.device))
