"""The optimiser of the update: AdamW, or with its state in 8 bits on an NVIDIA GPU."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

import torch
from torch import nn

from workbench.models.policy import UnsupportedModelError
from workbench.models.sharding import is_part

ADAM_EPS = 1e-5


def check_optimizer(kind: str, device: torch.device) -> None:
    """Make sure that there is such an optimiser here.

    Raises:
        UnsupportedModelError: the device or the package for it is missing.
    """
    if kind != "adamw_8bit":
        return
    if device.type != "cuda":
        raise UnsupportedModelError(
            f"The 8-bit optimiser needs an NVIDIA GPU, and the models are on {device}; set "
            "Optimiser to adamw.")
    if find_spec("bitsandbytes") is None:
        raise UnsupportedModelError(
            "The 8-bit optimiser needs the package bitsandbytes; install it with "
            "`pip install 'ppo-workbench[eightbit]'`, or set Optimiser to adamw.")


def make_optimizer(
    kind: str, policy: Iterable[nn.Parameter], values: Iterable[nn.Parameter],
    device: torch.device,
) -> torch.optim.Optimizer:
    """Return AdamW (Loshchilov & Hutter 2019), or ``adamw_8bit``, whose moments are quantised in
    blocks of 256 (Dettmers et al. 2022).

    Its groups are of what the policy learns and of what values alone learn, with a learning rate
    each (:func:`set_rates`).
    """
    parameters = [
        {"params": some, "of_values": of_values}
        for found, of_values in ((list(policy), False), (list(values), True))
        # PyTorch's kernels take whole parameters, or parts that ranks share, not both at once.
        for some in ([p for p in found if not is_part(p)], [p for p in found if is_part(p)])
        if some or not found]
    if kind == "adamw_8bit":
        from bitsandbytes.optim import AdamW8bit

        return AdamW8bit(parameters, lr=0.0, eps=ADAM_EPS, weight_decay=0.0)
    return torch.optim.AdamW(
        parameters, lr=0.0, eps=ADAM_EPS, weight_decay=0.0, fused=device.type in ("cpu", "cuda"))


def set_rates(optimizer: torch.optim.Optimizer, policy: float, values: float) -> None:
    """Set the learning rates of both groups."""
    for group in optimizer.param_groups:
        group["lr"] = values if group["of_values"] else policy


def state_bytes(kind: str, parameters: int) -> int:
    """Return the bytes of the optimiser's state: two moments a parameter."""
    if kind == "adamw_8bit":
        return round(parameters * 2 * (1 + 4 / 256))  # and a float32 scale a block
    return parameters * 2 * 4
