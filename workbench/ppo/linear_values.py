"""Values as a linear function of states that do not move: all that fitting them needs, in sums.

How wrong a linear head is over a batch, and its gradient, follow from sums over tokens alone:
of the states' products with each other and with the returns. They take (H + 1)² numbers in place
of a state for every token, each further pass costs one product with them, and, being sums, they do
not depend on how tokens were cut into micro-batches, beyond the rounding of double precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from workbench.models import ranks
from workbench.ppo.value_head import ValueHead

PENALTIES = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
"""What ridge regression is tried with: shares of the variance of a standardised state."""


class Moments:
    """Sums over tokens of products of states, each with a 1 for the bias, and targets."""

    def __init__(self, width: int, device: torch.device) -> None:
        """Begin with no token; states will have ``width`` dimensions."""
        # MPS has no double precision.
        device = torch.device("cpu") if device.type == "mps" else device
        self.products = torch.zeros(width + 1, width + 1, dtype=torch.float64, device=device)
        """(H + 1, H + 1) Σ x xᵀ, x being a state followed by 1."""
        self.with_targets = torch.zeros(width + 1, dtype=torch.float64, device=device)
        """(H + 1,) Σ x y."""
        self.squares = torch.zeros((), dtype=torch.float64, device=device)
        """Σ y²."""

    @torch.no_grad()
    def add(self, states: Tensor, targets: Tensor) -> None:
        """Take in tokens: states (n, H) and their targets (n,)."""
        x = nn.functional.pad(states.to(self.products), (0, 1), value=1.0)
        y = targets.to(self.products)
        self.products += x.t() @ x
        self.with_targets += x.t() @ y
        self.squares += y @ y

    def sum_ranks(self) -> None:
        """Take in what the other ranks have taken in."""
        ranks.sum_(self.products, self.with_targets, self.squares)

    def __add__(self, other: Moments) -> Moments:
        total = Moments(len(self.with_targets) - 1, self.products.device)
        total.products = self.products + other.products
        total.with_targets = self.with_targets + other.with_targets
        total.squares = self.squares + other.squares
        return total

    @property
    def count(self) -> Tensor:
        """The number of tokens."""
        return self.products[-1, -1]

    def gradient(self, head: nn.Linear) -> tuple[Tensor, Tensor]:
        """Return the gradient of ``mean ½ (V - y)²`` for a head's weight (1, H) and bias (1,)."""
        whole = (self.products @ _vector(head.weight, head.bias).to(self.products)
                 - self.with_targets) / self.count
        whole = whole.to(head.weight)
        return whole[:-1].unsqueeze(0), whole[-1:]

    def explained_variance(self, head: ValueHead) -> float:
        """Return ``1 - Var(y - V) / Var(y)``; 0 where the targets do not vary."""
        v = _vector(head.weight, head.bias).to(self.products)
        mean = self.with_targets[-1] / self.count
        variance = self.squares / self.count - mean.square()
        error = (v @ self.products @ v - 2 * v @ self.with_targets + self.squares) / self.count
        shift = mean - v @ self.products[-1] / self.count
        if not variance > 1e-12 * self.squares / self.count:
            return 0.0
        return (1 - (error - shift.square()) / variance).item()


@dataclass(frozen=True, slots=True)
class Fit:
    """A linear value head and the ridge penalty it was found with; infinite: the mean alone."""

    head: ValueHead
    penalty: float


def ridge(moments: Moments, penalty: float) -> Fit:
    """Return the head with the least ``mean (V - y)² + penalty ‖u‖²``, ``u`` being its weights for
    states scaled to deviation 1 (Hoerl & Kennard 1970); the bias is free.

    A dimension that does not vary gets the weight 0.
    """
    n, means = moments.count, moments.products[-1, :-1] / moments.count
    target = moments.with_targets[-1] / n
    weight = torch.zeros_like(means)
    if penalty != float("inf"):
        covariance = moments.products[:-1, :-1] / n - torch.outer(means, means)
        with_target = moments.with_targets[:-1] / n - means * target
        squares = moments.products.diagonal()[:-1] / n
        deviation = covariance.diagonal().clamp(min=0).sqrt()
        varies = deviation > 1e-6 * squares.sqrt().clamp(min=1e-30)
        inverse = torch.where(varies, 1 / deviation, 0.0)
        scaled = covariance * torch.outer(inverse, inverse)
        scaled += penalty * torch.eye(len(means), dtype=scaled.dtype, device=scaled.device)
        weight = torch.linalg.solve(scaled, with_target * inverse) * inverse
    bias = target - weight @ means
    return Fit(ValueHead(weight.float().unsqueeze(0), bias.float().unsqueeze(0)), penalty)


def best_ridge(learned: Moments, held_out: Moments) -> tuple[Fit, float]:
    """Find the penalty with which ``learned`` foresees ``held_out`` best, the mean alone included,
    and fit all of both with it.

    Returns:
        ``(fit, explained variance of held_out by learned alone)``.
    """
    tried = [(learned_alone := ridge(learned, p), held_out.explained_variance(learned_alone.head))
             for p in (float("inf"), *reversed(PENALTIES))]
    best, explained = max(tried, key=lambda each: each[1])
    return ridge(learned + held_out, best.penalty), explained


def _vector(weight: Tensor, bias: Tensor) -> Tensor:
    return torch.cat([weight.detach().flatten(), bias.detach().flatten()])
