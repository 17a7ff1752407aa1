"""All that a run carries from one cycle to the next, as plain arrays and numbers.

Random states are not among it: there are none (:mod:`workbench.models.randomness`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workbench.models import ranks
from workbench.models.policy import VALUE_PARTS, Policy
from workbench.models.sharding import fill, is_part, whole


def arrays(
    policy: nn.Module, optimizer: torch.optim.Optimizer
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the trained weights and the optimiser's state, one after the other, named by parameter.
    Of what ranks share out each is gathered as it is asked for: all ranks ask for all."""
    for name, parameter in _trained(policy):
        yield f"weights/{name}", _array(parameter)
        # In one order everywhere: ranks that share out weights gather each together.
        for key, value in sorted(optimizer.state.get(parameter, {}).items()):
            yield f"optimizer/{key}/{name}", _array(value)


@torch.no_grad()
def put_back(
    policy: nn.Module, optimizer: torch.optim.Optimizer, found: Mapping[str, np.ndarray]
) -> None:
    """Restore what :func:`arrays` gave, into a policy and optimiser of the same shape; what
    learns values stays as it is where the arrays have none such, as those of another algorithm.

    Raises:
        ValueError: the arrays belong to another model.
    """
    trained = _trained(policy)
    there = {k.removeprefix("weights/") for k in found if k.startswith("weights/")}
    ours, theirs = ({n for n in names if n.startswith(VALUE_PARTS)}
                    for names in ({n for n, _ in trained}, there))
    if ours != theirs:
        trained = [(n, p) for n, p in trained if n not in ours]
        there -= theirs
    if {name for name, _ in trained} != there:
        raise ValueError("the checkpoint belongs to another model")
    # Each optimiser names its state in its own way.
    keys = sorted({k.split("/", 2)[1] for k in found if k.startswith("optimizer/")})
    for name, parameter in trained:
        fill(parameter, torch.from_numpy(found[f"weights/{name}"]))
        state: dict[str, Any] = {}
        for key in keys:
            array = found.get(f"optimizer/{key}/{name}")
            if array is None:
                continue
            value = torch.from_numpy(array).clone()
            if key == "step" and not value.is_floating_point():
                state[key] = int(value)
            else:
                on_device = key != "step" or parameter.device.type == "cuda"
                state[key] = value.to(parameter.device) if on_device else value
                if key != "step" and is_part(parameter):
                    state[key] = torch.zeros_like(parameter)
                    fill(state[key], value)
        if state:
            optimizer.state[parameter] = state


def take_values(policy: Policy) -> dict[str, np.ndarray]:
    """Return the weights that values alone learn, named by parameter."""
    return {name: _array(parameter) for name, parameter in _values(policy)}


@torch.no_grad()
def put_back_values(policy: Policy, arrays: Mapping[str, np.ndarray]) -> None:
    """Restore what :func:`take_values` returned.

    Raises:
        ValueError: the arrays belong to another value model.
    """
    wanted = _values(policy)
    if {n: tuple(p.shape) for n, p in wanted} != {n: a.shape for n, a in arrays.items()}:
        raise ValueError("the values belong to another model")
    for name, parameter in wanted:
        fill(parameter, torch.from_numpy(arrays[name]))


def _values(policy: Policy) -> list[tuple[str, Tensor]]:
    learned = {id(parameter) for parameter in policy.trained()[1]}
    return [(n, p) for n, p in policy.named_parameters() if id(p) in learned]


def _trained(policy: nn.Module) -> list[tuple[str, Tensor]]:
    return [(n, p) for n, p in policy.named_parameters() if p.requires_grad]


def _array(value: Tensor | int) -> np.ndarray:
    """Return weights and moments as float32; a count, and what is quantised, as it is."""
    if not isinstance(value, Tensor):
        return np.asarray(value)
    value = whole(value.detach())
    if ranks.is_helping():  # of weights that ranks share out another one makes the snapshot
        return np.empty(0)
    exact = value.float() if value.is_floating_point() else value
    return exact.cpu().contiguous().numpy()
