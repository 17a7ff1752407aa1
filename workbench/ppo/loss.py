"""PPO's loss of a token: ``L_POLICY + c1 L_VF + c2 L_ENT`` (Schulman et al. 2017, eq. 9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from workbench.learning.epochs import Tokens
from workbench.models.sampling import Completions
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.kl import kl_loss_terms
from workbench.ppo.objective import policy_loss_terms, value_loss_terms


@dataclass(frozen=True, slots=True)
class Experience:
    """A batch ready to learn from: what was sampled and what it was worth, (b, T) each.

    ``reward_scale`` is what whitening multiplied rewards by on their way to advantages; KL in the
    loss is multiplied likewise, so that its coefficient stays a price in units of the reward.
    """

    completions: Completions
    ref_logprobs: Tensor
    advantages: Tensor
    returns: Tensor
    reward_scale: float = 1.0


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
            logprobs, old.logprobs[at], self.experience.advantages[at],
            cliprange=hp.cliprange, dual_clip=hp.dual_clip)
        value_terms, _ = value_loss_terms(
            tokens.values, old.values[at], self.experience.returns[at],
            cliprange_value=hp.cliprange_value)
        terms = {"value": hp.vf_coef * value_terms}
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
            logged = {
                "policy": policy_terms, "value": value_terms, "total": loss,
                "entropy": tokens.entropy, "clipped": clipped, "ratio": ratio,
                "approxkl": 0.5 * (logprobs - old.logprobs[at]).square(),
                "ratio_excess": (ratio - 1).square(),
            }
        return loss, logged
