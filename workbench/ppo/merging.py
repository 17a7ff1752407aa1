"""Saving a model with its LoRA adapters merged, without a second model beside it."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor

SHARD = "1GB"
"""Weights are written in files of this size: so much is held a second time."""


def save_merged(model: Any, adapters: Any, folder: str) -> None:
    """Save ``model``, which holds ``adapters`` (peft's), as if they were merged into its weights;
    not a bit of it changes.

    Raises:
        OSError: the folder cannot be written.
    """
    weights = _Merged(model)
    if getattr(model, "_weight_conversions", None) == []:
        model.save_pretrained(
            folder, state_dict=weights, max_shard_size=SHARD, save_original_format=False)
    if weights.waiting:
        # Weights that are saved by other names or in other shapes than they are used, as those of
        # experts are, transformers wants all at once.
        merged = copy.deepcopy(adapters).merge_and_unload()
        merged.save_pretrained(folder, max_shard_size=SHARD)


class _Merged(dict[str, Tensor]):
    """The weights of a model by the names they have without adapters. What an adapter adds to a
    weight is added when that is taken out to be written, file by file."""

    def __init__(self, model: Any) -> None:
        from peft.tuners.lora import LoraLayer

        self.waiting: dict[str, Any] = {}
        layers = {name: layer for name, layer in model.named_modules()
                  if isinstance(layer, LoraLayer)}
        found = {}
        for name, tensor in model.state_dict().items():
            layer = next((outer for outer in _outer(name) if outer in layers), None)
            if layer is None:
                found[name] = tensor
                continue
            inner = name.removeprefix(f"{layer}.")
            if inner.startswith("base_layer."):
                plain = f"{layer}.{inner.removeprefix('base_layer.')}"
                found[plain] = tensor
                if inner == "base_layer.weight":
                    self.waiting[plain] = layers[layer]
        super().__init__(found)

    def pop(self, name: str, *default: Any) -> Any:
        """Take a weight out, with what its adapter adds."""
        tensor = super().pop(name, *default)
        layer = self.waiting.pop(name, None)
        if layer is None:
            return tensor
        for adapter in layer.active_adapters:
            tensor = tensor + layer.get_delta_weight(adapter).to(tensor)
        return tensor.cpu()


def _outer(name: str) -> list[str]:
    """Return the names of the modules that a weight lies in, innermost first."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]
