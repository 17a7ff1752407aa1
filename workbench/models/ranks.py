"""The processes that compute one run together, on PyTorch's distributed package.

Every one of them, a *rank*, goes through the same cycle: each writes, reads and learns from its
share of the rows, and what came of it is summed, so that all hold the same numbers afterwards. What
is random belongs to rows (:mod:`workbench.models.randomness`), so the number of ranks changes no
number beyond rounding.

That is so within :func:`together`. Outside of it, and in a run of one process, a rank is alone, and
nothing here costs anything.
"""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from heapq import heapify, heappop, heappush
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import Store
from torch.distributed.tensor import DTensor

from workbench import processes

T = TypeVar("T")

_FOREVER = timedelta(days=365)
"""A paused run waits in a collective. A rank that is gone is found by its connections, which end,
and one that hangs by its heartbeat (:mod:`workbench.training.heartbeat`)."""

_together = _apart = _helping = False
_host_group: Any = None


class RankError(RuntimeError):
    """Another process of the run has failed or is gone. The message is a plain sentence."""


class RankMemoryError(RankError, MemoryError):
    """Memory ran out in another process of the run, ``process``: "process 2 of 2"."""

    def __init__(self, process: str) -> None:
        super().__init__(f"Memory ran out in {process}.")
        self.process = process


def join(store: Store) -> None:
    """Meet the other processes at ``store``; they wait for one another.

    Numbers on GPUs are summed by nccl where each process has one of its own, all others by gloo.
    """
    global _host_group
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
        if torch.cuda.device_count() >= processes.on_this_machine():
            backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(
        backend, store=store, rank=processes.own_number(), world_size=processes.started(),
        timeout=_FOREVER)
    _host_group = dist.new_group(backend="gloo", timeout=_FOREVER)


def leave() -> None:
    """Let go of the other processes."""
    global _host_group
    _host_group = None
    if dist.is_initialized():
        dist.destroy_process_group()


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Do what is within on all ranks alike: each is to come here, in the same order."""
    global _together
    before, _together = _together, dist.is_initialized()
    try:
        yield
    finally:
        _together = before


def count() -> int:
    """Return how many ranks are together; 1 where this one is alone."""
    return dist.get_world_size() if _together else 1


def number() -> int:
    """Return this rank's number among them, from 0."""
    return dist.get_rank() if _together else 0


def is_apart() -> bool:
    """Whether this rank does something by itself now, within :func:`guarded`."""
    return _apart


@contextlib.contextmanager
def helping() -> Iterator[None]:
    """Only help others to what is gathered within: nothing of it is kept here."""
    global _helping
    _helping = True
    try:
        yield
    finally:
        _helping = False


def is_helping() -> bool:
    """Whether this rank does so."""
    return _helping


# -- who does what


def share(costs: Sequence[float]) -> list[int]:
    """Return which items are this rank's, in their order, given what each of them costs: all have
    about as much to do."""
    if count() == 1:
        return list(range(len(costs)))
    loads = [(0.0, rank) for rank in range(count())]
    heapify(loads)
    own = []
    for item in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        load, rank = heappop(loads)
        heappush(loads, (load + costs[item], rank))
        if rank == number():
            own.append(item)
    return sorted(own)


# -- numbers


def sum_(*tensors: Tensor) -> None:
    """Sum tensors over ranks, in place. All ranks come with the same shapes."""
    if count() > 1:
        for tensor in tensors:
            dist.all_reduce(tensor)


def sum_on_host(*tensors: Tensor) -> None:
    """Sum tensors that lie in the host's memory over ranks, in place."""
    if count() > 1:
        for tensor in tensors:
            dist.all_reduce(tensor, group=_host_group)


def totals(numbers: Mapping[str, float]) -> dict[str, float]:
    """Return the sums of numbers by name; a rank may lack some."""
    if count() == 1:
        return dict(numbers)
    found: dict[str, float] = {}
    for of_rank in exchange(dict(numbers)):
        for name, value in of_rank.items():
            found[name] = found.get(name, 0.0) + value
    return found


@torch.no_grad()
def sum_gradients(parameters: Sequence[torch.nn.Parameter]) -> None:
    """Sum over ranks what each has found of the gradients of its rows; those of weights that are
    shared out have been (:mod:`workbench.models.sharding`)."""
    if count() == 1:
        return
    there = torch.tensor([p.grad is not None for p in parameters], dtype=torch.long)
    dist.all_reduce(there, group=_host_group)
    learned = [p for p, found in zip(parameters, there.tolist(), strict=True)
               if found and not isinstance(p, DTensor)]
    for parameter in learned:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    for some in _buckets(learned):
        gradients = [p.grad for p in some if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        for gradient, part in zip(
                gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))


_BUCKET = 1 << 23
"""Entries that are summed at once: as much memory again is taken for them."""


def _buckets(parameters: Sequence[torch.nn.Parameter]) -> Iterator[list[torch.nn.Parameter]]:
    """Yield parameters that lie on one device in one precision, so many that summing pays."""
    some: list[torch.nn.Parameter] = []
    entries = 0
    for parameter in parameters:
        unlike = some and (some[0].dtype, some[0].device) != (parameter.dtype, parameter.device)
        if some and (unlike or entries + parameter.numel() > _BUCKET):
            yield some
            some, entries = [], 0
        some.append(parameter)
        entries += parameter.numel()
    if some:
        yield some


def most(value: int) -> int:
    """Return the largest of what the ranks have."""
    if count() == 1:
        return value
    found = torch.tensor([int(value)])
    dist.all_reduce(found, dist.ReduceOp.MAX, group=_host_group)
    return int(found)


def any_(flag: bool) -> bool:
    """Whether it is so on any rank."""
    return bool(most(flag))


# -- messages


def broadcast(message: T) -> T:
    """Return what rank 0 says; the others may say anything."""
    if count() == 1:
        return message
    box: list[Any] = [message if number() == 0 else None]
    dist.broadcast_object_list(box, group=_host_group, device=torch.device("cpu"))
    return box[0]


def exchange(message: T) -> list[T]:
    """Return what each rank says, in their order."""
    if count() == 1:
        return [message]
    found: list[Any] = [None] * count()
    dist.all_gather_object(found, message, group=_host_group)
    return found


def guarded(work: Callable[[], T]) -> T:
    """Do ``work``, which asks for nothing of other ranks, and return what comes of it here, once
    all have done theirs.

    Raises:
        Exception: what it raised here or, if that went well, on another rank: it ends on all.
    """
    global _apart
    if count() == 1:
        return work()
    error: Exception | None = None
    result: Any = None
    before, _apart = _apart, True
    try:
        result = work()
    except Exception as raised:
        error = raised
    finally:
        _apart = before
    failed = [(rank, e) for rank, e in enumerate(exchange(_portable(error))) if e is not None]
    if error is not None:
        raise error
    if failed:
        raise failed[0][1]
    return result


def _portable(error: Exception | None) -> Exception | None:
    """Return an error as it can be sent: without what it was raised from and in."""
    if error is None:
        return None
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        return RankError(f"Process {number() + 1} of {count()} failed "
                         f"({type(error).__name__}: {error}).")
