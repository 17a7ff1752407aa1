"""The policy: a causal language model, and what estimates the value of its states."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.pytorch_utils import Conv1D

from workbench.ppo.device import Placement
from workbench.ppo.kernels import head_logits, use_native_gelu


class UnsupportedModelError(ValueError):
    """A model cannot be used in the way asked for. The message is a plain sentence."""


class Policy(nn.Module):
    """A causal language model of transformers, seen as trunk, language-model head, value head.

    The trunk turns token ids into hidden states; the heads read them. Only the states that a
    loss needs go through the heads, which is where most of the memory and, for large
    vocabularies, much of the time would go.

    The value head reads the policy's own trunk, or, given ``value_trunk``, that one.
    """

    def __init__(
        self, model: Any, placement: Placement, *, value_trunk: Any = None,
        gradient_checkpointing: bool = False,
    ) -> None:
        """Wrap ``model``, which must already lie on ``placement.device``.

        Args:
            gradient_checkpointing: recompute activations in the backward pass.

        Raises:
            UnsupportedModelError: trunk and head together do not give the model's own logits.
        """
        super().__init__()
        use_native_gelu(model)
        self.model = model
        self.placement = placement
        self.config = model.config.get_text_config()
        self.value_trunk = value_trunk
        if value_trunk is None:
            width = model.get_output_embeddings().weight.shape[1]
        else:
            width = value_trunk.config.get_text_config().hidden_size
        self.value_head = nn.Linear(width, 1, device=placement.device)
        # Zero, so that the first advantages are the plain returns.
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)
        self.eval()  # dropout stays off, in training too: the ratio must start at 1
        self._checkpointed = _checkpoint_layers(self) if gradient_checkpointing else []
        self._check_head()

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.placement.device

    @property
    def trunk(self) -> nn.Module:
        """The transformer without its language-model head."""
        return self.model.base_model

    @property
    def context_length(self) -> int | None:
        """The most tokens the model can read, or None when it says nothing."""
        return getattr(self.config, "max_position_embeddings", None)

    def trained(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Return the parameters that the policy learns, and those that values alone learn: the
        value head and a separate value trunk."""
        parts: tuple[list[nn.Parameter], list[nn.Parameter]] = ([], [])
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                parts[name.startswith(("value_head.", "value_trunk."))].append(parameter)
        return parts

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The precision of the matrix products; the weights themselves stay as loaded."""
        if self.placement.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.placement.dtype)

    @contextlib.contextmanager
    def in_full_precision(self) -> Iterator[None]:
        """Let everything within be float32: rounding hides no other difference then."""
        placement, self.placement = self.placement, replace(self.placement, dtype=torch.float32)
        try:
            yield
        finally:
            self.placement = placement

    def hidden_states(self, input_ids: Tensor) -> Tensor:
        """Run the trunk over whole sequences, padded on the right.

        No attention mask is needed: a causal model's real tokens never see what comes after
        them, and without a mask the fastest attention kernels apply.

        Args:
            input_ids: (b, L); padding on the right may be any token.

        Returns:
            (b, L, H); what stands over padding means nothing.
        """
        return self._run(self.trunk, input_ids)

    def value_states(self, input_ids: Tensor) -> Tensor:
        """Run the trunk that the value head reads, as :meth:`hidden_states` does."""
        return self._run(
            self.trunk if self.value_trunk is None else self.value_trunk, input_ids)

    def logits(self, hidden: Tensor) -> Tensor:
        """Return float32 logits (..., V) for hidden states (..., H)."""
        with self.autocast():
            logits = head_logits(self.model.get_output_embeddings(), hidden)
        logits = logits.float()
        # The ways transformers' models bend their logits after the head.
        if (scale := getattr(self.config, "logit_scale", None)) is not None:
            logits = logits * scale
        if (scaling := getattr(self.config, "logits_scaling", None)) is not None:
            logits = logits / scaling
        if (cap := getattr(self.config, "final_logit_softcapping", None)) is not None:
            logits = cap * torch.tanh(logits / cap)
        return logits

    def values(self, states: Tensor) -> Tensor:
        """Return float32 values (...) for the value trunk's states (..., H)."""
        with torch.autocast(self.device.type, enabled=False):
            return self.value_head(states.float()).squeeze(-1)

    def _run(self, trunk: nn.Module, input_ids: Tensor) -> Tensor:
        with self.autocast(), self._checkpointing():
            return trunk(input_ids=input_ids, use_cache=False).last_hidden_state

    @contextlib.contextmanager
    def _checkpointing(self) -> Iterator[None]:
        """Let layers recompute, where a gradient is wanted.

        They do so only "in training". The flag is set on the layer alone, and taken back before
        it runs, so that dropout stays off; not while sampling, where it would cost them their
        cache.
        """
        wanted = torch.is_grad_enabled()
        for layer in self._checkpointed:
            layer.training = wanted
        try:
            yield
        finally:
            for layer in self._checkpointed:
                layer.training = False

    @torch.no_grad()
    def _check_head(self) -> None:
        ids = torch.arange(4, device=self.device).unsqueeze(0) % self.config.vocab_size
        with self.in_full_precision():
            expected = self.model(input_ids=ids, use_cache=False).logits
            found = self.logits(self.hidden_states(ids))
        if not torch.allclose(found, expected, rtol=1e-3, atol=1e-3):
            raise UnsupportedModelError(
                f"The policy's architecture ({type(self.model).__name__}) computes its logits in "
                "a way PPO Workbench does not know; choose another model.")


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
        gradient_checkpointing: bool,
    ) -> Policy:
        """Return a policy to train that is the start policy, with a value head of zero.

        Args:
            value_source: the model whose trunk a separate value model begins as; None for none.
        """
        self.dismantle()
        # Before there are adapters, which it might take for its own.
        value_trunk = None if value_source is None else _copy_trunk(value_source)
        if lora_rank:
            model = self._adapt(lora_rank)
        else:
            model = copy.deepcopy(self._start.model).requires_grad_(True)
        self._start.placement = placement
        self.policy = Policy(model, placement, value_trunk=value_trunk,
                             gradient_checkpointing=gradient_checkpointing)
        return self.policy

    @contextlib.contextmanager
    def reference(self) -> Iterator[Policy]:
        """Give the start policy for as long as the context lasts."""
        if self._adapters is None:
            yield self._start
            return
        self._adapters.disable_adapter_layers()
        try:
            yield self.policy
        finally:
            self._adapters.enable_adapter_layers()

    @contextlib.contextmanager
    def plain_model(self) -> Iterator[Any]:
        """Give the trained model without value head, its adapters merged into its weights."""
        if self._adapters is None:
            yield self.policy.model
        else:
            yield copy.deepcopy(self._adapters).merge_and_unload()

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
    return LoraModel(model, config, "default")


def _copy_trunk(model: Any) -> nn.Module:
    return copy.deepcopy(model.base_model).float().requires_grad_(True).eval()


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


def _checkpoint_layers(module: nn.Module) -> list[Any]:
    layers: list[Any] = [m for m in module.modules() if isinstance(m, GradientCheckpointingLayer)]
    if not layers:
        raise UnsupportedModelError(
            "This policy's architecture has no gradient checkpointing; switch it off.")
    for layer in layers:
        layer.gradient_checkpointing = True
        layer._gradient_checkpointing_func = partial(_recomputed, layer)
    return layers


def _recomputed(layer: nn.Module, run: Callable[..., Any], *args: Any) -> Any:
    """Run a layer now and once more in the backward pass, with its own dropout off."""
    def still(*again: Any) -> Any:
        before, layer.training = layer.training, False
        try:
            return run(*again)
        finally:
            layer.training = before

    return checkpoint(still, *args, use_reentrant=False)
