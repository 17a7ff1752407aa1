"""The policy in training beside its start, and the models that values begin as."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from workbench.models.device import Placement
from workbench.models.four_bit import packed_layers
from workbench.models.merging import SHARD, save_merged
from workbench.models.policy import Policy, UnsupportedModelError
from workbench.models.sharding import is_shared_out, is_wanted, shard, without_weights

SHARED_OUT_ALREADY = (
    "The processes share out the weights of a run already; start others for another.")


class Trainable:
    """The policy in training and its start, which is the reference, in as little memory as goes.

    Training all weights needs a copy of the model. Under LoRA the start model itself is trained,
    with adapters that are switched off to be the reference again.
    """

    def __init__(self, start: Policy) -> None:
        """Freeze ``start``: it stays what it is."""
        self._start = start.requires_grad_(False)
        self._adapters: Any = None
        self.policy = start

    @property
    def start_model(self) -> Any:
        """The start policy's model of transformers; under LoRA the adapters are in it."""
        return self._start.model

    def begin(
        self, placement: Placement, *, lora_rank: int, value_source: Any,
        gradient_checkpointing: bool, has_values: bool = True, sharding: str = "replicate",
    ) -> Policy:
        """Return a policy to train that is the start policy, with a value head of zero if it is to
        have one.

        Args:
            sharding: of several ranks (:func:`workbench.models.sharding.is_wanted`).
            value_source: the model whose trunk a separate value model begins as; None for none.

        Raises:
            UnsupportedModelError: its weights are packed, and cannot be trained in this way.
        """
        if packed_layers(self._start.model):
            _check_packed(lora_rank, value_source is self._start.model)
        if is_shared_out(self._start):
            raise UnsupportedModelError(SHARED_OUT_ALREADY)
        self.dismantle()
        # Before there are adapters, which it might take for its own.
        value_trunk = None if value_source is None else _copy_trunk(
            self._start.trunk if value_source is self._start.model else value_source.base_model)
        model = self._adapt(lora_rank) if lora_rank else self._start.model
        shared = is_wanted(
            sharding, model, value_trunk, copied=None if lora_rank else self._start.model)
        if not lora_rank:
            model = (without_weights(model) if shared else copy.deepcopy(model)
                     ).requires_grad_(True)
        self._start.placement = placement
        self.policy = Policy(
            model, placement, value_trunk=value_trunk, capabilities=self._start.capabilities,
            gradient_checkpointing=gradient_checkpointing, has_values=has_values,
            value_width=None if value_trunk is not None else self._start.value_width)
        self.policy.freeze_unread()
        if shared:
            try:
                # A layer at a time: never are the start and its copy both whole.
                shard(self._start.model, placement.device)
                if not lora_rank:
                    shard(model, placement.device, like=self._start.model)
                if value_trunk is not None:
                    shard(value_trunk, placement.device)
            except ValueError as error:
                raise UnsupportedModelError(str(error)) from None
        return self.policy

    @contextlib.contextmanager
    def reference(self) -> Iterator[Policy]:
        """Give the start policy for as long as the context lasts."""
        if self._adapters is None:
            yield self._start
            return
        self._adapters.disable_adapter_layers()
        try:
            with self.policy.writing_by(None):
                yield self.policy
        finally:
            self._adapters.enable_adapter_layers()

    def save(self, folder: str) -> None:
        """Save the trained model without value head, its adapters merged into its weights, which
        are unpacked.

        Raises:
            OSError: the folder cannot be written.
        """
        if self._adapters is None and not packed_layers(self.policy.model):
            self.policy.model.save_pretrained(folder, max_shard_size=SHARD)
        else:
            save_merged(self.policy.model, self._adapters, folder)

    def _adapt(self, rank: int) -> Any:
        self._adapters = add_adapters(self._start.model, rank)
        return self._start.model

    def dismantle(self) -> None:
        """Let go of the last run's weights, before the next takes memory."""
        self.policy = self._start
        if self._adapters is not None:
            self._adapters.unload()
            self._adapters = None


def add_adapters(model: Any, rank: int) -> Any:
    """Put LoRA adapters (Hu et al. 2021) into every linear layer of a frozen model but its head.

    Returns:
        peft's view of ``model``, which switches the adapters on and off and takes them out.
    """
    from peft import LoraConfig, LoraModel

    # GPT-2's layers hold their weights the other way round.
    transposed = any(isinstance(m, Conv1D) for m in model.modules())
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", fan_in_fan_out=transposed)
    with warnings.catch_warnings():
        # Said of experts, for which peft has settings of its own.
        warnings.filterwarnings("ignore", r"The following \w+_pattern keys", RuntimeWarning)
        return LoraModel(model, config, "default")


def _check_packed(lora_rank: int, copied: bool) -> None:
    if not lora_rank:
        raise UnsupportedModelError(
            "The policy's weights are packed into 4 bits, and only adapters beside them can be "
            "trained: set LoRA rank (lora_rank), to 16 say.")
    if copied:
        raise UnsupportedModelError(
            "The policy's weights are packed into 4 bits, so a copy of them cannot learn values: "
            "set Value model (value_model) to shared.")


def _copy_trunk(trunk: nn.Module) -> nn.Module:
    return copy.deepcopy(trunk).float().requires_grad_(True).eval()


@torch.no_grad()
def is_causal(model: Any) -> bool:
    """Whether a model's states never depend on later tokens; found by trying."""
    ids = torch.tensor([[1, 2, 3], [1, 2, 4]], device=model.device)
    states = model.base_model(input_ids=ids).last_hidden_state
    return torch.allclose(states[0, :2], states[1, :2], atol=1e-5)


def find_value_source(kind: str, start_model: Any, reward: Any, tokenizer: Any) -> Any:
    """Return the model that a separate value model begins as; None where there is none.

    Raises:
        UnsupportedModelError: the reward model cannot be it.
    """
    if kind == "shared":
        return None
    if kind == "policy":
        return start_model
    model, its_own = getattr(reward, "model", None), getattr(reward, "tokenizer", None)
    if model is None or its_own is None or (
        its_own.get_vocab() != tokenizer.get_vocab()
    ) or not is_causal(model):
        raise UnsupportedModelError(
            "The value model can start from the reward model only when the reward is a single "
            "causal model with the policy's own tokenizer; set Value model to policy or "
            "shared.")
    return model
