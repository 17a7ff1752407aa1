"""The policy: a causal language model, and what estimates the value of its states."""

from __future__ import annotations

import contextlib
import inspect
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPast

from workbench.models.capabilities import Capabilities
from workbench.models.device import Placement
from workbench.models.kernels import head_logits, use_native_gelu
from workbench.models.rotary import longest_alike

_CONTEXT = "max_position_embeddings", "max_seq_len"
"""What configurations call the most tokens that a model reads."""
VALUE_PARTS = ("value_head.", "value_trunk.", "q_heads.")
"""What the names of the parameters begin with that values alone learn."""


Steering = Callable[[Tensor, Tensor], Tensor]


class UnsupportedModelError(ValueError):
    """A model cannot be used in the way asked for. The message is a plain sentence."""


class Policy(nn.Module):
    """A causal language model of transformers, seen as trunk, language-model head, value head.

    The trunk turns token ids into hidden states; the heads read them. Only the states that a
    loss needs go through the heads, which is where most of the memory and, for large
    vocabularies, much of the time would go.

    The value head reads the policy's own trunk, or, given ``value_trunk``, that one. Where there is
    none, values are 0.
    """

    value_head: nn.Linear | None

    def __init__(
        self, model: Any, placement: Placement, *, value_trunk: Any = None,
        gradient_checkpointing: bool = False, capabilities: Capabilities | None = None,
        has_values: bool = True, value_width: int | None = None,
    ) -> None:
        """Wrap ``model``, which must already lie on ``placement.device``.

        Args:
            gradient_checkpointing: recompute activations in the backward pass.
            capabilities: what is known of the model; without it, where trunk and head are is found
                out, and the rest is taken to be as with most.
            has_values: make a value head.
            value_width: of the states that it reads; found out where that is not given.

        Raises:
            UnsupportedModelError: trunk and head together do not give the model's own logits.
        """
        super().__init__()
        use_native_gelu(model)
        self.model = model
        self.placement = placement
        self.config = model.config.get_text_config()
        self.value_trunk = value_trunk
        self.capabilities = capabilities or Capabilities()
        self.steering: Steering | None = None
        """Makes of logits (n, V) and their states (n, H) the logits to write with; None: they are
        those."""
        self.gathers: bool | None = None
        """Whether all weights that ranks share out were gathered to write with, when it last wrote;
        None: they share out none."""
        self._checkpointed: list[Any] = []
        self.eval()  # dropout stays off, in training too: the ratio must start at 1
        width = self._find_head() if capabilities is None else value_width
        if value_trunk is not None or not width:
            width = _width(self.trunk if value_trunk is None else value_trunk, placement.device)
        self.value_width = width
        """Of the states that a value head reads."""
        self.value_head = nn.Linear(width, 1, device=placement.device) if has_values else None
        if self.value_head is not None:
            # Zero, so that the first advantages are the plain returns.
            nn.init.zeros_(self.value_head.weight)
            nn.init.zeros_(self.value_head.bias)
        if gradient_checkpointing:
            self._checkpointed = checkpoint_layers(self)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.placement.device

    @property
    def trunk(self) -> nn.Module:
        """The transformer without its language-model head; of a model that also reads pictures, the
        part that reads text."""
        where = self.capabilities.trunk
        return self.model.base_model if where is None else self.model.get_submodule(where)

    @property
    def head_learns(self) -> bool:
        """Whether the language-model head is trained; beside adapters it stays as it is."""
        head = self.model.get_output_embeddings()
        return head is None or any(p.requires_grad for p in head.parameters())

    @property
    def branches(self) -> int:
        """The width of the states, if completions of one prompt can share a row; else 0."""
        return (self.model.get_input_embeddings().weight.shape[1]
                if self.capabilities.branches else 0)

    @property
    def context_length(self) -> int | None:
        """The most tokens the model can read, or None when it says nothing."""
        known = (getattr(self.config, name, None) for name in _CONTEXT)
        # Those without a limit may say -1.
        said = next((n for n in known if isinstance(n, int) and n > 0), None)
        # Beyond it a token would not keep the probability with which it was written.
        return min((n for n in (said, longest_alike(self.config)) if n), default=None)

    def trained(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Return the parameters that the policy learns, and those that values alone learn: the
        value head and a separate value trunk."""
        parts: tuple[list[nn.Parameter], list[nn.Parameter]] = ([], [])
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                parts[name.startswith(VALUE_PARTS)].append(parameter)
        return parts

    def freeze_unread(self) -> None:
        """Leave what reads pictures or sound as it is: no text goes through it."""
        for parameter in _unread(self.model, self.trunk):
            parameter.requires_grad_(False)

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

    def hidden_states(
        self, input_ids: Tensor, positions: Tensor | None = None, seen: Tensor | None = None
    ) -> Tensor:
        """Run the trunk over whole sequences, padded on the right.

        No attention mask is needed: a causal model's real tokens never see what comes after
        them, and without a mask the fastest attention kernels apply.

        Args:
            input_ids: (b, L); padding on the right may be any token.
            positions: (b, L), where the tokens stand in their texts; None: one after the other.
            seen: (b, 1, L, L) bool, which tokens each one reads; None: all before it.

        Returns:
            (b, L, H); what stands over padding means nothing.
        """
        more = {} if positions is None else {"position_ids": positions, "attention_mask": seen}
        return self._run(self.trunk, input_ids, **more)

    def value_states(self, input_ids: Tensor) -> Tensor:
        """Run the trunk that the value head reads, as :meth:`hidden_states` does."""
        return self._run(
            self.trunk if self.value_trunk is None else self.value_trunk, input_ids)

    def logits(self, hidden: Tensor) -> Tensor:
        """Return float32 logits (..., V) for hidden states (..., H)."""
        if self.capabilities.own_head:
            return self._own_logits(hidden).float()
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

    def writing_logits(self, hidden: Tensor) -> Tensor:
        """Return the float32 logits (n, V) that tokens are drawn by, for hidden states (n, H)."""
        logits = self.logits(hidden)
        return logits if self.steering is None else self.steering(logits, hidden)

    @contextlib.contextmanager
    def writing_by(self, steering: Steering | None) -> Iterator[None]:
        """Write by another :attr:`steering` for as long as the context lasts."""
        before, self.steering = self.steering, steering
        try:
            yield
        finally:
            self.steering = before

    def _own_logits(self, hidden: Tensor) -> Tensor:
        """Run the model's own code from the trunk on, which is given ``hidden`` to return."""
        states = hidden.reshape(1, -1, hidden.shape[-1])
        any_ids = torch.zeros(states.shape[:2], dtype=torch.long, device=self.device)
        inside = vars(self.trunk)
        before = inside.get("forward")
        inside["forward"] = lambda *_, **__: _GivenStates(last_hidden_state=states)
        try:
            with self.autocast():
                logits = self.model(input_ids=any_ids, **no_cache(self.model)).logits
        finally:
            del inside["forward"]
            if before is not None:
                inside["forward"] = before
        return logits.reshape(*hidden.shape[:-1], -1)

    def values(self, states: Tensor) -> Tensor:
        """Return float32 values (...) for the value trunk's states (..., H)."""
        if self.value_head is None:
            return states.new_zeros(states.shape[:-1], dtype=torch.float32)
        with torch.autocast(self.device.type, enabled=False):
            return self.value_head(states.float()).squeeze(-1)

    def _run(self, trunk: nn.Module, input_ids: Tensor, **more: Tensor | None) -> Tensor:
        with self.autocast(), recomputing(self._checkpointed):
            return _states(trunk, input_ids, **more)

    @torch.no_grad()
    def _find_head(self) -> int:
        """Find out which trunk and which head give the model's own logits; return how wide the
        trunk's states are."""
        ids = torch.arange(4, device=self.device).unsqueeze(0) % self.config.vocab_size
        with self.in_full_precision():
            try:
                expected = self.model(input_ids=ids, **no_cache(self.model)).logits
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # other people's code met with what it does not expect
                raise UnsupportedModelError(
                    f"The policy's architecture ({type(self.model).__name__}) cannot read a text "
                    f"alone ({shortened(error)}); choose another model.") from error
            if expected.isnan().any():
                raise UnsupportedModelError(
                    "The policy's probabilities are no numbers: its weights are damaged, or they "
                    "were not saved for its architecture "
                    f"({type(self.model).__name__}); save or download it again.")
            for trunk, own_head in itertools.product(_trunks(self.model), (False, True)):
                self.capabilities = replace(self.capabilities, trunk=trunk, own_head=own_head)
                try:
                    hidden = self.hidden_states(ids)
                    found = self.logits(hidden)
                except torch.OutOfMemoryError:
                    raise
                except Exception:  # as above
                    continue
                if found.shape == expected.shape and torch.allclose(
                        found, expected.float(), rtol=1e-5, atol=2e-4):
                    return hidden.shape[-1]
        raise UnsupportedModelError(
            f"The policy's architecture ({type(self.model).__name__}) computes its logits in "
            "a way PPO Workbench does not know; choose another model.")


def shortened(error: BaseException) -> str:
    """Return what an error of other people's code says, in a line that fits a sentence."""
    said = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {said[:117]}…" if len(said) > 120 else (
        f"{type(error).__name__}: {said}" if said else type(error).__name__)


def _unread(model: Any, trunk: nn.Module) -> list[nn.Parameter]:
    """The parameters of a model's base that are not the trunk's."""
    if model.base_model is model:
        return []
    read = {id(p) for p in trunk.parameters()}
    return [p for p in model.base_model.parameters() if id(p) not in read]


def reads_more(model: Any, trunk: nn.Module) -> str:
    """Return a sentence on what stays as it is of a model that reads more than text, or nothing."""
    if not _unread(model, trunk):
        return ""
    return "Only the part that reads text is trained; what reads pictures or sound stays as it is."


def _trunks(model: Any) -> list[str | None]:
    """Where the part may be that turns a text into states: the base model, the decoder in it, or
    any part that is a model itself."""
    base, decoder = model.base_model, model.get_decoder()
    inner: list[str | None] = [name for name, m in model.named_modules() if m is decoder and name]
    inner += [name for name, m in model.named_children() if isinstance(m, PreTrainedModel)]
    # What also reads pictures, say, has a part for text that is simpler than the whole.
    if base is model or model.config.get_text_config() is not model.config:
        return [*dict.fromkeys(inner), None]
    return [None, *dict.fromkeys(inner)]


def _states(trunk: nn.Module, input_ids: Tensor, **more: Tensor | None) -> Tensor:
    return trunk(input_ids=input_ids, **no_cache(trunk), **more).last_hidden_state


def no_cache(module: nn.Module) -> dict[str, bool]:
    """Return the arguments that keep a model from keeping a cache: some do not know the word."""
    words = inspect.signature(module.forward).parameters
    knows = "use_cache" in words or any(w.kind is w.VAR_KEYWORD for w in words.values())
    return {"use_cache": False} if knows else {}


@torch.no_grad()
def _width(trunk: nn.Module, device: torch.device) -> int:
    """How wide the states are: heads may have widths of their own."""
    return _states(trunk, torch.zeros(1, 1, dtype=torch.long, device=device)).shape[-1]


class _GivenStates(BaseModelOutputWithPast):
    """What a trunk gives, with nothing but states."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


def checkpoint_layers(module: nn.Module) -> list[Any]:
    """Have a model's layers recompute their activations within :func:`recomputing`, and return
    them.

    Raises:
        UnsupportedModelError: it has none that can.
    """
    layers: list[Any] = [m for m in module.modules() if isinstance(m, GradientCheckpointingLayer)]
    if not layers:
        raise UnsupportedModelError(
            "This architecture has no gradient checkpointing; switch it off.")
    for layer in layers:
        layer.gradient_checkpointing = True
        layer._gradient_checkpointing_func = partial(_recomputed, layer)
    return layers


@contextlib.contextmanager
def recomputing(layers: list[Any]) -> Iterator[None]:
    """Let ``layers`` recompute, where a gradient is wanted.

    They do so only "in training". The flag is set on the layer alone, and taken back before it
    runs, so that dropout stays off; not while sampling, where it would cost them their cache.
    """
    wanted = torch.is_grad_enabled()
    for layer in layers:
        layer.training = wanted
    try:
        yield
    finally:
        for layer in layers:
            layer.training = False


def _recomputed(layer: nn.Module, run: Callable[..., Any], *args: Any) -> Any:
    """Run a layer now and once more in the backward pass, with its own dropout off."""
    def still(*again: Any) -> Any:
        before, layer.training = layer.training, False
        try:
            return run(*again)
        finally:
            layer.training = before

    return checkpoint(still, *args, use_reentrant=False)
