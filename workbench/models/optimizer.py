"""The optimiser of the update: AdamW, or with its state in 8 bits on an NVIDIA GPU."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

import torch
from torch import nn

from workbench.models.policy import UnsupportedModelError

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

    Its two groups are what the policy learns and what values alone learn, with a learning rate
    each (:func:`set_rates`).
    """
    parameters = [{"params": list(policy)}, {"params": list(values)}]
    if kind == "adamw_8bit":
        from bitsandbytes.optim import AdamW8bit

        return AdamW8bit(parameters, lr=0.0, eps=ADAM_EPS, weight_decay=0.0)
    return torch.optim.AdamW(
        parameters, lr=0.0, eps=ADAM_EPS, weight_decay=0.0, fused=device.type in ("cpu", "cuda"))


def set_rates(optimizer: torch.optim.Optimizer, policy: float, values: float) -> None:
    """Set the learning rates of both groups."""
    for group, rate in zip(optimizer.param_groups, (policy, values), strict=True):
        group["lr"] = rate


def state_bytes(kind: str, parameters: int) -> int:
    """Return the bytes of the optimiser's state: two moments a parameter."""
    if kind == "adamw_8bit":
        return round(parameters * 2 * (1 + 4 / 256))  # and a float32 scale a block
    return parameters * 2 * 4
