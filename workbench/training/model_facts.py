"""What is said of a loaded model."""

from __future__ import annotations

from typing import Any

import torch

from workbench.models.four_bit import count
from workbench.training.names import source_name


def facts_of(
    source: str, model: torch.nn.Module, tokenizer: Any, dtype: str, device: torch.device
) -> dict[str, Any]:
    """Return the fields that every loaded model has in ``ModelFacts``."""
    return {
        "source": source,
        "name": source_name(source),
        "architecture": type(model).__name__,
        "parameters": count(model),
        "vocabulary": len(tokenizer),
        "dtype": dtype,
        "device": str(device),
        "tokenizer": type(tokenizer).__name__,
        "has_chat_template": bool(getattr(tokenizer, "chat_template", None)),
    }
