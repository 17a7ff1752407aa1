"""The policy: a causal language model with a value head on its trunk."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor, nn

from workbench.ppo.device import Placement


class UnsupportedModelError(ValueError):
    """The model computes its logits in a way the workbench does not know. A plain sentence."""


class Policy(nn.Module):
    """A causal language model of transformers, seen as trunk, language-model head, value head.

    The trunk turns token ids into hidden states; both heads read them. Only the states that a
    loss needs go through the heads, which is where most of the memory and, for large
    vocabularies, much of the time would go.
    """

    def __init__(self, model: Any, placement: Placement) -> None:
        """Wrap ``model``, which must already lie on ``placement.device``.

        Raises:
            UnsupportedModelError: trunk and head together do not give the model's own logits.
        """
        super().__init__()
        self.model = model
        self.placement = placement
        self.config = model.config.get_text_config()
        head = model.get_output_embeddings()
        self.value_head = nn.Linear(head.weight.shape[1], 1, device=placement.device)
        self.reset_value_head()
        self.eval()  # dropout stays off, in training too: the ratio must start at 1
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

    def reset_value_head(self) -> None:
        """Zero, so that the first advantages are the plain returns."""
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The precision of the matrix products; the weights themselves stay as loaded."""
        if self.placement.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.placement.dtype)

    def hidden_states(self, input_ids: Tensor) -> Tensor:
        """Run the trunk over whole sequences, padded on the right.

        No attention mask is needed: a causal model's real tokens never see what comes after
        them, and without a mask the fastest attention kernels apply.

        Args:
            input_ids: (b, L); padding on the right may be any token.

        Returns:
            (b, L, H); what stands over padding means nothing.
        """
        with self.autocast():
            return self.trunk(input_ids=input_ids, use_cache=False).last_hidden_state

    def logits(self, hidden: Tensor) -> Tensor:
        """Return float32 logits (..., V) for hidden states (..., H)."""
        with self.autocast():
            logits = self.model.get_output_embeddings()(hidden)
        logits = logits.float()
        # The ways transformers' models bend their logits after the head.
        if (scale := getattr(self.config, "logit_scale", None)) is not None:
            logits = logits * scale
        if (scaling := getattr(self.config, "logits_scaling", None)) is not None:
            logits = logits / scaling
        if (cap := getattr(self.config, "final_logit_softcapping", None)) is not None:
            logits = cap * torch.tanh(logits / cap)
        return logits

    def values(self, hidden: Tensor) -> Tensor:
        """Return float32 values (...) for hidden states (..., H)."""
        return self.value_head(hidden.float()).squeeze(-1)

    @torch.no_grad()
    def _check_head(self) -> None:
        ids = torch.arange(4, device=self.device).unsqueeze(0) % self.config.vocab_size
        with self.autocast():
            expected = self.model(input_ids=ids, use_cache=False).logits.float()
        found = self.logits(self.hidden_states(ids))
        if not torch.allclose(found, expected, rtol=1e-3, atol=1e-3):
            raise UnsupportedModelError(
                f"The policy's architecture ({type(self.model).__name__}) computes its logits in "
                "a way PPO Workbench does not know; choose another model.")
