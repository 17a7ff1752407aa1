"""The models of a session: loading them, and what is said of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import torch

from workbench.ppo.cycle import PPO
from workbench.ppo.device import find_placement
from workbench.ppo.loading import LoadedPolicy, LoadedReward, load_policy, load_reward
from workbench.training.commands import LoadModels
from workbench.training.events import ModelFacts, ModelsLoaded
from workbench.training.fingerprints import fingerprint

Report = Callable[[str, float], None]


class Models:
    """A policy and a reward model, and PPO over both. Loading again replaces all or nothing."""

    def __init__(self) -> None:
        self.ppo: PPO | None = None
        self.facts: ModelsLoaded | None = None
        self.command: LoadModels | None = None
        self.fingerprints: dict[str, str] = {}

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
        self.fingerprints = {
            "policy": fingerprint(command.policy, _revision(policy.policy)),
            "reward": fingerprint(command.reward, _revision(reward.reward))}
        self.facts = ModelsLoaded(
            _policy_facts(policy), _reward_facts(reward), time.perf_counter() - began)

    def record(self) -> dict[str, Any]:
        """Return what the store keeps of the models: facts, and how they were loaded."""
        if self.facts is None or self.command is None:
            raise RuntimeError("no models are loaded")
        return {"policy": asdict(self.facts.policy), "reward": asdict(self.facts.reward),
                "fingerprints": self.fingerprints, "reward_label": self.command.reward_label,
                "use_chat_template": self.command.use_chat_template}


    def changed_since(self, record: Mapping[str, Any]) -> str:
        """Return a sentence if the models loaded are not those of :meth:`record`, else nothing."""
        known = record.get("fingerprints", {})
        changed = [f"{'reward model' if which == 'reward' else which} {record[which]['source']}"
                   for which, now in self.fingerprints.items()
                   if known.get(which) and now and known[which] != now]
        if not changed:
            return ""
        return (f"The files of the {' and of the '.join(changed)} have changed since the run "
                "began; put them back to go on with it, or start a new run.")


def command_of(policy: str, reward: str, record: dict[str, Any]) -> LoadModels:
    """Return the command that loads what :meth:`Models.record` describes."""
    return LoadModels(
        policy, reward, record.get("reward_label"), bool(record.get("use_chat_template", False)))


def _revision(loaded: object) -> str | None:
    """Return the commit of a model that came from the hub."""
    config = getattr(getattr(loaded, "model", None), "config", None)
    return getattr(config, "_commit_hash", None)


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
