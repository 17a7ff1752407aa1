"""From the scores of a batch to what it teaches: what every token was worth more, or less, than was
expected of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.learning.aggregation import masked_mean
from workbench.learning.batch import Batch
from workbench.models.sampling import Completions
from workbench.ppo.advantages import (
    baselines,
    batch_advantages,
    discounted_returns,
    generalized_advantages,
    group_advantages,
    leave_one_out_advantages,
    whiten,
    whitening_factor,
    without_spread,
)
from workbench.ppo.hyperparameters import GROUPED, Hyperparameters
from workbench.ppo.metrics import NO_SPREAD
from workbench.ppo.objective import explained_variance
from workbench.ppo.rewards import shape_scores, token_rewards

_LEAST_SPREAD = 0.2
"""Where completions differ less, as a share of how much the start policy's did, what returns still
differ by is the value head's own error: there is nothing for it to explain."""


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


@dataclass(frozen=True, slots=True)
class Judged:
    """What was made of the scores of a batch.

    ``estimated`` are, of every token, (b, T), its ``reward``, the ``return`` that came of it and
    the ``value`` that it was held against: of a value head, or of other completions. ``spread`` is
    the deviation of the advantages in units of the score.
    """

    experience: Experience
    estimated: Mapping[str, Tensor]
    spread: float
    metrics: Mapping[str, float]


def judge(
    batch: Batch, hp: Hyperparameters, *, kl_coef: float, score_mean: float, score_std: float
) -> Judged:
    """Turn the scores of a batch into advantages, and measure them.

    Args:
        kl_coef: the price of KL in this cycle.
        score_mean, score_std: of the start policy's scores, for normalising.
    """
    mean, std = (score_mean, score_std) if hp.normalize_scores else (0.0, 1.0)
    shaped = shape_scores(
        batch.scores, batch.completions.ended, missing_eos_penalty=hp.missing_eos_penalty,
        clip=hp.score_clip, mean=mean, std=std)
    in_reward, in_loss = (kl_coef if hp.kl_in == where else 0.0 for where in ("reward", "loss"))
    kl, mask = batch.kl.sum(dim=1), batch.completions.mask
    worth = shaped - in_reward * kl
    rewards = token_rewards(shaped, batch.kl, mask, kl_coef=in_reward)
    metrics = {
        "objective/rlhf_reward": shaped.mean().item() - kl_coef * kl.mean().item(),
        "objective/non_score_reward": -kl_coef * kl.mean().item(),
    }
    if not hp.has_values:
        experience, estimated, spread = _against_others(batch, rewards, worth, hp)
        if hp.advantage_estimator in GROUPED:
            metrics[NO_SPREAD] = without_spread(worth, _groups(worth, hp)).item()
    else:
        experience, estimated, spread = _against_values(batch, rewards, in_loss, hp)
        values = batch.completions.values
        least = _LEAST_SPREAD * min(score_std / std, hp.score_clip or math.inf)
        metrics |= {
            "val/explained_variance": explained_variance(
                values, experience.returns, mask).item()
                if worth.std(unbiased=False).item() > least else math.nan,
            "val/value": masked_mean(values, mask).item(),
        }
    return Judged(experience, estimated, spread, metrics | {"val/advantage_std": spread})


_Found = tuple[Experience, dict[str, Tensor], float]


def _against_values(
    batch: Batch, rewards: Tensor, in_loss: float, hp: Hyperparameters
) -> _Found:
    """Hold each token against what the value head expected."""
    completions, mask = batch.completions, batch.completions.mask
    rewards, reward_scale = _whitened(rewards, mask, hp)
    advantages, returns = generalized_advantages(
        rewards, completions.values, mask, gamma=hp.gamma, lam=hp.lam)
    spread = advantages[mask].std(unbiased=False)
    if hp.whiten_advantages:
        # The loss weighs tokens by their KL as well: scores that are all equal are no reason to
        # scale it up without end.
        log_ratio = completions.logprobs - batch.ref_logprobs
        factor = whitening_factor(
            advantages, mask, in_loss * reward_scale * log_ratio if in_loss else None)
        advantages = whiten(advantages, mask, factor=factor)
        reward_scale = reward_scale * factor
    experience = Experience(
        completions, batch.ref_logprobs, advantages, returns, reward_scale.item())
    estimated = {"value": completions.values, "reward": rewards, "return": returns}
    return experience, estimated, spread.item()


def _against_others(
    batch: Batch, rewards: Tensor, worth: Tensor, hp: Hyperparameters
) -> _Found:
    """Hold each completion against others, all of its tokens alike; ``batch`` holds each token's
    return against the mean of all."""
    completions, mask = batch.completions, batch.completions.mask
    rewards, reward_scale = _whitened(rewards, mask, hp)
    if hp.advantage_estimator == "batch":
        returns = discounted_returns(rewards, mask, gamma=hp.gamma)
        values = torch.full_like(returns, masked_mean(returns, mask).item())
        advantages = batch_advantages(rewards, mask, gamma=hp.gamma)
        reward_scale = reward_scale * whitening_factor(returns, mask)
    else:
        groups, alone = _groups(worth, hp), hp.advantage_estimator == "leave_one_out"
        each = leave_one_out_advantages(worth, groups) if alone else group_advantages(
            worth, groups, normalize=hp.normalize_group_std)
        returns, values, advantages = (x.unsqueeze(1).expand(mask.shape) for x in (
            worth, baselines(worth, groups, leave_one_out=alone), each))
    returns, values, advantages = (
        x.masked_fill(~mask, 0.0) for x in (returns, values, advantages))
    experience = Experience(
        completions, batch.ref_logprobs, advantages, returns, reward_scale.item())
    spread = (returns - values)[mask].std(unbiased=False).item()
    return experience, {"value": values, "reward": rewards, "return": returns}, spread


def _whitened(rewards: Tensor, mask: Tensor, hp: Hyperparameters) -> tuple[Tensor, Tensor]:
    """Return rewards as they are learned from, and what they were multiplied by."""
    if not hp.whiten_rewards:
        return rewards, torch.ones((), device=rewards.device)
    factor = whitening_factor(rewards, mask)
    return whiten(rewards, mask, shift_mean=False, factor=factor), factor


def _groups(worth: Tensor, hp: Hyperparameters) -> Tensor:
    """Return which of the prompts drawn each completion is of, (b,)."""
    return torch.arange(len(worth), device=worth.device) // hp.completions_per_prompt
