"""The loss of marked completions as the loss of their tokens: its gradient through whole
completions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from workbench.kto.hyperparameters import KTOSettings
from workbench.kto.metrics import (
    BAD,
    GOOD,
    KL,
    LOSS,
    MARGIN,
    OF_BAD,
    OF_GOOD,
    PAIRS,
    REWARD_BAD,
    REWARD_GOOD,
    SHARE,
    TOLD_APART,
)
from workbench.kto.objective import kto_loss, reference_point, told_apart
from workbench.learning.sums import SumLoss, rounding


class MarkLoss(SumLoss):
    """Of rows each by itself; also a :class:`workbench.learning.epochs.BatchLoss`, for z is one
    for the whole mini-batch."""

    def __init__(
        self, good: Tensor, references: Tensor, settings: KTOSettings,
        read_mismatched: Callable[[Tensor], Tensor],
    ) -> None:
        """Learn from rows that are ``good``, (n,) bool, or bad.

        Args:
            references: (2n,) log-probabilities by the start policy, of each row and of its prompt
                with the completion of its partner.
            read_mismatched: returns those of the latter, (m,), by the policy as it is now, of some
                rows, (m,).
        """
        super().__init__(references[0::2].contiguous())
        self._good, self._settings = good, settings
        self._mismatched, self._read_mismatched = references[1::2], read_mismatched
        self.z = torch.zeros_like(self.reference)
        """(n,) of the mini-batch that each row was learned from in."""

    def read_batch(self, rows: Tensor) -> None:
        """Estimate z for a step on ``rows``, (m,)."""
        self.z[rows] = reference_point(self._read_mismatched(rows) - self._mismatched[rows])

    def losses(self, sums: Tensor, rows: Tensor) -> Tensor:
        """Return the loss of each of ``rows``, (m,), of ``sums``, (m,)."""
        hp = self._settings
        return kto_loss(
            sums - self.reference[rows], self._good[rows], beta=hp.beta, kl=self.z[rows],
            desirable_weight=hp.desirable_weight, undesirable_weight=hp.undesirable_weight)

    def take(self, sums: Tensor) -> None:
        """Take what was read elsewhere, to be measured: (2n,) of both rows of each item."""
        self.sums = sums[0::2].contiguous()
        self.z = reference_point(sums[1::2] - self._mismatched).expand_as(self.z)

    def measure(self, prefix: str = "") -> dict[str, float]:
        """Return what is logged, as the rows were found before their step; nothing of a kind that
        is not among them."""
        good, ratios = self._good, self.sums - self.reference
        rewards = self._settings.beta * ratios
        with torch.no_grad():
            losses = self.losses(self.sums, torch.arange(len(good), device=good.device))
        found: dict[str, Any] = {
            LOSS: losses.mean(), OF_GOOD: (losses * good).mean(), OF_BAD: (losses * ~good).mean(),
            KL: self.z.mean(), SHARE: good.float().mean(),
            PAIRS: good.sum() * (~good).sum()}
        for mark, of, logps in ((good, REWARD_GOOD, GOOD), (~good, REWARD_BAD, BAD)):
            if bool(mark.any()):
                found |= {of: rewards[mark].mean(), logps: self.sums[mark].mean()}
        if REWARD_GOOD in found and REWARD_BAD in found:
            tie = 2 * rounding(self.sums, self.reference).max().item()
            found |= {MARGIN: found[REWARD_GOOD] - found[REWARD_BAD],
                      TOLD_APART: told_apart(ratios, good, tie)}
        return {f"{prefix}{name}": float(number) for name, number in found.items()}

    @property
    def of_items(self) -> dict[str, Tensor]:
        """The implicit rewards of the good and of the bad ones, (g,) and (n - g,)."""
        rewards = self._settings.beta * (self.sums - self.reference)
        return {REWARD_GOOD: rewards[self._good], REWARD_BAD: rewards[~self._good]}
