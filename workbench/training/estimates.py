"""Memory: what a run will take and what there is; and what to do when it ran out."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence

import psutil
import torch
from torch import nn

from workbench.feedback.weighted_reward import models_of
from workbench.formatting import size
from workbench.learning.trainer import AnyTrainer
from workbench.learning.workload import Phases, Workload, needed
from workbench.models.device import tokens_at_once
from workbench.models.phases import Phase
from workbench.models.sharding import share_in_tables, share_shared_out
from workbench.records import Pair, PromptLike, ScoredText, as_prompt
from workbench.settings import Settings, Value
from workbench.training.events import MemoryEstimated

# Left for the rest of the system before a run is said to fit.
_MARGIN = 0.95


_REWARD = "Reward model"
_SHARED_OUT = ("Policy", "Reference", "Value model", "Optimiser", "Gradients")
"""What processes share out, as far as it is of the policy's layers and tables."""
_WRITING = (Phase.SAMPLING, Phase.COMPARING)
_LEARNING = (Phase.UPDATING, Phase.VALUES)
_GATHERED = {"Policy": _WRITING, _REWARD: (*_WRITING, Phase.SCORING, Phase.PRETRAINING)}
"""When all that is shared out of a model is whole beside the parts."""
_TABLES = {"Policy": tuple(Phase), "Value model": tuple(Phase), "Gradients": _LEARNING,
           "Reference": (Phase.SCORING, Phase.REFERENCE, Phase.READING)}
"""When its embeddings and heads are."""


def _share_of_rows(hp: Settings) -> Settings:
    """Return settings with the rows of a batch that one of the processes has."""
    rows = -(-hp.batch_size // hp.processes)
    return hp.model_copy(update={"batch_size": rows}) if hp.processes > 1 else hp


class Estimator:
    """Estimates for the models that are loaded."""

    def __init__(self, trainer: AnyTrainer, before: int) -> None:
        """Measure the models.

        Args:
            before: bytes of this process before it held any model.
        """
        self._trainer, self._before = trainer, before
        trainer.measure()
        rewards = nn.ModuleList(models_of(trainer.reward))
        self._shared = dict.fromkeys(_SHARED_OUT, share_shared_out(trainer.policy)) | {
            _REWARD: share_shared_out(rewards)}
        self._tables = share_in_tables(trainer.policy)
        self._prompts: tuple[str | PromptLike, ...] | None = None
        self._tokens = (1, 1)
        self._data: Sequence[Pair] | Sequence[ScoredText] = ()

    def estimate(
        self, hp: Settings, prompts: Sequence[str | PromptLike],
        data: Sequence[Pair] | Sequence[ScoredText] = (),
    ) -> MemoryEstimated | None:
        """Say what a run would take that learns from ``data``, if it needs some, whether that is
        there, and what to lower if not; None where the algorithm does not know.

        Raises:
            UnsupportedModelError: the policy cannot be trained as ``hp`` asks.
        """
        self._data = data
        work = self._work(hp, prompts)
        needs = self._trainer.needs(hp, work)
        if needs is None:
            return None
        phases = self._of_each(needs.phases(_share_of_rows(hp)), hp)
        there, device = self._available(), self._trainer.policy.device
        if device.type == "cpu":
            there //= hp.processes
        advice, changes = "", {}
        if needed(phases) > _MARGIN * there:
            changes = needs.relief(hp, round(_MARGIN * there))
            advice = self._advice(phases, there, hp, changes)
        return MemoryEstimated(
            phases, there, str(device), advice, changes, processes=hp.processes)

    def _of_each(self, phases: Phases, hp: Settings) -> Phases:
        """Return what each of the processes takes, of what one would that has its rows."""
        if hp.processes == 1 or hp.sharding != "shard":
            return phases

        def part(name: str, phase: Phase) -> float:
            if name == "Packed weights":  # there are none
                return 0.0
            shared = self._shared.get(name, 0.0)
            held = 1 - shared * (1 - 1 / hp.processes)
            if phase in _GATHERED.get(name, ()):
                return held + shared
            tables = 0.0 if hp.lora_rank and name == "Gradients" else self._tables
            return held + (tables if phase in _TABLES.get(name, ()) else 0.0)

        return {phase: {name: round(part(name, phase) * size) for name, size in parts.items()}
                for phase, parts in phases.items()}

    def after_failure(
        self, hp: Settings, prompts: Sequence[str | PromptLike], phase: Phase
    ) -> tuple[str, Mapping[str, Value]]:
        """Say what to lower after memory ran out in ``phase`` of the run that was last estimated,
        and the changes that do it."""
        needs = self._trainer.needs(hp, self._work(hp, prompts))
        changes = needs.less(hp, phase) if needs is not None else {}
        if changes:
            lower = say_changes(changes, hp, self._trainer.policy.device)
            same = ", which changes no number" if "micro_batch_tokens" in changes else ""
            return f"Lower {lower}{same}, and try again.", changes
        return ("Lower the response length, switch on LoRA or gradient checkpointing in a new "
                "run, or choose a smaller model."), {}

    def _work(self, hp: Settings, prompts: Sequence[str | PromptLike]) -> Workload:
        if tuple(prompts) != self._prompts:
            self._tokens = self._longest(prompts)
            self._prompts = tuple(prompts)
        prompt, scored = self._tokens
        compared = min(hp.comparison_prompts, len(prompts))
        limit = getattr(self._trainer.reward, "max_length", None)
        scored += hp.response_length
        return Workload(prompt, min(scored, limit) if limit else scored, compared,
                        self._data)

    def _longest(self, prompts: Sequence[str | PromptLike]) -> tuple[int, int]:
        """Tokens of the longest prompt, as the policy and as the reward model count them."""
        lengths = [len(ids) for ids in self._trainer.policy_tokenizer.encode(prompts, 0)] or [1]
        longest = max(lengths)
        tokenizer = getattr(self._trainer.reward, "tokenizer", None)
        if tokenizer is None or not prompts:
            return longest, longest
        text = as_prompt(prompts[lengths.index(longest)]).text
        return longest, len(tokenizer(text, verbose=False)["input_ids"])

    def _available(self) -> int:
        """Bytes a run could have: what is free, and what this process has taken for models."""
        device = self._trainer.policy.device
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            return free + torch.cuda.memory_reserved(device)
        if device.type == "mps":
            return torch.mps.recommended_max_memory()
        return psutil.virtual_memory().available + max(0, resident() - self._before)

    def _advice(
        self, phases: Phases, there: int, hp: Settings, changes: Mapping[str, Value]
    ) -> str:
        short = f"The run may not fit: it needs about {size(needed(phases))} and there is " \
                f"{size(there)}."
        if not changes:
            return f"{short} Choose smaller models, or a shorter response."
        lower = say_changes(changes, hp, self._trainer.policy.device)
        verb = "Change" if any(not hp.specs()[name].live for name in changes) else "Lower"
        return f"{short} {verb} {lower}."


def say_changes(changes: Mapping[str, Value], hp: Settings, device: torch.device) -> str:
    """Return what to change and by how much, such as ``Tokens at once from 1024 to 512``."""
    before: dict[str, Value] = {
        **hp.model_dump(), "micro_batch_tokens": tokens_at_once(hp.micro_batch_tokens, device)}

    def shown(value: Value) -> str:
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else f"{value}"

    return " and ".join(f"{hp.specs()[name].label} from {shown(before[name])} to {shown(value)}"
                        for name, value in changes.items())


def resident() -> int:
    """Return the bytes of this process in memory."""
    return psutil.Process().memory_info().rss


def let_go(trainer: AnyTrainer) -> None:
    """Free what a cycle that failed has left behind."""
    trainer.optimizer.zero_grad(set_to_none=True)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
