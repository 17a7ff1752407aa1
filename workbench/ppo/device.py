"""Where the models run, and in which precision."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Placement:
    """A device and the precision of the frozen and the trained weights on it."""

    device: torch.device
    dtype: torch.dtype

    @property
    def dtype_name(self) -> str:
        """The short name, such as ``float32``."""
        return str(self.dtype).removeprefix("torch.")


def find_placement() -> Placement:
    """Choose cuda, else mps, else cpu; bf16 on a cuda device that has it, float32 elsewhere."""
    if torch.cuda.is_available():
        bf16 = torch.cuda.is_bf16_supported()
        return Placement(torch.device("cuda"), torch.bfloat16 if bf16 else torch.float32)
    if torch.backends.mps.is_available():
        return Placement(torch.device("mps"), torch.float32)
    return Placement(torch.device("cpu"), torch.float32)


def synchronize(device: torch.device) -> None:
    """Wait for the device, so that a wall clock read afterwards means something."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
