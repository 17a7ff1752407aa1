"""The loss of pairs as the loss of their tokens: its gradient through whole completions."""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.dpo.hyperparameters import DPOSettings
from workbench.dpo.objective import pair_metrics, preference_loss, sft_loss
from workbench.learning.sums import SumLoss


class PairLoss(SumLoss):
    """Of rows of which two make a pair, the chosen completion first."""

    TOGETHER = 2

    def __init__(self, lengths: Tensor, reference: Tensor, settings: DPOSettings) -> None:
        """Learn from rows of ``lengths`` tokens, (2n,), whose log-probabilities by the start policy
        sum up to ``reference``, (2n,)."""
        super().__init__(reference)
        self._lengths, self._settings = lengths, settings

    def losses(self, sums: Tensor, rows: Tensor) -> Tensor:
        """Return the loss of each pair of ``rows``, (n,), of ``sums``, (2n,)."""
        preference, sft = self._terms(sums, rows)
        return preference + self._settings.sft_coef * sft

    def measure(self, prefix: str = "") -> dict[str, float]:
        """Return the means over pairs of what is logged, as they were found before their step."""
        with torch.no_grad():
            preference, sft = self._terms(
                self.sums, torch.arange(len(self.sums), device=self.sums.device))
        means = {"loss/preference": preference.mean().item()}
        if self._settings.sft_coef:
            means["loss/sft"] = sft.mean().item()
        means |= {name: numbers.mean().item() for name, numbers in self.of_items.items()}
        return {f"{prefix}{name}": number for name, number in means.items()}

    @property
    def of_items(self) -> dict[str, Tensor]:
        """What is logged of each pair, (n,) each."""
        (chosen, rejected), (ref_chosen, ref_rejected) = (
            (x[0::2], x[1::2]) for x in (self.sums, self.reference))
        return pair_metrics(
            chosen, rejected, ref_chosen, ref_rejected, beta=self._settings.beta)

    def _terms(self, sums: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the preference loss and the SFT loss of each pair of ``rows``, (n,)."""
        hp, lengths = self._settings, self._lengths[rows].view(-1, 2).T
        own = sums.view(-1, 2).T
        given = torch.cat([own, self.reference[rows].view(-1, 2).T])
        if hp.loss_type == "ipo" and hp.average_log_prob:
            given = given / torch.cat([lengths, lengths])
        losses, _ = preference_loss(
            *given, beta=hp.beta, loss_type=hp.loss_type, label_smoothing=hp.label_smoothing)
        return losses, sft_loss(own[0], lengths[0])
