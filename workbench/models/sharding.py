"""Weights, gradients and the optimiser's state shared out over ranks, by PyTorch's FSDP2.

Each of a model's layers is a unit: of its weights a rank holds its part, and the whole only while
the layer computes. Of the tables outside of layers, embeddings and the language-model head, it
holds its rows, and the whole within :func:`tables_whole`. What else there is, the last norm, biases
and the value head, is whole on every rank, whose gradients
:func:`workbench.models.ranks.sum_gradients` sums.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import Any

import psutil
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, share_comm_ctx
from torch.distributed.tensor import DTensor, Partial, Shard
from transformers.modeling_layers import GradientCheckpointingLayer

from workbench import processes
from workbench.memory_allocator import keep_small_memory_alone
from workbench.models import ranks


def shard(model: nn.Module, device: torch.device, like: nn.Module | None = None) -> None:
    """Share out the weights of a model's layers and tables, in place, over the ranks that are
    together.

    Args:
        like: a model that is shared out, of which this is a copy :func:`without_weights`: its
            weights are taken.

    Raises:
        ValueError: it has no layers that are known as such.
    """
    layers = _layers(model)
    if not layers:
        raise ValueError("This architecture has no layers that could be shared out over processes; "
                         "set Sharding (sharding) to replicate.")
    if device.type == "cpu":
        keep_small_memory_alone()
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for layer, other in zip(layers, layers if like is None else _layers(like), strict=True):
        unit = fully_shard(layer, mesh=mesh, reshard_after_forward=True)
        # A loss is divided by the tokens of all ranks already.
        unit.set_gradient_divide_factor(1.0)
        unit.set_force_sum_reduction_for_comms(True)
        if like is not None:
            layer.to_empty(device=device)
            _copy(other, layer)
    # Or each layer would keep its whole gradient until that of the last has been summed.
    shared = units(model)
    share_comm_ctx(shared)
    # Of itself FSDP gathers next what ran before, and ranks have written unlike many tokens.
    for unit, before in zip(shared, [*shared[:1], *shared], strict=False):
        unit.set_modules_to_backward_prefetch([before])
    for (parameter, places), (source, _) in zip(
            _outside(model), _outside(model if like is None else like), strict=True):
        # A copy in any case, or it would keep the file in memory that all weights were read from.
        own = (_part(source, mesh) if like is None and _is_table(source)
               else source.detach().clone())
        _put(places, nn.Parameter(own, requires_grad=parameter.requires_grad))
    for buffer in model.buffers():
        buffer.data = buffer.detach().clone()


def without_weights(model: nn.Module) -> nn.Module:
    """Return a copy of a model whose parameters have no memory yet; all of them are to learn."""
    memo: dict[int, Any] = {id(p): nn.Parameter(torch.empty_like(p, device="meta"))
                            for p in model.parameters()}
    return copy.deepcopy(model, memo)


@torch.no_grad()
def _copy(source: nn.Module, target: nn.Module) -> None:
    """Copy this rank's part of a layer's weights, and its buffers."""
    pairs = zip([*source.parameters(), *source.buffers()],
                [*target.parameters(), *target.buffers()], strict=True)
    for theirs, own in pairs:
        _local(own).copy_(_local(theirs))


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def is_wanted(
    sharding: str, *models: nn.Module | None, copied: nn.Module | None = None
) -> bool:
    """Whether ranks are to share out models, of which some learn: ``shard`` says so, ``auto`` where
    they would not fit.

    Args:
        copied: one of them of which a copy is to learn that is not made yet.
    """
    return ranks.count() > 1 and (sharding == "shard" or (
        sharding == "auto" and not fits_replicated(*filter(None, models), copied=copied)))


def shard_frozen(model: nn.Module, device: torch.device) -> None:
    """Share out the weights of a model that only reads, unless that is done, it has no layers that
    are known as such or is packed: it stays whole on every rank then."""
    if _layers(model) and not is_shared_out(model) and all(
            p.is_floating_point() for p in model.parameters()):
        shard(model, device)


def _layers(model: nn.Module) -> list[nn.Module]:
    found: list[nn.Module] = [
        m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]
    inner = {id(part) for layer in found for part in layer.modules() if part is not layer}
    return [layer for layer in found if id(layer) not in inner]


Places = list[tuple[nn.Module, str]]
"""The modules that have a parameter, and what each calls it."""


def _outside(model: nn.Module) -> list[tuple[Any, Places]]:
    """Return the parameters outside of a model's layers, each with all its places: a head may be
    tied to an embedding."""
    inner = {id(part) for layer in _layers(model) for part in layer.modules()}
    found: dict[int, tuple[Any, Places]] = {}
    for module in model.modules():
        if id(module) not in inner:
            for name, parameter in module.named_parameters(recurse=False):
                found.setdefault(id(parameter), (parameter, []))[1].append((module, name))
    return list(found.values())


def _is_table(parameter: Tensor) -> bool:
    """Whether a parameter has rows for all ranks."""
    return (parameter.ndim > 1 and len(parameter) >= max(2, ranks.count())
            and parameter.is_floating_point())


def _part(table: Tensor, mesh: DeviceMesh) -> DTensor:
    """Return this rank's rows of a table, in memory of their own."""
    parts = table.detach().chunk(mesh.size())
    own = (parts[mesh.get_local_rank()] if mesh.get_local_rank() < len(parts)
           else table.detach()[:0])
    return DTensor.from_local(
        own.clone(), mesh, [Shard(0)], run_check=False, shape=table.shape, stride=table.stride())


def _put(places: Places, parameter: nn.Parameter) -> None:
    for module, name in places:
        setattr(module, name, parameter)


@contextlib.contextmanager
def tables_whole(model: nn.Module, *, learn: bool = False) -> Iterator[None]:
    """Hold a model's embeddings and heads whole on every rank, where they are shared out.

    Args:
        learn: what backward passes within find of their gradients is summed over ranks at the end,
            and added to that of each rank's part; else only reading is done.
    """
    tables = [(table, places) for table, places in _outside(model) if is_part(table)
              ] if ranks.count() > 1 else []
    held = [nn.Parameter(table.detach().full_tensor(), requires_grad=learn and table.requires_grad)
            for table, _ in tables]
    for (_, places), table in zip(tables, held, strict=True):
        _put(places, table)
    try:
        yield
    finally:
        for table, places in tables:
            _put(places, table)
    if learn and tables:
        grads = [table.grad for table in held]
        held.clear()  # before the gradients take as much again on their way
        _sum_gradients([table for table, _ in tables], grads)


@torch.no_grad()
def _sum_gradients(parts: Sequence[Any], grads: list[Tensor | None]) -> None:
    """Add to the gradient of each rank's part what all ranks have found for it."""
    found = torch.tensor([grad is not None for grad in grads], dtype=torch.long)
    ranks.sum_on_host(found)
    for place, (part, there) in enumerate(zip(parts, found.tolist(), strict=True)):
        grad, grads[place] = grads[place], None
        if not there:
            continue
        if grad is None:
            grad = torch.zeros(part.shape, dtype=part.dtype, device=part.device)
        summed = DTensor.from_local(grad, part.device_mesh, [Partial()], run_check=False)
        del grad
        own = summed.redistribute(placements=[Shard(0)])
        part.grad = own if part.grad is None else part.grad.add_(own)


def share_shared_out(model: nn.Module) -> float:
    """Return which share of a model's weights is shared out: those of its layers and tables."""
    whole = sum(p.numel() for p, _ in _outside(model) if not _is_table(p))
    return 1 - whole / max(1, sum(p.numel() for p in model.parameters()))


def share_in_tables(model: nn.Module) -> float:
    """Return which share of a model's weights is in tables outside of its layers."""
    tables = sum(p.numel() for p, _ in _outside(model) if _is_table(p))
    return tables / max(1, sum(p.numel() for p in model.parameters()))


def units(model: nn.Module) -> list[Any]:
    """Return the layers whose weights are shared out."""
    return [m for m in model.modules() if isinstance(m, FSDPModule)]


def is_shared_out(model: nn.Module) -> bool:
    """Whether ranks share out a model's weights."""
    return bool(units(model))


def fits_whole(model: nn.Module) -> bool:
    """Whether every rank has memory for all weights of a model at once, with as much again to
    spare."""
    missing = sum(p.numel() * p.element_size() for p in model.parameters() if is_part(p))
    return not ranks.any_(2 * missing > _free(model))


def fits_replicated(*models: nn.Module, copied: nn.Module | None = None) -> bool:
    """Whether every rank has memory to train all of the weights that learn. All models that a run
    has, frozen ones and rewards too, are held already, and so are not among what is free."""
    ranks.any_(False)  # what is free is known once all hold theirs
    return not ranks.any_(still_needed(*models, copied=copied) > _free(models[0]))


def still_needed(*models: nn.Module, copied: nn.Module | None = None) -> int:
    """Return the bytes that training takes beside the weights of models, which may be the same in
    part: gradients and the optimiser's two moments of those that learn, and for computing half as
    much as that and all weights together; and those of the copy of one that is ``copied`` to
    learn."""
    weights = {id(p): p for model in models for p in model.parameters()}.values()
    copies = [] if copied is None else list(copied.parameters())
    made = sum(p.numel() * p.element_size() for p in copies)
    held = sum(p.numel() * p.element_size() for p in weights) + made
    learning = sum(12 * p.numel() for p in [*copies, *(p for p in weights if p.requires_grad)])
    return made + learning + (held + learning) // 2


def _free(model: nn.Module) -> int:
    """Return the bytes that are free to this rank where a model lies."""
    device = next(model.parameters()).device
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available // processes.on_this_machine()


@contextlib.contextmanager
def gathered(model: nn.Module, wanted: bool = True) -> Iterator[None]:
    """Hold all weights of a model whole on every rank; those of its layers if that is ``wanted``.
    Only reading is done meanwhile. A rank that is alone takes them as they are."""
    layers = units(model) if wanted and ranks.count() > 1 else []
    for layer in layers:
        layer.set_reshard_after_forward(False)
        layer.unshard()
    try:
        with tables_whole(model):
            yield
    finally:
        for layer in layers:
            layer.set_reshard_after_forward(True)
            layer.reshard()


def whole(tensor: Tensor) -> Tensor:
    """Return all of a tensor; of one that is shared out every rank has to ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def fill(tensor: Tensor, value: Tensor) -> None:
    """Write ``value``, which every rank has whole, into a tensor, of which it may hold a part."""
    if not isinstance(tensor, DTensor):
        tensor.copy_(value)
        return
    own = tensor.to_local()
    parts = value.to(own.device).chunk(dist.get_world_size(), dim=0)
    if dist.get_rank() < len(parts):  # of very few rows some ranks hold none
        own.copy_(parts[dist.get_rank()])


@torch.no_grad()
def shorten_gradients(parameters: Sequence[nn.Parameter], most: float) -> Tensor:
    """Shorten the gradient of all parameters together to the length ``most``, and return the length
    that it had."""
    parts = [p.grad for p in parameters if isinstance(p.grad, DTensor)]
    if not parts:
        return torch.nn.utils.clip_grad_norm_(parameters, most)
    length = gradient_length(parameters)
    factor = (most / (length + 1e-6)).clamp(max=1.0)  # as PyTorch has it
    for p in parameters:
        if p.grad is not None:
            (p.grad.to_local() if isinstance(p.grad, DTensor) else p.grad).mul_(factor)
    return length


@torch.no_grad()
def gradient_length(parameters: Sequence[nn.Parameter]) -> Tensor:
    """Return the length of the gradient of all parameters together."""
    found = [p.grad for p in parameters if p.grad is not None]
    plain = [g for g in found if not isinstance(g, DTensor)]
    shared = [g.to_local() for g in found if isinstance(g, DTensor)]
    length = torch.nn.utils.get_total_norm(plain)
    if not shared:
        return length
    squares = torch.nn.utils.get_total_norm(shared).square()
    ranks.sum_(squares)
    return (length.to(squares).square() + squares).sqrt()


def is_part(tensor: Tensor) -> bool:
    """Whether a rank holds only a part of it."""
    return isinstance(tensor, DTensor)
