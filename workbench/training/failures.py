"""What went wrong, as one plain sentence that says what to do."""

from __future__ import annotations

import traceback

import torch

from workbench.ppo.control import NotFiniteError
from workbench.ppo.device import find_placement
from workbench.ppo.forward import tokens_at_once
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.policy import UnsupportedModelError
from workbench.ppo.scribe import PromptError
from workbench.store.home import StoreError


def explain(error: BaseException, hp: Hyperparameters | None = None) -> tuple[str, str]:
    """Return ``(sentence, details)``. ``details`` is text: a kept traceback would pin tensors."""
    details = "".join(traceback.format_exception(error))
    if isinstance(error, NotFiniteError | PromptError | StoreError | UnsupportedModelError):
        return str(error), details
    if is_out_of_memory(error):
        return _out_of_memory(hp), details
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return f"The cycle failed: {reason}. The details can be copied for a bug report.", details


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory ran out, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "not enough memory" in text or "out of memory" in text or "can't allocate memory" in text)


def _out_of_memory(hp: Hyperparameters | None) -> str:
    if hp is None:
        return "The models do not fit into memory; choose smaller ones."
    at_once = tokens_at_once(hp.micro_batch_tokens, find_placement().device)
    batch = hp.batch_size
    return (
        f"Memory ran out; lower Tokens at once (from {at_once} to {max(16, at_once // 2)}), which "
        f"changes nothing else, or the batch size (from {batch} to {max(1, batch // 2)}), and "
        "start again.")
