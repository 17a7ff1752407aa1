"""PPO's loss of a token: ``L_POLICY + c1 L_VF + c2 L_ENT`` (Schulman et al. 2017, eq. 9); without
a value head there is no L_VF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import ClassVar

import torch
from torch import Tensor

from workbench.learning.epochs import Tokens
from workbench.ppo.experience import Experience
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.kl import kl_loss_terms
from workbench.ppo.objective import policy_loss_terms, value_loss_terms

TERMS = ("policy", "value", "entropy", "kl")


@dataclass(frozen=True, slots=True)
class PPOLoss:
    """The loss of one cycle's update, a :class:`workbench.learning.epochs.TokenLoss`."""

    experience: Experience
    hp: Hyperparameters
    kl_coef: float
    warming_up: bool = False
    """Only values learn."""
    ratios: list[Tensor] | None = None
    """Takes the ratio of every token that is read, (n,) at a time."""
    only: str = ""
    """The one of :data:`TERMS` that has a gradient; empty: all have."""

    @property
    def uses_entropy(self) -> bool:
        """Whether the loss has a gradient through the entropy."""
        return self.hp.entropy_coef > 0

    def __call__(self, tokens: Tokens) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the loss of each token, with KL if it enters here, and what is logged, (n,)."""
        at, logprobs, hp, old = tokens.at, tokens.logprobs, self.hp, self.experience.completions
        policy_terms, ratio, clipped = policy_loss_terms(
            self._compared(tokens), old.logprobs[at], self.experience.advantages[at],
            cliprange=hp.cliprange, cliprange_high=hp.cliprange_high, dual_clip=hp.dual_clip)
        terms, logged = {}, {}
        if hp.has_values:
            value_terms, _ = value_loss_terms(
                tokens.values, old.values[at], self.experience.returns[at],
                cliprange_value=hp.cliprange_value)
            terms, logged = {"value": hp.vf_coef * value_terms}, {"loss/value": value_terms}
        if not self.warming_up:
            terms |= {"policy": policy_terms, "entropy": -hp.entropy_coef * tokens.entropy}
            if hp.kl_in == "loss":
                terms["kl"] = self.kl_coef * self.experience.reward_scale * kl_loss_terms(
                    logprobs, self.experience.ref_logprobs[at], hp.kl_estimator)
        loss = reduce(torch.add, (term if self.only in ("", name) else 0.0 * term
                                  for name, term in terms.items()))
        if self.ratios is not None:
            self.ratios.append(ratio.detach())
        with torch.no_grad():
            logged |= {
                "loss/policy": policy_terms, "loss/entropy": -tokens.entropy, "loss/total": loss,
                "entropy": tokens.entropy, "clipped": clipped, "ratio": ratio,
                "approxkl": 0.5 * (logprobs - old.logprobs[at]).square(),
                "ratio_excess": (ratio - 1).square(),
            }
        return loss, logged

    def _compared(self, tokens: Tokens) -> Tensor:
        """Return the log-probabilities, (n,), whose distance from the old ones is ``log rho``."""
        return tokens.logprobs


@dataclass(frozen=True, slots=True)
class SequencePPOLoss(PPOLoss):
    """The loss with one ratio a completion (GSPO), a :class:`workbench.learning.epochs.RowLoss`.

    Every token has its completion's ratio; its gradient is that of the completion's mean
    log-probability times the number of tokens, so that aggregated over them it is the completion's.
    """

    _means: list[Tensor] = field(default_factory=list)
    """The mean log-ratio of each row that was read last, (b,)."""

    reads_logprobs: ClassVar[bool] = True

    def read_rows(self, tokens: Tokens) -> None:
        """Take the log-probabilities of all tokens of some rows."""
        at, logprobs = tokens.at, tokens.logprobs
        old = self.experience.completions
        lengths = old.mask.sum(dim=1).clamp(min=1)
        sums = torch.zeros(lengths.shape, device=logprobs.device).index_add(
            0, at[0], logprobs - old.logprobs[at])
        self._means[:] = [sums / lengths]

    def _compared(self, tokens: Tokens) -> Tensor:
        moved = self._means[0][tokens.at[0]] + tokens.logprobs - tokens.logprobs.detach()
        return self.experience.completions.logprobs[tokens.at] + moved
