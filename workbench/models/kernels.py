"""The same layers by faster kernels. Nothing here changes a number beyond rounding."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from transformers.activations import FastGELUActivation, NewGELUActivation
from transformers.pytorch_utils import Conv1D

from workbench.memory_allocator import return_freed_memory
from workbench.models.device import has_bfloat16

# A packed copy of larger weights would cost more memory than the time is worth.
_PACKED_BYTES_AT_MOST = 1 << 30
# The update's large tensors cannot use the pieces that a larger packed copy leaves behind.
_PACKED_BYTES_KEPT = 1 << 25
# From as many outputs on, a vocabulary's, MKL's product is up to twice as slow as oneDNN's.
_WIDE = 16_384


def use_native_gelu(model: nn.Module) -> None:
    """Replace GELU's tanh approximation, spelled in Python by eight operations, by PyTorch's one.

    Hendrycks & Gimpel 2016 (arXiv:1606.08415); both compute the same formula.
    """
    for parent in model.modules():
        for name, child in parent.named_children():
            if isinstance(child, NewGELUActivation | FastGELUActivation):
                setattr(parent, name, nn.GELU(approximate="tanh"))


def copies_weight(outputs: int) -> bool:
    """Whether :func:`linear` lays out a copy of a weight of so many outputs for each product."""
    return outputs >= _WIDE and torch.backends.mkldnn.is_available()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return ``x W' + b`` by the faster of a CPU's kernels.

    Args:
        x: (n, in) float32.
        weight: (out, in) float32.
        bias: (out,) or None.
    """
    if copies_weight(len(weight)) and weight.is_contiguous():
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return nn.functional.linear(x, weight, bias)


def head_logits(head: Any, hidden: Tensor) -> Tensor:
    """Return what a language-model head makes of hidden states (n, H), where no gradient flows by
    the faster kernel."""
    plain = type(head) is nn.Linear and "forward" not in vars(head)
    if (plain and hidden.device.type == "cpu" and hidden.ndim == 2
            and not torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")
            and hidden.dtype == head.weight.dtype == torch.float32):
        return linear(hidden, head.weight, head.bias)
    return head(hidden)


@contextlib.contextmanager
def packed_weights(model: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Let a CPU's linear layers run on weights laid out for its matrix kernels.

    While tokens are sampled one by one, a weight is used many times and stays as it is; laying
    it out once makes a product with few rows twice as fast. No gradient flows meanwhile. Does
    nothing on other devices, on CPUs without a layout for ``dtype``, or where the copy would take
    more than 1 GiB.

    Args:
        dtype: of the products: float32, or what autocast would use.
    """
    layers = _plain_layers(model)
    size = sum(layer.weight.numel() for layer in layers) * dtype.itemsize
    if not _can_pack(layers, dtype) or size > _PACKED_BYTES_AT_MOST:
        yield
        return
    # A model that ties its head to its embedding has one more use of a weight, not a copy.
    try:
        for layer in layers:
            layer.forward = _packed(layer, dtype)
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)
        if size > _PACKED_BYTES_KEPT:
            return_freed_memory()


def _plain_layers(model: nn.Module) -> list[Any]:
    """Return the linear layers whose weights are here, whole."""
    return [m for m in model.modules()
            if type(m) in (nn.Linear, Conv1D) and not isinstance(m.weight, DTensor)]


def _can_pack(layers: list[Any], dtype: torch.dtype) -> bool:
    if not layers or not torch.backends.mkldnn.is_available():
        return False
    if any(layer.weight.device.type != "cpu" for layer in layers):
        return False
    # Where a CPU converts there and back, it has no layout.
    return dtype == torch.float32 or has_bfloat16(torch.device("cpu"))


def _packed(layer: Any, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    weight = layer.weight.detach().to(dtype)
    if isinstance(layer, Conv1D):
        # Strided weights fall to a reference kernel a thousand times slower.
        weight = weight.t().contiguous()
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    bias = None if layer.bias is None else layer.bias.detach().to(dtype)
    product = torch.ops.mkldnn._linear_pointwise

    def forward(x: Tensor) -> Tensor:
        return product(x.to(dtype), packed, bias, "none", [], "")

    return forward


@contextlib.contextmanager
def cast_weights(model: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Let linear layers run on copies of their weights in another precision.

    No gradient flows meanwhile.
    """
    layers = _plain_layers(model)
    try:
        for layer in layers:
            layer.forward = _cast(layer, dtype)
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)


def _cast(layer: Any, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    weight = layer.weight.detach().to(dtype)
    if isinstance(layer, Conv1D):
        weight = weight.t()
    bias = None if layer.bias is None else layer.bias.detach().to(dtype)
    return lambda x: nn.functional.linear(x.to(dtype), weight, bias)
