"""A loss of whole completions as the loss of their tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from workbench.learning.epochs import Tokens
from workbench.models import ranks

# A trunk's own rounding is some units in the last place of a sum.
_UNITS = 8 * torch.finfo(torch.float32).eps


def rounding(*sums: Tensor) -> Tensor:
    """Return by how much numbers may differ that are sums and differences of ``sums``, (n,) each,
    and be the same: by eight units in the last place of float32 of each. (Which rows are read side
    by side decides on the last places.)"""
    return _UNITS * torch.stack([part.detach().abs() for part in sums]).sum(dim=0)


class SumLoss(ABC):
    """A :class:`workbench.learning.epochs.RowLoss` that depends on the sums S of the
    log-probabilities of whole completions, so that a token's gradient is ``dL/dS`` of its row:
    known once the rows have been read, before any logit has to be kept.
    """

    uses_entropy = False
    reads_logprobs = True
    TOGETHER: ClassVar[int] = 1
    """So many rows, one after another, have one loss."""

    def __init__(self, reference: Tensor) -> None:
        """Learn from rows whose log-probabilities by the start policy sum up to ``reference``,
        (b,)."""
        self.reference = reference
        self.sums = torch.zeros_like(reference)
        """(b,) by the policy, as each row was found when it was learned from."""
        self.logprobs: Tensor | None = None
        """(b, T) of each token by the policy, likewise, where :meth:`keep` asked for them."""
        self._gradients = torch.zeros_like(reference)

    @abstractmethod
    def losses(self, sums: Tensor, rows: Tensor) -> Tensor:
        """Return the losses of ``rows``, (m,), whose log-probabilities sum up to ``sums``, (m,):
        one of each :attr:`TOGETHER`."""

    @abstractmethod
    def measure(self, prefix: str = "") -> dict[str, float]:
        """Return the means of what is logged, as the rows were found before their step."""

    @property
    @abstractmethod
    def of_items(self) -> Mapping[str, Tensor]:
        """What is logged whose spread is kept, (n,) each."""

    def take(self, sums: Tensor) -> None:
        """Take what was read elsewhere, to be measured: (2n,) of both rows of each item."""
        self.sums = sums

    def keep(self, mask: Tensor) -> None:
        """Keep what is found of each token of ``mask``, (b, T)."""
        self.logprobs = torch.zeros(mask.shape, device=self.sums.device)

    def sum_ranks(self) -> None:
        """Take in what the other ranks found of their rows."""
        ranks.sum_(self.sums)
        if self.logprobs is not None:
            ranks.sum_(self.logprobs)

    def read_rows(self, tokens: Tokens) -> None:
        """Take the log-probabilities of all tokens of some rows."""
        of, logprobs, each = tokens.at[0], tokens.logprobs, self.TOGETHER
        if self.logprobs is not None:
            self.logprobs[tokens.at] = logprobs
        self.sums[torch.unique(of)] = 0.0
        self.sums.index_add_(0, of, logprobs)
        firsts = torch.unique(of // each) * each
        rows = (firsts.unsqueeze(1) + torch.arange(each, device=of.device)).flatten()
        with torch.enable_grad():
            sums = self.sums[rows].requires_grad_()
            self._gradients[rows] = torch.autograd.grad(self.losses(sums, rows).sum(), sums)[0]

    def __call__(self, tokens: Tokens) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return what has each token's gradient, (n,): so many times it as rows have one loss, for
        a mean over rows is taken of it."""
        loss = self.TOGETHER * self._gradients[tokens.at[0]] * tokens.logprobs
        return loss, {"loss": loss}
