"""A model to be measured in another's place: the same weights in a tree of modules of its own.

The model itself may be in the middle of a run: with adapters in it, with packed weights, with
layers that recompute. Nothing that is done to its stand-in reaches it.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from workbench.models.trainable import add_adapters


def probe_copy(model: Any, *, lora_rank: int = 0) -> Any:
    """Return a model of its own on ``model``'s storage, ready to be trained.

    Args:
        lora_rank: of adapters that the stand-in alone has; 0 for training every weight.
    """
    # Parameters are new objects: whether they want a gradient is theirs to say. Packed ones, which
    # never do, know how they are packed.
    memo: dict[int, Any] = {
        id(p): nn.Parameter(p.detach(), requires_grad=True) if p.is_floating_point() else p
        for p in model.parameters()}
    memo |= {id(buffer): buffer for buffer in model.buffers()}
    double = copy.deepcopy(model, memo)
    for module in list(double.modules()):
        module.__dict__.pop("forward", None)  # of packed weights
        for name, child in module.named_children():
            if isinstance(base := getattr(child, "base_layer", None), nn.Module):
                setattr(module, name, base)  # without the adapters of the run
    double.__dict__.pop("peft_config", None)
    if lora_rank:
        add_adapters(double.requires_grad_(False), lora_rank)
    return double


@contextlib.contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """Measure within: neither random numbers nor the precision of a run that is on change."""
    # A run in half precision may be asked between two tokens.
    with torch.random.fork_rng(), torch.autocast(device.type, enabled=False):
        try:
            yield
        finally:
            torch.clear_autocast_cache()
