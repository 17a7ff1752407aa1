"""The reward model: a sequence classifier that reads text with its own tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from workbench.ppo.control import Control
from workbench.ppo.device import Placement
from workbench.ppo.kernels import use_native_gelu
from workbench.ppo.phases import Phase
from workbench.ppo.prompt import TextPrompt, conversation

_BATCH_TOKENS = 8192


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt and its completion as text.

    ``joined`` is what a reader who knows no turns should see: both as the policy wrote them, or
    the completion alone where it answers in a chat. ``messages`` and ``columns`` are those of the
    prompt (:class:`workbench.ppo.prompt.PromptLike`).
    """

    prompt: str
    completion: str
    joined: str
    messages: tuple[tuple[str, str], ...] = ()
    columns: Mapping[str, object] = field(default_factory=dict, hash=False)


def rows_at_once(length: int) -> int:
    """Return how many texts of ``length`` tokens a reward model reads at once."""
    return max(1, _BATCH_TOKENS // max(1, length))


class Reward(Protocol):
    """Anything that scores whole completions."""

    def score(
        self, exchanges: Sequence[Exchange], *, control: Control, phase: Phase = Phase.SCORING
    ) -> Tensor:
        """Return one float32 score a completion, (b,), on the CPU."""


class RewardModel:
    """Scores whole completions. It sees text only, so its tokenizer need not be the policy's."""

    def __init__(
        self, model: Any, tokenizer: Any, label: int, placement: Placement,
        folder: Path | None = None,
    ) -> None:
        """Wrap a sequence classifier on ``placement.device``; ``label`` is the output to use,
        ``folder`` where it was read from."""
        use_native_gelu(model)
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.label = label
        self.folder = folder
        self.placement = placement
        config = model.config.get_text_config()
        # Some tokenizers report an astronomically large limit for "none".
        limits = [n for n in (getattr(config, "max_position_embeddings", None),
                              tokenizer.model_max_length) if n and n < 10**9]
        self.max_length = min(limits, default=None)

    @torch.no_grad()
    def score(
        self, exchanges: Sequence[Exchange], *, control: Control, phase: Phase = Phase.SCORING
    ) -> Tensor:
        """Return one float32 score a completion, (b,), on the CPU."""
        encoded = [self._encode(e) for e in exchanges]
        order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i]))
        scores = torch.zeros(len(encoded))
        done = 0
        while done < len(order):
            control.step(phase, done, len(order))
            rows = order[done : done + rows_at_once(len(encoded[order[done]]))]
            batch = self.tokenizer.pad(
                {"input_ids": [encoded[i] for i in rows]}, return_tensors="pt", padding=True,
            ).to(self.placement.device)
            logits = self.model(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            scores[rows] = logits[:, self.label].float().cpu()
            done += len(rows)
        return scores

    def _encode(self, exchange: Exchange) -> list[int]:
        text = exchange.joined
        if self.tokenizer.chat_template:
            text = self.tokenizer.apply_chat_template(
                [*conversation(TextPrompt(exchange.prompt, exchange.messages)),
                 {"role": "assistant", "content": exchange.completion}], tokenize=False)
        ids = self.tokenizer(
            text, add_special_tokens=not self.tokenizer.chat_template,
            truncation=self.max_length is not None, max_length=self.max_length,
        )["input_ids"]
        # A classifier cannot read nothing at all.
        return ids or [self.tokenizer.pad_token_id or 0]
