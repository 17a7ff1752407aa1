"""The loss of pairs as the loss of their tokens: its gradient through whole completions."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from workbench.dpo.hyperparameters import DPOSettings
from workbench.dpo.objective import pair_metrics, preference_loss, sft_loss
from workbench.learning.epochs import Tokens


class PairLoss:
    """A :class:`workbench.learning.epochs.RowLoss` of rows of which two make a pair, the chosen
    completion first.

    The loss depends on the sums S of the log-probabilities of whole completions, so a token's
    gradient is ``dL/dS`` of its row: known once the rows have been read, before any logit has to be
    kept.
    """

    uses_entropy = False
    reads_logprobs = True

    def __init__(self, lengths: Tensor, reference: Tensor, settings: DPOSettings) -> None:
        """Learn from rows of ``lengths`` tokens, (2n,), whose log-probabilities by the start policy
        sum up to ``reference``, (2n,)."""
        self._lengths, self._reference, self._settings = lengths, reference, settings
        self.sums = torch.zeros_like(reference)
        """(2n,) by the policy, as each row was found when it was learned from."""
        self.logprobs: Tensor | None = None
        """(2n, T) of each token by the policy, likewise, where :meth:`keep` asked for them."""
        self._gradients = torch.zeros_like(reference)

    def keep(self, mask: Tensor) -> None:
        """Keep what is found of each token of ``mask``, (2n, T)."""
        self.logprobs = torch.zeros(mask.shape, device=self.sums.device)

    def read_rows(self, tokens: Tokens) -> None:
        """Take the log-probabilities of all tokens of some rows."""
        rows, logprobs = tokens.at[0], tokens.logprobs
        pairs = torch.unique(rows // 2)
        if self.logprobs is not None:
            self.logprobs[tokens.at] = logprobs
        self.sums[torch.unique(rows)] = 0.0
        self.sums.index_add_(0, rows, logprobs)
        both = torch.stack([2 * pairs, 2 * pairs + 1])
        with torch.enable_grad():
            sums = self.sums[both].requires_grad_()
            preference, sft = self._losses(sums, both)
            total = preference + self._settings.sft_coef * sft
            self._gradients[both] = torch.autograd.grad(total.sum(), sums)[0]

    def __call__(self, tokens: Tokens) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return what has each token's gradient, (n,): twice it, for a pair is two rows."""
        loss = 2 * self._gradients[tokens.at[0]] * tokens.logprobs
        return loss, {"loss": loss}

    def measure(self, prefix: str = "") -> dict[str, float]:
        """Return the means over pairs of what is logged, as they were found before their step."""
        both = self._places.view(-1, 2).T
        with torch.no_grad():
            preference, sft = self._losses(self.sums[both], both)
        means = {"loss/preference": preference.mean().item()}
        if self._settings.sft_coef:
            means["loss/sft"] = sft.mean().item()
        means |= {name: numbers.mean().item() for name, numbers in self.of_pairs.items()}
        return {f"{prefix}{name}": number for name, number in means.items()}

    @property
    def of_pairs(self) -> dict[str, Tensor]:
        """What is logged of each pair, (n,) each."""
        (chosen, rejected), (ref_chosen, ref_rejected) = (
            (x[0::2], x[1::2]) for x in (self.sums, self._reference))
        return pair_metrics(
            chosen, rejected, ref_chosen, ref_rejected, beta=self._settings.beta)

    @property
    def _places(self) -> Tensor:
        return torch.arange(len(self.sums), device=self.sums.device)

    def _losses(self, sums: Tensor, both: Tensor) -> tuple[Tensor, Tensor]:
        """Return the preference loss and the SFT loss of pairs, (n,) each, of ``sums`` (2, n)."""
        hp, lengths, reference = self._settings, self._lengths[both], self._reference[both]
        given = torch.cat([sums, reference])
        if hp.loss_type == "ipo" and hp.average_log_prob:
            given = given / torch.cat([lengths, lengths])
        losses, _ = preference_loss(
            *given, beta=hp.beta, loss_type=hp.loss_type, label_smoothing=hp.label_smoothing)
        return losses, sft_loss(sums[0], lengths[0])
