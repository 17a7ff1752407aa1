"""What ILQL adds to a policy: a value of every state and of every token in it, on its trunk."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

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
        self.v, self.q1, self.q2 = (
            _head(width, outputs, device) for outputs in (1, vocabulary, vocabulary))
        self.target1, self.target2 = (
            copy.deepcopy(q).requires_grad_(False) for q in (self.q1, self.q2))

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

    @property
    def targets(self) -> dict[str, nn.Parameter]:
        """The parameters of the targets by name."""
        return {name: p for name, p in self.named_parameters() if name.startswith("target")}


def _head(width: int, outputs: int, device: torch.device) -> nn.Sequential:
    last = nn.Linear(width, outputs, device=device)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(width, width, device=device), nn.GELU(), last)
