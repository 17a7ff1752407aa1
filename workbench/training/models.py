"""The models of a session: loading them, and what the store keeps of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from workbench.ppo.cycle import PPO
from workbench.ppo.device import find_placement
from workbench.ppo.loading import LoadedPolicy, load_policy
from workbench.training.commands import LoadModels
from workbench.training.events import ModelFacts, ModelsLoaded
from workbench.training.model_facts import facts_of
from workbench.training.reward_loading import Trusted, changed_files, load_rewards
from workbench.training.reward_parts import RewardPart

Report = Callable[[str, float], None]


class Models:
    """A policy and a reward, and PPO over both. Loading again replaces all or nothing."""

    def __init__(self) -> None:
        self.ppo: PPO | None = None
        self.facts: ModelsLoaded | None = None
        self.command: LoadModels | None = None
        self._digests: dict[str, str] = {}

    def load(
        self, command: LoadModels, report: Report, *, begin: Callable[[str], None],
        trusted: Trusted,
    ) -> None:
        """Load policy and reward.

        Args:
            report: told the share of both; may raise to give up.
            begin: told ``"policy"`` or ``"reward"`` before that one is loaded.
            trusted: told a content hash; whether that Python file may be run.

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
        reward = load_rewards(
            command.parts, placement, lambda text, share: report(text, 0.5 + 0.5 * share),
            trusted)
        self.ppo = PPO(policy.policy, reward.reward, policy.scribe)
        self.command, self._digests = command, reward.digests
        self.facts = ModelsLoaded(
            _policy_facts(policy), reward.facts, time.perf_counter() - began)

    def changed_files(self) -> list[str]:
        """Return the Python files that have changed on disk since they were loaded."""
        return changed_files(self._digests)

    def changed_since(self, parts: tuple[RewardPart, ...]) -> list[str]:
        """Return the Python files of a run's reward that are loaded with another content."""
        return [Path(part.source).name for part, loaded in zip(
            parts, self._parts(), strict=True) if part.sha256 not in ("", loaded.sha256)]

    def record(self) -> dict[str, Any]:
        """Return what the store keeps of the models: facts, and how they were loaded."""
        if self.facts is None or self.command is None:
            raise RuntimeError("no models are loaded")
        facts = self.facts.reward.parts or (self.facts.reward,)
        return {"policy": asdict(self.facts.policy),
                "reward": [asdict(part) | {"facts": asdict(about)}
                           for part, about in zip(self._parts(), facts, strict=True)],
                "use_chat_template": self.command.use_chat_template}

    def _parts(self) -> list[RewardPart]:
        """The parts of the reward as they are loaded, with the hash of each Python file."""
        if self.facts is None or self.command is None:
            return []
        facts = self.facts.reward.parts or (self.facts.reward,)
        return [replace(part, sha256=about.sha256)
                for part, about in zip(self.command.parts, facts, strict=True)]


def command_of(policy: str, reward: str, record: dict[str, Any]) -> LoadModels:
    """Return the command that loads what :meth:`Models.record` describes."""
    parts = record.get("reward")
    if isinstance(parts, list):
        found = tuple(RewardPart(p["source"], p["weight"], p["label"], p["sha256"])
                      for p in parts)
    else:  # a run from before rewards could have parts
        found = (RewardPart(reward, label=record.get("reward_label")),)
    return LoadModels(policy, found, bool(record.get("use_chat_template", False)))


def _policy_facts(loaded: LoadedPolicy) -> ModelFacts:
    policy = loaded.policy
    return ModelFacts(**facts_of(
        loaded.source, policy.model, loaded.scribe.tokenizer, policy.placement.dtype_name,
        policy.device))
