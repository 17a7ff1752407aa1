"""The loss of a reward model that learns which of two completions is better.

All take (b,) rewards, one of each completion of a pair. The chance that the chosen one wins is
s(r_chosen - r_rejected) (Bradley and Terry 1952).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def bradley_terry_loss(
    chosen: Tensor, rejected: Tensor, *, margin: Tensor | None = None, centering: float = 0.0
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of each pair, (b,), and the means over pairs that are logged of them.

    -log s(r_chosen - r_rejected - margin) (Ouyang et al. 2022, arXiv:2203.02155; with a margin
    Touvron et al. 2023, arXiv:2307.09288), and ``centering`` times (r_chosen + r_rejected)², which
    pulls rewards to 0 (Eisenstein et al. 2023, arXiv:2312.09244).

    Args:
        chosen, rejected: (b,) rewards.
        margin: (b,) by how much the chosen one was found better, on the scale of the rewards;
            None: not at all.
        centering: at least 0.

    Raises:
        ValueError: ``centering`` is below 0.
    """
    if centering < 0:
        raise ValueError("centering must be at least 0")
    difference = chosen - rejected
    losses = -logsigmoid(difference if margin is None else difference - margin)
    if centering:
        losses = losses + centering * (chosen + rejected) ** 2
    return losses, {name: x.mean() for name, x in pair_metrics(chosen, rejected).items()}


def pair_metrics(chosen: Tensor, rejected: Tensor) -> dict[str, Tensor]:
    """Return what is logged of each pair, (b,) each. A tie is no win."""
    chosen, rejected = chosen.detach(), rejected.detach()
    return {
        "accuracy": (chosen > rejected).float(),
        "margin": chosen - rejected,
        "chosen": chosen,
        "rejected": rejected,
    }


def foreseen(chosen: Tensor, rejected: Tensor) -> float:
    """Return which share of the variance of the choices was foreseen: 1 - 4·mean (1 - p)², where
    p is the chance that each chosen completion had. 0: no better than a coin that is thrown, whose
    p is 1/2; the skill of Brier's score, of pairs in either order."""
    return 1 - 4 * ((rejected - chosen).detach().sigmoid() ** 2).mean().item()


def correlation(x: Tensor, y: Tensor) -> float:
    """Return Pearson's correlation of two (n,) numbers; NaN where one of them is constant."""
    both = torch.stack([x.detach().double(), y.detach().double()])
    both = both - both.mean(dim=1, keepdim=True)
    lengths = both.norm(dim=1)
    if not bool((lengths > 1e-9).all()):
        return float("nan")
    return float((both[0] @ both[1]) / lengths.prod())
