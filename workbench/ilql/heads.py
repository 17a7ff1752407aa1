"""What ILQL adds to a policy: a value of every state and of every token in it, on its trunk."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from workbench.ilql import custom_generate
from workbench.ilql.decoding import steer
from workbench.ilql.objective import follow


class QHeads(nn.Module):
    """Heads V and two Q on a trunk's hidden states, and slow copies of the latter, the targets.

    Each has a hidden layer as wide as the states. The targets learn nothing themselves
    (:meth:`follow`).
    """

    def __init__(self, width: int, vocabulary: int, device: torch.device) -> None:
        """Make heads for states of ``width`` numbers and ``vocabulary`` tokens; all values are 0 at
        first."""
        super().__init__()
        # Drawn on the CPU: a seed gives the same numbers on every device.
        self.v, self.q1, self.q2 = (
            _head(width, outputs).to(device) for outputs in (1, vocabulary, vocabulary))
        self.target1, self.target2 = (
            copy.deepcopy(q).requires_grad_(False) for q in (self.q1, self.q2))

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray], device: torch.device) -> QHeads | None:
        """Return heads with the weights that the parameters of others had, by name; None where
        there are none."""
        if "v.0.weight" not in arrays:
            return None
        heads = cls(arrays["v.0.weight"].shape[1], len(arrays["q1.2.bias"]), device)
        heads.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        return heads.requires_grad_(False)

    def values(self, states: Tensor) -> Tensor:
        """Return V (...) of states (..., H)."""
        found: Tensor = self.v(states.float()).squeeze(-1)
        return found

    def online(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return the two heads' Q (..., V) of states (..., H)."""
        wide = states.float()
        return self.q1(wide), self.q2(wide)

    @torch.no_grad()
    def target(self, states: Tensor) -> Tensor:
        """Return the smaller of the two targets' Q (..., V) of states (..., H)."""
        wide = states.float()
        return torch.minimum(self.target1(wide), self.target2(wide))

    def follow(self, rate: float) -> None:
        """Move the targets towards the heads."""
        follow(self.target1, self.q1, rate=rate)
        follow(self.target2, self.q2, rate=rate)

    def steered(self, logits: Tensor, states: Tensor, *, beta: float, top_k: int) -> Tensor:
        """Return the logits (n, V) to write with, of the policy's own and its states (n, H)."""
        if not beta:
            return logits
        return steer(logits.log_softmax(-1), self.target(states), self.values(states),
                     beta=beta, top_k=top_k)

    def save(self, folder: str, *, beta: float, top_k: int, trunk: str) -> None:
        """Save what is needed to write by values, and the code that does so with transformers
        alone.

        Args:
            trunk: where it is in the model; nothing: its base model.

        Raises:
            OSError: the folder cannot be written.
        """
        kept = {name: tensor.detach().cpu().contiguous()
                for name, tensor in self.state_dict().items()
                if name.startswith(("v.", "target"))}
        # Not beside the weights, where other programs would take them for some.
        file = Path(folder, custom_generate.HEADS)
        file.parent.mkdir(exist_ok=True)
        save_file(kept, file, metadata={
            "beta": str(beta), "top_k": str(top_k), "trunk": trunk, "format": "pt"})
        shutil.copyfile(custom_generate.__file__, file.with_name("generate.py"))

    @property
    def targets(self) -> dict[str, nn.Parameter]:
        """The parameters of the targets by name."""
        return {name: p for name, p in self.named_parameters() if name.startswith("target")}


def _head(width: int, outputs: int) -> nn.Sequential:
    last = nn.Linear(width, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), last)
