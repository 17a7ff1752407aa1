"""Where the models run, and in which precision."""

from __future__ import annotations

from dataclasses import dataclass

import torch

# A CPU's caches want small pieces, a GPU wants large ones.
_TOKENS_AT_ONCE = {"cpu": 1024, "cuda": 16_384, "mps": 4096}


@dataclass(frozen=True, slots=True)
class Placement:
    """A device and the precision of the frozen and the trained weights on it."""

    device: torch.device
    dtype: torch.dtype

    @property
    def dtype_name(self) -> str:
        """The short name, such as ``float32``."""
        return str(self.dtype).removeprefix("torch.")


def find_placement(precision: str = "auto") -> Placement:
    """Choose cuda, else mps, else cpu, and the precision.

    Args:
        precision: ``"float32"``, ``"bfloat16"`` or ``"auto"``: bf16 on a cuda device that has it,
            float32 elsewhere.
    """
    if torch.cuda.is_available():
        return placement_on(torch.device("cuda"), precision)
    if torch.backends.mps.is_available():
        return placement_on(torch.device("mps"), precision)
    return placement_on(torch.device("cpu"), precision)


def placement_on(device: torch.device, precision: str) -> Placement:
    """Choose the precision on the device where models are, as :func:`find_placement` does."""
    if precision != "auto":
        return Placement(device, getattr(torch, precision))
    half = device.type == "cuda" and has_bfloat16(device)
    return Placement(device, torch.bfloat16 if half else torch.float32)


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16; others convert every number there and back."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return (torch.backends.mkldnn.is_available()
                and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()))
    return True


def caution(placement: Placement) -> str:
    """Return a sentence on what is wrong with a placement, or nothing."""
    if placement.dtype != torch.bfloat16 or has_bfloat16(placement.device):
        return ""
    return ("This processor has no bfloat16: a cycle takes many times as long as in float32. "
            "Choose Precision auto in a new run or a fork.")


def widest_float(device: torch.device) -> torch.dtype:
    """Return the most exact floating-point type a device has; MPS has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def synchronize(device: torch.device) -> None:
    """Wait for the device, so that a wall clock read afterwards means something."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def tokens_at_once(micro_batch_tokens: int, device: torch.device) -> int:
    """Return how many tokens go through the model at once; 0 asks for what suits the device."""
    return micro_batch_tokens or _TOKENS_AT_ONCE.get(device.type, 4096)
