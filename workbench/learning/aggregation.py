"""How the losses of a batch's tokens become one number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

How = Literal["token", "sequence", "constant"]


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of ``x`` (b, T) over the True entries of ``mask`` (b, T); 0 if none."""
    return x.masked_fill(~mask, 0.0).sum() / mask.sum().clamp(min=1)


@dataclass(frozen=True, slots=True)
class Aggregation:
    """What each token's loss weighs in the loss of a mini-batch.

    ``token``: the mean over all tokens, so long completions weigh more (Yu et al. 2025,
    arXiv:2503.14476). ``sequence``: the mean over completions of the means over their tokens (Shao
    et al. 2024, arXiv:2402.03300). ``constant``: the sum over tokens divided by the number of
    completions times ``response_length``, so a token weighs the same in every completion and every
    cycle (Liu et al. 2025, arXiv:2503.20783).
    """

    how: How = "token"
    response_length: int = 1
    counted: Tensor | None = None
    """(b,) bool: the completions that are learned from; None: all are."""

    def weights(self, lengths: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return what the loss of each token of a completion is multiplied by, before all are
        summed: (n,) float32, 0 for completions that do not count.

        Args:
            lengths: (n,) tokens of each completion of the mini-batch, at least 1.
            rows: (n,) where they stand in the whole batch; None: they are the whole batch.
        """
        counted = torch.ones_like(lengths, dtype=torch.bool)
        if self.counted is not None:
            counted = self.counted if rows is None else self.counted[rows]
        if self.how == "token":
            each = torch.ones_like(lengths) / (lengths * counted).sum().clamp(min=1)
        elif self.how == "sequence":
            each = 1 / (lengths.clamp(min=1) * len(lengths))
        else:
            each = torch.full_like(
                lengths, 1 / (len(lengths) * self.response_length), dtype=torch.float32)
        return each * counted
