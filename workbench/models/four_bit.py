"""Policies whose linear layers bitsandbytes has packed into 4 bits, to be trained with adapters
(QLoRA, Dettmers et al. 2023). What is packed stays as it is.

Nothing here imports bitsandbytes, which not everybody has: transformers does for such a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from workbench.models.sources import LoadError


def is_four_bit(settings: Mapping[str, Any]) -> bool:
    """Whether a config.json says that bitsandbytes has packed the weights into 4 bits."""
    found = settings.get("quantization_config") or {}
    return bool(found.get("load_in_4bit")) and (
        (found.get("quant_method") or "bitsandbytes") == "bitsandbytes")


def can_be_read() -> bool:
    """Whether the GPU and the package that such weights need are here."""
    return torch.cuda.is_available() and find_spec("bitsandbytes") is not None


def prepare(config: Any) -> None:
    """Let packed layers compute as the others do, in float32 or as autocast says, not in what
    config.json says of them; before they are made."""
    config.quantization_config = {
        **config.quantization_config, "bnb_4bit_compute_dtype": "float32"}


def settle(model: Any, source: str) -> None:
    """Make a model that was read one like any other, but for its packed layers.

    Their weights are unpacked into float32 by every kernel, so that they are the same numbers in
    each. Its settings say no more that it is packed: what is exported of it is not.

    Raises:
        LoadError: nothing could be exported of it.
    """
    layers = packed_layers(model)
    quantizer = model.hf_quantizer
    packing = tuple(quantizer.get_load_operations().values())
    conversions = [each for each in model._weight_conversions
                   if not any(isinstance(op, packing) for op in getattr(each, "operations", ()))]
    # Other kinds of numbers may hold the packed bits, as some ways of training ask for.
    odd = [layer for layer in layers.values() if layer.weight.dtype != torch.uint8]
    if conversions or odd or not layers:
        raise LoadError(
            f"{source} is quantised (bitsandbytes, 4 bits) in a way that PPO Workbench cannot "
            "train; choose the original model that it was made from.")
    for layer in layers.values():
        layer.weight.quant_state.dtype = torch.float32
    quantizer.remove_quantization_config(model)
    model._weight_conversions = []
    vars(model).pop("hf_device_map", None)


def packed_layers(model: nn.Module) -> dict[str, Any]:
    """Return the layers with packed weights, by name."""
    return {name: module for name, module in model.named_modules()
            if getattr(getattr(module, "weight", None), "quant_state", None) is not None
            and isinstance(module, nn.Linear)}


def scales(model: nn.Module) -> Iterator[Tensor]:
    """Return what packed weights are unpacked with, which a model has beside its parameters."""
    for layer in packed_layers(model).values():
        state = layer.weight.quant_state
        for each in filter(None, (state, state.state2)):
            yield from (each.absmax, each.code)


def count(model: nn.Module) -> int:
    """Return the number of a model's parameters, packed ones as if they were not."""
    packed = {id(layer.weight): layer.in_features * layer.out_features
              for layer in packed_layers(model).values()}
    return sum(packed.get(id(p), p.numel()) for p in model.parameters())


def unpacked(layer: Any, added: Iterable[Tensor]) -> Tensor:
    """Return a packed layer's weight in float32, with what adapters add to it, as the layer that it
    was made from had it."""
    from bitsandbytes.functional import dequantize_4bit

    weight: Tensor = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    for delta in added:
        weight = weight + delta
    # The layers of GPT-2 and its kin hold their weights the other way round.
    return weight.t() if issubclass(layer.source_cls, Conv1D) else weight
