"""Value pretraining (Yuan et al. 2025, VC-PPO, arXiv:2503.01491): before the first cycle, values
learn from scored completions of the start policy what they will return.

A head that knows nothing makes PPO's first cycles REINFORCE; with GAE's lambda below 1 it even
biases them. The return itself is the target, at every token (lambda 1).

On the policy's own trunk the head alone learns, by ridge regression: the trunk is the policy, which
must begin as it was, and with states that do not move the best linear head is known in closed
form. A separate value model learns as a whole, by gradient steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from workbench.models.control import Control, NotFiniteError
from workbench.models.forward import micro_batches, read_values
from workbench.models.optimizer import make_optimizer, set_rates
from workbench.models.phases import Phase
from workbench.models.policy import Policy
from workbench.models.randomness import Stream, mini_batches, prompt_at, uniforms
from workbench.models.sampling import Completions
from workbench.models.sharding import tables_whole
from workbench.ppo.advantages import generalized_advantages, whiten
from workbench.ppo.hyperparameters import Hyperparameters
from workbench.ppo.linear_values import Moments, best_ridge
from workbench.ppo.objective import explained_variance
from workbench.ppo.rewards import shape_scores, token_rewards
from workbench.ppo.value_epochs import ValueModelEpochs
from workbench.ppo.value_head import ValueHead, put_in

DECIDED_BY = (
    "seed", "value_pretraining_episodes", "value_pretraining_epochs",
    "value_pretraining_learning_rate", "precision", "lora_rank", "value_model",
    "gradient_checkpointing", "batch_size", "response_length", "temperature",
    "stop_strings", "missing_eos_penalty", "normalize_scores", "score_clip", "whiten_rewards",
    "gamma", "optimizer", "micro_batch_tokens", "max_grad_norm")
"""The hyperparameters that decide the result, to the last bit, beside models and prompts."""

_HELD_OUT = 5
"""Every fifth completion is learned from only when what it tells has been used."""
_BATCH = 64
"""Completions a gradient step."""


class Part:
    """A control for a part of the work: what it reports counts towards the whole."""

    def __init__(self, control: Control, before: int, size: int, total: int) -> None:
        """Be the ``size`` steps after ``before``, of ``total``."""
        self._control, self._before, self._size, self._total = control, before, size, total

    def step(self, phase: Phase, done: int, total: int) -> None:
        """Report, and end the work where the whole should end."""
        part = self._size * min(done, total) // max(1, total)
        self._control.step(Phase.PRETRAINING, self._before + part, self._total)


def total_steps(hp: Hyperparameters) -> int:
    """Return how many completions are gone through, over writing them and all passes."""
    passes = 1 if hp.value_model == "shared" else hp.value_pretraining_epochs
    return hp.value_pretraining_episodes * (1 + passes)


def joined(batches: Iterable[Completions]) -> Completions:
    """Return batches as one, with what values learn from alone: no numbers of tokens."""
    parts = list(batches)
    width = max(part.mask.shape[1] for part in parts)

    def stacked(tensors: Iterator[Tensor]) -> Tensor:
        return torch.cat([torch.nn.functional.pad(t, (0, width - t.shape[1])) for t in tensors])

    mask = stacked(part.mask for part in parts)
    nothing = torch.zeros((), device=mask.device).expand(mask.shape)
    return Completions(
        [prompt for part in parts for prompt in part.prompts],
        stacked(part.tokens for part in parts), mask, nothing, nothing, nothing,
        torch.cat([part.ended for part in parts]))


def write_episodes(
    write: Callable[[Sequence[int], Tensor, Control], tuple[Completions, Tensor]], prompts: int,
    hp: Hyperparameters, control: Control,
) -> tuple[Completions, Tensor]:
    """Write and score what values learn from, a batch at a time.

    Args:
        write: completes the prompts of these numbers with this noise (b, T), and scores them (b,).
        prompts: how many there are.

    Returns:
        ``(completions, scores)``: all N, and (N,).

    Raises:
        NotFiniteError: a score is not a number.
    """
    batches, scores, done = [], [], 0
    for number in range(math.ceil(hp.value_pretraining_episodes / hp.batch_size)):
        rows = min(hp.batch_size, hp.value_pretraining_episodes - done)
        drawn = [prompt_at(hp.seed, done + i, prompts) for i in range(rows)]
        noise = uniforms(hp.seed, Stream.PRETRAINING, number, rows, hp.response_length)
        completions, score = write(drawn, noise, Part(control, done, rows, total_steps(hp)))
        if not bool(torch.isfinite(score).all()):
            raise NotFiniteError("A score of the start policy's completions is not a finite "
                                 "number. Check the reward model.")
        batches.append(joined([completions]))
        scores.append(score)
        done += rows
    return joined(batches), torch.cat(scores)


def returns_of(
    completions: Completions, scores: Tensor, hp: Hyperparameters, *, mean: float, std: float
) -> Tensor:
    """Return what follows each token, (b, T), as the run counts it; the start policy's KL is 0.

    Args:
        scores: (b,) the reward's.
        mean, std: of the start policy's scores, when normalising.
    """
    mask = completions.mask
    shaped = shape_scores(
        scores, completions.ended, missing_eos_penalty=hp.missing_eos_penalty,
        clip=hp.score_clip, mean=mean, std=std)
    nothing = torch.zeros(mask.shape, device=mask.device)
    rewards = token_rewards(shaped, nothing, mask, kl_coef=0.0)
    if hp.whiten_rewards:
        rewards = whiten(rewards, mask, shift_mean=False)
    return generalized_advantages(rewards, nothing, mask, gamma=hp.gamma, lam=1.0)[1]


def say_foreseen(episodes: int, explained: float) -> str:
    """Return a sentence on how much of the variance of what was held out is foreseen."""
    said = f"Values pretrained on {episodes:,} completions of the start policy"
    if math.isnan(explained):
        return (f"{said}: those held out all scored the same, so there was nothing to foresee. "
                "See whether the reward tells completions apart.")
    return f"{said}: they explain {explained:.2f} of the variance of those held out."


def pretrain(
    policy: Policy, completions: Completions, returns: Tensor, hp: Hyperparameters,
    control: Control,
) -> float:
    """Let values learn ``returns``, (b, T), and return how much of the variance of a fifth of the
    completions they foresee without having learned from them: NaN where those scored all the same.

    Raises:
        Interrupted: ``control`` asked to end; a separate value model may be part of the way.
        NotFiniteError: a gradient is not a number.
    """
    rows = torch.arange(len(returns))
    held_out = rows % _HELD_OUT == _HELD_OUT - 1
    learned, kept = rows[~held_out], rows[held_out]
    fit = _fit_head if policy.value_trunk is None else _train_model
    explained = fit(policy, completions, returns, (learned, kept), hp, control)
    there = returns[kept]
    alike = explained_variance(
        torch.zeros_like(there), there, completions.mask[kept]).isnan().item()
    return float("nan") if alike else explained


@torch.no_grad()
def _fit_head(
    policy: Policy, completions: Completions, returns: Tensor, parts: tuple[Tensor, Tensor],
    hp: Hyperparameters, control: Control,
) -> float:
    sums = []
    done, total = len(returns), total_steps(hp)
    for rows in parts:
        moments = Moments(policy.value_width, policy.device)
        with tables_whole(policy):
            for batch in micro_batches(
                completions, rows, max_tokens=hp.micro_batch_tokens, device=policy.device,
                batching=policy.capabilities.reading,
            ):
                control.step(Phase.PRETRAINING, done, total)
                states = policy.value_states(batch.input_ids).flatten(0, 1)[batch.source]
                moments.add(states, returns[batch.row, batch.column])
                done += len(batch.input_ids)
        moments.sum_ranks()
        sums.append(moments)
    fit, explained = best_ridge(*sums)
    assert policy.value_head is not None
    put_in(fit.head, policy.value_head)
    return explained


def _train_model(
    policy: Policy, completions: Completions, returns: Tensor, parts: tuple[Tensor, Tensor],
    hp: Hyperparameters, control: Control,
) -> float:
    """Train the value model, and keep it as it was after the pass that foresaw most."""
    learned, kept = parts
    assert policy.value_head is not None
    if not policy.value_head.weight.any():  # no head came with the policy
        mean = returns[learned][completions.mask[learned]].mean().reshape(1)
        put_in(ValueHead(torch.zeros_like(policy.value_head.weight), mean), policy.value_head)
    # Of its own: the run's begins with the run.
    optimizer = make_optimizer(hp.optimizer, [], policy.trained()[1], policy.device)
    set_rates(optimizer, 0.0, hp.value_pretraining_learning_rate)
    model = ValueModelEpochs(policy, completions, returns, hp)
    best, weights = float("-inf"), []
    total = total_steps(hp)
    for epoch in range(hp.value_pretraining_epochs):
        done = len(returns) * (1 + epoch)
        number = max(1, len(learned) // _BATCH)
        for chosen in mini_batches(
            hp.seed, 0, epoch, len(learned), number, Stream.VALUE_BATCHES
        ):
            part = Part(control, done, len(chosen), total)
            model.step(optimizer, learned[chosen], part, (0, 1))
            done += len(chosen)
        explained = _foreseen(policy, completions, returns, kept, hp,
                              Part(control, done, len(kept), total))
        if explained > best:
            best, weights = explained, [p.detach().clone() for p in policy.trained()[1]]
    with torch.no_grad():
        for parameter, weight in zip(policy.trained()[1], weights, strict=True):
            parameter.copy_(weight)
    return best


def _foreseen(
    policy: Policy, completions: Completions, returns: Tensor, rows: Tensor,
    hp: Hyperparameters, control: Control,
) -> float:
    chosen = rows.to(returns.device)
    nothing = completions.logprobs[chosen]
    part = Completions(
        [completions.prompts[row] for row in rows.tolist()], completions.tokens[chosen],
        completions.mask[chosen], nothing, nothing, nothing, completions.ended[chosen])
    values = read_values(
        policy, part, max_tokens=hp.micro_batch_tokens, control=control, phase=Phase.PRETRAINING)
    return explained_variance(values, returns[chosen], part.mask).nan_to_num(0.0).item()
