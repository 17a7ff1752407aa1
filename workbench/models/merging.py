"""Saving a model with its LoRA adapters merged, without a second model beside it."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor

from workbench.models.four_bit import packed_layers, unpacked

SHARD = "1GB"
"""Weights are written in files of this size: so much is held a second time."""
_SHARD_PACKED = "125MB"
"""The same of weights in 4 bits, which are eight times as large once they are unpacked."""


def save_merged(model: Any, adapters: Any, folder: str) -> None:
    """Save ``model``, which holds ``adapters`` (peft's), as if they were merged into its weights,
    and those that are packed into 4 bits unpacked; not a bit of it changes.

    Raises:
        OSError: the folder cannot be written.
    """
    weights = _Merged(model)
    if getattr(model, "_weight_conversions", None) == []:
        model.save_pretrained(
            folder, state_dict=weights, save_original_format=False,
            max_shard_size=_SHARD_PACKED if weights.packed else SHARD)
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
        packed = packed_layers(model)
        self.packed: dict[str, Any] = {}
        found = {}
        for name, tensor in model.state_dict().items():
            if any(name.startswith(f"{outer}.weight.") for outer in _outer(name)
                   if outer in packed):
                continue  # scales
            layer = next((outer for outer in _outer(name) if outer in layers), None)
            within = packed.get(name.removesuffix(".weight"))
            if layer is None:
                found[name] = tensor
                if within is not None:
                    self.packed[name] = within
                continue
            inner = name.removeprefix(f"{layer}.")
            if inner.startswith("base_layer."):
                plain = f"{layer}.{inner.removeprefix('base_layer.')}"
                found[plain] = tensor
                if inner == "base_layer.weight":
                    self.waiting[plain] = layers[layer]
                    if within is not None:
                        self.packed[plain] = within
        super().__init__(found)

    def pop(self, name: str, *default: Any) -> Any:
        """Take a weight out, with what its adapter adds."""
        tensor = super().pop(name, *default)
        layer, packed = self.waiting.pop(name, None), self.packed.get(name)
        added = [] if layer is None else [
            layer.get_delta_weight(adapter) for adapter in layer.active_adapters]
        if packed is not None:
            return unpacked(packed, added).cpu()
        if layer is None:
            return tensor
        for delta in added:
            tensor = tensor + delta.to(tensor)
        return tensor.cpu()


def _outer(name: str) -> list[str]:
    """Return the names of the modules that a weight lies in, innermost first."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]
