"""A CPU's update, lean: gradients of weights are added up where they lie.

PyTorch makes the gradient of every use of a weight in memory of its own and then adds it to what
is there. With a vocabulary of 50,000 that is as much work again as the matrix product, at every
chunk of the head and every micro-batch; an embedding even fills a whole matrix with zeros to add
some rows. Here a product or a row is added to ``weight.grad`` by the kernel that computes it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from workbench.models.device import Placement
from workbench.models.kernels import linear
from workbench.models.sharding import is_part

# Entries of a weight from which on that is worth a function in Python each way.
_LARGE = 1 << 19


def adds_in_place(placement: Placement) -> bool:
    """Whether :func:`in_place_gradients` does anything there."""
    return placement.device.type == "cpu" and placement.dtype == torch.float32


@contextlib.contextmanager
def in_place_gradients(model: nn.Module) -> Iterator[None]:
    """Let the backward passes inside add to ``weight.grad`` of large plain layers in place.

    The sums are those of autograd beyond rounding, in an order that is always the same. Other
    layers, frozen weights, other devices and autocast stay with autograd.
    """
    replaced = []
    try:
        for layer in model.modules():
            kind = _FORWARDS.get(type(layer))
            if kind is not None and _suits(layer):
                layer.forward = partial(kind, layer)
                replaced.append(layer)
        yield
    finally:
        for layer in replaced:
            del layer.forward


def _suits(layer: Any) -> bool:
    weight = layer.weight
    return (weight.requires_grad and not is_part(weight) and weight.numel() >= _LARGE
            and weight.device.type == "cpu" and weight.dtype == torch.float32)


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    if torch.is_autocast_enabled("cpu"):
        return nn.Linear.forward(layer, x)
    return _product(x, layer, transposed=False)


def _conv1d(layer: Any, x: Tensor) -> Tensor:
    if torch.is_autocast_enabled("cpu"):
        return Conv1D.forward(layer, x)
    return _product(x, layer, transposed=True)


def _embedding(layer: nn.Embedding, ids: Tensor) -> Tensor:
    if layer.max_norm is not None or layer.scale_grad_by_freq or layer.sparse:
        return nn.Embedding.forward(layer, ids)
    return _Rows.apply(layer.weight, ids, layer.padding_idx)


_FORWARDS: dict[type, Callable[..., Tensor]] = {
    nn.Linear: _linear, Conv1D: _conv1d, nn.Embedding: _embedding}


def _product(x: Tensor, layer: Any, *, transposed: bool) -> Tensor:
    flat = _Product.apply(x.reshape(-1, x.shape[-1]), layer.weight, layer.bias, transposed)
    return flat.view(*x.shape[:-1], -1)


class _Product(torch.autograd.Function):
    """``x W + b`` for x of (n, in), with W of (in, out) if ``transposed``, else of (out, in)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, transposed: bool) -> Any:
        ctx.save_for_backward(x)
        # Not saved: gradient checkpointing would give back a copy, which has no gradient to add to.
        ctx.weight, ctx.transposed = weight, transposed
        if not transposed:
            return linear(x, weight, bias)
        return x.mm(weight) if bias is None else torch.addmm(bias, x, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (x,), weight, grad = ctx.saved_tensors, ctx.weight, grads[0]
        if ctx.transposed:
            _add_product(weight, x.t(), grad)
        else:
            _add_product(weight, grad.t(), x)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = grad.mm(weight.t() if ctx.transposed else weight)
        return grad_x, None, grad.sum(0) if ctx.needs_input_grad[2] else None, None


class _Rows(torch.autograd.Function):
    """The rows of an embedding."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, padding: int | None) -> Any:
        ctx.save_for_backward(ids)
        ctx.weight, ctx.padding = weight, padding
        return nn.functional.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (ids,), weight = ctx.saved_tensors, ctx.weight
        rows, grad = ids.flatten(), grads[0].reshape(ids.numel(), -1)
        if ctx.padding is not None:  # that row learns nothing, as in PyTorch
            real = rows != ctx.padding
            rows, grad = rows[real], grad[real]
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        weight.grad.index_add_(0, rows, grad)
        return None, None, None


def _add_product(weight: Tensor, left: Tensor, right: Tensor) -> None:
    if weight.grad is None:
        weight.grad = left.mm(right)
    else:
        weight.grad.addmm_(left, right)
